package slurm

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

// The states of a task or job, by the partial first and by Slurm second.
const (
	StateDone    = "done"    // its partial is verified
	StateRunning = "running" // Slurm runs it
	StatePending = "pending" // Slurm will run it
	StateFailed  = "failed"  // Slurm has ended it, and there is no good partial
	StateMissing = "missing" // nobody does it
	StateHeld    = "held"    // Slurm keeps it until a person releases it
)

// JobState is the state of a task or job.
type JobState struct {
	State   string        `json:"state"`
	Attempt int           `json:"attempt,omitempty"` // the latest one that includes it
	Job     string        `json:"job,omitempty"`
	Slurm   State         `json:"slurm_state,omitempty"`
	Node    string        `json:"node,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns,omitempty"`
	MaxRSS  int64         `json:"max_rss_bytes,omitempty"` // counts mapped file pages
	Exit    int           `json:"exit_code"`
	Signal  int           `json:"signal,omitempty"`
	Restart int           `json:"restarts,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Log     string        `json:"log,omitempty"`

	verdict Verdict
}

// TaskState is the state of a task.
type TaskState struct {
	Task  int   `json:"task"`
	Bytes int64 `json:"bytes"` // raw data of the task
	JobState
}

// Report is the state of a plan and its jobs.
type Report struct {
	Work     string         `json:"work"`
	Plan     string         `json:"plan"`
	Attempts int            `json:"attempts"`
	Counts   map[string]int `json:"counts"`
	Tasks    []TaskState    `json:"tasks"`
	Reduce   JobState       `json:"reduce"`
	Repair   *JobState      `json:"repair,omitempty"`
	Deploy   *JobState      `json:"deploy,omitempty"`
	// Waiting is the command that a person has to give: the jobs may not deploy.
	Waiting string `json:"waiting_for_a_person,omitempty"`
	// Done: the results of this plan are written and, if asked for, deployed.
	Done bool `json:"done"`
	// Active: a job of the plan is queued or runs, so the state can change by itself.
	Active bool `json:"active"`
	// Cancelled says who cancelled the jobs.
	Cancelled string `json:"cancelled,omitempty"`
	// Unfinished: the submission was cut off before all jobs were submitted.
	Unfinished bool `json:"unfinished_submission,omitempty"`
	// NoSlurm says why Slurm could not be asked: states are those that files tell.
	NoSlurm string `json:"no_slurm,omitempty"`

	attempts []*Attempt
	live     []int    // array jobs that are queued or run
	held     []string // jobs and elements that wait for a person to release them, also those whose work is done
	heldWhy  string
}

// Report looks at the partials, then asks Slurm.
func (c *Chain) Report(ctx context.Context) (*Report, error) {
	return c.report(ctx, c.Client.Elements)
}

// ReportFiles is Report for a Slurm that cannot be asked: it says what files tell.
func (c *Chain) ReportFiles(ctx context.Context, why error) (*Report, error) {
	r, err := c.report(ctx, func(context.Context, []int) (Elements, error) { return nil, nil })
	if err == nil {
		r.NoSlurm = why.Error()
	}
	return r, err
}

func (c *Chain) report(ctx context.Context, ask func(ctx context.Context, ids []int) (Elements, error)) (*Report, error) {
	attempts, err := LoadAttempts(c.Work, c.Plan)
	if err != nil {
		return nil, err
	}
	if c.partials == nil {
		c.partials = &Partials{Work: c.Work, Plan: c.Plan}
	}
	var ids []int
	for _, a := range attempts {
		ids = append(ids, a.Jobs()...)
	}
	elements, err := ask(ctx, ids)
	if err != nil {
		return nil, err
	}
	// Partials are looked at after Slurm: a task that ends in between counts as done, not as failed.
	lacks := c.partials.Lacking()
	r := &Report{Work: c.Work, Plan: c.Plan.ID, Attempts: len(attempts), Counts: map[string]int{}, attempts: attempts}
	for n, t := range c.Plan.Tasks {
		s := TaskState{Task: n, Bytes: t.Bytes, JobState: c.taskState(n, attempts, elements)}
		if why, lacking := lacks[n]; !lacking {
			s.State, s.Reason = StateDone, ""
		} else if s.State == StateDone {
			s.State, s.Reason = StateFailed, "ended well, but: "+why
		}
		r.Counts[s.State]++
		r.Tasks = append(r.Tasks, s)
	}
	for _, a := range attempts {
		for _, chunk := range a.Chunks {
			for _, i := range chunk.Indices {
				if e := elements.Of(ElementID{chunk.Job, i}); chunk.Job != 0 && e != nil && !e.State.Over() && !slices.Contains(r.live, chunk.Job) {
					r.live = append(r.live, chunk.Job)
				}
			}
		}
	}
	r.activity(elements)
	r.Reduce = JobState{State: StateMissing, Reason: "not submitted"}
	for _, a := range attempts {
		r.add(c, a, elements)
	}
	if len(attempts) > 0 {
		last := attempts[len(attempts)-1]
		r.Cancelled = last.Cancelled
		if r.Unfinished = last.Unfinished() && last.Error == ""; r.Unfinished && !c.Locked && Locked(ctx, c.Work) {
			r.Unfinished, r.Active = false, true // somebody is submitting right now
		}
	}
	r.Done = r.finished(c)
	if r.Done {
		r.Waiting = c.Request.Waiting
	}
	return r, nil
}

// activity finds the jobs that are held, and whether any other goes on by itself: what waits for a held one does not.
func (r *Report) activity(elements Elements) {
	var ids []ElementID
	for _, a := range r.attempts {
		for _, chunk := range a.Chunks {
			for _, i := range chunk.Indices {
				ids = append(ids, ElementID{chunk.Job, i})
			}
		}
		for _, id := range []int{a.ReduceJob, a.RepairJob, a.DeployJob} {
			ids = append(ids, ElementID{id, -1})
		}
	}
	waiting := false
	for _, id := range ids {
		switch e := elements.Of(id); {
		case id.Job == 0 || e == nil || e.State.Over():
		case e.Held():
			r.held, r.heldWhy = append(r.held, id.String()), e.state()
		case e.State == Pending && e.Reason == notYetSatisfied:
			waiting = true
		default:
			r.Active = true
		}
	}
	r.Active = r.Active || waiting && len(r.held) == 0
}

// Held reports whether the jobs wait for a person to release some.
func (r *Report) Held() bool { return len(r.held) > 0 && !r.Active }

// add takes in the jobs of an attempt that follow its array; later attempts replace earlier ones.
func (r *Report) add(c *Chain, a *Attempt, elements Elements) {
	look := func(id int, part string) *JobState {
		if id == 0 {
			return nil
		}
		s := jobState(elements[ElementID{id, -1}])
		s.Attempt, s.Job = a.Number, fmt.Sprint(id)
		s.Log = filepath.Join(Dir(c.Work, c.Plan), "log", fmt.Sprintf("%s-%d.log", part, id))
		return &s
	}
	if a.Error != "" {
		return
	}
	if s := look(a.ReduceJob, reducePart); s != nil {
		r.Reduce = *s
	}
	r.Repair = look(a.RepairJob, repairPart)
	r.Deploy = look(a.DeployJob, deployPart)
	if r.Deploy == nil && len(c.Request.Deploy) > 0 {
		r.Deploy = &JobState{State: StateMissing, Reason: "not submitted"}
	}
}

// finished reports whether nothing is left to do for the request: the results are where it wants them and, if asked for,
// its deployment has left word in the ledger. Slurm's opinion does not count.
func (r *Report) finished(c *Chain) bool {
	if r.Deploy != nil {
		r.deployment(c)
	}
	if r.Counts[StateDone] != len(r.Tasks) || r.Reduce.State == StateRunning || r.Reduce.State == StatePending {
		return false
	}
	if err := Reduced(c.Work, c.Plan, c.Request.Results.Repository); err != nil {
		if r.Reduce.State == StateDone {
			r.Reduce.State, r.Reduce.Reason = StateFailed, "ended well, but: "+err.Error()
		}
		return false
	}
	r.Reduce.State, r.Reduce.Reason = StateDone, ""
	return r.Deploy == nil || r.Deploy.State == StateDone
}

// deployment takes in what the deployment of the request has left word of.
func (r *Report) deployment(c *Chain) {
	d, err := LoadDeployment(c.Work, c.Plan, c.Request.ID())
	switch s := r.Deploy; {
	case s.State == StateRunning || s.State == StatePending || s.State == StateHeld:
	case err != nil:
		s.State, s.Reason = StateFailed, err.Error()
	case d == nil:
		if s.State == StateDone {
			s.State, s.Reason = StateFailed, "ended well, but left no word of what it deployed"
		}
	case d.Code == int(fault.OK):
		s.State, s.Reason = StateDone, ""
	default:
		s.State, s.Exit, s.Reason = StateFailed, d.Code, d.Error
	}
}

// Reduced returns nil when the results of a plan are in a repository, else why they are not. Files that another plan has
// replaced since count: the summary says that they were written.
func Reduced(work string, p *plan.Plan, repository string) error {
	sum, err := reduce.LoadSummary(work)
	switch {
	case err != nil:
		return err
	case sum.Plan != p.ID:
		return fault.New(fault.Incomplete, "the results in %s are of plan %.12s", work, sum.Plan)
	}
	for _, g := range sum.Groups {
		for _, panel := range g.Panels {
			if panel.File == "" {
				continue
			}
			if rel, err := filepath.Rel(repository, panel.File); repository != "" && (err != nil || !filepath.IsLocal(rel)) {
				return fault.New(fault.Incomplete, "the results were written elsewhere, to %s", panel.File)
			}
			if _, err := repo.ReadSidecar(panel.File); err != nil {
				return err
			}
			for _, path := range append([]string{panel.File}, panel.Constants...) {
				if _, err := os.Stat(path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// taskState returns what Slurm says about a task.
func (c *Chain) taskState(n int, attempts []*Attempt, elements Elements) JobState {
	for i := len(attempts) - 1; i >= 0; i-- {
		a := attempts[i]
		id, ok := a.Element(n)
		if !ok || a.Error != "" {
			continue
		}
		if id.Job == 0 {
			return JobState{State: StateMissing, Attempt: a.Number, Reason: "not submitted"}
		}
		s := jobState(elements.Of(id))
		s.Attempt = a.Number
		if id.Job != 0 {
			s.Job = fmt.Sprintf("%d_%d", id.Job, id.Index)
			s.Log = filepath.Join(Dir(c.Work, c.Plan), "log", fmt.Sprintf("%s-%s.log", chunkPart(a.chunkOf(n)), s.Job))
		}
		return s
	}
	return jobState(nil)
}

func (a *Attempt) chunkOf(task int) int {
	for i, c := range a.Chunks {
		if task >= c.Offset && task-c.Offset <= c.Indices[len(c.Indices)-1] {
			return i
		}
	}
	return 0
}

func jobState(e *Element) JobState {
	v := Diagnose(e)
	if e == nil {
		return JobState{State: StateMissing, Reason: v.Reason, verdict: v}
	}
	s := JobState{State: StateFailed, Slurm: e.State, Node: e.Node, Elapsed: e.Elapsed, MaxRSS: e.MaxRSS, Exit: e.Exit, Signal: e.Signal,
		Restart: e.Restarts, Reason: v.Reason, verdict: v}
	switch {
	case e.State == Completed:
		s.State, s.Reason = StateDone, ""
	case e.Held():
		s.State, s.Reason = StateHeld, e.state()
	case e.State == Pending || e.State == Requeued || e.State == Configuring:
		s.State, s.Reason = StatePending, e.Reason
	case !e.State.Over():
		s.State, s.Reason = StateRunning, ""
	}
	return s
}

// Outcome returns nil when the plan is done, else an error that says what stopped it, with the command that goes on.
func (r *Report) Outcome() error {
	if r.Done {
		return nil
	}
	if r.NoSlurm != "" {
		return fault.New(fault.Slurm, "not done as far as files tell: %d of %s, reduce %s; %s", r.Counts[StateDone], fault.Count(len(r.Tasks), "task"), r.Reduce.State, r.NoSlurm).
			WithHint("ask again when Slurm answers: rawstatus status %s", Quote(r.Work))
	}
	again := "rawstatus rerun --work " + Quote(r.Work)
	if ids := r.held[:min(len(r.held), shownFailures)]; len(ids) > 0 {
		return fault.New(fault.Incomplete, "waiting for a person: Slurm holds %s: %s", strings.Join(ids, ", "), r.heldWhy).
			WithHint("remove the cause, then: scontrol release %s", strings.Join(ids, " "))
	}
	if r.Deploy != nil && r.Reduce.State == StateDone {
		code := fault.Code(r.Deploy.Exit)
		if code == fault.OK {
			code = fault.Incomplete
		}
		err := fault.New(code, "the status is written, but its deployment did not succeed: %s", r.Deploy.Reason)
		if r.Cancelled != "" {
			err = fault.New(code, "the status is written, but its deployment was cancelled by %s", r.Cancelled)
		}
		return err.WithHint("remove the cause, then: %s%s", again, r.Deploy.logHint())
	}
	if r.Unfinished {
		return fault.New(fault.Incomplete, "the submission was cut off: reduce of plan %.12s is %s", r.Plan, r.Reduce.State).
			WithHint("submit what is missing with: %s", again)
	}
	var lines []string
	for _, t := range r.Tasks {
		if t.State == StateFailed || t.State == StateMissing {
			lines = append(lines, fmt.Sprintf("task %d: %s", t.Task, t.Reason))
		}
	}
	if len(lines) > shownFailures {
		lines = append(lines[:shownFailures], fmt.Sprintf("... and %d more", len(lines)-shownFailures))
	}
	if r.Reduce.State == StateFailed && len(lines) == 0 {
		lines = append(lines, "reduce: "+r.Reduce.Reason)
	}
	if r.Cancelled != "" {
		lines = append(lines, "cancelled by "+r.Cancelled)
	}
	return fault.New(fault.Incomplete, "%d of %s of plan %.12s are done\n  %s", r.Counts[StateDone], fault.Count(len(r.Tasks), "task"), r.Plan, strings.Join(lines, "\n  ")).
		WithHint("submit what is missing again with: %s", again)
}

// others are the jobs that follow the tasks.
func (r *Report) others() []*JobState {
	return slices.DeleteFunc([]*JobState{&r.Reduce, r.Repair, r.Deploy}, func(s *JobState) bool { return s == nil })
}

func (s *JobState) logHint() string {
	if s.Log == "" {
		return ""
	}
	return " (its log: " + s.Log + ")"
}

// shownFailures bounds the list in an error message.
const shownFailures = 10

// Tail returns the last lines of a log, at most so many.
func Tail(path string, lines int) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 8 << 10
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, st.Size()-most), most))
	if err != nil {
		return "", err
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n"), nil
}
