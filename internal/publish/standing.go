package publish

import (
	"bytes"
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

// edges are the runs at which another pixel_status comes into force.
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
	size  int    // of the array in words
	bits  []byte // by pixel of the detector, without gain modes
}

// Bits of flags.
const (
	isBad byte = 1 << iota
	notJudged
)

// flagsOf combines the planes of an array of so many gain modes.
func flagsOf(a *calib.Array, planes int) *flags {
	f := &flags{shape: a.Shape, size: len(a.Values)}
	if planes < 1 || len(a.Values)%planes != 0 {
		planes = 1
	}
	pixels := len(a.Values) / planes
	f.bits = make([]byte, pixels)
	for plane := range min(planes, usedPlanes) {
		for i, w := range a.Values[plane*pixels : (plane+1)*pixels] {
			if w == 0 {
				continue
			}
			f.bits[i] |= isBad
			if w&status.NotJudged != 0 {
				f.bits[i] |= notJudged
			}
		}
	}
	return f
}

// clean reports whether neither of two masks has anything in n pixels, of which the first is at base and the others
// follow by step.
func clean(f, o *flags, base, step, n int) bool {
	if step != 1 {
		return false
	}
	for _, m := range []*flags{f, o} {
		if m != nil && !bytes.Equal(m.bits[base:base+n], nothing[:n]) {
			return false
		}
	}
	return true
}

// nothing are the flags of as many good pixels as are skipped at once.
var nothing [64]byte

// bad reports whether a pixel is masked; nothing is by no mask.
func (f *flags) bad(i int) bool { return f != nil && f.bits[i]&isBad != 0 }

// fits reports whether a mask is of arrays of the same size; no mask always is.
func (f *flags) fits(size int) bool { return f == nil || f.size == size }
