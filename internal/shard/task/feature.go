package task

import (
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/quantile"
)

// Median2 is the name of the series of stage frames: twice the median of each frame's pixels (uint32).
const Median2 = "median2"

// frameMedians makes the series of some shards.
func (w *worker) frameMedians(shards []int) ([]*plane.Set, error) {
	var sw sweep.Sweep
	series := make([][]uint32, len(shards))
	sets := make([]*plane.Set, len(shards))
	for i, s := range shards {
		extents, _, err := w.frames(s)
		if err != nil {
			return nil, w.named(s, err)
		}
		sw.Lanes = append(sw.Lanes, sweep.Lane{Panel: w.plan.Panel(w.plan.Shards[s].Unit), Extents: extents})
		series[i] = make([]uint32, len(extents))
		sets[i] = &plane.Set{Frames: uint64(len(extents)), Planes: []plane.Plane{{Name: Median2, Op: plane.Same, Data: series[i]}}}
	}
	sw.Whole = true
	hist := make([]*[1 << 16]uint32, w.opt.Workers)
	for i := range hist {
		hist[i] = new([1 << 16]uint32)
	}
	return sets, w.sweep(sw, func(b sweep.Batch) error {
		for i, f := range b.Frames {
			series[b.Lane][b.First+i] = quantile.FrameMedian(f, w.plan.Params.DataBits, hist[b.Worker])
		}
		w.progress(b.Frames)
		return nil
	})
}

// needSeries does the tasks of stage frames that a unit needs and that have no partial yet. A caller that runs tasks
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

// Series returns the frame medians of a unit from the partials of stage frames.
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
