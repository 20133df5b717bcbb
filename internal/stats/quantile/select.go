package quantile

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"rawstatus/internal/stats/kernel"
)

// Select returns the value of rank k (0 is the smallest) among v, which it reorders: afterwards
// v[k] is that value, nothing before it is larger and nothing behind it is smaller. The values must not
// hold NaN, which has no rank. It panics when k is not one of 0..len(v)-1.
//
// Quickselect with a median-of-three pivot and three-way partition: many equal values, the common case
// for detector data, cost one pass. Sorted and constant input are no worse than random input.
func Select[T cmp.Ordered](v []T, k int) T {
	if k < 0 || k >= len(v) {
		panic(fmt.Sprintf("stats/quantile: rank %d of %d values", k, len(v)))
	}
	lo, hi := 0, len(v) // the answer is in v[lo:hi]
	for hi-lo > 16 {
		lt, gt := partition(v[lo:hi], pivot(v[lo:hi]))
		switch {
		case k < lo+lt:
			hi = lo + lt
		case k >= lo+gt:
			lo += gt
		default:
			return v[k]
		}
	}
	insertionSort(v[lo:hi])
	return v[k]
}

// pivot guesses a middle value: the median of three, and of three such medians in long slices.
func pivot[T cmp.Ordered](v []T) T {
	n := len(v)
	m := median3(v[0], v[n/2], v[n-1])
	if n < 128 {
		return m
	}
	e := n / 8
	return median3(median3(v[e], v[2*e], v[3*e]), m, median3(v[5*e], v[6*e], v[7*e]))
}

func median3[T cmp.Ordered](a, b, c T) T {
	return max(min(a, b), min(max(a, b), c))
}

// partition reorders v into values < p, == p, > p and returns the bounds of the middle part.
func partition[T cmp.Ordered](v []T, p T) (lt, gt int) {
	gt = len(v)
	for i := 0; i < gt; {
		switch x := v[i]; {
		case x < p:
			v[i], v[lt] = v[lt], x
			lt++
			i++
		case x > p:
			gt--
			v[i], v[gt] = v[gt], x
		default:
			i++
		}
	}
	return lt, gt
}

func insertionSort[T cmp.Ordered](v []T) {
	for i := 1; i < len(v); i++ {
		x, j := v[i], i
		for ; j > 0 && x < v[j-1]; j-- {
			v[j] = v[j-1]
		}
		v[j] = x
	}
}

// Middle returns the two middle values of v, which it reorders; they are the same value when len(v) is odd.
// It panics when v is empty.
func Middle[T cmp.Ordered](v []T) (a, b T) {
	n := len(v)
	b = Select(v, n/2)
	if n%2 == 1 {
		return b, b
	}
	a = v[0]
	for _, x := range v[1 : n/2] {
		a = max(a, x)
	}
	return a, b
}

// Float is a floating-point type.
type Float interface{ ~float32 | ~float64 }

// Median returns the median of v as numpy.median does: of an even number of values (a+b)/2 in the type of
// the values, NaN when v is empty or holds a NaN. It reorders v.
func Median[T Float](v []T) T {
	for _, x := range v {
		if x != x {
			return T(math.NaN())
		}
	}
	if len(v) == 0 {
		return T(math.NaN())
	}
	a, b := middleNear(v)
	if len(v)%2 == 1 {
		return b
	}
	return T(a+b) / 2
}

const (
	sampled  = 1024        // values of a sample
	nearFrom = 8 * sampled // values from which a sample pays
	margin   = 60          // ranks of the sample to both sides, nearly four standard deviations of the median's
)

// middleNear is Middle: a sample finds an interval that most likely holds the middle values, and one pass
// without unpredictable branches moves the tenth of v that lies in it to the front. Where the sample is
// misleading it is Middle itself.
func middleNear[T Float](v []T) (a, b T) {
	n := len(v)
	if n < nearFrom {
		return Middle(v)
	}
	var some [sampled]uint64
	for i := range some {
		some[i] = key(v[i*(n/sampled)])
	}
	slices.Sort(some[:])
	lo, hi := some[sampled/2-margin], some[sampled/2+margin]
	below, in := 0, 0
	for i, x := range v {
		k := key(x)
		_, less := bits.Sub64(k, lo, 0)
		below += int(less)
		if k >= lo && k <= hi {
			v[in], v[i] = x, v[in]
			in++
		}
	}
	if below > (n-1)/2 || below+in <= n/2 {
		return Middle(v)
	}
	b = Select(v[:in], n/2-below)
	if n%2 == 1 {
		return b, b
	}
	return Select(v[:in], n/2-1-below), b
}

// key returns a number that is ordered as the value is; the two zeros have different ones.
func key[T Float](x T) uint64 {
	b := math.Float64bits(float64(x))
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// FrameMedian returns twice the median of the masked values f[i] & mask of one frame, which is an exact
// integer: the sum of the two middle values, or twice the middle one. hist is scratch, all zero before and
// after. It panics when f is empty.
func FrameMedian(f []uint16, mask uint16, hist *[1 << 16]uint32) uint32 {
	if len(f) == 0 {
		panic("stats/quantile: median of a frame without pixels")
	}
	if a, b, ok := kernel.Middle(f, mask); ok {
		return uint32(a) + uint32(b)
	}
	count(hist, f, mask)
	a := rankIn(hist, 0, (len(f)-1)/2)
	b := rankIn(hist, a, len(f)/2-countBelow(hist, a))
	clear(hist[:int(mask)+1])
	return uint32(a) + uint32(b)
}

// count adds the masked values to the histogram; nothing else is in its loop, which is all of the time.
func count(hist *[1 << 16]uint32, f []uint16, mask uint16) {
	for _, raw := range f {
		hist[raw&mask]++
	}
}

// rankIn returns the value of rank k among those that the histogram counts at lo and above.
func rankIn(hist *[1 << 16]uint32, lo uint16, k int) uint16 {
	for v := int(lo); ; v++ {
		if k -= int(hist[v]); k < 0 {
			return uint16(v)
		}
	}
}

func countBelow(hist *[1 << 16]uint32, v uint16) int {
	n := 0
	for _, c := range hist[:v] {
		n += int(c)
	}
	return n
}
