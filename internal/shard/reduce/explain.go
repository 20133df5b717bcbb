package reduce

import (
	"math"

	"rawstatus/internal/detector"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// Quantity is a number for every pixel of a panel that rules compare with limits.
type Quantity struct {
	Name   string // as in [Limit]: "rms", "average", "F2 mean", ...; "n_hi", "n_lo", "gain bits" count frames
	Unit   string // "ADU" or "frames"
	Value  func(pixel int) float64
	Tested []Tested
}

// Tested is where on the panel a criterion holds: limits per ASIC have one for every chip.
type Tested struct {
	status.Criterion
	Row, Col, Rows, Cols int // Rows 0: the whole panel
}

func (t Tested) has(row, col int) bool {
	return t.Rows == 0 || row >= t.Row && row < t.Row+t.Rows && col >= t.Col && col < t.Col+t.Cols
}

// Reason is the outcome of one rule for one pixel.
type Reason struct {
	status.Criterion
	Quantity, Unit string
	Value          float64
}

// Judged is one panel in one gain mode or step, with everything that decided about its pixels.
type Judged struct {
	Unit       int // position in plan.Plan.Units
	Frames     uint64
	GoodFrames uint64
	Bad        status.Sparse // words of the pixels that are not good
	Quantities []Quantity
	Set        *plane.Set // exact counts; nil: no frame
	// Traces returns how a pixel answered the pulser; nil: the profile is not ci.
	Traces func(pixel int) []charge.Trace
	Ramp   int // events of the longest complete ramp, 0 where there is none

	cols int
	ave  []float64 // averages of the pixels, where the profile has them
}

// Explain returns the outcome of every rule that compares with a limit, for one pixel. Pixels with
// status.NotJudged bits have no reasons: no rule looked at them. Hints (status.Hints) are not among
// the reasons, since they are about other pixels.
func (j *Judged) Explain(pixel int) []Reason {
	if j.Bad.Word(pixel)&status.NotJudged != 0 {
		return nil
	}
	var out []Reason
	for _, q := range j.Quantities {
		v := q.Value(pixel)
		for _, t := range q.Tested {
			if t.has(pixel/j.cols, pixel%j.cols) {
				out = append(out, Reason{Criterion: t.Criterion, Quantity: q.Name, Unit: q.Unit, Value: v})
			}
		}
	}
	return out
}

// Level returns where the averages of the good pixels lie; nil: nothing has averages, or no pixel is good.
func (j *Judged) Level() *verdict.Pedestal {
	if j.ave == nil {
		return nil
	}
	n := float64(j.Bad.Pixels - len(j.Bad.At))
	if n == 0 {
		return nil
	}
	var sum, dev float64
	j.Bad.Good(func(lo, hi int) {
		for _, x := range j.ave[lo:hi] {
			sum += x
		}
	})
	mean := sum / n
	j.Bad.Good(func(lo, hi int) {
		for _, x := range j.ave[lo:hi] {
			d := x - mean
			dev += float64(d * d)
		}
	})
	return &verdict.Pedestal{Mean: mean, Spread: math.Sqrt(dev / n)}
}

func values[T plane.Number | float64](v []T) func(int) float64 {
	return func(i int) float64 { return float64(v[i]) }
}

// darkQuantities returns the quantities of profiles data and dark of panel i.
func darkQuantities(i int, in *status.PanelPlanes, res *status.DarkResult) []Quantity {
	r := &res.Panels[i]
	average, rms := Quantity{Name: "average", Unit: "ADU", Value: values(r.Ave)}, Quantity{Name: "rms", Unit: "ADU", Value: values(r.Rms)}
	for _, g := range res.Groups {
		for _, panel := range g.Panels {
			if panel != i || g.Judged == 0 {
				continue
			}
			add := func(q *Quantity, l status.Limits, low, high uint64) {
				for _, c := range []status.Criterion{{Bit: low, Limit: l.Lo, Spread: l.Std}, {Bit: high, High: true, Limit: l.Hi, Spread: l.Std}} {
					t := Tested{Criterion: c}
					if res.Params.Scope == status.PerASIC {
						t.Row, t.Col, t.Rows, t.Cols = g.Row, g.Col, chip(res.Params.ASICRows, in.Rows), chip(res.Params.ASICCols, in.Cols)
					}
					q.Tested = append(q.Tested, t)
				}
			}
			add(&average, g.Ave, status.AveLow, status.AveHigh)
			add(&rms, g.Rms, status.RmsLow, status.RmsHigh)
		}
	}
	most := float64(r.Nevlm)
	above := func(name string, bit uint64, counts []uint32, limit float64) Quantity {
		return Quantity{Name: name, Unit: "frames", Value: values(counts), Tested: []Tested{{Criterion: status.Criterion{Bit: bit, High: true, Limit: limit}}}}
	}
	out := []Quantity{average, rms, above("n_hi", status.IntHigh, in.NHi, most), above("n_lo", status.IntLow, in.NLo, most)}
	if counts := res.Params.GainRule.Counts(in); counts != nil {
		out = append(out, above("gain bits", status.GainState, counts, 0))
	}
	return out
}

// chip returns the size of a chip; 0 stands for the whole panel.
func chip(asic, panel int) int {
	if asic <= 0 {
		return panel
	}
	return asic
}

// ASIC returns the rows and columns of a unit's readout chips, those of the panel where it has none.
func ASIC(p *plan.Plan, unit int) (rows, cols int) {
	family, _ := detector.Lookup(p.Dataset.Type)
	panel := p.Panel(unit)
	return chip(family.ASICRows, panel.Rows), chip(family.ASICCols, panel.Cols)
}

// featureQuantity returns a quantity of profiles features, light and max, whose limits are inclusive.
func featureQuantity(name string, v []float64, s feature.Search, low, high uint64) Quantity {
	return Quantity{Name: name, Unit: "ADU", Value: values(v), Tested: []Tested{
		{Criterion: status.Criterion{Bit: low, Inclusive: true, Limit: s.Lo, Spread: s.Spr}},
		{Criterion: status.Criterion{Bit: high, High: true, Inclusive: true, Limit: s.Hi, Spread: s.Spr}},
	}}
}
