package repo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/testenv"
)

// placed is a file of the model: what is true of it, whatever its name says.
type placed struct {
	name   string
	begin  time.Time
	run    frame.Run
	gain   string
	record bool
}

// tree is a repository with random files of one panel and type.
func tree(t *testing.T, r *rand.Rand, zone *time.Location) (*Repo, []placed) {
	t.Helper()
	repo := New(t.TempDir(), &access.Policy{DirMode: 0o2775, FileMode: 0o664}, zone)
	dir := filepath.Join(repo.PanelDir("cam", "p"), "status_dark")
	if err := os.MkdirAll(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	// Around the hour that the clocks of Los Angeles show twice, and elsewhere.
	origin := []time.Time{time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}[r.IntN(2)]
	var all []placed
	for range r.IntN(12) {
		p := placed{begin: origin.Add(time.Duration(r.IntN(12)-6) * 15 * time.Minute), record: r.IntN(4) > 0}
		p.run = frame.Run{Experiment: []string{"expa", "expb"}[r.IntN(2)], Number: 1 + r.IntN(3)}
		p.gain = []string{"", "", "g0", "g1"}[r.IntN(4)]
		written := repo
		if p.record && r.IntN(4) == 0 { // by a machine in another zone
			written = New("", nil, time.FixedZone("far", []int{-12, 0, 9, 14}[r.IntN(4)]*3600))
		}
		n := Name{DetType: "cam", Alias: "0001", Stamp: written.Stamp(p.begin), Experiment: p.run.Experiment, Run: p.run.Number, CType: "status_dark", GainMode: p.gain, Ext: ".dat"}
		p.name = n.String()
		if slices.ContainsFunc(all, func(q placed) bool { return q.name == p.name }) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, p.name), nil, 0o664); err != nil {
			t.Fatal(err)
		}
		if p.record {
			b, err := json.Marshal(Sidecar{Schema: SidecarSchema, Run: frame.Run{Experiment: p.run.Experiment, Number: p.run.Number, Begin: p.begin.Add(time.Duration(r.IntN(1000)) * time.Millisecond)}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(p.name, ".dat")+".json"), b, 0o664); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, p)
	}
	return repo, all
}

// chosen is the model: it looks at all files and throws out what does not hold, one reason after the
// other. It knows only what is true of the files; where there is only the name, at a time that the clock showed
// twice, the later instant counts, but for the wished run itself.
func chosen(all []placed, zone *time.Location, w Wish) (name string, tied int) {
	own := func(p placed) bool { return p.run.Experiment == w.Run.Experiment && p.run.Number == w.Run.Number }
	wall := func(t time.Time) string { return t.In(zone).Format(time.DateTime) }
	var rest []placed
	for _, p := range all {
		if !p.record {
			if later := p.begin.Add(time.Hour); wall(later) == wall(p.begin) {
				p.begin = later
			}
			if own(p) && wall(p.begin) == wall(w.At) {
				p.begin = w.At
			}
		}
		if !p.begin.After(w.At) && p.gain == w.GainMode {
			rest = append(rest, p)
		}
	}
	for _, p := range rest {
		rest = slices.DeleteFunc(slices.Clone(rest), func(q placed) bool { return q.begin.Before(p.begin) })
	}
	slices.SortFunc(rest, func(a, b placed) int { return strings.Compare(a.name, b.name) })
	if i := slices.IndexFunc(rest, own); i >= 0 {
		return rest[i].name, 0
	}
	if len(rest) == 0 {
		return "", 0
	}
	for _, p := range rest {
		if p.run != rest[0].run {
			tied++
		}
	}
	return rest[0].name, tied
}

// TestChooseAgainstModel compares the choice of files with the model, in random repositories with files of
// runs that begin in the same second, in the hour that the clock shows twice, and of other time zones.
func TestChooseAgainstModel(t *testing.T) {
	seed := testenv.Seed(t)
	r := rand.New(rand.NewPCG(seed, 2))
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	ties := 0
	for n := range 300 {
		repo, all := tree(t, r, zone)
		files, foreign, err := repo.Files("cam", "p", "status_dark")
		if err != nil || len(foreign) > 0 || len(files) != len(all) {
			t.Fatalf("%d of %d files, foreign %v, %v", len(files), len(all), foreign, err)
		}
		for range 10 {
			w := Wish{At: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC), GainMode: []string{"", "g0", "g1"}[r.IntN(3)]}
			if len(all) > 0 {
				p := all[r.IntN(len(all))]
				w.Run, w.At = p.run, p.begin.Add(time.Duration(r.IntN(3)-1)*15*time.Minute)
			}
			name, tied := chosen(all, zone, w)
			got := repo.Choose(files, w)
			if got.Path != "" && filepath.Base(got.Path) != name || got.Path == "" && name != "" || len(got.Tied) != tied {
				var list []string
				for _, p := range all {
					list = append(list, fmt.Sprintf("%s began %s, sidecar %v", p.name, p.begin, p.record))
				}
				t.Fatalf("seed %d, repository %d: for %+v\ngot    %q, tied %v\nwanted %q, tied %d\n%s", seed, n, w, got.Path, got.Tied, name, tied, strings.Join(list, "\n"))
			}
			ties += tied
		}
	}
	if ties == 0 {
		t.Error("there never was a tie: the test says nothing about them")
	}
}

// TestRunsOfTheRepeatedHourAreChosenByUTC is the night in which clocks are set back: the run of 01:30 summer time is chosen for
// itself, that of 01:10 winter time is younger, whatever their names say.
func TestRunsOfTheRepeatedHourAreChosenByUTC(t *testing.T) {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	r := New(t.TempDir(), &access.Policy{DirMode: 0o2775, FileMode: 0o664}, zone)
	summer := time.Date(2026, 11, 1, 8, 30, 0, 0, time.UTC) // 01:30 PDT
	winter := time.Date(2026, 11, 1, 9, 10, 0, 0, time.UTC) // 01:10 PST
	for i, begin := range []time.Time{summer, winter} {
		sf := StatusFile{DetType: "cam", DetName: "cam", Panel: "p", Run: frame.Run{Experiment: "e", Number: i + 1, Begin: begin}, CType: "status_dark", Rows: 1, Cols: 1}
		if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf([]uint64{0}), Sidecar{Profile: "dark"}, false); err != nil {
			t.Fatal(err)
		}
	}
	files, _, err := r.Files("cam", "p", "status_dark")
	if err != nil || len(files) != 2 || files[0].Run != 2 {
		t.Fatalf("files %v, %v: the names should be in the wrong order", files, err)
	}
	for i, begin := range []time.Time{summer, winter} {
		if c := r.Choose(files, Wish{At: begin}); c.Run != i+1 {
			t.Errorf("for %s: run %d", begin, c.Run)
		}
	}
}
