package status

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestChipsEqualSorting compares medians and spreads of chips with sorted lists, also of panels that are no multiple of a
// chip and with pixels that are not judged.
func TestChipsEqualSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 3))
	for range 8 {
		panel := PanelResult{Frames: 9, Rows: 200 + r.IntN(200), Cols: 200 + r.IntN(300)}
		n := panel.Rows * panel.Cols
		words := make([]uint64, n)
		panel.Ave, panel.Rms = make([]float64, n), make([]float64, n)
		for i := range n {
			panel.Ave[i], panel.Rms[i] = 1400+90*r.NormFloat64(), 3+r.Float64()
			if r.IntN(50) == 0 {
				words[i], panel.Ave[i] = NoData, 0
				panel.note(i, NoData)
			}
		}
		want := map[[2]int][2][]float64{}
		for i := range n {
			if words[i] == 0 {
				at := [2]int{i / panel.Cols / 256 * 256, i % panel.Cols / 256 * 256}
				lists := want[at]
				want[at] = [2][]float64{append(lists[0], math.Round(1000*panel.Ave[i])), append(lists[1], math.Round(1000*panel.Rms[i]))}
			}
		}
		res := DarkResult{Params: DarkParams{ASICRows: 256, ASICCols: 256}, Panels: []PanelResult{panel}}
		list, _ := res.Chips()
		got := list[0]
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
				t.Fatalf("%d x %d: %+v, wanted median %v, spread %v, noise %v of %d pixels", panel.Rows, panel.Cols, c, median/1000, 1.4826*ave[mid]/1000, rms[mid]/1000, len(ave))
			}
		}
	}
}
