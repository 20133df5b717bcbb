package xtc1

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/rawrun"
)

// probes is the number of events of a file whose heads are compared with what smalldata says.
const probes = 64

// small takes a scan through a data file by the smalldata file beside it, which has the same datagrams
// but events without content.
type small struct {
	s      *fileScan
	r, big *reader // of the smalldata file and of the data file
	at     int64   // next datagram in the smalldata file
	dg     datagram
	events int
	checks []check
}

// never is an offset that no datagram has.
const never = 1<<63 - 1

// check is a piece of the data file as smalldata says that it is.
type check struct {
	off  int64
	want []byte
}

// follow goes through the data file. The error is a rawrun.ErrDisagrees where both files contradict
// each other.
func (s *small) follow(ctx context.Context) error {
	err := rawrun.Guide{
		Size: s.big.f.Size,
		Next: s.next,
		Place: func(it rawrun.Item, off int64) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.r.hold = it.At
			d, err := s.r.next(it.At)
			if err != nil {
				return err
			}
			return s.place(d, off)
		},
		Read: func(from, until int64) (int64, error) { return s.s.read(ctx, s.big, from, until) },
		Short: func() {
			s.s.problem = fail(s.big.f, s.big.f.Size, "end of the file before transitions of its smalldata", "", "", io.ErrUnexpectedEOF)
		},
	}.Follow()
	if err != nil {
		return err
	}
	return s.verify()
}

// next returns the next datagram of the smalldata file; one that cannot be read ends it.
func (s *small) next() (rawrun.Item, error) {
	d, err := s.r.next(s.at)
	if err != nil && isProblem(err) || err == nil && d.cut {
		err = io.EOF
	}
	if err != nil {
		return rawrun.Item{}, err
	}
	it := rawrun.Item{At: s.at, Size: d.size() - added(d)}
	s.at += d.size()
	if d.service() != trL1Accept {
		return it, nil
	}
	if len(d.leaves) == 0 || d.leaves[0].id() != idSmlDataOffset || d.leaves[0].extent < smlOffsetSize {
		return it, fmt.Errorf("%w: %q byte %#x: event without its offset", rawrun.ErrDisagrees, s.r.f.Path, d.off)
	}
	b, err := d.leaves[0].body()
	if err != nil {
		return it, err
	}
	it.Event, it.Off, it.Size = true, int64(le.Uint64(b)), rootAt+int64(le.Uint32(b[8:]))
	if it.Off < 0 || it.Size < headSize || it.Size > maxDatagram || d.problem != nil {
		err = fmt.Errorf("%w: %q byte %#x: event of %d bytes at byte %#x", rawrun.ErrDisagrees, s.r.f.Path, d.off, it.Size, it.Off)
	}
	return it, err
}

// place takes a datagram of the smalldata file that lies at an offset of the data file.
func (s *small) place(d *datagram, off int64) error {
	var err error
	if d.service() == trL1Accept {
		err = s.event(d, off)
	} else { // its leaves are read from the smalldata file
		s.dg = *d
		if n := added(d); n > 0 {
			s.dg.root.extent -= uint32(n)
			s.dg.leaves = d.leaves[1:]
		}
	}
	if err != nil {
		return err
	}
	s.dg.off = off
	if s.dg.cut = off+s.dg.size() > s.big.f.Size; s.dg.cut && d.service() == trL1Accept {
		s.s.known++
	}
	return s.s.take(&s.dg)
}

// added returns the size of the leaf that the smalldata writer puts first into Configure.
func added(d *datagram) int64 {
	if len(d.leaves) > 0 && d.leaves[0].id() == idSmlDataConfig && d.leaves[0].level() == levelRecorder {
		return int64(d.leaves[0].extent)
	}
	return 0
}

// event prepares an event: its leaves lie in the data file as if nothing had been replaced, which their
// proxies must confirm.
func (s *small) event(d *datagram, off int64) error {
	b, err := d.leaves[0].body()
	if err != nil {
		return err
	}
	s.dg = datagram{head: d.head, root: d.root, skipped: d.skipped, leaves: s.dg.leaves[:0]}
	s.dg.root.extent = le.Uint32(b[8:])
	end, err := s.walk(d.off+headSize+int64(d.leaves[0].extent), d.off+d.size(), off+headSize, 0, d.root.damage, false)
	if err != nil {
		return err
	}
	if s.dg.off = off; end != off+s.dg.size() {
		return fmt.Errorf("%w: %q byte %#x: leaves of the event end at byte %#x of %q, the event at %#x",
			rawrun.ErrDisagrees, s.r.f.Path, d.off, end, s.big.f.Path, off+s.dg.size())
	}
	if s.events++; s.events%(1+int(s.r.f.Size/d.size())/probes) == 0 {
		s.note(&s.dg)
	}
	return nil
}

// walk goes through a container of the smalldata file that the reader has already found to be sound; pos and
// end are there, orig is where it lies in the data file. It returns the end of the container in the data
// file. Leaves of hidden containers only count for places.
func (s *small) walk(pos, end, orig int64, depth int, around uint32, hidden bool) (int64, error) {
	for end-pos >= xtcSize {
		b, err := s.r.w.bytes(pos, int(min(xtcSize+peekSize, end-pos)))
		if err != nil {
			return 0, err
		}
		x := parseXtc(b)
		if err := checkChild(s.r.f, x, pos, end, depth); err != nil {
			return 0, fmt.Errorf("%w: %w", rawrun.ErrDisagrees, err)
		}
		l := leaf{xtc: x, at: orig, around: around, in: s.big.w, pos: orig + xtcSize}
		switch {
		case x.id() == idXtc:
			hide := hidden || x.damage&damageIncomplete != 0
			orig, err = s.walk(pos+xtcSize, pos+int64(x.extent), orig+xtcSize, depth+1, around|x.damage, hide)
			if err != nil {
				return 0, err
			}
			pos += int64(x.extent)
			continue
		case x.id() == idSmlDataProxy && x.extent >= smlProxySize:
			at, word, extent := int64(le.Uint64(b[xtcSize:])), le.Uint32(b[xtcSize+8:]), le.Uint32(b[xtcSize+12:])
			if at != orig || extent < xtcSize || int64(extent) > maxDatagram {
				return 0, fmt.Errorf("%w: %q byte %#x: proxy of %d bytes at byte %#x, expected at byte %#x",
					rawrun.ErrDisagrees, s.r.f.Path, pos, extent, at, orig)
			}
			l.word, l.extent = word, extent
		default:
			l.peek = b[xtcSize:min(len(b), int(x.extent))]
		}
		if !hidden {
			s.dg.leaves = append(s.dg.leaves, l)
		}
		orig += int64(l.extent)
		pos += int64(x.extent)
	}
	return orig, nil
}

// note remembers the head of an event and the headers of its leaves for verify.
func (s *small) note(d *datagram) {
	b := make([]byte, headSize)
	d.head.put(b)
	d.root.put(b[rootAt:])
	s.checks = append(s.checks, check{d.off, b})
	for i := range d.leaves {
		b := make([]byte, xtcSize)
		d.leaves[i].put(b)
		s.checks = append(s.checks, check{d.leaves[i].at, b})
	}
}

// verify compares what was noted with the data file.
func (s *small) verify() error {
	errs := make([]error, len(s.checks))
	var group fault.Group
	for i, c := range s.checks {
		if c.off+int64(len(c.want)) > s.big.f.Size {
			continue // of the event that is cut
		}
		group.Go(func() error {
			got := make([]byte, len(c.want))
			errs[i] = s.big.w.reads.full(s.big.w.ctx, s.big.f.Path, s.big.f.R, got, c.off)
			if len(got) == headSize {
				parseHead(got).put(got) // ticks and vector are not compared
			}
			if errs[i] == nil && !bytes.Equal(got, c.want) {
				errs[i] = fmt.Errorf("%w: other content at byte %#x of %q", rawrun.ErrDisagrees, c.off, s.big.f.Path)
			}
			return nil
		})
	}
	return cmp.Or(append(errs, group.Wait())...)
}
