package feature

import (
	"fmt"
	"math"
	"math/bits"

	"rawstatus/internal/stats/kernel"
)

// Flatness is the geometry and arithmetic of feature 6 on one panel.
//
// The panel is covered by windows of WR x WC pixels with corners at rows 0, WR, 2*WR, ... and columns 0,
// WC, ...; the last corner in each direction is moved back so that its window ends at the edge. Windows
// are processed row by row and each overwrites what it overlaps: in the overlap the last window counts.
//
// In each window a plane is fitted by least squares to all pixels of a frame; the residual of a pixel is
// its value minus the plane. On the full grid of a window the fit separates. With u and v the column and
// row distances from the window's centre (twice the distances when the window's width or height is even,
// so that they are integers) and z the values:
//
//	plane = S/n + u*Sum(u*z)/Sum(u*u) + v*Sum(v*z)/Sum(v*v),   S = Sum(z), n = WR*WC
//
// all sums over the window. So residuals are integers over the common denominator
// Den = lcm(n, Sum(u*u), Sum(v*v)), 12600 for 15 x 15, and medians over frames and distances from them are
// exact. The original solves the normal equations in float64; the results agree to 4e-12.
type Flatness struct {
	Rows, Cols, WR, WC int
	Mask               uint16
	Den                int64 // denominator of residuals

	kn, ku, kv int64 // Den/n, Den/Sum(u*u), Den/Sum(v*v)
	u0, v0     int64 // u of the window's first column, v of its first row
	du, dv     int64 // 1, or 2 for even sizes
	wide       bool  // residuals need 64 bits
}

// NewFlatness plans feature 6. The window must fit into the panel and have at least 2 rows and 2 columns.
// (The original also refuses a window as high or as wide as the panel.)
func NewFlatness(rows, cols, wr, wc int, mask uint16) (*Flatness, error) {
	if wr < 2 || wc < 2 || wr > rows || wc > cols {
		return nil, fmt.Errorf("window of %d x %d pixels on a panel of %d x %d: wanted at least 2 x 2 and not larger than the panel", wr, wc, rows, cols)
	}
	f := &Flatness{Rows: rows, Cols: cols, WR: wr, WC: wc, Mask: mask}
	f.u0, f.du = centred(wc)
	f.v0, f.dv = centred(wr)
	n := int64(wr) * int64(wc)
	suu := squares(wc) * int64(wr)
	svv := squares(wr) * int64(wc)
	den, ok := lcm(n, suu, svv)
	if !ok {
		return nil, fmt.Errorf("window of %d x %d pixels is too large for exact residuals", wr, wc)
	}
	f.Den, f.kn, f.ku, f.kv = den, den/n, den/suu, den/svv
	largest := f.bound()
	if largest > math.MaxInt64/8 {
		return nil, fmt.Errorf("window of %d x %d pixels is too large for exact residuals", wr, wc)
	}
	// Distances from the median are up to 4 times a residual.
	f.wide = largest > math.MaxInt32/4
	return f, nil
}

// centred returns the first centred coordinate of n places and the step to the next.
func centred(n int) (first, step int64) {
	if n%2 == 1 {
		return -int64(n / 2), 1
	}
	return -int64(n - 1), 2
}

// squares returns the sum of the squared centred coordinates of n places.
func squares(n int) int64 {
	first, step := centred(n)
	sum := int64(0)
	for i := range int64(n) {
		c := first + i*step
		sum += c * c
	}
	return sum
}

// lcm returns the least common multiple if it leaves room for 16-bit values in 64 bits.
func lcm(v ...int64) (m int64, ok bool) {
	m = 1
	for _, x := range v {
		g, r := m, x
		for r != 0 {
			g, r = r, g%r
		}
		hi, lo := bits.Mul64(uint64(m), uint64(x/g))
		if hi != 0 || lo > 1<<44 {
			return 0, false
		}
		m = int64(lo)
	}
	return m, true
}

// bound returns a number that no |residual*Den| exceeds: a residual is a sum c*z with coefficients of sum 0,
// whose positive part is at most 1 plus the negative part of the fit's weights, largest at a corner.
func (f *Flatness) bound() int64 {
	negative := int64(0)
	for y := range int64(f.WR) {
		for x := range int64(f.WC) {
			w := f.kn + f.ku*f.u0*(f.u0+x*f.du) + f.kv*f.v0*(f.v0+y*f.dv)
			negative += max(-w, 0)
		}
	}
	hi, lo := bits.Mul64(uint64(f.Den+negative), uint64(f.Mask))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// Span is a range of rows or columns.
type Span struct{ Lo, Hi int }

// windows returns the tiles along one direction: read are the places a window sees, keep those whose
// result is the window's, because no later window overwrites it.
func windows(size, w int) (read, keep []Span) {
	for lo := 0; lo < size; lo += w {
		at := min(lo, size-w)
		if k := len(keep); k > 0 {
			keep[k-1].Hi = at
		}
		read, keep = append(read, Span{at, at + w}), append(keep, Span{at, at + w})
	}
	return read, keep
}

// Band is one row of windows: it reads rows Read and keeps the results of rows Keep. The bands of a panel
// keep every row once.
type Band struct{ Read, Keep Span }

// Bands returns the rows of windows, from top to bottom.
func (f *Flatness) Bands() []Band {
	read, keep := windows(f.Rows, f.WR)
	bands := make([]Band, len(read))
	for i := range bands {
		bands[i] = Band{read[i], keep[i]}
	}
	return bands
}

// WindowCols returns the number of windows in a band.
func (f *Flatness) WindowCols() int {
	read, _ := windows(f.Cols, f.WC)
	return len(read)
}

// Bytes returns the memory that a Residuals of this band and these windows takes for n frames.
func (f *Flatness) Bytes(b Band, first, last, frames int) int64 {
	_, keep := windows(f.Cols, f.WC)
	return f.bytes(b, keep[first:last], frames)
}

// Part returns the end of the longest run of windows from first on whose Residuals takes no more than bytes,
// but at least one window. As many as possible together are fastest, since each part reads the band anew.
func (f *Flatness) Part(b Band, first, frames int, bytes int64) (last int) {
	_, keep := windows(f.Cols, f.WC)
	for last = first + 1; last < len(keep) && f.bytes(b, keep[first:last+1], frames) <= bytes; last++ {
	}
	return last
}

func (f *Flatness) bytes(b Band, keep []Span, frames int) int64 {
	rows, width := b.Keep.Hi-b.Keep.Lo, keep[len(keep)-1].Hi-keep[0].Lo
	perFrame := int64(4 * rows * width)
	switch {
	case f.wide:
		perFrame *= 2
	case kernel.Vectors():
		perFrame = laneBytes(rows, keep)
	}
	return int64(frames) * perFrame
}
