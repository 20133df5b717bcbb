package status

import "math"

// TwoPass are the parameters of gates that come from averages and rms of the leading frames, as
// epix10ka_pedestals_calibration of LCLS-I makes them. RmsLo and RmsHi, in ADU, bound the rms of the pixels that the
// gates of all are as wide as.
type TwoPass struct {
	NSigma float64 `json:"nsigma"`
	RmsLo  float64 `json:"rms_lo"`
	RmsHi  float64 `json:"rms_hi"`
}

// Gates finds the gates of a panel from the sums of its leading frames over the values inside [intLo, intHi]. With a
// and r, average and rms of a pixel, and R, the mean of r over pixels with RmsLo <= r <= RmsHi:
//
//	hi = trunc(min(a + NSigma*R, intHi));  lo = trunc(max(a - NSigma*R, intLo))
//
// The mean is summed in numpy's order over the panel, zeros for the pixels left out, so that it does not depend on how
// the panel was counted. Where no pixel has such an rms the original ends; here the gates are [intLo, intHi].
func (t TwoPass) Gates(gateLo, gateHi []uint16, sum0 []uint32, sum1, sum2 []uint64, intLo, intHi float64, c Compat) {
	ave, rms := make([]float64, len(sum0)), make([]float64, len(sum0))
	counted := 0
	for i := range sum0 {
		ave[i], rms[i] = meanRms(sum0[i], sum1[i], sum2[i], c != Sane)
		if rms[i] < t.RmsLo || rms[i] > t.RmsHi {
			rms[i] = 0
		} else {
			counted++
		}
	}
	half := math.Inf(1)
	if counted > 0 {
		half = t.NSigma * (Sum(rms) / float64(counted))
	}
	for i, a := range ave {
		gateHi[i] = wordOf(min(a+half, intHi))
		gateLo[i] = wordOf(max(a-half, intLo))
	}
}

// wordOf truncates a number toward zero; what is no 16-bit number becomes the nearest one.
func wordOf(v float64) uint16 { return uint16(min(max(v, 0), math.MaxUint16)) }

// TwoPassSequence plans the use of frames frames for gates from two passes: nrecs limits how many are used, lead how
// many give the gates. The originals leave the last record out of everything.
func TwoPassSequence(c Compat, frames, nrecs, lead int) Sequence {
	s := NewSequence(Sane, frames, nrecs, lead)
	if c != Sane {
		s.Accumulate = max(s.N-1, 0)
		s.Block, s.NoResult = min(s.Accumulate, lead), s.N < 2
	}
	return s
}
