package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/campaign"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// month is a campaign of small runs on a cluster. The runs before turn have other bad pixels than those from turn on.
type month struct {
	cluster    *testenv.Cluster
	bin, dir   string
	data, camp string
	repo, file string
	runs, turn int
}

const (
	monthPanels = 2
	monthEvents = 80
	monthBad    = 3 * 2 * monthPanels // dead and hot pixels planted in a run
)

func newMonth(t *testing.T, runs, turn int, prolog string) *month {
	t.Helper()
	cluster := testenv.Slurm(t)
	return newMonthOn(t, cluster, programs(t), runs, turn, prolog)
}

// newMonthOn makes it on a cluster that the test has.
func newMonthOn(t *testing.T, cluster *testenv.Cluster, bin string, runs, turn int, prolog string) *month {
	t.Helper()
	dir := cluster.TempDir(t)
	m := &month{cluster: cluster, bin: bin, dir: dir, data: filepath.Join(dir, "data"), camp: filepath.Join(dir, "camp"),
		repo: filepath.Join(dir, "repo"), file: filepath.Join(dir, "month.toml"), runs: runs, turn: turn}
	m.cluster.Account(t, "lcls:"+nightExperiment)
	for run := 1; run <= runs; run++ {
		cfg := simulate.Config{Dir: m.data, Experiment: nightExperiment, Run: run, Panels: monthPanels, Rows: 64, Cols: 64, Events: monthEvents, Dead: 3, Hot: 3, Seed: 1}
		if run >= turn {
			cfg.Seed = 2
		}
		if _, err := simulate.Write(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	site := fmt.Sprintf("timezone = \"UTC\"\ngroup = \"\"\nrepository = %q\n[slurm]\nprolog = [%q]\n", m.repo, prolog)
	file := fmt.Sprintf("name = \"month\"\n[[entry]]\nexp = %q\nruns = \"1-%d\"\ndir = %q\ndetectors = [\"jungfrau\"]\ntag = \"test\"\noptions = [\"--settle\", \"0s\"]\n",
		nightExperiment, runs, m.data)
	for path, text := range map[string]string{filepath.Join(dir, "site.toml"): site, m.file: file} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// command makes a call of rawstatus.
func (m *month) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(m.bin, "rawstatus"), append([]string{name, "--site", filepath.Join(m.dir, "site.toml")}, args...)...)
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return cmd
}

func (m *month) coordinator() *exec.Cmd {
	return m.command("campaign", "--work", m.camp, "--every", "500ms", "--cpus-per-task", "1", "--max-jobs", "9", m.file)
}

// finish waits for a call and wants an exit code.
func finish(t *testing.T, cmd *exec.Cmd, want fault.Code) string {
	t.Helper()
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != int(want) {
		t.Fatalf("%v: %v, want exit code %d\n%s%s", cmd.Args[1:], err, want, cmd.Stdout, cmd.Stderr)
	}
	return cmd.Stdout.(*bytes.Buffer).String()
}

// killWhen starts a coordinator and kills it as soon as something is so.
func (m *month) killWhen(t *testing.T, what string, so func() bool) {
	t.Helper()
	cmd := m.coordinator()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%s: never so", what)
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatalf("the coordinator had ended before %s: %v\n%s", what, err, cmd.Stderr)
	}
	_ = cmd.Wait() // it was killed
}

func (m *month) reduced() int {
	found, _ := filepath.Glob(filepath.Join(m.camp, "*", "summary.json"))
	return len(found)
}

// quiet makes the same repository with one command for each run.
func (m *month) quiet(t *testing.T) map[string][]byte {
	t.Helper()
	repo := filepath.Join(m.dir, "quiet")
	for run := 1; run <= m.runs; run++ {
		finish(t, m.command("run", "--exp", nightExperiment, "--run", fmt.Sprint(run), "--dir", m.data, "-o", repo, "--work", filepath.Join(m.dir, "w", fmt.Sprint(run))), fault.OK)
	}
	return published(t, repo)
}

// right checks the table, row by row, and the trend.
func (m *month) right(t *testing.T, table *campaign.Table) {
	t.Helper()
	if len(table.Rows) != m.runs {
		t.Fatalf("%d rows, want %d", len(table.Rows), m.runs)
	}
	for i, r := range table.Rows {
		change := campaign.Change{Previous: i}
		if r.Run == m.turn {
			change.NewlyBad, change.NewlyGood = monthBad, monthBad
		}
		if r.Run != i+1 || r.State != slurm.Done || r.Panels != monthPanels || r.Events != monthEvents || r.Bad != monthBad || r.Tag != "test" ||
			r.Bits["RMS_LOW"] != monthBad/2 || r.Bits["AVE_HIGH"] != monthBad/2 || r.Seconds <= 0 || r.GB != float64(monthPanels*monthEvents*64*64*2)/1e9 {
			t.Errorf("row %d: %+v", i, r)
		}
		if i > 0 && (r.Change == nil || *r.Change != change) || i == 0 && r.Change != nil {
			t.Errorf("row %d: change %+v, want %+v", i, r.Change, change)
		}
	}
	text, err := os.ReadFile(filepath.Join(m.camp, "pixels.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(lines) != 1+2*monthBad {
		t.Fatalf("pixels.csv has %d lines, want the head and %d pixels: %v", len(lines), 2*monthBad, err)
	}
	for _, l := range lines[1:] {
		first, now := "1", "false"
		if l[12] == "true" {
			first, now = fmt.Sprint(m.turn), "true"
		}
		if l[8] != first || l[11] != "1" || l[12] != now {
			t.Errorf("pixel %v", l)
		}
	}
}

// TestSlurmCampaign takes 40 runs through a killed element, a lost node and a run without data, and the coordinator's death
// twice on the way.
func TestSlurmCampaign(t *testing.T) {
	m := newMonth(t, 40, 21, `[[ $SLURM_JOB_NAME != *-1-tasks* ]] || case ${SLURM_ARRAY_TASK_ID}-${SLURM_RESTART_COUNT:-0} in 2-0) sleep 3; kill -9 $$;; 5-0) sleep 60;; *) sleep 3;; esac`)
	begin := time.Now()
	raw, err := filepath.Glob(filepath.Join(m.data, "*-r0017-*.xtc2"))
	if err != nil || len(raw) != 1 {
		t.Fatal(raw, err)
	}
	if err := os.Rename(raw[0], raw[0]+".away"); err != nil {
		t.Fatal(err)
	}
	m.killWhen(t, "the first attempt is claimed", func() bool {
		_, err := os.Stat(filepath.Join(m.camp, "slurm", "attempt-001.json"))
		return err == nil
	})
	m.killWhen(t, "10 runs are reduced", func() bool { return m.reduced() >= 10 })
	node := runningNode(t)
	m.cluster.Kill(t, node)
	defer m.cluster.Start(t, node)

	third := m.coordinator()
	third.Args = append(third.Args[:2], append([]string{"--json"}, third.Args[2:]...)...)
	finish(t, third, fault.Incomplete)
	var table campaign.Table
	if err := json.NewDecoder(third.Stdout.(*bytes.Buffer)).Decode(&table); err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Rows {
		if want := r.Run != 17; (r.State == slurm.Done) != want {
			t.Errorf("run %d is %s: %s", r.Run, r.State, r.Reason)
		}
	}
	if err := os.Rename(raw[0]+".away", raw[0]); err != nil {
		t.Fatal(err)
	}
	out := finish(t, m.command("campaign", "--work", m.camp, "--retry", "--every", "500ms"), fault.OK)
	if !strings.Contains(out, "runs 1 to 40: 12 bad pixels became 12; 24 turned once, 0 come and go") {
		t.Errorf("trend:\n%s", out)
	}
	took := time.Since(begin)
	text, err := os.ReadFile(filepath.Join(m.camp, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	table = campaign.Table{}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	m.right(t, &table)
	begin = time.Now()
	want, got := m.quiet(t), published(t, m.repo)
	t.Logf("40 runs disturbed three times: %.1f s; 40 times rawstatus run: %.1f s", took.Seconds(), time.Since(begin).Seconds())
	for name, content := range want {
		// The aliases name the run that was reduced first, which is not run 1 when runs are reduced at the same time.
		if !bytes.Equal(got[name], content) && filepath.Base(name) != ".aliases.txt" {
			t.Errorf("%s differs from what single runs leave", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, single runs left %d", len(got), len(want))
	}
}

// runningNode returns the node on which the sleeping element of the first attempt runs.
func runningNode(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("squeue", "--noheader", "--states=R", "--format=%N").Output()
	nodes := strings.Fields(string(out))
	if err != nil || len(nodes) == 0 {
		t.Fatalf("no node works on the campaign: %v", err)
	}
	return nodes[0]
}

// TestSlurmCampaignAlone leaves a campaign to its jobs after the first attempt, one element of which is killed.
func TestSlurmCampaignAlone(t *testing.T) {
	m := newMonth(t, 12, 5, `[[ $SLURM_JOB_NAME != *-1-tasks* || $SLURM_ARRAY_TASK_ID != 1 ]] || kill -9 $$`)
	begin := time.Now()
	finish(t, m.command("campaign", "--work", m.camp, "--no-wait", "--cpus-per-task", "1", "--max-jobs", "4", m.file), fault.OK)
	for end := time.Now().Add(2 * time.Minute); m.reduced() < m.runs; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %d of %d runs are reduced\n%s", m.reduced(), m.runs, finish(t, m.command("status", m.camp), fault.OK))
		}
	}
	t.Logf("12 runs: %.1f s", time.Since(begin).Seconds())
	var table campaign.Table
	if err := json.Unmarshal([]byte(finish(t, m.command("status", "--json", m.camp), fault.OK)), &table); err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Rows {
		if r.State != slurm.Done {
			t.Errorf("run %d is %s: %s", r.Run, r.State, r.Reason)
		}
	}
	if table.Rows[0].Tries+table.Rows[1].Tries+table.Rows[2].Tries < 4 {
		t.Error("the killed element's runs were not tried again")
	}
}

// TestSlurmCampaignMixed has runs of both raw formats in one campaign, which leaves what single runs leave.
func TestSlurmCampaignMixed(t *testing.T) {
	m := newMonth(t, 3, 9, "true")
	const old, detector = "xppold1", "XppGon.0:Epix100a.1"
	m.cluster.Account(t, "lcls:"+old)
	for run := 1; run <= 3; run++ {
		cfg := simulate.Config{Format: simulate.XTC1, Dir: m.data, Experiment: old, Run: run, Type: "epix100a", Detector: detector, Rows: 64, Cols: 64, Events: 20, Dead: 2}
		if _, err := simulate.Write(context.Background(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.OpenFile(m.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(file, "[[entry]]\nexp = %q\nruns = \"1-3\"\ndir = %q\ndetectors = [%q]\noptions = [\"--settle\", \"0s\"]\n", old, m.data, detector); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	finish(t, m.coordinator(), fault.OK)
	m.quiet(t)
	for run := 1; run <= 3; run++ {
		finish(t, m.command("run", "--exp", old, "--run", fmt.Sprint(run), "-d", detector, "--dir", m.data, "-o", filepath.Join(m.dir, "quiet"),
			"--work", filepath.Join(m.dir, "w-old", fmt.Sprint(run))), fault.OK)
	}
	want := published(t, filepath.Join(m.dir, "quiet"))
	got := published(t, m.repo)
	statuses := 0
	for name, content := range want {
		if filepath.Ext(name) == ".dat" {
			statuses++
			if !bytes.Equal(got[name], content) {
				t.Errorf("%s differs from that of a single run", name)
			}
		}
	}
	if statuses != 3*monthPanels+3 {
		t.Errorf("%d status files", statuses)
	}
}

// TestSlurmCampaignOverhead measures what a campaign costs against single runs, for the numbers in docs/slurm.md; of 100
// runs, for bench/README.md, when asked for: RAWSTATUS_TEST_SCALE=1.
func TestSlurmCampaignOverhead(t *testing.T) {
	runs := 40
	if os.Getenv("RAWSTATUS_TEST_SCALE") != "" {
		runs = 100
	}
	m := newMonth(t, runs, runs/2+1, "")
	cmd, calls := m.coordinator(), filepath.Join(m.dir, "calls")
	cmd.Env = append(cmd.Environ(), "PATH="+countCalls(t, calls)+":"+os.Getenv("PATH"))
	begin := time.Now()
	finish(t, cmd, fault.OK)
	took := time.Since(begin)
	begin = time.Now()
	m.quiet(t)
	single := time.Since(begin)
	t.Logf("%d runs: campaign %.2f s, single runs %.2f s, overhead %.3f s per run", runs, took.Seconds(), single.Seconds(), (took-single).Seconds()/float64(runs))
	names, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("no usage")
	}
	sbatch := strings.Count(string(names), "sbatch")
	t.Logf("coordinator: %d MB, %.2f s of processor time, calls: squeue %d, sacct %d, sbatch %d, all %d; journal %d kB", usage.Maxrss>>10,
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), strings.Count(string(names), "squeue"), strings.Count(string(names), "sacct"), sbatch,
		strings.Count(string(names), "\n"), size(t, filepath.Join(m.camp, "slurm"))>>10)
	if took-single > time.Duration(runs)*1500*time.Millisecond {
		t.Errorf("a campaign of %d small runs costs %s more than single runs", runs, took-single)
	}
	if sbatch == 0 || sbatch > 20 {
		t.Errorf("%d submissions for one array and what follows it", sbatch)
	}
}

// countCalls makes a folder of Slurm's commands that write their names into a file before they do what they do.
func countCalls(t *testing.T, log string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"squeue", "sacct", "sbatch", "scontrol", "scancel"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\necho %s >> '%s'\nexec %s \"$@\"\n", name, log, path)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
