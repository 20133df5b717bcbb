//go:build !noasm

package kernel

import "sync"

// Order statistics of pixels over frames. A tile of some thousand pixels of all frames is brought into
// the second-level cache and searched there.
//
// Values of a pixel mostly lie close to each other, so the tile holds bytes: the distances from a value
// in their midst, which saturate at -128 and 127. Saturation keeps the order, so a value of some rank is
// exact unless it is one of these two, wherever the other values are. Chunks of pixels with such a
// result are done again with a tile of words; so are blocks of more frames than a byte can count, and
// for a while all tiles, once most chunks had to be done again.

// orderer is the memory of orderAll.
type orderer struct {
	dst, block [][]uint16
	source     []*uint16 // the frames of the block
	mask       uint16
	limits     []uint16 // the ranks
	tile       []byte
	out        []uint16 // results of a tile, rank after rank
	mid        []uint16 // per pixel of a tile a value in the midst
	wide       []byte   // per chunk of a tile whether words are needed
}

var orderers = sync.Pool{New: func() any { return new(orderer) }}

const (
	byteChunk = 64 // pixels in two vectors of bytes
	wordChunk = 32
	// pause is the number of tiles that are done by words before bytes are tried again.
	pause = 15
)

func (l level) orderAll(dst, block [][]uint16, mask uint16, ranks []int) (done int) {
	pixels := len(block[0]) / wordChunk * wordChunk
	if pixels == 0 {
		return 0
	}
	if nearEnds(len(block), ranks) {
		l.tails(dst, block, pixels, mask, ranks)
		return pixels
	}
	o := orderers.Get().(*orderer)
	defer o.release()
	o.source = o.source[:0]
	for _, f := range block {
		o.source = append(o.source, &f[0])
	}
	// Copies, so that the caller's lists need not be on the heap.
	o.dst, o.block, o.limits, o.mask = append(o.dst[:0], dst...), append(o.block[:0], block...), o.limits[:0], mask
	for _, r := range ranks {
		o.limits = append(o.limits, uint16(r))
	}
	const quarter = 1 << 18 // bytes: half of a small second-level cache
	width := min(max(quarter/len(block), byteChunk), 4096) / byteChunk * byteChunk
	words := 0
	if len(block) > 255 {
		words = pixels
	}
	for done < pixels {
		n := min(width, pixels-done)
		if n < byteChunk || words > 0 {
			o.words(done, n)
			words--
		} else {
			n = n / byteChunk * byteChunk
			if again := o.bytes(done, n); 2*again > n {
				words = pause
			}
		}
		done += n
	}
	return done
}

// tailDepth is how many of the smallest, and of the largest, values tails keeps.
const tailDepth = 3

// nearEnds reports whether all ranks are among the smallest or the largest values.
func nearEnds(frames int, ranks []int) bool {
	for _, r := range ranks {
		if min(r, frames-1-r) >= tailDepth {
			return false
		}
	}
	return true
}

// tailWidth is the number of pixels of a tile of tails: its lists stay in the first-level cache.
const tailWidth = 1024

// tailState has the smallest values of a tile, row after row, and then the largest.
type tailState [2 * tailDepth * tailWidth]uint16

// noTails are the lists without a value.
var noTails = func() (s tailState) {
	for i := range tailDepth * tailWidth {
		s[i] = 0xffff
	}
	return s
}()

// tails orders pixels, whole chunks of words, by the smallest and largest values of each, for ranks near the ends:
// half as fast again as counting. Frames go by in groups, so that the lists rarely move.
func (l level) tails(dst, block [][]uint16, pixels int, mask uint16, ranks []int) {
	var state tailState
	for at := 0; at < pixels; at += tailWidth {
		n := min(tailWidth, pixels-at)
		state = noTails
		for k := 0; k < len(block); k += MaxFrames {
			frames := block[k:min(k+MaxFrames, len(block))]
			t := table(frames, 0)
			if l == levelAVX2 {
				tailsAVX2(&state[0], 2*tailWidth, n/16, &t[0], 2*at, len(frames), mask)
			} else {
				tailsAVX512(&state[0], 2*tailWidth, n/32, &t[0], 2*at, len(frames), mask)
			}
		}
		for j, r := range ranks {
			row := r
			if r >= tailDepth {
				row = tailDepth + len(block) - 1 - r
			}
			copy(dst[j][at:at+n], state[row*tailWidth:])
		}
	}
}

func (o *orderer) release() {
	clear(o.dst)
	clear(o.block)
	clear(o.source)
	orderers.Put(o)
}

// rows returns the length in bytes of a row of the tile, for n of them, and the number of rows, which is
// even. Rows are a cache line longer than needed, so that they do not fall into the same cache sets.
func (o *orderer) rows(n int) (row, rows int) { return n + 64, (len(o.block) + 1) / 2 * 2 }

// bytes orders n pixels, whole chunks of bytes, and returns the number of those that words had to be used for.
func (o *orderer) bytes(at, n int) (again int) {
	row, rows := o.rows(n)
	o.tile, o.out, o.mid, o.wide = grown(o.tile, row*rows), grown(o.out, n*len(o.limits)), grown(o.mid, n), grown(o.wide, n/byteChunk)
	frames := len(o.block)
	medianOfAVX2(&o.mid[0], &o.block[0][at], &o.block[frames/2][at], &o.block[frames-1][at], n/wordChunk, o.mask)
	for k, f := range o.block {
		stageBytesAVX2(&o.tile[k*row], &f[at], &o.mid[0], n/byteChunk, o.mask, o.later(k, at, n))
	}
	for i := frames * row; i < len(o.tile); i++ {
		o.tile[i] = 0x7f
	}
	orderBytesAVX2(&o.tile[0], row, frames, n/byteChunk, &o.out[0], 2*n, &o.limits[0], len(o.limits), &o.mid[0], &o.wide[0],
		&o.source[0], 2*min(at+n, len(o.block[0])-n))
	o.results(at, n)
	for c := 0; c < len(o.wide); c++ {
		first := c
		for c < len(o.wide) && o.wide[c] != 0 {
			c++
		}
		if c > first {
			o.words(at+first*byteChunk, (c-first)*byteChunk)
			again += (c - first) * byteChunk
		}
	}
	return again
}

// words orders n pixels, whole chunks of words.
func (o *orderer) words(at, n int) {
	row, rows := o.rows(2 * n)
	o.tile, o.out = grown(o.tile, row*rows), grown(o.out, n*len(o.limits))
	for k, f := range o.block {
		stageWordsAVX2(&o.tile[k*row], &f[at], n/wordChunk, o.mask, o.later(k, at, n))
	}
	for i := len(o.block) * row; i < len(o.tile); i += 2 {
		o.tile[i], o.tile[i+1] = 0xff, 0x7f
	}
	orderWordsAVX2(&o.tile[0], row, len(o.block), n/wordChunk, &o.out[0], 2*n, &o.limits[0], len(o.limits))
	o.results(at, n)
}

// later returns the pixels to fetch while those of frame k are staged, n from at on: memory takes so long
// to answer that only the stretch after this one is not too late.
func (o *orderer) later(k, at, n int) *uint16 {
	if k+1 < len(o.block) {
		return &o.block[k+1][at]
	}
	return &o.block[0][min(at+n, len(o.block[0])-1)]
}

// results copies what was found for n pixels to its place.
func (o *orderer) results(at, n int) {
	for j, d := range o.dst {
		copy(d[at:at+n], o.out[j*n:])
	}
}

// grown returns n elements of unknown value, those of s if it has so many.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
