package reduce

import (
	"context"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/status"
)

// Change is how the status of a panel differs from the one before.
type Change struct {
	Segment  int                `json:"segment"`
	Sub      int                `json:"sub,omitempty"`
	ID       string             `json:"id"`
	GainMode string             `json:"gain_mode,omitempty"`
	Diff     status.Differences `json:"difference"`
}

// Again judges what the tasks of plan p have counted by the rules of q, which is p.WithRules: from the
// merged planes, without raw data. The summary's Changes are against the rules of the last reduction of
// this work directory. With opt.Repo nil nothing is written.
func Again(ctx context.Context, work string, p, q *plan.Plan, opt Options) (*Summary, error) {
	before, err := InForce(work, p)
	if err != nil {
		return nil, err
	}
	sum := newSummary(work, q)
	dirs := repo.PanelDirs(p.Dataset.Panels)
	if err := CheckProducts(q, opt.Products.Names); err != nil {
		return nil, err
	}
	if err := mayReplace(q, opt.Repo, dirs, opt.Replace); err != nil {
		return nil, err
	}
	out := newProducts(work, q, opt, dirs)
	for g := range p.Groups {
		units, in, err := loadGroup(ctx, p, g, judgedBytes, func(unit int) (planes, error) { return stored(work, p, unit) })
		if err != nil {
			return nil, err
		}
		if gatesOnly(p, units) {
			continue
		}
		if err := noteBlanks(q, units, in); err != nil {
			return nil, err
		}
		if err := sameGoodFrames(p, q, units, in); err != nil {
			return nil, err
		}
		was, err := judge(before, units, in)
		if err != nil {
			return nil, err
		}
		is, err := judge(q, units, in)
		if err != nil {
			return nil, err
		}
		for i, u := range units {
			d, err := is.panels[i].Bad.Compare(was.panels[i].Bad)
			if err != nil {
				return nil, err
			}
			panel := p.Panel(u)
			sum.Changes = append(sum.Changes, Change{Segment: panel.Segment, Sub: panel.Sub, ID: panel.ID, GainMode: p.Groups[g].GainMode,
				Diff: d.Table(q.Params.Family())})
		}
		if err := sum.write(ctx, q, opt.Repo, opt.Replace, out, g, units, is); err != nil {
			return nil, err
		}
	}
	sum.Incomplete = q.Incomplete
	if opt.Repo == nil {
		return sum, nil
	}
	if err := sum.merge(ctx, out); err != nil {
		return nil, err
	}
	return sum, sum.save(work, opt.Mode)
}

// sameGoodFrames refuses rules by which other frames would have been good than those the planes are made
// of.
func sameGoodFrames(p, q *plan.Plan, units []int, in []planes) error {
	if !p.Params.Has(1) || !p.Params.Has(2) && !p.Params.Has(3) && !p.Params.Has(6) {
		return nil
	}
	for i, u := range units {
		was, _ := feature.GoodFrames(in[i].series, p.Params.Feature())
		is, _ := feature.GoodFrames(in[i].series, q.Params.Feature())
		if !slices.Equal(was, is) {
			return needsRawData(p.UnitName(u), p.Params.SNRMax, q.Params.SNRMax, was, is)
		}
	}
	return nil
}

func needsRawData(unit string, snrWas, snrIs float64, was, is []bool) error {
	count := func(list []bool) (n int) {
		for _, good := range list {
			if good {
				n++
			}
		}
		return n
	}
	return fault.New(fault.Usage, "%s: with snrmax = %v feature 1 takes other frames (%d of %d good) than those that were counted (%d, snrmax = %v): raw data must be read again",
		unit, snrIs, count(is), len(is), count(was), snrWas).
		WithHint("make a new plan with --snrmax %v", snrIs)
}
