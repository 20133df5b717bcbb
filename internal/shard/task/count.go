package task

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/plane"
)

// counter counts the pixels of one shard, or of some rows of it, tile by tile: accumulators of a tile exist from its
// first frame to its last one. What is nil is not wanted by the profile.
type counter struct {
	params plan.Params
	pixels int
	frames int    // of the shard
	good   []bool // of the shard's frames; nil: all are
	sums   *accum.Params
	max    bool
	gain   *gainBits
	// masked: words of other gain bits than those of the group are counted apart.
	masked  bool
	foreign uint16   // a word that is counted apart
	members *members // nil: all pixels are in the gain mode in all frames
	blanks  *blanks  // nil: all frames are data
	lost    []bool   // frames that are left out; nil: none
	gates   *lead    // nil: there are none
	stage1  bool     // gates are all that is wanted
	room    *room
	out     *plan.TileWriter // takes a tile when it is counted; nil: all stay here

	mu    sync.Mutex
	cells []*cell // by tile; nil before the first frame, and when it is stored
	done  []bool  // by tile: it is stored
}

// gainBits are the parameters of an accum.Gain.
type gainBits struct{ mask, want, never uint16 }

// members are the pixels that are in the gain mode, of the frames and rows of a counter.
type members struct {
	masks [][]bool // nil: all pixels
	of    []uint8  // by frame
}

// newCounter prepares for so many frames of pixels [lo, hi) of a shard's panel.
func (w *worker) newCounter(shard, lo, hi, frames int, good []bool) (*counter, error) {
	s, par := w.plan.Shards[shard], w.plan.Params
	family, _ := detector.Lookup(w.plan.Panel(s.Unit).Type)
	bits := w.plan.Groups[w.plan.Units[s.Unit].Group].GainBits
	if bits == nil {
		family.GainBits, bits = 0, new(uint16)
	}
	tiles := (hi - lo + plan.TilePixels - 1) / plan.TilePixels
	c := &counter{params: par, pixels: hi - lo, frames: frames, good: good, masked: par.Masked() && family.GainBits != 0, foreign: *bits ^ family.GainBits&-family.GainBits,
		max: par.Has(11), room: &w.runner.room, cells: make([]*cell, tiles), done: make([]bool, tiles)}
	if m, err := w.index.Members(s.Unit); err != nil {
		return nil, err
	} else if m != nil {
		c.members = &members{of: m.Of[s.Lo:s.Hi]}
		for _, mask := range m.Masks {
			if mask != nil {
				mask = mask[lo:hi]
			}
			if !slices.Contains(mask, false) {
				mask = nil
			}
			c.members.masks = append(c.members.masks, mask)
		}
	}
	g := par.Gates(0)
	if len(par.Features) == 0 || par.Has(2) || par.Has(3) {
		c.sums = &accum.Params{DataBits: par.DataBits, LoBelow: g.Below(), HiAbove: g.Above()}
		if c.masked {
			c.sums.GainBits, c.sums.Wanted = family.GainBits, *bits
		}
	}
	if family.GainBits != 0 && (par.Gated() && family.GainPatterns != nil || c.masked && family.NeverPattern != 0) {
		c.gain = &gainBits{family.GainBits, *bits, family.NeverPattern}
	}
	return c, nil
}

// accumulators counts what there is.
func (c *counter) accumulators() (n int) {
	for _, wanted := range []bool{c.sums != nil, c.max, c.gain != nil} {
		if wanted {
			n++
		}
	}
	return n
}

// cell returns the accumulators of a tile.
func (c *counter) cell(tile int) (*cell, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cells[tile] != nil {
		return c.cells[tile], nil
	}
	at := tile * plan.TilePixels
	n := min(plan.TilePixels, c.pixels-at)
	k, err := c.room.cell(at, n)
	if err != nil {
		return nil, err
	}
	if c.sums != nil {
		var lo, hi []uint16
		if c.gates != nil {
			lo, hi = k.gateLo[:n], k.gateHi[:n]
			if !c.gates.missing {
				copy(lo, c.gates.lo[at:])
				copy(hi, c.gates.hi[at:])
			}
		}
		k.sums.Reset(k.blocks[:], n, *c.sums, lo, hi)
	}
	if c.max {
		k.max.Reset(k.most[:], n, c.params.DataBits)
	}
	if c.gain != nil {
		k.gain.Reset(k.odd[:], k.never[:], n, c.gain.mask, c.gain.want, c.gain.never)
	}
	c.cells[tile] = k
	return k, nil
}

// eachTile calls do for the tiles of a band of frames, with the tile's accumulators.
func (c *counter) eachTile(d *desk, lo int, frames [][]uint16, do func(k *cell, lo int, frames [][]uint16) error) error {
	for from, n := 0, len(frames[0]); from < n; {
		tile := (lo + from) / plan.TilePixels
		to := min(n, (tile+1)*plan.TilePixels-lo)
		k, err := c.cell(tile)
		if err == nil {
			err = do(k, lo+from, d.cut(frames, from, to))
		}
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

// add counts frames first, first+1, ... of the shard, pixels from lo on, but for those that are no data. A tile that has
// seen its last frame is stored, unless some of its zeros may be no data.
func (c *counter) add(lo, first int, frames [][]uint16) error {
	d := c.room.desk()
	defer c.room.putDesk(d)
	return c.eachTile(d, lo, frames, func(k *cell, lo int, frames [][]uint16) error {
		from, n := lo-k.at, len(frames[0])
		if c.gates != nil && c.gates.missing && first == 0 {
			leading := frames[:c.gates.block]
			if len(c.gates.zerosAmong(leading)) > 0 {
				return errZerosLead
			}
			c.gates.find(k.gateLo[from:from+n], k.gateHi[from:from+n], leading)
		}
		held := c.blanks.add(k.last[from:from+n], lo, first, frames, func(lo, first int, frames [][]uint16) { c.addData(k, lo, first, frames) })
		c.mu.Lock()
		k.held = k.held || held
		if first+len(frames) == c.frames {
			k.left -= n
		}
		ready := k.left == 0 && !k.held
		c.mu.Unlock()
		if ready {
			return c.store(d, k)
		}
		return nil
	})
}

// finish counts what add has put off, and stores the tiles that are left. It returns the numbers of frames.
func (c *counter) finish() (*plane.Set, error) {
	lost, stuck := c.blanks.finish(func(lo, first int, frames [][]uint16) {
		c.addData(c.cells[lo/plan.TilePixels], lo, first, frames)
	})
	c.lost = make([]bool, c.frames)
	for k := range lost {
		c.lost[k] = true
	}
	d := c.room.desk()
	defer c.room.putDesk(d)
	for i, done := range c.done {
		if done {
			continue
		}
		k, err := c.cell(i)
		if err == nil {
			err = c.store(d, k)
		}
		if err != nil {
			return nil, err
		}
	}
	return &plane.Set{Frames: uint64(c.counted()), Zeros: uint64(len(lost)), Stuck: uint64(stuck)}, nil
}

// store passes the planes of a tile on, and ends it.
func (c *counter) store(d *desk, k *cell) error {
	if err := c.out.Put(k.at, c.planes(d, k), &d.tile); err != nil {
		return err
	}
	c.mu.Lock()
	c.cells[k.at/plan.TilePixels], c.done[k.at/plan.TilePixels] = nil, true
	c.mu.Unlock()
	c.room.putCell(k)
	return nil
}

// whole returns the planes of all tiles.
func (c *counter) whole() (*plane.Set, error) {
	d := c.room.desk()
	defer c.room.putDesk(d)
	var parts []*plane.Set
	for i := range c.cells {
		k, err := c.cell(i)
		if err != nil {
			return nil, err
		}
		// A set of the desk is good until the next one: it is copied.
		part, err := plane.Concat([]*plane.Set{c.planes(d, k)})
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return plane.Concat(parts)
}

// drop frees the memory.
func (c *counter) drop() {
	for i, k := range c.cells {
		if k != nil {
			c.cells[i] = nil
			c.room.putCell(k)
		}
	}
	if c.out != nil {
		c.out.Close()
	}
}

// addData counts frames that are data, pixels from lo on, which are of one tile.
func (c *counter) addData(k *cell, lo, first int, frames [][]uint16) {
	if c.members == nil || !c.masked {
		c.addAll(k, lo-k.at, first, frames)
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
		c.addAll(k, lo-k.at, first+i, part)
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

// addAll passes frames to the accumulators of a tile, its pixels from lo on.
func (c *counter) addAll(k *cell, lo, first int, frames [][]uint16) {
	if c.sums != nil && c.gain != nil && !c.max && c.good == nil {
		k.sums.AddGain(&k.gain, lo, frames)
		return
	}
	accum.Parts(c.accumulators(), frames, func(at int, part [][]uint16) {
		if c.sums != nil {
			var room [16][]uint16
			k.sums.Add(lo, c.goodOf(first+at, part, room[:]))
		}
		if c.max {
			k.max.Add(lo, part)
		}
		if c.gain != nil {
			k.gain.Add(lo, part)
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

// counted returns the number of frames that are not left out.
func (c *counter) counted() int {
	n := c.frames
	for _, lost := range c.lost {
		if lost {
			n--
		}
	}
	return n
}

// planes names the results of a tile and their merge rules. Where every value is inside sum0 is the number of frames, and
// neither it nor the gates are stored. They are valid until the desk is used again.
func (c *counter) planes(d *desk, k *cell) *plane.Set {
	frames := c.counted()
	set := &d.set
	*set = plane.Set{Frames: uint64(frames), Zeros: uint64(c.frames - frames), Planes: set.Planes[:0]}
	add := func(name string, op plane.Op, data any) {
		set.Planes = append(set.Planes, plane.Plane{Name: name, Op: op, Data: data})
	}
	n := k.n
	inMode := c.inMode(d, k)
	if c.sums != nil {
		a := accum.Planes{Sum0: d.sum0[:n], NLo: d.nLo[:n], NHi: d.nHi[:n], Sum1: d.sum1[:n], Sum2: d.sum2[:n], Min: d.min[:n], Max: d.max[:n]}
		k.sums.PlanesTo(&a)
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
	if c.max {
		add(plane.MaxValue, plane.Max, k.max.Plane())
	}
	c.gainPlanes(d, k, frames, inMode, add)
	if inMode != nil {
		add(plane.InMode, plane.Sum, inMode)
	}
	return set
}

// gainPlanes names the counts of words by their gain bits: those of the pixels that are in the gain mode.
func (c *counter) gainPlanes(d *desk, k *cell, frames int, inMode []uint32, add func(name string, op plane.Op, data any)) {
	if c.gain == nil && !c.masked {
		return
	}
	odd, never := d.odd[:k.n], d.never[:k.n]
	if c.gain != nil {
		k.gain.PlanesTo(odd, never)
	}
	if c.masked {
		for i, n := range d.sum0[:k.n] {
			odd[i] = uint32(frames) - n
			if inMode != nil {
				odd[i] = inMode[i] - n
			}
		}
	}
	for i, n := range inMode {
		if n == 0 {
			odd[i], never[i] = 0, 0
		}
	}
	add(plane.GainOdd, plane.Sum, odd)
	if c.gain != nil && c.gain.never != 0 {
		add(plane.GainNever, plane.Sum, never)
	}
}

// inMode counts, per pixel, the frames in which it is in the gain mode; nil: all frames.
func (c *counter) inMode(d *desk, k *cell) []uint32 {
	if c.members == nil {
		return nil
	}
	counts := make([]uint32, len(c.members.masks))
	for k, n := range c.members.of[:c.frames] {
		if c.lost == nil || !c.lost[k] {
			counts[n]++
		}
	}
	out := d.inMode[:k.n]
	clear(out)
	for j, mask := range c.members.masks {
		for i := range out {
			if mask == nil || mask[k.at+i] {
				out[i] += counts[j]
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

// result holds the planes of a shard, or those of pixels as tiles that are ready to be stored.
type result struct {
	*plane.Set
	tiles *plan.TileWriter // nil: the set has all planes
}

// addTo stores the planes of so many frames.
func (r result) addTo(out *pack.Writer, prefix string, frames uint64) error {
	if r.tiles != nil {
		defer r.tiles.Close()
		return r.tiles.AddTo(out)
	}
	return plan.AddPlanes(out, prefix, frames, r.Set)
}

// plain returns planes as results.
func plain(sets []*plane.Set, err error) ([]result, error) {
	list := make([]result, len(sets))
	for i, s := range sets {
		list[i].Set = s
	}
	return list, err
}

// count makes the planes of some shards in one sweep over their frames. Gates come from the leading frames in the
// buffer that is counted. Where one of these may be no data they are found first, in a sweep of their own.
func (w *worker) count(shards []int) ([]result, error) {
	var counted atomic.Int64
	list, err := w.countOnce(shards, true, &counted)
	if errors.Is(err, errZerosLead) {
		if w.opt.Progress != nil {
			w.opt.Progress(-counted.Load())
		}
		list, err = w.countOnce(shards, false, &counted)
	}
	return list, err
}

// countOnce counts with gates from the same sweep, or from one before. counted becomes the bytes of which progress
// was reported.
func (w *worker) countOnce(shards []int, inSweep bool, counted *atomic.Int64) (list []result, err error) {
	var counters []*counter // by lane
	var of []int            // positions in shards
	defer func() {
		for _, c := range counters {
			if err != nil {
				c.drop()
			}
		}
	}()
	list = make([]result, len(shards))
	var sw sweep.Sweep
	for i, s := range shards {
		c, extents, err := w.prepare(s, inSweep)
		if err != nil {
			return nil, w.named(s, err)
		}
		panel := w.plan.Panel(w.plan.Shards[s].Unit)
		if c.stage1 {
			list[i].Set = &plane.Set{Frames: uint64(len(extents)), Planes: []plane.Plane{
				{Name: plane.GateLo, Op: plane.Same, Data: c.gates.lo}, {Name: plane.GateHi, Op: plane.Same, Data: c.gates.hi}}}
			continue
		}
		if c.gates != nil && c.gates.missing {
			sw.Lead = max(sw.Lead, c.gates.block)
		}
		c.out = plan.NewTileWriter(w.prefix(s), panel.Pixels(), &w.runner.room.pool)
		counters, of = append(counters, c), append(of, i)
		sw.Lanes = append(sw.Lanes, sweep.Lane{Panel: panel, Extents: extents})
	}
	if len(sw.Lanes) == 0 {
		return list, nil
	}
	err = w.sweep(sw, func(b sweep.Batch) error {
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
		r := &list[of[k]]
		if r.Set, err = c.finish(); err != nil {
			return nil, err
		}
		r.tiles = c.out
	}
	return list, nil
}

// prepare makes the counter of a shard, with its gates, and returns it with the shard's frames.
func (w *worker) prepare(shard int, inSweep bool) (*counter, []frame.Extent, error) {
	extents, good, err := w.frames(shard)
	if err != nil {
		return nil, nil, err
	}
	unit := w.plan.Shards[shard].Unit
	c, err := w.newCounter(shard, 0, w.plan.Panel(unit).Pixels(), len(extents), good)
	if err != nil {
		return nil, nil, err
	}
	if w.plan.Params.Gated() {
		if c.gates, err = w.gates(shard, inSweep); err != nil {
			return nil, nil, err
		}
	}
	if c.stage1 = w.plan.Params.Sequence(w.plan.Units[unit].Selected).Stage1Only; !c.stage1 {
		c.blanks, err = w.newBlanks(shard, len(extents))
	}
	return c, extents, err
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
