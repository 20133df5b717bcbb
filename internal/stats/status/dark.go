package status

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/stats/plane"
)

// Profile names a set of rules over integer planes.
type Profile string

// The profiles that EvalDark evaluates. Their planes differ, their rules do not.
const (
	// ProfileDark judges values inside gates found from the first frames, per step.
	ProfileDark Profile = "dark"
	// ProfileData judges all values of the selected frames: the gates accept everything.
	ProfileData Profile = "data"
)

// Compat chooses the arithmetic of an original program, quirks included, for comparison.
type Compat string

// The choices.
const (
	Sane  Compat = ""
	LCLS1 Compat = "lcls1"
	LCLS2 Compat = "lcls2"
)

// Scope is the set of pixels over which limits are evaluated together.
type Scope string

// The scopes. Gain modes and steps are never mixed: each is evaluated by its own call.
const (
	PerDetector Scope = "detector" // all panels together, as the original
	PerPanel    Scope = "panel"
	PerASIC     Scope = "asic" // tiles of DarkParams.ASICRows x ASICCols; a panel without tiles is one
)

// DarkParams are the parameters of the dark rules. Intensities in ADU.
type DarkParams struct {
	Profile Profile
	Compat  Compat
	Scope   Scope
	Method  Method

	IntLo, IntHi   float64 // absolute limits of values and averages
	IntNLo, IntNHi float64 // average limits in sigma of the averages; <= 0: IntLo, IntHi alone
	RmsLo, RmsHi   float64 // absolute limits of the rms
	RmsNLo, RmsNHi float64 // rms limits in sigma of the rms; <= 0: RmsLo, RmsHi alone
	FracLm         float64 // fraction of frames that may lie outside [IntLo, IntHi]
	MinFrames      uint64  // fewer: LowStats

	GainRule           GainRule
	ASICRows, ASICCols int // 0: the panel is one tile
}

// Validate says what is wrong with p, in words for the user.
func (p DarkParams) Validate() error {
	switch {
	case p.Profile != ProfileDark && p.Profile != ProfileData:
		return fmt.Errorf("profile %q: wanted dark or data", p.Profile)
	case p.Compat != Sane && p.Compat != LCLS1 && p.Compat != LCLS2:
		return fmt.Errorf("compat %q: wanted lcls1 or lcls2", p.Compat)
	case p.Scope != PerDetector && p.Scope != PerPanel && p.Scope != PerASIC:
		return fmt.Errorf("limits over %q: wanted detector, panel or asic", p.Scope)
	case p.Method != MeanStd && p.Method != Robust:
		return fmt.Errorf("limits by %q: wanted mean or robust", p.Method)
	case !(p.IntLo <= p.IntHi):
		return fmt.Errorf("intensity limits %v and %v: wanted low <= high", p.IntLo, p.IntHi)
	case !(p.RmsLo <= p.RmsHi):
		return fmt.Errorf("rms limits %v and %v: wanted low <= high", p.RmsLo, p.RmsHi)
	case !(p.FracLm >= 0 && p.FracLm <= 1):
		return fmt.Errorf("fraction of frames %v: wanted 0..1", p.FracLm)
	case !finite(p.IntNLo) || !finite(p.IntNHi) || !finite(p.RmsNLo) || !finite(p.RmsNHi):
		return fmt.Errorf("numbers of sigma %v %v %v %v: wanted finite numbers", p.IntNLo, p.IntNHi, p.RmsNLo, p.RmsNHi)
	case p.GainRule != GainOff && p.GainRule != GainExpected && p.GainRule != GainImpossible:
		return fmt.Errorf("gain rule %q: wanted expected or impossible", p.GainRule)
	case p.ASICRows < 0 || p.ASICCols < 0:
		return fmt.Errorf("chip of %d x %d pixels", p.ASICRows, p.ASICCols)
	}
	return nil
}

func finite(v float64) bool { return v-v == 0 }

// Nevlm returns the number of frames of n that may lie outside the intensity limits: int(fraclm*(n-1)) in
// profile dark, int(fraclm*n) in profile data; the product in float64 before truncation (0.29*100 is 28).
func (p DarkParams) Nevlm(n uint64) uint32 {
	if p.Profile == ProfileDark && n > 0 {
		n--
	}
	return uint32(min(float64(p.FracLm*float64(n)), math.MaxUint32))
}

// PanelPlanes are the exact counts of one panel in one step or gain mode.
type PanelPlanes struct {
	Frames             uint64
	Rows, Cols         int
	Sum0               []uint32
	Sum1, Sum2         []uint64
	NLo, NHi           []uint32
	GainOdd, GainNever []uint32 // nil: the detector has no gain bits or the rule is off
	GainWanted         uint16   // gain bits of the gain mode
	Known              []uint64 // nil, or bits known before: pixels with NotJudged bits are left out
	GateLo, GateHi     []uint16 // nil: the gate accepts everything
	MinValue, MaxValue []uint16 // not judged; carried for reports
}

// AbsentPanel stands for a panel without any frame, which has no planes: all its pixels are NoData.
func AbsentPanel(rows, cols int) PanelPlanes {
	n := rows * cols
	return PanelPlanes{Rows: rows, Cols: cols, Sum0: make([]uint32, n), Sum1: make([]uint64, n), Sum2: make([]uint64, n),
		NLo: make([]uint32, n), NHi: make([]uint32, n)}
}

// PanelFromSet takes the planes of a merged Set by their names. Only the sums and counts must be
// there.
func PanelFromSet(s *plane.Set, rows, cols int) (PanelPlanes, error) {
	p := PanelPlanes{Frames: s.Frames, Rows: rows, Cols: cols}
	err := cmp.Or(
		get(s, plane.Sum0, &p.Sum0), get(s, plane.Sum1, &p.Sum1), get(s, plane.Sum2, &p.Sum2),
		get(s, plane.NLo, &p.NLo), get(s, plane.NHi, &p.NHi),
		getIfThere(s, plane.GainOdd, &p.GainOdd), getIfThere(s, plane.GainNever, &p.GainNever), getIfThere(s, plane.GateLo, &p.GateLo), getIfThere(s, plane.GateHi, &p.GateHi),
		getIfThere(s, plane.MinValue, &p.MinValue), getIfThere(s, plane.MaxValue, &p.MaxValue))
	if err == nil {
		err = p.check()
	}
	return p, err
}

func get[T plane.Number](s *plane.Set, name string, dst *[]T) (err error) {
	*dst, err = plane.Get[T](s, name)
	return err
}

func getIfThere[T plane.Number](s *plane.Set, name string, dst *[]T) error {
	for i := range s.Planes {
		if s.Planes[i].Name == name {
			return get(s, name, dst)
		}
	}
	return nil
}

// check compares lengths and counts: planes of damaged or foreign partials do not get further.
func (p *PanelPlanes) check() error {
	n := p.Rows * p.Cols
	if p.Rows <= 0 || p.Cols <= 0 {
		return fmt.Errorf("panel of %d x %d pixels", p.Rows, p.Cols)
	}
	for _, q := range []struct {
		name string
		len  int
		must bool
	}{
		{plane.Sum0, len(p.Sum0), true}, {plane.Sum1, len(p.Sum1), true}, {plane.Sum2, len(p.Sum2), true},
		{plane.NLo, len(p.NLo), true}, {plane.NHi, len(p.NHi), true}, {plane.GainOdd, len(p.GainOdd), p.GainOdd != nil},
		{plane.GainNever, len(p.GainNever), p.GainNever != nil}, {"known bits", len(p.Known), p.Known != nil},
		{plane.GateLo, len(p.GateLo), p.GateLo != nil}, {plane.GateHi, len(p.GateHi), p.GateHi != nil},
		{plane.MinValue, len(p.MinValue), p.MinValue != nil}, {plane.MaxValue, len(p.MaxValue), p.MaxValue != nil},
	} {
		if q.must && q.len != n {
			return fmt.Errorf("plane %q has %d pixels, the panel %d x %d", q.name, q.len, p.Rows, p.Cols)
		}
	}
	return nil
}

// DarkResult is the result of EvalDark.
type DarkResult struct {
	Params DarkParams
	Panels []PanelResult
	Groups []GroupResult
}

// PanelResult holds the results of one panel.
type PanelResult struct {
	Frames     uint64
	Rows, Cols int
	Nevlm      uint32
	Bad        Sparse    // words of the pixels that are not good
	Ave, Rms   []float64 // 0 where nothing is inside the gate and where the pixel is not judged
	Counts     Counts

	unjudged []uint32 // pixels of Bad that are not judged
}

// GroupResult holds the limits of the pixels that were evaluated together.
type GroupResult struct {
	Panels         []int // indices into the panels of EvalDark
	Row, Col       int   // first pixel of the chip, for PerASIC
	Pixels, Judged int
	Ave, Rms       Limits
}

// EvalDark judges the panels of one detector in one step or gain mode by the dark rules (profiles dark
// and data). Per pixel, from the planes' exact integers, in float64 without fused multiply-add:
//
//	a = sum1/sum0, r = sqrt(sum2/sum0 - a*a); both 0 when sum0 is 0
//	RmsHigh r > rms_max   RmsLow r < rms_min   AveHigh a > ave_max   AveLow a < ave_min
//	IntHigh n_hi > nevlm  IntLow n_lo > nevlm  GainState: see GainRule
//
// with the limits of each group (Scope) found by Method over its judged pixels, panels in the given order,
// pixels in index order. The result depends on nothing else: not on shards, threads or the machine.
// Panels and pixels without data or with too few frames are described at NotJudged and in the package
// comment.
func EvalDark(panels []PanelPlanes, p DarkParams) (*DarkResult, error) {
	out := make([]PanelResult, len(panels))
	failed := make([]error, len(panels))
	atOnce(len(panels), func(i int) {
		in := &panels[i]
		out[i].Begin(p, in.Frames, in.Rows, in.Cols)
		failed[i] = p.Measure(&out[i], 0, in)
	})
	for i, err := range failed {
		if err != nil {
			return nil, fmt.Errorf("panel %d: %w", i, err)
		}
	}
	return JudgeDark(out, p)
}

// Begin prepares the result of a panel of so many frames, in the memory that r has: every pixel is to be measured.
func (r *PanelResult) Begin(p DarkParams, frames uint64, rows, cols int) {
	n := rows * cols
	r.Frames, r.Rows, r.Cols, r.Nevlm, r.Counts = frames, rows, cols, p.Nevlm(frames), Counts{}
	if cap(r.Ave) < n {
		r.Ave, r.Rms = make([]float64, n), make([]float64, n)
	}
	r.Ave, r.Rms = r.Ave[:n], r.Rms[:n]
	r.Bad, r.unjudged = Sparse{Pixels: n, At: r.Bad.At[:0], Words: r.Bad.Words[:0]}, r.unjudged[:0]
}

// note records the word of a pixel behind those that were noted before.
func (r *PanelResult) note(at int, word uint64) {
	r.Bad.At, r.Bad.Words = append(r.Bad.At, uint32(at)), append(r.Bad.Words, word)
	if word&NotJudged != 0 {
		r.unjudged = append(r.unjudged, uint32(at))
	}
}

// JudgeDark is EvalDark of panels that were measured by the same parameters; it sets the bits in their status. What was
// measured stays as it is.
func JudgeDark(panels []PanelResult, p DarkParams) (*DarkResult, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(panels) == 0 {
		return nil, fmt.Errorf("no panels to judge")
	}
	res := &DarkResult{Params: p, Panels: slices.Clone(panels)}
	groups := p.groups(panels)
	res.Groups = make([]GroupResult, len(groups))
	atOnce(len(groups), func(i int) { res.Groups[i] = p.judgeGroup(groups[i], res.Panels) })
	tested := make([][]testedTile, len(panels))
	for i, g := range groups {
		for _, t := range g {
			tested[t.panel] = append(tested[t.panel], testedTile{t, res.Groups[i].Ave, res.Groups[i].Rms})
		}
	}
	atOnce(len(panels), func(i int) {
		r := &res.Panels[i]
		r.Bad = r.compare(tested[i])
		r.Counts = r.Bad.Count()
	})
	return res, nil
}

// atOnce calls do for 0..n-1, as many at a time as there are cores.
func atOnce(n int, do func(i int)) {
	var g fault.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			do(i)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		panic(err) // one of the goroutines did
	}
}

// Measure computes averages and rms of the pixels at, at+1, ... of a panel from their planes, says which of them are not
// judged, and sets the bits that need no limits. Pixels are measured in their order.
func (p DarkParams) Measure(out *PanelResult, at int, in *PanelPlanes) error {
	if err := in.check(); err != nil {
		return err
	}
	gains := p.GainRule.Counts(in)
	if p.GainRule != GainOff && in.Frames > 0 && gains == nil {
		return fmt.Errorf("gain rule %q needs counts of gain bits, which were not taken", p.GainRule)
	}
	n := len(in.Sum0)
	ave, rms := out.Ave[at:][:n], out.Rms[at:][:n]
	whole := uint64(0) // why no pixel is judged
	each := p.Compat == Sane && p.Profile == ProfileData
	if p.Compat == Sane && !each {
		whole = p.unjudged(in, 0)
	}
	sum0, sum1, sum2, nLo, nHi := in.Sum0[:n], in.Sum1[:n], in.Sum2[:n], in.NLo[:n], in.NHi[:n]
	for i := range ave {
		word := whole
		if in.Known != nil {
			word |= in.Known[i]
		}
		if each {
			word |= p.unjudged(in, i)
		}
		if word&NotJudged != 0 {
			ave[i], rms[i] = 0, 0
			out.note(at+i, word)
			continue
		}
		// Sums of 63 bits are converted faster. What is beyond, and what meanRms is careful about, makes v negative or NaN.
		d := float64(sum0[i])
		a := float64(int64(sum1[i])) / d
		v := float64(int64(sum2[i]))/d - float64(a*a)
		r := math.Sqrt(v)
		if !(v >= 0) {
			if a, r = meanRms(sum0[i], sum1[i], sum2[i], p.Compat != Sane); p.Compat == Sane && !(finite(a) && finite(r)) {
				ave[i], rms[i] = 0, 0
				out.note(at+i, word|EvalError)
				continue
			}
		}
		ave[i], rms[i] = a, r
		if nHi[i] > out.Nevlm {
			word |= IntHigh
		}
		if nLo[i] > out.Nevlm {
			word |= IntLow
		}
		if gains != nil && gains[i] > 0 {
			word |= GainState
		}
		if word != 0 {
			out.note(at+i, word)
		}
	}
	return nil
}

// unjudged returns the bits of pixel i that say why it cannot be judged, or 0. In profile data the gate
// accepts everything, so sum0 counts the pixel's own frames: those whose words have the wanted gain bits.
func (p DarkParams) unjudged(in *PanelPlanes, i int) uint64 {
	frames, others := in.Frames, uint64(0)
	if p.Profile == ProfileData {
		frames = uint64(in.Sum0[i])
		if in.GainOdd != nil {
			others = uint64(in.GainOdd[i])
		}
	}
	switch {
	case frames+others == 0:
		return NoData
	case frames < p.MinFrames:
		return LowStats
	}
	return 0
}

// meanRms returns sum1/sum0 and sqrt(sum2/sum0 - mean^2), rounded as the original's float64 expressions. A
// negative difference is rounding: the variance (n*sum2 - sum1^2)/n^2 then comes from exact integers, or
// stays NaN as in the original.
func meanRms(n uint32, sum1, sum2 uint64, original bool) (mean, rms float64) {
	if n == 0 {
		return 0, 0
	}
	d := float64(n)
	mean = float64(sum1) / d
	v := float64(sum2)/d - float64(mean*mean)
	if v >= 0 || original {
		return mean, math.Sqrt(v)
	}
	return mean, StdOf(n, sum1, sum2)
}

// StdOf returns the population standard deviation sqrt(n*sum2 - sum1^2)/n of n values from their exact sums;
// the difference is exact. NaN for no values or sums that no values have.
func StdOf(n uint32, sum1, sum2 uint64) float64 {
	h1, l1 := bits.Mul64(uint64(n), sum2)
	h2, l2 := bits.Mul64(sum1, sum1)
	lo, borrow := bits.Sub64(l1, l2, 0)
	hi, borrow := bits.Sub64(h1, h2, borrow)
	if borrow != 0 || n == 0 {
		return math.NaN()
	}
	return math.Sqrt(math.Ldexp(float64(hi), 64)+float64(lo)) / float64(n)
}

// tile is a rectangle of a panel.
type tile struct {
	panel          int
	r0, r1, c0, c1 int
}

// groups returns the tiles of every group.
func (p DarkParams) groups(panels []PanelResult) [][]tile {
	var whole []tile
	for i, in := range panels {
		whole = append(whole, tile{i, 0, in.Rows, 0, in.Cols})
	}
	var groups [][]tile
	switch p.Scope {
	case PerDetector:
		return [][]tile{whole}
	case PerPanel:
		for _, t := range whole {
			groups = append(groups, []tile{t})
		}
	case PerASIC:
		for _, t := range whole {
			for _, a := range asics(t.r1, t.c1, p.ASICRows, p.ASICCols) {
				a.panel = t.panel
				groups = append(groups, []tile{a})
			}
		}
	}
	return groups
}

// asics cuts a panel into chips; what is left over at the edges is a smaller tile. 0 means one tile.
func asics(rows, cols, asicRows, asicCols int) []tile {
	if asicRows <= 0 {
		asicRows = rows
	}
	if asicCols <= 0 {
		asicCols = cols
	}
	var tiles []tile
	for r := 0; r < rows; r += asicRows {
		for c := 0; c < cols; c += asicCols {
			tiles = append(tiles, tile{r0: r, r1: min(r+asicRows, rows), c0: c, c1: min(c+asicCols, cols)})
		}
	}
	return tiles
}

// judgeGroup evaluates the limits of a group.
func (p DarkParams) judgeGroup(g []tile, out []PanelResult) GroupResult {
	res := GroupResult{Row: g[0].r0, Col: g[0].c0}
	parts := make([]part, len(g))
	for i, t := range g {
		res.Panels = append(res.Panels, t.panel)
		res.Pixels += (t.r1 - t.r0) * (t.c1 - t.c0)
		parts[i] = part{tile: t, cols: out[t.panel].Cols, of: &out[t.panel]}
	}
	atOnce(len(parts), func(i int) { parts[i].count() })
	for i := range parts {
		parts[i].first = res.Judged
		res.Judged += parts[i].judged
	}
	aves, rmss := func(r *PanelResult) []float64 { return r.Ave }, func(r *PanelResult) []float64 { return r.Rms }
	res.Ave = groupLimits(parts, res.Judged, aves, bounds{p.IntNLo, p.IntNHi, p.IntLo, p.IntHi}, p.Method)
	res.Rms = groupLimits(parts, res.Judged, rmss, bounds{p.RmsNLo, p.RmsNHi, p.RmsLo, p.RmsHi}, p.Method)
	return res
}
