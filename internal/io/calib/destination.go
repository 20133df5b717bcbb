package calib

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

// Destination is a store together with the ledger of what was deployed to it. Deployments and rollbacks may be
// run by any number of processes at once.
type Destination struct {
	Store
	Ledger *Ledger
	// Sets is the ledger of sets of types of the same detector.
	Sets *Ledger
	// Settle is how long a request may take to arrive after its sender has given up or was stopped. What
	// has not arrived is looked for again after that time.
	Settle time.Duration
}

// Records returns the ledger, oldest first.
func (p Destination) Records() ([]Record, error) { return p.Ledger.Load() }

// Find resolves a run as analysis does; nil when it finds nothing.
func (p Destination) Find(ctx context.Context, run int) (*Item, []string, error) {
	items, notes, err := p.Items(ctx)
	if err != nil {
		return nil, nil, err
	}
	if i := Pick(items, run); i >= 0 {
		return &items[i], notes, nil
	}
	return nil, notes, nil
}

// Outlook returns the stretches of runs that a deployment for the range would change, and what they use
// now. It goes into Record.Seen.
func (p Destination) Outlook(ctx context.Context, items []Item, r Range) ([]Change, error) {
	added := p.Target(r)
	return p.changes(ctx, items, with(items, added), added)
}

// changes lists the stretches of runs that use, before or after, one of the items that are touched.
func (p Destination) changes(ctx context.Context, before, after, touched []Item) ([]Change, error) {
	sums := map[string]string{}
	list := []Change{}
	var failed error
	compare(before, after, func(runs Range, was, is string) {
		hit := was != is || slices.ContainsFunc(touched, func(x Item) bool { return x.Name == is })
		if !hit || failed != nil {
			return
		}
		c := Change{Runs: runs, Before: Held{Name: was}}
		if _, known := sums[was]; !known && was != "" {
			i := slices.IndexFunc(before, func(x Item) bool { return x.Name == was })
			sums[was], failed = p.Sum(ctx, before[i])
		}
		c.Before.Content = sums[was]
		list = append(list, c)
	})
	return list, failed
}

// enter locks the destination and ends what was interrupted.
func (p Destination) enter(ctx context.Context) (release func(), removed int, err error) {
	release, removed, err = p.Lock(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := p.repair(ctx); err != nil {
		release()
		return nil, 0, err
	}
	return release, removed, nil
}

// Collect removes leftovers of interrupted writers, says how many, and completes or aborts what they had
// begun. Where nothing was ever deployed from here it does nothing.
func (p Destination) Collect(ctx context.Context) (removed int, err error) {
	if records, err := p.Records(); err != nil || len(records) == 0 {
		return 0, err
	}
	release, removed, err := p.enter(ctx)
	if err != nil {
		return 0, err
	}
	release()
	return removed, nil
}

// Deploy makes content the constant for the range of rec. It fills in what it knows: id, state, time,
// login, host, steps and changes. When the same deployment (equal Key) is in force already, nothing is
// done and unchanged is true.
func (p Destination) Deploy(ctx context.Context, rec Record, content Content) (done Record, unchanged bool, err error) {
	if err := content.Check(ctx); err != nil {
		return rec, false, err
	}
	release, _, err := p.enter(ctx)
	if err != nil {
		return rec, false, err
	}
	defer release()
	items, _, err := p.Items(ctx)
	if err != nil {
		return rec, false, err
	}
	if old, err := p.inForce(ctx, rec, items); err != nil || old != nil {
		if err == nil {
			rec = *old
		}
		return rec, err == nil, err
	}
	rec.Changes, err = p.Outlook(ctx, items, rec.Range)
	if err == nil {
		err = checkFresh(rec.Seen, rec.Changes)
	}
	if err != nil {
		return rec, false, err
	}
	rec.Source = content.Path
	rec.stamp()
	stored, err := p.Begin(ctx, &rec, &content)
	if err != nil {
		return rec, false, err
	}
	rec.Content = stored.SHA256
	if err := p.carryOut(ctx, &rec, stored); err != nil {
		return rec, false, err
	}
	return rec, false, p.readBack(ctx, rec)
}

// inForce returns the last deployment for the range if it is the same one and all of it is still there.
func (p Destination) inForce(ctx context.Context, rec Record, items []Item) (*Record, error) {
	records, err := p.Records()
	if err != nil {
		return nil, err
	}
	for _, old := range slices.Backward(records) {
		if old.State != Done || old.Range != rec.Range || old.Undoes != "" || Undone(records, old.ID) != nil {
			continue
		}
		if old.Key == "" || old.Key != rec.Key {
			return nil, nil
		}
		for i := range old.Steps {
			if holds, err := p.Holds(ctx, &old, i); err != nil || !holds {
				return nil, err
			}
		}
		// Another one of the same range may have come on top, from elsewhere.
		same := slices.DeleteFunc(slices.Clone(items), func(x Item) bool { return x.Range != rec.Range || x.Fallback })
		if i := Pick(same, rec.Range.Begin); i >= 0 && !slices.Contains(old.names(), same[i].Name) {
			return nil, nil
		}
		return &old, nil
	}
	return nil, nil
}

// carryOut writes the intent, does the steps, and ends the record.
func (p Destination) carryOut(ctx context.Context, rec *Record, content *Content) error {
	if err := p.Ledger.Append(*rec); err != nil {
		return err
	}
	for i := range rec.Steps {
		if err := ctx.Err(); err != nil {
			return p.interrupted(ctx, rec, err)
		}
		if err := p.Put(ctx, rec, i, content); err != nil {
			return p.interrupted(ctx, rec, err)
		}
	}
	if err := p.finish(ctx, rec); err != nil {
		return p.interrupted(ctx, rec, err)
	}
	return nil
}

// stamp fills in who deploys from where.
func (rec *Record) stamp() {
	now := time.Now()
	rec.ID, rec.State, rec.Time = NewID(now), Intent, now.UTC()
	rec.Login, rec.Host, rec.Cwd = access.Login(), access.Host(), access.WorkDir()
}

// finish reads back what was put and ends the record.
func (p Destination) finish(ctx context.Context, rec *Record) error {
	if err := p.End(ctx, rec); err != nil {
		return err
	}
	if len(rec.Steps) > 0 {
		rec.Name = rec.Steps[0].Name
	}
	rec.State = Done
	return p.Ledger.Mark(*rec, Done, "")
}

// done counts the steps of a deployment that are there.
func (p Destination) done(ctx context.Context, rec *Record) (n int, err error) {
	for i := range rec.Steps {
		holds, err := p.Holds(ctx, rec, i)
		if err != nil {
			return n, err
		}
		if rec.Steps[i].done = holds; holds {
			n++
		}
	}
	return n, nil
}

// arrived is done for a deployment that was interrupted.
func (p Destination) arrived(ctx context.Context, rec *Record) (n int, err error) {
	if n, err = p.done(ctx, rec); n == len(rec.Steps) || n > 0 && !rec.ofSet() || err != nil || p.Settle == 0 {
		return n, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(p.Settle):
		return p.done(ctx, rec)
	}
}

// interrupted says what of a deployment is there after an error, and ends the record if nothing is.
func (p Destination) interrupted(ctx context.Context, rec *Record, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	n, err := p.arrived(ctx, rec)
	switch {
	case err != nil:
		return fault.New(codeOf(cause), "deployment %s stopped, and what has arrived cannot be found out now: %w", rec.ID, cause).
			WithHint("run the same command again: it completes or aborts the deployment")
	case n == 0:
		// If the ledger cannot be written either, the next call finds the intent and draws the same conclusion.
		_ = p.Ledger.Mark(*rec, Aborted, cause.Error())
		return cause
	case n < len(rec.Steps) && rec.ofSet() && p.withdraw(ctx, rec, cause.Error()) == nil:
		return cause
	case n < len(rec.Steps):
		return fault.New(codeOf(cause), "%s %s is done in part: %s, not yet %s: %w", rec.Action, rec.ID, rec.dests(true), rec.dests(false), cause).
			WithHint("run the same command again, or mergedeploy gc: it completes the rest")
	}
	return fault.New(codeOf(cause), "%s %s is done, but not recorded completely: %w", rec.Action, rec.ID, cause).
		WithHint("run the same command again: it completes the record")
}

// destinations names where the steps are done, or not yet.
func (rec *Record) dests(done bool) string {
	var names []string
	for _, s := range rec.Steps {
		if s.done == done {
			names = append(names, s.where())
		}
	}
	return fmt.Sprint(names)
}

// codeOf keeps the class of an error; what has none is worth another try here.
func codeOf(err error) fault.Code {
	if c := fault.CodeOf(err); c != fault.Unexpected {
		return c
	}
	return fault.Temporary
}

// ofSet reports whether a record deploys a type of a set.
func (rec *Record) ofSet() bool { return rec.Set != "" && rec.Action == ActionDeploy }

// withdraw takes back what there is of a type of a set that is done in part, and ends its record: the set is taken back anyway, and
// to complete it first would take the room whose lack may have stopped it.
func (p Destination) withdraw(ctx context.Context, rec *Record, why string) error {
	for i := len(rec.Steps) - 1; i >= 0; i-- {
		if !rec.Steps[i].done {
			continue
		}
		if err := p.Put(ctx, rec, i, nil); err != nil {
			return err
		}
	}
	return p.Ledger.Mark(*rec, Aborted, why)
}

// repair ends what was interrupted: a deployment of which a part is there is completed, or withdrawn if it belongs to a set; another
// is aborted.
func (p Destination) repair(ctx context.Context) error {
	records, err := p.Records()
	if err != nil {
		return err
	}
	rec, pending := Pending(records)
	if !pending {
		return nil
	}
	n, err := p.arrived(ctx, &rec)
	if err != nil {
		return err
	}
	if n == 0 {
		return p.Ledger.Mark(rec, Aborted, "interrupted before anything was changed")
	}
	if n < len(rec.Steps) && rec.ofSet() {
		return p.withdraw(ctx, &rec, "interrupted: what was there is taken back")
	}
	for i := range rec.Steps {
		if rec.Steps[i].done {
			continue
		}
		var content *Content
		if rec.Steps[i].Now != "" {
			c, err := p.Kept(ctx, rec)
			if err != nil {
				return err
			}
			content = &c
		}
		if err := p.Put(ctx, &rec, i, content); err != nil {
			return p.interrupted(ctx, &rec, err)
		}
	}
	return p.finish(ctx, &rec)
}

// readBack resolves the runs that were to change, as analysis does.
func (p Destination) readBack(ctx context.Context, rec Record) error {
	items, _, err := p.Items(ctx)
	if err != nil {
		return err
	}
	for _, c := range rec.Changes {
		want := rec.names()
		if rec.Undoes != "" {
			want = []string{c.After.Name}
		}
		got := ""
		if i := Pick(items, c.Runs.Begin); i >= 0 {
			got = items[i].Name
		}
		if !slices.Contains(want, got) {
			return fault.New(fault.Unexpected, "after %s %s run %d uses %s", rec.Action, rec.ID, c.Runs.Begin, orNothing(got)).
				WithHint("another deployment came in between (see history), or another program writes here")
		}
	}
	return nil
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}
