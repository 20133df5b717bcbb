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

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
	"rawstatus/internal/stats/status"
)

// scene is a repository and a calibration directory for tests of the gate.
type scene struct {
	t    *testing.T
	repo *repo.Repo
	root string // of the calibration directory
	typ  string
	det  string
}

func newScene(t *testing.T, typ, det string) *scene {
	return &scene{t, newRepo(t), filepath.Join(t.TempDir(), "calib"), typ, det}
}

// of is a run of the scene: number n begins on day n of 2026.
func of(n int) frame.Run {
	return frame.Run{Experiment: "mfxx1", Number: n, Begin: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, n)}
}

// status writes a file whose first pixels have a word.
func (s *scene) status(run, segment int, gain string, bad int, word uint64, sc repo.Sidecar) {
	s.t.Helper()
	rows, cols := 10, 10
	switch s.typ {
	case "jungfrau":
		rows, cols = 512, 1024
	case "epix10ka":
		rows, cols = 352, 384
	}
	a := make([]uint64, rows*cols)
	for i := range bad {
		a[i] = word
	}
	s.words(run, segment, gain, rows, cols, a, sc)
}

// words writes a file.
func (s *scene) words(run, segment int, gain string, rows, cols int, a []uint64, sc repo.Sidecar) {
	s.t.Helper()
	if sc.Profile == "" {
		sc.Profile = "dark"
	}
	sc.Family = repo.FamilyDark
	sf := repo.StatusFile{DetType: s.typ, DetName: s.det, Panel: fmt.Sprintf("id-%02d", segment), Segment: segment, CType: "status_dark", GainMode: gain, Rows: rows, Cols: cols, Run: of(run)}
	if _, _, err := s.repo.WriteStatus(s.t.Context(), sf, calibtxt.SparseOf(a), sc, false); err != nil {
		s.t.Fatal(err)
	}
}

// dir is the directory of a constants type.
func (s *scene) dir(ctype string) *calibdir.Dir {
	s.t.Helper()
	d, err := calibdir.New(s.root, "Group::CalibV1", s.det, ctype, disk.Files{Policy: policy}, time.UTC)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// deployed puts an array into the calibration directory, as another program would.
func (s *scene) deployed(ctype, name string, shape []int, word func(i int) uint64) {
	s.t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	values := make([]uint64, n)
	for i := range values {
		values[i] = word(i)
	}
	var b bytes.Buffer
	if err := calibtxt.WriteArray(&b, calibtxt.Header{Shape: shape}, calibtxt.SparseOf(values)); err != nil {
		s.t.Fatal(err)
	}
	dir := filepath.Join(s.root, "Group::CalibV1", s.det, ctype)
	if err := os.MkdirAll(dir, 0o775); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o664); err != nil {
		s.t.Fatal(err)
	}
}

// plan plans the deployment of a run.
func (s *scene) plan(run int, validity string, g Gate, opt MergeOptions) *Plan {
	s.t.Helper()
	subject, err := Find(s.t.Context(), s.repo, Wanted{Experiment: "mfxx1", Run: run})
	if err != nil {
		s.t.Fatal(err)
	}
	standing, err := LookUp(s.t.Context(), func(ctype string) (Reader, error) { return s.dir(ctype), nil }, run)
	if err != nil {
		s.t.Fatal(err)
	}
	opt.CType, opt.Standing = "status_extra", standing
	m, err := Merge(s.t.Context(), s.repo, subject, opt)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := calib.ParseRange(validity)
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := NewPlan(s.t.Context(), s.dir("status_extra").Destination(), standing, m, "status_extra", r, g)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// wantFindings compares the names of the rules that speak; those that refuse have an exclamation mark.
func wantFindings(t *testing.T, p *Plan, want ...string) {
	t.Helper()
	got := []string{}
	for _, f := range p.Findings {
		name := f.Rule
		if f.Refuses && !f.Forced {
			name += "!"
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		var text strings.Builder
		p.Text(&text)
		t.Errorf("findings %v, wanted %v\n%s", got, want, &text)
	}
}

func all(word uint64) func(int) uint64 { return func(int) uint64 { return word } }

// first sets the first n words.
func first(n int, word uint64) func(int) uint64 {
	return func(i int) uint64 {
		if i < n {
			return word
		}
		return 0
	}
}

// TestGateSources judges where the status comes from: the run, its age, its plans, incomplete data.
func TestGateSources(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(1, 0, "", 1, 1, repo.Sidecar{PlanID: "a"})
	s.status(1, 1, "", 1, 1, repo.Sidecar{PlanID: "a"})
	s.status(2, 0, "", 1, 1, repo.Sidecar{PlanID: "a", Incomplete: []string{"stream 3"}})
	s.status(2, 1, "", 1, 1, repo.Sidecar{PlanID: "b"})
	s.status(3, 0, "", 1, 1, repo.Sidecar{PlanID: "a", Parameters: map[string]any{"rms_hi": 5}})
	s.status(3, 1, "", 1, 1, repo.Sidecar{PlanID: "a", Parameters: map[string]any{"rms_hi": 6}})
	wantFindings(t, s.plan(1, "0-end", DefaultGate, MergeOptions{}))
	wantFindings(t, s.plan(2, "0-end", DefaultGate, MergeOptions{}), "plans!", "incomplete")
	wantFindings(t, s.plan(3, "0-end", DefaultGate, MergeOptions{}), "plans!")

	// A run without status of its own, at the time of run 40: its detector is known from raw data.
	at := func(run int, g Gate) *Plan {
		subject, err := Find(t.Context(), s.repo, Wanted{Experiment: "mfxx1", Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		subject.Run, subject.At = of(run), of(run).Begin
		m, err := Merge(t.Context(), s.repo, subject, MergeOptions{CType: "status_extra", Only: []string{"status_dark"}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPlan(t.Context(), s.dir("status_extra").Destination(), nil, m, "status_extra", calib.Range{Begin: run, End: calib.Last}, g)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s.status(4, 0, "", 1, 1, repo.Sidecar{PlanID: "a"})
	s.status(4, 1, "", 1, 1, repo.Sidecar{PlanID: "a"})
	wantFindings(t, at(5, DefaultGate), "other-run")
	wantFindings(t, at(40, DefaultGate), "other-run", "old")
	g := DefaultGate
	g.Automatic = true
	wantFindings(t, at(5, g), "other-run!")
	g.SourceRun = 4
	wantFindings(t, at(5, g))
	g.SourceRun = 3
	wantFindings(t, at(5, g), "other-run!")
	g.SourceRun, g.Force = -1, []string{"other-run"}
	wantFindings(t, at(5, g), "other-run")
	g = DefaultGate
	g.MaxAge = 40 * 24 * time.Hour
	wantFindings(t, at(40, g), "other-run")
}

// TestGateStretches judges every stretch of runs that changes, against pixel_status, first deployments too.
func TestGateStretches(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(1, 0, "", 12, 1, repo.Sidecar{})
	wantFindings(t, s.plan(1, "0-end", DefaultGate, MergeOptions{}), "many-new!")
	s.deployed("pixel_status", "0-end.data", []int{10, 10}, first(12, 4))
	p := s.plan(1, "0-end", DefaultGate, MergeOptions{})
	wantFindings(t, p)
	if p.Stretches[0].NewlyBad != 0 || p.Bad != 12 || p.Tiles[0].Standing != 12 {
		t.Errorf("pixel_status in force: %+v", p.Stretches)
	}

	// Run 1 itself uses an equal constant already; runs 5 and later have nothing, and another pixel_status.
	s.deployed("status_extra", "0-end.data", []int{10, 10}, first(12, 1))
	s.deployed("status_extra", "5-end.data", []int{10, 10}, all(0))
	s.deployed("pixel_status", "5-end.data", []int{10, 10}, all(0))
	p = s.plan(1, "0-9", DefaultGate, MergeOptions{})
	wantFindings(t, p) // 5-end hides it from runs 5..9
	s.deployed("status_extra", "5-end.data", []int{10, 10}, all(0))
	p = s.plan(1, "5-7", DefaultGate, MergeOptions{})
	wantFindings(t, p, "many-new!", "not-this-run")
	if err := os.Remove(filepath.Join(s.root, "Group::CalibV1", s.det, "status_extra", "5-end.data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.root, "Group::CalibV1", s.det, "status_extra", "0-end.data")); err != nil {
		t.Fatal(err)
	}
	s.deployed("status_extra", "0-4.data", []int{10, 10}, first(12, 1))
	p = s.plan(1, "0-end", DefaultGate, MergeOptions{})
	wantFindings(t, p, "many-new!", "not-this-run")
	if len(p.Stretches) != 1 || p.Stretches[0].Runs[0].String() != "5-end" || p.Stretches[0].NewlyBad != 12 || !strings.Contains(p.Findings[0].Text, "runs 5..end") {
		t.Errorf("stretches %+v, %v", p.Stretches, p.Findings)
	}
}

// TestGatePlanes judges the mask that analysis makes of several gain modes.
func TestGatePlanes(t *testing.T) {
	s := newScene(t, "jungfrau", "jungfrau")
	half := 512 * 1024 / 2
	for g, gain := range []string{"g0", "g1", "g2"} {
		for segment := range 2 {
			word := first(0, 0)
			if segment == 1 && g < 2 { // each half of the panel is bad in one gain mode
				word = func(i int) uint64 {
					if (i < half) == (g == 0) {
						return 2
					}
					return 0
				}
			}
			put(t, s.repo, "jungfrau", "jungfrau", segment, 512, 1024, gain, func(i int) uint64 {
				if i == 7 {
					return 1
				}
				return word(i)
			})
		}
	}
	g := DefaultGate
	g.MaxNew = 1
	wantFindings(t, s.plan(1, "0-end", g, MergeOptions{}), "all-bad!", "new")

	// Four panels are deployed as pixel_status, two are in the run: the others have to be accounted for.
	s.deployed("pixel_status", "0-end.data", []int{3, 4, 512, 1024}, all(0))
	p := s.plan(1, "0-end", g, MergeOptions{})
	wantFindings(t, p, "missing!")
	if len(p.merged.Missing) != 2 {
		t.Errorf("missing %v", p.merged.Missing)
	}
	p = s.plan(1, "0-end", g, MergeOptions{MissingPanel: "bad"})
	if !slices.Equal(p.Shape, []int{3, 4, 512, 1024}) || !strings.Contains(p.ShapeFrom, "pixel_status 0-end.data") {
		t.Errorf("shape %v, %s", p.Shape, p.ShapeFrom)
	}
	s.deployed("pixel_status", "0-end.data", []int{2, 512, 1024}, all(0))
	wantFindings(t, s.plan(1, "0-end", g, MergeOptions{}), "all-bad!", "shape!")
}

// TestGateMissingGain fills gain modes that were not measured.
func TestGateMissingGain(t *testing.T) {
	s := newScene(t, "epix10ka", "epix")
	for i, gain := range []string{"FH", "FM", "FL", "AHL-H", "AML-M"} {
		s.status(1, 0, gain, i+1, 1, repo.Sidecar{})
	}
	p := s.plan(1, "0-end", DefaultGate, MergeOptions{})
	wantFindings(t, p) // the five-step dark needs no flag
	pixels := 352 * 384
	if a := p.merged.array.Words.Dense(); a[5*pixels+3] != 1 || a[5*pixels+4] != 0 || a[6*pixels+4] != 1 || a[6*pixels+5] != 0 || p.Bad != 5 {
		t.Errorf("AHL-L is not AHL-H, or AML-L not AML-M; %d bad", p.Bad)
	}
	s.status(2, 0, "FH", 1, 1, repo.Sidecar{})
	two := func(choice string, g Gate) *Plan {
		opt := MergeOptions{MissingGain: map[string]string{}}
		if choice != "" {
			opt.MissingGain[""] = choice
		}
		// Only files of run 2: the older ones are in the way of this test.
		opt.Runs, opt.AtLeast = open1(2), 1
		return s.plan(2, "0-end", g, opt)
	}
	wantFindings(t, two("", DefaultGate), "missing!")
	wantFindings(t, two("copy:FH", DefaultGate))
	p = two("bad", DefaultGate)
	wantFindings(t, p, "all-bad!", "unjudged!", "many-new!")
	if hint := fault.HintOf(p.Allowed()); !strings.HasSuffix(hint, "to override: --force-all-bad; --force-unjudged; --force-many-new") {
		t.Errorf("hint %q", hint)
	}
	g := DefaultGate
	g.Force = []string{"all-bad", "unjudged", "many-new"}
	if err := two("bad", g).Allowed(); err != nil {
		t.Error(err)
	}
}

// TestGainMap deploys a run whose pixels are in two gain modes: each pixel is judged in its own, and where it has no data
// because of that, that is no reason to mask it.
func TestGainMap(t *testing.T) {
	const rows, cols = 352, 384
	s := newScene(t, "epix10ka", "epix")
	high, medium, want := make([]uint64, rows*cols), make([]uint64, rows*cols), map[int]bool{}
	for i := range high {
		own, other := &high[i], &medium[i]
		if i%3 == 0 {
			own, other = other, own
		}
		*other = status.NoData
		switch i % 1009 {
		case 7:
			*own = 1
		case 8: // no data in its own mode either, as a pixel that is stuck in another one
			*own = status.NoData
		case 9:
			*own = status.LowStats
		default:
			continue
		}
		want[i] = true
	}
	maps := []string{"FH", "FM"}
	s.words(1, 0, "FH", rows, cols, high, repo.Sidecar{PlanID: "a", GainMap: maps})
	s.words(1, 0, "FM", rows, cols, medium, repo.Sidecar{PlanID: "a", GainMap: maps})
	opt := MergeOptions{MissingGain: map[string]string{"": "copy:FH"}}
	p := s.plan(1, "0-end", DefaultGate, opt)
	wantFindings(t, p)
	if p.Bad != len(want) {
		t.Errorf("%d pixels masked, want %d", p.Bad, len(want))
	}
	for gain := range 7 {
		for i, word := range p.merged.array.Words.Dense()[gain*rows*cols:][:rows*cols] {
			if (word != 0) != want[i] {
				t.Fatalf("plane %d pixel %d: %d, want bad %v", gain, i, word, want[i])
			}
		}
	}
	// The same files without the map: what has no data in a gain mode is bad there.
	s.words(2, 0, "FH", rows, cols, high, repo.Sidecar{PlanID: "b"})
	s.words(2, 0, "FM", rows, cols, medium, repo.Sidecar{PlanID: "b"})
	wantFindings(t, s.plan(2, "0-end", DefaultGate, opt), "all-bad!", "unjudged!", "many-new!")
	// Files of two runs are no partners.
	s.words(3, 0, "FH", rows, cols, high, repo.Sidecar{PlanID: "c", GainMap: maps})
	wantFindings(t, s.plan(3, "0-end", DefaultGate, opt), "all-bad!", "unjudged!", "many-new!")
}

// TestMountedElsewhere merges the files of a panel that was a part of another detector when they were written.
func TestMountedElsewhere(t *testing.T) {
	s := newScene(t, "epix10ka", "epixquad")
	s.status(1, 0, "FH", 3, 1, repo.Sidecar{})
	subject := &Subject{Detector: "epix2", Type: "epix10ka", Run: of(2), At: of(2).Begin, Panels: []Slot{{Dir: "id-00", Segment: 5, Slot: 5}}}
	subject.family, _ = detector.Lookup("epix10ka")
	m, err := Merge(t.Context(), s.repo, subject, MergeOptions{CType: "status_extra"})
	if err != nil {
		t.Fatal(err)
	}
	p := m.Planes[0]
	if p.Bad != 3 || len(p.Sources) != 1 || !strings.Contains(p.Sources[0].Reason, "written when the panel was a part of epixquad") {
		t.Errorf("%+v", p)
	}
	if files, err := filepath.Glob(filepath.Join(s.repo.Root, "epix10ka", "id-00", "status_merged", "*_FH.txt")); len(files) != 1 {
		t.Errorf("merged: %v %v", files, err)
	}
}

// TestGateTarget judges the destination: another experiment, constants of equal runs.
func TestGateTarget(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(1, 0, "", 1, 1, repo.Sidecar{})
	for name, good := range map[string]bool{"mfxx1": true, "mfxlr2319": false, "scratch": true, "xpptut15": false} {
		s.root = filepath.Join(t.TempDir(), name, "calib")
		want := []string{"experiment!"}
		if good {
			want = nil
		}
		wantFindings(t, s.plan(1, "0-end", DefaultGate, MergeOptions{}), want...)
	}
	// Links do not hide whose directory it is, and a directory of any name belongs to who has deployed there.
	s.root = filepath.Join(t.TempDir(), "mine")
	theirs := filepath.Join(t.TempDir(), "mfxlr2319", "calib")
	if err := os.MkdirAll(theirs, 0o775); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(theirs, s.root); err != nil {
		t.Fatal(err)
	}
	wantFindings(t, s.plan(1, "0-end", DefaultGate, MergeOptions{}), "experiment!")
	s.root = filepath.Join(t.TempDir(), "scratch")
	p := s.plan(1, "0-end", DefaultGate, MergeOptions{})
	p.merged.Run.Experiment = "mfxlr2319"
	rec, _, err := p.Execute(t.Context(), s.dir("status_extra").Destination(), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	wantFindings(t, s.plan(1, "0-end", DefaultGate, MergeOptions{}), "experiment!")
	if _, err := s.dir("status_extra").Destination().Undo(t.Context(), calib.Record{Action: calib.ActionRollback}, rec.ID); err != nil {
		t.Fatal(err)
	}
	wantFindings(t, s.plan(1, "0-end", DefaultGate, MergeOptions{}))
	for _, other := range []string{"0-9999.data", "00-end.data"} {
		s.root = filepath.Join(t.TempDir(), "calib")
		s.deployed("status_extra", other, []int{10, 10}, all(1))
		p := s.plan(1, "0-end", DefaultGate, MergeOptions{})
		if !slices.ContainsFunc(p.Refused(), func(f Finding) bool { return f.Rule == "ambiguous" && strings.Contains(f.Text, other) }) {
			t.Errorf("%s beside 0-end.data: %v", other, p.Findings)
		}
	}
}

// TestGateWarnings: what a person is told and may pass over.
func TestGateWarnings(t *testing.T) {
	g := DefaultGate
	g.MaxNew, g.MaxWarn = 1, 1
	s := newScene(t, "cam", "cam")
	s.mask(1, "1-end", 5)
	wantFindings(t, s.plan(1, "0-end", g, MergeOptions{}), "masks-only")
	s.status(1, 0, "", 2, 1, repo.Sidecar{})
	wantFindings(t, s.plan(1, "0-end", g, MergeOptions{}))
	s.status(40, 0, "", 2, 1, repo.Sidecar{}) // with the mask of run 1, whose age does not matter
	wantFindings(t, s.plan(40, "0-end", g, MergeOptions{}))
	s = newScene(t, "cam", "cam")
	s.status(1, 1, "", 2, 1, repo.Sidecar{})
	s.status(3, 2, "", 2, 1, repo.Sidecar{})
	s.status(40, 0, "", 2, 1, repo.Sidecar{})
	p := s.plan(40, "0-end", g, MergeOptions{})
	if wantFindings(t, p, "old"); !strings.Contains(p.Findings[0].Text, "39 days older") {
		t.Errorf("the oldest is of run 1: %s", p.Findings[0].Text)
	}

	s = newScene(t, "epix10ka", "epix")
	for _, gain := range []string{"FH", "FM", "FL", "AHL-H", "AML-M"} {
		s.status(1, 0, gain, 90*384, 1, repo.Sidecar{}) // more than half of two chips, which have 176 rows
		s.status(2, 0, gain, 500, 1, repo.Sidecar{})
		s.status(3, 0, gain, 501, 1, repo.Sidecar{})
	}
	wantFindings(t, s.plan(1, "0-end", g, MergeOptions{}), "asic")
	s.deployed("status_extra", "0-end.data", []int{7, 1, 352, 384}, func(i int) uint64 {
		if i%(352*384) < 1001 {
			return 1
		}
		return 0
	})
	wantFindings(t, s.plan(2, "0-end", g, MergeOptions{}), "cleared")
	wantFindings(t, s.plan(3, "0-end", g, MergeOptions{})) // less than half
}

// broken is a store whose constants cannot be read.
type broken struct{ *calibdir.Dir }

func (broken) Read(context.Context, calib.Item) (*calib.Array, string, error) {
	return nil, "", fmt.Errorf("rotten")
}

func (broken) Shape(context.Context, calib.Item) ([]int, error) { return nil, fmt.Errorf("rotten") }

// TestBrokenPixelStatus says that it cannot count a pixel_status.
func TestBrokenPixelStatus(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(1, 0, "", 1, status.RmsHigh, repo.Sidecar{})
	s.deployed("pixel_status", "0-end.data", []int{10, 10}, all(0))
	standing, err := LookUp(t.Context(), func(ctype string) (Reader, error) { return broken{s.dir(ctype)}, nil }, 1)
	if err != nil || len(standing.Notes) != 1 || standing.Shape != nil {
		t.Fatalf("%+v, %v", standing, err)
	}
	if standing.mask(t.Context(), "0-end.data", 1) != nil || len(standing.Notes) != 2 {
		t.Errorf("notes %v", standing.Notes)
	}
}

// open1 is a list of one run.
func open1(run int) ranges.List { return ranges.List{{First: run, Last: run}} }
