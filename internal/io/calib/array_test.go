package calib

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"rawstatus/internal/io/calibtxt"
)

// TestArrayBytes: arrays of words, short words and numbers, in any pieces, are read as numpy has them in memory.
func TestArrayBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 16))
	for range 40 {
		n := 1 + r.IntN(3*roomSize)
		words, numbers := make([]uint64, n), make([]float32, n)
		short := make([]uint16, n)
		for i := range n {
			short[i] = uint16(r.Uint32())
			words[i], numbers[i] = uint64(short[i]), r.Float32()
		}
		cut := r.IntN(n + 1)
		for name, a := range map[string]*Array{
			"words": {Words: calibtxt.SparseOf(words)}, "short": {Short: [][]uint16{short[:cut], short[cut:]}}, "numbers": {Numbers: [][]float32{numbers[:cut], numbers[cut:]}},
		} {
			want, err := binary.Append(nil, binary.LittleEndian, words)
			if name == "numbers" {
				want, err = binary.Append(nil, binary.LittleEndian, numbers)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(a.Bytes())
			if err != nil || !bytes.Equal(got, want) || a.Size() != int64(len(want)) || a.Len() != n {
				t.Fatalf("%s of %d: %v, other bytes, size %d", name, n, err, a.Size())
			}
			if i := r.IntN(n); name != "numbers" && a.Number(i) != float64(words[i]) || name == "numbers" && a.Number(i) != float64(numbers[i]) {
				t.Fatalf("%s: element %d is %v", name, i, a.Number(i))
			}
			if err := iotest.TestReader(a.Bytes(), want); n < 300 && err != nil {
				t.Fatal(name, err)
			}
			var pieces []byte
			for b, at := a.Bytes(), -1; len(pieces) != at; {
				at = len(pieces)
				pieces = append(pieces, b.Next(1+r.IntN(1<<17))...)
			}
			if !bytes.Equal(pieces, want) {
				t.Fatalf("%s of %d: other bytes in pieces", name, n)
			}
			if words := (&Array{Words: calibtxt.SparseOf(words)}).RawSum(); name == "short" && a.RawSum() != words {
				t.Fatal("short words have another hash")
			}
		}
	}
}
