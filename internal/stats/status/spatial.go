package status

import "fmt"

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

// AddHints sets the bits RowCol and ASIC in the status of one panel. Hints found in status are
// removed first, so it can be called again with other parameters; hints never cause hints.
//
// RowCol and ASIC go to all judged pixels of the line or chip, RowCol also to pixels that are not bad
// themselves and touch a bad one, across chip borders too.
func AddHints(status []uint64, rows, cols int, p SpatialParams) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if rows*cols != len(status) {
		panic(fmt.Sprintf("stats/status: %d pixels of status for a panel of %d x %d", len(status), rows, cols))
	}
	if p.Bits == 0 {
		p.Bits = ^(Hints | NotJudged)
	}
	for i := range status {
		status[i] &^= Hints
	}
	bad := make([]bool, len(status))
	for i, s := range status {
		bad[i] = s&NotJudged == 0 && s&p.Bits != 0
	}
	g := grid{status, bad, cols}
	for _, t := range asics(rows, cols, p.ASICRows, p.ASICCols) {
		if p.LineFraction > 0 {
			for r := t.r0; r < t.r1; r++ {
				g.flag(tile{r0: r, r1: r + 1, c0: t.c0, c1: t.c1}, p.LineFraction, RowCol)
			}
			for c := t.c0; c < t.c1; c++ {
				g.flag(tile{r0: t.r0, r1: t.r1, c0: c, c1: c + 1}, p.LineFraction, RowCol)
			}
		}
		if p.ASICFraction > 0 {
			g.flag(t, p.ASICFraction, ASIC)
		}
	}
	if p.Neighbours > 0 {
		g.flagNeighbours(rows, p.Neighbours == 8)
	}
	return nil
}

type grid struct {
	status []uint64
	bad    []bool
	cols   int
}

// flag sets a bit in all judged pixels of a tile if more than the fraction of them is bad.
func (g grid) flag(t tile, fraction float64, bit uint64) {
	judged, bad := 0, 0
	g.each(t, func(i int) {
		judged++
		if g.bad[i] {
			bad++
		}
	})
	if float64(bad) > float64(fraction*float64(judged)) {
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
