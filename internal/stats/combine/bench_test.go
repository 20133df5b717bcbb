package combine

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkMerge merges 5 sources of one jungfrau panel with 2 % bad pixels; bytes are those of the sources.
func BenchmarkMerge(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var words [][]uint64
	for range 5 {
		w := make([]uint64, 512*1024)
		for i := range w {
			if r.IntN(50) == 0 {
				w[i] = 1 << r.IntN(10)
			}
		}
		words = append(words, w)
	}
	b.SetBytes(5 * 8 * 512 * 1024)
	for b.Loop() {
		if _, err := Merge(sources(words...), Rule{Fraction: 0.7, Unjudged: unjudged}); err != nil {
			b.Fatal(err)
		}
	}
}
