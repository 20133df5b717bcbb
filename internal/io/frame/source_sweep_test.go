package frame

import (
	"fmt"
	"testing"
)

// TestCut: superblocks have many frames, lanes stay together where that costs nothing, memory is kept.
func TestCut(t *testing.T) {
	lanes := func(n, pixels int) (l []Lane) {
		for range n {
			l = append(l, Lane{Panel: Panel{Rows: 1, Cols: pixels}})
		}
		return l
	}
	for _, c := range []struct {
		lanes  []Lane
		bytes  int64
		held   int
		groups string
		frames int
	}{
		{lanes(2, 512<<10), 512 << 20, 2, "[[0 1]]", 128},
		{lanes(3, 512<<10), 512 << 20, 2, "[[0 1] [2]]", 128},
		{lanes(3, 1<<20), 384 << 20, 3, "[[0] [1] [2]]", 64},
		{lanes(10, 128<<10), 96 << 20, 3, "[[0 1 2 3 4 5 6 7] [8 9]]", 16}, // a read is of 2 MiB, if an event has so much
		{lanes(1, 64<<10), 512 << 20, 2, "[[0]]", 512},
		{lanes(2, 4<<20), 1 << 20, 2, "[[0] [1]]", 1},
		{lanes(2, 0), 1 << 20, 3, "[[0 1]]", 512},
		{nil, 1 << 20, 2, "[]", 512},
	} {
		if got := cut(c.lanes, c.bytes, c.held); fmt.Sprint(got.groups) != c.groups || got.frames != c.frames {
			t.Errorf("%d lanes of %d: %v of %d frames, want %s of %d", len(c.lanes), c.bytes, got.groups, got.frames, c.groups, c.frames)
		}
	}
}
