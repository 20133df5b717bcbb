package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// bins of a histogram.
const bins = 240

// span is the range of a histogram, the same for all panels of a gain mode.
type span struct{ lo, hi float64 }

// histogram counts the judged pixels of a panel by a quantity. The first and the last bin hold what lies outside.
type histogram struct {
	span
	n       [bins]int
	flagged [bins]int // beyond a limit of this quantity
}

// spans returns the ranges of the histograms of units that were judged together: their limits and some room.
func (b *Builder) spans(units []Unit) []span {
	var out []span
	for _, u := range units {
		if b.quantities == nil {
			for _, q := range u.Quantities {
				b.quantities = append(b.quantities, Quantity{Name: q.Name, Unit: q.Unit, Map: q.Map})
			}
		}
		for i, q := range u.Quantities {
			if len(out) <= i {
				out = append(out, span{math.Inf(1), math.Inf(-1)})
			}
			if !q.Map {
				continue
			}
			lo, hi := sampled(q, u.Status)
			for _, l := range q.Limits {
				// An absolute limit far away would leave no room for the pixels.
				if l.High && l.Limit < hi+4*(hi-lo) {
					hi = max(hi, l.Limit)
				}
				if !l.High && l.Limit > lo-4*(hi-lo) {
					lo = min(lo, l.Limit)
				}
			}
			if room := 0.12 * (hi - lo); room >= 0 {
				out[i].lo, out[i].hi = min(out[i].lo, lo-room), max(out[i].hi, hi+room)
			}
		}
	}
	for i := range out {
		if !(out[i].hi > out[i].lo) {
			out[i] = span{out[i].lo - 0.5, out[i].lo + 0.5}
		}
		if math.IsInf(out[i].lo, 0) || out[i].lo != out[i].lo {
			out[i] = span{0, 1}
		}
	}
	return out
}

// sampled returns the range of the bulk of a quantity, from about a thousand judged pixels.
func sampled(q Quantity, words []uint64) (lo, hi float64) {
	var v []float64
	for i := 0; i < len(words); i += 1 + len(words)/1009 {
		if x := q.Value(i); words[i] == 0 && x-x == 0 {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return math.Inf(1), math.Inf(-1)
	}
	slices.Sort(v)
	return v[0], v[len(v)-1]
}

// count takes the values that are not NaN.
func (s span) count(q Quantity, values []float64, words []uint64) histogram {
	h := histogram{span: s}
	var beyond uint64
	for _, l := range q.Limits {
		beyond |= l.Bit
	}
	scale := bins / (s.hi - s.lo)
	for i, v := range values {
		if v != v {
			continue
		}
		k := int(min(max(float64((v-s.lo)*scale), 0), bins-1))
		h.n[k]++
		if words[i]&beyond != 0 {
			h.flagged[k]++
		}
	}
	return h
}

func (h *histogram) add(o histogram) {
	h.span = o.span
	for i := range h.n {
		h.n[i] += o.n[i]
		h.flagged[i] += o.flagged[i]
	}
}

// line is a limit in a chart.
type line struct {
	value float64
	high  bool
}

// linesOf returns the limits of a quantity in some units, each once; of very many only the range.
func linesOf(units []*unit, q int) (out []line) {
	for _, u := range units {
		if u == nil || q >= len(u.limits) {
			continue
		}
		for _, l := range u.limits[q] {
			if x := (line{l.Limit, l.High}); !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	}
	if len(out) > 6 {
		extreme := func(high bool) (lo, hi float64) {
			lo, hi = math.Inf(1), math.Inf(-1)
			for _, l := range out {
				if l.high == high {
					lo, hi = min(lo, l.value), max(hi, l.value)
				}
			}
			return
		}
		a, b := extreme(false)
		c, d := extreme(true)
		out = nil
		for _, l := range []line{{a, false}, {b, false}, {c, true}, {d, true}} {
			if !math.IsInf(l.value, 0) {
				out = append(out, l)
			}
		}
	}
	return out
}

// svg writes pictures.
type svg struct{ strings.Builder }

func (s *svg) f(format string, args ...any) { fmt.Fprintf(&s.Builder, format, args...) }

// esc escapes text for SVG and HTML.
func esc(s string) string { return template.HTMLEscapeString(s) }

// draw draws a histogram with logarithmic counts. Small ones have no numbers.
func (h *histogram) draw(width, height int, limits []line, label, unit string, small bool) template.HTML {
	left, bottom, top := 56, 34, 16
	if small {
		left, bottom, top = 2, 4, 4
	}
	w, t := width-left-6, height-top-bottom
	most := 1
	for _, n := range h.n {
		most = max(most, n)
	}
	scale := float64(t) / math.Log10(float64(most)*1.6+1)
	y := func(n int) int { return top + t - int(math.Round(scale*math.Log10(float64(n)+1))) }
	x := func(v float64) float64 { return float64(left) + float64(w)*(v-h.lo)/(h.hi-h.lo) }
	var s svg
	s.f(`<svg class="chart" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, width, height, width, height, esc(h.describe(limits, label, unit)))
	if !small {
		for n := 1; n <= most; n *= 10 {
			s.f(`<path class="grid" d="M%d %dh%d"/><text x="%d" y="%d" class="num end">%s</text>`, left, y(n), w, left-5, y(n)+4, spaced(n))
		}
	}
	path := func(class string, n *[bins]int) {
		s.f(`<path class="%s" d="`, class)
		open := false
		for i := range bins {
			x0, x1 := left+i*w/bins, left+(i+1)*w/bins
			if n[i] == 0 {
				if open {
					s.f("V%dz", top+t)
					open = false
				}
				continue
			}
			if !open {
				s.f("M%d %d", x0, top+t)
				open = true
			}
			s.f("V%dH%d", y(n[i]), x1)
		}
		if open {
			s.f("V%dz", top+t)
		}
		s.f(`"/>`)
	}
	path("bar", &h.n)
	path("bar flag", &h.flagged)
	for _, l := range limits {
		if l.value < h.lo || l.value > h.hi {
			continue
		}
		s.f(`<path class="limit" d="M%.1f %dv%d"/>`, x(l.value), top-6, t+6)
		if !small {
			class, dx := "num limitText", 4.0
			if !l.high {
				class, dx = "num limitText end", -4
			}
			if x(l.value) > float64(left+w-50) || x(l.value) < float64(left+50) {
				class, dx = "num limitText mid", 0
				s.f(`<text class="%s" x="%.1f" y="%d">%s</text>`, class, x(l.value)+dx, 9, short(l.value))
			} else {
				s.f(`<text class="%s" x="%.1f" y="%d">%s</text>`, class, x(l.value)+dx, top+5, short(l.value))
			}
		}
	}
	s.f(`<path class="axis" d="M%d %dh%d"/>`, left, top+t, w)
	if !small {
		for _, v := range ticks(h.lo, h.hi, 6) {
			s.f(`<path class="axis" d="M%.1f %dv4"/><text class="num mid" x="%.1f" y="%d">%s</text>`, x(v), top+t, x(v), top+t+15, short(v))
		}
		s.f(`<text class="label end" x="%d" y="%d">%s</text>`, left+w, height-3, esc(label+" / "+unit))
	}
	s.f(`</svg>`)
	return template.HTML(s.String())
}

// describe puts the histogram into a sentence, for readers who do not see it.
func (h *histogram) describe(limits []line, label, unit string) string {
	total, flagged, peak := 0, 0, 0
	for i := range h.n {
		total, flagged = total+h.n[i], flagged+h.flagged[i]
		if h.n[i] > h.n[peak] {
			peak = i
		}
	}
	text := fmt.Sprintf("Histogram of %s over %s pixels, most at %s %s", label, spaced(total), short(h.lo+(float64(peak)+0.5)*(h.hi-h.lo)/bins), unit)
	for _, l := range limits {
		side := "lower"
		if l.high {
			side = "upper"
		}
		text += fmt.Sprintf(", %s limit %s", side, short(l.value))
	}
	return text + fmt.Sprintf(", %s pixels beyond the limits.", spaced(flagged))
}

// ticks returns round numbers between lo and hi, about n of them.
func ticks(lo, hi float64, n int) (out []float64) {
	if !(hi > lo) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(n))))
	for _, k := range []float64{1, 2, 5, 10} {
		if (hi-lo)/(step*k) <= float64(n) {
			step *= k
			break
		}
	}
	for v := math.Ceil(lo/step) * step; v <= hi; v += step {
		if math.Abs(v) < step/1e6 {
			v = 0
		}
		out = append(out, v)
	}
	return out
}

// short writes a number with four digits, without an exponent where that is short.
func short(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e7 {
		return spaced(int(v))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.4g", v), ".0")
}

// thin is the space between groups of digits.
const thin = "\u202f"

// spaced writes an integer in groups of three digits.
func spaced(n int) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "\u2212", s[1:]
	}
	for i := len(s) - 3; i > 0 && len(s) > 4; i -= 3 {
		s = s[:i] + thin + s[i:]
	}
	return sign + s
}

// profile draws the bad pixels per row or column as bars.
func profile(counts []int, width, height int, what string) template.HTML {
	most, at := 0, 0
	for i, n := range counts {
		if n > most {
			most, at = n, i
		}
	}
	left, top, bottom := 34, 6, 16
	w, t := width-left-4, height-top-bottom
	var s svg
	s.f(`<svg class="chart" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, width, height, width, height,
		esc(fmt.Sprintf("Bad pixels per %s, most in %s %d: %d.", what, what, at, most)))
	s.f(`<path class="bar" d="`)
	for x := range w {
		lo, hi := x*len(counts)/w, max((x+1)*len(counts)/w, x*len(counts)/w+1)
		n := 0
		if lo < len(counts) {
			n = slices.Max(counts[lo:min(hi, len(counts))])
		}
		if h := (n*t + most - 1) / max(1, most); h > 0 {
			s.f("M%d %dv-%dh1v%dz", left+x, top+t, h, h)
		}
	}
	s.f(`"/><path class="axis" d="M%d %dh%d"/><text class="num end" x="%d" y="%d">%s</text>`, left, top+t, w, left-4, top+8, spaced(most))
	for _, v := range ticks(0, float64(len(counts)), 5) {
		s.f(`<text class="num mid" x="%d" y="%d">%s</text>`, left+int(v)*w/len(counts), height-3, spaced(int(v)))
	}
	s.f(`</svg>`)
	return template.HTML(s.String())
}
