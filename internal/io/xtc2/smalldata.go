package xtc2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// fromSmalldata reads the stream by its smalldata file, which has all transitions and the places of
// events; of the data files only what it does not tell. The error is a rawrun.ErrDisagrees where the
// smalldata file does not fit the data files.
func (s *scan) fromSmalldata(ctx context.Context) error {
	r := &smalldata{w: &buffer{f: s.stream.Small(), step: stretch}, table: newTable(nil)}
	for n := 0; n < len(s.files); n++ {
		if err := s.guide(ctx, r, int32(n)).Follow(); err != nil {
			return err
		}
		if err := s.findNext(n, true); err != nil {
			return err
		}
	}
	if r.problem != nil && !s.stream.HasData() {
		s.note(r.problem)
	}
	if err := s.readEvents(ctx); err != nil {
		return err
	}
	if s.stale.err != nil {
		return fmt.Errorf("%w: %w", rawrun.ErrDisagrees, s.stale.err)
	}
	return nil
}

// guide takes the scan through one of its files.
func (s *scan) guide(ctx context.Context, r *smalldata, n int32) rawrun.Guide {
	f := s.files[n]
	g := rawrun.Guide{Size: -1, Next: r.next, Short: func() {
		s.note(fail(f, f.Size, "end of the file before transitions of its smalldata", "", "", io.ErrUnexpectedEOF))
	}}
	if f.IsThere() {
		g.Size = f.Size
	}
	g.Read = func(from, until int64) (int64, error) { return s.walkFile(ctx, n, from, until) }
	g.Place = func(it rawrun.Item, off int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.w.header(it.At)
		if err != nil {
			return err
		}
		if !it.Event {
			return s.transition(r.w, h, n)
		}
		s.entries = append(s.entries, entry{ts: h.TS, service: h.Service(), file: n, config: s.config(), off: off, size: it.Size, known: true, groups: uint16(h.Env)})
		return nil
	}
	return g
}

// smalldata reads a smalldata file, which goes through all chunks of its stream.
type smalldata struct {
	w        *buffer
	off      int64
	table    *Table
	switched bool  // the last datagram was the last of its chunk
	problem  error // where it cannot be read further
}

// next returns the next datagram of the present chunk, io.EOF behind its last one.
func (r *smalldata) next() (rawrun.Item, error) {
	if r.switched {
		r.switched = false
		return rawrun.Item{}, io.EOF
	}
	h, err := r.w.header(r.off)
	if isProblem(err) {
		r.problem, err = err, io.EOF
	}
	if err != nil {
		return rawrun.Item{}, err
	}
	it := rawrun.Item{At: r.off, Event: h.Service().IsEvent(), Size: h.Size()}
	r.off += h.Size()
	switch {
	case it.Event:
		it.Off, it.Size, err = r.w.smdInfo(h, r.table)
		if err == nil && (it.Off < 0 || it.Size < headerSize || it.Size > maxExtent+prefixSize) {
			err = fail(r.w.f, h.Offset, "smdinfo", "offset and size of an event", fmt.Sprintf("%d and %d", it.Off, it.Size), nil)
		}
	case h.Service() == Configure || h.Service() == Enable:
		var d *Datagram
		if d, r.table, err = r.w.datagram(h, r.table); err != nil {
			break
		}
		_, _, r.switched = d.chunkInfo()
		for _, n := range d.Names {
			if n.DetName == smdInfo.DetName { // which the writer of smalldata added
				it.Size -= int64(xtcSize + nameInfoSize + nameSize*len(n.Fields))
			}
		}
	}
	if isProblem(err) {
		err = fmt.Errorf("%w: %w", rawrun.ErrDisagrees, err)
	}
	return it, err
}

// smdInfo reads where the event of a smalldata datagram lies in the data file, and its size.
func (w *buffer) smdInfo(h Header, t *Table) (off, size int64, err error) {
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
		err = fail(w.f, h.Offset, "datagram", "smdinfo", "none", nil)
	}
	return 0, 0, err
}

// readEvents reads the headers within all events: first those that may become templates, for each size
// one after the other until one can, then all others.
func (s *scan) readEvents(ctx context.Context) error {
	var events []int32
	for i := range s.entries {
		e := &s.entries[i]
		if !e.known || !s.isThere(e) {
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
	return s.b.each(ctx, len(events), func(w *buffer, n int) error {
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
	err := s.b.each(ctx, len(open), func(w *buffer, n int) error {
		e := &s.entries[open[n].first[open[n].candidates]]
		h, ok, err := s.knownHeader(w, e)
		if err != nil || !ok {
			return err
		}
		if err := s.newSlots(e); err != nil {
			return err
		}
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

// isThere reports whether the file holds an event, and says so in the event if not.
func (s *scan) isThere(e *entry) bool {
	f := s.files[e.file]
	if f.IsThere() && e.off+e.size <= f.Size {
		return true
	}
	state := frame.Truncated
	if !f.IsThere() {
		state = frame.Missing
	}
	e.by = s.without(e.config, state)
	for len(s.known) <= int(e.file) {
		s.known = append(s.known, 0)
	}
	s.known[e.file]++
	return false
}

// without returns the template of events of which nothing is there.
func (s *scan) without(config int32, state frame.State) *template {
	key := absence{config, state}
	if config < 0 || s.absent[key] != nil {
		return s.absent[key]
	}
	n := len(s.configs[config].segments)
	t := &template{slots: make([]slot, n), headings: make([]uint16, n)}
	for i := range t.slots {
		t.slots[i].state = state
	}
	if s.absent == nil {
		s.absent = map[absence]*template{}
	}
	s.absent[key] = t
	return t
}

// knownHeader reads the header of an event whose place is known, and compares it with the smalldata file;
// false where that is wrong.
func (s *scan) knownHeader(w *buffer, e *entry) (h Header, ok bool, err error) {
	f := s.files[e.file]
	w.begin(f, e.size)
	h, err = w.header(e.off)
	if err != nil && !isProblem(err) {
		return h, false, err
	}
	if err == nil && (h.TS != e.ts || h.Size() != e.size || !h.Service().IsEvent()) {
		err = fail(f, e.off, "event", fmt.Sprintf("time-stamp %d and %d bytes, as in the smalldata", e.ts, e.size),
			fmt.Sprintf("%v, time-stamp %d, %d bytes", h.Service(), h.TS, h.Size()), nil)
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stale.add(e.off, err)
		return h, false, nil
	}
	e.damage, e.groups = h.Damage(), uint16(h.Env)
	return h, true, nil
}

// readKnown reads an event whose place is known, by the template of its size if that fits.
func (s *scan) readKnown(w *buffer, e *entry) error {
	h, ok, err := s.knownHeader(w, e)
	if err != nil || !ok || e.config < 0 {
		return err
	}
	if k := s.models.of(e); k != nil && k.template != nil {
		if known, err := k.template.match(w, h, e); known || err != nil {
			return err
		}
	}
	if err := s.newSlots(e); err != nil {
		return err
	}
	return s.readEvent(w, h, s.configs[e.config], e.slots)
}
