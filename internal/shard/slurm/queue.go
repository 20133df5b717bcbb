package slurm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

// Queue is a directory whose work Slurm does: the work directory of one run, or a campaign of many.
type Queue struct {
	Client  *Client    // nil where only files are looked at
	Dir     string     // absolute
	Request Request    // of the next submission
	Plan    *plan.Plan // of the one run; the items of a campaign have their own
	Locked  bool       // the caller holds the lock of the directory
	Name    string     // of a campaign; empty: there is one run
	Items   []Item
	MaxJobs int // of a campaign: array elements and others, queued or running at a time

	plans     map[string]*Partials
	summaries map[string]*reduce.Summary
}

// Item is one run, detector and profile.
type Item struct {
	Experiment string   `json:"exp"`
	Run        int      `json:"run"`
	Dir        string   `json:"dir,omitempty"`
	Detector   string   `json:"detector"`
	Profile    string   `json:"profile"`
	Tag        string   `json:"tag,omitempty"`
	Options    []string `json:"options,omitempty"` // of `rawstatus plan`
	Deploy     bool     `json:"deploy,omitempty"`
}

// Key names an item and its directory below that of the campaign. The one run of a work directory is an item without name.
func (it Item) Key() string {
	if it.Detector == "" {
		return "."
	}
	return fmt.Sprintf("%s-r%04d-%s-%s", it.Experiment, it.Run, it.Detector, it.Profile)
}

// record is campaign.json.
type record struct {
	Schema  int     `json:"schema"`
	Name    string  `json:"name"`
	Items   []Item  `json:"items"`
	Request Request `json:"request"`
	MaxJobs int     `json:"max_jobs"`
}

func recordPath(dir string) string { return filepath.Join(dir, "campaign.json") }

// IsCampaign reports whether a directory is a campaign.
func IsCampaign(dir string) bool {
	var r record
	return ReadRecord(recordPath(dir), &r) == nil && r.Schema != 0
}

// CreateCampaign makes or updates the campaign in a directory. What was done for items that stay is kept.
func CreateCampaign(client *Client, dir, name string, items []Item, request Request, maxJobs int) (*Queue, error) {
	if maxJobs < 2 {
		return nil, fault.New(fault.Usage, "a campaign needs at least 2 jobs: one that works and one that goes on after it")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("slurm: %w", err)
	}
	for i := range items { // later steps are made in other folders
		if d := &items[i].Dir; *d != "" {
			if *d, err = filepath.Abs(*d); err != nil {
				return nil, fmt.Errorf("slurm: %w", err)
			}
		}
	}
	var old record
	switch err := ReadRecord(recordPath(dir), &old); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case old.Name != name:
		return nil, fault.New(fault.Usage, "%s is the directory of campaign %q, not of %q", dir, old.Name, name).
			WithHint("give another directory with --work")
	}
	q := &Queue{Client: client, Dir: dir, Name: name, Items: items, Request: request, MaxJobs: maxJobs}
	if err := q.SaveRequest(); err != nil {
		return nil, err
	}
	return q, WriteRecord(recordPath(dir), record{recordSchema, name, items, q.Request, maxJobs}, false)
}

// Open loads what is in the directory of the queue: a campaign, or a plan that was submitted before.
func (q *Queue) Open(client *Client) (err error) {
	q.Client, q.Items = client, make([]Item, 1)
	if q.Dir, err = filepath.Abs(q.Dir); err != nil {
		return fmt.Errorf("slurm: %w", err)
	}
	var r record
	switch err := ReadRecord(recordPath(q.Dir), &r); {
	case errors.Is(err, fs.ErrNotExist):
		return q.openSingle()
	case err != nil:
		return err
	case r.Schema != recordSchema:
		return fault.New(fault.Input, "%s has schema %d, this program reads %d", recordPath(q.Dir), r.Schema, recordSchema)
	}
	q.Name, q.Items, q.Request, q.MaxJobs = r.Name, r.Items, r.Request, r.MaxJobs
	q.Request.Program, err = Self()
	return err
}

// openSingle loads the plan of the work directory and the request that its latest attempt works for.
func (q *Queue) openSingle() (err error) {
	if q.Plan, err = plan.Load(q.Dir); err != nil {
		return err
	}
	last, err := q.last()
	if err != nil {
		return err
	}
	if last == nil {
		dir := Quote(q.Dir)
		return fault.New(fault.Usage, "the plan in %q was not submitted to Slurm", q.Dir).
			WithHint("submit it with `rawstatus submit --work %s`, or do it here with `rawstatus task --task all %s && rawstatus reduce %s`", dir, dir, dir)
	}
	q.Request, err = loadRequest(q.Dir, last.Request)
	return err
}

// Complete fills in what the request is for.
func (q *Queue) Complete() {
	q.Request.Schema, q.Request.Work = recordSchema, q.Dir
	if !q.packed() {
		q.Request.Plan = q.Plan.ID
	}
}

// packed reports whether the tasks of many items share job arrays. Those of one run are handed over as a chain of jobs, which needs
// nobody between its links.
func (q *Queue) packed() bool { return q.Name != "" }

// Work returns the work directory of an item.
func (q *Queue) Work(key string) string { return filepath.Join(q.Dir, key) }

// plan returns the plan of an item with its partials; nil when there is none. It is read again when it was made again.
func (q *Queue) plan(key string) (*Partials, error) {
	work := q.Work(key)
	st, err := os.Stat(filepath.Join(work, "plan.json"))
	if errors.Is(err, fs.ErrNotExist) && !q.packed() {
		return &Partials{Work: work, Plan: q.Plan}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("slurm: %w", err)
	}
	now := stamp{st.Size(), st.ModTime()}
	if p := q.plans[key]; p != nil && p.stamp == now {
		return p, nil
	}
	p, err := plan.Load(work)
	if err != nil {
		return nil, err
	}
	if q.plans == nil {
		q.plans = map[string]*Partials{}
	}
	q.plans[key] = &Partials{Work: work, Plan: p, stamp: now}
	delete(q.summaries, key)
	return q.plans[key], nil
}

// summary returns what the reduction of an item found, or why its results are not there.
func (q *Queue) summary(key string, p *plan.Plan) (*reduce.Summary, error) {
	if s := q.summaries[key]; s != nil && s.Plan == p.ID {
		return s, nil
	}
	s, err := Reduced(q.Work(key), p, q.Request.Results.Repository)
	if err == nil && q.packed() { // results of one run may go while they are looked at, and are few
		if q.summaries == nil {
			q.summaries = map[string]*reduce.Summary{}
		}
		q.summaries[key] = s
	}
	return s, err
}

// deploymentID identifies the deployment of an item's results: what, and where to.
func (q *Queue) deploymentID(it Item, p *plan.Plan) string {
	if !q.packed() {
		return q.Request.ID()
	}
	return hash("deployment", []any{q.Dir, it, p.ID, q.Request.Deploy})
}
