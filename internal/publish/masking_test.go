package publish

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// TestMaskingRunByRun deploys random masks for random ranges, and compares what is said of pixels with the arrays that analysis
// uses for each run, and the causes with the status files that went in.
func TestMaskingRunByRun(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 18))
	dest := newPlace(t, "Cam::CalibV1", "det")
	repositories := map[int]string{} // word of pixel 7 of segment 1 in a deployment
	for step := range 6 {
		rp := newRepo(t)
		for s := range 2 {
			put(t, rp, "cam", "det", s, 4, 5, "", func(int) uint64 { return uint64(r.IntN(3)/2) << r.IntN(6) })
		}
		begin := r.IntN(20)
		plan, err := NewPlan(t.Context(), dest, nil, merge(t, rp, MergeOptions{}), "status_extra", calib.Range{Begin: begin, End: begin + r.IntN(10)},
			Gate{MaxBad: 1, MaxNew: 1, MaxUnseen: 1, MaxWarn: 1, Force: ruleNames()})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := plan.Execute(t.Context(), dest, nil, ""); err != nil {
			t.Fatal(err)
		}
		repositories[step] = rp.Root
	}
	causes, gone := 0, 0
	for i := range 40 {
		if i == 39 { // the files of one deployment are changed afterwards
			files, _ := filepath.Glob(filepath.Join(repositories[0], "cam", "*", "status_dark", "*.dat"))
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		at := PixelAt{DetType: "cam", Panel: []string{"id-00", "id-01"}[i/20], Slot: i / 20, Rows: 4, Cols: 5, Row: i % 20 / 5, Col: i % 5}
		list, err := MaskingOf(t.Context(), dest, at)
		if err != nil {
			t.Fatal(err)
		}
		for run := range 35 {
			var said *Masking
			for k := range list {
				if slices.ContainsFunc(list[k].Runs, func(x calib.Range) bool { return x.Has(run) }) {
					if said != nil {
						t.Fatalf("run %d uses two constants: %+v", run, list)
					}
					said = &list[k]
				}
			}
			a := maskOf(t, dest, run)
			if (a == nil) != (said == nil) || a != nil && (said.Masked != (a.Words.Word(i) != 0) || said.Words[0].Word != a.Words.Word(i) || said.Deployment == "") {
				t.Fatalf("pixel %d, run %d: %+v, analysis has %v", i, run, said, a)
			}
		}
		for _, m := range list {
			for _, c := range m.Why {
				if c.Problem != "" {
					gone++
				} else if causes++; c.Word != m.Words[0].Word || c.CType != "status_dark" || !m.Masked {
					t.Fatalf("pixel %d: %+v because of %+v", i, m, c)
				}
			}
			if m.Masked && len(m.Why) != 1 || !m.Masked && len(m.Why) > 0 {
				t.Fatalf("pixel %d: %+v", i, m)
			}
		}
	}
	if causes < 20 {
		t.Errorf("only %d causes were seen, %d of files that are gone", causes, gone)
	}
}

// TestMaskingPlanes takes a pixel out of arrays of every shape, and refuses arrays that are not the detector's.
func TestMaskingPlanes(t *testing.T) {
	for _, c := range []struct {
		typ   string
		slot  int
		shape []int
		want  []uint64 // positions of row 1, column 2
	}{
		{"cam", 0, []int{2, 3}, []uint64{5}},
		{"cam", 4, []int{2, 3}, []uint64{5}}, // the only panel, whatever its segment
		{"cam", 1, []int{2, 2, 3}, []uint64{11}},
		{"cspad2x2", 1, []int{2, 3, 2}, []uint64{11}},
		{"jungfrau", 1, []int{3, 2, 2, 3}, []uint64{11, 23, 35}},
		{"cam", 2, []int{2, 2, 3}, nil},
		{"cam", 0, []int{3, 3}, nil},
		{"jungfrau", 0, []int{2, 2, 3}, []uint64{5}}, // an array without gain modes
	} {
		n := 1
		for _, d := range c.shape {
			n *= d
		}
		a := &calib.Array{Shape: c.shape}
		words := make([]uint64, n)
		for i := range n {
			words[i] = uint64(i)
		}
		a.Words = calibtxt.SparseOf(words)
		list, err := PixelAt{DetType: c.typ, Slot: c.slot, Rows: 2, Cols: 3, Row: 1, Col: 2}.words(a)
		var got []uint64
		for _, w := range list {
			got = append(got, w.Word)
		}
		if !slices.Equal(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%s slot %d of %v: %v, %v, wanted %v", c.typ, c.slot, c.shape, got, err, c.want)
		}
	}
}

// TestMaskingText wants people to be told who, when and why.
func TestMaskingText(t *testing.T) {
	m := Masking{Name: "3-end.data", Runs: []calib.Range{{Begin: 3, End: 7}, {Begin: 9, End: calib.Last}}, Masked: true, Words: []PlaneWord{{"g0", 0}, {"g1", 16}},
		Deployment: "id1", Time: "2026", Login: "me", Why: []Cause{{CType: "status_dark", GainMode: "g1", Word: 16, Names: "AVE_HIGH", File: "f"}, {CType: "status_data", Problem: "gone"}}}
	var b bytes.Buffer
	m.Text(&b)
	for _, want := range []string{"3-end.data, used by runs 3..7, 9..end: MASKED (g0 0, g1 16)", "deployment id1 of 2026 by me", "because of status_dark g1: 16 = AVE_HIGH, f", "perhaps because of status_data: gone"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
}
