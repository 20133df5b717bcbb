package status

import (
	"fmt"
	"math"
	"strconv"
)

// Line is one line of the bad-pixel table of a log.
type Line struct {
	Value   uint64  `json:"value"`
	Name    string  `json:"name"`
	Count   int     `json:"count"`
	Percent float64 `json:"percent"`
	Rule    string  `json:"rule"` // with numbers
}

// Lines makes the table of a family: one line for every bit that rules holds (value to rule with numbers)
// and for every further bit that a pixel has.
func Lines(f Family, c Counts, rules map[uint64]string) []Line {
	var lines []Line
	for _, b := range Table {
		if b.Family != f && b.Family != "" {
			continue
		}
		rule, evaluated := rules[b.Value]
		if !evaluated && c.Of(b.Value) == 0 {
			continue
		}
		if !evaluated {
			rule = b.Rule
		}
		lines = append(lines, Line{b.Value, b.Name, c.Of(b.Value), percent(c.Of(b.Value), c.Pixels), rule})
	}
	return lines
}

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

// Counts adds up the counts of all panels.
func (r *DarkResult) Counts() Counts {
	var c Counts
	for _, p := range r.Panels {
		c.Add(p.Counts)
	}
	return c
}

// Lines makes the bad-pixel table of all panels together. Where limits or frame numbers differ between
// groups or panels the rule shows their range.
func (r *DarkResult) Lines() []Line {
	pick := func(f func(GroupResult) float64) []float64 {
		var v []float64
		for _, g := range r.Groups {
			if g.Judged > 0 {
				v = append(v, f(g))
			}
		}
		return v
	}
	var nevlm []float64
	for _, p := range r.Panels {
		if p.Frames > 0 {
			nevlm = append(nevlm, float64(p.Nevlm))
		}
	}
	rules := map[uint64]string{
		RmsHigh:  "rms > " + span(pick(func(g GroupResult) float64 { return g.Rms.Hi })),
		RmsLow:   "rms < " + span(pick(func(g GroupResult) float64 { return g.Rms.Lo })),
		IntHigh:  fmt.Sprintf("y > %s in more than %s frames", number(r.Params.IntHi), span(nevlm)),
		IntLow:   fmt.Sprintf("y < %s in more than %s frames", number(r.Params.IntLo), span(nevlm)),
		AveHigh:  "average > " + span(pick(func(g GroupResult) float64 { return g.Ave.Hi })),
		AveLow:   "average < " + span(pick(func(g GroupResult) float64 { return g.Ave.Lo })),
		NoData:   "no frame of the panel or pixel",
		LowStats: fmt.Sprintf("fewer than %d frames", r.Params.MinFrames),
	}
	if r.Params.GainRule == GainExpected {
		rules[GainState] = "gain bits of any frame are not those of the gain mode"
	}
	if r.Params.GainRule == GainImpossible {
		rules[GainState] = "gain bits of any frame are 10"
	}
	return Lines(Dark, r.Counts(), rules)
}

// number writes a limit as a log shows it: integers in full, else four significant digits or one decimal.
func number(v float64) string {
	switch {
	case v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', -1, 64)
	case math.Abs(v) >= 1000:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// span writes equal numbers as one, others as their range.
func span(v []float64) string {
	if len(v) == 0 {
		return "(no judged pixel)"
	}
	lo, hi := v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	if lo == hi {
		return number(lo)
	}
	return fmt.Sprintf("%s..%s (%d groups)", number(lo), number(hi), len(v))
}
