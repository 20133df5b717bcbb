package kernel

// Width is the number of pixels of a Block.
const Width = 32

// MaxFrames is the largest number of frames that one call of a kernel takes. Overflow is impossible
// within a call: squares of a group are added in 32 bits only where no value exceeds fast, and
// 16 frames of at most 16383 give 16*16383^2 = 4294443024 < 2^32.
const MaxFrames = 16

const fast = 16383

// FlushAfter is the number of frames after which Flush must be called at the latest. The narrowest
// counters are N, NLo and NHi: 16 bits hold 65535 frames; Sum holds 65535 frames too, since
// 65535*65535 = 4294836225 < 2^32. Sq needs no flush: (2^32-1)*65535^2 < 2^64.
const FlushAfter = 65535

// Block is the statistics of 32 neighbouring pixels in the order in which vector registers leave them:
// element SumPos[i] of Sum and SqPos[i] of Sq belong to pixel i, all other arrays are in pixel order.
// It is 13 cache lines; a sweep over a block touches what it needs and nothing else.
type Block struct {
	Sum      [Width]uint32 // of y inside the gate
	Sq       [Width]uint64 // of y*y inside the gate
	N        [Width]uint16 // frames inside the gate, or taken in by Masked; Ungated leaves it alone
	Min, Max [Width]uint16 // of all y that are taken in
	Lo       [Width]uint16 // gate: inside if (y-Lo) mod 2^16 <= Range
	Range    [Width]uint16
	NLo, NHi [Width]uint16 // frames with y < Below, y > Above
}

// Reset makes an empty block with open gates.
func (b *Block) Reset() {
	*b = Block{}
	for i := range Width {
		b.Min[i], b.Range[i] = 0xffff, 0xffff
	}
}

// SumPos and SqPos give the elements of a pixel in Sum and Sq. Vector registers are made of lanes of 8
// pixels; unpacking leaves pixels 0-3 of all lanes in the first half and 4-7 in the second, and
// squares are widened to 64 bits by even and odd elements.
var SumPos, SqPos = positions()

func positions() (sum, sq [Width]uint8) {
	for i := range uint8(Width) {
		lane, half, r := i/8, i%8/4, i%4
		sum[i] = 16*half + 4*lane + r
		sq[i] = 16*half + 8*(r%2) + 2*lane + r/2
	}
	return sum, sq
}

// InOrder writes the sums in pixel order.
func (b *Block) InOrder(sum, sq *[Width]uint64) {
	for lane := range 4 {
		lo, hi := (*[4]uint32)(b.Sum[4*lane:]), (*[4]uint32)(b.Sum[16+4*lane:])
		s, q := (*[8]uint64)(sum[8*lane:]), (*[8]uint64)(sq[8*lane:])
		for r := range 4 {
			s[r], s[4+r] = uint64(lo[r]), uint64(hi[r])
		}
		even, odd := (*[2]uint64)(b.Sq[2*lane:]), (*[2]uint64)(b.Sq[8+2*lane:])
		q[0], q[1], q[2], q[3] = even[0], odd[0], even[1], odd[1]
		even, odd = (*[2]uint64)(b.Sq[16+2*lane:]), (*[2]uint64)(b.Sq[24+2*lane:])
		q[4], q[5], q[6], q[7] = even[0], odd[0], even[1], odd[1]
	}
}

// Params are the constants of an accumulation, of every y = raw & Mask.
type Params struct {
	Mask  uint16
	Below uint16 // y < Below is counted in NLo
	Above uint16 // y > Above is counted in NHi
	// Masked takes in words with raw & Gain == Want only, Watched marks where there are others. Want lies in Gain.
	Gain, Want uint16
}
