package sweep

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
)

const (
	samples  = 16                     // frames that are asked for to see whether they are in memory
	atOnce   = 100 * time.Microsecond // an answer that came from elsewhere takes longer
	noWait   = unix.RWF_NOWAIT        // nothing but what is in the page cache
	minStrip = 4 << 10                // pixels of bands below which frames are better read together; a quarter where bands are asked for
)

// inPageCache reports whether frames come from the memory of this machine, may be read in parts, and whether the
// bands of pixels are worth a read each. It asks for a little of some frames.
func (s *Source) inPageCache(r *run) bool {
	pixels, least := 0, 0
	for _, l := range r.lanes {
		pixels += max(0, l.hull.Hi-l.hull.Lo)
		if l.Bands == nil {
			least += minStrip * len(l.bands)
		} else {
			least += minStrip / 4 * len(l.bands)
		}
	}
	if s.direct || s.opt.DropBehind || pixels < least {
		return false
	}
	for i := range samples {
		exts := r.lanes[i%len(r.lanes)].Extents
		if len(exts) == 0 {
			continue
		}
		e := exts[i*len(exts)/samples]
		if !atHand(s.fds[e.File], e.Offset+int64(e.Length)/2) {
			return false
		}
	}
	return true
}

// atHand reports whether a place of a file is in the page cache. Where the system does not tell, the answer to a read
// does, which then comes within microseconds; a thread may have to wait for its core, so there is a second question.
func atHand(r Reader, at int64) bool {
	some := [][]byte{make([]byte, 512)}
	if f, ok := r.(*os.File); ok {
		n, err := unix.Preadv2(int(f.Fd()), some, at, noWait)
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
			return n > 0
		}
	}
	for range 2 {
		begin := time.Now()
		if _, err := r.ReadAt(some[0], at); err != nil {
			return false // the read of the frame will report it
		}
		if time.Since(begin) <= atOnce {
			return true
		}
	}
	return false
}

// strip is the share of one worker, from the first frame to the last: a band of a lane, or some whole frames.
type strip struct {
	lane, band    int
	first, frames int
}

// strips has workers read the bands of all lanes, one after the other through all of its frames.
func (r *run) strips(ctx context.Context) error {
	var list []strip
	for i, l := range r.lanes {
		for b, band := range l.bands {
			n := len(l.Extents)
			if r.sw.Whole {
				n = wholeOf(band.Hi)
			}
			for first := 0; first < len(l.Extents); first += n {
				list = append(list, strip{i, b, first, min(n, len(l.Extents)-first)})
			}
		}
	}
	var largest int64
	for _, x := range list {
		largest = max(largest, r.lanes[x.lane].row(r.lanes[x.lane].bands[x.band])*int64(max(1, min(r.sw.Lead, x.frames))))
	}
	workers := int(max(1, min(int64(r.sw.Workers), r.s.opt.Arena/max(1, largest))))
	var next atomic.Int64
	g, ctx := fault.WithContext(ctx)
	for w := range workers {
		g.Go(func() error {
			f := fetcher{run: r, worker: w, most: r.s.opt.Arena / int64(workers)}
			defer f.done()
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(list)) {
					return nil
				}
				if err := f.take(ctx, list[i]); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// row returns the bytes that one frame of a band takes while it is computed on.
func (l *lane) row(band Span) int64 {
	size := 0
	if len(l.Extents) > 0 {
		size = int(l.Extents[0].Length) // all are equal: bands are read alone only where pixels are in order
	}
	from, to := l.codec.Span(band.Lo, band.Hi, size)
	bytes := (int64(to-from+l.before)+2*lineSize)/lineSize*lineSize + lineSize
	if l.copied {
		bytes += int64(2*(band.Hi-band.Lo)) + lineSize
	}
	return bytes
}

// fetcher is a worker that reads what it computes on.
type fetcher struct {
	*run
	worker int
	most   int64 // bytes of its buffer
	buffer []uint16
	pieces []piece
	frames [][]uint16
	view   [][]uint16
}

func (f *fetcher) done() {
	if f.buffer != nil {
		f.s.put(f.buffer)
	}
}

// take takes a strip through Do, a few frames at a time.
func (f *fetcher) take(ctx context.Context, x strip) error {
	l := &f.lanes[x.lane]
	band := l.bands[x.band]
	row := l.row(band)
	for done := 0; done < x.frames; {
		n := stripFrames
		if done == 0 {
			n = max(n, f.sw.Lead)
		}
		n = int(max(1, min(int64(n), int64(x.frames-done), f.most/row)))
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.fetch(l, x.first+done, n, band, row); err != nil {
			return err
		}
		b := Batch{Lane: x.lane, Band: x.band, First: x.first + done, Worker: f.worker}
		if err := f.each(b, band, band.Lo, f.frames, &f.view); err != nil {
			return err
		}
		done += n
	}
	return nil
}

// fetch reads a band of n frames into the buffer. Rows are more than a multiple of a cache line apart, so that the
// same pixel of consecutive frames does not fall into the same cache set.
func (f *fetcher) fetch(l *lane, first, n int, band Span, row int64) error {
	if need := int(row*int64(n)) / 2; len(f.buffer) < need {
		f.done()
		var err error
		if f.buffer, err = f.s.get(need); err != nil {
			f.buffer = nil
			return err
		}
	}
	mem := bytesOf(f.buffer)
	f.frames = slices.Grow(f.frames[:0], n)[:n]
	for i, e := range l.Extents[first : first+n] {
		at := mem[int64(i)*row : int64(i+1)*row]
		if l.copied {
			bytes := int64(2*(band.Hi-band.Lo)) + lineSize
			f.frames[i] = f.buffer[(int64(i+1)*row-bytes)/2:][:band.Hi-band.Lo]
			at = at[:int64(len(at))-bytes]
		}
		f.pieces = f.s.addPieces(f.pieces[:0], l, e, band, &f.frames[i])
		for k := range f.pieces {
			p := &f.pieces[k]
			if err := f.s.read(stretch{pieces: f.pieces[k : k+1], from: p.from, to: p.to, buffer: at}); err != nil {
				return err
			}
		}
	}
	return nil
}
