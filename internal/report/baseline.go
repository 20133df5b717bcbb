package report

// Deployed returns the words of one panel in one gain mode out of an array as analysis uses it, in one of the
// shapes (rows, cols), (panels, rows, cols), (gains, panels, rows, cols) and, where panels are last,
// (rows, cols, panels). nil: the array has no such plane.
func Deployed(shape []int, values []uint64, gain, panel, rows, cols int, panelsLast bool) []uint64 {
	n := rows * cols
	total := 1
	for _, d := range shape {
		total *= d
	}
	if len(values) != total || gain < 0 || panel < 0 {
		return nil
	}
	if panelsLast && len(shape) == 3 && shape[0] == rows && shape[1] == cols && panel < shape[2] {
		out := make([]uint64, n)
		for i := range out {
			out[i] = values[i*shape[2]+panel]
		}
		return out
	}
	if k := len(shape); k < 2 || k > 4 || shape[k-2] != rows || shape[k-1] != cols {
		return nil
	}
	switch {
	case len(shape) == 2 && gain == 0 && panel == 0:
		return values
	case len(shape) == 3 && gain == 0 && panel < shape[0]:
		return values[panel*n : (panel+1)*n]
	case len(shape) == 4 && gain < shape[0] && panel < shape[1]:
		at := (gain*shape[1] + panel) * n
		return values[at : at+n]
	}
	return nil
}
