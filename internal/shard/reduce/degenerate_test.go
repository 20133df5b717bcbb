package reduce

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
)

// pixelRun makes a run in which every pixel has a value by frame and place.
func pixelRun(t *testing.T, panels, frames int, pixel func(frame, i int) uint16) *frame.Index {
	t.Helper()
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tstx00117", Number: 12, Begin: time.Unix(1.6e9, 0).UTC()},
		Steps: []frame.Step{{Events: frames}}}
	var raw bytes.Buffer
	for p := range panels {
		x.Panels = append(x.Panels, frame.Panel{Detector: "cam", Type: "opal", Segment: p, Rows: rows, Cols: cols})
	}
	for e := range frames {
		x.Events = append(x.Events, frame.Event{TS: uint64(e)})
		for range panels {
			x.Extents = append(x.Extents, frame.Extent{Offset: int64(raw.Len()), Length: 2 * rows * cols})
			for i := range rows * cols {
				v := pixel(e, i)
				raw.Write([]byte{byte(v), byte(v >> 8)})
			}
		}
	}
	path := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	x.Files = []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime().UTC()}}
	return x
}

// TestUnjudgedPixelsAreNeverGood is the table of outcomes of a whole job over data that leave a rule without an
// answer: no pixel is good that was not judged.
func TestUnjudgedPixelsAreNeverGood(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	noise := func(int, int) uint16 { return 1000 + uint16(r.IntN(50)) }
	constant := func(v uint16) func(int, int) uint16 { return func(int, int) uint16 { return v } }
	file := func(v float64, panels int) string {
		ped := make([]float64, panels*rows*cols)
		for i := range ped {
			ped[i] = v
		}
		path := filepath.Join(t.TempDir(), "pedestals.npy")
		if err := npy.Write(path, []int{panels, rows, cols}, ped); err != nil {
			t.Fatal(err)
		}
		return path
	}
	robust := func(p *plan.Params) { p.Limits = "robust" }
	none := func(*plan.Params) {}
	keep := func(p *plan.Params) { p.KeepZeros = true }
	pedestals := func(path string) func(*plan.Params) { return func(p *plan.Params) { p.Pedestals = path } }
	for _, c := range []struct {
		name    string
		profile string
		f       []int
		frames  int
		pixel   func(int, int) uint16
		change  func(*plan.Params)
		want    uint64 // of every pixel of the last panel
	}{
		{"data, no usable frame", "data", nil, 20, noise, func(p *plan.Params) { p.Skip = 20 }, status.NoData},
		{"dark, no usable frame", "dark", nil, 20, noise, func(p *plan.Params) { p.Skip = 20 }, status.NoData},
		{"features, no usable frame", "features", []int{1, 2, 3, 6, 11}, 20, noise, func(p *plan.Params) { p.Skip = 20 }, status.NoData},
		{"data, too few frames", "data", nil, 2, noise, none, status.LowStats},
		{"dark, too few frames", "dark", nil, 2, noise, none, status.LowStats},
		{"features, too few frames", "features", []int{1, 2, 3, 6}, 2, noise, none, status.LowStats},
		{"one frame", "features", []int{3}, 1, noise, func(p *plan.Params) { p.MinFrames = 1 }, status.EvalError},
		{"data, all frames equal", "data", nil, 20, constant(1000), none, status.RmsLow},
		{"data, all frames equal, robust", "data", nil, 20, constant(1000), robust, status.RmsLow},
		{"dark, all frames equal", "dark", nil, 20, constant(1000), none, status.RmsLow},
		{"data, dead link", "data", nil, 20, constant(0), none, status.NoData},
		{"features, dead link", "features", []int{1, 2, 3, 6, 11}, 20, constant(0), none, status.NoData},
		{"data, all zero", "data", nil, 20, constant(0), keep, status.RmsLow | status.IntLow | status.AveLow},
		{"data, all saturated", "data", nil, 20, constant(0x3fff), robust, status.RmsLow | status.IntHigh | status.AveHigh},
		{"means equal", "features", []int{1, 2}, 20, constant(1000), none, status.EvalError},
		{"no noise", "features", []int{3}, 20, constant(1000), none, status.StdLow},
		{"no light", "features", []int{1, 6}, 20, constant(1000), none, status.EvalError},
		{"all dead", "features", []int{2}, 20, constant(0), keep, status.MeanLow},
		{"no pedestals", "features", []int{11}, 20, noise, none, status.EvalError},
		{"no pedestals, other features", "features", []int{1, 2, 3, 11}, 20, noise, none, status.EvalError},
		{"calib directory without pedestals", "features", []int{11}, 20, noise, pedestals(t.TempDir()), status.EvalError},
		{"NaN pedestals", "features", []int{11}, 20, noise, pedestals(file(math.NaN(), 2)), status.EvalError},
		{"panel without pedestals", "features", []int{11}, 20, noise, pedestals(file(1000, 1)), status.EvalError},
		{"maxima equal", "features", []int{11}, 20, constant(1000), pedestals(file(1000, 2)), status.EvalError},
		{"infinite pedestals", "features", []int{11}, 20, noise, pedestals(file(math.Inf(1), 2)), status.EvalError},
	} {
		t.Run(c.name, func(t *testing.T) {
			par := params(c.profile)
			par.Features, par.AllowIncomplete = c.f, true
			c.change(&par)
			j := prepare(t, pixelRun(t, 2, c.frames, c.pixel), par, 3)
			j.tasks(t, 1)
			list := j.statuses(t, j.reduce(t))
			for i, s := range list[len(list)-1] {
				if s != c.want {
					t.Fatalf("pixel %d has status %s, wanted %s", i, status.Names(par.Family(), s), status.Names(par.Family(), c.want))
				}
			}
		})
	}
}

// TestEmptySelectionsAreRefusedBeforeAnyWork are refused before any work is done.
func TestEmptySelectionsAreRefusedBeforeAnyWork(t *testing.T) {
	x := pixelRun(t, 1, 10, func(int, int) uint16 { return 1000 })
	for name, c := range map[string]struct {
		change func(*plan.Params)
		code   fault.Code
		text   string
	}{
		"no such step":    {func(p *plan.Params) { p.Steps = []int{4} }, fault.Input, "no step 4"},
		"no such segment": {func(p *plan.Params) { p.Segments = []int{4} }, fault.Input, "no segment 4"},
		"all skipped":     {func(p *plan.Params) { p.Skip = 10 }, fault.Incomplete, "no usable frame"},
		"window too big":  {func(p *plan.Params) { p.Profile, p.Features, p.Window = "features", []int{6}, []int{99, 3} }, fault.Usage, "window"},
		"not finite":      {func(p *plan.Params) { p.SNRMax = math.Inf(1) }, fault.Usage, "snrmax"},
		"gain rule":       {func(p *plan.Params) { p.Profile, p.GainRule = "dark", "expected" }, fault.Usage, "gain rule"},
	} {
		par := params("data")
		c.change(&par)
		_, err := plan.Build(x, plan.IndexSums{}, par, plan.Options{})
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLimitsWithoutNumbers: a feature that could judge nothing has no limits. The summary has null in
// their place, the sidecar says why they are not there; those of the other features are complete.
func TestLimitsWithoutNumbers(t *testing.T) {
	par := params("features")
	par.Features = []int{2, 11}
	r := rand.New(rand.NewPCG(31, 32))
	j := prepare(t, pixelRun(t, 1, 20, func(int, int) uint16 { return 1000 + uint16(r.IntN(50)) }), par, 1)
	j.tasks(t, 1)
	s := j.reduce(t)
	b, err := os.ReadFile(plan.SummaryFile(j.work))
	if err != nil || !strings.Contains(string(b), `"centre": null`) {
		t.Errorf("summary: %v\n%s", err, b)
	}
	kept, err := LoadSummary(j.work)
	if err != nil || len(kept.Groups[0].Limits) != 2 || !math.IsNaN(float64(kept.Groups[0].Limits[1].Spread)) {
		t.Errorf("summary read back: %+v, %v", kept, err)
	}
	sc, err := repo.ReadSidecar(s.Groups[0].Panels[0].File)
	if err != nil {
		t.Fatal(err)
	}
	if len(sc.Limits) != 1 || sc.Limits[0].Name != "F2 mean" || sc.Limits[0].Centre < 1000 || sc.Limits[0].Spread <= 0 {
		t.Errorf("limits in the sidecar: %+v", sc.Limits)
	}
	if len(sc.Notes) != 1 || !strings.Contains(sc.Notes[0], "limits of F11 max - pedestal are not finite") {
		t.Errorf("notes in the sidecar: %v", sc.Notes)
	}
}
