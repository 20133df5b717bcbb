package campaign

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	scripts "rawstatus/jobs/slurm"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/slurm"
)

// schema is the version of campaign.json, waves and outcomes.
const schema = 2

// Wave is one submission: an array whose elements do pieces, and the job that makes the next step.
type Wave struct {
	slurm.Claim
	Schema    int             `json:"schema"`
	Number    int             `json:"number"`
	Elements  [][]Piece       `json:"elements"`
	Tries     map[string]int  `json:"tries"` // of each item, this wave included
	Resources slurm.Resources `json:"resources"`
	Chunks    []slurm.Chunk   `json:"chunks"`
	NextJob   int             `json:"next_job"`
	// The treatment of a complete item stays that of the submission, whatever the campaign is changed to meanwhile.
	Results job.Results `json:"results"`
	Post    bool        `json:"post,omitempty"`
	Deploy  []string    `json:"deploy,omitempty"`
	// Cancelled says who cancelled the jobs; see slurm.Attempt.
	Cancelled string `json:"cancelled,omitempty"`
}

// jobs returns the ids that are known.
func (w *Wave) jobs() []int {
	var ids []int
	for _, c := range w.Chunks {
		if c.Job != 0 {
			ids = append(ids, c.Job)
		}
	}
	if w.NextJob != 0 {
		ids = append(ids, w.NextJob)
	}
	return ids
}

// element returns Slurm's name of an element.
func (w *Wave) element(n int) slurm.ElementID {
	for _, c := range w.Chunks {
		for _, i := range c.Indices {
			if c.Offset+i == n {
				return slurm.ElementID{Job: c.Job, Index: i}
			}
		}
	}
	return slurm.ElementID{}
}

func (c *Campaign) wavePath(n int) string {
	return filepath.Join(c.Dir, "waves", fmt.Sprintf("wave-%03d.json", n))
}

// LoadWaves reads the waves in order.
func (c *Campaign) LoadWaves() ([]*Wave, error) {
	var all []*Wave
	for n := 1; ; n++ {
		w := &Wave{}
		err := slurm.ReadRecord(c.wavePath(n), w)
		if errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		if err == nil && (w.Schema != schema || w.Number != n) {
			err = fault.New(fault.Input, "%s is not wave %d of schema %d", c.wavePath(n), n, schema)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
}

// arrayJobs returns the array jobs of a wave.
func (c *Campaign) arrayJobs(w *Wave) []slurm.Job {
	var jobs []slurm.Job
	for i, chunk := range w.Chunks {
		j := c.job(w, fmt.Sprintf("pack%d", i), "%A_%a", w.Resources)
		j.Array = chunk.Spec(0)
		j.Words = []string{c.Dir, strconv.Itoa(w.Number), strconv.Itoa(chunk.Offset)}
		jobs = append(jobs, j)
	}
	return jobs
}

// nextJob returns the job that makes the next step when all elements have ended, however they did.
func (c *Campaign) nextJob(w *Wave) slurm.Job {
	j := c.job(w, "next", "%j", slurm.Small(w.Resources))
	j.Words = []string{c.Dir}
	for _, chunk := range w.Chunks {
		j.AfterAny = append(j.AfterAny, strconv.Itoa(chunk.Job))
	}
	return j
}

func (c *Campaign) job(w *Wave, part, logName string, r slurm.Resources) slurm.Job {
	return slurm.Job{Name: fmt.Sprintf("rs-%.8s-%d-%s", c.ID, w.Number, part), Script: filepath.Join(c.Dir, scripts.Campaign), Resources: r,
		Chdir: c.Dir, LogDir: filepath.Join(c.Dir, "log"), Log: part + "-" + logName + ".log"}
}

// submit claims a wave and submits its jobs; somebody else's claim of the same number is fault.Busy.
func (c *Campaign) submit(ctx context.Context, w *Wave) error {
	if err := access.Trusted(recordPath(c.Dir)); err != nil {
		return err
	}
	site := filepath.Join(c.Dir, "slurm", "site-"+c.Request.ID()[:12]+".toml")
	if err := slurm.WriteText(site, c.Request.Site); err != nil {
		return err
	}
	text, err := scripts.Render(scripts.Campaign, slurm.Quote(c.Request.Program), c.Request.Lines(site))
	if err != nil {
		return fmt.Errorf("campaign: could not make the job script: %w", err)
	}
	if err := atomicfile.WriteFile(filepath.Join(c.Dir, scripts.Campaign), atomicfile.Options{Mode: 0o755}, text); err != nil {
		return err
	}
	w.Schema, w.Claim = schema, c.Client.NewClaim()
	if err := slurm.WriteRecord(c.wavePath(w.Number), w, true); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fault.New(fault.Busy, "wave %d of campaign %s is being submitted by somebody else", w.Number, c.Name)
		}
		return err
	}
	return c.proceed(ctx, w, false)
}

// proceed submits the jobs of a wave that have no id yet.
func (c *Campaign) proceed(ctx context.Context, w *Wave, adopt bool) error {
	store := func() error { return slurm.WriteRecord(c.wavePath(w.Number), w, false) }
	err := func() error {
		for i, j := range c.arrayJobs(w) {
			if err := c.Client.SubmitOnce(ctx, &w.Chunks[i].Job, j, adopt, store); err != nil {
				return err
			}
		}
		return c.Client.SubmitOnce(ctx, &w.NextJob, c.nextJob(w), adopt, store)
	}()
	w.Complete = true
	if err == nil {
		return store()
	}
	if ctx.Err() != nil || slurm.Transient(err) {
		w.Complete = false // the next step submits the rest
		return errors.Join(err, store())
	}
	w.Error = err.Error()
	return errors.Join(err, c.Client.Cancel(context.WithoutCancel(ctx), w.jobs()), store())
}

// Outcome is how planning an item, or one element's work on it, went.
type Outcome struct {
	Schema int       `json:"schema"`
	Item   *Item     `json:"item,omitempty"` // that was planned
	CPUs   int       `json:"cpus,omitempty"` // that it was planned for
	Code   int       `json:"exit_code"`
	Plan   string    `json:"plan,omitempty"` // the plan that was worked on
	Error  string    `json:"error,omitempty"`
	Hint   string    `json:"hint,omitempty"`
	Wave   int       `json:"wave,omitempty"`
	Bytes  int64     `json:"bytes,omitempty"`
	Begin  time.Time `json:"begin"`
	End    time.Time `json:"end"`
	Host   string    `json:"host"`
}

func (c *Campaign) planOutcome(key string) string {
	return filepath.Join(c.Work(key), "outcome", "plan.json")
}

// OutcomePath is where an element of a wave says how it went for an item.
func (c *Campaign) OutcomePath(key string, wave, element int) string {
	return filepath.Join(c.Work(key), "outcome", fmt.Sprintf("wave-%03d-%03d.json", wave, element))
}

// SaveOutcome stores an outcome.
func SaveOutcome(path string, o Outcome) error {
	o.Schema = schema
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o2775, nil); err != nil {
		return err
	}
	return slurm.WriteRecord(path, o, false)
}

// loadOutcome reads an outcome; ok is false when there is none.
func loadOutcome(path string) (o Outcome, ok bool, err error) {
	err = slurm.ReadRecord(path, &o)
	if errors.Is(err, fs.ErrNotExist) {
		return o, false, nil
	}
	return o, err == nil, err
}
