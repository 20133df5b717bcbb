package feature

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkResiduals runs feature 6 over one band of a jungfrau panel; bytes are those of raw input.
func BenchmarkResiduals(b *testing.B) {
	const cols = 1024
	for _, frames := range []int{100, 1000} {
		b.Run(fmt.Sprintf("frames=%d", frames), func(b *testing.B) {
			f, err := NewFlatness(512, cols, 15, 15, 0x3fff)
			if err != nil {
				b.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 1))
			raw := make([][]uint16, frames)
			for k := range raw {
				raw[k] = make([]uint16, 15*cols)
				for i := range raw[k] {
					raw[k][i] = uint16(2000 + int(15*r.NormFloat64()))
				}
			}
			b.SetBytes(int64(frames * 15 * cols * 2))
			b.ReportAllocs() // of a whole band
			for b.Loop() {
				acc := NewResiduals(f, f.Bands()[0], 0, f.WindowCols(), frames)
				for k := 0; k < frames; k += 20 {
					acc.Add(raw[k:min(k+20, frames)])
				}
				acc.Finish()
			}
		})
	}
}
