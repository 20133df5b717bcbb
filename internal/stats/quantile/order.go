package quantile

import (
	"fmt"

	"rawstatus/internal/stats/kernel"
)

// Order puts into dst[j][i] the value of rank ranks[j] (0 is the smallest) among the B masked values
// block[0..B-1][i] & mask of pixel i. All frames of the block and all dst have the same length, which
// may be any part of a panel, so that callers tile freely: pixels do not know of each other.
//
// Vectors of pixels are done by kernel.Order where the processor has it, twice as fast while the wanted
// values of a pixel lie within 127 ADU of its middle. In plain Go the cost is about 4 operations per
// value while the values of a pixel span less than 256 ADU, twice that beyond. It panics when lengths
// differ, the block is empty or a rank is not one of 0..B-1.
func Order(dst [][]uint16, block [][]uint16, mask uint16, ranks []int) {
	b := len(block)
	checkOrder(dst, block, ranks)
	pixels := len(block[0])
	done := kernel.Order(dst, block, mask, ranks)
	if done == pixels {
		return
	}
	// A tile of columns stays in the first-level cache while the frames are copied into it.
	tile := min(max(8192/b, 8), 128, max(pixels, 1))
	cols := make([]uint16, tile*b)
	s := selector{scratch: make([]uint16, b)}
	for lo := done; lo < pixels; lo += tile {
		n := min(tile, pixels-lo)
		for k, f := range block {
			scatter(cols[k:], f[lo:lo+n], b, mask)
		}
		for i := range n {
			s.load(cols[i*b : (i+1)*b])
			for j, r := range ranks {
				dst[j][lo+i] = s.rank(r)
			}
		}
	}
}

func checkOrder(dst, block [][]uint16, ranks []int) {
	if len(block) == 0 {
		panic("stats/quantile: block without frames")
	}
	if len(dst) != len(ranks) {
		panic(fmt.Sprintf("stats/quantile: %d results for %d ranks", len(dst), len(ranks)))
	}
	for j, r := range ranks {
		if r < 0 || r >= len(block) {
			panic(fmt.Sprintf("stats/quantile: rank %d of %d frames", r, len(block)))
		}
		if len(dst[j]) != len(block[0]) {
			panic(fmt.Sprintf("stats/quantile: result of %d pixels for frames of %d", len(dst[j]), len(block[0])))
		}
	}
	for k, f := range block {
		if len(f) != len(block[0]) {
			panic(fmt.Sprintf("stats/quantile: frame %d has %d pixels, frame 0 has %d", k, len(f), len(block[0])))
		}
	}
}

// scatter puts the masked values of src at every stride-th place of dst.
func scatter(dst, src []uint16, stride int, mask uint16) {
	p := 0
	for _, v := range src {
		dst[p] = v & mask
		p += stride
	}
}

// selector finds several order statistics of the same values by one histogram of 256 buckets and, only
// where a bucket is wider than one value, a second look at the members of that bucket.
type selector struct {
	v       []uint16
	lo      uint16
	shift   uint
	last    int // the last bucket in use
	hist    [256]uint32
	scratch []uint16
}

func (s *selector) load(v []uint16) {
	lo, hi := bounds(v)
	s.v, s.lo, s.shift = v, lo, 0
	for (hi-lo)>>s.shift > 255 {
		s.shift++
	}
	s.last = int((hi - lo) >> s.shift)
	clear(s.hist[:s.last+1])
	for _, x := range v {
		s.hist[uint8((x-lo)>>s.shift)]++
	}
}

// bounds returns the smallest and the largest of at least one value.
func bounds(v []uint16) (lo, hi uint16) {
	lo, hi = v[0], v[0]
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

// rank returns the value of rank k among the loaded values.
func (s *selector) rank(k int) uint16 {
	below := 0
	bucket := 0
	for ; bucket < s.last; bucket++ {
		n := int(s.hist[bucket])
		if below+n > k {
			break
		}
		below += n
	}
	if s.shift == 0 {
		return s.lo + uint16(bucket)
	}
	members := s.scratch[:0]
	for _, x := range s.v {
		if int((x-s.lo)>>s.shift) == bucket {
			members = append(members, x)
		}
	}
	return Select(members, k-below)
}
