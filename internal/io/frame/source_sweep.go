package frame

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

const (
	maxSuper  = 512       // frames of a superblock: enough to amortise bringing accumulators into the cache
	enough    = 128       // frames of a superblock for which lanes are separated where memory holds fewer frames of all
	minRead   = 2 << 20   // bytes of an event below which lanes are not separated: they are read together
	bandWidth = 32 << 10  // pixels of a band: 64 KiB of a frame; accumulators of some 700 B for 32 pixels fit into L2
	minBand   = 8 << 10   // pixels below which streams become too short to be prefetched
	bandGrain = 64        // bands are multiples of this many pixels: no two share a cache line of any plane
	wholeSize = 512 << 10 // pixels that a batch of whole frames has at most, if it has more than one
)

// share is what a superblock has of one lane: frames first, first+1, ...
type share struct {
	lane  int
	panel Panel
	exts  []Extent
	px    [][]uint16 // their pixels, where the loader has put them
	// check compares the headings of the frames exts[lo:hi] before the first pixels of these are used; nil
	// where the loader has done it.
	check func(lo, hi int) error
}

// super is a superblock: the same frames of some neighbouring lanes.
type super struct {
	first   int
	shares  []*share
	wait    func() error // until the pixels are there
	release func()
	left    atomic.Int32 // batches not yet done
}

// loader brings superblocks into memory. load is called for one superblock after the other, ahead of
// the computation, and need not wait for the pixels; guard runs a Do whose memory may vanish
// under it.
type loader interface {
	load(ctx context.Context, shares []*share) (wait func() error, release func(), err error)
	guard(do func() error) error
}

// task is a batch that waits for its turn: after is closed when the previous superblock of the same
// band is done.
type task struct {
	Batch
	from        *super
	of          *share
	after, done chan struct{}
}

// cutting says how a Sweep is cut into superblocks.
type cutting struct {
	groups [][]int // neighbouring lanes that superblocks hold together
	frames int     // of a superblock
	held   int     // superblocks in memory: one is computed while the others are read
}

// cut cuts so that held superblocks fit into bytes. Accumulators come into the cache of a core once per
// superblock: where it would have few frames of all lanes, it has more of some.
func cut(lanes []Lane, bytes int64, held int) cutting {
	bytes /= int64(held)
	most := max(minRead, bytes/enough)
	c := cutting{held: held}
	var widest, width int64
	for i, l := range lanes {
		one := 2 * int64(l.Panel.Pixels())
		if width += one; i == 0 || width > most {
			c.groups, width = append(c.groups, nil), one
		}
		widest = max(widest, width)
		last := &c.groups[len(c.groups)-1]
		*last = append(*last, i)
	}
	c.frames = int(max(1, min(maxSuper, bytes/max(widest, 1))))
	return c
}

// shares gives the frames from first on of a group; none if its lanes have no more.
func (c cutting) shares(lanes []Lane, group []int, first int) (list []*share) {
	for _, i := range group {
		exts := lanes[i].Extents
		if exts = exts[min(first, len(exts)):min(first+c.frames, len(exts))]; len(exts) > 0 {
			list = append(list, &share{lane: i, panel: lanes[i].Panel, exts: exts})
		}
	}
	return list
}

// runSweep is the engine of Sweep: one goroutine loads superblocks, one cuts them into batches, Workers
// compute.
func runSweep(ctx context.Context, s Sweep, c cutting, l loader) error {
	if s.Workers <= 0 {
		s.Workers = cores()
	}
	g, ctx := errgroup.WithContext(ctx)
	loaded := make(chan *super, c.held)
	g.Go(func() error {
		defer close(loaded)
		return loadAll(ctx, s.Lanes, c, l, loaded)
	})
	tasks := make(chan task)
	g.Go(func() error {
		defer close(tasks)
		last := map[[2]int]chan struct{}{}
		for b := range loaded {
			if err := b.wait(); err != nil {
				b.release()
				return err
			}
			if err := deal(ctx, s, b, last, tasks); err != nil {
				return err
			}
		}
		return nil
	})
	for w := range s.Workers {
		g.Go(func() error { return work(ctx, s, l, w, tasks) })
	}
	err := g.Wait()
	for b := range loaded { // after an error
		_ = b.wait()
		b.release()
	}
	var p *panicked
	if errors.As(err, &p) {
		panic(p.Error()) // where the caller can recover it
	}
	return err
}

// loadAll loads superblocks in the order of frames as long as there is room.
func loadAll(ctx context.Context, lanes []Lane, c cutting, l loader, loaded chan<- *super) error {
	held := make(chan struct{}, c.held)
	frames := 0
	for _, lane := range lanes {
		frames = max(frames, len(lane.Extents))
	}
	for first := 0; first < frames; first += c.frames {
		for _, group := range c.groups {
			shares := c.shares(lanes, group, first)
			if len(shares) == 0 {
				continue
			}
			select {
			case held <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			wait, release, err := l.load(ctx, shares)
			if err != nil {
				return err
			}
			loaded <- &super{first: first, shares: shares, wait: wait, release: func() { release(); <-held }}
		}
	}
	return nil
}

// panicked carries a panic of Do to the caller of Sweep.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// deal sends the batches of a superblock to the workers.
func deal(ctx context.Context, s Sweep, b *super, last map[[2]int]chan struct{}, tasks chan<- task) error {
	var list []task
	for _, st := range b.shares {
		if s.Whole {
			list = wholeTasks(list, st, b)
		} else {
			list = bandTasks(list, s, st, b, last)
		}
	}
	b.left.Store(int32(len(list)))
	if len(list) == 0 { // panels without pixels
		b.release()
	}
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

// bandTasks appends the bands of one lane of a superblock.
func bandTasks(list []task, s Sweep, st *share, b *super, last map[[2]int]chan struct{}) []task {
	pixels, px := st.panel.Pixels(), st.px
	if pixels == 0 {
		return list
	}
	band := bandOf(s, pixels)
	parts := make([][]uint16, (pixels+band-1)/band*len(px))
	for lo := 0; lo < pixels; lo += band {
		part := parts[:len(px):len(px)]
		parts = parts[len(px):]
		for i, f := range px {
			part[i] = f[lo:min(lo+band, pixels)]
		}
		key := [2]int{st.lane, lo}
		t := task{Batch: Batch{Lane: st.lane, First: b.first, Lo: lo, Frames: part}, from: b, of: st, after: last[key], done: make(chan struct{})}
		last[key] = t.done
		list = append(list, t)
	}
	return list
}

// bandOf gives the pixels of a band: as asked for, else bandWidth, but at least four bands per worker
// as long as they have minBand pixels.
func bandOf(s Sweep, pixels int) int {
	band := s.Band
	if band <= 0 {
		band = min(bandWidth, max(minBand, pixels/(4*s.Workers)))
	}
	return (band + bandGrain - 1) / bandGrain * bandGrain
}

// wholeTasks appends a lane's frames of a superblock, few at a time.
func wholeTasks(list []task, st *share, b *super) []task {
	for i := 0; i < len(st.px); {
		n := min(len(st.px)-i, max(1, wholeSize/max(1, len(st.px[i]))))
		list = append(list, task{Batch: Batch{Lane: st.lane, First: b.first + i, Frames: st.px[i : i+n]}, from: b, of: st})
		i += n
	}
	return list
}

// work does batches until there are no more.
func work(ctx context.Context, s Sweep, l loader, worker int, tasks <-chan task) error {
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
			t.Worker = worker
			err = do(s, l, t)
		}
		if t.from.left.Add(-1) == 0 {
			t.from.release()
		}
		if err != nil {
			return err
		}
		if t.done != nil {
			close(t.done)
		}
	}
	return nil
}

// do calls Do for a batch.
func do(s Sweep, l loader, t task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicked{r, debug.Stack()}
		}
	}()
	return l.guard(func() error {
		if lo := t.First - t.from.first; t.of.check != nil && t.Lo == 0 {
			if err := t.of.check(lo, lo+len(t.Frames)); err != nil {
				return err
			}
		}
		return s.Do(t.Batch)
	})
}

// checkLanes refuses lanes with extents that do not fit.
func checkLanes(files []File, headings []Heading, s Sweep) error {
	if s.Do == nil {
		panic("io/frame: Sweep without Do")
	}
	for i, l := range s.Lanes {
		for _, e := range l.Extents {
			if err := checkExtent(files, headings, l.Panel, e); err != nil {
				return fmt.Errorf("lane %d: %w", i, err)
			}
		}
	}
	return nil
}
