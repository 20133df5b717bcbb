package reduce

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/memory"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
)

// Options say where results go.
type Options struct {
	Repo    *repo.Repo
	Replace bool        // replace status files of another profile
	Mode    fs.FileMode // of files in the work directory, 0 = 0664
	// Products are the constants of a dark run that are written beside the status.
	Products ProductOptions
	// Progress, if any, is told of each unit of the plan that has been read, from many goroutines.
	Progress func(units int64)
}

// Run reduces the partials of a plan. On an error nothing half-written is left; files already complete
// stay and are written again, the same, by the next call.
func Run(ctx context.Context, work string, p *plan.Plan, opt Options) (*Summary, error) {
	if lacks := Lacking(work, p); len(lacks) > 0 {
		return nil, incomplete(work, p, lacks)
	}
	sum := newSummary(work, p)
	dirs := repo.PanelDirs(p.Dataset.Panels)
	if err := CheckProducts(p, opt.Products.Names); err != nil {
		return nil, err
	}
	if err := mayReplace(p, opt.Repo, dirs, opt.Replace); err != nil {
		return nil, err
	}
	out := newProducts(work, p, opt, dirs)
	m := newMeasurer(work, p, len(out.opt.Names) > 0)
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	for g := range p.Groups {
		units, in, err := loadGroup(ctx, p, g, m.bytes(), func(unit int) (planes, error) { return m.unit(unit, opt) })
		if err != nil {
			return nil, err
		}
		if gatesOnly(p, units) {
			continue
		}
		if err := noteBlanks(p, units, in); err != nil {
			return nil, err
		}
		v, err := judge(p, units, in)
		if err != nil {
			return nil, err
		}
		if err := sum.write(ctx, p, opt.Repo, opt.Replace, out, g, units, v); err != nil {
			return nil, err
		}
	}
	sum.Incomplete = p.Incomplete
	if err := sum.merge(ctx, out); err != nil {
		return nil, err
	}
	return sum, sum.save(work, opt.Mode)
}

// garbage is how much of the memory in use may be garbage, in percent: most of it is the same from the first group to
// the last.
const garbage = 25

// mergePartials returns what a unit is judged by, from the partials.
func mergePartials(work string, p *plan.Plan, unit int) (in planes, err error) {
	if in.set, err = mergeUnit(work, p, unit); err != nil || in.set == nil {
		return in, err
	}
	if p.Params.Has(1) {
		in.series, err = task.Series(work, p, unit)
	}
	return in, err
}

// loadGroup loads the units of a group, several at a time, of which a pixel takes so many bytes.
func loadGroup(ctx context.Context, p *plan.Plan, group int, perPixel int64, load func(unit int) (planes, error)) (units []int, in []planes, err error) {
	for u := range p.Units {
		if p.Units[u].Group == group {
			units = append(units, u)
		}
	}
	in = make([]planes, len(units))
	pixels := 0
	for _, u := range units {
		pixels += p.Pixels(u)
	}
	memory.Huge(int64(pixels) * perPixel)
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, u := range units {
		g.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			in[i], err = load(u)
			return err
		})
	}
	return units, in, g.Wait()
}

// Bytes of a pixel in memory: its planes and judgement, or what was measured of it.
const (
	judgedBytes   = 96
	measuredBytes = 24
)

// gatesOnly reports whether the job only makes gates for others and judges nothing.
func gatesOnly(p *plan.Plan, units []int) bool {
	return slices.ContainsFunc(units, func(u int) bool { return p.Params.Sequence(p.Units[u].Selected).Stage1Only })
}

// merge puts the products of gain modes and panels together.
func (s *Summary) merge(ctx context.Context, out *products) (err error) {
	s.Products, err = out.merge(ctx)
	s.Notes = append(slices.Clip(s.Notes), out.notes...)
	return err
}

// write puts the judgement of a group into the summary and, unless r is nil, into the repository.
func (s *Summary) write(ctx context.Context, p *plan.Plan, r *repo.Repo, replace bool, out *products, group int, units []int, v *judgement) error {
	gs := groupSummary(p, group, units, v)
	gs.Findings = findings(p, &gs, units, v)
	for _, f := range gs.Findings {
		s.Warnings = append(s.Warnings, f.String())
	}
	if r != nil {
		written, err := out.group(ctx, units, v)
		if err != nil {
			return err
		}
		for i := range units {
			gs.Panels[i].Constants = written[i]
		}
		warnings, err := writeStatus(ctx, p, r, replace, out.dirs, units, v, gs.Panels)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			if !slices.Contains(s.Warnings, w) {
				s.Warnings = append(s.Warnings, w)
			}
		}
	}
	s.Groups = append(s.Groups, gs)
	return nil
}

// writeStatus writes the status files of a group, some at a time, and notes their paths. New panels get their
// aliases before, in the order of the panels.
func writeStatus(ctx context.Context, p *plan.Plan, r *repo.Repo, replace bool, dirs []string, units []int, v *judgement, panels []PanelResult) (warnings []string, err error) {
	for _, u := range units {
		if err := r.EnsureAlias(ctx, statusFile(p, u, dirs)); err != nil {
			return nil, fmt.Errorf("could not write the status of %s: %w", p.UnitName(u), err)
		}
	}
	said := make([][]string, len(units))
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0)) // they wait for the disk
	for i, u := range units {
		g.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			sf := statusFile(p, u, dirs)
			panels[i].File, said[i], err = r.WriteStatus(ctx, sf, calibtxt.Sparse(v.panels[i].Bad), sidecar(p, u, i, v), replace)
			if err != nil {
				return fmt.Errorf("could not write the status of %s: %w", p.UnitName(u), err)
			}
			if write := v.panels[i].extra; write != nil {
				if panels[i].Constants, err = write(ctx, r, sf); err != nil {
					return fmt.Errorf("could not write the constants of %s: %w", p.UnitName(u), err)
				}
			}
			return nil
		})
	}
	err = g.Wait()
	return slices.Concat(said...), err
}
