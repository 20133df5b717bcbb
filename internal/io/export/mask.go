package export

import (
	"fmt"
	"slices"
	"strings"

	"rawstatus/internal/fault"
)

// Kind is a set of reasons why a pixel is bad, in words that other programs have bits for.
type Kind uint16

// The kinds.
const (
	Quiet     Kind = 1 << iota // too little noise: stuck or dead
	Cold                       // too low
	Weak                       // responds too little
	Hot                        // too high
	Saturated                  // often saturated
	Noisy                      // too much noise
	WrongGain                  // gain bits are not those of the mode
	NoData                     // never measured
	LowStats                   // too few frames
	EvalError                  // the rule has no answer
	Spatial                    // bad surroundings: row, column, chip, neighbour
	User                       // masked by a person
	Other                      // a bit whose meaning is not known
)

// Bit is one bit of the words and what it stands for.
type Bit struct {
	Value uint64
	Name  string
	Kind  Kind
}

// Mask is the bad pixels of a detector. All panels have the same shape.
type Mask struct {
	Detector   string
	Rows, Cols int
	Panels     [][]uint64 // words of the chosen bits by panel, row-major; 0 is good
	Bits       []Bit      // meaning of the bits; others are Other
	Notes      []string   // source, bits and gain modes: comment lines where the format has comments
}

// Check reports what is wrong with the shape of the mask.
func (m *Mask) Check() error {
	if m.Rows <= 0 || m.Cols <= 0 || len(m.Panels) == 0 {
		return fault.New(fault.Input, "nothing to export: %s of %d x %s", fault.Count(len(m.Panels), "panel"), m.Rows, fault.Count(m.Cols, "pixel"))
	}
	for i, p := range m.Panels {
		if len(p) != m.Rows*m.Cols {
			return fault.New(fault.Input, "panel %d has %s, wanted %d x %d", i, fault.Count(len(p), "pixel"), m.Rows, m.Cols)
		}
	}
	return nil
}

// Masked counts the masked pixels.
func (m *Mask) Masked() (n int) {
	for _, p := range m.Panels {
		for _, word := range p {
			if word != 0 {
				n++
			}
		}
	}
	return n
}

// kind returns the reasons behind a word, 0 for a good pixel.
func (m *Mask) kind(word uint64) (k Kind) {
	for rest := word; rest != 0; rest &= rest - 1 {
		v := rest & -rest
		i := slices.IndexFunc(m.Bits, func(b Bit) bool { return b.Value == v })
		if i < 0 {
			k |= Other
		} else {
			k |= m.Bits[i].Kind
		}
	}
	return k
}

// names spells a word: the names of its bits joined by "|", numbers for bits without a name.
func (m *Mask) names(word uint64) string {
	var names []string
	for rest := word; rest != 0; rest &= rest - 1 {
		v := rest & -rest
		if i := slices.IndexFunc(m.Bits, func(b Bit) bool { return b.Value == v }); i >= 0 && m.Bits[i].Name != "" {
			names = append(names, m.Bits[i].Name)
		} else {
			names = append(names, fmt.Sprint(v))
		}
	}
	return strings.Join(names, "|")
}

// Rect is a rectangle of pixels: columns X0 <= x < X1, rows Y0 <= y < Y1.
type Rect struct{ X0, X1, Y0, Y1 int }

// Pixels returns the area of the rectangle.
func (r Rect) Pixels() int { return (r.X1 - r.X0) * (r.Y1 - r.Y0) }

// Rects cuts the masked pixels of rows x cols words into rectangles: disjoint, together exactly the masked pixels, ordered
// by first row, then by first column. masked reports whether the pixel at a row-major index is masked.
func Rects(rows, cols int, masked func(i int) bool) []Rect {
	var done, above []Rect // above: rectangles that end at the row before
	for y := range rows {
		var here []Rect
		next := 0 // first of above that may continue
		for x := 0; x < cols; x++ {
			if !masked(y*cols + x) {
				continue
			}
			run := Rect{X0: x, Y0: y, Y1: y + 1}
			for x < cols && masked(y*cols+x) {
				x++
			}
			run.X1 = x
			for next < len(above) && above[next].X0 < run.X0 {
				done = append(done, above[next])
				next++
			}
			if next < len(above) && above[next].X0 == run.X0 && above[next].X1 == run.X1 {
				run.Y0 = above[next].Y0
				next++
			}
			here = append(here, run)
		}
		done = append(done, above[next:]...)
		above = here
	}
	done = append(done, above...)
	slices.SortFunc(done, func(a, b Rect) int {
		if a.Y0 != b.Y0 {
			return a.Y0 - b.Y0
		}
		return a.X0 - b.X0
	})
	return done
}
