package simulate

import (
	"context"
	"testing"

	"rawstatus/internal/io/open"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/ranges"
)

// BenchmarkFormats reads runs of the same frames in both formats: indexing, and streaming all frames as
// tasks do, with little to compute. What differs is how frames lie in their files.
func BenchmarkFormats(b *testing.B) {
	for _, format := range formats {
		cfg := Config{Format: format, Dir: b.TempDir(), Panels: 2, Events: 64}
		truth, err := Write(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		d := open.Dataset{Experiment: truth.Config.Experiment, Runs: ranges.One(1), Dir: cfg.Dir}
		x, err := open.Index(context.Background(), d, open.Options{})
		if err != nil {
			b.Fatal(err)
		}
		bytes := int64(len(x.Extents)) * int64(x.Extents[0].Length)
		b.Run("do=index/format="+format, func(b *testing.B) {
			b.SetBytes(bytes)
			for b.Loop() {
				if _, err := open.Index(context.Background(), d, open.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, way := range sweep.Ways {
			b.Run("do=sweep/way="+way+"/format="+format, func(b *testing.B) {
				src, err := sweep.Open(x.Files, way, sweep.Options{Headings: x.Headings})
				if err != nil {
					b.Fatal(err)
				}
				defer src.Close()
				all := sweep.Sweep{Do: func(batch sweep.Batch) error {
					var sum uint16
					for _, px := range batch.Frames {
						for i := 0; i < len(px); i += 8 {
							sum += px[i]
						}
					}
					return nil
				}}
				for p, panel := range x.Panels {
					lane := sweep.Lane{Panel: panel}
					for e := range x.Events {
						lane.Extents = append(lane.Extents, *x.At(e, p))
					}
					all.Lanes = append(all.Lanes, lane)
				}
				b.SetBytes(bytes)
				for b.Loop() {
					if err := src.Sweep(context.Background(), all); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
