package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/report"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// File returns the report of a work directory.
func File(work string) string { return filepath.Join(work, "report.html") }

// Options say what goes into a report.
type Options struct {
	Path      string
	Baselines []Baseline
	MaxSize   int64
	Segments  []int // empty: all
}

// OfWork makes the report of a work directory.
func (m *Maker) OfWork(ctx context.Context, work string, p *plan.Plan, opt Options) (report.Made, error) {
	sum, err := reduce.LoadSummary(work)
	if err != nil {
		return report.Made{}, err
	}
	gains, panels := reportAxes(p)
	keep := func(segment int) bool { return len(opt.Segments) == 0 || slices.Contains(opt.Segments, segment) }
	page := report.Page{
		Title:    fmt.Sprintf("%s run %d %s", p.Dataset.Run.Experiment, p.Dataset.Run.Number, p.Dataset.Detector),
		Subtitle: fmt.Sprintf("%s, profile %s, %s", p.Dataset.Type, p.Params.Profile, p.Dataset.Run.Begin.UTC().Format("2006-01-02 15:04 UTC")),
		Gains:    gains, Bits: report.Dictionary(p.Params.Family()), MaxSize: opt.MaxSize,
	}
	at := map[int]int{}
	for i, k := range panels {
		panel := p.Dataset.Panels[k]
		if !keep(panel.Segment) {
			continue
		}
		at[k] = len(page.Panels)
		rows, cols := reduce.ASIC(p, slices.IndexFunc(p.Units, func(u plan.Unit) bool { return u.Panel == panels[i] }))
		page.Panels = append(page.Panels, report.PanelInfo{Name: segmentName(panel), ID: panel.ID, Rows: panel.Rows, Cols: panel.Cols, ASICRows: rows, ASICCols: cols})
	}
	if len(page.Panels) == 0 {
		return report.Made{}, fault.New(fault.Usage, "the report has no panel: %v are not among the segments of %s", opt.Segments, p.Dataset.Detector)
	}
	for _, b := range opt.Baselines {
		page.Baselines = append(page.Baselines, b.name)
	}
	for i := range page.Bits {
		page.Bits[i].Rules = make([]string, len(gains))
	}
	facts := verdict.Facts{Incomplete: sum.Incomplete, Wanted: reduce.Wanted(sum.Params), Gains: make([]verdict.Gain, len(gains))}
	if len(opt.Baselines) > 0 {
		facts.Baseline = &opt.Baselines[0].facts
	}
	b, past := report.New(page), m.newPastRuns(sum)
	gain := 0
	var limits []report.Fact
	var traces []report.Trace
	err = reduce.View(ctx, work, p, func(g *reduce.Group, judged []*reduce.Judged) error {
		facts.Gains[gain] = verdict.Gain{Name: gains[gain], Sharper: g.Sharper, Bounded: reduce.Bounded(sum.Params, g.Limits)}
		limits = append(limits, limitFacts(gains[gain], g)...)
		traces = append(traces, reportTraces(g, judged)...)
		for _, l := range g.Bits {
			for i := range page.Bits {
				if page.Bits[i].Value == l.Value {
					page.Bits[i].Rules[gain] = l.Rule
				}
			}
		}
		var units []report.Unit
		for _, j := range judged {
			k, ok := at[p.Units[j.Unit].Panel]
			if !ok {
				continue
			}
			unit, err := reportUnit(p, j, k, g.GainMode, opt.Baselines, past)
			if err != nil {
				return err
			}
			f := reduce.Facts(p, j.Unit, k, gain, j)
			f.NewlyBad = unit.newly
			if sc := unit.before; sc != nil && sc.Level != nil && sc.Profile == sum.Params.Profile && sum.Params.Profile == string(status.ProfileDark) {
				f.Pedestal, f.Before, f.BeforeRun = j.Level(), &verdict.Pedestal{Mean: sc.Level.Mean, Spread: sc.Level.Spread}, fmt.Sprintf("run %d", sc.Run.Number)
			}
			facts.Units = append(facts.Units, f)
			units = append(units, unit.Unit)
		}
		defer func() { gain++ }()
		return b.AddGain(ctx, gain, units)
	})
	if err != nil {
		return report.Made{}, err
	}
	page.Findings = verdict.Judge(facts)
	page.Facts = append(m.reportFacts(p, sum, opt), limits...)
	b.Describe(page.Facts, page.Findings)
	b.Draw(traces)
	b.Runs(past.names)
	return m.writeReport(opt.Path, b)
}

// reportTraces says how the answer of a pixel to the pulser is drawn; none where the profile is another.
func reportTraces(g *reduce.Group, judged []*reduce.Judged) (out []report.Trace) {
	length := 0
	for _, j := range judged {
		length = max(length, j.Ramp)
	}
	if length == 0 {
		return nil
	}
	typical := map[string]float64{}
	for _, l := range g.Limits {
		typical[l.Name] = float64(l.Centre)
	}
	for m, mode := range charge.ModeNames {
		t := report.Trace{Name: mode, Length: length, Switch: "switch " + mode, Typical: typical}
		for k := range t.Offset {
			label := status.ChargeLines[2*m+k]
			t.Offset[k], t.Slope[k] = "offset "+label, "gain "+label
		}
		out = append(out, t)
	}
	return out
}

// reportAxes returns the names of the gain modes or steps that are judged, and the panels, by segment.
func reportAxes(p *plan.Plan) (gains []string, panels []int) {
	seen := map[int]bool{}
	for g := range p.Groups {
		judged := false
		for _, u := range p.Units {
			if u.Group == g && !p.Params.Sequence(u.Selected).Stage1Only {
				judged = true
				if !seen[u.Panel] {
					seen[u.Panel] = true
					panels = append(panels, u.Panel)
				}
			}
		}
		if judged {
			name := p.Groups[g].GainMode
			if name == "" && len(p.Groups) > 1 {
				name = fmt.Sprintf("step %d", p.Groups[g].Steps[0])
			}
			gains = append(gains, name)
		}
	}
	slices.Sort(panels)
	return gains, panels
}

func segmentName(p frame.Panel) string {
	if p.Sub > 0 {
		return fmt.Sprintf("segment %d.%d", p.Segment, p.Sub)
	}
	return fmt.Sprintf("segment %d", p.Segment)
}

// comparedUnit is a unit of a report and its newly bad pixels.
type comparedUnit struct {
	report.Unit
	newly  int
	before *repo.Sidecar // of the youngest run before
}

func reportUnit(p *plan.Plan, j *reduce.Judged, at int, gain string, baselines []Baseline, past *pastRuns) (comparedUnit, error) {
	u := comparedUnit{Unit: report.Unit{Panel: at, Expected: p.Units[j.Unit].Expected, Frames: int(j.Frames), Status: j.Bad.Dense()}}
	for i, b := range baselines {
		words, err := b.words(p.Panel(j.Unit), gain)
		if err != nil {
			return u, err
		}
		u.Baselines = append(u.Baselines, words)
		if i == 0 && words != nil {
			d, err := status.Compare(words, u.Status)
			if err != nil {
				return u, err
			}
			u.newly = d.NewlyBad
		}
	}
	panel := p.Panel(j.Unit)
	history, before, err := past.quantities(gain, panel.Segment, panel.Sub, u.Status)
	if err != nil {
		return u, err
	}
	u.before = before
	for _, q := range j.Quantities {
		r := report.Quantity{Name: q.Name, Unit: q.Unit, Map: q.Unit == "ADU", Value: q.Value}
		for _, t := range q.Tested {
			r.Limits = append(r.Limits, report.Limit(t))
		}
		u.Quantities = append(u.Quantities, r)
	}
	if j.Set != nil {
		for _, q := range []struct{ plane, name string }{{plane.MinValue, "min"}, {plane.MaxValue, "max"}} {
			if v, err := plane.Get[uint16](j.Set, q.plane); err == nil {
				u.Quantities = append(u.Quantities, report.Quantity{Name: q.name, Unit: "ADU", Value: func(i int) float64 { return float64(v[i]) }})
			}
		}
	}
	u.Quantities = append(u.Quantities, history...)
	return u, nil
}

// limitFacts returns the limits of a gain mode; of limits per chip their range.
func limitFacts(gain string, g *reduce.Group) (out []report.Fact) {
	for _, name := range []string{"average", "rms"} {
		var lo, hi []float64
		for _, l := range g.Limits {
			if l.Name == name {
				lo, hi = append(lo, float64(l.Lo)), append(hi, float64(l.Hi))
			}
		}
		if len(lo) == 0 {
			continue
		}
		span := func(v []float64) string {
			if a, b := slices.Min(v), slices.Max(v); a != b {
				return fmt.Sprintf("%.5g to %.5g", a, b)
			}
			return fmt.Sprintf("%.5g", v[0])
		}
		out = append(out, report.Fact{Name: strings.TrimSpace("limits " + gain), Value: fmt.Sprintf("%s from %s to %s ADU", name, span(lo), span(hi))})
	}
	return out
}

// reportFacts returns what the run is and how it was judged. Nothing here depends on when or where the
// report is made.
func (m *Maker) reportFacts(p *plan.Plan, sum *reduce.Summary, opt Options) []report.Fact {
	d := p.Dataset
	out := []report.Fact{
		{Name: "experiment", Value: d.Run.Experiment}, {Name: "run", Value: fmt.Sprintf("%d, begin %s", d.Run.Number, d.Run.Begin.In(m.Site.Location()).Format(time.RFC3339))},
		{Name: "detector", Value: fmt.Sprintf("%s (%s), %s", d.Detector, d.Type, fault.Count(len(d.Panels), "panel"))},
		{Name: "events", Value: fmt.Sprint(d.Events)}, {Name: "profile", Value: fmt.Sprintf("%s, constants of type %s", sum.Params.Profile, sum.Params.CType)},
		{Name: "rules", Value: rulesText(sum.Params.Rules)},
	}
	for i, b := range opt.Baselines {
		name := "baseline"
		if i > 0 {
			name = fmt.Sprintf("baseline %d", i+1)
		}
		out = append(out, report.Fact{Name: name, Value: b.name})
	}
	if len(opt.Baselines) == 0 {
		out = append(out, report.Fact{Name: "baseline", Value: "none: no constants are in force (-c), no run is named (--against)"})
	}
	for _, g := range sum.Groups {
		lost := map[string]int{}
		for _, panel := range g.Panels {
			for reason, n := range panel.Lost {
				lost[reason] += n
			}
		}
		for _, reason := range slices.Sorted(maps.Keys(lost)) {
			out = append(out, report.Fact{Name: strings.TrimSpace("frames lost " + g.GainMode), Value: fmt.Sprintf("%d %s", lost[reason], reason)})
		}
	}
	for _, n := range sum.Notes {
		out = append(out, report.Fact{Name: "note", Value: n})
	}
	out = append(out, report.Fact{Name: "plan", Value: p.ID}, report.Fact{Name: "version", Value: sum.Software}, report.Fact{Name: "work directory", Value: sum.Work},
		report.Fact{Name: "made by", Value: "rawstatus report --work " + sum.Work})
	var files []string
	for _, g := range sum.Groups {
		for _, panel := range g.Panels {
			if panel.File != "" {
				files = append(files, filepath.Base(panel.File))
			}
		}
	}
	if len(files) > 0 {
		text := strings.Join(files[:min(len(files), 6)], "\n")
		if n := len(files) - 6; n > 0 {
			text += fmt.Sprintf("\nand %d more", n)
		}
		out = append(out, report.Fact{Name: "status files", Value: text})
	}
	return out
}

// rulesText writes rules as --set takes them.
func rulesText(r plan.Rules) string {
	b, err := json.Marshal(r)
	if err != nil {
		return ""
	}
	return strings.NewReplacer(`"`, "", "{", "", "}", "", ":", "=", ",", ", ").Replace(string(b))
}

// writeReport writes a page and logs what became of it.
func (m *Maker) writeReport(path string, b *report.Builder) (report.Made, error) {
	made, err := b.WriteFile(path, fs.FileMode(m.Site.FileMode))
	if err != nil {
		return made, err
	}
	for _, l := range made.LeftOut {
		m.Log.Warnf("report: left out for size: it has %s", l)
	}
	m.Log.Infof("report %s: %s, %.1f MB", path, made.Verdict, float64(made.Size)/1e6)
	return made, nil
}
