package kernel

import "fmt"

// level is a set of implementations of all kernels, one per instruction set. Its methods see whole
// blocks, 1..MaxFrames frames, all at least as long as needed.
type level uint8

const levelGo level = 0

// best is the fastest level that this processor has.
var best = available()[0]

// Name returns the level in use, for logs: "avx512", "avx2" or "go".
func Name() string { return best.String() }

// Vectors reports whether the level in use has assembly.
func Vectors() bool { return best != levelGo }

// Names lists the levels that this processor has, fastest first.
func Names() (names []string) {
	for _, l := range available() {
		names = append(names, l.String())
	}
	return names
}

// Use makes all calls from now on use the named level, for comparisons of levels within a process. No
// kernel may be running.
func Use(name string) error {
	for _, l := range available() {
		if l.String() == name {
			best = l
			return nil
		}
	}
	return fmt.Errorf("stats/kernel: no level %q here, only %v", name, Names())
}

// Gated adds up to MaxFrames frames to blocks; see gatedRef for what it counts. frames[k][i] is pixel
// i of the first block on. next are the frames of the next call, if that is known: their beginnings are
// brought into the cache, nothing else is done with them.
func Gated(blocks []Block, frames, next [][]uint16, p *Params) {
	check("Gated", Width*len(blocks), frames)
	writes(blocks)
	if len(blocks) > 0 && len(frames) > 0 {
		best.gated(blocks, frames, next, p)
	}
}

// Ungated is Gated with open gates, except that N is left alone.
func Ungated(blocks []Block, frames, next [][]uint16, p *Params) {
	check("Ungated", Width*len(blocks), frames)
	writes(blocks)
	if len(blocks) > 0 && len(frames) > 0 {
		best.ungated(blocks, frames, next, p)
	}
}

// Watched is Gated, and sets foreign[i] to whether a word of blocks[i] has raw & Gain != Want.
func Watched(blocks []Block, foreign []bool, frames, next [][]uint16, p *Params) {
	check("Watched", Width*len(blocks), frames)
	if len(foreign) != len(blocks) {
		panic(fmt.Sprintf("stats/kernel: Watched: %d answers for %d blocks", len(foreign), len(blocks)))
	}
	writes(blocks)
	if len(frames) == 0 {
		clear(foreign)
	} else if len(blocks) > 0 {
		best.watched(blocks, foreign, frames, next, p)
	}
}

// Masked is Gated for words with raw & Gain == Want instead of a gate: nothing is counted of other words.
func Masked(blocks []Block, frames, next [][]uint16, p *Params) {
	check("Masked", Width*len(blocks), frames)
	writes(blocks)
	if len(blocks) > 0 && len(frames) > 0 {
		best.masked(blocks, frames, next, p)
	}
}

// Max sets dst[i] to the maximum of itself and frames[k][i] & mask over up to MaxFrames frames.
func Max(dst []uint16, frames [][]uint16, mask uint16) {
	check("Max", len(dst), frames)
	writes(dst)
	if len(dst) > 0 && len(frames) > 0 {
		best.max(dst, frames, mask)
	}
}

// Gain counts in odd[i] the frames with frames[k][i] & mask != want, and in second[i] those == other,
// over up to MaxFrames frames. want != other.
func Gain(odd, second []uint16, frames [][]uint16, mask, want, other uint16) {
	check("Gain", len(odd), frames)
	if len(second) != len(odd) || want == other {
		panic(fmt.Sprintf("stats/kernel: Gain: %d and %d counters for values %#x and %#x", len(odd), len(second), want, other))
	}
	writes(odd)
	writes(second)
	if len(odd) > 0 && len(frames) > 0 {
		best.gain(odd, second, frames, mask, want, other)
	}
}

// check refuses frames that are too short or too many for one call, and notes that they are read.
func check(name string, pixels int, frames [][]uint16) {
	if len(frames) > MaxFrames {
		panic(fmt.Sprintf("stats/kernel: %s: %d frames, at most %d", name, len(frames), MaxFrames))
	}
	for k, f := range frames {
		if len(f) < pixels {
			panic(fmt.Sprintf("stats/kernel: %s: frame %d has %d pixels, %d needed", name, k, len(f), pixels))
		}
		reads(f[:pixels])
	}
}
