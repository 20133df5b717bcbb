package slurm

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	scripts "rawstatus/jobs/slurm"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/filelock"
)

// Attempt is a record of the journal: what was handed to Slurm at one time. Records are written by the holder of the lock of
// their directory alone, so one that is not complete while nobody holds the lock was left by a submitter that is gone.
type Attempt struct {
	Submitted time.Time `json:"submitted"`
	By        string    `json:"by"`
	Complete  bool      `json:"complete"` // all jobs are submitted, or the submission has failed
	Error     string    `json:"error,omitempty"`
	Schema    int       `json:"schema"`
	Number    int       `json:"number"`
	Request   string    `json:"request"`
	Plan      string    `json:"plan,omitempty"` // of the one run
	Try       int       `json:"try,omitempty"`  // at the one run: 1 when a person submits, one more each time a repair job does
	Reasons   []Reason  `json:"reasons,omitempty"`
	Task      Resources `json:"task"`
	Reduce    Resources `json:"reduce"`
	// Elements are the portions of each array element. Without, element n does task n of the one run.
	Elements [][]Portion `json:"elements,omitempty"`
	// After and AfterOK are array jobs of earlier attempts that are still at work on tasks of the plan, with and without elements that
	// have failed. What a person cancels now is to stop what follows, which an array with failures cannot.
	After   []int     `json:"after,omitempty"`
	AfterOK []int     `json:"after_ok,omitempty"`
	Jobs    []*Handed `json:"jobs"`
	// Cancelled says who cancelled the jobs with `rawstatus cancel` or --replace: none of them goes on.
	Cancelled string `json:"cancelled,omitempty"`
}

// Portion is the work of one array element for one item: some tasks and, if that completes the item, its reduction; or its deployment.
type Portion struct {
	Key   string `json:"item"`
	Plan  string `json:"plan"`            // the plan that the tasks are of
	Tasks []int  `json:"tasks,omitempty"` // ascending; none: the reduction alone
	Bytes int64  `json:"bytes,omitempty"` // of raw data
	// Deploy is the id of the deployment that is made of the item's results, instead of tasks.
	Deploy string `json:"deploy,omitempty"`
	Try    int    `json:"try"` // of the item, or of its deployment, since a person last asked
}

// Reason says why a task is submitted again.
type Reason struct {
	Task int    `json:"task"`
	Text string `json:"text"`
}

// Part is the kind of a job.
type Part string

// The kinds of jobs. A repair job decides what comes next.
const (
	TasksPart  Part = "tasks"
	ReducePart Part = "reduce"
	RepairPart Part = "repair"
	DeployPart Part = "deploy"
	PostPart   Part = "post"
)

// Handed is one job of an attempt. Dependencies are on jobs before it, by position.
type Handed struct {
	Part      Part  `json:"part"`
	*Chunk          // of an array
	AfterOK   []int `json:"after_ok,omitempty"`
	AfterFail []int `json:"after_fail,omitempty"`
	AfterAny  []int `json:"after_any,omitempty"`
	Job       int   `json:"job"` // 0 while not submitted
}

// Arrays returns the array jobs.
func (a *Attempt) Arrays() (arrays []*Handed) {
	for _, h := range a.Jobs {
		if h.Part == TasksPart {
			arrays = append(arrays, h)
		}
	}
	return arrays
}

// JobOf returns the id of the job of a kind; 0 when there is none.
func (a *Attempt) JobOf(part Part) int {
	for _, h := range a.Jobs {
		if h.Part == part {
			return h.Job
		}
	}
	return 0
}

// IDs returns the ids of all jobs that are submitted.
func (a *Attempt) IDs() []int {
	var ids []int
	for _, h := range a.Jobs {
		if h.Job != 0 {
			ids = append(ids, h.Job)
		}
	}
	return ids
}

// label returns the job's part of its name: arrays are numbered.
func (a *Attempt) label(h *Handed) string {
	if h.Part == TasksPart {
		return string(h.Part) + strconv.Itoa(slices.Index(a.Arrays(), h))
	}
	return string(h.Part)
}

// job makes the call of sbatch for a job of an attempt; ids are those of its jobs, or what stands for them.
func (q *Queue) job(a *Attempt, h *Handed, ids []string) Job {
	label, logName := a.label(h), "%j"
	if h.Part == TasksPart {
		logName = "%A_%a"
	}
	// The name is how jobs are found whose submitter died before it could write down their ids.
	j := Job{Name: fmt.Sprintf("rs-%.8s-%d-%s", a.Request, a.Number, label), Resources: a.Reduce, Chdir: q.Dir, LogDir: logDir(q.Dir), Log: label + "-" + logName + ".log"}
	// A job names what it works for; see Admit.
	names := []string{"--plan", a.Plan, "--request", a.Request}
	script := ""
	switch h.Part {
	case TasksPart:
		j.Resources = a.Task
		j.Array = h.Spec(q.throttle(a, h))
		if script, j.Words = scripts.Array, append([]string{q.Dir, strconv.Itoa(h.Offset)}, names...); a.Elements != nil {
			script, j.Words = scripts.Element, []string{q.Dir, strconv.Itoa(a.Number), strconv.Itoa(h.Offset)}
		}
	case ReducePart:
		script, j.Words = scripts.Reduce, slices.Concat([]string{q.Dir}, names, q.Request.Results.Words())
		for _, id := range a.After {
			j.AfterAny = append(j.AfterAny, strconv.Itoa(id))
		}
		for _, id := range a.AfterOK {
			j.AfterOK = append(j.AfterOK, strconv.Itoa(id))
		}
	case RepairPart:
		script, j.Words = scripts.Repair, []string{q.Dir, "--attempt", strconv.Itoa(a.Number)}
		if a.Elements == nil {
			j.Words = append(j.Words, names...)
		}
		j.Resources = small(a.Reduce)
	case DeployPart:
		script, j.Words = scripts.Deploy, slices.Concat(q.Request.Deploy, []string{"--job-of", q.Dir}, names)
	case PostPart:
		script, j.Words = scripts.Post, append([]string{q.Dir}, names...)
		j.Resources = small(a.Reduce)
	}
	j.Script = filepath.Join(RequestDir(q.Dir, a.Request), script)
	for _, d := range []struct {
		positions []int
		to        *[]string
	}{{h.AfterOK, &j.AfterOK}, {h.AfterFail, &j.AfterFail}, {h.AfterAny, &j.AfterAny}} {
		for _, i := range d.positions {
			*d.to = append(*d.to, ids[i])
		}
	}
	return j
}

// throttle returns the share of an array in the limit on tasks that run at a time.
func (q *Queue) throttle(a *Attempt, h *Handed) int {
	arrays := a.Arrays()
	chunks := make([]Chunk, len(arrays))
	for i, array := range arrays {
		chunks[i] = *array.Chunk
	}
	return Throttles(chunks, q.Request.Throttle)[slices.Index(arrays, h)]
}

// small returns the resources of a job that only speaks to Slurm.
func small(r Resources) Resources {
	r.MemMB, r.CPUs, r.Time, r.Exclusive = smallMemMB, 1, smallTime, false
	return r
}

const (
	smallMemMB = 500
	smallTime  = 30 * time.Minute
)

// Lines returns the sbatch command lines of an attempt, with <name> where the id of an earlier job would be.
func (q *Queue) Lines(a *Attempt) []string {
	ids := make([]string, len(a.Jobs))
	lines := make([]string, len(a.Jobs))
	for i, h := range a.Jobs {
		ids[i] = "<" + a.label(h) + ">"
		lines[i] = q.job(a, h, ids).Line()
	}
	return lines
}

// Preflight asks Slurm whether it would take the jobs of an attempt.
func (q *Queue) Preflight(ctx context.Context, a *Attempt, lim Limits) error {
	if err := q.SaveRequest(); err != nil {
		return err
	}
	tasks := 0
	asked := map[Part]bool{}
	for _, h := range a.Jobs {
		if h.Chunk != nil {
			tasks += len(h.Indices)
		}
	}
	running, err := q.Client.Running(ctx)
	if err != nil {
		return err
	}
	if free := lim.MaxJobCount - running; tasks+3 > free {
		return fault.New(fault.Slurm, "slurm: %s, but the controller keeps at most %s (MaxJobCount) and you have %d", fault.Count(tasks, "task"), fault.Count(lim.MaxJobCount, "job"), running).
			WithHint("use fewer and larger tasks with --tasks, or wait")
	}
	for _, h := range slices.Backward(a.Jobs) { // reduce asks for the most
		if h.Part != TasksPart && h.Part != ReducePart || asked[h.Part] {
			continue
		}
		asked[h.Part] = true
		j := q.job(a, h, make([]string, len(a.Jobs)))
		j.AfterOK, j.AfterAny = nil, nil
		if err := q.Client.Test(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// Submit claims the attempt and submits its jobs; the caller holds the lock of the directory. If sbatch refuses one, those
// before it are cancelled and the attempt's record says why.
func (q *Queue) Submit(ctx context.Context, a *Attempt) error {
	if err := q.SaveRequest(); err != nil {
		return err
	}
	a.Schema, a.By, a.Submitted = recordSchema, access.Login()+"@"+access.Host(), q.Client.system.Now().UTC().Truncate(time.Second)
	err := WriteRecord(attemptPath(q.Dir, a.Number), a, true)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Busy, "attempt %d in %q is being submitted by somebody else", a.Number, q.Dir).
			WithHint("see what happens with `rawstatus status %s`", Quote(q.Dir))
	}
	if err != nil {
		return err
	}
	return q.proceed(ctx, a, false)
}

// proceed submits the jobs of an attempt that have no id yet. With adopt it looks first for jobs by name, which the
// submitter may have submitted and not written down.
func (q *Queue) proceed(ctx context.Context, a *Attempt, adopt bool) error {
	store := func() error { return WriteRecord(attemptPath(q.Dir, a.Number), a, false) }
	ids := make([]string, len(a.Jobs))
	err := func() error {
		for i, h := range a.Jobs {
			if h.Job == 0 {
				var err error
				if h.Job, err = q.Client.submitOnce(ctx, q.job(a, h, ids), adopt); err != nil {
					return err
				}
				if err := store(); err != nil {
					return err
				}
			}
			ids[i] = strconv.Itoa(h.Job)
		}
		return nil
	}()
	a.Complete = true
	if err == nil {
		return store()
	}
	if ctx.Err() != nil || Transient(err) {
		a.Complete = false // what is submitted goes on; the next command or repair job completes it
		return errors.Join(fault.New(fault.CodeOf(err), "the jobs are not all submitted: %w", err).
			WithHint("submit the rest with: %s", q.again()), store())
	}
	a.Error = err.Error()
	return errors.Join(err, q.Client.Cancel(context.WithoutCancel(ctx), a.IDs()), store())
}

// again returns the command with which a person goes on.
func (q *Queue) again() string {
	if q.packed() {
		return "rawstatus campaign --retry --work " + Quote(q.Dir)
	}
	return "rawstatus rerun --work " + Quote(q.Dir)
}

// submitOnce submits a job. With adopt it looks first for a job of this name, which an earlier submitter may have submitted and
// not stored.
func (c *Client) submitOnce(ctx context.Context, j Job, adopt bool) (int, error) {
	if adopt {
		ids, err := c.Named(ctx, j.Name)
		if err != nil {
			return 0, err
		}
		if len(ids) > 0 {
			return slices.Max(ids), nil
		}
	}
	n, err := c.Submit(ctx, j)
	var ce *CommandError
	if len(j.Resources.Exclude) > 0 && errors.As(err, &ce) && strings.Contains(ce.Stderr, noNode) {
		j.Resources.Exclude = nil // a node that failed is better than none
		n, err = c.Submit(ctx, j)
	}
	return n, err
}

// Recover submits the rest of an attempt whose submitter was killed on the way. The caller holds the lock.
func (q *Queue) Recover(ctx context.Context) error {
	last, err := q.last()
	if err != nil || last == nil || last.Complete || last.Cancelled != "" {
		return err
	}
	now := q.Request
	defer func() { q.Request = now }()
	if q.Request, err = loadRequest(q.Dir, last.Request); err != nil {
		return err
	}
	return q.proceed(ctx, last, true)
}

// Live returns the jobs that have not ended.
func (q *Queue) Live(ctx context.Context) ([]int, error) {
	attempts, err := LoadAttempts(q.Dir)
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, a := range attempts {
		ids = append(ids, a.IDs()...)
	}
	return q.Client.Live(ctx, ids)
}

// Cancel ends all jobs that are queued or run, but the one that this process is in, waits until they have ended, and
// returns them. None of them goes on, also where Slurm starts it again, and nothing is submitted until a person asks for it. The
// caller holds the lock.
func (q *Queue) Cancel(ctx context.Context) ([]int, error) {
	attempts, err := LoadAttempts(q.Dir)
	if err != nil || len(attempts) == 0 {
		return nil, err
	}
	last := attempts[len(attempts)-1]
	last.Cancelled = access.Login() + "@" + access.Host() + " at " + q.Client.system.Now().UTC().Format(time.RFC3339)
	store := func() error { return WriteRecord(attemptPath(q.Dir, last.Number), last, false) }
	if err := store(); err != nil {
		return nil, err
	}
	self := q.Client.system.Getenv("SLURM_JOB_ID")
	var repairs, others []int
	for _, a := range attempts {
		for _, h := range a.Jobs {
			switch {
			case h.Job == 0 || strconv.Itoa(h.Job) == self:
			case h.Part == RepairPart:
				repairs = append(repairs, h.Job)
			default:
				others = append(others, h.Job)
			}
		}
	}
	// Repair jobs go first: they must not see the others cancelled, and start.
	if repairs, err = q.Client.End(ctx, repairs); err == nil {
		others, err = q.Client.End(ctx, others)
	}
	if fault.CodeOf(err) == fault.Slurm {
		err = fault.New(fault.Slurm, "jobs may still be queued or run: %w", err).
			WithHint("the wish is on record, and those that start do nothing; give the same command again when Slurm answers")
	}
	if err != nil || len(repairs)+len(others) > 0 || !last.Complete || q.packed() {
		return append(repairs, others...), err
	}
	last.Cancelled = "" // nothing was left to cancel
	return nil, store()
}

func attemptPath(dir string, n int) string {
	return filepath.Join(dir, "slurm", fmt.Sprintf("attempt-%03d.json", n))
}

// LoadAttempts reads the journal of a directory.
func LoadAttempts(dir string) ([]*Attempt, error) {
	var all []*Attempt
	for n := 1; ; n++ {
		a := &Attempt{}
		err := ReadRecord(attemptPath(dir, n), a)
		if errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if a.Schema != recordSchema || a.Number != n || len(a.Request) != 2*sha256.Size {
			return nil, fault.New(fault.Input, "%s is not attempt %d of schema %d", attemptPath(dir, n), n, recordSchema).
				WithHint("it was left by another version, or changed: submit into another work directory with --work")
		}
		all = append(all, a)
	}
}

// last reads the latest attempt; nil when there is none.
func (q *Queue) last() (*Attempt, error) {
	attempts, err := LoadAttempts(q.Dir)
	if err != nil || len(attempts) == 0 {
		return nil, err
	}
	return attempts[len(attempts)-1], nil
}

// Cancelled says who cancelled the jobs, if nothing was submitted since.
func (q *Queue) Cancelled() (string, error) {
	last, err := q.last()
	if err != nil || last == nil {
		return "", err
	}
	return last.Cancelled, nil
}

// Lock lets one process at a time submit and cancel the jobs of a directory: it is given back when that process ends in
// whatever way, on whatever machine. wait is how long the holder may take.
func Lock(ctx context.Context, dir string, wait time.Duration) (unlock func(), err error) {
	dir = filepath.Join(dir, "slurm")
	if err := atomicfile.MkdirAll(dir, 0o2775, nil); err != nil {
		return nil, err
	}
	l, err := filelock.Acquire(ctx, dir, wait, &access.Policy{DirMode: 0o2775, FileMode: 0o664})
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// Lock is Lock for the queue's directory.
func (q *Queue) Lock(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	release, err := Lock(ctx, q.Dir, wait)
	if err != nil {
		return nil, err
	}
	q.Locked = true
	return func() { q.Locked = false; release() }, nil
}

// How long the lock is waited for: by people, and by jobs, whose submitter may be waiting for Slurm's controller.
const (
	PersonWaits = 30 * time.Second
	JobWaits    = 20 * time.Minute
)

// Locked reports whether somebody submits or cancels jobs of a directory right now.
func Locked(ctx context.Context, dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "slurm", filelock.Name)); err != nil {
		return false
	}
	unlock, err := Lock(ctx, dir, 0)
	if err == nil {
		unlock()
	}
	return fault.CodeOf(err) == fault.Busy
}

// recordMode keeps records from being changed by others: they say what jobs run.
const recordMode = 0o644

// WriteRecord stores a value as JSON; exclusive: only if there is no such file, else the error is fs.ErrExist.
func WriteRecord(path string, v any, exclusive bool) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("slurm: could not encode %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, atomicfile.Options{Mode: recordMode, Exclusive: exclusive}, append(b, '\n'))
}

// writeText stores a text that is executed, or decides what is.
func writeText(path, text string) error {
	return atomicfile.WriteFile(path, atomicfile.Options{Mode: recordMode}, []byte(text))
}

// ReadRecord reads what WriteRecord stored.
func ReadRecord(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fault.New(fault.Input, "%s is damaged: %w", path, err).WithHint("remove it and submit again")
	}
	return nil
}
