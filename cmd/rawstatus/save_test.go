package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/compare"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
)

// array makes values of a shape in which the first word of every panel is its number from 1.
func array[T uint8 | uint16 | int32 | float64](shape ...int) (v []T) {
	n := 1
	for _, s := range shape {
		n *= s
	}
	v = make([]T, n)
	panel := shape[len(shape)-1] * shape[len(shape)-2]
	for i := range n / panel {
		v[i*panel] = T(i + 1)
	}
	return v
}

func writeNpy(t *testing.T, shape []int, data any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "user.npy")
	if err := npy.Write(path, shape, data); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "user.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// firstWords reads saved files back: the first word and the gain mode of each.
func firstWords(t *testing.T, list []savedFile) (words []uint64, modes []string) {
	t.Helper()
	r := repo.New("", nil, nil)
	for _, f := range list {
		read, err := r.ReadStatus(f.File, []int{32, 48})
		if err != nil {
			t.Fatal(err)
		}
		if read.Sidecar == nil || read.Sidecar.Profile != "user" || read.Sidecar.Mask == nil || read.Sidecar.Mask.Comment != "beam stop" || read.Sidecar.Mask.Author == "" || read.Sidecar.BadPixels != f.Bad || len(read.Sidecar.Inputs) != 1 || read.Sidecar.Inputs[0].SHA256 == "" {
			t.Errorf("%s: sidecar %+v", f.File, read.Sidecar)
		}
		if rest := slices.ContainsFunc(read.Dense()[1:], func(v uint64) bool { return v != 0 }); rest {
			t.Errorf("%s has words that were not given", f.File)
		}
		words, modes = append(words, read.Dense()[0]), append(modes, f.GainMode)
	}
	return words, modes
}

// TestSavePutsArraysOfEveryShapeUnderTheirPanels puts arrays of every shape and file type into a repository, under the run and panels that raw
// data have, then under those that the repository has.
func TestSavePutsArraysOfEveryShapeUnderTheirPanels(t *testing.T) {
	raw, data := simulated(t)
	dir := t.TempDir()
	repoDir := filepath.Join(dir, "repo")
	must(t, fault.OK, append(append([]string{"run"}, data...), "-o", repoDir, "--work", filepath.Join(dir, "work"))...)
	plain := strings.Repeat("0 "+strings.Repeat("0 ", 46)+"0\n", 31)
	ndarr := "# SHAPE (2,32,48)\n# DTYPE uint16\n# NDIM 3\n# DIM:0 2\n# DIM:1 32\n# DIM:2 48\n\n"
	lines := func(first string) string { return first + strings.Repeat(" 0", 47) + "\n" + plain }
	fromRaw := []string{"-o", repoDir, "--exp", "tstx00117", "--run", "5", "--dir", raw}
	fromRepo := []string{"-o", repoDir, "--exp", "tstx00117", "--run", "5"}
	for _, c := range []struct {
		name  string
		file  string
		flags []string
		words []uint64
		modes []string
	}{
		{"2-d", writeNpy(t, []int{32, 48}, array[uint8](32, 48)), []string{"-i", "1", "--good", "0"}, []uint64{1}, []string{""}},
		{"3-d", writeNpy(t, []int{2, 32, 48}, array[uint16](2, 32, 48)), nil, []uint64{1, 2}, []string{"", ""}},
		{"3-d, one of them", writeNpy(t, []int{2, 32, 48}, array[int32](2, 32, 48)), []string{"--segment", "1"}, []uint64{2}, []string{""}},
		{"3-d, one gain mode", writeNpy(t, []int{2, 32, 48}, array[float64](2, 32, 48)), []string{"--gain-mode", "g2"}, []uint64{1, 2}, []string{"g2", "g2"}},
		{"4-d", writeNpy(t, []int{3, 2, 32, 48}, array[uint16](3, 2, 32, 48)), []string{"-C", "status_4d"},
			[]uint64{1, 2, 3, 4, 5, 6}, []string{"g0", "g0", "g1", "g1", "g2", "g2"}},
		{"4-d, one panel", writeNpy(t, []int{3, 2, 32, 48}, array[uint16](3, 2, 32, 48)), []string{"-i", "1", "-C", "status_4d"}, []uint64{2, 4, 6}, []string{"g0", "g1", "g2"}},
		{"text", writeText(t, lines("65535")), []string{"-i", "0"}, []uint64{65535}, []string{""}},
		{"text of floats", writeText(t, lines("4.000e+00")), []string{"-i", "0"}, []uint64{4}, []string{""}},
		{"NDArrIO", writeText(t, ndarr+lines("7")+lines("8")), nil, []uint64{7, 8}, []string{"", ""}},
	} {
		for _, from := range [][]string{fromRaw, fromRepo} {
			args := append(append(append([]string{"save", "--json", "--keep-words", "--comment", "beam stop"}, from...), c.flags...), c.file)
			words, modes := firstWords(t, decode[[]savedFile](t, must(t, fault.OK, args...)))
			if !slices.Equal(words, c.words) || !slices.Equal(modes, c.modes) {
				t.Errorf("%s: saved %v %v, wanted %v %v", c.name, words, modes, c.words, c.modes)
			}
		}
	}
	mask := array[uint8](32, 48)
	for i := range mask {
		mask[i] = 1 - mask[i]
	}
	words, _ := firstWords(t, decode[[]savedFile](t, must(t, fault.OK, append(append([]string{"save", "--json", "--good", "1", "--comment", "beam stop", "-i", "0"}, fromRepo...), writeNpy(t, []int{32, 48}, mask))...)))
	if !slices.Equal(words, []uint64{status.User}) {
		t.Errorf("mask: %v", words)
	}
}

// TestSaveRefusesArraysThatAreNoStatusOfTheDetector tries arrays that are no status of this detector.
func TestSaveRefusesArraysThatAreNoStatusOfTheDetector(t *testing.T) {
	raw, _ := simulated(t)
	repoDir := filepath.Join(t.TempDir(), "repo")
	with := func(v float64) string {
		a := array[float64](32, 48)
		a[100] = v
		return writeNpy(t, []int{32, 48}, a)
	}
	good := writeNpy(t, []int{2, 32, 48}, array[uint8](2, 32, 48))
	for _, c := range []struct {
		name  string
		file  string
		flags []string
		code  fault.Code
		text  string
	}{
		{"negative", with(-1), []string{"-i", "0"}, fault.Input, "value -1 at [2 4] is negative"},
		{"fraction", with(1.5), []string{"-i", "0"}, fault.Input, "not a whole number"},
		{"NaN", with(math.NaN()), []string{"-i", "0"}, fault.Input, "not a whole number"},
		{"infinite", with(math.Inf(1)), []string{"-i", "0"}, fault.Input, "not a whole number"},
		{"17 bits", with(65536), []string{"-i", "0"}, fault.Input, "more than 16 bits"},
		{"negative integer", writeNpy(t, []int{1, 2}, []int32{0, -3}), []string{"-i", "0"}, fault.Input, "value -3 at [0 1] is negative"},
		{"mask of 2", with(2), []string{"-i", "0", "--good", "1"}, fault.Input, "--good says nothing"},
		{"0 and 1", with(1), []string{"-i", "0"}, fault.Usage, "does not say which is good"},
		{"only 0", writeNpy(t, []int{2, 32, 48}, make([]uint8, 2*32*48)), nil, fault.Usage, "does not say which is good"},
		{"polarity", with(1), []string{"-i", "0", "--good", "2"}, fault.Usage, "wanted one of 0, 1"},
		{"wrong polarity", with(1), []string{"-i", "0", "--good", "1"}, fault.Refused, "more than half"},
		{"type of rules", good, []string{"-C", "status_dark"}, fault.Usage, "what rules have found"},
		{"validity", good, []string{"-R", "9-8"}, fault.Usage, "ends before it begins"},
		{"list with a file", good, []string{"--list"}, fault.Usage, "take no file"},
		{"unknown mask", "", []string{"--retire", "0123abcd"}, fault.Input, "has no mask"},
		{"no hash", "", []string{"--retire", "xyz"}, fault.Usage, "content hash"},
		{"text, negative", writeText(t, "0 -1\n"), nil, fault.Input, "negative"},
		{"text, letters", writeText(t, "0 x\n"), nil, fault.Input, "line 1"},
		{"text, ragged", writeText(t, "0 1\n0\n"), nil, fault.Input, "line 2"},
		{"other pixels", writeNpy(t, []int{48, 32}, array[uint8](48, 32)), []string{"-i", "0", "--good", "0"}, fault.Input, "48 x 32"},
		{"one dimension", writeNpy(t, []int{32 * 48}, make([]uint8, 32*48)), []string{"--good", "0"}, fault.Input, "1 dimensions"},
		{"empty", writeNpy(t, []int{0, 32, 48}, []uint8{}), nil, fault.Input, "0 values"},
		{"2-d for two panels", writeNpy(t, []int{32, 48}, array[uint8](32, 48)), []string{"--good", "0"}, fault.Input, "is one panel"},
		{"3 panels", writeNpy(t, []int{3, 32, 48}, array[uint8](3, 32, 48)), nil, fault.Input, "has 3 panels"},
		{"2 gain modes", writeNpy(t, []int{2, 2, 32, 48}, array[uint8](2, 2, 32, 48)), nil, fault.Input, "2 gain modes"},
		{"4-d for a gain mode", writeNpy(t, []int{3, 2, 32, 48}, array[uint8](3, 2, 32, 48)), []string{"--gain-mode", "g0"}, fault.Input, "gain modes"},
		{"gain mode", good, []string{"--gain-mode", "FH"}, fault.Usage, "no gain mode"},
		{"segment", good, []string{"-i", "7"}, fault.Usage, "no segment 7"},
		{"panel", good, []string{"--panel", "other"}, fault.Usage, "no panel"},
		{"type of results", good, []string{"-C", "status_merged"}, fault.Usage, "made by mergedeploy"},
		{"not a status", good, []string{"-C", "pedestals"}, fault.Usage, "status_"},
		{"no file", filepath.Join(raw, "none.npy"), nil, fault.Input, "none.npy"},
		{"two runs", good, []string{"--run", "5-6"}, fault.Usage, "run"},
	} {
		args := append([]string{"save", "-o", repoDir, "--exp", "tstx00117", "--run", "5", "--dir", raw}, c.flags...)
		if c.file != "" {
			args = append(args, c.file)
		}
		code, _, stderr := call(t, args...)
		if code != int(c.code) || !strings.Contains(stderr, c.text) {
			t.Errorf("%s: exit code %d, %s", c.name, code, stderr)
		}
	}
	if files, err := filepath.Glob(filepath.Join(repoDir, "*", "*", "status_*", "*")); err != nil || files != nil {
		t.Errorf("refused arrays left %v, %v", files, err)
	}
}

// TestMasksSideBySide saves several masks of one run: none replaces another, each can be retired, and the
// same mask again changes nothing.
func TestMasksSideBySide(t *testing.T) {
	raw, _ := simulated(t)
	repoDir := filepath.Join(t.TempDir(), "repo")
	save := func(flags ...string) []string {
		return append([]string{"save", "-o", repoDir, "--exp", "tstx00117", "--run", "5", "--dir", raw, "--json"}, flags...)
	}
	one, two := array[uint8](2, 32, 48), array[uint8](2, 32, 48)
	one[48], two[48] = 0, 9
	a := decode[[]savedFile](t, must(t, fault.OK, save("--comment", "beam stop", writeNpy(t, []int{2, 32, 48}, one))...))
	b := decode[[]savedFile](t, must(t, fault.OK, save("-R", "3-9", writeNpy(t, []int{2, 32, 48}, two))...))
	if len(a) != 2 || len(b) != 2 || a[0].Hash == b[0].Hash || a[0].File == b[0].File || !strings.HasSuffix(a[0].File, "_status_user_"+a[0].Hash[:8]+".dat") {
		t.Fatalf("saved %+v and %+v", a, b)
	}
	if words, _ := firstWords(t, a[:1]); !slices.Equal(words, []uint64{status.User}) {
		t.Errorf("the word of a mask is %v", words)
	}
	masks := func() []repo.SavedMask {
		return decode[[]repo.SavedMask](t, must(t, fault.OK, "save", "-o", repoDir, "--list", "--json"))
	}
	list := masks()
	if len(list) != 2 || list[0].Comment != "beam stop" || list[0].Validity.String() != "5-end" || list[1].Validity.String() != "3-9" || list[0].Author == "" || len(list[0].Segments) != 2 {
		t.Fatalf("list %+v", list)
	}
	must(t, fault.OK, save("--comment", "again", writeNpy(t, []int{2, 32, 48}, one))...)
	if now := masks(); len(now) != 2 || now[0].Comment != "beam stop" {
		t.Errorf("the same mask again: %+v", now)
	}
	must(t, fault.Usage, save("-R", "0-end", writeNpy(t, []int{2, 32, 48}, one))...)
	must(t, fault.OK, "save", "-o", repoDir, "--retire", a[0].Hash[:6], "--comment", "it is gone")
	if now := masks(); len(now) != 2 || now[0].Retired == nil || now[0].Retired.Comment != "it is gone" || now[1].Retired != nil {
		t.Errorf("after retiring: %+v", now)
	}
	if text := must(t, fault.OK, "save", "-o", repoDir, "--list", "--run", "5"); !strings.Contains(text, "RETIRED by") || !strings.Contains(text, "beam stop") {
		t.Errorf("list as text:\n%s", text)
	}
	must(t, fault.OK, "save", "-o", repoDir, "--retire", a[0].Hash[:6]) // once more
	must(t, fault.OK, save("-R", "0-end", writeNpy(t, []int{2, 32, 48}, one))...)
	if now := masks(); now[1].Retired != nil || now[1].Validity.String() != "0-end" {
		t.Errorf("in use again: %+v", now)
	}
}

// TestDiffComparesFilesArraysRunsAndTimes compares files, arrays of panels, runs and times.
func TestDiffComparesFilesArraysRunsAndTimes(t *testing.T) {
	raw, data := simulated(t)
	dir := t.TempDir()
	repoDir := filepath.Join(dir, "repo")
	must(t, fault.OK, append(append([]string{"run"}, data...), "-o", repoDir, "--work", filepath.Join(dir, "work"))...)
	array := func(words ...uint64) string {
		path := filepath.Join(t.TempDir(), "0-end.data")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := calibtxt.WriteArray(f, calibtxt.Header{Shape: []int{2, 1, 3}}, calibtxt.SparseOf(words)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := array(0, 1, 0, 3, 0, 0), array(0, 1, 2, 1, 8, 0)
	d := decode[compare.Result](t, must(t, fault.Different, "diff", "--json", a, b))
	if d.Same || len(d.Files) != 2 || fmt.Sprint(d.Total.NewlyBad, d.Total.NewlyGood, d.Total.Pixels) != "2 0 6" {
		t.Errorf("diff: %+v", d)
	}
	var bits []string
	for _, x := range d.Total.Bits {
		bits = append(bits, fmt.Sprint(x.Value, " ", x.Name, x.Gained, x.Lost, x.Kept))
	}
	if want := []string{"1 MEAN_LOW0 0 2", "2 MEAN_HIGH1 1 0", "8 STD_HIGH1 0 0"}; !slices.Equal(bits, want) {
		t.Errorf("bits %v, wanted %v", bits, want)
	}
	if text := must(t, fault.Different, "diff", a, b); !strings.Contains(text, "status [1]: 1 newly bad") || !strings.Contains(text, "in total: 2 newly bad, 0 newly good of 6 pixels") {
		t.Errorf("diff as text:\n%s", text)
	}
	if text := must(t, fault.OK, "diff", a, a); strings.Count(text, "the same") != 2 {
		t.Errorf("a file with itself:\n%s", text)
	}
	must(t, fault.Input, "diff", a, writeText(t, "0 0\n"))
	must(t, fault.Input, "diff", a, filepath.Join(dir, "none"))
	must(t, fault.Usage, "diff", a)
	must(t, fault.Usage, "diff", "-o", repoDir)
	must(t, fault.Usage, "diff", "-o", repoDir, "--exp", "tstx00117", "--run", "5")
	must(t, fault.Input, "diff", "-o", repoDir, "--exp", "tstx00117", "--run", "6", "--run", "7")

	// A second status type appears at the same time; then panels of another run.
	must(t, fault.OK, "save", "-o", repoDir, "--exp", "tstx00117", "--run", "5", "--dir", raw, "--good", "0", writeNpy(t, []int{2, 32, 48}, make([]uint8, 2*32*48)))
	at := []string{"diff", "-o", repoDir, "--det-type", "jungfrau", "--json", "--at"}
	same := decode[compare.Result](t, must(t, fault.OK, append(at, "20300101000000", "--at", "20270101000000")...))
	if len(same.Files) != 4 || same.Total.Pixels != 4*32*48 {
		t.Errorf("times: %+v", same)
	}
	one := decode[compare.Result](t, must(t, fault.OK, append(at, "20300101000000", "--at", "20270101000000", "--ctype", "status_user")...))
	if len(one.Files) != 2 {
		t.Errorf("one type: %+v", one)
	}
	none := decode[compare.Result](t, must(t, fault.Different, append(at, "20200101000000", "--at", "20270101000000")...))
	if len(none.OnlyB) != 4 || none.Same {
		t.Errorf("before anything: %+v", none)
	}
	must(t, fault.Usage, append(at, "yesterday", "--at", "20270101000000")...)
}

// TestSaveReadsNumpy takes what numpy writes.
func TestSaveReadsNumpy(t *testing.T) {
	py := testenv.Numpy(t)
	raw, _ := simulated(t)
	dir := t.TempDir()
	script := "import numpy as np; a = np.zeros((2, 32, 48), bool); a[0, 0, 0] = True; np.save('b.npy', a); np.savetxt('f.txt', a[0]); np.savetxt('d.txt', a[0], fmt='%d'); np.save('f.npy', np.asfortranarray(a))"
	numpy := exec.Command(py, "-c", script)
	numpy.Dir = dir
	if out, err := numpy.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for file, want := range map[string][]uint64{"b.npy": {1, 0}, "f.npy": {1, 0}, "f.txt": {1}, "d.txt": {1}} {
		args := []string{"save", "--json", "--keep-words", "--comment", "beam stop", "--good", "0", "-o", filepath.Join(dir, "repo"), "--exp", "tstx00117", "--run", "5", "--dir", raw}
		if len(want) == 1 {
			args = append(args, "-i", "1")
		}
		words, _ := firstWords(t, decode[[]savedFile](t, must(t, fault.OK, append(args, filepath.Join(dir, file))...)))
		if !slices.Equal(words, want) {
			t.Errorf("%s: %v, wanted %v", file, words, want)
		}
	}
}
