//go:build !race

package quantile_test

import (
	"math/rand/v2"
	"testing"

	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/testenv/refstat"
)

// TestBandsAndFramesAreJudgedWithoutAllocation: what is called for each band or frame must not make work for the garbage collector.
// (The race detector makes pools forget.)
func TestBandsAndFramesAreJudgedWithoutAllocation(t *testing.T) {
	if !kernel.Vectors() {
		t.Skip("no vectors: a band takes two small buffers")
	}
	r := rand.New(rand.NewPCG(7, 7))
	block := refstat.Frames(r, 50, 8192)
	lo, hi := make([]uint16, 8192), make([]uint16, 8192)
	p := quantile.GateParams{DataBits: 0x3fff, FracLo: 0.05, FracHi: 0.95, IntLo: 1, IntHi: 16000}
	dst, ranks := [][]uint16{lo, hi}, []int{2, 47}
	hist := new([1 << 16]uint32)
	for name, f := range map[string]func(){
		"Order":       func() { quantile.Order(dst, block, 0x3fff, ranks) },
		"Gates":       func() { quantile.Gates(block, p, lo, hi) },
		"FrameMedian": func() { quantile.FrameMedian(block[0], 0x3fff, hist) },
	} {
		if n := testing.AllocsPerRun(50, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
