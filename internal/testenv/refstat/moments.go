package refstat

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// meanStd returns the population values: divided by n, not by n-1.
func meanStd(v []float64) (mean, std float64) { return stat.PopMeanStdDev(v, nil) }

// median returns the mean of the two middle values of an even number of values, as numpy does.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Clone(v)
	slices.Sort(s)
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// mad returns the median distance from med.
func mad(v []float64, med float64) float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = math.Abs(x - med)
	}
	return median(d)
}
