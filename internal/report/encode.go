package report

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zlib"
	"gonum.org/v1/gonum/stat"

	"rawstatus/internal/stats/status"
)

// unit is an encoded Unit.
type unit struct {
	expected, frames int
	pixels, bad      int
	bit              map[uint64]int // pixels that have the bit
	newly, gone      []int          // by baseline; -1: nothing to compare with

	status    layer
	coarse    layer // any word of 2 x 2 pixels, for maps that are full of bad pixels
	base      []*layer
	maps      []plot // by quantity that is shown as map
	thumb     []byte
	hist      []histogram
	limits    [][]Limit // by quantity
	occupancy status.Occupancy
	list      []entry
}

// layer is a status map.
type layer struct {
	words []uint64
	data  []byte // zlib
}

// plot is a quantity as map: medians of 4 x 4 and of 8 x 8 pixels.
type plot struct {
	lo, hi       float64
	fine, coarse []byte // zlib
}

// entry is a pixel of the list.
type entry struct {
	pixel    int
	kind     byte
	distance float64 // worst, in units of the limits' spreads
	values   []float32
}

// The kinds of an entry.
const (
	kindBad, kindNew, kindGone = 0, 1, 2
)

const (
	listMost  = 100000 // pixels of the list
	listFewer = 20000
	unknown   = 255 // index of words that are not in the list of words
)

func (b *Builder) encode(u Unit, spans []span) (*unit, error) {
	p := b.page.Panels[u.Panel]
	out := &unit{expected: u.Expected, frames: u.Frames, pixels: len(u.Status), bit: map[uint64]int{},
		occupancy: status.Occupied(status.SparseOf(u.Status), p.Rows, p.Cols, p.ASICRows, p.ASICCols)}
	var err error
	if out.status, err = encodeLayer(u.Status); err != nil {
		return nil, err
	}
	for _, w := range countWords(u.Status) {
		if w.word != 0 {
			out.bad += w.n
		}
		for rest := w.word; rest != 0; rest &= rest - 1 {
			out.bit[rest&-rest] += w.n
		}
	}
	if 5*out.bad > out.pixels {
		if out.coarse, err = encodeLayer(anyOf2x2(u.Status, p.Rows, p.Cols)); err != nil {
			return nil, err
		}
	}
	for _, old := range u.Baselines {
		if old == nil {
			out.newly, out.gone, out.base = append(out.newly, -1), append(out.gone, -1), append(out.base, nil)
			continue
		}
		newly, gone := 0, 0
		for i, w := range u.Status {
			if w != 0 && old[i] == 0 {
				newly++
			} else if w == 0 && old[i] != 0 {
				gone++
			}
		}
		l, err := encodeDifference(u.Status, old)
		if err != nil {
			return nil, err
		}
		out.newly, out.gone, out.base = append(out.newly, newly), append(out.gone, gone), append(out.base, &l)
	}
	out.thumb = b.thumbnail(u.Status, p)
	for q, quantity := range u.Quantities {
		out.limits = append(out.limits, quantity.Limits)
		if !quantity.Map {
			continue
		}
		values := judgedValues(quantity, u.Status)
		m, err := encodePlot(values, p)
		if err != nil {
			return nil, err
		}
		out.maps = append(out.maps, m)
		out.hist = append(out.hist, spans[q].count(quantity, values, u.Status))
	}
	out.list = b.choose(u, p)
	return out, nil
}

// level of compression. 9 takes four times as long and saves 3 % of a status map.
const level = 6

// deflate compresses at a fixed level: the same input makes the same bytes.
func deflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

type counted struct {
	word uint64
	n    int
}

// countWords returns the distinct words: 0 first, then by descending number, then by value.
func countWords(words []uint64) []counted {
	n := map[uint64]int{}
	var last uint64
	run := 0
	for _, w := range words {
		if w != last {
			n[last] += run
			last, run = w, 0
		}
		run++
	}
	n[last] += run
	good := counted{0, n[0]}
	delete(n, 0)
	return append([]counted{good}, sorted(n)...)
}

// sorted returns words by descending number, then by value.
func sorted(n map[uint64]int) (out []counted) {
	for w, k := range n {
		out = append(out, counted{w, k})
	}
	slices.SortFunc(out, func(a, b counted) int { return cmp.Or(b.n-a.n, cmp.Compare(a.word, b.word)) })
	return out
}

func encodeLayer(words []uint64) (layer, error) {
	list := countWords(words)
	list = list[:min(len(list), unknown)]
	return pack(list, words, 0, func(int) bool { return false })
}

// encodeDifference encodes old where it differs from now: byte 0 is no difference, n the word before n in the list.
func encodeDifference(now, old []uint64) (layer, error) {
	n := map[uint64]int{}
	for i, w := range old {
		if w != now[i] {
			n[w]++
		}
	}
	list := sorted(n)
	return pack(list[:min(len(list), unknown-1)], old, 1, func(i int) bool { return old[i] == now[i] })
}

// pack writes each word as first plus its position in the list, skipped ones as 0.
func pack(list []counted, words []uint64, first int, skip func(i int) bool) (l layer, err error) {
	index := make(map[uint64]byte, len(list))
	for i, w := range list {
		l.words = append(l.words, w.word)
		index[w.word] = byte(i + first)
	}
	data := make([]byte, len(words))
	for i, w := range words {
		if w == 0 && first == 0 || skip(i) {
			continue
		}
		k, ok := index[w]
		if !ok {
			k = unknown
		}
		data[i] = k
	}
	l.data, err = deflate(data)
	return l, err
}

// anyOf2x2 returns the OR of every 2 x 2 pixels.
func anyOf2x2(words []uint64, rows, cols int) []uint64 {
	out := make([]uint64, ((rows+1)/2)*((cols+1)/2))
	for i, w := range words {
		out[i/cols/2*((cols+1)/2)+i%cols/2] |= w
	}
	return out
}

// thumbnail returns one byte for every 8 x 8 pixels.
func (b *Builder) thumbnail(words []uint64, p PanelInfo) []byte {
	rows, cols := (p.Rows+7)/8, (p.Cols+7)/8
	counts := make([][10]int, rows*cols)
	for i, w := range words {
		if w != 0 {
			counts[i/p.Cols/8*cols+i%p.Cols/8][b.classOf(w)]++
		}
	}
	out := make([]byte, len(counts))
	for i, c := range counts {
		best, total := 0, 0
		for k, n := range c {
			total += n
			if n > c[best] {
				best = k
			}
		}
		if total > 0 {
			out[i] = byte(best<<4 | min(bits.Len(uint(total)), 15))
		}
	}
	return out
}

// judgedValues returns the values of a quantity, NaN for pixels that were not judged.
func judgedValues(q Quantity, words []uint64) []float64 {
	out := make([]float64, len(words))
	for i, w := range words {
		if out[i] = q.Value(i); w&status.NotJudged != 0 {
			out[i] = math.NaN()
		}
	}
	return out
}

// encodePlot makes the maps of values.
func encodePlot(values []float64, p PanelInfo) (plot, error) {
	fine := medians(values, p, 4)
	// The range of the colours needs no more than some thousand values, and sorting them all takes as long as the medians.
	var valid []float64
	for i := 0; i < len(fine); i += 1 + len(fine)/8192 {
		if v := fine[i]; v == v {
			valid = append(valid, v)
		}
	}
	m := plot{lo: math.NaN(), hi: math.NaN()}
	if len(valid) > 0 {
		slices.Sort(valid)
		m.lo, m.hi = stat.Quantile(0.005, stat.Empirical, valid, nil), stat.Quantile(0.995, stat.Empirical, valid, nil)
	}
	// A browser must compute the same from the numbers in the page.
	m.lo, m.hi = rounded(m.lo), rounded(m.hi)
	rows, cols := (p.Rows+3)/4, (p.Cols+3)/4
	var err error
	if m.fine, err = deflate(m.bytes(fine)); err == nil {
		m.coarse, err = deflate(m.bytes(halve(fine, rows, cols)))
	}
	return m, err
}

func rounded(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// bytes scales values to 0..254.
func (m plot) bytes(v []float64) []byte {
	out := make([]byte, len(v))
	for i, x := range v {
		switch {
		case x != x:
			out[i] = 255
		case m.hi > m.lo:
			out[i] = byte(min(max(float64((x-m.lo)/(m.hi-m.lo))*254, 0), 254) + 0.5)
		}
	}
	return out
}

// medians returns the medians of every n x n values that are not NaN, NaN where there is none.
func medians(values []float64, p PanelInfo, n int) []float64 {
	out := make([]float64, 0, ((p.Rows+n-1)/n)*((p.Cols+n-1)/n))
	var block [16]float64
	for r := 0; r < p.Rows; r += n {
		for c := 0; c < p.Cols; c += n {
			k := 0
			for y := r; y < min(r+n, p.Rows); y++ {
				for _, v := range values[y*p.Cols+c : y*p.Cols+min(c+n, p.Cols)] {
					if v == v {
						block[k] = v
						k++
					}
				}
			}
			out = append(out, median(block[:k]))
		}
	}
	return out
}

// median sorts its few values; of two in the middle it takes the lower one.
func median(v []float64) float64 {
	switch len(v) {
	case 0:
		return math.NaN()
	case 16:
		return median16((*[16]float64)(v))
	}
	for i := 1; i < len(v); i++ {
		x, k := v[i], i
		for ; k > 0 && v[k-1] > x; k-- {
			v[k] = v[k-1]
		}
		v[k] = x
	}
	return v[(len(v)-1)/2]
}

// median16 is median for a whole block: a merge exchange sort (Knuth, algorithm 5.2.2M) of keys in the order of the
// values. Integers are exchanged without branches that nobody can predict, three times as fast.
func median16(v *[16]float64) float64 {
	var key [16]int64
	for i, x := range v {
		b := int64(math.Float64bits(x))
		key[i] = b ^ int64(uint64(b>>63)>>1)
	}
	for _, e := range exchanges {
		a, b := key[e[0]&15], key[e[1]&15]
		key[e[0]&15], key[e[1]&15] = min(a, b), max(a, b)
	}
	b := key[7]
	return math.Float64frombits(uint64(b ^ int64(uint64(b>>63)>>1)))
}

// exchanges are the compared pairs of a merge exchange sort of 16 values.
var exchanges = mergeExchange(4)

func mergeExchange(t int) (pairs [][2]uint8) {
	n := 1 << t
	for p := n / 2; p > 0; p /= 2 {
		q, r, d := n/2, 0, p
		for {
			for i := range n - d {
				if i&p == r {
					pairs = append(pairs, [2]uint8{uint8(i), uint8(i + d)})
				}
			}
			if q == p {
				break
			}
			d, q, r = q-p, q/2, p
		}
	}
	return pairs
}

// halve returns the medians of every 2 x 2 values.
func halve(v []float64, rows, cols int) []float64 {
	out := make([]float64, 0, ((rows+1)/2)*((cols+1)/2))
	for r := 0; r < rows; r += 2 {
		for c := 0; c < cols; c += 2 {
			var block [4]float64
			k := 0
			for y := r; y < min(r+2, rows); y++ {
				for x := c; x < min(c+2, cols); x++ {
					if a := v[y*cols+x]; a == a {
						block[k] = a
						k++
					}
				}
			}
			out = append(out, median(block[:k]))
		}
	}
	return out
}

// choose returns the unit's pixels for the list, by pixel: newly bad, newly good, then those farthest beyond
// their limits.
func (b *Builder) choose(u Unit, p PanelInfo) []entry {
	most := min(listMost, 4*listMost/len(b.units)+1000)
	var old []uint64
	if len(u.Baselines) > 0 {
		old = u.Baselines[0]
	}
	var all []entry
	for i, w := range u.Status {
		was := old != nil && old[i] != 0
		if w == 0 && !was {
			continue
		}
		e := entry{pixel: i, kind: kindBad}
		switch {
		case w == 0:
			e.kind = kindGone
		case old != nil && !was:
			e.kind = kindNew
		}
		if w != 0 && w&status.NotJudged == 0 {
			e.distance = u.distance(i, p.Cols)
		}
		all = append(all, e)
	}
	all = worst(all, most)
	for i := range all {
		for _, q := range u.Quantities {
			all[i].values = append(all[i].values, float32(q.Value(all[i].pixel)))
		}
	}
	return all
}

// worst keeps the first most entries by importance, sorted by pixel.
func worst(all []entry, most int) []entry {
	if len(all) > most {
		rank := [3]int{kindBad: 2, kindNew: 0, kindGone: 1}
		slices.SortFunc(all, func(a, b entry) int {
			return cmp.Or(rank[a.kind]-rank[b.kind], cmp.Compare(b.distance, a.distance), a.pixel-b.pixel)
		})
		all = all[:most]
		slices.SortFunc(all, func(a, b entry) int { return a.pixel - b.pixel })
	}
	return all
}

// distance returns how far a pixel lies beyond its worst limit.
func (u Unit) distance(i, cols int) float64 {
	far := 0.0
	for _, q := range u.Quantities {
		if len(q.Limits) == 0 {
			continue
		}
		v := q.Value(i)
		for _, l := range q.Limits {
			if l.has(i/cols, i%cols) && l.Spread > 0 {
				far = max(far, l.Distance(v))
			}
		}
	}
	return far
}

func (l Limit) has(row, col int) bool {
	return l.Rows == 0 || row >= l.Row && row < l.Row+l.Rows && col >= l.Col && col < l.Col+l.Cols
}

// listBytes encodes the list of at most so many pixels of all units. Later calls ask for fewer.
func (b *Builder) listBytes(most int) (data []byte, n int, err error) {
	if b.listed == nil {
		b.listed = b.wholeList()
	}
	b.listed = worst(b.listed, most)
	all := b.listed
	var raw bytes.Buffer
	column := func(width int, bits func(i int) uint32) {
		for k := range width {
			for i := range all {
				raw.WriteByte(byte(bits(i) >> (8 * k)))
			}
		}
	}
	gaps := make([]uint32, len(all))
	for i := range all {
		gaps[i] = uint32(all[i].pixel)
		if i > 0 {
			gaps[i] -= uint32(all[i-1].pixel)
		}
	}
	column(4, func(i int) uint32 { return gaps[i] })
	column(1, func(i int) uint32 { return uint32(all[i].kind) })
	for q := range b.quantities {
		column(4, func(i int) uint32 { return math.Float32bits(all[i].values[q]) })
	}
	data, err = deflate(raw.Bytes())
	return data, len(all), err
}

// wholeList puts the lists of all units together; pixels are counted over all units.
func (b *Builder) wholeList() (all []entry) {
	first := 0
	for u := range b.units {
		if b.units[u] != nil {
			for _, e := range b.units[u].list {
				e.pixel += first
				all = append(all, e)
			}
		}
		p := b.page.Panels[u%len(b.page.Panels)]
		first += p.Rows * p.Cols
	}
	return all
}

// thumbBytes puts the thumbnails of all units together.
func (b *Builder) thumbBytes() ([]byte, error) {
	var raw []byte
	for u := range b.units {
		p := b.page.Panels[u%len(b.page.Panels)]
		t := make([]byte, ((p.Rows+7)/8)*((p.Cols+7)/8))
		if b.units[u] != nil {
			copy(t, b.units[u].thumb)
		}
		raw = append(raw, t...)
	}
	return deflate(raw)
}
