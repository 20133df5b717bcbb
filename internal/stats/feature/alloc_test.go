//go:build !race

package feature

import (
	"testing"

	"rawstatus/internal/stats/kernel"
)

// TestBandsComeInWithoutAllocation: frames of a band come in without work for the garbage collector, and bands that
// follow each other use the same memory. (The race detector makes pools forget.)
func TestBandsComeInWithoutAllocation(t *testing.T) {
	const rows, cols, frames = 40, 70, 300
	f, err := NewFlatness(rows, cols, 15, 15, 0x3fff)
	if err != nil {
		t.Fatal(err)
	}
	band := f.Bands()[1]
	raw := make([][]uint16, frames)
	for k := range raw {
		raw[k] = make([]uint16, 15*cols)
	}
	acc := NewResiduals(f, band, 0, f.WindowCols(), frames)
	at := 0
	if n := testing.AllocsPerRun(frames-1, func() { acc.Add(raw[at : at+1]); at++ }); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
	acc.Finish()
	if !kernel.Vectors() {
		return
	}
	// A band has its results, its windows and little else.
	n := testing.AllocsPerRun(50, func() {
		r := NewResiduals(f, band, 0, f.WindowCols(), frames)
		r.Add(raw)
		r.Finish()
	})
	if n > 20 {
		t.Errorf("%v allocations for a band", n)
	}
}
