package quantile

import "math/bits"

// Integer is a type of exact residuals.
type Integer interface{ ~int32 | ~int64 }

// MiddleOf returns the two middle values of v, the same value twice when len(v) is odd, and leaves v as it
// is. scratch must be as long as v. It panics when v is empty.
//
// One histogram of 256 buckets between the smallest and the largest value finds the bucket of the middle,
// whose few members are then selected from: three passes over v, where quickselect makes about eight.
func MiddleOf[T Integer](v, scratch []T) (a, b T) {
	n := len(v)
	if n < 48 {
		copy(scratch, v)
		return Middle(scratch[:n])
	}
	lo, hi := v[0], v[0]
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
	}
	shift := uint(max(bits.Len64(uint64(int64(hi)-int64(lo)))-8, 0))
	var hist [256]uint32
	for _, x := range v {
		hist[uint8(uint64(int64(x)-int64(lo))>>shift)]++
	}
	bucket, below := 0, 0
	for below+int(hist[bucket]) <= (n-1)/2 {
		below += int(hist[bucket])
		bucket++
	}
	members := membersOf(v, scratch, lo, shift, bucket)
	a = Select(members, (n-1)/2-below)
	switch next := n/2 - below; {
	case n%2 == 1:
		return a, a
	case next < len(members):
		// Everything behind rank next-1 is at least a; the smallest of it has rank next.
		return a, least(members[next:])
	}
	for bucket++; hist[bucket] == 0; bucket++ {
	}
	return a, least(membersOf(v, scratch, lo, shift, bucket))
}

// membersOf gathers the values of one bucket.
func membersOf[T Integer](v, scratch []T, lo T, shift uint, bucket int) []T {
	m := 0
	for _, x := range v {
		scratch[m] = x // kept when the next line counts it
		if int(uint64(int64(x)-int64(lo))>>shift) == bucket {
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
