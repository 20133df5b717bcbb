// Package task does one element of the job array: it reads the frames of its shards once, counts, and
// leaves one partial.
//
// A task is a pure function of plan, task number and raw bytes. It leaves a complete, verified partial
// or nothing; running it twice, or on two nodes at once, is harmless. Its memory does not depend on the
// number of frames.
package task

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/quantile"
)

// Options say how a task works; they change no result.
type Options struct {
	Workers int         // goroutines, 0 = all cores
	Mode    fs.FileMode // of the partial, 0 = 0664
	// Progress is called from many goroutines with the raw bytes just counted; may be nil.
	Progress func(bytes int64)
}

// Result tells what a task did.
type Result struct {
	Path    string
	Reused  bool // a valid partial was already there
	Bytes   int64
	Elapsed time.Duration
}

// Run does task n of a plan unless its partial is already there.
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
	begin := time.Now()
	x, err := p.OpenIndex(work)
	if err != nil {
		return res, err
	}
	src, err := frame.OpenPread(p.Dataset.Files, frame.Options{Arena: plan.ArenaBytes})
	if err != nil {
		return res, err
	}
	defer src.Close()
	w := worker{ctx: ctx, plan: p, index: x, src: src, opt: opt}
	if err := atomicfile.MkdirAll(filepath.Dir(res.Path), 0o2775, nil); err != nil {
		return res, fmt.Errorf("task %d: could not make the folder of partials: %w", n, err)
	}
	err = pack.WriteFile(res.Path, atomicfile.Options{Mode: opt.Mode}, partialKind, func(out *pack.Writer) (any, error) {
		return w.fill(out, n)
	})
	if err != nil {
		return res, fmt.Errorf("task %d: %w", n, err)
	}
	res.Bytes, res.Elapsed = p.Tasks[n].Bytes, time.Since(begin)
	return res, nil
}

type worker struct {
	ctx   context.Context
	plan  *plan.Plan
	index *plan.Index
	src   frame.Source
	opt   Options
}

// lane is a shard while it is counted.
type lane struct {
	shard  int
	panel  frame.Panel
	frames []frame.Extent
	acc    *accum.Gated
}

// fill counts the shards of task n, some at a time so that accumulators stay within the plan's memory.
// Shards counted together share reads where their panels lie side by side in a file.
func (w *worker) fill(out *pack.Writer, n int) (any, error) {
	head := Head{Schema: PartialSchema, Plan: w.plan.ID, Task: n}
	for _, together := range w.plan.Sweeps(n) {
		lanes, err := w.sweep(together)
		if err != nil {
			return nil, err
		}
		for _, l := range lanes {
			head.Shards = append(head.Shards, ShardHead{Shard: l.shard, Frames: uint64(len(l.frames))})
			set := planesOf(l.acc.Planes(), uint64(len(l.frames)), w.plan.Params.Gated())
			if err := AddPlanes(out, shardPrefix(l.shard), set); err != nil {
				return nil, err
			}
		}
	}
	return head, nil
}

// sweep takes all frames of some shards through their accumulators.
func (w *worker) sweep(shards []int) ([]lane, error) {
	lanes := make([]lane, len(shards))
	sw := frame.Sweep{Workers: w.opt.Workers}
	for i, s := range shards {
		var err error
		if lanes[i], err = w.open(s); err != nil {
			return nil, fmt.Errorf("%s: %w", w.plan.UnitName(w.plan.Shards[s].Unit), err)
		}
		sw.Lanes = append(sw.Lanes, frame.Lane{Panel: lanes[i].panel, Extents: lanes[i].frames})
	}
	sw.Do = func(b frame.Batch) error {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		lanes[b.Lane].acc.Add(b.Lo, b.Frames)
		if w.opt.Progress != nil {
			w.opt.Progress(2 * int64(len(b.Frames)) * int64(len(b.Frames[0])))
		}
		return nil
	}
	if err := w.src.Sweep(w.ctx, sw); err != nil {
		if w.ctx.Err() != nil {
			return nil, context.Cause(w.ctx)
		}
		return nil, err
	}
	return lanes, nil
}

// open prepares the accumulator of a shard; with gates, from the leading frames of its unit.
func (w *worker) open(shard int) (lane, error) {
	s, par := w.plan.Shards[shard], w.plan.Params
	frames, err := w.index.Frames(s.Unit)
	if err != nil {
		return lane{}, err
	}
	l := lane{shard: shard, panel: w.plan.Dataset.Panels[w.plan.Units[s.Unit].Panel], frames: frames[s.Lo:s.Hi]}
	gp := quantile.GateParams{DataBits: par.DataBits, FracLo: par.FracLo, FracHi: par.FracHi, IntLo: par.IntLo, IntHi: par.IntHi}
	var gateLo, gateHi []uint16
	if par.Gated() {
		gateLo, gateHi = make([]uint16, l.panel.Pixels()), make([]uint16, l.panel.Pixels())
		if err := w.gates(l.panel, frames[:min(par.GateFrames, len(frames))], gp, gateLo, gateHi); err != nil {
			return lane{}, err
		}
	}
	l.acc = accum.NewGated(l.panel.Pixels(), accum.Params{DataBits: par.DataBits, LoBelow: gp.Below(), HiAbove: gp.Above()}, gateLo, gateHi)
	return l, nil
}

// gates finds the windows of a panel from its leading frames, in bands so that memory stays bounded.
func (w *worker) gates(panel frame.Panel, lead []frame.Extent, gp quantile.GateParams, lo, hi []uint16) error {
	band := plan.GateBand(len(lead))
	g, ctx := errgroup.WithContext(w.ctx)
	g.SetLimit(w.opt.Workers)
	for at := 0; at < panel.Pixels(); at += band {
		end := min(at+band, panel.Pixels())
		g.Go(func() error {
			px := make([][]uint16, len(lead))
			release, err := w.src.Block(ctx, panel, lead, at, end, px)
			if err != nil {
				return err
			}
			defer release()
			quantile.Gates(px, gp, lo[at:end], hi[at:end])
			return nil
		})
	}
	return g.Wait()
}
