package campaign

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

// Call runs a command of rawstatus in this process and returns its outcome.
type Call func(ctx context.Context, args ...string) Outcome

// Plan plans an item, unless it has a plan made with the same options; with again also then, because the raw data may
// have changed. The outcome is kept. A plan that comes out the same keeps its partials.
func (c *Campaign) Plan(ctx context.Context, it Item, workers string, again bool, call Call) error {
	key := it.Key()
	args := []string{"plan", "--exp", it.Experiment, "--run", strconv.Itoa(it.Run), "--det", it.Detector, "--profile", it.Profile, "--work", c.Work(key), "--workers", workers}
	if it.Dir != "" {
		args = append(args, "--dir", it.Dir)
	}
	args = append(args, it.Options...)
	old, told, err := loadOutcome(c.planOutcome(key))
	if err != nil || told && old.Code == int(fault.OK) && slices.Equal(old.Args, args) && !again {
		return err
	}
	o := call(ctx, args...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.Args = args
	return SaveOutcome(c.planOutcome(key), o)
}

// Element does one element of a wave: the tasks of each piece, then the reduction of an item whose last partial that
// made. An item that fails does not stop the others.
func (c *Campaign) Element(ctx context.Context, wave, element int, workers string, call Call) error {
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
		o := c.piece(ctx, w, p, workers, call)
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

func (c *Campaign) piece(ctx context.Context, w *Wave, p Piece, workers string, call Call) Outcome {
	begin := time.Now().UTC()
	work := c.Work(p.Key)
	o, worked, profile := Outcome{}, "", ""
	if partials, err := c.plan(p.Key); err == nil && partials != nil {
		worked, profile = partials.Plan.ID, partials.Plan.Params.Profile
	}
	if p.Deploy != "" {
		o = call(ctx, c.deployWords(w, p)...)
		o.Plan, o.Begin, o.End = p.Plan, begin, time.Now().UTC()
		return o
	}
	if len(p.Tasks) > 0 {
		o = call(ctx, "task", "--work", work, "--plan", p.Plan, "--task", reduce.Ranges(p.Tasks), "--workers", workers)
	}
	if o.Code == int(fault.OK) && c.complete(p.Key) {
		o = call(ctx, append([]string{"reduce", "--work", work, "--plan", p.Plan}, reduceWords(w.ReduceWords, profile)...)...)
		if o.Code == int(fault.OK) && w.Post {
			// A logbook that is away changes nothing for the item: what is not sent is kept in its work directory.
			call(ctx, "post", "--work", work)
		}
	}
	if worked != p.Plan {
		worked = p.Plan // the piece was refused; its item has another plan now
	}
	o.Plan, o.Begin, o.End = worked, begin, time.Now().UTC()
	o.Host, _ = os.Hostname() // for people; a node without a name still works
	return o
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

// reduceWords are the words for the reduction of an item: products are of dark runs only.
func reduceWords(words []string, profile string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool {
		return strings.HasPrefix(word, "--products=") && profile != plan.ProfileDark
	})
}
