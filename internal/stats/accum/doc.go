// Package accum counts pixels: exact integer statistics of the frames of one panel.
//
// Gated has sums, counts and extremes of every pixel, with or without gates; Max has only maxima; Gain
// counts frames in the wrong gain. All follow the same rules:
//
//   - Add takes a band of pixels of some frames. A band begins at a multiple of Grain pixels and ends
//     at one or at the last pixel; anything else is a mistake of the caller and panics.
//   - Bands that do not overlap may be added from different goroutines at the same time.
//   - Everything is exact for up to 2^32-1 frames of 16 bits, and the order of frames does not matter.
//   - Frames are read in groups of 16 across the band: give many frames of a band of some ten thousand
//     pixels at once, so that its accumulators (832 bytes for 32 pixels) stay in the cache.
package accum

import (
	"fmt"

	"rawstatus/internal/stats/kernel"
)

// Grain is the number of pixels at whose multiples bands begin and end.
const Grain = 64

// group is the number of frames that a kernel reads side by side: accumulators move between cache and registers once
// for all of them.
const group = kernel.MaxFrames

// Parts passes frames to so many accumulators, a few frames at a time, with the number of the first: all
// accumulators but the first find them in the cache. One alone gets all frames at once.
func Parts(accumulators int, frames [][]uint16, add func(first int, part [][]uint16)) {
	n := group
	if accumulators < 2 {
		n = max(1, len(frames))
	}
	for first := 0; first < len(frames); first += n {
		add(first, frames[first:min(first+n, len(frames))])
	}
}

// checkBand panics unless frames are a band from pixel lo on of a panel with so many pixels, and returns
// the band's end.
func checkBand(pixels, lo int, frames [][]uint16) (hi int) {
	n := len(frames[0])
	for _, f := range frames {
		if len(f) != n {
			panic(fmt.Sprintf("stats/accum: frames of %d and %d pixels in one band", n, len(f)))
		}
	}
	if lo < 0 || lo%Grain != 0 || n > pixels-lo || ((lo+n)%Grain != 0 && lo+n != pixels) {
		panic(fmt.Sprintf("stats/accum: band [%d, %d) of %d pixels is not cut at multiples of %d", lo, lo+n, pixels, Grain))
	}
	return lo + n
}
