package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
)

// shelf is a Slurm that takes jobs and never starts one.
type shelf struct {
	away bool
	jobs map[int][]string // words of sbatch of those that wait
	last int
	now  time.Time
}

func newShelf() *shelf { return &shelf{jobs: map[int][]string{}, last: 100, now: time.Now()} }

func option(words []string, name string) string {
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, name+"="); ok {
			return v
		}
	}
	return ""
}

func (s *shelf) Command(_ context.Context, name string, args ...string) (string, string, error) {
	if s.away {
		return "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", errors.New("exit status 1")
	}
	var out strings.Builder
	switch name {
	case "scontrol":
		out.WriteString("ClusterName = c\nMaxArraySize = 33\nMaxJobCount = 1000\n")
	case "sbatch":
		if slices.Contains(args, "--test-only") {
			break
		}
		s.last++
		s.jobs[s.last] = slices.Clone(args)
		fmt.Fprintln(&out, s.last)
	case "scancel":
		for _, id := range args {
			for job := range s.jobs {
				if fmt.Sprint(job) == id {
					delete(s.jobs, job)
				}
			}
		}
	case "squeue":
		if option(args, "--Format") == "" {
			break
		}
		for id, words := range s.jobs {
			indices, err := parseNumbers(option(words, "--array"), 0)
			if err != nil {
				return "", "", err
			}
			for _, i := range indices {
				fmt.Fprintf(&out, "%d|%d|%d|PENDING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|Priority|\n", id, i, id)
			}
			if len(indices) == 0 {
				fmt.Fprintf(&out, "%d|N/A|%d|PENDING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|Dependency|\n", id, id)
			}
		}
	}
	return out.String(), "", nil
}

func (s *shelf) Getenv(string) string { return "" }
func (s *shelf) Now() time.Time       { return s.now }
func (s *shelf) Sleep(ctx context.Context, d time.Duration) error {
	s.now = s.now.Add(d)
	return ctx.Err()
}

// call is a command line of rawstatus on a machine with this Slurm.
func (s *shelf) call(t *testing.T, want fault.Code, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if code := run(slurm.WithSystem(context.Background(), s), &out, &err, append([]string{"rawstatus"}, args...)); code != int(want) {
		t.Fatalf("rawstatus %v: exit code %d, want %d\n%s%s", args, code, want, &out, &err)
	}
	return out.String(), err.String()
}

// smallRun writes a run and returns the words that name it.
func smallRun(t *testing.T, panels int) (dir string, words []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "100% data's \"raw\"")
	if _, err := simulate.Write(context.Background(), simulate.Config{Dir: dir, Experiment: nightExperiment, Run: 3, Type: nightDetector, Panels: panels, Rows: 16, Cols: 32,
		Events: 20, Dead: 2, Hot: 2}); err != nil {
		t.Fatal(err)
	}
	return dir, []string{"--exp", nightExperiment, "--run", "3", "--dir", dir, "--settle", "0s"}
}

// TestSecondSubmission submits into a work directory whose jobs wait: they keep their plan and their request, whatever
// comes later.
func TestSecondSubmission(t *testing.T) {
	_, data := smallRun(t, 2)
	s, work, repo := newShelf(), filepath.Join(t.TempDir(), "work"), t.TempDir()
	submit := func(want fault.Code, more ...string) (string, string) {
		t.Helper()
		if !slices.Contains(more, "-o") {
			more = append(more, "-o", repo)
		}
		return s.call(t, want, slices.Concat([]string{"submit", "--work", work}, data, more)...)
	}
	submit(0)
	first := s.last
	planned := func() string {
		b, err := os.ReadFile(filepath.Join(work, "plan.json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	was := planned()
	for id, words := range s.jobs {
		if i := slices.Index(words, "--plan"); i < 0 || len(words[i+1]) != 64 || !slices.Contains(words, "--request") {
			t.Errorf("job %d does not name its plan: %q", id, words)
		}
	}
	if _, stderr := submit(0); s.last != first || !strings.Contains(stderr, "at work already") {
		t.Errorf("the same again: job %d after %d\n%s", s.last, first, stderr)
	}
	for name, other := range map[string][]string{
		"parameters": {"--intnhi", "4"}, "cut": {"--tasks", "1"}, "repository": {"-o", t.TempDir()}, "products": {"--report"}, "resources": {"--mem", "8G"},
	} {
		if _, stderr := submit(fault.Busy, other...); !strings.Contains(stderr, "--replace") || planned() != was || s.last != first {
			t.Errorf("other %s: %s", name, stderr)
		}
	}
	for _, command := range []string{"plan", "run"} {
		args := slices.Concat([]string{command, "--work", work, "--intnhi", "4"}, data)
		if command == "run" {
			args = append(args, "-o", repo)
		}
		if _, stderr := s.call(t, fault.Busy, args...); !strings.Contains(stderr, "jobs of plan") || planned() != was {
			t.Errorf("%s: %s", command, stderr)
		}
	}
	submit(0, "--dry-run", "--intnhi", "4")
	if planned() != was {
		t.Error("--dry-run has changed the plan")
	}
	submit(0, "--intnhi", "4", "--replace")
	if planned() == was || len(s.jobs) != first-100 {
		t.Errorf("after --replace wait %v", s.jobs)
	}
	for id, words := range s.jobs {
		if id <= first {
			t.Errorf("job %d goes on: %q", id, words)
		}
	}
	// A job of the first submission that was started all the same does nothing.
	if _, stderr := s.call(t, fault.Usage, "task", "--work", work, "--task", "0", "--plan", strings.Repeat("0", 64), "--request", strings.Repeat("0", 64)); !strings.Contains(stderr, "nothing is done") {
		t.Error(stderr)
	}
	// Cancelled is cancelled.
	if out, _ := s.call(t, 0, "cancel", work); !strings.Contains(out, "cancelled [") || len(s.jobs) != 0 {
		t.Errorf("%s %v", out, s.jobs)
	}
	_, stderr := s.call(t, fault.Incomplete, "status", work)
	if !strings.Contains(stderr, "cancelled by") || !strings.Contains(stderr, "rawstatus rerun --work") {
		t.Error(stderr)
	}
	if _, stderr := s.call(t, 0, "rerun", work); !strings.Contains(stderr, "again: ") || len(s.jobs) == 0 {
		t.Errorf("%s %v", stderr, s.jobs)
	}
	if requests, err := filepath.Glob(filepath.Join(work, "slurm", "*", "request.json")); err != nil || len(requests) != 2 {
		t.Errorf("%v: what is submitted again is another request: %q", err, requests)
	}
	work = filepath.Join(t.TempDir(), "other")
	submit(0)
	s.call(t, 0, "cancel", work)
	if _, stderr := submit(fault.Usage); !strings.Contains(stderr, "rawstatus rerun") {
		t.Error(stderr)
	}
}

func TestDefaultWorkDirectoriesDiffer(t *testing.T) {
	_, data := smallRun(t, 2)
	t.Chdir(t.TempDir())
	for i, more := range [][]string{nil, {"--intnhi", "4"}, {"-n", "10"}, {"--skip", "1"}, {"--profile", "dark"}, {"-F", "1"}, {"-F", "1,2"}} {
		s := newShelf()
		s.call(t, 0, slices.Concat([]string{"submit", "-o", "repo"}, data, more)...)
		dirs, err := os.ReadDir("rawstatus-work")
		if err != nil || len(dirs) != i+1 {
			t.Errorf("%v: %d directories, %v", more, len(dirs), err)
		}
	}
}

// TestWithoutSlurm wants what files tell from the commands that need no more.
func TestWithoutSlurm(t *testing.T) {
	_, data := smallRun(t, 2)
	s, work, repo := newShelf(), filepath.Join(t.TempDir(), "work"), t.TempDir()
	submit := slices.Concat([]string{"submit", "--work", work, "-o", repo}, data)
	s.away = true
	if out, _ := s.call(t, 0, append(submit, "--dry-run")...); !strings.Contains(out, "sbatch --job-name=") {
		t.Error(out)
	}
	if _, err := os.Stat(work); err == nil {
		t.Error("--dry-run has made the work directory")
	}
	s.away = false
	s.call(t, 0, submit...)
	s.away = true
	before := s.now
	if _, stderr := s.call(t, fault.Slurm, "status", work); !strings.Contains(stderr, "as far as files tell") || s.now.Sub(before) > time.Minute {
		t.Errorf("after %s: %s", s.now.Sub(before), stderr)
	}
	if out, stderr := s.call(t, 0, "rerun", "--dry-run", work); !strings.Contains(out, "sbatch --job-name=") || !strings.Contains(stderr, "again") {
		t.Error(out, stderr)
	}
	if _, stderr := s.call(t, fault.Slurm, "cancel", work); !strings.Contains(stderr, "on record") {
		t.Error(stderr)
	}
	s.call(t, 0, "task", "--work", work, "--task", "all")
	s.call(t, 0, "reduce", "--work", work, "-o", repo)
	if out, _ := s.call(t, 0, "status", work); !strings.Contains(out, "reduce") {
		t.Error(out)
	}
	// The files of this request are what counts.
	files, err := filepath.Glob(filepath.Join(repo, "*", "*", "status_data", "*.dat"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	s.call(t, fault.Slurm, "status", work)
}

// scriptedSlurm puts commands into PATH that keep the words of each sbatch in a file, one a line.
func scriptedSlurm(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"sbatch":   `case "$*" in *--test-only*) exit;; esac; n=$(($(ls "$D" | grep -c ^job) + 101)); for w; do printf '%s\n' "$w"; done > "$D/job$n"; echo $n`,
		"scontrol": `printf 'ClusterName = c\nMaxArraySize = 33\nMaxJobCount = 1000\n'`,
		"squeue":   ":", "sacct": ":", "scancel": ":",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "#!/bin/bash\nD='%s'\n%s\n", dir, text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

// startJob runs the script of a job as Slurm does with --export=NONE, and returns what it printed.
func startJob(t *testing.T, path string, index int) (text string, code int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	i := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, ".sbatch") })
	cmd := exec.Command("bash", words[i:]...)
	cmd.Env = []string{"PATH=" + filepath.Dir(path) + ":/usr/bin:/bin", "SLURM_CPUS_PER_TASK=1"}
	if cmd.Dir = option(words, "--chdir"); option(words, "--array") != "" {
		cmd.Env = append(cmd.Env, fmt.Sprint("SLURM_ARRAY_TASK_ID=", index))
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestJobsWithoutTheEnvironment starts the jobs of a submission as --export=NONE does, with the paths of the data, the
// repository and the work directory as people name them, and wants what the same commands leave by hand. The
// submission is by its files; a second deployment changes nothing, and one of other results is refused.
func TestJobsWithoutTheEnvironment(t *testing.T) {
	bin, fake := programs(t), scriptedSlurm(t)
	dir, _ := smallRun(t, 2)
	files, err := filepath.Glob(filepath.Join(dir, "*.xtc2"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	renamed := filepath.Join(dir, "copy of 50%.xtc2") // the name says nothing
	if err := os.Rename(files[0], renamed); err != nil {
		t.Fatal(err)
	}
	top := filepath.Join(t.TempDir(), "it's 5%j here")
	work, calib := filepath.Join(top, "work %A_%a"), filepath.Join(top, "calib")
	if err := os.MkdirAll(calib, 0o755); err != nil {
		t.Fatal(err)
	}
	site := filepath.Join(top, "site.toml")
	if err := os.WriteFile(site, []byte("group = \"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rawstatus := func(want fault.Code, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "rawstatus"), args...)
		cmd.Dir = top
		cmd.Env = append(os.Environ(), "RAWSTATUS_SITE="+site, "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_REPOSITORY=repo")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != int(want) {
			t.Fatalf("rawstatus %q: %v, want exit code %d\n%s", args, err, want, out)
		}
		return string(out)
	}
	words := []string{"submit", "--file", renamed, "--settle", "0s", "--work", work, "--tasks", "2", "--deploy", "-c", "calib", "--deploy-arg=--max-bad=0.9", "--deploy-arg=--max-new=0.9"}
	rawstatus(0, words...)
	if err := os.Remove(site); err != nil { // its content is what counts
		t.Fatal(err)
	}
	for _, job := range []struct{ job, index int }{{101, 0}, {101, 1}, {102, 0}, {104, 0}} {
		if out, code := startJob(t, filepath.Join(fake, fmt.Sprint("job", job.job)), job.index); code != 0 {
			t.Fatalf("job %d: exit code %d\n%s", job.job, code, out)
		}
	}
	ledger := func() int {
		found, err := filepath.Glob(filepath.Join(calib, "*", "*", "status_extra", "*.data"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if err := os.WriteFile(site, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out := rawstatus(0, "status", work)
	if ledger() != 1 || !strings.Contains(out, "mergedeploy  done") {
		t.Errorf("%d constants\n%s", ledger(), out)
	}
	if out, code := startJob(t, filepath.Join(fake, "job104"), 0); code != 0 || ledger() != 1 || !strings.Contains(out, "deployed before") {
		t.Errorf("a second start of the deployment: exit code %d, %d constants\n%s", code, ledger(), out)
	}
	quiet := filepath.Join(top, "quiet")
	rawstatus(0, "run", "--file", renamed, "--settle", "0s", "-o", quiet, "--work", filepath.Join(top, "w"))
	want, got := published(t, quiet), published(t, filepath.Join(top, "repo"))
	same := 0
	for name := range want {
		if strings.HasSuffix(name, ".dat") {
			if same++; !bytes.Equal(want[name], got[name]) {
				t.Errorf("%s differs from what one command leaves", name)
			}
		}
	}
	if same == 0 {
		t.Error("nothing to compare")
	}
	// Somebody else's results are in the repository when the deployment of a second request starts.
	words = append(words, "--deploy-arg=--max-age=99999")
	rawstatus(0, words...)
	rawstatus(0, "run", "--file", renamed, "--settle", "0s", "--intnhi", "3", "--work", filepath.Join(top, "other"), "--replace")
	if out, code := startJob(t, filepath.Join(fake, "job108"), 0); code != int(fault.Refused) || ledger() != 1 || !strings.Contains(out, "nothing is deployed") {
		t.Errorf("results of another plan: exit code %d, %d constants\n%s", code, ledger(), out)
	}
}

// TestPruneKeepsWhatIsNotDoneOrNotOurs keeps what is not done, at work, waiting, young or not ours.
func TestPruneKeepsWhatIsNotDoneOrNotOurs(t *testing.T) {
	_, data := smallRun(t, 2)
	s, root, repo := newShelf(), t.TempDir(), t.TempDir()
	words := func(command, name string, more ...string) []string {
		return slices.Concat([]string{command, "--work", filepath.Join(root, name)}, data, more)
	}
	s.call(t, 0, words("run", "by hand", "-o", repo)...)
	s.call(t, 0, words("run", "with notes", "-o", repo)...)
	s.call(t, 0, words("plan", "planned")...)
	s.call(t, 0, words("submit", "at work", "-o", repo)...)
	s.call(t, 0, "task", "--work", filepath.Join(root, "at work"), "--task", "all")
	s.call(t, 0, "reduce", "--work", filepath.Join(root, "at work"), "-o", repo)
	for _, path := range []string{"with notes/notes.txt", "other/file"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "by hand"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	before := left()
	if out, _ := s.call(t, 0, "prune", t.TempDir()); !strings.Contains(out, "holds no work directory") {
		t.Errorf("an empty directory: %s", out)
	}
	if out, _ := s.call(t, 0, "prune", root, "--days", "0"); !strings.Contains(out, "nothing was removed") || !slices.Equal(left(), before) {
		t.Errorf("%s%v", out, left())
	}
	if out, _ := s.call(t, 0, "prune", root, "--remove"); !slices.Equal(left(), before) || !strings.Contains(out, "done 0.0 days ago") {
		t.Errorf("%s%v", out, left())
	}
	out, _ := s.call(t, 0, "prune", root, "--remove", "--days", "0")
	if got := left(); !slices.Equal(got, []string{"at work", "link", "other", "planned", "with notes"}) {
		t.Errorf("%s%v", out, got)
	}
	if _, err := os.Stat(filepath.Join(root, "with notes", "notes.txt")); err != nil {
		t.Error(err)
	}
	s.jobs = map[int][]string{}
	s.call(t, 0, "prune", root, "--remove", "--days", "0")
	if got := left(); slices.Contains(got, "at work") {
		t.Errorf("%v", got)
	}
}

// TestHooksHearOnceHowJobsEnd hears how jobs of submit and run end, once, and lets no hook change that.
func TestHooksHearOnceHowJobsEnd(t *testing.T) {
	_, data := smallRun(t, 2)
	dir := t.TempDir()
	out, hook, site := filepath.Join(dir, "out"), filepath.Join(dir, "hook"), filepath.Join(dir, "site.toml")
	for path, text := range map[string]string{hook: "#!/bin/sh\necho \"$1\" >> '" + out + "'\ncat >> '" + out + ".json'\nexit 3\n", site: fmt.Sprintf("group = \"\"\n[notify]\ncommand = [%q]\n", hook)} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	heard := func() string {
		b, err := os.ReadFile(out)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\n", " ")
	}
	s, work := newShelf(), filepath.Join(dir, "work")
	s.call(t, 0, slices.Concat([]string{"submit", "--site", site, "--work", work, "-o", dir}, data)...)
	last := s.jobs[s.last]
	i := slices.IndexFunc(last, func(w string) bool { return strings.HasSuffix(w, ".sbatch") })
	notify := slices.Concat([]string{"post", "--site", site, "--job", "--work"}, last[i+1:])
	if s.call(t, 0, notify...); heard() != "" {
		t.Errorf("jobs are at work, and the hook hears %s", heard())
	}
	s.jobs = map[int][]string{}
	if _, stderr := s.call(t, 0, notify...); heard() != "failed " || !strings.Contains(stderr, "exit status 3") {
		t.Errorf("%s%s", heard(), stderr)
	}
	s.call(t, 0, "task", "--work", work, "--task", "all")
	s.call(t, 0, "reduce", "--work", work, "-o", dir)
	if s.call(t, 0, notify...); heard() != "failed done " {
		t.Error(heard())
	}
	s.call(t, 0, slices.Concat([]string{"run", "--site", site, "--work", filepath.Join(dir, "other"), "-o", dir}, data)...)
	if heard() != "failed done done " {
		t.Error(heard())
	}
}

// wantHistory wants the deployments of these runs in the ledger, each from its run on.
func wantHistory(t *testing.T, bin, calib string, runs []int) {
	t.Helper()
	ledger, err := exec.Command(filepath.Join(bin, "mergedeploy"), "history", "-c", calib, "-d", nightDetector, "--json").Output()
	var records []struct {
		Run      int
		Validity string
	}
	if err == nil {
		err = json.Unmarshal(ledger, &records)
	}
	if err != nil || len(records) != len(runs) {
		t.Fatalf("%v, %d records\n%s", err, len(records), ledger)
	}
	if records[0].Run != runs[0] {
		slices.Reverse(runs)
	}
	for i, r := range records {
		if r.Run != runs[i] || r.Validity != fmt.Sprintf("%d-end", r.Run) {
			t.Errorf("deployment %d: %+v", i, r)
		}
	}
}

// TestCampaignDeploys takes a campaign of four runs through its jobs, as --export=NONE starts them: each run is deployed
// once, from itself on, in the order of runs, though a later one is reduced first; one that the gate refuses keeps its
// reason and does not stop the others.
func TestCampaignDeploys(t *testing.T) {
	bin, fake, top := programs(t), scriptedSlurm(t), t.TempDir()
	data, calib, camp := filepath.Join(top, "data"), filepath.Join(top, "calib"), filepath.Join(top, "camp")
	for run := 1; run <= 4; run++ {
		cfg := simulate.Config{Dir: data, Experiment: nightExperiment, Run: run, Type: nightDetector, Panels: 2, Rows: 32, Cols: 32, Events: 20, Dead: 2, Hot: 2, Seed: uint64(run)}
		if run == 3 {
			cfg.Noisy, cfg.Saturated, cfg.Cold = 4, 4, 4 // more than the gate lets pass
		}
		if _, err := simulate.Write(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(calib, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(top, "c.toml")
	text := fmt.Sprintf("name = \"camp\"\ndeploy = true\n[[entry]]\nexp = %q\nruns = \"1-4\"\ndir = %q\ndetectors = [%q]\noptions = [\"--settle\", \"0s\"]\n", nightExperiment, data, nightDetector)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	rawstatus := func(want fault.Code, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "rawstatus"), args...)
		cmd.Env = append(os.Environ(), "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_REPOSITORY="+filepath.Join(top, "repo"))
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != int(want) {
			t.Fatalf("rawstatus %q: %v, want exit code %d\n%s", args, err, want, out)
		}
		return string(out)
	}
	words := func(job int) []string {
		b, err := os.ReadFile(filepath.Join(fake, fmt.Sprint("job", job)))
		if err != nil {
			return nil
		}
		return strings.Split(string(b), "\n")
	}
	rawstatus(0, "campaign", "--no-wait", "--work", camp, "-c", calib, "--deploy-arg=--max-bad=0.01", "--deploy-arg=--max-new=0.9", file)
	next := 101
	work := func() {
		t.Helper()
		for job := next; words(job) != nil; job++ {
			next = job + 1
			if job > 140 {
				t.Fatal("the campaign never ends")
			}
			indices := []int{0}
			if spec := option(words(job), "--array"); spec != "" {
				var err error
				if indices, err = parseNumbers(spec, 0); err != nil {
					t.Fatal(err)
				}
				slices.Reverse(indices)
			}
			for _, i := range indices {
				if out, code := startJob(t, filepath.Join(fake, fmt.Sprint("job", job)), i); code != 0 && code != int(fault.Refused) {
					t.Fatalf("job %d_%d: exit code %d\n%s", job, i, code, out)
				}
			}
		}
	}
	work()
	out := rawstatus(fault.Incomplete, "status", camp)
	if strings.Count(out, " done ") != 3 || !strings.Contains(out, "most-bad") {
		t.Errorf("%s", out)
	}
	check := func(runs ...int) {
		t.Helper()
		wantHistory(t, bin, calib, runs)
	}
	check(1, 2, 4)
	// With another gate the refused run is deployed, too, and takes nothing over from the younger one.
	rawstatus(0, "campaign", "--no-wait", "--retry", "--work", camp, "-c", calib, "--deploy-arg=--max-bad=0.9", "--deploy-arg=--max-new=0.9", file)
	work()
	rawstatus(0, "status", camp)
	check(1, 2, 4, 3)
	shown, err := exec.Command(filepath.Join(bin, "mergedeploy"), "show", "-c", calib, "-d", nightDetector, "-r", "4", "--json").Output()
	if err != nil || !strings.Contains(string(shown), "4-end") {
		t.Errorf("%v\n%s", err, shown)
	}
}

// TestCancelledCampaign wants no step of a job or of an earlier coordinator to submit after a cancellation, and a
// person's command to go on.
func TestCancelledCampaign(t *testing.T) {
	dir, _ := smallRun(t, 2)
	s, camp, repo, file := newShelf(), filepath.Join(t.TempDir(), "camp"), t.TempDir(), filepath.Join(t.TempDir(), "c.toml")
	text := fmt.Sprintf("name = \"camp\"\n[[entry]]\nexp = %q\nruns = \"3\"\ndir = %q\ndetectors = [%q]\noptions = [\"--settle\", \"0s\"]\n", nightExperiment, dir, nightDetector)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s.call(t, 0, "campaign", "--no-wait", "--work", camp, "-o", repo, file)
	first := s.last
	if out, _ := s.call(t, 0, "cancel", camp); !strings.Contains(out, "cancelled [") || len(s.jobs) != 0 {
		t.Errorf("%s%v", out, s.jobs)
	}
	s.call(t, 0, "rerun", "--repair", camp)
	if s.last != first {
		t.Errorf("a step has submitted job %d", s.last)
	}
	if _, stderr := s.call(t, fault.Usage, "campaign", "--work", camp, "--attempt", "1", "--element", "0"); !strings.Contains(stderr, "cancelled by") {
		t.Error(stderr)
	}
	if _, stderr := s.call(t, fault.Incomplete, "status", camp); !strings.Contains(stderr, "cancelled by") || !strings.Contains(stderr, "rawstatus campaign --retry --work") {
		t.Error(stderr)
	}
	s.call(t, 0, "campaign", "--no-wait", "--work", camp)
	if s.last == first || len(s.jobs) != 2 {
		t.Errorf("a person's command submits nothing: %v", s.jobs)
	}
	s.call(t, 0, "status", camp)
}

// TestRepairPlansAgain wants the repair job of a plan that cannot be done to submit the same request with a plan from all
// headers, and the results of that.
func TestRepairPlansAgain(t *testing.T) {
	y, s := newSly(t, 3), newShelf()
	work, repo := filepath.Join(t.TempDir(), "work"), t.TempDir()
	s.call(t, 0, slices.Concat([]string{"submit", "--work", work, "-o", repo, "--max-lost", "2"}, y.data)...)
	repair := s.jobs[s.last]
	i := slices.IndexFunc(repair, func(w string) bool { return strings.HasSuffix(w, "rawstatus-repair.sbatch") })
	if i < 0 {
		t.Fatalf("the last job is %q", repair)
	}
	s.call(t, fault.Input, "task", "--work", work, "--task", "all")
	s.jobs = map[int][]string{}
	words := slices.Concat([]string{"rerun", "--repair", "--work"}, repair[i+1:])
	if _, stderr := s.call(t, 0, words...); !strings.Contains(stderr, "made again") || len(s.jobs) == 0 {
		t.Errorf("%s%v", stderr, s.jobs)
	}
	if _, stderr := s.call(t, fault.Usage, words...); !strings.Contains(stderr, "nothing is done") { // the job starts once more
		t.Error(stderr)
	}
	s.jobs = map[int][]string{}
	s.call(t, 0, "task", "--work", work, "--task", "all")
	s.call(t, 0, "reduce", "--work", work, "-o", repo)
	s.call(t, 0, "status", work)
	quiet := t.TempDir()
	s.call(t, 0, slices.Concat([]string{"run", "--all-headers", "--work", filepath.Join(t.TempDir(), "quiet"), "-o", quiet, "--max-lost", "2"}, y.data)...)
	want, got := published(t, quiet), published(t, repo)
	for name := range want {
		if strings.HasSuffix(name, ".dat") && !bytes.Equal(want[name], got[name]) {
			t.Errorf("%s differs from what --all-headers makes", name)
		}
	}
}
