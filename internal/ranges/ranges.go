package ranges

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Range is the numbers from First to Last, both included.
type Range struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// List is some ranges in the order in which they were written.
type List []Range

// One returns the list of a single number.
func One(n int) List { return List{{n, n}} }

// mostNumbers bounds a range, so that a slip of the keyboard makes no endless list.
const mostNumbers = 1 << 20

// Parse reads numbers and ranges between commas, each from least to most. An empty text is an empty list.
func Parse(text string, least, most int) (List, error) {
	if text == "" {
		return nil, nil
	}
	var list List
	for _, part := range strings.Split(text, ",") {
		from, to := part, part
		if i := strings.Index(part[min(1, len(part)):], "-"); i >= 0 { // a sign is no dash
			from, to = part[:i+1], part[i+2:]
		}
		r, err := Range{}, error(nil)
		if r.First, err = strconv.Atoi(from); err != nil {
			return nil, fmt.Errorf("%q is not a number", from)
		}
		if r.Last, err = strconv.Atoi(to); err != nil {
			return nil, fmt.Errorf("%q is not a number", to)
		}
		if r.First < least || r.Last < r.First || r.Last > most || r.Last-r.First >= mostNumbers {
			return nil, fmt.Errorf("%q is no number or range from %s", part, span(least, most))
		}
		list = append(list, r)
	}
	return list, nil
}

func span(least, most int) string {
	if most > mostNumbers {
		return fmt.Sprintf("%d on", least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// Of returns the numbers as ascending ranges, each number once.
func Of(numbers []int) (list List) {
	for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		if k := len(list) - 1; k >= 0 && list[k].Last == n-1 {
			list[k].Last = n
		} else {
			list = append(list, Range{n, n})
		}
	}
	return list
}

// Has reports whether a number is in one of the ranges.
func (l List) Has(n int) bool {
	return slices.ContainsFunc(l, func(r Range) bool { return r.First <= n && n <= r.Last })
}

// Numbers returns all numbers in the order of the list.
func (l List) Numbers() (out []int) {
	for _, r := range l {
		for n := r.First; n <= r.Last; n++ {
			out = append(out, n)
		}
	}
	return out
}

// String returns the list as Parse reads it.
func (l List) String() string {
	parts := make([]string, len(l))
	for i, r := range l {
		if parts[i] = strconv.Itoa(r.First); r.Last != r.First {
			parts[i] += "-" + strconv.Itoa(r.Last)
		}
	}
	return strings.Join(parts, ",")
}
