package status

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// BenchmarkEvalDark judges one jungfrau panel of 1000 frames; bytes are those of its planes.
func BenchmarkEvalDark(b *testing.B) {
	const rows, cols = 512, 1024
	r := rand.New(rand.NewPCG(1, 1))
	p := AbsentPanel(rows, cols)
	p.Frames = 1000
	for i := range p.Sum0 {
		mean, sigma := 2000+r.IntN(200), 10+r.IntN(10)
		p.Sum0[i], p.Sum1[i] = 1000, uint64(1000*mean)
		p.Sum2[i] = uint64(1000 * (mean*mean + sigma*sigma))
	}
	params := DarkParams{Profile: ProfileData, Scope: PerDetector, Method: MeanStd, IntLo: 1, IntHi: 16000, IntNLo: 6, IntNHi: 6,
		RmsLo: 0.001, RmsHi: 16000, RmsNLo: 6, RmsNHi: 6, FracLm: 0.1, MinFrames: 3, ASICRows: 256, ASICCols: 256}
	for name, change := range map[string]func(*DarkParams){
		"mean":   func(*DarkParams) {},
		"robust": func(p *DarkParams) { p.Method, p.Scope = Robust, PerASIC },
	} {
		b.Run(name, func(b *testing.B) {
			q := params
			change(&q)
			b.SetBytes(28 * rows * cols)
			for b.Loop() {
				if _, err := EvalDark([]PanelPlanes{p}, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAddHints looks at one jungfrau panel with 1 % bad pixels; bytes are those of its status.
func BenchmarkAddHints(b *testing.B) {
	const rows, cols = 512, 1024
	r := rand.New(rand.NewPCG(2, 2))
	status := make([]uint64, rows*cols)
	for i := range status {
		if r.IntN(100) == 0 {
			status[i] = RmsHigh
		}
	}
	list := SparseOf(status)
	p := SpatialParams{LineFraction: 0.5, ASICFraction: 0.5, Neighbours: 8, ASICRows: 256, ASICCols: 256}
	b.SetBytes(8 * rows * cols)
	for b.Loop() {
		if _, err := AddHints(list, rows, cols, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRobustLimits(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	v := make([]float64, 1<<16)
	for i := range v {
		v[i] = 1000 + 5*rng.NormFloat64()
	}
	w := bounds{6, 6, 1, 16000}
	b.SetBytes(8 << 16)
	b.Run("bins", func(b *testing.B) {
		for b.Loop() {
			robustLimits([][]float64{v}, w)
		}
	})
	b.Run("rounds", func(b *testing.B) {
		for b.Loop() {
			roundLimits(slices.Clone(v), w)
		}
	})
}
