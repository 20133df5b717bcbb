// Package reduce turns the partials of a plan into pixel status: it checks that all are there, merges
// them, evaluates the rules and writes the constants repository, a summary and a log.
package reduce

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
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
	return write(ctx, work, p, opt, func(unit int) (planes, error) {
		in, err := mergePartials(work, p, unit)
		if err == nil && in.set != nil {
			if err = saveMerged(work, p, unit, in, opt.Mode); err != nil {
				err = fmt.Errorf("could not keep the merged planes of %s: %w", p.UnitName(unit), err)
			}
		}
		return in, err
	})
}

// mergePartials gives what a unit is judged by, from the partials.
func mergePartials(work string, p *plan.Plan, unit int) (in planes, err error) {
	if in.set, err = mergeUnit(work, p, unit); err != nil || in.set == nil {
		return in, err
	}
	if p.Params.Has(1) {
		in.series, err = task.Series(work, p, unit)
	}
	return in, err
}

// write judges group by group, and writes status files and summary.
func write(ctx context.Context, work string, p *plan.Plan, opt Options, load func(unit int) (planes, error)) (*Summary, error) {
	sum := newSummary(work, p)
	dirs := repo.PanelDirs(p.Dataset.Panels)
	for g := range p.Groups {
		units, v, err := judgeGroup(ctx, p, g, load)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		gs := groupSummary(p, g, units, v)
		for i, u := range units {
			path, warnings, err := opt.Repo.WriteStatus(ctx, statusFile(p, u, dirs), v.panels[i].status, sidecar(p, u, i, v), opt.Replace)
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

// judgeGroup loads and judges the units of a group. nil: the job only makes gates and judges nothing.
func judgeGroup(ctx context.Context, p *plan.Plan, group int, load func(unit int) (planes, error)) (units []int, v *verdict, err error) {
	var in []planes
	gatesOnly := false
	for u := range p.Units {
		if p.Units[u].Group != group {
			continue
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		planes, err := load(u)
		if err != nil {
			return nil, nil, err
		}
		units, in = append(units, u), append(in, planes)
		gatesOnly = gatesOnly || p.Params.Sequence(p.Units[u].Selected).Stage1Only
	}
	if gatesOnly {
		return units, nil, nil
	}
	if v, err = judge(p, units, in); err != nil {
		return nil, nil, fmt.Errorf("could not judge %s: %w", p.Dataset.Detector, err)
	}
	return units, v, nil
}
