package feature

import (
	"fmt"

	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
)

// Lines makes the bad-pixel table of one panel.
func (r *Result) Lines(p Params) []status.Line {
	rules := map[uint64]string{
		status.NoData:    "no frame of the panel or pixel",
		status.LowStats:  fmt.Sprintf("fewer than %d good frames", p.MinFrames),
		status.EvalError: "the rule has no answer",
	}
	for _, f := range []struct {
		s         *Search
		name      string
		low, high uint64
	}{
		{r.Mean2, "mean", status.MeanLow, status.MeanHigh},
		{r.Std3, "std", status.StdLow, status.StdHigh},
		{r.Resid6, "median residual", status.ResidLow, status.ResidHigh},
		{r.Spread6, "residual spread", status.SpreadLow, status.SpreadHigh},
		{r.Max11, "max - pedestal", status.MaxLow, status.MaxHigh},
	} {
		if f.s != nil {
			rules[f.low] = f.name + " <= " + status.Number(f.s.Lo)
			rules[f.high] = f.name + " >= " + status.Number(f.s.Hi)
		}
	}
	return status.Lines(status.Features, r.Counts, rules)
}

// Names of the planes of features 2 and 3 (good frames only) and 11 (all frames), beside those of feature 6.
const (
	PlaneGood0 = "good_sum0" // uint32 sum: good frames
	PlaneGood1 = "good_sum1" // uint64 sum of the values
	PlaneGood2 = "good_sum2" // uint64 sum of their squares
)

// PanelFromSets takes the planes of a merged panel: sums has those of features 2 and 3, its Frames are the
// good ones; all has the maximum of feature 11, its Frames are all; f and windows are those of feature 6. What
// the features of p do not need may be nil.
func PanelFromSets(rows, cols int, p Params, all, sums *plane.Set, f *Flatness, windows *plane.Set) (*Panel, error) {
	in := &Panel{Rows: rows, Cols: cols, Frames: all.Frames}
	var err error
	for _, feature := range p.Features {
		switch feature {
		case 2, 3:
			in.GoodFrames = sums.Frames
			err = in.takeSums(sums)
		case 6:
			in.GoodFrames = windows.Frames
			in.Resid, err = f.ResidFromSet(windows)
		case 11:
			in.Max, err = plane.Get[uint16](all, plane.MaxValue)
		}
		if err != nil {
			return nil, err
		}
	}
	return in, in.check(rows*cols, p)
}

func (in *Panel) takeSums(s *plane.Set) (err error) {
	if in.Sum0, err = plane.Get[uint32](s, PlaneGood0); err != nil {
		return err
	}
	if in.Sum1, err = plane.Get[uint64](s, PlaneGood1); err != nil {
		return err
	}
	in.Sum2, err = plane.Get[uint64](s, PlaneGood2)
	return err
}
