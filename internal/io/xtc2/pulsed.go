package xtc2

import (
	"rawstatus/internal/io/frame"
)

// testBit of a pixel's configuration connects it to the pulser.
const testBit = 1

// pulsed are the pixels that a configuration connects to the pulser.
type pulsed struct {
	rows, cols int    // of the panel
	bits       []byte // as frame.PulsedMap; nil: none
	trbit      int
}

// pulsedMap reads the pulsed pixels off a panel's configuration; ok is false if it does not tell.
//
// Pixels are in asicPixelConfig: four ASICs one after the other, of which a panel has 2 and 1, turned by 180
// degrees, above 3 and 0; or put together already, as cbitsConfig always is, with the trbit in bit 4.
func (b *Block) pulsedMap() (p pulsed, ok bool) {
	config, ok := b.Find("cbitsConfig")
	cbits := ok
	if !ok {
		config, ok = b.Find("asicPixelConfig")
	}
	if !ok || config.Field.Type != UInt8 || len(config.Bytes) == 0 {
		return p, false
	}
	var trbit [4]byte
	if v, ok := b.Find("trbit"); ok && v.Field.Type == UInt8 {
		copy(trbit[:], v.Bytes)
	}
	d := config.Dims
	switch {
	case len(d) == 2:
		p.rows, p.cols = d[0], d[1]
	case len(d) == 3 && d[0] == 4:
		p.rows, p.cols = 2*d[1], 2*d[2]
	default:
		return p, false
	}
	high, n := 0, 0
	for i, c := range config.Bytes {
		if c&testBit == 0 {
			continue
		}
		asic := asicOf(d, i)
		at := i
		if len(d) == 3 {
			at = assembled(d[1], d[2], asic, i%(d[1]*d[2]))
		}
		if p.bits == nil {
			p.bits = make([]byte, (len(config.Bytes)+7)/8)
		}
		p.bits[at/8] |= 1 << (at % 8)
		n++
		if cbits && c&16 != 0 || !cbits && trbit[asic]&1 != 0 {
			high++
		}
	}
	if 2*high > n {
		p.trbit = 1
	}
	return p, true
}

// assembled returns the place on the panel of pixel i of an ASIC of rows x cols.
func assembled(rows, cols, asic, i int) int {
	row, col := i/cols, i%cols
	if asic == 1 || asic == 2 {
		row, col = rows-1-row, cols-1-col
	} else {
		row += rows
	}
	if asic == 0 || asic == 1 {
		col += cols
	}
	return row*2*cols + col
}

// addPulsed adds the pulsed pixels of a step to the index.
func (t *gainTracker) addPulsed(step int) {
	for i, p := range t.x.Panels {
		m := t.pulsed[segment{p.Detector, p.Segment}]
		if m.bits != nil && m.rows == p.Rows && m.cols == p.Cols {
			t.x.Pulsed = append(t.x.Pulsed, frame.PulsedMap{Step: step, Panel: i, TRBit: m.trbit, Bits: m.bits})
		}
	}
}
