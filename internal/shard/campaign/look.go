package campaign

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

// The states of an item.
const (
	Unplanned    = "unplanned"
	Mispredicted = "mispredicted" // to be made again: a prediction of its plan was wrong
	Waiting      = "waiting"      // for a wave
	Reduced      = "reduced"      // waiting to be deployed
	Pending      = "pending"      // with Slurm, not yet running
	Running      = "running"
	Done         = "done"
	Failed       = "failed"
	Held         = "held" // Slurm keeps a job of it until a person releases it
)

// State is the state of an item.
type State struct {
	Item
	Key       string          `json:"key"`
	State     string          `json:"state"`
	Reason    string          `json:"reason,omitempty"`
	Tries     int             `json:"tries"` // waves that took part since a person last asked
	Tasks     int             `json:"tasks"`
	TasksDone int             `json:"tasks_done"`
	Bytes     int64           `json:"bytes"`
	Seconds   float64         `json:"seconds,omitempty"` // from the first to the last work on it
	Panels    int             `json:"panels,omitempty"`
	Events    int             `json:"events,omitempty"`
	Summary   *reduce.Summary `json:"-"`

	plan     *plan.Plan
	todo     []int // tasks without a partial that no job is at
	verdicts []slurm.Verdict
	outcomes []Outcome
}

// PlanID returns the id of the plan of an item; empty when it has none.
func (s *State) PlanID() string {
	if s.plan == nil {
		return ""
	}
	return s.plan.ID
}

// View is the state of a campaign at one time.
type View struct {
	Items  []*State
	Waves  []*Wave
	Active int // array elements that are queued or run
	// Going: jobs are queued or run, or are being submitted, so the state can change by itself.
	Going bool
	// Cancelled says who cancelled the jobs; nothing is submitted until a person asks for it.
	Cancelled string
}

// Count returns the number of items in a state.
func (v *View) Count(state string) int {
	n := 0
	for _, s := range v.Items {
		if s.State == state {
			n++
		}
	}
	return n
}

// Over reports whether nothing will change by itself or by another step.
func (v *View) Over() bool {
	return v.Count(Done)+v.Count(Failed)+v.Count(Held) == len(v.Items)
}

// part is a piece of an item with what became of its element.
type part struct {
	piece   Piece
	wave    int
	element *slurm.Element // nil when Slurm does not know it
	active  bool
	outcome Outcome
	told    bool // outcome is there
}

// Look gathers the state. retry ignores earlier failures, as a person who has removed their cause wants it.
func (c *Campaign) Look(ctx context.Context, retry bool) (*View, error) {
	waves, err := c.LoadWaves()
	if err != nil {
		return nil, err
	}
	v := &View{Waves: waves}
	if len(waves) > 0 {
		v.Cancelled = waves[len(waves)-1].Cancelled
	}
	parts, err := c.parts(ctx, v)
	if err != nil {
		return nil, err
	}
	for _, it := range c.Items {
		s := &State{Item: it, Key: it.Key()}
		for _, w := range waves {
			if n, ok := w.Tries[s.Key]; ok && w.Error == "" {
				s.Tries = n
			}
		}
		if retry {
			s.Tries = 0
		}
		if err := c.look(s, parts[s.Key], retry); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Key, err)
		}
		if (s.State == Waiting || s.State == Mispredicted) && s.Tries >= c.Request.MaxAttempts {
			s.State, s.Reason = Failed, fmt.Sprintf("given up after %s: %s", fault.Count(s.Tries, "attempt"), s.Reason)
		}
		v.Items = append(v.Items, s)
	}
	return v, nil
}

// parts returns the pieces of every item, in the order of waves.
func (c *Campaign) parts(ctx context.Context, v *View) (map[string][]part, error) {
	var ids []int
	for _, w := range v.Waves {
		for _, chunk := range w.Chunks {
			if chunk.Job != 0 {
				ids = append(ids, chunk.Job)
			}
		}
		if w.NextJob != 0 {
			ids = append(ids, w.NextJob)
		}
	}
	elements, err := c.Client.Elements(ctx, ids)
	if err != nil {
		return nil, err
	}
	submitting := slurm.Locked(ctx, c.Dir)
	v.Going = submitting
	for _, w := range v.Waves {
		v.Going = v.Going || w.NextJob != 0 && elements.Live(w.NextJob)
	}
	parts := map[string][]part{}
	for _, w := range v.Waves {
		if w.Error != "" {
			continue
		}
		for n, pieces := range w.Elements {
			id := w.element(n)
			e := elements.Of(id)
			if id.Job == 0 {
				e = nil
			}
			active := e != nil && !e.State.Over() && !e.Held() || w.Unfinished() && submitting
			if active {
				v.Active++
				v.Going = true
			}
			for _, p := range pieces {
				o, told, err := loadOutcome(c.OutcomePath(p.Key, w.Number, n))
				if err != nil {
					return nil, err
				}
				parts[p.Key] = append(parts[p.Key], part{p, w.Number, e, active, o, told})
			}
		}
	}
	return parts, nil
}

// look finds the state of one item.
func (c *Campaign) look(s *State, parts []part, retry bool) error {
	o, _, err := loadOutcome(c.planOutcome(s.Key))
	if err != nil {
		return err
	}
	if o.Code != int(fault.OK) { // a plan that is there is not the one that is wanted
		s.State, s.Reason = Failed, o.Error
		return nil
	}
	partials, err := c.plan(s.Key)
	if err != nil {
		return err
	}
	if partials == nil {
		s.State = Unplanned
		return nil
	}
	s.plan = partials.Plan
	s.Panels, s.Events, s.Tasks = len(s.plan.Dataset.Panels), s.plan.Dataset.Events, len(s.plan.Tasks)
	for _, t := range s.plan.Tasks {
		s.Bytes += t.Bytes
	}
	for _, p := range parts {
		if p.told {
			s.outcomes = append(s.outcomes, p.outcome)
		}
	}
	s.Seconds = span(s.outcomes)
	if s.Summary = c.summary(s.Key, s.plan); s.Summary != nil {
		s.State, s.TasksDone = Done, s.Tasks
		if s.Deploy {
			return c.deployment(s, parts, retry)
		}
		return nil
	}
	lacks := partials.Lacking()
	s.TasksDone = s.Tasks - len(lacks)
	s.settle(parts, slices.Sorted(maps.Keys(lacks)), retry)
	wrong, err := job.Wrong(c.Work(s.Key), s.plan)
	if err != nil || wrong == nil {
		return err
	}
	s.todo = nil // nothing more of this plan
	if s.State != Pending && s.State != Running {
		s.State, s.Reason = Mispredicted, wrong.Error
	}
	return nil
}

// span is the time in seconds from the first begin to the last end.
func span(outcomes []Outcome) float64 {
	var begin, end time.Time
	for _, o := range outcomes {
		if begin.IsZero() || o.Begin.Before(begin) {
			begin = o.Begin
		}
		if o.End.After(end) {
			end = o.End
		}
	}
	return end.Sub(begin).Seconds()
}

// settle decides what an item that is not done needs, from its pieces and the tasks that have no partial.
func (s *State) settle(parts []part, lacks []int, retry bool) {
	s.State = Waiting
	covered := map[int]bool{}
	parts = slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.piece.Deploy != "" })
	for _, p := range parts {
		if !p.active {
			if p.element != nil && p.element.Held() { // nobody else does its tasks
				s.State, s.Reason = Held, heldReason(p.element)
				return
			}
			continue
		}
		if s.State == Waiting {
			s.State = Pending
		}
		if p.element != nil && p.element.State != slurm.Pending && p.element.State != slurm.Requeued {
			s.State = Running
		}
		for _, t := range p.piece.Tasks {
			covered[t] = true
		}
	}
	for _, t := range lacks {
		if !covered[t] {
			s.todo = append(s.todo, t)
		}
	}
	if s.State != Waiting && len(s.todo) == 0 || retry {
		return
	}
	// The latest piece of each task, or of the reduction, says why it is not done.
	tasks := s.todo
	if len(lacks) == 0 {
		tasks = []int{reduction}
	}
	for _, t := range tasks {
		for i := len(parts) - 1; i >= 0; i-- {
			if p := parts[i]; !p.active && !p.outdated(s.plan) && (t == reduction || slices.Contains(p.piece.Tasks, t)) {
				s.judge(p)
				break
			}
		}
	}
}

// outdated reports whether a piece was of another plan than the item has now.
func (p *part) outdated(now *plan.Plan) bool {
	return p.told && p.outcome.Plan != "" && p.outcome.Plan != now.ID
}

// reduction stands for the reduction where a task number is wanted.
const reduction = -1

// judge takes in why a piece was not done.
func (s *State) judge(p part) {
	v := slurm.Diagnose(p.element)
	switch code := fault.Code(p.outcome.Code); {
	case !p.told:
		if v.Action == slurm.Stop && p.element != nil {
			// The element failed for another item of its array and did not come to this one.
			v = slurm.Verdict{Action: slurm.Retry, Reason: v.Reason}
		}
	case code == fault.OK || code == fault.Incomplete && len(s.todo) > 0:
		v = slurm.Verdict{Action: slurm.Retry, Reason: "ended well, but a partial is missing or damaged"}
	case code == fault.Temporary || code == fault.Busy:
		if v.Action != slurm.Retry {
			v = slurm.Verdict{Action: slurm.Retry}
		}
		v.Reason = p.outcome.Error
	default:
		v = slurm.Verdict{Action: slurm.Stop, Reason: p.outcome.Error}
	}
	s.verdicts = append(s.verdicts, v)
	if s.Reason == "" {
		s.Reason = v.Reason
	}
	if v.Action == slurm.Stop || v.Action == slurm.Hold {
		s.State, s.Reason = Failed, v.Reason
	}
}
