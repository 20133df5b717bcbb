package calibtxt

import "slices"

// Sparse are the words of an array as a list of those that are not 0, which are few as a rule.
type Sparse struct {
	Pixels int      // of the array
	At     []uint32 // ascending
	Words  []uint64 // of these pixels
}

// SparseOf lists the words of an array that are not 0.
func SparseOf(words []uint64) Sparse {
	s := Sparse{Pixels: len(words)}
	for i := zeros(words); i < len(words); i += 1 + zeros(words[i+1:]) {
		s.At, s.Words = append(s.At, uint32(i)), append(s.Words, words[i])
	}
	return s
}

// Word returns the word at a position.
func (s Sparse) Word(i int) uint64 {
	if at, listed := slices.BinarySearch(s.At, uint32(i)); listed {
		return s.Words[at]
	}
	return 0
}

// Dense returns all words.
func (s Sparse) Dense() []uint64 {
	words := make([]uint64, s.Pixels)
	for i, at := range s.At {
		words[at] = s.Words[i]
	}
	return words
}
