package status

import "math"

// part is a tile of a panel in a group whose values are evaluated together.
type part struct {
	tile
	cols          int
	of            *PanelResult
	judged, first int // pixels that are judged; those of the parts before
}

// spans visits the rows of the tile, and as one where they follow each other.
func (p *part) spans(visit func(lo, hi int)) {
	if p.c0 == 0 && p.c1 == p.cols {
		visit(p.r0*p.cols, p.r1*p.cols)
		return
	}
	for r := p.r0; r < p.r1; r++ {
		visit(r*p.cols+p.c0, r*p.cols+p.c1)
	}
}

// count counts the judged pixels.
func (p *part) count() {
	p.judged = 0
	p.spans(func(lo, hi int) {
		n := 0
		for _, w := range p.of.Status[lo:hi] {
			if w&NotJudged == 0 {
				n++
			}
		}
		p.judged += n
	})
}

// values calls visit with pieces of v, those of the judged pixels, in their order.
func (p *part) values(v []float64, visit func(piece []float64)) {
	whole := p.judged == (p.r1-p.r0)*(p.c1-p.c0)
	p.spans(func(lo, hi int) {
		if whole {
			visit(v[lo:hi])
			return
		}
		for lo < hi {
			end := lo
			for end < hi && p.of.Status[end]&NotJudged == 0 {
				end++
			}
			if end > lo {
				visit(v[lo:end])
			}
			lo = end + 1
		}
	})
}

// pieces returns the values of the judged pixels, in their order.
func (p *part) pieces(v []float64) (pieces [][]float64) {
	p.values(v, func(piece []float64) { pieces = append(pieces, piece) })
	return pieces
}

// compare sets the bits of judged pixels whose values are beyond limits; a value equal to a limit is good.
func (p *part) compare(a, s Limits) {
	p.spans(func(lo, hi int) {
		words, ave, rms := p.of.Status[lo:hi], p.of.Ave[lo:hi], p.of.Rms[lo:hi]
		for i, x := range ave[:len(words)] {
			y := rms[i]
			if !(x < a.Lo || x > a.Hi || y < s.Lo || y > s.Hi) || words[i]&NotJudged != 0 {
				continue
			}
			if y < s.Lo {
				words[i] |= RmsLow
			}
			if y > s.Hi {
				words[i] |= RmsHigh
			}
			if x < a.Lo {
				words[i] |= AveLow
			}
			if x > a.Hi {
				words[i] |= AveHigh
			}
		}
	})
}

// groupLimits is limits of the judged values of all parts, one part after the other.
func groupLimits(parts []part, judged int, of func(*PanelResult) []float64, w bounds, m Method) Limits {
	if m == Robust {
		var pieces [][]float64
		for i := range parts {
			pieces = append(pieces, parts[i].pieces(of(parts[i].of))...)
		}
		return robustLimits(pieces, w)
	}
	l := Limits{Used: judged}
	n := float64(judged)
	l.Mean = groupSum(parts, of, pairwise[float64]) / n
	l.Std = math.Sqrt(groupSum(parts, of, func(v []float64) float64 { return pairwiseSquares(v, l.Mean) }) / n)
	l.Lo, l.Hi = w.around(l.Mean, l.Std)
	return l
}

// groupSum adds up the judged values of all parts in the order of Sum, with the sum of a buffer by add. Buffers that lie
// within a part are added up there, at once with those of other parts; those across the borders of parts when all
// are done.
func groupSum(parts []part, of func(*PanelResult) []float64, add func([]float64) float64) float64 {
	type partial struct {
		head, tail []float64 // values before the first and after the last whole buffer of the part
		sums       []float64
	}
	done := make([]partial, len(parts))
	atOnce(len(parts), func(i int) {
		p, d := &parts[i], &done[i]
		before := min(p.judged, (buffer-p.first%buffer)%buffer) // they belong to a buffer that began earlier
		p.values(of(p.of), func(piece []float64) {
			n := min(before-len(d.head), len(piece))
			d.head, piece = append(d.head, piece[:n]...), piece[n:]
			for len(piece) > 0 {
				if len(d.tail) == 0 && len(piece) >= buffer {
					d.sums, piece = append(d.sums, add(piece[:buffer])), piece[buffer:]
					continue
				}
				n := min(buffer-len(d.tail), len(piece))
				d.tail, piece = append(d.tail, piece[:n]...), piece[n:]
				if len(d.tail) == buffer {
					d.sums, d.tail = append(d.sums, add(d.tail)), d.tail[:0]
				}
			}
		})
	})
	var sum float64
	var across []float64
	for _, d := range done {
		across = append(across, d.head...)
		if len(across) == buffer {
			sum, across = sum+add(across), across[:0]
		}
		for _, s := range d.sums {
			sum += s
		}
		across = append(across, d.tail...)
	}
	return sum + add(across)
}
