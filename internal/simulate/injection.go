package simulate

import (
	"encoding/binary"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/xtc2"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/status"
)

// defectBits has the bits that profile ci must give at least to a pixel of each class.
var defectBits = func() map[string]uint64 {
	both := func(bit uint64) uint64 { return bit | bit<<1 }
	pair := func(quantity uint64, high bool, lines ...int) (bits uint64) {
		for _, line := range lines {
			lo, hi := status.ChargePair(quantity, line)
			if high {
				lo = hi
			}
			bits |= lo
		}
		return bits
	}
	const amlM, amlL, ahlH, ahlL = 0, 1, 2, 3
	return map[string]uint64{
		"no_response":       both(status.NoResponse),
		"wrong_slope_hm":    pair(status.LineGain, false, amlM, ahlH),
		"wrong_slope_l":     pair(status.LineGain, true, amlL, ahlL),
		"no_switch":         both(status.NeverSwitch),
		"stuck_gain_bit":    both(status.GainFlips),
		"early_switch":      status.SwitchOff << charge.AML, // in AHL it is near the others where the ramp is short
		"very_early_switch": status.SwitchOff << charge.AML,
		"late_switch":       both(status.SwitchOff),
		"nonlinear":         pair(status.LineChi2, true, amlM, ahlH),
		"noisy":             pair(status.LineChi2, true, amlM, amlL, ahlH, ahlL),
		"gain_glitch":       both(status.GainFlips),
		"offset_high":       pair(status.LineOffset, true, amlM, ahlH),
		"dead":              both(status.NoResponse),
		"ahl_only_dead":     status.NoResponse << charge.AHL,
		"crosstalk":         status.CrossTalk,
		"noisy_l":           pair(status.LineChi2, true, amlL, ahlL),
		"negative_slope":    pair(status.LineGain, false, amlL, ahlL),
		"gain_glitch_mid":   both(status.GainFlips),
		"gain_flicker":      both(status.GainFlips),
	}
}()

// truth lists what is planted on a panel.
func (s *Injection) truth() (list []Planted) {
	for _, class := range Defects {
		if pixels := s.planted[class]; len(pixels) > 0 {
			list = append(list, Planted{Kind: class, CI: defectBits[class], Pixels: pixels})
		}
	}
	return list
}

// Defaults of a scan.
const (
	scanRamp   = 1024
	scanPlant  = 2
	scanMargin = 252 // events of a step beyond two ramps
)

// withScan fills in what a charge-injection scan has.
func (c Config) withScan() Config {
	setDefault(&c.Type, "epixhr2x2")
	setDefault(&c.Panels, 1)
	setDefault(&c.Ramp, scanRamp)
	setDefault(&c.Plant, scanPlant)
	setDefault(&c.Events, 2*c.Ramp+scanMargin)
	space := 5
	if strings.HasPrefix(strings.ToLower(c.Type), "epix10ka") {
		space = 7
	}
	setDefault(&c.Space, space)
	setDefault(&c.Steps, 2*c.Space*c.Space)
	return c
}

// checkScan refuses scans that cannot be written.
func (c Config) checkScan(bad func(hint, format string, args ...any) error) error {
	typ := strings.ToLower(c.Type)
	switch {
	case c.Scan != ChargeInjection:
		return bad("the scan is "+ChargeInjection, "scan %q cannot be written", c.Scan)
	case !strings.HasPrefix(typ, "epix10ka") && !strings.HasPrefix(typ, "epixhr") || c.lcls1():
		return bad("take epixhr2x2 or epix10ka in format xtc2", "charge injection of type %s in format %s cannot be written", c.Type, c.Format)
	case c.Rows%2 != 0 || c.Cols%2 != 0:
		return bad("a panel has four chips", "%d x %s", c.Rows, fault.Count(c.Cols, "pixel"))
	case c.Space < 1 || c.Space > 16 || c.Steps > 2*c.Space*c.Space:
		return bad("a scan has 2 x space x space steps", "%s with space %d", fault.Count(c.Steps, "step"), c.Space)
	case c.Ramp < 64 || c.Ramp > scanRamp:
		return bad("take 64 to 1024", "a ramp of %s", fault.Count(c.Ramp, "event"))
	case c.Plant < 0 || c.Plant*len(Defects)*10 > c.Rows*c.Cols:
		return bad("take fewer, or larger panels", "%s of each of %d classes in a panel of %d x %d", fault.Count(c.Plant, "pixel"), len(Defects), c.Rows, c.Cols)
	case len(c.GainModes) > 1 || c.planted() != [numKinds]int{}:
		return bad("--plant says how many pixels of each class", "a scan has its own gain modes and planted pixels")
	}
	return nil
}

// injections prepares the panels of a scan.
func (c Config) injections() []*Injection {
	var list []*Injection
	for panel := range c.Panels {
		r := sequence(c.Seed, forPlanting, uint64(panel))
		p := NewPulser(r.next(), c.Rows, c.Cols, c.Space, c.Ramp)
		f, _ := detector.Lookup(c.Type)
		if f.GainBits&0x8000 == 0 {
			p.GainBit = 0x4000
		}
		p.DataBits, p.Plant = f.DataBits, c.Plant
		list = append(list, newInjection(p, c.pulsed))
	}
	return list
}

// pulsed returns the pulsed pixels of a position: those of the scan program, every space-th row and column of each
// chip from the position on; or those of psana's formula where no configuration has them.
func (c Config) pulsed(position int) []uint32 {
	if c.NoTestBits {
		return charge.Grid(c.Rows, c.Cols, position, c.Space)
	}
	rows, cols := c.Rows/2, c.Cols/2
	var out []uint32
	for asic := range 4 {
		for _, i := range charge.Every(rows, cols, position/c.Space, position%c.Space, c.Space) {
			row, col := int(i)/cols, int(i)%cols
			if asic == 1 || asic == 2 { // the upper chips are turned by 180 degrees
				row, col = rows-1-row, cols-1-col
			} else {
				row += rows
			}
			if asic < 2 {
				col += cols
			}
			out = append(out, uint32(row*c.Cols+col))
		}
	}
	return out
}

// scanValues returns the configuration of the pixels in a step.
func (c Config) scanValues(step int) []any {
	position, trbit := step%(c.Space*c.Space), byte(step/(c.Space*c.Space))
	rows, cols := c.Rows/2, c.Cols/2
	return []any{
		xtc2.FieldValue{Dims: []int{4, rows, cols}, Fill: func(dst []byte) {
			clear(dst)
			if c.NoTestBits {
				return
			}
			for asic := range 4 {
				for _, i := range charge.Every(rows, cols, position/c.Space, position%c.Space, c.Space) {
					dst[asic*rows*cols+int(i)] = 1
				}
			}
		}},
		xtc2.FieldValue{Dims: []int{4}, Fill: func(dst []byte) {
			for i := range dst {
				dst[i] = trbit
			}
		}},
	}
}

// scanFrame sets dst to the bytes of an event of the run. The ramp stands anywhere when a step begins.
func (c Config) scanFrame(s *Injection, dst []byte, event int) {
	step, k := event/c.Events, event%c.Events
	r := sequence(c.Seed, forLosses, uint64(c.Run), uint64(step))
	phase := r.below(c.Ramp)
	words := make([]uint16, len(dst)/2)
	r = sequence(uint64(c.Run), uint64(event))
	s.frame(words, step, r.next(), int64((phase+k)%c.Ramp))
	for i, w := range words {
		binary.LittleEndian.PutUint16(dst[2*i:], w)
	}
}
