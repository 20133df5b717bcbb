package calibtxt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestFixedIsPrintf compares with fmt, which rounds the exact value half to even as C does.
func TestFixedIsPrintf(t *testing.T) {
	var number [1]float32
	check := func(v float64) {
		if got, want := string(AppendFixed(nil, v)), fmt.Sprintf("%.3f", v); got != want {
			t.Fatalf("%b (%.20g): %s, wanted %s", v, v, got, want)
		}
		if got, want := string(AppendFixedRows(nil, []float64{1, v, 2}, 3)), fmt.Sprintf("1.000 %.3f 2.000\n", v); got != want {
			t.Fatalf("%b (%.20g): %s, wanted %s", v, v, got, want)
		}
		if got, want := string(AppendFixedRows(nil, []float64{1, v, 2}, 3)), fmt.Sprintf("1.000 %.3f 2.000\n", v); !math.IsInf(v, 0) && got != want {
			t.Fatalf("%b (%.20g): %s, wanted %s", v, v, got, want)
		}
		want, err := strconv.ParseFloat(fmt.Sprintf("%.3f", v), 64)
		if FixedAll(number[:], []float64{v}); err != nil || number[0] != float32(want) || Fixed(v) != want {
			t.Fatalf("%b (%.20g): the numbers %v and %v, wanted %v (%v)", v, v, number[0], Fixed(v), want, err)
		}
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 0.0005, 0.0015, 0.0025, 1.0005, 2.5, 0.9995, 9999.9995, 9999.9994, 10000, 16383.9995, 65535, 99999.9994, 99999.9995, 100000, 5e-324, 0.00049, 1<<32 - 0.0005, 1 << 32, 1e300, -0.0004, -1.5} {
		check(v)
	}
	r := rand.New(rand.NewPCG(1, 16))
	for range 100_000 {
		v := math.Ldexp(r.Float64(), r.IntN(34))
		k := float64(r.IntN(70_000_000))
		for _, v := range []float64{v, k / 1000, (k + 0.5) / 1000, math.Nextafter((k+0.5)/1000, 0), math.Nextafter((k+0.5)/1000, 1e9),
			float64(r.IntN(1<<24)) / float64(1+r.IntN(1024)), float64(r.IntN(1<<20)) / 16, float64(float32(v))} {
			check(v)
		}
	}
	for v, want := range map[float64]string{math.Inf(1): "inf", math.Inf(-1): "-inf"} {
		if got := string(AppendFixed(nil, v)); got != want {
			t.Errorf("%s, wanted %s", got, want)
		}
	}
	if got := string(AppendFixed(nil, math.NaN())); got != "nan" {
		t.Error(got)
	}
}

func TestRowsHaveTheWidthOfPrintf(t *testing.T) {
	ints := []uint64{0, 9, 10, 99, 100, 999, 1000, 9999, 10000, 10001, 16383, 65535, 99999, 100000, math.MaxUint64, 1}
	for _, width := range []int{0, 4, 6, 7, 8} {
		want := ""
		for i, v := range ints {
			want += fmt.Sprintf("%*d", width, v) + string(" \n"[btoi(i%4 == 3)])
		}
		if got := string(AppendIntRows(nil, ints, 4, width)); got != want {
			t.Errorf("width %d:\n%q\n%q", width, got, want)
		}
	}
	if got := string(AppendFixedRows([]byte("x"), []float64{1, 2.5, 3, 4}, 2)); got != "x1.000 2.500\n3.000 4.000\n" {
		t.Errorf("%q", got)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func BenchmarkIntRows(b *testing.B) {
	r := rand.New(rand.NewPCG(2, 16))
	a := make([]uint16, 512*1024)
	for i := range a {
		a[i] = uint16(800 + r.IntN(400))
	}
	var text []byte
	for b.Loop() {
		text = AppendIntRows(text[:0], a, 1024, 0)
	}
	b.SetBytes(int64(len(text)))
}

func BenchmarkFixedRows(b *testing.B) {
	r := rand.New(rand.NewPCG(2, 16))
	a := make([]float64, 512*1024)
	for i := range a {
		a[i] = 1000 + float64(r.IntN(100_000))/60
	}
	var text []byte
	for b.Loop() {
		text = AppendFixedRows(text[:0], a, 1024)
	}
	b.SetBytes(int64(len(text)))
}
