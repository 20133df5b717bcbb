package reduce

import (
	"fmt"

	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
)

// measurer reads what the tasks of a plan have counted, keeps it merged, and measures pixels by profiles data and dark
// without keeping their planes. Its memory serves one group after the other.
type measurer struct {
	work     string
	plan     *plan.Plan
	rules    *plan.Plan // what is measured is judged by these
	extremes bool       // products are made of them
	room     []status.PanelResult
	at       []int // of each unit in room: its position in its group
	whole    []int // of each unit: the task that has all of its frames, or -1
	readers  chan *plan.PlaneTiles
}

func newMeasurer(work string, p *plan.Plan, extremes bool) *measurer {
	m := &measurer{work: work, plan: p, rules: p, extremes: extremes, at: make([]int, len(p.Units)), whole: make([]int, len(p.Units)), readers: make(chan *plan.PlaneTiles, 64)}
	inGroup := make([]int, len(p.Groups))
	for u := range p.Units {
		g := p.Units[u].Group
		m.at[u], m.whole[u] = inGroup[g], -1
		inGroup[g]++
		m.room = append(m.room, make([]status.PanelResult, max(0, inGroup[g]-len(m.room)))...)
	}
	for t := range p.Tasks {
		if u, whole := p.Whole(t); whole {
			m.whole[u] = t
		}
	}
	return m
}

// bytes returns the memory that a pixel takes.
func (m *measurer) bytes() int64 {
	if m.plan.Params.Family() == status.Dark {
		return measuredBytes
	}
	return judgedBytes
}

// unit returns what a unit is judged by, from the partials. What was measured of a unit of an earlier group at the same
// position ends.
func (m *measurer) unit(unit int, opt Options) (in planes, err error) {
	p := m.plan
	if opt.Progress != nil {
		defer opt.Progress(1)
	}
	measured := p.Params.Family() == status.Dark && !gatesOnly(p, []int{unit})
	t := m.whole[unit]
	if t < 0 || !measured {
		if in, err = mergePartials(m.work, p, unit); err != nil {
			return in, err
		}
	}
	if t >= 0 {
		in.partial = plan.TaskFile(m.work, t)
	}
	if in.set != nil || in.partial != "" {
		if err = saveMerged(m.work, p, unit, in, opt.Mode); err != nil {
			return in, fmt.Errorf("could not keep the merged planes of %s: %w", p.UnitName(unit), err)
		}
	}
	switch {
	case !measured:
		return in, nil
	case t >= 0:
		return m.measurePartial(unit, t)
	}
	return m.measure(unit, in.set, func(at, n int) (*plane.Set, error) { return in.set.Part(at, n), nil })
}

// measurePartial measures a unit from the partial that has all of it.
func (m *measurer) measurePartial(unit, t int) (in planes, err error) {
	q, err := task.Open(m.work, m.plan, t)
	if err != nil {
		return in, err
	}
	defer q.Close()
	tiles := m.reader()
	defer m.free(tiles)
	head, err := q.Tiles(m.plan, tiles)
	if err != nil {
		return in, err
	}
	return m.measure(unit, head, func(_, n int) (*plane.Set, error) { return tiles.Next(n) })
}

// reader returns memory for the tiles of a file, which free takes back.
func (m *measurer) reader() *plan.PlaneTiles {
	select {
	case tiles := <-m.readers:
		return tiles
	default:
		return new(plan.PlaneTiles)
	}
}

func (m *measurer) free(tiles *plan.PlaneTiles) {
	select {
	case m.readers <- tiles:
	default:
	}
}

// stored measures a unit of profile dark from its merged planes, or where they are not to be had, from the partials.
func (m *measurer) stored(unit int) (in planes, err error) {
	if in, err = m.measureMerged(unit); err == nil {
		return in, nil
	}
	if in, err = stored(m.work, m.plan, unit); err != nil {
		return in, err
	}
	return m.measure(unit, in.set, func(at, n int) (*plane.Set, error) { return in.set.Part(at, n), nil })
}

// measureMerged measures a unit from its merged planes.
func (m *measurer) measureMerged(unit int) (in planes, err error) {
	if m.plan.Units[unit].Selected == 0 {
		return m.measure(unit, nil, nil)
	}
	f, head, err := openMerged(m.work, m.plan, unit)
	if err != nil {
		return in, err
	}
	defer f.Close()
	tiles := m.reader()
	defer m.free(tiles)
	if err := tiles.Open(f.Reader, head.Frames, m.plan.Pixels(unit)); err != nil {
		return in, err
	}
	return m.measure(unit, &plane.Set{Frames: head.Frames, Zeros: head.Zeros, Stuck: head.Stuck}, func(_, n int) (*plane.Set, error) { return tiles.Next(n) })
}

// measure measures the pixels of a unit, of which next returns the planes of n pixels at a time; head has its numbers of
// frames, nil where there are none.
func (m *measurer) measure(unit int, head *plane.Set, next func(at, n int) (*plane.Set, error)) (in planes, err error) {
	p := m.rules
	par, _ := darkParams(p, p.Units[unit].Group)
	panel := p.Panel(unit)
	out := &m.room[m.at[unit]]
	in = planes{dark: out}
	if head != nil {
		in.set = &plane.Set{Frames: head.Frames, Zeros: head.Zeros, Stuck: head.Stuck}
	}
	if m.extremes {
		in.min, in.max = make([]uint16, 0, panel.Pixels()), make([]uint16, 0, panel.Pixels())
	}
	for at := 0; at < panel.Pixels(); at += plan.TilePixels {
		n := min(plan.TilePixels, panel.Pixels()-at)
		var set *plane.Set
		if head != nil {
			if set, err = next(at, n); err != nil {
				return in, err
			}
			set.Zeros = head.Zeros // frames that were left out are those of all pixels
		}
		tile, err := darkPlanes(p, unit, set, 1, n)
		if err == nil {
			if at == 0 {
				out.Begin(par, tile.Frames, panel.Rows, panel.Cols)
			}
			err = par.Measure(out, at, &tile)
		}
		if err != nil {
			return in, fmt.Errorf("%s: %w", p.UnitName(unit), err)
		}
		in.gain = in.gain.add(gainWords(set))
		if m.extremes {
			least, largest := extremes(&tile)
			in.min, in.max = append(in.min, least...), append(in.max, largest...)
		}
	}
	return in, nil
}
