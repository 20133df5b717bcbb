package accum

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
)

// define is the definition of Gated: one loop, one branch for each line of its comment.
func define(pixels int, p Params, lo, hi []uint16, frames [][]uint16) Planes {
	out := Planes{GateLo: slices.Clone(lo), GateHi: slices.Clone(hi),
		Sum0: make([]uint32, pixels), NLo: make([]uint32, pixels), NHi: make([]uint32, pixels),
		Sum1: make([]uint64, pixels), Sum2: make([]uint64, pixels), Min: make([]uint16, pixels), Max: make([]uint16, pixels)}
	for i := range out.Min {
		out.Min[i] = 0xffff
	}
	for _, f := range frames {
		for i, raw := range f {
			if raw&p.GainBits != p.Wanted {
				continue
			}
			y := raw & p.DataBits
			out.Min[i], out.Max[i] = min(out.Min[i], y), max(out.Max[i], y)
			if uint32(y) < p.LoBelow {
				out.NLo[i]++
			}
			if int32(y) > p.HiAbove {
				out.NHi[i]++
			}
			if y >= lo[i] && y <= hi[i] {
				out.Sum0[i]++
				out.Sum1[i] += uint64(y)
				out.Sum2[i] += uint64(y) * uint64(y)
			}
		}
	}
	return out
}

func openGates(pixels int) (lo, hi []uint16) {
	lo, hi = make([]uint16, pixels), make([]uint16, pixels)
	for i := range hi {
		hi[i] = 0xffff
	}
	return lo, hi
}

// run is frames of random words that like the edges, and gates of all kinds.
func run(r *rand.Rand, pixels, frames int) (px [][]uint16, lo, hi []uint16) {
	edges := []uint16{0, 1, 2, 0x3ffe, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xc000, 0xfffe, 0xffff}
	word := func() uint16 {
		switch r.IntN(4) {
		case 0:
			return edges[r.IntN(len(edges))]
		case 1:
			return uint16(r.Uint32())
		default:
			return 2000 + uint16(r.IntN(64))
		}
	}
	px = make([][]uint16, frames)
	for k := range px {
		px[k] = make([]uint16, pixels)
		for i := range px[k] {
			px[k][i] = word()
		}
	}
	lo, hi = make([]uint16, pixels), make([]uint16, pixels)
	for i := range lo {
		lo[i], hi[i] = word(), word()
	}
	return px, lo, hi
}

func equal(t *testing.T, what string, got, want Planes) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s: %s differs", what, g.Type().Field(i).Name)
		}
	}
}

var allParams = []Params{{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}, {DataBits: 0xffff, HiAbove: 65535}, {DataBits: 0xffff, LoBelow: 65536, HiAbove: -1},
	{DataBits: 0x7fff, LoBelow: 65535}, {DataBits: 0xff, LoBelow: 1, HiAbove: 254}, {DataBits: 0x0ffe, LoBelow: 3, HiAbove: 0xffd}}

func TestGatedIsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, pixels := range []int{0, 1, 31, 32, 33, 63, 64, 65, 128, 1000} {
		for _, n := range []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 33} {
			for _, p := range allParams {
				px, lo, hi := run(r, pixels, n)
				what := fmt.Sprintf("%d pixels, %d frames, %+v", pixels, n, p)
				g := NewGated(pixels, p, lo, hi)
				g.Add(0, px)
				equal(t, what, g.Planes(), define(pixels, p, lo, hi, px))
				o := NewGated(pixels, p, nil, nil)
				o.Add(0, px)
				lo, hi = openGates(pixels)
				want := define(pixels, p, lo, hi, px)
				want.GateLo, want.GateHi = nil, nil
				equal(t, what+", open", o.Planes(), want)
				for _, gain := range [][2]uint16{{0xc000, 0}, {0xc000, 0x4000}, {0x4000, 0x4000}, {0x8000, 0}, {1, 1}} {
					p.GainBits, p.Wanted = gain[0], gain[1]
					m := NewGated(pixels, p, nil, nil)
					m.Add(0, px)
					want := define(pixels, p, lo, hi, px)
					want.GateLo, want.GateHi = nil, nil
					equal(t, fmt.Sprintf("%s, masked %x", what, gain), m.Planes(), want)
				}
			}
		}
	}
}

func TestAnySplitGivesTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const pixels = 1000
	px, gateLo, gateHi := run(r, pixels, 100)
	for i := range 40 {
		p := Params{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}
		lo, hi := gateLo, gateHi
		if i%2 == 1 {
			p.GainBits, p.Wanted = 0xc000, uint16(i%4-1)<<13 // 00 and 01
			lo, hi = nil, nil
		}
		openLo, openHi := openGates(pixels)
		if lo != nil {
			openLo, openHi = lo, hi
		}
		want := define(pixels, p, openLo, openHi, px)
		want.GateLo, want.GateHi = lo, hi
		g := NewGated(pixels, p, lo, hi)
		var cuts []int
		for c := 0; c < pixels; c += Grain * (1 + r.IntN(6)) {
			cuts = append(cuts, c)
		}
		cuts = append(cuts, pixels)
		var group sync.WaitGroup
		for b := range len(cuts) - 1 {
			order := r.Perm(len(px))
			sizes := r.Perm(20)
			group.Go(func() {
				for i := 0; len(order) > 0; i++ {
					n := min(len(order), 1+sizes[i%len(sizes)])
					part := make([][]uint16, n)
					for j, k := range order[:n] {
						part[j] = px[k][cuts[b]:cuts[b+1]]
					}
					order = order[n:]
					g.Add(cuts[b], part)
				}
			})
		}
		group.Wait()
		equal(t, fmt.Sprint(cuts), g.Planes(), want)
		g.Add(0, nil)
		equal(t, "Planes again", g.Planes(), want)
	}
}

// TestCountersDoNotOverflow adds more frames of extreme values than any narrow counter holds.
func TestCountersDoNotOverflow(t *testing.T) {
	const pixels, frames = 70, 150_000
	for _, v := range []uint16{0, 0x3fff, 0x7fff, 0x8000, 0xffff} {
		f := slices.Repeat([]uint16{v}, pixels)
		px := slices.Repeat([][]uint16{f}, frames)
		for _, gated := range []bool{false, true} {
			var lo, hi []uint16
			if gated {
				lo, hi = openGates(pixels)
			}
			g := NewGated(pixels, Params{DataBits: 0xffff, LoBelow: 1, HiAbove: 0x7ffe}, lo, hi)
			g.Add(0, px[:65530])
			g.Add(0, px[65530:65543])
			g.Add(0, px[65543:])
			got := g.Planes()
			nLo, nHi := uint32(0), uint32(0)
			if v < 1 {
				nLo = frames
			}
			if v > 0x7ffe {
				nHi = frames
			}
			for i := range pixels {
				if got.Sum0[i] != frames || got.Sum1[i] != frames*uint64(v) || got.Sum2[i] != frames*uint64(v)*uint64(v) ||
					got.NLo[i] != nLo || got.NHi[i] != nHi || got.Min[i] != v || got.Max[i] != v {
					t.Fatalf("value %#x gated %v pixel %d: %d %d %d %d %d", v, gated, i, got.Sum0[i], got.Sum1[i], got.Sum2[i], got.NLo[i], got.NHi[i])
				}
			}
		}
	}
}

func TestMaxAndGain(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, pixels := range []int{1, 64, 95, 333} {
		for _, frames := range []int{0, 1, 5, 8, 21} {
			px, _, _ := run(r, pixels, frames)
			m, g, h := NewMax(pixels, 0x3fff), NewGain(pixels, 0xc000, 0x4000, 0x8000), NewGain(pixels, 0xc000, 0x4000, 0)
			h.Add(0, px)
			if _, none := h.Planes(); slices.Max(none) > 0 {
				t.Fatal("impossible words are counted where there are none")
			}
			m.Add(0, px)
			g.Add(0, px)
			odd, never := g.Planes()
			for i := range pixels {
				var wantMax uint16
				var wantOdd, wantNever uint32
				for _, f := range px {
					wantMax = max(wantMax, f[i]&0x3fff)
					if f[i]>>14 != 1 {
						wantOdd++
					}
					if f[i]>>14 == 2 {
						wantNever++
					}
				}
				if m.Plane()[i] != wantMax || odd[i] != wantOdd || never[i] != wantNever {
					t.Fatalf("%d pixels %d frames pixel %d: %d %d %d, want %d %d %d", pixels, frames, i, m.Plane()[i], odd[i], never[i], wantMax, wantOdd, wantNever)
				}
			}
		}
	}
}

func TestGainCountsBeyond16Bits(t *testing.T) {
	g := NewGain(10, 0xc000, 0, 0x8000)
	g.Add(0, slices.Repeat([][]uint16{{0x8000, 0x8001, 1, 0x4000, 0, 0, 0, 0, 0, 0}}, 140_001))
	odd, never := g.Planes()
	if odd[0] != 140_001 || never[1] != 140_001 || odd[2] != 0 || odd[3] != 140_001 || never[3] != 0 {
		t.Errorf("%v %v", odd, never)
	}
}

func TestBandsAreChecked(t *testing.T) {
	g := NewGated(200, Params{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}, nil, nil)
	band := func(n int) [][]uint16 { return [][]uint16{make([]uint16, n)} }
	for _, c := range []struct{ lo, n int }{{32, 64}, {0, 32}, {64, 137}, {-64, 64}, {192, 9}, {256, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("band %+v was accepted", c)
				}
			}()
			g.Add(c.lo, band(c.n))
		}()
	}
	g.Add(192, band(8))
	g.Add(64, band(136))
}

// TestAddAllocatesNothing: frames come by the hundred thousand.
func TestAddAllocatesNothing(t *testing.T) {
	const pixels = 4096
	r := rand.New(rand.NewPCG(9, 9))
	px, lo, hi := run(r, pixels, 20)
	gated := NewGated(pixels, Params{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}, lo, hi)
	open := NewGated(pixels, Params{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}, nil, nil)
	maxima, gain := NewMax(pixels, 0x3fff), NewGain(pixels, 0xc000, 0, 0x8000)
	for name, add := range map[string]func(){
		"gated": func() { gated.Add(0, px) }, "open": func() { open.Add(0, px) },
		"max": func() { maxima.Add(0, px) }, "gain": func() { gain.Add(0, px) }, "both": func() { gated.AddGain(gain, 0, px) },
	} {
		if n := testing.AllocsPerRun(5, add); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestEveryFrameIsVisitedOnceAndInOrder wants every frame once and in order, a few at a time for several accumulators.
func TestEveryFrameIsVisitedOnceAndInOrder(t *testing.T) {
	for _, n := range []int{0, 1, 16, 17, 100} {
		frames := make([][]uint16, n)
		for k := range frames {
			frames[k] = []uint16{uint16(k)}
		}
		for accumulators := range 4 {
			next, calls := 0, 0
			Parts(accumulators, frames, func(first int, part [][]uint16) {
				calls++
				if first != next || accumulators > 1 && len(part) > group {
					t.Fatalf("%d accumulators: %d frames from %d on, wanted from %d", accumulators, len(part), first, next)
				}
				for _, f := range part {
					if int(f[0]) != next {
						t.Fatalf("%d accumulators: frame %d, wanted %d", accumulators, f[0], next)
					}
					next++
				}
			})
			if next != n || accumulators < 2 && calls > 1 {
				t.Errorf("%d accumulators: %d of %d frames in %d calls", accumulators, next, n, calls)
			}
		}
	}
}

// TestAddGainIsBoth wants one pass to count what two do, for bands of all widths and words of which few, some or
// most have other gain bits.
func TestAddGainIsBoth(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, pixels := range []int{1, 31, 64, 95, 333, 20000} {
		for _, rare := range []int{1, 2, 500, 100000} {
			n := 1 + r.IntN(40)
			px, lo, hi := run(r, pixels, n)
			for _, f := range px {
				for i := range f {
					if f[i] &= 0x3fff; r.IntN(rare) > 0 {
						f[i] |= 0x4000
					} else {
						f[i] |= uint16(r.IntN(4)) << 14
					}
				}
			}
			for _, p := range allParams {
				for _, open := range []bool{false, true} {
					if open {
						lo, hi = nil, nil
					}
					g1, g2 := NewGated(pixels, p, lo, hi), NewGated(pixels, p, lo, hi)
					n1, n2 := NewGain(pixels, 0xc000, 0x4000, 0x8000), NewGain(pixels, 0xc000, 0x4000, 0x8000)
					g1.Add(0, px)
					n1.Add(0, px)
					at := r.IntN(pixels/Grain+1) * Grain
					for _, b := range [][2]int{{at, pixels}, {0, at}} {
						band := make([][]uint16, n)
						for k := range band {
							band[k] = px[k][b[0]:b[1]]
						}
						if b[0] < b[1] {
							g2.AddGain(n2, b[0], band)
						}
					}
					what := fmt.Sprintf("%d pixels, %d frames, one in %d, %+v, open %v", pixels, n, rare, p, open)
					equal(t, what, g2.Planes(), g1.Planes())
					odd1, never1 := n1.Planes()
					odd2, never2 := n2.Planes()
					if !slices.Equal(odd1, odd2) || !slices.Equal(never1, never2) {
						t.Fatalf("%s: gain bits differ", what)
					}
				}
			}
		}
	}
}
