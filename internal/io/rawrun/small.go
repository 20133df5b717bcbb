package rawrun

import (
	"errors"
	"fmt"
	"io"
)

// ErrDisagrees says that a smalldata file does not describe the data file beside it.
var ErrDisagrees = errors.New("the smalldata file does not agree with the data file")

// Item is a datagram of a smalldata file.
type Item struct {
	At    int64 // in the smalldata file
	Event bool
	Off   int64 // of an event: where it lies in the data file
	Size  int64 // in the data file
}

// Guide takes a reader through one data file by what smalldata says of it.
type Guide struct {
	Size int64 // of the data file, -1 where it is not there
	// Next returns the next datagram of the smalldata file, io.EOF behind the last one of this data file.
	Next func() (Item, error)
	// Place takes a datagram of the smalldata file that lies at an offset of the data file.
	Place func(it Item, off int64) error
	// Read takes the datagrams that the data file has from one offset up to another. It returns where the
	// last one ends, which is before until only where the file cannot be read further.
	Read func(from, until int64) (end int64, err error)
	// Short is told that the data file ends before transitions that smalldata has behind the last event. They
	// are placed nevertheless.
	Short func()
}

// Follow goes through the data file once, in order. Only events say where they lie. Transitions that fill
// the space between two events are taken from the smalldata file; where they do not, and behind the last
// event, everything is read from the data file. The error is ErrDisagrees where both contradict each
// other.
func (g Guide) Follow() error {
	off := int64(0)
	var held []Item // transitions since the last event
	between := int64(0)
	for {
		it, err := g.Next()
		if err == io.EOF {
			return g.tail(off, between, held)
		}
		if err != nil {
			return err
		}
		if !it.Event {
			held = append(held, it)
			between += it.Size
			continue
		}
		if err := g.between(off, between, held, it); err != nil {
			return err
		}
		if err := g.Place(it, it.Off); err != nil {
			return err
		}
		off, between, held = it.Off+it.Size, 0, held[:0]
	}
}

// tail takes what lies behind the last event.
func (g Guide) tail(off, between int64, held []Item) error {
	if off+between <= g.Size {
		if off == g.Size {
			return nil
		}
		_, err := g.Read(off, g.Size)
		return err
	}
	if g.Size >= 0 && off <= g.Size {
		g.Short()
	}
	return g.place(held, off)
}

// place takes transitions that lie one behind the other.
func (g Guide) place(held []Item, off int64) error {
	for _, h := range held {
		if err := g.Place(h, off); err != nil {
			return err
		}
		off += h.Size
	}
	return nil
}

// between takes what lies before an event.
func (g Guide) between(off, size int64, held []Item, it Item) error {
	if it.Off < off+size {
		return fmt.Errorf("%w: the event of its byte %#x should be at byte %#x, which is before byte %#x, where it can be", ErrDisagrees, it.At, it.Off, off+size)
	}
	until := min(it.Off, g.Size)
	if it.Off == off+size || off >= until {
		return g.place(held, off)
	}
	end, err := g.Read(off, until)
	if err == nil && end > until {
		err = fmt.Errorf("%w: the datagram before byte %#x of the data file reaches beyond it, where the next event should be", ErrDisagrees, until)
	}
	return err
}
