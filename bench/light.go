package main

import (
	"context"
	"fmt"
	"runtime"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/quantile"
)

// lightOf does what the profile light (features 1 and 6) does with frames: the median of each in one
// sweep, then band by band the residuals of the good ones.
func lightOf(ctx context.Context, src frame.Source, lanes []frame.Lane) error {
	hists := make([][1 << 16]uint32, runtime.GOMAXPROCS(0))
	medians := make([][]uint32, len(lanes))
	for i, l := range lanes {
		medians[i] = make([]uint32, len(l.Extents))
	}
	err := src.Sweep(ctx, frame.Sweep{Lanes: lanes, Whole: true, Do: func(b frame.Batch) error {
		for k, f := range b.Frames {
			medians[b.Lane][b.First+k] = quantile.FrameMedian(f, 0x3fff, &hists[b.Worker])
		}
		return nil
	}})
	if err != nil {
		return err
	}
	for i, l := range lanes {
		good, _ := feature.GoodFrames(medians[i], feature.Params{Features: []int{1}, SNR: 8, DataBits: 0x3fff})
		var exts []frame.Extent
		for k, ok := range good {
			if ok {
				exts = append(exts, l.Extents[k])
			}
		}
		if err := residuals(ctx, len(exts), func(first, lo, hi int, dst [][]uint16) (func(), error) {
			return src.Block(ctx, l.Panel, exts[first:first+len(dst)], lo, hi, dst)
		}); err != nil {
			return err
		}
	}
	return nil
}

// bandFrames is how many frames of a band are read together.
const bandFrames = 64

// residuals does feature 6 as tasks do it, over frames of which read gives pixels lo..hi-1, from frame
// first on: several bands at a time, with the memory of tasks.
func residuals(ctx context.Context, frames int, read func(first, lo, hi int, dst [][]uint16) (func(), error)) error {
	f, err := feature.NewFlatness(rows, cols, 15, 15, 0x3fff)
	if err != nil {
		return err
	}
	workers, bytes := plan.ResidualWorkers(runtime.GOMAXPROCS(0))
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(workers)
	for _, band := range f.Bands() {
		g.Go(func() error {
			px := make([][]uint16, bandFrames)
			for first, last := 0, 0; first < f.WindowCols(); first = last {
				last = f.Part(band, first, frames, bytes)
				r := feature.NewResiduals(f, band, first, last, frames)
				for k := 0; k < frames; k += bandFrames {
					if err := ctx.Err(); err != nil {
						return err
					}
					n := min(bandFrames, frames-k)
					release, err := read(k, band.Read.Lo*cols, band.Read.Hi*cols, px[:n])
					if err != nil {
						return err
					}
					r.Add(px[:n])
					release()
				}
				sink.Add(r.Finish().Frames)
			}
			return nil
		})
	}
	return g.Wait()
}

// originalResiduals is what the original takes for the residuals of a frame of 512 x 1024 pixels, without
// medians and spreads: measured once with its own code, in seconds.
const originalResiduals = 0.38

// featureSix times feature 6 with medians and spreads over frames in memory.
func featureSix(b *bench) error {
	defer kernel.Use(kernel.Names()[0])
	n := len(b.d.ram)
	inMemory := func(frames int) func() error {
		return func() error {
			return residuals(b.ctx, frames, func(first, lo, hi int, dst [][]uint16) (func(), error) {
				for k := range dst {
					dst[k] = b.d.ram[first+k][lo:hi]
				}
				return func() {}, nil
			})
		}
	}
	const group = "feature 6 with medians and spreads, frames in memory"
	var list []variant
	for _, level := range kernel.Names() {
		switch level {
		case best512(), "avx2":
			list = append(list, variant{name: level, bytes: int64(n) * 2 * pixels, cores: 1, before: useLevel(level), run: inMemory(n)})
		case "go":
			list = append(list, variant{name: level, bytes: int64(n/10) * 2 * pixels, cores: 1, before: useLevel(level), run: inMemory(n / 10)})
		}
	}
	if err := b.group(group, min(3, b.o.reps), list); err != nil {
		return err
	}
	for _, v := range list {
		perFrame := median(b.r.line(group, v.name).Seconds) / float64(v.bytes/(2*pixels))
		b.r.value("feature 6 "+v.name+" / original", originalResiduals/perFrame, "times",
			fmt.Sprintf("%.3f s for 1000 frames, one core", 1000*perFrame))
	}
	return nil
}
