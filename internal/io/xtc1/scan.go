package xtc1

import (
	"context"
	"errors"
	"fmt"
	"io"

	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/rawrun"
)

// File is a raw file to read.
type File = rawrun.File

// fail makes the error of this package: what is wrong at a place of a file.
func fail(f *File, off int64, what, want, got string, cause error) error {
	return &cursor.Error{Format: "xtc1", File: f.Path, Offset: off, What: what, Want: want, Got: got, Err: cause}
}

// isProblem reports whether an error is about the content of the file, which readers report and go on, and not a failed read.
func isProblem(err error) bool {
	var e *cursor.Error
	return errors.As(err, &e) && !errors.Is(err, errShrunk)
}

const (
	maxDepth = 16 // containers within containers; real data has three
	peekSize = 16 // bytes of a payload that are read with its header: a camera's or CsPad's head
	maxAhead = 64 // datagrams whose headers are read ahead while they are equally long

	nearAhead = 4       // and while they are nearly so
	nearSize  = 1 << 10 // bytes of difference that are nearly none
)

// leaf is an Xtc that is no container.
type leaf struct {
	xtc
	at     int64  // of its header in the data file
	around uint32 // union of the damage of the containers that hold it
	peek   []byte // first bytes of its payload, up to peekSize; less where they are not at hand
	in     *buffer
	pos    int64 // of its payload in in
}

func (l *leaf) source() source  { return source(l.phy) }
func (l *leaf) payload() int64  { return int64(l.extent) - xtcSize }
func (l *leaf) isCompact() bool { return l.word&compressed != 0 }

// body reads the leaf's payload.
func (l *leaf) body() ([]byte, error) { return l.in.bytes(l.pos, int(l.payload())) }

// datagram is a datagram of a data file, read from it or from the smalldata file beside it.
type datagram struct {
	head
	root    xtc
	off     int64 // in the data file
	leaves  []leaf
	skipped uint32 // damage of containers that psana does not look into
	cut     bool   // the file ends inside
	problem error  // the first structure that does not fit; what could be read is there
}

// name is that of the transition.
func (d *datagram) name() string {
	if n := d.service(); n >= 0 {
		return name(transitionNames, uint32(n))
	}
	return "Occurrence"
}

func (d *datagram) size() int64 { return rootAt + int64(d.root.extent) }

// reader reads the datagrams of one file in order.
type reader struct {
	f   *File
	w   *buffer
	dg  datagram // the present one
	ask []span   // what was read of it, relative to its offset

	last  int64 // size of the previous event
	depth int   // datagrams to read ahead; grows while events have equal sizes
	ahead int64 // headers below this offset are under way
	small int   // small events in a row
	hold  int64 // bytes from here on stay at hand, for going back
}

type span struct {
	off int64
	n   int
}

func newReader(ctx context.Context, f *File, rd *reads) *reader {
	return &reader{f: f, hold: never, w: newBuffer(ctx, f.Path, f.R, f.Size, pageBlock, rd)}
}

// at returns n bytes at off and notes the request for reading ahead.
func (r *reader) at(off int64, n int) ([]byte, error) {
	r.ask = append(r.ask, span{off - r.dg.off, n})
	return r.w.bytes(off, n)
}

// next reads the datagram at off. At the end of the file it returns io.EOF. A head that is cut or makes
// no sense is a problem; a datagram that the file does not hold in full has cut set. The result is
// valid until the next call.
func (r *reader) next(off int64) (*datagram, error) {
	left := r.f.Size - off
	if left <= 0 {
		return nil, io.EOF
	}
	if left < headSize {
		return nil, fail(r.f, off, "datagram head", fmt.Sprintf("%d bytes", headSize), fmt.Sprintf("%d left in the file", left), io.ErrUnexpectedEOF)
	}
	r.w.forget(min(off, r.hold))
	r.dg = datagram{off: off, leaves: r.dg.leaves[:0]}
	r.ask = r.ask[:0]
	b, err := r.at(off, headSize)
	if err != nil {
		return nil, err
	}
	d := &r.dg
	d.head, d.root = parseHead(b), parseXtc(b[rootAt:])
	if d.root.extent < xtcSize || d.size() > maxDatagram {
		return nil, fail(r.f, off, "datagram", fmt.Sprintf("an extent of %d to %d bytes", xtcSize, maxDatagram-rootAt), fmt.Sprint(d.root.extent), nil)
	}
	d.cut = d.size() > left
	if err := r.walk(off+headSize, off+d.size(), 0, d.root.damage); err != nil {
		return nil, err
	}
	r.predict()
	return d, nil
}

// walk visits the children of a container that lie in [pos, end). What does not fit ends the walk of
// its container, as in the original library, and is kept as the datagram's problem.
func (r *reader) walk(pos, end int64, depth int, around uint32) error {
	d := &r.dg
	for limit := min(end, r.f.Size); end-pos >= xtcSize; {
		if limit-pos < xtcSize {
			return nil // cut
		}
		b, err := r.at(pos, int(min(xtcSize+peekSize, limit-pos)))
		if err != nil {
			return err
		}
		x := parseXtc(b)
		if problem := checkChild(r.f, x, pos, end, depth); problem != nil {
			if d.problem == nil {
				d.problem = problem
			}
			return nil
		}
		switch {
		case x.id() != idXtc:
			body := min(int(x.extent)-xtcSize, len(b)-xtcSize)
			d.leaves = append(d.leaves, leaf{xtc: x, at: pos, around: around, peek: b[xtcSize : xtcSize+body], in: r.w, pos: pos + xtcSize})
		case x.damage&damageIncomplete != 0:
			d.skipped |= x.damage
		default:
			if err := r.walk(pos+xtcSize, pos+int64(x.extent), depth+1, around|x.damage); err != nil {
				return err
			}
		}
		pos += int64(x.extent)
	}
	return nil
}

// checkChild says what is wrong with the header of a child at pos of a container that ends at end.
func checkChild(f *File, x xtc, pos, end int64, depth int) error {
	switch {
	case x.extent < xtcSize || int64(x.extent) > end-pos:
		return fail(f, pos, "Xtc", fmt.Sprintf("an extent of %d to %d bytes", xtcSize, end-pos), fmt.Sprint(x.extent), nil)
	case x.id() == idXtc && depth >= maxDepth:
		return fail(f, pos, "container", fmt.Sprintf("at most %d levels", maxDepth), "one more", nil)
	}
	return nil
}

// predict reads ahead where the headers of the next events must be if they are like this one. The chain
// of extents decides what is used: a wrong guess costs reads, nothing else.
func (r *reader) predict() {
	if r.w.block != pageBlock || r.dg.service() != trL1Accept {
		return
	}
	size := r.dg.size()
	if size < denseBelow {
		if r.small++; r.small == 3 {
			r.w = newBuffer(r.w.ctx, r.w.path, r.w.r, r.w.size, denseBlock, r.w.reads)
		}
		return
	}
	switch near := size - r.last; {
	case near == 0:
		r.depth = min(2*r.depth, maxAhead)
	case -nearSize < near && near < nearSize:
		r.depth, r.ahead = nearAhead, 0 // their headers lie in the pages where the guess looks
	default:
		r.depth, r.ahead = 1, 0
	}
	known := r.last != 0
	if r.last = size; !known {
		return
	}
	from := max(r.ahead, r.dg.off+size)
	r.ahead = r.dg.off + size*int64(r.depth+1)
	for off := from; off < min(r.ahead, r.f.Size); off += size {
		for _, a := range r.ask {
			for n := (off + a.off) / r.w.block; n <= (off+a.off+int64(a.n)-1)/r.w.block; n++ {
				r.w.fetch(n)
			}
		}
	}
}

// Datagram is one datagram with what is in it, for listings.
type Datagram struct {
	Offset, Size int64
	TS           uint64 // seconds since 1970 <<32 | nanoseconds
	Service      string
	Fiducial     uint32
	Env          uint32
	Damage       uint32 // of the root
	Leaves       []Leaf
	Problem      error // first thing in it that could not be read; what could be is there
}

// Leaf is an Xtc that is no container.
type Leaf struct {
	Level      int    // 1: a detector
	Source     string // e.g. XppGon.0:Epix100a.1 for detectors, else empty
	Type       int
	TypeName   string
	Version    int
	Compressed bool
	Damage     uint32
	Offset     int64 // of its header
	Size       int64 // with its header
}

// String names the leaf by source, type and version, e.g. "XppGon.0:Epix100a.1 EpixElement v3".
func (l Leaf) String() string {
	s := l.Source
	if s == "" {
		s = fmt.Sprintf("level %d", l.Level)
	}
	s = fmt.Sprintf("%s %s v%d", s, l.TypeName, l.Version)
	if l.Compressed {
		s += " compressed"
	}
	return s
}

// Scan reads the datagrams of one file, a smalldata file as it is. The error is the first place where
// the file cannot be read further, or that of visit.
func Scan(ctx context.Context, f *File, visit func(*Datagram) error) error {
	ctx, cancel := context.WithCancel(ctx)
	rd := newReads(maxAhead)
	defer rd.ahead.Wait()
	defer cancel()
	r := newReader(ctx, f, rd)
	for off := int64(0); ; {
		d, err := r.next(off)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if d.cut {
			return cutAt(f, d)
		}
		if err := visit(d.list()); err != nil {
			return err
		}
		off += d.size()
	}
}

// cutAt returns the problem of a datagram that the file does not hold in full.
func cutAt(f *File, d *datagram) error {
	return fail(f, d.off, "datagram ("+d.name()+")", fmt.Sprintf("%d bytes", d.size()), fmt.Sprintf("%d left in the file", f.Size-d.off), io.ErrUnexpectedEOF)
}

// list returns the datagram's content for a listing.
func (d *datagram) list() *Datagram {
	g := &Datagram{Offset: d.off, Size: d.size(), TS: d.ts(), Service: d.name(), Fiducial: d.fiducial, Env: d.env, Damage: d.root.damage, Problem: d.problem}
	for i := range d.leaves {
		l := &d.leaves[i]
		v := Leaf{Level: int(l.level()), Type: int(l.id()), TypeName: typeName(l.id()), Version: int(l.version()), Compressed: l.isCompact(),
			Damage: l.damage, Offset: l.at, Size: int64(l.extent)}
		if l.level() == levelSource {
			v.Source = l.source().String()
		}
		g.Leaves = append(g.Leaves, v)
	}
	return g
}
