package xtc2

import (
	"context"
	"io"
	"sync/atomic"

	"rawstatus/internal/fault"
)

const (
	// peek is read at a place where a header is expected: enough for the headers of a datagram and of
	// its first panel.
	peek = 512
	// small datagrams are read whole, many at once.
	small = 32 << 10
	// stretch is read at once from files of small datagrams.
	stretch = 1 << 20
)

// chain reads the datagram headers of a file one after the other.
type chain struct {
	w     *buffer // holds the beginning of the last datagram
	off   int64   // of the next
	ahead lookahead
}

// newChain reads a file from one place to another, with at most so many reads in flight.
func newChain(f *File, reads int, from, until int64) *chain {
	return &chain{w: &buffer{f: f, step: peek}, off: from, ahead: lookahead{f: f, most: reads, until: until}}
}

// next returns the next header, io.EOF at the end of the file.
func (c *chain) next(ctx context.Context) (Header, error) {
	if err := ctx.Err(); err != nil {
		return Header{}, err
	}
	if err := c.ahead.take(ctx, c.w, c.off); err != nil {
		return Header{}, err
	}
	h, err := c.w.header(c.off)
	if err != nil {
		return h, err
	}
	c.off += h.Size()
	if h.Service().IsEvent() {
		c.w.step = stretch
		if h.Size() > small {
			c.w.step = peek
			c.ahead.predict(c.off, h.Size())
		}
	}
	return h, nil
}

// takeBuffer hands over the buffer on the last datagram, for a reader beside the chain.
func (c *chain) takeBuffer() *buffer {
	w := c.w
	c.w = &buffer{f: w.f, step: peek}
	return w
}

// lookahead reads the beginnings of the datagrams that follow, supposing that they are all as long as
// the last event. The supposition only moves reads forward in time: headers are used where the chain
// of datagrams really leads.
type lookahead struct {
	f     *File
	until int64    // no datagram from here on is wanted
	most  int      // reads in flight
	queue []*batch // in the order of the file
	ahead int      // datagrams in the queue
	right int      // suppositions that came true since the last wrong one
	end   int64    // of the suppositions: the place of the next one
}

// batch is some datagrams of equal size whose beginnings one goroutine reads, one after the other: waking
// one up costs more than what there is to do for a single one.
type batch struct {
	off, size int64
	n, taken  int
	ready     chan struct{}
	buf       []byte // peek bytes for each
	got       []int
	stopped   atomic.Bool // nobody waits any more
}

const (
	// aheadMin is how many datagrams are read ahead after a wrong supposition. There are more when many came
	// true, and never so many that another wrong one wastes more reads than half of those.
	aheadMin = 16
	// batchMost bounds a batch.
	batchMost = 8
)

// take makes w hold the bytes at off if they were read ahead.
func (a *lookahead) take(ctx context.Context, w *buffer, off int64) error {
	if !a.leadsTo(off) {
		return nil
	}
	b := a.queue[0]
	select {
	case <-b.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	// Empty after a failed read: header reads again and reports.
	at := b.taken * peek
	w.off, w.buf = off, b.buf[at:at+b.got[b.taken]:at+peek]
	a.right++
	a.ahead--
	if b.taken++; b.taken == b.n {
		a.queue = a.queue[1:]
	}
	return nil
}

// leadsTo reports whether the next datagram in the queue is the one at off. If not the supposition was wrong: what
// is under way ends unheard.
func (a *lookahead) leadsTo(off int64) bool {
	if len(a.queue) > 0 && off == a.queue[0].off+int64(a.queue[0].taken)*a.queue[0].size {
		return true
	}
	for _, b := range a.queue {
		b.stopped.Store(true)
	}
	if len(a.queue) > 0 {
		a.queue, a.ahead, a.right = nil, 0, 0
	}
	return false
}

// predict starts to read what probably follows at off.
func (a *lookahead) predict(off, size int64) {
	if !a.leadsTo(off) {
		a.end = off
	}
	want := max(aheadMin, a.right/2)
	n := max(1, min(want/a.most, batchMost))
	for len(a.queue) < a.most && a.ahead+n <= want && a.end+headerSize <= min(a.until, a.f.Size) {
		b := &batch{off: a.end, size: size, n: n, ready: make(chan struct{}), buf: make([]byte, n*peek), got: make([]int, n)}
		a.queue = append(a.queue, b)
		a.ahead += n
		a.end += int64(n) * size
		fault.Start(func() error { b.read(a.f); return nil }, nil) // what it did not read is read again
	}
}

// read fills the batch.
func (b *batch) read(f *File) {
	defer close(b.ready)
	for i := 0; i < b.n && !b.stopped.Load(); i++ {
		at := b.off + int64(i)*b.size
		part := b.buf[i*peek:][:max(0, min(peek, f.Size-at))]
		if n, _ := f.R.ReadAt(part, at); n == len(part) {
			b.got[i] = n
		}
	}
}

// Survey lists the content of a file, from its headers and Configures.
type Survey struct {
	Services [16]int        // datagrams by Service
	Damage   map[uint16]int // datagrams by their root damage, other than 0
	Configs  []Config       // each Configure
	InForce  *Table         // at the end of the file
	Next     string         // base name of the chunk that follows, as the file says; may be empty
	Problem  error          // where the file cannot be read further, or a Configure not to its end
}

// Config is a Configure: what it describes and the values in it.
type Config struct {
	*Table
	Values []Block
}

// Look surveys a file. table is the Names in force at its beginning, as for Scan. The error is a failed
// read; what is wrong with the content is in the result.
func Look(ctx context.Context, f *File, table *Table) (*Survey, error) {
	if table == nil {
		table = newTable(nil)
	}
	s := &Survey{Damage: map[uint16]int{}, InForce: table}
	for c := newChain(f, aheadMin, 0, f.Size); ; {
		h, err := c.next(ctx)
		if err == nil && (h.Service() == Configure || h.Service() == Enable) {
			err = s.content(c.w, h)
		}
		switch {
		case err == io.EOF:
			return s, nil
		case err != nil && isProblem(err):
			s.Problem = err
			return s, nil
		case err != nil:
			return nil, err
		}
		s.Services[h.Service()]++
		if h.Damage() != 0 {
			s.Damage[h.Damage()]++
		}
	}
}

// content takes what a Configure or Enable holds.
func (s *Survey) content(w *buffer, h Header) error {
	d, table, err := w.datagram(h, s.InForce)
	if err != nil {
		return err
	}
	s.InForce = table
	if h.Service() == Configure {
		s.Configs = append(s.Configs, Config{table, d.Blocks})
	}
	if d.Problem != nil {
		s.Problem = d.Problem
	}
	if name, _, ok := d.chunkInfo(); ok {
		s.Next = chunkBase(name)
	}
	return nil
}
