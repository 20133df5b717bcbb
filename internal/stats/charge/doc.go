// Package charge judges pixels by their answer to injected charge: it follows each pulsed pixel through
// the ramps of a pulser, keeps exact sums of the two lines that the pixel draws (high or medium gain
// before its gain bit rises, low gain after), and turns them into bits of status_ci.
//
// A scan has two modes, AML and AHL, each of space x space steps; one step pulses every space-th row and
// column. A pulser ramps up by one unit per frame and starts again; on the way the comparator of a pixel
// switches it to low gain, which its gain bit shows.
//
// # Measure A
//
// The rules of psana's epix10ka_charge_injection, on each pixel's own clock. Frames with gain bit make
// groups, split where the event number rises by more than Gap between two of them. Two neighbouring groups
// bound a period: it begins with the frame behind the first group, and the pixel switches with the first
// frame of the second. The points of a period are
//
//	region 0 (H or M)  frames from the begin of the period, the last NPOff before the switch left out;
//	                   in the first period those at the end of the scale are left out, too
//	region 1 (L)       frames from NPOff after the switch up to, but not including, the group's last
//
// with x = event number - event number of the period's begin, y = word & DataBits. The last frame of a step
// is not used. Each region keeps n, Σx, Σy, Σxx, Σxy, Σyy; the lines follow from these, each number one
// correctly rounded division of two integers (see Line).
//
// # Measure B
//
// Our own rules, on a clock that all pulsed pixels of a panel share: the ramp begins at a frame where more
// than half of the pulsed pixels that had the gain bit have lost it, if at least a tenth had it. v is the
// event number since then. Only complete ramps count. Per pixel: ramps without gain bit, with nothing else,
// with more than one rise, Σv and Σvv of the first rise, and the sums of region 0 on x = v (the last NPOff
// frames before the first rise and those at the end of the scale left out).
// Pixels that are not pulsed but touch a pulsed one keep the slope of their value over v (cross-talk).
//
// # Lost events
//
// Event numbers count triggers, so a lost event leaves a hole in x and nothing else. Where the hole lies
// just before the ramp begins, nobody knows which of the lost frames began it: such a period is used only
// where the pixel has no other, and such a ramp determines the switching point only where there is no other.
// With Compat the original's way is taken: such periods are as good as any. A frame of nothing but zeros is a
// lost event (not with Compat).
package charge
