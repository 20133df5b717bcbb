package report

import (
	"bytes"
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

	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"spaced": spaced, "percent": percentText, "lower": lower,
}).Parse(pageText))

// Made says what became of a page.
type Made struct {
	Size     int64         `json:"size"`
	LeftOut  []string      `json:"left_out,omitempty"` // what did not fit
	Listed   int           `json:"listed"`             // pixels with exact values
	Verdict  verdict.Level `json:"verdict"`
	Findings int           `json:"findings"`
}

// detail is how much of the arrays goes into the page.
type detail struct {
	list   int
	coarse bool // maps of 8 x 8 pixels
	few    bool // maps only of panels with findings
	merged bool // 2 x 2 pixels of maps that are full of bad pixels
	none   bool // no maps at all
}

// degrees are tried in this order until the page is small enough.
var degrees = []struct {
	detail
	says string
}{
	{detail{list: listMost}, ""},
	{detail{list: listFewer}, "exact values of at most " + strconv.Itoa(listFewer) + " pixels"},
	{detail{list: listFewer, coarse: true}, "maps of values in blocks of 8 x 8 pixels"},
	{detail{list: listFewer, coarse: true, few: true}, "maps of values only for panels with findings"},
	{detail{list: listFewer, coarse: true, few: true, merged: true}, "status in blocks of 2 x 2 pixels where more than 20 % are bad"},
	{detail{coarse: true, few: true, merged: true, none: true}, "status alone: no maps and no exact values"},
}

// Write writes the page. Where it would be larger than the limit, it leaves out, in this order and saying
// so: exact values of all but the worst pixels; detail of the maps; maps of panels that have no findings; detail
// of status maps of which more than a fifth is bad; all maps and exact values.
func (b *Builder) Write(w io.Writer) (Made, error) {
	made := Made{Verdict: verdict.Of(b.page.Findings), Findings: len(b.page.Findings)}
	b.listed = nil
	var body []byte
	for _, d := range degrees {
		if d.says != "" {
			made.LeftOut = append(made.LeftOut, d.says)
		}
		var err error
		if body, made.Listed, err = b.render(d.detail, made.LeftOut); err != nil {
			return made, fmt.Errorf("report: could not make the page: %w", err)
		}
		if int64(len(body)) <= b.page.MaxSize {
			break
		}
	}
	made.Size = int64(len(body))
	_, err := w.Write(body)
	return made, err
}

// render makes the page at a degree of detail.
func (b *Builder) render(d detail, leftOut []string) ([]byte, int, error) {
	var arrays bytes.Buffer
	put := func(id string, data []byte) {
		arrays.WriteString(`<script type="application/octet-stream" id="` + id + `">`)
		arrays.WriteString(base64.StdEncoding.EncodeToString(data))
		arrays.WriteString("</script>\n")
	}
	meta := b.meta(d, put)
	listed := 0
	if !d.none && len(b.quantities) > 0 || d.list > 0 {
		data, n, err := b.listBytes(d.list)
		if err != nil {
			return nil, 0, err
		}
		put("l", data)
		listed, meta.Listed = n, n
	}
	thumbs, err := b.thumbBytes()
	if err != nil {
		return nil, 0, err
	}
	put("t", thumbs)
	text, err := json.Marshal(meta) // escapes <, > and &
	if err != nil {
		return nil, 0, err
	}
	sum := sha256.Sum256([]byte(pageScript))
	v := view{
		Page: b.page, Verdict: verdict.Of(b.page.Findings), LeftOut: leftOut, Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		Meta:       template.HTML(`<script type="application/json" id="meta">` + string(text) + "</script>\n"),
		Arrays:     template.HTML(arrays.String()),
	}
	b.fill(&v)
	var out bytes.Buffer
	err = pageTemplate.Execute(&out, v)
	return out.Bytes(), listed, err
}

// Types of the element "meta".
type (
	metaPage struct {
		Panels     []metaPanel    `json:"panels"`
		Gains      []string       `json:"gains"`
		Bits       []metaBit      `json:"bits"`
		Hints      string         `json:"hints"`
		Unjudged   string         `json:"unjudged"`
		Classes    []metaClass    `json:"classes"`
		Quantities []metaQuantity `json:"quantities"`
		Baselines  []string       `json:"baselines"`
		Units      []*metaUnit    `json:"units"`
		Listed     int            `json:"listed"`
		Colours    []byte         `json:"colours"` // base64
		Traces     []metaTrace    `json:"traces"`
		Runs       []string       `json:"runs"`
	}
	metaTrace struct {
		Name    string     `json:"name"`
		Length  int        `json:"length"`
		Numbers []int      `json:"q"`       // offset, slope, offset, slope, switch: quantities, -1: none
		Typical []*float64 `json:"typical"` // likewise
	}
	metaPanel struct {
		Name     string `json:"name"`
		ID       string `json:"id"`
		Rows     int    `json:"rows"`
		Cols     int    `json:"cols"`
		ASICRows int    `json:"asicRows"`
		ASICCols int    `json:"asicCols"`
	}
	metaBit struct {
		Value string `json:"value"`
		Name  string `json:"name"`
		Class Class  `json:"class"`
	}
	metaClass struct {
		Name   string `json:"name"`
		Colour string `json:"colour"`
	}
	metaQuantity struct {
		Name string `json:"name"`
		Unit string `json:"unit"`
		Map  bool   `json:"map"`
	}
	metaUnit struct {
		Bad    int         `json:"bad"`
		Frames int         `json:"frames"`
		Words  []string    `json:"words"`
		Block  int         `json:"block"` // status is of block x block pixels
		Base   [][]string  `json:"base"`
		Maps   []metaMap   `json:"maps"`
		Limits []metaLimit `json:"limits"`
	}
	metaMap struct {
		Block int     `json:"block"`
		Lo    float64 `json:"lo"`
		Hi    float64 `json:"hi"`
	}
	metaLimit struct {
		Quantity  int      `json:"q"`
		Bit       string   `json:"bit"`
		High      bool     `json:"high"`
		Inclusive bool     `json:"equal"`
		Limit     *float64 `json:"limit"`
		Spread    *float64 `json:"spread"`
		Area      []int    `json:"area,omitempty"` // row, column, rows, columns
	}
)

func words(list []uint64) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = strconv.FormatUint(w, 10)
	}
	return out
}

func number(v float64) *float64 {
	if v-v != 0 {
		return nil
	}
	return &v
}

// meta describes the arrays and puts them into the page.
func (b *Builder) meta(d detail, put func(id string, data []byte)) *metaPage {
	m := &metaPage{Gains: b.page.Gains, Baselines: append([]string{}, b.page.Baselines...), Quantities: []metaQuantity{}, Hints: strconv.FormatUint(status.Hints, 10),
		Unjudged: strconv.FormatUint(status.NotJudged, 10), Colours: Colormap()}
	for _, p := range b.page.Panels {
		m.Panels = append(m.Panels, metaPanel(p.forMeta()))
	}
	for _, x := range b.page.Bits {
		m.Bits = append(m.Bits, metaBit{strconv.FormatUint(x.Value, 10), x.Name, x.Class})
	}
	for _, c := range classes {
		m.Classes = append(m.Classes, metaClass{c.name, c.colour})
	}
	for _, q := range b.quantities {
		m.Quantities = append(m.Quantities, metaQuantity{q.Name, q.Unit, q.Map})
	}
	m.Traces, m.Runs = b.traces(), append([]string{}, b.runs...)
	worth := map[int]bool{}
	for _, f := range b.page.Findings {
		for g := range b.page.Gains {
			if f.Panel >= 0 && (f.Gain < 0 || f.Gain == g) {
				worth[g*len(b.page.Panels)+f.Panel] = true
			}
		}
	}
	for i, u := range b.units {
		if u == nil {
			m.Units = append(m.Units, nil)
			continue
		}
		x := &metaUnit{Bad: u.bad, Frames: u.frames, Block: 1}
		l := u.status
		if d.merged && u.coarse.data != nil {
			l, x.Block = u.coarse, 2
		}
		x.Words = words(l.words)
		put(fmt.Sprintf("s%d", i), l.data)
		for k, base := range u.base {
			if base == nil || x.Block > 1 {
				x.Base = append(x.Base, nil)
				continue
			}
			x.Base = append(x.Base, words(base.words))
			put(fmt.Sprintf("b%d-%d", k, i), base.data)
		}
		for q, p := range u.maps {
			if d.none || d.few && !worth[i] || p.lo-p.lo != 0 || p.hi-p.hi != 0 {
				x.Maps = append(x.Maps, metaMap{})
				continue
			}
			data, block := p.fine, 4
			if d.coarse {
				data, block = p.coarse, 8
			}
			x.Maps = append(x.Maps, metaMap{block, p.lo, p.hi})
			put(fmt.Sprintf("m%d-%d", q, i), data)
		}
		for q, list := range u.limits {
			for _, l := range list {
				ml := metaLimit{Quantity: q, Bit: strconv.FormatUint(l.Bit, 10), High: l.High, Inclusive: l.Inclusive, Limit: number(l.Limit), Spread: number(l.Spread)}
				if l.Rows > 0 {
					ml.Area = []int{l.Row, l.Col, l.Rows, l.Cols}
				}
				x.Limits = append(x.Limits, ml)
			}
		}
		m.Units = append(m.Units, x)
	}
	return m
}

// traces finds the quantities of the page's traces.
func (b *Builder) traces() []metaTrace {
	out := []metaTrace{}
	for _, t := range b.lines {
		x := metaTrace{Name: t.Name, Length: t.Length}
		for _, name := range []string{t.Offset[0], t.Slope[0], t.Offset[1], t.Slope[1], t.Switch} {
			x.Numbers = append(x.Numbers, slices.IndexFunc(b.quantities, func(q Quantity) bool { return q.Name == name }))
			v, ok := t.Typical[name]
			if !ok {
				v = math.NaN()
			}
			x.Typical = append(x.Typical, number(v))
		}
		out = append(out, x)
	}
	return out
}

func (p PanelInfo) forMeta() metaPanel {
	return metaPanel(p)
}

// view holds the values that the template shows.
type view struct {
	Page
	Verdict    verdict.Level
	LeftOut    []string
	Style      template.CSS
	Script     template.JS
	ScriptHash string
	Meta       template.HTML
	Arrays     template.HTML

	Head       []columnHead
	Table      []tableRow
	Totals     []tableRow
	Pixels     int
	Bad        int
	Newly      int
	Gone       int
	Compared   bool
	Charts     []chart
	Chips      []chipRow
	Profiles   []profileRow
	Legend     []legend
	Dictionary []bitRow
}

type (
	columnHead struct{ Name, Value, Meaning string }
	tableRow   struct {
		Panel, Gain int
		Name, ID    string
		GainName    string
		Frames      string
		Pixels, Bad int
		Bar         string // width of the bar in percent
		Newly, Gone int
		Compared    bool
		Changed     bool
		Bits        []cell
		Missing     bool
	}
	cell struct {
		N   int
		Bit string
	}
	chart struct {
		Title  string
		Whole  template.HTML
		Panels []template.HTML
		Names  []string
	}
	chipRow struct {
		Name, Gain, Place string
		Unit              int
		Row, Col          int
		Bad, Pixels       int
		Bar               string
	}
	profileRow struct {
		Name       string
		Rows, Cols template.HTML
	}
	legend struct {
		Name, Colour string
		Class        int
	}
	bitRow struct {
		Bit
		Rule   string
		Name   string
		Colour string
	}
)

// fill makes tables and charts.
func (b *Builder) fill(v *view) {
	used := b.usedBits()
	for _, x := range used {
		v.Head = append(v.Head, columnHead{x.Name, strconv.FormatUint(x.Value, 10), x.Meaning})
	}
	total := tableRow{Name: "all", Bits: make([]cell, len(used))}
	for g, gain := range b.page.Gains {
		sum := tableRow{Name: "all panels", GainName: gain, Gain: g, Bits: make([]cell, len(used))}
		for p, panel := range b.page.Panels {
			u := b.units[g*len(b.page.Panels)+p]
			row := tableRow{Panel: p, Gain: g, Name: panel.Name, ID: panel.ID, GainName: gain}
			if u == nil {
				row.Missing = true
				v.Table = append(v.Table, row)
				continue
			}
			row.Pixels, row.Bad = u.pixels, u.bad
			row.Frames = framesText(u)
			if len(u.newly) > 0 && u.newly[0] >= 0 {
				row.Newly, row.Gone, row.Compared, row.Changed = u.newly[0], u.gone[0], true, u.newly[0]+u.gone[0] > 0
			}
			for _, x := range used {
				row.Bits = append(row.Bits, cell{u.bit[x.Value], strconv.FormatUint(x.Value, 10)})
			}
			row.Bar = bar(row.Bad, row.Pixels)
			sum.add(row)
			v.Table = append(v.Table, row)
		}
		sum.Bar = bar(sum.Bad, sum.Pixels)
		total.add(sum)
		if len(b.page.Panels) > 1 {
			v.Totals = append(v.Totals, sum)
		}
		b.charts(v, g, gain)
	}
	total.Bar = bar(total.Bad, total.Pixels)
	if len(b.page.Gains) > 1 || len(v.Totals) == 0 {
		v.Totals = append(v.Totals, total)
	}
	v.Pixels, v.Bad, v.Newly, v.Gone, v.Compared = total.Pixels, total.Bad, total.Newly, total.Gone, total.Compared
	b.occupancies(v)
	for i, c := range classes[1:] {
		v.Legend = append(v.Legend, legend{c.name, c.colour, i + 1})
	}
	for _, x := range b.page.Bits {
		row := bitRow{Bit: x, Name: x.Name, Colour: classes[x.Class].colour}
		rules := slices.Clone(x.Rules)
		rules = slices.DeleteFunc(slices.Compact(rules), func(s string) bool { return s == "" })
		for i, r := range rules {
			if i > 0 {
				row.Rule += "; "
			}
			if len(rules) > 1 && len(x.Rules) == len(rules) {
				row.Rule += b.page.Gains[i] + ": "
			}
			row.Rule += r
		}
		v.Dictionary = append(v.Dictionary, row)
	}
}

func (t *tableRow) add(r tableRow) {
	t.Pixels, t.Bad, t.Newly, t.Gone, t.Compared = t.Pixels+r.Pixels, t.Bad+r.Bad, t.Newly+r.Newly, t.Gone+r.Gone, t.Compared || r.Compared
	for i := range r.Bits {
		t.Bits[i].N += r.Bits[i].N
		t.Bits[i].Bit = r.Bits[i].Bit
	}
}

func framesText(u *unit) string {
	switch {
	case u.expected == 0 && u.frames == 0:
		return ""
	case u.frames == u.expected || u.expected == 0:
		return spaced(u.frames)
	}
	return spaced(u.frames) + " of " + spaced(u.expected)
}

// bar returns a width for a fraction: logarithmic, since one pixel in a million matters as well as half of them.
func bar(n, of int) string {
	if n == 0 || of == 0 {
		return "0"
	}
	x := 1 + math.Log10(float64(n)/float64(of))/6
	return fmt.Sprintf("%.0f", 100*min(max(x, 0.02), 1))
}

// usedBits returns the bits that any pixel has or that a rule with numbers speaks of.
func (b *Builder) usedBits() (out []Bit) {
	for _, x := range b.page.Bits {
		used := slices.ContainsFunc(x.Rules, func(s string) bool { return s != "" })
		for _, u := range b.units {
			used = used || u != nil && u.bit[x.Value] > 0
		}
		if used {
			out = append(out, x)
		}
	}
	return out
}

// charts draws the histograms of a gain mode.
func (b *Builder) charts(v *view, g int, gain string) {
	n, at := len(b.page.Panels), 0
	units := b.units[g*n : (g+1)*n]
	for q, quantity := range b.quantities {
		if !quantity.Map {
			continue
		}
		label := quantity.Name
		if gain != "" {
			label += ", " + gain
		}
		c := chart{Title: label}
		var whole histogram
		limits := linesOf(units, q)
		any := false
		for p, u := range units {
			if u == nil || at >= len(u.hist) {
				continue
			}
			any = true
			whole.add(u.hist[at])
			if n > 1 {
				c.Panels = append(c.Panels, u.hist[at].draw(150, 54, linesOf([]*unit{u}, q), b.page.Panels[p].Name+" "+label, quantity.Unit, true))
				c.Names = append(c.Names, b.page.Panels[p].Name)
			}
		}
		at++
		if any {
			c.Whole = whole.draw(560, 200, limits, label, quantity.Unit, false)
			v.Charts = append(v.Charts, c)
		}
	}
}

const (
	chipsShown    = 40
	profilesShown = 12
)

// occupancies lists the chips with most bad pixels and draws the profiles of the most uneven panels.
func (b *Builder) occupancies(v *view) {
	type uneven struct{ unit, peak int }
	var list []uneven
	n := len(b.page.Panels)
	for i, u := range b.units {
		if u == nil || u.bad == 0 {
			continue
		}
		for _, a := range u.occupancy.Chips {
			if a.Bad > 0 {
				v.Chips = append(v.Chips, chipRow{Name: b.page.Panels[i%n].Name, Gain: b.page.Gains[i/n], Unit: i, Row: a.Row, Col: a.Col, Bad: a.Bad, Pixels: a.Pixels(),
					Place: fmt.Sprintf("rows %d\u2013%d, columns %d\u2013%d", a.Row, a.Row+a.Rows-1, a.Col, a.Col+a.Cols-1), Bar: bar(a.Bad, a.Pixels())})
			}
		}
		list = append(list, uneven{i, max(slices.Max(u.occupancy.Rows), slices.Max(u.occupancy.Cols))})
	}
	slices.SortStableFunc(v.Chips, func(a, c chipRow) int { return c.Bad*a.Pixels - a.Bad*c.Pixels })
	v.Chips = v.Chips[:min(len(v.Chips), chipsShown)]
	slices.SortStableFunc(list, func(a, c uneven) int { return c.peak - a.peak })
	for _, x := range list[:min(len(list), profilesShown)] {
		u, name := b.units[x.unit], b.page.Panels[x.unit%n].Name
		if g := b.page.Gains[x.unit/n]; g != "" {
			name += " " + g
		}
		v.Profiles = append(v.Profiles, profileRow{name, profile(u.occupancy.Rows, 300, 74, "row"), profile(u.occupancy.Cols, 300, 74, "column")})
	}
}

func percentText(n, of int) string {
	switch {
	case of == 0:
		return "\u2013"
	case n == 0:
		return "0"
	}
	p := 100 * float64(n) / float64(of)
	switch {
	case p < 0.001:
		return fmt.Sprintf("%.1e", p)
	case p < 0.1:
		return fmt.Sprintf("%.4f", p)
	case p < 10:
		return fmt.Sprintf("%.2f", p)
	}
	return fmt.Sprintf("%.1f", p)
}

func lower(l verdict.Level) string {
	return map[verdict.Level]string{verdict.OK: "ok", verdict.Check: "check", verdict.Bad: "bad"}[l]
}
