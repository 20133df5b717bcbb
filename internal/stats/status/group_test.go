package status

import (
	"math/rand/v2"
	"testing"

	"rawstatus/internal/testenv"
)

// TestGroupLimits compares limits over several panels, of which some pixels are not judged, with those of one list of
// all judged values.
func TestGroupLimits(t *testing.T) {
	rng := rand.New(rand.NewPCG(testenv.Seed(t), 14))
	for range 60 {
		var parts []part
		var all []float64
		first := 0
		for range 1 + rng.IntN(6) {
			rows, cols := 1+rng.IntN(80), 1+rng.IntN(600)
			whole := tile{r1: rows, c1: cols}
			if rng.IntN(3) == 0 {
				whole = tile{r0: rng.IntN(rows), r1: rows, c0: rng.IntN(cols), c1: cols}
			}
			of := &PanelResult{Rows: rows, Cols: cols, Ave: make([]float64, rows*cols)}
			words := make([]uint64, rows*cols)
			lost := rng.IntN(3) * rng.IntN(2) * rng.IntN(50)
			for i := range of.Ave {
				of.Ave[i] = 1000 + 10*rng.NormFloat64()
				if rng.IntN(100) < lost {
					words[i] = NoData
					of.note(i, NoData)
				}
			}
			p := part{tile: whole, cols: cols, of: of}
			p.count()
			p.first = first
			first += p.judged
			parts = append(parts, p)
			for r := whole.r0; r < whole.r1; r++ {
				for i := r*cols + whole.c0; i < r*cols+whole.c1; i++ {
					if words[i] == 0 {
						all = append(all, of.Ave[i])
					}
				}
			}
		}
		if first != len(all) {
			t.Fatalf("%d judged pixels counted, %d are there", first, len(all))
		}
		if first == 0 {
			continue
		}
		got := groupLimits(parts, first, func(r *PanelResult) []float64 { return r.Ave }, bounds{}, MeanStd)
		if mean, std := MeanStdOf(all); got.Mean != mean || got.Std != std {
			t.Fatalf("%d parts, %d values: %v and %v, wanted %v and %v", len(parts), len(all), got.Mean, got.Std, mean, std)
		}
	}
}
