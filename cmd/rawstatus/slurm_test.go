package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// TestSubmitWithoutSlurm wants a machine without Slurm to be told what to use instead.
func TestSubmitWithoutSlurm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	code, _, stderr := call(t, "submit", "--exp", "tstx00417", "--run", "1", "-o", t.TempDir())
	if code != int(fault.Slurm) || !strings.Contains(stderr, "no scontrol command") || !strings.Contains(stderr, "`rawstatus run`") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

const (
	nightExperiment = "tstx00417"
	nightDetector   = "testcam" // mergedeploy knows the panels of real ones to be larger
	nightPanels     = 16
)

// night is a run, what an undisturbed job makes of it, and a cluster.
type night struct {
	cluster   *testenv.Cluster
	bin, data string
	want      map[string][]byte
}

func newNight(t *testing.T) *night {
	n := &night{cluster: testenv.Slurm(t), bin: programs(t), data: t.TempDir()}
	n.cluster.Account(t, "lcls:"+nightExperiment)
	_, err := simulate.Write(context.Background(), simulate.Config{Dir: n.data, Experiment: nightExperiment, Run: 3, Type: nightDetector, Panels: nightPanels, Rows: 128, Cols: 256,
		Events: 200, Streams: 4, Dead: 3, Hot: 3, Noisy: 3, Saturated: 3, Cold: 3})
	if err != nil {
		t.Fatal(err)
	}
	quiet := n.job(t, nil)
	quiet.call(t, 0, "run", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--work", filepath.Join(quiet.dir, "quiet"))
	n.want = published(t, quiet.repo)
	if len(n.want) < 2*nightPanels {
		t.Fatalf("the undisturbed job left only %d files", len(n.want))
	}
	return n
}

// nightJob is one submission of the run, with a repository of its own.
type nightJob struct {
	*night
	dir, work, repo string
	want            map[string][]byte // in the repository
}

// job prepares a submission whose job scripts contain the lines of prolog.
func (n *night) job(t *testing.T, prolog []string) *nightJob {
	t.Helper()
	dir := n.cluster.TempDir(t)
	j := &nightJob{night: n, dir: dir, work: filepath.Join(dir, "job"), repo: filepath.Join(dir, "repo"), want: n.want}
	var lines []string
	for _, l := range prolog {
		lines = append(lines, fmt.Sprintf("%q", l))
	}
	site := fmt.Sprintf("timezone = \"UTC\"\ngroup = \"\"\nrepository = %q\n[slurm]\nprolog = [%s]\n", j.repo, strings.Join(lines, ", "))
	if err := os.WriteFile(filepath.Join(dir, "site.toml"), []byte(site), 0o644); err != nil {
		t.Fatal(err)
	}
	return j
}

// call runs rawstatus and wants an exit code.
func (j *nightJob) call(t *testing.T, want fault.Code, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(j.bin, "rawstatus"), append([]string{args[0], "--site", filepath.Join(j.dir, "site.toml")}, args[1:]...)...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if errRun := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != int(want) {
		t.Fatalf("rawstatus %v: %v, want exit code %d\n%s%s", args, errRun, want, &out, &err)
	}
	return out.String(), err.String()
}

// submit adds what args do not say themselves.
func (j *nightJob) submit(t *testing.T, want fault.Code, args ...string) (stdout, stderr string) {
	t.Helper()
	all := append([]string{"submit", "--exp", nightExperiment, "--run", "3", "--dir", j.data, "--settle", "0s", "--cpus-per-task", "1"}, args...)
	for _, value := range [][2]string{{"--work", j.work}, {"--tasks", fmt.Sprint(nightPanels)}} {
		if !slices.Contains(args, value[0]) {
			all = append(all, value[:]...)
		}
	}
	return j.call(t, want, all...)
}

// watch waits for the end of all jobs.
func (j *nightJob) watch(t *testing.T, want fault.Code) (stdout, stderr string) {
	t.Helper()
	return j.call(t, want, "status", "--watch", "--every", "1s", j.work)
}

// report returns the state in JSON.
func (j *nightJob) report(t *testing.T) *slurm.Report {
	t.Helper()
	cmd := exec.Command(filepath.Join(j.bin, "rawstatus"), "status", j.work, "--json")
	out, _ := cmd.Output() // the exit code depends on the state
	var r slurm.Report
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &r
}

// until polls the state.
func (j *nightJob) until(t *testing.T, what string, ok func(*slurm.Report) bool) *slurm.Report {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		r := j.report(t)
		if ok(r) {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("%s: never happened: %+v", what, r)
		}
	}
}

// attempts reads the records.
func (j *nightJob) attempts(t *testing.T) []*slurm.Attempt {
	t.Helper()
	all, err := slurm.LoadAttempts(j.work)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same wants what the undisturbed job left.
func (j *nightJob) same(t *testing.T) {
	t.Helper()
	got := published(t, j.repo)
	for name, content := range j.want {
		if !bytes.Equal(got[name], content) {
			t.Errorf("%s differs from the undisturbed job's", name)
		}
	}
	if len(got) != len(j.want) {
		t.Errorf("%d files, the undisturbed job left %d", len(got), len(j.want))
	}
}

// first is the test of a prolog line for the first start of one task's first attempt.
const first = `[[ $SLURM_JOB_NAME != *-1-tasks* || $SLURM_ARRAY_TASK_ID != 3 || -n ${SLURM_RESTART_COUNT:-} ]] || `

// TestSlurm runs the whole way on a real cluster, each time disturbed in another way, and wants each time what the
// undisturbed job leaves.
func TestSlurm(t *testing.T) {
	n := newNight(t)
	t.Run("undisturbed", n.undisturbed)
	t.Run("deployed", n.deployed)
	t.Run("more tasks than an array takes", n.chunks)
	t.Run("node lost", n.nodeLost)
	t.Run("out of memory", n.outOfMemory)
	t.Run("out of time", n.outOfTime)
	t.Run("damaged partial", n.damagedPartial)
	t.Run("cancelled by hand", n.cancelled)
	t.Run("a task on two nodes", n.duplicate)
	t.Run("disk full", n.diskFull)
	t.Run("raw data gone", n.rawGone)
	t.Run("preempted", n.preempted)
	t.Run("one array fails, another runs", n.halfFailed)
	t.Run("two stages", n.stages)
	t.Run("interrupted", n.interrupted)
	t.Run("submitter killed", n.submitterKilled)
}

func (n *night) undisturbed(t *testing.T) {
	j := n.job(t, nil)
	dry, _ := j.submit(t, 0, "--dry-run")
	if got := regexp.MustCompile(`(?m)^sbatch `).FindAllString(dry, -1); len(got) != 3 {
		t.Errorf("--dry-run shows %d sbatch lines, want 3:\n%s", len(got), dry)
	}
	if _, err := os.Stat(j.work); err == nil {
		t.Error("--dry-run left a work directory")
	}
	out, _ := j.submit(t, 0, "--wait")
	if !strings.Contains(out, "\nrawstatus status "+j.work+"\n") {
		t.Errorf("no command that shows the state:\n%s", out)
	}
	j.same(t)
	// All is done when reduce has ended; the job that would repair something may still be on its way out.
	r := j.until(t, "the repair job is over", func(r *slurm.Report) bool { return !r.Active })
	if !r.Done || r.Attempts != 1 || r.Counts[slurm.StateDone] != nightPanels {
		t.Errorf("%+v", r)
	}
	j.call(t, fault.Slurm, "submit", "--work", j.work, "--account", "nobody")
	j.call(t, 0, "rerun", j.work, "--wait")
}

// deployed goes on to the constants that analysis reads.
func (n *night) deployed(t *testing.T) {
	trees := map[string]*nightJob{"single commands": n.job(t, nil), "submit": n.job(t, nil)}
	single, j := trees["single commands"], trees["submit"]
	single.call(t, 0, "run", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--work", filepath.Join(single.dir, "quiet"))
	cmd := exec.Command(filepath.Join(n.bin, "mergedeploy"), "-e", nightExperiment, "-r", "3", "-d", nightDetector, "--dir", n.data, "--site", filepath.Join(single.dir, "site.toml"),
		"-R", "3-end", "-c", filepath.Join(single.dir, "calib"), "-D")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mergedeploy: %v\n%s", err, out)
	}
	_, stderr := j.submit(t, fault.Refused, "--wait", "--deploy", "-c", filepath.Join(j.dir, "calib"), "--deploy-arg=--max-bad=0")
	if !strings.Contains(stderr, "deployment did not succeed") {
		t.Errorf("%s", stderr)
	}
	j.submit(t, 0, "--wait", "--deploy", "-c", filepath.Join(j.dir, "calib"))
	host := regexp.MustCompile(`host:\S+`) // it is in HISTORY
	for _, sub := range []string{"repo", "calib"} {
		want, got := published(t, filepath.Join(single.dir, sub)), published(t, filepath.Join(j.dir, sub))
		for name, content := range want {
			if !bytes.Equal(host.ReplaceAll(got[name], nil), host.ReplaceAll(content, nil)) {
				t.Errorf("%s%s differs from what single commands leave\n%.2000s\n%.2000s", sub, name, got[name], content)
			}
		}
		if len(got) < len(want) || sub == "calib" && len(got) == 0 {
			t.Errorf("%s: %d files, single commands left %d", sub, len(got), len(want))
		}
	}
}

func (n *night) chunks(t *testing.T) {
	j := n.job(t, nil)
	j.submit(t, 0, "--wait", "--tasks", "40", "--throttle", "9")
	if arrays := j.attempts(t)[0].Arrays(); len(arrays) != 2 || arrays[1].Offset != 33 {
		t.Errorf("arrays %+v, the cluster takes indices below 33", arrays)
	}
	j.same(t)
}

func (n *night) nodeLost(t *testing.T) {
	j := n.job(t, []string{first + "sleep 100"})
	j.submit(t, 0)
	r := j.until(t, "task 3 runs", func(r *slurm.Report) bool { return r.Tasks[3].State == slurm.StateRunning && r.Tasks[3].Node != "" })
	node := r.Tasks[3].Node
	n.cluster.Kill(t, node)
	defer n.cluster.Start(t, node)
	j.watch(t, 0)
	if r := j.report(t); r.Tasks[3].Restart < 1 && r.Attempts < 2 {
		t.Errorf("task 3 was not started again: %+v", r.Tasks[3])
	}
	j.same(t)
}

func (n *night) outOfMemory(t *testing.T) {
	if !n.cluster.OOM {
		t.Skip("this cluster enforces no memory limits; see TestOutOfMemoryStandIn")
	}
	j := n.job(t, nil)
	j.submit(t, 0, "--mem", "5M")
	j.watch(t, 0)
	all := j.attempts(t)
	if len(all) < 2 || len(all[1].Reasons) == 0 || !strings.Contains(all[1].Reasons[0].Text, "ran out of its memory of 5 MB") || all[1].Task.MemMB != 10 {
		t.Errorf("%d attempts, the second: %+v", len(all), all[min(1, len(all)-1)])
	}
	j.same(t)
}

// outOfTime stops a task at work until Slurm's signal waits for it.
func (n *night) outOfTime(t *testing.T) {
	const sigterm = `'^ShdPnd:.*[4-7c-f][0-9a-f]{3}$'` // of /proc/PID/status
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-tasks* || $SLURM_ARRAY_TASK_ID != 1 ]] || { ` +
		`until [[ /proc/$$/exe -ef ` + filepath.Join(n.bin, "rawstatus") + ` ]]; do :; done; kill -STOP $$; ` +
		`until ls -l /proc/$$/fd | grep -q 'xtc2$'; do kill -CONT $$; sleep 0.003; kill -STOP $$; done; ` +
		`until grep -qE ` + sigterm + ` /proc/$$/status; do sleep 0.1; done; kill -CONT $$; } &`})
	j.submit(t, 0, "--time", "2", "--tasks", "2")
	j.watch(t, 0)
	all := j.attempts(t)
	if len(all) != 2 || len(all[1].Reasons) != 1 || all[1].Reasons[0].Task != 1 || all[1].Task.Time != 4*time.Minute {
		t.Fatalf("%d attempts, the second: %+v", len(all), all[len(all)-1])
	}
	log, err := os.ReadFile(j.logOf(t, all[0], 1))
	if err != nil || !strings.Contains(string(log), "terminated (SIGTERM)") {
		t.Errorf("the signal did not reach the program: %v\n%s", err, log)
	}
	j.same(t)
}

func (j *nightJob) logOf(t *testing.T, a *slurm.Attempt, task int) string {
	t.Helper()
	h := a.Arrays()[0]
	if !slices.Contains(h.Indices, task-h.Offset) {
		t.Fatalf("the first array of attempt %d has no task %d", a.Number, task)
	}
	return filepath.Join(j.work, "slurm", "log", fmt.Sprintf("tasks0-%d_%d.log", h.Job, task-h.Offset))
}

func (n *night) damagedPartial(t *testing.T) {
	j := n.job(t, nil)
	j.submit(t, 0, "--wait")
	// Again, and this time something writes into a partial before reduce reads it.
	j = n.job(t, []string{fmt.Sprintf(`[[ $SLURM_JOB_NAME != *-1-reduce ]] || printf XXXX | dd of=%s bs=1 seek=1000 conv=notrunc`, plan.TaskFile("$work", 2))})
	j.submit(t, 0)
	j.watch(t, 0)
	all := j.attempts(t)
	if len(all) != 2 || len(all[1].Reasons) != 1 || all[1].Reasons[0].Task != 2 || !strings.Contains(all[1].Reasons[0].Text, "ended well, but") {
		t.Errorf("%d attempts, the last: %+v", len(all), all[len(all)-1])
	}
	j.same(t)
}

// cancelled wants Slurm's own scancel to be respected by the repair job, and the printed command to go on.
func (n *night) cancelled(t *testing.T) {
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-tasks* || $SLURM_ARRAY_TASK_ID -lt 8 ]] || sleep 100`})
	j.submit(t, 0)
	j.until(t, "half of the tasks are done", func(r *slurm.Report) bool { return r.Counts[slurm.StateDone] == 8 })
	if out, err := exec.Command("scancel", fmt.Sprint(j.attempts(t)[0].Arrays()[0].Job)).CombinedOutput(); err != nil {
		t.Fatalf("scancel: %v\n%s", err, out)
	}
	_, stderr := j.watch(t, fault.Incomplete)
	if all := j.attempts(t); len(all) != 1 {
		t.Fatalf("what a person cancelled was submitted again: %+v", all[1])
	}
	j.goOn(t, stderr)
	all := j.attempts(t)
	if len(all) != 2 || !slices.Equal(all[1].Arrays()[0].Indices, []int{8, 9, 10, 11, 12, 13, 14, 15}) {
		t.Errorf("%d attempts, the last: %+v", len(all), all[len(all)-1])
	}
	j.same(t)
}

// goOn types the command that an error message ended with.
func (j *nightJob) goOn(t *testing.T, stderr string) {
	t.Helper()
	m := regexp.MustCompile(`rawstatus (rerun --work \S+)\n`).FindStringSubmatch(stderr)
	if m == nil {
		t.Fatalf("no command that goes on:\n%s", stderr)
	}
	j.call(t, 0, append(strings.Fields(m[1]), "--wait")...)
}

// duplicate submits the committed script by hand, as an array and as one job, beside the jobs of submit.
func (n *night) duplicate(t *testing.T) {
	j := n.job(t, []string{"sleep 2"})
	j.submit(t, 0)
	script := filepath.Join(testenv.Root(t), "jobs", "slurm", "rawstatus-array.sbatch")
	var hands []*exec.Cmd
	for _, args := range [][]string{{"--array=0-15"}, {"--mem=500M"}} {
		cmd := exec.Command("sbatch", append(args, "--wait", "--output="+filepath.Join(j.dir, "hand-%j-%a.log"), "--account=lcls:"+nightExperiment, script, j.work)...)
		cmd.Env = append(os.Environ(), "RAWSTATUS_BIN="+filepath.Join(n.bin, "rawstatus"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		hands = append(hands, cmd)
	}
	j.watch(t, 0)
	for _, cmd := range hands {
		if err := cmd.Wait(); err != nil {
			logs, _ := exec.Command("sh", "-c", "tail -n 5 "+j.dir+"/hand-*").Output()
			t.Errorf("by hand: %v\n%s", err, logs)
		}
	}
	j.same(t)
}

// diskFull makes the first two starts of a task write their partial to a full disk.
func (n *night) diskFull(t *testing.T) {
	wrapper := filepath.Join(t.TempDir(), "full-disk")
	script := fmt.Sprintf(`#!/bin/bash
[[ ${SLURM_ARRAY_TASK_ID:-} != 3 || ${SLURM_RESTART_COUNT:-0} -ge 2 ]] && exec %[1]s/rawstatus "$@"
mkdir -p "$3/tasks"
exec unshare -m bash -c 'mount -t tmpfs -o size=16k none "$3/tasks"; exec %[1]s/rawstatus "$@"' - "$@"
`, n.bin)
	if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	j := n.job(t, []string{"bin=" + wrapper})
	j.submit(t, 0)
	j.watch(t, 0)
	r := j.report(t)
	if r.Attempts != 1 || r.Tasks[3].Restart != 2 {
		t.Errorf("%d attempts, task 3 restarted %d times, want it to have requeued itself twice", r.Attempts, r.Tasks[3].Restart)
	}
	j.same(t)
}

// rawGone wants an error of the user's not to be tried again.
func (n *night) rawGone(t *testing.T) {
	j := n.job(t, nil)
	raw, err := filepath.Glob(filepath.Join(n.data, "*-s003-*.xtc2"))
	if err != nil || len(raw) != 1 {
		t.Fatal(raw, err)
	}
	j.submit(t, 0, "--sbatch-arg=--begin=now+3")
	if err := os.Rename(raw[0], raw[0]+".away"); err != nil {
		t.Fatal(err)
	}
	_, stderr := j.watch(t, fault.Incomplete)
	back := os.Rename(raw[0]+".away", raw[0])
	if back != nil {
		t.Fatal(back)
	}
	if all := j.attempts(t); len(all) != 1 || !all[0].Complete || !strings.Contains(stderr, "exit code 10") {
		t.Errorf("%d attempts\n%s", len(all), stderr)
	}
	j.goOn(t, stderr)
	j.same(t)
}

func (n *night) preempted(t *testing.T) {
	j := n.job(t, []string{first + "sleep 100"})
	j.submit(t, 0)
	j.until(t, "task 3 runs", func(r *slurm.Report) bool { return r.Tasks[3].State == slurm.StateRunning })
	cmd := exec.Command("sbatch", "--wait", "--partition=urgent", "--nodes=4", "--exclusive", "--mem=0", "--account=lcls", "--output=/dev/null", "--wrap=sleep 1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	j.watch(t, 0)
	if r := j.report(t); r.Attempts != 1 || r.Tasks[3].Restart < 1 {
		t.Errorf("%d attempts, %+v", r.Attempts, r.Tasks[3])
	}
	j.same(t)
}

// halfFailed lets repair start while the second array of the plan is still at work.
func (n *night) halfFailed(t *testing.T) {
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-tasks0 || $SLURM_ARRAY_TASK_ID != 3 ]] || exit 75`, `[[ $SLURM_JOB_NAME != *-1-tasks1 ]] || sleep 12`})
	j.submit(t, 0, "--tasks", "40")
	j.watch(t, 0)
	all := j.attempts(t)
	if len(all) != 2 || !slices.Equal(all[1].AfterOK, []int{all[0].Arrays()[1].Job}) || len(all[1].Arrays()) != 1 || !slices.Equal(all[1].Arrays()[0].Indices, []int{3}) {
		t.Errorf("%d attempts, the last: %+v", len(all), all[len(all)-1])
	}
	j.same(t)
}

// stages fails a task on whose stage another waits: what never started is not taken for cancelled.
func (n *night) stages(t *testing.T) {
	single, j := n.job(t, nil), n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-tasks0 || $SLURM_ARRAY_TASK_ID != 1 ]] || exit 75`})
	rules := []string{"--profile", "features", "-F", "1,6"}
	single.call(t, 0, append([]string{"run", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--work", single.work}, rules...)...)
	j.submit(t, 0, rules...)
	j.watch(t, 0)
	all := j.attempts(t)
	if len(all) != 2 || len(all[1].Arrays()) != 2 || len(all[1].Arrays()[0].Indices) != 1 || all[1].Arrays()[1].Stage != 1 {
		t.Errorf("%d attempts, the last: %+v", len(all), all[len(all)-1])
	}
	j.want = published(t, single.repo)
	if len(j.want) < 2*nightPanels {
		t.Fatalf("a single command left only %d files", len(j.want))
	}
	j.same(t)
}

// interrupted presses Ctrl-C while submit --wait shows progress, where nobody can be asked.
func (n *night) interrupted(t *testing.T) {
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-tasks* || $SLURM_ARRAY_TASK_ID -lt 8 ]] || sleep 100`})
	cmd := exec.Command(filepath.Join(n.bin, "rawstatus"), "submit", "--site", filepath.Join(j.dir, "site.toml"), "--exp", nightExperiment, "--run", "3", "--dir", n.data,
		"--work", j.work, "--tasks", fmt.Sprint(nightPanels), "--cpus-per-task", "1", "--wait")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if done, _ := filepath.Glob(filepath.Join(j.work, "tasks", "*.pack")); len(done) == 8 {
			break
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != int(fault.Interrupted) {
		t.Fatalf("%v, want exit code %d\n%s", err, fault.Interrupted, &stderr)
	}
	j.until(t, "the jobs are gone", func(r *slurm.Report) bool { return !r.Active })
	j.goOn(t, stderr.String())
	j.same(t)
}

// submitterKilled takes away what a submitter writes down last, as if it had been killed before it got there.
func (n *night) submitterKilled(t *testing.T) {
	j := n.job(t, []string{"sleep 3"})
	j.submit(t, 0)
	a := j.attempts(t)[0]
	array := a.Arrays()[0].Job
	if out, err := exec.Command("scancel", fmt.Sprint(a.JobOf(slurm.RepairPart)), fmt.Sprint(a.JobOf(slurm.ReducePart))).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, h := range a.Jobs {
		h.Job = 0
	}
	a.Complete = false
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(j.work, "slurm", "attempt-001.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	j.call(t, 0, "rerun", j.work)
	j.watch(t, 0)
	all := j.attempts(t)
	if len(all) != 1 || all[0].Arrays()[0].Job != array || !all[0].Complete {
		t.Errorf("the running array %d was not taken over: %+v", array, all[0])
	}
	j.same(t)
}

// TestSlurmOverhead measures what Slurm costs against one process, for the numbers in docs/slurm.md.
func TestSlurmOverhead(t *testing.T) {
	n := newNight(t)
	single, j := n.job(t, nil), n.job(t, nil)
	begin := time.Now()
	single.call(t, 0, "run", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--work", single.work, "--tasks", "48")
	one := time.Since(begin)
	for _, tasks := range []int{1, 16, 48} {
		begin = time.Now()
		j.submit(t, 0, "--wait", "--work", filepath.Join(j.dir, fmt.Sprint(tasks)), "--tasks", fmt.Sprint(tasks))
		took := time.Since(begin)
		t.Logf("%2d tasks: submit --wait %.2f s, run %.2f s, overhead %.2f s, %.3f s per task", tasks, took.Seconds(), one.Seconds(), (took - one).Seconds(), (took-one).Seconds()/float64(tasks))
		if took-one > time.Minute {
			t.Errorf("%d small tasks cost %s", tasks, took-one)
		}
	}
}
