package trend

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Line is the slope of the least-squares line through a series.
type Line struct {
	Slope float64 // of y per unit of x
	Error float64 // standard error of the slope, from the residuals
	P     float64 // probability of a slope at least as steep where nothing drifts
}

// Fit returns the line through the points x[i], y[i] of equal weight. It reports false for fewer than three points,
// which leave no residuals, and where all x are the same.
func Fit(x, y []float64) (Line, bool) {
	n := len(x)
	if n < 3 {
		return Line{}, false
	}
	spread := float64(n) * stat.PopVariance(x, nil)
	if spread == 0 {
		return Line{}, false
	}
	intercept, slope := stat.LinearRegression(x, y, nil, false)
	l := Line{Slope: slope, Error: math.Sqrt(residuals(x, y, intercept, slope) / float64(n-2) / spread)}
	l.P = chance(l.Slope, l.Error, n-2)
	return l, true
}

// Step is a lasting change of level.
type Step struct {
	At     int     // index of the first value of the new level
	Change float64 // mean from there on less the mean before
	P      float64 // probability of such a change somewhere in the series where nothing changes
}

// Find returns the place where the levels before and after differ most clearly: Student's test with the scatter of both
// sides, each of at least two values, corrected for the number of places. It reports false for fewer than four values,
// for a constant series, and where a line through the points x[i], y[i] describes them as well: that is a drift. Two
// levels have one number more than a line, their place; Schwarz's criterion says how much smaller their residuals must be.
func Find(x, y []float64) (Step, bool) {
	n := len(y)
	if n < 4 {
		return Step{}, false
	}
	best, least := Step{}, math.Inf(1)
	for k := 2; k <= n-2; k++ {
		before, after := y[:k], y[k:]
		left := float64(k)*stat.PopVariance(before, nil) + float64(n-k)*stat.PopVariance(after, nil)
		if left >= least {
			continue
		}
		least = left
		best = Step{At: k, Change: stat.Mean(after, nil) - stat.Mean(before, nil)}
		best.P = chance(best.Change, math.Sqrt(left/float64(n-2)*(1/float64(k)+1/float64(n-k))), n-2)
	}
	if best.Change == 0 {
		return Step{}, false
	}
	if intercept, slope := stat.LinearRegression(x, y, nil, false); least > 0 && residuals(x, y, intercept, slope) < least*math.Pow(float64(n), 1/float64(n)) {
		return Step{}, false
	}
	best.P = min(1, best.P*float64(n-3))
	return best, true
}

// residuals returns the sum of the squared distances from a line.
func residuals(x, y []float64, intercept, slope float64) (sum float64) {
	for i := range x {
		d := y[i] - (intercept + float64(slope*x[i]))
		sum += float64(d * d)
	}
	return sum
}

// chance returns the two-sided probability of a value that is so many standard errors from zero, by Student's
// distribution. A value without any scatter is certain, unless it is zero.
func chance(value, sigma float64, freedom int) float64 {
	if value == 0 {
		return 1
	}
	if sigma == 0 {
		return 0
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}.Survival(math.Abs(value/sigma))
}
