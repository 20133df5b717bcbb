package publish

import (
	"slices"
	"testing"
)

// TestHandmadeArraysWithPanelsLast takes an array of cspad2x2 in the order of deployed arrays, and in the other.
func TestHandmadeArraysWithPanelsLast(t *testing.T) {
	s := &Subject{Type: "cspad2x2", Panels: []Slot{{Dir: "a", Slot: 0, Rows: 2, Cols: 3}, {Dir: "b", Slot: 1, Segment: 1, Rows: 2, Cols: 3}}}
	for _, a := range []Handmade{
		{Shape: []int{2, 3, 2}, values: []uint64{1, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 16}},
		{Shape: []int{2, 2, 3}, values: []uint64{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16}},
	} {
		list, _, err := a.Planes(s, Pick{})
		if err != nil {
			t.Fatal(err)
		}
		one, _, err := a.Planes(s, Pick{Panel: "b"})
		if err != nil || len(one) != 1 || one[0].Words[0] != 11 {
			t.Errorf("one panel: %+v, %v", one, err)
		}
		if len(list) != 2 || !slices.Equal(list[0].Words, []uint64{1, 2, 3, 4, 5, 6}) || !slices.Equal(list[1].Words, []uint64{11, 12, 13, 14, 15, 16}) {
			t.Errorf("shape %v: %+v", a.Shape, list)
		}
	}
}
