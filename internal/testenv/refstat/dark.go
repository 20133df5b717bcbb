package refstat

import (
	"math"
	"slices"

	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// DarkPanel is the result of the dark rules for one panel.
type DarkPanel struct {
	Status   []uint64
	Ave, Rms []float64
	Lo, Hi   []uint16 // gates; whole range in profile data
	AveLim   status.Limits
	RmsLim   status.Limits
}

// Dark judges panels of equal shape by the sane dark rules (profiles dark and data, method mean, limits per
// detector or panel). frames[p] are the raw frames of panel p, none for an absent panel. two asks for gates of two
// passes.
func Dark(frames [][][]uint16, pixels int, g quantile.GateParams, nrecs1 int, two *status.TwoPass, p status.DarkParams, gain Gain) []DarkPanel {
	out := make([]DarkPanel, len(frames))
	for i := range frames {
		out[i] = darkValues(frames[i], pixels, g, nrecs1, two, p, gain)
	}
	for _, group := range groups(len(out), p.Scope) {
		var ave, rms []float64
		for _, i := range group {
			for k, s := range out[i].Status {
				if s == 0 {
					ave, rms = append(ave, out[i].Ave[k]), append(rms, out[i].Rms[k])
				}
			}
		}
		a := limits(ave, p.IntNLo, p.IntNHi, p.IntLo, p.IntHi)
		r := limits(rms, p.RmsNLo, p.RmsNHi, p.RmsLo, p.RmsHi)
		for _, i := range group {
			out[i].AveLim, out[i].RmsLim = a, r
		}
	}
	for i := range out {
		for k := range out[i].Status {
			if out[i].Status[k] == 0 {
				out[i].Status[k] = darkBits(&out[i], k, frames[i], g, p, gain)
			}
		}
	}
	return out
}

// Gain says which bits of a word tell the gain, and what they are in the job's gain mode and in none. Mask 0: none.
type Gain struct{ Mask, Wanted, Never uint16 }

// counts reports whether a word counts: in profile data only those of the job's gain do.
func (g Gain) counts(p status.DarkParams, word uint16) bool {
	return p.Profile != status.ProfileData || word&g.Mask == g.Wanted
}

// wrong reports whether a word is what the gain rule objects to.
func (g Gain) wrong(p status.DarkParams, word uint16) bool {
	switch p.GainRule {
	case status.GainExpected:
		return word&g.Mask != g.Wanted
	case status.GainImpossible:
		return word&g.Mask == g.Never
	}
	return false
}

func groups(panels int, s status.Scope) [][]int {
	var all []int
	var each [][]int
	for i := range panels {
		all, each = append(all, i), append(each, []int{i})
	}
	if s == status.PerPanel {
		return each
	}
	return [][]int{all}
}

func limits(v []float64, nLo, nHi, absLo, absHi float64) status.Limits {
	l := status.Limits{Lo: absLo, Hi: absHi, Used: len(v)}
	l.Mean, l.Std = meanStd(v)
	if nLo > 0 {
		l.Lo = math.Max(l.Mean-nLo*l.Std, absLo)
	}
	if nHi > 0 {
		l.Hi = math.Min(l.Mean+nHi*l.Std, absHi)
	}
	return l
}

// darkValues finds gates, averages and rms; Status holds the unjudged bits.
func darkValues(frames [][]uint16, pixels int, g quantile.GateParams, nrecs1 int, two *status.TwoPass, p status.DarkParams, gain Gain) DarkPanel {
	d := DarkPanel{Status: make([]uint64, pixels), Ave: make([]float64, pixels), Rms: make([]float64, pixels),
		Lo: make([]uint16, pixels), Hi: make([]uint16, pixels)}
	lead := frames[:min(nrecs1, len(frames))]
	half := 0.
	if two != nil {
		half = halfGate(lead, pixels, g, *two)
	}
	for k := range pixels {
		d.Hi[k] = 65535
		switch n := uint64(len(frames)); {
		case n == 0:
			d.Status[k] = 1024
			continue
		case n < p.MinFrames:
			d.Status[k] = 2048
			continue
		}
		var y []uint16
		for _, f := range frames {
			if gain.counts(p, f[k]) {
				y = append(y, f[k]&g.DataBits)
			}
		}
		if uint64(len(y)) < p.MinFrames {
			d.Status[k] = 2048
			continue
		}
		switch {
		case two != nil:
			a, _ := moments(lead, k, g)
			d.Lo[k] = uint16(max(math.Floor(max(a-half, g.IntLo)), math.Ceil(g.IntLo)))
			d.Hi[k] = uint16(math.Floor(min(a+half, g.IntHi)))
		case p.Profile == status.ProfileDark:
			d.Lo[k], d.Hi[k] = gateOf(y[:min(nrecs1, len(y))], g)
		}
		n, s1, s2 := 0., 0., 0.
		for _, v := range y {
			if v >= d.Lo[k] && v <= d.Hi[k] {
				n, s1, s2 = n+1, s1+float64(v), s2+float64(v)*float64(v)
			}
		}
		if n > 0 {
			d.Ave[k] = s1 / n
			d.Rms[k] = math.Sqrt(s2/n - float64(d.Ave[k]*d.Ave[k]))
		}
	}
	return d
}

// moments returns average and rms of a pixel's values inside the absolute limits.
func moments(frames [][]uint16, k int, g quantile.GateParams) (ave, rms float64) {
	n, s1, s2 := 0., 0., 0.
	for _, f := range frames {
		if v := float64(f[k] & g.DataBits); v >= g.IntLo && v <= g.IntHi {
			n, s1, s2 = n+1, s1+v, s2+v*v
		}
	}
	if n == 0 {
		return 0, 0
	}
	ave = s1 / n
	return ave, math.Sqrt(s2/n - float64(ave*ave))
}

// halfGate returns half the width of the gates of a panel by the rule of two passes.
func halfGate(lead [][]uint16, pixels int, g quantile.GateParams, two status.TwoPass) float64 {
	var in int
	r := make([]float64, pixels)
	for k := range r {
		if _, rms := moments(lead, k, g); rms >= two.RmsLo && rms <= two.RmsHi {
			in, r[k] = in+1, rms
		}
	}
	if in == 0 {
		return math.MaxUint16
	}
	return two.NSigma * (status.Sum(r) / float64(in))
}

// gateOf returns the gate by the rule of stage 1 and the clipping.
func gateOf(block []uint16, g quantile.GateParams) (lo, hi uint16) {
	s := slices.Clone(block)
	slices.Sort(s)
	n := float64(len(s) - 1)
	a := math.Trunc(math.Max(float64(s[int(math.Floor(g.FracLo*n))]), g.IntLo))
	b := math.Trunc(math.Min(float64(s[int(math.Ceil(g.FracHi*n))]), g.IntHi))
	if !(b > a) {
		b++
	}
	return uint16(math.Max(a, math.Ceil(g.IntLo))), uint16(math.Min(b, math.Floor(g.IntHi)))
}

func darkBits(d *DarkPanel, k int, frames [][]uint16, g quantile.GateParams, p status.DarkParams, gain Gain) (s uint64) {
	below, above, wrong := 0, 0, false
	for _, f := range frames {
		wrong = wrong || gain.wrong(p, f[k])
		if !gain.counts(p, f[k]) {
			continue
		}
		y := float64(f[k] & g.DataBits)
		if y < p.IntLo {
			below++
		}
		if y > p.IntHi {
			above++
		}
	}
	n := len(frames)
	if p.Profile == status.ProfileDark {
		n--
	}
	allowed := int(p.FracLm * float64(n))
	for _, rule := range []struct {
		bit uint64
		bad bool
	}{
		{1, d.Rms[k] > d.RmsLim.Hi}, {2, d.Rms[k] < d.RmsLim.Lo}, {4, above > allowed}, {8, below > allowed},
		{16, d.Ave[k] > d.AveLim.Hi}, {32, d.Ave[k] < d.AveLim.Lo}, {64, wrong},
	} {
		if rule.bad {
			s += rule.bit
		}
	}
	return s
}
