package kernel

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// FuzzBlocks looks for input on which a level and the definition differ: parameters, gates and frames
// all come from the data.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte{0xff, 0x3f, 1, 0, 0x80, 0x3e, 3, 0xd0, 7, 50, 0, 1, 2, 3, 4, 5})
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		at := 0
		word := func() uint16 { // the data over and over, shifted a little each time
			if len(data) == 0 {
				return 0
			}
			var b [2]byte
			for i := range b {
				b[i] = data[at%len(data)] + byte(at/len(data))
				at++
			}
			return binary.LittleEndian.Uint16(b[:])
		}
		p := Params{Mask: word(), Below: word(), Above: word(), Gain: word()}
		p.Want = word() & p.Gain
		frames := make([][]uint16, 1+word()%MaxFrames)
		count := 1 + int(word()%3)
		start := make([]Block, count)
		for i := range start {
			start[i].Reset()
			for j := range Width {
				start[i].Lo[j], start[i].Range[j] = word(), word()
			}
		}
		for k := range frames {
			frames[k] = make([]uint16, count*Width)
			for i := range frames[k] {
				frames[k][i] = word()
			}
		}
		for _, l := range available() {
			for _, run := range []struct {
				level func(blocks []Block, frames, next [][]uint16, p *Params)
				ref   func(blocks []Block, frames [][]uint16, p *Params)
			}{{l.gated, gatedRef}, {l.ungated, ungatedRef}, {l.masked, maskedRef}} {
				got, want := slices.Clone(start), slices.Clone(start)
				run.level(got, frames, frames[len(frames)/2:], &p)
				run.ref(want, frames, &p)
				if !bytes.Equal(asBytes(got), asBytes(want)) {
					t.Fatalf("%v, %+v, %d frames: %s", l, p, len(frames), firstDifference(got, want))
				}
			}
		}
	})
}
