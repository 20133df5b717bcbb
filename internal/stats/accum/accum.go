// Package accum counts pixels: exact integer statistics of the frames of one panel.
package accum

import "fmt"

// Gated accumulates, per pixel p over frames k with y = raw & DataBits:
//
//	sum0 += 1, sum1 += y, sum2 += y*y   if GateLo[p] <= y <= GateHi[p]
//	nLo  += 1                           if y < LoBelow
//	nHi  += 1                           if y > HiAbove
//	min, max                            of all y
//
// A gate with GateLo > GateHi is empty and accepts nothing. Everything is exact for up to 2^32-1
// frames of 16 bits; the order of frames does not matter.
type Gated struct {
	Params
	gateLo, gateHi []uint16
	sum0, nLo, nHi []uint32
	sum1, sum2     []uint64
	min, max       []uint16
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
	if gateLo == nil {
		gateLo, gateHi = make([]uint16, pixels), make([]uint16, pixels)
		for i := range gateHi {
			gateHi[i] = 0xffff
		}
	}
	if len(gateLo) != pixels || len(gateHi) != pixels {
		panic(fmt.Sprintf("stats/accum: gates have %d and %d pixels, wanted %d", len(gateLo), len(gateHi), pixels))
	}
	g := &Gated{Params: p, gateLo: gateLo, gateHi: gateHi,
		sum0: make([]uint32, pixels), nLo: make([]uint32, pixels), nHi: make([]uint32, pixels),
		sum1: make([]uint64, pixels), sum2: make([]uint64, pixels),
		min: make([]uint16, pixels), max: make([]uint16, pixels)}
	for i := range g.min {
		g.min[i] = 0xffff
	}
	return g
}

// Add counts frames; frames[k][i] is the raw value of pixel lo+i, all of the same length.
func (g *Gated) Add(lo int, frames [][]uint16) {
	for _, f := range frames {
		for i, raw := range f {
			y, p := raw&g.DataBits, lo+i
			g.min[p], g.max[p] = min(g.min[p], y), max(g.max[p], y)
			if uint32(y) < g.LoBelow {
				g.nLo[p]++
			}
			if int32(y) > g.HiAbove {
				g.nHi[p]++
			}
			if y >= g.gateLo[p] && y <= g.gateHi[p] {
				g.sum0[p]++
				g.sum1[p] += uint64(y)
				g.sum2[p] += uint64(y) * uint64(y)
			}
		}
	}
}

// Planes gives the results so far. The slices belong to g.
func (g *Gated) Planes() Planes {
	return Planes{GateLo: g.gateLo, GateHi: g.gateHi, Sum0: g.sum0, NLo: g.nLo, NHi: g.nHi,
		Sum1: g.sum1, Sum2: g.sum2, Min: g.min, Max: g.max}
}
