package kernel

// This file is the definition of the kernels: what every other implementation must give, bit for bit.

// gatedRef adds frames to blocks:
//
//	for each pixel and frame, y = raw & Mask:
//		Min, Max = min(Min, y), max(Max, y)
//		NLo += y < Below;  NHi += y > Above
//		if (y-Lo) mod 2^16 <= Range: N += 1; Sum += y; Sq += y*y
func gatedRef(blocks []Block, frames [][]uint16, p *Params) {
	for i := range blocks {
		b := &blocks[i]
		for _, f := range frames {
			for j, raw := range f[i*Width : (i+1)*Width] {
				b.gatedOne(j, raw&p.Mask, p)
			}
		}
	}
}

// ungatedRef is gatedRef with all y inside and N left alone.
func ungatedRef(blocks []Block, frames [][]uint16, p *Params) {
	for i := range blocks {
		b := &blocks[i]
		for _, f := range frames {
			for j, raw := range f[i*Width : (i+1)*Width] {
				y := raw & p.Mask
				b.extremes(j, y, p)
				b.add(j, y)
			}
		}
	}
}

// maskedRef is gatedRef for words with raw & Gain == Want, all of which are inside. Others change nothing.
func maskedRef(blocks []Block, frames [][]uint16, p *Params) {
	for i := range blocks {
		b := &blocks[i]
		for _, f := range frames {
			for j, raw := range f[i*Width : (i+1)*Width] {
				b.maskedOne(j, raw, p)
			}
		}
	}
}

func (b *Block) maskedOne(j int, raw uint16, p *Params) {
	if raw&p.Gain != p.Want {
		return
	}
	y := raw & p.Mask
	b.N[j]++
	b.extremes(j, y, p)
	b.add(j, y)
}

func (b *Block) gatedOne(j int, y uint16, p *Params) {
	b.extremes(j, y, p)
	if y-b.Lo[j] <= b.Range[j] {
		b.N[j]++
		b.add(j, y)
	}
}

func (b *Block) extremes(j int, y uint16, p *Params) {
	b.Min[j], b.Max[j] = min(b.Min[j], y), max(b.Max[j], y)
	b.count(j, y, p)
}

func (b *Block) count(j int, y uint16, p *Params) {
	if y < p.Below {
		b.NLo[j]++
	}
	if y > p.Above {
		b.NHi[j]++
	}
}

func (b *Block) add(j int, y uint16) {
	b.Sum[SumPos[j]] += uint32(y)
	b.Sq[SqPos[j]] += uint64(y) * uint64(y)
}

// maxRef sets dst[i] to the maximum of itself and frames[k][i] & mask over all k.
func maxRef(dst []uint16, frames [][]uint16, mask uint16) {
	for _, f := range frames {
		for i := range dst {
			dst[i] = max(dst[i], f[i]&mask)
		}
	}
}

// gainRef counts frames with raw & mask != want in odd[i], and == other in second[i].
func gainRef(odd, second []uint16, frames [][]uint16, mask, want, other uint16) {
	for _, f := range frames {
		for i := range odd {
			g := f[i] & mask
			if g != want {
				odd[i]++
			}
			if g == other {
				second[i]++
			}
		}
	}
}
