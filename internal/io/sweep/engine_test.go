package sweep

import (
	"fmt"
	"testing"

	"rawstatus/internal/io/frame"
)

// TestSuperblocksHaveManyFramesOfLanesTogether: superblocks have many frames, and lanes stay together where that costs nothing.
func TestSuperblocksHaveManyFramesOfLanesTogether(t *testing.T) {
	for _, c := range []struct {
		lanes, pixels, lead int
		budget              int64
		groups              string
	}{
		{2, 512 << 10, 0, 256 << 20, "[[0 1]]"},
		{3, 512 << 10, 0, 256 << 20, "[[0 1] [2]]"},
		{3, 512 << 10, 200, 256 << 20, "[[0] [1] [2]]"},
		{3, 1 << 20, 0, 128 << 20, "[[0] [1] [2]]"},
		{10, 128 << 10, 0, 32 << 20, "[[0 1 2 3 4 5 6 7] [8 9]]"}, // a read is of 2 MiB, if an event has so much
		{1, 64 << 10, 0, 256 << 20, "[[0]]"},
		{2, 4 << 20, 0, 1 << 19, "[[0] [1]]"},
		{2, 0, 0, 1 << 20, "[[0 1]]"},
		{0, 0, 0, 1 << 20, "[]"},
	} {
		r := run{sw: Sweep{Lead: c.lead}}
		for range c.lanes {
			r.lanes = append(r.lanes, lane{Lane: Lane{Panel: frame.Panel{Rows: 1, Cols: c.pixels}}, hull: Span{0, c.pixels}})
		}
		if got := r.groups(c.budget); fmt.Sprint(got) != c.groups {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
