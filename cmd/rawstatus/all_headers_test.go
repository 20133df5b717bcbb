package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/io/xtc2"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// sly is a run in which a panel's frame is damaged in some event, which nothing at the beginning of the event
// shows: the datagram has its usual size and no damage.
type sly struct {
	dir   string
	data  []string // flags that name the run
	place string   // of the damage, as errors give it
}

const slyEvent = 70

func newSly(t *testing.T, run int) *sly {
	t.Helper()
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	s := &sly{dir: t.TempDir()}
	cfg := simulate.Config{Dir: s.dir, Run: run, Type: "testcam", Panels: 4, Rows: 128, Cols: 256, Events: 120, Streams: 2, Dead: 3, Hot: 3, DamagedEvents: 1}
	if _, err := simulate.Write(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	s.data = []string{"--exp", nightExperiment, "--run", fmt.Sprint(run), "--dir", s.dir, "--settle", "0s"}
	x, err := open.Index(context.Background(), open.Dataset{Experiment: nightExperiment, Runs: ranges.One(run), Dir: s.dir}, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for p := range x.Panels {
		e := x.At(slyEvent, p)
		if e.Heading == 0 || s.place != "" {
			continue
		}
		path, at := x.Files[e.File].Path, e.Offset-int64(x.Headings[e.Heading-1].Before)+4 // damage of the ShapesData
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(binary.LittleEndian.AppendUint16(nil, xtc2.DamageOutOfSynch), at); err != nil {
			t.Fatal(err)
		}
		s.place = fmt.Sprintf("%q byte %#x: headers of a frame of %v", path, at, x.Panels[p])
	}
	if s.place == "" {
		t.Fatalf("nothing was predicted for event %d", slyEvent)
	}
	return s
}

// TestWrongPredictionEndsATask wants every way of reading to find the wrong prediction, whatever the profile.
func TestWrongPredictionEndsATask(t *testing.T) {
	s := newSly(t, 3)
	pedestals := filepath.Join(t.TempDir(), "pedestals.npy")
	if err := npy.Write(pedestals, []int{128, 256}, make([]float64, 128*256)); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{"data": nil, "dark": {"--profile", "dark"}, "max": {"-F", "11", "--pedestals", pedestals}, "light": {"-F", "1,6"},
		"flat": {"-F", "6", "--tasks", "8"}, "slice": {"--slice", "10:100,3:200"}, "by frames": {"--tasks", "9"}} {
		for _, way := range sweep.Ways {
			work := filepath.Join(t.TempDir(), "w")
			must(t, fault.OK, append(append([]string{"plan", "--work", work}, s.data...), flags...)...)
			code, _, stderr := call(t, "task", "--work", work, "--task", "all", "--read", way)
			if code != int(fault.Input) || !strings.Contains(stderr, s.place) || !strings.Contains(stderr, "differs from what was predicted") || !strings.Contains(stderr, "--all-headers") {
				t.Errorf("%s, %s: exit code %d, %s; want %s", name, way, code, stderr, s.place)
			}
			p, err := plan.Load(work)
			if err != nil {
				t.Fatal(err)
			}
			if wrong, err := plan.LoadWrongPrediction(work); err != nil || wrong == nil || wrong.Plan != p.ID || !strings.Contains(wrong.Error, s.place) {
				t.Errorf("%s, %s: note %+v, %v", name, way, wrong, err)
			}
			// The next command makes the job again from its request.
			if code, _, stderr := call(t, "submit", "--work", work, "--dry-run", "-o", t.TempDir()); code != 0 || !strings.Contains(stderr, "made again") {
				t.Errorf("%s: submitted as it is: %d, %s", name, code, stderr)
			}
			must(t, fault.OK, "plan", "--work", work)
			if q, err := plan.Load(work); err != nil || q.ID == p.ID || len(q.Tasks) != len(p.Tasks) {
				t.Errorf("%s, %s: planned again: %v", name, way, err)
			}
		}
	}
}

// TestPredictionChangesNoResult wants the same results with predictions that are right and with all headers.
func TestPredictionChangesNoResult(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	if _, err := simulate.Write(context.Background(), simulate.Config{Dir: dir, Panels: 8, Rows: 128, Cols: 256, Events: 60, Streams: 2,
		GainModes: []string{"g0", "g1"}, Hot: 3, DamagedEvents: 2, LostEvents: 1}); err != nil {
		t.Fatal(err)
	}
	var results []map[string][]byte
	for _, flags := range [][]string{{"--all-headers"}, {}} {
		to := filepath.Join(dir, fmt.Sprint("results", len(results)))
		must(t, fault.OK, append([]string{"run", "--exp", nightExperiment, "--run", "1", "--dir", dir, "--settle", "0s", "--profile", "dark", "--max-lost", "5",
			"--work", filepath.Join(to, "job"), "-o", filepath.Join(to, "repo")}, flags...)...)
		results = append(results, published(t, to))
	}
	a, errA := os.ReadFile(filepath.Join(dir, "results0", "job", "index.pack"))
	b, errB := os.ReadFile(filepath.Join(dir, "results1", "job", "index.pack"))
	if errA != nil || errB != nil || bytes.Equal(a, b) {
		t.Errorf("nothing was predicted: %v, %v", errA, errB)
	}
	if len(results[0]) < 40 || len(results[0]) != len(results[1]) {
		t.Errorf("%d files and %d", len(results[0]), len(results[1]))
	}
	for name, b := range results[0] {
		if !bytes.Equal(results[1][name], b) {
			t.Errorf("%s differs", name)
		}
	}
}

// TestRunRecoversFromAWrongPrediction wants the same bytes as with --all-headers, and one warning.
func TestRunRecoversFromAWrongPrediction(t *testing.T) {
	s := newSly(t, 3)
	job := func(name string, flags ...string) (dir, stderr string) {
		dir = filepath.Join(s.dir, name)
		code, _, stderr := call(t, append(append([]string{"run", "--work", filepath.Join(dir, "job"), "-o", filepath.Join(dir, "repo"), "--max-lost", "2"}, s.data...), flags...)...)
		if code != 0 {
			t.Fatalf("%s: exit code %d, %s", name, code, stderr)
		}
		return dir, stderr
	}
	right, _ := job("right", "--all-headers")
	quick, stderr := job("quick")
	if strings.Count(stderr, "all headers are read") != 1 || strings.Count(stderr, s.place) != 1 {
		t.Errorf("not one warning: %s", stderr)
	}
	same := func(dir string) {
		t.Helper()
		want, got := published(t, right), published(t, dir)
		if len(want) < 8 || len(want) != len(got) {
			t.Errorf("%d files and %d", len(got), len(want))
		}
		for name, b := range want {
			if !bytes.Equal(got[name], b) {
				t.Errorf("%s differs", name)
			}
		}
		for _, file := range []string{"index.pack", "tasks/task-00000.pack", "tasks/task-00003.pack"} {
			a, errA := os.ReadFile(filepath.Join(right, "job", file))
			b, errB := os.ReadFile(filepath.Join(dir, "job", file))
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%s differs: %v, %v", file, errA, errB)
			}
		}
	}
	same(quick)
	if _, stderr = job("quick"); strings.Count(stderr, "partial is already there") != 4 {
		t.Errorf("the second time: %s", stderr)
	}
	same(quick)
	// The damaged frames are lost, and nothing else.
	p, err := plan.Load(filepath.Join(quick, "job"))
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, u := range p.Units {
		lost += u.Lost[frame.Damaged.String()]
	}
	if lost != 2 {
		t.Errorf("%d damaged frames", lost)
	}
}

// TestSlurmRecoversFromAWrongPrediction wants the repair job to plan and submit again, and the right results.
func TestSlurmRecoversFromAWrongPrediction(t *testing.T) {
	n := &night{cluster: testenv.Slurm(t), bin: programs(t)}
	n.cluster.Account(t, "lcls:"+nightExperiment)
	s := newSly(t, 3)
	n.data = s.dir
	j := n.job(t, nil)
	quiet := n.job(t, nil)
	quiet.call(t, fault.OK, append([]string{"run", "--all-headers", "--max-lost", "2", "--work", filepath.Join(quiet.dir, "quiet")}, s.data...)...)
	j.want = published(t, quiet.repo)
	_, stderr := j.submit(t, fault.OK, "--max-lost", "2", "--wait")
	j.same(t)
	if r := j.until(t, "the repair job is over", func(r *slurm.Report) bool { return !r.Active }); !r.Done || r.Attempts != 2 {
		t.Errorf("%+v\n%s", r, stderr)
	}
	if all := j.attempts(t); len(all) != 2 || all[0].Plan == all[1].Plan {
		t.Errorf("%d attempts, want one at each of two plans", len(all))
	}
	// The request is in the work directory: a submission that does not name the raw data goes the same way.
	k := n.job(t, nil)
	k.want = j.want
	k.call(t, fault.OK, append([]string{"plan", "--max-lost", "2", "--work", k.work}, s.data...)...)
	k.call(t, fault.OK, "submit", "--work", k.work, "--wait")
	k.same(t)
}

// TestSlurmCampaignRecoversFromAWrongPrediction wants the job behind an array to plan again.
func TestSlurmCampaignRecoversFromAWrongPrediction(t *testing.T) {
	cluster := testenv.Slurm(t)
	m := &month{cluster: cluster, bin: programs(t), dir: cluster.TempDir(t), runs: 1}
	m.cluster.Account(t, "lcls:"+nightExperiment)
	s := newSly(t, 1)
	m.data, m.camp, m.repo, m.file = s.dir, filepath.Join(m.dir, "camp"), filepath.Join(m.dir, "repo"), filepath.Join(m.dir, "one.toml")
	file := fmt.Sprintf("name = \"one\"\n[[entry]]\nexp = %q\nruns = \"1\"\ndir = %q\ndetectors = [\"testcam\"]\noptions = [\"--settle\", \"0s\", \"--max-lost\", \"2\"]\n",
		nightExperiment, m.data)
	site := fmt.Sprintf("timezone = \"UTC\"\ngroup = \"\"\nrepository = %q\n", m.repo)
	for path, text := range map[string]string{filepath.Join(m.dir, "site.toml"): site, m.file: file} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, m.command("campaign", "--work", m.camp, "--no-wait", "--cpus-per-task", "1", m.file), fault.OK)
	for end := time.Now().Add(2 * time.Minute); m.reduced() == 0; time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not reduced: %s", finish(t, m.command("status", m.camp), fault.OK))
		}
	}
	quiet := filepath.Join(m.dir, "quiet")
	finish(t, m.command("run", append([]string{"--all-headers", "--max-lost", "2", "-o", quiet, "--work", filepath.Join(m.dir, "w")}, s.data...)...), fault.OK)
	want, got := published(t, quiet), published(t, m.repo)
	for name, b := range want {
		if !bytes.Equal(got[name], b) {
			t.Errorf("%s differs", name)
		}
	}
	if len(want) == 0 {
		t.Error("nothing to compare")
	}
}
