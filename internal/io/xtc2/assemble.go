package xtc2

import (
	"fmt"
	"slices"

	"rawstatus/internal/io/frame"
)

// assembly makes the index of a run from its groups.
type assembly struct {
	*builder
	x      *frame.Index
	segs   []*known
	starts []int     // number of each segment's first panel, -1 where there is none
	fileOf [][]int32 // per scan: the number of each of its files, -1 for absent ones
	at     [][][]int // per scan and configuration: the place of its segments in segs, -1 where there is none
	// headings has per scan the numbers that its headings got in the index, 0 for those that have none yet.
	headings [][]uint16
	numbers  map[string]uint16 // of headings in the index
	filled   []bool            // segments of the event under way
}

// assemble makes the index of a run.
func (b *builder) assemble(run *runGroups) (*frame.Index, error) {
	x := &frame.Index{Format: "xtc2"}
	x.Run = frame.Run{Experiment: run.experiment, Number: run.number, Begin: Time(run.begin)}
	a := &assembly{builder: b, x: x, fileOf: b.listFiles(x), segs: b.segments(run), numbers: map[string]uint16{}}
	a.starts = b.addPanels(x, a.segs)
	a.filled = make([]bool, len(a.segs))
	for _, s := range b.scans {
		a.at = append(a.at, a.places(s))
		a.headings = append(a.headings, make([]uint16, len(s.models.headings)))
	}
	if err := b.req.CheckSize(run.events, len(x.Panels)); err != nil {
		return nil, err
	}
	x.Events = make([]frame.Event, 0, run.events)
	x.Extents = make([]frame.Extent, run.events*len(x.Panels))
	for i := range x.Extents {
		x.Extents[i].State = frame.Missing
	}
	gains := newGainTracker(b, x)
	step := frame.Step{Number: -1}
	flush := func() {
		if step.Number >= 0 || step.Events > 0 {
			x.Steps = append(x.Steps, step)
		}
	}
	for _, g := range run.groups {
		switch {
		case g.service.IsEvent():
			e := len(x.Events)
			x.Events = append(x.Events, frame.Event{TS: g.ts, Step: int32(step.Number)})
			x.Groups = append(x.Groups, a.groups(g))
			step.Events++
			a.addEvent(g, e)
		case g.service == BeginStep:
			gains.transition(g)
			flush()
			step = frame.Step{Number: step.Number + 1, Begin: g.ts, Doc: gains.doc}
			step.Gains = gains.gains()
			gains.addPulsed(step.Number)
		case g.service == Configure:
			gains.transition(g)
			if step.Number < 0 {
				step.Gains = gains.gains()
			}
		}
	}
	flush()
	return x, nil
}

// groups joins the readout groups of an event's datagrams.
func (a *assembly) groups(g group) (all uint16) {
	for _, m := range g.members {
		all |= a.scans[m.scan].entries[m.entry].groups
	}
	return all
}

// places returns where the segments of a scan's configurations are in segs.
func (a *assembly) places(s *scan) [][]int {
	var all [][]int
	for _, c := range s.configs {
		list := make([]int, len(c.segments))
		for i, seg := range c.segments {
			n, ok := slices.BinarySearchFunc(a.segs, seg, func(k *known, s segment) int { return compareSegments(k.segment, s) })
			if list[i] = n; !ok || a.starts[n] < 0 {
				list[i] = -1
			}
		}
		all = append(all, list)
	}
	return all
}

// listFiles fills x.Files and returns, per scan, the number of each of its files, -1 for absent ones.
func (b *builder) listFiles(x *frame.Index) [][]int32 {
	fileOf := make([][]int32, len(b.scans))
	for i, s := range b.scans {
		for _, f := range s.files {
			n := int32(-1)
			if f.IsThere() {
				n = int32(len(x.Files))
				x.Files = append(x.Files, f.File)
			}
			fileOf[i] = append(fileOf[i], n)
		}
	}
	return fileOf
}

// known is a segment of the run with what its frames look like.
type known struct {
	segment
	names  *Names
	counts map[uint32]int // frames by layout
	order  []uint32       // layouts as they came
	layout uint32         // the one that its frames must have, 0: no frame
	shape  shape
}

// segments lists the segments of the run's configurations, with the layout that most frames have.
func (b *builder) segments(run *runGroups) []*known {
	bySegment := map[segment]*known{}
	of := map[*config][]*known{}
	var list []*known
	for _, g := range run.groups {
		for _, m := range g.members {
			e := &b.scans[m.scan].entries[m.entry]
			if e.config < 0 {
				continue
			}
			c := b.scans[m.scan].configs[e.config]
			if of[c] == nil {
				for i, s := range c.segments {
					if bySegment[s] == nil {
						bySegment[s] = &known{segment: s, names: c.names[i], counts: map[uint32]int{}}
						list = append(list, bySegment[s])
					}
					of[c] = append(of[c], bySegment[s])
				}
			}
			for i := range e.panels() {
				if o, _ := e.slot(i); o.layout != 0 {
					of[c][i].count(o.layout)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, c *known) int { return compareSegments(a.segment, c.segment) })
	for _, k := range list {
		k.choose(&b.layouts)
	}
	return list
}

func (k *known) count(l uint32) {
	if k.counts[l]++; k.counts[l] == 1 {
		k.order = append(k.order, l)
	}
}

// choose takes the layout of most frames, the earliest of equals, among those that hold panels.
func (k *known) choose(t *layouts) {
	for _, l := range k.order {
		if sh, ok := t.get(l).shape(k.names.DetType); ok && (k.layout == 0 || k.counts[l] > k.counts[k.layout]) {
			k.layout, k.shape = l, sh
		}
	}
}

// addPanels fills x.Panels and returns the number of each segment's first panel, -1 where there is none.
// The shape of a segment without frames is that of its detector's other segments, or of its type.
func (b *builder) addPanels(x *frame.Index, segs []*known) []int {
	starts := make([]int, len(segs))
	shapes := map[string]shape{} // of each detector's first segment with frames
	for _, k := range segs {
		if _, ok := shapes[k.detector]; k.layout != 0 && !ok {
			shapes[k.detector] = k.shape
		}
	}
	for i, k := range segs {
		starts[i] = len(x.Panels)
		sh := k.shape
		if k.layout == 0 {
			ok := false
			if sh, ok = shapes[k.detector]; !ok {
				sh, ok = expected(k.names.DetType)
			}
			if !ok {
				starts[i] = -1
				b.counts.Add("%s segment %d (%s) is left out: no frame of it tells its shape", k.detector, k.number, k.names.DetType)
				continue
			}
			k.shape = sh
		}
		for sub := range sh.subs {
			id := k.names.DetID
			if sh.subs > 1 && id != "" {
				id = fmt.Sprintf("%s-ASIC-%02d", id, sub)
			}
			x.Panels = append(x.Panels, frame.Panel{Detector: k.detector, Type: k.names.DetType, Segment: k.number, Sub: sub,
				ID: id, Rows: sh.rows, Cols: sh.cols, Codec: sh.codec})
		}
	}
	return starts
}

// addEvent fills the extents of one event.
func (a *assembly) addEvent(g group, event int) {
	clear(a.filled)
	dropped := uint16(0)
	for _, m := range g.members {
		dropped |= a.scans[m.scan].entries[m.entry].damage & DamageDroppedContribution
	}
	for _, m := range g.members {
		e := &a.scans[m.scan].entries[m.entry]
		for i := range e.panels() {
			n := a.at[m.scan][e.config][i]
			if n < 0 {
				continue
			}
			o, heading := e.slot(i)
			if a.filled[n] && o.layout != 0 {
				a.counts.Add("%s segment %d came from two streams in one event; the first counts", a.segs[n].detector, a.segs[n].number)
			}
			if a.filled[n] {
				continue
			}
			a.filled[n] = o.layout != 0
			a.addSlot(o, a.segs[n], event*len(a.x.Panels)+a.starts[n], a.fileOf[m.scan][e.file])
			if heading != 0 && o.layout == a.segs[n].layout {
				a.x.At(event, a.starts[n]).Heading = a.heading(m.scan, int(heading)-1)
			}
		}
	}
	if dropped == 0 {
		return
	}
	for n, k := range a.segs {
		if a.starts[n] >= 0 && !a.filled[n] {
			for sub := range k.shape.subs {
				a.x.At(event, a.starts[n]+sub).Damage |= dropped
			}
		}
	}
}

// addSlot sets the extents of one segment's panels, the first of which is number at.
func (a *assembly) addSlot(slot slot, k *known, at int, file int32) {
	state := slot.state
	if slot.layout != 0 && slot.layout != k.layout {
		a.counts.Add("%s segment %d: a frame of another shape or type", k.detector, k.number)
		if state == frame.Present {
			state = frame.Odd
		}
	}
	for sub := range k.shape.subs {
		ext := &a.x.Extents[at+sub]
		ext.State, ext.Damage = state, slot.damage
		if slot.layout == k.layout && slot.layout != 0 && file >= 0 {
			ext.File, ext.Offset, ext.Length = file, slot.off+int64(sub)*int64(k.shape.bytes), k.shape.bytes
		}
	}
}

// heading returns the number that a heading of a scan has in the index, where equal ones have one.
func (a *assembly) heading(scan, n int) uint16 {
	if a.headings[scan][n] == 0 {
		h := a.scans[scan].models.headings[n]
		key := fmt.Sprint(h.Before, h.Bytes)
		if a.numbers[key] == 0 {
			a.x.Headings = append(a.x.Headings, h)
			a.numbers[key] = uint16(len(a.x.Headings))
		}
		a.headings[scan][n] = a.numbers[key]
	}
	return a.headings[scan][n]
}
