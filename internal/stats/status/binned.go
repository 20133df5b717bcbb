package status

import (
	"math"
	"sync"

	"rawstatus/internal/stats/quantile"
)

const (
	// binBits are the bits of a float64 that are not in the number of its bin: 1024 bins have the same exponent.
	binBits = 42
	// bins are those that are told apart: two powers of two to both sides of a middle value. The first and the
	// last have everything beyond.
	bins = 4096
	// binnedFrom is the number of values from which sorting them into bins pays.
	binnedFrom = 4096
)

// binned are values sorted by bin: order statistics are found by looking at the values of a few bins.
type binned struct {
	sorted []float64 // bin by bin, in any order within a bin
	number []uint16  // of the bin of each value as it was given
	begin  [bins + 1]uint32
	lowest int64 // key of the first bin
	some   []float64
}

var binneds = sync.Pool{New: func() any { return new(binned) }}

// binnedLimits returns what robustLimits finds, many times as fast. It does not know where there are few values, some
// are negative or not finite, or the median absolute deviation is 0.
//
// All rounds of the clipping look at values of one interval: whatever has left was beyond an edge of it.
func binnedLimits(v []float64, w bounds) (l Limits, ok bool) {
	if len(v) < binnedFrom {
		return l, false
	}
	b := binneds.Get().(*binned)
	defer binneds.Put(b)
	if !b.fill(v) {
		return l, false
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	first, end := 0, len(v) // ranks of the values in the interval
	for range ClipRounds {
		l = Limits{Used: end - first}
		l.Mean = b.median(first, end)
		mad := b.distance(l.Mean, lo, hi, end-first)
		if !(mad > 0) {
			return l, false
		}
		l.Std = madToSigma * mad
		l.Lo, l.Hi = w.around(l.Mean, l.Std)
		lo, hi = max(lo, l.Lo), min(hi, l.Hi)
		if lo > hi {
			break // nothing is kept
		}
		first, end = b.below(lo, false), b.below(hi, true)
		if kept := end - first; kept == l.Used || kept <= 0 {
			break
		}
	}
	return l, true
}

// fill sorts values by bin; false: they do not suit.
func (b *binned) fill(v []float64) bool {
	var sample [255]float64
	for i := range sample {
		sample[i] = v[i*(len(v)/len(sample))]
	}
	b.lowest = int64(math.Float64bits(quantile.Median(sample[:]))>>binBits) - bins/2
	if cap(b.number) < len(v) {
		b.number, b.sorted = make([]uint16, len(v)), make([]float64, len(v))
	}
	number := b.number[:len(v)]
	b.sorted = b.sorted[:len(v)]
	var counts [bins]uint32
	var most uint64
	for i, x := range v {
		bits := math.Float64bits(x)
		most = max(most, bits)
		n := min(max(int64(bits>>binBits)-b.lowest, 0), bins-1)
		counts[n&(bins-1)]++
		number[i] = uint16(n)
	}
	if most >= math.Float64bits(math.Inf(1)) { // not finite, or of negative sign
		return false
	}
	var next [bins]uint32
	at := uint32(0)
	for n, c := range counts {
		b.begin[n], next[n] = at, at
		at += c
	}
	b.begin[bins] = at
	for i, n := range number {
		n &= bins - 1
		b.sorted[next[n]] = v[i]
		next[n]++
	}
	return true
}

// bin returns the number of the bin of a value that is not negative.
func (b *binned) bin(x float64) int {
	return int(min(max(int64(math.Float64bits(x)>>binBits)-b.lowest, 0), bins-1))
}

// of returns the values of some bins.
func (b *binned) of(first, last int) []float64 { return b.sorted[b.begin[first]:b.begin[last+1]] }

// below counts the values less than x, with orEqual also those that equal it.
func (b *binned) below(x float64, orEqual bool) int {
	if x < 0 {
		return 0
	}
	n := b.bin(x)
	count := int(b.begin[n])
	for _, y := range b.of(n, n) {
		if y < x || orEqual && y == x {
			count++
		}
	}
	return count
}

// rank returns the value of a rank.
func (b *binned) rank(k int) float64 {
	lo, hi := 0, bins-1 // the last bin that begins at or before k
	for lo < hi {
		if mid := (lo + hi + 1) / 2; int(b.begin[mid]) <= k {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return quantile.Select(b.of(lo, lo), k-int(b.begin[lo]))
}

// median returns the median of the values of ranks first, ..., end-1.
func (b *binned) median(first, end int) float64 {
	n := end - first
	x := b.rank(first + n/2)
	if n%2 == 1 {
		return x
	}
	return float64(b.rank(first+n/2-1)+x) / 2
}

// distance returns the median distance from med of the values from lo to hi, of which there are n.
//
// Bins to both sides of that of med are taken until half of the values are in them. How far these bins reach bounds the
// median distance from both sides: the values that are surely nearer need only be counted, those that are surely
// farther away not even that.
func (b *binned) distance(med, lo, hi float64, n int) float64 {
	count := func(first, last int) (n int) {
		if first > last {
			return 0
		}
		n = int(b.begin[last+1] - b.begin[first])
		if b.edge(first) < lo || b.edge(last+1) > hi { // few of the bins
			n = 0
			for _, x := range b.of(first, last) {
				if x >= lo && x <= hi {
					n++
				}
			}
		}
		return n
	}
	low, high := b.bin(med), b.bin(med)
	widen := func() {
		if med-b.edge(low) < b.edge(high+1)-med {
			low--
		} else {
			high++
		}
	}
	nearest := 0.0 // no value outside is nearer
	inside := count(low, high)
	for inside <= n/2 {
		if inside < n/2 {
			nearest = min(med-b.edge(low), b.edge(high+1)-med)
		}
		was := [2]int{low, high}
		widen()
		if low < was[0] {
			inside += count(low, low)
		} else {
			inside += count(high, high)
		}
	}
	coreLow, coreHigh := b.bin(med), b.bin(med)
	if !(med-b.edge(coreLow) < nearest && b.edge(coreHigh+1)-med < nearest) {
		coreHigh = coreLow - 1 // empty
	} else {
		for med-b.edge(coreLow-1) < nearest {
			coreLow--
		}
		for b.edge(coreHigh+2)-med < nearest {
			coreHigh++
		}
	}
	farthest := max(med-b.edge(low), b.edge(high+1)-med)
	for min(med-b.edge(low), b.edge(high+1)-med) < farthest {
		widen()
	}
	some := b.some[:0]
	for _, part := range [][]float64{b.of(low, coreLow-1), b.of(coreHigh+1, high)} {
		for _, x := range part {
			if x >= lo && x <= hi {
				some = append(some, math.Abs(x-med))
			}
		}
	}
	b.some = some
	k := n/2 - count(coreLow, coreHigh)
	d := quantile.Select(some, k)
	if n%2 == 1 {
		return d
	}
	return float64(quantile.Select(some, k-1)+d) / 2
}

// edge returns the least value of a bin; the first and the last one have no end.
func (b *binned) edge(n int) float64 {
	switch k := b.lowest + int64(n); {
	case n <= 0:
		return math.Inf(-1)
	case n >= bins || k >= int64(math.Float64bits(math.Inf(1))>>binBits):
		return math.Inf(1)
	case k <= 0:
		return 0
	default:
		return math.Float64frombits(uint64(k) << binBits)
	}
}
