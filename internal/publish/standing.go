package publish

import (
	"context"
	"fmt"
	"slices"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/stats/status"
)

// Reader lists and reads the constants of one type that are deployed for a detector.
type Reader interface {
	Items(ctx context.Context) (items []calib.Item, notes []string, err error)
	Read(ctx context.Context, item calib.Item) (array *calib.Array, content string, err error)
	// Shape returns the shape of an item's array, whatever its words are.
	Shape(ctx context.Context, item calib.Item) ([]int, error)
}

// Standing holds the constants that analysis uses together with a status_extra: the pixel_status in force, whose mask is
// combined with ours and whose array must have the same size.
type Standing struct {
	Shape []int    // that arrays for the run must have; nil: nothing in force has one
	From  string   // whose shape it is
	Notes []string // what could not be read

	status Reader
	items  []calib.Item
	masks  map[string]*flags // of pixel_status, by name
}

// LookUp finds what is in force for a run beside status_extra. open returns the constants of another type in
// the same destination.
func LookUp(ctx context.Context, open func(ctype string) (Reader, error), run int) (*Standing, error) {
	s := &Standing{masks: map[string]*flags{}}
	for _, ctype := range []string{"pixel_status", "pedestals"} {
		r, err := open(ctype)
		if err != nil {
			return nil, err
		}
		items, _, err := r.Items(ctx)
		if err != nil {
			return nil, fmt.Errorf("could not see which %s is in force: %w", ctype, err)
		}
		if ctype == "pixel_status" {
			s.status, s.items = r, items
		}
		i := calib.Pick(items, run)
		if i < 0 || s.Shape != nil {
			continue
		}
		shape, err := r.Shape(ctx, items[i])
		if err != nil {
			s.Notes = append(s.Notes, fmt.Sprintf("the %s in force for run %d cannot be read: %v", ctype, run, err))
			continue
		}
		s.Shape, s.From = shape, fmt.Sprintf("%s %s, in force for run %d", ctype, items[i].Name, run)
	}
	return s, nil
}

// pixelStatus returns the name of the pixel_status in force for a run; empty: none.
func (s *Standing) pixelStatus(run int) string {
	if s == nil {
		return ""
	}
	if i := calib.Pick(s.items, run); i >= 0 {
		return s.items[i].Name
	}
	return ""
}

// mask returns what a pixel_status masks; nil where there is none, or it cannot be read, which is noted.
func (s *Standing) mask(ctx context.Context, name string, planes int) *flags {
	if name == "" {
		return nil
	}
	if f, known := s.masks[name]; known {
		return f
	}
	i := slices.IndexFunc(s.items, func(x calib.Item) bool { return x.Name == name })
	a, _, err := s.status.Read(ctx, s.items[i])
	if err != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("pixel_status %s cannot be read, so it is left out of the counts: %v", name, err))
		s.masks[name] = nil
		return nil
	}
	s.masks[name] = flagsOf(a, planes)
	return s.masks[name]
}

// edges returns the runs at which another pixel_status comes into force.
func (s *Standing) edges() (runs []int) {
	if s == nil {
		return nil
	}
	for _, x := range s.items {
		runs = append(runs, x.Range.Begin, x.Range.End+1)
	}
	return runs
}

// usedPlanes is how many gain modes psana1 (indexes) and psana2 (gain_range_inds) combine by default.
const usedPlanes = 5

// flags is a mask as analysis makes it from a status array: a pixel is bad when it is bad in any of the
// first five gain modes.
type flags struct {
	shape []int
	size  int           // of the array in words
	bad   status.Sparse // by pixel of the detector, without gain modes: 1, or status.NotJudged
}

// flagsOf combines the planes of an array of so many gain modes.
func flagsOf(a *calib.Array, planes int) *flags {
	f := &flags{shape: a.Shape, size: a.Words.Pixels}
	if planes < 1 || f.size%planes != 0 {
		planes = 1
	}
	pixels := f.size / planes
	f.bad.Pixels = pixels
	list := a.Words
	for plane := range min(planes, usedPlanes) {
		n, _ := slices.BinarySearch(list.At, uint32((plane+1)*pixels))
		one := status.Sparse{Pixels: pixels, At: make([]uint32, n), Words: make([]uint64, n)}
		for i, at := range list.At[:n] {
			one.At[i], one.Words[i] = at-uint32(plane*pixels), 1|list.Words[i]&status.NotJudged
		}
		f.bad = or(f.bad, one)
		list.At, list.Words = list.At[n:], list.Words[n:]
	}
	return f
}

// with returns what is bad by either of two masks of arrays of the same size; nothing is by no mask.
func (f *flags) with(o *flags, pixels int) status.Sparse {
	switch {
	case f == nil && o == nil:
		return status.Sparse{Pixels: pixels}
	case f == nil:
		return o.bad
	case o == nil:
		return f.bad
	}
	return or(f.bad, o.bad)
}

// or returns the words of two lists of the same pixels together.
func or(a, b status.Sparse) status.Sparse {
	both, err := a.Or(b)
	if err != nil {
		panic("publish: " + err.Error())
	}
	return both
}

// fits reports whether a mask is of arrays of the same size; no mask always is.
func (f *flags) fits(size int) bool { return f == nil || f.size == size }
