package task

import (
	"errors"
	"slices"
	"sync/atomic"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/plane"
)

// counter counts the pixels of one shard, or of some rows of it. What is nil is not wanted by the profile.
type counter struct {
	params plan.Params
	pixels int
	good   []bool // of the shard's frames; nil: all are
	sums   *accum.Gated
	max    *accum.Max
	gain   *accum.Gain
	never  bool // there are gain bits that no mode has
	// masked: words of other gain bits than those of the group are counted apart.
	masked  bool
	foreign uint16   // a word that is counted apart
	members *members // nil: all pixels are in the gain mode in all frames
	blanks  *blanks  // nil: all frames are data
	lost    []bool   // frames that are left out; nil: none
	lead    *lead    // nil: the gates are there
}

// members are the pixels that are in the gain mode, of the frames and rows of a counter.
type members struct {
	masks [][]bool // nil: all pixels
	of    []uint8  // by frame
}

// newCounter makes the accumulators for pixels [lo, hi) of a shard's panel. gateLo and gateHi are nil without
// gates.
func (w *worker) newCounter(shard, lo, hi int, good []bool, gateLo, gateHi []uint16) (*counter, error) {
	s, par := w.plan.Shards[shard], w.plan.Params
	family, _ := detector.Lookup(w.plan.Panel(s.Unit).Type)
	bits := w.plan.Groups[w.plan.Units[s.Unit].Group].GainBits
	if bits == nil {
		family.GainBits, bits = 0, new(uint16)
	}
	c := &counter{params: par, pixels: hi - lo, good: good, never: family.NeverPattern != 0, masked: par.Masked() && family.GainBits != 0, foreign: *bits ^ family.GainBits&-family.GainBits}
	if m, err := w.index.Members(s.Unit); err != nil {
		return nil, err
	} else if m != nil {
		c.members = &members{of: m.Of[s.Lo:s.Hi]}
		for _, mask := range m.Masks {
			mask = mask[lo:hi]
			if !slices.Contains(mask, false) {
				mask = nil
			}
			c.members.masks = append(c.members.masks, mask)
		}
	}
	g := par.Gates(0)
	if len(par.Features) == 0 || par.Has(2) || par.Has(3) {
		ap := accum.Params{DataBits: par.DataBits, LoBelow: g.Below(), HiAbove: g.Above()}
		if c.masked {
			ap.GainBits, ap.Wanted = family.GainBits, *bits
		}
		c.sums = accum.NewGated(hi-lo, ap, gateLo, gateHi)
	}
	if par.Has(11) {
		c.max = accum.NewMax(hi-lo, par.DataBits)
	}
	if family.GainBits != 0 && (par.Gated() && family.GainPatterns != nil || c.masked && family.NeverPattern != 0) {
		c.gain = accum.NewGain(hi-lo, family.GainBits, *bits, family.NeverPattern)
	}
	return c, nil
}

// accumulators counts what there is.
func (c *counter) accumulators() (n int) {
	for _, wanted := range []bool{c.sums != nil, c.max != nil, c.gain != nil} {
		if wanted {
			n++
		}
	}
	return n
}

// add counts frames first, first+1, ... of the shard, pixels from lo on, but for those that are no data.
func (c *counter) add(lo, first int, frames [][]uint16) error {
	if c.lead != nil && first == 0 {
		leading := frames[:c.lead.block]
		if len(c.lead.zerosAmong(leading)) > 0 {
			return errZerosLead
		}
		c.lead.find(lo, len(frames[0]), leading)
	}
	c.blanks.add(lo, first, frames, c.addData)
	return nil
}

// finish counts what add has put off, and returns the planes of so many frames.
func (c *counter) finish(frames int) *plane.Set {
	lost, stuck := c.blanks.finish(c.addData)
	c.lost = make([]bool, frames)
	for k := range lost {
		c.lost[k] = true
	}
	set := c.planes(frames)
	set.Stuck = uint64(stuck)
	return set
}

// addData counts frames that are data.
func (c *counter) addData(lo, first int, frames [][]uint16) {
	if c.members == nil || !c.masked {
		c.addAll(lo, first, frames)
		return
	}
	for i := 0; i < len(frames); {
		n := 1
		for i+n < len(frames) && c.members.of[first+i+n] == c.members.of[first+i] {
			n++
		}
		part := frames[i : i+n]
		if mask := c.members.masks[c.members.of[first+i]]; mask != nil {
			part = c.onlyMembers(mask[lo:], part)
		}
		c.addAll(lo, first+i, part)
		i += n
	}
}

// onlyMembers returns frames in which pixels that are not in the gain mode have words that are counted apart.
func (c *counter) onlyMembers(mask []bool, frames [][]uint16) [][]uint16 {
	out := make([][]uint16, len(frames))
	for k, f := range frames {
		out[k] = slices.Clone(f)
		for i := range f {
			if !mask[i] {
				out[k][i] = c.foreign
			}
		}
	}
	return out
}

// addAll passes frames to the accumulators.
func (c *counter) addAll(lo, first int, frames [][]uint16) {
	if c.sums != nil && c.gain != nil && c.max == nil && c.good == nil {
		c.sums.AddGain(c.gain, lo, frames)
		return
	}
	accum.Parts(c.accumulators(), frames, func(at int, part [][]uint16) {
		if c.sums != nil {
			var room [16][]uint16
			c.sums.Add(lo, c.goodOf(first+at, part, room[:]))
		}
		if c.max != nil {
			c.max.Add(lo, part)
		}
		if c.gain != nil {
			c.gain.Add(lo, part)
		}
	})
}

// goodOf returns those of the frames first, first+1, ... that are good, in room if they are few.
func (c *counter) goodOf(first int, frames, room [][]uint16) [][]uint16 {
	if c.good == nil {
		return frames
	}
	out := room[:0]
	for i, f := range frames {
		if c.good[first+i] {
			out = append(out, f)
		}
	}
	return out
}

// planes names the results and their merge rules. Where every value is inside sum0 is the number of frames, and
// neither it nor the gates are stored.
func (c *counter) planes(all int) *plane.Set {
	frames := all
	for _, lost := range c.lost {
		if lost {
			frames--
		}
	}
	set := &plane.Set{Frames: uint64(frames), Zeros: uint64(all - frames)}
	add := func(name string, op plane.Op, data any) {
		set.Planes = append(set.Planes, plane.Plane{Name: name, Op: op, Data: data})
	}
	inMode := c.inMode(all)
	var sum0 []uint32
	if c.sums != nil {
		a := c.sums.Planes()
		sum0 = a.Sum0
		if !c.masked {
			clearOthers(inMode, &a)
		}
		add(plane.Sum1, plane.Sum, a.Sum1)
		add(plane.Sum2, plane.Sum, a.Sum2)
		if len(c.params.Features) == 0 {
			add(plane.NLo, plane.Sum, a.NLo)
			add(plane.NHi, plane.Sum, a.NHi)
			add(plane.MinValue, plane.Min, a.Min)
			add(plane.MaxValue, plane.Max, a.Max)
		}
		if c.params.Gated() || c.masked {
			add(plane.Sum0, plane.Sum, a.Sum0)
		}
		if c.params.Gated() {
			add(plane.GateLo, plane.Same, a.GateLo)
			add(plane.GateHi, plane.Same, a.GateHi)
		}
	}
	if c.max != nil {
		add(plane.MaxValue, plane.Max, c.max.Plane())
	}
	c.gainPlanes(frames, sum0, inMode, add)
	if inMode != nil {
		add(plane.InMode, plane.Sum, inMode)
	}
	return set
}

// gainPlanes names the counts of words by their gain bits: those of the pixels that are in the gain mode.
func (c *counter) gainPlanes(frames int, sum0, inMode []uint32, add func(name string, op plane.Op, data any)) {
	var odd, never []uint32
	if c.gain != nil {
		if odd, never = c.gain.Planes(); !c.never {
			never = nil
		}
	}
	if c.masked {
		odd = make([]uint32, len(sum0))
		for i := range odd {
			odd[i] = uint32(frames) - sum0[i]
			if inMode != nil {
				odd[i] = inMode[i] - sum0[i]
			}
		}
	}
	for i, n := range inMode {
		if n == 0 && odd != nil {
			odd[i] = 0
		}
		if n == 0 && never != nil {
			never[i] = 0
		}
	}
	if odd != nil {
		add(plane.GainOdd, plane.Sum, odd)
	}
	if never != nil {
		add(plane.GainNever, plane.Sum, never)
	}
}

// inMode counts, per pixel, the frames in which it is in the gain mode; nil: all frames.
func (c *counter) inMode(frames int) []uint32 {
	if c.members == nil {
		return nil
	}
	counts := make([]uint32, len(c.members.masks))
	for k, n := range c.members.of[:frames] {
		if c.lost == nil || !c.lost[k] {
			counts[n]++
		}
	}
	out := make([]uint32, c.pixels)
	for k, mask := range c.members.masks {
		for i := range out {
			if mask == nil || mask[i] {
				out[i] += counts[k]
			}
		}
	}
	return out
}

// clearOthers forgets what was counted of pixels that are not in the gain mode.
func clearOthers(inMode []uint32, a *accum.Planes) {
	for i, n := range inMode {
		if n == 0 {
			a.Sum0[i], a.Sum1[i], a.Sum2[i], a.NLo[i], a.NHi[i], a.Min[i], a.Max[i] = 0, 0, 0, 0, 0, 0xffff, 0
		}
	}
}

// count makes the planes of some shards in one sweep over their frames. Gates come from the leading frames in the
// buffer that is counted. Where one of these may be no data they are found first, in a sweep of their own.
func (w *worker) count(shards []int) ([]*plane.Set, error) {
	var counted atomic.Int64
	sets, err := w.countOnce(shards, true, &counted)
	if errors.Is(err, errZerosLead) {
		if w.opt.Progress != nil {
			w.opt.Progress(-counted.Load())
		}
		sets, err = w.countOnce(shards, false, &counted)
	}
	return sets, err
}

// countOnce counts with gates from the same sweep, or from one before. counted becomes the bytes of which progress
// was reported.
func (w *worker) countOnce(shards []int, inSweep bool, counted *atomic.Int64) ([]*plane.Set, error) {
	var counters []*counter // by lane
	var of []int            // positions in shards
	sets := make([]*plane.Set, len(shards))
	var sw sweep.Sweep
	for i, s := range shards {
		extents, good, err := w.frames(s)
		if err != nil {
			return nil, w.named(s, err)
		}
		unit := w.plan.Shards[s].Unit
		panel := w.plan.Panel(unit)
		g, err := w.gates(s, inSweep)
		if err != nil {
			return nil, w.named(s, err)
		}
		if w.plan.Params.Sequence(w.plan.Units[unit].Selected).Stage1Only {
			sets[i] = &plane.Set{Frames: uint64(len(extents)), Planes: []plane.Plane{
				{Name: plane.GateLo, Op: plane.Same, Data: g.lo}, {Name: plane.GateHi, Op: plane.Same, Data: g.hi}}}
			continue
		}
		c, err := w.newCounter(s, 0, panel.Pixels(), good, g.lo, g.hi)
		if err == nil {
			c.blanks, err = w.newBlanks(s, len(extents))
		}
		if err != nil {
			return nil, w.named(s, err)
		}
		if g.missing {
			c.lead, sw.Lead = g, max(sw.Lead, g.block)
		}
		counters, of = append(counters, c), append(of, i)
		sw.Lanes = append(sw.Lanes, sweep.Lane{Panel: panel, Extents: extents})
	}
	if len(sw.Lanes) == 0 {
		return sets, nil
	}
	err := w.sweep(sw, func(b sweep.Batch) error {
		if err := counters[b.Lane].add(b.Lo, b.First, b.Frames); err != nil {
			return err
		}
		counted.Add(2 * int64(len(b.Frames)) * int64(len(b.Frames[0])))
		w.progress(b.Frames)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, c := range counters {
		sets[of[k]] = c.finish(len(sw.Lanes[k].Extents))
	}
	return sets, nil
}

// newBlanks prepares the search for frames that are no data in a shard.
func (w *worker) newBlanks(shard, frames int) (*blanks, error) {
	s := w.plan.Shards[shard]
	panel := w.plan.Panel(s.Unit)
	var before []uint16
	if s.Lo > 0 && frames > 0 {
		all, err := w.index.Frames(s.Unit)
		if err != nil {
			return nil, err
		}
		px, err := w.src.Pixels(w.ctx, panel, all[s.Lo-1:s.Lo], sweep.Span{Hi: panel.Pixels()})
		if err != nil {
			return nil, err
		}
		before = px[0]
	}
	return newBlanks(panel.Pixels(), frames, w.plan.Params.ZerosCount(), before), nil
}
