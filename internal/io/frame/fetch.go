package frame

import (
	"context"
	"slices"
	"sync"
	"time"
)

// near implements loader.
func (s *pread) near(sw Sweep, lo, hi int) bool { return s.nearby(sw, lo, hi) }

const (
	samples = 16                     // frames that are asked for to see how fast answers are
	atOnce  = 100 * time.Microsecond // an answer that came from elsewhere takes longer
)

// fromMemory asks for a little of some frames: the page cache answers within microseconds, on every file
// system.
func (s *pread) fromMemory(sw Sweep, lo, hi int) bool {
	if s.opt.DropBehind || !s.fits(sw) {
		return false
	}
	some := [][]byte{make([]byte, 512)}
	for i := range samples {
		exts := sw.Lanes[i%len(sw.Lanes)].Extents
		exts = exts[min(lo, len(exts)):min(hi, len(exts))]
		if len(exts) == 0 {
			continue
		}
		e := exts[i*len(exts)/samples]
		begin := time.Now()
		if _, err := s.fds[e.File].ReadVec(some, e.Offset+int64(e.Length)/2); err != nil || time.Since(begin) > atOnce {
			return false // who reads the frame will tell of the error
		}
	}
	return true
}

// fits tells whether frames are worth fetching one by one, and whether there is memory for it.
func (s *pread) fits(sw Sweep) bool {
	for _, l := range sw.Lanes {
		if pixels := l.Panel.Pixels(); l.Panel.Codec != Identity || pixels < minFetch || int64(sw.Workers)*fetchBytes(sw, pixels) > s.stripBytes() {
			return false
		}
	}
	return true
}

// fetchBytes gives the memory that one worker needs to fetch.
func fetchBytes(sw Sweep, pixels int) int64 {
	if sw.Whole {
		return int64(min(wholeOf(pixels), fetchFrames)) * 2 * int64(rowOf(pixels))
	}
	return fetchFrames * 2 * int64(rowOf(min(pixels, bandOf(sw, pixels, true))))
}

// fetched are a few frames, or a band of them, in memory of their own.
type fetched struct {
	px     [][]uint16
	slab   []uint16
	pieces []piece
}

var fetchedPool = sync.Pool{New: func() any { return new(fetched) }}

// fetch implements loader.
func (s *pread) fetch(ctx context.Context, panel Panel, exts []Extent, lo, hi int) (f *fetched, err error) {
	f = fetchedPool.Get().(*fetched)
	f.px = slices.Grow(f.px[:0], len(exts))[:len(exts)]
	if f.slab, err = s.slab(exts, lo, hi-lo, f.px); err != nil {
		return nil, err
	}
	f.pieces = f.pieces[:0]
	for i, e := range exts {
		f.pieces = append(f.pieces, s.newPiece(panel, e, lo, f.px[i]))
	}
	for left := f.pieces; len(left) > 0; {
		n := s.together(left)
		if err = ctx.Err(); err == nil {
			err = s.readRun(left[:n])
		}
		if err != nil {
			s.giveBack(f)
			return nil, err
		}
		left = left[n:]
	}
	return f, nil
}

// giveBack implements loader.
func (s *pread) giveBack(f *fetched) {
	s.pool.put(f.slab)
	f.slab = nil
	fetchedPool.Put(f)
}
