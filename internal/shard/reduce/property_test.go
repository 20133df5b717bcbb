package reduce

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/refstat"
)

// TestRandomJobsEqualTheReferenceHoweverCut takes pathological frames with random parameters of every profile through plan, task and
// reduce, cut and ordered at random: merged planes and status files have the same bytes however the work
// was cut, and the status is that of the slow reference.
func TestRandomJobsEqualTheReferenceHoweverCut(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	seen := map[uint64]int{}
	n, split := 48, 0
	if testing.Short() {
		n = 12
	}
	for i := range n {
		c := randomCase(t, r, i)
		t.Run(fmt.Sprintf("%d %s %v %s", i, c.par.Profile, c.par.Features, c.par.Compat), func(t *testing.T) {
			first := prepare(t, c.index, c.par, 1)
			first.tasks(t, 1)
			sum := first.reduce(t)
			want := first.results(t, sum)
			for range 2 {
				cut := prepare(t, c.index, c.par, 1+r.IntN(12))
				cut.shuffled(t, r)
				if len(cut.plan.Shards) > len(first.plan.Shards) {
					split++
				}
				got := cut.results(t, cut.reduce(t))
				for name := range want {
					if !bytes.Equal(got[name], want[name]) {
						t.Errorf("%d tasks: %s differs", len(cut.plan.Tasks), name)
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d tasks: %d files, wanted %d", len(cut.plan.Tasks), len(got), len(want))
				}
			}
			if c.par.Compat != "" || c.unreferenced {
				return // the golden cases are the reference of the quirks
			}
			statuses := first.statuses(t, sum)
			c.compare(t, statuses)
			for _, s := range slices.Concat(statuses...) {
				for b := uint64(1); b < 1<<16; b <<= 1 {
					if s&b != 0 {
						seen[b]++
					}
				}
			}
		})
	}
	if split < n/4 {
		t.Errorf("only %d jobs were cut into parts of panels", split)
	}
	for b := uint64(1); b <= status.EvalError && !testing.Short(); b <<= 1 {
		if seen[b] == 0 {
			t.Errorf("bit %d never occurred: the test says nothing about it", b)
		}
	}
}

// shuffled does the tasks in any order, whatever their stage, with any number of workers, some of them twice.
func (j job) shuffled(t *testing.T, r *rand.Rand) {
	t.Helper()
	order := r.Perm(len(j.plan.Tasks))
	for _, n := range append(order, order[r.IntN(len(order))]) {
		if _, err := runTask(j, n, task.Options{Workers: 1 + r.IntN(3)}); err != nil {
			t.Fatal(err)
		}
	}
}

// randomJob is a run with its parameters; frames are those that are usable, by panel.
type randomJob struct {
	index      *frame.Index
	par        plan.Params
	frames     [][][]uint16
	rows, cols int
	peds       []float64 // of all panels
	// unreferenced: with robust limits and hints, which the reference does not know
	unreferenced bool
}

// randomCase makes job number i: every profile comes about equally often.
func randomCase(t *testing.T, r *rand.Rand, i int) *randomJob {
	t.Helper()
	pick := func(v ...float64) float64 { return v[r.IntN(len(v))] }
	par := params("data")
	par.AllowIncomplete = true
	par.DataBits = []uint16{0x3fff, 0xffff, 0x0fff}[r.IntN(3)]
	par.IntLo, par.IntHi, par.FracLo, par.FracHi = pick(0, 1, 1.5, 100), pick(16000, 16000.5, 65535, 4000), pick(0, 0.05, 0.29), pick(1, 0.95, 0.55)
	par.IntNLo, par.IntNHi, par.RmsNLo, par.RmsNHi = pick(0, 1, 6), pick(0, 2, 6), pick(0, 1, 6), pick(0, 2, 6)
	par.RmsLo, par.RmsHi, par.FracLm = pick(0.001, 1), pick(16000, 100), pick(0, 0.1, 0.29, 1)
	par.MinFrames, par.SNRMax, par.GateFrames = 1+r.IntN(4), pick(8, 3, 1.5), 1+r.IntN(90)
	par.LimitsPer = []string{"detector", "panel"}[r.IntN(2)]
	features := [][]int{nil, nil, {1, 2, 3}, {1, 6}, {11}, {1, 2, 3, 6, 11}, {2, 3, 11}, {6}}[i%8]
	switch {
	case features != nil:
		par.Profile, par.Features = plan.ProfileFeatures, features
	case i%8 == 1:
		par.Profile = plan.ProfileDark
		if i%16 == 1 {
			par.TwoPass = &status.TwoPass{NSigma: pick(6, 2, 0.5), RmsLo: par.RmsLo, RmsHi: par.RmsHi}
		}
	}
	if par.Features == nil {
		par.GainRule = []string{"", "expected", "impossible"}[r.IntN(3)]
	}
	c := &randomJob{}
	if c.unreferenced = r.IntN(7) == 0; c.unreferenced {
		par.Limits, par.LimitsPer, par.LineFraction, par.ASICFraction, par.Neighbours = "robust", "asic", 0.4, 0.6, 4
	}
	par.Window = []int{2 + r.IntN(3), 2 + r.IntN(3)}
	c.rows, c.cols = par.Window[0]+r.IntN(7), par.Window[1]+r.IntN(7)
	n := 65 + r.IntN(140)
	if r.IntN(3) == 0 {
		n = r.IntN(5)
	}
	if i%5 == 4 && par.Profile != "data" { // by the quirks of the originals
		par.Compat, n = "lcls1", 3+r.IntN(140)
		if par.Gated() && r.IntN(2) == 0 {
			par.Compat = "lcls2"
		}
	}
	par.KeepZeros = r.IntN(3) == 0
	c.par = par
	c.write(t, r, 1+r.IntN(3), n)
	if par.Has(11) {
		c.pedestals(t, r)
	}
	return c
}

// write makes the raw file: n events, of which each panel misses some, and sometimes all.
func (c *randomJob) write(t *testing.T, r *rand.Rand, panels, n int) {
	t.Helper()
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tstx00117", Number: 12, Begin: time.Unix(1.6e9, 0).UTC()},
		Steps: []frame.Step{{Events: n + 1, Gains: frame.GainsOf(slices.Repeat([]string{"g1"}, panels)...)}}, Events: make([]frame.Event, n+1),
		Extents: make([]frame.Extent, (n+1)*panels)}
	var raw bytes.Buffer
	for p := range panels {
		x.Panels = append(x.Panels, frame.Panel{Detector: "jungfrau", Type: "jungfrau", Segment: p, ID: fmt.Sprintf("id-%d", p), Rows: c.rows, Cols: c.cols})
		absent := panels > 1 && r.IntN(8) == 0 && c.par.Compat == ""
		var used [][]uint16
		forced := r.IntN(2) == 0 // else any gain bits
		for e, f := range refstat.Frames(r, n+1, c.rows*c.cols) {
			for i := range f {
				if forced {
					f[i] = f[i]&0x3fff | []uint16{0x4000, 0x4000, 0, 0x8000, 0xc000, 0, 0x8000, 0xc000}[max(0, r.IntN(300)-292)]
				}
			}
			if r.IntN(30) == 0 {
				clear(f) // a dead link
			}
			ext := frame.Extent{Offset: int64(raw.Len()), Length: uint32(2 * len(f))}
			for _, v := range f {
				raw.Write([]byte{byte(v), byte(v >> 8)})
			}
			raw.Write(make([]byte, r.IntN(3)))
			if absent || r.IntN(20) == 0 && len(used) > 2 {
				ext.State = frame.Damaged
			} else if c.par.ZerosCount() || slices.Max(f) > 0 {
				used = append(used, f)
			}
			x.Extents[e*panels+p] = ext
		}
		c.frames = append(c.frames, used)
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
	c.index = x
}

// pedestals writes those of all panels: noise, and sometimes NaN.
func (c *randomJob) pedestals(t *testing.T, r *rand.Rand) {
	t.Helper()
	c.peds = make([]float64, len(c.frames)*c.rows*c.cols)
	nan := r.IntN(2) == 0
	for i := range c.peds {
		c.peds[i] = 1000 + r.NormFloat64()
		if nan && r.IntN(10) == 0 {
			c.peds[i] = math.NaN()
		}
	}
	c.par.Pedestals = filepath.Join(t.TempDir(), "pedestals.npy")
	if err := npy.Write(c.par.Pedestals, []int{len(c.frames), c.rows, c.cols}, c.peds); err != nil {
		t.Fatal(err)
	}
}

// compare wants the status of the slow reference. Limits of the dark rules are sums that the reference adds
// in another order: a bit may differ where value and limit are equal but for rounding.
func (c *randomJob) compare(t *testing.T, got [][]uint64) {
	t.Helper()
	pixels := c.rows * c.cols
	if c.par.Family() == status.Features {
		for i, frames := range c.frames {
			p := refstat.FeatureParams{Features: c.par.Features, SNR: c.par.SNRMax, DataBits: c.par.DataBits, MinFrames: c.par.MinFrames,
				Rows: c.rows, Cols: c.cols, WR: c.par.Window[0], WC: c.par.Window[1]}
			if c.peds != nil {
				p.Pedestals = c.peds[i*pixels : (i+1)*pixels]
			}
			if want := refstat.Features(frames, p).Status; !slices.Equal(got[i], want) {
				t.Errorf("%+v: panel %d, %d frames: status %v, wanted %v", c.par, i, len(frames), got[i], want)
			}
		}
		return
	}
	family, _ := detector.Lookup("jungfrau")
	gain := refstat.Gain{Mask: family.GainBits, Wanted: family.GainPatterns[1], Never: family.NeverPattern}
	want := refstat.Dark(c.frames, pixels, c.par.Gates(0), c.par.GateFrames, c.par.TwoPass, c.par.Dark(family), gain)
	for i, w := range want {
		for k := range w.Status {
			different := got[i][k] ^ w.Status[k]
			if equal(w.Rms[k], w.RmsLim) {
				different &^= status.RmsHigh | status.RmsLow
			}
			if equal(w.Ave[k], w.AveLim) {
				different &^= status.AveHigh | status.AveLow
			}
			if different != 0 {
				t.Fatalf("%+v: panel %d pixel %d, %d frames: status %d, wanted %d", c.par, i, k, len(c.frames[i]), got[i][k], w.Status[k])
			}
		}
	}
}

// equal: the value is one of the limits but for rounding.
func equal(v float64, l status.Limits) bool {
	return math.Abs(v-l.Lo) <= 1e-12*math.Abs(v) || math.Abs(v-l.Hi) <= 1e-12*math.Abs(v)
}
