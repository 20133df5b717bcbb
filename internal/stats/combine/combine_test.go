package combine

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const unjudged = 1024 | 2048 | 4096

func sources(words ...[]uint64) []Source {
	var s []Source
	for i, w := range words {
		s = append(s, Source{Name: string(rune('a' + i)), Status: w, Bits: AllBits})
	}
	return s
}

func TestRules(t *testing.T) {
	three := sources([]uint64{1, 1, 1024, 1024, 3, 0}, []uint64{0, 1, 2, 2048, 2, 0}, []uint64{2, 1, 2, 1024, 2, 1024})
	for _, c := range []struct {
		name string
		rule Rule
		want []uint64
	}{
		{"or", Rule{Unjudged: unjudged}, []uint64{3, 1, 1026, 3072, 3, 1024}},
		{"one of n is or", Rule{AtLeast: 1, Unjudged: unjudged}, []uint64{3, 1, 1026, 3072, 3, 1024}},
		{"and", Rule{Fraction: 1, Unjudged: unjudged}, []uint64{0, 1, 2, 3072, 2, 0}},
		{"two of three", Rule{AtLeast: 2, Unjudged: unjudged}, []uint64{0, 1, 2, 3072, 2, 0}},
		{"three, of whom two vote", Rule{AtLeast: 3, Unjudged: unjudged}, []uint64{0, 1, 2, 3072, 2, 0}},
		{"a third", Rule{Fraction: 0.3, Unjudged: unjudged}, []uint64{3, 1, 2, 3072, 3, 0}},
	} {
		got, err := Merge(three, c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Status, c.want) {
			t.Errorf("%s: got %v, wanted %v", c.name, got.Status, c.want)
		}
	}
}

func TestTableAndSelectedBits(t *testing.T) {
	s := sources([]uint64{1, 3, 0, 0}, []uint64{1, 0, 4, 0})
	s[0].Bits = 1
	got, err := Merge(s, Rule{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Result{Status: []uint64{1, 1, 4, 0}, Table: []Row{
		{Value: 1, Counts: []int{2, 1}, Alone: []int{1, 0}, Merged: 2},
		{Value: 4, Counts: []int{0, 1}, Alone: []int{0, 1}, Merged: 1},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, wanted %+v", got, want)
	}
}

func TestNeedIsNotFooledByRounding(t *testing.T) {
	for n := 1; n <= 1000; n++ {
		for k := 1; k <= n; k++ {
			if got := (Rule{Fraction: float64(k) / float64(n)}).need(n); got != k {
				t.Fatalf("%d/%d of %d sources: got %d votes", k, n, n, got)
			}
		}
	}
	if got := (Rule{Fraction: 0.1}).need(30); got != 3 {
		t.Errorf("0.1 of 30: got %d", got)
	}
}

func TestOrderOfSourcesDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		var words [][]uint64
		for range 1 + r.IntN(5) {
			w := make([]uint64, 20)
			for i := range w {
				w[i] = r.Uint64() & r.Uint64() & 0xffff
			}
			words = append(words, w)
		}
		rule := Rule{AtLeast: r.IntN(len(words) + 1), Fraction: []float64{0, r.Float64()}[r.IntN(2)], Unjudged: unjudged}
		a, err := Merge(sources(words...), rule)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(words)
		b, err := Merge(sources(words...), rule)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Status, b.Status) {
			t.Fatalf("%+v: reversed sources give another status", rule)
		}
	}
}

func TestRefuses(t *testing.T) {
	for want, f := range map[string]func() error{
		"no status arrays":   func() error { _, err := Merge(nil, Rule{}); return err },
		"b has 1 pixels":     func() error { _, err := Merge(sources([]uint64{0, 0}, []uint64{0}), Rule{}); return err },
		"at least 3 of 1":    func() error { _, err := Merge(sources([]uint64{0}), Rule{AtLeast: 3}); return err },
		"the fraction 1.5":   func() error { _, err := Merge(sources([]uint64{0}), Rule{Fraction: 1.5}); return err },
		"at least -1 of 1 s": func() error { _, err := Merge(sources([]uint64{0}), Rule{AtLeast: -1}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, wanted %q", err, want)
		}
	}
}
