// Package reduce turns the partials of a plan into pixel status: it checks that all are there, merges
// them, evaluates the rules and writes the constants repository, a summary and a log.
package reduce

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
)

// Options say where results go.
type Options struct {
	Repo    *repo.Repo
	Replace bool        // replace status files of another profile
	Mode    fs.FileMode // of files in the work directory, 0 = 0664
}

// Run reduces the partials of a plan. On an error nothing half-written is left; files already complete
// stay and are written again, the same, by the next call.
func Run(ctx context.Context, work string, p *plan.Plan, opt Options) (*Summary, error) {
	if lacks := Lacking(work, p); len(lacks) > 0 {
		return nil, incomplete(work, p, lacks)
	}
	sum := newSummary(work, p)
	dirs := repo.PanelDirs(p.Dataset.Panels)
	for g := range p.Groups {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		units, res, err := judge(work, p, g, opt.Mode)
		if err != nil {
			return nil, err
		}
		gs := groupSummary(p, g, units, res)
		for i, u := range units {
			path, warnings, err := opt.Repo.WriteStatus(ctx, statusFile(p, u, dirs), res.Panels[i].Status, sidecar(p, u, i, res), opt.Replace)
			if err != nil {
				return nil, fmt.Errorf("could not write the status of %s: %w", p.UnitName(u), err)
			}
			gs.Panels[i].File = path
			for _, w := range warnings {
				if !slices.Contains(sum.Warnings, w) {
					sum.Warnings = append(sum.Warnings, w)
				}
			}
		}
		sum.Groups = append(sum.Groups, gs)
	}
	return sum, sum.save(work, opt.Mode)
}

// judge merges the planes of all units of a group, keeps them, and evaluates the rules.
func judge(work string, p *plan.Plan, group int, mode fs.FileMode) (units []int, res *status.DarkResult, err error) {
	var panels []status.PanelPlanes
	for u := range p.Units {
		if p.Units[u].Group != group {
			continue
		}
		set, err := mergeUnit(work, p, u)
		if err != nil {
			return nil, nil, err
		}
		panel := p.Dataset.Panels[p.Units[u].Panel]
		units = append(units, u)
		if set == nil {
			panels = append(panels, status.AbsentPanel(panel.Rows, panel.Cols))
			continue
		}
		if err := saveMerged(work, p, u, set, mode); err != nil {
			return nil, nil, fmt.Errorf("could not keep the merged planes of %s: %w", p.UnitName(u), err)
		}
		planes, err := planesFor(p, set, panel.Rows, panel.Cols)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", p.UnitName(u), err)
		}
		panels = append(panels, planes)
	}
	if res, err = status.EvalDark(panels, rules(p)); err != nil {
		return nil, nil, fmt.Errorf("could not evaluate %s: %w", p.Dataset.Detector, err)
	}
	return units, res, nil
}

// planesFor gives the planes as the rules want them. Profile data stores no sum0: every frame counts.
func planesFor(p *plan.Plan, set *plane.Set, rows, cols int) (status.PanelPlanes, error) {
	if !p.Params.Gated() {
		sum0 := make([]uint32, rows*cols)
		for i := range sum0 {
			sum0[i] = uint32(set.Frames)
		}
		set.Planes = append(set.Planes, plane.Plane{Name: plane.Sum0, Op: plane.Sum, Data: sum0})
	}
	return status.PanelFromSet(set, rows, cols)
}

// rules are the parameters of the rules of a plan.
func rules(p *plan.Plan) status.DarkParams {
	par := p.Params
	family, _ := detector.Lookup(p.Dataset.Type)
	return status.DarkParams{
		Profile: status.Profile(par.Profile), Scope: status.Scope(par.LimitsPer), Method: status.MeanStd,
		IntLo: par.IntLo, IntHi: par.IntHi, IntNLo: par.IntNLo, IntNHi: par.IntNHi,
		RmsLo: par.RmsLo, RmsHi: par.RmsHi, RmsNLo: par.RmsNLo, RmsNHi: par.RmsNHi,
		FracLm: par.FracLm, MinFrames: uint64(par.MinFrames), ASICRows: family.ASICRows, ASICCols: family.ASICCols,
	}
}
