package sweep

import (
	"context"
	"sync/atomic"

	"rawstatus/internal/fault"
)

const (
	maxSuper = 512     // frames of a superblock: enough to amortise bringing accumulators into the cache
	enough   = 128     // frames of a superblock for which lanes are separated where memory holds fewer frames of all
	minRead  = 2 << 20 // bytes of an event below which lanes are not separated: they are read together
	held     = 3       // superblocks in memory: while one is computed on, reads for the next end one by one and those for the one behind it begin
)

// super is a superblock: the same frames of some neighbouring lanes.
type super struct {
	first   int
	parts   []part
	slab    []uint16
	wait    func() error // until the pixels are there
	release func()
	left    atomic.Int32 // batches not yet done
}

// part is the part of a superblock that belongs to one lane: the pixels of its hull.
type part struct {
	lane   int
	frames [][]uint16
}

// task is a batch that waits for its turn: after is closed when the batch of the previous superblock with the same
// pixels is done.
type task struct {
	batch  Batch
	from   *super
	band   Span
	lo     int // first pixel of frames
	frames [][]uint16
	after  chan struct{}
	done   chan struct{}
}

// superblocks loads superblocks ahead of the workers: one goroutine starts reads, one cuts what is there into
// batches.
func (r *run) superblocks(ctx context.Context) error {
	defer Blocking(r.s.opt.Depth)()
	g, ctx := fault.WithContext(ctx)
	loaded := make(chan *super, held)
	g.Go(func() error {
		defer close(loaded)
		return r.loadAll(ctx, loaded)
	})
	tasks := make(chan task)
	g.Go(func() error {
		defer close(tasks)
		last := make([][]chan struct{}, len(r.lanes))
		for i, l := range r.lanes {
			last[i] = make([]chan struct{}, len(l.bands))
		}
		for b := range loaded {
			if err := b.wait(); err != nil {
				b.release()
				return err
			}
			if err := r.deal(ctx, b, last, tasks); err != nil {
				return err
			}
		}
		return nil
	})
	for w := range r.sw.Workers {
		g.Go(func() error { return r.work(ctx, w, tasks) })
	}
	err := g.Wait()
	for b := range loaded { // after an error
		_ = b.wait()
		b.release()
	}
	return err
}

// budget returns the bytes of a superblock.
func (r *run) budget() int64 {
	bytes := r.s.opt.Arena
	for _, l := range r.lanes {
		if l.copied { // the bytes that are decoded are in memory, too
			return (bytes - min(bytes/2, int64(r.s.opt.Depth)*int64(r.s.opt.Block))) / held
		}
	}
	return bytes / held
}

// groups cuts the lanes into those that superblocks hold together. Accumulators come into the cache of a core once
// per superblock: where it would have few frames of all lanes, it has more of some.
func (r *run) groups(budget int64) (groups [][]int) {
	most := max(minRead, budget/enough)
	if r.sw.Lead > 0 {
		most = min(most, budget/int64(r.sw.Lead))
	}
	var width int64
	for i, l := range r.lanes {
		one := int64(2 * max(0, l.hull.Hi-l.hull.Lo))
		if width += one; i == 0 || width > most {
			groups, width = append(groups, nil), one
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], i)
	}
	return groups
}

// loadAll loads superblocks as long as there is room: of one group of lanes all, then of the next.
func (r *run) loadAll(ctx context.Context, loaded chan<- *super) error {
	budget := r.budget()
	room := make(chan struct{}, held)
	for _, group := range r.groups(budget) {
		for first, n := 0, maxSuper; ; first += n {
			b, list, bytes := r.fit(group, first, &n, budget)
			if len(b.parts) == 0 {
				break
			}
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			b.release = func() {
				r.s.put(b.slab)
				<-room
			}
			var err error
			if b.slab, err = r.s.get(int(bytes+1) / 2); err != nil {
				return err
			}
			r.place(b, list)
			b.wait = r.s.start(ctx, list)
			loaded <- b
		}
	}
	return nil
}

// fit makes the superblock of a group of lanes from frame first on. It has at most n frames, and no more than fit
// into the budget, but all that lead; n is set to their number. It takes so many bytes.
func (r *run) fit(group []int, first int, n *int, budget int64) (b *super, list []stretch, bytes int64) {
	least := 1
	if first == 0 {
		least = max(least, r.sw.Lead)
	}
	for *n = max(*n, least); ; {
		b, list, bytes = r.plan(group, first, *n)
		if bytes <= budget || *n <= least {
			return b, list, bytes
		}
		*n = max(least, min(*n-1, int(int64(*n)*budget/bytes)))
	}
}

// plan makes a superblock and the stretches that are read for it, which take so many bytes.
func (r *run) plan(group []int, first, n int) (b *super, list []stretch, bytes int64) {
	b = &super{first: first}
	var pieces []piece
	for _, i := range group {
		l := &r.lanes[i]
		exts := l.Extents[min(first, len(l.Extents)):min(first+n, len(l.Extents))]
		if len(exts) == 0 || l.hull.Hi <= l.hull.Lo {
			continue
		}
		p := part{lane: i, frames: make([][]uint16, len(exts))}
		for k, e := range exts {
			pieces = r.s.addPieces(pieces, l, e, l.hull, &p.frames[k])
		}
		if l.copied {
			bytes += int64(len(exts)) * l.copy()
		}
		b.parts = append(b.parts, p)
	}
	list = r.s.stretches(pieces)
	for _, x := range list {
		if x.kept {
			bytes += r.s.room(x)
		}
	}
	return b, list, bytes
}

// copy returns the bytes of a copied frame: whole cache lines, and one more, so that the same pixel of consecutive
// frames does not fall into the same cache set.
func (l *lane) copy() int64 {
	return int64(2*(l.hull.Hi-l.hull.Lo)+lineSize-1)/lineSize*lineSize + lineSize
}

// place returns the stretches and frames of a superblock their parts of its memory.
func (r *run) place(b *super, list []stretch) {
	at := int64(0)
	for i := range list {
		if x := &list[i]; x.kept {
			x.buffer = bytesOf(b.slab)[at:][:r.s.room(*x)]
			at += r.s.room(*x)
		}
	}
	for _, p := range b.parts {
		l := &r.lanes[p.lane]
		for k := 0; l.copied && k < len(p.frames); k++ {
			p.frames[k] = b.slab[at/2:][:l.hull.Hi-l.hull.Lo]
			at += l.copy()
		}
	}
}

// deal sends the batches of a superblock to the workers.
func (r *run) deal(ctx context.Context, b *super, last [][]chan struct{}, tasks chan<- task) error {
	var list []task
	for _, p := range b.parts {
		l := &r.lanes[p.lane]
		if r.sw.Whole {
			for k, n := 0, wholeOf(l.hull.Hi); k < len(p.frames); k += n {
				list = append(list, task{batch: Batch{Lane: p.lane, First: b.first + k}, from: b, band: l.hull,
					frames: p.frames[k:min(k+n, len(p.frames))], done: make(chan struct{})})
			}
			continue
		}
		for i, band := range l.bands {
			t := task{batch: Batch{Lane: p.lane, Band: i, First: b.first}, from: b, band: band, lo: l.hull.Lo,
				frames: p.frames, after: last[p.lane][i], done: make(chan struct{})}
			last[p.lane][i] = t.done
			list = append(list, t)
		}
	}
	b.left.Store(int32(len(list)))
	for i, t := range list {
		select {
		case tasks <- t:
		case <-ctx.Done():
			if b.left.Add(int32(i-len(list))) == 0 {
				b.release()
			}
			return ctx.Err()
		}
	}
	return nil
}

// work does batches until there are no more.
func (r *run) work(ctx context.Context, worker int, tasks <-chan task) error {
	var view [][]uint16
	for t := range tasks {
		err := ctx.Err()
		if t.after != nil && err == nil {
			select {
			case <-t.after:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err == nil {
			t.batch.Worker = worker
			// A panic must not keep the memory of the superblock.
			err = fault.Safe(func() error { return r.each(t.batch, t.band, t.lo, t.frames, &view) })
		}
		if t.from.left.Add(-1) == 0 {
			t.from.release()
		}
		if err != nil {
			return err
		}
		close(t.done)
	}
	return nil
}
