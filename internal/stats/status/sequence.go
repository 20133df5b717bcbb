package status

// Sequence says which frames of a step the dark rules use for what. The sane sequence uses the first
// min(frames, nrecs) frames: the gates come from the first nrecs1 of them, and all are accumulated.
//
// The originals, by Compat, add records of zeros and lose one, as consequences of how their block is
// filled:
//
//	lcls1, N <= nrecs1           nrecs1-N zero records are accumulated, not used for the gates
//	lcls2, N > nrecs1            the record that completes the block is a zero record in it, and both the
//	                             zero record and the real one are accumulated
//	lcls2, N = nrecs1            the same, but the real record is lost
//	lcls2, N < nrecs1            as lcls1
//	lcls2, N >= nrecs = nrecs1   only the gates are made, before clipping ("stage-1 job")
//	lcls2, nrecs1 = 0            gates come from such a job
//	both, N < 3                  no result
type Sequence struct {
	N          int // frames used: K+1 of the original; the number that thresholds refer to
	Block      int // the first Block frames, with BlockZeros frames of zeros, determine the gates
	BlockZeros int
	Accumulate int // the first Accumulate frames and Zeros frames of zeros are accumulated
	Zeros      int
	NoResult   bool
	Stage1Only bool
	GatesGiven bool
}

// NewSequence plans the use of frames frames. nrecs limits how many are used, nrecs1 how many give the
// gates; in the sane sequence numbers that are not positive mean all frames.
func NewSequence(c Compat, frames, nrecs, nrecs1 int) Sequence {
	if c == Sane {
		if nrecs <= 0 {
			nrecs = frames
		}
		n := min(frames, nrecs)
		if nrecs1 <= 0 {
			nrecs1 = n
		}
		return Sequence{N: n, Block: min(n, nrecs1), Accumulate: n}
	}
	n := min(frames, max(nrecs, 1))
	s := Sequence{N: n, Block: min(n, nrecs1), Accumulate: n, NoResult: n < 3}
	switch {
	case c == LCLS2 && nrecs1 == 0:
		s.GatesGiven = true
	case c == LCLS2 && n >= nrecs1:
		s.Block, s.BlockZeros, s.Zeros = nrecs1-1, 1, 1
		if n == nrecs1 {
			s.Accumulate--
		}
		if nrecs == nrecs1 {
			s.Stage1Only, s.NoResult = true, false
		}
	case n <= nrecs1:
		s.Zeros = nrecs1 - n
	}
	return s
}

// AddZeros counts n frames of zeros into the planes, as the originals do; Frames stays. below and above
// are the integer thresholds of the accumulation (quantile.GateParams).
func (p *PanelPlanes) AddZeros(n int, below uint32, above int32) {
	if n == 0 {
		return
	}
	for i := range p.Sum0 {
		if below > 0 {
			p.NLo[i] += uint32(n)
		}
		if above < 0 {
			p.NHi[i] += uint32(n)
		}
		if p.GateLo == nil || p.GateLo[i] == 0 {
			p.Sum0[i] += uint32(n)
		}
	}
	for i := range p.MinValue {
		p.MinValue[i] = 0
	}
	if p.GainWanted != 0 {
		for i := range p.GainOdd {
			p.GainOdd[i] += uint32(n)
		}
	}
}
