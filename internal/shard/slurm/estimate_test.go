package slurm

import (
	"testing"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
)

// TestReduceMemory wants a job that reduces a charge-injection scan to ask for what such a reduction was seen to take, which is
// much more than that of darks.
func TestReduceMemory(t *testing.T) {
	p := &plan.Plan{}
	for range 4 {
		p.Dataset.Panels = append(p.Dataset.Panels, frame.Panel{Rows: 352, Cols: 384})
	}
	p.Params.Profile = plan.ProfileCharge
	if got := ReduceMemoryMB(p); got < 860 || got > 2*784 { // the largest resident set measured, in MB
		t.Errorf("%d MB for a scan", got)
	}
	p.Params.Profile = "dark"
	if got := ReduceMemoryMB(p); got > 450 {
		t.Errorf("%d MB for darks", got)
	}
}
