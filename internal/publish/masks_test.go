package publish

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// mask saves a mask of the first panel of a scene and returns it as listed.
func (s *scene) mask(run int, validity string, pixel int) repo.SavedMask {
	s.t.Helper()
	r, err := calib.ParseRange(validity)
	if err != nil {
		s.t.Fatal(err)
	}
	words := make([]uint64, 100)
	words[pixel] = status.User
	saved, err := s.repo.SaveMask(s.t.Context(), []repo.MaskPlane{{Words: words, StatusFile: repo.StatusFile{DetType: s.typ, DetName: s.det, Panel: "id-00", CType: repo.TypeUser,
		Rows: 10, Cols: 10, Run: of(run)}}}, repo.Sidecar{Profile: repo.ProfileUser, Family: repo.FamilyUser,
		Mask: &repo.Mask{Comment: "beam stop", Author: access.Login(), Saved: time.Unix(int64(pixel), 0), Validity: r}})
	if err != nil {
		s.t.Fatal(err)
	}
	list, _, err := s.repo.Masks()
	if err != nil {
		s.t.Fatal(err)
	}
	return list[slices.IndexFunc(list, func(m repo.SavedMask) bool { return m.Hash == saved.Hash })]
}

// TestMasksMerge merges all masks that are valid for a run, with the other types, without a flag.
func TestMasksMerge(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(5, 0, "", 1, status.RmsHigh, repo.Sidecar{})
	s.mask(5, "5-end", 10)
	s.mask(5, "0-4", 20)
	gone := s.mask(5, "5-end", 30)
	s.mask(9, "3-7", 40) // saved for a later run, valid for this one
	if err := s.repo.Retire(t.Context(), gone, "it is gone"); err != nil {
		t.Fatal(err)
	}
	p := s.plan(5, "0-end", DefaultGate, MergeOptions{})
	wantFindings(t, p, "new")
	want := make([]uint64, 100)
	want[0], want[10], want[40] = status.RmsHigh, status.User, status.User
	if !slices.Equal(p.merged.array.Words.Dense(), want) {
		t.Errorf("merged %v", p.merged.array.Words.Dense())
	}
	var text strings.Builder
	p.merged.Text(&text)
	for _, part := range []string{"mask", "beam stop", "for runs 5-end", "masks that are not merged: 1 retired, 1 of other runs", "USER (user): status_user"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("lacks %q:\n%s", part, &text)
		}
	}
	// A mask is no judgement: a pixel without data stays masked.
	s.status(6, 0, "", 100, status.NoData, repo.Sidecar{})
	if p := s.plan(6, "0-end", DefaultGate, MergeOptions{}); p.Bad != 100 || !slices.ContainsFunc(p.Refused(), func(f Finding) bool { return f.Rule == "all-bad" }) {
		t.Errorf("%d bad pixels", p.Bad)
	}
}

// TestTreeOfPsana2 merges the status that the dark jobs of psana2 have left, by their own names.
func TestTreeOfPsana2(t *testing.T) {
	s := newScene(t, "jungfrau", "jungfrau")
	put(t, s.repo, "jungfrau", "jungfrau", 0, 512, 1024, "g0", func(int) uint64 { return 0 })
	root := t.TempDir()
	dir := filepath.Join(root, "jungfrau", "id-00", "pixel_status")
	if err := os.MkdirAll(dir, 0o775); err != nil {
		t.Fatal(err)
	}
	row := strings.Repeat("0 ", 1023) + "2\n"
	for _, gain := range []string{"g0", "g1", "g2"} {
		name := "jungfrau_000001-s00-20231114221320-mfxx1-r0001-pixel_status-" + gain + ".data"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(row, 512)), 0o664); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "jungfrau_000001-s00-20231114221320-mfxx1-r0001-pixel_status.txt"), []byte("not a panel\n"), 0o664); err != nil {
		t.Fatal(err)
	}
	for _, tree := range []string{root, filepath.Join(root, "jungfrau")} {
		m := merge(t, s.repo, MergeOptions{Tree: repo.NewTree(tree, "jungfrau", policy, time.UTC)})
		if len(m.Missing) > 0 || m.Planes[1].Bad != 512 || m.Planes[1].Sources[0].CType != "pixel_status" {
			t.Errorf("%s: missing %v, %+v", tree, m.Missing, m.Planes[1])
		}
	}
	// Nothing there: what was looked for and what there is are named.
	subject, err := Find(t.Context(), s.repo, Wanted{Experiment: "mfxx1", Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	subject.Run = frame.Run{Experiment: "mfxx1", Number: 0, Begin: time.Unix(1, 0)}
	subject.At = subject.Run.Begin
	_, err = Merge(t.Context(), s.repo, subject, MergeOptions{CType: "status_extra", Tree: repo.NewTree(t.TempDir(), "jungfrau", policy, time.UTC)})
	for _, part := range []string{"looked for status_* in", "there are: status_dark", "looked for status and pixel_status in", "beside it are: nothing"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("lacks %q: %v", part, err)
		}
	}
}

// TestChoiceIsTold says in the plan when files tie, when one is from the future, and when --bits drops a mask.
func TestChoiceIsTold(t *testing.T) {
	s := newScene(t, "cam", "cam")
	s.status(5, 0, "", 1, status.RmsHigh, repo.Sidecar{})
	s.mask(5, "5-end", 10)
	p := s.plan(5, "0-end", DefaultGate, MergeOptions{Bits: map[string]uint64{"dark": status.RmsHigh}})
	if notes := strings.Join(p.merged.Planes[0].Notes, "\n"); !strings.Contains(notes, "--bits leaves mask") || p.Bad != 1 {
		t.Errorf("%d bad, notes %s", p.Bad, notes)
	}
	subject, err := Find(t.Context(), s.repo, Wanted{Experiment: "mfxx1", Run: 5})
	if err != nil {
		t.Fatal(err)
	}
	told := func(run frame.Run) string {
		x := *subject
		x.Run, x.At = run, run.Begin
		m, err := Merge(t.Context(), s.repo, &x, MergeOptions{CType: "status_extra"})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(m.Planes[0].Notes, "\n")
	}
	same := of(5)
	for _, exp := range []string{"aaax1", "bbbx1"} { // two runs of other experiments that begin in the same second
		sf := repo.StatusFile{DetType: "cam", DetName: "cam", Panel: "id-00", CType: "status_dark", Rows: 10, Cols: 10, Run: frame.Run{Experiment: exp, Number: 1, Begin: of(6).Begin}}
		if _, _, err := s.repo.WriteStatus(t.Context(), sf, calibtxt.SparseOf(make([]uint64, 100)), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
			t.Fatal(err)
		}
	}
	if text := told(same); strings.Contains(text, "TIE") {
		t.Errorf("the run's own file: %s", text)
	}
	if text := told(frame.Run{Experiment: "mfxx1", Number: 6, Begin: of(6).Begin}); !strings.Contains(text, "TIE") || !strings.Contains(text, "aaax1 run 1 is used, not bbbx1 run 1") {
		t.Errorf("a tie: %s", text)
	}
	future := frame.Run{Experiment: "mfxx1", Number: 7, Begin: time.Now().Add(48 * time.Hour)}
	sf := repo.StatusFile{DetType: "cam", DetName: "cam", Panel: "id-00", CType: "status_dark", Rows: 10, Cols: 10, Run: future}
	if _, _, err := s.repo.WriteStatus(t.Context(), sf, calibtxt.SparseOf(make([]uint64, 100)), repo.Sidecar{Profile: "dark", Family: repo.FamilyDark}, false); err != nil {
		t.Fatal(err)
	}
	if text := told(future); !strings.Contains(text, "FROM THE FUTURE") {
		t.Errorf("a file from the future: %s", text)
	}
}
