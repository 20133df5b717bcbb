package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// around returns values at the ends of what a byte can hold above and below the middle of a pixel.
func around(r *rand.Rand) uint16 {
	return uint16(2000 + []int{-2000, -129, -128, -127, 0, 0, 0, 126, 127, 128, 9000}[r.IntN(11)])
}

func TestOrderStatisticsEqualSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, frames := range []int{1, 2, 3, 7, 50, 129, 254, 255, 256, 1000} {
		ranks := []int{0, frames - 1, frames / 2, r.IntN(frames), frames / 20}
		block := make([][]uint16, frames)
		for k := range block {
			block[k] = guarded(t, 64+64+33, k%2 == 0)
		}
		for _, pat := range append(slices.Clone(patterns), struct {
			name string
			word func(r *rand.Rand) uint16
		}{"around", around}) {
			for _, mask := range []uint16{0x3fff, 0xffff, 0x0ffe} {
				for k := range block {
					for i := range block[k] {
						block[k][i] = pat.word(r)
					}
				}
				checkOrder(t, block, mask, ranks, pat.name)
				// The ends alone are found in another way.
				lo, hi := min(3, frames)-1, max(0, frames-3)
				checkOrder(t, block, mask, []int{lo, hi, r.IntN(lo + 1), hi + r.IntN(frames-hi)}, pat.name+" near the ends")
			}
		}
	}
}

// TestOrderGoesBackToBytes: pixels that need words, some here and there and whole tiles, between those that do not.
func TestOrderGoesBackToBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	const tiles = 24
	block := make([][]uint16, 15)
	for k := range block {
		block[k] = make([]uint16, 4096*tiles+96)
		for i := range block[k] {
			if tile := i / 4096; tile == 1 || tile == tiles-2 && i%4096 < 1500 || r.IntN(1000) == 0 {
				block[k][i] = uint16(r.Uint32())
			} else {
				block[k][i] = uint16(i + 3*k)
			}
		}
	}
	checkOrder(t, block, 0xffff, []int{7, 0}, "changing")
}

// TestOrderOfFewPixels: parts of a panel may be of any size.
func TestOrderOfFewPixels(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	for pixels := range 200 {
		block := make([][]uint16, 4+pixels%2*11)
		for k := range block {
			block[k] = guarded(t, pixels, true)
			for i := range block[k] {
				block[k][i] = around(r)
			}
		}
		checkOrder(t, block, 0x3fff, []int{1, len(block) / 2}, "around")
	}
}

// checkOrder compares all levels with sorting.
func checkOrder(t *testing.T, block [][]uint16, mask uint16, ranks []int, name string) {
	t.Helper()
	pixels := len(block[0])
	sorted := make([][]uint16, pixels)
	for i := range sorted {
		for _, f := range block {
			sorted[i] = append(sorted[i], f[i]&mask)
		}
		slices.Sort(sorted[i])
	}
	for _, l := range available() {
		if l == levelGo {
			continue
		}
		dst := make([][]uint16, len(ranks))
		for j := range dst {
			dst[j] = guarded(t, pixels, j%2 == 0)
		}
		done := l.orderAll(dst, block, mask, ranks)
		if done != pixels/32*32 {
			t.Fatalf("%v did %d pixels of %d", l, done, pixels)
		}
		for i := range done {
			for j, rank := range ranks {
				if dst[j][i] != sorted[i][rank] {
					t.Fatalf("%v: rank %d of %d frames of %s, mask %#x, pixel %d: %d, want %d", l, rank, len(block), name, mask, i, dst[j][i], sorted[i][rank])
				}
			}
		}
	}
}

func TestCountsBelowLimitsEqualTheReference(t *testing.T) {
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

func TestMiddleValuesEqualSorting(t *testing.T) {
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
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name           string
		frames, pixels int
		word           func() uint16
	}{
		{"dark", 50, 512 * 1024, func() uint16 { return uint16(2000 + 15*r.NormFloat64()) }},
		{"wide", 50, 512 * 1024, func() uint16 { return uint16(2000 + 100*r.NormFloat64()) }},
		{"any", 50, 512 * 1024, func() uint16 { return uint16(r.Uint32()) }},
		{"dark", 1000, 512 * 64, func() uint16 { return uint16(2000 + 15*r.NormFloat64()) }},
	} {
		block := make([][]uint16, c.frames)
		for k := range block {
			block[k] = make([]uint16, c.pixels)
			for i := range block[k] {
				block[k][i] = c.word()
			}
		}
		dst := [][]uint16{make([]uint16, c.pixels), make([]uint16, c.pixels), make([]uint16, c.pixels)}
		for _, r := range []int{2, 3} {
			b.Run(fmt.Sprintf("ends=%d/data=%s/frames=%d/impl=%v", r+1, c.name, c.frames, best), func(b *testing.B) {
				b.SetBytes(int64(2 * c.pixels * c.frames))
				for b.Loop() {
					Order(dst[:2], block, 0x3fff, []int{r, c.frames - 1 - r})
				}
			})
		}
		ranks := []int{c.frames / 20, c.frames / 2, c.frames - 1 - c.frames/20}
		b.Run(fmt.Sprintf("data=%s/frames=%d/impl=%v", c.name, c.frames, best), func(b *testing.B) {
			b.SetBytes(int64(2 * c.pixels * c.frames))
			b.ReportAllocs()
			for b.Loop() {
				best.orderAll(dst, block, 0xffff, ranks)
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
