package charge

import "math/bits"

// clock is the ramp that all pulsed pixels of a panel follow.
type clock struct {
	running bool
	frame   int   // in which the ramp began
	event   int32 // its number
	unsure  bool  // events were lost just before
	ramps   int   // complete ones
	length  int32 // events of the last complete ramp
}

// begin starts a ramp with a frame.
func (k *clock) begin(events []int32, frame int) {
	if k.running {
		k.ramps++
		k.length = events[frame] - k.event
	}
	k.running, k.frame, k.event = true, frame, events[frame]
	k.unsure = events[frame]-events[frame-1] > 1
}

// A ramp begins where more than half of those pulsed pixels lose their gain bit that have it, if these are
// at least one in tenth of all.
const tenth = 10

// resets returns the frames of the chunk in which a ramp begins.
func (s *Step) resets() (resets uint64) {
	c := &s.chunk
	var rose, fell [chunkFrames]int
	frames := ^uint64(0) >> (chunkFrames - c.n)
	for i, on := range s.on {
		before := on << 1
		if c.first > 0 && int(s.px[i].lastOn) == c.first-1 {
			before |= 1
		}
		for up := on &^ before; up != 0; up &= up - 1 {
			rose[bits.TrailingZeros64(up)]++
		}
		for down := before &^ on & frames; down != 0; down &= down - 1 {
			fell[bits.TrailingZeros64(down)]++
		}
	}
	for i := range c.n {
		if s.lit > 0 && s.lit*tenth >= len(s.on) && 2*fell[i] > s.lit {
			resets |= 1 << i
		}
		s.lit += rose[i] - fell[i]
	}
	return resets
}

// endRamp takes what a pixel did in a complete ramp, whose next begins with a frame.
func (p *pixel) endRamp(k *clock, events []int32, frame int) {
	if k.running {
		switch {
		case p.rises == 0:
			p.noRise++
		case int(p.on) == frame-k.frame:
			p.always++
		}
		if p.rises > 1 {
			p.multi++
		}
		if v := int64(events[p.first] - k.event); p.rises > 0 && k.unsure {
			p.unsureSV = v
		} else if p.rises > 0 {
			p.switches++
			p.sv += v
			p.svv += v * v
		}
		p.own.add(p.ramp)
	}
	p.ramp = Acc{}
	p.rises, p.on = 0, 0
}

// beside are the pixels that touch a pulsed one and are not pulsed themselves.
type beside struct {
	pixels     []uint32
	sy, svy    []int64
	n, sv, svv int64 // of the frames, the same for all
}

func (b *beside) init(rows, cols int, pulsed []uint32) {
	on := make([]bool, rows*cols)
	touched := make([]bool, rows*cols)
	for _, i := range pulsed {
		on[i] = true
	}
	for _, at := range pulsed {
		i := int(at)
		row, col := i/cols, i%cols
		if row > 0 {
			touched[i-cols] = true
		}
		if row < rows-1 {
			touched[i+cols] = true
		}
		if col > 0 {
			touched[i-1] = true
		}
		if col < cols-1 {
			touched[i+1] = true
		}
	}
	for i, t := range touched {
		if t && !on[i] {
			b.pixels = append(b.pixels, uint32(i))
		}
	}
	b.sy, b.svy = make([]int64, len(b.pixels)), make([]int64, len(b.pixels))
}

// add counts those of the frames whose place on the ramp is known; k is the clock before them.
func (b *beside) add(k clock, events []int32, first int, frames [][]uint16, resets uint64, mask uint16) {
	var v [chunkFrames]int64
	from := 0
	if !k.running {
		from = bits.TrailingZeros64(resets | 1<<63)
		if resets == 0 {
			return
		}
	}
	for i := from; i < len(frames); i++ {
		if resets>>i&1 != 0 {
			k.begin(events, first+i)
		}
		v[i] = int64(events[first+i] - k.event)
		b.n++
		b.sv += v[i]
		b.svv += v[i] * v[i]
	}
	i := from
	for ; i+8 <= len(frames); i += 8 { // see gather
		f0, f1, f2, f3 := frames[i], frames[i+1], frames[i+2], frames[i+3]
		f4, f5, f6, f7 := frames[i+4], frames[i+5], frames[i+6], frames[i+7]
		v := (*[8]int64)(v[i:])
		for q, at := range b.pixels {
			y0, y1, y2, y3 := int64(f0[at]&mask), int64(f1[at]&mask), int64(f2[at]&mask), int64(f3[at]&mask)
			y4, y5, y6, y7 := int64(f4[at]&mask), int64(f5[at]&mask), int64(f6[at]&mask), int64(f7[at]&mask)
			b.sy[q] += y0 + y1 + y2 + y3 + y4 + y5 + y6 + y7
			b.svy[q] += v[0]*y0 + v[1]*y1 + v[2]*y2 + v[3]*y3 + v[4]*y4 + v[5]*y5 + v[6]*y6 + v[7]*y7
		}
	}
	for ; i < len(frames); i++ {
		for q, at := range b.pixels {
			y := int64(frames[i][at] & mask)
			b.sy[q] += y
			b.svy[q] += v[i] * y
		}
	}
}
