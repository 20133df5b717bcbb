package task

import (
	"slices"
	"sync"
	"sync/atomic"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
)

// blanks finds frames that are no data while bands of them are counted: those of nothing but zeros, which a dead
// link leaves, and those that are equal to the frame before.
type blanks struct {
	pixels    int
	keepZeros bool
	// same counts, by frame, the pixels in bands that are equal to those of the frame before.
	same []atomic.Uint32
	// before is the frame before the first; last are the last frames seen, by the band's first pixel.
	before []uint16
	last   [][]uint16

	mu    sync.Mutex
	zeros map[int][]band // bands of nothing but zeros, by frame
}

// band is some pixels of a frame.
type band struct{ lo, n int }

// newBlanks prepares for frames of so many pixels; before is the frame before the first, nil if there is none.
func newBlanks(pixels, frames int, keepZeros bool, before []uint16) *blanks {
	return &blanks{pixels: pixels, keepZeros: keepZeros, same: make([]atomic.Uint32, frames), before: before,
		last: make([][]uint16, pixels/64+1), zeros: map[int][]band{}}
}

// add looks at a band of frames first, first+1, ... and calls count for runs of those that are to be counted now.
func (b *blanks) add(lo, first int, frames [][]uint16, count func(lo, first int, frames [][]uint16)) {
	b.compare(lo, first, frames)
	from := 0
	for i, f := range frames {
		if b.keepZeros || !allZero(f) {
			continue
		}
		b.mu.Lock()
		b.zeros[first+i] = append(b.zeros[first+i], band{lo, len(f)})
		b.mu.Unlock()
		if i > from {
			count(lo, first+from, frames[from:i])
		}
		from = i + 1
	}
	if from < len(frames) {
		count(lo, first+from, frames[from:])
	}
}

// compare notes which bands are equal to those of the frame before.
func (b *blanks) compare(lo, first int, frames [][]uint16) {
	last := &b.last[lo/64]
	before := *last
	if before == nil && b.before != nil && first == 0 {
		before = b.before[lo : lo+len(frames[0])]
	}
	for i, f := range frames {
		if slices.Equal(before, f) && len(f) > 0 {
			b.same[first+i].Add(uint32(len(f)))
		}
		before = f
	}
	*last = append((*last)[:0], before...)
}

// finish counts the zeros of frames that are not all zeros, and returns the frames that are and the number of
// frames that are equal to the one before. No add may be under way.
func (b *blanks) finish(count func(lo, first int, frames [][]uint16)) (lost map[int]bool, stuck int) {
	lost = map[int]bool{}
	for k, bands := range b.zeros {
		n := 0
		for _, z := range bands {
			n += z.n
		}
		if n == b.pixels {
			lost[k] = true
			continue
		}
		for _, z := range bands {
			count(z.lo, k, [][]uint16{make([]uint16, z.n)})
		}
	}
	for k := range b.same {
		if !lost[k] && b.same[k].Load() == uint32(b.pixels) {
			stuck++
		}
	}
	return lost, stuck
}

// zeroFrames reports which frames are nothing but zeros, and so no data.
func (w *worker) zeroFrames(panel frame.Panel, extents []frame.Extent) ([]bool, error) {
	zero := make([]bool, len(extents))
	err := w.sweep(sweep.Sweep{Lanes: []sweep.Lane{{Panel: panel, Extents: extents}}, Whole: true}, func(b sweep.Batch) error {
		for i, f := range b.Frames {
			zero[b.First+i] = allZero(f)
		}
		return nil
	})
	return zero, err
}

// allZero reports whether all pixels are 0.
func allZero(f []uint16) bool {
	for _, v := range f {
		if v != 0 {
			return false
		}
	}
	return true
}
