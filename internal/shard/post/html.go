package post

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// paragraph returns a text as an escaped paragraph.
func paragraph(text string) string {
	return "<p>" + template.HTMLEscapeString(text) + "</p>\n"
}

// entryPage is the text of an entry. The logbook shows it inside its own page: plain tags, no styles.
var entryPage = template.Must(template.New("entry").Parse(`<p><b>{{.Detector}}</b>, run {{.Run}}: {{.Bad}} of {{.Pixels}} pixels bad ({{printf "%.3f" .Percent}} %), {{.State}}</p>
{{range .Warnings}}<p><b>Warning:</b> {{.}}</p>
{{end}}<table border="1">
<tr><th>gain mode</th><th>frames</th>{{range .Bits}}<th>{{.}}</th>{{end}}<th>bad pixels</th><th>new</th><th>gone</th></tr>
{{range .Rows}}<tr><td>{{.Name}}</td><td>{{.Frames}}</td>{{range .Cells}}<td>{{.}}</td>{{end}}<td>{{.Bad}}</td><td>{{.New}}</td><td>{{.Gone}}</td></tr>
{{end}}</table>
<p>{{.Compared}}</p>
{{with .Deployment}}<p>{{.}}</p>
{{end}}{{with .Whole}}<p>The page attached leaves details out. The whole page is {{.}}</p>
{{end}}`))

type entryRow struct {
	Name, Frames string
	Cells        []string
	Bad          string
	New, Gone    string
}

// html returns the text of the entry of a job that has a summary.
func html(j Job, o *Outcome, gains []gainCounts, earlier string) string {
	s := j.Summary
	data := struct {
		Detector, State      string
		Run, Bad, Pixels     int
		Percent              float64
		Warnings, Bits       []string
		Rows                 []entryRow
		Compared, Deployment string
		Whole                string
	}{Whole: j.Whole, Detector: s.Detector, State: o.State, Run: s.Run.Number, Bad: o.Bad, Pixels: o.Pixels, Deployment: j.Deployment}
	for _, line := range s.Incomplete {
		data.Warnings = append(data.Warnings, "incomplete: "+line)
	}
	data.Warnings = append(data.Warnings, s.Warnings...)
	bits := bitsOf(gains)
	for _, b := range bits {
		data.Bits = append(data.Bits, b.Name)
	}
	data.Compared = "No earlier run to compare with: -"
	if earlier != "" {
		data.Compared = "Changes are those since " + earlier + "."
	}
	for i, g := range gains {
		row := entryRow{Name: g.name, Bad: fmt.Sprint(g.bad), New: none, Gone: none}
		if row.Name == "" {
			row.Name = "all"
		}
		var frames []uint64
		expected := 0
		for _, p := range s.Groups[i].Panels {
			frames = append(frames, p.Frames)
			expected = max(expected, p.Expected)
		}
		if len(frames) > 0 {
			row.Frames = fmt.Sprintf("%d of %d", slices.Min(frames), expected)
		}
		for _, b := range bits {
			cell := none
			for _, own := range g.bits {
				if own.Value == b.Value {
					cell = fmt.Sprint(own.Count)
					if g.before != nil {
						cell += fmt.Sprintf(" (%+d)", own.Count-g.before.counts.Of(b.Value))
					}
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		if g.before != nil {
			row.New, row.Gone = fmt.Sprint(g.before.diff.NewlyBad), fmt.Sprint(g.before.diff.NewlyGood)
		}
		data.Rows = append(data.Rows, row)
	}
	if data.Pixels > 0 {
		data.Percent = 100 * float64(data.Bad) / float64(data.Pixels)
	}
	var b strings.Builder
	if err := entryPage.Execute(&b, data); err != nil {
		return paragraph(fmt.Sprintf("the table could not be made: %v", err))
	}
	return b.String()
}

// failureHTML returns the text of the entry of a job that failed.
func failureHTML(o *Outcome, why string) string {
	return fmt.Sprintf("<p><b>%s</b>, run %d: the search for bad pixels failed. Constants are as before.</p>\n<pre>%s</pre>\n",
		template.HTMLEscapeString(o.Detector), o.Run, template.HTMLEscapeString(why))
}
