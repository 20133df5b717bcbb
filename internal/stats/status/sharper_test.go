package status

import (
	"math/rand/v2"
	"testing"
)

// TestSharperIsWhatRobustLimitsFind compares with the evaluation that Sharper speaks of.
func TestSharperIsWhatRobustLimitsFind(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 17))
		rows, cols, frames := 8+r.IntN(40), 8+r.IntN(40), 50+r.IntN(50)
		panels := make([]PanelPlanes, 1+r.IntN(3))
		for i := range panels {
			panels[i] = AbsentPanel(rows, cols)
			p := &panels[i]
			p.Frames = uint64(frames)
			for k := range p.Sum0 {
				sigma := 10.0
				if r.IntN(50) == 0 {
					sigma = 10 * float64(r.IntN(40))
				}
				p.Sum0[k] = uint32(frames)
				for range frames {
					v := uint64(max(0, 2000+sigma*r.NormFloat64()))
					p.Sum1[k] += v
					p.Sum2[k] += v * v
				}
			}
		}
		par := DarkParams{Profile: ProfileData, Scope: PerDetector, Method: MeanStd, IntHi: 16000, RmsHi: 16000, IntNLo: 6, IntNHi: 6, RmsNLo: 6, RmsNHi: 6,
			FracLm: 0.1, MinFrames: 2, ASICRows: rows / 2, ASICCols: cols / 2}
		now, err := EvalDark(panels, par)
		if err != nil {
			t.Fatal(err)
		}
		_, got := now.Chips()
		par.Scope, par.Method = PerASIC, Robust
		robust, err := EvalDark(panels, par)
		if err != nil {
			t.Fatal(err)
		}
		want := Sharper{Now: now.Counts().Bad}
		for i := range panels {
			for _, k := range robust.Panels[i].Bad.At {
				if now.Panels[i].Bad.Word(int(k)) == 0 {
					want.More++
				}
			}
		}
		if got != want || seed == 0 && got.More == 0 {
			t.Fatalf("seed %d: %+v, wanted %+v", seed, got, want)
		}
		if _, s := robust.Chips(); s.More != 0 {
			t.Errorf("seed %d: robust limits would find %d more than themselves", seed, s.More)
		}
	}
}
