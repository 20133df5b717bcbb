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
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/plane"
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
	src, err := frame.OpenPread(p.Dataset.Files, frame.Options{})
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
	res.Bytes, res.Elapsed = w.bytes.Load(), time.Since(begin)
	return res, nil
}

type worker struct {
	ctx   context.Context
	plan  *plan.Plan
	index *plan.Index
	src   frame.Source
	opt   Options
	bytes atomic.Int64
}

// fill counts the shards of task n one after the other, so that only one shard's planes are in memory.
func (w *worker) fill(out *pack.Writer, n int) (any, error) {
	head := Head{Schema: PartialSchema, Plan: w.plan.ID, Task: n}
	for _, s := range w.plan.Tasks[n].Shards {
		set, err := w.shard(w.plan.Shards[s])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.plan.UnitName(w.plan.Shards[s].Unit), err)
		}
		head.Shards = append(head.Shards, ShardHead{Shard: s, Frames: set.Frames})
		if err := AddPlanes(out, shardPrefix(s), set); err != nil {
			return nil, err
		}
	}
	if w.ctx.Err() != nil {
		return nil, context.Cause(w.ctx)
	}
	return head, nil
}

// shard counts the frames of one shard. Workers take bands of the panel, each through all frames:
// pixels are independent, so nothing is shared and any number of workers gives the same planes.
func (w *worker) shard(s plan.Shard) (*plane.Set, error) {
	panel := w.plan.Dataset.Panels[w.plan.Units[s.Unit].Panel]
	frames, err := w.index.Frames(s.Unit)
	if err != nil {
		return nil, err
	}
	var lead []frame.Extent
	if w.plan.Params.Gated() {
		lead = frames[:min(w.plan.Params.GateFrames, len(frames))]
	}
	frames = frames[s.Lo:s.Hi]
	out := newPlanes(panel.Pixels(), w.plan.Params.Gated())
	g, ctx := errgroup.WithContext(w.ctx)
	g.SetLimit(w.opt.Workers)
	for lo := 0; lo < panel.Pixels(); lo += plan.BandPixels {
		hi := min(lo+plan.BandPixels, panel.Pixels())
		g.Go(func() error { return w.band(ctx, panel, lead, frames, lo, hi, out) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &plane.Set{Frames: uint64(len(frames)), Planes: planesOf(out, w.plan.Params.Gated())}, nil
}

// band takes pixels [lo, hi) of a panel through all frames.
func (w *worker) band(ctx context.Context, panel frame.Panel, lead, frames []frame.Extent, lo, hi int, out *accum.Planes) error {
	par := w.plan.Params
	gp := quantile.GateParams{DataBits: par.DataBits, FracLo: par.FracLo, FracHi: par.FracHi, IntLo: par.IntLo, IntHi: par.IntHi}
	var gateLo, gateHi []uint16
	px := make([][]uint16, max(plan.BlockFrames, len(lead)))
	if len(lead) > 0 {
		gateLo, gateHi = make([]uint16, hi-lo), make([]uint16, hi-lo)
		release, err := w.src.Block(ctx, panel, lead, lo, hi, px[:len(lead)])
		if err != nil {
			return err
		}
		quantile.Gates(px[:len(lead)], gp, gateLo, gateHi)
		release()
	}
	acc := accum.NewGated(hi-lo, accum.Params{DataBits: par.DataBits, LoBelow: gp.Below(), HiAbove: gp.Above()}, gateLo, gateHi)
	for k := 0; k < len(frames); k += plan.BlockFrames {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		block := frames[k:min(k+plan.BlockFrames, len(frames))]
		release, err := w.src.Block(ctx, panel, block, lo, hi, px[:len(block)])
		if err != nil {
			return err
		}
		acc.Add(0, px[:len(block)])
		release()
		n := int64(len(block)) * int64(hi-lo) * 2
		w.bytes.Add(n)
		if w.opt.Progress != nil {
			w.opt.Progress(n)
		}
	}
	copyBand(out, acc.Planes(), lo)
	return nil
}
