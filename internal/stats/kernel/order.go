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
	for j, r := range ranks {
		if r < 0 || r >= len(block) || len(dst[j]) != pixels {
			panic(fmt.Sprintf("stats/kernel: Order: rank %d of %d frames, result of %d pixels for %d", r, len(block), len(dst[j]), pixels))
		}
	}
	if best == levelGo || len(block) > MaxOrder || len(ranks) == 0 {
		return 0
	}
	for _, f := range block {
		reads(f)
	}
	for _, d := range dst {
		writes(d)
	}
	return best.orderAll(dst, block, mask, ranks)
}
