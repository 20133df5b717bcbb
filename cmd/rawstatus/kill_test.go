package main

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// programs builds both programs for tests that need processes.
func programs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir, "./cmd/...")
	cmd.Dir = testenv.Root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// TestKillAtAnyMoment kills the whole job with SIGKILL again and again at random moments, each time
// giving the same commands again, and wants what an undisturbed job leaves: the same bytes but for
// times and process facts, and no file that a reader could take for a result before it is one.
func TestKillAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	bin, data := programs(t), t.TempDir()
	_, err := simulate.Write(context.Background(), simulate.Config{Dir: data, Experiment: "tstx00117", Run: 5, Panels: 2,
		Events: 30, GainModes: []string{"g0", "g1", "g2"}, Streams: 2, Dead: 3, Hot: 3, Noisy: 3, Saturated: 3, Cold: 3})
	if err != nil {
		t.Fatal(err)
	}
	commands := func(dir string) [][]string {
		repo := filepath.Join(dir, "repo")
		return [][]string{
			{filepath.Join(bin, "rawstatus"), "run", "--exp", "tstx00117", "--run", "5", "-d", "jungfrau", "--dir", data, "-o", repo, "--work", filepath.Join(dir, "job"), "--tasks", "9"},
			{filepath.Join(bin, "mergedeploy"), "-e", "tstx00117", "-r", "5", "-d", "jungfrau", "--dir", data, "-o", repo, "-c", filepath.Join(dir, "calib"), "-D"},
		}
	}
	quiet, rough := t.TempDir(), t.TempDir()
	var took time.Duration
	for _, c := range commands(quiet) {
		begin := time.Now()
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
		took = max(took, time.Since(begin))
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for _, c := range commands(rough) {
		for range 12 {
			cmd := exec.Command(c[0], c[1:]...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(r.Int64N(int64(took) * 5 / 4)))
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil && err != os.ErrProcessDone {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			noHalfFiles(t, rough, quiet)
		}
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("after kills: %v: %v\n%s", c, err, out)
		}
	}
	want, got := published(t, quiet), published(t, rough)
	for name, content := range want {
		if !bytes.Equal(got[name], content) {
			t.Errorf("%s differs from the undisturbed job's", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not in the undisturbed job's tree", name)
		}
	}
	if len(want) < 20 {
		t.Fatalf("only %d files compared", len(want))
	}
	ledger, err := os.ReadFile(filepath.Join(rough, "calib/Jungfrau::CalibV1/jungfrau/status_extra/.ledger/ledger.jsonl"))
	if n := bytes.Count(ledger, []byte(`"state":"done"`)); err != nil || n != 1 {
		t.Errorf("%d deployments are recorded as done, wanted 1: %v", n, err)
	}
}

// changing are the facts of a process in text files, and the hash of a text that has them.
var changing = regexp.MustCompile(`(?m)^# (HOST|WORK_DIR|FILE_NAME|DATE_TIME|UID) .*$|"[a-z_]*(sha256|time|path|file|dir|work|when|host|cwd|id)": ?"[^"]*"|cptime:\S+|copy_of:\S+|cwd:\S+|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)

// published returns what a job leaves for readers, by path relative to dir, without what may differ.
func published(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		switch ext := filepath.Ext(path); {
		case strings.HasPrefix(d.Name(), ".") && strings.Contains(d.Name(), ".tmp-"), strings.Contains(name, "/logs/"), strings.Contains(name, "lock"), strings.Contains(name, "/.ledger/"):
			return nil // leftovers of killed writers, which no reader takes for a result; logs and records of every attempt
		case strings.HasPrefix(name, "/job/") && ext != ".json":
			if strings.Contains(name, "/tasks/") || strings.HasSuffix(name, "index.pack") {
				return nil // they name a plan; merged planes are compared
			}
		case strings.HasPrefix(name, "/job/"):
			return nil // plan and summary name directories
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte(dir), []byte("DIR"))
		out[name] = changing.ReplaceAll(b, []byte("-"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// noHalfFiles wants every file that a reader would take for a result to be complete: as large as the
// undisturbed job's, whose text has the same length but for names of directories.
func noHalfFiles(t *testing.T, dir, quiet string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		ext := filepath.Ext(path)
		if ext != ".dat" && ext != ".data" && !(ext == ".txt" && strings.Contains(path, "status_")) {
			return nil
		}
		have, err1 := os.ReadFile(path)
		want, err2 := os.ReadFile(quiet + strings.TrimPrefix(path, dir))
		if err1 == nil && err2 == nil && lines(have) != lines(want) {
			t.Errorf("half a file is visible: %s with %d lines of %d", path, lines(have), lines(want))
		}
		return nil
	})
}

func lines(b []byte) int { return bytes.Count(b, []byte("\n")) }
