package report

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// shape describes a random page.
type shape struct {
	panels, rows, cols int
	gains              []string
	baselines          int
	bad                float64 // fraction
	plain              bool    // no quantities
	absent             int     // unit that is not there, from 1
	seed               uint64
}

// made is a page and what it is made of.
type made struct {
	shape
	b     *Builder
	units [][]Unit // by gain
	html  []byte
	Made
}

// words that pixels of random pages have.
var someWords = []uint64{status.RmsHigh, status.RmsLow, status.RmsHigh | status.AveHigh, status.IntHigh, status.IntLow | status.AveLow, status.GainState,
	status.RowCol, status.RmsLow | status.RowCol, status.NoData, status.LowStats, status.ASIC, status.RmsHigh | status.GainState}

// newPage makes a random page.
func newPage(t testing.TB, s shape, change func(p *Page)) *made {
	t.Helper()
	r := rand.New(rand.NewPCG(s.seed, 17))
	p := Page{Title: "tst run 1 cam", Subtitle: "test", Gains: s.gains, Bits: Dictionary(status.Dark), Facts: []Fact{{"run", "1"}, {"plan", strings.Repeat("ab", 32)}}}
	for i := range s.panels {
		p.Panels = append(p.Panels, PanelInfo{Name: "segment " + string(rune('0'+i%10)), ID: "id-" + string(rune('a'+i%26)), Rows: s.rows, Cols: s.cols, ASICRows: (s.rows + 1) / 2, ASICCols: (s.cols + 1) / 2})
	}
	for k := range s.baselines {
		p.Baselines = append(p.Baselines, "baseline "+string(rune('A'+k)))
	}
	p.Findings = []verdict.Finding{{Level: verdict.Check, Rule: "bad line", Text: "a column is bad", Panel: 0, Gain: 0}}
	if change != nil {
		change(&p)
	}
	m := &made{shape: s, b: New(p)}
	for g := range s.gains {
		var units []Unit
		for k := range s.panels {
			if g*s.panels+k+1 == s.absent {
				continue
			}
			units = append(units, s.unit(r, k))
		}
		m.units = append(m.units, units)
		if err := m.b.AddGain(context.Background(), g, units); err != nil {
			t.Fatal(err)
		}
	}
	m.write(t)
	return m
}

func (m *made) write(t testing.TB) {
	t.Helper()
	var out bytes.Buffer
	var err error
	if m.Made, err = m.b.Write(&out); err != nil {
		t.Fatal(err)
	}
	m.html = out.Bytes()
}

func (s shape) unit(r *rand.Rand, panel int) Unit {
	n := s.rows * s.cols
	u := Unit{Panel: panel, Expected: 100, Frames: 99, Status: make([]uint64, n)}
	random := func(words []uint64) {
		for k := 0; k < int(math.Round(s.bad*float64(n))); k++ {
			words[r.IntN(n)] = someWords[r.IntN(len(someWords))]
		}
	}
	random(u.Status)
	for range s.baselines {
		old := append([]uint64(nil), u.Status...)
		random(old)
		for i := range old {
			if r.IntN(10) == 0 {
				old[i] = 0
			}
		}
		u.Baselines = append(u.Baselines, old)
	}
	if s.plain {
		return u
	}
	average, rms := make([]float64, n), make([]float64, n)
	for i := range average {
		average[i], rms[i] = 1000+30*r.NormFloat64(), 15+math.Abs(r.NormFloat64())
		if w := u.Status[i]; w&status.RmsHigh != 0 {
			rms[i] = 40 + 10*r.Float64()
		} else if w&status.RmsLow != 0 {
			rms[i] = 0
		}
	}
	value := func(v []float64) func(int) float64 { return func(i int) float64 { return v[i] } }
	u.Quantities = []Quantity{
		{Name: "average", Unit: "ADU", Map: true, Value: value(average), Limits: []Limit{
			{Criterion: status.Criterion{Bit: status.AveLow, Limit: 800, Spread: 31}}, {Criterion: status.Criterion{Bit: status.AveHigh, High: true, Limit: 1200, Spread: 31}}}},
		{Name: "rms", Unit: "ADU", Map: true, Value: value(rms), Limits: []Limit{
			{Criterion: status.Criterion{Bit: status.RmsLow, Limit: 5, Spread: 2}}, {Criterion: status.Criterion{Bit: status.RmsHigh, High: true, Limit: 25, Spread: 2}}}},
		{Name: "n_hi", Unit: "frames", Value: func(i int) float64 { return float64(i % 7) }},
	}
	return u
}

// url writes a page to a file.
func (m *made) url(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, m.html, 0o644); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

var small = shape{panels: 5, rows: 97, cols: 61, gains: []string{"g0", "g1"}, baselines: 2, bad: 0.04, seed: 1}

func TestSameInputSameBytes(t *testing.T) {
	a, b := newPage(t, small, nil), newPage(t, small, nil)
	if !bytes.Equal(a.html, b.html) {
		t.Error("two pages of the same input differ")
	}
	other := small
	other.seed++
	if bytes.Equal(a.html, newPage(t, other, nil).html) {
		t.Error("pages of different input are the same")
	}
}

// TestDetailsAreLeftOutInTheDocumentedOrder wants each limit of size to be kept, by leaving out in the order of the documentation.
func TestDetailsAreLeftOutInTheDocumentedOrder(t *testing.T) {
	s := shape{panels: 4, rows: 64, cols: 128, gains: []string{"g0", "g1"}, baselines: 1, bad: 0.5, seed: 3}
	whole := newPage(t, s, nil)
	if len(whole.LeftOut) != 0 {
		t.Fatalf("a small page leaves out %q", whole.LeftOut)
	}
	last, m := -1, whole
	for k := 1; k < len(degrees); k++ {
		body, _, err := m.b.render(degrees[k].detail, nil)
		if err != nil {
			t.Fatal(err)
		}
		if last >= 0 && len(body) > last {
			t.Errorf("degree %d is larger (%d bytes) than the one before (%d)", k, len(body), last)
		}
		last = len(body)
	}
	tiny := newPage(t, s, func(p *Page) { p.MaxSize = 1 })
	if n := len(degrees) - 1; len(tiny.LeftOut) != n || tiny.LeftOut[n-1] != degrees[n].says || !strings.Contains(string(tiny.html), "this page has status alone") {
		t.Errorf("left out %q", tiny.LeftOut)
	}
	middle := newPage(t, s, func(p *Page) { p.MaxSize = whole.Size - 1 })
	if middle.Size >= whole.Size || len(middle.LeftOut) == 0 || middle.LeftOut[0] != degrees[1].says {
		t.Errorf("size %d of %d, left out %q", middle.Size, whole.Size, middle.LeftOut)
	}
}

func TestPlanesAreFoundInDeployedArrays(t *testing.T) {
	values := make([]uint64, 2*3*4*5)
	for i := range values {
		values[i] = uint64(i)
	}
	for _, c := range []struct {
		shape       []int
		gain, panel int
		last        bool
		first, n    int
	}{
		{[]int{2, 3, 4, 5}, 1, 2, false, 100, 20}, {[]int{6, 4, 5}, 0, 5, false, 100, 20}, {[]int{6, 4, 5}, 1, 0, false, 0, 0}, {[]int{2, 3, 4, 5}, 2, 0, false, 0, 0},
		{[]int{2, 3, 5, 4}, 0, 0, false, 0, 0}, {[]int{24, 5}, 0, 0, false, 0, 0}, {[]int{2, 3, 4}, 0, 0, false, 0, 0},
	} {
		got := Deployed(c.shape, values, c.gain, c.panel, 4, 5, c.last)
		if len(got) != c.n || c.n > 0 && got[0] != uint64(c.first) {
			t.Errorf("%v gain %d panel %d: %d words, wanted %d", c.shape, c.gain, c.panel, len(got), c.n)
		}
	}
	if got := Deployed([]int{4, 5, 6}, values, 0, 2, 4, 5, true); len(got) != 20 || got[0] != 2 || got[1] != 8 {
		t.Errorf("panels last: %v", got)
	}
	if got := Deployed([]int{4, 5}, values[:20], 0, 0, 4, 5, false); len(got) != 20 {
		t.Errorf("one panel: %d words", len(got))
	}
}

// TestClassesOfAllBits wants every bit of the table to have a class, and a word's class to be that of its bits.
func TestClassesOfAllBits(t *testing.T) {
	for _, f := range []status.Family{status.Dark, status.Features} {
		b := New(Page{Bits: Dictionary(f), Gains: []string{""}, Panels: []PanelInfo{{}}})
		for _, x := range status.Table {
			if x.Family == f || x.Family == "" {
				if c := b.classOf(x.Value); c == Good || c == Several {
					t.Errorf("%s %s has class %v", f, x.Name, c)
				}
			}
		}
	}
	b := New(Page{Bits: Dictionary(status.Dark), Gains: []string{""}, Panels: []PanelInfo{{}}})
	for word, want := range map[uint64]Class{0: Good, status.RmsHigh: Noise, status.RmsLow: Quiet, status.RmsLow | status.IntLow: Quiet, status.RmsHigh | status.AveHigh: Several,
		status.RmsHigh | status.RowCol: Noise, status.RowCol: Spatial, status.GainState: Gain, status.NoData: Unjudged, 1 << 40: User} {
		if got := b.classOf(word); got != want {
			t.Errorf("class of %d is %v, wanted %v", word, got, want)
		}
	}
}

// TestMedianEqualsSorting compares with sorting, for every length of a block.
func TestMedianEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		v := make([]float64, 1+r.IntN(16))
		for i := range v {
			v[i] = []float64{r.NormFloat64(), float64(r.IntN(5) - 2), 1000 + r.Float64(), math.Inf(1 - 2*r.IntN(2))}[r.IntN(4)]
		}
		sorted := slices.Sorted(slices.Values(v))
		if got := median(slices.Clone(v)); got != sorted[(len(v)-1)/2] {
			t.Fatalf("median of %v is %v, wanted %v", v, got, sorted[(len(v)-1)/2])
		}
	}
	if got := median(nil); got == got {
		t.Errorf("median of nothing is %v", got)
	}
}
