package reduce

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
	"rawstatus/internal/stats/status"
)

const rows, cols = 24, 40

// rawRun makes a run of one file by hand: steps of events of panels, with noise and some bad pixels. lose
// says which frames are not usable.
func rawRun(t testing.TB, panels int, modes []string, perStep int, lose func(event, panel int) frame.State) *frame.Index {
	t.Helper()
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tstx00117", Number: 12, Begin: time.Date(2021, 2, 23, 20, 34, 21, 0, time.UTC)}}
	for p := range panels {
		x.Panels = append(x.Panels, frame.Panel{Detector: "jungfrau", Type: "jungfrau", Segment: p, ID: fmt.Sprintf("id-%d", p), Rows: rows, Cols: cols})
	}
	r := rand.New(rand.NewPCG(5, 7))
	var raw bytes.Buffer
	for s, mode := range modes {
		step := frame.Step{Number: s, Events: perStep, Gains: frame.GainsOf(slices.Repeat([]string{mode}, panels)...)}
		x.Steps = append(x.Steps, step)
		for range perStep {
			e := len(x.Events)
			x.Events = append(x.Events, frame.Event{TS: uint64(e), Step: int32(s)})
			for p := range panels {
				ext := frame.Extent{Offset: int64(raw.Len()), Length: 2 * rows * cols, State: lose(e, p)}
				for i := range rows * cols {
					v := uint16(2000 + 10*(i%7) + int(r.NormFloat64()*15))
					switch i {
					case 11:
						v = 2100 // constant
					case 200:
						v = 16383 // saturated
					case 300:
						v = 0 // cold
					case 444:
						v += uint16(r.IntN(3000)) // noisy
					}
					v |= gainBits(mode)
					raw.Write([]byte{byte(v), byte(v >> 8)})
				}
				raw.WriteByte(0xee) // frames at odd offsets, too
				x.Extents = append(x.Extents, ext)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	x.Files = []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime().UTC()}}
	return x
}

// gainBits are the gain bits of jungfrau's words in a mode.
func gainBits(mode string) uint16 {
	family, _ := detector.Lookup("jungfrau")
	bits, _ := family.Pattern(mode)
	return bits
}

func whole(int, int) frame.State { return frame.Present }

func params(profile string) plan.Params {
	return plan.Params{Profile: profile, CType: "status_" + profile,
		Selection: plan.Selection{GateFrames: 20, DataBits: 0x3fff, IntLo: 1, IntHi: 16000, FracLo: 0.05, FracHi: 0.95, MaxLost: 1, Window: []int{7, 9}},
		Rules: plan.Rules{IntNLo: 6, IntNHi: 6, RmsLo: 0.001, RmsHi: 16000, RmsNLo: 6, RmsNHi: 6, FracLm: 0.1,
			LimitsPer: "detector", Limits: "mean", MinFrames: 3, SNRMax: 8}}
}

type job struct {
	work string
	plan *plan.Plan
	repo *repo.Repo
}

func prepare(t testing.TB, x *frame.Index, par plan.Params, tasks int) job {
	t.Helper()
	index, sum, err := plan.EncodeIndex(x)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(x, sum, par, plan.Options{Tasks: tasks, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	j := job{work: t.TempDir(), plan: p}
	if err := plan.Save(j.work, p, index, 0o664); err != nil {
		t.Fatal(err)
	}
	if j.plan, err = plan.Load(j.work); err != nil {
		t.Fatal(err)
	}
	j.repo = repo.New(t.TempDir(), &access.Policy{DirMode: 0o2775, FileMode: 0o664}, time.UTC)
	return j
}

func (j job) tasks(t testing.TB, workers int) {
	t.Helper()
	for n := range j.plan.Tasks {
		if _, err := runTask(j, n, task.Options{Workers: workers}); err != nil {
			t.Fatal(err)
		}
	}
}

func (j job) reduce(t testing.TB) *Summary {
	t.Helper()
	s, err := Run(context.Background(), j.work, j.plan, Options{Repo: j.repo})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// results are the bytes that must not depend on how the work was cut: merged planes and status files.
func (j job) results(t testing.TB, s *Summary) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	merged, err := filepath.Glob(filepath.Join(j.work, "merged", "*"))
	if err != nil || len(merged) == 0 {
		t.Fatalf("no merged planes in %s: %v", j.work, err)
	}
	for _, m := range merged {
		out[filepath.Base(m)], err = os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range s.Groups {
		for _, p := range g.Panels {
			if out[filepath.Base(p.File)+g.GainMode+p.ID], err = os.ReadFile(p.File); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

func TestAnyCutGivesTheSameBytes(t *testing.T) {
	for _, profile := range []string{"data", "dark"} {
		x := rawRun(t, 3, []string{"g0", "g1"}, 260, whole)
		ref := prepare(t, x, params(profile), 1)
		ref.tasks(t, 1)
		want := ref.results(t, ref.reduce(t))
		for _, cut := range []struct{ tasks, workers int }{{2, 1}, {3, 2}, {8, 2}, {25, 1}} {
			j := prepare(t, x, params(profile), cut.tasks)
			if len(j.plan.Tasks) < min(cut.tasks, 6) {
				t.Fatalf("%d tasks asked, %d planned", cut.tasks, len(j.plan.Tasks))
			}
			j.tasks(t, cut.workers)
			got := j.results(t, j.reduce(t))
			if len(got) != len(want) {
				t.Fatalf("%s: %d files, wanted %d", profile, len(got), len(want))
			}
			for name := range want {
				if !bytes.Equal(got[name], want[name]) {
					t.Errorf("profile %s, %d tasks, %d workers: %s differs", profile, cut.tasks, cut.workers, name)
				}
			}
		}
	}
}

func TestPlanIsPure(t *testing.T) {
	x := rawRun(t, 2, []string{"g0"}, 10, whole)
	a, b, c := prepare(t, x, params("data"), 2), prepare(t, x, params("data"), 2), prepare(t, x, params("data"), 1)
	if a.plan.ID != b.plan.ID {
		t.Error("the same input gave two plan ids")
	}
	if a.plan.ID == c.plan.ID || a.plan.Input != c.plan.Input {
		t.Error("the number of tasks must change the id and not the input")
	}
	par := params("data")
	par.RmsHi = 15000
	if d := prepare(t, x, par, 2); d.plan.Input == a.plan.Input {
		t.Error("another limit must change the input")
	}
}

func TestMissingDataIsNeverGood(t *testing.T) {
	lost := func(e, p int) frame.State {
		switch {
		case p == 1:
			return frame.Missing
		case p == 2 && e >= 2:
			return frame.Damaged
		}
		return frame.Present
	}
	x := rawRun(t, 3, []string{"g0"}, 30, lost)
	index, sum, err := plan.EncodeIndex(x)
	if err != nil || len(index) == 0 {
		t.Fatal(err)
	}
	_, err = plan.Build(x, sum, params("data"), plan.Options{})
	if fault.CodeOf(err) != fault.Incomplete || !strings.Contains(err.Error(), "segment 1") || !strings.Contains(err.Error(), "28 damaged") {
		t.Fatalf("incomplete run: %v", err)
	}
	par := params("data")
	par.AllowIncomplete = true
	j := prepare(t, x, par, 0)
	j.tasks(t, 1)
	s := j.reduce(t)
	want := []struct{ name string }{{"RMS_HIGH"}, {"NO_DATA"}, {"LOW_STATS"}}
	for i, p := range s.Groups[0].Panels {
		if i > 0 && (p.Bad != rows*cols || p.Bits[want[i].name] != rows*cols) {
			t.Errorf("panel %d: %d bad pixels, bits %v, wanted all %s", i, p.Bad, p.Bits, want[i].name)
		}
	}
	if p := s.Groups[0].Panels[0]; p.Bad == 0 || p.Bad > 10 {
		t.Errorf("panel 0 has %d bad pixels", p.Bad)
	}
	if w := strings.Join(s.Warnings, "\n"); !strings.Contains(w, "segment 1 g0: no pixel could be judged, from 0 frames") ||
		!strings.Contains(w, "segment 2 g0: no pixel could be judged, from 2 frames") || strings.Contains(w, "segment 0") {
		t.Errorf("warnings %q", s.Warnings)
	}
	if len(s.Incomplete) != 2 {
		t.Errorf("summary does not carry what is missing: %v", s.Incomplete)
	}
	var sc repo.Sidecar
	b, err := os.ReadFile(strings.TrimSuffix(s.Groups[0].Panels[1].File, ".dat") + ".json")
	if err == nil {
		err = json.Unmarshal(b, &sc)
	}
	if err != nil || len(sc.Incomplete) != 2 {
		t.Errorf("sidecar does not carry what is missing: %v %v", sc.Incomplete, err)
	}
}

func TestPartialsAreVerified(t *testing.T) {
	x := rawRun(t, 2, []string{"g0"}, 70, whole)
	j := prepare(t, x, params("data"), 2)
	_, err := Run(context.Background(), j.work, j.plan, Options{Repo: j.repo})
	if fault.CodeOf(err) != fault.Incomplete || !strings.Contains(fault.HintOf(err), "--task 0-1") {
		t.Fatalf("without partials: %v (%s)", err, fault.HintOf(err))
	}
	j.tasks(t, 1)
	want := j.results(t, j.reduce(t))
	path := plan.TaskFile(j.work, 1)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := prepare(t, x, params("data"), 1)
	other.tasks(t, 1)
	foreign, err := os.ReadFile(plan.TaskFile(other.work, 0))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(b)
	flipped[len(b)/3] ^= 4
	for name, damage := range map[string][]byte{"cut": b[:len(b)/2], "flipped": flipped, "foreign": foreign, "empty": nil} {
		if err := os.WriteFile(path, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), j.work, j.plan, Options{Repo: j.repo})
		if fault.CodeOf(err) != fault.Incomplete || !strings.Contains(fault.HintOf(err), "--task 1") {
			t.Errorf("%s partial: %v (%s)", name, err, fault.HintOf(err))
		}
		j.tasks(t, 1)
		for file, content := range j.results(t, j.reduce(t)) {
			if !bytes.Equal(content, want[file]) {
				t.Errorf("after repair of a %s partial %s differs", name, file)
			}
		}
	}
}

func TestPlantedPixelsAreFound(t *testing.T) {
	for _, profile := range []string{"data", "dark"} {
		j := prepare(t, rawRun(t, 1, []string{"g1"}, 100, whole), params(profile), 0)
		j.tasks(t, 2)
		s := j.reduce(t)
		read, err := j.repo.ReadStatus(s.Groups[0].Panels[0].File, []int{rows, cols})
		if err != nil {
			t.Fatal(err)
		}
		for px, bit := range map[int]uint64{11: status.RmsLow, 200: status.IntHigh, 300: status.IntLow, 444: status.RmsHigh} {
			if read.Dense()[px]&bit == 0 {
				t.Errorf("profile %s: pixel %d has status %d, wanted bit %d", profile, px, read.Dense()[px], bit)
			}
		}
		if !strings.Contains(s.Groups[0].Panels[0].File, "tstx00117_r0012_status_"+profile+"_g1.dat") {
			t.Errorf("file name %s", s.Groups[0].Panels[0].File)
		}
	}
}

func TestChangedRawFileIsRefused(t *testing.T) {
	x := rawRun(t, 1, []string{"g0"}, 10, whole)
	j := prepare(t, x, params("data"), 0)
	if err := os.Truncate(x.Files[0].Path, x.Files[0].Size-1); err != nil {
		t.Fatal(err)
	}
	_, err := runTask(j, 0, task.Options{})
	if fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("changed file: %v", err)
	}
	if task.Check(j.work, j.plan, 0) == nil {
		t.Error("a failed task left a partial")
	}
}

func TestDarkNeedsOneStepPerGainMode(t *testing.T) {
	x := rawRun(t, 1, []string{"g0", "g0"}, 5, whole)
	_, err := plan.Build(x, plan.IndexSums{}, params("dark"), plan.Options{})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "--step") {
		t.Errorf("two steps of one gain mode: %v", err)
	}
	par := params("dark")
	par.Steps = []int{1}
	if _, err := plan.Build(x, plan.IndexSums{}, par, plan.Options{}); err != nil {
		t.Error(err)
	}
}

// runTask does one task as a process of its own would.
func runTask(j job, n int, opt task.Options) (task.Result, error) {
	r := task.NewRunner(j.work, j.plan, opt)
	defer r.Close()
	return r.Run(context.Background(), n)
}
