package task

import (
	"fmt"
	"math"
	"slices"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
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
func (c *counter) add(lo, first int, frames [][]uint16) {
	c.blanks.add(lo, first, frames, c.addData)
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

// addAll gives frames to the accumulators.
func (c *counter) addAll(lo, first int, frames [][]uint16) {
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

// goodOf gives those of the frames first, first+1, ... that are good, in room if they are few.
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

// count makes the planes of some shards in one sweep over their frames.
func (w *worker) count(shards []int) ([]*plane.Set, error) {
	counters := make([]*counter, len(shards))
	sets := make([]*plane.Set, len(shards))
	var sw frame.Sweep
	for i, s := range shards {
		extents, good, err := w.frames(s)
		if err != nil {
			return nil, w.named(s, err)
		}
		unit := w.plan.Shards[s].Unit
		panel := w.plan.Panel(unit)
		lo, hi, err := w.gates(unit)
		if err != nil {
			return nil, w.named(s, err)
		}
		if w.plan.Params.Sequence(w.plan.Units[unit].Selected).Stage1Only {
			sets[i] = &plane.Set{Frames: uint64(len(extents)), Planes: []plane.Plane{
				{Name: plane.GateLo, Op: plane.Same, Data: lo}, {Name: plane.GateHi, Op: plane.Same, Data: hi}}}
			continue
		}
		if counters[i], err = w.newCounter(s, 0, panel.Pixels(), good, lo, hi); err != nil {
			return nil, w.named(s, err)
		}
		if counters[i].blanks, err = w.newBlanks(s, len(extents)); err != nil {
			return nil, w.named(s, err)
		}
		sw.Lanes = append(sw.Lanes, frame.Lane{Panel: panel, Extents: extents})
	}
	if len(sw.Lanes) == 0 {
		return sets, nil
	}
	if err := w.sweep(sw, func(b frame.Batch) { counters[b.Lane].add(b.Lo, b.First, b.Frames) }); err != nil {
		return nil, err
	}
	for i := range shards {
		sets[i] = counters[i].finish(len(sw.Lanes[i].Extents))
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
		var px [1][]uint16
		release, err := w.src.Block(w.ctx, panel, all[s.Lo-1:s.Lo], 0, panel.Pixels(), px[:])
		if err != nil {
			return nil, err
		}
		before = slices.Clone(px[0])
		release()
	}
	return newBlanks(panel.Pixels(), frames, w.plan.Params.ZerosCount(), before), nil
}

// gates gives the windows of a unit in profile dark, nil in others: those of an earlier job, or from the
// unit's leading frames, whichever of them the shard has.
func (w *worker) gates(unit int) (lo, hi []uint16, err error) {
	if !w.plan.Params.Gated() {
		return nil, nil, nil
	}
	panel := w.plan.Panel(unit)
	wordMax := uint16(0xffff)
	if panel.Codec.Bytewise() {
		wordMax = 0xff
	}
	gp := w.plan.Params.Gates(wordMax)
	seq := w.plan.Params.Sequence(w.plan.Units[unit].Selected)
	if seq.GatesGiven {
		lo, hi, err = w.earlierGates(unit)
	} else {
		lo, hi, err = w.leadingGates(unit, seq, gp)
	}
	// Gates of two passes are inside the limits already; the original truncates the lower one, and leaves it so.
	if err == nil && !seq.Stage1Only && (w.plan.Params.TwoPass == nil || w.plan.Params.Compat == "") {
		quantile.Clip(gp, lo, hi)
	}
	return lo, hi, err
}

// earlierGates reads the windows that an earlier job has left in its work directory.
func (w *worker) earlierGates(unit int) (lo, hi []uint16, err error) {
	lo, hi, sum, err := w.plan.Gates(unit)
	if err == nil && sum != w.plan.Units[unit].Gates {
		err = fault.New(fault.Input, "the gates in %q have changed since the plan was made", w.plan.Params.GatesFrom).WithHint("make the plan again with `rawstatus plan`")
	}
	return lo, hi, err
}

// leading returns the first n frames that are data, fewer if there are not so many.
func (w *worker) leading(panel frame.Panel, frames []frame.Extent, n int) (lead []frame.Extent, err error) {
	for len(lead) < n && len(frames) > 0 {
		some := frames[:min(n-len(lead), len(frames))]
		lost, err := w.zeroFrames(w.ctx, panel, some)
		if err != nil {
			return nil, err
		}
		for i, zero := range lost {
			if !zero {
				lead = append(lead, some[i])
			}
		}
		frames = frames[len(some):]
	}
	return lead, nil
}

// leadingGates finds the windows from the leading frames, before clipping.
func (w *worker) leadingGates(unit int, seq status.Sequence, gp quantile.GateParams) (lo, hi []uint16, err error) {
	panel := w.plan.Panel(unit)
	frames, err := w.index.Frames(unit)
	if err != nil {
		return nil, nil, err
	}
	if seq.Block > len(frames) || seq.Block+seq.BlockZeros == 0 {
		return nil, nil, fmt.Errorf("gates from %d of %s", seq.Block, fault.Count(len(frames), "frame"))
	}
	lead, err := w.leading(panel, frames, seq.Block)
	if err != nil {
		return nil, nil, err
	}
	lo, hi = make([]uint16, panel.Pixels()), make([]uint16, panel.Pixels())
	if len(lead)+seq.BlockZeros == 0 {
		return lo, hi, nil // no frame is data
	}
	if w.plan.Params.TwoPass != nil {
		return lo, hi, w.twoPassGates(panel, lead, gp, lo, hi)
	}
	return lo, hi, w.bands(panel, lead, func(at, end int, px [][]uint16) {
		for range seq.BlockZeros {
			px = append(px, make([]uint16, end-at))
		}
		quantile.Stage1(px, gp, lo[at:end], hi[at:end])
	})
}

// bands calls do with the pixels of the leading frames, in bands so that memory stays bounded, several at a time.
func (w *worker) bands(panel frame.Panel, lead []frame.Extent, do func(at, end int, px [][]uint16)) error {
	band := plan.GateBand(len(lead))
	g, ctx := fault.WithContext(w.ctx)
	g.SetLimit(w.opt.Workers)
	for at := 0; at < panel.Pixels(); at += band {
		end := min(at+band, panel.Pixels())
		g.Go(func() error {
			px := make([][]uint16, len(lead))
			release, err := w.src.Block(ctx, panel, lead, at, end, px)
			if err != nil {
				return err
			}
			defer release()
			do(at, end, px)
			return nil
		})
	}
	return g.Wait()
}

// twoPassGates finds the windows from averages and rms of the leading frames.
func (w *worker) twoPassGates(panel frame.Panel, lead []frame.Extent, gp quantile.GateParams, lo, hi []uint16) error {
	n := panel.Pixels()
	sum0, sum1, sum2 := make([]uint32, n), make([]uint64, n), make([]uint64, n)
	for i := range hi {
		lo[i], hi[i] = 0, math.MaxUint16
	}
	quantile.Clip(gp, lo, hi) // of the first pass: the absolute limits
	err := w.bands(panel, lead, func(at, end int, px [][]uint16) {
		first := accum.NewGated(end-at, accum.Params{DataBits: gp.DataBits, HiAbove: math.MaxUint16}, lo[at:end], hi[at:end])
		first.Add(0, px)
		sums := first.Planes()
		copy(sum0[at:end], sums.Sum0)
		copy(sum1[at:end], sums.Sum1)
		copy(sum2[at:end], sums.Sum2)
	})
	w.plan.Params.TwoPass.Gates(lo, hi, sum0, sum1, sum2, gp.IntLo, gp.IntHi, status.Compat(w.plan.Params.Compat))
	return err
}
