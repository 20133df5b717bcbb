package kernel

import "unsafe"

// This file is the fast plain Go: used where there is no assembly, and for what is left over of a
// group of frames. Eight frames go by while a pixel's state is in registers; comparisons become masks
// because branches on noise are mispredicted half of the time.

const group = 8

// gatedGo is gatedRef for a whole number of blocks, eight frames at a time.
func gatedGo(blocks []Block, frames [][]uint16, p *Params) {
	for ; len(frames) >= group; frames = frames[group:] {
		for i := range blocks {
			gatedEight(&blocks[i], eight(frames, i*Width), p)
		}
	}
	gatedRef(blocks, frames, p)
}

// ungatedGo is ungatedRef likewise.
func ungatedGo(blocks []Block, frames [][]uint16, p *Params) {
	for ; len(frames) >= group; frames = frames[group:] {
		for i := range blocks {
			ungatedEight(&blocks[i], eight(frames, i*Width), p)
		}
	}
	ungatedRef(blocks, frames, p)
}

// eight gives the pixels of one block in eight frames.
func eight(frames [][]uint16, lo int) (px [group]*[Width]uint16) {
	for k, f := range frames[:group] {
		px[k] = (*[Width]uint16)(unsafe.Pointer(&f[lo : lo+Width][0]))
	}
	return px
}

// gatedEight packs count and sum of a pixel into one word: count<<32 + sum.
//
//go:noinline
func gatedEight(b *Block, px [group]*[Width]uint16, p *Params) {
	mask := uint64(p.Mask)
	for j := range Width {
		lo, rng := uint64(b.Lo[j]), uint64(b.Range[j])
		least, most := uint64(0xffff), uint64(0)
		var sum, sq uint64
		for k := range px {
			y := uint64(px[k][j]) & mask
			least, most = min(least, y), max(most, y)
			out := (rng - (y-lo)&0xffff) >> 32 // 0 inside, 2^32-1 outside
			v := (y | 1<<32) &^ (out | out<<32)
			sum += v
			v &= 0xffff
			sq += v * v
		}
		b.N[j] += uint16(sum >> 32)
		b.Sum[SumPos[j]] += uint32(sum)
		b.Sq[SqPos[j]] += sq
		b.closeEight(j, uint16(least), uint16(most), px, p)
	}
}

//go:noinline
func ungatedEight(b *Block, px [group]*[Width]uint16, p *Params) {
	mask := uint64(p.Mask)
	for j := range Width {
		least, most := uint64(0xffff), uint64(0)
		var sum, sq uint64
		for k := range px {
			y := uint64(px[k][j]) & mask
			least, most = min(least, y), max(most, y)
			sum += y
			sq += y * y
		}
		b.Sum[SumPos[j]] += uint32(sum)
		b.Sq[SqPos[j]] += sq
		b.closeEight(j, uint16(least), uint16(most), px, p)
	}
}

// closeEight takes over the extremes of a pixel's eight frames. Values beyond the counting limits are
// rare, so they are counted only where the extremes show that there are some.
func (b *Block) closeEight(j int, least, most uint16, px [group]*[Width]uint16, p *Params) {
	b.Min[j], b.Max[j] = min(b.Min[j], least), max(b.Max[j], most)
	if least < p.Below || most > p.Above {
		for k := range px {
			y := px[k][j] & p.Mask
			if y < p.Below {
				b.NLo[j]++
			}
			if y > p.Above {
				b.NHi[j]++
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
