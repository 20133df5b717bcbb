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
	room           sync.Once
	sum0, nLo, nHi []uint32 // what was flushed out of the blocks; nil before the first time
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
	g := &Gated{Params: p, pixels: pixels, open: gateLo == nil, gateLo: gateLo, gateHi: gateHi}
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
	n := (pixels + kernel.Width - 1) / kernel.Width
	g.blocks, g.since, g.frames = make([]kernel.Block, n), make([]uint16, n), make([]uint32, n)
	return g
}

// begin sets up a block that has no frames yet. The worker that adds the first frame calls it, so that the block is in the cache of its core.
func (g *Gated) begin(i int) {
	b := &g.blocks[i]
	b.Reset()
	if g.open {
		return
	}
	// The kernel cannot express an empty gate; Planes takes out what it lets through.
	lo := i * kernel.Width
	for j := range min(kernel.Width, g.pixels-lo) {
		b.Lo[j], b.Range[j] = g.gateLo[lo+j], g.gateHi[lo+j]-g.gateLo[lo+j]
	}
}

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

// makeRoom makes the planes that blocks are flushed into: most runs need them only at their end.
func (g *Gated) makeRoom() {
	g.room.Do(func() {
		n := g.pixels
		g.sum0, g.nLo, g.nHi, g.sum1 = make([]uint32, n), make([]uint32, n), make([]uint32, n), make([]uint64, n)
	})
}

// flush moves the narrow counters of a block into the planes.
func (g *Gated) flush(i int) {
	g.makeRoom()
	b := &g.blocks[i]
	lo := i * kernel.Width
	for j := range min(kernel.Width, g.pixels-lo) {
		g.sum0[lo+j] += uint32(b.N[j])
		g.nLo[lo+j] += uint32(b.NLo[j])
		g.nHi[lo+j] += uint32(b.NHi[j])
		g.sum1[lo+j] += uint64(b.Sum[kernel.SumPos[j]])
	}
	clear(b.N[:])
	clear(b.NLo[:])
	clear(b.NHi[:])
	clear(b.Sum[:])
	g.frames[i] += uint32(g.since[i])
	g.since[i] = 0
}

// Planes returns the results so far. The slices belong to g, and no Add may be under way.
func (g *Gated) Planes() Planes {
	g.makeRoom()
	out := Planes{GateLo: g.gateLo, GateHi: g.gateHi, Sum0: g.sum0, NLo: g.nLo, NHi: g.nHi, Sum1: g.sum1,
		Sum2: make([]uint64, g.pixels), Min: make([]uint16, g.pixels), Max: make([]uint16, g.pixels)}
	for i := range g.blocks {
		if g.since[i] == 0 && g.frames[i] == 0 {
			g.begin(i)
		}
		g.flush(i)
		b := &g.blocks[i]
		lo := i * kernel.Width
		for j := range min(kernel.Width, g.pixels-lo) {
			p := lo + j
			out.Min[p], out.Max[p], out.Sum2[p] = b.Min[j], b.Max[j], b.Sq[kernel.SqPos[j]]
			switch {
			case g.GainBits != 0:
			case g.open:
				out.Sum0[p] = g.frames[i]
			case g.gateLo[p] > g.gateHi[p]:
				out.Sum0[p], out.Sum1[p], out.Sum2[p] = 0, 0, 0
			}
			counted := g.frames[i]
			if g.GainBits != 0 {
				counted = out.Sum0[p]
			}
			if g.LoBelow > 0xffff {
				out.NLo[p] = counted
			}
			if g.HiAbove < 0 {
				out.NHi[p] = counted
			}
		}
	}
	return out
}
