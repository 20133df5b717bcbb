package report

import (
	"cmp"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/stats/status"
	"rawstatus/internal/testenv/browser"
)

// open shows a page and waits for its script.
func (m *made) open(t *testing.T, b *browser.Browser, fragment string) *browser.Tab {
	t.Helper()
	tab := b.Open(1400, 900)
	tab.Load(m.url(t) + fragment)
	tab.Until("window.report && (report.ready || report.error)")
	t.Cleanup(func() {
		if f := tab.Faults(); len(f) > 0 {
			t.Errorf("the page did what it must not: %q", f)
		}
	})
	return tab
}

// unitAt returns a unit by gain and panel.
func (m *made) unitAt(g, p int) *Unit {
	for i := range m.units[g] {
		if m.units[g][i].Panel == p {
			return &m.units[g][i]
		}
	}
	return nil
}

// layers of the viewer.
type look struct {
	layer      string
	back, base int // quantity behind, baseline
}

// word returns what a layer shows of a pixel.
func (l look) word(u *Unit, i int) uint64 {
	now, was := u.Status[i], u.Baselines[l.base][i]
	switch {
	case l.layer == "status", l.layer == "new" && was == 0:
		return now
	case l.layer == "base", l.layer == "gone" && now == 0:
		return was
	}
	return 0
}

// shades returns the map behind the status of a unit: its range, and a byte for every 4 x 4 pixels.
func (m *made) shades(u *Unit, back int) (plot, []byte) {
	values := judgedValues(u.Quantities[back], u.Status)
	p, _ := encodePlot(values, m.b.page.Panels[u.Panel])
	return p, p.bytes(medians(values, m.b.page.Panels[u.Panel], 4))
}

// colours returns what the viewer must show at 1:1, three bytes a pixel.
func (m *made) colours(u *Unit, l look) []byte {
	rows, cols := m.rows, m.cols
	_, shades := m.shades(u, l.back)
	table := Colormap()
	out := make([]byte, 0, 3*rows*cols)
	for i := range u.Status {
		r, c := i/cols, i%cols
		switch class := m.b.classOf(l.word(u, i)); {
		case class == Unjudged:
			v := byte(0)
			if (r+c)%2 == 1 {
				v = 255
			}
			out = append(out, v, v, v)
		case class != Good:
			out = append(out, classes[class].rgb[:]...)
		default:
			q := shades[r/4*((cols+3)/4)+c/4]
			for k := range 3 {
				v := 255
				if q != 255 {
					v = int(table[3*int(q)+k])
				}
				out = append(out, byte((v+2*255)/3))
			}
		}
	}
	return out
}

// screen returns the viewer's pixels of the panel at 1:1.
func (m *made) screen(tab *browser.Tab) []byte {
	var data string
	tab.Eval(fmt.Sprintf(`(() => { const [x, y] = report.origin, d = document.getElementById('map').getContext('2d').getImageData(x, y, %d, %d).data;
		let s = ''; for (let i = 0; i < d.length; i += 4) s += String.fromCharCode(d[i], d[i+1], d[i+2]); return btoa(s); })()`, m.cols, m.rows), &data)
	b, _ := base64.StdEncoding.DecodeString(data)
	return b
}

// TestEveryPixelHasItsColour compares the viewer at 1:1 with what each pixel should look like.
func TestEveryPixelHasItsColour(t *testing.T) {
	m := newPage(t, small, nil)
	tab := m.open(t, browser.Start(t), "")
	looks := []look{{"status", 1, 0}, {"status", 0, 0}, {"new", 1, 0}, {"new", 1, 1}, {"gone", 1, 0}, {"gone", 0, 1}, {"base", 1, 0}, {"base", 0, 1}}
	for g := range m.gains {
		for p := range m.panels {
			for _, l := range looks {
				tab.Eval(fmt.Sprintf("report.show({p: %d, g: %d, r: -1, x: 30.5, y: 48.5, z: 1, layer: %q, back: %d, k: %d}).then(() => 1)", p, g, l.layer, l.back, l.base), nil)
				got, want := m.screen(tab), m.colours(m.unitAt(g, p), l)
				if len(got) != len(want) {
					t.Fatalf("%d bytes on the screen, wanted %d", len(got), len(want))
				}
				for i := range want {
					if got[i] != want[i] {
						px := i / 3
						t.Fatalf("gain %d panel %d %+v row %d column %d: %v, wanted %v (status %d)", g, p, l, px/m.cols, px%m.cols,
							got[3*px:3*px+3], want[3*px:3*px+3], m.unitAt(g, p).Status[px])
					}
				}
			}
		}
	}
}

// TestEveryArrayIsDecoded compares the words, the words of each baseline and the maps that the browser decodes with
// what the page was made of.
func TestEveryArrayIsDecoded(t *testing.T) {
	m := newPage(t, small, nil)
	tab := m.open(t, browser.Start(t), "")
	for g := range m.gains {
		for p := range m.panels {
			var got struct {
				Words [][]string
				Maps  [][]int
				Range [][2]float64
			}
			tab.Eval(fmt.Sprintf(`report.load(%d).then(d => ({Words: [Array.from(d.status, i => String(d.words[i])), ...d.base.map((b, k) => Array.from(b, i => String(d.baseWords[k][i])))],
				Maps: d.maps.map(m => [...m.data]), Range: d.maps.map(m => [m.lo, m.hi])}))`, g*m.panels+p), &got)
			u := m.unitAt(g, p)
			for k, words := range append([][]uint64{u.Status}, u.Baselines...) {
				for i, w := range words {
					if got.Words[k][i] != strconv.FormatUint(w, 10) {
						t.Fatalf("gain %d panel %d array %d pixel %d: word %s, wanted %d", g, p, k, i, got.Words[k][i], w)
					}
				}
			}
			for q := range got.Maps {
				scale, want := m.shades(u, q)
				if got.Range[q] != [2]float64{scale.lo, scale.hi} || len(got.Maps[q]) != len(want) {
					t.Fatalf("gain %d panel %d map %d: %v, %d values; wanted %v to %v, %d values", g, p, q, got.Range[q], len(got.Maps[q]), scale.lo, scale.hi, len(want))
				}
				for i, v := range want {
					if got.Maps[q][i] != int(v) {
						t.Fatalf("gain %d panel %d map %d block %d: %d, wanted %d", g, p, q, i, got.Maps[q][i], v)
					}
				}
			}
		}
	}
}

// shownNumber returns a value as the page writes it.
func shownNumber(v float64, unit string) string {
	switch {
	case v != v:
		return "–"
	case unit == "frames":
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) < 100:
		return strings.Replace(strconv.FormatFloat(v, 'f', 2, 64), "-", "−", 1)
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', 1, 64), "-", "−", 1)
}

// reasons returns what the inspector must show of a pixel in one gain mode, from top to bottom.
func (m *made) reasons(u *Unit, i int) (out []string) {
	names := func(w uint64) string {
		if w == 0 {
			return "good"
		}
		return strings.ReplaceAll(status.Names(status.Dark, w), "|", " + ")
	}
	out = append(out, names(u.Status[i]))
	for _, b := range u.Baselines {
		out = append(out, names(b[i]))
	}
	listed := u.Status[i] != 0 || u.Baselines[0][i] != 0
	for q, x := range u.Quantities {
		v, mark := float64(float32(x.Value(i))), ""
		if !listed {
			v = math.NaN()
			if x.Map {
				scale, shades := m.shades(u, q)
				if b := shades[i/m.cols/4*((m.cols+3)/4)+i%m.cols/4]; b != 255 {
					v, mark = scale.lo+(scale.hi-scale.lo)*float64(b)/254, "≈\u202f"
				}
			}
		}
		out = append(out, mark+shownNumber(v, x.Unit))
		for _, l := range x.Limits {
			text := shownNumber(l.Criterion.Limit, x.Unit)
			far := (l.Criterion.Limit - v) / l.Spread
			if l.High {
				far = -far
			}
			if far == far {
				sign := "−"
				if far >= 0 {
					sign = "+"
				}
				text += mark + sign + strconv.FormatFloat(math.Abs(far), 'f', 1, 64) + "σ"
			}
			out = append(out, text)
		}
	}
	return append(out, spaced(u.Frames))
}

// checkInspector compares everything that the inspector says of a pixel, in all gain modes.
func (m *made) checkInspector(t *testing.T, tab *browser.Tab, p, i int, how string) {
	t.Helper()
	title := fmt.Sprintf("%s, row %d, column %d", m.b.page.Panels[p].Name, i/m.cols, i%m.cols)
	tab.Until(fmt.Sprintf(`(document.querySelector('#inspector h3') || {textContent: ''}).textContent === %q`, title))
	var got [][]string
	tab.Eval(`[...document.querySelectorAll('#inspector tbody tr')].map(r => [...r.cells].map(c => c.textContent))`, &got)
	for g := range m.units {
		u := m.unitAt(g, p)
		want := m.reasons(u, i)
		if len(got) != len(want) {
			t.Fatalf("%s: %d rows, wanted %d: %q", how, len(got), len(want), got)
		}
		for k := range want {
			if got[k][1+g] != want[k] {
				t.Errorf("%s, gain %d, %s: %q, wanted %q", how, g, strings.TrimSpace(got[k][0]), got[k][1+g], want[k])
			}
		}
	}
}

// TestInspectorShowsPlantedPixels clicks, wheels, types and follows addresses to planted pixels.
func TestInspectorShowsPlantedPixels(t *testing.T) {
	m := newPage(t, small, nil)
	b := browser.Start(t)
	tab := m.open(t, b, "")
	var bad []int
	for i, w := range m.unitAt(0, 2).Status {
		if w != 0 && i/m.cols > 20 && i/m.cols < 70 && i%m.cols > 20 && i%m.cols < 45 {
			bad = append(bad, i)
		}
	}
	tab.Eval("document.getElementById('frame').scrollIntoView({block: 'center', behavior: 'instant'})", nil)
	at := func(row, col int) (x, y float64) {
		var v []float64
		tab.Eval(fmt.Sprintf(`(() => { const f = document.getElementById('frame'), b = f.getBoundingClientRect(), [x, y] = report.origin, z = report.state.z;
			return [b.left + f.clientLeft + x + (%d + .5) * z, b.top + f.clientTop + y + (%d + .5) * z]; })()`, col, row), &v)
		return v[0], v[1]
	}
	for k, z := range []float64{1, 8, 32} {
		i := bad[k*7]
		tab.Eval(fmt.Sprintf("report.show({p: 2, g: 0, r: -1, x: %d, y: %d, z: %v}).then(() => 1)", i%m.cols, i/m.cols, z), nil)
		tab.Click(at(i/m.cols, i%m.cols))
		m.checkInspector(t, tab, 2, i, fmt.Sprintf("click at zoom %v", z))
	}
	tab.Eval(`document.getElementById('frame').focus({preventScroll: true})`, nil)
	i := bad[14]
	next := i + 1
	for m.unitAt(0, 2).Status[next] == 0 {
		next++
	}
	tab.Key("n")
	m.checkInspector(t, tab, 2, next, "key n")
	tab.Key("p")
	m.checkInspector(t, tab, 2, i, "key p")
	tab.Key("ArrowRight")
	m.checkInspector(t, tab, 2, i+1, "arrow")
	tab.Key("g")
	tab.Until("report.state.g === 1")
	tab.Key("g")
	tab.Until("report.state.g === 0")
	tab.Key("]")
	tab.Until("report.state.p === 3")
	tab.Key("[")
	tab.Until("report.state.p === 2")
	tab.Key("b")
	tab.Until("report.state.bit !== ''")
	tab.Key("-")
	tab.Until("report.state.z === 16")
	x, y := at(40, 30)
	tab.Wheel(x, y, -100)
	tab.Until("report.state.z === 32")
	if nx, ny := at(40, 30); math.Abs(nx-x) > 20 || math.Abs(ny-y) > 20 {
		t.Errorf("the wheel moves the pixel under the pointer from %v %v to %v %v", x, y, nx, ny)
	}
	tab.Eval(fmt.Sprintf(`(() => { const e = document.getElementById('goto'); e.value = '2,%d,%d'; e.dispatchEvent(new Event('change')); })()`, bad[3]/m.cols, bad[3]%m.cols), nil)
	m.checkInspector(t, tab, 2, bad[3], "typed place")
	good := bad[3]
	for m.unitAt(0, 2).Status[good] != 0 || m.unitAt(0, 2).Baselines[0][good] != 0 {
		good++
	}
	tab.Eval(fmt.Sprintf("report.show({r: %d, c: %d}).then(() => 1)", good/m.cols, good%m.cols), nil)
	m.checkInspector(t, tab, 2, good, "good pixel")
	tab.Eval(fmt.Sprintf("report.show({r: %d, c: %d}).then(() => 1)", bad[3]/m.cols, bad[3]%m.cols), nil)
	var address string
	tab.Eval("location.hash", &address)
	again := m.open(t, b, address)
	m.checkInspector(t, again, 2, bad[3], "address "+address)
}

// TestTableAndLists sorts, filters, downloads, and compares the lists with the difference of the words.
func TestTableAndLists(t *testing.T) {
	s := small
	s.bad = 0.01
	m := newPage(t, s, nil)
	copy(m.units[1][3].Baselines[0], m.units[1][3].Status) // one unit without change
	m = newPageOf(t, m)
	tab := m.open(t, browser.Start(t), "")
	var columns []int
	tab.Eval(`[...document.querySelectorAll('#counts thead th')].flatMap((h, k) => h.querySelector('button') && document.querySelector('#counts tbody tr').cells[k].dataset.v !== undefined ? [k] : [])`, &columns)
	if len(columns) < 5 {
		t.Errorf("columns of numbers that can be sorted: %v", columns)
	}
	for _, k := range columns {
		for _, order := range []int{-1, 1} { // a second click turns the order around
			var sorted []float64
			tab.Eval(fmt.Sprintf(`(() => { document.querySelectorAll('#counts thead th')[%d].querySelector('button').click();
				return [...document.querySelectorAll('#counts tbody tr')].map(r => r.cells[%[1]d] && r.cells[%[1]d].dataset.v !== undefined ? +r.cells[%[1]d].dataset.v : -1); })()`, k), &sorted)
			if len(sorted) != 10 || !slices.IsSortedFunc(sorted, func(a, b float64) int { return order * cmp.Compare(a, b) }) {
				t.Errorf("sorted by column %d: %v", k, sorted)
			}
		}
	}
	var shown int
	tab.Eval(`(() => { document.getElementById('only-changed').click(); return [...document.querySelectorAll('#counts tbody tr')].filter(r => !r.hidden).length; })()`, &shown)
	if shown != 9 {
		t.Errorf("%d rows have changed, wanted 9", shown)
	}
	var href string
	tab.Eval(`document.getElementById('csv').href`, &href)
	text, err := url.PathUnescape(strings.TrimPrefix(href, "data:text/csv;charset=utf-8,"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) != 11 {
		t.Fatalf("CSV of %d lines, %v: %s", len(lines), err, text)
	}
	newly, gone, bad := 0, 0, 0
	for g, units := range m.units {
		for _, u := range units {
			d, err := status.Compare(u.Baselines[0], u.Status)
			if err != nil {
				t.Fatal(err)
			}
			newly, gone, bad = newly+d.NewlyBad, gone+d.NewlyGood, bad+status.Count(u.Status).Bad
			line := lines[1+g*m.panels+u.Panel]
			if line[3] != strconv.Itoa(status.Count(u.Status).Bad) || line[5] != strconv.Itoa(d.NewlyBad) || line[6] != strconv.Itoa(d.NewlyGood) {
				t.Errorf("CSV of gain %d panel %d: %q", g, u.Panel, line)
			}
		}
	}
	for i, n := range []int{newly, gone, bad} {
		var got []string
		tab.Eval(fmt.Sprintf(`(async () => { report.listed = -1; document.querySelectorAll('#list-kind button')[%d].click(); while (report.listed < 0) await new Promise(r => setTimeout(r, 10));
			return [...document.querySelectorAll('#list tbody tr')].map(r => [0, 1, 2, 3, 4, 5].map(k => r.cells[k].textContent).join(' ')); })()`, i), &got)
		want := m.listed(i)
		slices.Sort(got)
		if len(want) != n || !slices.Equal(got, want) {
			t.Errorf("list %d has %d pixels, wanted %d (by difference %d); first %q, wanted %q", i, len(got), len(want), n, got[:min(3, len(got))], want[:min(3, len(want))])
		}
	}
}

// listed returns the lines of a list, sorted: newly bad, newly good, or all bad pixels.
func (m *made) listed(kind int) (out []string) {
	for g, units := range m.units {
		for _, u := range units {
			for i, w := range u.Status {
				was := u.Baselines[0][i]
				if [3]bool{w != 0 && was == 0, w == 0 && was != 0, w != 0}[kind] {
					r := m.reasons(&u, i)
					out = append(out, fmt.Sprintf("%s %s %d %d %s %s", m.b.page.Panels[u.Panel].Name, m.gains[g], i/m.cols, i%m.cols, r[0], r[1]))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// newPageOf makes the page of changed units again.
func newPageOf(t *testing.T, m *made) *made {
	t.Helper()
	out := &made{shape: m.shape, b: New(m.b.page), units: m.units}
	for g, units := range m.units {
		if err := out.b.AddGain(t.Context(), g, units); err != nil {
			t.Fatal(err)
		}
	}
	out.write(t)
	return out
}

// TestHostileNamesStayText puts texts that try to be code into every place that shows text.
func TestHostileNamesStayText(t *testing.T) {
	evil := []string{`</script><script>window.evil=1</script>`, `<img src=x onerror="window.evil=2">`, `"'><svg onload=window.evil=3>`, strings.Repeat("very long ", 30), "Gräßlich ☢ \u202e", `{{.}}`, "a\nb\x00c", `javascript:window.evil=4`}
	s := small
	s.gains = []string{evil[0], evil[2]}
	m := newPage(t, s, func(p *Page) {
		p.Title, p.Subtitle = evil[0], evil[1]
		for i, e := range evil {
			p.Facts = append(p.Facts, Fact{e, evil[(i+1)%len(evil)]})
			p.Findings[0].Text += e
			p.Findings[0].Advice += e
		}
		for i := range p.Panels {
			p.Panels[i].Name, p.Panels[i].ID = evil[i%len(evil)], evil[(i+3)%len(evil)]
		}
		p.Baselines = []string{evil[0], evil[1]}
		p.Bits[0].Name, p.Bits[0].Meaning, p.Bits[0].Rules = evil[2], evil[1], []string{evil[0], evil[4]}
		p.Sections = []Section{{Title: evil[0], Text: evil[1], Head: evil, Rows: [][]string{evil}}}
	})
	tab := m.open(t, browser.Start(t), "")
	tab.Eval(`report.show({p: 1, r: 10, c: 10}).then(() => 1)`, nil)
	var got struct {
		Evil    *int
		Title   string
		Scripts int
		Images  int
		Option  string
	}
	tab.Eval(`({Evil: window.evil === undefined ? null : window.evil, Title: document.querySelector('h1').textContent, Images: document.querySelectorAll('img').length,
		Scripts: document.querySelectorAll('script:not([type])').length, Option: document.getElementById('panel').options[0].textContent})`, &got)
	if got.Evil != nil || got.Title != evil[0] || got.Scripts != 1 || got.Images != 0 || got.Option != evil[0] {
		t.Errorf("%+v", got)
	}
}

// TestPageWithoutScriptTellsTheVerdict wants the verdict, facts, tables, charts and meanings when scripts are off.
func TestPageWithoutScriptTellsTheVerdict(t *testing.T) {
	m := newPage(t, small, nil)
	tab := browser.Start(t).Open(1200, 900)
	tab.Call("Emulation.setScriptExecutionDisabled", map[string]bool{"value": true}, nil)
	tab.Load(m.url(t))
	var seen map[string]bool
	tab.Eval(`Object.fromEntries(['verdict', 'facts', 'table', 'overview', 'viewer', 'histograms', 'lists', 'occupancy', 'meaning'].map(id => [id, document.getElementById(id).getClientRects().length > 0]))`, &seen)
	for id, v := range seen {
		if scripted := id == "overview" || id == "viewer" || id == "lists"; v == scripted {
			t.Errorf("block %s is visible without script: %v", id, v)
		}
	}
	if len(seen) != 9 {
		t.Errorf("blocks %v", seen)
	}
}

// TestShapesOfRuns opens pages of unusual runs: nothing bad, much, all, absent panels, many gains, no baseline.
func TestShapesOfRuns(t *testing.T) {
	b := browser.Start(t)
	seven := []string{"FH", "FM", "FL", "AHL-H", "AML-M", "AHL-L", "AML-L"}
	for name, s := range map[string]shape{
		"nothing bad": {panels: 2, rows: 40, cols: 50, gains: []string{""}, seed: 1},
		"a fifth bad": {panels: 2, rows: 40, cols: 50, gains: []string{""}, bad: 0.3, baselines: 1, seed: 2},
		"all bad":     {panels: 1, rows: 40, cols: 50, gains: []string{""}, bad: 20, seed: 3},
		"absent":      {panels: 2, rows: 40, cols: 50, gains: []string{"g0", "g1"}, bad: 0.01, absent: 2, baselines: 1, seed: 4},
		"seven gains": {panels: 1, rows: 35, cols: 38, gains: seven, bad: 0.02, seed: 5},
		"status only": {panels: 3, rows: 35, cols: 38, gains: []string{""}, bad: 0.02, baselines: 1, plain: true, seed: 6},
		"tiny":        {panels: 1, rows: 1, cols: 1, gains: []string{""}, bad: 1, seed: 7},
		"large":       {panels: 1, rows: 1300, cols: 1340, gains: []string{""}, bad: 0.001, seed: 8},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int64{0, 1} { // in full, and the least there is
				m := newPage(t, s, func(p *Page) { p.MaxSize = size })
				tab := m.open(t, b, "")
				for u := range m.b.units {
					tab.Eval(fmt.Sprintf("report.show({p: %d, g: %d, r: 0, c: 0, jump: 1}).then(() => 1)", u%m.panels, u/m.panels), nil)
					m.checkShown(t, tab, u, size != 0)
				}
				var failed string
				if tab.Eval("report.error || ''", &failed); failed != "" {
					t.Error(failed)
				}
			}
		})
	}
	t.Run("baseline of another shape", func(t *testing.T) {
		m := newPage(t, small, nil)
		for g := range m.units {
			for i := range m.units[g] {
				m.units[g][i].Baselines[0] = nil
			}
		}
		m = newPageOf(t, m)
		m.open(t, b, "#p=1&g=1&r=2&c=3")
	})
}

// checkShown compares the heading of the map and the words behind it with those of a unit. A page that is cut down shows all
// bits of 2 x 2 pixels where more than a fifth is bad.
func (m *made) checkShown(t *testing.T, tab *browser.Tab, unit int, least bool) {
	t.Helper()
	u := m.unitAt(unit/m.panels, unit%m.panels)
	var got struct {
		Where string
		Words []string
		Index []byte
	}
	tab.Eval(fmt.Sprintf(`report.load(%d).then(d => ({Where: document.getElementById('where').textContent, Words: d && d.words.map(String),
		Index: d && btoa(Array.from(d.status, i => String.fromCharCode(i)).join(''))}))`, unit), &got)
	if u == nil {
		if !strings.HasSuffix(got.Where, ": not measured") || got.Words != nil {
			t.Errorf("an absent panel: %q, %d words", got.Where, len(got.Words))
		}
		return
	}
	n := status.Count(u.Status).Bad
	if !strings.HasSuffix(got.Where, ": "+spaced(n)+" bad pixels") || len(got.Index) != len(u.Status) {
		t.Errorf("unit %d: %q, %d pixels; wanted %d bad of %d", unit, got.Where, len(got.Index), n, len(u.Status))
		return
	}
	for i, want := range u.Status {
		r, c := i/m.cols, i%m.cols
		if least && 5*n > len(u.Status) {
			for y := r &^ 1; y < min(r&^1+2, m.rows); y++ {
				for x := c &^ 1; x < min(c&^1+2, m.cols); x++ {
					want |= u.Status[y*m.cols+x]
				}
			}
		}
		if k := got.Index[i]; k == unknown && len(got.Words) >= unknown {
			continue // one of very many words
		} else if int(k) >= len(got.Words) || got.Words[k] != strconv.FormatUint(want, 10) {
			t.Errorf("unit %d row %d column %d: word %d of %q, wanted %d", unit, r, c, k, got.Words, want)
			return
		}
	}
}

// TestPageIsAccessible checks labels, the order of headings and contrasts, in both schemes.
func TestPageIsAccessible(t *testing.T) {
	m := newPage(t, small, nil)
	tab := m.open(t, browser.Start(t), "#p=1&g=0&r=5&c=5")
	for _, scheme := range []string{"light", "dark"} {
		tab.Media("prefers-color-scheme", scheme)
		var faults []string
		tab.Eval(accessibility, &faults)
		if len(faults) > 0 {
			t.Errorf("%s: %s", scheme, strings.Join(faults, "\n"))
		}
	}
}

// accessibility finds controls without names, headings out of order, tables without captions, pictures without
// alternative, and text of too little contrast.
const accessibility = `(() => {
	const out = [], seen = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';
	const text = e => (e.textContent || '').trim();
	for (const e of document.querySelectorAll('button, a[href], input, select')) if (seen(e) && !text(e) && !e.getAttribute('aria-label') && !(e.labels && e.labels.length)) out.push('no name: ' + e.outerHTML.slice(0, 90));
	let level = 0;
	for (const h of document.querySelectorAll('h1, h2, h3, h4')) { const n = +h.tagName[1]; if (n > level + 1) out.push('heading skips a level: ' + text(h)); level = n; }
	for (const t of document.querySelectorAll('main table')) if (!t.caption && !t.closest('#inspector')) out.push('table without caption');
	for (const c of document.querySelectorAll('th')) if (!c.scope) out.push('th without scope: ' + text(c));
	for (const s of document.querySelectorAll('svg')) if (!s.getAttribute('aria-label') && !s.getAttribute('aria-hidden')) out.push('picture without alternative');
	for (const s of document.querySelectorAll('section')) if (!s.getAttribute('aria-labelledby') && !s.getAttribute('aria-label')) out.push('section without name: ' + s.id);
	const rgb = c => (c.match(/[\d.]+/g) || []).map(Number), lum = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
	const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
	const done = new Set();
	for (const e of document.querySelectorAll('main *, header *')) {
		if (!seen(e) || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest('svg') || e.closest('.sr')) continue;
		const st = getComputedStyle(e), a = lum(rgb(st.color)), b = lum(behind(e)), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), key = st.color + behind(e);
		if (ratio < 4.5 && !done.has(key)) { done.add(key); out.push('contrast ' + ratio.toFixed(2) + ': ' + text(e).slice(0, 40)); }
	}
	return out;
})()`

// TestSizesOfScreens shows the page on a desk, on a phone, in the dark and on paper: nothing is wider than the screen.
func TestSizesOfScreens(t *testing.T) {
	m := newPage(t, small, nil)
	tab := m.open(t, browser.Start(t), "")
	for _, size := range [][2]int{{1200, 800}, {390, 844}} {
		tab.Size(size[0], size[1])
		for _, scheme := range []string{"light", "dark"} {
			tab.Media("prefers-color-scheme", scheme)
			var width int
			if tab.Eval("document.documentElement.scrollWidth", &width); width > size[0] {
				t.Errorf("the page is %d pixels wide on a screen of %d", width, size[0])
			}
			if png := tab.Screenshot(); len(png) < 5000 {
				t.Errorf("a picture of %d bytes", len(png))
			}
		}
	}
	for width, beside := range map[int]bool{1200: true, 390: false} {
		tab.Size(width, 800)
		var faults []string
		tab.Eval(fmt.Sprintf(`(%s)(%v)`, layout, beside), &faults)
		if len(faults) > 0 {
			t.Errorf("on a screen of %d: %s", width, strings.Join(faults, "; "))
		}
	}
	tab.Call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	var printed []string
	tab.Eval(`[...document.querySelectorAll('main > section[id]')].filter(s => s.getClientRects().length).map(s => s.id)`, &printed)
	if want := []string{"verdict", "facts", "table", "histograms", "occupancy"}; !slices.Equal(printed, want) {
		t.Errorf("on paper are %q, wanted %q", printed, want)
	}
	if pdf := tab.PDF(); !strings.HasPrefix(string(pdf), "%PDF") || len(pdf) < 20000 {
		t.Errorf("PDF of %d bytes", len(pdf))
	}
}

// layout reports blocks that lie over each other or out of their order, and an inspector that is not beside the map, or
// below it.
const layout = `beside => {
	const out = [], box = e => e.getBoundingClientRect();
	const ids = ['verdict', 'facts', 'table', 'overview', 'viewer', 'histograms', 'lists', 'occupancy', 'meaning'];
	ids.slice(1).forEach((id, k) => { const a = box(document.getElementById(ids[k])), b = box(document.getElementById(id)); if (!(a.height > 20 && b.top >= a.bottom)) out.push(id + ' is not below ' + ids[k]); });
	const f = box(document.getElementById('frame')), i = box(document.getElementById('inspector'));
	if (beside ? !(i.left >= f.right && i.top < f.bottom) : !(i.top >= f.bottom)) out.push('the inspector is at ' + [i.left, i.top] + ', the map ends at ' + [f.right, f.bottom]);
	if (f.width < 0.6 * innerWidth) out.push('the map is ' + f.width + ' wide');
	return out;
}`
