package status

import (
	"math"
	"slices"
)

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

// left returns the pixels of r.unjudged from lo to hi.
func (r *PanelResult) left(lo, hi int) []uint32 {
	first, _ := slices.BinarySearch(r.unjudged, uint32(lo))
	n, _ := slices.BinarySearch(r.unjudged[first:], uint32(hi))
	return r.unjudged[first : first+n]
}

// count counts the judged pixels.
func (p *part) count() {
	p.judged = (p.r1 - p.r0) * (p.c1 - p.c0)
	if len(p.of.left(p.r0*p.cols, p.r1*p.cols)) > 0 {
		p.spans(func(lo, hi int) { p.judged -= len(p.of.left(lo, hi)) })
	}
}

// values calls visit with pieces of v, those of the judged pixels, in their order.
func (p *part) values(v []float64, visit func(piece []float64)) {
	whole := p.judged == (p.r1-p.r0)*(p.c1-p.c0)
	if p.judged == 0 {
		return
	}
	p.spans(func(lo, hi int) {
		if !whole {
			for _, at := range p.of.left(lo, hi) {
				if int(at) > lo {
					visit(v[lo:at])
				}
				lo = int(at) + 1
			}
		}
		if lo < hi {
			visit(v[lo:hi])
		}
	})
}

// pieces returns the values of the judged pixels, in their order.
func (p *part) pieces(v []float64) (pieces [][]float64) {
	p.values(v, func(piece []float64) { pieces = append(pieces, piece) })
	return pieces
}

// testedTile is a tile of a panel with the limits that hold there.
type testedTile struct {
	tile
	ave, rms Limits
}

// compare returns the words of a panel with the bits of judged pixels whose values are beyond limits; a value equal to a limit
// is good. The tiles lie row by row, those that follow each other in a row have the same height.
func (r *PanelResult) compare(tiles []testedTile) Sparse {
	found := Sparse{Pixels: r.Rows * r.Cols}
	within := func(t *testedTile, lo, hi int) {
		a, s := t.ave, t.rms
		ave, rms := r.Ave[lo:hi], r.Rms[lo:hi]
		for i, x := range ave {
			if y := rms[i]; x < a.Lo || x > a.Hi || y < s.Lo || y > s.Hi {
				found.At, found.Words = append(found.At, uint32(lo+i)), append(found.Words, beyond(x, y, a, s))
			}
		}
	}
	if len(r.unjudged) == found.Pixels {
		tiles = nil
	}
	for len(tiles) > 0 {
		n := 1
		for n < len(tiles) && tiles[n].r0 == tiles[0].r0 {
			n++
		}
		if n == 1 {
			within(&tiles[0], tiles[0].r0*r.Cols, tiles[0].r1*r.Cols)
		}
		for row := tiles[0].r0; n > 1 && row < tiles[0].r1; row++ {
			for i := range tiles[:n] {
				within(&tiles[i], row*r.Cols+tiles[i].c0, row*r.Cols+tiles[i].c1)
			}
		}
		tiles = tiles[n:]
	}
	out := Sparse{Pixels: found.Pixels, At: make([]uint32, 0, len(r.Bad.At)+len(found.At)), Words: make([]uint64, 0, len(r.Bad.At)+len(found.At))}
	r.Bad.pairs(found, func(at uint32, known, more uint64) {
		if known&NotJudged != 0 {
			more = 0
		}
		out.At, out.Words = append(out.At, at), append(out.Words, known|more)
	})
	return out
}

// beyond returns the bits of a pixel whose average x or rms y is beyond limits.
func beyond(x, y float64, a, s Limits) (word uint64) {
	if y < s.Lo {
		word |= RmsLow
	}
	if y > s.Hi {
		word |= RmsHigh
	}
	if x < a.Lo {
		word |= AveLow
	}
	if x > a.Hi {
		word |= AveHigh
	}
	return word
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
