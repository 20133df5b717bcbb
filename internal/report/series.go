package report

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // of the page's parts
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"

	"rawstatus/internal/fault"
	"rawstatus/internal/stats/status"
)

//go:embed series.html
var seriesText string

//go:embed series.js
var seriesScript string

var seriesTemplate = template.Must(template.New("series").Funcs(template.FuncMap{"spaced": spaced, "percent": percentText}).Parse(seriesText))

// Series is the content of a page about many runs of a detector.
type Series struct {
	Title, Subtitle string
	Facts           []Fact
	Runs            []SeriesRun // in the order of runs
	Gains           []string
	Panels          []PanelInfo
	Bits            []Bit
}

// SeriesRun is one run of a series.
type SeriesRun struct {
	Run        int
	State      string // why there is nothing, empty: there is
	Incomplete bool
}

// SeriesBuilder puts a page about many runs together. It holds one panel's pixels at a time.
type SeriesBuilder struct {
	page  Series
	units []*seriesUnit // by gain*panels + panel
}

// seriesUnit is the history of the pixels of one panel in one gain mode.
type seriesUnit struct {
	there   []bool // by run
	bad     []int
	newly   []int
	gone    []int
	bit     []map[uint64]int
	flips   []byte // zlib: changes between good and bad
	times   []byte // zlib: runs in which the pixel was bad
	since   []byte // zlib: 1 + the run since which the pixel is bad without interruption, 0: good now
	often   []int  // pixels that are bad in at least k runs
	began   []int  // pixels by the run since which they are bad
	events  []event
	unquiet int // pixels that changed more than once
}

// event is an area that turned bad in one run.
type event struct {
	Run   int
	What  string
	Bad   int
	Unit  int
	Row   int
	Col   int
	Panel string
	Gain  string
}

// mostRuns is the largest number that one byte per pixel can count.
const mostRuns = 254

// NewSeries begins a page; runs beyond the last 254 are left out.
func NewSeries(page Series) *SeriesBuilder {
	page.Runs = page.Runs[max(0, len(page.Runs)-mostRuns):]
	return &SeriesBuilder{page: page, units: make([]*seriesUnit, len(page.Gains)*len(page.Panels))}
}

// Runs returns the runs that the page shows.
func (b *SeriesBuilder) Runs() []SeriesRun { return b.page.Runs }

// Add follows the pixels of one panel in one gain mode; read returns its status in the run of that index, nil
// where there is none.
func (b *SeriesBuilder) Add(ctx context.Context, gain, panel int, read func(run int) ([]uint64, error)) error {
	p := b.page.Panels[panel]
	n, runs := p.Rows*p.Cols, len(b.page.Runs)
	flips, times, since := make([]byte, n), make([]byte, n), make([]byte, n)
	u := &seriesUnit{there: make([]bool, runs), bad: make([]int, runs), newly: make([]int, runs), gone: make([]int, runs), bit: make([]map[uint64]int, runs)}
	seen := make([]bool, n) // judged in an earlier run
	for run := range runs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		words, err := read(run)
		if err != nil {
			return err
		}
		if words == nil {
			continue
		}
		if len(words) != n {
			return fmt.Errorf("report: %s has %s in run %d, wanted %d", p.Name, fault.Count(len(words), "pixel"), b.page.Runs[run].Run, n)
		}
		u.there[run] = true
		c := status.Count(words)
		u.bad[run], u.bit[run] = c.Bad, map[uint64]int{}
		for _, x := range b.page.Bits {
			u.bit[run][x.Value] = c.Of(x.Value)
		}
		for i, w := range words {
			was := since[i] != 0
			switch {
			case w&status.NotJudged != 0: // neither good nor bad
				continue
			case w != 0:
				times[i]++
				if !was {
					since[i] = byte(run + 1)
				}
			default:
				since[i] = 0
			}
			if seen[i] && was != (w != 0) {
				flips[i] += min(1, 255-flips[i])
				if was {
					u.gone[run]++
				} else {
					u.newly[run]++
				}
			}
			seen[i] = true
		}
	}
	u.often, u.began = make([]int, runs+1), make([]int, runs)
	for i, k := range times {
		u.often[k]++
		if s := since[i]; s > 0 {
			u.began[s-1]++
		}
		if flips[i] > 1 {
			u.unquiet++
		}
	}
	for k := runs - 1; k >= 0; k-- {
		u.often[k] += u.often[k+1]
	}
	u.events = b.eventsOf(since, u.began, gain, panel)
	var err error
	for _, x := range []struct {
		to   *[]byte
		data []byte
	}{{&u.flips, flips}, {&u.times, times}, {&u.since, since}} {
		if *x.to, err = deflate(x.data); err != nil {
			return err
		}
	}
	b.units[gain*len(b.page.Panels)+panel] = u
	return nil
}

// eventsOf finds chips, rows and columns of which most pixels are bad since the same run.
func (b *SeriesBuilder) eventsOf(since []byte, began []int, gain, panel int) (out []event) {
	p := b.page.Panels[panel]
	unit := gain*len(b.page.Panels) + panel
	// Fewer pixels are no more than half of a line of a chip.
	least := min(cmp.Or(p.ASICRows, p.Rows), cmp.Or(p.ASICCols, p.Cols))/2 + 1
	for run, n := range began {
		if n < least {
			continue
		}
		words := make([]uint64, len(since))
		for i, s := range since {
			if int(s) == run+1 {
				words[i] = 1
			}
		}
		o := status.Occupied(status.SparseOf(words), p.Rows, p.Cols, p.ASICRows, p.ASICCols)
		var whole []status.Area
		add := func(a status.Area, what string) {
			out = append(out, event{Run: b.page.Runs[run].Run, What: what, Bad: a.Bad, Unit: unit, Row: a.Row, Col: a.Col, Panel: p.Name, Gain: b.page.Gains[gain]})
		}
		for i, a := range o.Chips {
			if a.MostlyBad() {
				whole = append(whole, a)
				add(a, fmt.Sprintf("chip %d (rows %d\u2013%d, columns %d\u2013%d)", i, a.Row, a.Row+a.Rows-1, a.Col, a.Col+a.Cols-1))
			}
		}
		for _, a := range o.Lines {
			if slices.ContainsFunc(whole, func(w status.Area) bool {
				return a.Row >= w.Row && a.Row < w.Row+w.Rows && a.Col >= w.Col && a.Col < w.Col+w.Cols
			}) {
				continue
			}
			if a.Cols == 1 {
				add(a, fmt.Sprintf("column %d (rows %d\u2013%d)", a.Col, a.Row, a.Row+a.Rows-1))
			} else {
				add(a, fmt.Sprintf("row %d (columns %d\u2013%d)", a.Row, a.Col, a.Col+a.Cols-1))
			}
		}
	}
	return out
}

// seriesView holds the values that the template shows.
type seriesView struct {
	Series
	Style        template.CSS
	Script       template.JS
	ScriptHash   string
	Meta, Arrays template.HTML
	First, Last  int // bad pixels
	LastRun      int
	Done         int
	Unquiet      int
	Trends       []trendChart
	Head         []string
	Table        []seriesRow
	Events       []event
	Often        template.HTML
}

type trendChart struct {
	Title string
	SVG   template.HTML
	Names []legend
}

type seriesRow struct {
	Run        int
	State      string
	Incomplete bool
	Bad        int
	Newly      int
	Gone       int
	Panels     []string
}

// Write writes the page.
func (b *SeriesBuilder) Write(w io.Writer) error {
	var arrays bytes.Buffer
	type metaUnit struct {
		Often []int `json:"often"`
		Began []int `json:"began"`
	}
	meta := struct {
		Panels []metaPanel `json:"panels"`
		Gains  []string    `json:"gains"`
		Runs   []int       `json:"runs"`
		Units  []*metaUnit `json:"units"`
	}{Gains: b.page.Gains}
	for _, p := range b.page.Panels {
		meta.Panels = append(meta.Panels, p.forMeta())
	}
	for _, r := range b.page.Runs {
		meta.Runs = append(meta.Runs, r.Run)
	}
	for i, u := range b.units {
		if u == nil {
			meta.Units = append(meta.Units, nil)
			continue
		}
		meta.Units = append(meta.Units, &metaUnit{u.often, u.began})
		for _, x := range []struct {
			name string
			data []byte
		}{{"f", u.flips}, {"k", u.times}, {"a", u.since}} {
			fmt.Fprintf(&arrays, `<script type="application/octet-stream" id="%s%d">%s</script>`+"\n", x.name, i, base64.StdEncoding.EncodeToString(x.data))
		}
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(seriesScript))
	v := seriesView{Series: b.page, Style: template.CSS(pageStyle), Script: template.JS(seriesScript), ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		Meta: template.HTML(`<script type="application/json" id="meta">` + string(text) + "</script>\n"), Arrays: template.HTML(arrays.String())}
	b.fill(&v)
	if err := seriesTemplate.Execute(w, v); err != nil {
		return fmt.Errorf("report: could not make the page: %w", err)
	}
	return nil
}

func (b *SeriesBuilder) fill(v *seriesView) {
	for _, p := range b.page.Panels {
		v.Head = append(v.Head, p.Name)
	}
	begun := false
	for run, r := range b.page.Runs {
		row := seriesRow{Run: r.Run, State: r.State, Incomplete: r.Incomplete}
		any := false
		for p := range b.page.Panels {
			bad, there := 0, false
			for g := range b.page.Gains {
				if u := b.units[g*len(b.page.Panels)+p]; u != nil && u.there[run] {
					there = true
					bad += u.bad[run]
					row.Newly, row.Gone = row.Newly+u.newly[run], row.Gone+u.gone[run]
				}
			}
			if !there {
				row.Panels = append(row.Panels, "\u2013")
				continue
			}
			any = true
			row.Bad += bad
			row.Panels = append(row.Panels, spaced(bad))
		}
		if !any && row.State == "" {
			row.State = "no status"
		}
		if any {
			v.Done++
			v.LastRun, v.Last = r.Run, row.Bad
			if !begun {
				v.First, begun = row.Bad, true
			}
		}
		v.Table = append(v.Table, row)
	}
	often := make([]int, len(b.page.Runs)+1)
	for _, u := range b.units {
		if u == nil {
			continue
		}
		v.Unquiet += u.unquiet
		for k, n := range u.often {
			often[k] += n
		}
		v.Events = append(v.Events, u.events...)
	}
	slices.SortStableFunc(v.Events, func(a, c event) int {
		if a.Run != c.Run {
			return c.Run - a.Run
		}
		return c.Bad - a.Bad
	})
	v.Events = v.Events[:min(len(v.Events), 200)]
	v.Often = oftenChart(often)
	for g, gain := range b.page.Gains {
		v.Trends = append(v.Trends, b.trend(g, gain))
	}
}

// trend draws the pixels of each bit against the runs, in their order and not to scale; where a run has nothing
// the lines have a gap.
func (b *SeriesBuilder) trend(g int, gain string) trendChart {
	type curve struct {
		name, colour string
		n            []int // -1: nothing
	}
	n := len(b.page.Panels)
	units := b.units[g*n : (g+1)*n]
	sum := func(of func(u *seriesUnit, run int) int) []int {
		out := make([]int, len(b.page.Runs))
		for run := range out {
			out[run] = -1
			for _, u := range units {
				if u != nil && u.there[run] {
					out[run] = max(out[run], 0) + of(u, run)
				}
			}
		}
		return out
	}
	curves := []curve{{"all bad", "currentColor", sum(func(u *seriesUnit, run int) int { return u.bad[run] })}}
	dashed := map[string]int{}
	for _, x := range b.page.Bits {
		c := curve{x.Name, classes[x.Class].colour, sum(func(u *seriesUnit, run int) int { return u.bit[run][x.Value] })}
		if slices.Max(c.n) > 0 {
			curves = append(curves, c)
		}
	}
	width, height, left, top, bottom := 640, 240, 56, 10, 34
	w, t := width-left-10, height-top-bottom
	most := 1
	for _, c := range curves {
		most = max(most, slices.Max(c.n))
	}
	y := func(k int) float64 {
		return float64(top+t) - float64(t)*math.Log10(float64(k)+1)/math.Log10(float64(most)*1.4+1)
	}
	x := func(run int) float64 { return float64(left) + float64(w)*(float64(run)+0.5)/float64(len(b.page.Runs)) }
	title := "bad pixels"
	if gain != "" {
		title += ", " + gain
	}
	out := trendChart{Title: title}
	var s svg
	s.f(`<svg class="chart" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, width, height, width, height,
		esc(fmt.Sprintf("%s against %s, by bit; the numbers are in the table of runs.", title, fault.Count(len(b.page.Runs), "run"))))
	for k := 1; k <= most; k *= 10 {
		s.f(`<path class="grid" d="M%d %.1fh%d"/><text x="%d" y="%.1f" class="num end">%s</text>`, left, y(k), w, left-5, y(k)+4, spaced(k))
	}
	every := 1 + len(b.page.Runs)/12
	for run, r := range b.page.Runs {
		if run%every == 0 {
			s.f(`<text class="num mid" x="%.1f" y="%d">%d</text>`, x(run), top+t+15, r.Run)
		}
	}
	for _, c := range curves {
		dash := []string{"", "6 2", "2 2", "8 2 2 2"}[dashed[c.colour]%4]
		dashed[c.colour]++
		s.f(`<path class="curve" style="stroke:%s" stroke-dasharray="%s" d="`, c.colour, dash)
		open := false
		for run, k := range c.n {
			if k < 0 {
				open = false
				continue
			}
			if open {
				s.f("L%.1f %.1f", x(run), y(k))
			} else {
				s.f("M%.1f %.1f", x(run), y(k))
			}
			open = true
		}
		s.f(`"/>`)
		for run, k := range c.n {
			if k >= 0 {
				s.f(`<circle cx="%.1f" cy="%.1f" r="2.2" style="fill:%s"/>`, x(run), y(k), c.colour)
			}
		}
		out.Names = append(out.Names, legend{Name: c.name, Colour: c.colour})
	}
	s.f(`<text class="label end" x="%d" y="%d">run</text></svg>`, left+w, height-3)
	out.SVG = template.HTML(s.String())
	return out
}

// oftenChart draws how many pixels are bad in at least k runs.
func oftenChart(often []int) template.HTML {
	width, height, left, top, bottom := 640, 180, 56, 10, 34
	w, t := width-left-10, height-top-bottom
	n := len(often) - 1
	var s svg
	if n < 1 {
		return ""
	}
	most := max(1, often[1])
	s.f(`<svg class="chart" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, width, height, width, height,
		esc(fmt.Sprintf("Pixels that are bad in at least k of %s: %d in one, %d in all.", fault.Count(n, "run"), often[1], often[n])))
	for k := 1; k <= most; k *= 10 {
		y := float64(top+t) - float64(t)*math.Log10(float64(k)+1)/math.Log10(float64(most)*1.4+1)
		s.f(`<path class="grid" d="M%d %.1fh%d"/><text x="%d" y="%.1f" class="num end">%s</text>`, left, y, w, left-5, y+4, spaced(k))
	}
	for k := 1; k <= n; k++ {
		h := float64(t) * math.Log10(float64(often[k])+1) / math.Log10(float64(most)*1.4+1)
		x0, x1 := float64(left)+float64(w)*float64(k-1)/float64(n), float64(left)+float64(w)*float64(k)/float64(n)
		s.f(`<path class="bar" d="M%.1f %dv-%.1fh%.1fv%.1fz"/>`, x0+1, top+t, h, max(1, x1-x0-2), h)
		if (k-1)%(1+n/12) == 0 {
			s.f(`<text class="num mid" x="%.1f" y="%d">%s</text>`, (x0+x1)/2, top+t+15, strconv.Itoa(k))
		}
	}
	s.f(`<text class="label end" x="%d" y="%d">bad in at least k runs</text></svg>`, left+w, height-3)
	return template.HTML(s.String())
}
