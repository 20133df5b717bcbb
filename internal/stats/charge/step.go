package charge

import (
	"fmt"
	"math/bits"
	"slices"
)

// The modes of a scan, by the gain that a pixel starts with: medium or high.
const (
	AML = iota
	AHL
	Modes
)

// ModeNames are the names of the modes.
var ModeNames = [Modes]string{"AML", "AHL"}

// Phase returns the first row and column that the original takes to be pulsed at a position of a scan;
// further ones follow every space rows and columns.
func Phase(position, space int) (row, col int) {
	row = ((space-position/space+1)%space + space) % space
	return row, space - position%space - 1
}

// Grid returns the pixels of a panel that the original takes to be pulsed at a position, ascending.
func Grid(rows, cols, position, space int) []uint32 {
	row, col := Phase(position, space)
	return Every(rows, cols, row, col, space)
}

// Params say how frames are counted.
type Params struct {
	GainBit  uint16 // of a raw word: set in low gain
	DataBits uint16 // of a raw word: the value
	NPOff    int    // frames left out on both sides of the switch
	Gap      int    // event numbers between two frames of one group, at most
	// FirstPeriod uses only the first period of each pixel.
	FirstPeriod bool
	// Compat takes periods and ramps for what they are that begin behind lost events.
	Compat bool
}

// MaxEvents bounds the frames and the event numbers of a step: with it no sum leaves 64 bits.
const MaxEvents = 1 << 15

// Acc are the sums of the points of a line: n, Σx, Σy, Σxx, Σxy, Σyy.
type Acc [6]int64

// AccNames name the elements of Acc.
var AccNames = [6]string{"n", "x", "y", "xx", "xy", "yy"}

func (a *Acc) add(b Acc) {
	for i := range a {
		a[i] += b[i]
	}
}

func (a *Acc) sub(b Acc) {
	for i := range a {
		a[i] -= b[i]
	}
}

// shifted returns the sums of the same points with x + c for x.
func (a Acc) shifted(c int64) Acc {
	a[3] += 2*c*a[1] + c*c*a[0]
	a[4] += c * a[2]
	a[1] += c * a[0]
	return a
}

// pixel is the state of a pulsed pixel. Frames are counted from the begin of the step.
type pixel struct {
	groups int32
	lastOn int32 // last frame with gain bit, -1
	lastEv int32 // its event number
	runEv  int32 // event number of the frame behind it
	begEv  int32 // of the begin of the period
	lnext  int32 // first frame that may still become a point of region 1
	rises  int32 // in this ramp
	first  int32 // frame of the first of them
	on     int32 // frames with gain bit in this ramp

	runUnsure, periodUnsure bool // events were lost just before

	p      Acc    // region 0 of the period that may follow
	t      [2]Acc // regions of all periods
	unsure [2]Acc // of the last period that began behind lost events
	ramp   Acc    // region 0 on the common clock, of this ramp
	own    Acc    // of all complete ramps

	noRise, always, multi uint32 // complete ramps of these kinds
	switches              uint32 // complete ramps behind sv and svv
	sv, svv               int64
	unsureSV              int64 // first rise in the last ramp that began behind lost events, -1
}

const chunkFrames = 64 // frames that are taken together: as many as an uint64 has bits

// Step counts the frames of one panel in one step.
type Step struct {
	par    Params
	pulsed []uint32
	events []int32
	given  int // frames that were added and hold something
	zeros  int // frames of nothing but zeros, which were left out
	next   int // frame that is counted next

	waiting []uint16 // a copy of the frame that was added last
	px      []pixel

	hist, stride int
	words        []uint16 // per pulsed pixel the last hist words and those of the chunk
	on           []uint64 // per pulsed pixel its gain bits in the chunk
	chunk        chunk
	clock        clock // at the begin of the chunk
	lit          int   // pulsed pixels with gain bit in the last frame
	beside       beside
}

// chunk holds the properties of the frames first to first+n-1 that all pixels share.
type chunk struct {
	first, n int
	sumX     [chunkFrames + 1]int64 // sums over the frames before, with x from the chunk's first event
	sumXX    [chunkFrames + 1]int64
	cuts     uint64 // frames at which segments end: a new ramp, or more than Gap events lost before
}

// NewStep prepares the counting of the frames whose event numbers are given, ascending. pulsed are the
// pixels that the pulser reaches, ascending positions in a panel of rows x cols.
func NewStep(par Params, rows, cols int, pulsed []uint32, events []int32) (*Step, error) {
	if n := len(events); n > MaxEvents || n > 0 && events[n-1]-events[0] >= MaxEvents {
		return nil, fmt.Errorf("%d frames with event numbers from %d to %d: at most %d can be counted", n, events[0], events[n-1], MaxEvents)
	}
	s := &Step{par: par, pulsed: pulsed, events: events, px: make([]pixel, len(pulsed)),
		on: make([]uint64, len(pulsed))}
	s.hist = max(par.NPOff, par.Gap) + 2
	s.stride = s.hist + chunkFrames
	s.words = make([]uint16, len(pulsed)*s.stride)
	for i := range s.px {
		s.px[i].lastOn, s.px[i].unsureSV = -1, -1
	}
	s.beside.init(rows, cols, pulsed)
	return s, nil
}

// maxMargin bounds NPOff and Gap.
const maxMargin = 1000

// Add counts the next frames, each with all pixels of the panel. A frame of nothing but zeros is a lost
// event (not in compat). The last frame waits for one that follows it: the last of a step is not used.
func (s *Step) Add(frames [][]uint16) {
	frames = s.measured(frames)
	if len(frames) == 0 {
		return
	}
	s.given += len(frames)
	last := frames[len(frames)-1]
	if s.waiting != nil {
		frames = append([][]uint16{s.waiting}, frames...)
	}
	for frames = frames[:len(frames)-1]; len(frames) > 0; {
		n := min(len(frames), chunkFrames)
		s.count(frames[:n])
		frames = frames[n:]
	}
	s.waiting = append(s.waiting[:0], last...)
}

// measured returns the frames that hold something, and takes the events of the others away.
func (s *Step) measured(frames [][]uint16) [][]uint16 {
	frames = frames[:min(len(frames), len(s.events)-s.given)]
	if s.par.Compat || !slices.ContainsFunc(frames, Empty) {
		return frames
	}
	var full [][]uint16
	events := slices.Clone(s.events[:s.given])
	for i, f := range frames {
		if Empty(f) {
			s.zeros++
			continue
		}
		full, events = append(full, f), append(events, s.events[s.given+i])
	}
	s.events = append(events, s.events[s.given+len(frames):]...)
	return full
}

// Empty reports whether a frame holds nothing but zeros.
func Empty(frame []uint16) bool {
	for _, w := range frame {
		if w != 0 {
			return false
		}
	}
	return true
}

// count takes the frames of one chunk.
func (s *Step) count(frames [][]uint16) {
	c := &s.chunk
	c.first, c.n, c.cuts = s.next, len(frames), 0
	base := int64(s.events[c.first])
	for i := range frames {
		x := int64(s.events[c.first+i]) - base
		c.sumX[i+1], c.sumXX[i+1] = c.sumX[i]+x, c.sumXX[i]+x*x
		if at := c.first + i; at > 0 && int(s.events[at]-s.events[at-1]) > s.par.Gap {
			c.cuts |= 1 << i
		}
	}
	s.gather(frames)
	resets := s.resets()
	s.beside.add(s.clock, s.events, c.first, frames, resets, s.par.DataBits)
	c.cuts |= resets
	for i := range s.px {
		s.follow(i, resets)
	}
	for ; resets != 0; resets &= resets - 1 {
		s.clock.begin(s.events, c.first+bits.TrailingZeros64(resets))
	}
	s.next += c.n
}

// gather copies the words of pulsed pixels, pixel by pixel, behind the last ones of the chunk before. It takes eight
// frames at a time: of more, each in a page of its own, the processor would forget where the pages are.
func (s *Step) gather(frames [][]uint16) {
	clear(s.on)
	shift := bits.TrailingZeros16(s.par.GainBit)
	k := 0
	for ; k+8 <= len(frames); k += 8 {
		f0, f1, f2, f3 := frames[k], frames[k+1], frames[k+2], frames[k+3]
		f4, f5, f6, f7 := frames[k+4], frames[k+5], frames[k+6], frames[k+7]
		for i, at := range s.pulsed {
			w := (*[8]uint16)(s.words[i*s.stride+s.hist+k:])
			*w = [8]uint16{f0[at], f1[at], f2[at], f3[at], f4[at], f5[at], f6[at], f7[at]}
			var on uint64
			for j, v := range w {
				on |= uint64(v>>shift&1) << j
			}
			s.on[i] |= on << k
		}
	}
	for ; k < len(frames); k++ {
		for i, at := range s.pulsed {
			w := frames[k][at]
			s.words[i*s.stride+s.hist+k] = w
			s.on[i] |= uint64(w>>shift&1) << k
		}
	}
}

// keep moves the last words of a pixel to where the next chunk looks for the frames before.
func (s *Step) keep(row []uint16) { copy(row[:s.hist], row[s.chunk.n:s.chunk.n+s.hist]) }

// follow takes one pixel through the chunk, segment by segment: frames with or without gain bit.
func (s *Step) follow(i int, resets uint64) {
	c, p, k := &s.chunk, &s.px[i], s.clock
	row := s.words[i*s.stride : (i+1)*s.stride]
	on := s.on[i]
	for a := 0; a < c.n; {
		bit := on >> a & 1
		b := a + bits.TrailingZeros64((on>>a^-bit)|1<<(c.n-a))
		b = a + 1 + min(b-a-1, bits.TrailingZeros64(c.cuts>>a>>1|1<<63))
		if resets>>a&1 != 0 {
			p.endRamp(&k, s.events, c.first+a)
			k.begin(s.events, c.first+a)
		}
		if bit == 0 {
			s.dark(p, &k, row, c.first+a, c.first+b)
		} else {
			s.light(p, &k, row, c.first+a, c.first+b)
		}
		a = b
	}
	s.keep(row)
}

// enter notes that frame a follows one with gain bit.
func (s *Step) enter(p *pixel, a int) {
	if int(p.lastOn) == a-1 {
		p.runEv = s.events[a]
		p.runUnsure = a > 0 && s.events[a]-s.events[a-1] > 1
	}
}

// dark takes frames [a, b) without gain bit.
func (s *Step) dark(p *pixel, k *clock, row []uint16, a, b int) {
	s.enter(p, a)
	ramp := k.running && p.rises == 0
	if p.groups == 0 && !ramp {
		return
	}
	all, full := s.sum(row, a, b)
	base := int64(s.events[s.chunk.first])
	below := all
	if full {
		below = s.points(row, a, b, base, true)
	}
	if p.groups == 1 {
		p.p.add(below.shifted(base - int64(p.runEv)))
	} else if p.groups > 1 {
		p.p.add(all.shifted(base - int64(p.runEv)))
	}
	if ramp {
		p.ramp.add(below.shifted(base - int64(k.event)))
	}
}

// light takes frames [a, b) with gain bit.
func (s *Step) light(p *pixel, k *clock, row []uint16, a, b int) {
	s.enter(p, a)
	if k.running {
		s.lightRamp(p, k, row, a, b)
	}
	same := a // first frame that continues a group
	if p.groups == 0 || int(s.events[a]-p.lastEv) > s.par.Gap {
		s.group(p, row, a)
		same++
	}
	if same < b {
		last := b - 1
		if from := int(p.lnext); from < last && p.groups > 1 && (!s.par.FirstPeriod || p.groups == 2) {
			l := s.region1(row, from, last)
			if p.periodUnsure {
				p.unsure[1].add(l.shifted(-int64(p.begEv)))
			} else {
				p.t[1].add(l.shifted(-int64(p.begEv)))
			}
		}
		p.lnext = max(p.lnext, int32(last))
	}
	p.p = Acc{}
	p.lastOn, p.lastEv = int32(b-1), s.events[b-1]
}

// region1 returns the sums of frames [from, to), which end in the chunk.
func (s *Step) region1(row []uint16, from, to int) Acc {
	first := max(from, s.chunk.first)
	acc := s.points(row, from, first, 0, false)
	in, _ := s.sum(row, first, to)
	acc.add(in.shifted(int64(s.events[s.chunk.first])))
	return acc
}

// group begins a group with frame a; what lies before it is a period if there was a group.
func (s *Step) group(p *pixel, row []uint16, a int) {
	if p.groups > 0 {
		if !s.par.FirstPeriod || p.groups == 1 {
			from := max(a-s.par.NPOff, int(p.lastOn)+1)
			p.p.sub(s.points(row, from, a, int64(p.runEv), p.groups == 1))
			if p.periodUnsure = p.runUnsure && !s.par.Compat; p.periodUnsure {
				p.unsure = [2]Acc{p.p, {}}
			} else {
				p.t[0].add(p.p)
			}
		}
		p.begEv = p.runEv
	}
	p.lnext = int32(a + s.par.NPOff)
	p.groups++
}

// lightRamp is light for the common clock.
func (s *Step) lightRamp(p *pixel, k *clock, row []uint16, a, b int) {
	if int(p.lastOn) != a-1 || a == k.frame {
		if p.rises++; p.rises == 1 {
			p.first = int32(a)
			p.ramp.sub(s.points(row, max(a-s.par.NPOff, k.frame), a, int64(k.event), true))
		}
	}
	p.on += int32(b - a)
}

// sum returns the sums of frames [a, b) of the chunk, x from its first event on, and whether any is at the
// end of the scale.
func (s *Step) sum(row []uint16, a, b int) (acc Acc, full bool) {
	c := &s.chunk
	lo, hi := a-c.first, b-c.first
	var sy, sxy, syy int64
	var top uint16
	mask := s.par.DataBits
	base := s.events[c.first]
	events := s.events[a:b]
	for i, w := range row[s.hist+lo : s.hist+hi] {
		w &= mask
		top = max(top, w)
		y := int64(w)
		sy += y
		sxy += int64(events[i]-base) * y
		syy += y * y
	}
	return Acc{int64(hi - lo), c.sumX[hi] - c.sumX[lo], sy, c.sumXX[hi] - c.sumXX[lo], sxy, syy}, top >= mask
}

// points returns the sums of frames [a, b), which may lie up to hist before the chunk, x from event zero
// on; below leaves out those at the end of the scale.
func (s *Step) points(row []uint16, a, b int, zero int64, below bool) (acc Acc) {
	for i := a; i < b; i++ {
		w := row[s.hist+i-s.chunk.first] & s.par.DataBits
		if below && w >= s.par.DataBits {
			continue
		}
		x, y := int64(s.events[i])-zero, int64(w)
		acc[0]++
		acc[1] += x
		acc[2] += y
		acc[3] += x * x
		acc[4] += x * y
		acc[5] += y * y
	}
	return acc
}

// Check says what is wrong with parameters.
func Check(p Params, r Rules) error {
	switch {
	case p.NPOff < 0 || p.Gap < 0 || p.NPOff > maxMargin || p.Gap > maxMargin:
		return fmt.Errorf("npoff %d and gap %d: wanted 0 to %d frames", p.NPOff, p.Gap, maxMargin)
	case bits.OnesCount16(p.GainBit) != 1 || p.GainBit&p.DataBits != 0:
		return fmt.Errorf("gain bit %#x beside data bits %#x: wanted one bit outside the data", p.GainBit, p.DataBits)
	case !(r.NSigma > 0) || r.MaxPeriods < 0 || !(r.SwitchMin >= 0) || !(r.Response >= 0) || !(r.Flips >= 0) || !(r.CrossTalk >= 0):
		return fmt.Errorf("rules of charge injection %+v: wanted numbers that are not negative, and a positive nsigm", r)
	}
	return nil
}
