// Package simulate writes runs of LCLS-II (XTC2) and LCLS-I (XTC1) whose bad pixels are known.
//
// A run is a folder of streams and chunks with smalldata files, as the data acquisition writes it, and
// a truth file beside them: what was planted where, which bits the status must have for it, which
// panels, events and frames are missing or damaged.
//
// Each frame is a pure function of seed, run, event and panel: it does not depend on the number of
// streams or goroutines, and can be made again alone. An ordinary pixel is
//
//	pedestal(pixel, gain mode) + common mode(event, panel) + noise(event, pixel)    ADU
//
// with Gaussian values out of tables (tails end at 3.7 sigma), and the gain bits of the gain mode.
// Where pixels are planted depends on the seed, the panel and the gain mode, not on the run: several
// runs of one seed are the same hardware.
//
// # Planted kinds
//
// Each is found by its rule with the default limits in both profiles, data and dark, from three frames
// on, also in panels of 64 x 64 and for all kinds at once:
//
//	kind       value                                            bit
//	dead       constant at its pedestal                         2   rms below limit
//	noisy      pedestal + or - 20 sigma, alternating by event   1   rms above limit
//	hot        0.7 of int_hi above 0, ordinary noise            16  average above limit
//	saturated  all data bits set in every frame                 4   above int_hi
//	cold       0 in every other frame, else 1 to 4              8   below int_lo
//
// The limits are mean +- 6 std over all pixels, and planted extremes widen them. With fractions f of
// the pixels, levels L above the ordinary one, the widest case is hot: L(hot)^2 must exceed
// 36 (f(sat) L(sat)^2 + f(hot) L(hot)^2). With L(hot) = 0.7 L(sat) and both f <= 0.005 that is 0.49 > 0.27.
// For noisy it is R > sigma + 6 R sqrt(f): true up to f = 0.025. Hence at most 0.5 % of the pixels of a
// panel of each kind. The rules are deterministic where few frames would leave it to chance: noisy and
// cold alternate instead of being drawn.
//
// # Hard kinds
//
// Real detectors have them, and limits over all pixels, which worse pixels widen, easily miss them.
// Robust limits per chip find most of them in runs of some ten frames and more:
//
//	kind          value                                                   bit that is right
//	stuck         its pedestal, 1 ADU more in every fourth frame          2
//	flickering    4.5 sigma more in every eighth frame                    1
//	noisy column  1.7 times the noise, all pixels of a column of a chip   1
//	wrong gain    gain bits that no mode has in every eighth frame        64
//	weak          a fifth of the noise                                    2
package simulate
