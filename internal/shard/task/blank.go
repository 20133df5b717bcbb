package task

import (
	"slices"
	"sync"
	"sync/atomic"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
)

// blanks finds frames that are no data while bands of them are counted: those of nothing but zeros, which a dead
// link leaves, and those that are equal to the frame before.
type blanks struct {
	pixels    int
	keepZeros bool
	// same counts, by frame, the pixels in bands that are equal to those of the frame before.
	same   []atomic.Uint32
	before []uint16 // the frame before the first; nil: there is none

	mu    sync.Mutex
	zeros map[int][]band // bands of nothing but zeros, by frame
}

// band is some pixels of a tile of a frame.
type band struct{ lo, n int }

// newBlanks prepares for frames of so many pixels; before is the frame before the first, nil if there is none.
func newBlanks(pixels, frames int, keepZeros bool, before []uint16) *blanks {
	return &blanks{pixels: pixels, keepZeros: keepZeros, same: make([]atomic.Uint32, frames), before: before, zeros: map[int][]band{}}
}

// add looks at a band of frames first, first+1, ... and calls count for runs of those that are to be counted now.
// last is memory for the band's pixels of one frame, the same for all of its frames. It reports whether some are put off.
func (b *blanks) add(last []uint16, lo, first int, frames [][]uint16, count func(lo, first int, frames [][]uint16)) (held bool) {
	b.compare(last, lo, first, frames)
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
		from, held = i+1, true
	}
	if from < len(frames) {
		count(lo, first+from, frames[from:])
	}
	return held
}

// compare notes which bands are equal to those of the frame before.
func (b *blanks) compare(last []uint16, lo, first int, frames [][]uint16) {
	before := last
	if first == 0 {
		if before = nil; b.before != nil {
			before = b.before[lo : lo+len(frames[0])]
		}
	}
	for i, f := range frames {
		if len(f) > 0 && slices.Equal(before, f) {
			b.same[first+i].Add(uint32(len(f)))
		}
		before = f
	}
	if first+len(frames) < len(b.same) {
		copy(last, before)
	}
}

// finish counts the zeros of frames that are not all zeros, and returns the frames that are and the number of
// frames that are equal to the one before. No add may be under way.
func (b *blanks) finish(count func(lo, first int, frames [][]uint16)) (lost map[int]bool, stuck int) {
	lost = map[int]bool{}
	zeros := make([]uint16, min(b.pixels, plan.TilePixels))
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
			count(z.lo, k, [][]uint16{zeros[:z.n]})
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
