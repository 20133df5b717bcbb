package status

import "math"

// Criterion is one rule with its numbers: the bit that a pixel gets when a quantity lies beyond a limit.
type Criterion struct {
	Bit       uint64
	High      bool // beyond means above the limit, else below
	Inclusive bool // a value equal to the limit is beyond it
	Limit     float64
	Spread    float64 // of the quantity over the pixels behind the limit; 0 or NaN: the limit is absolute
}

// Broken reports whether a value is beyond the limit. NaN never is, as in the rules.
func (c Criterion) Broken(v float64) bool {
	if c.Inclusive && v == c.Limit {
		return true
	}
	return c.High && v > c.Limit || !c.High && v < c.Limit
}

// Distance returns how far v lies beyond the limit in units of the spread: positive where the rule is
// broken, negative inside. Without a spread it is NaN.
func (c Criterion) Distance(v float64) float64 {
	if !(c.Spread > 0) {
		return math.NaN()
	}
	if c.High {
		return (v - c.Limit) / c.Spread
	}
	return (c.Limit - v) / c.Spread
}
