package slurm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
)

// standIn puts commands of Slurm's names into PATH that answer with files: sbatch counts ids from 101 and refuses scripts
// whose name contains the word in the file refuse; all write down how they were called. They show what is decided from
// what Slurm says, also on machines where no Slurm can say it (no memory limits without cgroups, for one).
type standIn struct{ dir string }

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{t.TempDir()}
	s.answer(t, "refuse", "nothing is refused")
	s.answer(t, "scontrol", "ClusterName = test\nMaxArraySize = 33\nMaxJobCount = 100\n")
	s.answer(t, "sacct", "")
	s.answer(t, "squeue", "")
	const answer = "#!/bin/sh\ncd %[1]s; echo \"%[2]s $*\" >> calls; %[3]s\n"
	for name, does := range map[string]string{
		"sbatch":   `case "$*" in *"$(cat refuse)"*) echo "sbatch: error: Invalid account or account/partition combination specified" >&2; exit 1;; esac; echo $((100 + $(grep -c ^sbatch calls)))`,
		"scontrol": "cat scontrol", "sacct": "cat sacct", "squeue": "cat squeue", "scancel": ":",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name+".sh"), fmt.Appendf(nil, answer, s.dir, name, does), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(s.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sbatch", "scontrol", "sacct", "squeue", "scancel"} {
		if err := os.Symlink(filepath.Join(s.dir, name+".sh"), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return s
}

func (s *standIn) answer(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// calls returns the calls of a command so far.
func (s *standIn) calls(t *testing.T, command string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), command+" "); ok {
			out = append(out, rest)
		}
	}
	return out
}

// testQueue is the queue of a plan of four tasks that nobody did.
func testQueue(t *testing.T) *Queue {
	t.Helper()
	q := &Queue{Client: NewClient(t.Context()), Dir: t.TempDir(), Items: make([]Item, 1), Plan: &plan.Plan{ID: strings.Repeat("0123456789abcdef", 4), Tasks: make([]plan.Task, 4)},
		Request: Request{MaxAttempts: 3, Program: "/opt/rawstatus", Task: Resources{MemMB: 100, Time: time.Hour}}}
	return q
}

func (q *Queue) submitAll(t *testing.T) *Attempt {
	t.Helper()
	lim, err := q.Client.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := q.Draft(1, lim)
	if err := q.Submit(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// report returns the state of the one run.
func (q *Queue) report(t *testing.T) *Report {
	t.Helper()
	return q.view(t).Items[0]
}

func (q *Queue) view(t *testing.T) *View {
	t.Helper()
	v, err := q.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestJobsOfOneRun(t *testing.T) {
	s := newStandIn(t)
	c := testQueue(t)
	c.Request.Deploy = []string{"--deploy"}
	a := c.submitAll(t)
	want := []string{"--array=0-3 ", "--dependency=afterok:101 --kill-on-invalid-dep=yes ", "--dependency=afternotok:102 --kill-on-invalid-dep=yes ", "--dependency=afterok:102 --kill-on-invalid-dep=yes "}
	got := s.calls(t, "sbatch")
	if len(got) != len(want) {
		t.Fatalf("%d calls of sbatch: %q", len(got), got)
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("call %d lacks %q: %s", i, w, got[i])
		}
	}
	if err := c.Submit(t.Context(), &Attempt{Number: a.Number}); fault.CodeOf(err) != fault.Busy {
		t.Errorf("a second submitter of the attempt: %v", err)
	}
	script, err := os.ReadFile(filepath.Join(RequestDir(c.Dir, a.Request), "rawstatus-array.sbatch"))
	if err != nil || !strings.Contains(string(script), "\nbin=/opt/rawstatus\n") {
		t.Errorf("%v\n%s", err, script)
	}
}

func TestRefusedJobsAreTakenBack(t *testing.T) {
	s := newStandIn(t)
	c := testQueue(t)
	s.answer(t, "refuse", "rawstatus-reduce.sbatch")
	lim, err := c.Client.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = c.Submit(t.Context(), c.Draft(1, lim))
	if fault.CodeOf(err) != fault.Slurm || !strings.Contains(fault.HintOf(err), "--account") {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
	if got := s.calls(t, "scancel"); len(got) != 1 || got[0] != "101" {
		t.Errorf("the array was not cancelled: %q", got)
	}
	all, err := LoadAttempts(c.Dir)
	if err != nil || len(all) != 1 || all[0].Error == "" {
		t.Errorf("%v %+v", err, all)
	}
}

// TestOutOfMemoryStandIn tests with a stand-in sacct what is done about OUT_OF_MEMORY; a real one is in the tests on the
// cluster, where memory cgroups can be written.
func TestOutOfMemoryStandIn(t *testing.T) {
	s := newStandIn(t)
	c := testQueue(t)
	c.submitAll(t)
	lim, err := c.Client.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.answer(t, "sacct", `101_0|101|OUT_OF_MEMORY|0:125||n1|60|60|100M|None
101_1|105|COMPLETED|0:0||n1|60|60|100M|None
101_2|106|TIMEOUT|0:0||n2|3600|60|100M|None
101_3|107|NODE_FAIL|0:0||n3|60|60|100M|None
102|102|CANCELLED|0:0||None assigned|0|60|100M|None
103|103|RUNNING|0:0||n1|1|60|100M|None
`)
	v := c.view(t)
	r := v.Items[0]
	a, err := c.Repair(v, lim, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a.Try != 2 || a.Task.MemMB != 200 || a.Task.Time != 2*time.Hour || strings.Join(a.Task.Exclude, " ") != "n3" || len(a.Reasons) != 4 {
		t.Errorf("%+v", a)
	}
	if r.Counts[StateFailed] != 4 || r.Done {
		t.Errorf("%+v", r)
	}
	t.Setenv("SLURM_JOB_ID", "103") // the repair job does not cancel itself
	if err := c.Replace(t.Context(), v, a); err != nil {
		t.Fatal(err)
	}
	for _, call := range s.calls(t, "scancel") {
		t.Errorf("cancelled %s", call)
	}
}

func TestRepairIsBoundedAndLeavesDecisionsToPeople(t *testing.T) {
	s := newStandIn(t)
	const rest = "101_1|105|COMPLETED|0:0||n1|60|60|100M|None\n101_2|106|FAILED|75:0||n1|60|60|100M|None\n101_3|107|FAILED|75:0||n1|60|60|100M|None\n"
	for name, tt := range map[string]struct {
		task0, want string
		try         int
	}{
		"temporary":  {"FAILED|75:0", "", 2},
		"user error": {"FAILED|10:0", "person", 0},
		"cancelled":  {"CANCELLED by 0|0:15", "person", 0},
		"too often":  {"FAILED|75:0", "still missing after", 0},
	} {
		c := testQueue(t)
		if name == "too often" {
			c.Request.MaxAttempts = 1
		}
		a := c.submitAll(t)
		a.Jobs[0].Job = 101
		if err := WriteRecord(attemptPath(c.Dir, 1), a, false); err != nil {
			t.Fatal(err)
		}
		s.answer(t, "sacct", "101_0|101|"+tt.task0+"||n1|60|60|100M|None\n"+rest)
		next, err := c.Repair(c.view(t), Limits{MaxArraySize: 33, MaxArrayTask: 33}, 1)
		switch {
		case tt.try > 0 && (err != nil || next == nil || next.Try != tt.try):
			t.Errorf("%s: %+v, %v", name, next, err)
		case tt.try == 0 && (fault.CodeOf(err) != fault.Incomplete || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A person may have cancelled a job that the controller has forgotten: only accounts would say so. Where there are none, nobody will.
func TestNothingIsSubmittedAgainWhileAccountsAreAway(t *testing.T) {
	s := newStandIn(t)
	c := testQueue(t)
	c.Client.Patience = 0
	c.submitAll(t)
	for says, want := range map[string]fault.Code{
		"sacct: error: Problem talking to the database: Connection refused": fault.Temporary,
		"Slurm accounting storage is disabled":                              fault.OK,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, "sacct.sh"), []byte("#!/bin/sh\necho '"+says+"' >&2; exit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := c.Repair(c.view(t), Limits{MaxArraySize: 33, MaxArrayTask: 33}, 1)
		if fault.CodeOf(err) != want || (next != nil) != (want == fault.OK) {
			t.Errorf("%s: %+v, %v", says, next, err)
		}
	}
}

// Without accounts, an element that was cancelled alone in the queue is known by its absence, as long as the controller forgets
// nobody. This host's clock, which differs by months here, decides nothing.
func TestElementThatTheControllerCannotHaveForgottenWasCancelled(t *testing.T) {
	const (
		submitted = "|0|2026-01-01T12:00:00|"
		failed    = "|FAILED|19200|0:01|n1|1:00:00|100M" + submitted + "None\n"
		others    = "101|0|104" + failed + "101|1|105" + failed + "101|2|106" + failed
		reduce    = "102|N/A|102|CANCELLED|0|0:00||1:00:00|100M" + submitted + "DependencyNeverSatisfied\n"
	)
	for name, tt := range map[string]struct {
		squeue, now string
		person      bool
	}{
		"one element":                 {others + reduce, "12:01:00", true},
		"one element, later":          {others + reduce, "12:06:00", false},
		"the whole array":             {reduce, "12:01:00", true},
		"the whole array, later":      {reduce, "12:06:00", false},
		"the controller knows nobody": {"", "12:01:00", false},
	} {
		s := newStandIn(t)
		c := testQueue(t)
		c.submitAll(t)
		s.answer(t, "squeue", tt.squeue)
		s.answer(t, "scontrol", "Configuration data as of 2026-01-01T"+tt.now+"\nMaxArraySize = 33\nMaxJobCount = 100\nMinJobAge = 300 sec\n")
		next, err := c.Repair(c.view(t), Limits{MaxArraySize: 33, MaxArrayTask: 33}, 1)
		if tt.person != (fault.CodeOf(err) == fault.Incomplete) || tt.person != (next == nil) {
			t.Errorf("%s: %+v, %v", name, next, err)
		}
	}
}

// The jobs behind an array that is still at work do not start when a person cancels it; an array with failures only has to end.
func TestWhatFollowsAnArrayAtWorkNeedsItUnlessElementsFailed(t *testing.T) {
	const tail = "||n1|60|60|100M|None\n"
	for state, sound := range map[string]bool{"COMPLETED|0:0": true, "FAILED|75:0": false} {
		s := newStandIn(t)
		c := testQueue(t)
		c.submitAll(t)
		s.answer(t, "sacct", "101_0|101|COMPLETED|0:0"+tail+"101_1|105|"+state+tail+"101_2|106|RUNNING|0:0"+tail+"101_3|107|COMPLETED|0:0"+tail)
		s.answer(t, "squeue", "101|2|106|RUNNING|0|0:01|n1|1:00:00|100M|0|2026-01-01T12:00:00|None\n")
		v := c.view(t)
		a, err := c.Repair(v, Limits{MaxArraySize: 33, MaxArrayTask: 33}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{101}; slices.Equal(a.AfterOK, want) != sound || slices.Equal(a.After, want) == sound {
			t.Errorf("%s: after %v, after success of %v", state, a.After, a.AfterOK)
		}
		if err := c.Replace(t.Context(), v, a); err != nil {
			t.Fatal(err)
		}
		reduces := slices.DeleteFunc(s.calls(t, "sbatch"), func(call string) bool { return !strings.Contains(call, "-2-reduce") })
		want := map[bool]string{true: "--dependency=afterok:101:104 ", false: ",afterany:101 "}[sound]
		if len(reduces) != 1 || !strings.Contains(reduces[0], want) {
			t.Errorf("%s: %q", state, reduces)
		}
	}
}

func TestLaterStageWaitsForTheEarlier(t *testing.T) {
	s := newStandIn(t)
	c := testQueue(t)
	for n := range c.Plan.Tasks {
		c.Plan.Tasks[n].Stage = plan.StagePixels
	}
	c.Plan.Tasks[0].Stage, c.Plan.Tasks[1].Stage = plan.StageFrames, plan.StageFrames
	c.submitAll(t)
	got := s.calls(t, "sbatch")
	if len(got) < 3 || !strings.Contains(got[0], "--array=0-1 ") || strings.Contains(got[0], "afterok") ||
		!strings.Contains(got[1], "--array=2-3 ") || !strings.Contains(got[1], "--dependency=afterok:101 ") ||
		!strings.Contains(got[2], "--dependency=afterok:101:102 ") {
		t.Errorf("calls of sbatch: %q", got)
	}
}
