package reduce

import (
	"context"
	"path/filepath"
	"testing"

	"rawstatus/internal/io/npy"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
)

// TestReasonsMakeTheStatus wants of every pixel of every profile that the rules which Explain calls broken
// are the bits of its status file.
func TestReasonsMakeTheStatus(t *testing.T) {
	gated := params("dark")
	gated.GainRule = "expected"
	gated.RmsNHi, gated.IntNLo, gated.FracLm = 3, 1.5, 0.02
	asic := params("data")
	asic.LimitsPer, asic.Limits, asic.RmsNHi = "asic", "robust", 2.5
	all := params(plan.ProfileFeatures)
	all.Features, all.SNRMax = []int{1, 2, 3, 6, 11}, 3
	all.Pedestals = filepath.Join(t.TempDir(), "pedestals.npy")
	if err := npy.Write(all.Pedestals, []int{rows, cols}, make([]float64, rows*cols)); err != nil {
		t.Fatal(err)
	}
	for name, par := range map[string]plan.Params{"dark": gated, "data per chip": asic, "data": params("data"), "features": all} {
		t.Run(name, func(t *testing.T) {
			j := prepare(t, rawRun(t, 3, []string{"g1"}, 40, whole), par, 2)
			j.tasks(t, 2)
			want, at, flagged := j.statuses(t, j.reduce(t)), 0, 0
			err := View(context.Background(), j.work, j.plan, func(g *Group, panels []*Judged) error {
				for k, p := range panels {
					for i := range p.Bad.Pixels {
						var word uint64
						for _, r := range p.Explain(i) {
							if r.Broken(r.Value) {
								word |= r.Bit
							}
							if r.Spread > 0 && (r.Distance(r.Value) > 0) != r.Broken(r.Value) && r.Value != r.Limit {
								t.Fatalf("%s panel %d pixel %d: %s %v is %v sigma from %v", g.GainMode, k, i, r.Quantity, r.Value, r.Distance(r.Value), r.Limit)
							}
						}
						if is := want[at][i] &^ status.Hints; is != word || p.Bad.Word(i) != want[at][i] {
							t.Fatalf("%s panel %d pixel %d: rules make %d of status %d", g.GainMode, k, i, word, want[at][i])
						}
						if word != 0 {
							flagged++
						}
					}
					at++
				}
				return nil
			})
			if err != nil || at != len(want) || flagged == 0 {
				t.Errorf("%d of %d panels seen, %d pixels flagged, %v", at, len(want), flagged, err)
			}
		})
	}
}
