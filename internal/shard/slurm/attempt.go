package slurm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
)

// recordSchema is the version of request.json and attempt-NNN.json.
const recordSchema = 2

// Request is a person's request at submission: all that decides the work of a plan's jobs and where results go. It
// does not change; another request has another id, and jobs of one do nothing for another.
type Request struct {
	Schema      int           `json:"schema"`
	Plan        string        `json:"plan"`
	Work        string        `json:"work"`
	Task        Resources     `json:"task"`
	Reduce      Resources     `json:"reduce"`
	Throttle    int           `json:"throttle"`     // tasks that run at a time, 0 = no limit
	MaxAttempts int           `json:"max_attempts"` // automatic ones
	MaxMemMB    int64         `json:"max_mem_mb"`   // memory is not raised beyond this, 0 = no limit
	MaxTime     time.Duration `json:"max_time"`
	SiteLines   []string      `json:"site_lines,omitempty"` // of the job scripts
	Program     string        `json:"-"`                    // path of rawstatus: this program, never one that a file names
	Results     job.Results   `json:"results"`
	Deploy      []string      `json:"deploy,omitempty"`  // words of mergedeploy; empty: no such job
	Waiting     string        `json:"waiting,omitempty"` // command that deploys, for a person who may; empty: none waits
	Post        bool          `json:"post,omitempty"`    // the logbook is told how it went
	Notify      bool          `json:"notify,omitempty"`  // and the hook of the site
	// Variables that jobs need of the submission's environment are kept here, since they may run without it: the table of progress,
	// and the settings in force as a site file.
	Counters string `json:"counters,omitempty"`
	Site     string `json:"site,omitempty"`
	// Unset are variables that would override settings.
	Unset []string `json:"unset,omitempty"`
}

// ID identifies the request by its content.
func (r *Request) ID() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic("slurm: a request does not encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Lines are the lines of the request in job scripts; site is where its settings are.
func (r *Request) Lines(site string) []string {
	if r.Site == "" {
		return r.SiteLines
	}
	return append(slices.Clone(r.SiteLines), "unset "+strings.Join(r.Unset, " "), "export RAWSTATUS_SITE="+Quote(site))
}

// Attempt is one submission: the tasks it does and the jobs that do them.
type Attempt struct {
	Claim
	Schema  int       `json:"schema"`
	Number  int       `json:"number"`
	Plan    string    `json:"plan"`
	Request string    `json:"request"`
	Try     int       `json:"try"` // 1 when a person submits, one more each time a repair job does
	Reasons []Reason  `json:"reasons,omitempty"`
	Task    Resources `json:"task"`
	Reduce  Resources `json:"reduce"`
	// After are array jobs of earlier attempts that are still at work on tasks of the plan.
	After  []int   `json:"after,omitempty"`
	Chunks []Chunk `json:"chunks"`
	// DeployAlone: the results are there, and only their deployment is missing.
	DeployAlone bool `json:"deploy_alone,omitempty"`
	ReduceJob   int  `json:"reduce_job"` // 0 while not submitted
	RepairJob   int  `json:"repair_job,omitempty"`
	DeployJob   int  `json:"deploy_job,omitempty"`
	PostJob     int  `json:"post_job,omitempty"`
	// Cancelled says who cancelled the jobs with `rawstatus cancel` or --replace: none of them goes on.
	Cancelled string `json:"cancelled,omitempty"`
}

// Reason says why a task is submitted again.
type Reason struct {
	Task int    `json:"task"`
	Text string `json:"text"`
}

// Arrays returns the ids of the array jobs.
func (a *Attempt) Arrays() []int {
	var ids []int
	for _, c := range a.Chunks {
		if c.Job != 0 {
			ids = append(ids, c.Job)
		}
	}
	return ids
}

// Jobs returns the ids of all jobs that are submitted.
func (a *Attempt) Jobs() []int {
	ids := a.Arrays()
	for _, id := range []int{a.ReduceJob, a.RepairJob, a.DeployJob, a.PostJob} {
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Element returns the array element that does a task in this attempt.
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
	return fmt.Sprintf("rs-%.8s-%d-%s", a.Request, a.Number, part)
}

func chunkPart(i int) string { return fmt.Sprintf("tasks%d", i) }

// Dir is where the records, scripts and logs of a plan's jobs are.
func Dir(work string, p *plan.Plan) string { return filepath.Join(work, "slurm", p.ID[:12]) }

// RequestDir is where a request is kept with its job scripts, the settings of its jobs and what came of its deployment.
func RequestDir(work string, p *plan.Plan, id string) string {
	return filepath.Join(Dir(work, p), id[:12])
}

func requestPath(work string, p *plan.Plan, id string) string {
	return filepath.Join(RequestDir(work, p, id), "request.json")
}

func sitePath(work string, p *plan.Plan, id string) string {
	return filepath.Join(RequestDir(work, p, id), "site.toml")
}

func attemptPath(work string, p *plan.Plan, n int) string {
	return filepath.Join(Dir(work, p), fmt.Sprintf("attempt-%03d.json", n))
}

// Complete fills in what the request is for.
func (c *Chain) Complete() {
	c.Request.Schema, c.Request.Plan, c.Request.Work = recordSchema, c.Plan.ID, c.Work
}

// SaveRequest completes what the user asked for and stores it.
func (c *Chain) SaveRequest() error {
	c.Complete()
	r := &c.Request
	id := r.ID()
	for _, dir := range []string{filepath.Join(Dir(c.Work, c.Plan), "log"), RequestDir(c.Work, c.Plan, id)} {
		if err := atomicfile.MkdirAll(dir, 0o2775, nil); err != nil {
			return err
		}
	}
	if err := WriteText(sitePath(c.Work, c.Plan, id), r.Site); err != nil {
		return err
	}
	return WriteRecord(requestPath(c.Work, c.Plan, id), r, false)
}

// Self returns the path of this program, which jobs run.
func Self() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("could not find the path of this program: %w", err)
	}
	return self, nil
}

// LoadRequest reads the request that the latest attempt at a plan works for.
func LoadRequest(work string, p *plan.Plan) (Request, error) {
	var r Request
	attempts, err := LoadAttempts(work, p)
	if err != nil {
		return r, err
	}
	if len(attempts) == 0 {
		return r, fault.New(fault.Usage, "the plan in %q was not submitted to Slurm", work).
			WithHint("submit it with `rawstatus submit --work %s`, or do it here with `rawstatus task --task all %s && rawstatus reduce %s`", Quote(work), Quote(work), Quote(work))
	}
	path := requestPath(work, p, attempts[len(attempts)-1].Request)
	if err := ReadRecord(path, &r); err != nil {
		return r, err
	}
	if r.Schema != recordSchema {
		return r, fault.New(fault.Input, "%s has schema %d, this program reads %d", path, r.Schema, recordSchema).
			WithHint("use the version of rawstatus that submitted the jobs")
	}
	r.Program, err = Self()
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
		if a.Schema != recordSchema || a.Number != n || a.Plan != p.ID || len(a.Request) != 2*sha256.Size {
			return nil, fault.New(fault.Input, "%s is not attempt %d at plan %.12s", attemptPath(work, p, n), n, p.ID).
				WithHint("it was left by another version, or changed: submit into another work directory with --work")
		}
		all = append(all, a)
	}
}

// claim creates the record of an attempt. It fails with fault.Busy if somebody else was faster.
func (c *Chain) claim(a *Attempt) error {
	work, p := c.Work, c.Plan
	a.Schema, a.Plan, a.Claim = recordSchema, p.ID, c.Client.NewClaim()
	err := WriteRecord(attemptPath(work, p, a.Number), a, true)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Busy, "attempt %d at plan %.12s is being submitted by somebody else", a.Number, p.ID).
			WithHint("see what happens with `rawstatus status %s`", Quote(work))
	}
	return err
}

func (a *Attempt) save(work string, p *plan.Plan) error {
	return WriteRecord(attemptPath(work, p, a.Number), a, false)
}
