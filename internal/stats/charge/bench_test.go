package charge_test

import (
	"testing"

	"rawstatus/internal/simulate"
	"rawstatus/internal/stats/charge"
)

// BenchmarkStep counts frames of an epixHR panel, of which every 25th pixel is pulsed.
func BenchmarkStep(b *testing.B) {
	p := simulate.NewPulser(303, 288, 384, 5, 1024)
	p.Phase = 900
	sim := simulate.NewInjection(p)
	var frames [][]uint16
	var events []int32
	for k := range 256 {
		f := make([]uint16, p.Rows*p.Cols)
		sim.Frame(f, 3, k)
		frames, events = append(frames, f), append(events, int32(k))
	}
	b.SetBytes(int64(len(frames) * 2 * p.Rows * p.Cols))
	for b.Loop() {
		s, err := charge.NewStep(charge.Params{GainBit: p.GainBit, DataBits: p.DataBits, NPOff: 10, Gap: 10}, p.Rows, p.Cols, charge.Grid(p.Rows, p.Cols, 3, p.Space), events)
		if err != nil {
			b.Fatal(err)
		}
		s.Add(frames)
		if _, err := s.Sums(charge.LeastPoints); err != nil {
			b.Fatal(err)
		}
	}
}
