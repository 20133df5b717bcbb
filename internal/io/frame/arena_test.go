package frame

import (
	"fmt"
	"testing"
)

// TestArenaKeepsOneSize wants large buffers of a size that is no longer asked for to go back to the system.
func TestArenaKeepsOneSize(t *testing.T) {
	var a arena
	held := func() (bytes int) {
		for _, mem := range a.mapped {
			bytes += len(mem)
		}
		return bytes
	}
	for _, mib := range []int{4, 64, 16, 64, 4} {
		b, err := a.get(mib << 20 / 2)
		if err != nil {
			t.Fatal(err)
		}
		b[0], b[len(b)-1] = 1, 2
		if got := held(); got != mib<<20 {
			t.Errorf("%d MiB asked, %d bytes held", mib, got)
		}
		a.put(b)
	}
	b, err := a.get(4 << 20 / 2)
	if err != nil || b[0] != 1 {
		t.Errorf("a free buffer that fits was not used: %v", err)
	}
	a.put(b)
	if err := a.drop(); err != nil || held() != 0 {
		t.Errorf("%d bytes held after drop: %v", held(), err)
	}
}

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
