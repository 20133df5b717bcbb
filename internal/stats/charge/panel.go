package charge

import (
	"fmt"
	"math"
)

// Sums are the result of one step of a panel: what Step has counted, by pulsed pixel.
type Sums struct {
	Pulsed  []uint32
	Periods []uint32  // of each pixel: groups - 1, at least 0
	Line    [2][]Acc  // measure A: region 0, region 1
	Own     []Acc     // measure B, region 0
	Zeros   int       // frames of nothing but zeros, taken for lost events
	Ramps   uint32    // complete ones
	Length  uint32    // events of the last of them
	Ramp    []RampSum // of each pixel
	Beside  []uint32  // pixels that touch pulsed ones
	// SlopeNum / SlopeDen is the slope of each of them over the ramp.
	SlopeNum []int64
	SlopeDen int64
}

// RampSum says what a pixel did in the complete ramps of a step.
type RampSum struct {
	Ramps    uint32
	NoRise   uint32 // ramps without gain bit
	Always   uint32 // with nothing else
	Multi    uint32 // with more than one rise
	Switches uint32 // rises behind SV and SVV
	SV, SVV  int64  // sums over the first rise and its square
}

// stuck reports whether the gain bit was set in all frames.
func (r *RampSum) stuck() bool { return r.Always == r.Ramps }

// Switch returns the mean place on the ramp at which the pixel switches, NaN where it does not.
func (r *RampSum) Switch() float64 {
	if r.Switches == 0 || r.stuck() {
		return math.NaN()
	}
	return float64(r.SV) / float64(r.Switches)
}

// Wrong returns the fraction of the ramps in which the gain bit was set more than once, 1 for a bit that is always
// set. NaN: there is no complete ramp.
func (r *RampSum) Wrong() float64 {
	switch {
	case r.Ramps == 0:
		return math.NaN()
	case r.stuck():
		return 1
	}
	return float64(r.Multi) / float64(r.Ramps)
}

// Silent returns the size of the slope of a pixel whose gain bit was never seen in a complete ramp, NaN for others.
func (d *Mode) Silent(i int) float64 {
	if r := &d.Ramp[i]; r.Ramps == 0 || r.NoRise < r.Ramps {
		return math.NaN()
	}
	s, _ := d.Own[i].Slope()
	return math.Abs(s)
}

// Sums returns what was counted; all frames have been added. A pixel with fewer than least points in a
// region of its certain periods, and enough in the one that began behind lost events, is judged by that one.
func (s *Step) Sums(least int64) (*Sums, error) {
	if s.given != len(s.events) {
		return nil, fmt.Errorf("%d of %d frames were counted", s.given, len(s.events))
	}
	n := len(s.px)
	out := &Sums{Pulsed: s.pulsed, Periods: make([]uint32, n), Ramps: uint32(s.clock.ramps), Length: uint32(s.clock.length),
		Ramp: make([]RampSum, n), Zeros: s.zeros, Own: make([]Acc, n), Beside: s.beside.pixels, SlopeNum: make([]int64, len(s.beside.pixels))}
	for r := range out.Line {
		out.Line[r] = make([]Acc, n)
	}
	for i := range s.px {
		p := &s.px[i]
		out.Periods[i] = uint32(max(p.groups-1, 0))
		line := p.t
		if min(line[0][0], line[1][0]) < least && min(p.unsure[0][0], p.unsure[1][0]) >= least {
			line = p.unsure
		}
		for r := range line {
			out.Line[r][i] = line[r]
		}
		out.Own[i] = p.own
		out.Ramp[i] = RampSum{Ramps: out.Ramps, NoRise: p.noRise, Always: p.always, Multi: p.multi, Switches: p.switches, SV: p.sv, SVV: p.svv}
		if p.switches == 0 && p.unsureSV >= 0 {
			out.Ramp[i].Switches, out.Ramp[i].SV, out.Ramp[i].SVV = 1, p.unsureSV, p.unsureSV*p.unsureSV
		}
	}
	b := &s.beside
	for q := range b.pixels {
		out.SlopeNum[q] = b.n*b.svy[q] - b.sv*b.sy[q]
	}
	out.SlopeDen = b.n*b.svv - b.sv*b.sv
	return out, nil
}

// Mode holds the counts of a panel's pixels in one mode; slices have an element for each pixel.
type Mode struct {
	Pulsed  []bool
	Periods []uint32
	Line    [2][]Acc
	Own     []Acc
	Ramp    []RampSum
	Steps   int // placed
}

// Counts holds the counts of a panel.
type Counts struct {
	Rows, Cols int
	Mode       [Modes]Mode
	// SlopeNum / SlopeDen is the slope of pixels beside pulsed ones, over all steps.
	SlopeNum, SlopeDen []int64
}

// NewPanel returns a panel of which nothing is known.
func NewPanel(rows, cols int) *Counts {
	n := rows * cols
	p := &Counts{Rows: rows, Cols: cols, SlopeNum: make([]int64, n), SlopeDen: make([]int64, n)}
	for m := range p.Mode {
		d := &p.Mode[m]
		d.Pulsed, d.Periods, d.Ramp, d.Own = make([]bool, n), make([]uint32, n), make([]RampSum, n), make([]Acc, n)
		for r := range d.Line {
			d.Line[r] = make([]Acc, n)
		}
	}
	return p
}

// AddStep puts the sums of a step to their pixels. A pixel can be pulsed in one step of a mode only.
func (p *Counts) AddStep(mode int, s *Sums) error {
	d := &p.Mode[mode]
	for i, at := range s.Pulsed {
		if int(at) >= len(d.Pulsed) {
			return fmt.Errorf("pixel %d of a panel of %d", at, len(d.Pulsed))
		}
		if d.Pulsed[at] {
			return fmt.Errorf("row %d column %d is pulsed in two steps of mode %s", int(at)/p.Cols, int(at)%p.Cols, ModeNames[mode])
		}
		d.Pulsed[at], d.Periods[at], d.Ramp[at], d.Own[at] = true, s.Periods[i], s.Ramp[i], s.Own[i]
		for r := range d.Line {
			d.Line[r][at] = s.Line[r][i]
		}
	}
	for q, at := range s.Beside {
		if int(at) >= len(p.SlopeNum) {
			return fmt.Errorf("pixel %d of a panel of %d", at, len(p.SlopeNum))
		}
		if s.SlopeDen > 0 {
			p.SlopeNum[at] += s.SlopeNum[q]
			p.SlopeDen[at] += s.SlopeDen
		}
	}
	d.Steps++
	return nil
}
