package quantile_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/testenv/refstat"
)

func column(block [][]uint16, i int, mask uint16) []uint16 {
	c := make([]uint16, len(block))
	for k, f := range block {
		c[k] = f[i] & mask
	}
	return c
}

func TestOrderEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, frames := range []int{1, 2, 3, 10, 50, 51, 130, 1000} {
		for _, pixels := range []int{1, 7, 130, 301} {
			block := refstat.Frames(r, frames, pixels)
			mask := []uint16{0xffff, 0x3fff}[r.IntN(2)]
			ranks := []int{0, (frames - 1) / 2, frames / 2, frames - 1, r.IntN(frames)}
			dst := make([][]uint16, len(ranks))
			for j := range dst {
				dst[j] = make([]uint16, pixels)
			}
			quantile.Order(dst, block, mask, ranks)
			for i := range pixels {
				want := column(block, i, mask)
				slices.Sort(want)
				for j, k := range ranks {
					if dst[j][i] != want[k] {
						t.Fatalf("%d frames, pixel %d, rank %d: got %d, sorting gives %d", frames, i, k, dst[j][i], want[k])
					}
				}
			}
		}
	}
}

func TestSelectEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 400 {
		v := refstat.Pixel(r, 1+r.IntN(600))
		f := make([]float64, len(v))
		for i, x := range v {
			f[i] = float64(x) / 7
		}
		want := slices.Clone(f)
		slices.Sort(want)
		n := len(f)
		med := want[n/2]
		if n%2 == 0 {
			med = (want[n/2-1] + want[n/2]) / 2
		}
		k := r.IntN(n)
		if got := quantile.Select(slices.Clone(f), k); got != want[k] {
			t.Fatalf("rank %d of %d: got %v, sorting gives %v", k, n, got, want[k])
		}
		if got := quantile.Median(f); got != med {
			t.Fatalf("median of %d: got %v, sorting gives %v", n, got, med)
		}
	}
	if got := quantile.Median([]float64{1, math.NaN(), 3}); !math.IsNaN(got) {
		t.Errorf("median with a NaN: got %v, wanted NaN", got)
	}
	if got := quantile.Median([]float32{}); got == got {
		t.Errorf("median of nothing: got %v, wanted NaN", got)
	}
}

// TestMedianOfMany compares with a sorted copy, for values that a sample misleads about, too.
func TestMedianOfMany(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	kinds := map[string]func(i, n int) float64{
		"normal":   func(int, int) float64 { return 1000 + 15*r.NormFloat64() },
		"signs":    func(int, int) float64 { return (r.Float64() - 0.5) * math.Pow(2, float64(r.IntN(2000)-1000)) },
		"equal":    func(int, int) float64 { return 7 },
		"few":      func(int, int) float64 { return float64(r.IntN(3)) },
		"halves":   func(i, n int) float64 { return float64(i % 2) },
		"sorted":   func(i, n int) float64 { return float64(i) },
		"misled":   func(i, n int) float64 { return float64(i % (n / 1024)) },
		"infinite": func(i, n int) float64 { return math.Inf(1 - 2*(i%2)) },
		"zeros":    func(i, n int) float64 { return math.Copysign(0, float64(i%3)-1) },
	}
	for name, f := range kinds {
		for _, n := range []int{8191, 8192, 8193, 20000, 65536} {
			v := make([]float64, n)
			for i := range v {
				v[i] = f(i, n)
			}
			sorted := slices.Sorted(slices.Values(v))
			want := (sorted[(n-1)/2] + sorted[n/2]) / 2
			got := quantile.Median(v)
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s of %d: %v, want %v", name, n, got, want)
			}
			if slices.Sort(v); !slices.Equal(v, sorted) {
				t.Errorf("%s of %d: values were lost", name, n)
			}
		}
	}
}

func BenchmarkMedian(b *testing.B) {
	r := rand.New(rand.NewPCG(13, 14))
	v, w := make([]float64, 65536), make([]float64, 65536)
	for i := range v {
		v[i] = 1000 + 15*r.NormFloat64()
	}
	b.SetBytes(8 * 65536)
	for b.Loop() {
		copy(w, v)
		quantile.Median(w)
	}
}

func TestFrameMedianEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var hist [1 << 16]uint32
	for range 300 {
		f := refstat.Pixel(r, 1+r.IntN(500))
		want := make([]uint16, len(f))
		for i, x := range f {
			want[i] = x & 0x3fff
		}
		slices.Sort(want)
		n := len(f)
		twice := uint32(want[(n-1)/2]) + uint32(want[n/2])
		if got := quantile.FrameMedian(f, 0x3fff, &hist); got != twice {
			t.Fatalf("%d pixels: twice the median is %d, sorting gives %d", n, got, twice)
		}
	}
	for v, c := range hist {
		if c != 0 {
			t.Fatalf("scratch not clean at %d", v)
		}
	}
}

// gatesSlowly is section 1.3 of the rules, word by word.
func gatesSlowly(y []uint16, p quantile.GateParams) (lo, hi int) {
	s := slices.Clone(y)
	slices.Sort(s)
	n := len(s)
	qlo := float64(s[int(math.Floor(p.FracLo*float64(n-1)))])
	qhi := float64(s[int(math.Ceil(p.FracHi*float64(n-1)))])
	lo, hi = int(math.Max(qlo, p.IntLo)), int(math.Min(qhi, p.IntHi))
	if hi <= lo {
		hi = min(hi+1, 65535)
	}
	return max(lo, int(math.Ceil(p.IntLo))), min(hi, int(math.Floor(p.IntHi)))
}

func TestGatesEqualTheRule(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 60 {
		p := quantile.GateParams{DataBits: 0x3fff, FracLo: r.Float64() / 2, FracHi: 0.5 + r.Float64()/2, IntLo: 1, IntHi: 16000}
		if r.IntN(2) == 0 {
			p = quantile.GateParams{DataBits: 0xffff, FracLo: 0.05, FracHi: 0.95, IntLo: 1.5, IntHi: 65535}
		}
		block := refstat.Frames(r, 1+r.IntN(120), 40)
		lo, hi := make([]uint16, 40), make([]uint16, 40)
		quantile.Gates(block, p, lo, hi)
		for i := range lo {
			wlo, whi := gatesSlowly(column(block, i, p.DataBits), p)
			if int(lo[i]) != wlo || int(hi[i]) != whi {
				t.Fatalf("%+v: window [%d, %d], wanted [%d, %d]", p, lo[i], hi[i], wlo, whi)
			}
		}
		// Any split of the pixels makes the same gates.
		cut := r.IntN(41)
		parts := make([][][]uint16, 2)
		for _, f := range block {
			parts[0], parts[1] = append(parts[0], f[:cut]), append(parts[1], f[cut:])
		}
		slo, shi := make([]uint16, 40), make([]uint16, 40)
		quantile.Gates(parts[0], p, slo[:cut], shi[:cut])
		quantile.Gates(parts[1], p, slo[cut:], shi[cut:])
		if !slices.Equal(lo, slo) || !slices.Equal(hi, shi) {
			t.Fatalf("split at pixel %d changes the windows", cut)
		}
	}
}

func TestGatesOfOddPixels(t *testing.T) {
	p := quantile.GateParams{DataBits: 0x3fff, FracLo: 0.05, FracHi: 0.95, IntLo: 1, IntHi: 16000}
	wide := p
	wide.DataBits, wide.IntHi = 0xffff, 65535
	wraps := wide
	wraps.RawMax = 65535
	for _, c := range []struct {
		name   string
		p      quantile.GateParams
		value  uint16
		lo, hi uint16
	}{
		{"ordinary stuck pixel: one more value", p, 2000, 2000, 2001},
		{"constant at the upper limit: +1 is undone", p, 16000, 16000, 16000},
		{"saturated above the limit: empty", p, 16383, 16383, 16000},
		{"dead", p, 0, 1, 1},
		{"saturated at the largest value", wide, 65535, 65535, 65535},
		{"saturated at the largest value as the original", wraps, 65535, 65535, 0},
		{"no value can be inside", quantile.GateParams{DataBits: 0xffff, FracHi: 1, IntLo: 70000, IntHi: 80000}, 5, 1, 0},
		{"limits below zero", quantile.GateParams{DataBits: 0xffff, FracHi: 1, IntLo: -5, IntHi: -2}, 5, 1, 0},
	} {
		block := [][]uint16{{c.value}, {c.value}, {c.value}}
		lo, hi := make([]uint16, 1), make([]uint16, 1)
		quantile.Gates(block, c.p, lo, hi)
		if lo[0] != c.lo || hi[0] != c.hi {
			t.Errorf("%s: window [%d, %d], wanted [%d, %d]", c.name, lo[0], hi[0], c.lo, c.hi)
		}
	}
}

func TestWholeThresholdsDecideAsTheRule(t *testing.T) {
	for _, lim := range []float64{-3, -0.5, 0, 0.5, 1, 1.5, 16000, 16000.5, 65535, 65535.5, 70000} {
		p := quantile.GateParams{IntLo: lim, IntHi: lim}
		for _, y := range []uint16{0, 1, 2, 15999, 16000, 16001, 65534, 65535} {
			if got, want := uint32(y) < p.Below(), float64(y) < lim; got != want {
				t.Errorf("%d below %v: got %v", y, lim, got)
			}
			if got, want := int32(y) > p.Above(), float64(y) > lim; got != want {
				t.Errorf("%d above %v: got %v", y, lim, got)
			}
		}
	}
}

func TestRanksUseFloatProducts(t *testing.T) {
	lo, hi := quantile.GateParams{FracLo: 0.29, FracHi: 0.56}.Ranks(101)
	if lo != 28 || hi != 57 {
		t.Errorf("ranks of 0.29 and 0.56 among 101: got %d and %d, wanted 28 and 57", lo, hi)
	}
}

func TestImpossibleGatesAreRefused(t *testing.T) {
	good := quantile.GateParams{DataBits: 0x3fff, FracLo: 0.05, FracHi: 0.95, IntLo: 1, IntHi: 16000}
	if err := good.Validate(); err != nil {
		t.Errorf("good parameters: %v", err)
	}
	for _, bad := range []quantile.GateParams{
		{DataBits: 1, FracLo: math.NaN(), FracHi: 1, IntHi: 1},
		{DataBits: 1, FracLo: 0.9, FracHi: 0.1, IntHi: 1},
		{DataBits: 1, FracHi: 1, IntLo: 2, IntHi: 1},
		{FracHi: 1, IntHi: 1},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func BenchmarkGates(b *testing.B) {
	for _, frames := range []int{50, 200, 1000} {
		b.Run(map[int]string{50: "frames=50", 200: "frames=200", 1000: "frames=1000"}[frames], func(b *testing.B) {
			r := rand.New(rand.NewPCG(5, 5))
			const pixels = 16384
			block := make([][]uint16, frames)
			for k := range block {
				block[k] = make([]uint16, pixels)
				for i := range block[k] {
					block[k][i] = uint16(2000 + i%100 + int(15*r.NormFloat64()))
				}
			}
			lo, hi := make([]uint16, pixels), make([]uint16, pixels)
			p := quantile.GateParams{DataBits: 0x3fff, FracLo: 0.05, FracHi: 0.95, IntLo: 1, IntHi: 16000}
			b.SetBytes(int64(2 * frames * pixels))
			for b.Loop() {
				quantile.Gates(block, p, lo, hi)
			}
		})
	}
}

func TestMiddleOfEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for i := range 600 {
		raw := refstat.Pixel(r, 1+r.IntN(300))
		if i%10 == 0 { // so many that a sample says where the middle is
			raw = refstat.Pixel(r, 4000+r.IntN(6000))
		}
		scale := []int64{1, -1, 12600, 1 << 44, -(1 << 44)}[r.IntN(5)]
		v := make([]int64, len(raw))
		for i, x := range raw {
			v[i] = scale * int64(x)
		}
		want := slices.Clone(v)
		slices.Sort(want)
		before := slices.Clone(v)
		a, b := quantile.MiddleOf(v, make([]int64, len(v)))
		if n := len(v); a != want[(n-1)/2] || b != want[n/2] {
			t.Fatalf("%d values: middle %d, %d, sorting gives %d, %d", n, a, b, want[(n-1)/2], want[n/2])
		}
		if !slices.Equal(v, before) {
			t.Fatal("values were reordered")
		}
	}
}

func BenchmarkMiddleOf(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 7))
	// Many different pixels: the branch predictor learns a single one by heart.
	const n, pixels = 1000, 512
	v, scratch := make([]int32, n*pixels), make([]int32, n)
	for i := range v {
		v[i] = int32(12600 * 15 * r.NormFloat64())
	}
	b.Run("buckets", func(b *testing.B) {
		for i := 0; b.Loop(); i = (i + 1) % pixels {
			quantile.MiddleOf(v[i*n:(i+1)*n], scratch)
		}
	})
	b.Run("quickselect", func(b *testing.B) {
		for i := 0; b.Loop(); i = (i + 1) % pixels {
			copy(scratch, v[i*n:(i+1)*n])
			quantile.Middle(scratch)
		}
	})
}

func BenchmarkFrameMedian(b *testing.B) {
	r := rand.New(rand.NewPCG(8, 8))
	var hist [1 << 16]uint32
	f := make([]uint16, 512*1024)
	for name, draw := range map[string]func() uint16{
		"dark":     func() uint16 { return uint16(2000 + 100*r.NormFloat64()) },
		"constant": func() uint16 { return 2000 },
		"uniform":  func() uint16 { return uint16(r.Uint32()) },
	} {
		for i := range f {
			f[i] = draw()
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(2 * len(f)))
			for b.Loop() {
				quantile.FrameMedian(f, 0x3fff, &hist)
			}
		})
	}
}
