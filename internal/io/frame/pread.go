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

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
)

// pread is the Source by positioned reads into reused buffers. It works on every file system. What is far
// away is read ahead, many reads at once; what answers at once, from the page cache, is read by who computes.
type pread struct {
	files []File
	fds   []Reader
	opt   Options
	slots chan struct{} // one element per read in flight
	pool  arena
	// nearby tells whether frames come from memory; a test may know better.
	nearby func(s Sweep, lo, hi int) bool
}

// OpenPread opens the files of an index for positioned reads. Files whose size or modification time
// differ from the index are refused.
func OpenPread(files []File, opt Options) (Source, error) {
	s, err := openPread(files, opt)
	if err != nil {
		return nil, err // a nil *pread would not be a nil Source
	}
	return s, nil
}

func openPread(files []File, opt Options) (*pread, error) {
	opt = opt.withDefaults()
	fds, err := openUnchanged(files, opt.Open)
	if err != nil {
		return nil, err
	}
	s := &pread{files: files, fds: fds, opt: opt, slots: make(chan struct{}, opt.Depth)}
	s.nearby = s.fromMemory
	return s, nil
}

// Name implements Source.
func (s *pread) Name() string { return "pread" }

// Footprint implements Source.
func (s *pread) Footprint(lanes []Lane) (arena, window int64) {
	c := s.cut(lanes)
	for _, group := range c.groups {
		var a int64
		for _, i := range group {
			a += s.buffers(lanes[i], c.held*c.frames)
		}
		arena = max(arena, a)
	}
	return arena, 0
}

// cut cuts by the size of buffers. While one superblock is computed two are read: at the end of each the
// reads in flight become few, where no other follows.
func (s *pread) cut(lanes []Lane) cutting { return cut(lanes, s.opt.Arena-s.stripBytes(), 3) }

// stripBytes is the part of the arena that is kept for strips.
func (s *pread) stripBytes() int64 { return s.opt.Arena / 16 }

// buffers gives the bytes of buffers for n frames of a lane.
func (s *pread) buffers(l Lane, n int) int64 {
	bytes := int64(n) * 2 * int64(rowOf(l.Panel.Pixels()))
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
		if err := checkExtent(s.files, s.opt.Headings, panel, e); err != nil {
			return nil, err
		}
	}
	slab, err := s.slab(exts, lo, hi-lo, dst)
	if err != nil {
		return nil, err
	}
	pieces := make([]piece, len(exts))
	for i, e := range exts {
		pieces[i] = s.newPiece(panel, e, lo, dst[i])
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
	if err := checkLanes(s.files, s.opt.Headings, sw); err != nil {
		return err
	}
	defer Blocking(s.opt.Depth)()
	return s.afterwards(runSweep(ctx, sw, s.cut(sw.Lanes), s))
}

// afterwards looks at the files once more after a Sweep. A file that changed is the reason for a heading that
// is not there, too.
func (s *pread) afterwards(err error) error {
	if err == nil || errors.Is(err, ErrHeading) {
		return cmp.Or(s.unchanged(), err)
	}
	return err
}

// load implements loader: the superblock is read as a whole, in the order of the file.
func (s *pread) load(ctx context.Context, shares []*share) (wait func() error, release func(), err error) {
	var slabs [][]uint16
	frames := 0
	for _, st := range shares {
		frames += len(st.exts)
	}
	pieces := make([]piece, 0, frames)
	for _, st := range shares {
		st.px = make([][]uint16, len(st.exts))
		slab, err := s.slab(st.exts, 0, st.panel.Pixels(), st.px)
		if err != nil {
			s.putAll(slabs)
			return nil, nil, err
		}
		slabs = append(slabs, slab)
		for j, e := range st.exts {
			pieces = append(pieces, s.newPiece(st.panel, e, 0, st.px[j]))
		}
	}
	return s.startReads(ctx, pieces), s.putOnce(slabs...), nil
}

// guard implements loader: buffers do not vanish.
func (s *pread) guard(do func() error) error { return do() }

// fit implements loader.
func (s *pread) fit(_ []Lane, c cutting, _ int) int { return c.frames }

// Close implements Source.
func (s *pread) Close() error {
	return errors.Join(s.pool.drop(), closeAll(s.fds))
}

// rowOf gives the distance of frames in a slab: a multiple of a cache line, and one more, so that the
// same pixel of consecutive frames does not fall into the same cache set; and one for the shift.
func rowOf(pixels int) int { return (pixels+31)/32*32 + 2*(lineSize/2) }

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
// pixels from lo on become px; with what must lie before the frame if its first byte is among them.
type piece struct {
	panel Panel
	ext   Extent
	head  *Heading // nil: nothing to compare
	off   int64    // of the frame's bytes
	bytes int
	lo    int
	px    []uint16
	// Where they were read: the heading, and the bytes of a coded frame.
	headed, raw []byte
}

func (s *pread) newPiece(panel Panel, e Extent, lo int, px []uint16) piece {
	p := piece{panel: panel, ext: e, off: e.Offset, bytes: int(e.Length), lo: lo, px: px}
	if panel.Codec == Identity {
		p.off, p.bytes = e.Offset+2*int64(lo), 2*len(px)
	}
	if e.Heading != 0 && p.off == e.Offset {
		p.head = &s.opt.Headings[e.Heading-1] // checkExtent has looked
	}
	return p
}

// from is where reading begins.
func (p *piece) from() int64 {
	if p.head != nil {
		return p.off - int64(p.head.Before)
	}
	return p.off
}

func (p *piece) end() int64 { return p.off + int64(p.bytes) }

const (
	maxGap = 64 << 10 // bytes between two pieces that are cheaper to read than to skip
	// maxTogether bounds the pieces of one vectored read, each with up to four parts: what is before it,
	// its heading, what is between that and the frame, the frame. The system allows 1024 parts.
	maxTogether = 256
)

// startReads starts to read pieces, neighbours together, with up to Options.Depth reads in flight, and
// gives the function that waits for them. The order of pieces changes.
func (s *pread) startReads(ctx context.Context, pieces []piece) (wait func() error) {
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.ext.File, b.ext.File), cmp.Compare(a.from(), b.from()))
	})
	g, inner := fault.WithContext(ctx)
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
	n := 1
	for n < min(len(pieces), maxTogether) {
		p, gap := &pieces[n], pieces[n].from()-pieces[n-1].end()
		if p.ext.File != pieces[0].ext.File || gap < 0 || gap > maxGap || p.end()-pieces[0].from() > int64(s.opt.Block) {
			break
		}
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

// readRun reads neighbouring pieces of one file with one read, compares headings, and decodes pieces that
// need it.
func (s *pread) readRun(run []piece) error {
	v := vectors.Get().(*vector)
	defer v.done()
	v.s, v.at = s, run[0].from()
	heads := 0
	for _, p := range run {
		if p.head != nil {
			heads += len(p.head.Bytes)
		}
	}
	err := v.makeHeads(heads)
	for i := 0; i < len(run) && err == nil; i++ {
		err = v.add(&run[i])
	}
	if err != nil {
		return err
	}
	if err := s.readParts(run, v.parts, v.at); err != nil {
		return err
	}
	for i := range run {
		p := &run[i]
		path := s.files[p.ext.File].Path
		if p.head != nil {
			if err := p.head.check(p.headed, path, p.ext, p.panel); err != nil {
				return err
			}
		}
		if p.panel.Codec == Identity {
			continue
		}
		if err := s.decodePiece(*p, p.raw); err != nil {
			return fault.New(fault.Input, "frame: %q byte %#x: could not decode a frame of %v: %w", path, p.ext.Offset, p.panel, err)
		}
	}
	return nil
}

// vector collects the parts of one vectored read.
type vector struct {
	s     *pread
	parts [][]byte
	at    int64 // where the next part begins in the file
	held  [][]uint16
	gap   []byte // for what nobody wants
	heads []byte // for the headings to come
}

var vectors = sync.Pool{New: func() any { return new(vector) }}

// done gives back the buffers, and the vector for reuse.
func (v *vector) done() {
	v.s.putAll(v.held)
	*v = vector{parts: v.parts[:0], held: v.held[:0]}
	vectors.Put(v)
}

// makeHeads makes room for all headings of the read, so many bytes.
func (v *vector) makeHeads(n int) (err error) {
	if n > 0 {
		v.heads, err = v.buffer(n)
	}
	return err
}

// add appends the parts of a piece.
func (v *vector) add(p *piece) error {
	if err := v.skip(p.from()); err != nil {
		return err
	}
	if p.head != nil {
		n := len(p.head.Bytes)
		p.headed, v.heads = v.heads[:n], v.heads[n:]
		v.take(p.headed)
		if err := v.skip(p.off); err != nil {
			return err
		}
	}
	if p.panel.Codec == Identity {
		v.take(bytesOf(p.px))
		return nil
	}
	b, err := v.buffer(p.bytes)
	if err != nil {
		return err
	}
	p.raw = b
	v.take(b)
	return nil
}

func (v *vector) take(b []byte) {
	if len(b) > 0 {
		v.parts, v.at = append(v.parts, b), v.at+int64(len(b))
	}
}

// skip reads up to a place into a buffer that nobody looks at.
func (v *vector) skip(to int64) error {
	if v.gap == nil && to > v.at {
		b, err := v.buffer(maxGap)
		if err != nil {
			return err
		}
		v.gap = b
	}
	v.take(v.gap[:to-v.at])
	return nil
}

// buffer takes n bytes from the pool for the time of the read.
func (v *vector) buffer(n int) ([]byte, error) {
	b, err := v.s.pool.get((n + 1) / 2)
	if err != nil {
		return nil, err
	}
	v.held = append(v.held, b)
	return bytesOf(b)[:n], nil
}

// readParts does the read and says of a short one where the file ended.
func (s *pread) readParts(run []piece, parts [][]byte, end int64) error {
	file, off := run[0].ext.File, run[0].from()
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
