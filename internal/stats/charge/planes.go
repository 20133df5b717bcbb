package charge

import (
	"fmt"

	"rawstatus/internal/stats/plane"
)

// Names of the planes of a step; they have an element for each pulsed pixel (or for each pixel beside one),
// those with a number behind their names so many.
const (
	planePulsed   = "pulsed"    // uint32: positions, ascending
	planePeriods  = "periods"   // uint32
	planeLine0    = "line0"     // int64, 6: sums of region 0
	planeLine1    = "line1"     // int64, 6: sums of region 1
	planeOwn      = "own"       // int64, 6: sums of region 0 on the common clock
	planeRamp     = "ramp"      // uint32, 5: complete ramps; without rise, always on, with several rises; behind first
	planeFirst    = "first"     // int64, 2: sums of the first rise and its square
	planeBeside   = "beside"    // uint32: positions of pixels beside pulsed ones
	planeSlopeNum = "slope_num" // int64: numerators of their slopes
	planeSlopeDen = "slope_den" // int64: the common denominator, one element; of a panel: of each pixel
	// PlaneStep has what the whole step is: StepFacts as int64.
	PlaneStep = "step"
)

// flat returns accumulators one after the other.
func flat(a []Acc) []int64 {
	out := make([]int64, 0, len(a)*len(Acc{}))
	for i := range a {
		out = append(out, a[i][:]...)
	}
	return out
}

func unflat(v []int64) []Acc {
	out := make([]Acc, len(v)/len(Acc{}))
	for i := range out {
		copy(out[i][:], v[i*len(Acc{}):])
	}
	return out
}

func flatRamps(r []RampSum) (ramp []uint32, first []int64) {
	for _, x := range r {
		ramp = append(ramp, x.Ramps, x.NoRise, x.Always, x.Multi, x.Switches)
		first = append(first, x.SV, x.SVV)
	}
	return ramp, first
}

func unflatRamps(ramp []uint32, first []int64) []RampSum {
	out := make([]RampSum, len(first)/2)
	for i := range out {
		r := ramp[5*i:]
		out[i] = RampSum{r[0], r[1], r[2], r[3], r[4], first[2*i], first[2*i+1]}
	}
	return out
}

// StepFacts are the properties of a whole step of a panel.
type StepFacts struct {
	Step, Mode, Position int
	Frames               int // that were counted
	Dropped              int // that were not: see Records, and frames of nothing but zeros
	Pulsed               int // pixels
	Ramps, Length        int // complete ramps, events of the last
	Source               int // of the map of pulsed pixels, index into Sources
	// Of the pulsed pixels and of all others, those whose gain bit was seen both set and not, in thousandths;
	// -1: not looked at.
	Answering, Others int
}

func (f StepFacts) list() []int64 {
	return []int64{int64(f.Step), int64(f.Mode), int64(f.Position), int64(f.Frames), int64(f.Dropped), int64(f.Pulsed), int64(f.Ramps), int64(f.Length),
		int64(f.Source), int64(f.Answering), int64(f.Others)}
}

const numFacts = 11

// FactsOf reads the facts of the steps of a panel.
func FactsOf(set *plane.Set) ([]StepFacts, error) {
	v, err := plane.Get[int64](set, PlaneStep)
	if err != nil {
		return nil, err
	}
	if len(v)%numFacts != 0 {
		return nil, fmt.Errorf("plane %q has %d elements, wanted a multiple of %d", PlaneStep, len(v), numFacts)
	}
	var out []StepFacts
	for ; len(v) > 0; v = v[numFacts:] {
		i := func(k int) int { return int(v[k]) }
		f := StepFacts{i(0), i(1), i(2), i(3), i(4), i(5), i(6), i(7), i(8), i(9), i(10)}
		if f.Mode < 0 || f.Mode >= Modes || f.Source < 0 || f.Source >= len(Sources) {
			return nil, fmt.Errorf("plane %q has mode %d and source %d", PlaneStep, f.Mode, f.Source)
		}
		out = append(out, f)
	}
	return out, nil
}

// Sources of the map of pulsed pixels, in the order in which they are believed.
var Sources = []string{SourceTest: "test bits of the configuration", SourceRotated: "test bits of the configuration, ASICs not rotated",
	SourceInjpos: "position in the step's description", SourceFormula: "formula of the original"}

// The sources.
const (
	SourceTest = iota
	SourceRotated
	SourceInjpos
	SourceFormula
)

// Set returns the planes of a step. What a step has of its pixels is in f, too.
func (s *Sums) Set(f StepFacts) *plane.Set {
	ramp, first := flatRamps(s.Ramp)
	set := &plane.Set{}
	add := func(name string, data any) {
		set.Planes = append(set.Planes, plane.Plane{Name: name, Op: plane.Same, Data: data})
	}
	add(PlaneStep, f.list())
	add(planePulsed, s.Pulsed)
	add(planePeriods, s.Periods)
	add(planeLine0, flat(s.Line[0]))
	add(planeLine1, flat(s.Line[1]))
	add(planeOwn, flat(s.Own))
	add(planeRamp, ramp)
	add(planeFirst, first)
	add(planeBeside, s.Beside)
	add(planeSlopeNum, s.SlopeNum)
	add(planeSlopeDen, []int64{s.SlopeDen})
	return set
}

// getter reads planes of a set until one is not as it should be.
type getter struct {
	set *plane.Set
	err error
}

func get[T plane.Number](g *getter, name string, want int) []T {
	if g.err != nil {
		return nil
	}
	var v []T
	if v, g.err = plane.Get[T](g.set, name); g.err == nil && want >= 0 && len(v) != want {
		g.err = fmt.Errorf("plane %q has %d elements, wanted %d", name, len(v), want)
	}
	return v
}

// SumsFromSet reads back what Set made.
func SumsFromSet(set *plane.Set) (*Sums, error) {
	g := &getter{set: set}
	s := &Sums{Pulsed: get[uint32](g, planePulsed, -1), Beside: get[uint32](g, planeBeside, -1)}
	n := len(s.Pulsed)
	s.Periods = get[uint32](g, planePeriods, n)
	s.Line[0], s.Line[1] = unflat(get[int64](g, planeLine0, 6*n)), unflat(get[int64](g, planeLine1, 6*n))
	s.Own = unflat(get[int64](g, planeOwn, 6*n))
	ramp, first := get[uint32](g, planeRamp, 5*n), get[int64](g, planeFirst, 2*n)
	s.SlopeNum = get[int64](g, planeSlopeNum, len(s.Beside))
	den := get[int64](g, planeSlopeDen, 1)
	if g.err != nil {
		return nil, g.err
	}
	s.Ramp, s.SlopeDen = unflatRamps(ramp, first), den[0]
	return s, nil
}

// Set returns the planes of a panel: those of a step by mode ("AML/line0"), dense, with an element for each
// pixel, and the facts of its steps.
func (p *Counts) Set(facts []StepFacts) *plane.Set {
	set := &plane.Set{}
	add := func(name string, data any) {
		set.Planes = append(set.Planes, plane.Plane{Name: name, Op: plane.Same, Data: data})
	}
	var steps []int64
	for _, f := range facts {
		steps = append(steps, f.list()...)
		set.Frames += uint64(f.Frames)
	}
	add(PlaneStep, steps)
	for m := range p.Mode {
		d := &p.Mode[m]
		ramp, first := flatRamps(d.Ramp)
		pulsed := make([]uint8, len(d.Pulsed))
		for i, on := range d.Pulsed {
			if on {
				pulsed[i] = 1
			}
		}
		name := func(plane string) string { return ModeNames[m] + "/" + plane }
		add(name(planePulsed), pulsed)
		add(name(planePeriods), d.Periods)
		add(name(planeLine0), flat(d.Line[0]))
		add(name(planeLine1), flat(d.Line[1]))
		add(name(planeOwn), flat(d.Own))
		add(name(planeRamp), ramp)
		add(name(planeFirst), first)
	}
	add(planeSlopeNum, p.SlopeNum)
	add(planeSlopeDen, p.SlopeDen)
	return set
}

// PanelFromSet reads back what Panel.Set made.
func PanelFromSet(set *plane.Set, rows, cols int) (*Counts, []StepFacts, error) {
	facts, err := FactsOf(set)
	if err != nil {
		return nil, nil, err
	}
	n := rows * cols
	p := &Counts{Rows: rows, Cols: cols}
	g := &getter{set: set}
	for m := range p.Mode {
		d := &p.Mode[m]
		name := func(plane string) string { return ModeNames[m] + "/" + plane }
		pulsed := get[uint8](g, name(planePulsed), n)
		d.Periods = get[uint32](g, name(planePeriods), n)
		d.Line[0], d.Line[1] = unflat(get[int64](g, name(planeLine0), 6*n)), unflat(get[int64](g, name(planeLine1), 6*n))
		d.Own = unflat(get[int64](g, name(planeOwn), 6*n))
		ramp, first := get[uint32](g, name(planeRamp), 5*n), get[int64](g, name(planeFirst), 2*n)
		if g.err != nil {
			return nil, nil, g.err
		}
		d.Ramp = unflatRamps(ramp, first)
		d.Pulsed = make([]bool, n)
		for i, on := range pulsed {
			d.Pulsed[i] = on != 0
		}
	}
	p.SlopeNum, p.SlopeDen = get[int64](g, planeSlopeNum, n), get[int64](g, planeSlopeDen, n)
	for _, f := range facts {
		p.Mode[f.Mode].Steps++
	}
	return p, facts, g.err
}
