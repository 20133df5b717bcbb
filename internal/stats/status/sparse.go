package status

import (
	"fmt"
	"math/bits"
	"slices"
)

// Sparse is a status array as a list of the pixels whose word is not 0, which are few as a rule.
type Sparse struct {
	Pixels int      // of the array
	At     []uint32 // ascending
	Words  []uint64 // of these pixels
}

// SparseOf lists the pixels of an array whose word is not 0.
func SparseOf(words []uint64) Sparse {
	s := Sparse{Pixels: len(words)}
	for i := nextBad(words, 0); i < len(words); i = nextBad(words, i+1) {
		s.At, s.Words = append(s.At, uint32(i)), append(s.Words, words[i])
	}
	return s
}

// Dense returns the words of all pixels.
func (s Sparse) Dense() []uint64 {
	words := make([]uint64, s.Pixels)
	for i, at := range s.At {
		words[at] = s.Words[i]
	}
	return words
}

// nextBad returns the position of the first word from i on that is not 0, or their number.
func nextBad(words []uint64, i int) int {
	for ; i < len(words) && words[i] == 0; i++ {
		for i+8 < len(words) {
			w := words[i+1:][:8]
			if w[0]|w[1]|w[2]|w[3]|w[4]|w[5]|w[6]|w[7] != 0 {
				break
			}
			i += 8
		}
	}
	return i
}

// Count counts the bits of a word for each pixel that has it.
func (s Sparse) Count() Counts {
	c := Counts{Pixels: s.Pixels, Bad: len(s.At)}
	for _, w := range s.Words {
		for ; w != 0; w &= w - 1 {
			c.Bit[bits.TrailingZeros64(w)]++
		}
	}
	return c
}

// Word returns the word of a pixel.
func (s Sparse) Word(pixel int) uint64 {
	if i, listed := slices.BinarySearch(s.At, uint32(pixel)); listed {
		return s.Words[i]
	}
	return 0
}

// only returns what of makes of the words.
func (s Sparse) only(of func(w uint64) uint64) Sparse {
	out := Sparse{Pixels: s.Pixels}
	for i, w := range s.Words {
		if w = of(w); w != 0 {
			out.At, out.Words = append(out.At, s.At[i]), append(out.Words, w)
		}
	}
	return out
}

// Good visits the pixels whose word is 0, as ranges from lo to hi.
func (s Sparse) Good(visit func(lo, hi int)) {
	lo := 0
	for _, at := range s.At {
		if int(at) > lo {
			visit(lo, int(at))
		}
		lo = int(at) + 1
	}
	if lo < s.Pixels {
		visit(lo, s.Pixels)
	}
}

// NotJudged counts the pixels that are not judged.
func (s Sparse) NotJudged() (n int) {
	for _, w := range s.Words {
		if w&NotJudged != 0 {
			n++
		}
	}
	return n
}

// Or returns the words of two arrays of the same pixels together. The lists of s and o are not changed.
func (s Sparse) Or(o Sparse) (Sparse, error) {
	out := Sparse{Pixels: s.Pixels}
	err := s.Pairs(o, func(at uint32, a, b uint64) {
		out.At, out.Words = append(out.At, at), append(out.Words, a|b)
	})
	return out, err
}

// Compare is [Compare] of an earlier array with s.
func (s Sparse) Compare(before Sparse) (Diff, error) {
	d := Diff{Pixels: s.Pixels}
	err := before.Pairs(s, func(_ uint32, was, is uint64) { d.add(was, is) })
	return d, err
}

// Pairs visits the pixels that have a word in one of two arrays of the same pixels, in their order.
func (s Sparse) Pairs(o Sparse, visit func(at uint32, a, b uint64)) error {
	if s.Pixels != o.Pixels {
		return fmt.Errorf("could not compare %d pixels with %d", s.Pixels, o.Pixels)
	}
	s.pairs(o, visit)
	return nil
}

func (s Sparse) pairs(o Sparse, visit func(at uint32, a, b uint64)) {
	i, j := 0, 0
	for i < len(s.At) || j < len(o.At) {
		switch {
		case j == len(o.At) || i < len(s.At) && s.At[i] < o.At[j]:
			visit(s.At[i], s.Words[i], 0)
			i++
		case i == len(s.At) || o.At[j] < s.At[i]:
			visit(o.At[j], 0, o.Words[j])
			j++
		default:
			visit(s.At[i], s.Words[i], o.Words[j])
			i, j = i+1, j+1
		}
	}
}
