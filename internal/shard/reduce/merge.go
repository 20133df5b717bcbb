package reduce

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
)

// mergeUnit merges the shards of a unit from their partials: parts of its frames by the planes' rules,
// parts of its rows one below the other. nil: the unit has no frame.
func mergeUnit(work string, p *plan.Plan, unit int) (*plane.Set, error) {
	if p.Params.Charge() {
		return mergeCharge(work, p, unit)
	}
	var whole *plane.Set
	var bands []part
	for t := range p.Tasks {
		if p.Tasks[t].Stage != plan.StagePixels {
			continue
		}
		parts, err := unitOfTask(work, p, t, unit)
		if err != nil {
			return nil, err
		}
		for _, q := range parts {
			switch {
			case p.Shards[q.shard].BandHi > 0:
				bands = append(bands, q)
			case whole == nil:
				whole = q.set
			default:
				if err := plane.Merge(whole, q.set); err != nil {
					return nil, fmt.Errorf("could not merge %s: %w", p.UnitName(unit), err)
				}
			}
		}
	}
	if len(bands) == 0 {
		return whole, nil
	}
	slices.SortFunc(bands, func(a, b part) int { return a.shard - b.shard })
	sets := make([]*plane.Set, len(bands))
	for i := range bands {
		sets[i] = bands[i].set
	}
	return plane.Concat(sets)
}

// part is the contribution of one shard to a unit.
type part struct {
	shard int
	set   *plane.Set
}

// unitOfTask returns the parts of a unit that one task made.
func unitOfTask(work string, p *plan.Plan, t, unit int) ([]part, error) {
	var parts []part
	var q *task.Partial
	for _, s := range p.Tasks[t].Shards {
		if p.Shards[s].Unit != unit {
			continue
		}
		if q == nil {
			var err error
			if q, err = task.Open(work, p, t); err != nil {
				return nil, err
			}
			defer q.Close()
		}
		set, err := q.Planes(p, s)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{s, set})
	}
	return parts, nil
}

// saveMerged keeps the merged planes of a unit, from which limits can be evaluated again without raw
// data. Where they are those of one partial it gets a second name.
func saveMerged(work string, p *plan.Plan, unit int, in planes, mode fs.FileMode) error {
	path := p.MergedFile(work, unit)
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o2775, nil); err != nil {
		return err
	}
	if in.partial != "" && atomicfile.Link(path, in.partial) == nil {
		return nil
	}
	head := p.MergedHeadOf(unit, in.set)
	return pack.WriteFile(path, atomicfile.Options{Mode: mode}, plan.MergedKind, func(out *pack.Writer) (any, error) {
		if err := plan.AddPlanes(out, "", head.Frames, in.set); err != nil || in.series == nil {
			return head, err
		}
		return head, out.Add(pack.Named{Name: task.Median2, Attr: int(plane.Same), Data: in.series})
	})
}

// planes are the input of the judgement of a unit.
type planes struct {
	set    *plane.Set // nil: no frame
	series []uint32   // frame medians, with feature 1
	// partial is the file that has all of the set already as a merged file would; empty: there is none.
	partial string
	// dark is the measurement of profiles data and dark where the planes are not kept: set then has none, gain what
	// they say of gain bits, min and max the extremes where products are made of them.
	dark     *status.PanelResult
	gain     *GainWords
	min, max []uint16
}

// openMerged opens what saveMerged has kept of a unit.
func openMerged(work string, p *plan.Plan, unit int) (f *pack.File, head plan.MergedHead, err error) {
	path := p.MergedFile(work, unit)
	if f, err = pack.Open(path); err != nil {
		return nil, head, fmt.Errorf("no merged planes of %s: %w", p.UnitName(unit), err)
	}
	err = f.Head(&head)
	switch {
	case f.Kind() != plan.MergedKind:
		err = fault.New(fault.Input, "%q is a %s, not merged planes", path, f.Kind())
	case err == nil && (head.Schema != plan.MergedSchema || head.Input != p.Input):
		err = fault.New(fault.Input, "merged planes %q are not of plan %.12s", path, p.ID)
	}
	if err != nil {
		f.Close()
		return nil, head, err
	}
	return f, head, nil
}

// loadMerged reads back what saveMerged has kept: an empty set means that the unit has no frame.
func loadMerged(work string, p *plan.Plan, unit int) (in planes, err error) {
	if p.Units[unit].Selected == 0 {
		return in, nil
	}
	f, head, err := openMerged(work, p, unit)
	if err != nil {
		return in, err
	}
	defer f.Close()
	if in.set, err = plan.LoadPlanes(f.Reader, "", head.Frames, -1); err != nil {
		return in, err
	}
	in.set.Zeros, in.set.Stuck = head.Zeros, head.Stuck
	if i := slices.IndexFunc(in.set.Planes, func(q plane.Plane) bool { return q.Name == task.Median2 }); i >= 0 {
		in.series, _ = in.set.Planes[i].Data.([]uint32)
		in.set.Planes = slices.Delete(in.set.Planes, i, i+1)
	}
	return in, nil
}

// stored returns what a unit is judged by from the merged planes, or where they are not to be had, from the
// partials.
func stored(work string, p *plan.Plan, unit int) (planes, error) {
	in, unmerged := loadMerged(work, p, unit)
	if unmerged == nil {
		return in, nil
	}
	if lacks := Lacking(work, p); len(lacks) > 0 {
		return in, fmt.Errorf("%w; %w", unmerged, incomplete(work, p, lacks))
	}
	return mergePartials(work, p, unit)
}
