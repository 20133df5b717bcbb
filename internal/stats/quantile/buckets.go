package quantile

import (
	"math/bits"
	"slices"
)

// Integer is a type of exact residuals.
type Integer interface{ ~int32 | ~int64 }

// MiddleOf returns the two middle values of v, the same value twice when len(v) is odd, and leaves v as it
// is. scratch must be as long as v. It panics when v is empty.
//
// One histogram of 256 buckets between the smallest and the largest value finds the bucket of the middle,
// whose few members are then selected from: three passes over v, where quickselect makes about eight. Of many values
// a sample says where the middle most likely is, and the buckets are there: values far from it do not widen them.
func MiddleOf[T Integer](v, scratch []T) (a, b T) {
	n := len(v)
	if n < 48 {
		copy(scratch, v)
		return Middle(scratch[:n])
	}
	if n >= sampledFrom {
		var some [256]T
		for i := range some {
			some[i] = v[i*(n/len(some))]
		}
		slices.Sort(some[:])
		if a, b, ok := middleWithin(v, scratch, some[len(some)/4], some[len(some)*3/4]); ok {
			return a, b
		}
	}
	lo, hi := v[0], v[0]
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
	}
	a, b, _ = middleWithin(v, scratch, lo, hi)
	return a, b
}

// sampledFrom is the number of values from which a sample pays.
const sampledFrom = 4096

// middleWithin is MiddleOf where the middle is in lo, ..., hi; not ok: it may be elsewhere.
func middleWithin[T Integer](v, scratch []T, lo, hi T) (a, b T, ok bool) {
	n := len(v)
	shift := uint(max(bits.Len64(uint64(int64(hi)-int64(lo)))-8, 0))
	var hist [257]uint32 // the last one: beyond the others, to both sides
	below := 0
	for _, x := range v {
		d := int64(x) - int64(lo)
		below += int(uint64(d) >> 63)
		hist[min(uint64(d)>>shift, 256)]++
	}
	bucket := 0
	if below > (n-1)/2 {
		return a, b, false
	}
	for ; bucket < 256 && below+int(hist[bucket]) <= (n-1)/2; bucket++ {
		below += int(hist[bucket])
	}
	if bucket == 256 {
		return a, b, false
	}
	members := membersOf(v, scratch, lo, shift, bucket)
	a = Select(members, (n-1)/2-below)
	switch next := n/2 - below; {
	case n%2 == 1:
		return a, a, true
	case next < len(members):
		// Everything behind rank next-1 is at least a; the smallest of it has rank next.
		return a, least(members[next:]), true
	}
	for bucket++; bucket < 256 && hist[bucket] == 0; bucket++ {
	}
	if bucket == 256 {
		return a, b, false
	}
	return a, least(membersOf(v, scratch, lo, shift, bucket)), true
}

// membersOf gathers the values of one bucket.
func membersOf[T Integer](v, scratch []T, lo T, shift uint, bucket int) []T {
	m := 0
	for _, x := range v {
		scratch[m] = x // kept when the next line counts it
		if uint64(int64(x)-int64(lo))>>shift == uint64(bucket) {
			m++
		}
	}
	return scratch[:m]
}

func least[T Integer](v []T) T {
	m := v[0]
	for _, x := range v[1:] {
		m = min(m, x)
	}
	return m
}
