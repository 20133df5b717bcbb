package combine

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
)

const unjudged = 1024 | 2048 | 4096

func sources(words ...[]uint64) []Source {
	var s []Source
	for i, w := range words {
		s = append(s, Source{Name: string(rune('a' + i)), Status: status.SparseOf(w), Bits: AllBits})
	}
	return s
}

func TestEachRuleCombinesWords(t *testing.T) {
	three := sources([]uint64{1, 1, 1024, 1024, 3, 0}, []uint64{0, 1, 2, 2048, 2, 0}, []uint64{2, 1, 2, 1024, 2, 1024})
	for _, c := range []struct {
		name string
		rule Rule
		want []uint64
	}{
		{"or", Rule{Unjudged: unjudged}, []uint64{3, 1, 2, 3072, 3, 0}},
		{"one of n is or", Rule{AtLeast: 1, Unjudged: unjudged}, []uint64{3, 1, 2, 3072, 3, 0}},
		{"and", Rule{Fraction: 1, Unjudged: unjudged}, []uint64{0, 1, 2, 3072, 2, 0}},
		{"two of three", Rule{AtLeast: 2, Unjudged: unjudged}, []uint64{0, 1, 2, 3072, 2, 0}},
		{"three, of whom two vote", Rule{AtLeast: 3, Unjudged: unjudged}, []uint64{0, 1, 2, 3072, 2, 0}},
		{"a third", Rule{Fraction: 0.3, Unjudged: unjudged}, []uint64{3, 1, 2, 3072, 3, 0}},
	} {
		got, err := Merge(three, c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Status.Dense(), c.want) {
			t.Errorf("%s: got %v, wanted %v", c.name, got.Status.Dense(), c.want)
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
	want := &Result{Status: status.SparseOf([]uint64{1, 1, 4, 0}), Table: []Row{
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

// TestUnjudgedIsNeverGood states the rules one by one: words of three sources, the last a mask of a person.
func TestUnjudgedIsNeverGood(t *testing.T) {
	const noData, lowStats, evalError, user = 1024, 2048, 4096, 32768
	for _, c := range []struct {
		name  string
		words [3]uint64
		bits  uint64
		rule  Rule
		want  uint64
	}{
		{"one has judged", [3]uint64{noData, 0, 0}, AllBits, Rule{}, 0},
		{"one has judged it bad", [3]uint64{lowStats, 2, 0}, AllBits, Rule{}, 2},
		{"none has judged", [3]uint64{noData, lowStats, 0}, AllBits, Rule{}, noData | lowStats},
		{"a mask is no judgement", [3]uint64{noData, noData, 0}, AllBits, Rule{}, noData},
		{"a mask adds to it", [3]uint64{noData, noData, user}, AllBits, Rule{}, noData | user},
		{"no answer sticks", [3]uint64{evalError, 0, 0}, AllBits, Rule{Sticky: evalError}, evalError},
		{"no answer, with other bits selected", [3]uint64{evalError, 0, 0}, 1, Rule{Sticky: evalError}, evalError},
		{"no answer among votes", [3]uint64{evalError, 0, 0}, AllBits, Rule{Fraction: 1}, 0},
		{"other bits selected", [3]uint64{noData, noData, 0}, 1, Rule{}, noData},
		{"and", [3]uint64{noData, lowStats, 0}, AllBits, Rule{Fraction: 1}, noData | lowStats},
		{"and, one has judged", [3]uint64{noData, 3, 0}, AllBits, Rule{Fraction: 1}, 3},
		{"and is not asked of a mask", [3]uint64{3, 2, user}, AllBits, Rule{Fraction: 1}, 2 | user},
		{"bits of an unjudged pixel do not count", [3]uint64{noData | 1, 0, 0}, AllBits, Rule{}, 0},
	} {
		c.rule.Unjudged = unjudged
		s := sources([]uint64{c.words[0]}, []uint64{c.words[1]}, []uint64{c.words[2]})
		s[0].Bits, s[1].Bits, s[2].Mask = c.bits, c.bits, true
		got, err := Merge(s, c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status.Word(0) != c.want {
			t.Errorf("%s: got %d, wanted %d", c.name, got.Status.Word(0), c.want)
		}
	}
}

// asSets is the model: each source as a set of bits that it says of a pixel, or that it has not judged it.
// It goes bit by bit through all 64 and knows nothing of words.
func asSets(sources []Source, r Rule, pixel int) uint64 {
	has := func(s Source, bit int) bool { return s.Status.Word(pixel)/(1<<bit)%2 == 1 }
	in := func(set uint64, bit int) bool { return set/(1<<bit)%2 == 1 }
	judged := func(s Source) bool {
		for bit := range 64 {
			if has(s, bit) && in(r.Unjudged, bit) {
				return false
			}
		}
		return true
	}
	var voters, absent, masks []Source
	for _, s := range sources {
		switch {
		case s.Mask:
			masks = append(masks, s)
		case judged(s):
			voters = append(voters, s)
		default:
			absent = append(absent, s)
		}
	}
	var word uint64
	for bit := range 64 {
		count := func(list []Source) (n int) {
			for _, s := range list {
				if has(s, bit) && (in(s.Bits, bit) || in(r.Unjudged, bit)) {
					n++
				}
			}
			return n
		}
		votes := count(voters)
		elected := votes > 0 && votes >= min(r.AtLeast, len(voters)) && float64(votes)+1e-9 >= float64(len(voters))*r.Fraction
		kept := count(absent) > 0 && (len(voters) == 0 || in(r.Unjudged, bit) && in(r.Sticky, bit))
		if elected || kept || count(masks) > 0 {
			word += 1 << bit
		}
	}
	return word
}

// TestAgainstModel compares random merges with the model: status, and the table of sources.
func TestAgainstModel(t *testing.T) {
	seed := testenv.Seed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		list := make([]Source, 1+r.IntN(5))
		pixels := 1 + r.IntN(8)
		for j := range list {
			s := Source{Name: string(rune('a' + j)), Bits: []uint64{AllBits, r.Uint64(), 1, 0}[r.IntN(4)], Mask: r.IntN(4) == 0}
			words := make([]uint64, pixels)
			for i := range words {
				words[i] = []uint64{0, 0, 1, 2, 3, 1024, 2048, 4096, 1024 | 4096, 1 | 1024, 32768, r.Uint64() & r.Uint64() & r.Uint64()}[r.IntN(12)]
			}
			s.Status = status.SparseOf(words)
			list[j] = s
		}
		rule := Rule{AtLeast: r.IntN(len(list) + 1), Fraction: []float64{0, 0, 1, 0.5, r.Float64()}[r.IntN(5)], Unjudged: unjudged, Sticky: []uint64{0, 4096, 1024}[r.IntN(3)]}
		got, err := Merge(list, rule)
		if err != nil {
			t.Fatal(err)
		}
		merged := map[uint64]int{}
		for i, word := range got.Status.Dense() {
			if want := asSets(list, rule, i); word != want {
				t.Fatalf("seed %d: %+v of %+v, pixel %d: got %d, wanted %d", seed, rule, list, i, word, want)
			}
			for bit := range 64 {
				if word&(1<<bit) != 0 {
					merged[1<<bit]++
				}
			}
		}
		for _, row := range got.Table {
			if row.Merged != merged[row.Value] {
				t.Fatalf("seed %d: %+v of %+v: table has %+v, wanted %d merged", seed, rule, list, row, merged[row.Value])
			}
			delete(merged, row.Value)
		}
		if len(merged) > 0 {
			t.Fatalf("seed %d: the table lacks %v", seed, merged)
		}
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
		if !reflect.DeepEqual(a.Status, b.Status) {
			t.Fatalf("%+v: reversed sources give another status", rule)
		}
	}
}

func TestUnequalSourcesAreRefused(t *testing.T) {
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
