package status

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// plain are parameters under which only what a test changes can flag a pixel.
func plain() DarkParams {
	return DarkParams{Profile: ProfileData, Scope: PerDetector, Method: MeanStd, IntLo: 1, IntHi: 16000, IntNLo: 6, IntNHi: 6,
		RmsLo: 0.001, RmsHi: 16000, RmsNLo: 6, RmsNHi: 6, FracLm: 0.1, MinFrames: 3}
}

// panelOf makes a panel of 10 frames in which pixel i has the values mean[i] +- rms[i], half of them each.
func panelOf(rows, cols int, mean, rms []int) PanelPlanes {
	p := AbsentPanel(rows, cols)
	p.Frames = 10
	for i := range p.Sum0 {
		p.Sum0[i] = 10
		p.Sum1[i] = uint64(10 * mean[i])
		p.Sum2[i] = uint64(10 * (mean[i]*mean[i] + rms[i]*rms[i]))
	}
	return p
}

func fill(n, v int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func mustEval(t *testing.T, p DarkParams, panels ...PanelPlanes) *DarkResult {
	t.Helper()
	r, err := EvalDark(panels, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTableIsConsistent(t *testing.T) {
	type key struct {
		f Family
		v uint64
	}
	seen := map[key]bool{}
	names := map[string]bool{}
	for _, b := range Table {
		if b.Value == 0 || b.Value&(b.Value-1) != 0 || (b.Value > User) != (b.Family == Charge) || b.Value > CrossTalk {
			t.Errorf("%s: value %d is not one bit of its family", b.Name, b.Value)
		}
		if seen[key{b.Family, b.Value}] || names[b.Name] {
			t.Errorf("%s, %d: twice in the table", b.Name, b.Value)
		}
		seen[key{b.Family, b.Value}], names[b.Name] = true, true
		if b.Rule == "" || b.Meaning == "" || b.Group == "" || len(b.Ctypes) == 0 || len(b.Profiles) == 0 {
			t.Errorf("%s: incomplete: %+v", b.Name, b)
		}
	}
	if got := Names(Dark, RmsHigh|AveHigh|NoData); got != "RMS_HIGH|AVE_HIGH|NO_DATA" {
		t.Errorf("names of a dark word: %s", got)
	}
	if got := Names(Features, 1|512|1<<20); got != "MEAN_LOW|MAX_HIGH|1048576" {
		t.Errorf("names of a features word: %s", got)
	}
	if got := Names(Dark, 0); got != "good" {
		t.Errorf("name of 0: %s", got)
	}
}

func TestUnjudgedPixelsStayAlone(t *testing.T) {
	good := panelOf(2, 2, fill(4, 1000), []int{10, 11, 9, 10})
	few := panelOf(2, 2, fill(4, 9), fill(4, 500))
	few.Frames = 2
	for i := range few.Sum0 {
		few.Sum0[i] = 2
	}
	known := panelOf(2, 2, []int{1000, 1000, 1000, 15999}, fill(4, 10))
	known.Known = []uint64{0, 0, 0, EvalError}
	partly := panelOf(2, 2, fill(4, 1000), fill(4, 10))
	partly.Sum0[2], partly.Sum1[2], partly.Sum2[2] = 0, 0, 0
	r := mustEval(t, plain(), good, few, AbsentPanel(2, 2), known, partly)
	want := [][]uint64{{0, 0, 0, 0}, {2048, 2048, 2048, 2048}, {1024, 1024, 1024, 1024}, {0, 0, 0, 4096}, {0, 0, 1024, 0}}
	for i, w := range want {
		if !slices.Equal(r.Panels[i].Bad.Dense(), w) {
			t.Errorf("panel %d: status %v, wanted %v", i, r.Panels[i].Bad.Dense(), w)
		}
	}
	alone := mustEval(t, plain(), good)
	if g := r.Groups[0]; g.Pixels != 20 || g.Judged != 10 || g.Ave.Mean != 1000 || g.Ave.Std != 0 {
		t.Errorf("limits with unjudged pixels: %+v; of the good panel alone %+v", g, alone.Groups[0])
	}
	if c := r.Counts(); c.Pixels != 20 || c.Bad != 10 || c.Of(NoData) != 5 || c.Of(LowStats) != 4 || c.Of(EvalError) != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestEmptyWindowIsJudged(t *testing.T) {
	p := plain()
	p.Profile = ProfileDark
	panel := panelOf(1, 3, fill(3, 1000), fill(3, 10))
	panel.Sum0[1], panel.Sum1[1], panel.Sum2[1] = 0, 0, 0
	r := mustEval(t, p, panel)
	if want := []uint64{0, RmsLow | AveLow, 0}; !slices.Equal(r.Panels[0].Bad.Dense(), want) {
		t.Errorf("status %v, wanted %v", r.Panels[0].Bad.Dense(), want)
	}
}

func TestNothingJudged(t *testing.T) {
	r := mustEval(t, plain(), AbsentPanel(1, 2))
	if g := r.Groups[0]; g.Judged != 0 || !math.IsNaN(g.Ave.Mean) {
		t.Errorf("limits of nothing: %+v", g)
	}
	for _, l := range r.Lines() {
		if l.Value == RmsHigh && l.Rule != "rms > (no judged pixel)" {
			t.Errorf("rule %q", l.Rule)
		}
	}
}

func TestNumberOfEventsBeyondALimit(t *testing.T) {
	dark, data := plain(), plain()
	dark.Profile = ProfileDark
	for _, c := range []struct {
		frac       float64
		n          uint64
		dark, data uint32
	}{{0.1, 100, 9, 10}, {0.29, 101, 28, 29}, {0.29, 100, 28, 28}, {0, 5, 0, 0}, {1, 5, 4, 5}, {0.1, 0, 0, 0}} {
		dark.FracLm, data.FracLm = c.frac, c.frac
		if dark.Nevlm(c.n) != c.dark || data.Nevlm(c.n) != c.data {
			t.Errorf("%v of %d: %d and %d, wanted %d and %d", c.frac, c.n, dark.Nevlm(c.n), data.Nevlm(c.n), c.dark, c.data)
		}
	}
}

func TestVarianceBelowRounding(t *testing.T) {
	// One of very many values differs by 1: float64 cannot see it, integers can.
	const n = 3000000001
	sum1 := uint64(n)*65000 + 1
	sum2 := uint64(n-1)*65000*65000 + 65001*65001
	want := math.Sqrt(float64(n-1)) / n
	if got := StdOf(n, sum1, sum2); math.Abs(got-want) > 1e-15*want {
		t.Errorf("std %v, wanted %v", got, want)
	}
	found := false
	for k := uint64(1); k < 2000 && !found; k++ {
		s1, s2 := uint64(n)*(60000+k), uint64(n)*(60000+k)*(60000+k)
		s1, s2 = s1+1, s2+2*(60000+k)+1
		if mean, rms := meanRms(n, s1, s2, true); math.IsNaN(rms) {
			found = true
			if _, exact := meanRms(n, s1, s2, false); !(exact > 0) || mean < 60000 {
				t.Errorf("where rounding is negative: rms %v", exact)
			}
		}
	}
	if !found {
		t.Error("rounding was never negative: the test says nothing")
	}
	if got := StdOf(0, 0, 0); !math.IsNaN(got) {
		t.Errorf("std of nothing: %v", got)
	}
}

// TestRobustLimits: a third of the pixels hot and noisy moves mean limits beyond them, robust ones not.
func TestRobustLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const rows, cols = 30, 40
	mean, rms := make([]int, rows*cols), make([]int, rows*cols)
	hot := make([]bool, rows*cols)
	for i := range mean {
		mean[i], rms[i] = 1000+r.IntN(20), 10+r.IntN(4)
		if hot[i] = i%3 == 0; hot[i] {
			mean[i], rms[i] = 3000+r.IntN(500), 80+r.IntN(40)
		}
	}
	p := plain()
	p.Method = Robust
	res := mustEval(t, p, panelOf(rows, cols, mean, rms))
	for i, s := range res.Panels[0].Bad.Dense() {
		if want := uint64(0); hot[i] {
			if s != RmsHigh|AveHigh {
				t.Fatalf("hot pixel %d: status %d", i, s)
			}
		} else if s != want {
			t.Fatalf("good pixel %d: status %d (%+v)", i, s, res.Groups[0])
		}
	}
	if u := res.Groups[0].Ave.Used; u != rows*cols*2/3 {
		t.Errorf("%d values behind the limits, wanted the good ones alone", u)
	}
	p.Method = MeanStd
	if c := mustEval(t, p, panelOf(rows, cols, mean, rms)).Counts(); c.Bad != 0 {
		t.Errorf("mean limits flag %d pixels: the comparison says nothing", c.Bad)
	}
}

func TestRobustWithMadZero(t *testing.T) {
	rms := fill(100, 10)
	rms[3], rms[4] = 11, 200
	p := plain()
	p.Method = Robust
	res := mustEval(t, p, panelOf(10, 10, fill(100, 1000), rms))
	if s := res.Panels[0].Bad.Dense(); s[4] != RmsHigh || s[0] != 0 {
		t.Errorf("status of the outlier %d, of an ordinary pixel %d: %+v", s[4], s[0], res.Groups[0].Rms)
	}
}

func TestLimitsOfADetectorAPanelAndAChip(t *testing.T) {
	// Two panels of 4 x 4 at different levels, chips of 2 x 3 (the rest is a narrow chip).
	level := func(v int) PanelPlanes { return panelOf(4, 4, fill(16, v), fill(16, 10)) }
	p := plain()
	p.Scope = PerPanel
	r := mustEval(t, p, level(100), level(5000))
	if len(r.Groups) != 2 || r.Groups[1].Ave.Mean != 5000 || r.Groups[1].Panels[0] != 1 {
		t.Errorf("per panel: %+v", r.Groups)
	}
	p.Scope, p.ASICRows, p.ASICCols = PerASIC, 2, 3
	r = mustEval(t, p, level(100), level(5000))
	var at []int
	pixels := 0
	for _, g := range r.Groups {
		at = append(at, g.Panels[0], g.Row, g.Col)
		pixels += g.Pixels
	}
	if want := []int{0, 0, 0, 0, 0, 3, 0, 2, 0, 0, 2, 3, 1, 0, 0, 1, 0, 3, 1, 2, 0, 1, 2, 3}; !slices.Equal(at, want) || pixels != 32 {
		t.Errorf("chips at %v with %d pixels, wanted %v and 32", at, pixels, want)
	}
	mixed := level(100)
	for i := range mixed.Sum1 {
		if i%4 == 3 { // the narrow chips are at another level: fine per chip, an outlier nowhere
			mixed.Sum1[i], mixed.Sum2[i] = 10*5000, 10*(5000*5000+100)
		}
	}
	if c := mustEval(t, p, mixed).Counts(); c.Bad != 0 {
		t.Errorf("chips at two levels: %d bad pixels", c.Bad)
	}
}

func TestLinesOfTheLogSayLimitsAndCounts(t *testing.T) {
	rms := fill(100, 10)
	rms[7] = 300
	p := plain()
	p.RmsHi, p.IntNHi, p.IntNLo = 21.93, 0, 0
	p.GainRule = GainExpected
	panel := panelOf(10, 10, fill(100, 1000), rms)
	panel.GainOdd, panel.GainNever = make([]uint32, 100), make([]uint32, 100)
	panel.GainOdd[9] = 1
	panel.NHi[2] = 2
	want := []Line{
		{1, "RMS_HIGH", 1, 1, "rms > 21.93"}, {2, "RMS_LOW", 0, 0, "rms < 0.001"},
		{4, "INT_HIGH", 1, 1, "y > 16000 in more than 1 frames"}, {8, "INT_LOW", 0, 0, "y < 1 in more than 1 frames"},
		{16, "AVE_HIGH", 0, 0, "average > 16000"}, {32, "AVE_LOW", 0, 0, "average < 1"},
		{64, "GAIN_STATE", 1, 1, "gain bits of any frame are not those of the gain mode"},
		{1024, "NO_DATA", 0, 0, "no frame of the panel or pixel"}, {2048, "LOW_STATS", 0, 0, "fewer than 3 frames"},
	}
	if got := mustEval(t, p, panel).Lines(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwanted %+v", got, want)
	}
	p.Scope = PerPanel
	for _, l := range mustEval(t, p, panel, panelOf2(panel, 50)).Lines() {
		if l.Value == IntHigh && l.Rule != "y > 16000 in more than 1..5 (2 groups) frames" {
			t.Errorf("rule of two panels: %q", l.Rule)
		}
	}
}

// panelOf2 is the same panel with another number of frames.
func panelOf2(p PanelPlanes, frames uint64) PanelPlanes {
	p.Frames = frames
	return p
}

func TestEvalDarkRefuses(t *testing.T) {
	ok := panelOf(2, 2, fill(4, 1000), fill(4, 10))
	short := ok
	short.NHi = short.NHi[:3]
	for want, f := range map[string]func(p *DarkParams) []PanelPlanes{
		"no panels":         func(*DarkParams) []PanelPlanes { return nil },
		"panel 1: plane":    func(*DarkParams) []PanelPlanes { return []PanelPlanes{ok, short} },
		`profile "x"`:       func(p *DarkParams) []PanelPlanes { p.Profile = "x"; return []PanelPlanes{ok} },
		`limits over "row"`: func(p *DarkParams) []PanelPlanes { p.Scope = "row"; return []PanelPlanes{ok} },
		"wanted low <=":     func(p *DarkParams) []PanelPlanes { p.RmsLo = math.NaN(); return []PanelPlanes{ok} },
		"numbers of sigma":  func(p *DarkParams) []PanelPlanes { p.IntNLo = math.Inf(1); return []PanelPlanes{ok} },
		"gain bits":         func(p *DarkParams) []PanelPlanes { p.GainRule = GainExpected; return []PanelPlanes{ok} },
	} {
		p := plain()
		panels := f(&p)
		if _, err := EvalDark(panels, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, wanted %q", err, want)
		}
	}
}

func TestSumIsPairwise(t *testing.T) {
	// Exact for integers in any order; lengths around the borders of the scheme.
	for _, n := range []int{0, 1, 7, 8, 9, 127, 128, 129, 136, 8191, 8192, 8193, 20000} {
		v := make([]float64, n)
		want := 0.
		for i := range v {
			v[i] = float64(i%97) - 48
			want += v[i]
		}
		if got := Sum(v); got != want {
			t.Errorf("sum of %d values: %v, wanted %v", n, got, want)
		}
	}
}

func TestCompareCountsTurnedPixelsAndBits(t *testing.T) {
	d, err := Compare([]uint64{0, 1, 3, 4, 0}, []uint64{2, 0, 3, 8, 0})
	if err != nil {
		t.Fatal(err)
	}
	want := Diff{Pixels: 5, Turned: Turned{NewlyBad: 1, NewlyGood: 1}}
	want.Gained[1], want.Gained[3] = 1, 1
	want.Lost[0], want.Lost[2] = 1, 1
	want.Kept[0], want.Kept[1] = 1, 1
	if d != want || d.Table(Dark).Same() {
		t.Errorf("got %+v, wanted %+v", d, want)
	}
	d.Add(d)
	if d.Pixels != 10 || d.NewlyBad != 2 || d.Gained[3] != 2 || d.Kept[0] != 2 || d.Lost[2] != 2 || d.NewlyGood != 2 {
		t.Errorf("twice: %+v", d)
	}
	if same, err := Compare([]uint64{5, 0}, []uint64{5, 0}); err != nil || !same.Table(Dark).Same() {
		t.Errorf("the same: %+v, %v", same, err)
	}
	if _, err := Compare([]uint64{1}, nil); err == nil {
		t.Error("different lengths: no error")
	}
}
