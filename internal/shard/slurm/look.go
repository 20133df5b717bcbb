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
	"rawstatus/internal/shard/job"
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

// atWork reports whether Slurm has it, and nobody holds it.
func (s *JobState) atWork() bool { return s.State == StateRunning || s.State == StatePending }

// open reports whether it is not done and nobody does it.
func (s *JobState) open() bool { return s.State == StateFailed || s.State == StateMissing }

// TaskState is the state of a task.
type TaskState struct {
	Task  int   `json:"task"`
	Bytes int64 `json:"bytes"` // raw data of the task
	JobState
}

// The states of an item.
const (
	Unplanned    = "unplanned"
	Mispredicted = "mispredicted" // to be made again: a prediction of its plan was wrong
	Waiting      = "waiting"      // to be submitted
	Undeployed   = "reduced"      // waiting to be deployed
	Done         = StateDone
	AtWork       = StateRunning
	Queued       = StatePending // with Slurm, not yet running
	Ended        = StateFailed  // for good, until a person acts
	Held         = StateHeld
)

// Report is the state of an item and its jobs.
type Report struct {
	Item     `json:"-"`
	Key      string         `json:"-"`
	Work     string         `json:"work"`
	PlanID   string         `json:"plan"`
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

	State   string                `json:"-"` // of the item
	Reason  string                `json:"-"`
	Tries   int                   `json:"-"` // attempts that took part since a person last asked
	Seconds float64               `json:"-"` // from the first to the last work on it, where elements say so
	Plan    *plan.Plan            `json:"-"`
	Wrong   *plan.WrongPrediction `json:"-"` // why the plan cannot be done
	Summary *reduce.Summary       `json:"-"` // of what is reduced

	deployTries int
	deployID    string
	queue       *Queue
	view        *View
}

// View is the state of a queue at one time.
type View struct {
	Items    []*Report
	Attempts []*Attempt
	Elements int // of arrays that are queued or run
	// Active: jobs are queued or run, or are being submitted, so the state can change by itself.
	Active bool
	// Cancelled says who cancelled the jobs; nothing is submitted until a person asks for it.
	Cancelled string
	// Replaced: another submission has taken the place of the one that is looked at.
	Replaced bool

	packed     bool
	noSlurm    string
	unfinished bool
	live       []int    // array jobs that are queued or run, some elements of which have failed
	sound      []int    // and those without
	held       []string // jobs and elements that wait for a person to release them, also those whose work is done
	heldWhy    string
}

// Count returns the number of items in a state.
func (v *View) Count(state string) (n int) {
	for _, r := range v.Items {
		if r.State == state {
			n++
		}
	}
	return n
}

// Over reports whether nothing will change by itself or by another step.
func (v *View) Over() bool { return v.Count(Done)+v.Count(Ended)+v.Count(Held) == len(v.Items) }

// Summary says how many items are in which state.
func (v *View) Summary() string {
	var parts []string
	for _, s := range []string{Done, AtWork, Queued, Waiting, Undeployed, Mispredicted, Held, Ended} {
		if n := v.Count(s); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}

// Outcome returns nil when all is done, else an error that says what is not, with the command that goes on.
func (q *Queue) Outcome(v *View) error {
	done, of := v.Count(Done), fault.Count(len(v.Items), "item")
	switch {
	case v.Replaced:
		return fault.New(fault.Incomplete, "another submission from %q has taken the place of this one", q.Dir).WithHint("rawstatus status %s", Quote(q.Dir))
	case !q.packed():
		return v.Items[0].Outcome()
	case done == len(v.Items):
		return nil
	case v.noSlurm != "" && !v.Over():
		return fault.New(fault.Slurm, "this is what files tell; %s", v.noSlurm).WithHint("ask again when Slurm answers: rawstatus status %s", Quote(q.Dir))
	case v.Cancelled != "":
		return fault.New(fault.Incomplete, "%d of %s of campaign %s are done, the others were cancelled by %s", done, of, q.Name, v.Cancelled).
			WithHint("go on with: %s", q.again())
	}
	return fault.New(fault.Incomplete, "%d of %s of campaign %s are done", done, of, q.Name).WithHint("remove the causes, then: %s", q.again())
}

// DoneAt is when the results were written, or deployed.
func (r *Report) DoneAt() (at time.Time) {
	if info, err := os.Stat(plan.SummaryFile(r.Work)); err == nil {
		at = info.ModTime()
	}
	if d, err := LoadDeployment(r.Work, r.deployID); err == nil && d != nil && d.Time.After(at) {
		at = d.Time
	}
	return at
}

// part is the work of a job or element for an item, with all that is known about it.
type part struct {
	attempt    *Attempt
	handed     *Handed
	id         ElementID
	element    *Element // nil when Slurm does not know it
	portion    Portion  // of a packed element; else tasks and plan alone
	outcome    *Outcome // the word that a packed element has left; nil: none
	submitting bool     // right now
	log        string
}

// asker asks Slurm for the state of jobs.
type asker func(ctx context.Context, ids []int) (Elements, error)

// Look looks at Slurm, then at the files.
func (q *Queue) Look(ctx context.Context) (*View, error) { return q.look(ctx, q.Client.Elements) }

// LookFiles is Look for a Slurm that cannot be asked: it says what files tell.
func (q *Queue) LookFiles(ctx context.Context, why error) (*View, error) {
	v, err := q.look(ctx, func(context.Context, []int) (Elements, error) { return nil, nil })
	if err == nil && why != nil {
		v.noSlurm = why.Error()
		for _, r := range v.Items {
			r.NoSlurm = why.Error()
		}
	}
	return v, err
}

func (q *Queue) look(ctx context.Context, ask asker) (*View, error) {
	attempts, err := LoadAttempts(q.Dir)
	if err != nil {
		return nil, err
	}
	v := &View{Attempts: attempts, packed: q.packed()}
	var ids []int
	for _, a := range attempts {
		ids = append(ids, a.IDs()...)
	}
	elements, err := ask(ctx, ids)
	if err != nil {
		return nil, err
	}
	if err := q.endedAlone(ctx, v, elements); err != nil {
		return nil, err
	}
	v.activity(elements)
	submitting := false
	if len(attempts) > 0 {
		last := attempts[len(attempts)-1]
		v.Cancelled, v.unfinished = last.Cancelled, !last.Complete && last.Error == ""
		if v.Replaced, err = q.follows(last); err != nil {
			return nil, err
		}
	}
	if !q.Locked && (v.unfinished || q.packed()) && Locked(ctx, q.Dir) {
		submitting, v.unfinished, v.Active = true, false, true // somebody is submitting right now
	}
	parts, err := q.parts(v, elements, submitting)
	if err != nil {
		return nil, err
	}
	// Partials are looked at after Slurm: a task that ends in between counts as done, not as failed.
	for _, it := range q.Items {
		r := &Report{Item: it, Key: it.Key(), Work: q.Work(it.Key()), Attempts: len(attempts), Counts: map[string]int{}, Active: v.Active, Cancelled: v.Cancelled, Unfinished: v.unfinished,
			queue: q, view: v}
		if err := q.item(r, parts[r.Key]); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Key, err)
		}
		v.Items = append(v.Items, r)
	}
	return v, nil
}

// follows takes over the request of the latest attempt at one run, when it is this one with a plan that was made again. It reports
// whether it is another one.
func (q *Queue) follows(last *Attempt) (replaced bool, err error) {
	if q.packed() || last.Request == q.Request.ID() {
		return false, nil
	}
	now, err := loadRequest(q.Dir, last.Request)
	if err != nil {
		return false, err
	}
	same := now
	if same.Plan = q.Request.Plan; same.ID() == q.Request.ID() {
		q.Request = now
		return false, nil
	}
	return true, nil
}

// endedAlone finds arrays that were submitted so lately that the controller has forgotten none of their elements that ended: what it
// does not know was cancelled alone before it started. Where Slurm keeps accounts, these say so.
func (q *Queue) endedAlone(ctx context.Context, v *View, elements Elements) error {
	var lim Limits
	for _, a := range v.Attempts {
		for _, h := range a.Arrays() {
			unknown := func(i int) bool { return elements.Of(ElementID{h.Job, i}) == nil }
			if h.Job == 0 || !slices.ContainsFunc(h.Indices, unknown) {
				continue
			}
			at := elements.submitted(h.Job)
			if at.IsZero() { // then by the other jobs of the attempt, which were submitted with it
				at = elements.submitted(a.IDs()...)
			}
			if at.IsZero() {
				continue
			}
			if lim.MaxArraySize == 0 {
				var err error
				if lim, err = q.Client.Limits(ctx); err != nil {
					return err
				}
			}
			// Both times are of the controller's clock: those of this host and of the submitter may differ.
			if lim.Now.Before(at.Add(lim.MinJobAge)) {
				elements.add(ElementID{h.Job, goneIndex}).State = Cancelled
			}
		}
	}
	return nil
}

// activity finds the jobs that are held, and whether any other goes on by itself: what waits for a held one does not. The
// job that reports the end does not count.
func (v *View) activity(elements Elements) {
	waiting := false
	for _, a := range v.Attempts {
		for _, h := range a.Jobs {
			if h.Job == 0 || h.Part == PostPart {
				continue
			}
			indices := []int{-1}
			if h.Chunk != nil {
				indices = h.Indices
			}
			live, failed := false, false
			for _, i := range indices {
				e := elements.Of(ElementID{h.Job, i})
				if e == nil || e.State.Over() {
					failed = failed || e == nil || e.State != Completed
					continue
				}
				live = true
				switch {
				case e.Held():
					v.held, v.heldWhy = append(v.held, ElementID{h.Job, i}.String()), e.state()
					continue
				case e.State == Pending && e.Reason == notYetSatisfied:
					waiting = true
				default:
					v.Active = true
				}
				if h.Chunk != nil {
					v.Elements++
				}
			}
			switch {
			case h.Chunk == nil || !live:
			case failed:
				v.live = append(v.live, h.Job)
			default:
				v.sound = append(v.sound, h.Job)
			}
		}
	}
	v.Active = v.Active || waiting && len(v.held) == 0
}

// parts returns what is known about the work for every item, in the order of attempts.
func (q *Queue) parts(v *View, elements Elements, submitting bool) (map[string][]*part, error) {
	parts := map[string][]*part{}
	for _, a := range v.Attempts {
		if a.Error != "" {
			continue
		}
		for _, h := range a.Jobs {
			label := a.label(h)
			add := func(index int, portion Portion, outcome *Outcome) {
				p := &part{attempt: a, handed: h, id: ElementID{h.Job, index}, portion: portion, outcome: outcome, submitting: submitting && !a.Complete}
				if h.Job != 0 {
					p.element = elements.Of(p.id)
					p.log = filepath.Join(logDir(q.Dir), label+"-"+p.id.String()+".log")
				}
				parts[portion.Key] = append(parts[portion.Key], p)
			}
			switch {
			case h.Chunk == nil:
				add(-1, Portion{Key: Item{}.Key(), Plan: a.Plan, Try: a.Try}, nil)
			case a.Elements == nil:
				for _, i := range h.Indices {
					add(i, Portion{Key: Item{}.Key(), Plan: a.Plan, Try: a.Try, Tasks: []int{h.Offset + i}}, nil)
				}
			default:
				for _, i := range h.Indices {
					for _, portion := range a.Elements[h.Offset+i] {
						o, err := loadOutcome(q.outcomePath(portion.Key, a.Number, h.Offset+i))
						if err != nil {
							return nil, err
						}
						add(i, portion, o)
					}
				}
			}
		}
	}
	return parts, nil
}

// state is that of the part, by Slurm and by the word of the element.
func (p *part) state() JobState {
	var s JobState
	switch {
	case p.id.Job != 0:
		s = jobState(p.element)
		s.Job, s.Log = p.id.String(), p.log
	case p.submitting:
		s = JobState{State: StatePending, Reason: "it is being submitted", verdict: Verdict{Action: Wait}}
	default:
		s = JobState{State: StateMissing, Reason: "not submitted"}
	}
	s.Attempt = p.attempt.Number
	if p.attempt.Elements == nil || s.atWork() || s.State == StateHeld {
		return s
	}
	if p.outcome == nil {
		if s.verdict.Action == Stop {
			s.verdict.Action = Retry // the element failed for another item and did not come to this one
		}
		return s
	}
	if s.Slurm == Unanswered {
		s.Slurm = "" // its word is answer enough
	}
	switch code := fault.Code(p.outcome.Code); code {
	case fault.OK:
		s.State, s.Reason, s.verdict = StateDone, "", Verdict{Action: Retry}
	case fault.Temporary, fault.Busy, fault.Interrupted, fault.Incomplete:
		s.State, s.Exit, s.Reason = StateFailed, p.outcome.Code, p.outcome.Error
		if s.verdict.Action != Retry {
			s.verdict = Verdict{Action: Retry, Reason: s.Reason}
		}
	default:
		s.State, s.Exit, s.Reason = StateFailed, p.outcome.Code, p.outcome.Error
		s.verdict = Verdict{Action: Stop, Reason: s.Reason}
	}
	return s
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

// item finds the state of an item from its files and its parts.
func (q *Queue) item(r *Report, parts []*part) error {
	var err error
	if q.packed() {
		o, err := loadOutcome(q.planOutcome(r.Key))
		if err != nil {
			return err
		}
		if o != nil && o.Code != int(fault.OK) { // a plan that is there is not the one that is wanted
			r.State, r.Reason = Ended, o.Error
			return nil
		}
	}
	partials, err := q.plan(r.Key)
	if err != nil {
		return err
	}
	if partials == nil {
		r.State = Unplanned
		return nil
	}
	r.Plan, r.PlanID, r.deployID = partials.Plan, partials.Plan.ID, q.deploymentID(r.Item, partials.Plan)
	if r.Wrong, err = job.Wrong(r.Work, r.Plan); err != nil {
		return err
	}
	r.history(parts)
	parts = slices.DeleteFunc(slices.Clone(parts), func(p *part) bool { return p.portion.Plan != r.PlanID })
	var reduced error
	r.Summary, reduced = q.summary(r.Key, r.Plan)
	lacks := map[int]string{}
	if !q.packed() || reduced != nil {
		lacks = partials.Lacking()
	}
	r.tasks(parts, lacks)
	r.followers(parts)
	if r.Done, err = r.finished(reduced); err != nil {
		return err
	}
	if r.Done {
		r.Waiting = q.Request.Waiting
	}
	r.settle(q.Request.MaxAttempts)
	return nil
}

// history takes in how often and when the item was worked on, whatever its plan was.
func (r *Report) history(parts []*part) {
	var begin, end time.Time
	for _, p := range parts {
		switch {
		case p.portion.Deploy == "" && p.handed.Part != DeployPart:
			r.Tries = p.portion.Try
		case (p.portion.Deploy == r.deployID || p.portion.Deploy == "") && (p.outcome == nil || !p.outcome.Skipped):
			r.deployTries = p.portion.Try
		}
		if o := p.outcome; o != nil {
			if begin.IsZero() || o.Begin.Before(begin) {
				begin = o.Begin
			}
			if o.End.After(end) {
				end = o.End
			}
		}
	}
	r.Seconds = end.Sub(begin).Seconds()
}

// tasks finds the state of every task from its latest part, or one that is at work.
func (r *Report) tasks(parts []*part, lacks map[int]string) {
	states := make([]JobState, len(r.Plan.Tasks))
	known := make([]bool, len(states))
	for _, p := range parts {
		if len(p.portion.Tasks) == 0 {
			continue
		}
		s := p.state()
		for _, t := range p.portion.Tasks {
			if t < len(states) && (!known[t] || !states[t].atWork() || s.atWork()) {
				states[t], known[t] = s, true
			}
		}
	}
	for n, t := range r.Plan.Tasks {
		s := TaskState{Task: n, Bytes: t.Bytes, JobState: states[n]}
		if !known[n] {
			s.JobState = jobState(nil)
		}
		if why, lacking := lacks[n]; !lacking {
			s.State, s.Reason = StateDone, ""
		} else if s.State == StateDone {
			s.State, s.Reason = StateFailed, "ended well, but: "+why
		}
		r.Counts[s.State]++
		r.Tasks = append(r.Tasks, s)
	}
}

// complete reports whether all partials are there.
func (r *Report) complete() bool { return r.Counts[StateDone] == len(r.Tasks) }

// followers finds the states of what follows the tasks. Of one run these are jobs, of which later ones take the place of
// earlier ones; of others it is the last part of an element's work.
func (r *Report) followers(parts []*part) {
	r.Reduce = JobState{State: StateMissing, Reason: "not submitted"}
	packed, latest := r.queue.packed(), -1
	for _, p := range parts {
		if n := p.attempt.Number; !packed && n > latest { // what an attempt has not, is missing
			latest, r.Repair, r.Deploy = n, nil, nil
		}
		s := &r.Reduce
		switch {
		case p.handed.Part == ReducePart:
		case p.handed.Part == RepairPart:
			r.Repair = &JobState{}
			s = r.Repair
		case p.handed.Part == DeployPart || p.portion.Deploy != "" && p.portion.Deploy == r.deployID:
			r.Deploy = &JobState{}
			s = r.Deploy
		case !packed || p.portion.Deploy != "" || !r.complete() || s.atWork():
			continue
		}
		*s = p.state()
	}
	if r.Deploy == nil && len(r.queue.Request.Deploy) > 0 && (!packed || r.Item.Deploy) {
		r.Deploy = &JobState{State: StateMissing, Reason: "not submitted"}
	}
}

// finished reports whether nothing is left to do for the request: the results are where it wants them and, if asked for,
// its deployment has left word in the ledger. Slurm's opinion does not count. reduced says why the results are not there.
func (r *Report) finished(reduced error) (bool, error) {
	if r.Deploy != nil {
		if err := r.deployment(); err != nil {
			return false, err
		}
	}
	if !r.complete() || !r.queue.packed() && r.Reduce.atWork() {
		return false, nil
	}
	if reduced != nil {
		if r.Reduce.State == StateDone {
			r.Reduce.State, r.Reduce.Reason = StateFailed, "ended well, but: "+reduced.Error()
		}
		return false, nil
	}
	r.Reduce.State, r.Reduce.Reason = StateDone, ""
	return r.Deploy == nil || r.Deploy.State == StateDone, nil
}

// deployment takes in what the deployment of the request has left word of.
func (r *Report) deployment() error {
	d, err := LoadDeployment(r.Work, r.deployID)
	s := r.Deploy
	switch {
	case s.atWork() || s.State == StateHeld:
	case err != nil && r.queue.packed():
		return err
	case err != nil:
		s.State, s.Reason, s.verdict = StateFailed, err.Error(), Verdict{Action: Stop, Reason: err.Error()}
	case d == nil:
		if s.State == StateDone {
			s.State, s.Reason = StateFailed, "ended well, but left no word of what it deployed"
		}
	case d.Code == int(fault.OK):
		s.State, s.Reason = StateDone, ""
	default:
		s.State, s.Exit, s.Reason = StateFailed, d.Code, d.Error
		s.verdict = Verdict{Action: Stop, Reason: d.Error}
		if passing(fault.Code(d.Code)) {
			s.verdict.Action = Retry
		}
	}
	return nil
}

// Reduced returns what the reduction of a plan has found when its results are in a repository, else why they are not. Files that
// another plan has replaced since count: the summary says that they were written.
func Reduced(work string, p *plan.Plan, repository string) (*reduce.Summary, error) {
	sum, err := reduce.LoadSummary(work)
	switch {
	case err != nil:
		return nil, err
	case sum.Plan != p.ID:
		return nil, fault.New(fault.Incomplete, "the results in %s are of plan %.12s", work, sum.Plan)
	}
	for _, g := range sum.Groups {
		for _, panel := range g.Panels {
			if panel.File == "" {
				continue
			}
			if rel, err := filepath.Rel(repository, panel.File); repository != "" && (err != nil || !filepath.IsLocal(rel)) {
				return nil, fault.New(fault.Incomplete, "the results were written elsewhere, to %s", panel.File)
			}
			if _, err := repo.ReadSidecar(panel.File); err != nil {
				return nil, err
			}
			for _, path := range append([]string{panel.File}, panel.Constants...) {
				if _, err := os.Stat(path); err != nil {
					return nil, err
				}
			}
		}
	}
	return sum, nil
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
	if ids := r.view.held[:min(len(r.view.held), shownFailures)]; len(ids) > 0 {
		return fault.New(fault.Incomplete, "waiting for a person: Slurm holds %s: %s", strings.Join(ids, ", "), r.view.heldWhy).
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
		return err.WithHint("remove the cause, then: %s%s", r.queue.again(), r.Deploy.logHint())
	}
	if r.Unfinished {
		return fault.New(fault.Incomplete, "the submission was cut off: reduce of plan %.12s is %s", r.PlanID, r.Reduce.State).
			WithHint("submit what is missing with: %s", r.queue.again())
	}
	var lines []string
	for _, t := range r.Tasks {
		if t.open() {
			lines = append(lines, fmt.Sprintf("task %d: %s", t.Task, t.Reason))
		}
	}
	lines = shortened(lines)
	if r.Reduce.State == StateFailed && len(lines) == 0 {
		lines = append(lines, "reduce: "+r.Reduce.Reason)
	}
	if r.Cancelled != "" {
		lines = append(lines, "cancelled by "+r.Cancelled)
	}
	return fault.New(fault.Incomplete, "%d of %s of plan %.12s are done\n  %s", r.Counts[StateDone], fault.Count(len(r.Tasks), "task"), r.PlanID, strings.Join(lines, "\n  ")).
		WithHint("submit what is missing again with: %s", r.queue.again())
}

// shortened bounds the list in an error message.
func shortened(lines []string) []string {
	if len(lines) > shownFailures {
		lines = append(lines[:shownFailures], fmt.Sprintf("... and %d more", len(lines)-shownFailures))
	}
	return lines
}

const shownFailures = 10

// Held reports whether the jobs wait for a person to release some.
func (r *Report) Held() bool { return len(r.view.held) > 0 && !r.Active }

func (s *JobState) logHint() string {
	if s.Log == "" {
		return ""
	}
	return " (its log: " + s.Log + ")"
}

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
