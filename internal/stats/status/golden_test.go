package status_test

import (
	"fmt"
	"math"
	"testing"

	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/golden"
)

// TestGoldenDark computes every dark result of the golden cases from its frames: planes, windows and
// status exactly, average and rms bit for bit, limits to 1e-12.
func TestGoldenDark(t *testing.T) {
	results := 0
	for _, c := range golden.Cases(t, "dark") {
		for _, r := range c.Results {
			results++
			t.Run(c.Name+"/"+r.Dir, func(t *testing.T) { checkDark(t, c, r) })
		}
	}
	if results < 67 {
		t.Errorf("only %d dark results found", results)
	}
}

// darkRun is one result on its way.
type darkRun struct {
	seq    status.Sequence
	frames [][]uint16
	rows   int
	cols   int
	panels int
	gates  quantile.GateParams
	params status.DarkParams
}

func newDarkRun(c *golden.Case, r *golden.Result) darkRun {
	q := r.Params
	d := darkRun{}
	var shape []int
	d.frames, shape = c.FramesOf(r)
	d.panels, d.rows, d.cols = 1, shape[len(shape)-2], shape[len(shape)-1]
	if len(shape) == 3 {
		d.panels = shape[0]
	}
	compat := map[string]status.Compat{"L1": status.LCLS1, "L2": status.LCLS2}[r.Generation]
	rule := status.GainOff
	if r.GainIndex != nil {
		rule = map[status.Compat]status.GainRule{status.LCLS1: status.GainExpected, status.LCLS2: status.GainImpossible}[compat]
	}
	minFrames := uint64(0)
	if r.Mode == "sane" {
		compat, minFrames = status.Sane, 3
	}
	d.gates = quantile.GateParams{DataBits: q.DatBits, FracLo: q.FracLo, FracHi: q.FracHi, IntLo: q.IntLo, IntHi: q.IntHi}
	if compat != status.Sane {
		d.gates.RawMax = map[string]uint16{"u1": math.MaxUint8, "u2": math.MaxUint16}[c.Frames.Type]
	}
	d.params = status.DarkParams{Profile: status.ProfileDark, Compat: compat, Scope: status.PerDetector, Method: status.MeanStd,
		IntLo: q.IntLo, IntHi: q.IntHi, IntNLo: q.IntNLo, IntNHi: q.IntNHi,
		RmsLo: q.RmsLo, RmsHi: q.RmsHi, RmsNLo: q.RmsNLo, RmsNHi: q.RmsNHi, FracLm: q.FracLm, MinFrames: minFrames, GainRule: rule}
	d.seq = status.NewSequence(compat, len(d.frames), q.Nrecs, q.Nrecs1)
	return d
}

// windows makes stage 1 of all panels as one list of pixels, before clipping.
func (d darkRun) windows(t *testing.T, r *golden.Result) (lo, hi []uint16) {
	if d.seq.GatesGiven {
		return r.Sibling(t, *r.GatesFrom, "gate_lo").U16(), r.Sibling(t, *r.GatesFrom, "gate_hi").U16()
	}
	n := d.panels * d.rows * d.cols
	block := append([][]uint16(nil), d.frames[:d.seq.Block]...)
	for range d.seq.BlockZeros {
		block = append(block, make([]uint16, n))
	}
	lo, hi = make([]uint16, n), make([]uint16, n)
	quantile.Stage1(block, d.gates, lo, hi)
	return lo, hi
}

// planes accumulates and cuts the planes into panels.
func (d darkRun) planes(r *golden.Result, lo, hi []uint16) []status.PanelPlanes {
	n := d.rows * d.cols
	acc := accum.NewGated(d.panels*n, accum.Params{DataBits: d.gates.DataBits, LoBelow: d.gates.Below(), HiAbove: d.gates.Above()}, lo, hi)
	acc.Add(0, d.frames[:d.seq.Accumulate])
	all := acc.Planes()
	panels := make([]status.PanelPlanes, d.panels)
	for i := range panels {
		a, b := i*n, (i+1)*n
		p := status.PanelPlanes{Frames: uint64(d.seq.N), Rows: d.rows, Cols: d.cols, GateLo: all.GateLo[a:b], GateHi: all.GateHi[a:b],
			Sum0: all.Sum0[a:b], Sum1: all.Sum1[a:b], Sum2: all.Sum2[a:b], NLo: all.NLo[a:b], NHi: all.NHi[a:b],
			MinValue: all.Min[a:b], MaxValue: all.Max[a:b]}
		if r.GainIndex != nil {
			p.GainWanted = status.JungfrauGainWanted[*r.GainIndex]
			gain := accum.NewGain(n, status.JungfrauGainMask, p.GainWanted, status.JungfrauGainNever)
			for _, f := range d.frames[:d.seq.Accumulate] {
				gain.Add(0, [][]uint16{f[a:b]})
			}
			p.GainOdd, p.GainNever = gain.Planes()
		}
		p.AddZeros(d.seq.Zeros, d.gates.Below(), d.gates.Above())
		panels[i] = p
	}
	return panels
}

func checkDark(t *testing.T, c *golden.Case, r *golden.Result) {
	d := newDarkRun(c, r)
	s := &r.Summary
	if d.seq.N != s.NRecords || d.seq.NoResult != s.NoResult || d.seq.Stage1Only != s.Stage1Only {
		t.Fatalf("sequence %+v, wanted %d records, no result %v, stage 1 only %v", d.seq, s.NRecords, s.NoResult, s.Stage1Only)
	}
	if s.NoResult {
		return
	}
	lo, hi := d.windows(t, r)
	if s.Stage1Only {
		exact(t, "gate_lo", r.Array(t, "gate_lo"), at(lo))
		exact(t, "gate_hi", r.Array(t, "gate_hi"), at(hi))
		return
	}
	// The original keeps windows with fractional limits: 1.5 where the integer window starts at 2.
	exact(t, "gate_lo", r.Array(t, "gate_lo"), func(i int) float64 { return max(float64(lo[i]), r.Params.IntLo) })
	exact(t, "gate_hi", r.Array(t, "gate_hi"), func(i int) float64 { return min(float64(hi[i]), r.Params.IntHi) })
	quantile.Clip(d.gates, lo, hi)
	panels := d.planes(r, lo, hi)
	res, err := status.EvalDark(panels, d.params)
	if err != nil {
		t.Fatal(err)
	}
	n := d.rows * d.cols
	for name, f := range map[string]func(p, i int) float64{
		"status": func(p, i int) float64 { return float64(res.Panels[p].Bad.Word(i)) },
		"ave":    func(p, i int) float64 { return res.Panels[p].Ave[i] },
		"rms":    func(p, i int) float64 { return res.Panels[p].Rms[i] },
		"min":    func(p, i int) float64 { return float64(panels[p].MinValue[i]) },
		"max":    func(p, i int) float64 { return float64(panels[p].MaxValue[i]) },
		"n_lo":   func(p, i int) float64 { return float64(panels[p].NLo[i]) },
		"n_hi":   func(p, i int) float64 { return float64(panels[p].NHi[i]) },
		"sum0":   func(p, i int) float64 { return float64(panels[p].Sum0[i]) },
		"sum1":   func(p, i int) float64 { return float64(panels[p].Sum1[i]) },
		"sum2":   func(p, i int) float64 { return float64(panels[p].Sum2[i]) },
		"mask":   func(p, i int) float64 { return mask(res.Panels[p].Bad.Word(i), r.Generation) },
	} {
		exact(t, name, r.Array(t, name), func(i int) float64 { return f(i/n, i%n) })
	}
	if r.GainIndex != nil {
		exact(t, "bad_gain", r.Array(t, "bad_gain"), func(i int) float64 {
			return float64(res.Panels[i/n].Bad.Word(i%n) & status.GainState / status.GainState)
		})
	}
	if s.Nevlm == nil || res.Panels[0].Nevlm != *s.Nevlm {
		t.Errorf("nevlm %d differs from summary.json", res.Panels[0].Nevlm)
	}
	checkLimits(t, s, "ave", res.Groups[0].Ave)
	checkLimits(t, s, "rms", res.Groups[0].Rms)
}

// mask is 1 for a good pixel; the mask of LCLS-II does not know of the gain bits.
func mask(word uint64, generation string) float64 {
	if generation == "L2" {
		word &^= status.GainState
	}
	if word == 0 {
		return 1
	}
	return 0
}

func at(v []uint16) func(int) float64 {
	return func(i int) float64 { return float64(v[i]) }
}

// exact compares an expected array element by element, bit for bit.
func exact(t *testing.T, name string, want *golden.Numbers, got func(i int) float64) {
	t.Helper()
	different := 0
	example := ""
	for i, w := range want.V {
		if g := got(i); !golden.Same(g, w) {
			if different++; different == 1 {
				example = fmt.Sprintf("element %d is %v, wanted %v", i, g, w)
			}
		}
	}
	if different > 0 || len(want.V) == 0 {
		t.Errorf("%s: %d of %d elements differ, first %s", name, different, len(want.V), example)
	}
}

// checkLimits is stricter than asked for: numpy's order of summation must lead to the very same numbers.
func checkLimits(t *testing.T, s *golden.Summary, name string, l status.Limits) {
	t.Helper()
	for key, got := range map[string]float64{"lo": l.Lo, "hi": l.Hi, "mean": l.Mean, "std": l.Std} {
		if want, ok := s.Number(t, name, key); ok && !golden.Same(got, want) {
			t.Errorf("limits of %s: %s is %v, wanted %v", name, key, got, want)
		}
	}
}
