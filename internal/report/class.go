package report

import (
	"strings"

	"rawstatus/internal/stats/status"
)

// Class groups bits that share a colour.
type Class int

// The classes.
const (
	Good Class = iota
	Noise
	Quiet
	Hot
	Gain
	Flatness
	Spatial
	Unjudged
	User
	Several
)

// classes are the names and colours (Okabe and Ito's) of the classes. Every pair of them can be told apart
// with any kind of colour blindness.
var classes = []struct {
	name, colour string
	rgb          [3]byte
}{
	Good: {"good", "transparent", [3]byte{}}, Noise: {"noisy", "#D55E00", [3]byte{0xd5, 0x5e, 0x00}}, Quiet: {"quiet or cold", "#0072B2", [3]byte{0x00, 0x72, 0xb2}},
	Hot: {"hot or saturated", "#E69F00", [3]byte{0xe6, 0x9f, 0x00}}, Gain: {"gain", "#CC79A7", [3]byte{0xcc, 0x79, 0xa7}},
	Flatness: {"flatness", "#009E73", [3]byte{0x00, 0x9e, 0x73}}, Spatial: {"surroundings", "#56B4E9", [3]byte{0x56, 0xb4, 0xe9}},
	Unjudged: {"not judged", "#000000", [3]byte{}}, User: {"by hand", "#7B3F00", [3]byte{0x7b, 0x3f, 0x00}},
	Several: {"several reasons", "#F0E442", [3]byte{0xf0, 0xe4, 0x42}},
}

// ClassOf returns the class of a bit of the table.
func ClassOf(b status.Bit) Class {
	low := strings.HasSuffix(b.Name, "_LOW")
	switch b.Group {
	case "noise", "intensity", "maximum":
		switch {
		case low:
			return Quiet
		case b.Group == "noise":
			return Noise
		}
		return Hot
	case "gain", "OFFSET", "GAIN", "switch":
		return Gain
	case "CHI2":
		return Noise
	case "periods":
		return Quiet
	case "flatness":
		return Flatness
	case "spatial", "crosstalk":
		return Spatial
	case "unjudged":
		return Unjudged
	}
	return User
}

// Dictionary returns the bits of a family; with an empty one those of both, with the names of both.
func Dictionary(f status.Family) []Bit {
	var out []Bit
	for _, b := range status.Table {
		if f != "" && b.Family != f && b.Family != "" {
			continue
		}
		at := -1
		for i := range out {
			if out[i].Value == b.Value {
				at = i
			}
		}
		if at >= 0 {
			out[at].Name += " or " + b.Name
			out[at].Meaning += ", or " + b.Meaning
			if out[at].Class != ClassOf(b) {
				out[at].Class = Several
			}
			continue
		}
		out = append(out, Bit{Value: b.Value, Name: b.Name, Meaning: b.Meaning, Class: ClassOf(b)})
	}
	return out
}

// classOf returns the class of a word: that of its bits, or Several. Hints count only where nothing else is set.
func (b *Builder) classOf(word uint64) Class {
	c := Good
	if w := word &^ status.Hints; w != 0 {
		word = w
	}
	for _, bit := range b.page.Bits {
		switch {
		case word&bit.Value == 0:
		case c == Good || c == bit.Class:
			c = bit.Class
		default:
			return Several
		}
	}
	if c == Good && word != 0 {
		return User
	}
	return c
}

// cividis is the colour map of the backgrounds: even in brightness, the same for all eyes.
var cividis = [][3]float64{{0, 34, 78}, {18, 53, 112}, {59, 73, 108}, {87, 93, 109}, {112, 113, 115}, {138, 134, 120}, {165, 156, 116}, {195, 179, 105}, {225, 204, 85}, {254, 232, 56}}

// Colormap returns the 255 colours of a background, three bytes each.
func Colormap() []byte {
	out := make([]byte, 0, 255*3)
	for i := range 255 {
		x := float64(i) / 254 * float64(len(cividis)-1)
		k := min(int(x), len(cividis)-2)
		for c := range 3 {
			a, b := cividis[k][c], cividis[k+1][c]
			out = append(out, byte(a+float64((b-a)*(x-float64(k)))+0.5))
		}
	}
	return out
}
