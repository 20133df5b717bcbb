package status

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"rawstatus/internal/testenv"
)

// TestListsOfBadPixelsSayWhatArraysDo compares what lists of bad pixels say with what whole arrays do.
func TestListsOfBadPixelsSayWhatArraysDo(t *testing.T) {
	rng := rand.New(rand.NewPCG(testenv.Seed(t), 15))
	draw := func(n int) []uint64 {
		words, bad := make([]uint64, n), rng.IntN(3)*rng.IntN(60)
		for i := range words {
			if rng.IntN(100) < bad {
				words[i] = 1 << rng.IntN(16) & rng.Uint64()
			}
		}
		return words
	}
	for range 300 {
		n := 1 + rng.IntN(200)
		before, after := draw(n), draw(n)
		a, b := SparseOf(before), SparseOf(after)
		if got := a.Dense(); !slices.Equal(got, before) {
			t.Fatalf("%v came back as %v", before, got)
		}
		if got, want := a.Count(), Count(before); got != want {
			t.Fatalf("counts of %v: %v, wanted %v", before, got, want)
		}
		got, err := b.Compare(a)
		want, _ := Compare(before, after)
		if err != nil || got != want {
			t.Fatalf("%v to %v: %v (%v), wanted %v", before, after, got, err, want)
		}
		both, err := a.Or(b)
		unjudged := 0
		for i := range after {
			if after[i]&NotJudged != 0 {
				unjudged++
			}
			after[i] |= before[i]
		}
		if err != nil || !reflect.DeepEqual(both, SparseOf(after)) || b.NotJudged() != unjudged {
			t.Fatalf("together: %v (%v), wanted %v; %d not judged, wanted %d", both, err, after, b.NotJudged(), unjudged)
		}
	}
	if _, err := (Sparse{Pixels: 3}).Or(Sparse{Pixels: 4}); err == nil {
		t.Error("arrays of different length were put together")
	}
}
