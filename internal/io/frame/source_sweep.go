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
	bandWidth = 32 << 10  // pixels of a band: 64 KiB of a frame; accumulators of 640 B for 32 pixels fit into L2
	minBand   = 8 << 10   // pixels below which streams become too short to be prefetched
	bandGrain = 64        // bands are multiples of this many pixels: no two share a cache line of any plane
	wholeSize = 512 << 10 // pixels that a batch of whole frames has at most, if it has more than one
)

// super is a superblock: frames [first, first+len) of each lane, where the loader has put them.
type super struct {
	first   int
	frames  [][][]uint16 // lane, frame, pixel; shorter or empty for lanes that have fewer frames
	release func()
	left    atomic.Int32 // batches not yet done
}

// loader brings superblocks into memory. load is called for one superblock after the other, ahead of
// the computation by one; guard runs a Do whose memory may vanish under it.
type loader interface {
	load(ctx context.Context, lanes []Lane, first, n int) (frames [][][]uint16, release func(), err error)
	guard(do func() error) error
}

// task is a batch that waits for its turn: after is closed when the previous superblock of the same
// band is done.
type task struct {
	Batch
	from        *super
	after, done chan struct{}
}

// superFrames gives the number of frames of a superblock so that two of them fit into bytes.
func superFrames(lanes []Lane, bytes int64) int {
	var one int64
	for _, l := range lanes {
		one += 2 * int64(l.Panel.Pixels())
	}
	return int(max(1, min(maxSuper, bytes/2/max(one, 1))))
}

// runSweep is the engine of Sweep: one goroutine loads superblocks of n frames, one cuts them into
// batches, Workers compute.
func runSweep(ctx context.Context, s Sweep, n int, l loader) error {
	if s.Workers <= 0 {
		s.Workers = cores()
	}
	frames := 0
	for _, lane := range s.Lanes {
		frames = max(frames, len(lane.Extents))
	}
	g, ctx := errgroup.WithContext(ctx)
	loaded := make(chan *super)
	held := make(chan struct{}, 2) // superblocks in memory: one is computed while the next is read
	g.Go(func() error {
		defer close(loaded)
		for first := 0; first < frames; first += n {
			select {
			case held <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			px, release, err := l.load(ctx, s.Lanes, first, n)
			if err != nil {
				return err
			}
			b := &super{first: first, frames: px, release: func() { release(); <-held }}
			select {
			case loaded <- b:
			case <-ctx.Done():
				b.release()
				return ctx.Err()
			}
		}
		return nil
	})
	tasks := make(chan task)
	g.Go(func() error {
		defer close(tasks)
		last := map[[2]int]chan struct{}{}
		for b := range loaded {
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
	var p *panicked
	if errors.As(err, &p) {
		panic(p.Error()) // where the caller can recover it
	}
	return err
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
	for lane, px := range b.frames {
		if s.Whole {
			list = wholeTasks(list, lane, b, px)
		} else {
			list = bandTasks(list, s, lane, b, px, last)
		}
	}
	b.left.Store(int32(len(list)))
	if len(list) == 0 {
		b.release()
		return nil
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
func bandTasks(list []task, s Sweep, lane int, b *super, px [][]uint16, last map[[2]int]chan struct{}) []task {
	pixels := s.Lanes[lane].Panel.Pixels()
	if len(px) == 0 || pixels == 0 {
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
		key := [2]int{lane, lo}
		t := task{Batch: Batch{Lane: lane, First: b.first, Lo: lo, Frames: part}, from: b, after: last[key], done: make(chan struct{})}
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
func wholeTasks(list []task, lane int, b *super, px [][]uint16) []task {
	for i := 0; i < len(px); {
		n := min(len(px)-i, max(1, wholeSize/max(1, len(px[i]))))
		list = append(list, task{Batch: Batch{Lane: lane, First: b.first + i, Frames: px[i : i+n]}, from: b})
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
			err = do(s, l, t.Batch)
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
func do(s Sweep, l loader, b Batch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicked{r, debug.Stack()}
		}
	}()
	return l.guard(func() error { return s.Do(b) })
}

// checkLanes refuses lanes with extents that do not fit.
func checkLanes(files []File, s Sweep) error {
	if s.Do == nil {
		panic("io/frame: Sweep without Do")
	}
	for i, l := range s.Lanes {
		for _, e := range l.Extents {
			if err := checkExtent(files, l.Panel, e); err != nil {
				return fmt.Errorf("lane %d: %w", i, err)
			}
		}
	}
	return nil
}
