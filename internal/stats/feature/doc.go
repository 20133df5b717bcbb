// Package feature evaluates the features of det_pixel_status, each a number per pixel in which bad pixels
// stand out, by one outlier rule (search):
//
//	1   median of a frame's pixels: picks the good frames; sets no bit
//	2   mean over the good frames                              MeanLow, MeanHigh
//	3   standard deviation over the good frames                StdLow, StdHigh
//	6   residual to the local plane of light: median over the  ResidLow, ResidHigh
//	    good frames, and median distance from it               SpreadLow, SpreadHigh
//	11  maximum over all frames minus the pedestal             MaxLow, MaxHigh
//
// Everything is evaluated from exact integers (planes), so shards, threads and order do not matter, and
// other thresholds need no raw data. Features are independent of each other; 11 may go with any other.
//
// # Deviations from the original
//
// Compat brings the original's decisions back. Without it:
//
//   - Pixels that cannot be judged say so. NoData: no frame. LowStats: fewer good frames than MinFrames.
//     EvalError: the feature is NaN (no or NaN pedestal), fewer than two good frames for features 3 or 6,
//     or all selected values are equal, so that the rule cannot tell good from bad. The original reports
//     such pixels as good, or all of them as bad on both sides. A pixel with one of these bits has no
//     other bit, whatever the other features say, and is not among the values behind the limits of a
//     feature that could not use it.
//   - Nothing inside the range (all values 0 or all saturated): the values at the limits are flagged. The
//     original flags nothing.
//   - Feature 1 with equal medians in all frames, or one frame: the frames are good. The original rejects
//     all of them.
//   - Feature 11 works in float64 (the original: in the type of the pedestals, float32 from psana). A NaN
//     pedestal concerns its own pixel; the original then flags no pixel at all. Where more than half of
//     the values are equal to the median on one side, that side has no limit for the selection; the
//     original takes the median for the limit and flags half of the detector, or nothing.
//
// In both: the standard deviation is the correctly rounded root of the exact variance. The original adds
// squares of float64 differences in record order; the results agree to about 1e-14 relative. Feature 6 is
// exact too, see Flatness.
package feature
