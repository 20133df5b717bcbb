package task

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
)

// TestBlankAndStuckFramesAreFoundInAnyCut passes frames in any cut to blanks and wants what whole frames say: which are all zeros, how many are
// equal to the one before, and that every other word is counted once.
func TestBlankAndStuckFramesAreFoundInAnyCut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		pixels, n, keep := 1+r.IntN(400), 1+r.IntN(20), r.IntN(4) == 0
		frames := make([][]uint16, n+1)
		for k := range frames {
			frames[k] = make([]uint16, pixels)
			for i := range frames[k] {
				switch {
				case r.IntN(2) == 0 && k > 0 && i%64 != 0:
					frames[k][i] = frames[k-1][i]
				case i/64%2 == 0:
					frames[k][i] = uint16(r.IntN(2))
				}
			}
			if k > 0 && r.IntN(4) == 0 {
				copy(frames[k], frames[k-1])
			}
			if r.IntN(5) == 0 {
				clear(frames[k])
			}
		}
		before := frames[0]
		if r.IntN(2) == 0 {
			before = nil
		}
		stuck, lost := 0, map[int]bool{}
		for k, f := range frames[1:] {
			zero := slices.Max(f) == 0 && !keep
			if zero {
				lost[k] = true
			} else if slices.Equal(f, frames[k]) && (k > 0 || before != nil) {
				stuck++
			}
		}
		b := newBlanks(pixels, n, keep, before)
		var mu sync.Mutex
		counted := make([][]int, n)
		for k := range counted {
			counted[k] = make([]int, pixels)
		}
		count := func(lo, first int, part [][]uint16) {
			mu.Lock()
			defer mu.Unlock()
			for i, f := range part {
				for j, v := range f {
					if v != frames[1+first+i][lo+j] {
						t.Fatalf("frame %d pixel %d: counted %d", first+i, lo+j, v)
					}
					counted[first+i][lo+j]++
				}
			}
		}
		size := 64 * (1 + r.IntN(3))
		var group sync.WaitGroup
		for lo := 0; lo < pixels; lo += size {
			cuts := []int{0}
			for cuts[len(cuts)-1] < n {
				cuts = append(cuts, min(n, cuts[len(cuts)-1]+1+r.IntN(8)))
			}
			last := make([]uint16, min(size, pixels-lo))
			group.Go(func() {
				for i := range len(cuts) - 1 {
					var part [][]uint16
					for _, f := range frames[1+cuts[i] : 1+cuts[i+1]] {
						part = append(part, f[lo:min(lo+size, pixels)])
					}
					zero := slices.ContainsFunc(part, func(f []uint16) bool { return slices.Max(f) == 0 }) && !keep
					if held := b.add(last, lo, cuts[i], part, count); held != zero {
						t.Errorf("bands of zeros are put off: %v, wanted %v", held, zero)
					}
				}
			})
		}
		group.Wait()
		gotLost, gotStuck := b.finish(count)
		if !reflect.DeepEqual(gotLost, lost) || gotStuck != stuck {
			t.Fatalf("%d frames of %d pixels: lost %v and %d stuck, wanted %v and %d", n, pixels, gotLost, gotStuck, lost, stuck)
		}
		for k := range counted {
			want := 1
			if lost[k] {
				want = 0
			}
			if slices.Min(counted[k]) != want || slices.Max(counted[k]) != want {
				t.Fatalf("frame %d: words are counted %v times, wanted %d", k, counted[k], want)
			}
		}
	}
}
