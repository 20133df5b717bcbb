package xtc1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/cursor"
)

// Blocks of a buffer. Datagrams of area detectors are far larger than a page and only their headers
// are wanted; smalldata and small frames are read whole.
const (
	pageBlock  = 4 << 10
	denseBlock = 1 << 20
	denseAhead = 2 // blocks read ahead in a dense buffer
	denseBelow = 16 << 10
)

// errShrunk is the cause where a file ends earlier than it did when it was opened.
var errShrunk = fmt.Errorf("the file has been cut since: %w", io.ErrUnexpectedEOF)

// reads bounds the reads in flight, and knows of those that nobody may wait for.
type reads struct {
	slots chan struct{}
	ahead sync.WaitGroup
}

func newReads(n int) *reads { return &reads{slots: make(chan struct{}, n)} }

// buffer reads one file through a few blocks, some of which are read ahead. It belongs to
// one goroutine; the reads run in others, limited by slots.
type buffer struct {
	ctx    context.Context
	path   string
	r      io.ReaderAt
	size   int64
	block  int64
	reads  *reads
	blocks map[int64]*block // by number
	low    int64            // no block below this number is held
}

type block struct {
	ready chan struct{}
	b     []byte
	err   error
}

func newBuffer(ctx context.Context, path string, r io.ReaderAt, size, blockSize int64, rd *reads) *buffer {
	return &buffer{ctx: ctx, path: path, r: r, size: size, block: blockSize, reads: rd, blocks: map[int64]*block{}}
}

// full reads b from the file at off, within the limit of reads in flight.
func (rd *reads) full(ctx context.Context, path string, r io.ReaderAt, b []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case rd.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	n, err := r.ReadAt(b, off)
	<-rd.slots
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fault.New(fault.Input, "could not read raw data: %w", &cursor.Error{Format: "xtc1", File: path, Offset: off + int64(n),
			What: "bytes that the file had when it was opened", Want: fmt.Sprint(len(b)), Got: fmt.Sprint(n), Err: errShrunk}).
			WithHint("the file was cut while it was read; look at the transfer and run again")
	default:
		return fmt.Errorf("xtc1: could not read %d bytes of %q at byte %#x: %w", len(b), path, off, err)
	}
}

// fetch starts reading a block unless it is held or lies outside the file.
func (w *buffer) fetch(n int64) *block {
	if b := w.blocks[n]; b != nil {
		return b
	}
	off := n * w.block
	if n < w.low || off >= w.size {
		return nil
	}
	b := &block{ready: make(chan struct{})}
	w.blocks[n] = b
	w.reads.ahead.Go(func() {
		defer close(b.ready)
		b.b = make([]byte, min(w.block, w.size-off))
		b.err = fault.Safe(func() error { return w.reads.full(w.ctx, w.path, w.r, b.b, off) })
	})
	return b
}

// bytes returns n bytes at off, which the caller knows to lie inside the file. They stay valid.
func (w *buffer) bytes(off int64, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	first, last := off/w.block, (off+int64(n)-1)/w.block
	if last-first > denseAhead { // a large payload: not worth keeping in blocks
		b := make([]byte, n)
		return b, w.reads.full(w.ctx, w.path, w.r, b, off)
	}
	var whole []byte
	for i := first; i <= last; i++ {
		b := w.fetch(i)
		if w.block == denseBlock {
			for k := range int64(denseAhead) {
				w.fetch(i + 1 + k)
			}
		}
		if b == nil {
			return nil, fmt.Errorf("xtc1: %q byte %#x: buffer moved past it", w.path, off)
		}
		<-b.ready
		if b.err != nil {
			return nil, b.err
		}
		lo, hi := max(off-i*w.block, 0), min(off+int64(n)-i*w.block, int64(len(b.b)))
		if first == last {
			return b.b[lo:hi:hi], nil
		}
		whole = append(whole, b.b[lo:hi]...)
	}
	return whole, nil
}

// forget drops the blocks below the one that holds off.
func (w *buffer) forget(off int64) {
	low := off / w.block
	if low-w.low > 2*int64(len(w.blocks)) {
		for n := range w.blocks {
			if n < low {
				delete(w.blocks, n)
			}
		}
	} else {
		for n := w.low; n < low; n++ {
			delete(w.blocks, n)
		}
	}
	w.low = max(w.low, low)
}
