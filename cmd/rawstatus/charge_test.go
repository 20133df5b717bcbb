package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
			for _, v := range read.Values {
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

// TestChargeGoldens gives the steps of golden sets as .npy files and wants the status of the original for each
// of its settings, from one task and from seven.
func TestChargeGoldens(t *testing.T) {
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
