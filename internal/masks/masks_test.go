package masks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/export"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

const rows, cols = 6, 9

// repository holds run 7 of a jungfrau: segments x gain modes with random words.
func repository(t *testing.T, segments []int, gains []string, ctypes ...string) (*repo.Repo, map[string][]uint64) {
	t.Helper()
	r := repo.New(t.TempDir(), &access.Policy{DirMode: 0o2775, FileMode: 0o664}, time.UTC)
	words := map[string][]uint64{}
	rng := rand.New(rand.NewPCG(3, 3))
	for _, ctype := range ctypes {
		for _, seg := range segments {
			for _, g := range gains {
				put(t, r, words, rng, ctype, seg, g)
			}
		}
	}
	return r, words
}

func put(t *testing.T, r *repo.Repo, words map[string][]uint64, rng *rand.Rand, ctype string, seg int, gain string) {
	t.Helper()
	w := make([]uint64, rows*cols)
	for i := range w {
		if rng.IntN(3) == 0 {
			w[i] = 1 << rng.IntN(7)
		}
	}
	w[5] = status.NoData
	words[fmt.Sprintf("%s %d %s", ctype, seg, gain)] = w
	sf := repo.StatusFile{DetType: "jungfrau", DetName: "jf", Panel: fmt.Sprintf("id-%d", seg), Segment: seg, CType: ctype, GainMode: gain, Rows: rows, Cols: cols,
		Run: frame.Run{Experiment: "mfxx1", Number: 7, Begin: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	family := repo.FamilyDark
	if ctype == "status_light" {
		family = repo.FamilyFeatures
	}
	if _, _, err := r.WriteStatus(context.Background(), sf, calibtxt.SparseOf(w), repo.Sidecar{Profile: "data", Family: family}, true); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, r *repo.Repo, w Wanted, c Choice) *export.Mask {
	t.Helper()
	paths, _, err := Find(r, w)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load(r, paths, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGainsAndBits compares masks of a run with the words that went in: gain modes combined, one of them, chosen bits.
func TestGainsAndBits(t *testing.T) {
	gains := []string{"g0", "g1", "g2"}
	r, words := repository(t, []int{0, 1, 3}, gains, "status_data")
	for name, c := range map[string]struct {
		choice Choice
		gains  []string
		bits   uint64
		said   string
	}{
		"all":      {Choice{}, gains, 1<<64 - 1, "g0, g1, g2: a pixel is masked when it is bad in any"},
		"one gain": {Choice{Gains: []string{"g1"}}, []string{"g1"}, 1<<64 - 1, "gain modes: g1 only"},
		"two":      {Choice{Gains: []string{"g2", "g0"}}, []string{"g0", "g2"}, 1<<64 - 1, "g2, g0"},
		"bits":     {Choice{Bits: "RMS_HIGH,ave_low"}, gains, 1 | 32 | status.NotJudged, "bits: RMS_HIGH,ave_low, and pixels that were not judged"},
		"number":   {Choice{Bits: "4,^NO_DATA"}, gains, 4 | status.LowStats | status.EvalError, "bits: 4"},
		"without":  {Choice{Bits: "^INT_HIGH,^0x8"}, gains, ^uint64(12), "all but ^INT_HIGH"},
	} {
		t.Run(name, func(t *testing.T) {
			m := load(t, r, Wanted{Experiment: "mfxx1", Run: 7}, c.choice)
			if len(m.Panels) != 4 || m.Rows != rows || m.Cols != cols || !strings.Contains(strings.Join(m.Notes, "\n"), c.said) {
				t.Fatalf("%d panels of %d x %d, notes %q", len(m.Panels), m.Rows, m.Cols, m.Notes)
			}
			for _, p := range []int{0, 1, 3} {
				for i, got := range m.Panels[p] {
					want := uint64(0)
					for _, g := range c.gains {
						want |= words[fmt.Sprintf("status_data %d %s", p, g)][i] & c.bits
					}
					if got != want {
						t.Fatalf("panel %d pixel %d: %d, want %d", p, i, got, want)
					}
				}
			}
			if slices.Contains(m.Panels[2], 0) || !slices.Contains(m.Notes, "panel 2 has no file: it is masked") {
				t.Errorf("panel 2 has no file and is not masked, or it is not said: %q", m.Notes)
			}
		})
	}
}

// TestModesOfAGainMapAreCombined combines gain modes among which a gain map divides the pixels.
func TestModesOfAGainMapAreCombined(t *testing.T) {
	r, _ := repository(t, []int{0}, nil)
	for _, mapped := range []bool{true, false} {
		for k, gain := range []string{"g0", "g1"} {
			w := make([]uint64, rows*cols)
			for i := range w {
				if i%2 != k || i == 4 || i == 5 {
					w[i] = status.NoData
				} else if i%7 == 0 {
					w[i] = 2
				}
			}
			sc := repo.Sidecar{Profile: "data", Family: repo.FamilyDark}
			if mapped {
				sc.GainMap = []string{"g0", "g1"}
			}
			sf := repo.StatusFile{DetType: "jungfrau", DetName: "jf", Panel: "id-0", CType: "status_data", GainMode: gain, Rows: rows, Cols: cols,
				Run: frame.Run{Experiment: "mfxx1", Number: 7, Begin: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
			if _, _, err := r.WriteStatus(t.Context(), sf, calibtxt.SparseOf(w), sc, true); err != nil {
				t.Fatal(err)
			}
		}
		m := load(t, r, Wanted{Experiment: "mfxx1", Run: 7, Detector: "jf", CType: "status_data"}, Choice{})
		for i, word := range m.Panels[0] {
			if want := !mapped || i == 4 || i == 5 || i%7 == 0; (word != 0) != want {
				t.Errorf("mapped %v, pixel %d: %d, want masked %v", mapped, i, word, want)
			}
		}
		one := load(t, r, Wanted{Experiment: "mfxx1", Run: 7, Detector: "jf", CType: "status_data"}, Choice{Gains: []string{"g0"}})
		if one.Panels[0][1]&status.NoData == 0 {
			t.Error("of one gain mode, a pixel of another one is not masked")
		}
	}
}

// TestArraysHaveThePlanesInDeployedShape wants an array of the whole detector to be what its planes are, in every shape that is deployed.
func TestArraysHaveThePlanesInDeployedShape(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for name, c := range map[string]struct {
		dir   string
		shape []int
		want  func(a []uint64, p, i int) uint64 // panel p, pixel i
		n     int
		gains []string
	}{
		"panel":     {"x", []int{rows, cols}, func(a []uint64, _, i int) uint64 { return a[i] }, 1, nil},
		"panels":    {"x", []int{2, rows, cols}, func(a []uint64, p, i int) uint64 { return a[p*rows*cols+i] }, 2, nil},
		"last":      {"CsPad2x2::CalibV1/det/status_extra", []int{rows, cols, 2}, func(a []uint64, p, i int) uint64 { return a[i*2+p] }, 2, nil},
		"gains":     {"Jungfrau::CalibV1/det/status_extra", []int{3, 2, rows, cols}, func(a []uint64, p, i int) uint64 { return a[(2+p)*rows*cols+i] }, 2, []string{"g1"}},
		"by number": {"x", []int{3, 2, rows, cols}, func(a []uint64, p, i int) uint64 { return a[(2+p)*rows*cols+i] | a[(4+p)*rows*cols+i] }, 2, []string{"1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := 1
			for _, d := range c.shape {
				n *= d
			}
			a := make([]uint64, n)
			for i := range a {
				a[i] = rng.Uint64() & rng.Uint64() & 0x3ff
			}
			path := filepath.Join(t.TempDir(), c.dir, "0-end.data")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := calibtxt.WriteArray(f, calibtxt.Header{Shape: c.shape}, calibtxt.SparseOf(a)); err != nil {
				t.Fatal(err)
			}
			f.Close()
			m, err := Load(repo.New("", nil, time.UTC), []string{path}, Choice{Gains: c.gains})
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Panels) != c.n {
				t.Fatalf("%d panels", len(m.Panels))
			}
			for p := range m.Panels {
				for i, w := range m.Panels[p] {
					if w != c.want(a, p, i) {
						t.Fatalf("panel %d pixel %d: %d, want %d", p, i, w, c.want(a, p, i))
					}
				}
			}
			if !strings.Contains(strings.Join(m.Notes, "\n"), "no sidecar: its bits are taken for those of family features") {
				t.Errorf("notes %q", m.Notes)
			}
		})
	}
}

// TestFilesThatMakeNoMaskAreRefused wants a clear error where files do not make one mask.
func TestFilesThatMakeNoMaskAreRefused(t *testing.T) {
	r, _ := repository(t, []int{0, 1}, []string{"g0", "g1"}, "status_data", "status_dark", "status_light")
	words, rng := map[string][]uint64{}, rand.New(rand.NewPCG(1, 1))
	put(t, r, words, rng, "status_data", 0, "g2")
	all := Wanted{Experiment: "mfxx1", Run: 7, CType: "status_data"}
	for name, c := range map[string]struct {
		wanted Wanted
		choice Choice
		code   fault.Code
		want   string
	}{
		"several types": {Wanted{Run: 7}, Choice{}, fault.Usage, "several types of status: status_dark, status_data, status_light"},
		"no type":       {Wanted{Run: 7, CType: "status_max"}, Choice{}, fault.Input, "has no status_max"},
		"no run":        {Wanted{Run: 8}, Choice{}, fault.Input, "no status files"},
		"no detector":   {Wanted{Run: 7, Detector: "epix"}, Choice{}, fault.Input, `of detector "epix", but of jf`},
		"gain of one":   {all, Choice{}, fault.Input, `"g2" is there for 1 of 2 panels`},
		"no gain":       {all, Choice{Gains: []string{"g7"}}, fault.Input, `no gain mode "g7", only g0, g1, g2`},
		"bit":           {all, Choice{Gains: []string{"g0"}, Bits: "MEAN_LOW"}, fault.Usage, `"MEAN_LOW" is not known of family dark`},
	} {
		t.Run(name, func(t *testing.T) {
			paths, _, err := Find(r, c.wanted)
			if err == nil {
				_, err = Load(r, paths, c.choice)
			}
			if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %d %q", err, c.code, c.want)
			}
		})
	}
	paths, _, err := Find(r, Wanted{Run: 7, CType: "status_data"})
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := Find(r, Wanted{Run: 7, CType: "status_light"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(r, []string{paths[0], paths[0]}, Choice{}); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "second file of segment 0") {
		t.Errorf("a file twice: %v", err)
	}
	if _, err := Load(r, []string{paths[0], other[1]}, Choice{}); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "family features, others of dark") {
		t.Errorf("two families: %v", err)
	}
}

// TestEveryBitHasAKind wants other programs to be told what each bit of ours stands for.
func TestEveryBitHasAKind(t *testing.T) {
	for _, family := range []string{"dark", "features", "dark+features", "user", string(status.Charge)} {
		for _, b := range Bits(family) {
			if b.Kind == export.Other || b.Kind == 0 {
				t.Errorf("family %s: bit %s has no kind", family, b.Name)
			}
		}
	}
	both := Bits("dark+features")
	if both[0].Name != "RMS_HIGH/MEAN_LOW" || both[0].Kind != export.Noisy|export.Cold {
		t.Errorf("bit 1 of both families: %+v", both[0])
	}
}
