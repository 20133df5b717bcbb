package plane

import (
	"fmt"
	"math"
	"slices"
)

// Merge adds the planes of src to those of dst, each by its Op; Frames add up. Both must have the same
// planes in the same order, as the shards of one plan have. On an error dst is damaged and must be
// dropped; the error names the plane and the first element that does not fit.
//
// Sums are checked: what would wrap is an error, never a smaller number.
func Merge(dst, src *Set) error {
	if len(dst.Planes) != len(src.Planes) {
		return fmt.Errorf("could not merge planes %v with planes %v", dst.names(), src.names())
	}
	if dst.Frames+src.Frames < dst.Frames {
		return fmt.Errorf("could not merge: %d + %d frames is too many to count", dst.Frames, src.Frames)
	}
	for i := range dst.Planes {
		d, s := &dst.Planes[i], &src.Planes[i]
		if d.Name != s.Name || d.Op != s.Op {
			return fmt.Errorf("could not merge plane %q (%v) with plane %q (%v)", d.Name, d.Op, s.Name, s.Op)
		}
		if err := merge(d.Op, d.Data, s.Data); err != nil {
			return fmt.Errorf("could not merge plane %q: %w", d.Name, err)
		}
	}
	dst.Frames += src.Frames
	dst.Zeros += src.Zeros
	dst.Stuck += src.Stuck
	return nil
}

func (s *Set) names() []string {
	names := make([]string, len(s.Planes))
	for i := range s.Planes {
		names[i] = s.Planes[i].Name
	}
	return names
}

// String names the rule.
func (op Op) String() string {
	if int(op) < len(opNames) && opNames[op] != "" {
		return opNames[op]
	}
	return fmt.Sprintf("rule %d", uint8(op))
}

var opNames = [...]string{Sum: "sum", Min: "min", Max: "max", Or: "or", Same: "same"}

// merge does one plane whose element type is found at run time.
func merge(op Op, dst, src any) error {
	switch d := dst.(type) {
	case []uint8:
		return mergeIntegers(op, d, src, math.MaxUint8)
	case []uint16:
		return mergeIntegers(op, d, src, math.MaxUint16)
	case []uint32:
		return mergeIntegers(op, d, src, math.MaxUint32)
	case []uint64:
		return mergeIntegers(op, d, src, math.MaxUint64)
	case []int32:
		return mergeIntegers(op, d, src, math.MaxInt32)
	case []int64:
		return mergeIntegers(op, d, src, math.MaxInt64)
	case []float64:
		return mergeFloats(op, d, src)
	}
	return fmt.Errorf("elements of type %T cannot be merged", dst)
}

// integer is a Number whose sums are exact.
type integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int32 | ~int64
}

func mergeIntegers[T integer](op Op, dst []T, other any, largest uint64) error {
	src, err := alike(dst, other)
	if err != nil {
		return err
	}
	switch op {
	case Sum:
		return sum(dst, src, largest)
	case Or:
		for i, v := range src {
			dst[i] |= v
		}
		return nil
	}
	return mergeOrdered(op, dst, src)
}

// mergeFloats leaves out Sum and Or: a float sum depends on the order of the shards, and floats have no bits.
func mergeFloats(op Op, dst []float64, other any) error {
	src, err := alike(dst, other)
	if err != nil {
		return err
	}
	return mergeOrdered(op, dst, src)
}

func mergeOrdered[T Number](op Op, dst, src []T) error {
	switch op {
	case Min:
		for i, v := range src {
			dst[i] = min(dst[i], v)
		}
	case Max:
		for i, v := range src {
			dst[i] = max(dst[i], v)
		}
	case Same:
		for i, v := range src {
			if dst[i] != v && (v == v || dst[i] == dst[i]) { // two NaN are the same here
				return fmt.Errorf("element %d is %v in one shard and %v in another", i, dst[i], v)
			}
		}
	default:
		return fmt.Errorf("elements of type %T have no rule %v", dst, op)
	}
	return nil
}

// sum adds src to dst; of signed types too, where both signs can leave the range.
func sum[T integer](dst, src []T, largest uint64) error {
	for i, v := range src {
		s := dst[i] + v
		if (v >= 0) != (s >= dst[i]) {
			return fmt.Errorf("element %d: %v + %v leaves the range of %T (largest %d)", i, dst[i], v, v, largest)
		}
		dst[i] = s
	}
	return nil
}

func alike[T Number](dst []T, other any) ([]T, error) {
	src, ok := other.([]T)
	if !ok {
		return nil, fmt.Errorf("holds %T in one shard and %T in another", dst, other)
	}
	if len(src) != len(dst) {
		return nil, fmt.Errorf("has %d elements in one shard and %d in another", len(dst), len(src))
	}
	return src, nil
}

// Concat joins the planes of row bands of one panel, in the given order, into planes of the panel. The
// bands saw the same frames; Frames must be equal.
func Concat(bands []*Set) (*Set, error) {
	if len(bands) == 0 {
		return nil, fmt.Errorf("could not join: no row bands")
	}
	first := bands[0]
	whole := &Set{Frames: first.Frames, Zeros: first.Zeros, Stuck: first.Stuck, Planes: make([]Plane, len(first.Planes))}
	for i, b := range bands {
		if b.Zeros != first.Zeros {
			return nil, fmt.Errorf("could not join: row band %d left out %d frames of zeros, row band 0 left out %d", i, b.Zeros, first.Zeros)
		}
		if b.Frames != first.Frames {
			return nil, fmt.Errorf("could not join: row band %d saw %d frames, row band 0 saw %d", i, b.Frames, first.Frames)
		}
		if !slices.Equal(b.names(), first.names()) {
			return nil, fmt.Errorf("could not join: row band %d has planes %v, row band 0 has %v", i, b.names(), first.names())
		}
	}
	for j, p := range first.Planes {
		parts := make([]Plane, len(bands))
		for i, b := range bands {
			parts[i] = b.Planes[j]
		}
		data, err := concat(parts)
		if err != nil {
			return nil, fmt.Errorf("could not join plane %q: %w", p.Name, err)
		}
		whole.Planes[j] = Plane{Name: p.Name, Op: p.Op, Data: data}
	}
	return whole, nil
}

func concat(parts []Plane) (any, error) {
	switch parts[0].Data.(type) {
	case []uint8:
		return join[uint8](parts)
	case []uint16:
		return join[uint16](parts)
	case []uint32:
		return join[uint32](parts)
	case []uint64:
		return join[uint64](parts)
	case []int32:
		return join[int32](parts)
	case []int64:
		return join[int64](parts)
	case []float64:
		return join[float64](parts)
	}
	return nil, fmt.Errorf("elements of type %T cannot be joined", parts[0].Data)
}

func join[T Number](parts []Plane) ([]T, error) {
	n := 0
	bands := make([][]T, len(parts))
	for i, p := range parts {
		d, ok := p.Data.([]T)
		if !ok {
			return nil, fmt.Errorf("row band %d holds %T, row band 0 holds %T", i, p.Data, bands[0])
		}
		if p.Op != parts[0].Op {
			return nil, fmt.Errorf("row band %d merges by %v, row band 0 by %v", i, p.Op, parts[0].Op)
		}
		bands[i] = d
		n += len(d)
	}
	whole := make([]T, 0, n)
	for _, d := range bands {
		whole = append(whole, d...)
	}
	return whole, nil
}

// Clone copies a Set with all its data, so that the copy can be a merge's destination.
func (s *Set) Clone() (*Set, error) {
	return Concat([]*Set{s})
}
