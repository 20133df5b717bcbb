package export

// Picture says where the pixels of a detector lie in one picture. A geometry makes it.
type Picture struct {
	Rows, Cols int
	At         []int32 // index into the picture of each pixel of the detector, panels one after the other
}

// array holds the words in the layout of the file.
type array struct {
	shape []int
	words []uint64
	gap   []bool // nil: no gaps
}

// size returns rows and columns of a two-dimensional array.
func (a *array) size() (rows, cols int) { return a.shape[0], a.shape[1] }

// layout brings the panels into the layout of the file; flat asks for two dimensions.
func (m *Mask) layout(flat bool, pic *Picture) *array {
	n := m.Rows * m.Cols
	if pic != nil {
		a := &array{shape: []int{pic.Rows, pic.Cols}, words: make([]uint64, pic.Rows*pic.Cols), gap: make([]bool, pic.Rows*pic.Cols)}
		for i := range a.gap {
			a.gap[i] = true
		}
		for p, panel := range m.Panels {
			for i, word := range panel {
				at := pic.At[p*n+i]
				a.words[at] |= word
				a.gap[at] = false
			}
		}
		return a
	}
	a := &array{words: make([]uint64, 0, len(m.Panels)*n)}
	for _, p := range m.Panels {
		a.words = append(a.words, p...)
	}
	switch {
	case len(m.Panels) == 1:
		a.shape = []int{m.Rows, m.Cols}
	case flat:
		a.shape = []int{len(m.Panels) * m.Rows, m.Cols}
	default:
		a.shape = []int{len(m.Panels), m.Rows, m.Cols}
	}
	return a
}

// masked reports whether pixel i is not to be used: bad, or a gap.
func (a *array) masked(i int) bool { return a.words[i] != 0 || a.gap != nil && a.gap[i] }

// gaps counts the pixels that no panel covers.
func (a *array) gaps() (n int) {
	for _, g := range a.gap {
		if g {
			n++
		}
	}
	return n
}

// values makes the elements of the file: of a word's kinds, or for a gap.
func values[T uint8 | uint16 | uint32 | int32 | uint64](m *Mask, a *array, gap T, of func(word uint64, k Kind) T) []T {
	out := make([]T, len(a.words))
	known := map[uint64]T{}
	for i, word := range a.words {
		if a.gap != nil && a.gap[i] {
			out[i] = gap
			continue
		}
		v, ok := known[word]
		if !ok {
			v = of(word, m.kind(word))
			known[word] = v
		}
		out[i] = v
	}
	return out
}
