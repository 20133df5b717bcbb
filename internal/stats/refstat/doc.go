// Package refstat computes status words from frames in the plainest way: whole frames in memory, sorting,
// float64 in the order of the rules' text, rational numbers for the plane fits. It is slow and has no
// shards, planes or shortcuts. Tests compare the production path with it; nothing else uses it.
//
// It knows the sane rules (no Compat) and shares no code with the packages that it judges, only their
// parameter types and the numbers of the bits.
package refstat

import (
	"math"
	"slices"
)

// mean and std are the population values.
func meanStd(v []float64) (mean, std float64) {
	for _, x := range v {
		mean += x
	}
	mean /= float64(len(v))
	for _, x := range v {
		std += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(std / float64(len(v)))
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Clone(v)
	slices.Sort(s)
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

func mad(v []float64, med float64) float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = math.Abs(x - med)
	}
	return median(d)
}
