package reduce

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
)

// set returns rules with some changed.
func set(t testing.TB, r plan.Rules, pairs ...string) plan.Rules {
	t.Helper()
	for _, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		if err := r.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// again judges a job by other rules.
func (j job) again(t testing.TB, rules plan.Rules, opt Options) (*Summary, error) {
	t.Helper()
	q, err := j.plan.WithRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return Again(context.Background(), j.work, j.plan, q, opt)
}

// statuses reads the status files of a summary.
func (j job) statuses(t testing.TB, s *Summary) (out [][]uint64) {
	t.Helper()
	for _, g := range s.Groups {
		for _, p := range g.Panels {
			read, err := j.repo.ReadStatus(p.File, nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, read.Dense())
		}
	}
	if len(out) == 0 {
		t.Fatal("no status files")
	}
	return out
}

// TestAgainEqualsAFreshRun takes the raw files away and wants what a run with the other rules from the
// beginning leads to, from merged planes and from partials.
func TestAgainEqualsAFreshRun(t *testing.T) {
	features := func(f ...int) plan.Params {
		par := params(plan.ProfileFeatures)
		par.Features = f
		return par
	}
	gated := params("dark")
	gated.GainRule = "expected"
	lenient := func(par plan.Params) plan.Params {
		par.SNRMax = 1000
		return par
	}
	zeros := filepath.Join(t.TempDir(), "pedestals.npy")
	if err := npy.Write(zeros, []int{rows, cols}, make([]float64, rows*cols)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		par   plan.Params
		rules [][]string
	}{
		"data":          {params("data"), [][]string{{"rms_hi=16", "intnhi=3"}, {"limits=robust", "rmsnhi=4"}, {"limits-per=asic", "rms_hi=14"}, {"min_frames=70"}, {"neighbours=8", "line_fraction=0.02"}}},
		"dark":          {gated, [][]string{{"gain_rule=impossible", "rms_hi=12"}, {"gain_rule=off", "asic_fraction=0.001"}}},
		"features":      {lenient(features(1, 2, 3)), [][]string{{"snrmax=20"}, {"min_frames=70"}}},
		"flatness":      {lenient(features(1, 6)), [][]string{{"snrmax=20"}}},
		"without 1":     {features(2, 3, 6), [][]string{{"snrmax=3"}}},
		"maximum":       {features(2, 11), [][]string{{"pedestals=" + zeros}, {"pedestals=" + zeros, "snrmax=2"}}},
		"dark as lcls1": {compat(gated, "lcls1"), [][]string{{"rms_hi=12"}}},
	} {
		t.Run(name, func(t *testing.T) {
			panels := 2
			if name == "data" {
				panels = 8
			}
			x := rawRun(t, panels, []string{"g1"}, 66, whole)
			j := prepare(t, x, c.par, 3)
			j.tasks(t, 2)
			before := j.statuses(t, j.reduce(t))
			var fresh []job
			var want []*Summary
			for _, rules := range c.rules {
				par := c.par
				par.Rules = set(t, par.Rules, rules...)
				f := prepare(t, x, par, 2)
				f.tasks(t, 1)
				fresh, want = append(fresh, f), append(want, f.reduce(t))
			}
			if err := os.Remove(x.Files[0].Path); err != nil {
				t.Fatal(err)
			}
			for i, rules := range c.rules {
				r := set(t, c.par.Rules, rules...)
				shown, err := j.again(t, r, Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := j.again(t, r, Options{Repo: j.repo})
				if err != nil {
					t.Fatal(err)
				}
				after := j.statuses(t, got)
				if !reflect.DeepEqual(after, fresh[i].statuses(t, want[i])) {
					t.Errorf("%v: status is not that of a fresh run", rules)
				}
				if reflect.DeepEqual(after, before) {
					t.Errorf("%v changes nothing: it tests nothing", rules)
				}
				if !sameJSON(t, got.Groups[0].Limits, want[i].Groups[0].Limits) || !reflect.DeepEqual(got.Groups[0].Bits, want[i].Groups[0].Bits) {
					t.Errorf("%v: limits or table are not those of a fresh run", rules)
				}
				if !reflect.DeepEqual(got.Changes, shown.Changes) {
					t.Errorf("%v: what was shown and what was written differ", rules)
				}
				checkChanges(t, got.Changes, before, after)
				checkRecorded(t, j, got, r)
				before = after
			}
			if err := os.RemoveAll(filepath.Join(j.work, "merged")); err != nil {
				t.Fatal(err)
			}
			last := len(c.rules) - 1
			s, err := j.again(t, set(t, c.par.Rules, c.rules[last]...), Options{Repo: j.repo})
			if err != nil || !reflect.DeepEqual(j.statuses(t, s), before) {
				t.Errorf("from partials: %v, or another status", err)
			}
		})
	}
}

func compat(p plan.Params, c string) plan.Params {
	p.Compat, p.GateFrames = c, 70 // 4 zero records, of 6 that are tolerated
	return p
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}

// checkChanges counts the differences pixel by pixel.
func checkChanges(t *testing.T, got []Change, before, after [][]uint64) {
	t.Helper()
	for i, c := range got {
		bad, good, gained, lost := 0, 0, map[uint64]int{}, map[uint64]int{}
		for px, a := range after[i] {
			b := before[i][px]
			if a != 0 && b == 0 {
				bad++
			}
			if a == 0 && b != 0 {
				good++
			}
			for v := uint64(1); v < 1<<16; v <<= 1 {
				if a&v > b&v {
					gained[v]++
				}
				if a&v < b&v {
					lost[v]++
				}
			}
		}
		if c.Diff.NewlyBad != bad || c.Diff.NewlyGood != good || c.Diff.Pixels != rows*cols {
			t.Errorf("panel %d: %+v, counted %d newly bad, %d newly good", i, c.Diff, bad, good)
		}
		for _, b := range c.Diff.Bits {
			if b.Gained != gained[b.Value] || b.Lost != lost[b.Value] {
				t.Errorf("panel %d: %+v, counted %d gained, %d lost", i, b, gained[b.Value], lost[b.Value])
			}
			delete(gained, b.Value)
			delete(lost, b.Value)
		}
		if len(gained)+len(lost) > 0 {
			t.Errorf("panel %d: not reported: gained %v, lost %v", i, gained, lost)
		}
	}
}

// checkRecorded wants the rules in summary and sidecars.
func checkRecorded(t *testing.T, j job, s *Summary, r plan.Rules) {
	t.Helper()
	kept, err := LoadSummary(j.work)
	if err != nil || kept.Params.Rules != r || !slices.ContainsFunc(kept.Notes, func(n string) bool { return strings.Contains(n, "judged again") }) {
		t.Errorf("summary says %+v, notes %v, %v", kept.Params.Rules, kept.Notes, err)
	}
	sc, err := repo.ReadSidecar(s.Groups[0].Panels[0].File)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(sc.Parameters)
	var p plan.Params
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.Rules != r || len(kept.Notes) == 0 || !slices.Contains(sc.Notes, kept.Notes[0]) {
		t.Errorf("sidecar says %+v, notes %v, %v", p.Rules, sc.Notes, err)
	}
	if judged := s.Groups[0].Bad < s.Groups[0].Pixels; judged && (len(sc.Limits) == 0 || sc.Limits[0].Spread == 0) {
		t.Errorf("sidecar has limits %+v", sc.Limits)
	}
}

// TestOtherGoodFramesNeedRawData changes the outlier search of feature 1.
func TestOtherGoodFramesNeedRawData(t *testing.T) {
	par := params(plan.ProfileFeatures)
	par.Features = []int{1, 2}
	j := prepare(t, rawRun(t, 2, []string{"g0"}, 40, whole), par, 1)
	j.tasks(t, 1)
	j.reduce(t)
	_, err := j.again(t, set(t, par.Rules, "snrmax=0.5"), Options{Repo: j.repo})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "raw data must be read again") {
		t.Errorf("other good frames: %v", err)
	}
	points := j.scan(t, ScanOptions{Rule: "snrmax", From: number(0.5), To: number(8), Steps: 1})[0].Points
	if !points[0].NeedsRawData || points[1].NeedsRawData {
		t.Errorf("scan: %+v", points)
	}
}

func number(v float64) *float64 { return &v }

func (j job) scan(t testing.TB, opt ScanOptions) []Scanned {
	t.Helper()
	list, err := Scan(context.Background(), j.work, j.plan, j.plan, opt)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestScanAgreesWithAgain wants every point to be the result of judging by that rule.
func TestScanAgreesWithAgain(t *testing.T) {
	par := params("data")
	j := prepare(t, rawRun(t, 2, []string{"g0", "g1"}, 30, whole), par, 0)
	j.tasks(t, 1)
	sum := j.reduce(t)
	for _, c := range []struct {
		rule     string
		from, to float64
		rules    []string // with the threshold
	}{
		{"rms_max", 5, 25, []string{"rmsnhi=0", "rms_hi"}}, {"rms_min", 5, 25, []string{"rmsnlo=0", "rms_lo"}}, {"rmsnhi", 0.02, 1, []string{"rmsnhi"}},
		{"fraclm", 0, 1, []string{"fraclm"}}, {"min_frames", 29, 31, []string{"min_frames"}}, {"intnlo", 0.01, 0.2, []string{"intnlo"}},
	} {
		for g, s := range j.scan(t, ScanOptions{Rule: c.rule, From: &c.from, To: &c.to, Steps: 2}) {
			seen := map[string]bool{}
			for _, p := range s.Points {
				pairs := slices.Clone(c.rules)
				pairs[len(pairs)-1] += "=" + jsonNumber(t, p.Threshold)
				want, err := j.again(t, set(t, par.Rules, pairs...), Options{})
				if err != nil {
					t.Fatal(err)
				}
				w := want.Groups[g]
				seen[fmt.Sprint(p.Bits)] = true
				if p.Bad != w.Bad || p.Pixels != w.Pixels {
					t.Errorf("%s %v: %d of %d bad, wanted %d of %d", c.rule, p.Threshold, p.Bad, p.Pixels, w.Bad, w.Pixels)
				}
				for _, b := range w.Bits {
					if p.Bits[b.Name] != b.Count {
						t.Errorf("%s %v: %d pixels with %s, wanted %d", c.rule, p.Threshold, p.Bits[b.Name], b.Name, b.Count)
					}
				}
			}
			if len(seen) < 2 {
				t.Errorf("%s: always %v bad: the thresholds test nothing", c.rule, seen)
			}
		}
	}
	// The limits of averages cannot be set by a rule: count by the limit in force, where nothing changes.
	list := j.scan(t, ScanOptions{Rule: "ave_max", Steps: 2, From: number(2020), To: number(16000)})
	at := slices.IndexFunc(sum.Groups[0].Limits, func(l Limit) bool { return l.Name == "average" })
	if s := list[0]; s.InForce != sum.Groups[0].Limits[at].Hi || s.Points[0].Bad <= s.Points[2].Bad {
		t.Errorf("ave_max: %+v", s)
	}
	exact := float64(list[0].InForce)
	list = j.scan(t, ScanOptions{Rule: "ave_max", Steps: 1, From: &exact, To: number(16000)})
	if got := list[0].Points[0].Bad; got != sum.Groups[0].Bad {
		t.Errorf("ave_max in force: %d bad, wanted %d", got, sum.Groups[0].Bad)
	}
}

func jsonNumber(t *testing.T, v float64) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestScanRefusesWhatHasNoThreshold(t *testing.T) {
	j := prepare(t, rawRun(t, 1, []string{"g0"}, 10, whole), params("data"), 0)
	j.tasks(t, 1)
	for name, opt := range map[string]ScanOptions{
		"limits": {Rule: "limits", Steps: 2}, "int_hi": {Rule: "int_hi", Steps: 2}, "neighbours": {Rule: "neighbours", Steps: 2},
		"no steps": {Rule: "rms_max"}, "empty range": {Rule: "rms_max", From: number(3), To: number(3), Steps: 2},
		"nan": {Rule: "rms_max", From: number(math.NaN()), Steps: 2}, "infinite": {Rule: "rms_max", To: number(math.Inf(1)), Steps: 2},
		"invalid": {Rule: "fraclm", From: number(0), To: number(2), Steps: 2},
	} {
		if _, err := Scan(context.Background(), j.work, j.plan, j.plan, opt); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Scan(context.Background(), j.work, j.plan, j.plan, ScanOptions{Rule: "ci_nsigm", Steps: 2}); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "profile ci") {
		t.Errorf("a rule of charge injection: %v", err)
	}
}

// TestFullPanelsAreJudgedAgainWithoutRawData judges 8 panels of 512 x 1024 pixels again.
func TestFullPanelsAreJudgedAgainWithoutRawData(t *testing.T) {
	if testing.Short() {
		t.Skip("full panels")
	}
	const panels, frames, r, c = 8, 4, 512, 1024
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tstx00117", Number: 12, Begin: time.Unix(1.6e9, 0).UTC()},
		Steps: []frame.Step{{Events: frames, Gains: frame.GainsOf(slices.Repeat([]string{"g0"}, panels)...)}}}
	raw := make([]byte, panels*frames*r*c*2)
	for i := 0; i < len(raw); i += 2 {
		raw[i], raw[i+1] = byte(i>>3)^byte(i>>11), 4+byte(i>>21)
	}
	path := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	x.Files = []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime().UTC()}}
	for p := range panels {
		x.Panels = append(x.Panels, frame.Panel{Detector: "jungfrau", Type: "jungfrau", Segment: p, Rows: r, Cols: c})
	}
	for e := range frames {
		x.Events = append(x.Events, frame.Event{TS: uint64(e)})
		for p := range panels {
			x.Extents = append(x.Extents, frame.Extent{Offset: int64((e*panels + p) * r * c * 2), Length: r * c * 2})
		}
	}
	j := prepare(t, x, params("data"), 0)
	j.tasks(t, 2)
	j.reduce(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, err := j.again(t, set(t, j.plan.Params.Rules, "rms_hi=0.002"), Options{Repo: j.repo})
	if err != nil {
		t.Fatal(err)
	}
	if s.Groups[0].Pixels != panels*r*c || s.Changes[0].Diff.Same() {
		t.Errorf("%d pixels, changes %+v", s.Groups[0].Pixels, s.Changes[0])
	}
}

// TestUnknownGainModeTurnsTheGainRuleOff judges a run that does not tell its gain mode: nothing was
// counted against a mode, the summary and the sidecar say so.
func TestUnknownGainModeTurnsTheGainRuleOff(t *testing.T) {
	par := params("dark")
	par.GainRule = "expected"
	j := prepare(t, rawRun(t, 1, []string{""}, 30, whole), par, 0)
	j.tasks(t, 1)
	s := j.reduce(t)
	sc, err := repo.ReadSidecar(s.Groups[0].Panels[0].File)
	if err != nil {
		t.Fatal(err)
	}
	for _, notes := range [][]string{s.Groups[0].Notes, sc.Notes} {
		if len(notes) != 1 || !strings.Contains(notes[0], "gain rule \"expected\" is off") {
			t.Errorf("notes %v", notes)
		}
	}
	for _, b := range s.Groups[0].Bits {
		if b.Value == status.GainState {
			t.Errorf("table has %+v", b)
		}
	}
}
