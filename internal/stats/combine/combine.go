package combine

import (
	"fmt"
	"math"
	"math/bits"

	"rawstatus/internal/stats/status"
)

// Source is one status array.
type Source struct {
	Name   string
	Status status.Sparse
	Bits   uint64 // bits that are used, beside the unjudged ones; AllBits uses all
	Mask   bool   // made by a person
}

// AllBits selects every bit of a Source.
const AllBits = ^uint64(0)

// Rule says in how many sources a pixel must have a bit. The zero Rule is OR: one is enough.
//
// With AtLeast or Fraction the sources are taken as repeated measurements. A bit stays when at least
// AtLeast and at least Fraction of the voting sources have it; when fewer than AtLeast vote, all of them
// must. AND is Fraction 1.
type Rule struct {
	AtLeast  int
	Fraction float64
	Unjudged uint64 // the bits of pixels that were not judged (status.NotJudged)
	Sticky   uint64 // those of them that hold although another source has judged the pixel
}

// Validate says what is wrong with r for n sources, in words for the user.
func (r Rule) Validate(n int) error {
	switch {
	case r.AtLeast < 0 || r.AtLeast > n:
		return fmt.Errorf("bits wanted in at least %d of %d sources", r.AtLeast, n)
	case !(r.Fraction >= 0 && r.Fraction <= 1):
		return fmt.Errorf("bits wanted in the fraction %v of the sources: wanted 0..1", r.Fraction)
	}
	return nil
}

// need returns the number of votes of n that set a bit. The product is taken down by a billionth so that
// 0.1 of 30 is 3, whatever the last digit of 0.1*30.
func (r Rule) need(n int) int {
	return min(max(1, r.AtLeast, int(math.Ceil(float64(r.Fraction*float64(n))-1e-9))), n)
}

// Result is a merged status.
type Result struct {
	Status status.Sparse
	Table  []Row
}

// Row is one bit of the per-bit source table.
type Row struct {
	Value  uint64
	Counts []int // pixels with this bit, by source
	Alone  []int // pixels of these that have it from no other source
	Merged int   // pixels with this bit in the result
}

// Merge combines the sources by the rule. All have the same length; the order of sources changes nothing
// but the order of the table's columns. The result of one source of which all bits are used is its status itself.
func Merge(sources []Source, rule Rule) (*Result, error) {
	if len(sources) == 0 {
		return nil, fmt.Errorf("no status arrays to merge")
	}
	if err := rule.Validate(len(sources)); err != nil {
		return nil, err
	}
	n := sources[0].Status.Pixels
	for _, s := range sources {
		if s.Status.Pixels != n {
			return nil, fmt.Errorf("%s has %d pixels, %s has %d", s.Name, s.Status.Pixels, sources[0].Name, n)
		}
	}
	res := &Result{Status: status.Sparse{Pixels: n}}
	whole := len(sources) == 1 && sources[0].Bits == AllBits
	if whole {
		res.Status = sources[0].Status // whatever the rule
	}
	words := make([]uint64, len(sources))
	next := make([]int, len(sources))
	t := newTally(len(sources))
	for at := nextAt(sources, next); int(at) < n; at = nextAt(sources, next) {
		any := uint64(0)
		for j, s := range sources {
			words[j] = 0
			if k := next[j]; k < len(s.Status.At) && s.Status.At[k] == at {
				words[j] = s.Status.Words[k] & (s.Bits | rule.Unjudged)
				next[j]++
			}
			any |= words[j]
		}
		if any == 0 {
			continue
		}
		merged := rule.merge(sources, words)
		t.count(words, merged)
		if merged != 0 && !whole {
			res.Status.At, res.Status.Words = append(res.Status.At, at), append(res.Status.Words, merged)
		}
	}
	res.Table = t.rows()
	return res, nil
}

// nextAt returns the first pixel that any source has next, beyond all pixels at the end.
func nextAt(sources []Source, next []int) uint32 {
	first := uint32(math.MaxUint32)
	for j, s := range sources {
		if next[j] < len(s.Status.At) {
			first = min(first, s.Status.At[next[j]])
		}
	}
	return first
}

// merge combines the words of one pixel.
func (r Rule) merge(sources []Source, words []uint64) uint64 {
	var judged, unjudged, masks uint64
	voters := 0
	for j, w := range words {
		switch {
		case sources[j].Mask:
			masks |= w
		case w&r.Unjudged != 0:
			unjudged |= w
		default:
			judged |= w
			voters++
		}
	}
	if voters == 0 {
		return unjudged | masks
	}
	return r.elect(sources, words, judged, voters) | unjudged&r.Sticky | masks
}

// elect returns those of the bits that enough of the voters have.
func (r Rule) elect(sources []Source, words []uint64, of uint64, voters int) uint64 {
	need := r.need(voters)
	if need == 1 {
		return of
	}
	var elected uint64
	for rest := of; rest != 0; rest &= rest - 1 {
		bit, votes := rest&-rest, 0
		for j, w := range words {
			if !sources[j].Mask && w&r.Unjudged == 0 && w&bit != 0 {
				votes++
			}
		}
		if votes >= need {
			elected |= bit
		}
	}
	return elected
}

// tally counts bits by source.
type tally struct {
	sources int
	byBit   [64]Row
}

func newTally(sources int) *tally {
	return &tally{sources: sources}
}

func (t *tally) count(words []uint64, merged uint64) {
	all := merged
	for _, w := range words {
		all |= w
	}
	for ; all != 0; all &= all - 1 {
		bit := all & -all
		row := t.row(bit)
		if merged&bit != 0 {
			row.Merged++
		}
		from, which := 0, 0
		for j, w := range words {
			if w&bit != 0 {
				row.Counts[j]++
				from, which = from+1, j
			}
		}
		if from == 1 {
			row.Alone[which]++
		}
	}
}

func (t *tally) row(bit uint64) *Row {
	r := &t.byBit[bits.TrailingZeros64(bit)]
	if r.Counts == nil {
		*r = Row{Value: bit, Counts: make([]int, t.sources), Alone: make([]int, t.sources)}
	}
	return r
}

// rows returns the bits that occur, by value.
func (t *tally) rows() []Row {
	var rows []Row
	for _, r := range t.byBit {
		if r.Counts != nil {
			rows = append(rows, r)
		}
	}
	return rows
}
