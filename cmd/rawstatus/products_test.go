package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
