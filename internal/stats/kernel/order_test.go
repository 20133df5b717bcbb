package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const pixels = 64 + 64 + 33
	for _, frames := range []int{1, 2, 3, 7, 50, 129, 1000} {
		ranks := []int{0, frames - 1, frames / 2, r.IntN(frames), frames / 20}
		for _, pat := range patterns {
			for _, mask := range []uint16{0x3fff, 0xffff, 0x0ffe} {
				block := make([][]uint16, frames)
				for k := range block {
					block[k] = guarded(t, pixels, k%2 == 0)
					for i := range block[k] {
						block[k][i] = pat.word(r)
					}
				}
				for _, l := range available() {
					if l == levelGo {
						continue
					}
					dst := make([][]uint16, len(ranks))
					limits := make([]uint16, len(ranks))
					for j := range dst {
						dst[j] = make([]uint16, pixels)
						limits[j] = uint16(ranks[j])
					}
					done := l.orderAll(dst, block, mask, limits)
					if done != pixels/32*32 {
						t.Fatalf("%v did %d pixels of %d", l, done, pixels)
					}
					for i := range done {
						col := make([]uint16, frames)
						for k := range col {
							col[k] = block[k][i] & mask
						}
						slices.Sort(col)
						for j, rank := range ranks {
							if dst[j][i] != col[rank] {
								t.Fatalf("%v: rank %d of %d frames of %s, mask %#x, pixel %d: %d, want %d", l, rank, frames, pat.name, mask, i, dst[j][i], col[rank])
							}
						}
					}
				}
			}
		}
	}
}

// TestOrderRef holds the definition to sorting.
func TestOrderRef(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	tile := make([]uint16, 9*7)
	for i := range tile {
		tile[i] = uint16(r.IntN(5))
	}
	dst := make([]uint16, 2*6)
	orderRef(tile, 7, 9, 6, dst, []uint16{0, 4}, 0xffff)
	for i := range 6 {
		var col []uint16
		for k := range 9 {
			col = append(col, tile[7*k+i])
		}
		slices.Sort(col)
		if dst[i] != col[0] || dst[6+i] != col[4] {
			t.Errorf("pixel %d: %d %d of %v", i, dst[i], dst[6+i], col)
		}
	}
}

func TestBelow(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for pixels := range 300 {
		pat := patterns[r.IntN(len(patterns))]
		px := guarded(t, pixels+1, pixels%2 == 0)[1:]
		for i := range px {
			px[i] = pat.word(r)
		}
		limits := [4]uint16{0, pat.word(r), 2000, 0xffff}
		for _, mask := range []uint16{0x3fff, 0xffff} {
			want := belowRef(px, mask, &limits)
			for _, l := range available() {
				if got := l.below(px, mask, &limits); got != want {
					t.Fatalf("%v: %d pixels of %s below %v: %v, want %v", l, pixels, pat.name, limits, got, want)
				}
			}
		}
	}
	long := make([]uint16, 1<<21+17) // more than a lane can count at once
	for _, l := range available() {
		if got := l.below(long, 0xffff, &[4]uint16{1, 1, 0, 5}); got != [4]int{len(long), len(long), 0, len(long)} {
			t.Errorf("%v: %v", l, got)
		}
	}
}

func TestMiddle(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	gauss := func(r *rand.Rand) uint16 { return uint16(5000 + 100*r.NormFloat64()) }
	n := 0
	halves := func(*rand.Rand) uint16 { n++; return uint16(n / 6000 * 1000) } // a sample may mislead
	for _, pixels := range []int{8192, 8193, 20000, 33001} {
		for _, pat := range append(slices.Clone(patterns), struct {
			name string
			word func(r *rand.Rand) uint16
		}{"gauss", gauss}, struct {
			name string
			word func(r *rand.Rand) uint16
		}{"halves", halves}) {
			f := make([]uint16, pixels)
			for i := range f {
				f[i] = pat.word(r)
			}
			for _, mask := range []uint16{0x3fff, 0xffff, 0x0ffe} {
				sorted := make([]uint16, pixels)
				for i := range f {
					sorted[i] = f[i] & mask
				}
				slices.Sort(sorted)
				for _, l := range available() {
					a, b, _ := l.middle(f, mask)
					if a != sorted[(pixels-1)/2] || b != sorted[pixels/2] {
						t.Fatalf("%v: %d pixels of %s, mask %#x: %d %d, want %d %d", l, pixels, pat.name, mask, a, b, sorted[(pixels-1)/2], sorted[pixels/2])
					}
				}
			}
		}
	}
	if _, _, ok := Middle(make([]uint16, 100), 0xffff); ok {
		t.Error("a short frame was taken")
	}
}

func BenchmarkOrder(b *testing.B) {
	if best == levelGo {
		b.Skip("no vectors: stats/quantile does this")
	}
	const pixels = 512 * 128
	for _, frames := range []int{50, 1000} {
		block := noisyDark(nil, frames, pixels)
		ranks := []uint16{uint16(frames / 20), uint16(frames / 2), uint16(frames - 1 - frames/20)}
		dst := [][]uint16{make([]uint16, pixels), make([]uint16, pixels), make([]uint16, pixels)}
		b.Run(fmt.Sprintf("frames=%d/impl=%v", frames, best), func(b *testing.B) {
			b.SetBytes(int64(2 * pixels * frames))
			for b.Loop() {
				best.orderAll(dst, block, 0x3fff, ranks)
			}
		})
	}
}

func BenchmarkMiddle(b *testing.B) {
	if best == levelGo {
		b.Skip("no vectors: stats/quantile does this")
	}
	r := rand.New(rand.NewPCG(1, 1))
	frames := make([][]uint16, 16)
	for k := range frames {
		frames[k] = make([]uint16, 512*1024)
		for i := range frames[k] {
			frames[k][i] = uint16(2000 + 100*r.NormFloat64())
		}
	}
	b.Run("impl="+best.String(), func(b *testing.B) {
		b.SetBytes(int64(2 * len(frames[0]) * len(frames)))
		for b.Loop() {
			for _, f := range frames {
				best.middle(f, 0x3fff)
			}
		}
	})
}
