package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/golden"
)

// TestGoldenByFlags passes the parameters of golden results on the command line, the frames as a .npy file,
// and wants the status that the original software produced.
func TestGoldenByFlags(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	t.Setenv("RAWSTATUS_TIMEZONE", "UTC")
	done := 0
	for _, kind := range []string{"dark", "pixel_status"} {
		for _, c := range golden.Cases(t, kind) {
			for _, r := range c.Results {
				if r.Summary.NoResult || r.Summary.Stage1Only || r.FrameRange != nil || r.GatesFrom != nil {
					continue // not one command
				}
				done++
				t.Run(c.Name+"/"+r.Dir, func(t *testing.T) {
					dir := t.TempDir()
					args := append([]string{"run", "--json", "--quiet", "--tasks", "3", "-e", "gold", "-r", "1", "-o", filepath.Join(dir, "repo"), "--work", filepath.Join(dir, "work"),
						"--file", filepath.Join(testenv.Shared(t), "golden", c.Name, "frames.npy")}, goldenFlags(t, c, r)...)
					sum := decode[reduce.Summary](t, must(t, fault.OK, args...))
					var got []float64
					for _, p := range sum.Groups[0].Panels {
						read, err := repo.New("", nil, nil).ReadStatus(p.File, nil)
						if err != nil {
							t.Fatal(err)
						}
						for _, v := range read.Dense() {
							got = append(got, float64(v))
						}
					}
					if !slices.Equal(got, r.Array(t, "status").V) {
						t.Errorf("%v: status differs from the original's", args)
					}
				})
			}
		}
	}
	if done < 80 {
		t.Errorf("only %d results", done)
	}
}

// goldenFlags writes the parameters of a result as a user would.
func goldenFlags(t *testing.T, c *golden.Case, r *golden.Result) []string {
	t.Helper()
	q := r.Params
	compat := map[string]string{"L1": "lcls1", "L2": "lcls2"}[r.Generation]
	var flags []string
	add := func(name string, v any) { flags = append(flags, fmt.Sprintf("--%s=%v", name, v)) }
	if c.Kind == "pixel_status" {
		add("compat", "lcls1")
		add("features", q.Features)
		add("databits", q.DataBits)
		add("snrmax", q.SnrMax)
		if strings.Contains(fmt.Sprint(q.Features), "6") {
			add("window", q.ShWind)
		}
		add("events", q.Nrecs)
		if q.Slice != nil {
			add("slice", *q.Slice)
		}
		if len(c.Frames.Shape) == 4 {
			add("segment", q.Segind)
		}
		if r.Pedestals != nil && strings.Contains(fmt.Sprint(q.Features), "11") {
			add("pedestals", filepath.Join(testenv.Shared(t), "golden", c.Name, r.Dir, "pedestals.npy"))
		}
		return flags
	}
	add("profile", "dark")
	if r.Mode != "sane" {
		add("compat", compat)
	}
	if r.GainIndex != nil {
		add("det-type", "jungfrau")
		add("gain-mode", fmt.Sprint("g", *r.GainIndex))
		add("gain-rule", map[string]string{"lcls1": "expected", "lcls2": "impossible"}[compat])
	}
	if r.Panel != nil {
		add("segment", *r.Panel)
	}
	for name, v := range map[string]any{"events": q.Nrecs, "gate-frames": q.Nrecs1, "databits": q.DatBits, "int-lo": q.IntLo, "int-hi": q.IntHi, "intnlo": q.IntNLo, "intnhi": q.IntNHi,
		"rms-lo": q.RmsLo, "rms-hi": q.RmsHi, "rmsnlo": q.RmsNLo, "rmsnhi": q.RmsNHi, "fraclm": q.FracLm, "fraclo": q.FracLo, "frachi": q.FracHi} {
		add(name, v)
	}
	return flags
}
