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

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/xtc2"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/simulate"
)

// sly is a run in which a panel's frame is damaged in some event, which nothing at the beginning of the event
// tells: the datagram has its usual size and no damage.
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
	x, err := open.Index(context.Background(), open.Dataset{Experiment: nightExperiment, Runs: open.OneRun(run), Dir: s.dir}, open.Options{})
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
	for name, flags := range map[string][]string{"data": nil, "dark": {"--profile", "dark"}, "max": {"-F", "11"}, "light": {"-F", "1,6"},
		"flat": {"-F", "6", "--tasks", "8"}, "slice": {"--slice", "10:100,3:200"}, "by frames": {"--tasks", "9"}} {
		for _, way := range []string{frame.Mapped, frame.Pread} {
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
			if doubt, err := plan.LoadDoubt(work); err != nil || doubt == nil || doubt.Plan != p.ID || !strings.Contains(doubt.Error, s.place) {
				t.Errorf("%s, %s: note %+v, %v", name, way, doubt, err)
			}
			if code, _, stderr := call(t, "submit", "--work", work, "--dry-run", "-o", t.TempDir()); code != int(fault.Slurm) && (code != int(fault.Input) || !strings.Contains(stderr, "plan --all-headers --work")) {
				t.Errorf("%s: submitted as it is: %d, %s", name, code, stderr)
			}
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
	// What was damaged is lost, and nothing else.
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
