package reduce

import (
	"context"
	"fmt"
	"slices"

	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// findings applies the rules of verdict to one group. That raw data are incomplete is told by the summary.
func findings(p *plan.Plan, g *Group, units []int, v *judgement) []verdict.Finding {
	facts := verdict.Facts{Gains: []verdict.Gain{{Name: g.GainMode, Sharper: g.Sharper, Bounded: Bounded(p.Params, g.Limits)}}}
	facts.Wanted = Wanted(p.Params)
	for i, u := range units {
		facts.Units = append(facts.Units, Facts(p, u, i, 0, &v.panels[i].Judged))
	}
	return verdict.Judge(facts)
}

// Bounded names the limits that an absolute bound sets although a number of sigmas was asked for.
func Bounded(par plan.Params, limits []Limit) (names []string) {
	if par.Family() != status.Dark {
		return nil
	}
	for _, l := range limits {
		lo, hi, nLo, nHi := par.RmsLo, par.RmsHi, par.RmsNLo, par.RmsNHi
		if l.Name != "rms" {
			lo, hi, nLo, nHi = par.IntLo, par.IntHi, par.IntNLo, par.IntNHi
		}
		if nLo > 0 && float64(l.Lo) == lo && float64(l.Centre)-float64(nLo*float64(l.Spread)) < lo {
			names = append(names, fmt.Sprintf("%s >= %v", l.Name, lo))
		}
		if nHi > 0 && float64(l.Hi) == hi && float64(l.Centre)+float64(nHi*float64(l.Spread)) > hi {
			names = append(names, fmt.Sprintf("%s <= %v", l.Name, hi))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// twoPassWanted is how many frames gates of two passes want, which use as many as there are up to GateFrames: with so
// many the rms is known to a tenth.
const twoPassWanted = 50

// Wanted returns the frames that the gates of profile dark want of every panel; 0: there are no gates to make.
func Wanted(par plan.Params) int {
	switch {
	case !par.Gated() || par.GatesFrom != "":
		return 0
	case par.TwoPass != nil:
		return min(par.GateFrames, twoPassWanted)
	}
	return par.GateFrames
}

// Facts returns what the rules of verdict look at for one unit; panel and gain are its positions there.
func Facts(p *plan.Plan, unit, panel, gain int, j *Judged) verdict.Unit {
	c, at := j.Bad.Count(), p.Panel(unit)
	asicRows, asicCols := ASIC(p, unit)
	u := p.Units[unit]
	f := verdict.Unit{Name: p.UnitName(unit), Panel: panel, Gain: gain, Expected: u.Expected, Frames: int(j.Frames), Pixels: c.Pixels, Bad: c.Bad,
		Unjudged: j.Bad.NotJudged(), Occupancy: status.Occupied(j.Bad, at.Rows, at.Cols, asicRows, asicCols)}
	if p.Params.Family() == status.Dark {
		f.WrongGain = c.Of(status.GainState)
	}
	if limit := p.Params.Events; limit > 0 && limit < f.Expected {
		f.Expected = max(limit, f.Frames)
	}
	return f
}

// View judges what the tasks of plan p have counted by the rules of the last reduction in this work
// directory, or by the plan's, and calls visit for every group with its summary and its panels, in the
// order of Group.Panels. What visit gets is valid until it returns.
func View(ctx context.Context, work string, p *plan.Plan, visit func(g *Group, panels []*Judged) error) error {
	q, err := InForce(work, p)
	if err != nil {
		return err
	}
	return ViewBy(ctx, work, p, q, visit)
}

// ViewBy is View by the rules of q, which is p.WithRules.
func ViewBy(ctx context.Context, work string, p, q *plan.Plan, visit func(g *Group, panels []*Judged) error) error {
	for g := range p.Groups {
		units, in, err := loadGroup(ctx, p, g, judgedBytes, func(unit int) (planes, error) { return stored(work, p, unit) })
		if err != nil {
			return err
		}
		if gatesOnly(p, units) {
			continue
		}
		v, err := judge(q, units, in)
		if err != nil {
			return err
		}
		gs := groupSummary(q, g, units, v)
		gs.Findings = findings(q, &gs, units, v)
		panels := make([]*Judged, len(v.panels))
		for i := range v.panels {
			panels[i] = &v.panels[i].Judged
		}
		if err := visit(&gs, panels); err != nil {
			return err
		}
	}
	return nil
}

// InForce returns the plan with the rules of the last reduction of this work directory.
func InForce(work string, p *plan.Plan) (*plan.Plan, error) {
	if last, err := LoadSummary(work); err == nil && last.Plan == p.ID {
		return p.WithRules(last.Params.Rules)
	}
	return p, nil
}
