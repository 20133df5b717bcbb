package codec

import (
	"math/rand/v2"
	"slices"
	"testing"

	"rawstatus/internal/io/frame"
)

// sample is a panel with the bytes of a frame.
type sample struct {
	panel frame.Panel
	src   []byte
}

// samples have every codec.
func samples(rng *rand.Rand) (list []sample) {
	add := func(c frame.Codec, rows, cols, bytes int) {
		src := make([]byte, bytes)
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		list = append(list, sample{frame.Panel{Detector: "d", Rows: rows, Cols: cols, Codec: c}, src})
	}
	for c, s := range inOrder {
		add(c, 19, 23, s.stride*19*23)
	}
	for _, p := range packings {
		add(p.Codec, p.Rows, p.Cols, p.Bytes)
	}
	px := make([]uint16, 2*19*23)
	for i := range px {
		px[i] = uint16(900 + rng.IntN(400))
	}
	for i, p := range packers {
		if p.depth == 2 { // the first or the second of two panels in the block
			list = append(list, sample{frame.Panel{Detector: "d", Rows: 19, Cols: 23, Codec: Unpack(int64(i % 2 * 2 * 19 * 23))}, p.block(px)})
		}
	}
	return list
}

// TestPartsAreThoseOfTheWhole decodes random ranges of random crops, from the bytes that Span names only, and
// compares with the frame decoded as a whole.
func TestPartsAreThoseOfTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, s := range samples(rng) {
		name := s.panel.Codec
		all := make([]uint16, s.panel.Pixels())
		if err := Decode(s.panel, all, s.src); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			part := s.panel
			r0, c0 := rng.IntN(part.Rows), rng.IntN(part.Cols)
			r1, c1 := r0+1+rng.IntN(part.Rows-r0), c0+1+rng.IntN(part.Cols-c0)
			switch rng.IntN(3) {
			case 0:
				r0, r1, c0, c1 = 0, part.Rows, 0, part.Cols
			case 1:
				c0, c1 = 0, part.Cols
				fallthrough
			default:
				var err error
				if part, err = s.panel.Crop(r0, r1, c0, c1); err != nil {
					t.Fatal(err)
				}
			}
			d, err := New(part)
			if err != nil {
				t.Fatal(err)
			}
			lo := rng.IntN(part.Pixels() + 1)
			hi := lo + rng.IntN(part.Pixels()+1-lo)
			from, to := d.Span(lo, hi, len(s.src))
			src := slices.Clone(s.src[from:to])
			dst := make([]uint16, hi-lo)
			if err := d.Decode(dst, lo, src); err != nil {
				t.Fatalf("%s rows %d:%d columns %d:%d pixels %d:%d: %v", name, r0, r1, c0, c1, lo, hi, err)
			}
			for i, v := range dst {
				row, col := r0+(lo+i)/part.Cols, c0+(lo+i)%part.Cols
				if want := all[row*s.panel.Cols+col]; v != want {
					t.Fatalf("%s rows %d:%d columns %d:%d pixel %d: %#x, want %#x", name, r0, r1, c0, c1, lo+i, v, want)
				}
			}
			if d.Plain() && len(src) != 2*len(dst) {
				t.Fatalf("%s: %d bytes for %d plain pixels", name, len(src), len(dst))
			}
			// A crop reads no rows that it does not have.
			if d.InOrder() && to-from > (hi-lo+s.panel.Cols*((hi-lo)/part.Cols+2))*len(s.src)/s.panel.Pixels() {
				t.Fatalf("%s: %d bytes for %d pixels of rows of %d", name, to-from, hi-lo, part.Cols)
			}
		}
	}
}
