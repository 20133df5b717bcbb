package simulate

import (
	"encoding/binary"
	"math"
	"slices"

	"rawstatus/internal/detector"
	"rawstatus/internal/stats/status"
)

// Kind is a way of a pixel to be bad.
type Kind int

// The kinds that are planted.
const (
	Dead Kind = iota
	Hot
	Noisy
	Saturated
	Cold
	Stuck
	Flickering
	NoisyColumn
	WrongGain
	Weak
	numKinds
)

// kinds has the bit that both profiles must give at least, for hard kinds the one that would be right.
var kinds = [numKinds]struct {
	name string
	bit  uint64
	hard bool // whether it is found depends on the limits
}{
	Dead:        {"dead", status.RmsLow, false},
	Hot:         {"hot", status.AveHigh, false},
	Noisy:       {"noisy", status.RmsHigh, false},
	Saturated:   {"saturated", status.IntHigh, false},
	Cold:        {"cold", status.IntLow, false},
	Stuck:       {"stuck", status.RmsLow, true},
	Flickering:  {"flickering", status.RmsHigh, true},
	NoisyColumn: {"noisy column", status.RmsHigh, true},
	WrongGain:   {"wrong gain", status.GainState, true},
	Weak:        {"weak", status.RmsLow, true},
}

// rng is splitmix64: a counter and a mixing function. It is enough for noise, and any position of the
// sequence is as near as the first.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n).
func (r *rng) below(n int) int { return int(r.next() % uint64(n)) }

// sequence returns the generator that belongs to some numbers.
func sequence(numbers ...uint64) rng {
	r := rng(0)
	for _, n := range numbers {
		r = rng(r.next() ^ n)
	}
	return r
}

// Purposes keep the sequences apart that start from the same numbers.
const (
	forPedestals = iota
	forPlanting
	forNoise
	forLosses
	forIDs
)

// gaussSize is the number of equally likely values of a Gaussian table.
const (
	gaussBits = 12
	gaussSize = 1 << gaussBits
)

// gauss returns integers of normal distribution with mean 0: entry i is the quantile (i+1/2)/4096.
func gauss(sigma float64) *[gaussSize]int {
	var t [gaussSize]int
	for i := range gaussSize / 2 {
		q := math.Sqrt2 * math.Erfinv((2*float64(i)+1)/gaussSize-1)
		v := int(math.Round(sigma * q))
		t[i], t[gaussSize-1-i] = v, -v
	}
	return &t
}

// Generator makes the frames of a run. It is safe for use by many goroutines.
type Generator struct {
	cfg      Config
	dataBits uint16
	// neverGain are gain bits that no mode has.
	neverGain uint16
	hot       int
	noisy     int // half the distance of the two levels of a noisy pixel
	pedestal  *[gaussSize]int
	common    *[gaussSize]int
	noise     [gaussSize]uint64 // counted from its smallest value, so that none is negative
	floor     int               // of the sum of noise and common mode: what is above it is added to the base
	panels    [][]panel         // by position of the panel (see Frame) and gain mode
	scan      []*Injection      // of a charge-injection scan, instead: by panel
}

// panel holds the properties that all frames of a panel in one gain mode share.
type panel struct {
	// base is pedestal + floor with the gain bits, four pixels in a word, the first in the low bits;
	// the last word is filled up with zeros.
	base    []uint64
	planted [numKinds][]planted
}

// planted is a bad pixel.
type planted struct {
	pixel int    // row-major position
	level uint16 // its pedestal with the gain bits
	phase int    // of kinds that alternate
}

// NewGenerator prepares the frames of a run.
func NewGenerator(cfg Config) (*Generator, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	f, _ := detector.Lookup(cfg.Type)
	g := &Generator{cfg: cfg, dataBits: f.DataBits, neverGain: f.NeverPattern, hot: int(hotFraction * float64(upperLimit(f))), noisy: int(noisyFactor * cfg.Sigma),
		pedestal: gauss(spread), common: gauss(cfg.CommonMode)}
	noise := gauss(cfg.Sigma)
	g.floor = noise[0] + g.common[0]
	for i, v := range noise {
		g.noise[i] = uint64(v - noise[0])
	}
	if cfg.scanning() {
		g.scan = cfg.injections()
		return g, nil
	}
	for p := range cfg.Panels * cfg.subs() {
		var modes []panel
		for m := range cfg.modes() {
			modes = append(modes, g.newPanel(p, m))
		}
		g.panels = append(g.panels, modes)
	}
	return g, nil
}

// Config returns the configuration with the defaults filled in.
func (g *Generator) Config() Config { return g.cfg }

func (g *Generator) newPanel(position, mode int) panel {
	n := g.cfg.Rows * g.cfg.Cols
	p := panel{base: make([]uint64, (n+3)/4)}
	var gain uint16
	if len(g.cfg.GainModes) > 0 {
		gain = gainBits(g.cfg.GainModes[mode])
	}
	center := int(math.Round(g.cfg.Pedestal)) + mode*gainShift
	r := sequence(g.cfg.Seed, forPedestals, uint64(position), uint64(mode))
	for i := range n {
		level := uint64(center+g.pedestal[r.next()>>(64-gaussBits)]+g.floor) | uint64(gain)
		p.base[i/4] |= level << (i % 4 * 16)
	}
	r = sequence(g.cfg.Seed, forPlanting, uint64(position), uint64(mode))
	taken := map[int]bool{}
	add := func(kind, i int) {
		taken[i] = true
		shift := i % 4 * 16
		p.planted[kind] = append(p.planted[kind], planted{i, uint16(p.base[i/4]>>shift) - uint16(g.floor), r.below(8)})
		if Kind(kind) == Hot {
			p.base[i/4] = p.base[i/4]&^(0xffff<<shift) | uint64(uint16(g.hot+g.floor)|gain)<<shift
		}
	}
	for kind, count := range g.cfg.planted() {
		for columns := 0; Kind(kind) == NoisyColumn && columns < count; columns++ {
			for _, i := range g.cfg.column(r.below(n)) {
				if !taken[i] {
					add(kind, i)
				}
			}
		}
		for Kind(kind) != NoisyColumn && len(p.planted[kind]) < count {
			if i := r.below(n); !taken[i] {
				add(kind, i)
			}
		}
		slices.SortFunc(p.planted[kind], func(a, b planted) int { return a.pixel - b.pixel })
	}
	return p
}

// Frame sets dst to the bytes of a frame: rows x cols little-endian uint16. event counts from the
// begin of the run, panels by their position in Truth.Panels. Damaged and lost frames are what they
// would have been.
func (g *Generator) Frame(dst []byte, event, panel int) {
	if g.scan != nil {
		g.cfg.scanFrame(g.scan[panel], dst, event)
		return
	}
	mode := g.cfg.modeOf(event / g.cfg.Events)
	p := &g.panels[panel][mode]
	r := sequence(g.cfg.Seed, forNoise, uint64(g.cfg.Run), uint64(event), uint64(panel))
	common := g.common[r.next()>>(64-gaussBits)]
	// All terms are positive and the sum fits 16 bits: no carry goes from one pixel into the next.
	every := 0x0001_0001_0001_0001 * uint64(common-g.common[0])
	full := len(dst) / 8
	for i, base := range p.base[:full] {
		binary.LittleEndian.PutUint64(dst[8*i:], base+every+g.four(r.next()))
	}
	if rest := dst[8*full:]; len(rest) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], p.base[full]+every+g.four(r.next()))
		copy(rest, last[:])
	}
	g.spoil(dst, p, event)
}

// four returns the noise of four pixels out of 48 random bits.
func (g *Generator) four(z uint64) uint64 {
	const mask = gaussSize - 1
	return g.noise[z&mask] | g.noise[z>>16&mask]<<16 | g.noise[z>>32&mask]<<32 | g.noise[z>>48&mask]<<48
}

// spoil sets the planted pixels of a frame. Hot pixels are in the base.
func (g *Generator) spoil(dst []byte, p *panel, event int) {
	put := func(pixel int, v uint16) { binary.LittleEndian.PutUint16(dst[2*pixel:], v) }
	for _, x := range p.planted[Dead] {
		put(x.pixel, x.level)
	}
	for _, x := range p.planted[Noisy] {
		v := binary.LittleEndian.Uint16(dst[2*x.pixel:])
		if (event+x.phase)%2 == 0 {
			put(x.pixel, v+uint16(g.noisy))
		} else {
			put(x.pixel, v-uint16(g.noisy))
		}
	}
	for _, x := range p.planted[Saturated] {
		put(x.pixel, x.level|g.dataBits)
	}
	g.spoilHard(dst, p, event)
	for _, x := range p.planted[Cold] {
		v := x.level &^ g.dataBits
		if (event+x.phase)%2 != 0 {
			v += uint16(1 + x.phase/2)
		}
		put(x.pixel, v)
	}
}

// spoilHard sets the planted pixels of hard kinds.
func (g *Generator) spoilHard(dst []byte, p *panel, event int) {
	change := func(kind Kind, value func(x planted, v uint16) uint16) {
		for _, x := range p.planted[kind] {
			at := dst[2*x.pixel:]
			binary.LittleEndian.PutUint16(at, value(x, binary.LittleEndian.Uint16(at)))
		}
	}
	// scaled returns the value at a multiple, in tenths, of its distance to the pedestal.
	scaled := func(x planted, v uint16, tenths int) uint16 {
		return uint16(int(x.level) + (int(v)-int(x.level))*tenths/10)
	}
	change(Stuck, func(x planted, _ uint16) uint16 {
		if (event+x.phase)%4 == 0 {
			return x.level + 1
		}
		return x.level
	})
	change(Flickering, func(x planted, v uint16) uint16 {
		if (event+x.phase)%8 == 0 {
			v += uint16(flicker * g.cfg.Sigma)
		}
		return v
	})
	change(NoisyColumn, func(x planted, v uint16) uint16 { return scaled(x, v, noisyTenths) })
	change(Weak, func(x planted, v uint16) uint16 { return scaled(x, v, weakTenths) })
	change(WrongGain, func(x planted, v uint16) uint16 {
		if (event+x.phase)%8 == 0 {
			v = v&g.dataBits | g.neverGain
		}
		return v
	})
}

// column returns the pixels of the column of a chip in which pixel i lies.
func (c Config) column(i int) (pixels []int) {
	f, _ := detector.Lookup(c.Type)
	rows := f.ASICRows
	if rows == 0 {
		rows = c.Rows
	}
	first := i / c.Cols / rows * rows
	for r := first; r < min(first+rows, c.Rows); r++ {
		pixels = append(pixels, r*c.Cols+i%c.Cols)
	}
	return pixels
}
