package calib

import (
	"context"
	"fmt"
	"slices"

	"rawstatus/internal/fault"
)

// Undo is a plan to take a deployment back: every stretch of runs that uses it gets again what was in
// force before it. What later deployments or other programs have changed stays.
type Undo struct {
	Of      Record
	Changes []Change
	steps   []Step
}

// history is the part of the ledger that says what was in force before deployments.
type history []Record

// fits reports whether it is right that a run uses after again when a deployment is taken back: what it
// used before. If that was taken back since, it is what was before that, or anything else that had been
// there already and would have been used had that never happened.
func (h history) fits(of Record, run int, after Held) (want Held, fits bool) {
	limit := slices.IndexFunc(h, func(r Record) bool { return r.ID == of.ID })
	for at := limit; ; {
		i := slices.IndexFunc(of.Changes, func(c Change) bool { return c.Runs.Has(run) })
		if i < 0 {
			return want, true // it came to be used later: nothing is known of that run
		}
		if want = of.Changes[i].Before; want.same(after) {
			return want, true
		}
		// Who had put that there? Not a rollback, which only brings back what an earlier one had put.
		for at--; at >= 0; at-- {
			if r := h[at]; r.State == Done && r.Undoes == "" && r.Made(want.Name, want.Content) {
				break
			}
		}
		if at < 0 || Undone(h, h[at].ID) == nil {
			return want, false
		}
		if h.has(after, limit) {
			return want, true
		}
		of = h[at]
	}
}

// onTop returns the id of a later deployment that has put something under the same name.
func (h history) onTop(of Record) string {
	for _, r := range slices.Backward(h) {
		if r.ID == of.ID {
			break
		}
		same := slices.ContainsFunc(r.Steps, func(s Step) bool { return slices.Contains(of.names(), s.Name) })
		if same && r.State == Done && r.Undoes == "" && Undone(h, r.ID) == nil {
			return r.ID
		}
	}
	return ""
}

// has reports whether one of the first records has put a content, and is not taken back.
func (h history) has(held Held, limit int) bool {
	return slices.ContainsFunc(h[:limit], func(r Record) bool {
		return r.State == Done && r.Undoes == "" && r.Made(held.Name, held.Content) && Undone(h, r.ID) == nil
	})
}

// cuts returns the edges of all stretches on record.
func (h history) cuts() []Range {
	var cuts []Range
	for _, r := range h {
		for _, c := range r.Changes {
			cuts = append(cuts, c.Runs)
		}
	}
	return cuts
}

// PlanUndo works out how to take a deployment back, and refuses what cannot be done exactly.
func (p Destination) PlanUndo(ctx context.Context, of Record) (*Undo, error) {
	records, err := p.Records()
	if err != nil {
		return nil, err
	}
	items, _, err := p.Items(ctx)
	if err != nil {
		return nil, err
	}
	if later := history(records).onTop(of); later != "" {
		return nil, fault.New(fault.Refused, "deployment %s is under a later one of the same runs, %s", of.ID, later).
			WithHint("take that one back first: rollback --of %s", later)
	}
	u := &Undo{Of: of, Changes: []Change{}}
	if _, err := p.done(ctx, &of); err != nil {
		return nil, err
	}
	var touched, restored []Item
	for _, s := range of.Steps {
		there := slices.ContainsFunc(items, func(x Item) bool { return x.Name == s.Name })
		if !s.done && there {
			return nil, fault.New(fault.Refused, "%s of deployment %s is no longer as it was deployed: another one took its place, or somebody changed it", s.Name, of.ID).
				WithHint("mergedeploy history lists the deployments: rollback --of <id> takes another one back, rollback --to <id> deploys an earlier content")
		}
		if !s.done {
			continue
		}
		u.steps = append(u.steps, Step{DB: s.DB, Name: s.Name, Data: s.Data, Was: s.Now, Now: s.Was})
		if i := slices.IndexFunc(items, func(x Item) bool { return x.Name == s.Name }); i >= 0 {
			touched = append(touched, items[i])
			if s.Was != "" {
				restored = append(restored, items[i])
			}
		}
	}
	if len(u.steps) == 0 {
		return nil, fault.New(fault.Refused, "nothing of deployment %s is there any more: somebody has removed it", of.ID).
			WithHint("mergedeploy history lists the deployments: rollback --of <id> takes another one back, rollback --to <id> deploys an earlier content")
	}
	wrong, err := p.undone(ctx, u, history(records), items, touched, restored)
	if err != nil || wrong == "" {
		return u, err
	}
	return nil, fault.New(fault.Refused, "deployment %s cannot be taken back exactly: %s", of.ID, wrong).
		WithHint("take back what came later first (mergedeploy history, rollback --of <id>), or deploy an earlier content with rollback --to <id>")
}

// undone fills in what the steps of the plan change, and says what would not be as before the deployment.
func (p Destination) undone(ctx context.Context, u *Undo, h history, items, touched, restored []Item) (wrong string, err error) {
	content := map[string]string{"": ""}
	for _, x := range items {
		content[x.Name] = "?"
	}
	sum := func(name string) string {
		if content[name] == "?" && err == nil {
			i := slices.IndexFunc(items, func(x Item) bool { return x.Name == name })
			content[name], err = p.Sum(ctx, items[i])
		}
		return content[name]
	}
	now := map[string]string{}
	for _, s := range u.steps {
		now[s.Name] = s.Now
	}
	compare(items, with(without(items, touched...), restored), func(runs Range, was, is string) {
		if _, hit := now[was]; !hit {
			return
		}
		after := Held{is, now[is]}
		if _, ours := now[is]; !ours {
			after.Content = sum(is)
		}
		u.Changes = append(u.Changes, Change{Runs: runs, Before: Held{was, sum(was)}, After: after})
		if want, fits := h.fits(u.Of, runs.Begin, after); !fits && wrong == "" {
			wrong = fmt.Sprintf("runs %s would use %s, before it they used %s", runs.Runs(), orNothing(is), orNothing(want.Name))
		}
	}, h.cuts()...)
	return wrong, err
}

// Undo takes a deployment back. rec says who does it; what its Seen has is compared as in Deploy.
func (p Destination) Undo(ctx context.Context, rec Record, id string) (Record, error) {
	release, _, err := p.enter(ctx)
	if err != nil {
		return rec, err
	}
	defer release()
	records, err := p.Records()
	if err != nil {
		return rec, err
	}
	if done := Undone(records, id); done != nil {
		return *done, nil
	}
	i := slices.IndexFunc(records, func(r Record) bool { return r.ID == id && r.State == Done })
	if i < 0 {
		return rec, fault.New(fault.Temporary, "deployment %s is not in force: %w", id, ErrStale).WithHint("run the same command again and look at the new plan")
	}
	u, err := p.PlanUndo(ctx, records[i])
	if err == nil {
		err = checkFresh(rec.Seen, u.Changes)
	}
	if err != nil {
		return rec, err
	}
	rec.Undoes, rec.Changes, rec.Range = id, u.Changes, u.Of.Range
	rec.stamp()
	rec.Steps, rec.Content = u.steps, u.steps[0].Now
	var content *Content
	if rec.Content != "" {
		c, err := p.Kept(ctx, rec)
		if err != nil {
			return rec, err
		}
		content, rec.Shape, rec.Array = &c, c.Array.Shape, SumArray(c.Array)
		rec.Bad += len(c.Array.Words.At)
	}
	if content, err = p.Begin(ctx, &rec, content); err != nil {
		return rec, err
	}
	if err := p.carryOut(ctx, &rec, content); err != nil {
		return rec, err
	}
	return rec, p.readBack(ctx, rec)
}
