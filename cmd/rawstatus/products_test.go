package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/open"
	"rawstatus/internal/ranges"
	"rawstatus/internal/testenv"
)

// psana2Run simulates the run that psana2 has processed (golden_psana2) and returns its folder.
func psana2Run(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "runs")
	code, _, stderr := call(t, "simulate", "--out", dir, "--exp", "tstx00417", "--det-type", "jungfrau", "--panels", "2", "--gain-modes", "g0,g1,g2", "--events", "60",
		"--run", "11", "--streams", "2", "--seed", "5", "--dead", "20", "--hot", "10", "--noisy", "15", "--saturated", "7", "--cold", "9")
	if code != 0 {
		t.Fatalf("simulate: exit code %d: %s", code, stderr)
	}
	return dir
}

// TestProductsOfPsana2 wants every file that psana2's dark processing wrote of the run, byte for byte but for header
// lines, from the run and again from its work directory without raw data.
func TestProductsOfPsana2(t *testing.T) {
	shared := testenv.Shared(t)
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_GROUP", "")
	t.Setenv("RAWSTATUS_PRODUCTS", "pedestals,pixel_rms,pixel_status,pixel_max,pixel_min")
	runs, dir := psana2Run(t), t.TempDir()
	first, again, work := filepath.Join(dir, "first"), filepath.Join(dir, "again"), filepath.Join(dir, "work")
	if code, _, stderr := call(t, "run", "-e", "tstx00417", "-r", "11", "--dir", runs, "-d", "jungfrau", "-o", first, "--work", work, "--profile", "dark", "--compat", "lcls2",
		"--int-hi", "16382", "--rms-hi", "16382", "--shortname", "jungfrau_000001"); code != 0 {
		t.Fatalf("run: exit code %d: %s", code, stderr)
	}
	comparePsana2(t, shared, first)
	if err := os.RemoveAll(runs); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "reduce", work, "-o", again, "--products", "psrnx", "--shortname", "jungfrau_000001"); code != 0 {
		t.Fatalf("reduce: exit code %d: %s", code, stderr)
	}
	comparePsana2(t, shared, again)
	if code, _, stderr := call(t, "reduce", work, "-o", again, "--products", "gain"); code != 2 || !strings.Contains(stderr, "no product") {
		t.Errorf("--products gain: exit code %d: %s", code, stderr)
	}
}

func comparePsana2(t *testing.T, shared, repository string) {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(shared, "golden_psana2/jungfrau_r0011/files.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for line := range strings.Lines(string(list)) {
		field := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || strings.Contains(line, "/logs/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(repository, field[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		compared++
		if got := hashWithoutHeader(text); got != field[3] {
			t.Errorf("%s: SHA-256 %s, psana2's %s", field[0], got, field[3])
		}
	}
	if compared != 40 {
		t.Errorf("%d files compared, wanted 40", compared)
	}
}

// hashWithoutHeader is the SHA-256 of the lines that do not begin with #.
func hashWithoutHeader(text []byte) string {
	h := sha256.New()
	for line := range bytes.Lines(text) {
		if line[0] != '#' {
			h.Write(line)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestLowGainProducts wants files of AHL-L and AML-L where the repository has constants of charge injection, and a merged file of
// all seven gain modes: with NO_DATA for those without, or with --compat as the originals fill it.
func TestLowGainProducts(t *testing.T) {
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_GROUP", "")
	const rows, cols = 16, 24
	for _, format := range []string{"xtc2", "compat"} {
		dir := t.TempDir()
		repository, work, runs := filepath.Join(dir, "repo"), filepath.Join(dir, "work"), filepath.Join(dir, "runs")
		call := func(words ...string) {
			t.Helper()
			if code, _, stderr := call(t, words...); code != 0 {
				t.Fatalf("%q: exit code %d: %s", words, code, stderr)
			}
		}
		call("simulate", "--out", runs, "-e", "tstx00417", "-r", "4", "--det-type", "epix10ka", "--panels", "1", "--rows", "16", "--cols", "24", "--gain-modes", "FH,FM,FL,AHL-H,AML-M", "--events", "40")
		line := []string{"run", "-e", "tstx00417", "-r", "4", "--dir", runs, "-d", detectorOf(t, runs), "-o", repository, "--work", work, "--profile", "dark"}
		if format == "compat" {
			line = append(line, "--compat", "lcls2")
		}
		call(line...)
		panels, err := filepath.Glob(filepath.Join(repository, "epix10ka", "*", "status_dark"))
		if err != nil || len(panels) != 1 {
			t.Fatal(panels, err)
		}
		panel := filepath.Dir(panels[0])
		for name, value := range map[string]string{"offset/offset_AHL-H": "1000", "offset/offset_AHL-L": "500", "gain/gainci_AHL-H": "8", "gain/gainci_AHL-L": "2"} {
			sub, ctype, _ := strings.Cut(name, "/")
			path := filepath.Join(panel, sub, "epix10ka_0001_20250101000000_tstx00417_r0001_"+ctype+".dat")
			if err := os.MkdirAll(filepath.Dir(path), 0o775); err != nil {
				t.Fatal(err)
			}
			text := strings.Repeat(strings.TrimSpace(strings.Repeat(value+" ", cols))+"\n", rows)
			if err := os.WriteFile(path, []byte(text), 0o664); err != nil {
				t.Fatal(err)
			}
		}
		call("reduce", work, "-o", repository, "--products", "psrnx", "--shortname", "epix10ka_000001")
		numbers := func(pattern string) []float64 {
			t.Helper()
			paths, err := filepath.Glob(filepath.Join(repository, "epix10ka", pattern))
			if err != nil || len(paths) != 1 {
				t.Fatalf("%s: %v %v", pattern, paths, err)
			}
			a, err := calibtxt.LoadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			if a.Floats != nil {
				return a.Floats
			}
			var list []float64
			for _, v := range a.Ints {
				list = append(list, float64(v))
			}
			return list
		}
		high, low := numbers("*/pedestals/*-pedestals-AHL_H.data"), numbers("*/pedestals/*-pedestals-AHL_L.data")
		merged, rms, status := numbers("merge_tmp/*-pedestals.txt"), numbers("merge_tmp/*-pixel_rms.txt"), numbers("merge_tmp/*-pixel_status.txt")
		if len(merged) != 7*rows*cols || len(status) != len(merged) {
			t.Fatalf("%s: %d merged pedestals", format, len(merged))
		}
		wantRMS, wantStatus := 0.0, 1024.0
		if format == "compat" {
			wantRMS, wantStatus = 1, 0
		}
		for i := range high {
			if want := 500 - (1000-high[i])/4; math.Abs(low[i]-want) > 0.002 || merged[5*rows*cols+i] != low[i] {
				t.Fatalf("%s: pixel %d of AHL-L is %v and merged %v, wanted %v", format, i, low[i], merged[5*rows*cols+i], want)
			}
			if k := 6*rows*cols + i; merged[k] != 0 || rms[k] != wantRMS || status[k] != wantStatus {
				t.Fatalf("%s: pixel %d of AML-L is merged as %v, %v, %v", format, i, merged[k], rms[k], status[k])
			}
		}
	}
}

// detectorOf returns the name of the only detector of a run.
func detectorOf(t *testing.T, runs string) string {
	t.Helper()
	x, err := open.Index(t.Context(), open.Dataset{Dir: runs, Experiment: "tstx00417", Runs: ranges.List{{First: 4, Last: 4}}}, open.Options{Settle: 1})
	if err != nil || len(x.Detectors()) != 1 {
		t.Fatal(err)
	}
	return x.Detectors()[0]
}
