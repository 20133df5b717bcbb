package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibserve"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/refstat"
)

// realDark is a run of real detector files, taken as a dark run.
type realDark struct {
	file, exp, name string // name: under which the file is found
	run             int
	words           []string // of dark
	refused         string   // rule that refuses it; empty: none does
	force           []string // of mergedeploy, that override it
	source          string   // in the calibration directory; empty: the database
	shape           string   // of the deployed arrays
	plane           int      // of the gain mode that was measured
	two             bool
}

var realDarks = []realDark{
	{file: "xtc1/epix100a.xtc", exp: "xppn4116", name: "xppn4116-r0137-s00-c00.xtc", run: 137, words: []string{"--step", "0"},
		source: "Epix100a::CalibV1/XppGon.0:Epix100a.1", shape: "(704,768)"},
	{file: "xtc1/epix10kaquad.xtc", exp: "xcsx00117", name: "xcsx00117-r0010-s00-c00.xtc", run: 10, words: []string{"--gain-mode", "FH"}, refused: "missing",
		force: []string{"--missing-gain=bad"}, source: "Epix10kaQuad::CalibV1/XcsEndstation.0:Epix10kaQuad.0", shape: "(7,4,352,384)", two: true},
	{file: "xtc2/mfx101332224/xtc/mfx101332224-r0007-s001-c000.xtc2", exp: "mfx101332224", name: "mfx101332224-r0007-s001-c000.xtc2", run: 7, words: []string{"--min-frames", "1"},
		refused: "missing", force: []string{"--missing-gain=bad", "--force-zero-rms"}, shape: "(3, 1, 512, 1024)"},
}

// TestDarkOfRealFiles takes real files from raw data to what analysis reads, and wants there what the slow reference makes of
// their frames. A run in which gain modes are missing is refused first.
func TestDarkOfRealFiles(t *testing.T) {
	shared, bin := testenv.Shared(t), programs(t)
	for _, c := range realDarks {
		t.Run(c.file, func(t *testing.T) {
			dir := t.TempDir()
			server := httptest.NewServer((&calibserve.Server{Root: filepath.Join(dir, "db"), Disk: disk.Files{Policy: &access.Policy{DirMode: 0o775, FileMode: 0o664}}, Writable: true}).Handler())
			defer server.Close()
			url := server.URL + "/calib_ws/"
			for _, d := range []string{"runs", "calib"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o775); err != nil {
					t.Fatal(err)
				}
			}
			raw := filepath.Join(shared, "data", c.file)
			if err := os.Symlink(raw, filepath.Join(dir, "runs", c.name)); err != nil {
				t.Fatal(err)
			}
			dark := func(more ...string) (string, int) {
				line := append([]string{"dark", "-e", c.exp, "-r", strconv.Itoa(c.run), "--dir", filepath.Join(dir, "runs"), "--settle", "0s", "-D"}, c.words...)
				if c.source != "" {
					line = append(line, "-c", filepath.Join(dir, "calib"))
				}
				cmd := exec.Command(filepath.Join(bin, "rawstatus"), append(line, more...)...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "RAWSTATUS_TIMEZONE=UTC", "RAWSTATUS_GROUP=", "RAWSTATUS_REPOSITORY="+filepath.Join(dir, "repo"),
					"RAWSTATUS_CALIBWS_READ_URL="+url, "RAWSTATUS_CALIBWS_WRITE_URL="+url, "CALIB_JWT=")
				out, err := cmd.CombinedOutput()
				if cmd.ProcessState == nil {
					t.Fatal(err)
				}
				return string(out), cmd.ProcessState.ExitCode()
			}
			if c.refused != "" {
				if out, code := dark(); code != 13 || !strings.Contains(out, "REFUSED  "+c.refused) {
					t.Fatalf("exit code %d:\n%s", code, out)
				}
			}
			var force []string
			for _, word := range c.force {
				force = append(force, "--deploy-arg="+word)
			}
			if out, code := dark(force...); code != 0 || !strings.Contains(out, "analysis of run "+strconv.Itoa(c.run)+" will use") {
				t.Fatalf("exit code %d:\n%s", code, out)
			}
			pedestals, rms := c.deployed(t, dir, url, "pedestals"), c.deployed(t, dir, url, "pixel_rms")
			c.compare(t, raw, pedestals, rms)
		})
	}
}

// deployed reads an array as analysis does.
func (c *realDark) deployed(t *testing.T, dir, url, ctype string) []float64 {
	t.Helper()
	if c.source != "" {
		a, err := calibtxt.LoadFile(filepath.Join(dir, "calib", c.source, ctype, strconv.Itoa(c.run)+"-end.data"))
		if err != nil || calibtxt.Tuple(a.Shape, "") != c.shape {
			t.Fatal(err, a.Shape)
		}
		return a.Floats
	}
	var docs []struct{ CType, Data_Shape, ID_Data, Detector string }
	const short = "jungfrau_000001"
	if err := json.Unmarshal(fetch(t, url+"cdb_"+c.exp+"/"+short), &docs); err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if d.CType != ctype {
			continue
		}
		if d.Data_Shape != c.shape {
			t.Errorf("%s has shape %s", ctype, d.Data_Shape)
		}
		var values []float64
		for b := fetch(t, url+"cdb_"+c.exp+"/gridfs/"+d.ID_Data); len(b) > 0; b = b[4:] {
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
		return values
	}
	t.Fatalf("no %s in the database", ctype)
	return nil
}

// compare wants the numbers of the slow reference, rounded to three decimals and to float32.
func (c *realDark) compare(t *testing.T, raw string, pedestals, rms []float64) {
	t.Helper()
	x, err := open.Index(context.Background(), open.Dataset{Files: []string{raw}}, open.Options{Settle: 1})
	if err != nil {
		t.Fatal(err)
	}
	src, err := sweep.Open(x.Files, "", sweep.Options{Headings: x.Headings})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	g := quantile.GateParams{DataBits: 0x3fff, FracLo: 0.05, FracHi: 0.95, IntLo: 1, IntHi: 16000}
	p := status.DarkParams{Profile: status.ProfileDark, Scope: status.PerPanel, Method: status.MeanStd, IntLo: 1, IntHi: 16000, MinFrames: 1}
	var two *status.TwoPass
	lead := 50
	if c.two {
		lead, two = 500, &status.TwoPass{NSigma: 6, RmsLo: 0.001, RmsHi: 16000}
	}
	n := x.Panels[0].Pixels()
	for i, panel := range x.Panels {
		var px [][]uint16
		for e, event := range x.Events {
			if slices.Contains(c.words, "--step") && event.Step != 0 {
				continue
			}
			one, err := src.Pixels(context.Background(), panel, x.Extents[e*len(x.Panels)+i:e*len(x.Panels)+i+1], sweep.Span{Hi: n})
			if err != nil {
				t.Fatal(err)
			}
			px = append(px, slices.Clone(one[0]))
		}
		want := refstat.Dark([][][]uint16{px}, n, g, lead, two, p, refstat.Gain{})[0]
		at := (c.plane*len(x.Panels) + i) * n
		for k := range n {
			if a, r := pedestals[at+k], rms[at+k]; a != rounded(want.Ave[k]) || r != rounded(want.Rms[k]) {
				t.Fatalf("panel %d pixel %d of %d frames: pedestal %v, rms %v; wanted %v, %v", i, k, len(px), a, r, want.Ave[k], want.Rms[k])
			}
		}
	}
}

// rounded is the float32 of a number of three decimals.
func rounded(v float64) float64 {
	w, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 3, 64), 64)
	if err != nil {
		return math.NaN()
	}
	return float64(float32(w))
}
