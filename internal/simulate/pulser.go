package simulate

import (
	"slices"

	"rawstatus/internal/stats/charge"
)

// Pulser describes the response of one panel to a charge-injection scan. All of it is integer
// arithmetic, so that the same parameters give the same words everywhere. Gains are milli-ADU per ramp
// unit and switching points ramp units of a ramp of 1024; both are scaled to the Period.
type Pulser struct {
	Seed     uint64 `json:"seed"`
	Rows     int    `json:"rows"`
	Cols     int    `json:"cols"`
	Space    int    `json:"space"`
	Period   int    `json:"period"` // frames of a ramp
	Phase    int    `json:"phase"`  // of the ramp in the first frame of a step
	Frames   int    `json:"nframes"`
	GainBit  uint16 `json:"gainbit"`
	DataBits uint16 `json:"databits"`
	Plant    int    `json:"nplant"` // pixels of each class
	NPOff    int    `json:"npoff"`

	GainH  int64 `json:"gain_hl_h"`
	GainHL int64 `json:"gain_hl_l"`
	GainM  int64 `json:"gain_ml_m"`
	GainML int64 `json:"gain_ml_l"`
	OffH   int64 `json:"off_hl_h"`
	OffHL  int64 `json:"off_hl_l"`
	OffM   int64 `json:"off_ml_m"`
	OffML  int64 `json:"off_ml_l"`

	SwitchAHL int64 `json:"sw_hl"`
	SwitchAML int64 `json:"sw_ml"`

	// Noise in milli-ADU: of the high or medium range, of the low range, of pixels that are not pulsed.
	NoiseHM  int64 `json:"sig1000_hm"`
	NoiseL   int64 `json:"sig1000_l"`
	NoiseOff int64 `json:"sig1000_off"`

	Lost [][2]int `json:"lost_frames,omitempty"` // step, event
	Type string   `json:"dettype,omitempty"`
}

// NewPulser returns the parameters of an ordinary detector.
func NewPulser(seed uint64, rows, cols, space, period int) Pulser {
	return Pulser{Seed: seed, Rows: rows, Cols: cols, Space: space, Period: period, GainBit: 0x8000, DataBits: 0x3fff, NPOff: 10, Plant: 2,
		GainH: 47000, GainHL: 520, GainM: 15400, GainML: 490, OffH: 4584, OffHL: 3077, OffM: 3679, OffML: 2985,
		SwitchAHL: 200, SwitchAML: 640, NoiseHM: 3000, NoiseL: 1500, NoiseOff: 1500}
}

// Defects are the classes of bad pixels that a charge-injection scan plants, in the order of planting.
var Defects = []string{"no_response", "wrong_slope_hm", "wrong_slope_l", "no_switch", "stuck_gain_bit", "early_switch",
	"very_early_switch", "late_switch", "nonlinear", "noisy", "gain_glitch", "offset_high", "dead",
	"ahl_only_dead", "crosstalk", "noisy_l", "negative_slope", "gain_glitch_mid", "gain_flicker"}

// Injection makes the frames of one panel in a charge-injection scan. It is safe for use by many
// goroutines.
type Injection struct {
	p       Pulser
	masks   [][]bool      // pulsed pixels, by position
	par     [2][]injected // by charge.AML, charge.AHL and pixel
	xtalk   []bool
	planted map[string][]int
}

// injected are the parameters of a pixel in one mode.
type injected struct {
	g1, g2, b1, b2, sw, q int64
	s1, s2                int64
	dead, noResponse      bool
	stuck, noSwitch       bool
	glitch, mid, flicker  bool
}

// mix64 returns the mixing step of splitmix64.
func mix64(z uint64) uint64 {
	r := rng(z)
	return r.next()
}

// bell returns a number of mean 0 and standard deviation sigma/1000 from 32 random bits.
func bell(h uint64, sigma int64) int64 {
	sum := int64(h&255) + int64(h>>8&255) + int64(h>>16&255) + int64(h>>24&255) - 510
	return floorDiv(sum*sigma+73900, 147800)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// NewInjection prepares the frames of a panel whose pulsed pixels are those of psana's formula.
func NewInjection(p Pulser) *Injection {
	return newInjection(p, func(position int) []uint32 { return charge.Grid(p.Rows, p.Cols, position, p.Space) })
}

// newInjection prepares the frames of a panel; pulsed returns the pulsed pixels of a position.
func newInjection(p Pulser, pulsed func(position int) []uint32) *Injection {
	n := p.Rows * p.Cols
	s := &Injection{p: p, xtalk: make([]bool, n), planted: map[string][]int{}}
	hash := func(tag uint64, i int) uint64 { return mix64(mix64(mix64(mix64(p.Seed)^tag) ^ uint64(i))) }
	for position := range p.Space * p.Space {
		mask := make([]bool, n)
		for _, i := range pulsed(position) {
			mask[i] = true
		}
		s.masks = append(s.masks, mask)
	}
	f := int64(1024 / p.Period)
	for mode, m := range []struct {
		tag                     uint64
		g1, g2, b1, b2, switch1 int64
	}{
		charge.AML: {20, p.GainM, p.GainML, p.OffM, p.OffML, p.SwitchAML},
		charge.AHL: {10, p.GainH, p.GainHL, p.OffH, p.OffHL, p.SwitchAHL},
	} {
		g1, g2, sw := m.g1*f, m.g2*f, m.switch1/f
		s.par[mode] = make([]injected, n)
		for i := range s.par[mode] {
			around := func(tag uint64, sigma int64) int64 { return bell(hash(m.tag+tag, i), sigma*1000) }
			s.par[mode][i] = injected{
				g1: g1 + around(0, max(1, g1/50)), g2: g2 + around(1, max(1, g2/50)),
				b1: m.b1 + around(2, 100), b2: m.b2 + around(3, 100),
				sw: max(1, sw+around(4, max(1, sw/40))), s1: p.NoiseHM, s2: p.NoiseL}
		}
	}
	order := make([]int, n)
	keys := make([]uint64, n)
	for i := range order {
		order[i], keys[i] = i, hash(99, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case keys[a] < keys[b]:
			return -1
		case keys[a] > keys[b]:
			return 1
		}
		return 0
	})
	for k, class := range Defects {
		pixels := order[min(n, k*p.Plant):min(n, (k+1)*p.Plant)]
		s.planted[class] = slices.Sorted(slices.Values(pixels))
		for _, i := range pixels {
			s.plant(class, i)
		}
	}
	return s
}

// plant makes a pixel one of a class.
func (s *Injection) plant(class string, i int) {
	if class == "crosstalk" {
		s.xtalk[i] = true
	}
	for mode := range s.par {
		d := &s.par[mode][i]
		switch class {
		case "no_response":
			d.noResponse = true
		case "wrong_slope_hm":
			d.g1 = floorDiv(d.g1*3, 4)
		case "wrong_slope_l":
			d.g2 *= 3
		case "no_switch":
			d.noSwitch = true
		case "stuck_gain_bit":
			d.stuck = true
		case "early_switch":
			d.sw = max(1, d.sw*2/3)
		case "very_early_switch":
			d.sw = int64(s.p.NPOff) + 3
		case "late_switch":
			d.sw = floorDiv((int64(s.p.DataBits)-d.b1)*1000, d.g1) + 6
		case "nonlinear":
			d.q = floorDiv(-d.g1*1000, 4*d.sw)
		case "noisy":
			d.s1, d.s2 = s.p.NoiseHM*10, s.p.NoiseL*10
		case "noisy_l":
			d.s2 = s.p.NoiseL * 10
		case "gain_glitch":
			d.glitch = true
		case "gain_glitch_mid":
			d.mid = true
		case "gain_flicker":
			d.flicker = true
		case "offset_high":
			d.b1 += 2000
		case "dead":
			d.dead = true
		case "ahl_only_dead":
			d.noResponse = mode == charge.AHL
		case "negative_slope":
			d.g2 = -d.g2
		}
	}
}

// Planted returns the pixels of each class, ascending row-major positions.
func (s *Injection) Planted() map[string][]int { return s.planted }

// Frame sets dst, rows x cols words, to frame k of a step. step counts AML positions first, then AHL.
func (s *Injection) Frame(dst []uint16, step, k int) {
	s.frame(dst, step, uint64(k), int64((k+s.p.Phase)%s.p.Period))
}

// frame is Frame for the value v of the ramp, with noise of its own number.
func (s *Injection) frame(dst []uint16, step int, number uint64, v int64) {
	p := &s.p
	positions := p.Space * p.Space
	mode := charge.AML
	if step >= positions {
		mode = charge.AHL
	}
	mask := s.masks[step%positions]
	seed := mix64(mix64(mix64(p.Seed)^uint64(1000+step)) ^ number)
	for i := range dst {
		d := &s.par[mode][i]
		h := mix64(seed ^ uint64(i))
		var y int64
		low := d.stuck
		switch {
		case d.dead:
			low = false
		case mask[i]:
			y, low = d.pulsed(v, h, p.NPOff)
		default:
			y = d.b1 + bell(h, p.NoiseOff)
			if s.xtalk[i] && s.besidePulsed(mask, i) {
				y += floorDiv(d.g1*min(v, d.sw), 10000)
			}
		}
		dst[i] = uint16(max(0, min(y, int64(p.DataBits))))
		if low {
			dst[i] |= p.GainBit
		}
	}
}

// besidePulsed reports whether one of the four neighbours of a pixel is pulsed.
func (s *Injection) besidePulsed(mask []bool, i int) bool {
	row, col := i/s.p.Cols, i%s.p.Cols
	return row > 0 && mask[i-s.p.Cols] || row < s.p.Rows-1 && mask[i+s.p.Cols] || col > 0 && mask[i-1] || col < s.p.Cols-1 && mask[i+1]
}

// pulsed returns value and gain bit of a pulsed pixel at the value v of the ramp.
func (d *injected) pulsed(v int64, h uint64, npoff int) (y int64, low bool) {
	if d.noResponse {
		return d.b1 + bell(h, d.s2), false
	}
	low = v >= d.sw && !d.noSwitch || d.stuck
	if low {
		y = d.b2 + floorDiv(d.g2*v, 1000) + bell(h, d.s2)
	} else {
		y = d.b1 + floorDiv(d.g1*v, 1000) + floorDiv(d.q*v*v, 1000000) + bell(h, d.s1)
	}
	if d.glitch && v == int64(max(1, npoff/2)) || d.mid && v == d.sw/2 {
		low = true // for one frame of each ramp; the value is that of the high range
	}
	if past := v - d.sw; d.flicker && past > 0 && past < 8 && past%2 == 1 {
		low = false // the value stays that of the low range
	}
	return y, low
}
