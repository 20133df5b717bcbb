package frame

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"unsafe"

	"rawstatus/internal/fault"
)

// pread is the Source by positioned reads into reused buffers. It works on every file system.
type pread struct {
	files []File
	fds   []*os.File
	slots chan struct{} // one element per read in flight
	pool  arena
}

// OpenPread opens the files of an index for positioned reads. Files whose size or modification time
// differ from the index are refused.
func OpenPread(files []File, opt Options) (Source, error) {
	fds, err := openUnchanged(files)
	if err != nil {
		return nil, err
	}
	if opt.Depth <= 0 {
		opt.Depth = 32
	}
	return &pread{files: files, fds: fds, slots: make(chan struct{}, opt.Depth)}, nil
}

// Block implements Source. Reads of one call run concurrently, within Options.Depth for the Source.
func (s *pread) Block(ctx context.Context, panel Panel, exts []Extent, lo, hi int, dst [][]uint16) (func(), error) {
	checkBlock(panel, exts, lo, hi, dst)
	for _, e := range exts {
		if err := checkExtent(s.files, panel, e); err != nil {
			return nil, err
		}
	}
	row := (hi-lo+stagger-1)/stagger*stagger + stagger
	slab := s.pool.get(len(exts) * row)
	var group sync.WaitGroup
	var once sync.Once
	var first error
	for i, e := range exts {
		if err := s.enter(ctx); err != nil {
			once.Do(func() { first = err })
			break
		}
		group.Add(1)
		go func(px []uint16) {
			defer group.Done()
			defer func() { <-s.slots }()
			if err := s.read(panel, e, lo, px); err != nil {
				once.Do(func() { first = err })
			}
			dst[i] = px
		}(slab[i*row : i*row+hi-lo : i*row+hi-lo])
	}
	group.Wait()
	if first != nil {
		clear(dst)
		s.pool.put(slab)
		return nil, first
	}
	var released sync.Once
	return func() { released.Do(func() { s.pool.put(slab) }) }, nil
}

// enter waits for a place among the reads in flight.
func (s *pread) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read fills px with the pixels of e from position lo.
func (s *pread) read(panel Panel, e Extent, lo int, px []uint16) error {
	if panel.Codec == Identity {
		return s.readAt(panel, e, e.Offset+2*int64(lo), bytesOf(px))
	}
	raw := s.pool.get((int(e.Length) + 1) / 2)
	defer s.pool.put(raw)
	if err := s.readAt(panel, e, e.Offset, bytesOf(raw)[:e.Length]); err != nil {
		return err
	}
	all := s.pool.get(panel.Pixels())
	defer s.pool.put(all)
	if err := decode(panel, bytesOf(raw)[:e.Length], all); err != nil {
		return fault.New(fault.Input, "frame: %q byte %#x: could not decode a frame of %v: %w", s.files[e.File].Path, e.Offset, panel, err)
	}
	copy(px, all[lo:])
	return nil
}

// readAt fills b from a file; a file that ends before is truncated.
func (s *pread) readAt(panel Panel, e Extent, off int64, b []byte) error {
	path := s.files[e.File].Path
	n, err := s.fds[e.File].ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fault.New(fault.Input, "frame: %q byte %#x: truncated: %d of %d bytes of a frame of %v are there", path, off, n, len(b), panel).
			WithHint("the file was cut after it was indexed; make a new plan")
	default:
		return fmt.Errorf("frame: could not read %d bytes of %q at byte %#x: %w", len(b), path, off, err)
	}
}

// Close implements Source.
func (s *pread) Close() error {
	s.pool.drop()
	return closeAll(s.fds)
}

// stagger is 64 bytes in pixels: rows of a slab are one cache line longer than a multiple of it, so
// that the same pixel of consecutive frames does not fall into the same cache set.
const stagger = 32

// arena keeps buffers for reuse; all are aligned to a page.
type arena struct {
	mu   sync.Mutex
	free [][]uint16
}

// get gives a buffer of n pixels with unknown content, the smallest free one that is not wasteful.
func (a *arena) get(n int) []uint16 {
	a.mu.Lock()
	best := -1
	for i, b := range a.free {
		if cap(b) >= n && cap(b) <= 2*n+pageSize && (best < 0 || cap(b) < cap(a.free[best])) {
			best = i
		}
	}
	if best >= 0 {
		b := a.free[best]
		a.free[best] = a.free[len(a.free)-1]
		a.free = a.free[:len(a.free)-1]
		a.mu.Unlock()
		return b[:n]
	}
	a.mu.Unlock()
	const page = pageSize / 2
	raw := make([]uint16, n+page)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % pageSize / 2)
	return raw[skip : skip+n]
}

const pageSize = 4096

// put takes a buffer back.
func (a *arena) put(b []uint16) {
	a.mu.Lock()
	a.free = append(a.free, b)
	a.mu.Unlock()
}

// drop forgets the free buffers.
func (a *arena) drop() {
	a.mu.Lock()
	a.free = nil
	a.mu.Unlock()
}
