package slurm

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/reduce"
)

// What can be said about a task or job, from the partial first and Slurm second.
const (
	StateDone    = "done"    // its partial is verified
	StateRunning = "running" // Slurm runs it
	StatePending = "pending" // Slurm will run it
	StateFailed  = "failed"  // Slurm has ended it, and there is no good partial
	StateMissing = "missing" // nobody does it
)

// JobState is what became of a task or job.
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

// TaskState is what became of a task.
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

	attempts []*Attempt
	live     []int // array jobs that are queued or run
}

// Report looks at the partials, then asks Slurm.
func (c *Chain) Report(ctx context.Context) (*Report, error) {
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
	elements, err := c.Client.Elements(ctx, ids)
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
				if e := elements[ElementID{chunk.Job, i}]; e != nil && !e.State.Over() {
					r.live = append(r.live, chunk.Job)
					break
				}
			}
		}
	}
	r.Active = len(r.live) > 0
	r.Reduce = JobState{State: StateMissing}
	for _, a := range attempts {
		r.add(c, a, elements)
	}
	r.Done = r.finished(c)
	if r.Done {
		r.Waiting = c.Request.Waiting
	}
	return r, nil
}

// add takes in the jobs of an attempt that follow its array; later attempts replace earlier ones.
func (r *Report) add(c *Chain, a *Attempt, elements Elements) {
	look := func(id int, part string) *JobState {
		if id == 0 {
			return nil
		}
		s := jobState(elements[ElementID{id, -1}])
		s.Attempt, s.Job = a.Number, fmt.Sprint(id)
		s.Log = filepath.Join(Dir(c.Work, c.Plan), "log", fmt.Sprintf("%s-%d.log", part, id))
		if s.State == StateRunning || s.State == StatePending {
			r.Active = true
		}
		return &s
	}
	if a.Abandoned() || a.Error != "" {
		return
	}
	if !a.Complete {
		r.Active = true // somebody is submitting right now
	}
	if s := look(a.ReduceJob, reducePart); s != nil {
		r.Reduce = *s
	}
	r.Repair = look(a.RepairJob, repairPart)
	r.Deploy = look(a.DeployJob, deployPart)
}

// finished tells that nothing is left to do for the plan.
func (r *Report) finished(c *Chain) bool {
	if r.Counts[StateDone] != len(r.Tasks) || r.Reduce.State == StateRunning || r.Reduce.State == StatePending {
		return false
	}
	sum, err := reduce.LoadSummary(c.Work)
	if err != nil || sum.Plan != c.Plan.ID {
		return false
	}
	r.Reduce.State = StateDone
	return r.Deploy == nil || r.Deploy.State == StateDone
}

// taskState gives what Slurm says about a task.
func (c *Chain) taskState(n int, attempts []*Attempt, elements Elements) JobState {
	for i := len(attempts) - 1; i >= 0; i-- {
		a := attempts[i]
		id, ok := a.Element(n)
		if !ok || a.Error != "" {
			continue
		}
		s := jobState(elements[id])
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
	case e.State == Pending || e.State == Requeued || e.State == Configuring:
		s.State, s.Reason = StatePending, e.Reason
	case !e.State.Over():
		s.State, s.Reason = StateRunning, ""
	}
	return s
}

// Outcome gives nil when the plan is done, else an error that says what stopped it, with the command that goes on.
func (r *Report) Outcome() error {
	if r.Done {
		return nil
	}
	if r.Deploy != nil && r.Deploy.State == StateFailed && r.Reduce.State == StateDone {
		code := fault.Code(r.Deploy.Exit)
		if code == fault.OK {
			code = fault.Slurm
		}
		return fault.New(code, "the status is written, but its deployment did not succeed: %s", r.Deploy.Reason).
			WithHint("its log: %s", r.Deploy.Log)
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
	return fault.New(fault.Incomplete, "%d of %s of plan %.12s are done\n  %s", r.Counts[StateDone], fault.Count(len(r.Tasks), "task"), r.Plan, strings.Join(lines, "\n  ")).
		WithHint("submit what is missing again with: rawstatus rerun --work %s", Quote(r.Work))
}

// shownFailures bounds the list in an error message.
const shownFailures = 10

// Tail gives the last lines of a log, at most so many.
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
