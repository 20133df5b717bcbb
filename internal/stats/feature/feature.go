package feature

import (
	"fmt"
	"math"

	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// Params are the parameters of an evaluation.
type Params struct {
	Features  []int // any of 2, 3, 6, 11; 1 is evaluated earlier, by GoodFrames
	SNR       float64
	DataBits  uint16
	MinFrames uint64 // good frames; fewer: LowStats
	Compat    bool   // decide as the original in degenerate cases, too
}

// Validate says what is wrong with p, in words for the user.
func (p Params) Validate() error {
	for _, f := range p.Features {
		switch f {
		case 1, 2, 3, 6, 11:
		case 4, 5:
			return fmt.Errorf("feature %d computes nothing in the original and does not exist here", f)
		default:
			return fmt.Errorf("feature %d: wanted 1, 2, 3, 6 or 11", f)
		}
	}
	switch {
	case !(p.SNR > 0) || math.IsInf(p.SNR, 0):
		return fmt.Errorf("snrmax %v: wanted a positive number", p.SNR)
	case p.DataBits == 0:
		return fmt.Errorf("data bits are 0: no bit of the raw value would be used")
	}
	return nil
}

// GoodFrames decides which frames of a panel features 2, 3 and 6 use (feature 1): those whose median is no
// outlier among the medians of all frames, in the range 0..DataBits. twice holds twice the median of every
// frame (quantile.FrameMedian), in frame order.
func GoodFrames(twice []uint32, p Params) (good []bool, s Search) {
	med := make([]float64, len(twice))
	for k, m := range twice {
		med[k] = float64(m) / 2
	}
	state := make([]uint64, len(med))
	s = search(med, state, 0, float64(p.DataBits), p.SNR, p.Compat)
	flag(&s, med, state, 1, 2, p.Compat, 0)
	good = make([]bool, len(med))
	for k := range state {
		good[k] = state[k] == 0
	}
	return good, s
}

// Input is the input of the features of one panel.
type Input struct {
	Rows, Cols         int
	Frames, GoodFrames uint64

	Sum0       []uint32 // good frames, for features 2 and 3
	Sum1, Sum2 []uint64

	Resid *Resid // feature 6

	Max       []uint16  // feature 11, over all frames
	Pedestals []float64 // nil: there are none, every pixel is EvalError
	Float32   bool      // pedestals are stored as float32: Compat works in that type

	Known []uint64 // nil, or bits known before: pixels with NotJudged bits are left out
}

// Result is the evaluation of one panel.
type Result struct {
	Status    []uint64
	Mean, Std []float64 // features 2, 3
	Med6      []float64 // feature 6
	Spr6      []float64
	MaxPeds   []float64 // feature 11

	Mean2, Std3, Resid6, Spread6, Max11 *Search // nil: feature not evaluated
	Input11                             Input11
	Counts                              status.Counts
}

// Input11 is how feature 11 found the range of its outlier search.
type Input11 struct {
	Med, Up, Down float64
}

// Evaluate judges one panel.
func Evaluate(in *Input, p Params) (*Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	n := in.Rows * in.Cols
	if err := in.check(n, p); err != nil {
		return nil, err
	}
	base := make([]uint64, n)
	copy(base, in.Known)
	res := &Result{Status: make([]uint64, n)}
	for _, f := range p.Features {
		if f == 1 {
			continue
		}
		// Every feature starts from what is known of the pixels, not from what other features found.
		state := append([]uint64(nil), base...)
		if !p.Compat {
			preset(state, in, f, p.MinFrames)
		}
		switch f {
		case 2:
			res.evaluate2(in, p, state)
		case 3:
			res.evaluate3(in, p, state)
		case 6:
			res.evaluate6(in, p, state)
		case 11:
			if p.Compat && in.Float32 {
				evaluate11[float32](res, in, p, state)
			} else {
				evaluate11[float64](res, in, p, state)
			}
		}
		for i, s := range state {
			res.Status[i] |= s
		}
	}
	finish(res, p)
	return res, nil
}

// check compares lengths: planes of damaged or foreign partials do not get further.
func (in *Input) check(n int, p Params) error {
	want := func(feature int, name string, have int) error {
		if have != n {
			return fmt.Errorf("feature %d: %s of %d pixels for a panel of %d x %d", feature, name, have, in.Rows, in.Cols)
		}
		return nil
	}
	if in.Known != nil && len(in.Known) != n {
		return fmt.Errorf("known bits of %d pixels for a panel of %d x %d", len(in.Known), in.Rows, in.Cols)
	}
	for _, f := range p.Features {
		var errs []error
		switch f {
		case 2, 3:
			errs = append(errs, want(f, "sum0", len(in.Sum0)), want(f, "sum1", len(in.Sum1)), want(f, "sum2", len(in.Sum2)))
		case 6:
			if in.Resid == nil {
				return fmt.Errorf("feature 6: no residuals")
			}
			errs = append(errs, want(f, "medians", len(in.Resid.Med2)), want(f, "spreads", len(in.Resid.Mad4)))
		case 11:
			errs = append(errs, want(f, "maxima", len(in.Max)))
			if in.Pedestals != nil {
				errs = append(errs, want(f, "pedestals", len(in.Pedestals)))
			} else if p.Compat {
				return fmt.Errorf("feature 11: no pedestals")
			}
		}
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// preset marks pixels that a feature cannot judge because of the number of frames.
func preset(state []uint64, in *Input, feature int, minFrames uint64) {
	frames := in.GoodFrames
	if feature == 11 {
		frames = in.Frames
	}
	var bit uint64
	switch {
	case in.Frames == 0:
		bit = status.NoData
	case frames < minFrames || frames == 0:
		bit = status.LowStats
	case frames == 1 && (feature == 3 || feature == 6):
		bit = status.EvalError
	default:
		return
	}
	for i := range state {
		state[i] |= bit
	}
}

// finish makes the status of the panel final: a pixel that could not be judged has no other bit.
func finish(res *Result, p Params) {
	if !p.Compat {
		for i, s := range res.Status {
			if s&status.NotJudged != 0 {
				res.Status[i] = s & status.NotJudged
			}
		}
	}
	res.Counts = status.Count(res.Status)
}

// judge runs the outlier rule over a feature's values. Sane: NaN is EvalError.
func judge[T quantile.Float](arr []T, p Params, state []uint64, vmin, vmax float64, low, high uint64) *Search {
	if !p.Compat {
		for i, v := range arr {
			if v != v && state[i]&status.NotJudged == 0 {
				state[i] |= status.EvalError
			}
		}
	}
	s := search(arr, state, vmin, vmax, p.SNR, p.Compat)
	flag(&s, arr, state, low, high, p.Compat, status.EvalError)
	return &s
}

func (res *Result) evaluate2(in *Input, p Params, state []uint64) {
	res.Mean = make([]float64, len(in.Sum0))
	for i, n := range in.Sum0 {
		res.Mean[i] = float64(in.Sum1[i]) / float64(n) // no frames: NaN
	}
	res.Mean2 = judge(res.Mean, p, state, 0, float64(p.DataBits), status.MeanLow, status.MeanHigh)
}

func (res *Result) evaluate3(in *Input, p Params, state []uint64) {
	res.Std = make([]float64, len(in.Sum0))
	for i, n := range in.Sum0 {
		res.Std[i] = status.StdOf(n, in.Sum1[i], in.Sum2[i])
	}
	res.Std3 = judge(res.Std, p, state, 0, float64(p.DataBits), status.StdLow, status.StdHigh)
}

func (res *Result) evaluate6(in *Input, p Params, state []uint64) {
	res.Med6, res.Spr6 = in.Resid.Values()
	spread := append([]uint64(nil), state...)
	m := float64(p.DataBits)
	res.Resid6 = judge(res.Med6, p, state, -m, m, status.ResidLow, status.ResidHigh)
	res.Spread6 = judge(res.Spr6, p, spread, -m, m, status.SpreadLow, status.SpreadHigh)
	for i, s := range spread {
		state[i] |= s
	}
}

// evaluate11 works in the type T. D = max - pedestal; med = median(D); up and down are the medians of the
// non-negative and of the negative D - med; the search looks at med + snr*down < D < med + snr*up.
func evaluate11[T quantile.Float](res *Result, in *Input, p Params, state []uint64) {
	d := make([]T, len(in.Max))
	res.MaxPeds = make([]float64, len(d))
	for i, m := range in.Max {
		d[i] = T(math.NaN())
		if in.Pedestals != nil {
			d[i] = T(T(m) - T(in.Pedestals[i]))
		}
		res.MaxPeds[i] = float64(d[i])
	}
	var used []T
	for i, v := range d {
		if p.Compat || (state[i]&status.NotJudged == 0 && v == v) {
			used = append(used, v)
		}
	}
	med := quantile.Median(append([]T(nil), used...))
	var up, down []T
	for _, v := range used {
		if e := T(v - med); e >= 0 {
			up = append(up, e)
		} else if e < 0 {
			down = append(down, e)
		}
	}
	x := Input11{Med: float64(med), Up: float64(quantile.Median(up)), Down: float64(quantile.Median(down))}
	res.Input11 = x
	if !p.Compat && x.Up == 0 {
		x.Up = math.NaN() // no limit; Down is NaN or negative
	}
	res.Max11 = judge(d, p, state, x.Med+float64(p.SNR*x.Down), x.Med+float64(p.SNR*x.Up), status.MaxLow, status.MaxHigh)
}
