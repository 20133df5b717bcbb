package status

import (
	"fmt"
	"slices"
)

// SpatialParams switch the hints about a pixel's surroundings. A pixel is bad here when it has one of
// Bits; unjudged pixels are neither good nor bad and get no hint.
type SpatialParams struct {
	Bits               uint64  // bits that make a pixel bad; 0: all but hints and unjudged
	LineFraction       float64 // RowCol: more than this fraction of the judged pixels of a chip's row or column is bad; 0: off
	ASICFraction       float64 // ASIC: the same for the chip; 0: off
	Neighbours         int     // RowCol: 4 or 8 adjoining pixels are looked at; 0: off
	ASICRows, ASICCols int     // 0: the panel is one chip
}

// Validate says what is wrong with p, in words for the user.
func (p SpatialParams) Validate() error {
	switch {
	case !(p.LineFraction >= 0 && p.LineFraction < 1) || !(p.ASICFraction >= 0 && p.ASICFraction < 1):
		return fmt.Errorf("fractions %v of lines and %v of chips: wanted 0 <= fraction < 1", p.LineFraction, p.ASICFraction)
	case p.Neighbours != 0 && p.Neighbours != 4 && p.Neighbours != 8:
		return fmt.Errorf("%d neighbours: wanted 0, 4 or 8", p.Neighbours)
	case p.ASICRows < 0 || p.ASICCols < 0:
		return fmt.Errorf("chip of %d x %d pixels", p.ASICRows, p.ASICCols)
	}
	return nil
}

// AddHints returns the status of one panel with the bits RowCol and ASIC. Hints found in status are
// removed first, so it can be called again with other parameters; hints never cause hints.
//
// RowCol and ASIC go to all judged pixels of the line or chip, RowCol also to pixels that are not bad
// themselves and touch a bad one, across chip borders too.
func AddHints(status Sparse, rows, cols int, p SpatialParams) (Sparse, error) {
	if err := p.Validate(); err != nil {
		return status, err
	}
	if rows*cols != status.Pixels {
		panic(fmt.Sprintf("stats/status: %d pixels of status for a panel of %d x %d", status.Pixels, rows, cols))
	}
	if p.Bits == 0 {
		p.Bits = ^(Hints | NotJudged)
	}
	bare := status.only(func(w uint64) uint64 { return w &^ Hints })
	bad := bare.only(func(w uint64) uint64 {
		if w&NotJudged != 0 {
			return 0
		}
		return w & p.Bits
	})
	switch {
	case len(bad.At) == 0:
		return bare, nil
	case p.anyLine(bad, bare.only(func(w uint64) uint64 { return w & NotJudged }), rows, cols) || p.Neighbours > 0 && len(bad.At) > status.Pixels/denseFrom:
		words := bare.Dense()
		addHints(words, rows, cols, p)
		return SparseOf(words), nil
	case p.Neighbours > 0:
		return bare.Or(besides(bare, bad, rows, cols, p.Neighbours == 8))
	}
	return bare, nil
}

// denseFrom is the part of the pixels, one in so many, from which it is faster to look at all pixels than at those beside bad
// ones.
const denseFrom = 20

// anyLine reports whether any line or chip gets a bit.
func (p SpatialParams) anyLine(bad, unjudged Sparse, rows, cols int) bool {
	tiles := asics(rows, cols, p.ASICRows, p.ASICCols)
	b, u := linesOf(bad, tiles, rows, cols), linesOf(unjudged, tiles, rows, cols)
	for i, t := range tiles {
		w, h := t.c1-t.c0, t.r1-t.r0
		if tooMany(b.chips[i], w*h-u.chips[i], p.ASICFraction) {
			return true
		}
		for r := t.r0; r < t.r1; r++ {
			if k := b.rowOf(r, i); tooMany(b.rows[k], w-u.rows[k], p.LineFraction) {
				return true
			}
		}
		for c := t.c0; c < t.c1; c++ {
			if k := b.colOf(c, i); tooMany(b.cols[k], h-u.cols[k], p.LineFraction) {
				return true
			}
		}
	}
	return false
}

// tooMany reports whether more than a fraction of the judged pixels of a line or chip is bad; a fraction of 0 is off.
func tooMany(bad, judged int, fraction float64) bool {
	return fraction > 0 && float64(bad) > float64(fraction*float64(judged))
}

// besides returns RowCol for the judged pixels that touch a bad one and are not bad themselves.
func besides(status, bad Sparse, rows, cols int, diagonal bool) Sparse {
	var at []uint32
	for _, b := range bad.At {
		r, c := int(b)/cols, int(b)%cols
		for y := max(r-1, 0); y <= min(r+1, rows-1); y++ {
			for x := max(c-1, 0); x <= min(c+1, cols-1); x++ {
				if i := y*cols + x; (diagonal || y == r || x == c) && bad.Word(i) == 0 && status.Word(i)&NotJudged == 0 {
					at = append(at, uint32(i))
				}
			}
		}
	}
	slices.Sort(at)
	at = slices.Compact(at)
	return Sparse{Pixels: status.Pixels, At: at, Words: slices.Repeat([]uint64{RowCol}, len(at))}
}

// addHints is the part of AddHints that looks at all pixels, of which none has hints.
func addHints(status []uint64, rows, cols int, p SpatialParams) {
	bad := make([]bool, len(status))
	for i, s := range status {
		bad[i] = s&NotJudged == 0 && s&p.Bits != 0
	}
	g := grid{status, bad, cols}
	for _, t := range asics(rows, cols, p.ASICRows, p.ASICCols) {
		for r := t.r0; r < t.r1; r++ {
			g.flag(tile{r0: r, r1: r + 1, c0: t.c0, c1: t.c1}, p.LineFraction, RowCol)
		}
		for c := t.c0; c < t.c1; c++ {
			g.flag(tile{r0: t.r0, r1: t.r1, c0: c, c1: c + 1}, p.LineFraction, RowCol)
		}
		g.flag(t, p.ASICFraction, ASIC)
	}
	if p.Neighbours > 0 {
		g.flagNeighbours(rows, p.Neighbours == 8)
	}
}

type grid struct {
	status []uint64
	bad    []bool
	cols   int
}

// flag sets a bit in all judged pixels of a tile if more than the fraction of them is bad.
func (g grid) flag(t tile, fraction float64, bit uint64) {
	if fraction == 0 {
		return
	}
	judged, bad := 0, 0
	g.each(t, func(i int) {
		judged++
		if g.bad[i] {
			bad++
		}
	})
	if tooMany(bad, judged, fraction) {
		g.each(t, func(i int) { g.status[i] |= bit })
	}
}

// each visits the judged pixels of a tile.
func (g grid) each(t tile, visit func(i int)) {
	for r := t.r0; r < t.r1; r++ {
		for i := r*g.cols + t.c0; i < r*g.cols+t.c1; i++ {
			if g.status[i]&NotJudged == 0 {
				visit(i)
			}
		}
	}
}

func (g grid) flagNeighbours(rows int, diagonal bool) {
	whole := tile{r1: rows, c1: g.cols}
	g.each(whole, func(i int) {
		if g.bad[i] {
			return
		}
		r, c := i/g.cols, i%g.cols
		for y := max(r-1, 0); y <= min(r+1, rows-1); y++ {
			for x := max(c-1, 0); x <= min(c+1, g.cols-1); x++ {
				if g.bad[y*g.cols+x] && (diagonal || y == r || x == c) {
					g.status[i] |= RowCol
					return
				}
			}
		}
	})
}
