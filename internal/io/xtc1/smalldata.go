package xtc1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// errDisagrees says that a smalldata file does not describe the data file beside it.
var errDisagrees = errors.New("the smalldata file does not agree with the data file")

// probes is the number of events of a file whose heads are compared with what smalldata says.
const probes = 64

// small reads the datagrams of a data file from the smalldata file beside it: the same datagrams, with
// offsets in the data file. What smalldata leaves out (events without content) or has not got yet (the
// end of a growing file) is read from the data file. Any contradiction gives errDisagrees.
type small struct {
	r, big *reader // of the smalldata file and of the data file
	sml    int64   // next datagram in the smalldata file
	sure   int64   // datagrams of the smalldata file below this offset are where they seem to be
	off    int64   // next datagram in the data file
	until  int64   // datagrams below this offset are read from the data file
	dg     datagram
	events int
	checks []check
}

// never is an offset that no datagram has: smalldata has ended.
const never = 1<<63 - 1

// check is a piece of the data file as smalldata says that it is.
type check struct {
	off  int64
	want []byte
}

// next gives the datagram after the last one, as reader.next.
func (s *small) next() (*datagram, error) {
	for {
		if s.off < s.until {
			return s.fromBig()
		}
		if s.off >= s.big.f.Size && s.until != never {
			return s.behind()
		}
		if s.sml == s.sure {
			if err := s.look(); err != nil {
				return nil, err
			}
			if s.off < s.until {
				continue
			}
		}
		d, err := s.r.next(s.sml)
		if err != nil {
			return nil, err
		}
		if s.sml < s.sure {
			return s.transition(d), nil
		}
		return s.event(d)
	}
}

// behind tells, at the end of the data file, whether smalldata has more.
func (s *small) behind() (*datagram, error) {
	d, err := s.r.next(s.sml)
	if err != nil && (err == io.EOF || isProblem(err)) || err == nil && d.cut {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	return nil, s.big.f.fail(s.off, "datagram", fmt.Sprintf("%s, which smalldata has", d.name()), "the end of the file", io.ErrUnexpectedEOF)
}

// look goes to the next event of smalldata: only an event tells where it lies, and so whether the
// transitions before it are all that lies between. If not, all up to the event is read from the data
// file; likewise what comes after the last event.
func (s *small) look() error {
	s.r.hold = s.sml
	defer func() { s.r.hold = never }()
	between := int64(0)
	for at := s.sml; ; {
		d, err := s.r.next(at)
		switch {
		case err == io.EOF || err != nil && isProblem(err) || err == nil && d.cut:
			s.until = never
			return nil
		case err != nil:
			return err
		case d.service() != trL1Accept:
			at += d.size()
			between += d.size() - added(d)
			continue
		}
		if len(d.leaves) == 0 || d.leaves[0].id() != idSmlDataOffset || d.leaves[0].extent < smlOffsetSize {
			return fmt.Errorf("%w: %q byte %#x: event without its offset", errDisagrees, s.r.f.Path, d.off)
		}
		b, err := d.leaves[0].body()
		if err != nil {
			return err
		}
		switch off := int64(le.Uint64(b)); {
		case off < s.off+between:
			return fmt.Errorf("%w: %q byte %#x: event at byte %#x, expected at byte %#x", errDisagrees, s.r.f.Path, d.off, off, s.off+between)
		case off > s.off+between:
			s.until, s.sml = off, at
		}
		s.sure = at
		return nil
	}
}

// added is the size of the leaf that the smalldata writer puts first into Configure.
func added(d *datagram) int64 {
	if len(d.leaves) > 0 && d.leaves[0].id() == idSmlDataConfig && d.leaves[0].level() == levelRecorder {
		return int64(d.leaves[0].extent)
	}
	return 0
}

// fromBig reads a datagram that smalldata does not have.
func (s *small) fromBig() (*datagram, error) {
	d, err := s.big.next(s.off)
	if err == io.EOF && s.until < never {
		return nil, s.big.f.fail(s.off, "datagrams", fmt.Sprintf("an event at byte %#x, which smalldata has", s.until), "the end of the file", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	if s.off += d.size(); s.off > s.until {
		return nil, fmt.Errorf("%w: the datagram at byte %#x of %q reaches beyond byte %#x, where %q has the next event",
			errDisagrees, d.off, s.big.f.Path, s.until, s.r.f.Path)
	}
	return d, nil
}

// transition places a copied datagram behind the last one. Its leaves are read from the smalldata file.
func (s *small) transition(d *datagram) *datagram {
	s.sml += d.size()
	s.dg = *d
	if n := added(d); n > 0 {
		s.dg.root.extent -= uint32(n)
		s.dg.leaves = d.leaves[1:]
	}
	return s.put()
}

// put gives s.dg the place behind the last datagram.
func (s *small) put() *datagram {
	s.dg.off = s.off
	s.off += s.dg.size()
	s.dg.cut = s.off > s.big.f.Size
	return &s.dg
}

// event places the event that look has found: its leaves lie in the data file as if nothing had been
// replaced, which their proxies must confirm.
func (s *small) event(d *datagram) (*datagram, error) {
	b, err := d.leaves[0].body()
	if err != nil {
		return nil, err
	}
	off, extent := s.off, le.Uint32(b[8:])
	if extent < xtcSize || rootAt+int64(extent) > maxDatagram || d.problem != nil {
		return nil, fmt.Errorf("%w: %q byte %#x: event of %d bytes", errDisagrees, s.r.f.Path, d.off, rootAt+int64(extent))
	}
	s.dg = datagram{head: d.head, root: d.root, skipped: d.skipped, leaves: s.dg.leaves[:0]}
	s.dg.root.extent = extent
	end, err := s.place(d.off+headSize+int64(d.leaves[0].extent), d.off+d.size(), off+headSize, 0, d.root.damage, false)
	if err != nil {
		return nil, err
	}
	if end != off+s.dg.size() {
		return nil, fmt.Errorf("%w: %q byte %#x: leaves of the event end at byte %#x of %q, the event at %#x",
			errDisagrees, s.r.f.Path, d.off, end, s.big.f.Path, off+s.dg.size())
	}
	s.sml += d.size()
	s.sure = s.sml
	s.put()
	if s.events++; s.events%(1+int(s.r.f.Size/d.size())/probes) == 0 {
		s.note(&s.dg)
	}
	return &s.dg, nil
}

// place walks a container of the smalldata file that the reader has already found to be sound; pos and
// end are there, orig is where it lies in the data file. It gives the end of the container in the data
// file. Leaves of hidden containers only count for places.
func (s *small) place(pos, end, orig int64, depth int, around uint32, hidden bool) (int64, error) {
	for end-pos >= xtcSize {
		b, err := s.r.w.bytes(pos, int(min(xtcSize+peekSize, end-pos)))
		if err != nil {
			return 0, err
		}
		x := parseXtc(b)
		if err := s.r.f.checkChild(x, pos, end, depth); err != nil {
			return 0, fmt.Errorf("%w: %w", errDisagrees, err)
		}
		l := leaf{xtc: x, at: orig, around: around, in: s.big.w, pos: orig + xtcSize}
		switch {
		case x.id() == idXtc:
			hide := hidden || x.damage&damageIncomplete != 0
			orig, err = s.place(pos+xtcSize, pos+int64(x.extent), orig+xtcSize, depth+1, around|x.damage, hide)
			if err != nil {
				return 0, err
			}
			pos += int64(x.extent)
			continue
		case x.id() == idSmlDataProxy && x.extent >= smlProxySize:
			at, word, extent := int64(le.Uint64(b[xtcSize:])), le.Uint32(b[xtcSize+8:]), le.Uint32(b[xtcSize+12:])
			if at != orig || extent < xtcSize || int64(extent) > maxDatagram {
				return 0, fmt.Errorf("%w: %q byte %#x: proxy of %d bytes at byte %#x, expected at byte %#x",
					errDisagrees, s.r.f.Path, pos, extent, at, orig)
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
	var group sync.WaitGroup
	for i, c := range s.checks {
		if c.off+int64(len(c.want)) > s.big.f.Size {
			continue // of the event that is cut
		}
		group.Go(func() {
			got := make([]byte, len(c.want))
			errs[i] = s.big.w.reads.full(s.big.w.ctx, s.big.f.Path, s.big.f.R, got, c.off)
			if len(got) == headSize {
				parseHead(got).put(got) // ticks and vector are not compared
			}
			if errs[i] == nil && !bytes.Equal(got, c.want) {
				errs[i] = fmt.Errorf("%w: other content at byte %#x of %q", errDisagrees, c.off, s.big.f.Path)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
