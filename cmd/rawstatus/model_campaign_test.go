package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/slurmsim"
)

// modelRuns are the runs of the campaign of all scenarios.
const modelRuns = 5

// newCampaignStage makes the runs, the campaign file and what single commands leave of each run.
func newCampaignStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.data = filepath.Join(s.dir, "runs")
	w := &world{stage: s, dir: filepath.Join(s.dir, "quiet-campaign")}
	w.site(t)
	for run := 1; run <= modelRuns; run++ {
		_, err := simulate.Write(context.Background(), simulate.Config{Dir: s.data, Experiment: modelExperiment, Run: run, Type: nightDetector, Panels: 2, Rows: 16, Cols: 16, Events: 24, Streams: 1, Dead: 1, Hot: 1, Seed: uint64(run)})
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"run", "--exp", modelExperiment, "--run", fmt.Sprint(run), "--dir", s.data, "--settle", "0s", "--work", filepath.Join(w.dir, fmt.Sprint(run))}
		if code, _, stderr := w.program(context.Background(), args); code != 0 {
			t.Fatalf("%v: exit code %d\n%s", args, code, stderr)
		}
	}
	text := fmt.Sprintf("name = \"model\"\ndeploy = true\n[[entry]]\nexp = %q\nruns = \"1-%d\"\ndir = %q\ndetectors = [%q]\noptions = [\"--settle\", \"0s\", \"--tasks\", \"2\"]\n", modelExperiment, modelRuns, s.data, nightDetector)
	if err := os.WriteFile(filepath.Join(s.dir, "model.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s.quiet = []map[string]string{statusFiles(t, w.repo())}
	quiet := strings.Replace(text, "deploy = true\n", "", 1)
	if err := os.WriteFile(filepath.Join(s.dir, "quiet.toml"), []byte(quiet), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// wishes are those of the persons of a campaign.
type wishes struct {
	starts int // of coordinators
	ended  int // attempts that there were when a person heard that the campaign is cancelled; 0: that has not been, or somebody has started a coordinator since
}

func (c *wishes) start() { c.starts, c.ended = c.starts+1, 0 }

// stop is a person who cancels.
func (w *world) stop(c *wishes, kill int) {
	starts := c.starts
	w.person([]string{"cancel", w.work()}, kill, func(code int, _, _ string) {
		if code == 0 && starts == c.starts {
			attempts, err := slurm.LoadAttempts(w.work())
			if err != nil {
				w.fail("%v", err)
			}
			c.ended = len(attempts)
		}
	})
}

// neverSubmitted wants nothing submitted after a cancellation.
func (w *world) neverSubmitted(c *wishes) {
	if c.ended == 0 {
		return
	}
	attempts, err := slurm.LoadAttempts(w.work())
	if err != nil {
		w.fail("%v", err)
	}
	if len(attempts) > c.ended {
		w.fail("%d attempts, and there were %d when the campaign was cancelled", len(attempts), c.ended)
	}
}

// coordinate is a person who starts a coordinator.
func (w *world) coordinate(kill int, more ...string) {
	args := append([]string{"campaign", "--work", w.work(), "--max-jobs", "6", "--cpus-per-task", "1", "--time", "30", "--every", "20s"}, more...)
	file := "quiet.toml"
	if w.deploys {
		args, file = append(args, "-c", filepath.Join(w.dir, "calib")), "model.toml"
	}
	w.person(append(args, filepath.Join(w.stage.dir, file)), kill, nil)
}

// deployRun plays mergedeploy for an element of a campaign: what the repository holds of a run is deployed for a request once.
func (w *world) deployRun(ctx context.Context, _ *environment, words []string) error {
	value := func(flag string) string { return words[slices.Index(words, flag)+1] }
	p := slurm.SystemOf(ctx).(*slurmsim.Process)
	if !p.Work(w.between(time.Second, 3*time.Minute)) {
		return fault.New(fault.Temporary, "terminated")
	}
	if w.chaos && w.budget > 0 && w.chance(20) {
		w.budget--
		return fault.New(fault.Temporary, "the disk is full")
	}
	j := slurm.Piece{Work: value("--job-of"), Plan: value("--plan"), Request: value("--request")}
	if _, err := j.Admit(); err != nil {
		return err
	}
	run, err := strconv.Atoi(value("--run"))
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(w.deployments, func(d deployment) bool { return d.request == j.Request }) {
		w.deployments = append(w.deployments, deployment{request: j.Request, plan: j.Plan, variant: run, at: w.c.Elapsed()})
		w.say("run %d is deployed for request %.8s", run, j.Request)
		got, name := statusFiles(w.t, w.repo()), fmt.Sprintf("_r%04d_", run)
		files := 0
		for file, values := range w.quiet[0] {
			if !strings.Contains(file, name) {
				continue
			}
			if files++; got[file] != values {
				w.fail("what is deployed of run %d is not what a single command leaves", run)
			}
		}
		if files == 0 {
			w.fail("no file of run %d is named %s", run, name)
		}
	}
	return j.Deployed(slurm.Deployment{Record: "record", Place: "calib", Time: time.Now()})
}

// inOrder wants runs to be deployed in ascending order, each once, as long as no person has gone on with one that had failed.
func (w *world) inOrder() {
	for i, d := range w.deployments[min(1, len(w.deployments)):] {
		if before := w.deployments[i]; d.variant <= before.variant {
			w.fail("run %d is deployed after run %d", d.variant, before.variant)
		}
	}
}

// playCampaign is a campaign with coordinators that die, or are two at a time, and a person who cancels.
func (s *stage) playCampaign(t *testing.T, seed uint64) *world {
	w := &world{stage: s, t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 16)), dir: filepath.Join(s.dir, fmt.Sprint("campaign", seed)), accepted: map[int]bool{}, wish: 0, chaos: true}
	w.site(t)
	defer os.RemoveAll(w.dir)
	synctest.Test(t, func(t *testing.T) {
		w.c = w.cluster()
		defer w.c.Close()
		chaos := w.between(10*time.Minute, 2*time.Hour)
		w.troubles(chaos)
		w.damage, w.deploys = false, w.chance(60)
		startMergedeploy = w.deployRun
		defer func() { startMergedeploy = mergedeploy }()
		w.coordinate(w.kill())
		var c wishes
		for range w.rand.IntN(4) {
			act := []func(){
				func() { c.start(); w.coordinate(w.kill()) },
				func() { c.start(); w.coordinate(w.kill(), "--no-wait") },
				func() { c.start(); w.coordinate(0); w.coordinate(w.kill()) },
				func() { w.stop(&c, w.kill()) },
				func() { w.person([]string{"status", w.work()}, w.kill(), nil) },
			}[w.rand.IntN(5)]
			w.c.At(w.between(time.Second, chaos), act)
		}
		w.c.Run(chaos, func() bool { return w.c.Elapsed() > chaos })
		w.chaos, w.c.Down, w.c.AcctDown = false, false, false
		w.say("-- nothing goes wrong any more")
		w.settle("afterwards")
		w.neverSubmitted(&c)
		w.inOrder()
		w.judgeCampaign()
		if w.deploys && len(w.deployments) != modelRuns || !w.deploys && len(w.deployments) > 0 {
			w.fail("%d deployments of %d runs", len(w.deployments), modelRuns)
		}
	})
	return w
}

// judgeCampaign follows the hints until the campaign is done.
func (w *world) judgeCampaign() {
	for try := 0; ; try++ {
		code, text := -1, ""
		w.person([]string{"status", w.work()}, 0, func(c int, stdout, stderr string) { code, text = c, stdout+stderr })
		w.settle("status")
		if code == 0 {
			break
		}
		calls := w.c.Calls["sbatch"]
		switch m := hinted.FindStringSubmatch(text); {
		case try == 6:
			w.fail("still not done after %d commands of a person: exit code %d: %s", try, code, text)
			return
		case m != nil && m[1] == "scontrol release":
			w.slurm(func(p *slurmsim.Process) {
				_, _, _ = p.Command(p.Context(), "scontrol", append([]string{"release"}, strings.Fields(m[2])...)...)
			})
		case strings.Contains(text, "rawstatus campaign --retry --work "):
			w.person([]string{"campaign", "--retry", "--work", w.work(), "--every", "20s"}, 0, nil)
		case code == int(fault.Usage): // killed before it left anything
			w.coordinate(0)
		default:
			w.fail("no command that goes on: exit code %d: %s", code, text)
			return
		}
		w.settle("after a person's command")
		w.say("%d calls of sbatch more", w.c.Calls["sbatch"]-calls)
	}
	if !w.holds(0) {
		w.fail("the repository is not what single commands leave")
	}
	if n := w.c.Calls["sbatch"]; n > 60+40*w.persons {
		w.fail("%d calls of sbatch for %d commands", n, w.persons)
	}
	for _, wrong := range w.c.Wrong {
		w.fail("the model of Slurm does not know: %s", wrong)
	}
}

// TestModelCampaigns plays random campaigns from the seed on.
func TestModelCampaigns(t *testing.T) {
	n := scenarios(t, 30)
	first, begin := testenv.Seed(t), time.Now()
	s := newCampaignStage(t)
	for seed := first; seed < first+uint64(n); seed++ {
		if w := s.playCampaign(t, seed); len(w.failures) > 0 {
			t.Errorf("seed %d:\n  %s\nscenario:\n%s\nto repeat: %s=%d go test -short -run TestModelCampaigns ./cmd/rawstatus", seed, strings.Join(w.failures, "\n  "), strings.Join(w.lines, "\n"), testenv.SeedVariable, seed)
			return
		}
	}
	t.Logf("%d campaigns in %.1f s", n, time.Since(begin).Seconds())
}
