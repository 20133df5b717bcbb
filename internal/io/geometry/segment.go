package geometry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// segment is the pixels of one type of panel: columns lie at x, rows at y, in um. For psana's older matrices rows lie at x.
type segment struct {
	x, y    []float64
	rowsAtX bool
	pixel   float64
}

// points returns the pixels in the order of the array.
func (s *segment) points() (p points) {
	p.size = s.pixel
	for _, y := range s.y {
		for _, x := range s.x {
			if s.rowsAtX {
				p.x, p.y = append(p.x, y), append(p.y, x)
			} else {
				p.x, p.y = append(p.x, x), append(p.y, y)
			}
		}
	}
	p.z = make([]float64, len(p.x))
	return p
}

// halves are n pixels on both sides of a gap between chips, from the lowest coordinate up; first is the distance of the first
// pixel from the middle.
func halves(n int, first, pixel float64) []float64 {
	v := make([]float64, 2*n)
	for i := range n {
		v[n+i] = first + float64(i)*pixel
		v[n-1-i] = -v[n+i]
	}
	return v
}

// down turns the direction of an axis.
func down(v []float64) []float64 {
	w := slices.Clone(v)
	for i := range w {
		w[i] = -w[i]
	}
	return w
}

// chips are chips of n pixels that begin at given coordinates, in pixels.
func chips(n int, pixel float64, begin ...float64) (v []float64) {
	for _, b := range begin {
		for i := range n {
			v = append(v, float64(float64(i)*pixel)+float64(b*pixel))
		}
	}
	return v
}

// centred are n pixels around the middle.
func centred(n int, pixel float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = (float64(i) - float64(n-1)/2) * pixel
	}
	return v
}

// twoByTwo returns a panel of 2 x 2 chips whose pixels beside the gaps are wide.
func twoByTwo(rows, cols int, pixel, wide float64) *segment {
	first := wide - pixel/2
	return &segment{x: halves(cols/2, first, pixel), y: down(halves(rows/2, first, pixel)), pixel: pixel}
}

// segments are the types of panels by the name that geometries give them.
var segments = map[string]func() *segment{
	"EPIX10KA:V1":  func() *segment { return twoByTwo(352, 384, 100, 225) },
	"EPIXHR2X2:V1": func() *segment { return twoByTwo(288, 384, 100, 225) },
	"EPIX100:V1": func() *segment {
		s := twoByTwo(704, 768, 50, 175)
		s.y = down(s.y)
		return s
	},
	"EPIXHR1X4:V1": func() *segment {
		const pixel, wide, n = 100, 225, 192
		right := make([]float64, 0, 4*n)
		for _, b := range []float64{wide, wide*3 + (n-1)*pixel} {
			for i := range n {
				right = append(right, float64(i)*pixel-pixel/2+b)
			}
		}
		x := append(down(right), right...)
		slices.Reverse(x[:2*n])
		return &segment{x: x, y: down(halves(72, -pixel/2, pixel)), pixel: pixel}
	},
	"JUNGFRAU:V1": func() *segment {
		y := append(down(chips(256, 75, -256.5)), down(chips(256, 75, 1.5))...)
		return &segment{x: chips(256, 75, -514.5, -256.5, 1.5, 259.5), y: y, pixel: 75}
	},
	"JUNGFRAU:V2": func() *segment {
		s := &segment{x: chips(256, 75, -514.5, -256.5, 1.5, 259.5), y: chips(256, 75, -256.5, 1.5), pixel: 75}
		for _, v := range [][]float64{s.x, s.y} { // wide pixels lie in their middle
			for edge := 256; edge < len(v); edge += 256 {
				v[edge-1] += 37.5
				v[edge] -= 37.5
			}
		}
		return s
	},
	"SENS2X1:V1": func() *segment {
		const pixel, wide = 109.92, 274.80
		y := make([]float64, 185)
		for i := range y {
			y[i] = float64(-float64(i) * pixel)
		}
		middle := y[184] / 2
		for i := range y {
			y[i] -= middle
		}
		return &segment{x: halves(194, wide-pixel/2, pixel), y: y, pixel: pixel}
	},
	"EPIXUHR3X2:V1": func() *segment {
		const pixel, wide, gap, n = 100, 262.5, 425, 192
		begin := float64((n - 1) * pixel / 2)
		x := make([]float64, 0, 3*n)
		for _, b := range []float64{-begin - (n-1)*pixel - gap, -begin, -begin + (n-1)*pixel + gap} {
			for i := range n {
				x = append(x, b+float64(i)*pixel)
			}
		}
		return &segment{x: x, y: down(halves(168, wide-pixel/2, pixel)), pixel: pixel}
	},
	"PNCCD:V1":       func() *segment { return matrix(512, 512, 75, 75) },
	"EPIXMASIC:V1":   func() *segment { return matrix2(192, 384, 50, 50) },
	"EPIXUHRASIC:V1": func() *segment { return matrix2(168, 192, 100, 100) },
}

// matrix is psana's first matrix: rows along x, columns along y, from the corner.
func matrix(rows, cols int, rowSize, colSize float64) *segment {
	return &segment{x: chips(cols, colSize, 0), y: chips(rows, rowSize, 0), rowsAtX: true, pixel: min(rowSize, colSize)}
}

// matrix2 is psana's second matrix: around its middle, rows downwards.
func matrix2(rows, cols int, rowSize, colSize float64) *segment {
	return &segment{x: centred(cols, colSize), y: down(centred(rows, rowSize)), pixel: min(rowSize, colSize)}
}

// maxSide bounds rows and columns of a matrix.
const maxSide = 1 << 14

// segmentOf returns the segment of a name, nil for an object that has none. A name that looks like a segment type and is not
// known is an error: without its pixels the picture would be wrong.
func segmentOf(name string) (*segment, error) {
	if make := segments[name]; make != nil {
		return make(), nil
	}
	if rest, ok := strings.CutPrefix(name, "MTRX:"); ok {
		of := matrix
		if v2, ok := strings.CutPrefix(rest, "V2:"); ok {
			rest, of = v2, matrix2
		}
		f := strings.Split(rest, ":")
		if len(f) == 4 {
			rows, err1 := strconv.Atoi(f[0])
			cols, err2 := strconv.Atoi(f[1])
			y, err3 := strconv.ParseFloat(f[2], 64)
			x, err4 := strconv.ParseFloat(f[3], 64)
			if err1 == nil && err2 == nil && err3 == nil && err4 == nil && rows > 0 && cols > 0 && rows <= maxSide && cols <= maxSide && x > 0 && y > 0 && x < 1e6 && y < 1e6 {
				return of(rows, cols, y, x), nil
			}
		}
		return nil, fmt.Errorf("segment %q is not of the form MTRX:rows:columns:row size:column size", name)
	}
	for _, kind := range []string{"MTRXANY", "ARCHON", "EPIXUHR3X2", "PNCCD", "EPIXM320", "JUNGFRAU", "EPIX100", "EPIX10KA", "EPIXHR", "SENS2X1"} {
		if strings.HasPrefix(name, kind+":") {
			return nil, fmt.Errorf("segments of type %q are not known", name)
		}
	}
	return nil, nil
}
