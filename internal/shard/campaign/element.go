package campaign

import (
	"context"
	"os"
	"reflect"
	"time"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

// Hands are the functions that do the work on items.
type Hands struct {
	// Plan plans an item in its work directory.
	Plan func(ctx context.Context, it Item, work string) error
	// Do does tasks of a piece.
	Do func(ctx context.Context, p slurm.Piece, tasks []int) error
	// Reduce reduces a complete item.
	Reduce func(ctx context.Context, p slurm.Piece, r job.Results) error
	// Post posts a reduced item to the logbook. A logbook that is away changes nothing for the item: what is not sent is kept
	// in its work directory.
	Post func(ctx context.Context, work string)
	// Deploy calls mergedeploy, which is another program, with these words.
	Deploy func(ctx context.Context, words []string) error
}

// outcomeOf returns how some work ended that began at a time.
func outcomeOf(begin time.Time, err error) Outcome {
	o := Outcome{Begin: begin, End: time.Now().UTC(), Code: int(fault.CodeOf(err))}
	if err != nil {
		o.Error, o.Hint = fault.Message(err), fault.HintOf(err)
	}
	return o
}

// Plan plans an item, unless it has a plan that was made for the same; with again also then, because the raw data may
// have changed. The outcome is kept. A plan that comes out the same keeps its partials.
func (c *Campaign) Plan(ctx context.Context, it Item, again bool, hands Hands) error {
	old, told, err := loadOutcome(c.planOutcome(it.Key()))
	if err != nil || told && old.Code == int(fault.OK) && old.Item != nil && reflect.DeepEqual(*old.Item, it) && old.CPUs == c.Request.Task.CPUs && !again {
		return err
	}
	return c.keepPlan(ctx, it, func(work string) error { return hands.Plan(ctx, it, work) })
}

// Remake makes the job of an item again whose predictions are wrong.
func (c *Campaign) Remake(ctx context.Context, it Item, log logrus.FieldLogger) error {
	return c.keepPlan(ctx, it, func(work string) error {
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
func (c *Campaign) keepPlan(ctx context.Context, it Item, do func(work string) error) error {
	begin := time.Now().UTC()
	o := outcomeOf(begin, fault.Safe(func() error { return do(c.Work(it.Key())) }))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.Item, o.CPUs = &it, c.Request.Task.CPUs
	return SaveOutcome(c.planOutcome(it.Key()), o)
}

// Element does one element of a wave: the tasks of each piece, then the reduction of an item whose last partial that
// made. An item that fails does not stop the others.
func (c *Campaign) Element(ctx context.Context, wave, element int, hands Hands) error {
	waves, err := c.LoadWaves()
	if err != nil {
		return err
	}
	if wave < 1 || wave > len(waves) || element < 0 || element >= len(waves[wave-1].Elements) {
		return fault.New(fault.Usage, "campaign %s has no element %d of wave %d", c.Name, element, wave)
	}
	worst := fault.OK
	failed := 0
	w := waves[wave-1]
	if last := waves[len(waves)-1]; last.Cancelled != "" {
		return fault.New(fault.Usage, "campaign %s was cancelled by %s: nothing is done", c.Name, last.Cancelled).
			WithHint("go on with: rawstatus campaign --retry --work %s", slurm.Quote(c.Dir))
	}
	for _, p := range w.Elements[element] {
		o := c.piece(ctx, w, p, hands)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o.Wave, o.Bytes = wave, p.Bytes
		if err := SaveOutcome(c.OutcomePath(p.Key, wave, element), o); err != nil {
			return err
		}
		if code := fault.Code(o.Code); code != fault.OK {
			failed++
			if worst == fault.OK || code == fault.Temporary {
				worst = code
			}
		}
	}
	if worst != fault.OK {
		return fault.New(worst, "%d of %s of element %d did not succeed", failed, fault.Count(len(waves[wave-1].Elements[element]), "item"), element).
			WithHint("rawstatus status %s", c.Dir)
	}
	return nil
}

// piece does a piece and returns how it went.
func (c *Campaign) piece(ctx context.Context, w *Wave, p Piece, hands Hands) Outcome {
	profile := ""
	if partials, err := c.plan(p.Key); err == nil && partials != nil {
		profile = partials.Plan.Params.Profile
	}
	begin := time.Now().UTC()
	o := outcomeOf(begin, fault.Safe(func() error {
		if p.Deploy != "" {
			return hands.Deploy(ctx, c.deployWords(w, p))
		}
		return c.work(ctx, w, p, profile, hands)
	}))
	o.Plan = p.Plan           // also of a piece that was refused, because its item has another one now
	o.Host, _ = os.Hostname() // for people; a node without a name still works
	return o
}

// work does the tasks of a piece, and what comes after the last task of an item.
func (c *Campaign) work(ctx context.Context, w *Wave, p Piece, profile string, hands Hands) error {
	of := slurm.Piece{Work: c.Work(p.Key), Plan: p.Plan}
	if len(p.Tasks) > 0 {
		if err := hands.Do(ctx, of, p.Tasks); err != nil {
			return err
		}
	}
	if !c.complete(p.Key) {
		return nil
	}
	results := w.Results
	if profile != plan.ProfileDark {
		results.Products = "" // they are of dark runs only
	}
	if err := hands.Reduce(ctx, of, results); err != nil || !w.Post {
		return err
	}
	hands.Post(ctx, of.Work)
	return nil
}

// complete reports whether all partials of an item are there. Reduce verifies them.
func (c *Campaign) complete(key string) bool {
	p, err := c.plan(key)
	if err != nil || p == nil {
		return false
	}
	for n := range p.Plan.Tasks {
		if _, err := os.Stat(plan.TaskFile(p.Work, n)); err != nil {
			return false
		}
	}
	return true
}
