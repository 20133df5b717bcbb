package status

import (
	"fmt"
	"slices"
	"strings"
)

// Differences are a Diff as a table, for files and people.
type Differences struct {
	Pixels int `json:"pixels"`
	Turned
	Bits []BitDiff `json:"bits"` // those that any pixel has, before or after
}

// BitDiff counts the pixels that have gained, lost and kept a bit.
type BitDiff struct {
	Value  uint64 `json:"value"`
	Name   string `json:"name"`
	Gained int    `json:"gained"`
	Lost   int    `json:"lost"`
	Kept   int    `json:"kept"`
}

// Table names the bits of a difference after their family.
func (d *Diff) Table(f Family) Differences {
	t := Differences{Pixels: d.Pixels, Turned: d.Turned}
	for i := range d.Gained {
		if d.Gained[i]+d.Lost[i]+d.Kept[i] > 0 {
			t.Bits = append(t.Bits, BitDiff{1 << i, Names(f, 1<<i), d.Gained[i], d.Lost[i], d.Kept[i]})
		}
	}
	return t
}

// Same reports whether no pixel's word differs.
func (t Differences) Same() bool {
	for _, b := range t.Bits {
		if b.Gained+b.Lost > 0 {
			return false
		}
	}
	return true
}

// Add puts the differences of other pixels to these.
func (t *Differences) Add(o Differences) {
	t.Pixels += o.Pixels
	t.Sum(o.Turned)
	for _, b := range o.Bits {
		at := 0
		for at < len(t.Bits) && (t.Bits[at].Value < b.Value || t.Bits[at].Value == b.Value && t.Bits[at].Name < b.Name) {
			at++
		}
		if at == len(t.Bits) || t.Bits[at].Value != b.Value || t.Bits[at].Name != b.Name {
			t.Bits = slices.Insert(t.Bits, at, BitDiff{Value: b.Value, Name: b.Name})
		}
		t.Bits[at].Gained += b.Gained
		t.Bits[at].Lost += b.Lost
		t.Bits[at].Kept += b.Kept
	}
}

// String returns a line of numbers and a table of bits.
func (t Differences) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d newly bad, %d newly good of %d pixels\n", t.NewlyBad, t.NewlyGood, t.Pixels)
	if len(t.Bits) > 0 {
		fmt.Fprintf(&b, "%8s  %-12s %10s %10s %10s\n", "bit", "name", "gained", "lost", "kept")
	}
	for _, x := range t.Bits {
		fmt.Fprintf(&b, "%8d  %-12s %10d %10d %10d\n", x.Value, x.Name, x.Gained, x.Lost, x.Kept)
	}
	return b.String()
}
