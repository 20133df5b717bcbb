package frame

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
)

// pread is the Source by positioned reads into reused buffers. It works on every file system.
type pread struct {
	files []File
	fds   []Reader
	opt   Options
	slots chan struct{} // one element per read in flight
	pool  arena
}

// OpenPread opens the files of an index for positioned reads. Files whose size or modification time
// differ from the index are refused.
func OpenPread(files []File, opt Options) (Source, error) { return openPread(files, opt) }

func openPread(files []File, opt Options) (*pread, error) {
	opt = opt.withDefaults()
	fds, err := openUnchanged(files, opt.Open)
	if err != nil {
		return nil, err
	}
	return &pread{files: files, fds: fds, opt: opt, slots: make(chan struct{}, opt.Depth)}, nil
}

// Name implements Source.
func (s *pread) Name() string { return "pread" }

// Footprint implements Source.
func (s *pread) Footprint(lanes []Lane) (arena, window int64) {
	c := cut(lanes, s.opt.Arena)
	for _, group := range c.groups {
		var a int64
		for _, i := range group {
			a += s.buffers(lanes[i], c.frames)
		}
		arena = max(arena, a)
	}
	return arena, 0
}

// buffers gives the bytes of buffers for a lane in two superblocks of n frames.
func (s *pread) buffers(l Lane, n int) int64 {
	bytes := 2 * int64(n) * 2 * int64(rowOf(l.Panel.Pixels()))
	if l.Panel.Codec != Identity {
		raw := 0
		for _, e := range l.Extents {
			raw = max(raw, int(e.Length))
		}
		bytes += int64(s.opt.Depth) * int64(raw)
	}
	return bytes
}

// Block implements Source.
func (s *pread) Block(ctx context.Context, panel Panel, exts []Extent, lo, hi int, dst [][]uint16) (func(), error) {
	checkBlock(panel, exts, lo, hi, dst)
	for _, e := range exts {
		if err := checkExtent(s.files, panel, e); err != nil {
			return nil, err
		}
	}
	slab, err := s.slab(exts, lo, hi-lo, dst)
	if err != nil {
		return nil, err
	}
	pieces := make([]piece, len(exts))
	for i, e := range exts {
		pieces[i] = newPiece(panel, e, lo, dst[i])
	}
	if err := s.startReads(ctx, pieces)(); err != nil {
		clear(dst)
		s.pool.put(slab)
		return nil, err
	}
	return s.putOnce(slab), nil
}

// Sweep implements Source.
func (s *pread) Sweep(ctx context.Context, sw Sweep) error {
	if err := checkLanes(s.files, sw); err != nil {
		return err
	}
	if sw.Workers <= 0 {
		sw.Workers = cores()
	}
	defer Blocking(s.opt.Depth)()
	if err := runSweep(ctx, sw, cut(sw.Lanes, s.opt.Arena), s); err != nil {
		return err
	}
	return s.unchanged()
}

// load implements loader: the superblock is read as a whole, in the order of the file.
func (s *pread) load(ctx context.Context, shares []*share) (wait func() error, release func(), err error) {
	var slabs [][]uint16
	var pieces []piece
	for _, st := range shares {
		st.px = make([][]uint16, len(st.exts))
		slab, err := s.slab(st.exts, 0, st.panel.Pixels(), st.px)
		if err != nil {
			s.putAll(slabs)
			return nil, nil, err
		}
		slabs = append(slabs, slab)
		for j, e := range st.exts {
			pieces = append(pieces, newPiece(st.panel, e, 0, st.px[j]))
		}
	}
	return s.startReads(ctx, pieces), s.putOnce(slabs...), nil
}

// guard implements loader: buffers do not vanish.
func (s *pread) guard(do func() error) error { return do() }

// Close implements Source.
func (s *pread) Close() error {
	return errors.Join(s.pool.drop(), closeAll(s.fds))
}

// rowOf gives the distance of frames in a slab: a multiple of a cache line, and one more, so that the
// same pixel of consecutive frames does not fall into the same cache set; and one for the shift.
func rowOf(pixels int) int { return (pixels+31)/32*32 + 2*lineSize/2 }

const lineSize = 64 // of the cache, bytes

// slab takes a buffer for pixels [lo, lo+pixels) of extents from the pool and sets dst to them. Each
// begins at the place in a cache line at which it begins in the file's pages: the system copies faster
// between equal places.
func (s *pread) slab(exts []Extent, lo, pixels int, dst [][]uint16) ([]uint16, error) {
	row := rowOf(pixels)
	slab, err := s.pool.get(len(exts) * row)
	if err != nil {
		return nil, err
	}
	for i, e := range exts {
		at := i*row + int(e.Offset+2*int64(lo))%lineSize/2
		dst[i] = slab[at : at+pixels : at+pixels]
	}
	return slab, nil
}

// putOnce gives the function that puts buffers back, once however often it is called.
func (s *pread) putOnce(slabs ...[]uint16) func() {
	var once sync.Once
	return func() { once.Do(func() { s.putAll(slabs) }) }
}

func (s *pread) putAll(slabs [][]uint16) {
	for _, b := range slabs {
		s.pool.put(b)
	}
}

// piece is one wanted part of a file: the pixels px of a frame, or the bytes of a coded frame whose
// pixels from lo on become px.
type piece struct {
	panel Panel
	ext   Extent
	off   int64
	bytes int
	lo    int
	px    []uint16
}

func newPiece(panel Panel, e Extent, lo int, px []uint16) piece {
	if panel.Codec == Identity {
		return piece{panel: panel, ext: e, off: e.Offset + 2*int64(lo), bytes: 2 * len(px), lo: lo, px: px}
	}
	return piece{panel: panel, ext: e, off: e.Offset, bytes: int(e.Length), lo: lo, px: px}
}

const (
	maxGap   = 64 << 10 // bytes between two pieces that are cheaper to read than to skip
	maxParts = 512      // parts of one vectored read, pieces and gaps; the system allows 1024
)

// startReads starts to read pieces, neighbours together, with up to Options.Depth reads in flight, and
// gives the function that waits for them. The order of pieces changes.
func (s *pread) startReads(ctx context.Context, pieces []piece) (wait func() error) {
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.ext.File, b.ext.File), cmp.Compare(a.off, b.off))
	})
	g, inner := errgroup.WithContext(ctx)
	for len(pieces) > 0 {
		n := s.together(pieces)
		run := pieces[:n]
		pieces = pieces[n:]
		if !s.enter(inner) {
			break
		}
		g.Go(func() error {
			defer func() { <-s.slots }()
			return s.readRun(run)
		})
	}
	return func() error { return cmp.Or(g.Wait(), ctx.Err()) }
}

// together counts the leading pieces that one read serves.
func (s *pread) together(pieces []piece) int {
	n, end := 1, pieces[0].off+int64(pieces[0].bytes)
	for n < len(pieces) && 2*n+1 < maxParts {
		p := pieces[n]
		gap := p.off - end
		if p.ext.File != pieces[0].ext.File || gap < 0 || gap > maxGap || p.off+int64(p.bytes)-pieces[0].off > int64(s.opt.Block) {
			break
		}
		end = p.off + int64(p.bytes)
		n++
	}
	return n
}

// enter waits for a place among the reads in flight; false means that ctx is over.
func (s *pread) enter(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// readRun reads neighbouring pieces of one file with one read and decodes those that need it.
func (s *pread) readRun(run []piece) error {
	parts := make([][]byte, 0, 2*len(run))
	var coded [][]uint16 // buffers of coded pieces, then the gap
	defer func() { s.putAll(coded) }()
	var gap []byte
	end := run[0].off
	for _, p := range run {
		if d := int(p.off - end); d > 0 {
			if gap == nil {
				b, err := s.pool.get(maxGap / 2)
				if err != nil {
					return err
				}
				coded, gap = append(coded, b), bytesOf(b)
			}
			parts = append(parts, gap[:d])
		}
		if p.panel.Codec == Identity {
			parts = append(parts, bytesOf(p.px))
		} else {
			b, err := s.pool.get((p.bytes + 1) / 2)
			if err != nil {
				return err
			}
			coded = append(coded, b)
			parts = append(parts, bytesOf(b)[:p.bytes])
		}
		end = p.off + int64(p.bytes)
	}
	if err := s.readParts(run, parts, end); err != nil {
		return err
	}
	return s.decodeRun(run, parts)
}

// readParts does the read and says of a short one where the file ended.
func (s *pread) readParts(run []piece, parts [][]byte, end int64) error {
	file, off := run[0].ext.File, run[0].off
	path := s.files[file].Path
	n, err := s.fds[file].ReadVec(parts, off)
	if got := off + int64(n); got < end {
		cut := run[0]
		for _, p := range run[1:] {
			if p.off <= got {
				cut = p
			}
		}
		if err == nil || errors.Is(err, io.EOF) {
			return fault.New(fault.Input, "frame: %q byte %#x: truncated: %d of %d bytes of a frame of %v are there",
				path, cut.off, max(0, got-cut.off), cut.bytes, cut.panel).WithHint("the file was cut after it was indexed; make a new plan")
		}
		return fmt.Errorf("frame: could not read %d bytes of a frame of %v of %q at byte %#x: %w", cut.bytes, cut.panel, path, cut.off, err)
	}
	if s.opt.DropBehind {
		if f, ok := s.fds[file].(osReader); ok {
			f.forget(off, end-off)
		}
	}
	return nil
}

// decodeRun decodes the coded pieces among those just read.
func (s *pread) decodeRun(run []piece, parts [][]byte) error {
	at := run[0].off
	for _, p := range run {
		for at < p.off {
			at += int64(len(parts[0]))
			parts = parts[1:]
		}
		if p.panel.Codec != Identity {
			if err := s.decodePiece(p, parts[0]); err != nil {
				return fault.New(fault.Input, "frame: %q byte %#x: could not decode a frame of %v: %w", s.files[p.ext.File].Path, p.ext.Offset, p.panel, err)
			}
		}
		at += int64(p.bytes)
		parts = parts[1:]
	}
	return nil
}

// decodePiece decodes a frame, through a buffer if only a part of it is wanted.
func (s *pread) decodePiece(p piece, raw []byte) error {
	if len(p.px) == p.panel.Pixels() {
		return Decode(p.panel.Codec, p.panel, raw, p.px)
	}
	all, err := s.pool.get(p.panel.Pixels())
	if err != nil {
		return err
	}
	defer s.pool.put(all)
	if err := Decode(p.panel.Codec, p.panel, raw, all); err != nil {
		return err
	}
	copy(p.px, all[p.lo:])
	return nil
}

// osReader is a file of the operating system.
type osReader struct{ *os.File }

func openOS(path string) (Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return osReader{f}, nil
}

// ReadVec implements Reader.
func (f osReader) ReadVec(parts [][]byte, off int64) (total int, err error) {
	for len(parts) > 0 {
		n, err := unix.Preadv(int(f.Fd()), parts, off+int64(total))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return total, &os.PathError{Op: "preadv", Path: f.File.Name(), Err: err}
		}
		if n == 0 && len(parts[0]) > 0 {
			return total, io.EOF
		}
		total += n
		for len(parts) > 0 && n >= len(parts[0]) {
			n -= len(parts[0])
			parts = parts[1:]
		}
		if len(parts) > 0 {
			parts = slices.Clone(parts)
			parts[0] = parts[0][n:]
		}
	}
	return total, nil
}

// forget asks the system to drop pages from its cache; it may refuse, which costs nothing but memory.
func (f osReader) forget(off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED)
}

// arena keeps buffers for reuse; all are aligned to a page. Large ones are memory of their own, on huge
// pages where the system has them: filling one costs few page faults, and the garbage collector does not
// take them for a reason to let its heap grow.
type arena struct {
	mu     sync.Mutex
	free   [][]uint16
	mapped [][]byte // all that was mapped
}

const (
	pageSize  = 4096
	hugeSize  = 2 << 20
	mappedMin = 1 << 20 // bytes from which a buffer is mapped
)

// get gives a buffer of n pixels with unknown content, the smallest free one that is not wasteful.
func (a *arena) get(n int) ([]uint16, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
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
		return b[:n], nil
	}
	if 2*n >= mappedMin {
		if err := a.trim(); err != nil {
			return nil, err
		}
		return a.mapBuffer(n)
	}
	const page = pageSize / 2
	raw := make([]uint16, n+page)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % pageSize / 2)
	return raw[skip : skip+n], nil
}

// mapBuffer makes a large buffer.
func (a *arena) mapBuffer(n int) ([]uint16, error) {
	mem, err := unix.Mmap(-1, 0, (2*n+hugeSize-1)/hugeSize*hugeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("frame: could not get %d bytes of memory for frames: %w", 2*n, err)
	}
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // without them it only takes longer
	a.mapped = append(a.mapped, mem)
	return unsafe.Slice((*uint16)(unsafe.Pointer(&mem[0])), len(mem)/2)[:n], nil
}

// trim gives free large buffers back to the system: none of them has the size that is wanted now, and kept
// beside a new one they would double the memory of a task whose sweeps differ.
func (a *arena) trim() error {
	for i := 0; i < len(a.free); {
		b := a.free[i]
		k := slices.IndexFunc(a.mapped, func(mem []byte) bool { return cap(b) > 0 && unsafe.Pointer(&mem[0]) == unsafe.Pointer(&b[:1][0]) })
		if k < 0 {
			i++
			continue
		}
		if err := unix.Munmap(a.mapped[k]); err != nil {
			return fmt.Errorf("frame: could not give memory back: %w", err)
		}
		a.mapped = slices.Delete(a.mapped, k, k+1)
		a.free = slices.Delete(a.free, i, i+1)
	}
	return nil
}

// put takes a buffer back.
func (a *arena) put(b []uint16) {
	a.mu.Lock()
	a.free = append(a.free, b)
	a.mu.Unlock()
}

// drop gives all memory back; no buffer may be in use.
func (a *arena) drop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var first error
	for _, mem := range a.mapped {
		if err := unix.Munmap(mem); err != nil && first == nil {
			first = err
		}
	}
	a.free, a.mapped = nil, nil
	return first
}
