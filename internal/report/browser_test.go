package report

import (
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

// colours returns what the viewer must show at 1:1 for a layer ("status" or "new"), three bytes a pixel.
func (m *made) colours(g, p int, layer string) []byte {
	u := m.unitAt(g, p)
	rows, cols := m.rows, m.cols
	values := judgedValues(u.Quantities[1], u.Status)
	plot, _ := encodePlot(values, m.b.page.Panels[p])
	shades := plot.bytes(medians(values, m.b.page.Panels[p], 4))
	table := Colormap()
	out := make([]byte, 0, 3*rows*cols)
	for i, w := range u.Status {
		r, c := i/cols, i%cols
		if layer == "new" && (w == 0 || u.Baselines[0][i] != 0) {
			w = 0
		}
		switch class := m.b.classOf(w); {
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

// TestEveryPixelHasItsColour compares the viewer at 1:1 with what each pixel should look like, and every decoded
// map with the words it was made of.
func TestEveryPixelHasItsColour(t *testing.T) {
	m := newPage(t, small, nil)
	tab := m.open(t, browser.Start(t), "")
	for g := range m.gains {
		for p := range m.panels {
			for _, layer := range []string{"status", "new"} {
				tab.Eval(fmt.Sprintf("report.show({p: %d, g: %d, r: -1, x: 30.5, y: 48.5, z: 1, layer: %q, back: 1}).then(() => 1)", p, g, layer), nil)
				got, want := m.screen(tab), m.colours(g, p, layer)
				if len(got) != len(want) {
					t.Fatalf("%d bytes on the screen, wanted %d", len(got), len(want))
				}
				for i := range want {
					if got[i] != want[i] {
						px := i / 3
						t.Fatalf("gain %d panel %d layer %s row %d column %d: %v, wanted %v (status %d)", g, p, layer, px/m.cols, px%m.cols,
							got[3*px:3*px+3], want[3*px:3*px+3], m.unitAt(g, p).Status[px])
					}
				}
			}
			var words []string
			tab.Eval(fmt.Sprintf("report.load(%d).then(d => Array.from(d.status, i => String(d.words[i])))", g*m.panels+p), &words)
			for i, w := range m.unitAt(g, p).Status {
				if words[i] != strconv.FormatUint(w, 10) {
					t.Fatalf("gain %d panel %d pixel %d: word %s, wanted %d", g, p, i, words[i], w)
				}
			}
		}
	}
}

// inspector returns the rows of the inspector's table, name to cell of the first gain mode.
func inspector(tab *browser.Tab) map[string]string {
	var out map[string]string
	tab.Eval(`Object.fromEntries([...document.querySelectorAll('#inspector tbody tr')].map(r => [r.cells[0].textContent.trim(), r.cells[1].textContent]))`, &out)
	tab.Eval(`({title: document.querySelector('#inspector h3').textContent})`, &out)
	return out
}

func (m *made) checkInspector(t *testing.T, tab *browser.Tab, p, i int, how string) {
	t.Helper()
	row, col := i/m.cols, i%m.cols
	title := fmt.Sprintf("row %d, column %d", row, col)
	tab.Until(fmt.Sprintf(`(document.querySelector('#inspector h3') || {textContent: ''}).textContent.endsWith(%q)`, title))
	got, u := inspector(tab), m.unitAt(0, p)
	want := "good"
	if w := u.Status[i]; w != 0 {
		want = strings.ReplaceAll(status.Names(status.Dark, w), "|", " + ")
	}
	if got["status"] != want {
		t.Errorf("%s: status %q, wanted %q", how, got["status"], want)
	}
	if u.Status[i] == 0 {
		return
	}
	value := float64(float32(u.Quantities[1].Value(i)))
	digits := 2
	if math.Abs(value) >= 100 {
		digits = 1
	}
	if v := got["rms / ADU"]; v != strconv.FormatFloat(value, 'f', digits, 64) {
		t.Errorf("%s: rms %q, wanted %v exactly", how, v, value)
	}
}

// TestInspector clicks, wheels, types and follows addresses to planted pixels.
func TestInspector(t *testing.T) {
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
	var sorted []int
	tab.Eval(`(() => { [...document.querySelectorAll('#counts thead button')].find(b => b.textContent === 'bad').click();
		return [...document.querySelectorAll('#counts tbody tr')].map(r => +r.cells[3].dataset.v); })()`, &sorted)
	if len(sorted) != 10 || !slices.IsSortedFunc(sorted, func(a, b int) int { return b - a }) {
		t.Errorf("sorted by bad pixels: %v", sorted)
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
	for i, want := range []int{newly, gone, bad} {
		var n int
		tab.Eval(fmt.Sprintf(`(async () => { report.listed = -1; document.querySelectorAll('#list-kind button')[%d].click(); while (report.listed < 0) await new Promise(r => setTimeout(r, 10)); return report.listed; })()`, i), &n)
		if n != want {
			t.Errorf("list %d has %d pixels, wanted %d", i, n, want)
		}
	}
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

// TestHostileNames puts texts that try to be code into every place that shows text.
func TestHostileNames(t *testing.T) {
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

// TestWithoutScript wants the verdict, facts, tables, charts and meanings when scripts are off.
func TestWithoutScript(t *testing.T) {
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

// TestAccessible checks labels, the order of headings and contrasts, in both schemes.
func TestAccessible(t *testing.T) {
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
	if pdf := tab.PDF(); !strings.HasPrefix(string(pdf), "%PDF") || len(pdf) < 20000 {
		t.Errorf("PDF of %d bytes", len(pdf))
	}
}
