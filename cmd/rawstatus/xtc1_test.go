package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
)

// TestReferenceRunEqualsTheOriginalFiles evaluates the LCLS-I run of which the original programs left their status files, once
// through the run's tree with smalldata and once from its single file: the files have the same bytes.
func TestReferenceRunEqualsTheOriginalFiles(t *testing.T) {
	shared := testenv.Shared(t)
	raw := filepath.Join(shared, "data/xtc1/epix100a.xtc")
	const tree, name = "xpp/xppn4116/xtc", "xppn4116-r0137-s00-c00"
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_SITE", "")
	root := t.TempDir()
	t.Setenv("SIT_PSDM_DATA", root)
	dir := filepath.Join(root, tree)
	if err := os.MkdirAll(filepath.Join(dir, "smalldata"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(raw, filepath.Join(dir, name+".xtc")); err != nil {
		t.Fatal(err)
	}
	small := filepath.Join("smalldata", name+".smd.xtc")
	if err := os.Symlink(filepath.Join(shared, "data/xtc1", tree, small), filepath.Join(dir, small)); err != nil {
		t.Fatal(err)
	}
	const panel = "epix100a/3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215"
	for _, input := range [][]string{
		{"-k", "exp=xppn4116:run=137:smd"},
		{"--file", raw, "-e", "xppn4116"},
	} {
		for features, ctype := range map[string]string{"1,2,3": "status_dark", "1,6": "status_light"} {
			repo := t.TempDir()
			args := append([]string{"run", "-d", "XppGon.0:Epix100a.1", "-F", features, "-o", repo, "--work", filepath.Join(t.TempDir(), "work"), "--quiet"}, input...)
			if code, _, stderr := call(t, args...); code != int(fault.OK) {
				t.Fatalf("%v: exit code %d: %s", args, code, stderr)
			}
			file := filepath.Join(panel, ctype, "epix100a_0001_20160523104000_xppn4116_r0137_"+ctype+".dat")
			got, err := os.ReadFile(filepath.Join(repo, file))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(shared, "data/calib/repo_example", file))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v: %s differs from that of the original", input, file)
			}
		}
	}
}

// TestPlantedLCLS1 simulates runs of LCLS-I, evaluates them, and wants every planted pixel and no other.
func TestPlantedLCLS1(t *testing.T) {
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	t.Setenv("RAWSTATUS_SITE", "")
	dir := t.TempDir()
	for i, c := range []struct{ profile, name, more string }{
		{"dark", "MfxEndstation.0:Jungfrau.2", "--panels 2 --gain-modes g0,g1,g2"},
		{"data", "XcsEndstation.0:Epix100a.1", "--chunks 3 --lost-events 1 --damaged-events 2"},
	} {
		exp := fmt.Sprintf("tstx0%d17", i)
		args := strings.Fields("simulate --format xtc1 --quiet --rows 64 --cols 64 --streams 2 -n 60 --dead 4 --hot 4 --noisy 4 --saturated 4 --cold 4 " + c.more)
		if code, _, stderr := call(t, append(args, "--out", dir, "-e", exp, "-d", c.name)...); code != 0 {
			t.Fatalf("%s: exit code %d: %s", c.name, code, stderr)
		}
		repo := t.TempDir()
		code, _, stderr := call(t, "run", "-e", exp, "-r", "1", "--dir", dir, "-d", c.name, "-o", repo, "--profile", c.profile, "--max-lost", "10",
			"--quiet", "--work", filepath.Join(t.TempDir(), "work"))
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", c.name, code, stderr)
		}
		truth, err := simulate.ReadTruth(filepath.Join(dir, exp+"-r0001-truth.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range truth.Panels {
			planted := map[string]map[int]uint64{}
			for _, x := range p.Planted {
				if planted[x.GainMode] == nil {
					planted[x.GainMode] = map[int]uint64{}
				}
				for _, pixel := range x.Pixels {
					planted[x.GainMode][pixel] = x.Data
				}
			}
			for mode, want := range planted {
				suffix := ".dat"
				if mode != "" {
					suffix = "_" + mode + suffix
				}
				paths, err := filepath.Glob(filepath.Join(repo, "*", p.ID, "status_"+c.profile, "*status_"+c.profile+suffix))
				if err != nil || len(paths) != 1 {
					t.Fatalf("%s panel %s gain mode %q: files %q", c.name, p.ID, mode, paths)
				}
				b, err := os.ReadFile(paths[0])
				if err != nil {
					t.Fatal(err)
				}
				words := strings.Fields(string(b))
				if len(words) != p.Rows*p.Cols {
					t.Fatalf("%d words", len(words))
				}
				for pixel, w := range words {
					if got, err := strconv.ParseUint(w, 10, 64); err != nil || got&want[pixel] != want[pixel] || (got != 0) != (want[pixel] != 0) {
						t.Errorf("%s panel %s gain mode %q pixel %d: status %s, planted %d", c.name, p.ID, mode, pixel, w, want[pixel])
					}
				}
			}
		}
	}
}
