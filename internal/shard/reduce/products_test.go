package reduce

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/testenv/golden"
)

// anchors are SHA-256 (first 16 digits) and length of what the originals print: %.3f, %.3f, %4i, %6i, %6i, without
// header.
var anchors = map[string][]string{
	"dark_l1_normal/original-L1": {"980ddead7dd5e929 53227", "57478e52ab92b1bd 35518", "969b896b88bda0ca 29585", "7183749667b6615e 41419", "65fe04b5525898f7 41419"},
	"dark_l2/original-L2":        {"62346aa636658990 18604", "bbb558853a47bb22 12436", "12d9ebe7141dcc69 10350", "ceb4d689098d022b 14490", "264705d42a6d3a11 14490"},
	"dark_jungfrau/original-L1-gm0 panel 0": {"622ff6b13f646c18 6909", "cd98aae80c559d60 4609", "7f53913611c5e756 3840", "b920bf2a683bb931 5376",
		"b0caac37833bf91a 5376"},
	"dark_jungfrau/original-L1-gm0 panel 1": {"494791cb0ee4bad3 6903", "191d15ad19c41476 4609", "6670f960f5c9e560 3840", "4b61134f692c2b44 5376", "d3f86a6bb83c24b7 5376"},
}

// TestProductsOfGoldenDarks wants average, rms, minimum and maximum of every golden dark case bit for bit, and the text
// of the anchors, from stored planes without raw data.
func TestProductsOfGoldenDarks(t *testing.T) {
	results, seen := 0, 0
	for _, c := range golden.Cases(t, "dark") {
		for _, r := range c.Results {
			if r.Summary.NoResult || r.Summary.Stage1Only {
				continue
			}
			results++
			x, par := goldenInput(t, c, r)
			j := prepare(t, x, par, 3)
			j.tasks(t, 2)
			j.reduce(t)
			for task := range j.plan.Tasks {
				if err := os.RemoveAll(plan.TaskFile(j.work, task)); err != nil {
					t.Fatal(err)
				}
			}
			units, in, err := loadGroup(context.Background(), j.plan, 0, judgedBytes, func(u int) (planes, error) { return stored(j.work, j.plan, u) })
			if err != nil {
				t.Fatal(err)
			}
			v, err := judge(j.plan, units, in)
			if err != nil {
				t.Fatal(err)
			}
			var all [4][]float64
			for i := range units {
				p := v.panels[i].constants
				all[0], all[1] = append(all[0], p.ave...), append(all[1], p.rms...)
				for k := range p.min {
					all[2], all[3] = append(all[2], float64(p.min[k])), append(all[3], float64(p.max[k]))
				}
				name := c.Name + "/" + r.Dir
				if r.Panel != nil {
					name += fmt.Sprintf(" panel %d", *r.Panel)
				} else if len(units) > 1 {
					name += fmt.Sprintf(" panel %d", i)
				}
				if want, ok := anchors[name]; ok {
					seen++
					w := &products{p: j.plan, style: repo.Psana1Panels}
					for k, product := range repo.Products {
						text := w.body(nil, product, &v.panels[i], j.plan.Panel(units[i]).Cols)
						sum := sha256.Sum256(text)
						if got := fmt.Sprintf("%s %d", hex.EncodeToString(sum[:8]), len(text)); got != want[k] {
							t.Errorf("%s: text of %s is %s, the original's %s", name, product, got, want[k])
						}
					}
				}
			}
			for k, name := range []string{"ave", "rms", "min", "max"} {
				if _, ok := r.Summary.Files[name]; !ok || r.Mode == "sane" && k > 1 {
					continue
				}
				want := r.Array(t, name).V
				for i := range want {
					if math.Float64bits(all[k][i]) != math.Float64bits(want[i]) && !(all[k][i] != all[k][i] && want[i] != want[i]) {
						t.Errorf("%s/%s: %s of pixel %d is %v, the original's %v", c.Name, r.Dir, name, i, all[k][i], want[i])
						break
					}
				}
			}
		}
	}
	if results < 20 || seen != len(anchors) {
		t.Errorf("%d results, %d of %d anchors", results, seen, len(anchors))
	}
}

// TestProductFiles looks at names and rows of what a job writes, in all styles.
func TestProductFiles(t *testing.T) {
	for _, style := range []struct {
		compat string
		want   []string
	}{
		{"lcls1", []string{"gold_r0001_pedestals_gm0-Normal.dat", "gold_r0001_rms_gm0-Normal.dat", "gold_r0001_dark_min_gm0-Normal.dat"}},
		{"lcls2", []string{"jungfrau_000007-s00-", "gold-r0001-pedestals-g0.data", "gold-r0001-pixel_rms-g0.data", "gold-r0001-pixel_min-g0.data"}},
	} {
		j, opt := goldenJob(t, "dark_jungfrau", map[string]string{"lcls1": "original-L1-gm0", "lcls2": "original-L2-gm0"}[style.compat])
		opt.Products = ProductOptions{Names: repo.Products, Short: "jungfrau_000007"}
		sum, err := Run(context.Background(), j.work, j.plan, opt)
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Join(sum.Groups[0].Panels[0].Constants, " ")
		for _, want := range style.want {
			if !strings.Contains(list, want) {
				t.Errorf("%s: no %s in %s", style.compat, want, list)
			}
		}
		for _, path := range sum.Groups[0].Panels[0].Constants {
			text, err := os.ReadFile(path)
			if err != nil || strings.Count(string(text), "\n") != j.plan.Panel(0).Rows {
				t.Errorf("%s has not a line for each row (%v)", path, err)
			}
		}
		// Again from stored planes: the same bytes.
		first, err := os.ReadFile(sum.Groups[0].Panels[0].Constants[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Dir(sum.Groups[0].Panels[0].Constants[0])); err != nil {
			t.Fatal(err)
		}
		if _, err := Again(context.Background(), j.work, j.plan, j.plan, opt); err != nil {
			t.Fatal(err)
		}
		if again, err := os.ReadFile(sum.Groups[0].Panels[0].Constants[0]); err != nil || string(again) != string(first) {
			t.Errorf("again: other bytes (%v)", err)
		}
	}
}

func goldenJob(t *testing.T, name, dir string) (job, Options) {
	t.Helper()
	for _, c := range golden.Cases(t, "dark") {
		for _, r := range c.Results {
			if c.Name == name && r.Dir == dir {
				x, par := goldenInput(t, c, r)
				j := prepare(t, x, par, 1)
				j.tasks(t, 1)
				return j, Options{Repo: j.repo}
			}
		}
	}
	t.Fatalf("no golden %s/%s", name, dir)
	return job{}, Options{}
}

func TestProductsAreOfDarks(t *testing.T) {
	for _, par := range []plan.Params{{Profile: plan.ProfileData}, {Profile: plan.ProfileFeatures}, {Profile: plan.ProfileDark, Selection: plan.Selection{Slice: []int{0, 1, 0, 1}}}} {
		if err := CheckProducts(&plan.Plan{Params: par}, repo.DarkSet); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%+v: %v", par, err)
		}
	}
}
