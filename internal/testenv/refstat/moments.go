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
	lower := func(v []float64) float64 {
		slices.Sort(v)
		return stat.Quantile(0.5, stat.Empirical, v, nil)
	}
	down := make([]float64, len(v))
	for i, x := range v {
		down[i] = -x
	}
	return (lower(slices.Clone(v)) - lower(down)) / 2
}

// mad returns the median distance from med.
func mad(v []float64, med float64) float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = math.Abs(x - med)
	}
	return median(d)
}
