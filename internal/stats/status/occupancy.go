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
func Occupied(status []uint64, rows, cols, asicRows, asicCols int) Occupancy {
	o := Occupancy{Rows: make([]int, rows), Cols: make([]int, cols)}
	for _, t := range asics(rows, cols, asicRows, asicCols) {
		chip := Area{Row: t.r0, Col: t.c0, Rows: t.r1 - t.r0, Cols: t.c1 - t.c0}
		inCol := make([]int, chip.Cols)
		for r := t.r0; r < t.r1; r++ {
			bad := 0
			for c := range inCol {
				if status[r*cols+t.c0+c] != 0 {
					inCol[c]++
					bad++
				}
			}
			o.Rows[r] += bad
			chip.Bad += bad
			if line := (Area{r, t.c0, 1, chip.Cols, bad}); line.MostlyBad() {
				o.Lines = append(o.Lines, line)
			}
		}
		for c, bad := range inCol {
			o.Cols[t.c0+c] += bad
			if line := (Area{t.r0, t.c0 + c, chip.Rows, 1, bad}); line.MostlyBad() {
				o.Lines = append(o.Lines, line)
			}
		}
		o.Chips = append(o.Chips, chip)
	}
	return o
}
