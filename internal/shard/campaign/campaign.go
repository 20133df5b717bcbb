package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

// Record is campaign.json.
type Record struct {
	Schema  int           `json:"schema"`
	Name    string        `json:"name"`
	ID      string        `json:"id"`
	Items   []Item        `json:"items"`
	Request slurm.Request `json:"request"`
	MaxJobs int           `json:"max_jobs"` // array elements and others, queued or running at a time
}

// Campaign is an opened campaign.
type Campaign struct {
	Record
	Client *slurm.Client // nil where only files are looked at
	Dir    string        // absolute

	partials  map[string]*slurm.Partials
	summaries map[string]*reduce.Summary
}

func recordPath(dir string) string { return filepath.Join(dir, "campaign.json") }

// Is reports whether a directory is a campaign.
func Is(dir string) bool {
	var r Record
	return slurm.ReadRecord(recordPath(dir), &r) == nil && r.Schema != 0
}

// Create makes or updates the campaign in a directory. What was done for items that stay is kept.
func Create(client *slurm.Client, dir string, f *File, request slurm.Request, maxJobs int) (*Campaign, error) {
	items, err := f.Items()
	if err != nil {
		return nil, err
	}
	if maxJobs < 2 {
		return nil, fault.New(fault.Usage, "a campaign needs at least 2 jobs: one that works and one that goes on after it")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("campaign: %w", err)
	}
	for i := range items { // later steps are made in other folders
		if d := &items[i].Dir; *d != "" {
			if *d, err = filepath.Abs(*d); err != nil {
				return nil, fmt.Errorf("campaign: %w", err)
			}
		}
	}
	var old Record
	switch err := slurm.ReadRecord(recordPath(dir), &old); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case old.Name != f.Name:
		return nil, fault.New(fault.Usage, "%s is the directory of campaign %q, not of %q", dir, old.Name, f.Name).
			WithHint("give another directory with --work")
	}
	sum := sha256.Sum256([]byte(dir + "\x00" + f.Name))
	c := &Campaign{Client: client, Dir: dir, Record: Record{Schema: schema, Name: f.Name, ID: hex.EncodeToString(sum[:]), Items: items, Request: request, MaxJobs: maxJobs}}
	for _, sub := range []string{"waves", "log"} {
		if err := atomicfile.MkdirAll(filepath.Join(dir, sub), 0o2775, nil); err != nil {
			return nil, err
		}
	}
	return c, slurm.WriteRecord(recordPath(dir), c.Record, false)
}

// Open opens the campaign in a directory.
func Open(client *slurm.Client, dir string) (*Campaign, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("campaign: %w", err)
	}
	c := &Campaign{Client: client, Dir: abs}
	err = slurm.ReadRecord(recordPath(abs), &c.Record)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Usage, "no campaign in %s", dir).WithHint("start one with `rawstatus campaign FILE.toml`")
	case err != nil:
		return nil, err
	case c.Schema != schema:
		return nil, fault.New(fault.Input, "%s has schema %d, this program reads %d", recordPath(abs), c.Schema, schema)
	}
	c.Request.Program, err = slurm.Self()
	return c, err
}

// Work is the work directory of an item.
func (c *Campaign) Work(key string) string { return filepath.Join(c.Dir, key) }

// plan returns the plan of an item, or nil when there is none.
func (c *Campaign) plan(key string) (*slurm.Partials, error) {
	if p := c.partials[key]; p != nil {
		return p, nil
	}
	p, err := plan.Load(c.Work(key))
	if fault.CodeOf(err) == fault.Usage { // no plan yet
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.partials == nil {
		c.partials = map[string]*slurm.Partials{}
	}
	c.partials[key] = &slurm.Partials{Work: c.Work(key), Plan: p}
	return c.partials[key], nil
}

// Forget drops what is known of plans and results, after planning.
func (c *Campaign) Forget() { c.partials, c.summaries = nil, nil }

// summary returns what the reduction of an item found, or nil while it is not reduced.
func (c *Campaign) summary(key string, p *plan.Plan) *reduce.Summary {
	if s := c.summaries[key]; s != nil {
		return s
	}
	s, err := reduce.LoadSummary(c.Work(key))
	if err != nil || slurm.Reduced(c.Work(key), p, c.Request.Results.Repository) != nil {
		return nil
	}
	if c.summaries == nil {
		c.summaries = map[string]*reduce.Summary{}
	}
	c.summaries[key] = s
	return s
}
