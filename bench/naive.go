package main

// naive is the plain Go loop that the kernels are measured against: the definition of gated sums, frame
// by frame and pixel by pixel, on one array per quantity.
type naive struct {
	gateLo, gateHi []uint16
	sum0, nLo, nHi []uint32
	sum1, sum2     []uint64
	min, max       []uint16
}

func newNaive(gateLo, gateHi []uint16) *naive {
	n := len(gateLo)
	return &naive{gateLo: gateLo, gateHi: gateHi, sum0: make([]uint32, n), nLo: make([]uint32, n), nHi: make([]uint32, n),
		sum1: make([]uint64, n), sum2: make([]uint64, n), min: make([]uint16, n), max: make([]uint16, n)}
}

func (g *naive) add(frames [][]uint16) {
	const mask, below, above = 0x3fff, 1, 16000
	for _, f := range frames {
		for p, raw := range f {
			y := raw & mask
			g.min[p], g.max[p] = min(g.min[p], y), max(g.max[p], y)
			if y < below {
				g.nLo[p]++
			}
			if y > above {
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
