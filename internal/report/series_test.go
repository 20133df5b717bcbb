package report

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"weak"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/browser"
)

// randomSeries makes runs of two panels in two gain modes; words[run][gain][panel] is nil where there is nothing.
func randomSeries(t *testing.T, seed uint64, runs int) (*SeriesBuilder, [][][][]uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	rows, cols := 12+r.IntN(20), 12+r.IntN(20)
	page := Series{Title: "tst </script> runs", Gains: []string{"g0", "g1"}, Bits: Dictionary(status.Dark)}
	for i := range 2 {
		page.Panels = append(page.Panels, PanelInfo{Name: fmt.Sprintf("segment %d", i), Rows: rows, Cols: cols, ASICRows: rows / 2, ASICCols: cols / 2})
	}
	words := make([][][][]uint64, runs)
	for run := range runs {
		page.Runs = append(page.Runs, SeriesRun{Run: 100 + 3*run})
		for range 2 {
			var gain [][]uint64
			for range 2 {
				w := make([]uint64, rows*cols)
				for range r.IntN(60) {
					w[r.IntN(min(80, len(w)))] = someWords[r.IntN(len(someWords))]
				}
				if run >= 2 { // a column of the first chip turns bad for good
					for y := range rows / 2 {
						w[y*cols+3] = status.RmsHigh
					}
				}
				if r.IntN(6) == 0 {
					w = nil
				}
				gain = append(gain, w)
			}
			words[run] = append(words[run], gain)
		}
	}
	b := NewSeries(page)
	for g := range 2 {
		for p := range 2 {
			if err := b.Add(t.Context(), g, p, func(run int) ([]uint64, error) { return words[run][g][p], nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b, words
}

// fate follows one pixel through its runs, plainly.
func fate(words [][][][]uint64, g, p, i int) (flips, times, since int) {
	var history []bool
	var at []int
	for run := range words {
		if w := words[run][g][p]; w != nil && w[i]&status.NotJudged == 0 {
			history, at = append(history, w[i] != 0), append(at, run)
		}
	}
	for k, bad := range history {
		if bad {
			times++
		}
		if k > 0 && bad != history[k-1] {
			flips++
		}
	}
	for k := len(history) - 1; k >= 0 && history[k]; k-- {
		since = at[k] + 1
	}
	return flips, times, since
}

// TestSeriesAgainstModel compares every pixel that the page decodes with the pixel's history, and the numbers of the
// page with those of the words.
func TestSeriesAgainstModel(t *testing.T) {
	b := browser.Start(t)
	for seed := range uint64(3) {
		s, words := randomSeries(t, seed, 2+int(seed)*4)
		var out bytes.Buffer
		if err := s.Write(&out); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "runs.html")
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		tab := b.Open(1200, 900)
		tab.Load("file://" + path)
		tab.Until("window.report && (report.ready || report.error)")
		for g := range 2 {
			for p := range 2 {
				var got struct{ Flips, Times, Since []int }
				tab.Eval(fmt.Sprintf(`report.load(%d).then(d => ({Flips: [...d.flips], Times: [...d.times], Since: [...d.since]}))`, g*2+p), &got)
				often := make([]int, len(words)+1)
				for i := range got.Flips {
					flips, times, since := fate(words, g, p, i)
					if got.Flips[i] != flips || got.Times[i] != times || got.Since[i] != since {
						t.Fatalf("seed %d gain %d panel %d pixel %d: changes %d, bad in %d, since %d; wanted %d, %d, %d (repeat: go test -run TestSeriesAgainstModel)",
							seed, g, p, i, got.Flips[i], got.Times[i], got.Since[i], flips, times, since)
					}
					for k := range times + 1 {
						often[k]++
					}
				}
				for k, n := range often {
					if s.units[g*2+p].often[k] != n {
						t.Errorf("seed %d: %d pixels are bad in %d runs, wanted %d", seed, s.units[g*2+p].often[k], k, n)
					}
				}
			}
		}
		tab.Eval(`report.show({layer: 'times', k: 2}).then(() => report.show({layer: 'since'})).then(() => 1)`, nil)
		if seed > 0 && !strings.Contains(out.String(), "column 3 (rows 0") {
			t.Errorf("seed %d: the column that turned bad is not told", seed)
		}
		if f := tab.Faults(); len(f) > 0 {
			t.Errorf("seed %d: %q", seed, f)
		}
	}
}

// TestSliderOfRuns moves the slider of "bad in at least k runs" with keys, from end to end and back, and counts the pixels that
// are coloured.
func TestSliderOfRuns(t *testing.T) {
	s, words := randomSeries(t, 4, 6)
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "runs.html")
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	tab := browser.Start(t).Open(1200, 900)
	tab.Load("file://" + path)
	tab.Until("window.report && (report.ready || report.error)")
	var hidden bool
	if tab.Eval("document.getElementById('k-l').hidden", &hidden); !hidden {
		t.Error("the slider is shown for another map")
	}
	tab.Eval("(() => { const e = document.getElementById('layer'); e.value = 'times'; e.dispatchEvent(new Event('change')); document.getElementById('k').focus(); })()", nil)
	p := s.page.Panels[0]
	check := func(k int) {
		t.Helper()
		want := make([]bool, p.Rows*p.Cols)
		n := 0
		for i := range want {
			if _, times, _ := fate(words, 0, 0, i); times >= k {
				want[i] = true
				n++
			}
		}
		tab.Until(fmt.Sprintf("report.state.k === %d", k))
		var text string
		if tab.Eval("document.getElementById('k-out').textContent", &text); text != fmt.Sprintf("%d of 6: %d pixels", k, n) {
			t.Errorf("the slider says %q, wanted %d of 6: %d pixels", text, k, n)
		}
		var got []bool
		tab.Eval(fmt.Sprintf(`(() => { const [x, y] = report.origin, z = report.state.z, g = document.getElementById('map').getContext('2d'), out = [];
			for (let r = 0; r < %d; r++) for (let c = 0; c < %d; c++) out.push(String(g.getImageData(x + c * z, y + r * z, 1, 1).data.slice(0, 3)) !== '241,242,243'); return out; })()`, p.Rows, p.Cols), &got)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("k = %d row %d column %d: coloured %v, wanted %v", k, i/p.Cols, i%p.Cols, got[i], want[i])
			}
		}
	}
	check(1)
	for k := 2; k <= 6; k++ {
		tab.Key("ArrowRight")
		check(k)
	}
	tab.Key("ArrowRight") // the end
	check(6)
	for k := 5; k >= 1; k-- {
		tab.Key("ArrowLeft")
		check(k)
	}
	if f := tab.Faults(); len(f) > 0 {
		t.Errorf("%q", f)
	}
}

// TestSeriesKeepsOnePanel wants the words of earlier runs to be free while those of the next are read.
func TestSeriesKeepsOnePanel(t *testing.T) {
	const side, runs = 64, 20
	page := Series{Gains: []string{""}, Panels: []PanelInfo{{Name: "segment 0", Rows: side, Cols: side}, {Name: "segment 1", Rows: side, Cols: side}}}
	for run := range runs {
		page.Runs = append(page.Runs, SeriesRun{Run: run})
	}
	b := NewSeries(page)
	var given []weak.Pointer[[side * side]uint64]
	for panel := range page.Panels {
		err := b.Add(t.Context(), 0, panel, func(run int) ([]uint64, error) {
			runtime.GC()
			kept := 0
			for _, w := range given {
				if w.Value() != nil {
					kept++
				}
			}
			if kept > 2 {
				t.Fatalf("panel %d run %d: the words of %d runs are kept", panel, run, kept)
			}
			words := new([side * side]uint64)
			words[run] = status.RmsHigh
			given = append(given, weak.Make(words))
			return words[:], nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(given) != 2*runs {
		t.Errorf("%d reads, wanted %d", len(given), 2*runs)
	}
}

// TestSeriesOfOtherShapes refuses a run whose panel has another size, and keeps the last runs of very many.
func TestSeriesOfOtherShapes(t *testing.T) {
	page := Series{Gains: []string{""}, Panels: []PanelInfo{{Name: "segment 0", Rows: 4, Cols: 4}}}
	for run := range 300 {
		page.Runs = append(page.Runs, SeriesRun{Run: run})
	}
	b := NewSeries(page)
	if n := len(b.Runs()); n != mostRuns || b.Runs()[n-1].Run != 299 {
		t.Errorf("%d runs", n)
	}
	if err := b.Add(t.Context(), 0, 0, func(int) ([]uint64, error) { return make([]uint64, 15), nil }); err == nil || !strings.Contains(err.Error(), "15 pixels in run 46, wanted 16") {
		t.Errorf("error %v", err)
	}
	if err := b.Add(t.Context(), 0, 0, func(int) ([]uint64, error) { return nil, nil }); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Error(err)
	}
}
