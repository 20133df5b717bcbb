package xtc2

import (
	"context"
	"io"
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
	w     *window // holds the beginning of the last datagram
	off   int64   // of the next
	ahead lookahead
}

// newChain begins at the beginning of a file, with at most so many reads in flight.
func newChain(f *File, reads int) *chain {
	return &chain{w: &window{f: f, step: peek}, ahead: lookahead{f: f, most: reads}}
}

// next gives the next header, io.EOF at the end of the file.
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

// takeWindow gives away the window on the last datagram, for a reader beside the chain.
func (c *chain) takeWindow() *window {
	w := c.w
	c.w = &window{f: w.f, step: peek}
	return w
}

// lookahead reads the beginnings of the datagrams that follow, supposing that they are all as long as
// the last event. The supposition only moves reads forward in time: headers are used where the chain
// of datagrams really leads.
type lookahead struct {
	f       *File
	pending map[int64]chan *window
	most    int   // reads in flight
	right   int   // suppositions that came true since the last wrong one
	end     int64 // of the suppositions: the place of the next one
}

// aheadMin is how many reads are in flight after a wrong supposition. There are more when many came true, and
// never so many that another wrong one wastes more reads than half of those.
const aheadMin = 16

// take makes w hold the bytes at off if they were read ahead.
func (a *lookahead) take(ctx context.Context, w *window, off int64) error {
	ch, ok := a.pending[off]
	if !ok {
		a.pending, a.right = nil, 0 // wrong supposition: the reads under way end unheard
		return nil
	}
	a.right++
	delete(a.pending, off)
	select {
	case got := <-ch:
		w.off, w.buf = got.off, got.buf // empty after a failed read: header reads again and reports
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// predict starts to read what probably follows at off.
func (a *lookahead) predict(off, size int64) {
	if a.pending == nil {
		a.pending, a.end = map[int64]chan *window{}, off
	}
	for len(a.pending) < min(a.most, max(aheadMin, a.right/2)) && a.end+headerSize <= a.f.Size {
		at, ch := a.end, make(chan *window, 1)
		a.pending[at] = ch
		a.end += size
		go func() {
			w := &window{f: a.f, step: peek}
			if _, err := w.at(at, headerSize, "datagram header"); err != nil {
				w.buf = nil
			}
			ch <- w
		}()
	}
}

// Survey is what a file holds, from its headers and Configures.
type Survey struct {
	Services [16]int        // datagrams by Service
	Damage   map[uint16]int // datagrams by their root damage, other than 0
	Configs  []Config       // each Configure
	InForce  *Table         // at the end of the file
	Next     string         // base name of the chunk that follows, as the file says; may be empty
	Problem  error          // where the file cannot be read on, or a Configure not to its end
}

// Config is a Configure: what it describes and the values that it gives itself.
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
	for c := newChain(f, aheadMin); ; {
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
func (s *Survey) content(w *window, h Header) error {
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
