package xtc2

import (
	"context"
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
	err := s.readEvents(ctx)
	if wait := s.events.Wait(); err == nil {
		err = wait
	}
	if err != nil {
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
		d, _, err := w.datagram(h, s.table())
		if err != nil {
			return err
		}
		e := entry{ts: h.TS, service: h.Service(), file: file, config: s.config(), slots: s.newSlots()}
		if e.off, e.size, err = d.smdInfo(); err != nil || e.off < 0 || e.size < headerSize {
			return errStale{w.f.fail(h.Offset, "smdinfo", "offset and size of an event", fmt.Sprintf("%d and %d", e.off, e.size), nil)}
		}
		s.entries = append(s.entries, e)
	}
}

// openChunk opens the chunk that was announced; its place in files stays nil when it is not there.
func (s *scan) openChunk() error {
	f, err := s.nextFile(&File{File: frame.File{Chunk: len(s.files) - 1}}, true)
	s.files = append(s.files, f)
	return err
}

// readEvents reads the headers within all events.
func (s *scan) readEvents(ctx context.Context) error {
	for i := range s.entries {
		e := &s.entries[i]
		if !e.service.IsEvent() {
			continue
		}
		f := s.files[e.file]
		if f == nil || e.off+e.size > f.Size {
			state := frame.Truncated
			if f == nil {
				state = frame.Missing
			}
			for k := range e.slots {
				e.slots[k].state = state
			}
			s.cut[e.file]++
			continue
		}
		if err := s.start(ctx, func() error { return s.readKnown(f, e) }); err != nil {
			return err
		}
	}
	return nil
}

// readKnown reads an event whose place is known, and compares what is there with the smalldata file.
func (s *scan) readKnown(f *File, e *entry) error {
	w := &window{f: f, step: peek}
	if e.size <= small {
		w.step = int(e.size)
	}
	h, err := w.header(e.off)
	if err != nil && !isProblem(err) {
		return err
	}
	if err == nil && (h.TS != e.ts || h.Size() != e.size || !h.Service().IsEvent()) {
		err = f.fail(e.off, "event", fmt.Sprintf("time-stamp %d and %d bytes, as in the smalldata", e.ts, e.size),
			fmt.Sprintf("%v, time-stamp %d, %d bytes", h.Service(), h.TS, h.Size()), nil)
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stale.add(e.off, err)
		return nil
	}
	e.damage = h.Damage()
	if e.config < 0 {
		return nil
	}
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
