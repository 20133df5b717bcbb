package charge

import (
	"math"

	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// Rules are the parameters of the judgement.
type Rules struct {
	DataBits uint16
	NSigma   float64 // half width of all limits, in median absolute deviations
	// MaxPeriods is the largest number of periods that is not too many; 0: complete ramps + 1.
	MaxPeriods int
	SwitchMin  float64 // least half width of the limits of the switching point, in ramp units
	Response   float64 // fraction of the median slope below which a pixel does not answer
	Flips      float64 // fraction of the ramps that may have more than one rise
	CrossTalk  float64 // fraction of the AHL-H slope below which no cross-talk is seen
	// Compat judges as the original: no bits of measure B, all pixels, too many AML periods as bit 19, too.
	Compat bool
}

// LeastPoints is how many points each region of a line must have.
const LeastPoints = 5

// Cut is a pair of evaluated limits.
type Cut struct {
	Name, Unit      string
	Inclusive       bool // a value equal to a limit is outside
	Med, Spr        float64
	Lo, Hi          float64
	Used            int // values behind them
	BitLow, BitHigh uint64
	of              func(i int) float64
	scatter         bool // it is a mean square: few points make its high values common
}

// Value returns the quantity of a cut by pixel, NaN where there is none.
func (c Cut) Value(i int) float64 { return c.of(i) }

// Verdict is the judgement of a panel.
type Verdict struct {
	Status   []uint64
	Line     [Modes][2][]Line
	Cuts     []Cut
	Untested [Modes]int // pixels without a complete ramp
	ByA, ByB int        // bad pixels by measure A, by measure B
	OnlyB    int        // bad pixels that measure A has not found
	// Response is the slope below which a pixel without gain bit does not answer; NaN where it is not known.
	Response [Modes]float64
}

// judge evaluates one panel.
type judge struct {
	*Counts
	Rules
	v      *Verdict
	tested [Modes][]bool
}

// Judge evaluates rules that Check has passed.
func (p *Counts) Judge(r Rules) *Verdict {
	n := p.Rows * p.Cols
	j := &judge{Counts: p, Rules: r, v: &Verdict{Status: make([]uint64, n)}}
	for m := range p.Mode {
		j.tested[m] = make([]bool, n)
		for i := range j.tested[m] {
			j.tested[m][i] = r.Compat || p.Mode[m].Pulsed[i] && p.Mode[m].Ramp[i].Ramps > 0
			if !j.tested[m][i] {
				j.v.Untested[m]++
			}
		}
		j.fit(m)
		j.periods(m)
	}
	j.cuts()
	if r.Compat {
		return j.v
	}
	byA := append([]uint64(nil), j.v.Status...)
	var slope float64
	for m := range p.Mode {
		slope = j.own(m)
	}
	j.crossTalk(slope)
	for i, s := range j.v.Status {
		if byA[i] != 0 {
			j.v.ByA++
		} else if s != 0 {
			j.v.OnlyB++
		}
		if s&status.ChargeClock != 0 {
			j.v.ByB++
		}
		if s == 0 && !j.whole(i) {
			j.v.Status[i] = status.NoData
		}
	}
	return j.v
}

// whole reports whether a pixel was tested in every mode of the scan.
func (j *judge) whole(i int) bool {
	any := false
	for m := range j.Mode {
		if j.Mode[m].Steps > 0 {
			if !j.tested[m][i] {
				return false
			}
			any = true
		}
	}
	return any
}

// flag sets a bit of a pixel in a mode.
func (j *judge) flag(i int, bit uint64) { j.v.Status[i] |= bit }

// fit makes the lines of a mode.
func (j *judge) fit(m int) {
	d, f := &j.Mode[m], newFitter()
	n := len(d.Periods)
	lines := &j.v.Line[m]
	lines[0], lines[1] = make([]Line, n), make([]Line, n)
	for i := range n {
		if d.Periods[i] < 1 || d.Line[0][i][0] < LeastPoints || d.Line[1][i][0] < LeastPoints {
			continue
		}
		for r := range lines {
			lines[r][i] = f.line(&d.Line[r][i])
		}
	}
}

// periods judges the number of periods.
func (j *judge) periods(m int) {
	d := &j.Mode[m]
	for i, n := range d.Periods {
		if !j.tested[m][i] {
			continue
		}
		if n < 1 {
			j.flag(i, status.FewPeriods<<m)
		}
		most := uint32(j.MaxPeriods)
		if most == 0 {
			most = d.Ramp[i].Ramps + 1
		}
		switch {
		case n <= most:
		case !j.Compat:
			j.flag(i, status.ManyPeriods<<m)
		case m == AML: // the original judges AML twice and AHL never
			j.flag(i, status.ManyPeriods|status.ManyPeriods<<1)
		}
	}
}

// cuts judges offset, gain and chi2 of the four lines.
func (j *judge) cuts() {
	full := float64(j.DataBits)
	for _, q := range []struct {
		name string
		unit string
		bits uint64
		most float64
		sq   bool
		of   func(Line) float64
	}{
		{"offset", "ADU", status.LineOffset, full, false, func(l Line) float64 { return l.Offset }},
		{"gain", "ADU per ramp unit", status.LineGain, full / 10, false, func(l Line) float64 { return l.Gain }},
		{"chi2", "ADU²", status.LineChi2, math.Inf(1), true, func(l Line) float64 { return l.Chi2 }},
	} {
		for line, label := range status.ChargeLines {
			m, r := line/2, line%2
			c := Cut{Name: q.name + " " + label, Unit: q.unit, Inclusive: true, scatter: q.sq, of: func(i int) float64 { return q.of(j.v.Line[m][r][i]) }}
			c.BitLow, c.BitHigh = status.ChargePair(q.bits, line)
			j.cut(c, m, q.most)
		}
	}
}

// cut judges a quantity of the pixels of a mode by
//
//	sel = values between 0 and most; med = median of sel; spr = median of |sel - med|
//	lo = max(med - nsigma spr, 0), hi = min(med + nsigma spr, most); low: value <= lo, high: value >= hi
//
// Where spr is 0 more than half of the values are the median, and the comparisons leave it out (not in
// compat). Without values in sel nothing is judged.
//
// A mean square of few points is skew: with some ten thousand pixels good ones lie above such a hi. Its cube root is nearly
// normal (Wilson and Hilferty, 1931), so hi is the larger one of the two limits (not in compat).
func (j *judge) cut(c Cut, m int, most float64) {
	var sel []float64
	for i, tested := range j.tested[m] {
		if a := c.of(i); tested && a > 0 && a < most {
			sel = append(sel, a)
		}
	}
	if c.Used = len(sel); c.Used == 0 {
		return
	}
	c.Med, c.Spr = medianSpread(sel)
	c.Lo = math.Max(c.Med-float64(j.NSigma*c.Spr), 0)
	c.Hi = math.Min(c.Med+float64(j.NSigma*c.Spr), most)
	if c.scatter && !j.Compat {
		c.Hi = math.Max(c.Hi, j.cubicHigh(c, m))
	}
	j.v.Cuts = append(j.v.Cuts, c)
	leave := c.Spr == 0 && !j.Compat
	for i, tested := range j.tested[m] {
		a := c.of(i)
		if !tested || leave && a == c.Med {
			continue
		}
		if a <= c.Lo {
			j.flag(i, c.BitLow)
		}
		if a >= c.Hi {
			j.flag(i, c.BitHigh)
		}
	}
}

// cubicHigh returns the upper limit of a quantity on the scale of its cube root.
func (j *judge) cubicHigh(c Cut, m int) float64 {
	var roots []float64
	for i, tested := range j.tested[m] {
		if a := c.of(i); tested && a > 0 {
			roots = append(roots, math.Cbrt(a))
		}
	}
	med, spr := medianSpread(roots)
	hi := med + float64(j.NSigma*spr)
	return hi * hi * hi
}

// medianSpread returns the median of v and that of the distances from it. It reorders v.
func medianSpread(v []float64) (med, spr float64) {
	med = quantile.Median(v)
	for i, x := range v {
		v[i] = math.Abs(x - med)
	}
	return med, quantile.Median(v)
}

// own judges a mode by the common clock and returns the median slope of the region before the switch.
func (j *judge) own(m int) float64 {
	d := &j.Mode[m]
	var slopes, points []float64
	point := func(i int) float64 { return d.Ramp[i].Switch() }
	for i, tested := range j.tested[m] {
		v := point(i)
		if !tested || v != v {
			continue
		}
		points = append(points, v)
		if s, ok := d.Own[i].Slope(); ok {
			slopes = append(slopes, s)
		}
	}
	slope := quantile.Median(slopes)
	response := float64(j.Response * slope)
	j.v.Response[m] = response
	c := Cut{Name: "switch " + ModeNames[m], Unit: "ramp units", of: point, BitLow: status.SwitchOff << m, BitHigh: status.SwitchOff << m, Used: len(points)}
	c.Med, c.Spr = medianSpread(points)
	half := math.Max(float64(j.NSigma*c.Spr), j.SwitchMin)
	c.Lo, c.Hi = c.Med-half, c.Med+half
	if c.Used > 0 {
		j.v.Cuts = append(j.v.Cuts, c)
	}
	for i, tested := range j.tested[m] {
		if !tested {
			continue
		}
		switch s := d.Silent(i); {
		case math.IsNaN(s):
		case s < response:
			j.flag(i, status.NoResponse<<m)
		default:
			j.flag(i, status.NeverSwitch<<m)
		}
		if d.Ramp[i].Wrong() > j.Flips {
			j.flag(i, status.GainFlips<<m)
		}
		if at := point(i); at < c.Lo || at > c.Hi {
			j.flag(i, status.SwitchOff<<m)
		}
	}
	return slope
}

// crossTalk judges the slope of pixels while a neighbour is pulsed; slope is that of AHL-H, or of AML-M where the
// scan has no AHL.
func (j *judge) crossTalk(slope float64) {
	var v []float64
	of := func(i int) float64 { return float64(j.SlopeNum[i]) / float64(j.SlopeDen[i]) }
	for i, den := range j.SlopeDen {
		if den > 0 {
			v = append(v, of(i))
		}
	}
	if len(v) == 0 {
		return
	}
	c := Cut{Name: "cross-talk", Unit: "ADU per ramp unit", of: of, BitLow: status.CrossTalk, BitHigh: status.CrossTalk, Used: len(v)}
	c.Med, c.Spr = medianSpread(v)
	half := float64(j.NSigma * c.Spr)
	if !math.IsNaN(slope) {
		half = math.Max(half, j.CrossTalk*slope)
	}
	c.Lo, c.Hi = c.Med-half, c.Med+half
	j.v.Cuts = append(j.v.Cuts, c)
	for i, den := range j.SlopeDen {
		if den > 0 && (of(i) < c.Lo || of(i) > c.Hi) {
			j.flag(i, status.CrossTalk)
		}
	}
}
