package plane

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func randomSet(r *rand.Rand, n int) *Set {
	u8, u16, u32 := make([]uint8, n), make([]uint16, n), make([]uint32, n)
	u64, i32, i64, f64 := make([]uint64, n), make([]int32, n), make([]int64, n), make([]float64, n)
	same := make([]uint16, n)
	for i := range n {
		u8[i], u16[i], u32[i] = uint8(r.Uint32()), uint16(r.Uint32()), r.Uint32()>>8
		u64[i], i32[i], i64[i], f64[i] = r.Uint64()>>8, r.Int32()>>8, -(r.Int64() >> 8), r.NormFloat64()
		same[i] = uint16(i)
	}
	return &Set{Frames: uint64(r.IntN(100)), Planes: []Plane{
		{"gain", Or, u8}, {"max", Max, u16}, {"sum0", Sum, u32}, {"sum1", Sum, u64},
		{"low", Min, i32}, {"signed", Sum, i64}, {"float", Max, f64}, {"gate", Same, same},
	}}
}

func mustMerge(t *testing.T, sets ...*Set) *Set {
	t.Helper()
	sum, err := sets[0].Clone()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sets[1:] {
		if err := Merge(sum, s); err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

func TestMergeIsAssociativeAndCommutative(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		n := r.IntN(40)
		a, b, c := randomSet(r, n), randomSet(r, n), randomSet(r, n)
		want := mustMerge(t, a, b, c)
		if want.Frames != a.Frames+b.Frames+c.Frames {
			t.Fatalf("frames: %d", want.Frames)
		}
		if got := mustMerge(t, c, b, a); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order gives %+v, wanted %+v", got, want)
		}
		if got := mustMerge(t, a, mustMerge(t, b, c)); !reflect.DeepEqual(got, want) {
			t.Fatalf("another grouping gives %+v, wanted %+v", got, want)
		}
	}
}

func TestMergeValues(t *testing.T) {
	a := &Set{Frames: 3, Planes: []Plane{{"s", Sum, []uint32{1, 2}}, {"m", Min, []uint16{5, 9}}, {"o", Or, []uint8{1, 4}}}}
	b := &Set{Frames: 4, Planes: []Plane{{"s", Sum, []uint32{10, 20}}, {"m", Min, []uint16{7, 8}}, {"o", Or, []uint8{2, 4}}}}
	want := &Set{Frames: 7, Planes: []Plane{{"s", Sum, []uint32{11, 22}}, {"m", Min, []uint16{5, 8}}, {"o", Or, []uint8{3, 4}}}}
	if got := mustMerge(t, a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, wanted %+v", got, want)
	}
}

func TestMergeRefuses(t *testing.T) {
	one := func(name string, op Op, data any) *Set { return &Set{Planes: []Plane{{name, op, data}}} }
	for _, c := range []struct {
		name string
		a, b *Set
		want string
	}{
		{"wrap uint32", one("sum0", Sum, []uint32{0, math.MaxUint32}), one("sum0", Sum, []uint32{5, 1}), `plane "sum0": element 1: 4294967295 + 1`},
		{"wrap uint64", one("sum2", Sum, []uint64{math.MaxUint64}), one("sum2", Sum, []uint64{1}), "leaves the range"},
		{"wrap int32", one("s", Sum, []int32{math.MinInt32}), one("s", Sum, []int32{-1}), "leaves the range"},
		{"wrap frames", &Set{Frames: math.MaxUint64}, &Set{Frames: 1}, "too many to count"},
		{"not the same", one("gate_lo", Same, []uint16{1, 2}), one("gate_lo", Same, []uint16{1, 3}), `plane "gate_lo": element 1 is 2 in one shard and 3`},
		{"length", one("x", Max, []uint16{1}), one("x", Max, []uint16{1, 2}), "1 elements in one shard and 2"},
		{"type", one("x", Max, []uint16{1}), one("x", Max, []uint32{1}), "[]uint16 in one shard and []uint32"},
		{"name", one("x", Max, []uint16{1}), one("y", Max, []uint16{1}), `plane "x" (max) with plane "y" (max)`},
		{"op", one("x", Max, []uint16{1}), one("x", Min, []uint16{1}), `plane "x" (max) with plane "x" (min)`},
		{"number", one("x", Max, []uint16{1}), &Set{}, "planes [x] with planes []"},
		{"float sum", one("x", Sum, []float64{1}), one("x", Sum, []float64{1}), "no rule sum"},
		{"no rule", one("x", 0, []uint16{1}), one("x", 0, []uint16{1}), "no rule rule 0"},
		{"element type", one("x", Max, []string{"a"}), one("x", Max, []string{"a"}), "[]string cannot be merged"},
	} {
		err := Merge(c.a, c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, wanted %q", c.name, err, c.want)
		}
	}
}

func TestSameTakesNaN(t *testing.T) {
	a := &Set{Planes: []Plane{{"p", Same, []float64{math.NaN()}}}}
	b := &Set{Planes: []Plane{{"p", Same, []float64{math.NaN()}}}}
	if err := Merge(a, b); err != nil {
		t.Error(err)
	}
}

func TestConcatUndoesASplit(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 30 {
		whole := randomSet(r, 37)
		cut := r.IntN(38)
		got, err := Concat([]*Set{part(whole, 0, cut), part(whole, cut, 37)})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, whole) {
			t.Fatalf("cut at %d: got %+v, wanted %+v", cut, got, whole)
		}
	}
}

func part(s *Set, lo, hi int) *Set {
	p := &Set{Frames: s.Frames}
	for _, q := range s.Planes {
		p.Planes = append(p.Planes, Plane{q.Name, q.Op, reflect.ValueOf(q.Data).Slice(lo, hi).Interface()})
	}
	return p
}

func TestConcatRefuses(t *testing.T) {
	a := &Set{Frames: 2, Planes: []Plane{{"x", Max, []uint16{1}}}}
	for name, b := range map[string]*Set{
		"frames": {Frames: 3, Planes: []Plane{{"x", Max, []uint16{1}}}},
		"names":  {Frames: 2, Planes: []Plane{{"y", Max, []uint16{1}}}},
		"type":   {Frames: 2, Planes: []Plane{{"x", Max, []uint32{1}}}},
		"op":     {Frames: 2, Planes: []Plane{{"x", Min, []uint16{1}}}},
	} {
		if _, err := Concat([]*Set{a, b}); err == nil {
			t.Errorf("different %s: no error", name)
		}
	}
	if _, err := Concat(nil); err == nil {
		t.Error("no bands: no error")
	}
}
