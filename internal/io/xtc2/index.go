package xtc2

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// Stream is one stream of a run: its data files and, where there is one, its smalldata file.
type Stream struct {
	Number int
	First  *File // chunk 0; nil if only the smalldata file is there
	Smd    *File // nil if there is none
	// Open opens another data file of the stream by its base name. The error wraps fs.ErrNotExist if
	// there is no such file.
	Open func(name string) (*File, error)
}

// Request says what to index.
type Request struct {
	Streams []Stream
	// Experiment and Run are those of the file names; runinfo in the data goes before them.
	Experiment string
	Run        int
	// RunInFile picks a run by its number when the files hold several, 0: there must be one.
	RunInFile int
}

// Options are how to index; zero values mean the defaults.
type Options struct {
	Reads       int  // reads in flight, default 128: they are small, and wait more than they work
	NoSmalldata bool // read all datagram headers even where there is a smalldata file
	// Growing is asked when a stream of the run has no EndRun: it waits as long as it takes to tell and
	// lists the files that still change. Nil: files are taken to be complete.
	Growing func(ctx context.Context) ([]string, error)
}

// BuildIndex indexes one run: every frame of every panel, without reading pixels.
func BuildIndex(ctx context.Context, req Request, opt Options) (*frame.Index, error) {
	if opt.Reads <= 0 {
		opt.Reads = 128
	}
	defer frame.Blocking(opt.Reads)()
	b := &builder{req: req, opt: opt, slots: make(chan struct{}, opt.Reads), layouts: layouts{ids: map[layout]uint32{}}}
	scans := make([]*scan, len(req.Streams))
	group, ctx2 := errgroup.WithContext(ctx)
	for i, s := range req.Streams {
		scans[i] = &scan{b: b, stream: s}
		group.Go(func() error { return scans[i].run(ctx2) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(scans, func(s *scan) bool { return len(s.configs) > 0 }) {
		return nil, noConfigure(scans)
	}
	b.scans = scans
	run, err := b.pickRun(merge(scans))
	if err != nil {
		return nil, err
	}
	x := b.assemble(run)
	return x, b.finish(ctx, x, run)
}

// noConfigure is the error for files of which nothing can be read.
func noConfigure(scans []*scan) error {
	for _, s := range scans {
		if s.problem != nil {
			return fault.New(fault.Input, "could not index the run: %w", s.problem).
				WithHint("the file is cut in or before its Configure, or it is no XTC2 file")
		}
	}
	path := ""
	for _, s := range scans {
		for _, f := range s.files {
			if path == "" && f != nil {
				path = f.Path
			}
		}
	}
	return fault.New(fault.Input, "could not index the run: xtc2: %q has no Configure", path).
		WithHint("give the first chunk (-c000) of each stream: later chunks cannot be read alone")
}

// builder indexes one run.
type builder struct {
	req     Request
	opt     Options
	slots   chan struct{} // one element per datagram being read
	layouts layouts
	scans   []*scan

	counts counts
}

// counts are observations that repeat, by their text.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[text]++
}

// list gives the texts, ascending, with their numbers.
func (c *counts) list() []string {
	var out []string
	for text, n := range c.n {
		if n > 1 {
			text = fmt.Sprintf("%s (%d times)", text, n)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// pickRun gives the groups of the run that was asked for.
func (b *builder) pickRun(runs []*runGroups) (*runGroups, error) {
	for _, r := range runs {
		if !r.hasInfo {
			r.experiment, r.number = b.req.Experiment, b.req.Run
		}
		if r.experiment == "" {
			r.experiment = b.req.Experiment
		}
	}
	if len(runs) == 1 && (b.req.RunInFile == 0 || b.req.RunInFile == runs[0].number) {
		return runs[0], nil
	}
	var have []string
	var found []*runGroups
	for _, r := range runs {
		have = append(have, fmt.Sprintf("%d (%d events)", r.number, r.events))
		if r.number == b.req.RunInFile {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fault.New(fault.Input, "the files hold run %d %d times, with different beginnings", b.req.RunInFile, len(found))
	case b.req.RunInFile == 0:
		return nil, fault.New(fault.Usage, "the files hold %d runs: %v", len(runs), have).WithHint("pick one with --run-in-file N")
	}
	return nil, fault.New(fault.Input, "the files hold no run %d, only %v", b.req.RunInFile, have).WithHint("pick one with --run-in-file N")
}

// assemble makes the index of a run from its groups.
func (b *builder) assemble(run *runGroups) *frame.Index {
	x := &frame.Index{Format: "xtc2"}
	x.Run = frame.Run{Experiment: run.experiment, Number: run.number, Begin: Time(run.begin)}
	fileOf := b.listFiles(x)
	segs := b.segments(run)
	starts := b.addPanels(x, segs)

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
			step.Events++
			b.addEvent(x, g, e, segs, starts, fileOf)
		case g.service == BeginStep:
			gains.transition(g)
			flush()
			step = frame.Step{Number: step.Number + 1, Begin: g.ts, Doc: gains.doc}
			step.GainModes = gains.modes(step.Number)
		case g.service == Configure:
			gains.transition(g)
			if step.Number < 0 {
				step.GainModes = gains.modes(-1)
			}
		}
	}
	flush()
	return x
}

// listFiles fills x.Files and gives, per scan, the number of each of its files, -1 for absent ones.
func (b *builder) listFiles(x *frame.Index) [][]int32 {
	fileOf := make([][]int32, len(b.scans))
	for i, s := range b.scans {
		for _, f := range s.files {
			n := int32(-1)
			if f != nil {
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
	var list []*known
	for _, g := range run.groups {
		for _, m := range g.members {
			e := &b.scans[m.scan].entries[m.entry]
			if e.config < 0 {
				continue
			}
			c := b.scans[m.scan].configs[e.config]
			if g.service.IsEvent() {
				for i := range e.slots {
					if l := e.slots[i].layout; l != 0 {
						bySegment[c.segments[i]].count(l)
					}
				}
				continue
			}
			for i, s := range c.segments {
				if bySegment[s] == nil {
					bySegment[s] = &known{segment: s, names: c.names[i], counts: map[uint32]int{}}
					list = append(list, bySegment[s])
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

// addPanels fills x.Panels and gives the number of each segment's first panel, -1 where there is none.
// The shape of a segment without frames is that of its detector's other segments, or of its type.
func (b *builder) addPanels(x *frame.Index, segs []*known) []int {
	starts := make([]int, len(segs))
	for i, k := range segs {
		starts[i] = len(x.Panels)
		sh := k.shape
		if k.layout == 0 {
			ok := false
			for _, o := range segs {
				if o.layout != 0 && o.detector == k.detector && !ok {
					sh, ok = o.shape, true
				}
			}
			if !ok {
				sh, ok = expected(k.names.DetType)
			}
			if !ok {
				starts[i] = -1
				b.counts.add("%s segment %d (%s) is left out: no frame of it tells its shape", k.detector, k.number, k.names.DetType)
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
func (b *builder) addEvent(x *frame.Index, g group, event int, segs []*known, starts []int, fileOf [][]int32) {
	filled := map[segment]bool{}
	dropped := uint16(0)
	for _, m := range g.members {
		dropped |= b.scans[m.scan].entries[m.entry].damage & DamageDroppedContribution
	}
	for _, m := range g.members {
		s := b.scans[m.scan]
		e := &s.entries[m.entry]
		for i := range e.slots {
			seg := s.configs[e.config].segments[i]
			n, _ := slices.BinarySearchFunc(segs, seg, func(k *known, s segment) int { return compareSegments(k.segment, s) })
			if n == len(segs) || segs[n].segment != seg || starts[n] < 0 {
				continue
			}
			slot := e.slots[i]
			if filled[seg] && slot.layout != 0 {
				b.counts.add("%s segment %d came from two streams in one event; the first counts", seg.detector, seg.number)
			}
			if filled[seg] {
				continue
			}
			filled[seg] = slot.layout != 0
			b.addSlot(x, slot, segs[n], event*len(x.Panels)+starts[n], fileOf[m.scan][e.file])
		}
	}
	for n, k := range segs {
		if starts[n] >= 0 && dropped != 0 && !filled[k.segment] {
			for sub := range k.shape.subs {
				x.At(event, starts[n]+sub).Damage |= dropped
			}
		}
	}
}

// addSlot sets the extents of one segment's panels, the first of which is number at.
func (b *builder) addSlot(x *frame.Index, slot slot, k *known, at int, file int32) {
	state := slot.state
	if slot.layout != 0 && slot.layout != k.layout {
		b.counts.add("%s segment %d: a frame of another shape or type", k.detector, k.number)
		if state == frame.Present {
			state = frame.Odd
		}
	}
	for sub := range k.shape.subs {
		ext := &x.Extents[at+sub]
		ext.State, ext.Damage = state, slot.damage
		if slot.layout == k.layout && slot.layout != 0 && file >= 0 {
			ext.File, ext.Offset, ext.Length = file, slot.off+int64(sub)*int64(k.shape.bytes), k.shape.bytes
		}
	}
}

// finish adds what makes the run incomplete, and the notes.
func (b *builder) finish(ctx context.Context, x *frame.Index, run *runGroups) error {
	var open []int
	for i, s := range b.scans {
		x.Missing = append(x.Missing, s.missing...)
		x.Notes = append(append(x.Notes, s.notes...), s.counts.list()...)
		if s.broken.n > 0 {
			x.Notes = append(x.Notes, fmt.Sprintf("stream %d: %d events could not be read to their end, the first: %v", s.stream.Number, s.broken.n, s.broken.err))
		}
		if len(s.entries) > 0 && !run.ended[i] && run.last {
			open = append(open, s.stream.Number)
		}
	}
	if !run.begun {
		x.Notes = append(x.Notes, "no BeginRun: run number and time are those of the file name and the first Configure")
	}
	if len(open) > 0 {
		x.Notes = append(x.Notes, fmt.Sprintf("no EndRun in stream %v", open))
		if b.opt.Growing != nil {
			files, err := b.opt.Growing(ctx)
			if err != nil {
				return err
			}
			for _, f := range files {
				x.Missing = append(x.Missing, fmt.Sprintf("%q is still in progress: it changes", f))
			}
		}
	}
	x.Notes = append(x.Notes, run.notes...)
	x.Notes = append(x.Notes, b.counts.list()...)
	return nil
}
