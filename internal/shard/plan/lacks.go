package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
)

// Lacks lists why the index of one detector is not complete, as Build judges it for all of its frames.
func Lacks(x *frame.Index, maxLost float64, knownMissing []string) []string {
	p := &Plan{Params: Params{Profile: ProfileData, Selection: Selection{MaxLost: maxLost, KnownMissing: knownMissing}},
		Dataset: Dataset{Run: x.Run, Detector: x.Panels[0].Detector, Type: x.Panels[0].Type, Panels: x.Panels, Steps: x.Steps}}
	var err error
	if p.Groups, err = groups(x, p.Params); err != nil {
		return x.Missing // no event, which they say
	}
	if err := p.units(x); err != nil {
		return x.Missing // gains that nobody can tell apart: Build says so
	}
	return p.lacks(x)
}

// Incomplete returns the error for a run that lacks something, nil if it lacks nothing.
func Incomplete(run frame.Run, lacks []string) error {
	if len(lacks) == 0 {
		return nil
	}
	return fault.New(fault.Incomplete, "%v is incomplete:\n  %s", run, strings.Join(lacks, "\n  ")).
		WithHint("wait for or repair the raw data, or take what is there with --allow-incomplete (lost events alone: --max-lost)")
}

// lacks lists why the data are incomplete in the sense of --allow-incomplete.
func (p *Plan) lacks(x *frame.Index) []string {
	out := slices.Concat(x.Missing, p.Scan.lacks())
	for i, u := range p.Units {
		lost := u.Expected - u.Selected
		switch {
		case u.Selected == 0 && p.isKnownMissing(u.Panel):
		case u.Selected == 0:
			out = append(out, fmt.Sprintf("%s has no usable frame in %s%s", p.UnitName(i), fault.Count(u.Expected, "event"), reasons(u.Lost)))
		case float64(lost)*100 > p.Params.MaxLost*float64(u.Expected):
			out = append(out, fmt.Sprintf("%s lost %d of %s (%.3g %%, --max-lost %.3g)%s", p.UnitName(i), lost, fault.Count(u.Expected, "event"),
				100*float64(lost)/float64(u.Expected), p.Params.MaxLost, reasons(u.Lost)))
		}
		if missing := p.emptySteps(u); u.Selected > 0 && len(missing) > 0 {
			out = append(out, fmt.Sprintf("%s has no usable frame in steps %s", p.UnitName(i), strings.Trim(fmt.Sprint(missing), "[]")))
		}
	}
	return out
}

func reasons(lost map[string]int) string {
	if len(lost) == 0 {
		return ""
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(lost)) {
		parts = append(parts, fmt.Sprintf("%d %s", lost[state], state))
	}
	return ": " + strings.Join(parts, ", ")
}

// isKnownMissing reports whether the site says that a panel is missing, by its id or directory.
func (p *Plan) isKnownMissing(panel int) bool {
	known := p.Params.KnownMissing
	return slices.Contains(known, p.Dataset.Panels[panel].ID) || slices.Contains(known, repo.PanelDirs(p.Dataset.Panels)[panel])
}

// knownMissing keeps of the panels that the site knows to be missing those that are, and says so.
func (p *Plan) knownMissing() {
	used := map[string]bool{}
	dirs := repo.PanelDirs(p.Dataset.Panels)
	for i, u := range p.Units {
		if u.Selected > 0 || !p.isKnownMissing(u.Panel) {
			continue
		}
		used[p.Dataset.Panels[u.Panel].ID], used[dirs[u.Panel]] = true, true
		p.Dataset.Notes = append(slices.Clip(p.Dataset.Notes), fmt.Sprintf("%s has no frame, which the site knows (known_missing): NO_DATA", p.UnitName(i)))
	}
	p.Params.KnownMissing = slices.DeleteFunc(slices.Clone(p.Params.KnownMissing), func(id string) bool { return !used[id] })
	if len(p.Params.KnownMissing) == 0 {
		p.Params.KnownMissing = nil
	}
}
