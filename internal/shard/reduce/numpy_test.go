package reduce

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/testenv"
)

// TestJobEqualsNumpy compares planes, status and limits with a numpy computation of the same rules.
func TestJobEqualsNumpy(t *testing.T) {
	py := testenv.Numpy(t)
	short := func(e, p int) frame.State {
		if p == 2 && e >= 2 {
			return frame.Missing
		}
		return frame.Present
	}
	for _, profile := range []string{"data", "dark"} {
		for _, per := range []string{"detector", "panel"} {
			t.Run(profile+"/"+per, func(t *testing.T) {
				par := params(profile)
				par.LimitsPer, par.AllowIncomplete = per, true
				par.GainRule = "impossible"
				againstNumpy(t, py, rawRun(t, 3, []string{"g1"}, 90, short), par)
			})
		}
	}
}

// TestRealRunsAgainstNumpy does the same with the frames of real cameras.
func TestRealRunsAgainstNumpy(t *testing.T) {
	py := testenv.Numpy(t)
	for _, run := range []struct {
		exp, det string
		run      int
	}{{"ueddaq02", "epixquad", 109}, {"mfx101332224", "jungfrau", 7}} {
		x, err := open.Index(context.Background(), open.Dataset{Experiment: run.exp, Runs: ranges.One(run.run),
			Dir: testenv.Tree(t, "data/xtc2/"+run.exp+"/xtc"), Detector: run.det}, open.Options{Settle: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for _, profile := range []string{"data", "dark"} {
			t.Run(run.det+"/"+profile, func(t *testing.T) {
				par := params(profile)
				par.MinFrames = 2
				x, err := plan.Prepare(context.Background(), x, par, sweep.Cached)
				if err != nil {
					t.Fatal(err)
				}
				if profile == "dark" && run.det == "jungfrau" {
					par.GainRule = "expected"
				}
				againstNumpy(t, py, x, par)
			})
		}
	}
}

// againstNumpy runs one detector with one group through task and reduce, and through reference.py.
func againstNumpy(t *testing.T, py string, x *frame.Index, par plan.Params) {
	t.Helper()
	j := prepare(t, x, par, 2*len(x.Panels))
	j.tasks(t, 2)
	sum := j.reduce(t)
	dir := t.TempDir()
	dumpFrames(t, j, dir)
	var gain []uint16
	f, _ := detector.Lookup(j.plan.Dataset.Type)
	if mode := f.GainIndex(j.plan.Groups[0].GainMode); f.GainPatterns != nil && mode >= 0 {
		gain = []uint16{f.GainBits, f.GainPatterns[mode], f.NeverPattern}
	}
	b, err := json.Marshal(map[string]any{"params": par, "panels": len(j.plan.Units), "gain": gain})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "job.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(py, "testdata/reference.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("reference.py: %v\n%s", err, out)
	}
	for i, p := range sum.Groups[0].Panels {
		merged, err := loadMerged(j.work, j.plan, i)
		if err != nil {
			t.Fatal(err)
		}
		if len(merged.set.Planes) < 6 {
			t.Fatalf("panel %d has %d planes", i, len(merged.set.Planes))
		}
		for _, q := range merged.set.Planes {
			if want := readNpy(t, dir, q.Name, i); !reflect.DeepEqual(q.Data, want) {
				t.Errorf("panel %d: plane %s differs from numpy's", i, q.Name)
			}
		}
		read, err := j.repo.ReadStatus(p.File, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := readNpy(t, dir, "status", i); !reflect.DeepEqual(any(read.Dense()), want) {
			t.Errorf("panel %d: status differs from numpy's", i)
		}
	}
	compareLimits(t, sum, filepath.Join(dir, "limits.json"))
}

func dumpFrames(t *testing.T, j job, dir string) {
	t.Helper()
	x, err := j.plan.OpenIndex(j.work)
	if err != nil {
		t.Fatal(err)
	}
	src, err := sweep.Open(j.plan.Dataset.Files, "", sweep.Options{Headings: x.Headings})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for u := range j.plan.Units {
		panel := j.plan.Dataset.Panels[j.plan.Units[u].Panel]
		exts, err := x.Frames(u)
		if err != nil {
			t.Fatal(err)
		}
		px, err := src.Pixels(context.Background(), panel, exts, sweep.Span{Hi: panel.Pixels()})
		if err != nil {
			t.Fatal(err)
		}
		var all []uint16
		for _, f := range px {
			all = append(all, f...)
		}
		if err := npy.Write(filepath.Join(dir, fmt.Sprintf("frames%d.npy", u)), []int{len(exts), panel.Rows, panel.Cols}, all); err != nil {
			t.Fatal(err)
		}
	}
}

func readNpy(t *testing.T, dir, name string, i int) any {
	t.Helper()
	a, err := npy.Read(filepath.Join(dir, fmt.Sprintf("%s%d.npy", name, i)))
	if err != nil {
		t.Fatal(err)
	}
	return a.Data
}

func compareLimits(t *testing.T, sum *Summary, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []struct{ Rms, Ave [4]float64 }
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	k := map[string]int{}
	for _, g := range sum.Groups[0].Limits {
		w := want[k[g.Name]].Rms
		if g.Name == "average" {
			w = want[k[g.Name]].Ave
		}
		k[g.Name]++
		for l, got := range []repo.Number{g.Lo, g.Hi, g.Centre, g.Spread} {
			if math.Abs(float64(got)-w[l]) > 1e-12*math.Abs(w[l]) {
				t.Errorf("limits of %s: %+v, numpy has %v", g.Name, g, w)
			}
		}
	}
	if len(want) == 0 || k["rms"] != len(want) || k["average"] != len(want) {
		t.Errorf("%v sets of limits, numpy has %d", k, len(want))
	}
}
