package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// piece is one wanted part of a file, the bytes [from, to): those of some pixels of a frame, behind the heading of
// the frame if there is one to compare, or that heading alone.
type piece struct {
	lane     *lane
	ext      frame.Extent
	head     *frame.Heading // at from; nil: nothing to compare
	from, to int64
	data     int64 // where the bytes of the pixels begin
	lo       int   // first pixel
	// out are the pixels: in lanes that are copied the memory for them, in others use sets it to where they
	// were read.
	out *[]uint16
}

// addPieces appends what is read for a band of a frame. The heading of a frame is compared by who has its first pixel.
func (s *Source) addPieces(list []piece, l *lane, e frame.Extent, band Span, out *[]uint16) []piece {
	from, to := l.codec.Span(band.Lo, band.Hi, int(e.Length))
	p := piece{lane: l, ext: e, data: e.Offset + int64(from), to: e.Offset + int64(to), lo: band.Lo, out: out}
	p.from = p.data
	if e.Heading != 0 && (band.Lo == 0 || from == 0) {
		h := &s.opt.Headings[e.Heading-1] // check has looked
		at := e.Offset - int64(h.Before)
		if from <= maxGap {
			p.head, p.from = h, at
		} else {
			end := at + int64(len(h.Bytes))
			list = append(list, piece{lane: l, ext: e, head: h, from: at, data: end, to: end})
		}
	}
	return append(list, p)
}

// use compares the heading of a piece and finds its pixels; b has its bytes.
func (p *piece) use(path string, b []byte) error {
	if p.head != nil {
		if err := p.head.Check(b[:len(p.head.Bytes)], path, p.ext, p.lane.Panel); err != nil {
			return err
		}
	}
	b = b[p.data-p.from:]
	switch {
	case len(b) == 0:
	case !p.lane.copied:
		*p.out = unsafe.Slice((*uint16)(unsafe.Pointer(&b[0])), len(b)/2)
	default:
		if err := p.lane.codec.Decode(*p.out, p.lo, b); err != nil {
			return fault.New(fault.Input, "frame: %q byte %#x: could not decode a frame of %v: %w", path, p.ext.Offset, p.lane.Panel, err)
		}
	}
	return nil
}

const (
	maxGap   = 64 << 10 // bytes between two pieces that are cheaper to read than to skip
	lineSize = 64       // of the processor's cache, bytes
)

// stretch is a part of a file that one read serves.
type stretch struct {
	pieces []piece
	from   int64
	to     int64
	kept   bool   // pixels are used where they were read
	buffer []byte // nil: for the time of the read only
}

// stretches puts neighbouring pieces together. It changes their order.
func (s *Source) stretches(pieces []piece) (list []stretch) {
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.ext.File, b.ext.File), cmp.Compare(a.from, b.from))
	})
	for len(pieces) > 0 {
		x := stretch{from: pieces[0].from, to: pieces[0].to}
		n := 0
		for ; n < len(pieces); n++ {
			p := &pieces[n]
			if p.ext.File != pieces[0].ext.File || p.from-x.to > maxGap || n > 0 && p.to-x.from > int64(s.opt.Block)-pageSize { // with the page around its end it is no more
				break
			}
			x.to, x.kept = max(x.to, p.to), x.kept || !p.lane.copied
		}
		x.pieces, pieces = pieces[:n:n], pieces[n:]
		list = append(list, x)
	}
	return list
}

// align returns the number that offsets in files and addresses of buffers are multiples of.
func (s *Source) align() int64 {
	if s.direct {
		return pageSize
	}
	return lineSize
}

// room returns the memory that a stretch takes: the blocks of the file that it touches.
func (s *Source) room(x stretch) int64 {
	a := s.align()
	return (x.to+a-1)/a*a - x.from/a*a
}

// read reads a stretch with one read and finds the pixels of its pieces. The bytes are at the place in a cache line
// at which they are in the file's pages: the system copies faster between equal places.
func (s *Source) read(x stretch) error {
	buffer := x.buffer
	if buffer == nil {
		b, err := s.get(int(s.room(x)+1) / 2)
		if err != nil {
			return err
		}
		defer s.put(b)
		buffer = bytesOf(b)
	}
	a := s.align()
	skip := x.from % a
	want := buffer[skip : skip+x.to-x.from]
	if s.direct {
		want, skip = buffer[:s.room(x)], 0
	}
	at := x.from - x.from%a + skip
	file := x.pieces[0].ext.File
	n, err := s.fds[file].ReadAt(want, at)
	if got := at + int64(n); got < x.to {
		return s.short(x, got, err)
	}
	if f, ok := s.fds[file].(*os.File); ok && s.opt.DropBehind {
		// The system may refuse, which costs nothing but memory.
		_ = unix.Fadvise(int(f.Fd()), x.from, x.to-x.from, unix.FADV_DONTNEED)
	}
	for i := range x.pieces {
		p := &x.pieces[i]
		begin := p.from - x.from + x.from%a
		if err := p.use(s.files[file].Path, buffer[begin:begin+p.to-p.from]); err != nil {
			return err
		}
	}
	return nil
}

// short returns the error of a read that ended at got.
func (s *Source) short(x stretch, got int64, err error) error {
	cut := &x.pieces[0]
	for i := range x.pieces {
		if p := &x.pieces[i]; p.data <= got {
			cut = p
		}
	}
	path, bytes := s.files[cut.ext.File].Path, cut.to-cut.data
	if err == nil || errors.Is(err, io.EOF) {
		return fault.New(fault.Input, "frame: %q byte %#x: truncated: %d of %d bytes of a frame of %v are there",
			path, cut.data, max(0, got-cut.data), bytes, cut.lane.Panel).WithHint("the file was cut after it was indexed; make a new plan")
	}
	return fmt.Errorf("frame: could not read %d bytes of a frame of %v of %q at byte %#x: %w", bytes, cut.lane.Panel, path, cut.data, err)
}

// start starts to read stretches, with up to Options.Depth reads in flight, and returns the function that waits for
// them.
func (s *Source) start(ctx context.Context, list []stretch) (wait func() error) {
	g, inner := fault.WithContext(ctx)
	for _, x := range list {
		select {
		case s.slots <- struct{}{}:
		case <-inner.Done():
		}
		if inner.Err() != nil {
			break
		}
		g.Go(func() error {
			defer func() { <-s.slots }()
			return s.read(x)
		})
	}
	return func() error { return cmp.Or(g.Wait(), ctx.Err()) }
}
