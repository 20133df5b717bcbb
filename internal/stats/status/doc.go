// Package status knows what a bad-pixel bit is: the one table of bits, the rules that set them, and the
// limits behind the rules. It turns exact integer planes into per-pixel status words.
//
// # Deviations from the original software
//
// The rules are those of psana's dark processing. Where ours differ (Compat brings the original back):
//
//   - A panel or pixel without any frame gets NoData, one with fewer than MinFrames gets LowStats, one
//     whose value cannot be evaluated gets EvalError. Such pixels get no other bit and take no part in
//     any limit. The original calls them cold and quiet, lets them shift the limits of all others, or
//     produces nothing (fewer than 3 records).
//   - The zero records that the original adds (LCLS-I: nrecs1-N of them when N <= nrecs1, LCLS-II: one
//     always) are not added. They flag all pixels of small runs with IntLow and, in LCLS-II, lower the
//     threshold of IntLow by one. See Sequence.
//   - Many-records thresholds: profile dark allows int(fraclm*(N-1)) records, as the original, whose
//     counter starts at 0; profile data has no original and allows int(fraclm*N). N counts the frames of
//     the panel itself: a panel that missed events is judged by the frames it has.
//   - Gates do not wrap at the largest raw value (quantile.GateParams.RawMax), and intensity and rms
//     limits need not be integers in any profile.
//   - Where rounding makes a mean square smaller than the squared mean (more frames than any run has
//     seen), the variance is computed again in integers. The original takes the root of a negative
//     number; the NaN spreads into the limits and switches bits RmsHigh and RmsLow off for all pixels.
//   - Profile data sums only words with the gain bits of the gain mode; a pixel with fewer than MinFrames of
//     them gets LowStats.
//   - The gain bits of a frame of profile dark must be those of the step's gain mode (rule of LCLS-I, there
//     for jungfrau alone). The rule of LCLS-II, which only objects to the impossible pattern 10, can be chosen,
//     and is that of profile data.
//
// The same as in the original, deliberately: limits are mean +- n sigma over all judged pixels with the
// population standard deviation, bad pixels included; a pixel whose gate is empty in a panel with frames
// has average = rms = 0 and is called quiet (RmsLow) and cold (AveLow); a value equal to a limit is not
// flagged; average and rms of profile dark are those of the gate, so the rms of Gaussian noise is about
// 0.8 of its standard deviation.
package status
