package main

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/io/frame"
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
		if err := residuals(ctx, len(exts), func(lo, hi int, dst [][]uint16) (func(), error) {
			return src.Block(ctx, l.Panel, exts, lo, hi, dst)
		}); err != nil {
			return err
		}
	}
	return nil
}

// thirdCache is the memory for residuals that the third-level cache still holds: windows of a band are
// done in groups that need no more.
const thirdCache = 24 << 20

// residuals does feature 6 over frames of which read gives pixels, several bands at a time.
func residuals(ctx context.Context, frames int, read func(lo, hi int, dst [][]uint16) (func(), error)) error {
	f, err := feature.NewFlatness(rows, cols, 15, 15, 0x3fff)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, band := range f.Bands() {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			px := make([][]uint16, frames)
			release, err := read(band.Read.Lo*cols, band.Read.Hi*cols, px)
			if err != nil {
				return err
			}
			defer release()
			for first, last := 0, 0; first < f.WindowCols(); first = last {
				for last = first + 1; last < f.WindowCols() && f.Bytes(band, first, last+1, frames) <= thirdCache; last++ {
				}
				r := feature.NewResiduals(f, band, first, last, frames)
				r.Add(px)
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
			return residuals(b.ctx, frames, func(lo, hi int, dst [][]uint16) (func(), error) {
				for k := range dst {
					dst[k] = b.d.ram[k][lo:hi]
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
