package accum

import (
	"fmt"

	"rawstatus/internal/stats/kernel"
)

// Gain counts, per pixel, frames by their gain bits:
//
//	odd   += 1   if raw & mask != want    (not what the gain mode makes them)
//	never += 1   if raw & mask == bad     (a value that must not occur in any mode; jungfrau: binary 10;
//	                                       bad 0: there is none)
type Gain struct {
	mask, want, bad uint16
	same16, never16 []uint16 // counts since the last flush; same: raw & mask == want
	since           []uint16 // frames in them, per Grain pixels
	frames          []uint32 // frames before that
	same, never     []uint32
}

// NewGain makes an accumulator; mask, want and bad are bits of the raw word in their place, and want
// differs from bad. Not all bits are gain bits.
func NewGain(pixels int, mask, want, bad uint16) *Gain {
	if want&^mask != 0 || bad&^mask != 0 || bad != 0 && want == bad || mask == 0xffff {
		panic(fmt.Sprintf("stats/accum: gain bits %#x and %#x must differ and lie within %#x", want, bad, mask))
	}
	if bad == 0 {
		bad = ^mask // no word has that
	}
	n := (pixels + Grain - 1) / Grain
	return &Gain{mask: mask, want: want, bad: bad, same16: make([]uint16, pixels), never16: make([]uint16, pixels),
		since: make([]uint16, n), frames: make([]uint32, n), same: make([]uint32, pixels), never: make([]uint32, pixels)}
}

// Add takes frames in; frames[k][i] is the raw value of pixel lo+i.
func (g *Gain) Add(lo int, frames [][]uint16) {
	if len(frames) == 0 {
		return
	}
	hi := checkBand(len(g.same), lo, frames)
	for len(frames) > 0 {
		n := min(group, len(frames))
		for i := lo / Grain; i < (hi+Grain-1)/Grain; i++ {
			if int(g.since[i])+n > kernel.FlushAfter {
				g.flush(i)
			}
			g.since[i] += uint16(n)
		}
		kernel.Gain(g.same16[lo:hi], g.never16[lo:hi], frames[:n], g.mask, g.want, g.bad)
		frames = frames[n:]
	}
}

// flush moves the narrow counters of the i-th Grain pixels into the planes.
func (g *Gain) flush(i int) {
	for p := i * Grain; p < min((i+1)*Grain, len(g.same)); p++ {
		g.same[p] += uint32(g.same16[p])
		g.never[p] += uint32(g.never16[p])
		g.same16[p], g.never16[p] = 0, 0
	}
	g.frames[i] += uint32(g.since[i])
	g.since[i] = 0
}

// Planes returns the counts so far; no Add may be under way.
func (g *Gain) Planes() (odd, never []uint32) {
	for i := range g.since {
		g.flush(i)
	}
	odd, never = make([]uint32, len(g.same)), make([]uint32, len(g.same))
	copy(never, g.never)
	for p := range odd {
		odd[p] = g.frames[p/Grain] - g.same[p]
	}
	return odd, never
}
