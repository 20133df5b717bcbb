package campaign

import (
	"context"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
)

// Step looks, finishes what a killed submitter began, and submits what can be submitted now. It returns the view from
// before the submission and the waves submitted. After a cancellation it submits only when that is the one that a person
// knows who goes on.
func (c *Campaign) Step(ctx context.Context, retry bool, known string) (*View, []*Wave, error) {
	unlock, err := slurm.Lock(ctx, c.Dir, slurm.JobWaits)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if waves, err := c.LoadWaves(); err != nil {
		return nil, nil, err
	} else if n := len(waves); n > 0 && waves[n-1].Unfinished() && waves[n-1].Cancelled == "" {
		if err := c.proceed(ctx, waves[n-1], true); err != nil {
			return nil, nil, err
		}
	}
	v, err := c.Look(ctx, retry)
	if err != nil || v.Cancelled != known && v.Cancelled != "" {
		return v, nil, err
	}
	waves, err := c.draft(ctx, v)
	if err != nil {
		return v, nil, err
	}
	for i, w := range waves {
		if err := c.submit(ctx, w); err != nil {
			if fault.CodeOf(err) == fault.Busy { // another step was faster, and does it
				return v, waves[:i], nil
			}
			return v, waves[:i], err
		}
	}
	return v, waves, nil
}

// Cancelled says who cancelled the jobs, if nothing was submitted since.
func (c *Campaign) Cancelled() (string, error) {
	waves, err := c.LoadWaves()
	if err != nil || len(waves) == 0 {
		return "", err
	}
	return waves[len(waves)-1].Cancelled, nil
}

// draft packs what is to do into waves, one for each account that is charged, within the budget of jobs.
func (c *Campaign) draft(ctx context.Context, v *View) ([]*Wave, error) {
	groups := map[string][]*State{}
	var accounts []string
	for _, s := range v.Items {
		if s.State != Waiting && (s.State == Done || s.State == Failed || s.State == Unplanned || s.State == Mispredicted || s.State == Held || s.State == Reduced || len(s.todo) == 0) {
			continue
		}
		account := strings.ReplaceAll(c.Request.Task.Account, "{exp}", s.Experiment)
		if !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
		groups[account] = append(groups[account], s)
	}
	deploys := map[string][][]Piece{}
	for _, series := range c.deployable(v) {
		account := strings.ReplaceAll(c.Request.Task.Account, "{exp}", series[0].Experiment)
		if !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
		var element []Piece
		for _, s := range series {
			element = append(element, Piece{Key: s.Key, Plan: s.plan.ID, Deploy: c.deployID(s)})
		}
		deploys[account] = append(deploys[account], element)
	}
	if len(accounts) == 0 {
		return nil, nil
	}
	lim, err := c.Client.Limits(ctx)
	if err != nil {
		return nil, err
	}
	running, err := c.Client.Running(ctx)
	if err != nil {
		return nil, err
	}
	budget := min(c.MaxJobs-v.Active, lim.MaxJobCount-running)
	var waves []*Wave
	for _, account := range accounts {
		// One job of the budget makes the next step.
		w := c.wave(v, groups[account], deploys[account], budget-1, lim)
		if w == nil {
			break
		}
		w.Number, w.Resources.Account = len(v.Waves)+len(waves)+1, account
		waves, budget = append(waves, w), budget-len(w.Elements)-1
	}
	return waves, nil
}

// wave makes a wave of at most so many elements; nil if none is to be made. Deployments are elements of their own.
func (c *Campaign) wave(v *View, items []*State, deploys [][]Piece, budget int, lim slurm.Limits) *Wave {
	var pieces []Piece
	byKey := map[string]*State{}
	for _, s := range v.Items {
		byKey[s.Key] = s
	}
	deploys = deploys[:max(0, min(len(deploys), budget))]
	for _, s := range items {
		pieces = append(pieces, cut(Piece{Key: s.Key, Plan: s.plan.ID}, s.todo, func(t int) int64 { return s.plan.Tasks[t].Bytes })...)
	}
	elements, _ := pack(pieces, budget-len(deploys))
	elements = append(elements, deploys...)
	if len(elements) == 0 {
		return nil
	}
	w := &Wave{Elements: elements, Tries: map[string]int{}, Resources: c.Request.Task, Results: c.Request.Results, Post: c.Request.Post, Deploy: c.Request.Deploy}
	var verdicts []slurm.Verdict
	var memory, most int64
	for _, element := range elements {
		var bytes int64
		for _, p := range element {
			s := byKey[p.Key]
			if p.Deploy == "" {
				w.Tries[p.Key] = s.Tries + 1
			}
			verdicts = append(verdicts, s.verdicts...)
			memory = max(memory, slurm.TaskMemoryMB(s.plan), slurm.ReduceMemoryMB(s.plan))
			bytes += p.Bytes
		}
		most = max(most, bytes)
	}
	if w.Resources.MemMB == 0 {
		w.Resources.MemMB = memory
	}
	if w.Resources.Time == 0 {
		w.Resources.Time = slurm.TimeFor(most)
	}
	w.Resources = slurm.Escalate(w.Resources, verdicts, c.Request.MaxMemMB, c.Request.MaxTime)
	numbers := make([]int, len(elements))
	for i := range numbers {
		numbers[i] = i
	}
	w.Chunks = slurm.Chunks(numbers, nil, lim)
	return w
}

// Cancel ends the jobs of all waves, waits until they have ended, and returns them. The jobs that would make the next
// step go first.
func (c *Campaign) Cancel(ctx context.Context) ([]int, error) {
	unlock, err := slurm.Lock(ctx, c.Dir, slurm.PersonWaits)
	if err != nil {
		return nil, err
	}
	defer unlock()
	waves, err := c.LoadWaves()
	if err != nil || len(waves) == 0 {
		return nil, err
	}
	claim := c.Client.NewClaim()
	last := waves[len(waves)-1]
	last.Cancelled = claim.By + " at " + claim.Submitted.Format(time.RFC3339)
	if err := slurm.WriteRecord(c.wavePath(last.Number), last, false); err != nil {
		return nil, err
	}
	var next, arrays []int
	for _, w := range waves {
		for _, id := range w.jobs() {
			if id == w.NextJob {
				next = append(next, id)
			} else {
				arrays = append(arrays, id)
			}
		}
	}
	if next, err = c.Client.End(ctx, next); err != nil {
		return nil, err
	}
	arrays, err = c.Client.End(ctx, arrays)
	return append(next, arrays...), err
}
