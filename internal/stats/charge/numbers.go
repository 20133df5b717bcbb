package charge

import "slices"

// Numbers returns the numbers of events by their times, ascending: each distance is so many times the median
// distance, rounded, but at least one. So an event that was lost leaves a hole.
func Numbers(times []int64) []int64 {
	if len(times) == 0 {
		return nil
	}
	steps := make([]int64, len(times)-1)
	for i := range steps {
		steps[i] = times[i+1] - times[i]
	}
	sorted := slices.Sorted(slices.Values(steps))
	var median int64 = 1
	if len(sorted) > 0 {
		median = max(1, sorted[len(sorted)/2])
	}
	out := make([]int64, len(times))
	for i, d := range steps {
		out[i+1] = out[i] + max(1, (d+median/2)/median)
	}
	return out
}
