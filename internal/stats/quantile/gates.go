package quantile

import (
	"fmt"
	"math"
)

// GateParams say how the gate of accepted values of a pixel follows from its first frames.
type GateParams struct {
	DataBits       uint16  // y = raw & DataBits
	FracLo, FracHi float64 // quantiles, 0..1
	IntLo, IntHi   float64 // absolute limits in ADU, inclusive; need not be integers

	// RawMax makes the arithmetic wrap as the original software's does in the raw data type whose largest
	// value this is (255 or 65535): a pixel saturated at RawMax, with IntHi >= RawMax, then gets the
	// gate [RawMax, 0], which accepts nothing, so average and rms are 0 and it is called cold and quiet.
	// 0, the default, does not wrap: such a pixel gets [65535, 65535] and is judged by what it delivers.
	RawMax uint16
}

// Validate says what is wrong with p, in words for the user.
func (p GateParams) Validate() error {
	switch {
	case !(p.FracLo >= 0 && p.FracLo <= p.FracHi && p.FracHi <= 1):
		return fmt.Errorf("gate quantiles %v and %v: wanted 0 <= low <= high <= 1", p.FracLo, p.FracHi)
	case !(p.IntLo <= p.IntHi):
		return fmt.Errorf("intensity limits %v and %v: wanted low <= high", p.IntLo, p.IntHi)
	case p.DataBits == 0:
		return fmt.Errorf("data bits are 0: no bit of the raw value would be used")
	}
	return nil
}

// Below returns the integer threshold of "below IntLo": y < IntLo exactly when y < Below(), 0..65536.
func (p GateParams) Below() uint32 {
	return uint32(min(max(math.Ceil(p.IntLo), 0), 1<<16))
}

// Above returns the integer threshold of "above IntHi": y > IntHi exactly when y > Above(), -1..65535.
func (p GateParams) Above() int32 {
	return int32(min(max(math.Floor(p.IntHi), -1), math.MaxUint16))
}

// Ranks returns the ranks of the two gate quantiles among n values: floor(FracLo*(n-1)) and
// ceil(FracHi*(n-1)), the products in float64 as the original takes them (ceil(0.56*100) is 57).
func (p GateParams) Ranks(n int) (lo, hi int) {
	lo = int(math.Floor(float64(p.FracLo * float64(n-1))))
	hi = int(math.Ceil(float64(p.FracHi * float64(n-1))))
	return min(max(lo, 0), n-1), min(max(hi, 0), n-1)
}

// Gates finds the gates of the dark rules, per pixel from the masked values of the block's frames
// (the first nrecs1 frames of a step): Stage1, then Clip. Pixels are independent: any split of a panel
// makes the same gates. A gate with gateLo > gateHi accepts nothing.
//
// The dark rules call these the gates of stage 1; frames of the block are accumulated with them like all
// later ones. It panics when lengths differ or the block is empty.
func Gates(block [][]uint16, p GateParams, gateLo, gateHi []uint16) {
	Stage1(block, p, gateLo, gateHi)
	Clip(p, gateLo, gateHi)
}

// Stage1 finds the gates before the clipping to the absolute limits, per pixel:
//
//	lo = trunc(max(sorted[rank lo], IntLo));  hi = trunc(min(sorted[rank hi], IntHi))
//	where not hi > lo: hi += 1
//
// An LCLS-II stage-1 job stores these.
func Stage1(block [][]uint16, p GateParams, gateLo, gateHi []uint16) {
	if len(block) == 0 {
		panic("stats/quantile: block without frames")
	}
	rlo, rhi := p.Ranks(len(block))
	Order([][]uint16{gateLo, gateHi}, block, p.DataBits, []int{rlo, rhi})
	// In integers: a value below IntLo is one below Below(), and becomes what IntLo becomes.
	below, above, floor, ceiling, last := p.Below(), p.Above(), p.raw(p.IntLo), p.raw(p.IntHi), p.raw(math.MaxUint16+1)
	all := uint16(math.MaxUint16)
	if p.RawMax != 0 {
		all = p.RawMax
	}
	gateLo = gateLo[:len(gateHi)]
	for i, hi := range gateHi {
		if lo := gateLo[i]; uint32(lo) >= below && int32(hi) <= above && lo < hi && hi <= all {
			continue // as nearly all are
		}
		lo := gateLo[i] & all
		if uint32(gateLo[i]) < below {
			lo = floor
		}
		if int32(hi) > above {
			hi = ceiling
		} else {
			hi &= all
		}
		if hi <= lo {
			if hi == math.MaxUint16 {
				hi = last
			} else {
				hi = (hi + 1) & all
			}
		}
		gateLo[i], gateHi[i] = lo, hi
	}
}

// raw brings a value into the raw type, truncating toward zero: saturating, or wrapping (RawMax).
func (p GateParams) raw(v float64) uint16 {
	if p.RawMax != 0 {
		return uint16(int64(v)) & p.RawMax
	}
	return uint16(min(max(v, 0), math.MaxUint16))
}

// Clip keeps the gates inside the absolute limits: lo = max(lo, IntLo), hi = min(hi, IntHi). Limits
// that are not integers keep their meaning: no integer lies between 1.5 and 2, so a gate from 1.5 is a
// gate from 2. Limits that no 16-bit value can meet empty the gate.
func Clip(p GateParams, gateLo, gateHi []uint16) {
	below, above := p.Below(), p.Above()
	gateLo = gateLo[:len(gateHi)]
	for i, hi := range gateHi {
		if lo := gateLo[i]; uint32(lo) >= below && int32(hi) <= above {
			continue
		}
		if below > math.MaxUint16 || above < 0 {
			gateLo[i], gateHi[i] = 1, 0
			continue
		}
		gateLo[i] = max(gateLo[i], uint16(below))
		gateHi[i] = min(hi, uint16(above))
	}
}
