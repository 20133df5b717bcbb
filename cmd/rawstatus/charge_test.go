package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/golden"
)

// statusOf reads the status files of a summary, one panel after the other.
func statusOf(t *testing.T, sum reduce.Summary) (all []float64) {
	t.Helper()
	for _, g := range sum.Groups {
		for _, p := range g.Panels {
			read, err := repo.New("", nil, nil).ReadStatus(p.File, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range read.Dense() {
				all = append(all, float64(v))
			}
		}
	}
	return all
}

// stepFiles writes the frames of a golden set, a .npy file for each step, and returns the flags that name them.
func stepFiles(t *testing.T, p simulate.Pulser) (flags []string) {
	t.Helper()
	sim := simulate.NewInjection(p)
	dir, n := t.TempDir(), p.Rows*p.Cols
	for step := range 2 * p.Space * p.Space {
		frames := make([]uint16, p.Frames*n)
		for k := range p.Frames {
			sim.Frame(frames[k*n:(k+1)*n], step, k)
		}
		path := filepath.Join(dir, fmt.Sprintf("step%02d.npy", step))
		if err := npy.Write(path, []int{p.Frames, p.Rows, p.Cols}, frames); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--file", path)
	}
	return flags
}

// TestChargeInjectionEqualsTheOriginal reads the steps of golden sets as .npy files and wants the status of the original for each
// of its settings, from one task and from seven.
func TestChargeInjectionEqualsTheOriginal(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	for _, name := range []string{"a", "e"} {
		set := filepath.Join(testenv.Shared(t), "golden_ci", name)
		var p simulate.Pulser
		readJSON(t, filepath.Join(set, "params.json"), &p)
		files := stepFiles(t, p)
		results, err := filepath.Glob(filepath.Join(set, "orig*"))
		if err != nil || len(results) == 0 {
			t.Fatalf("no results: %v", err)
		}
		for i, result := range results {
			t.Run(name+"/"+filepath.Base(result), func(t *testing.T) {
				var s struct {
					NBS, NPOff, Gap int
					NPeriods        bool
					NSigm           float64
				}
				readJSON(t, filepath.Join(result, "settings.json"), &s)
				dir := t.TempDir()
				args := slices.Concat([]string{"run", "--json", "--quiet", "-e", "gold", "-r", "1", "-o", filepath.Join(dir, "repo"), "--work", filepath.Join(dir, "work"),
					"--det-type", "epixhr2x2", "--profile", "ci", "--compat", "lcls2", "--tasks", strconv.Itoa(1 + i%2*6), "--events", strconv.Itoa(s.NBS),
					"--npoff", strconv.Itoa(s.NPOff), "--gap", strconv.Itoa(s.Gap), "--ci-nsigm", fmt.Sprint(s.NSigm), fmt.Sprintf("--first-period=%v", !s.NPeriods)}, files)
				sum := decode[reduce.Summary](t, must(t, fault.OK, args...))
				want := golden.ReadNpy(t, filepath.Join(result, "status_ci.npy")).V
				if got := statusOf(t, sum); !slices.Equal(got, want) {
					t.Errorf("%v: status differs from the original's", args)
				}
			})
		}
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// chargeRun simulates a scan and returns the folder of the run and what is planted in it.
func chargeRun(t *testing.T, cfg simulate.Config) *simulate.Truth {
	t.Helper()
	cfg.Scan, cfg.Dir = simulate.ChargeInjection, t.TempDir()
	truth, err := simulate.Write(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return truth
}

// runCharge runs `run --profile ci` on a simulated run and returns its summary.
func runCharge(t *testing.T, truth *simulate.Truth, want fault.Code, flags ...string) reduce.Summary {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{"run", "--json", "--quiet", "--profile", "ci", "-e", truth.Config.Experiment, "-r", strconv.Itoa(truth.Config.Run), "--dir", truth.Config.Dir,
		"-o", filepath.Join(dir, "repo"), "--work", filepath.Join(dir, "work")}, flags...)
	out := must(t, want, args...)
	if want != fault.OK {
		return reduce.Summary{}
	}
	return decode[reduce.Summary](t, out)
}

// TestChargeInjectionFindsPlantedPixels wants every planted pixel of simulated scans found by the bits of its class, and no other.
func TestChargeInjectionFindsPlantedPixels(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	for _, c := range []struct {
		name  string
		cfg   simulate.Config
		flags []string
	}{
		{"epixhr2x2", simulate.Config{Type: "epixhr2x2", Rows: 28, Cols: 34, Space: 3, Ramp: 128, Seed: 1}, []string{"--tasks", "7"}},
		{"epix10ka", simulate.Config{Type: "epix10ka", Rows: 32, Cols: 36, Space: 3, Ramp: 128, Seed: 2, Panels: 2, Streams: 2, LostEvents: 40, Chunks: 2}, nil},
		{"no test bits, many ramps", simulate.Config{Type: "epixhr2x2", Rows: 24, Cols: 30, Space: 2, Ramp: 128, Events: 128*6 + 9, Seed: 3, NoTestBits: true}, []string{"--tasks", "3"}},
		{"one stream loses events", simulate.Config{Type: "epix10ka", Rows: 26, Cols: 30, Space: 2, Ramp: 256, Seed: 4, LostEvents: 30, DamagedEvents: 20}, []string{"--max-lost", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			truth := chargeRun(t, c.cfg)
			checkPlanted(t, truth, statusOf(t, runCharge(t, truth, fault.OK, c.flags...)))
		})
	}
}

// checkPlanted wants the bits of their class on planted pixels and none on others.
func checkPlanted(t *testing.T, truth *simulate.Truth, status []float64) {
	t.Helper()
	at := 0
	for _, p := range truth.Panels {
		planted := map[int]simulate.Planted{}
		for _, x := range p.Planted {
			for _, i := range x.Pixels {
				planted[i] = x
			}
		}
		for i := range p.Rows * p.Cols {
			got, want := uint64(status[at+i]), planted[i].CI
			if got&want != want || want == 0 && got != 0 {
				t.Errorf("segment %d row %d column %d (%s) has %#x, wanted %#x", p.Segment, i/p.Cols, i%p.Cols, planted[i].Kind, got, want)
			}
		}
		at += p.Rows * p.Cols
	}
}

// TestChargeByDefault lets the site say that a detector type is for charge injection.
func TestChargeByDefault(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	truth := chargeRun(t, simulate.Config{Type: "epixhr2x2", Rows: 24, Cols: 30, Space: 2, Ramp: 128, Seed: 3})
	dir := t.TempDir()
	site := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(site, []byte("[limits.epixhr2x2]\nprofile = \"ci\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--json", "--quiet", "--site", site, "-e", truth.Config.Experiment, "-r", strconv.Itoa(truth.Config.Run), "--dir", truth.Config.Dir,
		"-o", filepath.Join(dir, "repo"), "--work", filepath.Join(dir, "work")}
	if sum := decode[reduce.Summary](t, must(t, fault.OK, args...)); sum.Groups[0].Panels[0].Bad == 0 || !strings.Contains(sum.Groups[0].Panels[0].File, "status_ci") {
		t.Errorf("%+v", sum.Groups[0].Panels[0])
	}
	for _, wrong := range [][]string{{"--events", "0"}, {"--int-hi", "50"}, {"--min-frames", "5"}, {"--space", "0"}} {
		must(t, fault.Usage, append(args, wrong...)...)
	}
}
