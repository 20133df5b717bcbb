package frame

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"rawstatus/internal/fault"
)

const (
	maxSuper  = 512       // frames of a superblock: enough to amortise bringing accumulators into the cache
	enough    = 128       // frames of a superblock for which lanes are separated where memory holds fewer frames of all
	minRead   = 2 << 20   // bytes of an event below which lanes are not separated: they are read together
	bandWidth = 32 << 10  // pixels of a band: 64 KiB of a frame; accumulators of some 700 B for 32 pixels fit into L2
	minBand   = 8 << 10   // pixels below which streams become too short to be prefetched
	bandGrain = 64        // bands are multiples of this many pixels: no two share a cache line of any plane
	wholeSize = 512 << 10 // pixels that a batch of whole frames has at most, if it has more than one
	// Frames that come from memory are fetched in strips: long ones, since each costs a system call, of few
	// frames, so that they stay in the cache.
	fetchWidth  = 128 << 10 // pixels of a strip
	minFetch    = 32 << 10  // pixels below which many strips are better read together
	fetchFrames = 8         // frames of a strip
)

// share is what a superblock has of one lane: frames first, first+1, ...
type share struct {
	lane  int
	panel Panel
	exts  []Extent
	px    [][]uint16 // their pixels, where the loader has put them; nil: whoever computes fetches them
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
// under it. fit gives the frames that superblocks have from first on.
//
// Frames that are in the memory of this machine need not be loaded ahead. near tells whether frames
// lo..hi-1 of all lanes are; whoever computes then fetches them, a few at a time, and gives them back before
// the next: they stay in the cache of the core on their way.
type loader interface {
	fit(lanes []Lane, c cutting, first int) int
	load(ctx context.Context, shares []*share) (wait func() error, release func(), err error)
	near(s Sweep, lo, hi int) bool
	fetch(ctx context.Context, panel Panel, exts []Extent, lo, hi int) (*fetched, error)
	giveBack(*fetched)
	guard(do func() error) error
}

// task is a batch that waits for its turn: each of after is closed when a batch of the previous superblock
// with some of the same pixels is done. Its frames are nil if they are to be fetched.
type task struct {
	Batch
	from       *super
	of         *share
	hi, frames int // pixels [Lo, hi) of so many frames
	after      []chan struct{}
	done       chan struct{}
}

// turn is a band of the last superblock of a lane.
type turn struct {
	lo, hi int
	done   chan struct{}
}

// cutting says how a Sweep is cut into superblocks.
type cutting struct {
	groups [][]int // neighbouring lanes that superblocks hold together
	frames int     // of a superblock, at most
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

// sharesOf gives the frames [lo, hi) of a group of lanes; none if its lanes have no more.
func sharesOf(lanes []Lane, group []int, lo, hi int) (list []*share) {
	for _, i := range group {
		exts := lanes[i].Extents
		if exts = exts[min(lo, len(exts)):min(hi, len(exts))]; len(exts) > 0 {
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
	g, ctx := fault.WithContext(ctx)
	loaded := make(chan *super, c.held)
	g.Go(func() error {
		defer close(loaded)
		return loadAll(ctx, s, c, l, loaded)
	})
	tasks := make(chan task)
	g.Go(func() error {
		defer close(tasks)
		last := make([][]turn, len(s.Lanes))
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
func loadAll(ctx context.Context, s Sweep, c cutting, l loader, loaded chan<- *super) error {
	held := make(chan struct{}, c.held)
	frames := 0
	for _, lane := range s.Lanes {
		frames = max(frames, len(lane.Extents))
	}
	for first, n := 0, 0; first < frames; first += n {
		n = l.fit(s.Lanes, c, first)
		near := l.near(s, first, min(first+maxSuper, frames))
		if near {
			n = maxSuper // they take no memory
		}
		for _, group := range c.groups {
			shares := sharesOf(s.Lanes, group, first, first+n)
			if len(shares) == 0 {
				continue
			}
			select {
			case held <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			wait, release := func() error { return nil }, func() {}
			if !near {
				var err error
				if wait, release, err = l.load(ctx, shares); err != nil {
					return err
				}
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
func deal(ctx context.Context, s Sweep, b *super, last [][]turn, tasks chan<- task) error {
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
func bandTasks(list []task, s Sweep, st *share, b *super, last [][]turn) []task {
	pixels, px := st.panel.Pixels(), st.px
	if pixels == 0 {
		return list
	}
	band := bandOf(s, pixels, px == nil)
	parts := make([][]uint16, (pixels+band-1)/band*len(px))
	before := last[st.lane]
	last[st.lane] = make([]turn, 0, (pixels+band-1)/band)
	for lo := 0; lo < pixels; lo += band {
		t := task{Batch: Batch{Lane: st.lane, First: b.first, Lo: lo}, from: b, of: st,
			hi: min(lo+band, pixels), frames: len(st.exts), done: make(chan struct{})}
		if px != nil {
			t.Frames, parts = parts[:len(px):len(px)], parts[len(px):]
		}
		for i, f := range px {
			t.Frames[i] = f[lo:t.hi]
		}
		for _, x := range before {
			if x.lo < t.hi && lo < x.hi {
				t.after = append(t.after, x.done)
			}
		}
		last[st.lane] = append(last[st.lane], turn{lo, t.hi, t.done})
		list = append(list, t)
	}
	return list
}

// bandOf gives the pixels of a band: as asked for, else as many as are fast, but several bands per worker as
// long as they are not too short.
func bandOf(s Sweep, pixels int, near bool) int {
	band := s.Band
	switch {
	case band > 0:
	case near:
		band = min(fetchWidth, max(minFetch, pixels/(2*s.Workers)))
	default:
		band = min(bandWidth, max(minBand, pixels/(4*s.Workers)))
	}
	return (band + bandGrain - 1) / bandGrain * bandGrain
}

// wholeOf gives the frames of a batch of whole frames.
func wholeOf(pixels int) int { return max(1, wholeSize/max(1, pixels)) }

// wholeTasks appends a lane's frames of a superblock, few at a time.
func wholeTasks(list []task, st *share, b *super) []task {
	pixels := st.panel.Pixels()
	for i := 0; i < len(st.exts); {
		n := min(len(st.exts)-i, wholeOf(pixels))
		t := task{Batch: Batch{Lane: st.lane, First: b.first + i}, from: b, of: st, hi: pixels, frames: n}
		if st.px != nil {
			t.Frames = st.px[i : i+n]
		}
		list = append(list, t)
		i += n
	}
	return list
}

// work does batches until there are no more.
func work(ctx context.Context, s Sweep, l loader, worker int, tasks <-chan task) error {
	for t := range tasks {
		err := ctx.Err()
		for i := 0; i < len(t.after) && err == nil; i++ {
			select {
			case <-t.after[i]:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err == nil {
			t.Worker = worker
			err = do(ctx, s, l, t)
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

// do calls Do for a batch, or for parts of it that it fetches.
func do(ctx context.Context, s Sweep, l loader, t task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicked{r, debug.Stack()}
		}
	}()
	if t.of.px == nil {
		return t.fetch(ctx, s, l)
	}
	return l.guard(func() error {
		if lo := t.First - t.from.first; t.of.check != nil && t.Lo == 0 {
			if err := t.of.check(lo, lo+len(t.Frames)); err != nil {
				return err
			}
		}
		return s.Do(t.Batch)
	})
}

// fetch calls Do for a few frames at a time that it brings into memory before.
func (t task) fetch(ctx context.Context, s Sweep, l loader) error {
	for exts := t.of.exts[t.First-t.from.first:][:t.frames]; len(exts) > 0; {
		n := min(len(exts), fetchFrames)
		f, err := l.fetch(ctx, t.of.panel, exts[:n], t.Lo, t.hi)
		if err != nil {
			return err
		}
		t.Frames = f.px
		err = s.Do(t.Batch)
		l.giveBack(f)
		if err != nil {
			return err
		}
		t.First, exts = t.First+n, exts[n:]
	}
	return nil
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
