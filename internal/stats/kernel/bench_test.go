package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// noisyDark makes frames of Gaussian darks with gates that 10 % of the values leave.
func noisyDark(blocks []Block, frames, pixels int) [][]uint16 {
	r := rand.New(rand.NewPCG(1, 2))
	px := make([][]uint16, frames)
	back := make([]uint16, frames*(pixels+Width))
	for k := range px {
		px[k] = back[k*(pixels+Width):][:pixels:pixels]
		for i := range px[k] {
			px[k][i] = uint16(2000 + 15*r.NormFloat64())
		}
	}
	for i := range blocks {
		blocks[i].Reset()
		for j := range Width {
			blocks[i].Lo[j], blocks[i].Range[j] = 2000-25, 50
		}
	}
	return px
}

func BenchmarkKernels(b *testing.B) {
	const pixels = 8192
	p := &Params{Mask: 0x3fff, Below: 1, Above: 16000, Gain: 0xc000}
	blocks := make([]Block, pixels/Width)
	frames, foreign := noisyDark(blocks, 8, pixels), make([]bool, len(blocks))
	dst, second := make([]uint16, pixels), make([]uint16, pixels)
	for _, m := range append(others(), definition) {
		for _, k := range []struct {
			name string
			run  func()
		}{
			{"gated", func() { m.gated(blocks, frames, nil, p) }},
			{"ungated", func() { m.ungated(blocks, frames, nil, p) }},
			{"masked", func() { m.masked(blocks, frames, nil, p) }},
			{"watched", func() { m.watched(blocks, foreign, frames, nil, p) }},
			{"max", func() { m.max(dst, frames, 0x3fff) }},
			{"gain", func() { m.gain(dst, second, frames, 0xc000, 0, 0x8000) }},
		} {
			b.Run(fmt.Sprintf("kernel=%s/impl=%s", k.name, m.name), func(b *testing.B) {
				b.SetBytes(int64(2 * pixels * len(frames)))
				b.ReportAllocs()
				for b.Loop() {
					k.run()
				}
			})
		}
	}
}
