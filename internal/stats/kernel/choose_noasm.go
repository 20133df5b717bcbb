//go:build !amd64 || noasm

package kernel

func available() []level { return []level{levelGo} }

func (level) String() string { return "go" }

func (level) gated(blocks []Block, frames [][]uint16, p *Params)   { gatedGo(blocks, frames, p) }
func (level) ungated(blocks []Block, frames [][]uint16, p *Params) { ungatedGo(blocks, frames, p) }
func (level) max(dst []uint16, frames [][]uint16, mask uint16)     { maxGo(dst, frames, mask) }
func (level) gain(same, second []uint16, frames [][]uint16, mask, want, other uint16) {
	gainRef(same, second, frames, mask, want, other)
}

func (level) order(tile []uint16, row, frames, pixels int, dst []uint16, limits []uint16, mask uint16) {
	orderRef(tile, row, frames, pixels, dst, limits, mask)
}

func (level) below(px []uint16, mask uint16, limits *[4]uint16) [4]int {
	return belowRef(px, mask, limits)
}
