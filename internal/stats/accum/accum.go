package accum

import (
	"fmt"

	"rawstatus/internal/stats/kernel"
)

// Gated accumulates, per pixel p over frames k with y = raw & DataBits:
//
//	sum0 += 1, sum1 += y, sum2 += y*y   if GateLo[p] <= y <= GateHi[p]
//	nLo  += 1                           if y < LoBelow
//	nHi  += 1                           if y > HiAbove
//	min, max                            of all y
//
// A gate with GateLo > GateHi is empty and accepts nothing.
type Gated struct {
	Params
	pixels         int
	open           bool // no gates: every y is inside
	gateLo, gateHi []uint16
	kernel         kernel.Params
	blocks         []kernel.Block
	since          []uint16 // frames in the 16-bit counters of a block
	frames         []uint32 // frames of a block before that
	sum0, nLo, nHi []uint32 // what was flushed out of the blocks
	sum1           []uint64
}

// Params are the constants of a Gated accumulation.
type Params struct {
	DataBits uint16
	LoBelow  uint32 // 0..65536
	HiAbove  int32  // -1..65535
}

// Planes are the results of a Gated, one element per pixel, in pixel order.
type Planes struct {
	GateLo, GateHi []uint16
	Sum0, NLo, NHi []uint32
	Sum1, Sum2     []uint64
	Min, Max       []uint16
}

// NewGated makes an accumulator for len(gateLo) pixels. A nil gate means all values are inside; then
// pixels gives their number.
func NewGated(pixels int, p Params, gateLo, gateHi []uint16) *Gated {
	g := &Gated{Params: p, pixels: pixels, open: gateLo == nil, gateLo: gateLo, gateHi: gateHi}
	if g.open {
		g.gateLo, g.gateHi = make([]uint16, pixels), make([]uint16, pixels)
		for i := range g.gateHi {
			g.gateHi[i] = 0xffff
		}
	}
	if len(g.gateLo) != pixels || len(g.gateHi) != pixels {
		panic(fmt.Sprintf("stats/accum: gates have %d and %d pixels, wanted %d", len(g.gateLo), len(g.gateHi), pixels))
	}
	if p.LoBelow > 1<<16 || p.HiAbove < -1 || p.HiAbove > 0xffff {
		panic(fmt.Sprintf("stats/accum: limits %d and %d are not in 0..65536 and -1..65535", p.LoBelow, p.HiAbove))
	}
	// Limits that count every frame are beyond the kernel's 16 bits: Planes fills those counts in.
	g.kernel = kernel.Params{Mask: p.DataBits, Below: uint16(p.LoBelow), Above: uint16(p.HiAbove)}
	n := (pixels + kernel.Width - 1) / kernel.Width
	g.blocks, g.since, g.frames = make([]kernel.Block, n), make([]uint16, n), make([]uint32, n)
	for i := range g.blocks {
		g.blocks[i].Reset()
	}
	for p := range g.gateLo {
		// The kernel cannot express an empty gate; Planes takes out what it lets through.
		b := &g.blocks[p/kernel.Width]
		b.Lo[p%kernel.Width], b.Range[p%kernel.Width] = g.gateLo[p], g.gateHi[p]-g.gateLo[p]
	}
	g.sum0, g.nLo, g.nHi, g.sum1 = make([]uint32, pixels), make([]uint32, pixels), make([]uint32, pixels), make([]uint64, pixels)
	return g
}

// Add counts frames; frames[k][i] is the raw value of pixel lo+i, all of the same length.
func (g *Gated) Add(lo int, frames [][]uint16) {
	if len(frames) == 0 {
		return
	}
	hi := checkBand(g.pixels, lo, frames)
	first, whole := lo/kernel.Width, hi/kernel.Width
	var part [group][]uint16
	for len(frames) > 0 {
		n := copy(part[:], frames)
		frames = frames[n:]
		g.count(first, (hi+kernel.Width-1)/kernel.Width, n)
		if whole > first {
			g.add(g.blocks[first:whole], part[:n])
		}
		if tail := hi - whole*kernel.Width; tail > 0 {
			var px [group][kernel.Width]uint16 // the rest of a block's lanes count zeros that no one reads
			for k, f := range part[:n] {
				copy(px[k][:], f[len(f)-tail:])
				part[k] = px[k][:]
			}
			g.add(g.blocks[whole:whole+1], part[:n])
		}
	}
}

// add gives whole blocks to the kernel.
func (g *Gated) add(blocks []kernel.Block, frames [][]uint16) {
	if g.open {
		kernel.Ungated(blocks, frames, &g.kernel)
	} else {
		kernel.Gated(blocks, frames, &g.kernel)
	}
}

// count notes n more frames for blocks [first, last) after making room in their narrow counters.
func (g *Gated) count(first, last, n int) {
	for i := first; i < last; i++ {
		if int(g.since[i])+n > kernel.FlushAfter {
			g.flush(i)
		}
		g.since[i] += uint16(n)
	}
}

// flush moves the narrow counters of a block into the planes.
func (g *Gated) flush(i int) {
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

// Planes gives the results so far. The slices belong to g, and no Add may be under way.
func (g *Gated) Planes() Planes {
	out := Planes{GateLo: g.gateLo, GateHi: g.gateHi, Sum0: g.sum0, NLo: g.nLo, NHi: g.nHi, Sum1: g.sum1,
		Sum2: make([]uint64, g.pixels), Min: make([]uint16, g.pixels), Max: make([]uint16, g.pixels)}
	for i := range g.blocks {
		g.flush(i)
		b := &g.blocks[i]
		lo := i * kernel.Width
		for j := range min(kernel.Width, g.pixels-lo) {
			p := lo + j
			out.Min[p], out.Max[p], out.Sum2[p] = b.Min[j], b.Max[j], b.Sq[kernel.SqPos[j]]
			if g.open {
				out.Sum0[p] = g.frames[i]
			}
			if g.gateLo[p] > g.gateHi[p] {
				out.Sum0[p], out.Sum1[p], out.Sum2[p] = 0, 0, 0
			}
			if g.LoBelow > 0xffff {
				out.NLo[p] = g.frames[i]
			}
			if g.HiAbove < 0 {
				out.NHi[p] = g.frames[i]
			}
		}
	}
	return out
}
