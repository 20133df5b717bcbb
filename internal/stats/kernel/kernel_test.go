package kernel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func TestMain(m *testing.M) {
	fmt.Println("kernels on this machine:", strings.Join(Names(), " "), "- in use:", Name())
	os.Exit(m.Run())
}

// guarded returns n pixels whose end (or begin, if atEnd is false) lies at a page that must not be touched.
func guarded(t testing.TB, n int, atEnd bool) []uint16 {
	t.Helper()
	page := os.Getpagesize()
	size := (2*n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(mem) })
	for _, guard := range [][]byte{mem[:page], mem[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	at := page
	if atEnd {
		at = page + size - 2*n
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&mem[at])), n)
}

// impl is an implementation under test.
type impl struct {
	name           string
	gated, ungated func(blocks []Block, frames, next [][]uint16, p *Params)
	masked         func(blocks []Block, frames, next [][]uint16, p *Params)
	watched        func(blocks []Block, foreign []bool, frames, next [][]uint16, p *Params)
	max            func(dst []uint16, frames [][]uint16, mask uint16)
	gain           func(odd, second []uint16, frames [][]uint16, mask, want, other uint16)
}

// blocks are the kernels of blocks by name.
func (m impl) blocks() map[string]func(blocks []Block, frames, next [][]uint16, p *Params) {
	return map[string]func(blocks []Block, frames, next [][]uint16, p *Params){"gated": m.gated, "ungated": m.ungated, "masked": m.masked, "watched": m.watchedInBlocks}
}

// watchedInBlocks is watched with its answers in the gates of the blocks, for comparison.
func (m impl) watchedInBlocks(blocks []Block, frames, next [][]uint16, p *Params) {
	foreign := make([]bool, len(blocks)+1)
	for i := range foreign {
		foreign[i] = i%2 == 0
	}
	m.watched(blocks, foreign[:len(blocks)], frames, next, p)
	if foreign[len(blocks)] != (len(blocks)%2 == 0) {
		panic("an answer too many")
	}
	for i := range blocks {
		if foreign[i] {
			blocks[i].Lo[0] ^= 0xffff
		}
	}
}

// others are the implementations to compare with the definition.
func others() (list []impl) {
	for _, l := range available() {
		list = append(list, impl{l.String(), l.gated, l.ungated, l.masked, l.watched, l.max, l.gain})
	}
	return list
}

var definition = impl{"definition",
	func(blocks []Block, frames, _ [][]uint16, p *Params) { gatedRef(blocks, frames, p) },
	func(blocks []Block, frames, _ [][]uint16, p *Params) { ungatedRef(blocks, frames, p) },
	func(blocks []Block, frames, _ [][]uint16, p *Params) { maskedRef(blocks, frames, p) },
	func(blocks []Block, foreign []bool, frames, _ [][]uint16, p *Params) {
		watchedRef(blocks, foreign, frames, p)
	}, maxRef, gainRef}

// patterns fill a pixel with values that could go wrong.
var patterns = []struct {
	name string
	word func(r *rand.Rand) uint16
}{
	{"zero", func(*rand.Rand) uint16 { return 0 }},
	{"ffff", func(*rand.Rand) uint16 { return 0xffff }},
	{"3fff", func(*rand.Rand) uint16 { return 0x3fff }},
	{"4000", func(*rand.Rand) uint16 { return 0x4000 }},
	{"8000", func(*rand.Rand) uint16 { return 0x8000 }},
	{"dark", func(r *rand.Rand) uint16 { return uint16(2000 + 15*r.NormFloat64()) }},
	{"random", func(r *rand.Rand) uint16 { return uint16(r.Uint32()) }},
	{"mixed", func(r *rand.Rand) uint16 {
		if r.IntN(200) == 0 {
			return uint16(r.Uint32())
		}
		return uint16(2000 + 15*r.NormFloat64())
	}},
	{"edges", func(r *rand.Rand) uint16 {
		return []uint16{0, 1, 0x3ffe, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xc000, 0xfffe, 0xffff}[r.IntN(10)]
	}},
}

var params = []Params{
	{0x3fff, 1, 16000, 0xc000, 0}, {0x3fff, 0, 0x3fff, 0xc000, 0x4000}, {0xffff, 0, 0xffff, 0xc000, 0xc000}, {0xffff, 0xffff, 0, 0x4000, 0}, {0xffff, 1, 0xfffe, 0, 0},
	{0x7fff, 1, 0x7ffe, 0x8000, 0}, {0x0ffe, 5, 0x0ff0, 1, 1}, {0, 1, 0, 0x4000, 0x4000}, {0xffff, 0x8000, 0x7fff, 0x8000, 0x8000}, {0xffff, 2000, 2000, 0x3fff, 2000},
	{0x3fff, 2000, 2000, 0x0800, 0},
}

// setGates sets gates of all kinds for blocks, the one that is around dark data most often.
func setGates(r *rand.Rand, blocks []Block) {
	for i := range blocks {
		b := &blocks[i]
		b.Reset()
		for j := range Width {
			switch r.IntN(6) {
			case 0: // open
			case 1:
				b.Lo[j], b.Range[j] = uint16(r.Uint32()), uint16(r.Uint32())
			case 2:
				b.Lo[j], b.Range[j] = uint16(r.Uint32())&0x3fff, 0
			default:
				b.Lo[j], b.Range[j] = 1975, 50
			}
		}
	}
}

func asBytes(b []Block) []byte {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&b[0])), len(b)*int(unsafe.Sizeof(b[0])))
}

func TestBlockKernelsEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, count := range []int{1, 2, 3, 9, 37} {
		for n := 1; n <= MaxFrames; n++ {
			pixels := count * Width
			frames := make([][]uint16, n)
			for k := range frames {
				f := guarded(t, pixels+k%2, k%3 > 0)
				frames[k] = f[k%2:] // some frames lie on odd words
			}
			for _, pat := range patterns {
				p := params[r.IntN(len(params))]
				for k := range frames {
					for i := range frames[k] {
						frames[k][i] = pat.word(r)
					}
				}
				start := make([]Block, count)
				setGates(r, start)
				gatedRef(start, frames[:1], &p) // accumulators are not empty
				next := [][][]uint16{nil, frames, frames[:1], {{}, {1}}}[r.IntN(4)]
				for _, m := range others() {
					for which, run := range m.blocks() {
						want, got := slices.Clone(start), slices.Clone(start)
						definition.blocks()[which](want, frames, nil, &p)
						run(got, frames, next, &p)
						if !bytes.Equal(asBytes(got), asBytes(want)) {
							t.Fatalf("%s %s: %d blocks, %d frames of %s, %+v: %s", m.name, which, count, n, pat.name, p, firstDifference(got, want))
						}
					}
				}
			}
		}
	}
}

// firstDifference names the first field and pixel where blocks differ.
func firstDifference(got, want []Block) string {
	for i := range got {
		g, w := &got[i], &want[i]
		for j := range Width {
			for _, f := range []struct {
				name      string
				got, want uint64
			}{
				{"Sum", uint64(g.Sum[SumPos[j]]), uint64(w.Sum[SumPos[j]])}, {"Sq", g.Sq[SqPos[j]], w.Sq[SqPos[j]]},
				{"N", uint64(g.N[j]), uint64(w.N[j])}, {"Min", uint64(g.Min[j]), uint64(w.Min[j])}, {"Max", uint64(g.Max[j]), uint64(w.Max[j])},
				{"NLo", uint64(g.NLo[j]), uint64(w.NLo[j])}, {"NHi", uint64(g.NHi[j]), uint64(w.NHi[j])},
				{"Lo", uint64(g.Lo[j]), uint64(w.Lo[j])}, {"Range", uint64(g.Range[j]), uint64(w.Range[j])},
			} {
				if f.got != f.want {
					return fmt.Sprintf("block %d pixel %d: %s is %d, want %d", i, j, f.name, f.got, f.want)
				}
			}
		}
	}
	return "no difference"
}

// TestNothingOverflows runs every kernel up to the flush limit with the largest values, those that are
// squared in 32 bits and those that are not.
func TestNothingOverflows(t *testing.T) {
	for _, v := range []uint16{0x3fff, 0x4000, 0x7fff, 0xffff} {
		p := &Params{Mask: 0xffff, Below: 0xffff, Above: 0, Gain: 0xc000, Want: v & 0xc000}
		frames := make([][]uint16, MaxFrames)
		for k := range frames {
			frames[k] = slices.Repeat([]uint16{v}, Width)
		}
		for _, m := range others() {
			for which, run := range m.blocks() {
				b := make([]Block, 1)
				b[0].Reset()
				left := FlushAfter
				for ; left >= MaxFrames; left -= MaxFrames {
					run(b, frames, frames, p)
				}
				run(b, frames[:left], nil, p)
				if which == "ungated" {
					b[0].N = [Width]uint16(slices.Repeat([]uint16{FlushAfter}, Width))
				}
				for j := range Width {
					below := uint16(FlushAfter)
					if v == 0xffff {
						below = 0
					}
					if b[0].N[j] != FlushAfter || b[0].NHi[j] != FlushAfter || b[0].NLo[j] != below ||
						b[0].Sum[SumPos[j]] != FlushAfter*uint32(v) || b[0].Sq[SqPos[j]] != FlushAfter*uint64(v)*uint64(v) {
						t.Fatalf("%s %s value %#x pixel %d: %+v", m.name, which, v, j, b[0])
					}
				}
			}
		}
	}
}

func TestPlaneKernelsEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for pixels := range 200 {
		n := 1 + r.IntN(MaxFrames)
		pat := patterns[r.IntN(len(patterns))]
		frames := make([][]uint16, n)
		for k := range frames {
			frames[k] = guarded(t, pixels+1, k%2 == 0)[1:]
			for i := range frames[k] {
				frames[k][i] = pat.word(r)
			}
		}
		if pixels == 0 {
			continue
		}
		for _, m := range others() {
			for _, mask := range []uint16{0x3fff, 0xffff, 0x0ffe, 0} {
				want := make([]uint16, pixels)
				for i := range want {
					want[i] = uint16(r.Uint32()) & 0x1fff
				}
				got := guarded(t, pixels, pixels%2 == 0)
				copy(got, want)
				maxRef(want, frames, mask)
				m.max(got, frames, mask)
				if !slices.Equal(got, want) {
					t.Fatalf("%s max of %d pixels, %d frames of %s, mask %#x", m.name, pixels, n, pat.name, mask)
				}
			}
			same, second := make([]uint16, pixels), make([]uint16, pixels)
			a, b := guarded(t, pixels, true), guarded(t, pixels, true)
			gainRef(same, second, frames, 0xc000, 0x4000, 0x8000)
			m.gain(a, b, frames, 0xc000, 0x4000, 0x8000)
			if !slices.Equal(a, same) || !slices.Equal(b, second) {
				t.Fatalf("%s gain of %d pixels, %d frames of %s", m.name, pixels, n, pat.name)
			}
		}
	}
}

func TestCallersMistakesPanic(t *testing.T) {
	p := &Params{Mask: 0x3fff}
	short := [][]uint16{make([]uint16, 63)}
	for name, f := range map[string]func(){
		"short":    func() { Gated(make([]Block, 2), short, nil, p) },
		"short2":   func() { Ungated(make([]Block, 2), short, nil, p) },
		"short3":   func() { Masked(make([]Block, 2), short, nil, p) },
		"many":     func() { Gated(make([]Block, 1), slices.Repeat(short, 17), nil, p) },
		"short4":   func() { Watched(make([]Block, 2), make([]bool, 2), short, nil, p) },
		"answers":  func() { Watched(make([]Block, 1), make([]bool, 2), short, nil, p) },
		"max":      func() { Max(make([]uint16, 64), short, 1) },
		"gain":     func() { Gain(make([]uint16, 64), make([]uint16, 64), short, 3, 1, 2) },
		"counters": func() { Gain(make([]uint16, 62), make([]uint16, 63), short, 3, 1, 2) },
		"equal":    func() { Gain(make([]uint16, 63), make([]uint16, 63), short, 3, 1, 1) },
	} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "stats/kernel: ") {
					t.Errorf("%s: %q", name, s)
				}
			}()
			f()
		}()
	}
	Gated(nil, nil, nil, p)
	Max(nil, short, 1)
}

func TestUseChoosesEveryLevel(t *testing.T) {
	defer func(l level) { best = l }(best)
	for _, name := range Names() {
		if err := Use(name); err != nil || Name() != name {
			t.Errorf("%s: %v, in use: %s", name, err, Name())
		}
	}
	if err := Use("abacus"); err == nil {
		t.Error("no error")
	}
}

// TestKernelsDoNotAllocate: the hot path must not make work for the garbage collector.
func TestKernelsDoNotAllocate(t *testing.T) {
	blocks := make([]Block, 4)
	frames := noisyDark(blocks, 8, 4*Width)
	dst, long := make([]uint16, 4*Width), make([]uint16, 10000)
	ints, values, scratch := make([]int32, 2*Width), make([]int32, 8*Lanes), make([]byte, 8*Lanes)
	var twice [Lanes]int32
	var foreign [4]bool
	p := &Params{Mask: 0x3fff, Below: 1, Above: 16000}
	n := testing.AllocsPerRun(10, func() {
		Gated(blocks, frames, nil, p)
		Ungated(blocks, frames, nil, p)
		Masked(blocks, frames, nil, p)
		Watched(blocks, foreign[:], frames, nil, p)
		Max(dst, frames, 0x3fff)
		Gain(dst, frames[7], frames[:7], 0xc000, 0, 0x8000)
		ColumnSums(ints[:Width], ints[Width:2*Width], dst, Width, 4, 0x3fff)
		Collect(long, 8*Lanes, frames, 3, 40, 2)
		Residuals(values, dst, 0x3fff, 12600, ints[:8], ints[8:16], ints[16:24])
		Distances(values[:8*Lanes], &twice)
		Middle(long, 0x3fff)
		if Vectors() {
			Middles(values, 8, scratch)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSwitchesTakeEffect: GODEBUG reaches the choice of kernels, in a production binary as here.
func TestSwitchesTakeEffect(t *testing.T) {
	all := Names()
	for off, without := range map[string]string{"cpu.avx512f=off": "avx512", "cpu.avx2=off": "avx"} {
		c := exec.Command(os.Args[0], "-test.run", "^$")
		c.Env = append(os.Environ(), "GODEBUG="+off+","+os.Getenv("GODEBUG"))
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, name := range all {
			if !strings.HasPrefix(name, without) {
				left = append(left, name)
			}
		}
		want := "kernels on this machine: " + strings.Join(left, " ") + " - in use: " + left[0]
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: got %q, want %q", off, out, want)
		}
	}
}

// watchedRef is gatedRef, and sets foreign[i] to whether a word of block i has raw & Gain != Want.
func watchedRef(blocks []Block, foreign []bool, frames [][]uint16, p *Params) {
	gatedRef(blocks, frames, p)
	for i := range blocks {
		foreign[i] = false
		for _, f := range frames {
			for _, raw := range f[i*Width : (i+1)*Width] {
				foreign[i] = foreign[i] || raw&p.Gain != p.Want
			}
		}
	}
}
