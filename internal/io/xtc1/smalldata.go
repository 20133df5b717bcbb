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
		d, err := s.r.next(s.sml)
		switch {
		case err == io.EOF || err != nil && isProblem(err) || err == nil && d.cut:
			s.until = never
		case err != nil:
			return nil, err
		case s.off >= s.big.f.Size:
			return nil, s.big.f.fail(s.off, "datagram", fmt.Sprintf("%s, which smalldata has", d.name()), "the end of the file", io.ErrUnexpectedEOF)
		case d.service() != trL1Accept:
			return s.transition(d), nil
		default:
			if d, err = s.event(d); d != nil || err != nil {
				return d, err
			}
		}
	}
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
	if len(d.leaves) > 0 && d.leaves[0].id() == idSmlDataConfig && d.leaves[0].level() == levelRecorder {
		s.dg.root.extent -= d.leaves[0].extent
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

// event places an event: its leaves lie in the data file as if nothing had been replaced, which their
// proxies must confirm. It gives nil when something else comes first in the data file.
func (s *small) event(d *datagram) (*datagram, error) {
	if len(d.leaves) == 0 || d.leaves[0].id() != idSmlDataOffset || d.leaves[0].extent < smlOffsetSize {
		return nil, fmt.Errorf("%w: %q byte %#x: event without its offset", errDisagrees, s.r.f.Path, d.off)
	}
	b, err := d.leaves[0].body()
	if err != nil {
		return nil, err
	}
	off, extent := int64(le.Uint64(b)), le.Uint32(b[8:])
	if off > s.off {
		s.until = off
		return nil, nil
	}
	if off < s.off || extent < xtcSize || rootAt+int64(extent) > maxDatagram || d.problem != nil {
		return nil, fmt.Errorf("%w: %q byte %#x: event of %d bytes at byte %#x, expected at byte %#x",
			errDisagrees, s.r.f.Path, d.off, rootAt+int64(extent), off, s.off)
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

// note remembers the head of an event and the header of its last leaf for verify.
func (s *small) note(d *datagram) {
	b := make([]byte, headSize)
	d.root.put(b[rootAt:])
	s.checks = append(s.checks, check{d.off, b})
	if n := len(d.leaves); n > 0 {
		b := make([]byte, xtcSize)
		d.leaves[n-1].put(b)
		s.checks = append(s.checks, check{d.leaves[n-1].at, b})
	}
	d.head.put(b)
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
			errs[i] = readFull(s.big.w.ctx, s.big.w.slots, s.big.f.Path, s.big.f.R, got, c.off)
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
