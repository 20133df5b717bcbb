package status

// Occupancy counts the bad pixels of a panel by row, column and readout chip.
type Occupancy struct {
	Rows, Cols []int  // bad pixels of each row and column of the panel
	Chips      []Area // row by row
	Lines      []Area // rows and columns of chips of which more than half is bad
}

// Area is a rectangle of a panel.
type Area struct {
	Row, Col, Rows, Cols int
	Bad                  int
}

// Pixels returns the number of pixels.
func (a Area) Pixels() int { return a.Rows * a.Cols }

// MostlyBad reports whether more than half of the pixels is bad.
func (a Area) MostlyBad() bool { return 2*a.Bad > a.Pixels() }

// Occupied counts the pixels with any bit; asicRows and asicCols of 0 mean one chip.
func Occupied(bad Sparse, rows, cols, asicRows, asicCols int) Occupancy {
	o := Occupancy{Rows: make([]int, rows), Cols: make([]int, cols)}
	tiles := asics(rows, cols, asicRows, asicCols)
	lines := linesOf(bad, tiles, rows, cols)
	for _, at := range bad.At {
		o.Rows[int(at)/cols]++
		o.Cols[int(at)%cols]++
	}
	for i, t := range tiles {
		chip := Area{t.r0, t.c0, t.r1 - t.r0, t.c1 - t.c0, lines.chips[i]}
		o.Chips = append(o.Chips, chip)
		for r := t.r0; r < t.r1; r++ {
			if line := (Area{r, t.c0, 1, chip.Cols, lines.rows[lines.rowOf(r, i)]}); line.MostlyBad() {
				o.Lines = append(o.Lines, line)
			}
		}
		for c := t.c0; c < t.c1; c++ {
			if line := (Area{t.r0, c, chip.Rows, 1, lines.cols[lines.colOf(c, i)]}); line.MostlyBad() {
				o.Lines = append(o.Lines, line)
			}
		}
	}
	return o
}

// lines are the numbers of listed pixels in the chips of a panel, and in the rows and columns of each chip.
type lines struct {
	chips, rows, cols []int
	across, width     int // chips in a row; columns of the panel
}

// linesOf counts the listed pixels of a panel that is cut into chips.
func linesOf(list Sparse, tiles []tile, rows, cols int) lines {
	l := lines{chips: make([]int, len(tiles)), width: cols}
	for _, t := range tiles {
		if t.r0 == 0 {
			l.across++
		}
	}
	l.rows, l.cols = make([]int, rows*l.across), make([]int, cols*(len(tiles)/max(1, l.across)))
	for _, at := range list.At {
		r, c := int(at)/cols, int(at)%cols
		chip := r/tiles[0].r1*l.across + c/tiles[0].c1 // chips at the edges are smaller
		l.chips[chip]++
		l.rows[l.rowOf(r, chip)]++
		l.cols[l.colOf(c, chip)]++
	}
	return l
}

// rowOf returns where the count of a row of a chip stands in rows.
func (l *lines) rowOf(row, chip int) int { return row*l.across + chip%l.across }

// colOf returns where the count of a column of a chip stands in cols.
func (l *lines) colOf(col, chip int) int { return chip/l.across*l.width + col }
