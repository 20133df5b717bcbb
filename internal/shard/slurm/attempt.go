package slurm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/plan"
)

// recordSchema is the version of request.json and attempt-NNN.json.
const recordSchema = 1

// Request is what every attempt at a plan starts from: what the user asked for at submission.
type Request struct {
	Schema      int           `json:"schema"`
	Task        Resources     `json:"task"`
	Reduce      Resources     `json:"reduce"`
	Throttle    int           `json:"throttle"`     // tasks that run at a time, 0 = no limit
	MaxAttempts int           `json:"max_attempts"` // automatic ones
	MaxMemMB    int64         `json:"max_mem_mb"`   // memory is not raised beyond this, 0 = no limit
	MaxTime     time.Duration `json:"max_time"`
	SiteLines   []string      `json:"site_lines,omitempty"` // of the job scripts
	Program     string        `json:"-"`                    // path of rawstatus: this program, never one that a file names
	ReduceWords []string      `json:"reduce_words,omitempty"`
	Command     []string      `json:"command,omitempty"` // words of the submission, for a plan that has to be made again
	Folder      string        `json:"folder,omitempty"`  // where it was given
	Deploy      []string      `json:"deploy,omitempty"`  // words of mergedeploy; empty: no such job
	Waiting     string        `json:"waiting,omitempty"` // command that deploys, for a person who may; empty: none waits
	Post        bool          `json:"post,omitempty"`    // the logbook is told how it went
	// Counters is the table of progress, kept here since jobs may run without the environment of the submission.
	Counters string `json:"counters,omitempty"`
}

// Attempt is one submission: the tasks it does and the jobs that do them.
type Attempt struct {
	Claim
	Schema  int       `json:"schema"`
	Number  int       `json:"number"`
	Plan    string    `json:"plan"`
	Try     int       `json:"try"` // 1 when a person submits, one more each time a repair job does
	Reasons []Reason  `json:"reasons,omitempty"`
	Task    Resources `json:"task"`
	Reduce  Resources `json:"reduce"`
	// After are array jobs of earlier attempts that are still at work on tasks of the plan.
	After     []int   `json:"after,omitempty"`
	Chunks    []Chunk `json:"chunks"`
	ReduceJob int     `json:"reduce_job"` // 0 while not submitted
	RepairJob int     `json:"repair_job,omitempty"`
	DeployJob int     `json:"deploy_job,omitempty"`
	PostJob   int     `json:"post_job,omitempty"`
}

// Reason says why a task is submitted again.
type Reason struct {
	Task int    `json:"task"`
	Text string `json:"text"`
}

// Arrays gives the ids of the array jobs.
func (a *Attempt) Arrays() []int {
	var ids []int
	for _, c := range a.Chunks {
		if c.Job != 0 {
			ids = append(ids, c.Job)
		}
	}
	return ids
}

// Jobs gives the ids of all jobs that are submitted.
func (a *Attempt) Jobs() []int {
	ids := a.Arrays()
	for _, id := range []int{a.ReduceJob, a.RepairJob, a.DeployJob, a.PostJob} {
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Element gives the array element that does a task in this attempt.
func (a *Attempt) Element(task int) (ElementID, bool) {
	for _, c := range a.Chunks {
		for _, i := range c.Indices {
			if c.Offset+i == task {
				return ElementID{c.Job, i}, true
			}
		}
	}
	return ElementID{}, false
}

// Name is the name of one of the attempt's jobs. It is how jobs are found whose submitter died before it could write
// down their ids.
func (a *Attempt) Name(part string) string {
	return fmt.Sprintf("rs-%.8s-%d-%s", a.Plan, a.Number, part)
}

func chunkPart(i int) string { return fmt.Sprintf("tasks%d", i) }

// Dir is where the records, scripts and logs of a plan's jobs are.
func Dir(work string, p *plan.Plan) string { return filepath.Join(work, "slurm", p.ID[:12]) }

func requestPath(work string, p *plan.Plan) string {
	return filepath.Join(Dir(work, p), "request.json")
}

func attemptPath(work string, p *plan.Plan, n int) string {
	return filepath.Join(Dir(work, p), fmt.Sprintf("attempt-%03d.json", n))
}

// SaveRequest stores what the user asked for.
func SaveRequest(work string, p *plan.Plan, r Request) error {
	r.Schema = recordSchema
	if err := atomicfile.MkdirAll(filepath.Join(Dir(work, p), "log"), 0o2775, nil); err != nil {
		return err
	}
	return WriteRecord(requestPath(work, p), r, false)
}

// Self returns the path of this program, which jobs run.
func Self() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("could not find the path of this program: %w", err)
	}
	return self, nil
}

// LoadRequest reads what the user asked for.
func LoadRequest(work string, p *plan.Plan) (Request, error) {
	var r Request
	err := ReadRecord(requestPath(work, p), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fault.New(fault.Usage, "the plan in %q was not submitted to Slurm", work).
			WithHint("submit it with `rawstatus submit --work %s`, or see its state with `rawstatus reduce --work %s`", work, work)
	}
	if err == nil {
		r.Program, err = Self()
	}
	if err == nil && r.Schema != recordSchema {
		err = fault.New(fault.Input, "%s has schema %d, this program reads %d", requestPath(work, p), r.Schema, recordSchema).
			WithHint("use the version of rawstatus that submitted the jobs")
	}
	return r, err
}

// LoadAttempts reads the attempts at a plan in order.
func LoadAttempts(work string, p *plan.Plan) ([]*Attempt, error) {
	var all []*Attempt
	for n := 1; ; n++ {
		a := &Attempt{}
		err := ReadRecord(attemptPath(work, p, n), a)
		if errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if a.Schema != recordSchema || a.Number != n || a.Plan != p.ID {
			return nil, fault.New(fault.Input, "%s is not attempt %d at plan %.12s", attemptPath(work, p, n), n, p.ID)
		}
		all = append(all, a)
	}
}

// claim creates the record of an attempt. It fails with fault.Busy if somebody else was faster.
func (a *Attempt) claim(work string, p *plan.Plan) error {
	a.Schema, a.Plan = recordSchema, p.ID
	var err error
	if a.Claim, err = NewClaim(); err != nil {
		return err
	}
	err = WriteRecord(attemptPath(work, p, a.Number), a, true)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Busy, "attempt %d at plan %.12s is being submitted by somebody else", a.Number, p.ID).
			WithHint("see what happens with `rawstatus status %s`", work)
	}
	return err
}

func (a *Attempt) save(work string, p *plan.Plan) error {
	return WriteRecord(attemptPath(work, p, a.Number), a, false)
}
