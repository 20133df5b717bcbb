// Package task does one element of the job array: it reads the frames of its shards once, counts, and
// leaves one partial.
//
// A task is a pure function of plan, task number and raw bytes. It leaves a complete, verified partial
// or nothing; running it twice, or on two nodes at once, is harmless. Its memory does not depend on the
// number of frames.
package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
)

// Options say how a task works; they change no result.
type Options struct {
	Workers int         // goroutines, 0 = all cores
	Read    Reading     // how raw files are read
	Mode    fs.FileMode // of the partial, 0 = 0664
	// Progress is called from many goroutines with the raw bytes just counted; may be nil.
	Progress func(bytes int64)
}

// Reading says how raw files are read; zero values mean the defaults.
type Reading struct {
	Way        string // frame.Auto, frame.Pread or frame.Mapped
	Depth      int    // reads in flight
	Block      int    // bytes that one read takes at most
	DropBehind bool   // do not keep what was read in the page cache
}

// Result tells what a task did.
type Result struct {
	Path    string
	Reused  bool // a valid partial was already there
	Bytes   int64
	Elapsed time.Duration
	Way     string // how files were read
}

// Run does task n of a plan unless its partial is already there. It governs the collector of the process, so
// a process does one task at a time.
func Run(ctx context.Context, work string, p *plan.Plan, n int, opt Options) (Result, error) {
	if n < 0 || n >= len(p.Tasks) {
		return Result{}, fault.New(fault.Usage, "plan %.12s has tasks 0..%d, not %d", p.ID, len(p.Tasks)-1, n)
	}
	res := Result{Path: plan.TaskFile(work, n)}
	if Check(work, p, n) == nil {
		res.Reused = true
		return res, nil
	}
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	// What the plan printed is what the task takes: garbage is collected before it would exceed that, and
	// not earlier. The buffers of frames are not the collector's.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(p.Tasks[n].Memory - plan.ArenaBytes))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	begin := time.Now()
	x, err := p.OpenIndex(work)
	if err != nil {
		return res, err
	}
	src, err := frame.Open(p.Dataset.Files, opt.Read.Way, frame.Options{Depth: opt.Read.Depth, Block: opt.Read.Block,
		DropBehind: opt.Read.DropBehind, Arena: plan.ArenaBytes, Window: plan.WindowBytes, Headings: x.Headings})
	if err != nil {
		return res, err
	}
	defer src.Close()
	w := worker{ctx: ctx, work: work, plan: p, index: x, src: src, opt: opt}
	if err := atomicfile.MkdirAll(filepath.Dir(res.Path), 0o2775, nil); err != nil {
		return res, fmt.Errorf("task %d: could not make the folder of partials: %w", n, err)
	}
	err = pack.WriteFile(res.Path, atomicfile.Options{Mode: opt.Mode}, partialKind, func(out *pack.Writer) (any, error) {
		return w.fill(out, n)
	})
	if errors.Is(err, frame.ErrHeading) {
		err = errors.Join(err, plan.SaveDoubt(work, p, err, opt.Mode))
	}
	if err != nil {
		return res, fmt.Errorf("task %d: %w", n, err)
	}
	res.Bytes, res.Elapsed, res.Way = p.Tasks[n].Bytes, time.Since(begin), src.Name()
	return res, nil
}

// worker does one task.
type worker struct {
	ctx   context.Context
	work  string
	plan  *plan.Plan
	index *plan.Index
	src   frame.Source
	opt   Options
}

// fill does the shards of task n, some at a time so that accumulators stay within the plan's memory.
// Shards done together share reads where their panels lie side by side in a file.
func (w *worker) fill(out *pack.Writer, n int) (any, error) {
	head := Head{Schema: PartialSchema, Plan: w.plan.ID, Task: n}
	do := w.count
	switch {
	case w.plan.Tasks[n].Stage == plan.StageFrames:
		do = w.frameMedians
	case w.plan.Params.Has(6):
		do = w.residuals
	case w.plan.Params.Charge():
		do = w.charge
	}
	for _, together := range w.plan.Sweeps(n) {
		sets, err := do(together)
		if err != nil {
			return nil, err
		}
		for i, s := range together {
			h := headOf(w.plan, s)
			h.Zeros, h.Stuck = sets[i].Zeros, sets[i].Stuck
			if err := plan.AddPlanes(out, shardPrefix(len(head.Shards)), h.frames(), sets[i]); err != nil {
				return nil, err
			}
			head.Shards = append(head.Shards, h)
		}
	}
	return head, nil
}

// frames gives the extents of a shard's frames and, with feature 1, which of them are good.
func (w *worker) frames(shard int) (extents []frame.Extent, good []bool, err error) {
	s := w.plan.Shards[shard]
	all, err := w.index.Frames(s.Unit)
	if err != nil {
		return nil, nil, err
	}
	if s.Stage == plan.StagePixels && w.plan.Params.Has(1) {
		if err := w.needSeries(s.Unit); err != nil {
			return nil, nil, err
		}
		if good, _, err = GoodFrames(w.work, w.plan, s.Unit); err != nil {
			return nil, nil, err
		}
		good = good[s.Lo:s.Hi]
	}
	return all[s.Lo:s.Hi], good, nil
}

// sweep takes the frames of some shards through do.
func (w *worker) sweep(sw frame.Sweep, do func(frame.Batch)) error {
	sw.Workers = w.opt.Workers
	sw.Do = func(b frame.Batch) error {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		do(b)
		w.progress(b.Frames)
		return nil
	}
	err := w.src.Sweep(w.ctx, sw)
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return err
}

func (w *worker) progress(frames [][]uint16) {
	if w.opt.Progress != nil && len(frames) > 0 {
		w.opt.Progress(2 * int64(len(frames)) * int64(len(frames[0])))
	}
}

// named puts the unit's name in front of an error.
func (w *worker) named(shard int, err error) error {
	return fmt.Errorf("%s: %w", w.plan.UnitName(w.plan.Shards[shard].Unit), err)
}
