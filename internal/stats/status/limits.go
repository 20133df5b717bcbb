package status

import (
	"math"
	"slices"

	"rawstatus/internal/stats/quantile"
)

// Limits are the two evaluated limits of one quantity in one group of pixels and what they come from.
type Limits struct {
	Lo, Hi float64
	// Mean and Std are the centre and spread: population mean and standard deviation, or for the robust
	// method median and 1.4826 times the median absolute deviation.
	Mean, Std float64
	// Used of the group's judged pixels are behind Mean and Std; clipping leaves some out.
	Used int
}

// Method says how centre and spread of a quantity are found.
type Method string

// The methods.
const (
	// MeanStd is the original's: mean and population standard deviation over all judged pixels, the bad
	// ones included.
	MeanStd Method = "mean"
	// Robust is median and 1.4826*MAD, after clipping: values outside the limits are left out and the
	// limits found again, until none leaves or ClipRounds are done. Half of the pixels may be bad without
	// moving the limits. Where the MAD is 0 (more than half of the values are equal) the standard
	// deviation of the values inside stands in for it.
	Robust Method = "robust"
)

// ClipRounds ends the clipping of Robust.
const ClipRounds = 20

// madToSigma makes the median absolute deviation of Gaussian values their standard deviation.
const madToSigma = 1.4826

// bounds are those of the user for one quantity: n sigma to both sides inside absolute limits; a number
// of sigmas that is not positive means the absolute limit alone.
type bounds struct {
	nLo, nHi, absLo, absHi float64
}

// around puts the limits around a centre.
//
//	lo = centre - nLo*spread if nLo > 0, else absLo; lo = max(lo, absLo)
//	hi = centre + nHi*spread if nHi > 0, else absHi; hi = min(hi, absHi)
//
// A NaN centre leaves NaN limits, as the original does; no comparison with them is true.
func (w bounds) around(centre, spread float64) (lo, hi float64) {
	lo, hi = w.absLo, w.absHi
	if w.nLo > 0 {
		if lo = centre - float64(w.nLo*spread); w.absLo > lo {
			lo = w.absLo
		}
	}
	if w.nHi > 0 {
		if hi = centre + float64(w.nHi*spread); w.absHi < hi {
			hi = w.absHi
		}
	}
	return lo, hi
}

// robustLimits evaluates the bounds of values by [Robust]. The values stay as they are.
func robustLimits(pieces [][]float64, w bounds) Limits {
	if l, ok := binnedLimits(pieces, w); ok {
		return l
	}
	return roundLimits(slices.Concat(pieces...), w)
}

// roundLimits looks at all values that are left in every round of the clipping. It reorders them.
func roundLimits(v []float64, w bounds) Limits {
	in := v
	dev := make([]float64, len(v))
	var l Limits
	for range ClipRounds {
		l = Limits{Used: len(in)}
		l.Mean, l.Std = medianMAD(in, dev[:len(in)])
		l.Lo, l.Hi = w.around(l.Mean, l.Std)
		kept := in[:0]
		for _, x := range in {
			if x >= l.Lo && x <= l.Hi {
				kept = append(kept, x)
			}
		}
		// Nothing left to learn from: the limits of the last round stand.
		if len(kept) == l.Used || len(kept) == 0 {
			break
		}
		in = kept
	}
	return l
}

// medianMAD reorders v and uses dev, of the same length, as scratch. 0 values give NaN.
func medianMAD(v, dev []float64) (med, sigma float64) {
	med = quantile.Median(v)
	for i, x := range v {
		dev[i] = math.Abs(x - med)
	}
	if sigma = madToSigma * quantile.Median(dev); sigma == 0 {
		_, sigma = MeanStdOf(v)
	}
	return med, sigma
}

// Floating is a floating-point type.
type Floating = quantile.Float

// MeanStdOf returns mean and population standard deviation (divided by n, not n-1) of v, bit for bit as
// numpy.mean and numpy.std of a contiguous array of this type:
//
//	mean = sum(v)/n;  std = sqrt(sum((v-mean)^2)/n)
//
// with the sums of Sum. NaN for no values.
func MeanStdOf[T Floating](v []T) (mean, std T) {
	n := T(len(v))
	mean = Sum(v) / n
	std = sumSquares(v, mean) / n
	return mean, T(math.Sqrt(float64(std)))
}

// buffer is the number of elements that numpy adds up before it goes on with the next.
const buffer = 8192

// Sum adds the values in numpy's order: buffers of 8192 elements one after the other, each pairwise. The
// error grows with log n instead of n, and the result is that of the original to the last bit.
func Sum[T Floating](v []T) T {
	var s T
	for len(v) > buffer {
		s += pairwise(v[:buffer])
		v = v[buffer:]
	}
	return s + pairwise(v)
}

// sumSquares adds (v[i]-mean)^2 in the same order.
func sumSquares[T Floating](v []T, mean T) T {
	var s T
	for len(v) > buffer {
		s += pairwiseSquares(v[:buffer], mean)
		v = v[buffer:]
	}
	return s + pairwiseSquares(v, mean)
}

// pairwise is numpy's summation of one buffer: 8 running sums up to 128 elements, halves beyond.
func pairwise[T Floating](v []T) T {
	n := len(v)
	if n > 128 {
		h := n / 2
		h -= h % 8
		return pairwise(v[:h]) + pairwise(v[h:])
	}
	if n < 8 {
		var s T
		for _, x := range v {
			s += x
		}
		return s
	}
	w := (*[8]T)(v)
	r0, r1, r2, r3, r4, r5, r6, r7 := w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
	for v = v[8:]; len(v) >= 8; v = v[8:] {
		w = (*[8]T)(v)
		r0, r1, r2, r3 = r0+w[0], r1+w[1], r2+w[2], r3+w[3]
		r4, r5, r6, r7 = r4+w[4], r5+w[5], r6+w[6], r7+w[7]
	}
	s := ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
	for _, x := range v {
		s += x
	}
	return s
}

// pairwiseSquares is pairwise of the squares of v - mean.
func pairwiseSquares[T Floating](v []T, mean T) T {
	n := len(v)
	if n > 128 {
		h := n / 2
		h -= h % 8
		return pairwiseSquares(v[:h], mean) + pairwiseSquares(v[h:], mean)
	}
	square := func(x T) T {
		d := T(x - mean)
		return T(d * d)
	}
	if n < 8 {
		var s T
		for _, x := range v {
			s += square(x)
		}
		return s
	}
	w := (*[8]T)(v)
	r0, r1, r2, r3, r4, r5, r6, r7 := square(w[0]), square(w[1]), square(w[2]), square(w[3]), square(w[4]), square(w[5]), square(w[6]), square(w[7])
	for v = v[8:]; len(v) >= 8; v = v[8:] {
		w = (*[8]T)(v)
		r0, r1, r2, r3 = r0+square(w[0]), r1+square(w[1]), r2+square(w[2]), r3+square(w[3])
		r4, r5, r6, r7 = r4+square(w[4]), r5+square(w[5]), r6+square(w[6]), r7+square(w[7])
	}
	s := ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
	for _, x := range v {
		s += square(x)
	}
	return s
}
