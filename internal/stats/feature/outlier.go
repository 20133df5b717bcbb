package feature

import (
	"math"
	"slices"

	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// Search is one application of the outlier rule: what it looked at and which limits it found.
type Search struct {
	VMin, VMax float64 // range of the values that are looked at, exclusive; NaN: no limit on this side
	Med, Spr   float64 // median of the selected values, median of their distances from it
	Lo, Hi     float64 // limits, inclusive
	Selected   int     // values strictly inside the range
	NLo, NHi   int     // values <= Lo, values >= Hi
	Degenerate bool    // all selected values are equal: the rule cannot tell good from bad
}

// search finds the limits of the values arr by the outlier rule of det_pixel_status:
//
//	selected = values with VMin < v < VMax
//	med = median(selected); spr = median(|selected - med|), or the population standard deviation if 0
//	lo = max(med - snr*spr, VMin);  hi = min(med + snr*spr, VMax)
//
// Values whose status has NotJudged bits are not looked at. All arithmetic is in the type of arr, medians
// of an even number are (a+b)/2 in that type, the two limits are computed in float64 and then take the
// type of arr, as numpy before version 2 compares.
//
// With nothing selected med, spr, lo and hi are NaN: no comparison with them is true. That is what the
// original reports as "no outlier"; sane turns the range itself into the limits, so that values at or
// beyond it are flagged.
func search[T quantile.Float](arr []T, state []uint64, vmin, vmax, snr float64, compat bool) Search {
	s := Search{VMin: vmin, VMax: vmax}
	var sel []T
	lo, hi := T(vmin), T(vmax)
	for i, v := range arr {
		if state[i]&status.NotJudged == 0 && !(v <= lo) && !(v >= hi) {
			sel = append(sel, v)
		}
	}
	s.Selected = len(sel)
	med := quantile.Median(append([]T(nil), sel...))
	dev := make([]T, len(sel))
	for i, v := range sel {
		dev[i] = T(math.Abs(float64(T(v - med))))
	}
	spr := quantile.Median(dev)
	if spr == 0 {
		_, spr = status.MeanStdOf(sel)
	}
	s.Med, s.Spr = float64(med), float64(spr)
	s.Degenerate = len(sel) > 0 && slices.Min(sel) == slices.Max(sel)
	s.Lo = s.Med - float64(snr*s.Spr)
	s.Hi = s.Med + float64(snr*s.Spr)
	if vmin > s.Lo || (!compat && len(sel) == 0) {
		s.Lo = vmin
	}
	if vmax < s.Hi || (!compat && len(sel) == 0) {
		s.Hi = vmax
	}
	return s
}

// flag sets the bit low where v <= s.Lo and high where v >= s.Hi in the state of judged values, and counts
// them. Sane: where all selected values are equal they get EvalError if degenerate says so, else nothing.
func flag[T quantile.Float](s *Search, arr []T, state []uint64, low, high uint64, compat bool, degenerate uint64) {
	lo, hi := T(s.Lo), T(s.Hi)
	for i, v := range arr {
		if state[i]&status.NotJudged != 0 {
			continue
		}
		if !compat && s.Degenerate && v == T(s.Med) {
			state[i] |= degenerate
			continue
		}
		if v <= lo {
			state[i] |= low
			s.NLo++
		}
		if v >= hi {
			state[i] |= high
			s.NHi++
		}
	}
}
