package charge

import "slices"

// Every returns the pixels of every space-th row and column from row and col on, ascending.
func Every(rows, cols, row, col, space int) []uint32 {
	var out []uint32
	for r := row; r < rows; r += space {
		for c := col; c < cols; c += space {
			out = append(out, uint32(r*cols+c))
		}
	}
	return out
}

// FromBits returns the pixels whose bit is set, the first in the lowest bit.
func FromBits(bits []byte, pixels int) []uint32 {
	var out []uint32
	for i := range min(pixels, 8*len(bits)) {
		if bits[i/8]>>(i%8)&1 != 0 {
			out = append(out, uint32(i))
		}
	}
	return out
}

// TurnTop returns the pixels with both quadrants of the upper half turned by 180 degrees.
func TurnTop(pixels []uint32, rows, cols int) []uint32 {
	var out []uint32
	for _, at := range pixels {
		r, c := int(at)/cols, int(at)%cols
		if half := cols / 2; r < rows/2 {
			r = rows/2 - 1 - r
			if c < half {
				c = half - 1 - c
			} else {
				c = cols - 1 - (c - half)
			}
		}
		out = append(out, uint32(r*cols+c))
	}
	slices.Sort(out)
	return out
}

// Answers reports for each of n pixels whether its gain bit is set in some of the frames and not in others.
func Answers(frames [][]uint16, n int, gainBit uint16) []bool {
	out := make([]bool, n)
	if len(frames) == 0 {
		return out
	}
	seen := make([]uint16, n)
	for _, f := range frames {
		for i, w := range f {
			seen[i] |= w ^ frames[0][i]
		}
	}
	for i, s := range seen {
		out[i] = s&gainBit != 0
	}
	return out
}

// Answering returns how many thousandths of the pixels, and of all others, answer.
func Answering(pixels []uint32, answers []bool) (inside, others int) {
	in, all := 0, 0
	for _, yes := range answers {
		if yes {
			all++
		}
	}
	for _, at := range pixels {
		if answers[at] {
			in++
		}
	}
	share := func(n, of int) int {
		if of == 0 {
			return 0
		}
		return 1000 * n / of
	}
	return share(in, len(pixels)), share(all-in, len(answers)-len(pixels))
}
