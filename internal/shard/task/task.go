package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/memory"
	"rawstatus/internal/shard/plan"
)

// Options say how a task works; they change no result.
type Options struct {
	Workers int         // goroutines, 0 = all cores
	Read    Reading     // how raw files are read
	Mode    fs.FileMode // of the partial, 0 = 0664
	// Progress is called from many goroutines with the raw bytes just counted; may be nil.
	Progress func(bytes int64)
	// Note is called when files cannot be read in the way that was asked for; may be nil.
	Note func(text string)
}

// Reading says how raw files are read; zero values mean the defaults.
type Reading struct {
	Way        string // one of sweep.Ways
	Depth      int    // reads in flight
	Block      int    // bytes that one read takes at most
	DropBehind bool   // do not keep what was read in the page cache
}

// Result says what a task did.
type Result struct {
	Path    string
	Reused  bool // a valid partial was already there
	Bytes   int64
	Elapsed time.Duration
	Way     string // how files were read
}

// Runner does tasks of a plan. It governs the collector of the process, so a process has one Runner at a time.
type Runner struct {
	work string
	plan *plan.Plan
	opt  Options

	turn    sync.Mutex // of the task that is counting: another one may be writing
	once    sync.Once
	opened  error
	index   *plan.Index
	src     *sweep.Source
	room    room
	restore func()
}

// NewRunner prepares for tasks of a plan; Close it.
func NewRunner(work string, p *plan.Plan, opt Options) *Runner {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	var most int64
	for i := range p.Tasks {
		most = max(most, p.Tasks[i].Memory-plan.ArenaBytes)
	}
	// A task takes the memory that the plan printed: garbage is collected before it would exceed that, and
	// not earlier. The buffers of frames are not the collector's.
	memory.Huge(min(most, hugeBytes))
	limit, percent := debug.SetMemoryLimit(most), debug.SetGCPercent(-1)
	return &Runner{work: work, plan: p, opt: opt, restore: func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}}
}

// hugeBytes bounds the memory that is prepared for accumulators and planes.
const hugeBytes = 512 << 20

// open opens the index and the raw files, once for all tasks that are not yet done.
func (r *Runner) open() error {
	r.once.Do(func() {
		if r.index, r.opened = r.plan.OpenIndex(r.work); r.opened != nil {
			return
		}
		r.src, r.opened = sweep.Open(r.plan.Dataset.Files, r.opt.Read.Way, sweep.Options{Depth: r.opt.Read.Depth, Block: r.opt.Read.Block,
			DropBehind: r.opt.Read.DropBehind, Arena: plan.ArenaBytes, Headings: r.index.Headings, Note: r.opt.Note})
	})
	return r.opened
}

// Close frees files and memory; no Run may be under way.
func (r *Runner) Close() error {
	r.restore()
	err := r.room.pool.Free()
	if r.src != nil {
		err = errors.Join(err, r.src.Close())
	}
	return err
}

// Run does task n unless its partial is already there. It may be called from several goroutines: one task is
// counted while partials of others are written.
func (r *Runner) Run(ctx context.Context, n int) (Result, error) {
	return r.run(ctx, n, &r.turn, r.opt.Progress)
}

// run waits for its turn before it counts; nil: the caller has it.
func (r *Runner) run(ctx context.Context, n int, turn sync.Locker, progress func(int64)) (Result, error) {
	p := r.plan
	if n < 0 || n >= len(p.Tasks) {
		return Result{}, fault.New(fault.Usage, "plan %.12s has tasks 0..%d, not %d", p.ID, len(p.Tasks)-1, n)
	}
	res := Result{Path: plan.TaskFile(r.work, n)}
	if Check(r.work, p, n) == nil {
		res.Reused = true
		return res, nil
	}
	if err := r.open(); err != nil {
		return res, err
	}
	begin := time.Now()
	opt := r.opt
	opt.Progress = progress
	w := worker{ctx: ctx, work: r.work, plan: p, task: n, index: r.index, src: r.src, opt: opt, runner: r, turn: turn}
	if err := atomicfile.MkdirAll(filepath.Dir(res.Path), 0o2775, nil); err != nil {
		return res, fmt.Errorf("task %d: could not make the folder of partials: %w", n, err)
	}
	kind := partialKind
	if _, whole := p.Whole(n); whole {
		kind = plan.MergedKind
	}
	err := pack.WriteFile(res.Path, atomicfile.Options{Mode: opt.Mode}, kind, func(out *pack.Writer) (any, error) {
		return w.fill(out)
	})
	if errors.Is(err, frame.ErrHeading) {
		err = errors.Join(err, plan.SaveWrongPrediction(r.work, p, err, opt.Mode))
	}
	if err != nil {
		return res, fmt.Errorf("task %d: %w", n, err)
	}
	res.Bytes, res.Elapsed, res.Way = p.Tasks[n].Bytes, time.Since(begin), r.src.Name()
	return res, nil
}

// worker does one task.
type worker struct {
	ctx    context.Context
	work   string
	plan   *plan.Plan
	task   int
	index  *plan.Index
	src    *sweep.Source
	opt    Options
	runner *Runner
	turn   sync.Locker // nil: this worker has the turn already
}

// inTurn makes the results of some shards while no other task is counting.
func (w *worker) inTurn(do func([]int) ([]result, error), shards []int) ([]result, error) {
	if w.turn != nil {
		w.turn.Lock()
		defer w.turn.Unlock()
	}
	if w.ctx.Err() != nil {
		return nil, context.Cause(w.ctx)
	}
	return do(shards)
}

// prefix returns what the names of the planes of a shard begin with in the partial.
func (w *worker) prefix(shard int) string {
	if _, whole := w.plan.Whole(w.task); whole {
		return ""
	}
	return shardPrefix(slices.Index(w.plan.Tasks[w.task].Shards, shard))
}

// fill does the shards of the task, some at a time so that accumulators stay within the plan's memory.
// Shards done together share reads where their panels lie side by side in a file.
func (w *worker) fill(out *pack.Writer) (any, error) {
	head := Head{Schema: PartialSchema, Plan: w.plan.ID, Task: w.task}
	do := w.count
	switch {
	case w.plan.Tasks[w.task].Stage == plan.StageFrames:
		do = func(shards []int) ([]result, error) { return plain(w.frameMedians(shards)) }
	case w.plan.Params.Has(6):
		do = func(shards []int) ([]result, error) { return plain(w.residuals(shards)) }
	case w.plan.Params.Charge():
		do = func(shards []int) ([]result, error) { return plain(w.charge(shards)) }
	}
	for _, together := range w.plan.Sweeps(w.task) {
		list, err := w.inTurn(do, together)
		if err != nil {
			return nil, err
		}
		for i, s := range together {
			if unit, whole := w.plan.Whole(w.task); whole {
				h := w.plan.MergedHeadOf(unit, list[i].Set)
				return h, list[i].addTo(out, "", h.Frames)
			}
			h := headOf(w.plan, s)
			h.Zeros, h.Stuck = list[i].Zeros, list[i].Stuck
			if err := list[i].addTo(out, w.prefix(s), h.frames()); err != nil {
				return nil, err
			}
			head.Shards = append(head.Shards, h)
		}
	}
	return head, nil
}

// frames returns the extents of a shard's frames and, with feature 1, which of them are good.
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
func (w *worker) sweep(sw sweep.Sweep, do func(sweep.Batch) error) error {
	sw.Workers = w.opt.Workers
	sw.Do = func(b sweep.Batch) error {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		return do(b)
	}
	err := w.src.Sweep(w.ctx, sw)
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return err
}

// progress reports the pixels of some frames as counted.
func (w *worker) progress(frames [][]uint16) {
	if w.opt.Progress != nil && len(frames) > 0 {
		w.opt.Progress(2 * int64(len(frames)) * int64(len(frames[0])))
	}
}

// named puts the unit's name in front of an error.
func (w *worker) named(shard int, err error) error {
	return fmt.Errorf("%s: %w", w.plan.UnitName(w.plan.Shards[shard].Unit), err)
}
