package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/open"
	"rawstatus/internal/shard/plan"
)

// schema is the version of job.json.
const schema = 1

// Request is all that decides the plan of a job. Its paths are absolute.
type Request struct {
	Data       open.Dataset  `json:"data"`
	Settle     time.Duration `json:"settle"` // how long a file without end of run must not change
	AllHeaders bool          `json:"all_headers,omitempty"`
	Read       string        `json:"read,omitempty"` // way of reading files while planning
	Params     plan.Params   `json:"params"`
	Cut        plan.Options  `json:"cut"`
}

// Job is a plan in a work directory with the request that it was made from.
type Job struct {
	Work    string
	Request Request
	Plan    *plan.Plan

	index []byte // of the plan, until Save
}

// record is job.json.
type record struct {
	Schema  int     `json:"schema"`
	Plan    string  `json:"plan"` // id of the plan that was made from the request
	Request Request `json:"request"`
}

func recordPath(work string) string { return filepath.Join(work, "job.json") }

// Save stores request and plan in the work directory. A directory that already holds this very plan with its index
// keeps them.
func (j *Job) Save(ctx context.Context, mode fs.FileMode) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := atomicfile.MkdirAll(j.Work, 0o2775, nil); err != nil {
		return fmt.Errorf("could not make the work directory: %w", err)
	}
	b, err := json.MarshalIndent(record{schema, j.Plan.ID, j.Request}, "", " ")
	if err != nil {
		return fmt.Errorf("job: could not encode the request: %w", err)
	}
	if err := atomicfile.WriteFile(recordPath(j.Work), atomicfile.Options{Mode: mode}, append(b, '\n')); err != nil {
		return err
	}
	if old, err := plan.Load(j.Work); err == nil && old.ID == j.Plan.ID {
		if _, err := old.OpenIndex(j.Work); err == nil {
			return nil
		}
	}
	return plan.Save(j.Work, j.Plan, j.index, mode)
}

// Open reads the job in a work directory.
func Open(work string) (*Job, error) {
	p, err := plan.Load(work)
	if err != nil {
		return nil, err
	}
	path := recordPath(work)
	again := func(format string, args ...any) error {
		return fault.New(fault.Input, "%s: "+format, append([]any{path}, args...)...).
			WithHint("make the plan again, with the flags that it was made with: rawstatus plan --work %s ...", work)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, again("the request of plan %.12s is not there", p.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("job: could not read the request: %w", err)
	}
	var r record
	switch err := json.Unmarshal(b, &r); {
	case err != nil:
		return nil, again("not a request: %v", err)
	case r.Schema != schema:
		return nil, again("schema %d, this program reads %d", r.Schema, schema)
	case r.Plan != p.ID:
		return nil, again("it is the request of plan %.12s, and the plan is %.12s", r.Plan, p.ID)
	}
	return &Job{Work: work, Request: r.Request, Plan: p}, nil
}

// Wrong returns what a task found to be wrong with the predictions of the plan in a work directory, nil if nothing was
// found. Such a plan cannot be done and is made again.
func Wrong(work string, p *plan.Plan) (*plan.WrongPrediction, error) {
	w, err := plan.LoadWrongPrediction(work)
	if err != nil || w == nil || w.Plan != p.ID {
		return nil, err
	}
	return w, nil
}
