package main

import (
	"fmt"

	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/quantile"
)

const (
	kernelCache = "kernels, frames in the second-level cache"
	kernelRAM   = "kernels, frames in memory"
)

var (
	gateParams = quantile.GateParams{DataBits: 0x3fff, FracLo: 0.05, FracHi: 0.95, IntLo: 1, IntHi: 16000}
	accParams  = accum.Params{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}
)

// gates finds gates as the profile dark does, from the first 50 frames in memory: later frames leave
// them about 10 % of the time.
func (b *bench) gates(pixels int) (lo, hi []uint16) {
	lo, hi = make([]uint16, pixels), make([]uint16, pixels)
	block := make([][]uint16, 50)
	for k := range block {
		block[k] = b.d.ram[k][:pixels]
	}
	quantile.Gates(block, gateParams, lo, hi)
	return lo, hi
}

// counter is the interface of all accumulators of package accum.
type counter interface {
	Add(lo int, frames [][]uint16)
}

// useLevel makes a variant run with a level of kernels.
func useLevel(name string) func() error { return func() error { return kernel.Use(name) } }

// kernels times every kernel at every level, with frames in the cache and in memory.
func kernels(b *bench) error {
	defer kernel.Use(kernel.Names()[0])
	lo, hi := b.gates(pixels)
	accs := map[string]func(n int) counter{
		"dark": func(n int) counter { return accum.NewGated(n, accParams, lo[:n], hi[:n]) },
		"data": func(n int) counter { return accum.NewGated(n, accParams, nil, nil) },
		"max":  func(n int) counter { return accum.NewMax(n, 0x3fff) },
		"gain": func(n int) counter { return accum.NewGain(n, 0xc000, 0, 0x8000) },
		darkAndGain: func(n int) counter {
			return watching{accum.NewGated(n, accParams, lo[:n], hi[:n]), accum.NewGain(n, 0xc000, 0, 0x8000)}
		},
	}
	const inCache = 8192 // pixels of 16 frames: 256 KiB, and 208 KiB of accumulators
	cached := make([][]uint16, 16)
	for k := range cached {
		cached[k] = b.d.ram[k][:inCache]
	}
	var cache, ram []variant
	plain := newNaive(lo[:inCache], hi[:inCache])
	const rounds = 400
	cache = append(cache,
		variant{name: "AVX read", bytes: rounds * 16 * 2 * inCache, cores: 1, run: repeat(rounds, func() error { return readFrames(cached) })},
		variant{name: "dark plain loop", bytes: rounds / 20 * 16 * 2 * inCache, cores: 1, run: repeat(rounds/20, func() error { plain.add(cached); return nil })})
	all := int64(len(b.d.ram)) * 2 * pixels
	some := b.d.ram[:min(64, len(b.d.ram))]
	ram = append(ram,
		variant{name: "AVX read", bytes: all, cores: 1, run: func() error { return readFrames(b.d.ram) }},
		variant{name: "dark plain loop", bytes: 8 * 2 * pixels, cores: 1, run: func() error { newNaive(lo, hi).add(b.d.ram[:8]); return nil }})
	leading := make([][]uint16, 50) // 800 KiB
	for k := range leading {
		leading[k] = b.d.ram[k][:inCache]
	}
	gateLo, gateHi := make([]uint16, inCache), make([]uint16, inCache)
	for _, level := range kernel.Names() {
		n, frames, size := rounds, b.d.ram, all
		if level == "go" {
			n, frames, size = rounds/20, some, int64(len(some))*2*pixels
		}
		cache = append(cache, variant{name: "gates " + level, bytes: int64(n/5) * 50 * 2 * inCache, cores: 1, before: useLevel(level), run: repeat(n/5, func() error {
			quantile.Gates(leading, gateParams, gateLo, gateHi)
			return nil
		})})
		for _, profile := range []string{"dark", "data", "max", "gain", darkAndGain} {
			name := profile + " " + level
			small, large := accs[profile](inCache), accs[profile](pixels)
			cache = append(cache, variant{name: name, bytes: int64(n) * 16 * 2 * inCache, cores: 1, before: useLevel(level), run: repeat(n, func() error { small.Add(0, cached); return nil })})
			ram = append(ram, variant{name: name, bytes: size, cores: 1, before: useLevel(level), run: func() error { return addStrips(large, frames) }})
		}
	}
	if err := b.group(kernelCache, b.o.reps, cache); err != nil {
		return err
	}
	if err := b.group(kernelRAM, b.o.reps, ram); err != nil {
		return err
	}
	return b.orderStatistics()
}

// repeat makes one function of n calls.
func repeat(n int, f func() error) func() error {
	return func() error {
		for range n {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
}

// watching counts dark frames and their gain bits in one pass.
type watching struct {
	sums *accum.Gated
	gain *accum.Gain
}

// Add implements counter.
func (w watching) Add(lo int, frames [][]uint16) { w.sums.AddGain(w.gain, lo, frames) }

func readFrames(frames [][]uint16) error {
	for _, f := range frames {
		readAll(f)
	}
	return nil
}

// addStrips counts frames in the order of sweep.Sweep.
func addStrips(c counter, frames [][]uint16) error {
	const strip = 32768
	part := make([][]uint16, 0, len(frames))
	for lo := 0; lo < pixels; lo += strip {
		part = part[:0]
		for _, f := range frames {
			part = append(part, f[lo:lo+strip])
		}
		c.Add(lo, part)
	}
	return nil
}

// orderStatistics times the quantiles of the first block and the medians of frames.
func (b *bench) orderStatistics() error {
	const frames = 50
	block := b.d.ram[:frames]
	dst := [][]uint16{make([]uint16, pixels), make([]uint16, pixels), make([]uint16, pixels)}
	ranks := []int{2, 25, 47}
	var hist [1 << 16]uint32
	var list []variant
	for _, level := range kernel.Names() {
		list = append(list,
			variant{name: "3 quantiles of 50 frames " + level, bytes: frames * 2 * pixels, cores: 1, before: useLevel(level), run: func() error { quantile.Order(dst, block, 0x3fff, ranks); return nil }},
			variant{name: "median of a frame " + level, bytes: frames * 2 * pixels, cores: 1, before: useLevel(level), run: func() error {
				for _, f := range block {
					sink.Add(uint64(quantile.FrameMedian(f, 0x3fff, &hist)))
				}
				return nil
			}})
	}
	const group = "order statistics, frames in memory"
	if err := b.group(group, b.o.reps, list); err != nil {
		return err
	}
	b.r.value("median of a frame", b.r.line(group, "median of a frame "+kernel.Names()[0]).GBs, "GB/s", "one core")
	q := median(b.r.line(group, "3 quantiles of 50 frames "+kernel.Names()[0]).Seconds)
	b.r.value("3 quantiles of 50 frames", 1e3*q, "ms", fmt.Sprintf("%d x %d pixels", rows, cols))
	return nil
}
