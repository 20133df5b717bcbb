package slurm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
)

// Hands are the functions that do the work on items of a campaign.
type Hands struct {
	// Plan plans an item in its work directory.
	Plan func(ctx context.Context, it Item, work string) error
	// Do does tasks of a piece.
	Do func(ctx context.Context, p Piece, tasks []int) error
	// Reduce reduces a complete item.
	Reduce func(ctx context.Context, p Piece, r job.Results) error
	// Post posts a reduced item to the logbook. A logbook that is away changes nothing for the item: what is not sent is kept
	// in its work directory.
	Post func(ctx context.Context, work string)
	// Deploy calls mergedeploy, which is another program, with these words.
	Deploy func(ctx context.Context, words []string) error
}

// Outcome is how planning an item, or one element's work on it, went.
type Outcome struct {
	Schema  int       `json:"schema"`
	Item    *Item     `json:"item,omitempty"` // that was planned
	CPUs    int       `json:"cpus,omitempty"`
	Code    int       `json:"exit_code"`
	Plan    string    `json:"plan,omitempty"` // the plan that was worked on
	Error   string    `json:"error,omitempty"`
	Hint    string    `json:"hint,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Bytes   int64     `json:"bytes,omitempty"`
	Skipped bool      `json:"skipped,omitempty"` // nothing was done
	Begin   time.Time `json:"begin"`
	End     time.Time `json:"end"`
	Host    string    `json:"host"`
}

// outcomeOf returns how some work ended that began at a time.
func outcomeOf(begin time.Time, err error) Outcome {
	o := Outcome{Begin: begin, End: time.Now().UTC(), Code: int(fault.CodeOf(err))}
	if err != nil {
		o.Error, o.Hint = fault.Message(err), fault.HintOf(err)
	}
	return o
}

func (q *Queue) planOutcome(key string) string {
	return filepath.Join(q.Work(key), "outcome", "plan.json")
}

// outcomePath returns where an element of an attempt says how it went for an item.
func (q *Queue) outcomePath(key string, attempt, element int) string {
	return filepath.Join(q.Work(key), "outcome", fmt.Sprintf("attempt-%03d-%03d.json", attempt, element))
}

func saveOutcome(path string, o Outcome) error {
	o.Schema = recordSchema
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o2775, nil); err != nil {
		return err
	}
	return WriteRecord(path, o, false)
}

// loadOutcome reads an outcome, nil when there is none.
func loadOutcome(path string) (*Outcome, error) {
	var o Outcome
	err := ReadRecord(path, &o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &o, err
}

// PlanItem plans an item, unless it has a plan that was made for the same; with again also then, because the raw data may
// have changed. The outcome is kept. A plan that comes out the same keeps its partials.
func (q *Queue) PlanItem(ctx context.Context, it Item, again bool, hands Hands) error {
	old, err := loadOutcome(q.planOutcome(it.Key()))
	if err != nil || old != nil && old.Code == int(fault.OK) && old.Item != nil && reflect.DeepEqual(*old.Item, it) && old.CPUs == q.Request.Task.CPUs && !again {
		return err
	}
	return q.keepPlan(ctx, it, func(work string) error { return hands.Plan(ctx, it, work) })
}

// Remake makes the job of an item again whose predictions are wrong.
func (q *Queue) Remake(ctx context.Context, it Item, log logrus.FieldLogger) error {
	return q.keepPlan(ctx, it, func(work string) error {
		j, err := job.Open(work)
		if err == nil {
			j, err = j.Remake(ctx, log)
		}
		if err == nil {
			err = j.Save(ctx, 0)
		}
		return err
	})
}

// keepPlan plans an item and keeps how it went.
func (q *Queue) keepPlan(ctx context.Context, it Item, do func(work string) error) error {
	begin := time.Now().UTC()
	o := outcomeOf(begin, fault.Safe(func() error { return do(q.Work(it.Key())) }))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.Item, o.CPUs = &it, q.Request.Task.CPUs
	return saveOutcome(q.planOutcome(it.Key()), o)
}

// Element does one element of an attempt at a campaign: the tasks of each portion, then the reduction of an item whose last partial
// that made. An item that fails does not stop the others, but for younger runs that are to be deployed after it: where the older one may
// succeed later they wait.
func (q *Queue) Element(ctx context.Context, attempt, element int, hands Hands) error {
	attempts, err := LoadAttempts(q.Dir)
	if err != nil {
		return err
	}
	if attempt < 1 || attempt > len(attempts) || element < 0 || element >= len(attempts[attempt-1].Elements) {
		return fault.New(fault.Usage, "campaign %s has no element %d of attempt %d", q.Name, element, attempt)
	}
	if last := attempts[len(attempts)-1]; last.Cancelled != "" {
		return fault.New(fault.Usage, "campaign %s was cancelled by %s: nothing is done", q.Name, last.Cancelled).
			WithHint("go on with: %s", q.again())
	}
	a := attempts[attempt-1]
	// A complete item is treated as the submission wants it, whatever the campaign is changed to meanwhile.
	if q.Request, err = loadRequest(q.Dir, a.Request); err != nil {
		return err
	}
	worst, failed, waits := fault.OK, 0, false
	for _, p := range a.Elements[element] {
		o := Outcome{Code: int(fault.Temporary), Error: "waits for the deployment of an older run", Plan: p.Plan, Skipped: true}
		if !waits {
			o = q.portion(ctx, p, hands)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o.Attempt, o.Bytes = attempt, p.Bytes
		if err := saveOutcome(q.outcomePath(p.Key, attempt, element), o); err != nil {
			return err
		}
		if code := fault.Code(o.Code); code != fault.OK {
			failed++
			waits = p.Deploy != "" && passing(code)
			if worst == fault.OK || code == fault.Temporary {
				worst = code
			}
		}
	}
	if worst != fault.OK {
		return fault.New(worst, "%d of %s of element %d did not succeed", failed, fault.Count(len(a.Elements[element]), "item"), element).
			WithHint("rawstatus status %s", q.Dir)
	}
	return nil
}

// passing reports whether the same may succeed later.
func passing(code fault.Code) bool {
	return code == fault.Temporary || code == fault.Busy || code == fault.Interrupted
}

// portion does a portion and returns how it went.
func (q *Queue) portion(ctx context.Context, p Portion, hands Hands) Outcome {
	partials, err := q.plan(p.Key)
	begin := time.Now().UTC()
	o := outcomeOf(begin, fault.Safe(func() error {
		switch {
		case err != nil:
			return err
		case p.Deploy != "" && partials == nil:
			return fault.New(fault.Incomplete, "the plan of %s is gone", p.Key)
		case p.Deploy != "":
			return hands.Deploy(ctx, q.deployWords(p, partials.Plan))
		}
		return q.count(ctx, p, partials, hands)
	}))
	o.Plan = p.Plan           // also of a portion that was refused, because its item has another one now
	o.Host, _ = os.Hostname() // for people; a node without a name still works
	return o
}

// count does the tasks of a portion, and what comes after the last task of an item.
func (q *Queue) count(ctx context.Context, p Portion, partials *Partials, hands Hands) error {
	of := Piece{Work: q.Work(p.Key), Plan: p.Plan}
	if len(p.Tasks) > 0 {
		if err := hands.Do(ctx, of, p.Tasks); err != nil {
			return err
		}
	}
	if partials == nil {
		return nil
	}
	for n := range partials.Plan.Tasks { // reduce verifies them
		if _, err := os.Stat(plan.TaskFile(of.Work, n)); err != nil {
			return nil
		}
	}
	results := q.Request.Results
	if partials.Plan.Params.Profile != plan.ProfileDark {
		results.Products = "" // they are of dark runs only
	}
	if err := hands.Reduce(ctx, of, results); err != nil || !q.Request.Post {
		return err
	}
	hands.Post(ctx, of.Work)
	return nil
}

// deployWords returns the words of mergedeploy for an item.
func (q *Queue) deployWords(p Portion, of *plan.Plan) []string {
	d := of.Dataset
	words := []string{"deploy", "--exp", d.Run.Experiment, "--run", strconv.Itoa(d.Run.Number), "--det", d.Detector, "--dir", filepath.Dir(d.Files[0].Path)}
	return append(append(words, q.Request.Deploy...), "--job-of", q.Work(p.Key), "--plan", p.Plan, "--request", p.Deploy)
}
