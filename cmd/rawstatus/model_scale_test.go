package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv/slurmsim"
)

// TestModelScale measures the engine with the model as scheduler, for bench/README.md: a campaign of 1000 runs, and a plan of
// 10 000 tasks. It takes minutes, so it runs when asked for: RAWSTATUS_TEST_SCALE=1.
func TestModelScale(t *testing.T) {
	runs, tasks := 12, 60
	if os.Getenv("RAWSTATUS_TEST_SCALE") != "" {
		runs, tasks = 1000, 10000
	}
	s := newStage(t)
	t.Run("campaign", func(t *testing.T) { s.scaleCampaign(t, runs) })
	t.Run("tasks", func(t *testing.T) { s.scaleTasks(t, tasks) })
}

// scale is a world in which nothing goes wrong, with a cluster of many nodes.
func (s *stage) scale(t *testing.T, name string) *world {
	w := &world{stage: s, t: t, rand: rand.New(rand.NewPCG(1, 1)), dir: filepath.Join(s.dir, name), accepted: map[int]bool{}}
	w.site(t)
	return w
}

func (w *world) large() {
	w.c = slurmsim.New(slurmsim.Config{Nodes: 50, CPUs: 16, MaxArraySize: 1001, MaxJobCount: 100000, Rand: w.rand, Body: w.body, Terminated: fault.New(fault.Temporary, "terminated")})
}

// measure types commands, the last of which follows the jobs to their end, and reports what it took.
func (w *world) measure(t *testing.T, pieces int, journal string, commands ...[]string) {
	t.Helper()
	// The clock of this test stands still while processes work, so the time is read from the system.
	begin := realTime()
	code, stderr := -1, ""
	polls := 0
	w.c.Go(&slurmsim.Process{Name: "coordinator", Host: "login", Env: map[string]string{}}, func(p *slurmsim.Process) slurmsim.Status {
		for _, args := range commands {
			if code, _, stderr = w.program(slurm.WithSystem(p.Context(), counting{p, &polls}), args); code != 0 {
				break
			}
		}
		return slurmsim.Status{Code: code}
	}, func(slurmsim.Status) {})
	if !w.c.Run(modelHorizon, func() bool { return w.c.Persons() == 0 && w.c.Quiet() }) || code != 0 {
		t.Fatalf("%v: exit code %d\n%s", commands, code, stderr)
	}
	for _, wrong := range w.c.Wrong {
		t.Errorf("the model does not know: %s", wrong)
	}
	calls := w.c.Calls
	sum := 0
	for _, n := range calls {
		sum += n
	}
	t.Logf("%d pieces: %.1f s, %.1f h of virtual time, %d polls; calls of squeue %d, sacct %d, sbatch %d, others %d: %.1f for 1000 pieces; journal %d kB; most memory of the process, with all jobs and the model, %d MB",
		pieces, (realTime() - begin).Seconds(), w.c.Elapsed().Hours(), polls, calls["squeue"], calls["sacct"], calls["sbatch"], sum-calls["squeue"]-calls["sacct"]-calls["sbatch"],
		1000*float64(sum)/float64(pieces), size(t, journal)>>10, peak(t)>>20)
	if most := 3*polls + 20; calls["squeue"] > most || calls["sacct"] > most {
		t.Errorf("%d calls of squeue and %d of sacct for %d polls", calls["squeue"], calls["sacct"], polls)
	}
}

// counting counts the waits of a coordinator: it polls once before each.
type counting struct {
	*slurmsim.Process
	polls *int
}

func (c counting) Sleep(ctx context.Context, d time.Duration) error {
	*c.polls++
	return c.Process.Sleep(ctx, d)
}

func (s *stage) scaleCampaign(t *testing.T, runs int) {
	w := s.scale(t, "campaign")
	data := filepath.Join(w.dir, "data")
	for run := 1; run <= runs; run++ {
		_, err := simulate.Write(context.Background(), simulate.Config{Dir: data, Experiment: modelExperiment, Run: run, Type: nightDetector, Panels: 1, Rows: 16, Cols: 16, Events: 10, Streams: 1})
		if err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(w.dir, "scale.toml")
	text := fmt.Sprintf("name = \"scale\"\n[[entry]]\nexp = %q\nruns = \"1-%d\"\ndir = %q\ndetectors = [%q]\noptions = [\"--settle\", \"0s\"]\n", modelExperiment, runs, data, nightDetector)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	camp := filepath.Join(w.dir, "camp")
	synctest.Test(t, func(t *testing.T) {
		w.large()
		defer w.c.Close()
		w.measure(t, runs, filepath.Join(camp, "slurm"), []string{"campaign", "--work", camp, "--every", "1m", "--cpus-per-task", "1", "--max-jobs", "200", file})
	})
}

func (s *stage) scaleTasks(t *testing.T, tasks int) {
	w := s.scale(t, "tasks")
	data := filepath.Join(w.dir, "data")
	// A task has at least 64 frames.
	_, err := simulate.Write(context.Background(), simulate.Config{Dir: data, Experiment: modelExperiment, Run: 3, Type: nightDetector, Panels: 32, Rows: 8, Cols: 8, Events: 2*tasks + 640, Streams: 1})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w.large()
		defer w.c.Close()
		w.measure(t, tasks, filepath.Join(w.work(), "slurm"), []string{"submit", "--exp", modelExperiment, "--run", modelRun, "--dir", data, "--settle", "0s", "--work", w.work(), "--tasks", fmt.Sprint(tasks), "--cpus-per-task", "1"},
			[]string{"status", "--watch", "--every", "1m", w.work()})
		if p, err := plan.Load(w.work()); err != nil || len(p.Tasks) != tasks {
			t.Errorf("%v: the plan has not %d tasks", err, tasks)
		}
	})
}

// size sums the sizes of the files below a folder.
func size(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			st, errStat := d.Info()
			if errStat != nil {
				return errStat
			}
			sum += st.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// peak is the most memory that this process ever had.
func peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var kB int64
	if m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(text)); m != nil {
		if _, err := fmt.Sscan(m[1], &kB); err != nil {
			t.Fatal(err)
		}
	}
	return kB << 10
}

// realTime is the time since the machine was started, also where time.Now is virtual.
func realTime() time.Duration {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	var seconds float64
	if _, err := fmt.Sscan(strings.Fields(string(text))[0], &seconds); err != nil {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
