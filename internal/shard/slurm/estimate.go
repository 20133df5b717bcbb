package slurm

import (
	"time"

	"rawstatus/internal/shard/plan"
)

// Requests of jobs where nobody has set them.
const (
	memoryShare      = 1.25 // times the plan's bound: pages of the files that are read count, too
	memoryExtraMB    = 100  // the shell, the kernel's tables
	reducePixelBytes = 200  // merged planes, those of one partial, limits in float64
	// of a charge-injection scan: sums of both modes, twice, lines and their rules. Measured: 1380, of 1 and 4 panels.
	chargePixelBytes = 1600
	reduceExtraMB    = 300   // the program, the encoding of results
	assumedRate      = 100e6 // bytes per second and task
	timeFactor       = 3     // times the estimate
	leastTime        = 10 * time.Minute
)

// TaskMemoryMB returns the memory that the largest task of a plan needs.
func TaskMemoryMB(p *plan.Plan) int64 {
	var most int64
	for _, t := range p.Tasks {
		most = max(most, t.Memory)
	}
	return int64(memoryShare*float64(most>>20)) + memoryExtraMB
}

// ReduceMemoryMB returns the memory that reducing a plan needs.
func ReduceMemoryMB(p *plan.Plan) int64 {
	var pixels int64
	for _, panel := range p.Dataset.Panels {
		pixels += int64(panel.Pixels())
	}
	if p.Params.Charge() {
		return pixels*chargePixelBytes>>20 + reduceExtraMB
	}
	return pixels*reducePixelBytes>>20 + reduceExtraMB
}

// TimeFor returns the time limit for reading that much raw data.
func TimeFor(bytes int64) time.Duration {
	return max(leastTime, time.Duration(timeFactor*float64(bytes)/assumedRate*float64(time.Second)))
}
