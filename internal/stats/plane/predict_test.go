package plane

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestExpectedLeavesLittle: of planes as frames make them, small numbers are left.
func TestExpectedLeavesLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n, frames = 500, 60
	sum0, sum1, sum2 := make([]uint32, n), make([]uint64, n), make([]uint64, n)
	lo, hi := make([]uint16, n), make([]uint16, n)
	for i := range n {
		pedestal := 1000 + r.IntN(3000)
		lo[i] = 0xffff
		for range frames {
			y := uint16(pedestal + int(15*r.NormFloat64()))
			lo[i], hi[i] = min(lo[i], y), max(hi[i], y)
			sum0[i], sum1[i], sum2[i] = sum0[i]+1, sum1[i]+uint64(y), sum2[i]+uint64(y)*uint64(y)
		}
	}
	extremes := []Plane{{Sum1, Sum, sum1}, {Sum2, Sum, sum2}, {MinValue, Min, lo}, {MaxValue, Max, hi}}
	for _, c := range []struct {
		planes []Plane
		name   string
		within uint64
	}{
		{extremes, MaxValue, 200}, {extremes, Sum1, 60 * 100}, {extremes, Sum2, 60 * 100 * 100},
		{append(extremes, Plane{Sum0, Sum, sum0}), Sum2, 60 * 100 * 100}, {extremes[:2], Sum2, 60 * 100 * 100},
	} {
		part := (&Set{Frames: frames, Planes: c.planes}).Part(50, 100)
		same, expected := Expected(part, c.name, make([]uint64, 100))
		for _, x := range same {
			expected = append(expected, uint64(x))
		}
		if len(expected) != 100 {
			t.Errorf("%s of %d planes: %d of 100 pixels are expected", c.name, len(c.planes), len(expected))
		}
		for i, x := range expected {
			var v uint64
			switch c.name {
			case MaxValue:
				v = uint64(hi[50+i])
			case Sum1:
				v = sum1[50+i]
			case Sum2:
				v = sum2[50+i]
			}
			if d := v - x; d > c.within && -d > c.within {
				t.Errorf("%s of %d planes, pixel %d: %d expected, is %d", c.name, len(c.planes), i, x, v)
			}
		}
	}
	if got := Storing(extremes); !slices.Equal(got, []int{2, 3, 0, 1}) {
		t.Errorf("stored in the order %v", got)
	}
	for _, name := range []string{Sum1, Sum0, NLo, MinValue, "other"} {
		if same, values := Expected(&Set{}, name, nil); same != nil || values != nil {
			t.Errorf("%s is predicted from nothing", name)
		}
	}
}
