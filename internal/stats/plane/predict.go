package plane

import "math/bits"

// Storing returns the order in which planes of a set are stored: each after those that predict it.
func Storing(planes []Plane) []int {
	var first, last []int
	for i, p := range planes {
		if p.Name == Sum1 || p.Name == Sum2 {
			last = append(last, i)
		} else {
			first = append(first, i)
		}
	}
	if len(last) == 2 && planes[last[0]].Name == Sum2 {
		last[0], last[1] = last[1], last[0]
	}
	return append(first, last...)
}

// Predictor returns what is expected of a plane of s from those that were stored before it, modulo 2^64: the values same,
// or what of writes for elements at, at+1, ...; both nil expect 0. All planes have as many elements. With n values inside (all frames where sum0 is not there), least lo, largest hi and mid = (lo+hi)/2:
//
//	max      lo
//	gate_lo  lo
//	gate_hi  hi
//	sum1     n mid
//	sum2     mid (2 sum1 - n mid): what is left is the sum of (y - mid)^2; without lo and hi sum1^2/n
func Predictor(s *Set, name string) (same []uint16, of func(at int, dst []uint64)) {
	lo, hi := stored[uint16](s, MinValue), stored[uint16](s, MaxValue)
	sum0, sum1 := stored[uint32](s, Sum0), stored[uint64](s, Sum1)
	switch {
	case name == MaxValue || name == GateLo:
		return lo, nil
	case name == GateHi:
		return hi, nil
	case name == Sum1 && lo != nil && hi != nil:
		return nil, func(at int, dst []uint64) {
			inside(dst, sum0, s.Frames, at)
			lo, hi := lo[at:][:len(dst)], hi[at:][:len(dst)]
			for i, n := range dst {
				dst[i] = n * ((uint64(lo[i]) + uint64(hi[i])) / 2)
			}
		}
	case name == Sum2 && lo != nil && hi != nil && sum1 != nil:
		return nil, func(at int, dst []uint64) {
			inside(dst, sum0, s.Frames, at)
			lo, hi, sum1 := lo[at:][:len(dst)], hi[at:][:len(dst)], sum1[at:][:len(dst)]
			for i, n := range dst {
				mid := (uint64(lo[i]) + uint64(hi[i])) / 2
				dst[i] = mid * (2*sum1[i] - n*mid)
			}
		}
	case name == Sum2 && sum1 != nil:
		return nil, func(at int, dst []uint64) {
			inside(dst, sum0, s.Frames, at)
			for i, n := range dst {
				dst[i] = 0
				if h, l := bits.Mul64(sum1[at+i], sum1[at+i]); h < n {
					dst[i], _ = bits.Div64(h, l, n)
				}
			}
		}
	}
	return nil, nil
}

// inside writes how many values of elements at, at+1, ... are inside: all frames where sum0 is not there.
func inside(dst []uint64, sum0 []uint32, frames uint64, at int) {
	if sum0 == nil {
		for i := range dst {
			dst[i] = frames
		}
		return
	}
	for i, n := range sum0[at:][:len(dst)] {
		dst[i] = uint64(n)
	}
}

// stored returns a plane of s; nil where there is none of this name and type.
func stored[T Number](s *Set, name string) []T {
	for _, p := range s.Planes {
		if p.Name == name {
			d, _ := p.Data.([]T)
			return d
		}
	}
	return nil
}
