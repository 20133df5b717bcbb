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
	across := 0 // chips in a row
	for _, t := range tiles {
		o.Chips = append(o.Chips, Area{Row: t.r0, Col: t.c0, Rows: t.r1 - t.r0, Cols: t.c1 - t.c0})
		if t.r0 == 0 {
			across++
		}
	}
	inRow, inCol := make([]int, rows*across), make([]int, cols*(len(tiles)/max(1, across)))
	for _, at := range bad.At {
		r, c := int(at)/cols, int(at)%cols
		chipCol, chipRow := c/tiles[0].c1, r/tiles[0].r1 // chips at the edges are smaller
		o.Rows[r]++
		o.Cols[c]++
		inRow[r*across+chipCol]++
		inCol[chipRow*cols+c]++
		o.Chips[chipRow*across+chipCol].Bad++
	}
	for i, t := range tiles {
		chip := o.Chips[i]
		for r := t.r0; r < t.r1; r++ {
			if line := (Area{r, t.c0, 1, chip.Cols, inRow[r*across+i%across]}); line.MostlyBad() {
				o.Lines = append(o.Lines, line)
			}
		}
		for c := t.c0; c < t.c1; c++ {
			if line := (Area{t.r0, c, chip.Rows, 1, inCol[i/across*cols+c]}); line.MostlyBad() {
				o.Lines = append(o.Lines, line)
			}
		}
	}
	return o
}
