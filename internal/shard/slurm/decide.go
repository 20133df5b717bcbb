package slurm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// settle decides what the item as a whole is in, from the states of its tasks and of what follows them. It is a pure function of
// these.
func (r *Report) settle(maxAttempts int) {
	tries := r.Tries
	states := r.unfinished()
	if r.undeployed() {
		tries = r.deployTries
	}
	held := slices.IndexFunc(states, func(s *JobState) bool { return s.State == StateHeld })
	stops := r.stops()
	switch {
	case r.Done:
		r.State = Done
	case held >= 0: // nobody else does it
		s := states[held]
		r.State, r.Reason = Held, fmt.Sprintf("%s; remove the cause, then: scontrol release %s", s.Slurm, s.Job)
	case slices.ContainsFunc(states, func(s *JobState) bool { return s.State == StateRunning }):
		r.State = AtWork
	case slices.ContainsFunc(states, func(s *JobState) bool { return s.State == StatePending }):
		r.State = Queued
	case r.Wrong != nil:
		r.State, r.Reason = Mispredicted, r.Wrong.Error
	case len(stops) > 0:
		r.State, r.Reason = Ended, strings.Join(shortened(stops), "; ")
	case r.undeployed():
		r.State, r.Reason = Undeployed, r.Deploy.Reason
	default:
		r.State = Waiting
		if i := slices.IndexFunc(states, func(s *JobState) bool { return s.State == StateFailed }); i >= 0 {
			r.Reason = states[i].Reason
		}
	}
	if (r.State == Waiting || r.State == Mispredicted || r.State == Undeployed) && tries >= maxAttempts {
		what := ""
		if r.undeployed() {
			what = "deployment "
		}
		r.State, r.Reason = Ended, fmt.Sprintf("%sgiven up after %s: %s", what, fault.Count(tries, "attempt"), r.Reason)
	}
}

// undeployed reports whether just the deployment is missing.
func (r *Report) undeployed() bool {
	return r.Deploy != nil && r.Deploy.State != StateDone && r.complete() && r.Reduce.State == StateDone
}

// unfinished returns the states that count now: tasks, then reduce, then deployment.
func (r *Report) unfinished() (states []*JobState) {
	for i := range r.Tasks {
		if s := &r.Tasks[i].JobState; s.State != StateDone {
			states = append(states, s)
		}
	}
	switch {
	case len(states) > 0:
	case r.Reduce.State != StateDone:
		states = append(states, &r.Reduce)
	case r.undeployed():
		states = append(states, r.Deploy)
	}
	return states
}

// stops returns the reasons why a person has to act before the item can go on.
func (r *Report) stops() (why []string) {
	final := func(s *JobState) bool {
		return s.State == StateFailed && (s.verdict.Action == Stop || s.verdict.Action == Hold)
	}
	asked := r.asked()
	ended := func(s *JobState) bool { // by a person, after the last byte of its results
		return s.State == StateDone && s.verdict.Action == Hold && s.Attempt >= asked && !r.queue.packed()
	}
	missing := false
	for i := range r.Tasks {
		t := &r.Tasks[i]
		missing = missing || t.open()
		if ended(&t.JobState) {
			why = append(why, fmt.Sprintf("task %d: %s", t.Task, t.verdict.Reason))
		}
		if final(&t.JobState) && (!r.queue.packed() || !slices.Contains(why, t.Reason)) { // an element fails for all of its tasks
			why = append(why, r.named(fmt.Sprintf("task %d", t.Task), t.Reason))
		}
	}
	// Reduce is not at fault when partials are missing; and a job removed because it could never start was not
	// cancelled by a person.
	if ended(&r.Reduce) {
		why = append(why, "reduce: "+r.Reduce.verdict.Reason)
	}
	if s := &r.Reduce; final(s) && (s.verdict.Action == Hold || !missing && s.Exit != int(fault.Incomplete)) {
		why = append(why, r.named("reduce", s.Reason))
	}
	if s := r.Deploy; s != nil && final(s) && (s.verdict.Action == Hold || r.undeployed()) {
		why = append(why, r.named("mergedeploy", s.Reason))
	}
	return why
}

// asked returns the number of the latest attempt at one run that a person made.
func (r *Report) asked() int {
	for _, a := range slices.Backward(r.view.Attempts) {
		if a.Try == 1 && a.Error == "" {
			return a.Number
		}
	}
	return 0
}

// named says what failed, where that is a job of its own.
func (r *Report) named(what, reason string) string {
	if r.queue.packed() {
		return reason
	}
	return what + ": " + reason
}

// Lacking returns the tasks without a partial: those that are not with Slurm any more or, with all, whatever Slurm says.
func (r *Report) Lacking(all bool) (tasks []int) {
	for _, t := range r.Tasks {
		if t.open() || all && t.State != StateDone {
			tasks = append(tasks, t.Task)
		}
	}
	return tasks
}

// Draft makes the first attempt of a submission of one run, not yet submitted.
func (q *Queue) Draft(number int, lim Limits) *Attempt {
	tasks := make([]int, len(q.Plan.Tasks))
	for n := range tasks {
		tasks[n] = n
	}
	return q.chain(&Attempt{Number: number, Try: 1, Task: q.Request.Task, Reduce: q.Request.Reduce}, tasks, false, lim)
}

// chain fills in the jobs of an attempt at these tasks (ascending; none: reduce alone) of one run, or at its deployment alone.
func (q *Queue) chain(a *Attempt, tasks []int, deployAlone bool, lim Limits) *Attempt {
	q.Complete()
	a.Plan, a.Request = q.Plan.ID, q.Request.ID()
	hand := func(h Handed) int {
		a.Jobs = append(a.Jobs, &h)
		return len(a.Jobs) - 1
	}
	var arrays, others, results []int
	for _, chunk := range Chunks(tasks, q.Plan.StageOf, lim) {
		h := Handed{Part: TasksPart, Chunk: &chunk}
		for _, before := range arrays {
			if a.Jobs[before].Stage < chunk.Stage {
				h.AfterOK = append(h.AfterOK, before)
			}
		}
		arrays = append(arrays, hand(h))
	}
	if !deployAlone {
		results = []int{hand(Handed{Part: ReducePart, AfterOK: arrays})}
		others = append(others, results...)
		if a.Try < q.Request.MaxAttempts {
			others = append(others, hand(Handed{Part: RepairPart, AfterFail: results}))
		}
	}
	if len(q.Request.Deploy) > 0 {
		others = append(others, hand(Handed{Part: DeployPart, AfterOK: results}))
	}
	if q.Request.told() {
		hand(Handed{Part: PostPart, AfterAny: others})
	}
	return a
}

// Again drafts the attempt that submits some tasks of one run again, with the resources that their failures ask for.
// Without tasks it is a reduce alone, or the deployment alone where the results are there.
func (q *Queue) Again(v *View, try int, tasks []int, lim Limits) *Attempt {
	r := v.Items[0]
	a := &Attempt{Number: len(v.Attempts) + 1, Try: try, Task: q.Request.Task, Reduce: q.Request.Reduce, After: v.live, AfterOK: v.sound}
	for _, last := range slices.Backward(v.Attempts) {
		if last.Error == "" && last.Plan == r.PlanID {
			a.Task, a.Reduce = last.Task, last.Reduce
			break
		}
	}
	var verdicts []Verdict
	for _, n := range tasks {
		t := &r.Tasks[n]
		verdicts = append(verdicts, t.verdict)
		a.Reasons = append(a.Reasons, Reason{n, t.Reason})
	}
	a.Task = Escalate(a.Task, verdicts, q.Request.MaxMemMB, q.Request.MaxTime)
	a.Reduce = Escalate(a.Reduce, []Verdict{r.Reduce.verdict}, q.Request.MaxMemMB, q.Request.MaxTime)
	return q.chain(a, tasks, len(tasks) == 0 && r.undeployed(), lim)
}

// Repair drafts what comes next for one run without a person, or says why there is nothing to make. A nil attempt without an
// error means that nothing is missing, or that somebody else has made the next attempt after this one already.
func (q *Queue) Repair(v *View, lim Limits, of int) (*Attempt, error) {
	r := v.Items[0]
	if of > 0 && of != len(v.Attempts) || r.Done {
		return nil, nil
	}
	if stops := shortened(r.stops()); len(stops) > 0 {
		return nil, fault.New(fault.Incomplete, "not submitted again, a person has to look first:\n  %s", strings.Join(stops, "\n  ")).
			WithHint("remove the cause, then: %s", r.queue.again())
	}
	tasks := r.Lacking(false)
	if len(tasks) == 0 && !r.Reduce.open() && !(r.undeployed() && r.Deploy.open()) {
		return nil, nil
	}
	if r.Tries >= q.Request.MaxAttempts {
		return nil, fault.New(fault.Incomplete, "%s are still missing after %s", fault.Count(len(tasks), "task"), fault.Count(len(v.Attempts), "attempt")).
			WithHint("see `rawstatus status %s`, then: %s", Quote(q.Dir), r.queue.again())
	}
	if err := v.Unanswered(); err != nil {
		return nil, err
	}
	return q.Again(v, r.Tries+1, tasks, lim), nil
}

// unanswered returns the job that has to be known before the item goes on without a person, who may have cancelled it; empty: none.
func (r *Report) unanswered() string {
	states := []*JobState{&r.Reduce, r.Deploy}
	for i := range r.Tasks {
		states = append(states, &r.Tasks[i].JobState)
	}
	for _, s := range states {
		if s != nil && s.State == StateFailed && s.Slurm == Unanswered {
			return s.Job
		}
	}
	return ""
}

// Unanswered returns a temporary failure while an item cannot go on because Slurm does not say how a job has ended.
func (v *View) Unanswered() error {
	for _, r := range v.Items {
		if job := r.unanswered(); job != "" && !r.Done {
			return fault.New(fault.Temporary, "slurm: the controller has forgotten job %s and the accounts do not answer: a person may have cancelled it, so nothing is submitted again", job).
				WithHint("when `sacct --jobs=%s` answers: %s", job, r.queue.again())
		}
	}
	return nil
}

// Replace cancels what waits for the end of earlier attempts at one run and submits a new one. The caller holds the lock.
func (q *Queue) Replace(ctx context.Context, v *View, a *Attempt) error {
	r := v.Items[0]
	self := q.Client.system.Getenv("SLURM_JOB_ID")
	var waiting []int
	for _, s := range []*JobState{&r.Reduce, r.Repair, r.Deploy} {
		if s != nil && (s.atWork() || s.State == StateHeld) && s.Job != self {
			id, err := strconv.Atoi(s.Job)
			if err != nil {
				return fmt.Errorf("slurm: job id %q: %w", s.Job, err)
			}
			waiting = append(waiting, id)
		}
	}
	if _, err := q.Client.End(ctx, waiting); err != nil {
		return err
	}
	return q.Submit(ctx, a)
}

// Step looks, finishes what a killed submitter began, and submits what can be submitted now of a campaign. It returns the
// view from before the submission and what was submitted. retry ignores earlier failures, as a person who has removed their cause
// wants it. After a cancellation it submits only when that is the one that a person knows who goes on.
func (q *Queue) Step(ctx context.Context, retry bool, known string) (*View, []*Attempt, error) {
	unlock, err := q.Lock(ctx, JobWaits)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if err := q.Recover(ctx); err != nil {
		return nil, nil, err
	}
	v, err := q.Look(ctx)
	if err != nil || v.Cancelled != known && v.Cancelled != "" {
		return v, nil, err
	}
	if retry {
		v.retry()
	}
	attempts, err := q.share(ctx, v)
	if err != nil {
		return v, nil, err
	}
	for i, a := range attempts {
		if err := q.Submit(ctx, a); err != nil {
			return v, attempts[:i], err
		}
	}
	return v, attempts, nil
}

// retry lets items that have failed be tried again.
func (v *View) retry() {
	for _, r := range v.Items {
		if r.State != Ended || r.Plan == nil {
			continue
		}
		r.Tries, r.deployTries = 0, 0
		switch {
		case r.undeployed():
			r.State = Undeployed
		case r.Wrong != nil:
			r.State = Mispredicted
		default:
			r.State = Waiting
		}
	}
}

// todo returns the work that can be submitted for an item: some tasks, or (ok without tasks) the reduction alone.
func (r *Report) todo(maxAttempts int) (tasks []int, ok bool) {
	switch {
	case r.Wrong != nil || r.Tries >= maxAttempts: // nothing more of this plan
	case r.unanswered() != "": // until Slurm says whether a person cancelled it
	case r.State == Waiting || r.State == AtWork || r.State == Queued:
		tasks = r.Lacking(false)
		return tasks, len(tasks) > 0 || r.complete() && r.Reduce.open()
	}
	return nil, false
}

// share packs what is to do into attempts, one for each account that is charged, within the budget of jobs.
func (q *Queue) share(ctx context.Context, v *View) ([]*Attempt, error) {
	var accounts []string
	work, deploys := map[string][]*Report{}, map[string][][]Portion{}
	of := func(r *Report) string {
		account := strings.ReplaceAll(q.Request.Task.Account, "{exp}", r.Experiment)
		if !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
		return account
	}
	for _, r := range v.Items {
		if _, ok := r.todo(q.Request.MaxAttempts); ok {
			work[of(r)] = append(work[of(r)], r)
		}
	}
	for _, series := range deployable(v) {
		var element []Portion
		for _, r := range series {
			element = append(element, Portion{Key: r.Key, Plan: r.PlanID, Deploy: r.deployID, Try: r.deployTries + 1})
		}
		deploys[of(series[0])] = append(deploys[of(series[0])], element)
	}
	if len(accounts) == 0 {
		return nil, nil
	}
	lim, err := q.Client.Limits(ctx)
	if err != nil {
		return nil, err
	}
	running, err := q.Client.Running(ctx)
	if err != nil {
		return nil, err
	}
	budget := min(q.MaxJobs-v.Elements, lim.MaxJobCount-running)
	var attempts []*Attempt
	for _, account := range accounts {
		// One job of the budget makes the next step.
		a := q.pack(work[account], deploys[account], budget-1, lim)
		if a == nil {
			break
		}
		a.Number, a.Task.Account = len(v.Attempts)+len(attempts)+1, account
		a.Reduce = a.Task
		attempts, budget = append(attempts, a), budget-len(a.Elements)-1
	}
	return attempts, nil
}

// pack makes an attempt of at most so many elements; nil if none is to be made. Deployments are elements of their own.
func (q *Queue) pack(items []*Report, deploys [][]Portion, budget int, lim Limits) *Attempt {
	deploys = deploys[:max(0, min(len(deploys), budget))]
	var portions []Portion
	byKey := map[string]*Report{}
	for _, r := range items {
		byKey[r.Key] = r
		tasks, _ := r.todo(q.Request.MaxAttempts)
		portions = append(portions, cut(Portion{Key: r.Key, Plan: r.PlanID, Try: r.Tries + 1}, tasks, func(t int) int64 { return r.Plan.Tasks[t].Bytes })...)
	}
	elements, _ := deal(portions, budget-len(deploys))
	var verdicts []Verdict
	var memory, most int64
	for _, element := range elements {
		var bytes int64
		for _, p := range element {
			r := byKey[p.Key]
			for _, t := range p.Tasks {
				verdicts = append(verdicts, r.Tasks[t].verdict)
			}
			verdicts = append(verdicts, r.Reduce.verdict)
			memory = max(memory, TaskMemoryMB(r.Plan), ReduceMemoryMB(r.Plan))
			bytes += p.Bytes
		}
		most = max(most, bytes)
	}
	elements = append(elements, deploys...)
	if len(elements) == 0 {
		return nil
	}
	q.Complete()
	a := &Attempt{Request: q.Request.ID(), Elements: elements, Task: q.Request.Task}
	if a.Task.MemMB == 0 {
		a.Task.MemMB = max(memory, smallMemMB)
	}
	if a.Task.Time == 0 {
		a.Task.Time = TimeFor(most)
	}
	a.Task = Escalate(a.Task, verdicts, q.Request.MaxMemMB, q.Request.MaxTime)
	numbers := make([]int, len(elements))
	for i := range numbers {
		numbers[i] = i
	}
	var arrays []int
	for i, chunk := range Chunks(numbers, nil, lim) {
		a.Jobs, arrays = append(a.Jobs, &Handed{Part: TasksPart, Chunk: &chunk}), append(arrays, i)
	}
	a.Jobs = append(a.Jobs, &Handed{Part: RepairPart, AfterAny: arrays})
	return a
}

// deployable returns what can be deployed now, for each detector in the order of runs: a run waits until all before it
// are reduced or have failed for good, so that each is weighed against the one before, whatever is computed first.
func deployable(v *View) (list [][]*Report) {
	series := map[string][]*Report{}
	var names []string
	for _, r := range v.Items {
		name := r.Experiment + "\x00" + r.Detector
		if series[name] == nil {
			names = append(names, name)
		}
		series[name] = append(series[name], r)
	}
	for _, name := range names {
		slices.SortStableFunc(series[name], func(a, b *Report) int { return a.Run - b.Run })
		var ready, ofRun []*Report
		for i, r := range series[name] {
			if r.State == Undeployed && r.unanswered() == "" {
				ofRun = append(ofRun, r)
			} else if r.State != Done && r.State != Ended && r.State != Held {
				ofRun = nil
				break
			}
			if i+1 == len(series[name]) || series[name][i+1].Run != r.Run {
				ready, ofRun = append(ready, ofRun...), nil
			}
		}
		if len(ready) > 0 {
			list = append(list, ready)
		}
	}
	return list
}

const (
	// elementBytes is the raw data of an element where there is enough for many.
	elementBytes = 16 << 30
	// fewElements is how many elements small campaigns are spread over, as far as they have portions.
	fewElements = 8
)

// cut splits the tasks of an item into portions like empty, of at most about elementBytes.
func cut(empty Portion, tasks []int, bytes func(task int) int64) []Portion {
	if len(tasks) == 0 {
		return []Portion{empty}
	}
	var portions []Portion
	for _, t := range tasks {
		b := bytes(t)
		if n := len(portions); n == 0 || portions[n-1].Bytes+b > elementBytes {
			portions = append(portions, empty)
		}
		last := &portions[len(portions)-1]
		last.Tasks, last.Bytes = append(last.Tasks, t), last.Bytes+b
	}
	return portions
}

// deal deals portions to at most so many elements, the largest first, each to the element with the least to do. It returns
// back what does not fit into elements of a reasonable size; that is for a later attempt. Same input, same result.
func deal(portions []Portion, budget int) (elements [][]Portion, later []Portion) {
	if len(portions) == 0 || budget <= 0 {
		return nil, portions
	}
	var total int64
	for _, p := range portions {
		total += p.Bytes
	}
	n := min(budget, len(portions), max(fewElements, int((total+elementBytes-1)/elementBytes)))
	order := slices.Clone(portions)
	slices.SortStableFunc(order, func(a, b Portion) int { return cmp.Compare(b.Bytes, a.Bytes) })
	elements = make([][]Portion, n)
	load := make([]int64, n)
	for _, p := range order {
		least := 0
		for i := range load {
			// By bytes, then by number: portions without data, too, are spread.
			if load[i] < load[least] || load[i] == load[least] && len(elements[i]) < len(elements[least]) {
				least = i
			}
		}
		if load[least] > 0 && load[least]+p.Bytes > 2*elementBytes {
			later = append(later, p)
			continue
		}
		elements[least], load[least] = append(elements[least], p), load[least]+p.Bytes
	}
	return elements, later
}
