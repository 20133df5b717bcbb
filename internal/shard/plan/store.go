package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// Files of a work directory.
const (
	planFile  = "plan.json"
	indexFile = "index.pack"
)

// TaskFile returns the path of a task's partial.
func TaskFile(work string, task int) string {
	return filepath.Join(work, "tasks", fmt.Sprintf("task-%05d.pack", task))
}

// MergedFile returns the path of the merged planes of a unit.
func (p *Plan) MergedFile(work string, unit int) string {
	u := p.Units[unit]
	panel := p.Dataset.Panels[u.Panel]
	name := fmt.Sprintf("seg%02d", panel.Segment)
	if panel.Sub > 0 {
		name += fmt.Sprintf(".%d", panel.Sub)
	}
	if m := p.Groups[u.Group].GainMode; m != "" {
		name += "_" + m
	}
	return filepath.Join(work, "merged", name+".pack")
}

// SummaryFile returns the path of the reduce step's summary.
func SummaryFile(work string) string { return filepath.Join(work, "summary.json") }

// Save writes plan and index to the work directory, the plan last, so a plan's index is always there.
func Save(work string, p *Plan, index []byte, mode fs.FileMode) error {
	if err := atomicfile.WriteFile(filepath.Join(work, indexFile), atomicfile.Options{Mode: mode}, index); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("plan: could not encode: %w", err)
	}
	return atomicfile.WriteFile(filepath.Join(work, planFile), atomicfile.Options{Mode: mode}, append(b, '\n'))
}

// Load reads and checks the plan of a work directory.
func Load(work string) (*Plan, error) {
	path := filepath.Join(work, planFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Usage, "no plan in work directory %q", work).WithHint("make one with `rawstatus plan --work %s ...`", work)
	}
	if err != nil {
		return nil, fmt.Errorf("plan: could not read: %w", err)
	}
	broken := func(format string, args ...any) error {
		return fault.New(fault.Input, "plan %q: %s", path, fmt.Sprintf(format, args...)).WithHint("make the plan again with `rawstatus plan`")
	}
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, broken("not JSON: %v", err)
	}
	if head.Schema != Schema {
		return nil, broken("schema %d, this program reads schema %d", head.Schema, Schema)
	}
	var p Plan
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, broken("%v", err)
	}
	id := p.ID
	if err := p.seal(); err != nil {
		return nil, err
	}
	if p.ID != id {
		return nil, broken("content does not match its id %.12s: it was edited or damaged", id)
	}
	return &p, nil
}
