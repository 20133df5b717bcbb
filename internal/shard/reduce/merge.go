package reduce

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
	"rawstatus/internal/stats/plane"
)

// MergedSchema is the version of a merged file's head and arrays.
const MergedSchema = 1

const mergedKind = "merged"

// MergedHead is the head of a merged file: all planes of one panel in one group. It does not name the
// plan, so its bytes do not depend on how the work was cut. Arrays are named as the planes, their attr
// is the plane.Op.
type MergedHead struct {
	Schema   int    `json:"schema"`
	Input    string `json:"input"` // plan.Plan.Input
	Detector string `json:"detector"`
	Segment  int    `json:"segment"`
	Sub      int    `json:"sub,omitempty"`
	GainMode string `json:"gain_mode,omitempty"`
	Steps    []int  `json:"steps"`
	Rows     int    `json:"rows"`
	Cols     int    `json:"cols"`
	Frames   uint64 `json:"frames"`
}

// mergeUnit merges the shards of a unit from their partials. nil: the unit has no frame.
func mergeUnit(work string, p *plan.Plan, unit int) (*plane.Set, error) {
	var whole *plane.Set
	for t := range p.Tasks {
		part, err := unitOfTask(work, p, t, unit)
		switch {
		case err != nil:
			return nil, err
		case part == nil:
		case whole == nil:
			whole = part
		default:
			if err := plane.Merge(whole, part); err != nil {
				return nil, fmt.Errorf("could not merge %s: %w", p.UnitName(unit), err)
			}
		}
	}
	return whole, nil
}

// unitOfTask merges the shards of a unit that one task did; nil if it did none.
func unitOfTask(work string, p *plan.Plan, t, unit int) (*plane.Set, error) {
	var whole *plane.Set
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
		part, err := q.Planes(p, s)
		if err != nil {
			return nil, err
		}
		if whole == nil {
			whole = part
		} else if err := plane.Merge(whole, part); err != nil {
			return nil, fmt.Errorf("could not merge %s: %w", p.UnitName(unit), err)
		}
	}
	return whole, nil
}

// saveMerged keeps the merged planes of a unit, from which limits can be evaluated again without raw
// data.
func saveMerged(work string, p *plan.Plan, unit int, set *plane.Set, mode fs.FileMode) error {
	u := p.Units[unit]
	panel, g := p.Dataset.Panels[u.Panel], p.Groups[u.Group]
	head := MergedHead{Schema: MergedSchema, Input: p.Input, Detector: panel.Detector, Segment: panel.Segment, Sub: panel.Sub,
		GainMode: g.GainMode, Steps: g.Steps, Rows: panel.Rows, Cols: panel.Cols, Frames: set.Frames}
	path := p.MergedFile(work, unit)
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o2775, nil); err != nil {
		return err
	}
	return pack.WriteFile(path, atomicfile.Options{Mode: mode}, mergedKind, func(out *pack.Writer) (any, error) {
		return head, task.AddPlanes(out, "", set)
	})
}
