package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/campaign"
	"rawstatus/internal/shard/slurm"
)

// TestSlurmDrills does on a real cluster what persons and controllers do to jobs at night. All but the last run at a time.
func TestSlurmDrills(t *testing.T) {
	n := newNight(t)
	t.Run("together", func(t *testing.T) {
		for name, drill := range map[string]func(*testing.T){
			"second submission": n.secondSubmission, "pending array cancelled": n.arrayCancelled, "reduce cancelled": n.reduceCancelled, "element requeued": n.elementRequeued,
			"submit killed before deploy": n.killedBeforeDeploy, "export NONE": n.exportNone, "two coordinators": n.twoCoordinators,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				drill(t)
			})
		}
	})
	t.Run("controller away", n.controllerAway)
}

// deployFlags deploy into a calibration directory of the job.
func (j *nightJob) deployFlags() []string {
	return []string{"--tasks", "4", "--deploy", "-c", filepath.Join(j.dir, "calib")}
}

// deployments counts the files that analysis would read from the job's calibration directory.
func (j *nightJob) deployments(t *testing.T) (n int) {
	t.Helper()
	calib := filepath.Join(j.dir, "calib")
	if _, err := os.Stat(calib); err != nil {
		return 0
	}
	for name := range published(t, calib) {
		if filepath.Ext(name) == ".data" {
			n++
		}
	}
	return n
}

// holds wants what the undisturbed job left, beside what merging leaves.
func (j *nightJob) holds(t *testing.T) {
	t.Helper()
	got := published(t, j.repo)
	for name, content := range j.want {
		if !bytes.Equal(got[name], content) {
			t.Errorf("%s differs from the undisturbed job's", name)
		}
	}
}

// secondSubmission submits the same again, another one into the same work directory, and that with --replace.
func (n *night) secondSubmission(t *testing.T) {
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-tasks* || -e go ]] || for i in {1..300}; do [[ ! -e go ]] || break; sleep 0.2; done`})
	j.submit(t, 0, j.deployFlags()...)
	first := j.attempts(t)
	j.submit(t, 0, j.deployFlags()...)
	if again := j.attempts(t); len(again) != 1 || !slices.Equal(again[0].IDs(), first[0].IDs()) {
		t.Errorf("the same submission again made new jobs: %+v", again)
	}
	other := append(j.deployFlags(), "--intnhi", "5")
	if _, stderr := j.submit(t, fault.Busy, other...); !strings.Contains(stderr, "--replace") {
		t.Errorf("another submission into the same directory: %s", stderr)
	}
	j.submit(t, 0, append(other, "--replace")...)
	if err := os.WriteFile(filepath.Join(j.work, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	j.watch(t, 0)
	p := j.report(t)
	if !p.Done || p.PlanID == first[0].Plan {
		t.Errorf("done %t, plan %.12s, the first was %.12s", p.Done, p.PlanID, first[0].Plan)
	}
	if got := j.deployments(t); got != 1 {
		t.Errorf("%d files are deployed, want that of the replacement", got)
	}
}

// arrayCancelled cancels an array before it starts. Nothing comes back by itself.
func (n *night) arrayCancelled(t *testing.T) {
	j := n.job(t, nil)
	j.submit(t, 0, append(j.deployFlags(), "--sbatch-arg=--begin=now+600")...)
	a := j.attempts(t)[0]
	j.scancel(t, a.Arrays()[0].Job)
	for _, id := range []int{a.JobOf(slurm.ReducePart), a.JobOf(slurm.RepairPart), a.JobOf(slurm.DeployPart)} { // they need not wait any longer
		if out, err := exec.Command("scontrol", "update", fmt.Sprintf("jobid=%d", id), "starttime=now").CombinedOutput(); err != nil {
			t.Logf("scontrol update: %v\n%s", err, out)
		}
	}
	_, stderr := j.watch(t, fault.Incomplete)
	if all := j.attempts(t); len(all) != 1 || j.deployments(t) != 0 {
		t.Errorf("%d attempts, %d deployments after a cancel", len(all), j.deployments(t))
	}
	if !strings.Contains(stderr, "cancelled") || !strings.Contains(stderr, "rerun --work "+j.work) {
		t.Errorf("%s", stderr)
	}
}

// reduceCancelled cancels reduce at work. It and the deployment stay away until a person says rerun.
func (n *night) reduceCancelled(t *testing.T) {
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-reduce ]] || sleep 100`})
	j.submit(t, 0, j.deployFlags()...)
	j.until(t, "reduce runs", func(r *slurm.Report) bool { return r.Reduce.State == slurm.StateRunning })
	j.scancel(t, j.attempts(t)[0].JobOf(slurm.ReducePart))
	_, stderr := j.watch(t, fault.Incomplete)
	if all := j.attempts(t); len(all) != 1 || j.deployments(t) != 0 {
		t.Errorf("%d attempts, %d deployments after a cancel", len(all), j.deployments(t))
	}
	j.goOn(t, stderr)
	if got := j.deployments(t); got != 1 {
		t.Errorf("%d files are deployed, want 1", got)
	}
}

func (j *nightJob) scancel(t *testing.T, id int) {
	t.Helper()
	if out, err := exec.Command("scancel", strconv.Itoa(id)).CombinedOutput(); err != nil {
		t.Fatalf("scancel: %v\n%s", err, out)
	}
}

// elementRequeued lets the last element of an array put itself back, whose number in Slurm is that of the whole array.
func (n *night) elementRequeued(t *testing.T) {
	wrapper := filepath.Join(t.TempDir(), "fails-first")
	script := fmt.Sprintf(`#!/bin/bash
[[ ${SLURM_ARRAY_TASK_ID:-} != 3 || ${SLURM_RESTART_COUNT:-0} -ge 1 ]] && exec %[1]s/rawstatus "$@"
mkdir -p "$3/tasks"
exec unshare -m bash -c 'mount -t tmpfs -o size=16k none "$3/tasks"; exec %[1]s/rawstatus "$@"' - "$@"
`, n.bin)
	if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	j := n.job(t, []string{"bin=" + wrapper})
	j.submit(t, 0, "--tasks", "4")
	j.watch(t, 0)
	r := j.report(t)
	if r.Attempts != 1 || r.Tasks[3].Restart != 1 {
		t.Errorf("%d attempts, task 3 restarted %d times", r.Attempts, r.Tasks[3].Restart)
	}
	for _, s := range r.Tasks[:3] {
		if s.Restart != 0 {
			t.Errorf("task %d was put back with task 3", s.Task)
		}
	}
	j.same(t)
}

// killedBeforeDeploy kills submit at its call of sbatch for the deployment. The chain says what is missing and goes on
// with that command.
func (n *night) killedBeforeDeploy(t *testing.T) {
	j := n.job(t, []string{"sleep 1"})
	real, err := exec.LookPath("sbatch")
	if err != nil {
		t.Fatal(err)
	}
	shim := t.TempDir()
	script := "#!/bin/bash\ncase \"$*\" in *--parsable*-deploy*) kill -9 $PPID; exit 1;; esac\nexec " + real + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(shim, "sbatch"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(n.bin, "rawstatus"), append([]string{"submit", "--site", filepath.Join(j.dir, "site.toml"), "--exp", nightExperiment, "--run", "3", "--dir", n.data,
		"--settle", "0s", "--work", j.work, "--cpus-per-task", "1"}, j.deployFlags()...)...)
	cmd.Env = append(os.Environ(), "PATH="+shim+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("submit was not killed: %v\n%s", err, out)
	}
	a := j.attempts(t)[0]
	if a.Complete || a.JobOf(slurm.DeployPart) != 0 || a.JobOf(slurm.ReducePart) == 0 {
		t.Fatalf("killed at another call: %+v", a)
	}
	j.until(t, "reduce is done", func(r *slurm.Report) bool { return r.Reduce.State == slurm.StateDone })
	_, stderr := j.watch(t, fault.Incomplete)
	j.goOn(t, stderr)
	if got := j.deployments(t); got != 1 || !j.report(t).Done {
		t.Errorf("%d files are deployed, want 1", got)
	}
	j.holds(t)
}

// exportNone wants jobs that get nothing of the submission's environment to do what it saw: settings of the environment
// and of a site file that is gone since.
func (n *night) exportNone(t *testing.T) {
	j := n.job(t, []string{"sleep 1"})
	site := filepath.Join(j.dir, "site.toml")
	cmd := exec.Command(filepath.Join(n.bin, "rawstatus"), append([]string{"submit", "--exp", nightExperiment, "--run", "3", "--dir", n.data, "--settle", "0s", "--work", j.work,
		"--cpus-per-task", "1", "--sbatch-arg=--export=NONE"}, j.deployFlags()...)...)
	j.repo = filepath.Join(j.dir, "of environment")
	cmd.Env = append(os.Environ(), "RAWSTATUS_SITE="+site, "RAWSTATUS_REPOSITORY="+j.repo)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(site, []byte("timezone = \"Asia/Tokyo\"\ngroup = \"\"\nrepository = \"/nowhere\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	j.watch(t, 0)
	if got := j.deployments(t); got != 1 {
		t.Errorf("%d files are deployed, want 1", got)
	}
	j.holds(t)
}

// twoCoordinators lets two coordinators of one campaign work at once.
func (n *night) twoCoordinators(t *testing.T) {
	m := newMonthOn(t, n.cluster, n.bin, 6, 4, "sleep 1")
	a, b := m.coordinator(), m.coordinator()
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a coordinator: %v\n%s", err, cmd.Stderr)
		}
	}
	var table campaign.Table
	if err := json.Unmarshal([]byte(finish(t, m.command("status", "--json", m.camp), fault.OK)), &table); err != nil {
		t.Fatal(err)
	}
	m.right(t, &table)
	for _, r := range table.Rows {
		if r.Tries != 1 {
			t.Errorf("run %d was tried %d times", r.Run, r.Tries)
		}
	}
}

// controllerAway takes Slurm's controller away for a minute, while a repair job is about to submit the next attempt.
func (n *night) controllerAway(t *testing.T) {
	j := n.job(t, []string{`[[ $SLURM_JOB_NAME != *-1-tasks* || $SLURM_ARRAY_TASK_ID != 1 ]] || exit 75`,
		`[[ $SLURM_JOB_NAME != *-1-repair ]] || { touch repairs; for i in {1..300}; do [[ ! -e away ]] || break; sleep 0.1; done; }`})
	j.submit(t, 0, j.deployFlags()...)
	j.exists(t, "repairs")
	n.cluster.Stop(t, "slurmctld")
	begin := time.Now()
	if err := os.WriteFile(filepath.Join(j.work, "away"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
	n.cluster.Up(t)
	t.Logf("the controller was away for %.0f s", time.Since(begin).Seconds())
	j.watch(t, 0)
	if all := j.attempts(t); len(all) != 2 || !all[1].Complete {
		t.Errorf("%d attempts, the last: %+v", len(all), all[len(all)-1])
	}
	if got := j.deployments(t); got != 1 {
		t.Errorf("%d files are deployed, want 1", got)
	}
	j.holds(t)
}

// exists waits for a file in the work directory.
func (j *nightJob) exists(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(j.work, name)); err == nil {
			return
		}
		if time.Now().After(end) {
			out, _ := exec.Command("squeue", "--states=all").Output()
			t.Fatalf("%s never came\n%s", name, bytes.TrimSpace(out))
		}
	}
}
