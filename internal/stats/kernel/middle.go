package kernel

// Middle returns the two middle values of f[i] & mask, which are the same when len(f) is odd. ok is
// false where there is no assembly, or f is too short for it.
//
// A sample of the frame shows about where the middle lies; counting the values below four thresholds
// there, once or twice, finds it exactly. A misleading sample costs time only.
func Middle(f []uint16, mask uint16) (a, b uint16, ok bool) {
	if best == levelGo || len(f) < 2*sampleSize {
		return 0, 0, false
	}
	reads(f)
	return best.middle(f, mask)
}

// sampleSize is the number of pixels of the sample: 64 stretches of 64 all over the frame.
const sampleSize = 64 * 64

func (l level) middle(f []uint16, mask uint16) (a, b uint16, ok bool) {
	var sample [sampleSize]uint16
	for i := range 64 {
		copy(sample[64*i:64*i+64], f[i*(len(f)-64)/63:])
	}
	// The rank of the middle scatters by sqrt(n)/2 = 32 in a random sample: look at +-3 times that.
	s := ranker{level: l, px: sample[:], mask: mask, hi: int(mask) + 1}
	lo, _ := s.find(sampleSize/2-96, 0, int(mask))
	s.hi = int(mask) + 1
	hi, _ := s.find(sampleSize/2+96, lo, int(mask))
	r := ranker{level: l, px: f, mask: mask, hi: int(mask) + 1}
	first, upTo := r.find((len(f)-1)/2, lo, hi)
	if len(f)/2 < upTo {
		return uint16(first), uint16(first), true
	}
	r.lo, r.hi = first+1, int(mask)+1
	second, _ := r.find(len(f)/2, first+1, first+4)
	return uint16(first), uint16(second), true
}

// ranker finds the value of a rank among masked pixels. What it knows: no more than rank values are
// below lo, more than rank are below hi.
type ranker struct {
	level
	px     []uint16
	mask   uint16
	lo, hi int
	upTo   int // number of values below hi
}

// find returns the value of a rank, which is probably in [from, to], and the number of values up to it.
func (r *ranker) find(rank, from, to int) (value, upTo int) {
	r.upTo = len(r.px)
	for guess := true; r.hi-r.lo > 1; guess = false {
		a, b := r.lo+1, r.hi-1 // candidates for a bound
		if guess {
			a, b = max(a, from), max(min(b, to+1), from, a)
		}
		var t [4]uint16
		for i := range t {
			if b-a < len(t) {
				t[i] = uint16(min(a+i, r.hi-1))
			} else {
				t[i] = uint16(a + i*(b-a)/(len(t)-1))
			}
		}
		if !guess && b-a >= len(t) { // even parts
			for i := range t {
				t[i] = uint16(r.lo + (i+1)*(r.hi-r.lo)/(len(t)+1))
			}
		}
		n := r.below(r.px, r.mask, &t)
		for i := range t {
			if n[i] <= rank {
				r.lo = max(r.lo, int(t[i]))
			} else if int(t[i]) < r.hi {
				r.hi, r.upTo = int(t[i]), n[i]
			}
		}
	}
	return r.lo, r.upTo
}

// belowRef counts the words of px that are below each limit once masked.
func belowRef(px []uint16, mask uint16, limits *[4]uint16) (n [4]int) {
	for _, v := range px {
		for j, t := range limits {
			if v&mask < t {
				n[j]++
			}
		}
	}
	return n
}
