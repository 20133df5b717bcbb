package xtc2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"rawstatus/internal/io/frame"
)

// fromSmalldata reads the stream's smalldata file, which has all transitions and the places of all
// events, and of the data files only the headers within the events. The error is an errStale where the
// smalldata file does not fit the data files.
func (s *scan) fromSmalldata(ctx context.Context) error {
	s.cut = map[int32]int{}
	s.files = []*File{s.stream.First}
	if err := s.readSmalldata(ctx); isProblem(err) {
		return errStale{err}
	} else if err != nil {
		return err
	}
	if err := s.readEvents(ctx); err != nil {
		return err
	}
	if s.stale.err != nil {
		return errStale{s.stale.err}
	}
	if err := s.checkNotBehind(ctx); err != nil {
		return err
	}
	for n, f := range s.files {
		switch count := s.cut[int32(n)]; {
		case count > 0 && f != nil:
			s.note(f.fail(f.Size, fmt.Sprintf("end of the file before the last %d events of its smalldata", count), "", "", io.ErrUnexpectedEOF))
		case f == nil && n == 0:
			s.missing = append(s.missing, fmt.Sprintf("stream %d: data file not found; %d events are known from its smalldata", s.stream.Number, count))
		case f == nil:
			s.missing = append(s.missing, fmt.Sprintf("stream %d: %d events of chunk %d are not there", s.stream.Number, count, n))
		}
	}
	return nil
}

// readSmalldata fills the entries from the smalldata file.
func (s *scan) readSmalldata(ctx context.Context) error {
	w := &window{f: s.stream.Smd, step: stretch}
	file := int32(0)
	for off := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := w.header(off)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !isProblem(err):
			return err
		case err != nil:
			if s.stream.First != nil {
				return errStale{err}
			}
			s.note(err)
			return nil
		}
		off += h.Size()
		if !h.Service().IsEvent() {
			if err := s.transition(w, h, file); err != nil {
				return err
			}
			if s.next.id > int(file) && s.next.name != "" {
				if err := s.openChunk(); err != nil {
					return err
				}
				file++
			}
			continue
		}
		e := entry{ts: h.TS, service: h.Service(), file: file, config: s.config()}
		if e.off, e.size, err = w.smdInfo(h, s.table()); err != nil && !isProblem(err) {
			return err
		}
		if err != nil || e.off < 0 || e.size < headerSize || e.size > maxExtent+prefixSize {
			return errStale{w.f.fail(h.Offset, "smdinfo", "offset and size of an event", fmt.Sprintf("%d and %d", e.off, e.size), nil)}
		}
		s.entries = append(s.entries, e)
	}
}

// smdInfo reads where the event of a smalldata datagram lies in the data file, and its size.
func (w *window) smdInfo(h Header, t *Table) (off, size int64, err error) {
	if _, err := w.at(h.Offset, int(h.Size()), "datagram"); err != nil {
		return 0, 0, err
	}
	have := 0
	err = w.walk(h.root, 0, func(x xtc) error {
		n := t.byID[x.namesID()]
		if have > 0 || x.typ() != typeShapesData || n == nil || n.DetName != smdInfo.DetName {
			return nil
		}
		b, err := w.block(x)
		if err != nil {
			return err
		}
		shapes, err := w.at(b.shapes.off, b.shapes.n, "Shapes")
		for i, f := range n.Fields {
			p, ok := n.place(i, shapes, b.data.n)
			if err != nil || !ok {
				return err
			}
			if f.Type != UInt64 || f.Rank != 0 {
				continue
			}
			v, err := w.at(b.data.off+int64(p.off), 8, f.Name)
			if err != nil {
				return err
			}
			switch f.Name {
			case "intOffset":
				off = int64(binary.LittleEndian.Uint64(v))
				have++
			case "intDgramSize":
				size = int64(binary.LittleEndian.Uint64(v))
				have++
			}
		}
		return nil
	})
	switch {
	case have == 2:
		return off, size, nil
	case err == nil:
		err = w.f.fail(h.Offset, "datagram", "smdinfo", "none", nil)
	}
	return 0, 0, err
}

// openChunk opens the chunk that was announced; its place in files stays nil when it is not there.
func (s *scan) openChunk() error {
	f, err := s.nextFile(&File{File: frame.File{Chunk: len(s.files) - 1}}, true)
	s.files = append(s.files, f)
	return err
}

// readEvents reads the headers within all events: first those that may become templates, for each size
// one after the other until one can, then all others.
func (s *scan) readEvents(ctx context.Context) error {
	var events []int32
	for i := range s.entries {
		e := &s.entries[i]
		if !e.service.IsEvent() || !s.isThere(e) {
			continue
		}
		events = append(events, int32(i))
		if s.b.opt.AllHeaders || e.config < 0 {
			continue
		}
		if k := s.models.add(e); k != nil && len(k.first) < maxCandidates {
			k.first = append(k.first, int32(i))
		}
	}
	for range maxCandidates {
		if err := s.readCandidates(ctx); err != nil {
			return err
		}
	}
	return s.b.each(ctx, len(events), func(w *window, n int) error {
		if e := &s.entries[events[n]]; e.slots == nil {
			return s.readKnown(w, e)
		}
		return nil
	})
}

// readCandidates reads the next candidate of each size that has no template.
func (s *scan) readCandidates(ctx context.Context) error {
	var open []*model
	for _, k := range s.models.list {
		if k.template == nil && k.candidates < len(k.first) {
			open = append(open, k)
		}
	}
	records := make([]*record, len(open))
	err := s.b.each(ctx, len(open), func(w *window, n int) error {
		e := &s.entries[open[n].first[open[n].candidates]]
		h, ok, err := s.knownHeader(w, e)
		if err != nil || !ok {
			return err
		}
		e.slots = s.newSlots(e)
		records[n], err = s.readCandidate(w, h, s.configs[e.config], e.slots)
		return err
	})
	if err != nil {
		return err
	}
	for n, k := range open {
		if records[n] == nil { // not the event that the smalldata file says
			k.candidates++
			continue
		}
		e := &s.entries[k.first[k.candidates]]
		s.learn(k, records[n], s.configs[e.config], e.slots)
	}
	return nil
}

// isThere tells whether the file holds an event, and says so in the event if not.
func (s *scan) isThere(e *entry) bool {
	f := s.files[e.file]
	if f != nil && e.off+e.size <= f.Size {
		return true
	}
	state := frame.Truncated
	if f == nil {
		state = frame.Missing
	}
	e.slots = s.newSlots(e)
	for k := range e.slots {
		e.slots[k].state = state
	}
	s.cut[e.file]++
	return false
}

// knownHeader reads the header of an event whose place is known, and compares it with the smalldata file;
// false where that is wrong.
func (s *scan) knownHeader(w *window, e *entry) (h Header, ok bool, err error) {
	f := s.files[e.file]
	w.begin(f, e.size)
	h, err = w.header(e.off)
	if err != nil && !isProblem(err) {
		return h, false, err
	}
	if err == nil && (h.TS != e.ts || h.Size() != e.size || !h.Service().IsEvent()) {
		err = f.fail(e.off, "event", fmt.Sprintf("time-stamp %d and %d bytes, as in the smalldata", e.ts, e.size),
			fmt.Sprintf("%v, time-stamp %d, %d bytes", h.Service(), h.TS, h.Size()), nil)
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stale.add(e.off, err)
		return h, false, nil
	}
	e.damage = h.Damage()
	return h, true, nil
}

// readKnown reads an event whose place is known, by the template of its size if that fits.
func (s *scan) readKnown(w *window, e *entry) error {
	h, ok, err := s.knownHeader(w, e)
	if err != nil || !ok || e.config < 0 {
		return err
	}
	if k := s.models.of(e); k != nil && k.template != nil {
		if known, err := k.template.tell(w, h, e); known || err != nil {
			return err
		}
	}
	e.slots = s.newSlots(e)
	return s.readEvent(w, h, s.configs[e.config], e.slots)
}

// checkNotBehind makes sure that the data files hold no events behind those that a smalldata file
// without EndRun knows: one that is still being written, or is a part.
func (s *scan) checkNotBehind(ctx context.Context) error {
	f := s.files[len(s.files)-1]
	if s.endRun || f == nil {
		return nil
	}
	off := int64(0)
	for i := range s.entries {
		if e := &s.entries[i]; e.service.IsEvent() && int(e.file) == len(s.files)-1 {
			off = e.off + e.size
		}
	}
	if off > f.Size {
		return nil
	}
	w := &window{f: f, step: peek}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := w.header(off)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !isProblem(err):
			return err
		case err != nil:
			return errStale{err}
		case h.Service().IsEvent():
			return errStale{f.fail(off, "event", "none behind those of the smalldata", "one more", nil)}
		}
		off += h.Size()
	}
}
