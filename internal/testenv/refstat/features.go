package refstat

import (
	"math"
	"math/big"
	"slices"
	"sort"
)

// FeatureParams are the parameters of Features.
type FeatureParams struct {
	Features   []int
	SNR        float64
	DataBits   uint16
	MinFrames  int
	Rows, Cols int
	WR, WC     int
	Pedestals  []float64
}

// FeatureResult is the result of the features for one panel.
type FeatureResult struct {
	Status                           []uint64
	Good                             []bool
	Mean, Std, Med6, Spr6, MaxPeds   []float64
	Bits2, Bits3, Bits6, Bits6s, B11 []uint64 // per feature, with its unjudged bits
}

// Features judges one panel by the sane rules of features 1, 2, 3, 6 and 11.
func Features(frames [][]uint16, p FeatureParams) *FeatureResult {
	n := p.Rows * p.Cols
	y := make([][]float64, len(frames))
	for k, f := range frames {
		for _, raw := range f {
			y[k] = append(y[k], float64(raw&p.DataBits))
		}
	}
	r := &FeatureResult{Status: make([]uint64, n), Good: make([]bool, len(y))}
	for k := range r.Good {
		r.Good[k] = true
	}
	if slices.Contains(p.Features, 1) {
		r.Good = goodFrames(y, p)
	}
	var good [][]float64
	for k, f := range y {
		if r.Good[k] {
			good = append(good, f)
		}
	}
	m := float64(p.DataBits)
	for _, f := range p.Features {
		switch f {
		case 2:
			r.Mean = perPixel(good, n, func(v []float64) float64 { a, _ := meanStd(v); return a })
			r.Bits2 = outliers(r.Mean, unjudged(2, len(y), len(good), p), 0, m, p.SNR, 1, 2)
		case 3:
			r.Std = perPixel(good, n, exactStd)
			r.Bits3 = outliers(r.Std, unjudged(3, len(y), len(good), p), 0, m, p.SNR, 4, 8)
		case 6:
			r.Med6, r.Spr6 = flatness(good, p)
			u := unjudged(6, len(y), len(good), p)
			r.Bits6, r.Bits6s = outliers(r.Med6, u, -m, m, p.SNR, 16, 32), outliers(r.Spr6, u, -m, m, p.SNR, 64, 128)
		case 11:
			r.MaxPeds = perPixel(y, n, slices.Max)
			for i := range r.MaxPeds {
				r.MaxPeds[i] -= p.Pedestals[i]
			}
			r.B11 = maxOutliers(r.MaxPeds, unjudged(11, len(y), len(y), p), p.SNR)
		}
	}
	for i := range r.Status {
		for _, bits := range [][]uint64{r.Bits2, r.Bits3, r.Bits6, r.Bits6s, r.B11} {
			if bits != nil {
				r.Status[i] |= bits[i]
			}
		}
		if u := r.Status[i] & (1024 + 2048 + 4096); u != 0 {
			r.Status[i] = u
		}
	}
	return r
}

// perPixel applies a function to the values of each pixel; NaN without frames.
func perPixel(frames [][]float64, pixels int, of func([]float64) float64) []float64 {
	out := make([]float64, pixels)
	for i := range out {
		var v []float64
		for _, f := range frames {
			v = append(v, f[i])
		}
		out[i] = math.NaN()
		if len(v) > 0 {
			out[i] = of(v)
		}
	}
	return out
}

// exactStd is sqrt(n*sum2 - sum1^2)/n with the difference in integers.
func exactStd(v []float64) float64 {
	n, s1, s2 := big.NewInt(int64(len(v))), new(big.Int), new(big.Int)
	for _, x := range v {
		y := big.NewInt(int64(x))
		s1.Add(s1, y)
		s2.Add(s2, y.Mul(y, y))
	}
	d, _ := new(big.Float).SetInt(s2.Sub(s2.Mul(s2, n), s1.Mul(s1, s1))).Float64()
	return math.Sqrt(d) / float64(len(v))
}

// unjudged returns the bit of all pixels for want of frames, or 0.
func unjudged(feature, frames, used int, p FeatureParams) uint64 {
	switch {
	case frames == 0:
		return 1024
	case used == 0 || used < p.MinFrames:
		return 2048
	case used == 1 && (feature == 3 || feature == 6):
		return 4096
	}
	return 0
}

func goodFrames(y [][]float64, p FeatureParams) []bool {
	med := make([]float64, len(y))
	for k, f := range y {
		med[k] = median(f)
	}
	good := make([]bool, len(y))
	for k, b := range outliers(med, 0, 0, float64(p.DataBits), p.SNR, 1, 2) {
		good[k] = b == 0 || b == 4096 // all medians equal: the rule has nothing against them
	}
	return good
}

// outliers is the outlier rule; bits of all pixels: unjudged, or 4096 where the rule has no answer.
func outliers(v []float64, unjudged uint64, vmin, vmax, snr float64, low, high uint64) []uint64 {
	bits := make([]uint64, len(v))
	var sel []float64
	for i, x := range v {
		bits[i] = unjudged
		if unjudged == 0 && x != x {
			bits[i] = 4096
		}
		if bits[i] == 0 && !(x <= vmin) && !(x >= vmax) {
			sel = append(sel, x)
		}
	}
	lo, hi, equal := vmin, vmax, false
	if len(sel) > 0 {
		med := median(sel)
		spr := mad(sel, med)
		if spr == 0 {
			_, spr = meanStd(sel)
		}
		equal = slices.Max(sel) == slices.Min(sel)
		lo, hi = med-snr*spr, med+snr*spr
		if vmin > lo {
			lo = vmin
		}
		if vmax < hi {
			hi = vmax
		}
	}
	for i, x := range v {
		if bits[i] != 0 {
			continue
		}
		if equal && x == sel[0] {
			bits[i] = 4096
			continue
		}
		if x <= lo {
			bits[i] += low
		}
		if x >= hi {
			bits[i] += high
		}
	}
	return bits
}

func maxOutliers(d []float64, unjudged uint64, snr float64) []uint64 {
	var used []float64
	for _, x := range d {
		if x == x {
			used = append(used, x)
		}
	}
	med := median(used)
	var up, down []float64
	for _, x := range used {
		if x >= med {
			up = append(up, x-med)
		} else {
			down = append(down, x-med)
		}
	}
	vmin, vmax := med+snr*median(down), med+snr*median(up)
	if median(up) == 0 {
		vmax = math.NaN()
	}
	return outliers(d, unjudged, vmin, vmax, snr, 256, 512)
}

// flatness is feature 6 with rational numbers.
func flatness(frames [][]float64, p FeatureParams) (med, spr []float64) {
	n := p.Rows * p.Cols
	med, spr = make([]float64, n), make([]float64, n)
	resid := make([][]*big.Rat, n)
	for _, f := range frames {
		one := make([]*big.Rat, n)
		for _, r := range corners(p.Rows, p.WR) {
			for _, c := range corners(p.Cols, p.WC) {
				residuals(one, f, p, r, c)
			}
		}
		for i := range resid {
			resid[i] = append(resid[i], one[i])
		}
	}
	for i := range resid {
		med[i], spr[i] = math.NaN(), math.NaN()
		if len(frames) > 0 {
			m := ratMedian(resid[i])
			med[i], _ = m.Float64()
			dist := make([]*big.Rat, len(resid[i]))
			for k, r := range resid[i] {
				dist[k] = new(big.Rat).Abs(new(big.Rat).Sub(r, m))
			}
			spr[i], _ = ratMedian(dist).Float64()
		}
	}
	return med, spr
}

func corners(size, w int) []int {
	var c []int
	for at := 0; at < size; at += w {
		c = append(c, min(at, size-w))
	}
	return c
}

func ratMedian(v []*big.Rat) *big.Rat {
	s := slices.Clone(v)
	sort.Slice(s, func(i, j int) bool { return s[i].Cmp(s[j]) < 0 })
	n := len(s)
	m := new(big.Rat).Add(s[(n-1)/2], s[n/2])
	return m.Mul(m, big.NewRat(1, 2))
}

// residuals fits z = a + b*x + c*y to one window by the normal equations and overwrites the residuals there.
func residuals(out []*big.Rat, f []float64, p FeatureParams, r0, c0 int) {
	var m [3][4]*big.Rat // normal equations, last column the right-hand side
	for i := range m {
		for j := range m[i] {
			m[i][j] = new(big.Rat)
		}
	}
	each := func(visit func(i int, q [3]*big.Rat)) {
		for y := range p.WR {
			for x := range p.WC {
				visit((r0+y)*p.Cols+c0+x, [3]*big.Rat{big.NewRat(1, 1), big.NewRat(int64(x), 1), big.NewRat(int64(y), 1)})
			}
		}
	}
	each(func(i int, q [3]*big.Rat) {
		z := new(big.Rat).SetFloat64(f[i])
		for a := range 3 {
			for b := range 3 {
				m[a][b].Add(m[a][b], new(big.Rat).Mul(q[a], q[b]))
			}
			m[a][3].Add(m[a][3], new(big.Rat).Mul(q[a], z))
		}
	})
	c := solve(&m)
	each(func(i int, q [3]*big.Rat) {
		out[i] = new(big.Rat).SetFloat64(f[i])
		for a := range 3 {
			out[i].Sub(out[i], new(big.Rat).Mul(c[a], q[a]))
		}
	})
}

// solve is Gauss and Jordan's elimination; the normal matrix is positive definite, so no pivot is 0.
func solve(m *[3][4]*big.Rat) (c [3]*big.Rat) {
	for i := range 3 {
		inv := new(big.Rat).Inv(m[i][i])
		for j := range 4 {
			m[i][j].Mul(m[i][j], inv)
		}
		for k := range 3 {
			if k == i {
				continue
			}
			factor := new(big.Rat).Set(m[k][i])
			for j := range 4 {
				m[k][j].Sub(m[k][j], new(big.Rat).Mul(factor, m[i][j]))
			}
		}
	}
	for i := range 3 {
		c[i] = m[i][3]
	}
	return c
}
