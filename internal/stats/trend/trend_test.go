package trend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func runs(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(10 + i)
	}
	return x
}

// TestLineOfTextbook compares with the numbers of Anscombe's first data set, computed by R's lm.
func TestLineOfTextbook(t *testing.T) {
	x := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	y := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	l, ok := Fit(x, y)
	if !ok || math.Abs(l.Slope-0.5000909) > 1e-7 || math.Abs(l.Error-0.1179055) > 1e-7 || math.Abs(l.P-0.00216963) > 1e-8 {
		t.Errorf("%+v, %v", l, ok)
	}
}

func TestSeriesTooShortOrConstantHasNoTrend(t *testing.T) {
	if l, ok := Fit([]float64{1, 2}, []float64{5, 9}); ok {
		t.Errorf("a line through two points has no error, got %+v", l)
	}
	if l, ok := Fit([]float64{3, 3, 3}, []float64{5, 9, 1}); ok {
		t.Errorf("a line at one place has no slope, got %+v", l)
	}
	if s, ok := Find(runs(3), []float64{1, 1, 9}); ok {
		t.Errorf("three values have no two levels, got %+v", s)
	}
	if s, ok := Find(runs(6), make([]float64, 6)); ok {
		t.Errorf("a constant has no step, got %+v", s)
	}
	if l, ok := Fit(runs(6), make([]float64, 6)); !ok || l != (Line{P: 1}) {
		t.Errorf("a constant has the slope 0 for certain, got %+v, %v", l, ok)
	}
}

func TestExactSeriesAreCertain(t *testing.T) {
	if l, ok := Fit([]float64{0, 1, 2, 3}, []float64{0, 2, 4, 6}); !ok || l != (Line{Slope: 2}) {
		t.Errorf("got %+v, %v", l, ok)
	}
	if s, ok := Find(runs(5), []float64{4, 4, 4, 7, 7}); !ok || s != (Step{At: 3, Change: 3}) {
		t.Errorf("got %+v, %v", s, ok)
	}
	if s, ok := Find(runs(6), []float64{1, 2, 3, 4, 5, 6}); ok {
		t.Errorf("a drift is no step, got %+v", s)
	}
}

// TestChancesAreTrue counts how often series of noise alone seem to drift or to step, and how often planted ones are seen.
func TestChancesAreTrue(t *testing.T) {
	const series, n, at, p = 4000, 20, 13, 0.02
	r := rand.New(rand.NewPCG(1, 2))
	x := runs(n)
	count := func(slope, step float64) (lines, steps, places int) {
		for range series {
			y := make([]float64, n)
			for i := range y {
				if y[i] = r.NormFloat64() + slope*x[i]; i >= at {
					y[i] += step
				}
			}
			if l, ok := Fit(x, y); ok && l.P < p {
				lines++
			}
			if s, ok := Find(x, y); ok && s.P < p {
				steps++
				if s.At == at {
					places++
				}
			}
		}
		return lines, steps, places
	}
	for _, tt := range []struct {
		name             string
		slope, step      float64
		lines, linesMost int
		steps, stepsMost int
		placesMin        int
	}{
		{name: "noise", lines: series * p * 0.7, linesMost: series * p * 1.3, steps: 0, stepsMost: series * p * 1.3},
		{name: "drift", slope: 0.3, lines: series * 0.99, linesMost: series, stepsMost: series * 0.06},
		{name: "step", step: 6, lines: series * 0.9, linesMost: series, steps: series * 0.99, stepsMost: series, placesMin: series * 0.98},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, steps, places := count(tt.slope, tt.step)
			got := fmt.Sprintf("of %d series %d drift and %d step, %d of them at the right place", series, lines, steps, places)
			if lines < tt.lines || lines > tt.linesMost || steps < tt.steps || steps > tt.stepsMost || places < tt.placesMin {
				t.Error(got)
			}
		})
	}
}
