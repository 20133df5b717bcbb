package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/explain"
	"rawstatus/internal/fault"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv/browser"
)

// inspectorNames are quantities that the inspector calls otherwise than explain.
var inspectorNames = map[string]string{"INT_HIGH": "n_hi", "INT_LOW": "n_lo", "GAIN_STATE": "gain bits"}

// TestInspectorShowsExplain wants the inspector of the report to show of planted pixels what explain says: status, values, limits,
// distances and the lines of charge injection.
func TestInspectorShowsExplain(t *testing.T) {
	t.Setenv("RAWSTATUS_SITE", "")
	b := browser.Start(t)
	dark := simulate.Config{Dir: t.TempDir(), Experiment: "tstx00117", Panels: 2, Rows: 32, Cols: 48, Events: 40}
	var runs []*simulate.Truth
	for run, bad := range []int{2, 3, 1, 3, 3} { // of each kind, the same ones where there are as many
		cfg := dark
		cfg.Run, cfg.Dead, cfg.Hot, cfg.Noisy, cfg.Saturated, cfg.Cold = run+1, bad, bad, bad, bad, bad
		truth, err := simulate.Write(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, truth)
	}
	t.Run("data", func(t *testing.T) { compareInspector(t, b, runs, "data") })
	scan := chargeRun(t, simulate.Config{Type: "epixhr2x2", Rows: 24, Cols: 30, Space: 2, Ramp: 128, Seed: 7})
	t.Run("ci", func(t *testing.T) { compareInspector(t, b, []*simulate.Truth{scan}, "ci") })
}

func compareInspector(t *testing.T, b *browser.Browser, runs []*simulate.Truth, profile string) {
	truth := runs[len(runs)-1]
	dir, c := t.TempDir(), truth.Config
	repo, work := filepath.Join(dir, "repo"), filepath.Join(dir, "work")
	for _, r := range runs {
		must(t, fault.OK, "run", "--quiet", "--profile", profile, "-e", c.Experiment, "-r", strconv.Itoa(r.Config.Run), "--dir", c.Dir, "-o", repo, "--work", filepath.Join(dir, strconv.Itoa(r.Config.Run)))
	}
	must(t, fault.OK, "run", "--quiet", "--profile", profile, "-e", c.Experiment, "-r", strconv.Itoa(c.Run), "--dir", c.Dir, "-o", repo, "--work", work, "--report")
	tab := b.Open(1400, 900)
	tab.Load("file://" + filepath.Join(work, "report.html"))
	tab.Until("window.report && (report.ready || report.error)")
	seen, since := map[string]bool{}, map[string]bool{}
	for p, panel := range truth.Panels {
		for _, kind := range panel.Planted {
			row, col := kind.Pixels[0]/panel.Cols, kind.Pixels[0]%panel.Cols
			a := explained(t, "-o", repo, "--work", work, "-d", c.Type, strconv.Itoa(panel.Segment), strconv.Itoa(row), strconv.Itoa(col))
			var rows [][2]string
			tab.Eval(fmt.Sprintf(`report.show({p: %d, g: 0, r: %d, c: %d, z: 8, jump: 1}).then(() => [...document.querySelectorAll('#inspector tbody tr')].map(r => [r.cells[0].textContent.trim(), r.cells[1].textContent]))`, p, row, col), &rows)
			v := a.Verdicts[0]
			if want := strings.ReplaceAll(v.Names, "|", " + "); rows[0] != [2]string{"status", want} {
				t.Fatalf("%s row %d column %d: the inspector shows %q, explain %q", kind.Kind, row, col, rows[0], want)
			}
			for _, r := range v.Rules {
				if r.Value != nil {
					compareRule(t, rows, r)
					seen[r.Quantity] = true
				}
			}
			since[compareHistory(t, rows, &a.History[0])] = true
			var drawn []string
			tab.Eval(`[...document.querySelectorAll('#inspector figcaption')].map(e => e.textContent)`, &drawn)
			compareTraces(t, drawn, &v)
		}
	}
	if len(seen) < 2 || len(runs) > 1 && len(since) < 2 {
		t.Errorf("compared only %v, bad since %v", seen, since)
	}
	if f := tab.Faults(); len(f) > 0 {
		t.Errorf("the page did what it must not: %q", f)
	}
}

// shownNumber writes a number as the page does.
func shownNumber(v float64, unit string) string {
	digits := 1
	switch {
	case unit == "frames":
		return strings.ReplaceAll(fmt.Sprint(int(v)), "-", "\u2212")
	case math.Abs(v) < 100:
		digits = 2
	}
	return strings.ReplaceAll(strconv.FormatFloat(v, 'f', digits, 64), "-", "\u2212")
}

func compareRule(t *testing.T, rows [][2]string, r explain.Rule) {
	t.Helper()
	name := r.Quantity
	if other := inspectorNames[r.Name]; other != "" {
		name = other
	}
	at := slices.IndexFunc(rows, func(x [2]string) bool { return strings.TrimSuffix(x[0], " / ADU") == name })
	if at < 0 {
		t.Fatalf("the inspector does not show %q", name)
	}
	if want := shownNumber(float64(float32(*r.Value)), r.Unit); rows[at][1] != want {
		t.Errorf("%s: the inspector shows %q, explain %q", name, rows[at][1], want)
	}
	side := "lower limit"
	if r.High {
		side = "upper limit"
	}
	k := slices.IndexFunc(rows[at:], func(x [2]string) bool { return x[0] == side })
	want := shownNumber(*r.Limit, r.Unit)
	if k < 0 || !strings.HasPrefix(rows[at+k][1], want) {
		t.Errorf("%s: no %s %s in %q", name, side, want, rows[at:min(at+3, len(rows))])
		return
	}
	if r.Distance != nil && r.Low == nil {
		far := fmt.Sprintf("\u2212%.1f\u03c3", -*r.Distance)
		if *r.Distance >= 0 {
			far = fmt.Sprintf("+%.1f\u03c3", *r.Distance)
		}
		shown := strings.TrimPrefix(rows[at+k][1], want)
		a, _ := strconv.ParseFloat(strings.Trim(strings.ReplaceAll(shown, "\u2212", "-"), "+\u03c3"), 64)
		if math.Abs(a-*r.Distance) > 0.051+1e-4*math.Abs(*r.Distance) { // the page has float32 values
			t.Errorf("%s: distance %q, wanted %q", name, shown, far)
		}
	}
}

// compareHistory wants the history of the pixel and returns since when it is bad.
func compareHistory(t *testing.T, rows [][2]string, h *explain.History) string {
	t.Helper()
	since := "\u2013"
	if h.Since != nil {
		since = fmt.Sprintf("run %d", h.Since.Run)
	}
	for _, want := range [][2]string{{"bad since", since}, {"runs bad", strconv.Itoa(h.Bad)}, {"runs judged", strconv.Itoa(h.Bad + h.Good)}} {
		if !slices.Contains(rows, want) {
			t.Errorf("the inspector lacks %q: %q", want, rows)
		}
	}
	return since
}

func compareTraces(t *testing.T, drawn []string, v *explain.Verdict) {
	t.Helper()
	if len(drawn) != len(v.Traces) {
		t.Fatalf("%d traces are drawn, explain has %d", len(drawn), len(v.Traces))
	}
	for i, x := range v.Traces {
		want := x.Mode + ": no line"
		if l := x.Lines; l[0].Fitted {
			f := func(v float64) float64 { return float64(float32(v)) }
			want = fmt.Sprintf("%s: %s + %.3f x", x.Mode, shownNumber(f(l[0].Offset), ""), f(l[0].Gain))
			if x.Switch != nil {
				want += fmt.Sprintf(" to %s, then %s + %.3f x", shownNumber(f(*x.Switch), ""), shownNumber(f(l[1].Offset), ""), f(l[1].Gain))
			} else {
				want += ", does not switch"
			}
		}
		if drawn[i] != want {
			t.Errorf("trace %q, wanted %q", drawn[i], want)
		}
	}
}
