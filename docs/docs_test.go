// Package docs_test runs the command lines of the documents as they stand, with paths replaced.
//
// Every line of a code block, and every span of code in the text, that calls one of the programs (or sbatch, or
// make) is a command line. They run in the order of the documents in one world: a few simulated runs of one
// experiment, an empty repository, and a stand-in for Slurm that starts jobs at once. A span that only names a
// command, without any flag or argument, is left to the test of the commands' names.
package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/io/elog/elogtest"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/lint"
	"rawstatus/internal/testenv"
)

const experiment = "mfx101332224"

// world is where the command lines run.
type world struct {
	t    *testing.T
	root string
	env  []string
}

// places are the paths that documents name, below the world's root.
var places = []string{"/data", "/constants", "/scratch", "/tmp", "/sdf"}

// placeholders stand for values in spans of code; before some of them the flag says which value it is.
func (w *world) placeholders(line string) string {
	work := "/scratch/" + experiment + "-r0007"
	for _, p := range []struct{ before, after string }{
		{`--work DIR\b`, "--work " + work}, {`--work WORKDIR\b`, "--work " + work}, {`--root DIR\b`, "--root /scratch/served"}, {`--out DIR\b`, "--out /scratch/out"},
		{`\bWORKDIR\b`, work}, {`\bCAMPAIGN\b`, "/scratch/night"}, {`\bREPO\b`, "/constants"}, {`\bCALIBDIR\b`, "/data/mfx/" + experiment + "/calib"},
		{`--exp EXP\b`, "--exp " + experiment}, {`\bDETECTOR\b`, "jungfrau"}, {`--file FILE\b`, "--file /data/mfx/" + experiment + "/xtc/" + experiment + "-r0007-s000-c000.xtc2"},
		{`\bARRAYJOB\b`, "$(ls $STAND_IN | tail -1)"},
	} {
		line = regexp.MustCompile(p.before).ReplaceAllLiteralString(line, p.after)
	}
	return regexp.MustCompile(`(^|[ ='"])(`+strings.Join(places, "|")+`)\b`).ReplaceAllString(line, "${1}"+w.root+"${2}")
}

// newWorld builds the programs and makes the runs.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, root: t.TempDir()}
	root := testenv.Root(t)
	bin := filepath.Join(w.root, "bin")
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, dir := range append(slices.Clone(places), "/jobs", "/home", "/slurm") {
		if err := os.MkdirAll(filepath.Join(w.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	site, url := filepath.Join(w.root, "site.toml"), serveConstants(t, bin, filepath.Join(w.root, "database"))
	logbook, secret := serveLogbook(t), filepath.Join(w.root, "secret.txt")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("group = \"\"\ndata_roots = [%q]\nrepository = %q\nwork_root = %q\n[calibws]\nread_url = %[4]q\nwrite_url = %[4]q\n[elog]\nurl = %[5]q\nauth = \"basic\"\npassword_file = %[6]q\n",
		filepath.Join(w.root, "data"), filepath.Join(w.root, "constants"), filepath.Join(w.root, "scratch"), url, logbook, secret)
	if err := os.WriteFile(site, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(w.root, "jobs"), os.DirFS(filepath.Join(root, "jobs"))); err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		if !slices.ContainsFunc([]string{"RAWSTATUS_", "SIT_", "LCLS_", "SLURM_", "CALIB_", "PATH=", "HOME="}, func(p string) bool { return strings.HasPrefix(entry, p) }) {
			w.env = append(w.env, entry)
		}
	}
	w.env = append(w.env, "RAWSTATUS_SITE="+site, "HOME="+filepath.Join(w.root, "home"), "STAND_IN="+filepath.Join(w.root, "slurm"),
		"PATH="+bin+":"+filepath.Join(root, "docs", "testdata", "slurm")+":"+os.Getenv("PATH"))
	w.prepare()
	return w
}

// serveConstants serves a calibration database for the duration of the test and returns its address.
func serveConstants(t *testing.T, bin, root string) (url string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "mergedeploy"), "serve", "--root", root, "--writable", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var serving struct{ URL string }
	if err := json.NewDecoder(out).Decode(&serving); err != nil {
		t.Fatalf("mergedeploy serve: %v", err)
	}
	return serving.URL
}

const password = "a password"

// serveLogbook serves a logbook of the experiment and returns its address.
func serveLogbook(t *testing.T) (url string) {
	t.Helper()
	s, stop := elogtest.New()
	t.Cleanup(stop)
	for run := 5; run <= 47; run++ {
		s.Experiments[experiment] = append(s.Experiments[experiment], run)
	}
	s.Active["mfx"], s.Users["mfxopr"] = experiment, password
	return s.URL
}

// prepare makes what the documents take for granted: raw data of the runs, results of run 9, and an array of one's own.
func (w *world) prepare() {
	xtc := filepath.Join(w.root, "data/mfx", experiment, "xtc")
	for run := 5; run <= 47; run++ {
		if run < 10 {
			gains := "g0"
			if run == 7 || run == 9 { // whose constants are deployed
				gains = "g0,g1,g2"
			}
			w.must(fmt.Sprintf("rawstatus simulate --quiet --out %s -e %s -r %d --panels 4 --gain-modes %s --events 6 --dead 9 --hot %d --begin 2026-01-15T20:%02d:00Z",
				xtc, experiment, run, gains, run, run))
		} else {
			w.must(fmt.Sprintf("rawstatus simulate --quiet --out %s -e %s -r %d --panels 1 --rows 16 --cols 32 --events 20 --begin 2026-01-15T20:%02d:00Z", xtc, experiment, run, run))
		}
	}
	w.must(fmt.Sprintf("rawstatus simulate --quiet --scan chargeinj --out %s -e mfxlx4219 -r 50 --rows 40 --cols 48 --ramp 256", filepath.Join(w.root, "data/mfx/mfxlx4219/xtc")))
	w.must(fmt.Sprintf("rawstatus run --quiet --exp %s --run 9 -d jungfrau", experiment))
	calib := filepath.Join(w.root, "data/mfx", experiment, "calib") // a deployment before, so that rollback has something to restore
	w.must(fmt.Sprintf("mergedeploy --quiet -e %s -r 9 -d jungfrau -c %s -D", experiment, calib))
	w.must(fmt.Sprintf("mergedeploy --quiet -e %s -r 9 -d jungfrau -c %s -R 7-end --force-no-effect -D", experiment, calib))
	var psana, crystfel strings.Builder // geometries, as analysis has them
	for p := range 4 {
		fmt.Fprintf(&psana, "IP 0 JUNGFRAU:V2 %d 0 %d 0 0 0 0 0 0 0\n", p, 50000*p)
		fmt.Fprintf(&crystfel, "p%[1]d/min_fs = 0\np%[1]d/max_fs = 1023\np%[1]d/min_ss = %[2]d\np%[1]d/max_ss = %[3]d\n", p, 512*p, 512*p+511)
	}
	geometry := filepath.Join(calib, "Jungfrau::CalibV1/jungfrau/geometry")
	if err := os.MkdirAll(geometry, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Symlink(calib, filepath.Join(w.root, "calib")); err != nil {
		w.t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(geometry, "0-end.data"): psana.String(), filepath.Join(w.root, "jungfrau.geom"): crystfel.String()} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	mask := slices.Repeat([]uint16{1}, 4*512*1024)
	clear(mask[5000:5200]) // the shadow of the beam stop
	if err := npy.Write(filepath.Join(w.root, "mask.npy"), []int{4, 512, 1024}, mask); err != nil {
		w.t.Fatal(err)
	}
}

// must runs a line that has to work.
func (w *world) must(line string) {
	w.t.Helper()
	if code, out := w.run(line); code != 0 {
		w.t.Fatalf("%s: exit code %d\n%s", line, code, out)
	}
}

// run runs a line in a shell and returns its exit code and all that it says. What serves goes on until it is interrupted.
func (w *world) run(line string) (code int, out string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	var text bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.root, w.env, &text, &text
	if strings.Contains(line, "mergedeploy serve") {
		cmd.Args[2] = "exec " + line // the signal is for the server
		cmd.Stdout = &whenServing{&text, cmd}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("%s: %v", line, err)
	}
	return cmd.ProcessState.ExitCode(), text.String()
}

// whenServing interrupts a server as soon as it says that it serves.
type whenServing struct {
	to  *bytes.Buffer
	cmd *exec.Cmd
}

func (s *whenServing) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("serving")) {
		if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
			return 0, err
		}
	}
	return s.to.Write(p)
}

// allowed reports whether a command line may end with a code: compared things may differ.
func allowed(line string, code int) bool {
	words := strings.Fields(line)
	return code == 0 || code == 4 && len(words) > 1 && words[1] == "diff"
}

// settle waits until the stand-in has nothing left to do.
func (w *world) settle() {
	for range 600 {
		code, out := w.run("squeue --noheader --me --array --format=%A")
		if code == 0 && out == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Error("jobs of the stand-in do not end")
}

// TestCommandLinesOfDocumentsRun runs the command lines of README and documents.
func TestCommandLinesOfDocumentsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates and runs a lot")
	}
	root := testenv.Root(t)
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(documents) < 5 {
		t.Fatal(documents, err)
	}
	var list []lint.CommandLine
	slurm := filepath.Join(root, "docs", "slurm.md") // begins the campaign that others speak of
	documents = slices.DeleteFunc(documents, func(d string) bool { return d == slurm })
	for _, document := range append([]string{filepath.Join(root, "README.md"), slurm}, documents...) {
		lines, err := lint.CommandLines(document, "rawstatus", "mergedeploy", "sbatch", "jobs/arp/rawstatus-arp.sh")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, lines...)
	}
	if len(list) < 40 {
		t.Fatalf("only %d command lines found", len(list))
	}
	start := time.Now()
	w, document := newWorld(t), ""
	work := filepath.Join(w.root, "scratch", experiment+"-r0007")
	submitted := work + ".submitted"
	for _, c := range list {
		if begins := strings.Split(c.Where, ":")[0]; begins != document {
			// README's job is at hand in every document, as it was submitted.
			if document = begins; filepath.Base(begins) != "README.md" {
				if _, err := os.Stat(submitted); err != nil {
					w.must("rawstatus submit --quiet --exp " + experiment + " --run 7 -d jungfrau --work " + work)
					w.settle()
					w.must("cp -a " + work + " " + submitted)
				}
				w.must("rm -rf " + work + " && cp -a " + submitted + " " + work)
			}
			t.Logf("%5.1f s  until %s", time.Since(start).Seconds(), document)
		}
		for name, text := range c.Files {
			if err := os.WriteFile(filepath.Join(w.root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		line := w.placeholders(c.Line)
		begin := time.Now()
		code, out := w.run(line)
		if !allowed(c.Line, code) {
			t.Errorf("%s: `%s` ended with exit code %d:\n%s", c.Where, c.Line, code, strings.ReplaceAll(out, w.root, ""))
		}
		t.Logf("%5.1f s  %s", time.Since(begin).Seconds(), c.Line)
		if strings.Contains(c.Line, "submit") || strings.Contains(c.Line, "sbatch") || strings.Contains(c.Line, "rerun") || strings.Contains(c.Line, "arp") {
			w.settle()
		}
	}
	w.settle()
}
