package charge_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"rawstatus/internal/simulate"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/golden"
)

// settings are those of a result of the original.
type settings struct {
	NBS      int     `json:"nbs"`
	NPOff    int     `json:"npoff"`
	Periods  bool    `json:"nperiods"`
	NSigma   float64 `json:"nsigm"`
	Gap      int     `json:"gap"`
	NegMax   int     `json:"neg_max"`
	GainBit  uint16  `json:"gainbit"`
	DataBits uint16  `json:"databits"`
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stepFrames makes the frames of a step and compares them with their checksum.
func stepFrames(t *testing.T, sim *simulate.Injection, p simulate.Pulser, step int, want string) [][]uint16 {
	t.Helper()
	n := p.Rows * p.Cols
	frames := make([][]uint16, p.Frames)
	h := sha256.New()
	buf := make([]byte, 2*n)
	for k := range frames {
		frames[k] = make([]uint16, n)
		sim.Frame(frames[k], step, k)
		for i, w := range frames[k] {
			binary.LittleEndian.PutUint16(buf[2*i:], w)
		}
		h.Write(buf)
	}
	if got := hex.EncodeToString(h.Sum(nil)); want != "" && got != want {
		t.Fatalf("step %d has checksum %s, wanted %s: these are not the frames of the set", step, got, want)
	}
	return frames
}

// countStep counts the frames that the original uses of a step, fed in pieces of random size.
func countStep(t *testing.T, p simulate.Pulser, s settings, step int, frames [][]uint16, compat bool, r *rand.Rand) *charge.Sums {
	t.Helper()
	lost := map[int]bool{}
	for _, l := range p.Lost {
		if l[0] == step {
			lost[l[1]] = true
		}
	}
	var events []int32
	var ids []int64
	var present [][]uint16
	for k, f := range frames {
		if !lost[k] {
			events, ids, present = append(events, int32(k)), append(ids, 7761*int64(k)), append(present, f)
		}
	}
	lo, hi := 0, min(len(ids), s.NBS)
	if compat {
		lo, hi = charge.Records(ids, s.NBS)
	}
	present = present[lo:hi]
	st, err := charge.NewStep(charge.Params{GainBit: s.GainBit, DataBits: s.DataBits, NPOff: s.NPOff, Gap: s.Gap, FirstPeriod: !s.Periods, Compat: compat},
		p.Rows, p.Cols, charge.Grid(p.Rows, p.Cols, step%(p.Space*p.Space), p.Space), events[lo:hi])
	if err != nil {
		t.Fatal(err)
	}
	for len(present) > 0 {
		n := 1 + r.IntN(min(200, len(present)))
		st.Add(present[:n])
		present = present[n:]
	}
	sums, err := st.Sums(charge.LeastPoints)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// count takes all steps of a set in random order.
func count(t *testing.T, p simulate.Pulser, s settings, steps [][][]uint16, compat bool, seed uint64) *charge.Counts {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	panel := charge.NewPanel(p.Rows, p.Cols)
	for _, step := range r.Perm(len(steps)) {
		mode := charge.AML
		if step >= p.Space*p.Space {
			mode = charge.AHL
		}
		if err := panel.AddStep(mode, countStep(t, p, s, step, steps[step], compat, r)); err != nil {
			t.Fatal(err)
		}
	}
	return panel
}

// set returns the frames of a golden set by step.
func set(t *testing.T, dir string) (p simulate.Pulser, steps [][][]uint16) {
	t.Helper()
	readJSON(t, filepath.Join(dir, "params.json"), &p)
	var sums []string
	readJSON(t, filepath.Join(dir, "sha256_steps.json"), &sums)
	sim := simulate.NewInjection(p)
	planted := map[string][][2]int{}
	readJSON(t, filepath.Join(dir, "planted.json"), &planted)
	for class, pixels := range planted {
		for k, rc := range pixels {
			if got := sim.Planted()[class]; len(got) != len(pixels) || got[k] != rc[0]*p.Cols+rc[1] {
				t.Fatalf("class %s is planted at %v, wanted %v", class, got, pixels)
			}
		}
	}
	steps = make([][][]uint16, len(sums))
	var wg sync.WaitGroup
	for i := range steps {
		wg.Add(1)
		go func() {
			defer wg.Done()
			steps[i] = stepFrames(t, sim, p, i, sums[i])
		}()
	}
	wg.Wait()
	return p, steps
}

// TestGoldenSetsEqualTheOriginal wants what the original made of the golden sets: status, number of periods and sums exactly,
// lines as closely as its floating point is.
func TestGoldenSetsEqualTheOriginal(t *testing.T) {
	root := filepath.Join(testenv.Shared(t), "golden_ci")
	names := []string{"a", "b", "d", "e"}
	if !testing.Short() {
		names = append(names, "c")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			p, steps := set(t, filepath.Join(root, name))
			results, err := filepath.Glob(filepath.Join(root, name, "orig*"))
			if err != nil || len(results) == 0 {
				t.Fatalf("no results: %v", err)
			}
			for _, dir := range results {
				t.Run(filepath.Base(dir), func(t *testing.T) { compareOriginal(t, dir, p, steps) })
			}
		})
	}
}

func compareOriginal(t *testing.T, dir string, p simulate.Pulser, steps [][][]uint16) {
	var s settings
	readJSON(t, filepath.Join(dir, "settings.json"), &s)
	panel := count(t, p, s, steps, true, 7)
	v := panel.Judge(charge.Rules{DataBits: s.DataBits, NSigma: s.NSigma, MaxPeriods: s.NegMax, Compat: true})
	status := golden.ReadNpy(t, filepath.Join(dir, "status_ci.npy")).V
	for i, want := range status {
		if v.Status[i] != uint64(want) {
			t.Fatalf("status of row %d column %d is %#x, wanted %#x", i/p.Cols, i%p.Cols, v.Status[i], uint64(want))
		}
	}
	for m, suffix := range []string{"_ml.npy", "_hl.npy"} {
		array := func(name string) []float64 {
			path := filepath.Join(dir, name+suffix)
			if _, err := os.Stat(path); err != nil {
				path = filepath.Join(filepath.Dir(dir), "orig", name+suffix) // not stored twice
			}
			if _, err := os.Stat(path); err != nil && name == "sums" {
				return nil
			}
			return golden.ReadNpy(t, path).V
		}
		d := &panel.Mode[m]
		neg, sums, fits, chi2 := array("neg"), array("sums"), array("fits"), array("chi2")
		for i := range neg {
			if uint32(neg[i]) != d.Periods[i] {
				t.Fatalf("%s pixel %d has %d periods, wanted %v", charge.ModeNames[m], i, d.Periods[i], neg[i])
			}
			for r := range 2 {
				for k := 0; k < 6 && sums != nil; k++ {
					if got, want := d.Line[r][i][k], int64(sums[(2*i+r)*6+k]); got != want {
						t.Fatalf("%s pixel %d region %d: sum %s is %d, wanted %d", charge.ModeNames[m], i, r, charge.AccNames[k], got, want)
					}
				}
				l := v.Line[m][r][i]
				if !(math.Abs(l.Gain-fits[4*i+2*r]) <= 1e-9 && math.Abs(l.Offset-fits[4*i+2*r+1]) <= 1e-9 && math.Abs(l.Chi2-chi2[2*i+r]) <= 1e-7) {
					t.Fatalf("%s pixel %d region %d: line %+v, wanted gain %v, offset %v, chi2 %v", charge.ModeNames[m], i, r, l, fits[4*i+2*r], fits[4*i+2*r+1], chi2[2*i+r])
				}
			}
		}
	}
}

// judgeOwn counts and judges a set by all rules.
func judgeOwn(t *testing.T, p simulate.Pulser, steps [][][]uint16, seed uint64) *charge.Verdict {
	t.Helper()
	s := settings{NBS: 4600, NPOff: 10, Periods: true, Gap: 10, GainBit: p.GainBit, DataBits: p.DataBits}
	return count(t, p, s, steps, false, seed).Judge(ownRules(p.DataBits))
}

func ownRules(dataBits uint16) charge.Rules {
	return charge.Rules{DataBits: dataBits, NSigma: 8, SwitchMin: 1, Response: 0.1, Flips: 0.1, CrossTalk: 0.002}
}

// checkPlanted wants every planted pixel flagged and no other.
func checkPlanted(t *testing.T, p simulate.Pulser, planted map[string][]int, v *charge.Verdict) {
	t.Helper()
	class := map[int]string{}
	for name, pixels := range planted {
		for _, i := range pixels {
			class[i] = name
		}
	}
	for i, s := range v.Status {
		switch {
		case s == 0 && class[i] != "":
			t.Errorf("row %d column %d (%s) has no bit", i/p.Cols, i%p.Cols, class[i])
		case s != 0 && class[i] == "":
			t.Errorf("row %d column %d is flagged %s", i/p.Cols, i%p.Cols, status.Names(status.Charge, s))
		}
	}
}

// TestPlantedPixelsAreFoundAndNoOthers wants all planted pixels found and no other, in runs of other seeds, spaces, ramps, lengths and
// phases, with lost events.
func TestPlantedPixelsAreFoundAndNoOthers(t *testing.T) {
	for seed := uint64(1); seed <= 6; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		space := 3 + r.IntN(2)
		p := simulate.NewPulser(seed, 3*space+14+r.IntN(8), 30+r.IntN(8), space, []int{128, 256}[r.IntN(2)])
		p.Phase = r.IntN(p.Period)
		p.Frames = 2*p.Period + 24 + r.IntN(3*p.Period)
		if r.IntN(2) == 1 {
			p.GainBit = 0x4000
		}
		for range r.IntN(200) {
			p.Lost = append(p.Lost, [2]int{r.IntN(2 * space * space), r.IntN(p.Frames)})
		}
		sim := simulate.NewInjection(p)
		steps := make([][][]uint16, 2*space*space)
		for i := range steps {
			steps[i] = stepFrames(t, sim, p, i, "")
		}
		v := judgeOwn(t, p, steps, seed)
		checkPlanted(t, p, sim.Planted(), v)
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, p)
		}
	}
}

// TestMeasureAOfOwnRules wants the original's words from our rules, too, on sets that its upper limit of periods does not
// spoil: what is better here flags no more and no fewer of their pixels.
func TestMeasureAOfOwnRules(t *testing.T) {
	root := filepath.Join(testenv.Shared(t), "golden_ci")
	names := []string{"a", "e"}
	if !testing.Short() {
		names = append(names, "c")
	}
	for _, name := range names {
		p, steps := set(t, filepath.Join(root, name))
		v := judgeOwn(t, p, steps, 3)
		want := golden.ReadNpy(t, filepath.Join(root, name, "orig", "status_ci.npy")).V
		const own = status.ChargeClock | status.NoData
		many := uint64(status.ManyPeriods | status.ManyPeriods<<1)
		for i := range want {
			if got := v.Status[i] &^ (own | many); got != uint64(want[i])&^many {
				t.Errorf("set %s row %d column %d: %#x, wanted %#x", name, i/p.Cols, i%p.Cols, got, uint64(want[i])&^many)
			}
		}
	}
}

// TestWholePanelOfShortRamps wants no false pixel among very many of which each line has few points.
func TestWholePanelOfShortRamps(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		p := simulate.NewPulser(seed+1, 288, 384, 1, 128)
		p.Phase, p.Frames = int(seed*37), 2*p.Period+20
		sim := simulate.NewInjection(p)
		var steps [][][]uint16
		for i := range 2 {
			steps = append(steps, stepFrames(t, sim, p, i, ""))
		}
		planted := sim.Planted()
		delete(planted, "crosstalk") // no pixel has a neighbour that is not pulsed
		checkPlanted(t, p, planted, judgeOwn(t, p, steps, seed))
	}
}
