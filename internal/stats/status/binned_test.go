package status

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rawstatus/internal/testenv"
)

// TestBinnedLimits compares limits from values sorted by bin with those found by looking at all of them in every
// round, bit for bit.
func TestBinnedLimits(t *testing.T) {
	rng := rand.New(rand.NewPCG(testenv.Seed(t), 13))
	known := 0
	for range 300 {
		v, what := spread(rng)
		w := bounds{nLo: rng.Float64() * 8, nHi: rng.Float64() * 8, absLo: rng.NormFloat64(), absHi: 1e4 * rng.Float64()}
		if rng.IntN(4) == 0 {
			w.nLo, w.nHi = 0, 1.5*rng.Float64()
		}
		got, ok := binnedLimits(cutUp(rng, v), w)
		if !ok {
			continue
		}
		known++
		if want := roundLimits(slices.Clone(v), w); got != want {
			t.Fatalf("%d values %s, window %+v: %+v, wanted %+v", len(v), what, w, got, want)
		}
	}
	if known == 0 {
		t.Fatal("no case was decided by bins")
	}
}

// cutUp cuts values into pieces.
func cutUp(rng *rand.Rand, v []float64) (pieces [][]float64) {
	for len(v) > 0 {
		n := min(1+rng.IntN(1+len(v)/2), len(v))
		pieces, v = append(pieces, v[:n]), v[n:]
	}
	return pieces
}

// TestBinnedThousandths compares medians of rounded values, and of their distances, with those of sorted lists.
func TestBinnedThousandths(t *testing.T) {
	rng := rand.New(rand.NewPCG(testenv.Seed(t), 14))
	for range 300 {
		v, what := spread(rng)
		for i, x := range v {
			v[i] = min(x, 65535)
		}
		b := new(binned)
		if !b.fill(cutUp(rng, v), bounds{nLo: 6, nHi: 6, absHi: 1e4}) {
			t.Fatalf("values %s do not suit", what)
		}
		median, spread := b.thousandths()
		if m, s := thousandths(v); median != m || spread != s {
			t.Fatalf("%d values %s: median %d, spread %d, wanted %d, %d", len(v), what, median, spread, m, s)
		}
	}
}

// spread draws values as averages and rms of pixels may be spread, and worse.
func spread(rng *rand.Rand) (v []float64, what string) {
	v = make([]float64, binnedFrom+rng.IntN(3*binnedFrom))
	centre, sigma := math.Exp(12*rng.Float64()-3), math.Exp(10*rng.Float64()-6)
	steps := math.Exp(8 * rng.Float64())
	kind := rng.IntN(6)
	for i := range v {
		x := centre + sigma*rng.NormFloat64()
		switch kind {
		case 1: // few different values
			x = math.Round(x*steps) / steps
		case 2: // two hills
			x += float64(rng.IntN(2)) * centre
		case 3: // over many powers of two
			x = math.Exp(20*rng.Float64() - 10)
		case 4:
			x = sigma * rng.ExpFloat64()
		}
		if rng.IntN(50) == 0 {
			x *= 100 * rng.Float64()
		}
		if rng.IntN(100) == 0 {
			x = 0
		}
		v[i] = math.Abs(x)
	}
	return v, []string{"of a normal distribution", "of few numbers", "of two hills", "over many powers of two", "of an exponential distribution", "around one"}[kind]
}

func TestBinnedLimitsRefuses(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), -1, math.Inf(-1)} {
		v := make([]float64, binnedFrom)
		for i := range v {
			v[i] = float64(i)
		}
		v[1] = bad
		if l, ok := binnedLimits([][]float64{v}, bounds{nLo: 6, nHi: 6, absHi: 1e9}); ok {
			t.Errorf("limits of values with %v: %+v", bad, l)
		}
	}
}
