package kernel

import "fmt"

// MaxOrder is the largest number of frames that Order takes: counts are signed words.
const MaxOrder = 1<<15 - 1

// Order puts into dst[j][i] the value of rank ranks[j] (0 is the smallest) among the values
// block[k][i] & mask of pixel i, for the first done pixels, which it chooses; the caller does the rest
// by other means. done is 0 where there is no assembly or the block has more than MaxOrder frames.
func Order(dst, block [][]uint16, mask uint16, ranks []int) (done int) {
	if len(block) == 0 || len(dst) != len(ranks) {
		panic(fmt.Sprintf("stats/kernel: Order: %d frames, %d results for %d ranks", len(block), len(dst), len(ranks)))
	}
	pixels := len(block[0])
	for k, f := range block {
		if len(f) != pixels {
			panic(fmt.Sprintf("stats/kernel: Order: frame %d has %d pixels, frame 0 has %d", k, len(f), pixels))
		}
	}
	limits := make([]uint16, len(ranks))
	for j, r := range ranks {
		if r < 0 || r >= len(block) || len(dst[j]) != pixels {
			panic(fmt.Sprintf("stats/kernel: Order: rank %d of %d frames, result of %d pixels for %d", r, len(block), len(dst[j]), pixels))
		}
		limits[j] = uint16(r)
	}
	if best == levelGo || len(block) > MaxOrder || len(ranks) == 0 {
		return 0
	}
	return best.orderAll(dst, block, mask, limits)
}

// orderAll copies tiles of the block to where their frames lie close together, and has them ordered.
func (l level) orderAll(dst, block [][]uint16, mask uint16, limits []uint16) (done int) {
	const quarter = 1 << 17 // words of a tile: a quarter MiB, half of a small second-level cache
	pixels := len(block[0])
	width := min(max(quarter/len(block), 64), 2048, pixels) / 32 * 32
	if width == 0 {
		return 0
	}
	row := width + 32 // one cache line more, so that rows do not fall into the same cache sets
	rows := (len(block) + 1) / 2 * 2
	tile := make([]uint16, row*rows)
	out := make([]uint16, width*len(limits))
	for done+32 <= pixels {
		n := min(width, pixels-done) / 32 * 32
		for k, f := range block {
			copy(tile[k*row:], f[done:done+n])
		}
		for i := len(block) * row; i < len(tile); i++ {
			tile[i] = 0x7fff
		}
		l.order(tile, row, len(block), n, out, limits, mask)
		for j := range dst {
			copy(dst[j][done:done+n], out[j*n:])
		}
		done += n
	}
	return done
}

// orderRef is the definition of order: dst[j*pixels+i] is the value of rank limits[j] among the masked
// words tile[k*row+i] of frames k. It need not leave the tile as it was. Behind an odd number of frames
// the tile has one more row, of 0x7fff.
func orderRef(tile []uint16, row, frames, pixels int, dst []uint16, limits []uint16, mask uint16) {
	for i := range pixels {
		for j, limit := range limits {
			for k := range frames { // the value v with at most limit values below and more than limit up to it
				v, below, upTo := tile[k*row+i]&mask, 0, 0
				for m := range frames {
					if x := tile[m*row+i] & mask; x < v {
						below++
					} else if x == v {
						upTo++
					}
				}
				if below <= int(limit) && int(limit) < below+upTo {
					dst[j*pixels+i] = v
				}
			}
		}
	}
}
