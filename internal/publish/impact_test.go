package publish

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
)

// maskOf returns what analysis uses for a run: nothing, or an array.
func maskOf(t *testing.T, dest calib.Destination, run int) *calib.Array {
	t.Helper()
	items, _, err := dest.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := calib.Pick(items, run)
	if i < 0 {
		return nil
	}
	a, _, err := dest.Read(t.Context(), items[i])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestImpactRunByRun deploys random masks for random ranges, and compares what each plan says of every run with the masks that
// analysis uses for that run before and after.
func TestImpactRunByRun(t *testing.T) {
	seeds := 5
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { impactOnce(t, uint64(seed)) }) {
			t.Fatalf("repeat with: go test ./internal/publish -run 'TestImpactRunByRun/seed=%d$'", seed)
		}
	}
}

func impactOnce(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 18))
	type detector struct {
		typ               string
		gains             []string
		rows, cols        int
		deployments, last int
	}
	one := detector{"cam", []string{""}, 4, 5, 8, 24}
	kind := []detector{one, one, one, {"jungfrau", []string{"g0", "g1", "g2"}, 512, 1024, 2, 2},
		{"epix10ka", []string{"FH", "FM", "FL", "AHL-H", "AML-M", "AHL-L", "AML-L"}, 352, 384, 2, 2}}[seed%5]
	dest := newPlace(t, "Cam::CalibV1", "det")
	rp := newRepo(t)
	last := kind.last
	changed, whole := 0, 0
	for step := range kind.deployments {
		segments := 2
		if r.IntN(5) == 0 {
			segments, rp = 1, newRepo(t) // an array of another size
		}
		for s := range segments {
			for _, gain := range kind.gains {
				put(t, rp, kind.typ, "det", s, kind.rows, kind.cols, gain, func(int) uint64 { return uint64(r.IntN(2+2*len(kind.gains))/(1+2*len(kind.gains))) << r.IntN(6) })
			}
		}
		m := merge(t, rp, MergeOptions{})
		runs := calib.Range{Begin: r.IntN(last), End: calib.Last}
		if r.IntN(3) > 0 {
			runs.End = runs.Begin + r.IntN(last-runs.Begin)
		}
		plan, err := NewPlan(t.Context(), dest, nil, m, "status_extra", runs, Gate{MaxBad: 1, MaxNew: 1, MaxUnseen: 1, MaxWarn: 1, Force: ruleNames()})
		if err != nil {
			t.Fatal(err)
		}
		before := map[int]*calib.Array{}
		list := []int{calib.Last}
		for run := range last + 1 {
			list = append(list, run)
		}
		for _, run := range list {
			before[run] = maskOf(t, dest, run)
		}
		if _, _, err := plan.Execute(t.Context(), dest, nil, ""); err != nil {
			t.Fatal(err)
		}
		for _, run := range list {
			c, w := checkImpact(t, fmt.Sprintf("step %d, run %d, validity %v", step, run, runs), before[run], maskOf(t, dest, run), len(kind.gains), plan, run)
			changed, whole = changed+c, whole+w
		}
	}
	if changed == 0 {
		t.Error("no mask has changed: nothing was tested")
	}
}

// analysed combines the gain modes as analysis does: a pixel is bad when it is in any of the first five planes.
func analysed(a *calib.Array, planes int) *calib.Array {
	if a == nil || planes == 1 {
		return a
	}
	n := a.Words.Pixels / planes
	words := make([]uint64, n)
	for i, w := range a.Words.Dense()[:min(planes, 5)*n] {
		words[i%n] |= w
	}
	return &calib.Array{Words: calibtxt.SparseOf(words)}
}

// checkImpact compares what a plan says of one run with its masks: listed with any threshold below the number of pixels that
// change, and with no other. It counts runs whose mask changes, and those whose arrays differ in size.
func checkImpact(t *testing.T, what string, before, after *calib.Array, planes int, plan *Plan, run int) (changed, whole int) {
	t.Helper()
	bad, good := 0, 0
	before, after = analysed(before, planes), analysed(after, planes)
	switch {
	case after == nil:
	case before == nil:
		for _, w := range after.Words.Dense() {
			if w != 0 {
				bad++
			}
		}
	case before.Words.Pixels != after.Words.Pixels:
		if said := plan.Runs([]int{run}, calib.Last); len(said) != 1 || said[0].Whole == "" {
			t.Errorf("%s: the array has another size, which is not said: %+v", what, said)
		}
		return 0, 1
	default:
		for i, w := range after.Words.Dense() {
			if w != 0 && before.Words.Word(i) == 0 {
				bad++
			}
			if w == 0 && before.Words.Word(i) != 0 {
				good++
			}
		}
	}
	for _, more := range []int{bad + good - 1, bad + good} {
		said := plan.Runs([]int{run}, more)
		if listed := more >= 0 && more < bad+good; more >= 0 && (len(said) == 1) != listed || len(said) == 1 && more >= 0 && (said[0].NewlyBad != bad || said[0].NewlyGood != good || said[0].Whole != "") {
			t.Errorf("%s: %d newly bad, %d newly good; by more than %d: %+v", what, bad, good, more, said)
		}
	}
	if bad+good > 0 {
		return 1, 0
	}
	return 0, 0
}

// ruleNames are all rules of the gate that can be overridden.
func ruleNames() (names []string) {
	for _, r := range Rules {
		if r.Forcible() {
			names = append(names, r.Name)
		}
	}
	return names
}

// TestImpactUnreadable wants a constant that cannot be read to be listed as a change of everything.
func TestImpactUnreadable(t *testing.T) {
	dest := newPlace(t, "Cam::CalibV1", "det")
	dir := dest.String()
	if err := os.MkdirAll(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string][]uint64{"3-end.data": {0, 1, 0, 0}, "0-end.data": nil} {
		var b bytes.Buffer
		if words == nil {
			b.WriteString("no words\n")
		} else if err := calibtxt.WriteArray(&b, calibtxt.Header{Shape: []int{2, 2}}, calibtxt.SparseOf(words)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o664); err != nil {
			t.Fatal(err)
		}
	}
	r := newRepo(t)
	put(t, r, "cam", "det", 0, 2, 2, "", func(i int) uint64 { return uint64(i) })
	plan, err := NewPlan(t.Context(), dest, nil, merge(t, r, MergeOptions{}), "status_extra", calib.Range{Begin: 0, End: 5}, DefaultGate)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	list := plan.Runs([]int{0, 2, 3, 9}, 0)
	WriteRuns(&text, list, 4, 0)
	if len(list) != 2 || list[1].Run != 2 || !strings.Contains(list[0].Whole, `0-end.data" line 1`) {
		t.Errorf("%+v", list)
	}
	if !strings.HasPrefix(text.String(), "2 of 4 runs with data change their mask by more than 0 pixels\n") || !strings.Contains(text.String(), "0-end.data (") {
		t.Errorf("%s", text.String())
	}
}

// TestKnownRuns wants runs with status files of the detector's panels and runs with raw files, of this experiment alone.
func TestKnownRuns(t *testing.T) {
	r := newRepo(t)
	for run := range 3 {
		sf := repo.StatusFile{DetType: "cam", DetName: "det", Panel: "id-00", CType: "status_dark", Rows: 1, Cols: 1,
			Run: frame.Run{Experiment: []string{"mfxx1", "mfxx1", "mfxx2"}[run], Number: 3 * (run + 1), Begin: time.Unix(1.7e9+int64(86400*run), 0)}}
		if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf([]uint64{0}), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"mfxx1-r0004-s000-c000.xtc2", "mfxx1-r0006-s000-c000.xtc2", "mfxx2-r0011-s000-c000.xtc2", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &Subject{Type: "cam", Run: frame.Run{Experiment: "mfxx1"}, Panels: []Slot{{Dir: "id-00"}}}
	for _, c := range []struct {
		raw  open.Dataset
		want []int
	}{{open.Dataset{}, []int{3, 6}}, {open.Dataset{Dir: dir}, []int{3, 4, 6}}, {open.Dataset{Roots: []string{t.TempDir()}}, []int{3, 6}}} {
		if got, err := s.KnownRuns(r, c.raw); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: runs %v, %v, wanted %v", c.raw, got, err, c.want)
		}
	}
}
