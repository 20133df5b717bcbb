package reduce

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/testenv"
)

// mergedAnchors are the results of the originals for golden dark_jungfrau, (3,2,24,32) in rows of 32, without header: the text,
// and the array in its deployed type; SHA-256 (first 16 digits) and length.
var mergedAnchors = []struct {
	name, compat string
	single       bool // rounded to float32 first, as by MPI
	text, array  map[repo.Product]string
}{
	{"L1", "lcls1", false, map[repo.Product]string{
		repo.Pedestals: "ef5a3493257998ed 44498", repo.PixelRMS: "5fe901a74373ddff 27654", repo.PixelStatus: "9ea2109a233f15ff 23040",
		repo.PixelMin: "cd79da6f08fb86a3 32256", repo.PixelMax: "96d7c49019d02465 32256",
	}, map[repo.Product]string{
		repo.Pedestals: "1bfc945bd6bc4c5e", repo.PixelRMS: "fda242933e3fe3a7", repo.PixelStatus: "d28b34ba4f79b735", repo.PixelMin: "84bb5a1b7c32bb7e",
		repo.PixelMax: "491d85b4bc8a6fa5",
	}},
	{"L2 segments", "lcls2", false, map[repo.Product]string{
		repo.Pedestals: "dac5b7d1d414535e 44498", repo.PixelRMS: "0779874729e826fa 27654", repo.PixelStatus: "1a289635ffa1167e 9261",
		repo.PixelMin: "bac61b47eb14f29a 9216", repo.PixelMax: "95591b5d2a407df3 26092",
	}, map[repo.Product]string{
		repo.Pedestals: "f6dd0bba3fdec01e", repo.PixelRMS: "f19741548af36c93", repo.PixelStatus: "4bef70865bdcfa42", repo.PixelMin: "1c02730953829883",
		repo.PixelMax: "6322b31b77421931",
	}},
	{"L2 MPI", "lcls2", true, map[repo.Product]string{
		repo.Pedestals: "61ac7f059d866456 44498", repo.PixelRMS: "0779874729e826fa 27654", repo.PixelStatus: "1a289635ffa1167e 9261",
		repo.PixelMin: "bac61b47eb14f29a 9216", repo.PixelMax: "95591b5d2a407df3 26092",
	}, map[repo.Product]string{
		repo.Pedestals: "a739e4ba2789a0f9", repo.PixelRMS: "f19741548af36c93", repo.PixelStatus: "4bef70865bdcfa42", repo.PixelMin: "1c02730953829883",
		repo.PixelMax: "6322b31b77421931",
	}},
}

// jungfrauIndex3 is golden dark_jungfrau as a run of three steps.
func jungfrauIndex3(t *testing.T) *frame.Index {
	t.Helper()
	path := filepath.Join(testenv.Shared(t), "golden/dark_jungfrau/frames.npy")
	x, err := npy.BuildIndex(context.Background(), []string{path}, npy.IndexOptions{Experiment: "gold", Run: 1, Begin: time.Unix(1e9, 0), Type: "jungfrau", GainMode: "g0"})
	if err != nil {
		t.Fatal(err)
	}
	var steps []frame.Step
	for i := range 3 {
		mode := fmt.Sprintf("g%d", i)
		steps = append(steps, frame.Step{Number: i, Events: 60, Gains: frame.GainsOf(mode, mode)})
	}
	x.Steps = steps
	for e := range x.Events {
		x.Events[e].Step = int32(e / 60)
	}
	return x
}

func jungfrauParams(compat string) plan.Params {
	par := params(plan.ProfileDark)
	par.Compat, par.Events, par.GateFrames, par.MinFrames, par.GainRule = compat, 1000, 20, 1, "expected"
	if compat == "lcls2" {
		par.IntHi, par.RmsHi, par.GainRule = 16382, 16382, "impossible"
	}
	return par
}

// TestMergedAnchors wants the merged text and the deployed bytes of the originals.
func TestMergedAnchors(t *testing.T) {
	for _, a := range mergedAnchors {
		t.Run(a.name, func(t *testing.T) {
			j := prepare(t, jungfrauIndex3(t), jungfrauParams(a.compat), 4)
			j.tasks(t, 2)
			files := mergedOf(t, j, a.single)
			for i, name := range repo.Products {
				body := withoutHeader(t, files[i])
				sum := sha256.Sum256(body)
				if got := fmt.Sprintf("%s %d", hex.EncodeToString(sum[:8]), len(body)); got != a.text[name] {
					t.Errorf("text of %s is %s, the original's %s", name, got, a.text[name])
				}
				if got := deployedSum(t, body, name.Real() || a.compat == "lcls1"); got != a.array[name] {
					t.Errorf("array of %s has SHA-256 %s, the original's %s", name, got, a.array[name])
				}
			}
		})
	}
}

// mergedOf reduces a job and returns the merged files of all products. With single the numbers are rounded as those of a job
// with gates of an earlier one, whatever this job is.
func mergedOf(t *testing.T, j job, single bool) []string {
	t.Helper()
	opt := Options{Repo: j.repo, Products: ProductOptions{Names: repo.Products, Short: "jungfrau_000007"}}
	sum, err := Run(context.Background(), j.work, j.plan, opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(sum.Products) != len(repo.Products) {
		t.Fatalf("merged files %v, notes %v", sum.Products, sum.Notes)
	}
	if !single {
		return sum.Products
	}
	q := *j.plan
	q.Params.GatesFrom = "the first job"
	w := newProducts(j.work, &q, opt, repo.PanelDirs(q.Dataset.Panels))
	for g := range q.Groups {
		units, in, err := loadGroup(context.Background(), &q, g, judgedBytes, func(u int) (planes, error) { return stored(j.work, j.plan, u) })
		if err != nil {
			t.Fatal(err)
		}
		v, err := judge(&q, units, in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.group(context.Background(), units, v); err != nil {
			t.Fatal(err)
		}
	}
	files, err := w.merge(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestMergedFillings looks at what stands for a gain mode and a panel that were not measured: the original's words with
// --compat, and no merged file without.
func TestMergedFillings(t *testing.T) {
	const panel = 24 // rows
	for _, c := range []struct {
		compat string
		want   map[repo.Product]string // of what was not measured
		stack  int                     // panels of the merged array; 0: there is none
	}{
		{"", nil, 0},
		{"lcls1", map[repo.Product]string{repo.Pedestals: "0.000", repo.PixelRMS: "1.000", repo.PixelStatus: "0", repo.PixelMin: "0", repo.PixelMax: "16383"}, 0},
		{"lcls2", map[repo.Product]string{repo.Pedestals: "0.000", repo.PixelRMS: "0.000", repo.PixelStatus: "0", repo.PixelMin: "0", repo.PixelMax: "0"}, 2},
	} {
		par := jungfrauParams(c.compat)
		par.Steps, par.Segments, par.AllowIncomplete = []int{0, 1}, []int{0}, true
		j := prepare(t, jungfrauIndex3(t), par, 1)
		j.tasks(t, 2)
		sum, err := Run(context.Background(), j.work, j.plan, Options{Repo: j.repo, Products: ProductOptions{Names: repo.Products, Short: "jungfrau_000007"}})
		if err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(sum.Notes, "\n"); (c.stack == 0) != strings.Contains(notes, "not put together") {
			t.Errorf("compat %q: notes %s", c.compat, notes)
		}
		if (c.stack > 0) != (len(sum.Products) == len(repo.Products)) {
			t.Fatalf("compat %q: merged files %v", c.compat, sum.Products)
		}
		for i, name := range repo.Products[:len(sum.Products)] {
			lines := strings.Split(strings.TrimSuffix(string(withoutHeader(t, sum.Products[i])), "\n"), "\n")
			if len(lines) != 3*c.stack*panel {
				t.Fatalf("compat %q: %d rows of %s", c.compat, len(lines), name)
			}
			for k, line := range lines {
				gain, seg := k/panel/c.stack, k/panel%c.stack
				if only := strings.Trim(strings.ReplaceAll(line, c.want[name], ""), " ") == ""; only != (gain == 2 || seg == 1) && name != repo.PixelStatus && name != repo.PixelMin {
					t.Fatalf("compat %q: row %d of %s is %q", c.compat, k, name, line)
				}
			}
		}
		if c.compat != "lcls1" {
			continue
		}
		for name, want := range c.want { // of the panel that there is
			path := sum.Groups[0].Panels[0].Constants[0]
			path = strings.NewReplacer("pedestals", repo.Psana1Panels.Name(name), "_gm0-Normal.dat", ".txt").Replace(path)
			lines := strings.Split(strings.TrimSuffix(string(withoutHeader(t, path)), "\n"), "\n")
			if len(lines) != 3*panel || strings.Trim(strings.ReplaceAll(lines[2*panel], want, ""), " ") != "" {
				t.Errorf("lcls1: %d rows of %s, the first of g2 is %q", len(lines), path, lines[2*panel])
			}
		}
	}
}

func withoutHeader(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	for line := range bytes.Lines(text) {
		if line[0] != '#' && line[0] != '\n' {
			body = append(body, line...)
		}
	}
	return body
}

// deployedSum is the SHA-256 of the numbers of a text as float32 or uint64.
func deployedSum(t *testing.T, body []byte, real bool) string {
	t.Helper()
	var raw []byte
	for word := range strings.FieldsSeq(string(body)) {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			t.Fatal(err)
		}
		if real {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		} else {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
