package task

import (
	"context"
	"fmt"
	"sync"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/plane"
)

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

// flattening is a shard with feature 6. Residuals of all good frames must be in memory together: windows are taken
// in rounds, as many at a time as the plan's memory holds, each in a sweep over their rows.
type flattening struct {
	*worker
	shard   int
	panel   frame.Panel
	flat    *feature.Flatness
	bands   []feature.Band
	extents []frame.Extent
	good    []bool // nil: all are
	most    int    // good frames, with those that are no data
	// state has what is known of the frames: whether they are nothing but zeros, and so no data.
	state    []blankness
	counters []*counter     // by band
	parts    [][]*plane.Set // by band, from left to right
	mu       sync.Mutex     // of parts
}

type blankness uint8

const (
	unknown blankness = iota
	data
	blank
)

func (w *worker) shardResiduals(shard int) (*plane.Set, error) {
	s := w.plan.Shards[shard]
	f := flattening{worker: w, shard: shard, panel: w.plan.Panel(s.Unit)}
	var err error
	if f.flat, err = w.plan.Params.Flatness(f.panel); err != nil {
		return nil, err
	}
	if f.extents, f.good, err = w.frames(shard); err != nil {
		return nil, err
	}
	f.state = make([]blankness, len(f.extents))
	for k := range f.extents {
		if f.good == nil || f.good[k] {
			f.most++
		}
		if w.plan.Params.ZerosCount() {
			f.state[k] = data
		}
	}
	f.bands = f.flat.Bands()[s.BandLo:s.BandHi]
	f.parts = make([][]*plane.Set, len(f.bands))
	for _, b := range f.bands {
		c, err := w.newCounter(shard, b.Keep.Lo*f.panel.Cols, b.Keep.Hi*f.panel.Cols, len(f.extents), f.good)
		if err != nil {
			return nil, err
		}
		defer c.drop()
		f.counters = append(f.counters, c)
	}
	for _, round := range f.rounds() {
		if err := f.take(round); err != nil {
			return nil, err
		}
	}
	return f.join()
}

// windows are neighbouring windows of a band in a round.
type windows struct {
	band, first, last int
	res               *feature.Residuals // from the first frames until planes are made of them
	zeros             []int              // frames that have nothing but zeros in the rows of the band
	done              bool
}

// residualWorkers is how many workers share the memory for residuals where a band takes more than its part.
const residualWorkers = 8

// rounds cuts the windows of the shard into those that are taken together: all of a band where the memory of one
// worker holds them. A round has each band once.
func (f *flattening) rounds() (list [][]*windows) {
	share := plan.ResidualBytes / int64(max(1, min(f.opt.Workers, residualWorkers)))
	cols := f.flat.WindowCols()
	next := make([]int, len(f.bands)) // the first window of each band that no round has yet
	for from := 0; from < len(f.bands); {
		var round []*windows
		var used int64
		for i := from; i < len(f.bands); i++ {
			if next[i] == cols {
				continue
			}
			b := f.bands[i]
			last := f.flat.Part(b, next[i], f.most, share)
			bytes := f.flat.Bytes(b, next[i], last, f.most)
			if len(round) > 0 && used+bytes > plan.ResidualBytes {
				break
			}
			round, used = append(round, &windows{band: i, first: next[i], last: last}), used+bytes
			next[i] = last
		}
		list = append(list, round)
		for from < len(f.bands) && next[from] == cols {
			from++
		}
	}
	return list
}

// take sweeps the rows of a round and finds the planes of its windows.
func (f *flattening) take(round []*windows) error {
	lane := sweep.Lane{Panel: f.panel, Extents: f.extents}
	for _, x := range round {
		b := f.bands[x.band]
		lane.Bands = append(lane.Bands, sweep.Span{Lo: b.Read.Lo * f.panel.Cols, Hi: b.Read.Hi * f.panel.Cols})
	}
	err := f.sweep(sweep.Sweep{Lanes: []sweep.Lane{lane}}, func(b sweep.Batch) error {
		x := round[b.Band]
		f.begin(x)
		from := 0
		for i, px := range b.Frames {
			if f.state[b.First+i] == data || !allZero(px) {
				continue
			}
			x.zeros = append(x.zeros, b.First+i)
			if err := f.add(x, b.First+from, b.Frames[from:i]); err != nil {
				return err
			}
			from = i + 1
		}
		if err := f.add(x, b.First+from, b.Frames[from:]); err != nil {
			return err
		}
		if x.first == 0 {
			f.progress(f.kept(x, b.Frames))
		}
		if b.First+len(b.Frames) == len(f.extents) && len(x.zeros) == 0 {
			f.finish(x) // while the residuals are in the cache
		}
		return nil
	})
	if err == nil {
		err = f.settle(round)
	}
	if err != nil {
		return err
	}
	for _, x := range round {
		if !x.done {
			f.begin(x)
			f.finish(x)
		}
	}
	return nil
}

// begin makes room for the residuals of some windows, with their first frames: most windows are done before others
// begin, and leave them their memory.
func (f *flattening) begin(x *windows) {
	if x.res == nil {
		x.res = feature.NewResiduals(f.flat, f.bands[x.band], x.first, x.last, f.most)
	}
}

// finish makes the planes of some windows, of which all frames are there.
func (f *flattening) finish(x *windows) {
	set := x.res.Finish()
	x.res, x.done = nil, true
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts[x.band] = append(f.parts[x.band], set)
}

// kept returns the rows of a band's frames that are the band's own.
func (f *flattening) kept(x *windows, frames [][]uint16) [][]uint16 {
	b := f.bands[x.band]
	lo, hi := (b.Keep.Lo-b.Read.Lo)*f.panel.Cols, (b.Keep.Hi-b.Read.Lo)*f.panel.Cols
	out := make([][]uint16, len(frames))
	for i, px := range frames {
		out[i] = px[lo:hi]
	}
	return out
}

// add takes frames first, first+1, ... of a band, which are data.
func (f *flattening) add(x *windows, first int, frames [][]uint16) error {
	if len(frames) == 0 {
		return nil
	}
	c := f.counters[x.band]
	x.res.Add(c.goodOf(first, frames, nil))
	if x.first > 0 || c.accumulators() == 0 {
		return nil
	}
	d := c.room.desk()
	defer c.room.putDesk(d)
	return c.eachTile(d, 0, f.kept(x, frames), func(k *cell, lo int, frames [][]uint16) error {
		c.addData(k, lo, first, frames)
		return nil
	})
}

// settle decides which frames of zeros are no data, and adds the others: a frame that is no data has zeros in all
// bands of the round.
func (f *flattening) settle(round []*windows) error {
	bands := map[int]int{}
	for _, x := range round {
		for _, k := range x.zeros {
			bands[k]++
		}
	}
	var numbers []int
	var extents []frame.Extent
	for k := range f.extents {
		switch {
		case f.state[k] != unknown || bands[k] == 0:
		case bands[k] < len(round):
			f.state[k] = data
		case len(round) == len(f.flat.Bands()):
			f.state[k] = blank
		default:
			numbers, extents = append(numbers, k), append(extents, f.extents[k])
		}
	}
	zero, err := f.zeroFrames(f.panel, extents)
	if err != nil {
		return err
	}
	for i, k := range numbers {
		f.state[k] = data
		if zero[i] {
			f.state[k] = blank
		}
	}
	for _, x := range round {
		b := f.bands[x.band]
		rows := [][]uint16{make([]uint16, (b.Read.Hi-b.Read.Lo)*f.panel.Cols)}
		for _, k := range x.zeros {
			if f.state[k] != data {
				continue
			}
			if err := f.add(x, k, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// join puts the planes of windows and bands together.
func (f *flattening) join() (*plane.Set, error) {
	lost := make([]bool, len(f.extents))
	for k, s := range f.state {
		lost[k] = s == blank
	}
	sets := make([]*plane.Set, len(f.bands))
	for i, b := range f.bands {
		set, err := feature.JoinWindows(f.parts[i], b.Keep.Hi-b.Keep.Lo)
		if err != nil {
			return nil, fmt.Errorf("rows %d to %d: %w", b.Keep.Lo, b.Keep.Hi, err)
		}
		f.counters[i].lost = lost
		if sets[i], err = f.counters[i].whole(); err != nil {
			return nil, err
		}
		sets[i].Planes = append(sets[i].Planes, set.Planes...)
	}
	return plane.Concat(sets)
}
