package main

import (
	"context"
	"fmt"
	"runtime"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/quantile"
)

// lightOf does what the profile light (features 1 and 6) does with frames: the median of each in one
// sweep, then the residuals of the good ones.
func lightOf(ctx context.Context, src *sweep.Source, lanes []sweep.Lane) error {
	hists := make([][1 << 16]uint32, runtime.GOMAXPROCS(0))
	medians := make([][]uint32, len(lanes))
	for i, l := range lanes {
		medians[i] = make([]uint32, len(l.Extents))
	}
	err := src.Sweep(ctx, sweep.Sweep{Lanes: lanes, Whole: true, Do: func(b sweep.Batch) error {
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
		err := residuals(len(exts), func(bands []feature.Band, do func(band int, frames [][]uint16)) error {
			lane := sweep.Lane{Panel: l.Panel, Extents: exts}
			for _, b := range bands {
				lane.Bands = append(lane.Bands, sweep.Span{Lo: b.Read.Lo * cols, Hi: b.Read.Hi * cols})
			}
			return src.Sweep(ctx, sweep.Sweep{Lanes: []sweep.Lane{lane}, Do: func(b sweep.Batch) error {
				do(b.Band, b.Frames)
				return nil
			}})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// residuals does feature 6 as tasks do it, as many bands at a time as their memory holds, which each takes through do.
func residuals(frames int, each func(bands []feature.Band, do func(band int, frames [][]uint16)) error) error {
	f, err := feature.NewFlatness(rows, cols, 15, 15, 0x3fff)
	if err != nil {
		return err
	}
	for bands := f.Bands(); len(bands) > 0; {
		n := int(max(1, min(int64(len(bands)), plan.ResidualBytes/f.Bytes(bands[0], 0, f.WindowCols(), frames))))
		res, seen := make([]*feature.Residuals, n), make([]int, n)
		err := each(bands[:n], func(band int, px [][]uint16) {
			if res[band] == nil {
				res[band] = feature.NewResiduals(f, bands[band], 0, f.WindowCols(), frames)
			}
			res[band].Add(px)
			if seen[band] += len(px); seen[band] == frames {
				sink.Add(res[band].Finish().Frames)
			}
		})
		if err != nil {
			return err
		}
		bands = bands[n:]
	}
	return nil
}

// originalResiduals is the time that the original takes for the residuals of a frame of 512 x 1024 pixels, without
// medians and spreads: measured once with its own code, in seconds.
const originalResiduals = 0.38

// featureSix times feature 6 with medians and spreads over frames in memory.
func featureSix(b *bench) error {
	defer kernel.Use(kernel.Names()[0])
	n := len(b.d.ram)
	inMemory := func(frames int) func() error {
		return func() error {
			return residuals(frames, func(bands []feature.Band, do func(band int, frames [][]uint16)) error {
				var g fault.Group
				g.SetLimit(runtime.GOMAXPROCS(0))
				for i, band := range bands {
					g.Go(func() error {
						px := make([][]uint16, frames)
						for k := range px {
							px[k] = b.d.ram[k][band.Read.Lo*cols : band.Read.Hi*cols]
						}
						do(i, px)
						return nil
					})
				}
				return g.Wait()
			})
		}
	}
	const group = "feature 6 with medians and spreads, frames in memory"
	var list []variant
	for _, level := range kernel.Names() {
		switch level {
		case "avx512", "avx2":
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
