package codec

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/testenv"
)

// packedPanel is a panel of a type with a codec of its own.
func packedPanel(typ string) (frame.Panel, Packing) {
	p := Packed(typ)
	return frame.Panel{Detector: typ, Type: typ, Rows: p.Rows, Cols: p.Cols, Codec: p.Codec}, p
}

// TestPackedAsNumpy decodes random bytes and compares with the same rules written in numpy.
func TestPackedAsNumpy(t *testing.T) {
	py := testenv.Numpy(t)
	for _, typ := range []string{"epixuhr", "epixuhr3x2"} {
		panel, p := packedPanel(typ)
		src := make([]byte, p.Bytes)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		dst := make([]uint16, panel.Pixels())
		if err := Decode(panel, dst, src); err != nil {
			t.Fatal(err)
		}
		in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(in, src, 0o644); err != nil {
			t.Fatal(err)
		}
		if msg, err := exec.Command(py, filepath.Join("testdata", "packed.py"), typ, in, out).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != 2*len(dst) {
			t.Fatalf("%s: numpy gives %d bytes", typ, len(want))
		}
		for i, v := range dst {
			if w := binary.LittleEndian.Uint16(want[2*i:]); v != w {
				t.Fatalf("%s: pixel %d is %#x, numpy has %#x", typ, i, v, w)
			}
		}
	}
}

// TestPackedIsPermutation sets each bit of an ASIC's bytes alone and wants one bit in one pixel each
// time, never the same twice.
func TestPackedIsPermutation(t *testing.T) {
	panel, p := packedPanel("epixuhr")
	if got := panel.Pixels() * 12; got != 8*p.Bytes {
		t.Fatalf("%d bits of pixels in %d bytes", got, p.Bytes)
	}
	src, dst := make([]byte, p.Bytes), make([]uint16, panel.Pixels())
	seen := map[[2]int]bool{}
	step := 97 // a sample; prime, so that all bit places and lanes occur
	for bit := 0; bit < 8*p.Bytes; bit += step {
		clear(src)
		src[bit/8] = 1 << (bit % 8)
		if err := Decode(panel, dst, src); err != nil {
			t.Fatal(err)
		}
		hits := 0
		for i, v := range dst {
			for b := 0; b < 16 && v != 0; b++ {
				if v>>b&1 != 0 {
					hits++
					if seen[[2]int{i, b}] {
						t.Fatalf("bit %d falls on bit %d of pixel %d, as one before", bit, b, i)
					}
					seen[[2]int{i, b}] = true
				}
			}
		}
		if hits != 1 {
			t.Fatalf("bit %d gives %d bits", bit, hits)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	panel, p := packedPanel("epixuhr3x2")
	dst := make([]uint16, panel.Pixels())
	if err := Decode(panel, dst, make([]byte, p.Bytes-1)); err == nil {
		t.Error("a short frame was decoded")
	}
	panel.Codec = "nonsense"
	if err := Decode(panel, dst, make([]byte, p.Bytes)); err == nil {
		t.Error("an unknown codec decoded")
	}
	if p := Packed("jungfrau"); p.Codec != frame.Identity {
		t.Errorf("jungfrau has codec %q", p.Codec)
	}
}
