package slurm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// scripted is a System whose commands are a function and whose time stands still but for sleeps.
type scripted struct {
	now    time.Time
	slept  time.Duration
	env    map[string]string
	calls  []string
	answer func(name, args string) (stdout, stderr string, err error)
}

var errExit = errors.New("exit status 1")

func (s *scripted) Command(_ context.Context, name string, args ...string) (string, string, error) {
	line := strings.Join(args, " ")
	s.calls = append(s.calls, name+" "+line)
	return s.answer(name, line)
}

func (s *scripted) Getenv(key string) string { return s.env[key] }
func (s *scripted) Now() time.Time           { return s.now }
func (s *scripted) Sleep(ctx context.Context, d time.Duration) error {
	s.now, s.slept = s.now.Add(d), s.slept+d
	return ctx.Err()
}

func (s *scripted) called(prefix string) (n int) {
	for _, c := range s.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

const away = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"

func TestControllerAwayForAMinuteEndsNothing(t *testing.T) {
	s := &scripted{}
	s.answer = func(name, args string) (string, string, error) {
		if s.slept < time.Minute {
			return "", away, errExit
		}
		return "ClusterName = c\nMaxArraySize = 33\nMaxJobCount = 9\n", "", nil
	}
	if _, err := NewClient(WithSystem(t.Context(), s)).Limits(t.Context()); err != nil || s.slept < time.Minute {
		t.Errorf("after %s: %v", s.slept, err)
	}
	// For ever is too long, and an error of the user's is not worth a second call.
	s.answer = func(name, args string) (string, string, error) { return "", away, errExit }
	s.slept = 0
	if _, err := NewClient(WithSystem(t.Context(), s)).Limits(t.Context()); fault.CodeOf(err) != fault.Slurm || s.slept > patience || s.slept < patience/2 {
		t.Errorf("after %s: %v", s.slept, err)
	}
	s.answer = func(name, args string) (string, string, error) { return "", "sbatch: error: Invalid account", errExit }
	s.calls = nil
	if _, err := NewClient(WithSystem(t.Context(), s)).Submit(t.Context(), Job{Name: "x"}); fault.CodeOf(err) != fault.Slurm || len(s.calls) != 1 {
		t.Errorf("%d calls: %v", len(s.calls), err)
	}
}

// TestLostAnswerOfSbatch lets the controller go away after it has taken a job: the job is found and not submitted twice.
func TestLostAnswerOfSbatch(t *testing.T) {
	s := &scripted{}
	s.answer = func(name, args string) (string, string, error) {
		switch {
		case name == "sbatch":
			return "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", errExit
		case s.slept < 20*time.Second:
			return "", away, errExit
		case strings.Contains(args, "--name=rs-1 "):
			return "77|RUNNING\n77|PENDING\n90|CANCELLED\n", "", nil
		}
		return "", "", nil
	}
	id, err := NewClient(WithSystem(t.Context(), s)).Submit(t.Context(), Job{Name: "rs-1"})
	if id != 77 || err != nil || s.called("sbatch") != 1 {
		t.Errorf("job %d, %v, %d calls of sbatch", id, err, s.called("sbatch"))
	}
}

func TestRequeueTakesTheElementAlone(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"SLURM_JOB_ID": "100", "SLURM_ARRAY_JOB_ID": "100", "SLURM_ARRAY_TASK_ID": "7"}, "scontrol requeue 100_7"},
		{map[string]string{"SLURM_JOB_ID": "101"}, "scontrol requeue 101"},
		{map[string]string{"SLURM_JOB_ID": "101", "SLURM_RESTART_COUNT": "3"}, ""},
		{map[string]string{}, ""},
	} {
		s := &scripted{env: tt.env, answer: func(name, args string) (string, string, error) { return "", "", nil }}
		if tt.env["SLURM_JOB_ID"] != "" {
			tt.env[RequeueVariable] = "3"
		}
		again, err := requeueSelf(WithSystem(t.Context(), s))
		if err != nil || again != (tt.want != "") || again && !slices.Equal(s.calls, []string{tt.want}) {
			t.Errorf("%v: %v, %v, %q", tt.env, again, err, s.calls)
		}
	}
}

// answers makes a system that answers sacct and squeue with these lines and takes every job.
func answers(sacct, squeue string) *scripted {
	id := 100
	return &scripted{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), answer: func(name, args string) (string, string, error) {
		switch name {
		case "sbatch":
			id++
			return joinInts([]int{id}, ""), "", nil
		case "sacct":
			return sacct, "", nil
		case "squeue":
			if strings.Contains(args, "--Format") {
				return squeue, "", nil
			}
		case "scontrol":
			return "ClusterName = c\nMaxArraySize = 33\nMaxJobCount = 1000\n", "", nil
		}
		return "", "", nil
	}}
}

func queueOn(t *testing.T, s *scripted) *Queue {
	t.Helper()
	c := testQueue(t)
	c.Client = NewClient(WithSystem(t.Context(), s))
	return c
}

const fourDone = "101_0|101|COMPLETED|0:0||n1|60|60|100M|None\n101_1|102|COMPLETED|0:0||n1|60|60|100M|None\n101_2|103|COMPLETED|0:0||n1|60|60|100M|None\n"

// TestCancelledByAPersonStaysCancelled wants no repair of what a person ended with scancel, whatever it is.
func TestCancelledByAPersonStaysCancelled(t *testing.T) {
	for name, sacct := range map[string]string{
		"pending array":   "101_[0-3]|101|CANCELLED by 1000|0:0||None assigned|0|60|100M|None\n102|105|CANCELLED|0:0||None assigned|0|60|100M|None\n",
		"cut short":       "101_[0-1,...]|101|CANCELLED by 1000|0:0||None assigned|0|60|100M|None\n102|105|CANCELLED|0:0||None assigned|0|60|100M|None\n",
		"reduce":          fourDone + "101_3|104|COMPLETED|0:0||n1|60|60|100M|None\n102|105|CANCELLED by 1000|0:0||None assigned|0|60|100M|None\n",
		"running element": fourDone + "101_3|104|CANCELLED by 1000|0:15||n1|60|60|100M|None\n102|105|CANCELLED|0:0||None assigned|0|60|100M|None\n",
	} {
		s := answers(sacct, "")
		c := queueOn(t, s)
		c.submitAll(t)
		a, err := c.Repair(c.view(t), CommonLimits, 1)
		if fault.CodeOf(err) != fault.Incomplete || !strings.Contains(err.Error(), "cancelled") {
			t.Errorf("%s: attempt %+v, %v", name, a, err)
		}
	}
	// A job that Slurm removed because a job before it failed was cancelled by nobody.
	s := answers("101_[0-3]|101|CANCELLED|0:0||None assigned|0|60|100M|None\n102|105|CANCELLED|0:0||None assigned|0|60|100M|None\n", "")
	c := queueOn(t, s)
	c.submitAll(t)
	if a, err := c.Repair(c.view(t), CommonLimits, 1); err != nil || a == nil || len(a.Reasons) != 4 {
		t.Errorf("attempt %+v, %v", a, err)
	}
	// The repair job of an attempt that somebody else has followed up does nothing.
	if a, err := c.Repair(c.view(t), CommonLimits, 7); err != nil || a != nil {
		t.Errorf("attempt %+v, %v", a, err)
	}
}

func TestHeldJobsWaitForAPerson(t *testing.T) {
	for _, state := range []string{"REQUEUE_HOLD|0|0:00||10:00|700M|1|2026-01-02T03:04:05|job_requeued_in_held_state", "SPECIAL_EXIT|0|0:00||10:00|700M|1|2026-01-02T03:04:05|None", "PENDING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|JobHeldUser",
		"PENDING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|launch failed requeued held", "RESV_DEL_HOLD|0|0:00||10:00|700M|0|2026-01-02T03:04:05|None"} {
		squeue := "101|3|104|" + state + "|\n102|N/A|105|PENDING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|Dependency|\n103|N/A|106|PENDING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|Dependency|\n"
		s := answers(fourDone, squeue)
		c := queueOn(t, s)
		c.submitAll(t)
		r := c.report(t)
		if r.Active {
			t.Errorf("%s would be followed for ever", state)
		}
		reason := strings.Split(state, "|")[8]
		if err := r.Outcome(); r.Tasks[3].State != StateHeld || reason != "None" && !strings.Contains(err.Error(), reason) || fault.HintOf(err) != "remove the cause, then: scontrol release 101_3" {
			t.Errorf("%s: %s, %v, %q", state, r.Tasks[3].State, err, fault.HintOf(err))
		}
	}
}

// TestPieceRefusesOtherWork takes a job through what can happen to its work directory before it starts.
func TestPieceRefusesOtherWork(t *testing.T) {
	c := queueOn(t, answers("", "101|0|101|RUNNING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|None|\n"))
	a := c.submitAll(t)
	j := Piece{Work: c.Dir, Plan: c.Plan.ID, Request: a.Request}
	admit := func() error {
		attempts, err := LoadAttempts(c.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return j.admit(c.Plan, attempts)
	}
	if err := admit(); err != nil {
		t.Errorf("its own: %v", err)
	}
	other := j
	other.Plan = strings.Repeat("f", 64)
	if err := other.admit(c.Plan, nil); fault.CodeOf(err) != fault.Usage {
		t.Errorf("another plan: %v", err)
	}
	ended := answers("", "")
	c.Client = NewClient(WithSystem(t.Context(), ended))
	live := true
	ended.answer = func(name, args string) (string, string, error) {
		if name == "scancel" {
			live = false
		}
		if name == "squeue" && live {
			return "101|0|101|RUNNING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|None|\n", "", nil
		}
		return "", "", nil
	}
	if ids, err := c.Cancel(t.Context()); err != nil || !slices.Equal(ids, []int{101}) {
		t.Fatal(ids, err)
	}
	if err := admit(); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "cancelled by") {
		t.Errorf("cancelled: %v", err)
	}
	c.Request.Results.Repository = "/elsewhere"
	c.Client = NewClient(WithSystem(t.Context(), answers("", "")))
	if err := c.Submit(t.Context(), c.Draft(2, CommonLimits)); err != nil {
		t.Fatal(err)
	}
	if err := admit(); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "request") {
		t.Errorf("another request: %v", err)
	}
}

// TestCancelWaits lets jobs take their time to end.
func TestCancelWaits(t *testing.T) {
	s := answers("", "")
	c := queueOn(t, s)
	c.submitAll(t)
	plain, cancelled := s.answer, false
	s.answer = func(name, args string) (string, string, error) {
		cancelled = cancelled || name == "scancel"
		if name == "squeue" && strings.Contains(args, "--Format") && (!cancelled || s.slept < time.Minute) {
			return "101|0|101|COMPLETING|0|0:00||10:00|700M|0|2026-01-02T03:04:05|None|\n", "", nil
		}
		return plain(name, args)
	}
	ids, err := c.Cancel(t.Context())
	if err != nil || !slices.Equal(ids, []int{101}) || s.slept < time.Minute {
		t.Errorf("%v after %s: %v", ids, s.slept, err)
	}
	// A second call has nothing to do, and what was cancelled stays so.
	if ids, err = c.Cancel(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("%v %v", ids, err)
	}
}

// TestSubmitCutOff kills the submission after each call of sbatch: what the jobs lack is said with a command, and the
// command completes the chain without a second job of any part.
func TestSubmitCutOff(t *testing.T) {
	for calls := 1; calls <= 4; calls++ {
		s := answers("", "")
		c := queueOn(t, s)
		c.Request.Deploy = []string{"deploy"}
		ctx, cut := context.WithCancel(t.Context())
		plain := s.answer
		submitted := map[string]string{}
		s.answer = func(name, args string) (string, string, error) {
			if name == "squeue" && strings.Contains(args, "--name=") {
				_, job, _ := strings.Cut(args, "--name=")
				job, _, _ = strings.Cut(job, " ")
				return strings.ReplaceAll(submitted[job], "\n", "|PENDING\n"), "", nil
			}
			out, stderr, err := plain(name, args)
			if name == "sbatch" {
				_, job, _ := strings.Cut(args, "--job-name=")
				job, _, _ = strings.Cut(job, " ")
				if submitted[job] != "" {
					t.Errorf("%s is submitted twice", job)
				}
				submitted[job] = out + "\n"
				if len(submitted) == calls {
					cut()
				}
			}
			return out, stderr, err
		}
		err := c.Submit(ctx, c.Draft(1, CommonLimits))
		if err == nil {
			t.Fatalf("cut off after %d calls, and no error", calls)
		}
		r := c.report(t)
		if !r.Unfinished || r.Done || r.Active || !strings.Contains(fault.HintOf(r.Outcome()), "rawstatus rerun --work") {
			t.Errorf("cut off after %d calls: %+v, %v", calls, r, r.Outcome())
		}
		if err := c.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		attempts, err := LoadAttempts(c.Dir)
		if err != nil || len(attempts) != 1 || len(attempts[0].IDs()) != 4 || !attempts[0].Complete {
			t.Errorf("cut off after %d calls: %v %+v", calls, err, attempts)
		}
	}
}

// TestDeploymentIsDoneWhenItsWordSaysSo believes neither Slurm nor the absence of a job.
func TestDeploymentIsDoneWhenItsWordSaysSo(t *testing.T) {
	c := queueOn(t, answers("104|104|COMPLETED|0:0||n1|60|60|100M|None\n", ""))
	c.Request.Deploy = []string{"deploy"}
	a := c.submitAll(t)
	j := Piece{Work: c.Dir, Plan: c.Plan.ID, Request: a.Request}
	state := func() *JobState { return c.report(t).Deploy }
	if s := state(); s.State != StateFailed || !strings.Contains(s.Reason, "no word") {
		t.Errorf("no word: %+v", s)
	}
	if err := j.Deployed(Deployment{Code: int(fault.Refused), Error: "deployment refused: most-bad"}); err != nil {
		t.Fatal(err)
	}
	if s := state(); s.State != StateFailed || s.Reason != "deployment refused: most-bad" || s.Exit != int(fault.Refused) {
		t.Errorf("refused: %+v", s)
	}
	if err := j.Deployed(Deployment{}); err != nil {
		t.Fatal(err)
	}
	if s := state(); s.State != StateDone {
		t.Errorf("deployed: %+v", s)
	}
	// The word of another request is not that of this one.
	c.Request.Deploy = []string{"deploy", "--max-bad=0.1"}
	if err := c.Submit(t.Context(), c.chain(&Attempt{Number: 2, Try: 1}, nil, false, CommonLimits)); err != nil {
		t.Fatal(err)
	}
	if s := state(); s.State == StateDone {
		t.Errorf("another request: %+v", s)
	}
}

func TestCheckExtra(t *testing.T) {
	for _, word := range []string{"--comment=night", "--begin=now+3", "--mem-per-cpu=1G", "-Cgpu", "--constraint=gpu", "-H", "--hold", "--nice", "--exclude=n1", "-x", "-n1", "--export=NONE", "--wait-all-nodes=1", "--open-mode=append", "--error=/x"} {
		if err := CheckExtra([]string{word}); err != nil {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, word := range []string{"--dependency=afterok:1", "--dependency", "--depend=singleton", "-dafterany:1", "-d", "--array=0-3", "--arr=1", "-a1", "-Ha1", "--output=/x", "-o/x", "--out=x",
		"--parsable", "--pars", "--kill-on-invalid-dep=no", "--kill=no", "--wrap=x", "--test-only", "--wait", "-W", "-HW", "--job-name=x", "-Jx", "--chdir=/", "-D/", "--clusters=b", "-Mb", "value", "", "--", "-", ":", "script.sh"} {
		if err := CheckExtra([]string{word}); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// TestPathsOfJobs wants the log below a directory with Slurm's placeholders in its name, and one word of the script for
// every path.
func TestPathsOfJobs(t *testing.T) {
	s := answers("", "")
	c := queueOn(t, s)
	c.Dir = filepath.Join(c.Dir, "50%j 'a' \"b\" %%A")
	if err := atomicfile.MkdirAll(c.Dir, 0o755, nil); err != nil {
		t.Fatal(err)
	}
	a := c.submitAll(t)
	j := c.job(a, a.Jobs[1], make([]string, len(a.Jobs)))
	for _, word := range j.Args() {
		if out, ok := strings.CutPrefix(word, "--output="); ok && strings.ReplaceAll(strings.TrimSuffix(out, "%j.log"), "%%", "%")+"%j.log" != filepath.Join(j.LogDir, j.Log) {
			t.Errorf("--output=%s for %s", out, filepath.Join(j.LogDir, j.Log))
		}
	}
	c.Request.Site, c.Request.Unset = "group = \"\"\n", []string{"RAWSTATUS_GROUP"}
	texts, err := c.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("the job scripts are for bash: ", err)
	}
	line := c.Request.Lines(sitePath(c.Dir, c.Request.ID()))
	out, err := exec.Command(shell, "-c", strings.Join(line, "\n")+"\nprintf %s \"$RAWSTATUS_SITE\"").Output()
	if err != nil || string(out) != sitePath(c.Dir, c.Request.ID()) || !strings.Contains(string(texts["rawstatus-reduce.sbatch"]), line[1]) {
		t.Errorf("%q, %v", out, err)
	}
}

func TestLockEndsWithItsHolder(t *testing.T) {
	dir := t.TempDir()
	if Locked(t.Context(), dir) {
		t.Error("locked without a lock")
	}
	if _, err := os.Stat(filepath.Join(dir, "slurm")); err == nil {
		t.Error("a look has made a directory")
	}
	unlock, err := Lock(t.Context(), dir, 0)
	if err != nil || !Locked(t.Context(), dir) {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), dir, 0); fault.CodeOf(err) != fault.Busy {
		t.Errorf("a second holder: %v", err)
	}
	unlock()
	if Locked(t.Context(), dir) {
		t.Error("still locked")
	}
}

// TestForgottenByTheController wants no job to be waited for that only accounting believes to be at work.
func TestForgottenByTheController(t *testing.T) {
	s := answers("101_0|101|RUNNING|0:0||n1|60|60|100M|None\n101_[1-3]|101|PENDING|0:0||None assigned|0|60|100M|None\n102|102|PENDING|0:0||None assigned|0|60|100M|None\n", "")
	c := queueOn(t, s)
	c.submitAll(t)
	if r := c.report(t); r.Active || r.Tasks[0].State != StateFailed || r.Tasks[1].State != StateMissing {
		t.Errorf("%+v", r)
	}
}

// TestNodesAreNeverAllExcluded lets every node have failed once.
func TestNodesAreNeverAllExcluded(t *testing.T) {
	s := answers("", "")
	c := queueOn(t, s)
	plain := s.answer
	s.answer = func(name, args string) (string, string, error) {
		if name == "sbatch" && strings.Contains(args, "--exclude=") {
			return "", "sbatch: error: Batch job submission failed: Requested node configuration is not available", errExit
		}
		return plain(name, args)
	}
	a := c.Draft(1, CommonLimits)
	a.Task.Exclude = []string{"n1", "n2", "n3", "n4"}
	if err := c.Submit(t.Context(), a); err != nil || len(a.IDs()) != 3 {
		t.Errorf("%v %v", err, a.IDs())
	}
	var verdicts []Verdict
	for i := range 40 {
		verdicts = append(verdicts, Verdict{Exclude: []string{"n" + joinInts([]int{i}, "")}})
	}
	if r := Escalate(Resources{}, verdicts, 0, 0); len(r.Exclude) != mostExcluded || !slices.Contains(r.Exclude, "n39") {
		t.Errorf("%v", r.Exclude)
	}
}
