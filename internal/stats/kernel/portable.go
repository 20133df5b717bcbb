package kernel

import (
	"math/bits"
	"unsafe"
)

// This file is the fast plain Go: used where there is no assembly. Eight frames go by while the state
// of four neighbouring pixels, 16 bits each, is in registers as words of 64 bits. Comparisons become
// masks, because branches on noise are mispredicted half of the time. Values of 15 bits leave the top
// bit of each 16 for the borrow; where the mask lets 16 bits through, the definition does the work.

const (
	group = 8
	tops  = 0x8000_8000_8000_8000 // the top bit of each pixel
	evens = 0x0000_ffff_0000_ffff // pixels 0 and 2 of a word
)

// gatedGo is gatedRef for a whole number of blocks, eight frames at a time.
func gatedGo(blocks []Block, frames [][]uint16, p *Params) {
	for ; len(frames) >= group && p.Mask < 0x8000; frames = frames[group:] {
		for i := range blocks {
			px := eight(frames, i*Width)
			for j := 0; j < Width; j += 4 {
				gatedFour(&blocks[i], j, &px, p)
			}
		}
	}
	gatedRef(blocks, frames, p)
}

// watchedGo is watchedRef likewise.
func watchedGo(blocks []Block, foreign []bool, frames [][]uint16, p *Params) {
	gatedGo(blocks, frames, p)
	gain, want := spread(p.Gain), spread(p.Want)
	for i := range blocks {
		var found uint64
		for _, f := range frames {
			px := (*[Width]uint16)(unsafe.Pointer(&f[i*Width : (i+1)*Width][0]))
			for j := 0; j < Width; j += 4 {
				found |= four(px, j)&gain ^ want
			}
		}
		foreign[i] = found != 0
	}
}

// ungatedGo is ungatedRef likewise.
func ungatedGo(blocks []Block, frames [][]uint16, p *Params) {
	for ; len(frames) >= group && p.Mask < 0x8000; frames = frames[group:] {
		for i := range blocks {
			px := eight(frames, i*Width)
			for j := 0; j < Width; j += 4 {
				ungatedFour(&blocks[i], j, &px, p)
			}
		}
	}
	ungatedRef(blocks, frames, p)
}

// maskedGo is maskedRef likewise: where all words of four pixels are taken in it does what ungatedGo does.
func maskedGo(blocks []Block, frames [][]uint16, p *Params) {
	gain, want := spread(p.Gain), spread(p.Want)
	for ; len(frames) >= group && p.Mask < 0x8000; frames = frames[group:] {
		for i := range blocks {
			b, px := &blocks[i], eight(frames, i*Width)
			for j := 0; j < Width; j += 4 {
				var foreign uint64
				for k := range px {
					foreign |= four(px[k], j)&gain ^ want
				}
				if foreign == 0 {
					*(*uint64)(unsafe.Pointer(&b.N[j])) += spread(group)
					ungatedFour(b, j, &px, p)
				} else {
					b.maskedSlow(j, &px, p)
				}
			}
		}
	}
	maskedRef(blocks, frames, p)
}

// maskedSlow is the definition for four pixels.
func (b *Block) maskedSlow(j int, px *[group]*[Width]uint16, p *Params) {
	for k := range px {
		for i := j; i < j+4; i++ {
			b.maskedOne(i, px[k][i], p)
		}
	}
}

// eight returns the pixels of one block in eight frames.
func eight(frames [][]uint16, lo int) (px [group]*[Width]uint16) {
	for k, f := range frames[:group] {
		px[k] = (*[Width]uint16)(unsafe.Pointer(&f[lo : lo+Width][0]))
	}
	return px
}

// four returns pixels j to j+3 as a word.
func four(px *[Width]uint16, j int) uint64 { return *(*uint64)(unsafe.Pointer(&px[j])) }

// spread sets the four pixels of a word to v.
func spread(v uint16) uint64 { return uint64(v) * 0x0001_0001_0001_0001 }

// where returns 0xffff in each pixel whose top bit is set in x.
func where(x uint64) uint64 { x &= tops; return x<<1 - x>>15 }

// gatedFour adds eight frames of four pixels.
//
//go:noinline
func gatedFour(b *Block, j int, px *[group]*[Width]uint16, p *Params) {
	lo, rng := four(&b.Lo, j), four(&b.Range, j)
	if (lo|(lo+rng&^tops)&rng)&tops != 0 {
		b.gatedSlow(j, px, p) // a gate above 15 bits, or one that wraps around
		return
	}
	mask := spread(p.Mask)
	b.extremesFour(j, px, p)
	var v [group]uint64
	var count uint64
	for k := range px {
		y := four(px[k], j) & mask
		t := (y | tops) - lo                       // top bit: y >= lo; the rest is y-lo then
		in := t & (((rng | tops) - t&^tops) | rng) // top bit: and y-lo <= rng
		count += in & tops >> 15
		v[k] = y & where(in)
	}
	*(*uint64)(unsafe.Pointer(&b.N[j])) += count // no carry between pixels: FlushAfter is below 2^16
	b.addFour(j, &v)
}

//go:noinline
func ungatedFour(b *Block, j int, px *[group]*[Width]uint16, p *Params) {
	mask := spread(p.Mask)
	b.extremesFour(j, px, p)
	var v [group]uint64
	for k := range px {
		v[k] = four(px[k], j) & mask
	}
	b.addFour(j, &v)
}

// gatedSlow is the definition for four pixels.
func (b *Block) gatedSlow(j int, px *[group]*[Width]uint16, p *Params) {
	for i := j; i < j+4; i++ {
		for k := range px {
			b.gatedOne(i, px[k][i]&p.Mask, p)
		}
	}
}

// addFour adds values of 15 bits to sums and squares. Two of them, 32 bits apart, are squared by one
// multiplication: (u + v*2^32)^2 has u^2 in its lowest 32 bits and v^2 in its upper 64, and what is
// between them, 2uv*2^32 < 2^64, does not carry.
//
//go:noinline
func (b *Block) addFour(j int, v *[group]uint64) {
	var even, odd, q0, q1, q2, q3 uint64
	for _, v := range v {
		e, o := v&evens, v>>16&evens
		even, odd = even+e, odd+o
		hi, lo := bits.Mul64(e, e)
		q0, q2 = q0+uint64(uint32(lo)), q2+hi
		hi, lo = bits.Mul64(o, o)
		q1, q3 = q1+uint64(uint32(lo)), q3+hi
	}
	at, sq := SumPos[j], SqPos[j]
	sum := (*[4]uint32)(b.Sum[at:])
	sum[0] += uint32(even)
	sum[1] += uint32(odd)
	sum[2] += uint32(even >> 32)
	sum[3] += uint32(odd >> 32)
	b.Sq[sq] += q0
	b.Sq[sq+1] += q2
	b.Sq[sq+8] += q1
	b.Sq[sq+9] += q3
}

// extremesFour takes in the extremes of eight frames of four pixels. Values beyond the counting limits
// are rare, so they are counted only where the extremes show that there are some.
//
//go:noinline
func (b *Block) extremesFour(j int, px *[group]*[Width]uint16, p *Params) {
	mask := spread(p.Mask)
	least, most := mask, uint64(0)
	for k := 0; k < group; k += 2 {
		x, y := four(px[k], j)&mask, four(px[k+1], j)&mask
		d := (x ^ y) & where((x|tops)-y) // where x >= y: exchange
		x, y = x^d, y^d
		least ^= (least ^ x) & where((least|tops)-x)
		most ^= (most ^ y) & where((y|tops)-most)
	}
	for i := j; i < j+4; i, least, most = i+1, least>>16, most>>16 {
		b.Min[i], b.Max[i] = min(b.Min[i], uint16(least)), max(b.Max[i], uint16(most))
		if uint16(least) < p.Below || uint16(most) > p.Above {
			for k := range px {
				b.count(i, px[k][i]&p.Mask, p)
			}
		}
	}
}

// maxGo is maxRef, four frames at a time.
func maxGo(dst []uint16, frames [][]uint16, mask uint16) {
	for ; len(frames) >= 4; frames = frames[4:] {
		a, b, c, d := frames[0][:len(dst)], frames[1][:len(dst)], frames[2][:len(dst)], frames[3][:len(dst)]
		for i := range dst {
			dst[i] = max(dst[i], a[i]&mask, b[i]&mask, c[i]&mask, d[i]&mask)
		}
	}
	maxRef(dst, frames, mask)
}
