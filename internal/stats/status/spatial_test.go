package status

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// picture makes status of rows of characters: . good, x bad, ? unjudged.
func picture(rows ...string) (status []uint64, r, c int) {
	for _, row := range rows {
		for _, ch := range row {
			status = append(status, map[rune]uint64{'.': 0, 'x': RmsHigh, '?': NoData}[ch])
		}
	}
	return status, len(rows), len(rows[0])
}

// draw shows where a bit is set.
func draw(status []uint64, cols int, bit uint64) string {
	var b strings.Builder
	for i, s := range status {
		if i > 0 && i%cols == 0 {
			b.WriteByte('\n')
		}
		if s&bit != 0 {
			b.WriteByte('#')
		} else {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// hints is AddHints of an array.
func hints(t testing.TB, status []uint64, rows, cols int, p SpatialParams) []uint64 {
	got, err := AddHints(SparseOf(status), rows, cols, p)
	if err != nil {
		t.Fatal(err)
	}
	return got.Dense()
}

func TestHintsMarkLinesChipsAndNeighbours(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		p    SpatialParams
		bit  uint64
		want string
	}{
		{"half a row of a chip", []string{"xx..", "....", "...."}, SpatialParams{LineFraction: 0.5, ASICCols: 2}, RowCol, "##..\n....\n...."},
		{"half is not more than half", []string{"xx..", "...."}, SpatialParams{LineFraction: 0.5}, RowCol, "....\n...."},
		{"column", []string{".x..", ".x..", ".x.."}, SpatialParams{LineFraction: 0.6}, RowCol, ".#..\n.#..\n.#.."},
		{"unjudged do not count and get nothing", []string{"x???", "...."}, SpatialParams{LineFraction: 0.9}, RowCol, "#...\n...."},
		{"chip", []string{"xx..", "x..."}, SpatialParams{ASICFraction: 0.7, ASICCols: 2}, ASIC, "##..\n##.."},
		{"4 neighbours", []string{"....", ".x..", "...?"}, SpatialParams{Neighbours: 4}, RowCol, ".#..\n#.#.\n.#.."},
		{"8 neighbours", []string{"?...", ".x..", "...."}, SpatialParams{Neighbours: 8}, RowCol, ".##.\n#.#.\n###."},
		{"only some bits are bad", []string{"x..", "..."}, SpatialParams{Neighbours: 8, Bits: AveHigh}, RowCol, "...\n..."},
		{"edges do not wrap", []string{"..x", "x..", "..."}, SpatialParams{Neighbours: 4}, RowCol, "##.\n.##\n#.."},
		{"off", []string{"xxx", "xx."}, SpatialParams{}, Hints, "...\n..."},
	} {
		status, rows, cols := picture(c.in...)
		status = hints(t, status, rows, cols, c.p)
		if got := draw(status, cols, c.bit); got != c.want {
			t.Errorf("%s: got\n%s\nwanted\n%s", c.name, got, c.want)
		}
	}
}

func TestHintsCanBeRepeated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		rows, cols := 1+r.IntN(12), 1+r.IntN(12)
		status := make([]uint64, rows*cols)
		for i := range status {
			status[i] = []uint64{0, 0, 0, RmsHigh, AveLow, NoData}[r.IntN(6)]
		}
		before := slices.Clone(status)
		p := SpatialParams{LineFraction: 0.4, ASICFraction: 0.4, Neighbours: 8, ASICRows: 5, ASICCols: 4}
		for range 2 {
			status = hints(t, status, rows, cols, p)
		}
		once := hints(t, before, rows, cols, p)
		if !slices.Equal(once, status) {
			t.Fatal("hints of hints")
		}
		for i, s := range status {
			if s&^Hints != before[i] || before[i] == NoData && s != NoData {
				t.Fatalf("pixel %d: %d became %d", i, before[i], s)
			}
		}
	}
}

func TestHintsRefuse(t *testing.T) {
	for _, p := range []SpatialParams{{LineFraction: 1}, {ASICFraction: -1}, {Neighbours: 5}, {ASICRows: -1}} {
		if _, err := AddHints(Sparse{Pixels: 4}, 2, 2, p); err == nil {
			t.Errorf("%+v: no error", p)
		}
	}
}

// TestHintsOfLists compares hints found by lists of bad pixels with those found by looking at all pixels.
func TestHintsOfLists(t *testing.T) {
	rng := rand.New(rand.NewPCG(testenv.Seed(t), 16))
	lists := 0
	for range 400 {
		rows, cols := 1+rng.IntN(40), 1+rng.IntN(40)
		words, one := make([]uint64, rows*cols), 2+rng.IntN(120)
		for i := range words {
			if rng.IntN(one) == 0 {
				words[i] = []uint64{RmsHigh, AveLow, IntHigh | RmsLow, NoData, NoData | RmsHigh}[rng.IntN(5)]
			}
		}
		p := SpatialParams{Bits: RmsHigh | RmsLow | AveLow, LineFraction: rng.Float64() * float64(rng.IntN(2)), ASICFraction: rng.Float64() * float64(rng.IntN(2)),
			Neighbours: 4 * rng.IntN(3), ASICRows: rng.IntN(20), ASICCols: rng.IntN(20)}
		got := hints(t, words, rows, cols, p)
		want := slices.Clone(words)
		addHints(want, rows, cols, p)
		if !slices.Equal(got, want) {
			t.Fatalf("%d x %d, %+v: %v became %v, wanted %v", rows, cols, p, words, got, want)
		}
		if p.Neighbours > 0 && SparseOf(words).Count().Bad < len(words)/denseFrom {
			lists++
		}
	}
	if lists == 0 {
		t.Error("no list was short enough")
	}
}
