package status

import (
	"math"
	"math/bits"
	"sync"

	"rawstatus/internal/stats/quantile"
)

const (
	// bins are those that are told apart, to both sides of a middle value. The first and the last have everything beyond.
	bins = 4096
	// binsOfSpread is the power of two of bins that are as wide as the middle half of the values, or nearly.
	binsOfSpread = 6
	// binnedFrom is the number of values from which sorting them into bins pays.
	binnedFrom = 4096
)

// binned are values counted by bin, of which those of some bins are sorted by bin: order statistics are found by looking at
// the values of a few bins.
type binned struct {
	pieces [][]float64 // the values
	number []uint16    // of the bin of each value
	begin  [bins + 1]uint32
	shift  uint  // the number of a bin are the bits of a float64 without so many
	lowest int64 // number of the first bin

	wanted [bins]uint8      // 1: the values of the bin are in sorted
	start  [bins + 1]uint32 // where those of a bin begin there
	sorted []float64        // bin by bin, in any order within a bin
	some   []float64        // scratch
	shell  []float64        // scratch
}

var binneds = sync.Pool{New: func() any { return new(binned) }}

// binnedLimits returns what robustLimits finds, many times as fast. It does not know where there are few values, some
// are negative or not finite, or the median absolute deviation is 0.
func binnedLimits(pieces [][]float64, w bounds) (l Limits, ok bool) {
	b := binneds.Get().(*binned)
	defer b.put()
	if !b.fill(pieces, w) {
		return l, false
	}
	return b.limits(w)
}

// put returns the memory to the pool.
func (b *binned) put() {
	b.pieces = nil
	binneds.Put(b)
}

// limits returns the robust limits of the values; false: the median absolute deviation is 0.
//
// All rounds of the clipping look at values of one interval: whatever has left was beyond an edge of it.
func (b *binned) limits(w bounds) (l Limits, ok bool) {
	lo, hi := math.Inf(-1), math.Inf(1)
	first, end := 0, len(b.number) // ranks of the values in the interval
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

// fill counts values by bin and sorts those that limits by w ask for; false: they do not suit.
func (b *binned) fill(pieces [][]float64, w bounds) bool {
	n := 0
	for _, v := range pieces {
		n += len(v)
	}
	if n < binnedFrom {
		return false
	}
	b.pieces = pieces
	b.scale(b.sample(n))
	shift := b.shift & 63
	if cap(b.number) < n {
		b.number = make([]uint16, n)
	}
	b.number = b.number[:n]
	var counts [bins]uint32
	var most uint64
	number := b.number
	for _, v := range pieces {
		for i, x := range v {
			key := math.Float64bits(x)
			most = max(most, key)
			n := min(max(int64(key>>shift)-b.lowest, 0), bins-1)
			counts[n&(bins-1)]++
			number[i] = uint16(n)
		}
		number = number[len(v):]
	}
	if most >= math.Float64bits(math.Inf(1)) { // not finite, or of negative sign
		return false
	}
	at := uint32(0)
	for n, c := range counts {
		b.begin[n] = at
		at += c
	}
	b.begin[bins] = at
	b.want(w)
	b.sort()
	return true
}

// scale chooses the bins after a sample. They change how long it takes to find something and not what is found.
func (b *binned) scale(sample []float64) {
	med := quantile.Median(sample)
	for i, x := range sample {
		sample[i] = math.Abs(x - med)
	}
	b.shift = 42
	if wide := int64(math.Float64bits(med+quantile.Median(sample)) - math.Float64bits(med)); wide > 0 {
		b.shift = uint(max(0, bits.Len64(uint64(wide))-binsOfSpread))
	}
	b.lowest = int64(math.Float64bits(med)>>b.shift) - bins/2
}

// sample returns some of n values from all over them.
func (b *binned) sample(n int) []float64 {
	const samples = 255
	some := make([]float64, 0, samples+1)
	at := 0 // of the next one, from the begin of the piece
	for _, v := range b.pieces {
		for ; at < len(v); at += n / samples {
			some = append(some, v[at])
		}
		at -= len(v)
	}
	return some
}

// want chooses the bins that limits by w will look at, as far as counts tell: those of the median, of values as far from it
// as the median distance, and of what may lie beyond the limits.
func (b *binned) want(w bounds) {
	clear(b.wanted[:])
	mark := func(first, last int) {
		for n := max(first, 0); n <= min(last, bins-1); n++ {
			b.wanted[n] = 1
		}
	}
	n := len(b.number)
	middle := b.binOf(n / 2)
	mark(middle-1, middle+1)
	med := b.edge(middle)/2 + b.edge(middle+1)/2
	if math.IsInf(med, 0) { // the sample has misled
		mark(0, bins-1)
		return
	}
	low, high := middle, middle
	for int(b.begin[high+1]-b.begin[low]) <= n/2 {
		if med-b.edge(low) < b.edge(high+1)-med {
			low--
		} else {
			high++
		}
	}
	mark(low-2, low+3)
	mark(high-3, high+2)
	lo, hi := w.around(med, 0.9*madToSigma*max(med-b.edge(low), b.edge(high+1)-med))
	mark(0, b.bin(max(lo, 0))+1)
	mark(b.bin(max(hi, 0))-1, bins-1)
}

// sort puts the values of the wanted bins into sorted.
func (b *binned) sort() {
	var next [bins]uint32
	at := uint32(0)
	for n, wanted := range b.wanted {
		b.start[n], next[n] = at, at
		at += uint32(wanted) * (b.begin[n+1] - b.begin[n])
	}
	b.start[bins] = at
	if cap(b.some) <= int(at) {
		b.some, b.sorted = make([]float64, at+1), make([]float64, at+1)
	}
	some, k := b.some[:at+1], 0 // without branches that nobody can predict: what is not wanted is written over
	number := b.number
	for _, v := range b.pieces {
		of := number[:len(v)]
		for i, x := range v {
			some[k] = x
			k += int(b.wanted[of[i]&(bins-1)])
		}
		number = number[len(v):]
	}
	b.sorted = b.sorted[:at]
	for _, x := range some[:k] {
		n := b.bin(x)
		b.sorted[next[n]] = x
		next[n]++
	}
}

// bin returns the number of the bin of a value that is not negative.
func (b *binned) bin(x float64) int {
	return int(min(max(int64(math.Float64bits(x)>>(b.shift&63))-b.lowest, 0), bins-1))
}

// of returns the values of some bins, valid until the next call. Those of bins that nobody has thought of are sorted now.
func (b *binned) of(first, last int) []float64 {
	if b.start[last+1]-b.start[first] != b.begin[last+1]-b.begin[first] {
		for n := range b.wanted {
			b.wanted[n] = 1
		}
		b.sort()
	}
	return b.sorted[b.start[first]:b.start[last+1]]
}

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

// binOf returns the bin of the value of a rank.
func (b *binned) binOf(k int) int {
	lo, hi := 0, bins-1 // the last bin that begins at or before k
	for lo < hi {
		if mid := (lo + hi + 1) / 2; int(b.begin[mid]) <= k {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// rank returns the value of a rank.
func (b *binned) rank(k int) float64 {
	n := b.binOf(k)
	return quantile.Select(b.of(n, n), k-int(b.begin[n]))
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
	some := b.shell[:0]
	for _, part := range [][2]int{{low, coreLow - 1}, {coreHigh + 1, high}} {
		for _, x := range b.of(part[0], part[1]) {
			if x >= lo && x <= hi {
				some = append(some, math.Abs(x-med))
			}
		}
	}
	b.shell = some
	k := n/2 - count(coreLow, coreHigh)
	d := quantile.Select(some, k)
	if n%2 == 1 {
		return d
	}
	return float64(quantile.Select(some, k-1)+d) / 2
}

// outside counts the values beyond limits.
func (b *binned) outside(l Limits) int {
	return b.below(l.Lo, false) + len(b.number) - b.below(l.Hi, true)
}

// thousandths returns the lower one of the two middle values, rounded to thousandths, and of the distances of all values,
// rounded likewise, from it.
//
// Rounding keeps the order, so that it may come last; how many of the rounded values lie within a distance follows from the
// least values that are rounded to its ends.
func (b *binned) thousandths() (median, spread int32) {
	rank := (len(b.number) - 1) / 2
	med := b.rank(rank)
	median = thousandth(med)
	within := func(d int32) int { return b.below(leastOf(median+d+1), false) - b.below(leastOf(median-d), false) }
	spread = thousandth(b.distance(med, math.Inf(-1), math.Inf(1), len(b.number)))
	for spread > 0 && within(spread-1) > rank {
		spread--
	}
	for within(spread) <= rank {
		spread++
	}
	return median, spread
}

// thousandth rounds a value that is not negative to thousandths. No pedestal is above 65535: they fit.
func thousandth(x float64) int32 { return int32(float64(x*1000) + 0.5) }

// leastOf returns the least value that is rounded to k thousandths or more.
func leastOf(k int32) float64 {
	if k <= 0 {
		return 0
	}
	x := (float64(k) - 0.5) / 1000
	for thousandth(x) >= k {
		x = math.Nextafter(x, 0)
	}
	for thousandth(x) < k {
		x = math.Nextafter(x, math.Inf(1))
	}
	return x
}

// edge returns the least value of a bin; the first and the last one have no end.
func (b *binned) edge(n int) float64 {
	switch k := b.lowest + int64(n); {
	case n <= 0:
		return math.Inf(-1)
	case n >= bins || k >= int64(math.Float64bits(math.Inf(1))>>b.shift):
		return math.Inf(1)
	case k <= 0:
		return 0
	default:
		return math.Float64frombits(uint64(k) << b.shift)
	}
}
