//go:build !amd64 || noasm

package kernel

func available() []level { return []level{levelGo} }

func (level) String() string { return "go" }

func (level) gated(blocks []Block, frames, next [][]uint16, p *Params) { gatedGo(blocks, frames, p) }
func (level) watched(blocks []Block, foreign []bool, frames, next [][]uint16, p *Params) {
	watchedGo(blocks, foreign, frames, p)
}
func (level) ungated(blocks []Block, frames, next [][]uint16, p *Params) {
	ungatedGo(blocks, frames, p)
}
func (level) masked(blocks []Block, frames, next [][]uint16, p *Params) { maskedGo(blocks, frames, p) }
func (level) max(dst []uint16, frames [][]uint16, mask uint16)          { maxGo(dst, frames, mask) }
func (level) gain(odd, second []uint16, frames [][]uint16, mask, want, other uint16) {
	gainRef(odd, second, frames, mask, want, other)
}

func (level) orderAll(dst, block [][]uint16, mask uint16, ranks []int) (done int) { return 0 }

func (level) below(px []uint16, mask uint16, limits *[4]uint16) [4]int {
	return belowRef(px, mask, limits)
}

func (level) columnSums(sum, moment []int32, px []uint16, stride, rows int, mask uint16) {
	columnSumsRef(sum, moment, px, stride, rows, mask)
}

func (level) collect(dst []uint16, dstStride int, frames [][]uint16, from, stride, rows int) {
	collectRef(dst, dstStride, frames, from, stride, rows)
}

func (level) residuals(dst []int32, px []uint16, mask uint16, den int32, plane, col, row []int32) {
	residualsRef(dst, px, mask, den, plane, col, row)
}

func (level) middles(lower, upper *[Lanes]int32, values []int32, n int, scratch []byte) {
	middlesRef(lower, upper, values, n)
}

func (level) distances(values []int32, twice *[Lanes]int32) { distancesRef(values, twice) }
