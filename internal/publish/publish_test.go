package publish

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
	"rawstatus/internal/stats/status"
)

var policy = &access.Policy{DirMode: 0o2775, FileMode: 0o664}

func newRepo(t *testing.T) *repo.Repo {
	return repo.New(filepath.Join(t.TempDir(), "repo"), policy, time.UTC)
}

func newPlace(t *testing.T, group, source string) calib.Destination {
	t.Helper()
	d, err := calibdir.New(t.TempDir(), group, source, "status_extra", disk.Files{Policy: policy}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return d.Destination()
}

// put writes a status file of a panel whose words are word(i).
func put(t *testing.T, r *repo.Repo, typ, det string, segment, rows, cols int, gain string, word func(i int) uint64) {
	t.Helper()
	a := make([]uint64, rows*cols)
	for i := range a {
		a[i] = word(i)
	}
	sf := repo.StatusFile{DetType: typ, DetName: det, Panel: fmt.Sprintf("id-%02d", segment), Segment: segment, CType: "status_dark", GainMode: gain,
		Rows: rows, Cols: cols, Run: frame.Run{Experiment: "mfxx1", Number: 1, Begin: time.Unix(1.7e9, 0)}}
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(a), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
		t.Fatal(err)
	}
}

func merge(t *testing.T, r *repo.Repo, opt MergeOptions) *Merged {
	t.Helper()
	s, err := Find(t.Context(), r, Wanted{Experiment: "mfxx1", Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	opt.CType = "status_extra"
	m, err := Merge(t.Context(), r, s, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPixelsLieWhereAnalysisLooksForThem builds the arrays of DECISIONS "Deployed shape": every pixel of every plane says where it
// comes from, and must lie where analysis will look for it.
func TestPixelsLieWhereAnalysisLooksForThem(t *testing.T) {
	const G, S = 1 << 44, 1 << 40 // marks of gain mode and segment in a word
	tests := []struct {
		typ        string
		segments   []int
		gains      []string
		rows, cols int
		shape      []int
		at         func(m *Merged, gain, segment, pixel int) uint64
	}{
		{"epix100a", []int{0}, []string{""}, 704, 768, []int{704, 768},
			func(m *Merged, _, _, i int) uint64 { return m.array.Words.Word(i) }},
		{"epix100a", []int{3}, []string{""}, 704, 768, []int{704, 768},
			func(m *Merged, _, _, i int) uint64 { return m.array.Words.Word(i) }},
		{"cspad2x2", []int{0, 1}, []string{""}, 185, 388, []int{185, 388, 2},
			func(m *Merged, _, s, i int) uint64 { return m.array.Words.Word(2*i + s) }},
		{"cam", []int{0, 1, 2}, []string{""}, 4, 5, []int{3, 4, 5},
			func(m *Merged, _, s, i int) uint64 { return m.array.Words.Word(20*s + i) }},
		{"epix10ka", []int{0, 1, 2, 3}, []string{"FH", "FM", "FL", "AHL-H", "AML-M", "AHL-L", "AML-L"}, 352, 384, []int{7, 4, 352, 384},
			func(m *Merged, g, s, i int) uint64 { return m.array.Words.Word((4*g+s)*352*384 + i) }},
		{"jungfrau", []int{0}, []string{"g0", "g1", "g2"}, 512, 1024, []int{3, 1, 512, 1024},
			func(m *Merged, g, _, i int) uint64 { return m.array.Words.Word(g*512*1024 + i) }},
		{"epixm320", []int{0, 1, 2, 3}, []string{""}, 192, 384, []int{3, 4, 192, 384}, everyPlane(3)},
		{"epixuhr", []int{0, 1}, []string{""}, 168, 192, []int{8, 2, 168, 192}, everyPlane(8)},
	}
	for _, tt := range tests {
		t.Run(tt.typ, func(t *testing.T) {
			r := newRepo(t)
			for _, s := range tt.segments {
				for g, gain := range tt.gains {
					put(t, r, tt.typ, "det", s, tt.rows, tt.cols, gain, func(i int) uint64 { return uint64(g*G + s*S + i) })
				}
			}
			m := merge(t, r, MergeOptions{})
			if !slices.Equal(m.Shape, tt.shape) || len(m.Missing) > 0 {
				t.Fatalf("shape %v, missing %q, want %v", m.Shape, m.Missing, tt.shape)
			}
			for _, s := range tt.segments {
				for g := range tt.gains {
					for _, i := range []int{0, 1, tt.cols, tt.rows*tt.cols - 1} {
						if got, want := tt.at(m, g, s, i), uint64(g*G+s*S+i); got != want {
							t.Errorf("segment %d gain %d pixel %d: word %x, want %x", s, g, i, got, want)
						}
					}
				}
			}
			text, err := os.ReadFile(m.Path)
			var again bytes.Buffer
			if errText := m.text(&again); err != nil || errText != nil || !bytes.Equal(text, again.Bytes()) {
				t.Errorf("the file of the array is not what is deployed (%v, %v)", err, errText)
			}
		})
	}
}

// everyPlane returns the word of a pixel where the gain modes are not told apart: it is that of every plane.
func everyPlane(planes int) func(m *Merged, gain, segment, pixel int) uint64 {
	return func(m *Merged, _, s, i int) uint64 {
		pixels := m.Panels[0].Rows * m.Panels[0].Cols
		word := m.array.Words.Word(s*pixels + i)
		for plane := range planes {
			if m.array.Words.Word((plane*len(m.Panels)+s)*pixels+i) != word {
				return 0xbad
			}
		}
		return word
	}
}

// TestPlanesInForce: the array in force decides whether the array has an axis of gain modes that are not told apart.
func TestPlanesInForce(t *testing.T) {
	for name, shape := range map[string][]int{"none": nil, "one": {2, 168, 192}, "eight": {8, 2, 168, 192}, "more panels": {8, 4, 168, 192}} {
		r := newRepo(t)
		for segment := range 2 {
			put(t, r, "epixuhr", "det", segment, 168, 192, "", func(i int) uint64 { return uint64(i % 2) })
		}
		m := merge(t, r, MergeOptions{Standing: &Standing{Shape: shape, From: name}, MissingPanel: "bad"})
		want := shape
		if want == nil {
			want = []int{8, 2, 168, 192}
		}
		n := 1
		for _, d := range want {
			n *= d
		}
		if !slices.Equal(m.Shape, want) || m.Misfit != "" || m.array.Words.Pixels != n || m.array.Words.Word(n/2+1) == 0 {
			t.Errorf("%s: shape %v, %s", name, m.Shape, m.Misfit)
		}
	}
}

// TestPlanCountsByPlane compares with what is in force, plane by plane, also where the panels are last.
func TestPlanCountsByPlane(t *testing.T) {
	r := newRepo(t)
	bad := map[int]int{0: 10, 1: 0}
	write := func() *Merged {
		for s := range 2 {
			put(t, r, "cspad2x2", "det", s, 185, 388, "", func(i int) uint64 {
				if i < bad[s] {
					return status.RmsHigh
				}
				return 0
			})
		}
		return merge(t, r, MergeOptions{})
	}
	dest := newPlace(t, "CsPad2x2::CalibV1", "det")
	forever := calib.Range{Begin: 0, End: calib.Last}
	plan, err := NewPlan(t.Context(), dest, nil, write(), "status_extra", forever, DefaultGate)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := plan.Execute(t.Context(), dest, nil, ""); err != nil {
		t.Fatal(err)
	}
	key := plan.Key()
	bad[0], bad[1] = 4, 7
	plan, err = NewPlan(t.Context(), dest, nil, write(), "status_extra", forever, DefaultGate)
	if err != nil {
		t.Fatal(err)
	}
	want := []Tile{{Slot: 0, Pixels: 185 * 388, Bad: 4, Turned: status.Turned{NewlyGood: 6}}, {Slot: 1, Pixels: 185 * 388, Bad: 7, Turned: status.Turned{NewlyBad: 7}}}
	if !slices.Equal(plan.Tiles, want) || len(plan.Stretches) != 1 || plan.Stretches[0].NewlyBad != 7 || plan.Stretches[0].NewlyGood != 6 || plan.Bad != 11 {
		t.Errorf("panels %+v, changes %+v, want panels %+v", plan.Tiles, plan.Stretches, want)
	}
	if plan.Key() == key {
		t.Error("another content has the same key")
	}
	var text strings.Builder
	plan.Text(&text)
	for _, part := range []string{"11 of 143560 pixels bad", "newly bad 7, newly good 6", "runs 0..end use 0-end.data now"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the plan does not say %q:\n%s", part, &text)
		}
	}
}

// TestUnjudgedRunsDoNotVote: unjudged runs do not vote.
func TestUnjudgedRunsDoNotVote(t *testing.T) {
	r := newRepo(t)
	words := map[int][]uint64{1: {1, 1, 1024, 0}, 2: {1, 0, 1, 0}, 3: {1, 0, 1, 1024}}
	for run, w := range words {
		sf := repo.StatusFile{DetType: "cam", DetName: "cam", Panel: "id", CType: "status_dark", Rows: 1, Cols: 4,
			Run: frame.Run{Experiment: "mfxx1", Number: run, Begin: time.Unix(1.7e9+int64(run)*1000, 0)}}
		if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(w), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
			t.Fatal(err)
		}
	}
	m := merge(t, r, MergeOptions{Runs: ranges.List{{First: 1, Last: 3}}, Fraction: 0.7})
	if want := []uint64{1, 0, 1, 0}; !slices.Equal(m.array.Words.Dense(), want) {
		t.Errorf("merged %v, want %v", m.array.Words.Dense(), want)
	}
	if len(m.inputs()) != 3 {
		t.Errorf("inputs %v", m.inputs())
	}
}

// TestDefaultOfLastResort: a panel without any file takes what people have put down for its type.
func TestDefaultOfLastResort(t *testing.T) {
	r := newRepo(t)
	put(t, r, "cam", "cam", 0, 1, 2, "", func(int) uint64 { return 1 })
	if err := os.MkdirAll(filepath.Dir(r.DefaultPath("cam", "status_extra")), 0o775); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.DefaultPath("cam", "status_extra"), []byte("0 1\n"), 0o664); err != nil {
		t.Fatal(err)
	}
	s, err := Find(t.Context(), r, Wanted{Experiment: "mfxx1", Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.Panels = append(s.Panels, Slot{Dir: "new", Slot: 1, Segment: 1})
	m, err := Merge(t.Context(), r, s, MergeOptions{CType: "status_extra"})
	if err != nil || !slices.Equal(m.array.Words.Dense(), []uint64{1, 1, 0, 1}) || m.Planes[1].Sources[0].CType != "default" {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestFindRefuses: what the repository alone cannot tell.
func TestFindRefuses(t *testing.T) {
	r := newRepo(t)
	put(t, r, "cam", "a", 0, 1, 2, "", func(int) uint64 { return 1 })
	put(t, r, "cam", "b", 1, 1, 2, "", func(int) uint64 { return 1 })
	for name, w := range map[string]Wanted{
		"two detectors": {Experiment: "mfxx1", Run: 1},
		"no run":        {Experiment: "mfxx1", Run: -1},
		"time alone":    {Experiment: "mfxx1", Run: -1, Stamp: "20260101000000"},
		"bad time":      {Experiment: "mfxx1", Run: 1, Detector: "a", Stamp: "yesterday"},
	} {
		if s, err := Find(t.Context(), r, w); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for name, w := range map[string]Wanted{"other run": {Experiment: "mfxx1", Run: 2}, "other detector": {Experiment: "mfxx1", Run: 1, Detector: "c"}} {
		if s, err := Find(t.Context(), r, w); fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	s, err := Find(t.Context(), r, Wanted{Experiment: "mfxx1", Run: 1, Detector: "b"})
	if err != nil || len(s.Panels) != 1 || s.Panels[0].Slot != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	// An exchanged panel: two ids with one segment number.
	sf := repo.StatusFile{DetType: "cam", DetName: "b", Panel: "another", Segment: 1, CType: "status_dark", Rows: 1, Cols: 2,
		Run: frame.Run{Experiment: "mfxx1", Number: 1, Begin: time.Unix(1.7e9, 0)}}
	if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf([]uint64{0, 1}), repo.Sidecar{Profile: "dark"}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), r, Wanted{Experiment: "mfxx1", Run: 1, Detector: "b"}); fault.CodeOf(err) != fault.Input {
		t.Errorf("two panels in one place: %v", err)
	}
}

// TestDiffCountsWhatHappensToPixels counts pixels by what happens to them.
func TestDiffCountsWhatHappensToPixels(t *testing.T) {
	a := &calib.Array{Shape: []int{2, 2, 3}, Words: calibtxt.SparseOf([]uint64{0, 0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 5})}
	b := &calib.Array{Shape: []int{2, 2, 3}, Words: calibtxt.SparseOf([]uint64{0, 4, 1, 0, 3, 0, 0, 0, 0, 0, 0, 5})}
	d, err := Diff("a", "b", a, b, 2)
	if err != nil {
		t.Fatal(err)
	}
	if d.NewlyBad != 1 || d.NewlyGood != 1 || d.OtherBits != 1 || d.Same != 9 || len(d.Planes) != 1 || !slices.Equal(d.Planes[0].Index, []int{0}) ||
		len(d.Pixels) != 2 || !slices.Equal(d.Pixels[1].Index, []int{0, 1, 0}) {
		t.Errorf("%+v", d)
	}
	for _, shape := range [][]int{{1}, {12}, {2, 3, 2}, {4, 3}, {2, 2, 3, 1}} {
		if _, err := Diff("a", "b", a, &calib.Array{Shape: shape, Words: calibtxt.SparseOf(make([]uint64, product(shape)))}, 0); fault.CodeOf(err) != fault.Input {
			t.Errorf("%v: %v", shape, err)
		}
	}
	if d, err := Diff("a", "b", a, &calib.Array{Shape: []int{1, 2, 2, 3}, Words: b.Words}, 0); err != nil || d.Same != 9 {
		t.Errorf("%+v, %v", d, err)
	}
}

func product(shape []int) int {
	n := 1
	for _, extent := range shape {
		n *= extent
	}
	return n
}

// forgetful is a store that says it has deployed and has not.
type forgetful struct{ calib.Store }

func (forgetful) Put(context.Context, *calib.Record, int, *calib.Content) error { return nil }

// TestReadBack: a deployment is believed only when analysis finds it.
func TestReadBack(t *testing.T) {
	r := newRepo(t)
	put(t, r, "cam", "cam", 0, 1, 100, "", func(i int) uint64 { return uint64(i / 99) })
	dest := newPlace(t, "Cam::CalibV1", "cam")
	forever := calib.Range{Begin: 0, End: calib.Last}
	plan, err := NewPlan(t.Context(), dest, nil, merge(t, r, MergeOptions{}), "status_extra", forever, DefaultGate)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := plan.Execute(t.Context(), calib.Destination{Store: forgetful{dest.Store}, Ledger: dest.Ledger}, nil, ""); err == nil || !strings.Contains(err.Error(), "does not read back") {
		t.Errorf("nothing deployed: %v", err)
	}
	if _, _, err := plan.Execute(t.Context(), dest, nil, ""); err != nil {
		t.Error(err)
	}
	put(t, r, "cam", "cam", 0, 1, 100, "", func(i int) uint64 { return uint64(i / 98) })
	if plan, err = NewPlan(t.Context(), dest, nil, merge(t, r, MergeOptions{}), "status_extra", forever, DefaultGate); err != nil {
		t.Fatal(err)
	}
	if _, _, err := plan.Execute(t.Context(), calib.Destination{Store: forgetful{dest.Store}, Ledger: dest.Ledger}, nil, ""); err == nil || !strings.Contains(err.Error(), "does not read back") {
		t.Errorf("the old one stays: %v", err)
	}
}

// TestRepeatedCommand repeats commands without -R: one that is the deployment that the run uses does nothing, whatever
// was deployed for other runs meanwhile; any other one is a deployment for the runs from its own on.
func TestRepeatedCommand(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(7, 0, "", 1, 1, repo.Sidecar{})
	s.status(20, 0, "", 2, 1, repo.Sidecar{})
	dest := s.dir("status_extra").Destination()
	command := func(run int, runs string, want string, wantUnchanged bool) calib.Record {
		t.Helper()
		subject, err := Find(t.Context(), s.repo, Wanted{Experiment: "mfxx1", Run: run})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Merge(t.Context(), s.repo, subject, MergeOptions{CType: "status_extra"})
		if err != nil {
			t.Fatal(err)
		}
		var p *Plan
		if runs == "" {
			p, err = NewPlanOfRun(t.Context(), dest, nil, m, "status_extra", DefaultGate)
		} else {
			var r calib.Range
			if r, err = calib.ParseRange(runs); err == nil {
				p, err = NewPlan(t.Context(), dest, nil, m, "status_extra", r, DefaultGate)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		rec, unchanged, err := p.Execute(t.Context(), dest, nil, "")
		if err != nil || rec.Range.String() != want || unchanged != wantUnchanged {
			t.Fatalf("run %d -R %q: runs %s, unchanged %v, %v; want %s, %v", run, runs, rec.Range, unchanged, err, want, wantUnchanged)
		}
		return rec
	}
	back := func(of calib.Record) {
		t.Helper()
		if _, err := dest.Undo(t.Context(), calib.Record{Action: calib.ActionRollback}, of.ID); err != nil {
			t.Fatal(err)
		}
	}
	last := func() calib.Record {
		records, err := dest.Records()
		if err != nil {
			t.Fatal(err)
		}
		return records[len(records)-1]
	}
	first := command(7, "", "0-end", false)
	command(7, "", "0-end", true)
	later := command(20, "", "20-end", false)
	command(7, "", "0-end", true) // another deployment in between, for runs that this one is not about
	command(20, "", "20-end", true)
	back(later)
	command(7, "", "0-end", true)
	command(20, "", "20-end", false) // taken back, and wanted again
	over := command(20, "0-end", "0-end", false)
	on := command(7, "", "7-end", false) // all runs use another one now: this one is for its own and later
	back(on)
	back(over)
	command(7, "", "0-end", true) // the rollback has brought it back
	narrow := command(20, "5-10", "5-10", false)
	command(7, "", "7-end", false)
	back(last())
	back(narrow)
	command(7, "7-30", "7-30", false)
	back(last())
	s.status(7, 0, "", 3, 1, repo.Sidecar{}) // judged again
	command(7, "", "7-end", false)
	command(7, "", "7-end", true)
	back(last())
	back(first)
}
