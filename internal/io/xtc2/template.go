package xtc2

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

const (
	maxTemplates  = 64   // sizes of events of a stream that have a template
	maxCandidates = 4    // events of a size that are tried, one after the other, until one can be its template
	maxSeen       = 4096 // pieces of an event, which has some five for each panel
	maxBefore     = 4096 // bytes from the beginning of a heading to the pixels, which are read together
)

// template is an event as it was read in full. What an index says of an event is a function of the bytes
// that were looked at when it was read. So where a later event of the same stream, configuration and
// size has the same bytes at the same places, the same holds for it.
//
// One read shows the beginning of the later event, and is compared. Headers further on that lie right
// before the array of a panel are its heading: they are not read now but with its pixels (frame.Heading).
// All others are read and compared, too.
type template struct {
	runs     []run    // ascending
	slots    []slot   // with places from the beginning of the datagram
	headings []uint16 // of each slot: the number in models.headings, 0 where the headers are compared
	reads    bool     // some runs that have to be compared lie behind the beginning
}

// run is a stretch of bytes that were looked at.
type run struct {
	off     int64 // from the beginning of the datagram
	b       []byte
	heading bool // compared when the pixels are read; only what lies in the beginning is compared before
}

func (r run) end() int64 { return r.off + int64(len(r.b)) }

// seenBytes are bytes of the file that were looked at.
type seenBytes struct {
	off int64
	b   []byte
}

// record keeps what is looked at while an event is read.
type record struct {
	header   Header
	seen     []seenBytes
	data     []int64 // of each slot: where the payload of its Data begins, 0: it has none
	rejected bool    // something was noted about the event
}

// add records the bytes; it is a no-op on a nil record.
func (rec *record) add(off int64, b []byte) {
	switch {
	case rec == nil || rec.rejected:
	case len(rec.seen) == maxSeen:
		rec.rejected = true
	default:
		rec.seen = append(rec.seen, seenBytes{off, bytes.Clone(b)})
	}
}

// reject notes that the event cannot be a template; it is a no-op on a nil record.
func (rec *record) reject() {
	if rec != nil {
		rec.rejected = true
	}
}

// sizeKey is the same for events that may share a template.
type sizeKey struct {
	config int32
	size   int64
}

// model holds the layout of a stream's events of one size, as far as it is known.
type model struct {
	template   *template // nil: none yet
	candidates int       // events tried
	first      []int32   // entries of the first events, as the smalldata file lists them
}

// models are those of a stream. Which events become templates depends on the order of events alone.
type models struct {
	bySize   map[sizeKey]*model
	list     []*model
	headings []frame.Heading // those of all templates
}

// of returns the model of an event; nil where there is none, because there are too many sizes.
func (m *models) of(e *entry) *model { return m.bySize[sizeKey{e.config, e.size}] }

// add returns the model of an event, a new one for a new size.
func (m *models) add(e *entry) *model {
	k := m.of(e)
	if k == nil && len(m.list) < maxTemplates {
		if m.bySize == nil {
			m.bySize = map[sizeKey]*model{}
		}
		k = &model{}
		m.bySize[sizeKey{e.config, e.size}] = k
		m.list = append(m.list, k)
	}
	return k
}

// open reports whether the model still looks for its template.
func (k *model) open() bool { return k.template == nil && k.candidates < maxCandidates }

// learn makes the event that was just read the template of its size, if it can be: no damage, nothing
// that had to be noted.
func (s *scan) learn(k *model, rec *record, c *config, slots []slot) {
	k.candidates++
	h := rec.header
	if rec.rejected || h.Damage() != 0 || slices.ContainsFunc(slots, func(o slot) bool { return o.damage != 0 || o.state != frame.Present && o.state != frame.Missing }) {
		return
	}
	t := &template{runs: rec.runs(h.Offset), slots: slices.Clone(slots), headings: make([]uint16, len(slots))}
	for i := range t.slots {
		if t.slots[i].layout != 0 {
			t.slots[i].off -= h.Offset
		}
	}
	for i := range t.runs {
		r := &t.runs[i]
		if h.Size() <= small || r.end() <= peek {
			continue
		}
		if n := slices.Index(rec.data, h.Offset+r.end()); n >= 0 {
			r.heading = s.predict(t, r, c, n)
		}
		t.reads = t.reads || !r.heading
	}
	k.template = t
}

// predict makes a run the heading of a panel, false where that cannot be: its pixels begin far behind it,
// or the array holds several panels, all but the first of which lie far behind it.
func (s *scan) predict(t *template, r *run, c *config, n int) bool {
	l := s.b.layouts.get(t.slots[n].layout)
	sh, ok := l.shape(c.names[n].DetType)
	before := t.slots[n].off - r.off
	if !ok || sh.subs > 1 || before > maxBefore || len(s.models.headings) >= frame.MaxHeadings/s.b.streams {
		return false
	}
	s.models.headings = append(s.models.headings, frame.Heading{Before: int(before), Bytes: r.b})
	t.headings[n] = uint16(len(s.models.headings))
	return true
}

// runs joins what was looked at.
func (rec *record) runs(event int64) []run {
	slices.SortStableFunc(rec.seen, func(a, b seenBytes) int { return cmp.Compare(a.off, b.off) })
	var runs []run
	for _, l := range rec.seen {
		off := l.off - event
		if n := len(runs); n > 0 && off <= runs[n-1].end() {
			known := runs[n-1].end() - off
			runs[n-1].b = append(runs[n-1].b, l.b[min(known, int64(len(l.b))):]...)
			continue
		}
		runs = append(runs, run{off: off, b: bytes.Clone(l.b)})
	}
	return runs
}

// match notes that the template knows the content of an event, if it does. It fails only when a read fails.
func (t *template) match(w *buffer, h Header, e *entry) (known bool, err error) {
	if known, err = t.fits(w, h); known {
		e.by = t
	}
	return known, err
}

// fits compares an event with the template. It fails only when a read fails.
func (t *template) fits(w *buffer, h Header) (bool, error) {
	if h.Damage() != 0 {
		return false, nil
	}
	for _, r := range t.runs {
		b := r.b
		if r.heading {
			b = b[:max(0, min(int64(len(b)), peek-r.off))]
		}
		got, err := w.at(h.Offset+r.off, len(b), "headers")
		if err != nil && !isProblem(err) {
			return false, err
		}
		if err != nil || !bytes.Equal(got, b) {
			return false, nil
		}
	}
	return true, nil
}

// each calls do for the numbers below n, in about their order, from as many goroutines as there may be
// reads in flight. Every goroutine has a buffer of its own, to be used again and again.
func (b *builder) each(ctx context.Context, n int, do func(w *buffer, i int) error) error {
	var next atomic.Int64
	g, inner := fault.WithContext(ctx)
	for range min(n, b.opt.Reads) {
		if !b.enter(inner) {
			break
		}
		g.Go(func() error {
			defer func() { <-b.slots }()
			w := &buffer{}
			for inner.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					break
				}
				if err := do(w, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// enter waits for a place among those who read; false means that ctx is over.
func (b *builder) enter(ctx context.Context) bool {
	select {
	case b.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
