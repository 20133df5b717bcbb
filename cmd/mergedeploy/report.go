package main

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
	"rawstatus/internal/report"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// reportPlan writes the page of a plan: to --report, or when the plan is only shown to where stacked arrays are kept.
// A page that nobody has asked for stops nothing.
func reportPlan(c *cli.Context, e *environment, r *repo.Repo, dest calib.Destination, p *publish.Plan, m *publish.Merged) error {
	path := c.String("report")
	asked := path != ""
	if m.Path == "" || !asked && (c.Bool("deploy") || c.Bool("dry-run")) {
		if asked {
			e.Log.Warn("no report: the array is not complete")
		}
		return nil
	}
	if !asked {
		path = strings.TrimSuffix(r.StackPath(m.Type, m.Detector, m.Run.Experiment, m.Run.Number, m.Run.Begin, ctype), ".txt") + ".html"
	}
	made, err := planPage(c, e, dest, p, m, path)
	switch {
	case err != nil && asked:
		return err
	case err != nil:
		e.Log.Warnf("no report: %v", err)
		return nil
	}
	e.Log.Infof("look at it: %s (%.1f MB)", path, float64(made.Size)/1e6)
	return nil
}

// planPage makes the page of a plan.
func planPage(c *cli.Context, e *environment, dest calib.Destination, p *publish.Plan, m *publish.Merged, path string) (report.Made, error) {
	family, _ := detector.Lookup(m.Type)
	page := report.Page{Title: "plan: " + p.Run + " " + p.Detector, Subtitle: fmt.Sprintf("%s for %s, not deployed by this page", p.CType, p.Target), Gains: p.Gains(), Bits: planBits(m)}
	for _, t := range p.Tiles {
		page.Panels = append(page.Panels, report.PanelInfo{Name: fmt.Sprintf("segment %d", t.Slot), ID: panelID(m, t.Slot), Rows: m.Panels[0].Rows, Cols: m.Panels[0].Cols,
			ASICRows: family.ASICRows, ASICCols: family.ASICCols})
	}
	page.Facts = planFacts(p, m)
	for _, f := range p.Findings {
		level := verdict.Check
		if f.Refuses && !f.Forced {
			level = verdict.Bad
		}
		page.Findings = append(page.Findings, verdict.Finding{Level: level, Rule: f.Rule, Text: f.String(), Panel: -1, Gain: -1})
	}
	mapped, err := p.Compared(c.Context, dest)
	if err != nil {
		return report.Made{}, err
	}
	page.Baselines = mapped.Shown
	page.Sections = []report.Section{stretchSection(p.Stretches)}
	b := report.New(page)
	for g := range page.Gains {
		var units []report.Unit
		for i := range page.Panels {
			look := mapped.Panel(g, i)
			units = append(units, report.Unit{Panel: i, Status: look.Proposed, Baselines: look.Now})
		}
		if err := b.AddGain(c.Context, g, units); err != nil {
			return report.Made{}, err
		}
	}
	return b.WriteFile(path, fs.FileMode(e.Site.FileMode))
}

// planBits returns the bits of the types that were merged; those of both families where it is not known.
func planBits(m *publish.Merged) []report.Bit {
	families := map[string]bool{}
	for _, row := range m.Table {
		for f := range row.Names {
			families[f] = true
		}
	}
	for _, f := range []status.Family{status.Dark, status.Features} {
		if families[string(f)] && len(families) == 1 {
			return report.Dictionary(f)
		}
	}
	return report.Dictionary("")
}

func panelID(m *publish.Merged, slot int) string {
	for _, p := range m.Panels {
		if p.Slot == slot {
			return p.Dir
		}
	}
	return "no panel"
}

func planFacts(p *publish.Plan, m *publish.Merged) []report.Fact {
	facts := []report.Fact{{Name: "run", Value: p.Run}, {Name: "detector", Value: p.Detector + " (" + m.Type + ")"}, {Name: "destination", Value: p.Destination}, {Name: "target", Value: p.Target},
		{Name: "validity", Value: p.Range.Runs()}, {Name: "array", Value: fmt.Sprint(p.Shape) + ", sha256 " + p.Array}, {Name: "merged array", Value: p.Source},
		{Name: "effect", Value: strings.Join(p.Effect.Lines(), "\n")}}
	for _, s := range m.Choices {
		facts = append(facts, report.Fact{Name: "choice", Value: s})
	}
	for _, s := range m.Notes {
		facts = append(facts, report.Fact{Name: "note", Value: s})
	}
	seen := map[string]bool{}
	for _, plane := range m.Planes {
		for _, s := range plane.Sources {
			if !seen[s.CType] {
				seen[s.CType] = true
				facts = append(facts, report.Fact{Name: s.CType, Value: fmt.Sprintf("%s and those of the other panels (%s)", s.Path, s.Reason)})
			}
		}
	}
	return facts
}

// stretchSection returns the table of runs and what changes for them.
func stretchSection(stretches []publish.Stretch) report.Section {
	s := report.Section{Title: "What changes for which runs", Text: "Pixels as analysis masks them: gain modes combined, together with the pixel_status in force.",
		Head: []string{"runs", "use now", "bad now", "newly bad", "newly good"}}
	for _, x := range stretches {
		var runs []string
		for _, r := range x.Runs {
			runs = append(runs, r.Runs())
		}
		now := x.Now
		if now == "" {
			now = "nothing"
		}
		if x.Status != "" {
			now += " with pixel_status " + x.Status
		}
		row := []string{strings.Join(runs, ", "), now, fmt.Sprint(x.Bad), fmt.Sprint(x.NewlyBad), fmt.Sprint(x.NewlyGood)}
		if problem := x.Problem + x.Unequal; problem != "" {
			row = []string{row[0], now + ": " + problem, "–", "–", "–"}
		}
		s.Rows = append(s.Rows, row)
	}
	return s
}
