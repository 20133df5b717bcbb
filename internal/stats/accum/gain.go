package accum

import (
	"fmt"
	"sync"
	"sync/atomic"

	"rawstatus/internal/stats/kernel"
)

// Gain counts, per pixel, frames by their gain bits:
//
//	odd   += 1   if raw & mask != want    (not what the gain mode makes them)
//	never += 1   if raw & mask == bad     (a value that must not occur in any mode; jungfrau: binary 10;
//	                                       bad 0: there is none)
type Gain struct {
	mask, want, bad uint16
	odd16, never16  []uint16    // counts since the last flush
	since           []uint16    // frames in them, per Grain pixels
	added           atomic.Bool // some of them may not be 0
	mu              sync.Mutex
	odd, never      []uint32 // what was flushed; nil before the first time
}

// NewGain makes an accumulator; mask, want and bad are bits of the raw word in their place, and want
// differs from bad. Not all bits are gain bits.
func NewGain(pixels int, mask, want, bad uint16) *Gain {
	g := &Gain{}
	g.Reset(nil, nil, pixels, mask, want, bad)
	return g
}

// Reset makes g what NewGain returns, in the memory of odd and never where they are large enough.
func (g *Gain) Reset(odd, never []uint16, pixels int, mask, want, bad uint16) {
	if want&^mask != 0 || bad&^mask != 0 || bad != 0 && want == bad || mask == 0xffff {
		panic(fmt.Sprintf("stats/accum: gain bits %#x and %#x must differ and lie within %#x", want, bad, mask))
	}
	if bad == 0 {
		bad = ^mask // no word has that
	}
	g.mask, g.want, g.bad, g.odd, g.never = mask, want, bad, nil, nil
	g.added.Store(false)
	g.odd16, g.never16, g.since = zeroed(odd, pixels), zeroed(never, pixels), zeroed(g.since, (pixels+Grain-1)/Grain)
}

// Add takes frames in; frames[k][i] is the raw value of pixel lo+i.
func (g *Gain) Add(lo int, frames [][]uint16) {
	if len(frames) == 0 {
		return
	}
	hi := checkBand(len(g.odd16), lo, frames)
	g.added.Store(true)
	for len(frames) > 0 {
		n := min(group, len(frames))
		for i := lo / Grain; i < (hi+Grain-1)/Grain; i++ {
			if int(g.since[i])+n > kernel.FlushAfter {
				g.flush(i)
			}
			g.since[i] += uint16(n)
		}
		kernel.Gain(g.odd16[lo:hi], g.never16[lo:hi], frames[:n], g.mask, g.want, g.bad)
		frames = frames[n:]
	}
}

// addForeign takes in those blocks from pixel lo on, two at a time, that have words with other gain bits than wanted;
// others change nothing. frames are at most group.
func (g *Gain) addForeign(lo int, foreign []bool, frames [][]uint16) {
	const each = Grain / kernel.Width
	var part [group][]uint16
	for i := 0; i+1 < len(foreign); i += each {
		if !foreign[i] && !foreign[i+1] {
			continue
		}
		n := each
		for i+n+1 < len(foreign) && (foreign[i+n] || foreign[i+n+1]) {
			n += each
		}
		cut(&part, frames, i*kernel.Width, (i+n)*kernel.Width)
		g.Add(lo+i*kernel.Width, part[:len(frames)])
		i += n // the blocks behind have none
	}
}

// flush moves the narrow counters of the i-th Grain pixels into wide ones: most runs never need them.
func (g *Gain) flush(i int) {
	g.mu.Lock()
	if g.odd == nil {
		g.odd, g.never = make([]uint32, len(g.odd16)), make([]uint32, len(g.odd16))
	}
	odd, never := g.odd, g.never
	g.mu.Unlock()
	for p := i * Grain; p < min((i+1)*Grain, len(odd)); p++ {
		odd[p] += uint32(g.odd16[p])
		never[p] += uint32(g.never16[p])
		g.odd16[p], g.never16[p] = 0, 0
	}
	g.since[i] = 0
}

// Planes returns the counts so far; no Add may be under way.
func (g *Gain) Planes() (odd, never []uint32) {
	odd, never = make([]uint32, len(g.odd16)), make([]uint32, len(g.odd16))
	g.PlanesTo(odd, never)
	return odd, never
}

// PlanesTo is Planes into slices with an element per pixel.
func (g *Gain) PlanesTo(odd, never []uint32) {
	if !g.added.Load() {
		clear(odd)
		clear(never)
		return
	}
	widen(odd, g.odd16, g.odd)
	widen(never, g.never16, g.never)
}

// widen adds narrow counters to wide ones, if there are any.
func widen(dst []uint32, narrow []uint16, wide []uint32) {
	dst = dst[:len(narrow)]
	for i, n := range narrow {
		dst[i] = uint32(n)
	}
	for i, n := range wide {
		dst[i] += n
	}
}
