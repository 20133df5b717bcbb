package campaign

import (
	"cmp"
	"slices"
)

// Piece is the work of one array element for one item: some tasks, then, if that completes the item, its reduction.
type Piece struct {
	Key   string `json:"item"`
	Plan  string `json:"plan"`  // the plan that the tasks are of
	Tasks []int  `json:"tasks"` // ascending; none: the reduction alone
	Bytes int64  `json:"bytes"` // of raw data
	// Deploy is the id of the deployment that the piece makes of the item's results, instead of tasks.
	Deploy string `json:"deploy,omitempty"`
}

const (
	// elementBytes is the raw data of an element where there is enough for many.
	elementBytes = 16 << 30
	// fewElements is how many elements small campaigns are spread over, as far as they have pieces.
	fewElements = 8
)

// cut splits the tasks of an item into pieces like empty, of at most about elementBytes.
func cut(empty Piece, tasks []int, bytes func(task int) int64) []Piece {
	if len(tasks) == 0 {
		return []Piece{empty}
	}
	var pieces []Piece
	for _, t := range tasks {
		b := bytes(t)
		if n := len(pieces); n == 0 || pieces[n-1].Bytes+b > elementBytes {
			pieces = append(pieces, empty)
		}
		last := &pieces[len(pieces)-1]
		last.Tasks, last.Bytes = append(last.Tasks, t), last.Bytes+b
	}
	return pieces
}

// pack deals pieces to at most so many elements, the largest first, each to the element with the least to do. It returns
// back what does not fit into elements of a reasonable size; that is for a later wave. Same input, same result.
func pack(pieces []Piece, budget int) (elements [][]Piece, later []Piece) {
	if len(pieces) == 0 || budget <= 0 {
		return nil, pieces
	}
	var total int64
	for _, p := range pieces {
		total += p.Bytes
	}
	n := min(budget, len(pieces), max(fewElements, int((total+elementBytes-1)/elementBytes)))
	order := slices.Clone(pieces)
	slices.SortStableFunc(order, func(a, b Piece) int { return cmp.Compare(b.Bytes, a.Bytes) })
	elements = make([][]Piece, n)
	load := make([]int64, n)
	for _, p := range order {
		least := 0
		for i := range load {
			// By bytes, then by number: pieces without data, too, are spread.
			if load[i] < load[least] || load[i] == load[least] && len(elements[i]) < len(elements[least]) {
				least = i
			}
		}
		if load[least] > 0 && load[least]+p.Bytes > 2*elementBytes {
			later = append(later, p)
			continue
		}
		elements[least], load[least] = append(elements[least], p), load[least]+p.Bytes
	}
	return elements, later
}
