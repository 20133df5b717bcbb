package plane

import (
	"fmt"
	"reflect"
)

// Op is the rule by which the planes of two shards merge. All are associative and commutative on
// integers, so the order of shards does not matter.
type Op uint8

// The merge rules.
const (
	Sum  Op = iota + 1 // element by element
	Min                // element by element
	Max                // element by element
	Or                 // bit by bit
	Same               // both must be equal; anything else is an error
)

// Number is an element type of a plane.
type Number interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int32 | ~int64 | ~float64
}

// Plane is one named array; Data is a []T with T one of Number.
type Plane struct {
	Name string
	Op   Op
	Data any
}

// Set is the planes of one shard, in a fixed order.
type Set struct {
	Frames uint64 // frames that went in; merges by Sum
	Zeros  uint64 // frames of nothing but zeros, which were left out; merges by Sum
	Stuck  uint64 // frames that are equal to the one before; merges by Sum
	Planes []Plane
}

// Get returns the data of a plane by name, or an error that lists what there is.
func Get[T Number](s *Set, name string) ([]T, error) {
	for i := range s.Planes {
		if s.Planes[i].Name == name {
			d, ok := s.Planes[i].Data.([]T)
			if !ok {
				return nil, fmt.Errorf("plane %q holds %T, wanted %T", name, s.Planes[i].Data, []T(nil))
			}
			return d, nil
		}
	}
	names := make([]string, len(s.Planes))
	for i := range s.Planes {
		names[i] = s.Planes[i].Name
	}
	return nil, fmt.Errorf("no plane %q among %v", name, names)
}

// Part returns n elements of every plane from at on; they stay those of s.
func (s *Set) Part(at, n int) *Set {
	out := &Set{Frames: s.Frames, Zeros: s.Zeros, Stuck: s.Stuck, Planes: make([]Plane, len(s.Planes))}
	for i, p := range s.Planes {
		out.Planes[i] = Plane{Name: p.Name, Op: p.Op, Data: Elements(p.Data, at, n)}
	}
	return out
}

// Elements returns n elements of the data of a plane from at on.
func Elements(data any, at, n int) any { return reflect.ValueOf(data).Slice(at, at+n).Interface() }

// Len returns the number of elements of the data of a plane.
func Len(data any) int { return reflect.ValueOf(data).Len() }
