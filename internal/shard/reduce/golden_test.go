package reduce

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/golden"
)

// TestGoldenThroughTheJob takes the frames of every golden case through plan, task and reduce, with one
// and with several tasks, and wants the status that the original software produced.
func TestGoldenThroughTheJob(t *testing.T) {
	results := 0
	for _, kind := range []string{"dark", "pixel_status"} {
		for _, c := range golden.Cases(t, kind) {
			for _, r := range c.Results {
				if r.Summary.NoResult {
					continue
				}
				results++
				t.Run(c.Name+"/"+r.Dir, func(t *testing.T) {
					var first map[string][]byte
					x, par := goldenInput(t, c, r)
					for _, tasks := range []int{1, 7} {
						j := prepare(t, x, par, tasks)
						j.tasks(t, 2)
						sum := j.reduce(t)
						if r.Summary.Stage1Only {
							compareGates(t, j, r)
							continue
						}
						compareGolden(t, j, sum, r)
						if got := j.results(t, sum); first == nil {
							first = got
						} else if !reflect.DeepEqual(keys(got), keys(first)) || !reflect.DeepEqual(got, first) {
							t.Errorf("%d tasks leave other bytes than one", tasks)
						}
					}
				})
			}
		}
	}
	if results < 100 {
		t.Errorf("only %d results found", results)
	}
}

func keys(m map[string][]byte) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

// goldenInput returns index and parameters for a result.
func goldenInput(t *testing.T, c *golden.Case, r *golden.Result) (*frame.Index, plan.Params) {
	t.Helper()
	path := filepath.Join(testenv.Shared(t), "golden", c.Name, "frames.npy")
	if r.FrameRange != nil {
		path = framesOf(t, c, r)
	}
	opt := npy.IndexOptions{Experiment: "gold", Run: 1, Begin: time.Unix(1e9, 0)}
	if r.GainIndex != nil {
		opt.Type, opt.GainMode = "jungfrau", fmt.Sprintf("g%d", *r.GainIndex)
	}
	x, err := npy.BuildIndex(context.Background(), []string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	par := goldenParams(t, c, r)
	if x, err = plan.Prepare(context.Background(), x, par, sweep.Cached); err != nil {
		t.Fatal(err)
	}
	if r.GatesFrom != nil {
		for _, other := range c.Results {
			if other.Dir == *r.GatesFrom {
				gates, gatePar := goldenInput(t, c, other)
				earlier := prepare(t, gates, gatePar, 1)
				earlier.tasks(t, 1)
				earlier.reduce(t)
				par.GatesFrom = earlier.work
			}
		}
	}
	return x, par
}

// framesOf writes the range of frames that a result uses as a file of its own, all panels together.
func framesOf(t *testing.T, c *golden.Case, r *golden.Result) string {
	t.Helper()
	q := *r
	q.Panel = nil
	frames, shape := c.FramesOf(&q)
	var all []uint16
	for _, f := range frames {
		all = append(all, f...)
	}
	path := filepath.Join(t.TempDir(), "frames.npy")
	var data any = all
	if c.Frames.Type == "u1" {
		narrow := make([]uint8, len(all))
		for i, v := range all {
			narrow[i] = uint8(v)
		}
		data = narrow
	}
	if err := npy.Write(path, append([]int{len(frames)}, shape...), data); err != nil {
		t.Fatal(err)
	}
	return path
}

func goldenParams(t *testing.T, c *golden.Case, r *golden.Result) plan.Params {
	t.Helper()
	q := r.Params
	compat := map[string]string{"L1": "lcls1", "L2": "lcls2"}[r.Generation]
	gain := ""
	if r.GainIndex != nil {
		gain = map[string]string{"lcls1": "expected", "lcls2": "impossible"}[compat]
	}
	minFrames := 1
	if r.Mode == "sane" {
		compat, minFrames = "", 3
	}
	par := plan.Params{Profile: plan.ProfileDark, CType: "status_dark", Compat: compat,
		Selection: plan.Selection{Events: q.Nrecs, GateFrames: q.Nrecs1, DataBits: q.DatBits, IntLo: q.IntLo, IntHi: q.IntHi, FracLo: q.FracLo, FracHi: q.FracHi},
		Rules: plan.Rules{IntNLo: q.IntNLo, IntNHi: q.IntNHi, RmsLo: q.RmsLo, RmsHi: q.RmsHi, RmsNLo: q.RmsNLo, RmsNHi: q.RmsNHi, FracLm: q.FracLm,
			LimitsPer: "detector", Limits: "mean", GainRule: gain, MinFrames: minFrames, SNRMax: q.SnrMax}}
	segment := r.Panel
	if c.Kind == "pixel_status" {
		par.Profile, par.Compat, par.DataBits = plan.ProfileFeatures, "lcls1", q.DataBits
		for s := range strings.SplitSeq(q.Features, ",") {
			n, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			par.Features = append(par.Features, n)
		}
		if len(c.Frames.Shape) == 4 {
			segment = &q.Segind
		}
		par.Window = ints(t, q.ShWind)
		if q.Slice != nil {
			par.Slice = ints(t, strings.ReplaceAll(*q.Slice, ":", ","))
		}
		if r.Pedestals != nil {
			par.Pedestals = filepath.Join(testenv.Shared(t), "golden", c.Name, r.Dir, "pedestals.npy")
		}
	}
	if segment != nil {
		par.Segments = []int{*segment}
	}
	return par
}

func ints(t *testing.T, s string) []int {
	t.Helper()
	var out []int
	for p := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// compareGolden compares status files, planes and limits with what the original gave.
func compareGolden(t *testing.T, j job, sum *Summary, r *golden.Result) {
	t.Helper()
	var got []float64
	for i, p := range sum.Groups[0].Panels {
		panel := j.plan.Panel(i)
		read, err := j.repo.ReadStatus(p.File, []int{panel.Rows, panel.Cols})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range read.Dense() {
			got = append(got, float64(v))
		}
	}
	if !reflect.DeepEqual(got, r.Array(t, "status").V) {
		t.Errorf("status differs from the original's")
	}
	for _, name := range []string{"sum1", "sum2", "sum0", "n_lo", "n_hi", "min", "max"} {
		if _, ok := r.Summary.Files[name]; ok && r.Mode == "sane" {
			if want := r.Array(t, name).V; !reflect.DeepEqual(mergedPlane(t, j, name), want) {
				t.Errorf("plane %s differs from the original's", name)
			}
		}
	}
	names := map[string]string{"rms": "rms", "average": "ave", "F1 frame median": "f1_intensity_med", "F2 mean": "f2_mean", "F3 std": "f3_std",
		"F6 residual": "f6_med", "F6 spread": "f6_spr", "F11 max - pedestal": "f11_max_peds"}
	if len(sum.Groups[0].Limits) == 0 {
		t.Error("no limits in the summary")
	}
	for _, l := range sum.Groups[0].Limits {
		tol := 1e-12
		if strings.HasPrefix(l.Name, "F6") {
			tol = 1e-9
		}
		for key, v := range map[string]repo.Number{"lo": l.Lo, "hi": l.Hi} {
			want, ok := r.Summary.Number(t, names[l.Name], key)
			if !ok {
				t.Errorf("no limit %s %s in the golden summary", names[l.Name], key)
			}
			if !golden.Same(float64(v), want) && math.Abs(float64(v)-want) > tol*max(1, math.Abs(want)) {
				t.Errorf("limit %s of %s is %v, the original's %v", key, l.Name, v, want)
			}
		}
	}
	if _, err := json.Marshal(sum); err != nil {
		t.Errorf("summary does not encode: %v", err)
	}
}

func compareGates(t *testing.T, j job, r *golden.Result) {
	t.Helper()
	for _, name := range []string{"gate_lo", "gate_hi"} {
		if !reflect.DeepEqual(mergedPlane(t, j, name), r.Array(t, name).V) {
			t.Errorf("%s differs from the original's", name)
		}
	}
}

// mergedPlane returns a plane of all panels as one list.
func mergedPlane(t *testing.T, j job, name string) []float64 {
	t.Helper()
	var out []float64
	for u := range j.plan.Units {
		merged, err := loadMerged(j.work, j.plan, u)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(merged.set.Planes, func(p plane.Plane) bool { return p.Name == name })
		if i < 0 {
			t.Fatalf("no plane %q", name)
		}
		v := reflect.ValueOf(merged.set.Planes[i].Data)
		for i := range v.Len() {
			out = append(out, float64(v.Index(i).Uint()))
		}
	}
	return out
}
