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

// Predictor returns what is expected of a plane of s from those that were stored before it, modulo 2^64; nil
// expects 0. All planes have as many elements. With n values inside (all frames where sum0 is not there), least lo, largest hi and mid = (lo+hi)/2:
//
//	max      lo
//	gate_lo  lo
//	gate_hi  hi
//	sum1     n mid
//	sum2     mid (2 sum1 - n mid): what is left is the sum of (y - mid)^2; without lo and hi sum1^2/n
func Predictor(s *Set, name string) func(at int, dst []uint64) {
	lo, hi := stored[uint16](s, MinValue), stored[uint16](s, MaxValue)
	sum0, sum1 := stored[uint32](s, Sum0), stored[uint64](s, Sum1)
	inside := func(at, i int) uint64 {
		if sum0 == nil {
			return s.Frames
		}
		return uint64(sum0[at+i])
	}
	same := func(v []uint16) func(at int, dst []uint64) {
		if v == nil {
			return nil
		}
		return func(at int, dst []uint64) {
			for i, x := range v[at:][:len(dst)] {
				dst[i] = uint64(x)
			}
		}
	}
	switch {
	case name == MaxValue || name == GateLo:
		return same(lo)
	case name == GateHi:
		return same(hi)
	case name == Sum1 && lo != nil && hi != nil:
		return func(at int, dst []uint64) {
			lo, hi := lo[at:][:len(dst)], hi[at:][:len(dst)]
			for i := range dst {
				dst[i] = inside(at, i) * ((uint64(lo[i]) + uint64(hi[i])) / 2)
			}
		}
	case name == Sum2 && lo != nil && hi != nil && sum1 != nil:
		return func(at int, dst []uint64) {
			lo, hi, sum1 := lo[at:][:len(dst)], hi[at:][:len(dst)], sum1[at:][:len(dst)]
			for i := range dst {
				mid := (uint64(lo[i]) + uint64(hi[i])) / 2
				dst[i] = mid * (2*sum1[i] - inside(at, i)*mid)
			}
		}
	case name == Sum2 && sum1 != nil:
		return func(at int, dst []uint64) {
			for i := range dst {
				dst[i] = 0
				if h, l := bits.Mul64(sum1[at+i], sum1[at+i]); h < inside(at, i) {
					dst[i], _ = bits.Div64(h, l, inside(at, i))
				}
			}
		}
	}
	return nil
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
