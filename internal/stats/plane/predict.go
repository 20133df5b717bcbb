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

// Expected returns what is expected of a plane of s from those that were stored before it, modulo 2^64: the values
// same, or else values, which are in room; both nil expect 0. All planes have as many elements as room at most. With n values inside (all frames where sum0 is not there), least lo, largest hi and mid = (lo+hi)/2:
//
//	max      lo
//	gate_lo  lo
//	gate_hi  hi
//	sum1     n mid
//	sum2     mid (2 sum1 - n mid): what is left is the sum of (y - mid)^2; without lo and hi sum1^2/n
func Expected(s *Set, name string, room []uint64) (same []uint16, values []uint64) {
	lo, hi := stored[uint16](s, MinValue), stored[uint16](s, MaxValue)
	sum0, sum1 := stored[uint32](s, Sum0), stored[uint64](s, Sum1)
	switch {
	case name == MaxValue || name == GateLo:
		return lo, nil
	case name == GateHi:
		return hi, nil
	case name == Sum1 && lo != nil && hi != nil:
		values, hi = room[:len(lo)], hi[:len(lo)]
		if sum0 == nil {
			for i := range values {
				values[i] = s.Frames * ((uint64(lo[i]) + uint64(hi[i])) / 2)
			}
			break
		}
		for i, n := range sum0[:len(lo)] {
			values[i] = uint64(n) * ((uint64(lo[i]) + uint64(hi[i])) / 2)
		}
	case name == Sum2 && lo != nil && hi != nil && sum1 != nil:
		values, hi, sum1 = room[:len(lo)], hi[:len(lo)], sum1[:len(lo)]
		if sum0 == nil {
			for i := range values {
				mid := (uint64(lo[i]) + uint64(hi[i])) / 2
				values[i] = mid * (2*sum1[i] - s.Frames*mid)
			}
			break
		}
		for i, n := range sum0[:len(lo)] {
			mid := (uint64(lo[i]) + uint64(hi[i])) / 2
			values[i] = mid * (2*sum1[i] - uint64(n)*mid)
		}
	case name == Sum2 && sum1 != nil:
		values = room[:len(sum1)]
		for i, x := range sum1 {
			n := s.Frames
			if sum0 != nil {
				n = uint64(sum0[i])
			}
			values[i] = 0
			if h, l := bits.Mul64(x, x); h < n {
				values[i], _ = bits.Div64(h, l, n)
			}
		}
	}
	return nil, values
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
