package task

import (
	"context"
	"fmt"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/quantile"
)

// Median2 is the name of the series of stage frames: twice the median of each frame's pixels (uint32).
const Median2 = "median2"

// frameMedians makes the series of some shards.
func (w *worker) frameMedians(shards []int) ([]*plane.Set, error) {
	var sw frame.Sweep
	series := make([][]uint32, len(shards))
	sets := make([]*plane.Set, len(shards))
	for i, s := range shards {
		extents, _, err := w.frames(s)
		if err != nil {
			return nil, w.named(s, err)
		}
		sw.Lanes = append(sw.Lanes, frame.Lane{Panel: w.plan.Panel(w.plan.Shards[s].Unit), Extents: extents})
		series[i] = make([]uint32, len(extents))
		sets[i] = &plane.Set{Frames: uint64(len(extents)), Planes: []plane.Plane{{Name: Median2, Op: plane.Same, Data: series[i]}}}
	}
	sw.Whole = true
	hist := make([]*[1 << 16]uint32, w.opt.Workers)
	for i := range hist {
		hist[i] = new([1 << 16]uint32)
	}
	return sets, w.sweep(sw, func(b frame.Batch) {
		for i, f := range b.Frames {
			series[b.Lane][b.First+i] = quantile.FrameMedian(f, w.plan.Params.DataBits, hist[b.Worker])
		}
	})
}

// needSeries does the tasks of stage frames that a unit needs and that have no partial yet. Whoever runs tasks
// in the order of their stages never gets here; in any other order the result is the same, only later.
func (w *worker) needSeries(unit int) error {
	for t := range w.plan.Tasks {
		if w.plan.Tasks[t].Stage != plan.StageFrames || !slices.ContainsFunc(w.plan.Tasks[t].Shards, func(s int) bool { return w.plan.Shards[s].Unit == unit }) {
			continue
		}
		if _, err := w.runner.run(w.ctx, t, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Series gives the frame medians of a unit from the partials of stage frames.
func Series(work string, p *plan.Plan, unit int) ([]uint32, error) {
	out := make([]uint32, p.Params.Sequence(p.Units[unit].Selected).Accumulate)
	for t := range p.Tasks {
		if p.Tasks[t].Stage != plan.StageFrames {
			continue
		}
		if err := seriesOfTask(work, p, t, unit, out); err != nil {
			return nil, fault.New(fault.Incomplete, "frame medians of %s are not there: %w", p.UnitName(unit), err).
				WithHint("do their task first: rawstatus task --work %s --task %d", work, t)
		}
	}
	return out, nil
}

// seriesOfTask copies what one task found for a unit to its place.
func seriesOfTask(work string, p *plan.Plan, t, unit int, out []uint32) error {
	var q *Partial
	for _, s := range p.Tasks[t].Shards {
		if p.Shards[s].Unit != unit {
			continue
		}
		if q == nil {
			var err error
			if q, err = Open(work, p, t); err != nil {
				return err
			}
			defer q.Close()
		}
		set, err := q.Planes(p, s)
		if err != nil {
			return err
		}
		part, err := plane.Get[uint32](set, Median2)
		if err != nil {
			return err
		}
		copy(out[p.Shards[s].Lo:p.Shards[s].Hi], part)
	}
	return nil
}

// GoodFrames decides by feature 1 which of a unit's frames are good: once, over all its frames, whatever
// the shards.
func GoodFrames(work string, p *plan.Plan, unit int) ([]bool, feature.Search, error) {
	series, err := Series(work, p, unit)
	if err != nil {
		return nil, feature.Search{}, err
	}
	good, search := feature.GoodFrames(series, p.Params.Feature())
	return good, search, nil
}

// residuals makes the planes of some shards with feature 6, and of other features in the same read.
func (w *worker) residuals(shards []int) ([]*plane.Set, error) {
	sets := make([]*plane.Set, len(shards))
	for i, s := range shards {
		var err error
		if sets[i], err = w.shardResiduals(s); err != nil {
			if w.ctx.Err() != nil {
				return nil, context.Cause(w.ctx)
			}
			return nil, w.named(s, err)
		}
	}
	return sets, nil
}

func (w *worker) shardResiduals(shard int) (*plane.Set, error) {
	s := w.plan.Shards[shard]
	flat, err := w.plan.Params.Flatness(w.plan.Panel(s.Unit))
	if err != nil {
		return nil, err
	}
	extents, good, err := w.frames(shard)
	if err != nil {
		return nil, err
	}
	lost, err := w.zeroFrames(w.ctx, w.plan.Panel(s.Unit), extents)
	if err != nil {
		return nil, err
	}
	if slices.Contains(lost, true) {
		kept := make([]bool, len(extents))
		for i := range kept {
			kept[i] = !lost[i] && (good == nil || good[i])
		}
		good = kept
	}
	bands := flat.Bands()[s.BandLo:s.BandHi]
	sets := make([]*plane.Set, len(bands))
	workers, bytes := plan.ResidualWorkers(w.opt.Workers)
	g, ctx := fault.WithContext(w.ctx)
	g.SetLimit(workers)
	for i, b := range bands {
		g.Go(func() error {
			r := bandReader{worker: w, ctx: ctx, number: shard, shard: s, flat: flat, band: b, extents: extents, good: good, lost: lost}
			var err error
			sets[i], err = r.planes(bytes)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return plane.Concat(sets)
}

// bandReader takes one row of windows through all frames.
type bandReader struct {
	*worker
	ctx     context.Context
	number  int // of the shard
	shard   plan.Shard
	flat    *feature.Flatness
	band    feature.Band
	extents []frame.Extent
	good    []bool
	lost    []bool // frames of nothing but zeros
}

// bandFrames is how many frames of a band are in memory at once.
const bandFrames = 64

// planes makes the planes of the rows that the band keeps. Residuals of all good frames must be in memory
// together: as many windows at a time as fit into bytes, with a read of the band for each such part.
func (r *bandReader) planes(bytes int64) (*plane.Set, error) {
	panel := r.plan.Panel(r.shard.Unit)
	goodFrames := len(r.extents)
	if r.good != nil {
		goodFrames = 0
		for _, g := range r.good {
			if g {
				goodFrames++
			}
		}
	}
	rows := r.band.Keep.Hi - r.band.Keep.Lo
	c, err := r.newCounter(r.number, r.band.Keep.Lo*panel.Cols, r.band.Keep.Hi*panel.Cols, r.good, nil, nil)
	if err != nil {
		return nil, err
	}
	c.lost = r.lost
	var parts []*plane.Set
	for first := 0; first < r.flat.WindowCols(); {
		last := r.flat.Part(r.band, first, goodFrames, bytes)
		res := feature.NewResiduals(r.flat, r.band, first, last, goodFrames)
		if err := r.read(res, c, first == 0); err != nil {
			return nil, err
		}
		parts = append(parts, res.Finish())
		first = last
	}
	set, err := feature.JoinWindows(parts, rows)
	if err != nil {
		return nil, fmt.Errorf("rows %d to %d: %w", r.band.Keep.Lo, r.band.Keep.Hi, err)
	}
	counted := c.planes(len(r.extents))
	counted.Planes = append(counted.Planes, set.Planes...)
	return counted, nil
}

// read takes the band's frames through res and, the first time, through the counter.
func (r *bandReader) read(res *feature.Residuals, c *counter, count bool) error {
	panel := r.plan.Panel(r.shard.Unit)
	lo, hi := r.band.Read.Lo*panel.Cols, r.band.Read.Hi*panel.Cols
	keepLo, keepHi := r.band.Keep.Lo*panel.Cols-lo, r.band.Keep.Hi*panel.Cols-lo
	px, kept := make([][]uint16, bandFrames), make([][]uint16, bandFrames)
	for k := 0; k < len(r.extents); k += bandFrames {
		n := min(bandFrames, len(r.extents)-k)
		release, err := r.src.Block(r.ctx, panel, r.extents[k:k+n], lo, hi, px[:n])
		if err != nil {
			return err
		}
		res.Add(c.goodOf(k, px[:n], nil))
		if count {
			for i, f := range px[:n] {
				kept[i] = f[keepLo:keepHi]
			}
			c.addData(0, k, kept[:n])
			r.progress(kept[:n])
		}
		release()
	}
	return nil
}
