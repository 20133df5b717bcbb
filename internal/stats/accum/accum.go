package accum

import (
	"fmt"
	"sync"

	"rawstatus/internal/stats/kernel"
)

// Gated accumulates, per pixel p over frames k with y = raw & DataBits:
//
//	sum0 += 1, sum1 += y, sum2 += y*y   if GateLo[p] <= y <= GateHi[p]
//	nLo  += 1                           if y < LoBelow
//	nHi  += 1                           if y > HiAbove
//	min, max                            of all y
//
// A gate with GateLo > GateHi is empty and accepts nothing. With gain bits instead of gates only words that
// have the wanted ones are counted at all; sum0 is their number.
type Gated struct {
	Params
	pixels         int
	open           bool // no gates: every y is inside
	gateLo, gateHi []uint16
	kernel         kernel.Params
	blocks         []kernel.Block
	since          []uint16 // frames in the 16-bit counters of a block
	frames         []uint32 // frames of a block before that
	wrapped        []bool   // a block has an empty gate
	mu             sync.Mutex
	flushed        *wide // what was flushed out of the blocks; nil before the first time
}

// wide are the sums of frames that the counters of blocks have no room for.
type wide struct {
	sum0, nLo, nHi []uint32
	sum1           []uint64
}

// Params are the constants of a Gated accumulation.
type Params struct {
	DataBits uint16
	LoBelow  uint32 // 0..65536
	HiAbove  int32  // -1..65535
	// GainBits and Wanted are the gain bits of words that count, in their place; GainBits 0: all do.
	GainBits, Wanted uint16
}

// Planes are the results of a Gated, one element per pixel, in pixel order; without gates GateLo and
// GateHi are nil.
type Planes struct {
	GateLo, GateHi []uint16
	Sum0, NLo, NHi []uint32
	Sum1, Sum2     []uint64
	Min, Max       []uint16
}

// NewGated makes an accumulator for len(gateLo) pixels. A nil gate means all values are inside; then
// pixels is their number.
func NewGated(pixels int, p Params, gateLo, gateHi []uint16) *Gated {
	g := &Gated{}
	g.Reset(nil, pixels, p, gateLo, gateHi)
	return g
}

// Blocks returns how many blocks pixels take.
func Blocks(pixels int) int { return (pixels + kernel.Width - 1) / kernel.Width }

// Reset makes g what NewGated returns, with blocks for the pixels where the caller has some. Gates must be there when
// frames are added, and stay those of the caller.
func (g *Gated) Reset(blocks []kernel.Block, pixels int, p Params, gateLo, gateHi []uint16) {
	n := Blocks(pixels)
	if cap(blocks) < n {
		blocks = make([]kernel.Block, n)
	}
	g.Params, g.pixels, g.open, g.gateLo, g.gateHi, g.flushed = p, pixels, gateLo == nil, gateLo, gateHi, nil
	if !g.open && (len(gateLo) != pixels || len(gateHi) != pixels) {
		panic(fmt.Sprintf("stats/accum: gates have %d and %d pixels, wanted %d", len(gateLo), len(gateHi), pixels))
	}
	if p.LoBelow > 1<<16 || p.HiAbove < -1 || p.HiAbove > 0xffff {
		panic(fmt.Sprintf("stats/accum: limits %d and %d are not in 0..65536 and -1..65535", p.LoBelow, p.HiAbove))
	}
	if p.GainBits != 0 && !g.open || p.Wanted&^p.GainBits != 0 {
		panic(fmt.Sprintf("stats/accum: gain bits %#x of %#x with gates: %v", p.Wanted, p.GainBits, !g.open))
	}
	// Limits that count every frame are beyond the kernel's 16 bits: Planes fills those counts in.
	g.kernel = kernel.Params{Mask: p.DataBits, Below: uint16(p.LoBelow), Above: uint16(p.HiAbove), Gain: p.GainBits, Want: p.Wanted}
	g.blocks, g.since, g.frames, g.wrapped = blocks[:n], zeroed(g.since, n), zeroed(g.frames, n), zeroed(g.wrapped, n)
}

// zeroed returns n zeros, in room if it has as many.
func zeroed[T any](room []T, n int) []T {
	if cap(room) < n {
		return make([]T, n)
	}
	room = room[:n]
	clear(room)
	return room
}

// begin sets up a block that has no frames yet. The worker that adds the first frame calls it, so that the block is in the cache of its core.
func (g *Gated) begin(i int) {
	b := &g.blocks[i]
	*b = empty
	if g.open {
		return
	}
	// The kernel cannot express an empty gate; PlanesTo takes out what it lets through.
	lo := i * kernel.Width
	n := min(kernel.Width, g.pixels-lo)
	first, last := g.gateLo[lo:lo+n], g.gateHi[lo:lo+n]
	copy(b.Lo[:], first)
	least := 0
	for j, x := range first {
		b.Range[j] = last[j] - x
		least |= int(last[j]) - int(x) // negative if one of them is
	}
	g.wrapped[i] = least < 0
}

// empty is a block without frames, with open gates.
var empty = func() (b kernel.Block) {
	b.Reset()
	return b
}()

// Add counts frames; frames[k][i] is the raw value of pixel lo+i, all of the same length.
func (g *Gated) Add(lo int, frames [][]uint16) {
	if len(frames) == 0 {
		return
	}
	hi := checkBand(g.pixels, lo, frames)
	first, whole := lo/kernel.Width, hi/kernel.Width
	for len(frames) > 0 {
		n := min(len(frames), kernel.FlushAfter)
		g.count(first, (hi+kernel.Width-1)/kernel.Width, n)
		if whole > first {
			g.add(g.blocks[first:whole], frames[:n])
		}
		if tail := hi - whole*kernel.Width; tail > 0 {
			g.addTail(whole, tail, frames[:n])
		}
		frames = frames[n:]
	}
}

// AddGain is g.Add and gain.Add in one pass over the frames: words with other gain bits than wanted are rare, and only
// where a block has one they are counted.
func (g *Gated) AddGain(gain *Gain, lo int, frames [][]uint16) {
	if g.open || len(frames) == 0 {
		g.Add(lo, frames)
		gain.Add(lo, frames)
		return
	}
	hi := checkBand(g.pixels, lo, frames)
	whole := hi / Grain * Grain
	p := g.kernel
	p.Gain, p.Want = gain.mask, gain.want
	for len(frames) > 0 {
		n := min(len(frames), group)
		next := frames[n:min(2*n, len(frames))]
		g.count(lo/kernel.Width, (whole+kernel.Width-1)/kernel.Width, n)
		var part, ahead [group][]uint16
		for at := lo; at < whole; at += watchWidth {
			end := min(at+watchWidth, whole)
			cut(&part, frames[:n], at-lo, end-lo)
			cut(&ahead, next, at-lo, end-lo)
			var foreign [watchWidth / kernel.Width]bool
			blocks := g.blocks[at/kernel.Width : end/kernel.Width]
			kernel.Watched(blocks, foreign[:len(blocks)], part[:n], ahead[:len(next)], &p)
			gain.addForeign(at, foreign[:len(blocks)], part[:n])
		}
		if whole < hi {
			cut(&part, frames[:n], whole-lo, hi-lo)
			g.Add(whole, part[:n])
			gain.Add(whole, part[:n])
		}
		frames = frames[n:]
	}
}

// watchWidth is the number of pixels that AddGain looks at before it counts gain bits: their frames are in the cache.
const watchWidth = 8192

// cut sets part to pixels [lo, hi) of frames.
func cut(part *[group][]uint16, frames [][]uint16, lo, hi int) {
	for k, f := range frames {
		part[k] = f[lo:hi]
	}
}

// addTail counts the last pixels of the panel: the rest of their block's lanes count zeros that no one reads.
func (g *Gated) addTail(block, tail int, frames [][]uint16) {
	var px [group][kernel.Width]uint16
	var part [group][]uint16
	for len(frames) > 0 {
		n := min(group, len(frames))
		for k, f := range frames[:n] {
			copy(px[k][:], f[len(f)-tail:])
			part[k] = px[k][:]
		}
		g.add(g.blocks[block:block+1], part[:n])
		frames = frames[n:]
	}
}

// add passes whole blocks to the kernel, some frames at a time.
func (g *Gated) add(blocks []kernel.Block, frames [][]uint16) {
	for len(frames) > 0 {
		n := min(group, len(frames))
		next := frames[n:min(2*n, len(frames))]
		switch {
		case g.GainBits != 0:
			kernel.Masked(blocks, frames[:n], next, &g.kernel)
		case g.open:
			kernel.Ungated(blocks, frames[:n], next, &g.kernel)
		default:
			kernel.Gated(blocks, frames[:n], next, &g.kernel)
		}
		frames = frames[n:]
	}
}

// count notes n more frames for blocks [first, last) after making room in their narrow counters.
func (g *Gated) count(first, last, n int) {
	for i := first; i < last; i++ {
		switch {
		case g.since[i] == 0 && g.frames[i] == 0:
			g.begin(i)
		case int(g.since[i])+n > kernel.FlushAfter:
			g.flush(i)
		}
		g.since[i] += uint16(n)
	}
}

// flush moves the narrow counters of a block into wide ones: most runs never need them.
func (g *Gated) flush(i int) {
	g.mu.Lock()
	if g.flushed == nil {
		n := g.pixels
		g.flushed = &wide{make([]uint32, n), make([]uint32, n), make([]uint32, n), make([]uint64, n)}
	}
	w := g.flushed
	g.mu.Unlock()
	b := &g.blocks[i]
	lo := i * kernel.Width
	for j := range min(kernel.Width, g.pixels-lo) {
		w.sum0[lo+j] += uint32(b.N[j])
		w.nLo[lo+j] += uint32(b.NLo[j])
		w.nHi[lo+j] += uint32(b.NHi[j])
		w.sum1[lo+j] += uint64(b.Sum[kernel.SumPos[j]])
	}
	clear(b.N[:])
	clear(b.NLo[:])
	clear(b.NHi[:])
	clear(b.Sum[:])
	g.frames[i] += uint32(g.since[i])
	g.since[i] = 0
}

// Planes returns the results so far. The gates belong to the caller, and no Add may be under way.
func (g *Gated) Planes() Planes {
	n := g.pixels
	out := Planes{Sum0: make([]uint32, n), NLo: make([]uint32, n), NHi: make([]uint32, n), Sum1: make([]uint64, n),
		Sum2: make([]uint64, n), Min: make([]uint16, n), Max: make([]uint16, n)}
	g.PlanesTo(&out)
	return out
}

// PlanesTo is Planes into the memory of out, whose slices but those of the gates have an element per pixel.
func (g *Gated) PlanesTo(out *Planes) {
	out.GateLo, out.GateHi = g.gateLo, g.gateHi
	for i := range g.blocks {
		if g.since[i] == 0 && g.frames[i] == 0 {
			g.begin(i)
		}
		lo := i * kernel.Width
		if lo+kernel.Width <= g.pixels {
			l := lanes{(*[kernel.Width]uint32)(out.Sum0[lo:]), (*[kernel.Width]uint32)(out.NLo[lo:]), (*[kernel.Width]uint32)(out.NHi[lo:]),
				(*[kernel.Width]uint64)(out.Sum1[lo:]), (*[kernel.Width]uint64)(out.Sum2[lo:]), (*[kernel.Width]uint16)(out.Min[lo:]), (*[kernel.Width]uint16)(out.Max[lo:])}
			g.lanesOf(i, &l)
			continue
		}
		l := lanes{new([kernel.Width]uint32), new([kernel.Width]uint32), new([kernel.Width]uint32), new([kernel.Width]uint64), new([kernel.Width]uint64),
			new([kernel.Width]uint16), new([kernel.Width]uint16)}
		g.lanesOf(i, &l)
		copy(out.Sum0[lo:], l.sum0[:])
		copy(out.NLo[lo:], l.nLo[:])
		copy(out.NHi[lo:], l.nHi[:])
		copy(out.Sum1[lo:], l.sum1[:])
		copy(out.Sum2[lo:], l.sum2[:])
		copy(out.Min[lo:], l.min[:])
		copy(out.Max[lo:], l.max[:])
	}
}

// lanes are the results of a block in pixel order.
type lanes struct {
	sum0, nLo, nHi *[kernel.Width]uint32
	sum1, sum2     *[kernel.Width]uint64
	min, max       *[kernel.Width]uint16
}

// widenLanes makes wide counters of narrow ones, which are often all 0.
func widenLanes(dst *[kernel.Width]uint32, n *[kernel.Width]uint16) {
	if *n == ([kernel.Width]uint16{}) {
		*dst = [kernel.Width]uint32{}
		return
	}
	for j, x := range n {
		dst[j] = uint32(x)
	}
}

// lanesOf writes the results of a block.
func (g *Gated) lanesOf(i int, l *lanes) {
	b := &g.blocks[i]
	b.InOrder(l.sum1, l.sum2)
	*l.min, *l.max = b.Min, b.Max
	widenLanes(l.sum0, &b.N)
	widenLanes(l.nLo, &b.NLo)
	widenLanes(l.nHi, &b.NHi)
	lo := i * kernel.Width
	n := min(kernel.Width, g.pixels-lo)
	if g.frames[i] > 0 {
		w := g.flushed
		for j := range n {
			l.sum0[j] += w.sum0[lo+j]
			l.nLo[j] += w.nLo[lo+j]
			l.nHi[j] += w.nHi[lo+j]
			l.sum1[j] += w.sum1[lo+j]
		}
	}
	counted := g.frames[i] + uint32(g.since[i])
	switch {
	case g.GainBits != 0:
	case g.open:
		for j := range l.sum0 {
			l.sum0[j] = counted
		}
	case g.wrapped[i]:
		for j, first := range g.gateLo[lo : lo+n] {
			if first > g.gateHi[lo+j] {
				l.sum0[j], l.sum1[j], l.sum2[j] = 0, 0, 0
			}
		}
	}
	if g.LoBelow <= 0xffff && g.HiAbove >= 0 {
		return
	}
	for j := range n { // limits beyond 16 bits count all words
		all := counted
		if g.GainBits != 0 {
			all = l.sum0[j]
		}
		if g.LoBelow > 0xffff {
			l.nLo[j] = all
		}
		if g.HiAbove < 0 {
			l.nHi[j] = all
		}
	}
}
