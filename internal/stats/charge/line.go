package charge

import (
	"math/big"
)

// Line is the straight line through the points behind some sums.
//
//	gain   = (nΣxy - ΣxΣy) / (nΣxx - (Σx)²)
//	offset = (ΣyΣxx - ΣxΣxy) / (nΣxx - (Σx)²)
//	chi2   = Σ(y - offset - gain x)² / (n - 3)
//
// Each is one quotient of two integers, rounded once. n is at least 4 and not all x are the same; the zero
// Line stands for sums that have no line.
type Line struct {
	Gain, Offset, Chi2 float64
}

// fitter evaluates lines; it holds the big integers for it.
type fitter struct {
	a, b, c big.Int
	x, y, q big.Float
}

func newFitter() *fitter {
	f := &fitter{}
	f.q.SetPrec(53)
	return f
}

// exact is the range of integers that a float64 holds.
const exact = 1 << 53

// quotient returns the float64 next to f.a / f.b.
func (f *fitter) quotient() float64 {
	if f.a.IsInt64() && f.b.IsInt64() {
		a, b := f.a.Int64(), f.b.Int64()
		if -exact <= a && a <= exact && b <= exact {
			return float64(a) / float64(b)
		}
	}
	f.x.SetPrec(0).SetInt(&f.a) // as many bits as it takes
	f.y.SetPrec(0).SetInt(&f.b)
	v, _ := f.q.Quo(&f.x, &f.y).Float64()
	return v
}

// product sets dst to x*y.
func product(dst *big.Int, tmp *big.Int, x, y int64) *big.Int {
	return dst.Mul(dst.SetInt64(x), tmp.SetInt64(y))
}

// line returns the line of some sums.
func (f *fitter) line(s *Acc) (l Line) {
	n, sx, sy, sxx, sxy, syy := s[0], s[1], s[2], s[3], s[4], s[5]
	xx, xy, yy := n*sxx-sx*sx, n*sxy-sx*sy, n*syy-sy*sy
	if n < 4 || xx == 0 {
		return l
	}
	f.a.SetInt64(xy)
	f.b.SetInt64(xx)
	l.Gain = f.quotient()
	f.a.Sub(product(&f.a, &f.c, sy, sxx), product(new(big.Int), &f.c, sx, sxy))
	l.Offset = f.quotient()
	f.a.Sub(product(&f.a, &f.c, yy, xx), product(new(big.Int), &f.c, xy, xy))
	f.b.Mul(product(&f.b, &f.c, n, xx), f.c.SetInt64(n-3))
	l.Chi2 = f.quotient()
	return l
}

// Slope returns the slope of the line of some sums; ok is false where there is none. Only rules use it that
// ask no more than its size.
func (s *Acc) Slope() (slope float64, ok bool) {
	den := s[0]*s[3] - s[1]*s[1]
	if s[0] < 5 || den <= 0 {
		return 0, false
	}
	return float64(s[0]*s[4]-s[1]*s[2]) / float64(den), true
}
