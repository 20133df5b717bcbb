package plan

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"rawstatus/internal/io/pack"
	"rawstatus/internal/memory"
	"rawstatus/internal/stats/plane"
)

// randomPlanes returns planes as a task makes them of some frames, with a few pixels that are like no other.
func randomPlanes(r *rand.Rand, pixels, frames int) *plane.Set {
	sum0, odd := make([]uint32, pixels), make([]uint32, pixels)
	sum1, sum2 := make([]uint64, pixels), make([]uint64, pixels)
	lo, hi := make([]uint16, pixels), make([]uint16, pixels)
	for i := range pixels {
		lo[i] = 0xffff
		pedestal, spread := 1000+r.IntN(3000), 1+r.IntN(30)
		if r.IntN(500) == 0 {
			pedestal, spread, odd[i] = r.IntN(0xffff), 1+r.IntN(0xffff), r.Uint32()
		}
		for range frames {
			y := uint16(pedestal + r.IntN(spread))
			lo[i], hi[i] = min(lo[i], y), max(hi[i], y)
			sum0[i], sum1[i], sum2[i] = sum0[i]+1, sum1[i]+uint64(y), sum2[i]+uint64(y)*uint64(y)
		}
	}
	set := &plane.Set{Frames: uint64(frames), Planes: []plane.Plane{{Name: plane.Sum1, Op: plane.Sum, Data: sum1}, {Name: plane.Sum2, Op: plane.Sum, Data: sum2},
		{Name: plane.MinValue, Op: plane.Min, Data: lo}, {Name: plane.MaxValue, Op: plane.Max, Data: hi}, {Name: plane.GainOdd, Op: plane.Sum, Data: odd}}}
	if r.IntN(2) == 0 {
		set.Planes = append(set.Planes, plane.Plane{Name: plane.Sum0, Op: plane.Sum, Data: sum0})
	}
	return set
}

// written returns the bytes of a pack.
func written(t *testing.T, add func(*pack.Writer) error) []byte {
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

// TestTilesInAnyOrderAreThePlanes: tiles that several goroutines put in any order make the file that whole planes make, in
// memory that was used before.
func TestTilesInAnyOrderAreThePlanes(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 1))
	var pool memory.Pool
	defer pool.Free()
	for _, pixels := range []int{1, 100, TilePixels - 1, TilePixels, TilePixels + 1, 5*TilePixels + 77} {
		set := randomPlanes(r, pixels, 1+r.IntN(40))
		want := written(t, func(w *pack.Writer) error { return AddPlanes(w, "3/", set.Frames, set) })
		tiles := NewTileWriter("3/", pixels, &pool)
		order := r.Perm((pixels + TilePixels - 1) / TilePixels)
		var group sync.WaitGroup
		for half := range 2 {
			group.Go(func() {
				var room TileRoom
				for i := half; i < len(order); i += 2 {
					at := order[i] * TilePixels
					if err := tiles.Put(at, set.Part(at, min(TilePixels, pixels-at)), &room); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if got := written(t, tiles.AddTo); !bytes.Equal(got, want) {
			t.Errorf("%d pixels: tiles make another file of %d bytes than planes, of %d", pixels, len(got), len(want))
		}
		tiles.Close()
		file, err := pack.NewReader("mem", bytes.NewReader(want), int64(len(want)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := LoadPlanes(file, "3/", set.Frames, pixels)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got.Planes {
			i := slices.IndexFunc(set.Planes, func(q plane.Plane) bool { return q.Name == p.Name })
			if i < 0 || !reflect.DeepEqual(set.Planes[i], p) {
				t.Errorf("%d pixels: plane %q came back different", pixels, p.Name)
			}
		}
		if len(got.Planes) != len(set.Planes) {
			t.Errorf("%d of %d planes came back", len(got.Planes), len(set.Planes))
		}
	}
}
