package task

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/plane"
)

// TestTilesOfAnyCutAreThePlanes passes frames to a counter in bands and batches of any size, from several goroutines, with
// frames of zeros among them, and wants the planes of the whole panel counted at once. Its memory is used again.
func TestTilesOfAnyCutAreThePlanes(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 2))
	memory := &room{}
	defer memory.pool.Free()
	for range 30 {
		pixels, n := 1+r.IntN(3*plan.TilePixels), r.IntN(40)
		frames, lost := make([][]uint16, n), make([]bool, n)
		var used [][]uint16
		for k := range frames {
			frames[k] = make([]uint16, pixels)
			lost[k] = r.IntN(20) == 0
			from := 0
			if r.IntN(4) == 0 {
				from = r.IntN(pixels) // zeros before
			}
			for i := from; i < pixels && !lost[k]; i++ {
				frames[k][i] = uint16(1 + 1000 + i%700 + r.IntN(50) + r.IntN(2)<<14*r.IntN(2))
			}
			if !lost[k] {
				used = append(used, frames[k])
			}
		}
		sums := accum.Params{DataBits: 0x3fff, LoBelow: 1, HiAbove: 16000}
		c := &counter{params: plan.Params{Profile: plan.ProfileData}, pixels: pixels, frames: n, sums: &sums, gain: &gainBits{0xc000, 0, 0x8000}, room: memory,
			blanks: newBlanks(pixels, n, false, nil), out: plan.NewTileWriter("", pixels, &memory.pool)}
		tiles := (pixels + plan.TilePixels - 1) / plan.TilePixels
		c.cells, c.done = make([]*cell, tiles), make([]bool, tiles)
		var group sync.WaitGroup
		for from := 0; from < pixels; {
			lo, hi := from, min(pixels, from+64*(1+r.IntN(200)))
			batch := 1 + r.IntN(20)
			group.Go(func() {
				for first := 0; first < n; first += batch {
					var part [][]uint16
					for _, f := range frames[first:min(n, first+batch)] {
						part = append(part, f[lo:hi])
					}
					if err := c.add(lo, first, part); err != nil {
						t.Error(err)
					}
				}
			})
			from = hi
		}
		group.Wait()
		got, err := c.finish()
		if err != nil {
			t.Fatal(err)
		}
		if got.Frames != uint64(len(used)) || got.Zeros != uint64(n-len(used)) {
			t.Fatalf("%d frames and %d of zeros, wanted %d and %d", got.Frames, got.Zeros, len(used), n-len(used))
		}
		if a, b := stored(t, c.out.AddTo), stored(t, func(w *pack.Writer) error { return plan.AddPlanes(w, "", got.Frames, atOnce(pixels, sums, used)) }); !bytes.Equal(a, b) {
			t.Fatalf("%d pixels, %d frames, lost %v: tiles differ from whole planes", pixels, n, lost)
		}
		c.drop()
	}
}

// atOnce counts whole frames.
func atOnce(pixels int, p accum.Params, frames [][]uint16) *plane.Set {
	sums, gain := accum.NewGated(pixels, p, nil, nil), accum.NewGain(pixels, 0xc000, 0, 0x8000)
	sums.Add(0, frames)
	gain.Add(0, frames)
	a := sums.Planes()
	odd, never := gain.Planes()
	return &plane.Set{Frames: uint64(len(frames)), Planes: []plane.Plane{{Name: plane.Sum1, Op: plane.Sum, Data: a.Sum1}, {Name: plane.Sum2, Op: plane.Sum, Data: a.Sum2},
		{Name: plane.NLo, Op: plane.Sum, Data: a.NLo}, {Name: plane.NHi, Op: plane.Sum, Data: a.NHi}, {Name: plane.MinValue, Op: plane.Min, Data: a.Min},
		{Name: plane.MaxValue, Op: plane.Max, Data: a.Max}, {Name: plane.GainOdd, Op: plane.Sum, Data: odd}, {Name: plane.GainNever, Op: plane.Sum, Data: never}}}
}

// stored returns the bytes of a pack.
func stored(t *testing.T, add func(*pack.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pack.NewWriter(&b, "test")
	if err == nil {
		err = add(w)
	}
	if err == nil {
		err = w.Finish(struct{}{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
