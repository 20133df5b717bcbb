package reduce

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
)

// TestChipsEqualSorting compares medians and spreads of chips with sorted lists, also of panels that are no multiple of a
// chip and with pixels that are not judged.
func TestChipsEqualSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 3))
	for range 8 {
		panel := frame.Panel{Rows: 200 + r.IntN(200), Cols: 200 + r.IntN(300)}
		p := &plan.Plan{Dataset: plan.Dataset{Type: "jungfrau", Panels: []frame.Panel{panel}}, Units: []plan.Unit{{}}}
		n := panel.Pixels()
		j := judged{Judged: Judged{Frames: 9, Status: make([]uint64, n)}, constants: &constants{ave: make([]float64, n), rms: make([]float64, n)}}
		for i := range n {
			j.constants.ave[i], j.constants.rms[i] = 1400+90*r.NormFloat64(), 3+r.Float64()
			if r.IntN(50) == 0 {
				j.Status[i], j.constants.ave[i] = status.NoData, 0
			}
		}
		want := map[[2]int][2][]float64{}
		for i := range n {
			if j.Status[i] == 0 {
				at := [2]int{i / panel.Cols / 256 * 256, i % panel.Cols / 256 * 256}
				lists := want[at]
				want[at] = [2][]float64{append(lists[0], math.Round(1000*j.constants.ave[i])), append(lists[1], math.Round(1000*j.constants.rms[i]))}
			}
		}
		got := chipsOf(p, []int{0}, &judgement{panels: []judged{j}})[0]
		if len(got) != len(want) {
			t.Fatalf("%d chips, wanted %d", len(got), len(want))
		}
		for _, c := range got {
			ave, rms := want[[2]int{c.Row, c.Col}][0], want[[2]int{c.Row, c.Col}][1]
			mid := (len(ave) - 1) / 2
			slices.Sort(ave)
			slices.Sort(rms)
			median := ave[mid]
			for i := range ave {
				ave[i] = math.Abs(ave[i] - median)
			}
			slices.Sort(ave)
			if c.Median != median/1000 || c.RMS != rms[mid]/1000 || c.Spread != 1.4826*ave[mid]/1000 || c.Pixels != len(ave) {
				t.Fatalf("%v: %+v, wanted median %v, spread %v, noise %v of %d pixels", panel, c, median/1000, 1.4826*ave[mid]/1000, rms[mid]/1000, len(ave))
			}
		}
	}
}
