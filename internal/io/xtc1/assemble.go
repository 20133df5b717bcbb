package xtc1

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// detector is an area detector of the run.
type detector struct {
	src    source
	setups []*setup             // first of each configuration type
	gains  [][]frame.GainConfig // by step + 1 and panel; nil where no stream has it
	layout *layout
	codecs []frame.Codec // by panel, as in the first frame
	tries  int           // frames that did not fit the layout before one did
	why    error         // why it cannot be read
	base   int           // of its panels in the index
	slow   bool          // only control streams have it
}

// maxTries is the number of frames that may fail to fit before a detector is given up on codecs.
const maxTries = 16

func (b *builder) detector(src source) *detector {
	d := b.bySrc[src]
	if d == nil {
		d = &detector{src: src}
		b.bySrc[src] = d
	}
	return d
}

// findDetectors takes configurations and first frames and works out where pixels lie.
func (b *builder) findDetectors(ctx context.Context) error {
	b.bySrc = map[source]*detector{}
	for _, st := range b.streams {
		for _, s := range st.scans {
			for _, c := range s.configs {
				if err := b.detector(c.src).configure(s, c); err != nil {
					return err
				}
			}
		}
	}
	for _, s := range b.scans {
		for i := range s.records {
			r := &s.records[i]
			if r.damage != 0 {
				continue
			}
			d := b.detector(r.src)
			if d.layout == nil {
				d.slow = s.f.Stream >= controlStream
			}
			if err := d.addFrame(ctx, b, s, r); err != nil {
				return err
			}
		}
	}
	for _, d := range b.bySrc {
		if d.layout == nil && d.why == nil {
			for _, set := range d.setups {
				l, err := layoutOf(d.src, set.expected(), []*setup{set}, nil)
				if d.layout, d.why = l, err; err == nil {
					break
				}
			}
		}
		if d.layout == nil {
			if d.why != nil {
				b.counts.Add("%v cannot be read: %v", d.src, d.why)
			}
			continue
		}
		if d.codecs == nil {
			for i := range d.layout.segments {
				d.codecs = append(d.codecs, d.layout.codec(i))
			}
		}
		b.dets = append(b.dets, d)
	}
	slices.SortFunc(b.dets, func(d, e *detector) int { return cmp.Compare(d.src.String(), e.src.String()) })
	return nil
}

// configure takes a configuration object; a later one may change gain modes, not shapes.
func (d *detector) configure(s *fileScan, c configured) error {
	if c.setup == nil {
		if d.why == nil && len(d.setups) == 0 {
			d.why = c.why
		}
		return nil
	}
	d.why = nil
	for _, old := range d.setups {
		if old.id == c.setup.id {
			if !old.sameShape(c.setup) {
				return fault.New(fault.Input, "xtc1: %q: %v changes its shape after calib cycle %d: %d x %d x %d pixels, before %d x %d x %d",
					s.f.Path, c.src, c.cycle, c.setup.n, c.setup.rows, c.setup.cols, old.n, old.rows, old.cols).
					WithHint("such a run cannot be evaluated as a whole")
			}
			return nil
		}
	}
	d.setups = append(d.setups, c.setup)
	return nil
}

func (s *setup) sameShape(t *setup) bool {
	return s.version == t.version && s.n == t.n && s.rows == t.rows && s.cols == t.cols && s.rowsV1 == t.rowsV1 &&
		s.asics == t.asics && s.quads == t.quads && s.roi == t.roi && slices.Equal(s.ids, t.ids)
}

// addFrame learns the layout from the first frame, and from the first that fits how it is coded.
func (d *detector) addFrame(ctx context.Context, b *builder, s *fileScan, r *record) error {
	if d.codecs != nil || d.tries >= maxTries || r.at+r.n > s.f.Size {
		return nil
	}
	p, err := b.payload(ctx, s, r)
	if err == nil && d.layout == nil {
		first := []byte(nil)
		if r.n >= peekSize {
			if first, err = p.peek(0, peekSize); err != nil {
				return notOdd(err)
			}
		}
		var l *layout
		if l, err = layoutOf(d.src, r.word, d.setups, first); err != nil {
			d.tries++
			if d.why == nil {
				d.why = err
			}
			return nil
		}
		d.layout = l
	}
	var pieces []piece
	if err == nil && r.word == d.layout.word {
		pieces, err = d.layout.locate(p)
	}
	if err != nil {
		d.tries++
		return notOdd(err)
	}
	for _, piece := range pieces {
		d.codecs = append(d.codecs, piece.codec)
	}
	return nil
}

// notOdd drops errors that concern one frame.
func notOdd(err error) error {
	if errors.As(err, new(errOdd)) {
		return nil
	}
	return err
}

// payload opens the payload of a leaf.
func (b *builder) payload(ctx context.Context, s *fileScan, r *record) (payload, error) {
	read := func(off int64, n int) ([]byte, error) {
		buf := make([]byte, n)
		return buf, b.reads.full(ctx, s.f.Path, s.f.R, buf, off)
	}
	if r.word&compressed != 0 {
		return openPacked(r.at, r.n, read)
	}
	return plain{at: r.at, size: r.n, first: r.peek[:r.have], read: read}, nil
}

// numberSteps numbers the calib cycles of the run: those of the stream that has most of them, and those that only other
// streams of the same clock have. In a stream that has lost some, a cycle is known by its time.
func (b *builder) numberSteps() {
	var most *stream
	for _, st := range b.streams {
		if most == nil || len(st.cycles) > len(most.cycles) {
			most = st
		}
	}
	b.begins = slices.Clone(most.cycles)
	times := map[uint64]bool{}
	for _, c := range most.cycles {
		times[c.ts] = true
	}
	for _, st := range b.streams {
		common := slices.ContainsFunc(st.cycles, func(c cycle) bool { return times[c.ts] })
		if st.control() || !common && (st.scans[0].begin == 0 || st.scans[0].begin != most.scans[0].begin) {
			continue // its clock is another
		}
		for _, c := range st.cycles {
			if !times[c.ts] {
				b.begins, times[c.ts] = append(b.begins, c), true
			}
		}
	}
	slices.SortStableFunc(b.begins, func(c, d cycle) int { return cmp.Compare(c.ts, d.ts) })
	streams := slices.Clone(b.streams)
	slices.SortStableFunc(streams, func(s, t *stream) int { return cmp.Compare(len(t.cycles), len(s.cycles)) })
	for _, d := range b.bySrc {
		for _, st := range streams {
			d.follow(st, b)
		}
	}
}

// follow takes what a stream says of the detector's gain, step by step. A step in which the stream takes no part
// may have changed it: what it said before is in force no longer.
func (d *detector) follow(st *stream, b *builder) {
	told := map[int32][]frame.GainConfig{}
	for _, s := range st.scans {
		for _, c := range s.configs {
			if c.src == d.src && c.setup != nil && c.setup.gains != nil {
				told[st.stepOfConfig(c, b)] = c.setup.gains
			}
		}
	}
	if len(told) == 0 {
		return
	}
	if d.gains == nil {
		d.gains = make([][]frame.GainConfig, len(b.begins)+1)
	}
	took := map[int32]bool{-1: true}
	for i, c := range st.cycles {
		took[st.step(int32(i), c.ts, b)] = true
	}
	var inForce []frame.GainConfig
	for i := range d.gains {
		step := int32(i) - 1
		if !took[step] {
			inForce = nil
		}
		if told[step] != nil {
			inForce = told[step]
		}
		if d.gains[i] == nil {
			d.gains[i] = inForce
		}
	}
}

// stepAt returns the step at a time.
func (b *builder) stepAt(ts uint64) int32 {
	return int32(sort.Search(len(b.begins), func(i int) bool { return b.begins[i].ts > ts })) - 1
}

// step returns the number of the step of something in a cycle of the stream, or at a time where the stream
// has lost a cycle.
func (st *stream) step(cycle int32, ts uint64, b *builder) int32 {
	switch {
	case cycle == cycleLost || len(st.cycles) != len(b.begins):
		return b.stepAt(ts)
	case cycle < 0:
		return -1
	}
	return cycle
}

// stepOfConfig returns the step from which on a configuration is in force.
func (st *stream) stepOfConfig(c configured, b *builder) int32 {
	cycle := c.cycle
	if cycle >= 0 && c.within {
		cycle++
	}
	switch {
	case cycle < 0:
		return -1
	case int(cycle) == len(st.cycles):
		return int32(len(b.begins)) // behind the last step
	}
	return st.step(cycle, st.cycles[cycle].ts, b)
}

// merged is an event of the run: that of a DAQ stream, and frames of slow recorders for the same shot.
type merged struct {
	ts    uint64
	step  int32
	parts []part
}

type part struct {
	s *fileScan
	e *event
}

// mergeEvents puts the events of all streams into the order of time and adds those of the control
// streams to the shot they belong to.
func (b *builder) mergeEvents() {
	daq := slices.ContainsFunc(b.streams, func(st *stream) bool { return !st.control() })
	n := 0
	for _, s := range b.scans {
		n += len(s.events)
	}
	parts := make([]part, 0, n)
	for _, st := range b.streams {
		if daq && st.control() {
			continue
		}
		for _, s := range st.scans {
			for i := range s.events {
				e := &s.events[i]
				parts = append(parts, part{s, e})
				b.events = append(b.events, merged{ts: e.ts, step: st.step(e.cycle, e.ts, b), parts: parts[len(parts)-1 : len(parts) : len(parts)]})
			}
		}
	}
	slices.SortStableFunc(b.events, func(x, y merged) int { return cmp.Compare(x.ts, y.ts) })
	if !daq {
		return
	}
	shots := map[uint32][]int32{}
	for i, e := range b.events {
		f := e.parts[0].e.fiducial
		shots[f] = append(shots[f], int32(i))
	}
	for _, st := range b.streams {
		if !st.control() {
			continue
		}
		for _, s := range st.scans {
			for i := range s.events {
				e := &s.events[i]
				if to := b.nearest(shots[e.fiducial], e.ts); to >= 0 {
					b.events[to].parts = append(b.events[to].parts, part{s, e})
				} else if e.n > 0 {
					b.counts.Add("frames of stream %d belong to no event of the DAQ streams and are left out, as in psana", st.number)
				}
			}
		}
	}
}

// nearest returns the event among those of one fiducial that is nearest in time, or -1 if none is near.
func (b *builder) nearest(events []int32, ts uint64) int32 {
	best, found := uint64(maxSlip)<<32, int32(-1)
	for _, i := range events {
		if d := max(ts, b.events[i].ts) - min(ts, b.events[i].ts); d < best {
			best, found = d, i
		}
	}
	return found
}

// assemble makes the index, with all extents missing.
func (b *builder) assemble() (*frame.Index, error) {
	x := &frame.Index{Format: "xtc1", Run: b.runOf()}
	for _, s := range b.scans {
		x.Files = append(x.Files, s.f.File)
	}
	x.Groups = make([]uint16, len(b.events))
	for _, d := range b.dets {
		d.base = len(x.Panels)
		if d.slow {
			x.Unpaced = append(x.Unpaced, d.src.String())
		}
		for i, seg := range d.layout.segments {
			x.Panels = append(x.Panels, frame.Panel{Detector: d.src.String(), Type: d.src.dettype(), Segment: seg, ID: d.panelID(seg),
				Rows: d.layout.rows, Cols: d.layout.cols, Bits: d.layout.bits, Codec: d.codecs[i]})
		}
	}
	steps := make([]frame.Step, len(b.begins)+1)
	for i := range steps {
		steps[i].Number = i - 1
		if i > 0 {
			steps[i].Begin, steps[i].Doc = b.begins[i-1].ts, b.begins[i-1].doc
		}
		for _, d := range b.dets {
			for k := range d.layout.segments {
				steps[i].Gains = append(steps[i].Gains, d.gain(x, i-1, x.Panels[d.base+k]))
			}
		}
	}
	x.Events = make([]frame.Event, len(b.events))
	for i, e := range b.events {
		x.Events[i] = frame.Event{TS: e.ts, Step: e.step}
		for _, p := range e.parts {
			x.Groups[i] |= p.e.groups
		}
		steps[e.step+1].Events++
	}
	if steps[0].Events == 0 {
		steps = steps[1:]
	}
	x.Steps = steps
	if err := b.req.CheckSize(len(x.Events), len(x.Panels)); err != nil {
		return nil, err
	}
	x.Extents = make([]frame.Extent, len(x.Events)*len(x.Panels))
	return x, nil
}

// panelID returns the hardware id of a panel, or the detector's name as the original tools use it.
func (d *detector) panelID(segment int) string {
	for _, s := range d.setups {
		if segment < len(s.ids) {
			return s.ids[segment]
		}
	}
	return d.src.plain()
}

// gain returns what is said of a panel's gain in a step.
func (d *detector) gain(x *frame.Index, step int, panel frame.Panel) (g frame.Gain) {
	if d.gains != nil && panel.Segment < len(d.gains[step+1]) {
		x.Claim(&g, panel, d.gains[step+1][panel.Segment])
	}
	return g
}

// fill sets the extents of all events, some ranges of events at a time because payloads may have to be
// looked into.
func (b *builder) fill(ctx context.Context, x *frame.Index) error {
	group, ctx := fault.WithContext(ctx)
	group.SetLimit(b.opt.Reads)
	const chunk = 16
	for lo := 0; lo < len(b.events); lo += chunk {
		group.Go(func() error { return b.fillRange(ctx, x, lo, min(lo+chunk, len(b.events))) })
	}
	return group.Wait()
}

func (b *builder) fillRange(ctx context.Context, x *frame.Index, lo, hi int) error {
	np := len(x.Panels)
	for i := lo; i < hi; i++ {
		exts := x.Extents[i*np : (i+1)*np]
		for _, p := range b.events[i].parts {
			for k := p.e.first; k < p.e.first+p.e.n; k++ {
				r := &p.s.records[k]
				d := b.bySrc[r.src]
				if d == nil || d.layout == nil {
					continue
				}
				if err := b.fillFrame(ctx, p.s, r, d, exts[d.base:d.base+len(d.codecs)]); err != nil {
					return err
				}
			}
		}
		for _, d := range b.dets {
			d.fillAbsent(b.events[i].parts, exts[d.base:d.base+len(d.codecs)])
		}
	}
	return nil
}

// unset is the state of an extent before anything is known of it.
const unset = frame.State(0)

// fillFrame sets the extents of one detector in one event from a leaf.
func (b *builder) fillFrame(ctx context.Context, s *fileScan, r *record, d *detector, exts []frame.Extent) error {
	if exts[0].State != unset || exts[0].Length != 0 {
		b.counts.Add("%v comes twice in an event; the first counts", d.src)
		return nil
	}
	set := func(state frame.State) {
		for i := range exts {
			exts[i] = frame.Extent{File: s.n, State: state, Damage: foldDamage(r.damage | r.around)}
		}
	}
	switch {
	case r.damage != 0:
		set(frame.Damaged)
		return nil
	case r.at+r.n > s.f.Size:
		set(frame.Truncated)
		return nil
	case r.word != d.layout.word:
		set(frame.Odd)
		b.counts.Add("%v: frame not used: %s", d.src, wordName(r.word))
		return nil
	}
	p, err := b.payload(ctx, s, r)
	var pieces []piece
	if err == nil {
		pieces, err = d.layout.locate(p)
	}
	for i, piece := range pieces {
		if err == nil && piece.codec != d.codecs[i] {
			err = errOdd{fmt.Sprintf("coded as %q", piece.codec)}
		}
	}
	if err != nil {
		set(frame.Odd)
		b.counts.Add("%v: frame not used: %v", d.src, err)
		return notOdd(err)
	}
	for i, piece := range pieces {
		exts[i] = frame.Extent{Offset: piece.off, Length: uint32(piece.n), File: s.n, Damage: foldDamage(r.around)}
	}
	return nil
}

// fillAbsent says why the detector is not in an event.
func (d *detector) fillAbsent(parts []part, exts []frame.Extent) {
	if exts[0].State != unset || exts[0].Length != 0 {
		return
	}
	why := frame.Extent{State: frame.Missing}
	for _, p := range parts {
		if d.slow != (p.s.f.Stream >= controlStream) {
			continue // nothing there could have been of this detector
		}
		why.Damage |= foldDamage(p.e.damage | p.e.skipped)
		switch {
		case p.e.cut:
			why.State = frame.Truncated
		case p.e.broken && why.State != frame.Truncated:
			why.State = frame.Bad
		case p.e.skipped != 0 && why.State == frame.Missing:
			why.State = frame.Damaged
		}
	}
	for i := range exts {
		exts[i] = why
	}
}

// foldDamage puts damage into the 16 bits of an extent: the user byte is left out, "contains
// incomplete" becomes "incomplete".
func foldDamage(damage uint32) uint16 {
	if damage&damageContains != 0 {
		damage |= damageIncomplete
	}
	return uint16(damage)
}

// wordName names a type word.
func wordName(word uint32) string {
	x := xtc{word: word}
	text := fmt.Sprintf("%s version %d", typeName(x.id()), x.version())
	if word&compressed != 0 {
		text += ", compressed"
	}
	return text
}
