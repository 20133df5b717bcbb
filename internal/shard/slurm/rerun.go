package slurm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
)

// Which says which tasks a person wants to submit again.
type Which int

const (
	WhichFailed  Which = iota // without a partial and not with Slurm any more
	WhichMissing              // without a partial, whatever Slurm says
)

// Select returns the tasks of a report that were meant.
func (r *Report) Select(w Which) []int {
	var tasks []int
	for _, t := range r.Tasks {
		switch t.State {
		case StateDone:
		case StateRunning, StatePending, StateHeld:
			if w == WhichMissing {
				tasks = append(tasks, t.Task)
			}
		default:
			tasks = append(tasks, t.Task)
		}
	}
	return tasks
}

// Again drafts the attempt that submits some tasks again, with the resources that their failures ask for. Without
// tasks it is a reduce alone.
func (c *Chain) Again(r *Report, tasks []int, lim Limits) *Attempt {
	a := c.Draft(len(r.attempts)+1, tasks, lim)
	if last := r.last(); last != nil {
		a.Task, a.Reduce = last.Task, last.Reduce
	}
	var verdicts []Verdict
	for _, n := range tasks {
		t := &r.Tasks[n]
		verdicts = append(verdicts, t.verdict)
		a.Reasons = append(a.Reasons, Reason{n, t.Reason})
	}
	a.DeployAlone = len(tasks) == 0 && r.Reduce.State == StateDone && len(c.Request.Deploy) > 0
	a.Task = Escalate(a.Task, verdicts, c.Request.MaxMemMB, c.Request.MaxTime)
	a.Reduce = Escalate(a.Reduce, []Verdict{r.Reduce.verdict}, c.Request.MaxMemMB, c.Request.MaxTime)
	for _, id := range r.live {
		if !slices.Contains(a.After, id) {
			a.After = append(a.After, id)
		}
	}
	return a
}

// last is the latest attempt that was submitted.
func (r *Report) last() *Attempt {
	for i := len(r.attempts) - 1; i >= 0; i-- {
		if r.attempts[i].Error == "" {
			return r.attempts[i]
		}
	}
	return nil
}

// Replace cancels what waits for the end of earlier attempts and submits a new one.
func (c *Chain) Replace(ctx context.Context, r *Report, a *Attempt) error {
	self := c.Client.system.Getenv("SLURM_JOB_ID")
	var waiting []int
	for _, s := range r.others() {
		if s.State != StatePending && s.State != StateRunning && s.State != StateHeld || s.Job == self {
			continue
		}
		id, err := strconv.Atoi(s.Job)
		if err != nil {
			return fmt.Errorf("slurm: job id %q: %w", s.Job, err)
		}
		waiting = append(waiting, id)
	}
	if _, err := c.Client.End(ctx, waiting); err != nil {
		return err
	}
	return c.Submit(ctx, a)
}

// Repair does the work of an attempt's repair job: it drafts the next one, or says why there is none to make. A nil
// attempt without an error means that nothing is missing, or that somebody else has made the next attempt already.
func (c *Chain) Repair(ctx context.Context, lim Limits, of int) (*Report, *Attempt, error) {
	r, err := c.Report(ctx)
	if err != nil {
		return nil, nil, err
	}
	if of > 0 && of != r.Attempts {
		return r, nil, nil
	}
	if r.Done || r.Deploy != nil && r.Reduce.State == StateDone {
		return r, nil, nil
	}
	var hopeless []string
	for _, t := range r.Tasks {
		if t.State == StateFailed && (t.verdict.Action == Stop || t.verdict.Action == Hold) {
			hopeless = append(hopeless, fmt.Sprintf("task %d: %s", t.Task, t.Reason))
		}
	}
	tasks := r.Select(WhichFailed)
	reduced := r.Reduce.verdict
	// Reduce is not at fault when partials are missing; and a job removed because it could never start was not
	// cancelled by a person.
	if r.Reduce.State == StateFailed && (reduced.Action == Hold || len(tasks) == 0 && reduced.Action == Stop && r.Reduce.Exit != int(fault.Incomplete)) {
		hopeless = append(hopeless, "reduce: "+reduced.Reason)
	}
	if r.Deploy != nil && r.Deploy.verdict.Action == Hold {
		hopeless = append(hopeless, "mergedeploy: "+r.Deploy.verdict.Reason)
	}
	if len(hopeless) > 0 {
		if len(hopeless) > shownFailures {
			hopeless = append(hopeless[:shownFailures], fmt.Sprintf("... and %d more", len(hopeless)-shownFailures))
		}
		return r, nil, fault.New(fault.Incomplete, "not submitted again, a person has to look first:\n  %s", strings.Join(hopeless, "\n  ")).
			WithHint("remove the cause, then: rawstatus rerun --work %s", Quote(c.Work))
	}
	a := c.Again(r, tasks, lim)
	last := r.last()
	if last == nil || last.Try >= c.Request.MaxAttempts {
		return r, nil, fault.New(fault.Incomplete, "%s are still missing after %s", fault.Count(len(tasks), "task"), fault.Count(len(r.attempts), "attempt")).
			WithHint("see `rawstatus status %s`, then: rawstatus rerun --work %s", Quote(c.Work), Quote(c.Work))
	}
	a.Try = last.Try + 1
	return r, a, nil
}

// Cancel ends all jobs of the plan that are queued or run, but the one that this process is in, waits until they have
// ended, and returns them. None of them goes on, also where Slurm starts it again. The caller holds the lock.
func (c *Chain) Cancel(ctx context.Context) ([]int, error) {
	attempts, err := LoadAttempts(c.Work, c.Plan)
	if err != nil || len(attempts) == 0 {
		return nil, err
	}
	claim := c.Client.NewClaim()
	last := attempts[len(attempts)-1]
	last.Cancelled = claim.By + " at " + claim.Submitted.Format(time.RFC3339)
	if err := last.save(c.Work, c.Plan); err != nil {
		return nil, err
	}
	self := c.Client.system.Getenv("SLURM_JOB_ID")
	var repairs, others []int
	for _, a := range attempts {
		for _, id := range a.Jobs() {
			switch {
			case strconv.Itoa(id) == self:
			case id == a.RepairJob:
				repairs = append(repairs, id)
			default:
				others = append(others, id)
			}
		}
	}
	// Repair jobs go first: they must not see the others cancelled, and start.
	if repairs, err = c.Client.End(ctx, repairs); err == nil {
		others, err = c.Client.End(ctx, others)
	}
	if fault.CodeOf(err) == fault.Slurm {
		err = fault.New(fault.Slurm, "jobs may still be queued or run: %w", err).
			WithHint("the wish is on record, and those that start do nothing; give the same command again when Slurm answers")
	}
	if err != nil || len(repairs)+len(others) > 0 || last.Unfinished() {
		return append(repairs, others...), err
	}
	last.Cancelled = "" // nothing was left to cancel
	return nil, last.save(c.Work, c.Plan)
}

// Recover submits the rest of an attempt whose submitter was killed on the way. The caller holds the lock.
func (c *Chain) Recover(ctx context.Context) error {
	attempts, err := LoadAttempts(c.Work, c.Plan)
	if err != nil || len(attempts) == 0 {
		return err
	}
	if last := attempts[len(attempts)-1]; last.Unfinished() && last.Cancelled == "" {
		return c.proceed(ctx, last, true)
	}
	return nil
}
