package status

import (
	"fmt"
	"math/bits"
)

// Turned counts the pixels that turned bad, and those that turned good.
type Turned struct {
	NewlyBad  int `json:"newly_bad"`  // good before, bad now
	NewlyGood int `json:"newly_good"` // bad before, good now
}

// Count takes one pixel: was and is say whether it was bad before and is bad now.
func (t *Turned) Count(was, is bool) {
	switch {
	case !was && is:
		t.NewlyBad++
	case was && !is:
		t.NewlyGood++
	}
}

// Sum adds the counts of other pixels.
func (t *Turned) Sum(o Turned) {
	t.NewlyBad += o.NewlyBad
	t.NewlyGood += o.NewlyGood
}

// Diff says how a status array differs from an earlier one of the same pixels.
type Diff struct {
	Pixels int
	Turned
	Gained, Lost, Kept [64]int
}

// Compare compares two status arrays of the same pixels. Index i of the counts is bit 1<<i.
func Compare(before, after []uint64) (Diff, error) {
	if len(before) != len(after) {
		return Diff{}, fmt.Errorf("could not compare %d pixels with %d", len(before), len(after))
	}
	d := Diff{Pixels: len(after)}
	for i, b := range before {
		d.add(b, after[i])
	}
	return d, nil
}

// add compares two words of a pixel.
func (d *Diff) add(b, a uint64) {
	d.Count(b != 0, a != 0)
	each(a&^b, &d.Gained)
	each(b&^a, &d.Lost)
	each(a&b, &d.Kept)
}

// each counts the bits of a word.
func each(word uint64, n *[64]int) {
	for ; word != 0; word &= word - 1 {
		n[bits.TrailingZeros64(word)]++
	}
}

// Add puts the differences of another array to these.
func (d *Diff) Add(o Diff) {
	d.Pixels += o.Pixels
	d.Sum(o.Turned)
	for i := range d.Gained {
		d.Gained[i] += o.Gained[i]
		d.Lost[i] += o.Lost[i]
		d.Kept[i] += o.Kept[i]
	}
}
