package feature_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/refstat"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/golden"
)

// TestAgainstReference compares all features with the slow reference on pathological frames: values,
// good frames and status to the last bit.
func TestAgainstReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[uint64]int{}
	for range 250 {
		p := refstat.FeatureParams{Features: [][]int{{1, 2, 3}, {2, 3, 11}, {1, 6}, {1, 2, 3, 6, 11}, {11}, {3}}[r.IntN(6)],
			SNR: []float64{8, 3, 1.5}[r.IntN(3)], DataBits: []uint16{0x3fff, 0xffff}[r.IntN(2)], MinFrames: r.IntN(4),
			WR: 2 + r.IntN(3), WC: 2 + r.IntN(3)}
		p.Rows, p.Cols = p.WR+r.IntN(6), p.WC+r.IntN(6)
		frames := refstat.Frames(r, r.IntN(9), p.Rows*p.Cols)
		p.Pedestals = pedestals(r, p.Rows*p.Cols)
		want := refstat.Features(frames, p)
		checkAgainst(t, p, frames, want)
		for _, s := range want.Status {
			seen[s]++
		}
	}
	for _, b := range status.Table {
		if b.Family == status.Dark || b.Value&status.Hints != 0 {
			continue
		}
		n := 0
		for s, c := range seen {
			if s&b.Value != 0 {
				n += c
			}
		}
		if n == 0 {
			t.Errorf("bit %s never occurred: the test says nothing about it", b.Name)
		}
	}
}

// pedestals are noise around a level, all equal, or have NaN among them.
func pedestals(r *rand.Rand, n int) []float64 {
	ped := make([]float64, n)
	kind := r.IntN(3)
	for i := range ped {
		ped[i] = 1000
		if kind > 0 {
			ped[i] += r.NormFloat64()
		}
		if kind == 2 && r.IntN(10) == 0 {
			ped[i] = math.NaN()
		}
	}
	return ped
}

func checkAgainst(t *testing.T, p refstat.FeatureParams, frames [][]uint16, want *refstat.FeatureResult) {
	t.Helper()
	q := feature.Params{Features: p.Features, SNR: p.SNR, DataBits: p.DataBits, MinFrames: uint64(p.MinFrames)}
	in := &feature.Panel{Rows: p.Rows, Cols: p.Cols, Frames: uint64(len(frames)), Pedestals: p.Pedestals}
	good := frames
	if slices.Contains(p.Features, 1) {
		var hist [1 << 16]uint32
		twice := make([]uint32, len(frames))
		for k, f := range frames {
			twice[k] = quantile.FrameMedian(f, p.DataBits, &hist)
		}
		ok, _ := feature.GoodFrames(twice, q)
		if !slices.Equal(ok, want.Good) {
			t.Fatalf("%+v: good frames %v, wanted %v", p, ok, want.Good)
		}
		good = nil
		for k := range frames {
			if ok[k] {
				good = append(good, frames[k])
			}
		}
	}
	in.GoodFrames = uint64(len(good))
	fillSums(in, q, frames, good)
	if slices.Contains(p.Features, 6) {
		in.Resid = residuals(t, fmt.Sprintf("%d,%d", p.WR, p.WC), p.Rows, p.Cols, p.DataBits, good)
	}
	got, err := feature.Evaluate(in, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		got, want []float64
	}{{"mean", got.Mean, want.Mean}, {"std", got.Std, want.Std}, {"med6", got.Med6, want.Med6}, {"spr6", got.Spr6, want.Spr6}, {"max", got.MaxPeds, want.MaxPeds}} {
		if !slices.EqualFunc(c.got, c.want, golden.Same) && c.want != nil && !(c.name == "max" && len(frames) == 0) {
			t.Fatalf("%+v: %s is %v, wanted %v", p, c.name, c.got, c.want)
		}
	}
	if !slices.Equal(got.Status, want.Status) {
		t.Fatalf("%+v, %d frames, %d good: status %v, wanted %v", p, len(frames), len(good), got.Status, want.Status)
	}
}
