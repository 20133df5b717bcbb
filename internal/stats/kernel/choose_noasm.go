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
