package accum

import "rawstatus/internal/stats/kernel"

// Max accumulates the maximum of raw & DataBits per pixel; 0 without frames.
type Max struct {
	mask uint16
	max  []uint16
}

// NewMax makes an accumulator of maxima.
func NewMax(pixels int, dataBits uint16) *Max {
	m := &Max{}
	m.Reset(nil, pixels, dataBits)
	return m
}

// Reset makes m what NewMax returns, in room if it is large enough.
func (m *Max) Reset(room []uint16, pixels int, dataBits uint16) {
	m.mask, m.max = dataBits, zeroed(room, pixels)
}

// Add takes frames in; frames[k][i] is the raw value of pixel lo+i.
func (m *Max) Add(lo int, frames [][]uint16) {
	if len(frames) == 0 {
		return
	}
	dst := m.max[lo:checkBand(len(m.max), lo, frames)]
	for len(frames) > 0 {
		n := min(group, len(frames))
		kernel.Max(dst, frames[:n], m.mask)
		frames = frames[n:]
	}
}

// Plane returns the maxima so far. The slice belongs to m.
func (m *Max) Plane() []uint16 { return m.max }
