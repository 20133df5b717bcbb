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
	// Restores, if not nil, is the deployment whose content has to be put in place of the one undone,
	// because taking that away would uncover something else than what was in force before.
	Restores *Record
	steps    []Step
}

// history answers what was in force before deployments, as if those that were undone had never happened.
type history []Record

// before returns what a run used before a deployment; false when the deployment has not changed that run.
func (h history) before(of Record, run int) (held Held, known bool) {
	for limit := slices.IndexFunc(h, func(r Record) bool { return r.ID == of.ID }); ; {
		i := slices.IndexFunc(of.Changes, func(c Change) bool { return c.Runs.Has(run) })
		if i < 0 {
			return held, known
		}
		held, known = of.Changes[i].Before, true
		// Who had put that there? Not a rollback, which only brings back what an earlier one had put.
		for limit--; limit >= 0; limit-- {
			if r := h[limit]; r.State == Done && (r.Undoes == "" || r.Restores != "") && r.Made(held.Name, held.Content) {
				break
			}
		}
		if limit < 0 || Undone(h, h[limit].ID) == nil {
			return held, known
		}
		of = h[limit]
	}
}

// cuts are the edges of all stretches on record.
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
func (p Place) PlanUndo(ctx context.Context, of Record) (*Undo, error) {
	records, err := p.Records()
	if err != nil {
		return nil, err
	}
	items, _, err := p.Items(ctx)
	if err != nil {
		return nil, err
	}
	u := &Undo{Of: of, Changes: []Change{}}
	if _, err := p.done(ctx, &of); err != nil {
		return nil, err
	}
	var touched, restored []Item
	for _, s := range of.Steps {
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
		return nil, fault.New(fault.Refused, "nothing of deployment %s is there any more as it was deployed: another one took its place, or somebody changed it", of.ID).
			WithHint("mergedeploy history lists the deployments: rollback --of <id> takes another one back, rollback --to <id> deploys an earlier content")
	}
	wrong, err := p.undone(ctx, u, history(records), items, touched, restored)
	if err != nil || wrong == "" {
		return u, err
	}
	if p.replace(u, history(records), items) {
		return u, nil
	}
	return nil, fault.New(fault.Refused, "deployment %s cannot be taken back exactly: %s", of.ID, wrong).
		WithHint("take back what came later first (mergedeploy history, rollback --of <id>), or deploy an earlier content with rollback --to <id>")
}

// undone fills in what the steps of the plan change, and says what would not be as before the deployment.
func (p Place) undone(ctx context.Context, u *Undo, h history, items, touched, restored []Item) (wrong string, err error) {
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
		if want, known := h.before(u.Of, runs.Begin); known && !want.same(after) && wrong == "" {
			wrong = fmt.Sprintf("runs %s would use %s, before it they used %s", runs.Runs(), orNothing(is), orNothing(want.Name))
		}
	}, h.cuts()...)
	return wrong, err
}

// replace plans to put the content that was in force before in the place of the deployment, where that is
// one and the same for all runs that use it.
func (p Place) replace(u *Undo, h history, items []Item) bool {
	var was *Held
	exact := true
	added := p.Target(u.Of.Range)
	changes := []Change{}
	compare(items, with(items, added), func(runs Range, name, is string) {
		if !slices.ContainsFunc(added, func(x Item) bool { return x.Name == is }) {
			return
		}
		held, known := h.before(u.Of, runs.Begin)
		if was == nil {
			was = &held
		}
		exact = exact && known && slices.Contains(u.Of.names(), name) && held.Content != "" && held.Content == was.Content
		changes = append(changes, Change{Runs: runs, Before: Held{name, u.Of.Content}})
	}, h.cuts()...)
	if !exact || was == nil {
		return false
	}
	i := slices.IndexFunc(h, func(r Record) bool { return r.State == Done && r.Content == was.Content })
	if i < 0 {
		return false
	}
	u.Restores, u.Changes = &h[i], changes
	return true
}

// Undo takes a deployment back. rec says who does it; what its Seen has is compared as in Deploy.
func (p Place) Undo(ctx context.Context, rec Record, id string) (Record, error) {
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
	content := &Content{}
	if u.Restores != nil {
		*content, err = p.Kept(ctx, *u.Restores)
		rec.Restores, rec.Inputs, rec.Content, rec.Array = u.Restores.ID, u.Restores.Inputs, u.Restores.Content, u.Restores.Array
	} else {
		rec.Steps, rec.Content = u.steps, u.steps[0].Now
		if content = nil; rec.Content != "" {
			content = new(Content)
			*content, err = p.Kept(ctx, Record{ID: rec.ID, Content: rec.Content})
		}
	}
	if err != nil {
		return rec, err
	}
	if content, err = p.Begin(ctx, &rec, content); err != nil {
		return rec, err
	}
	if content != nil {
		rec.Content = content.SHA256
		if content.Array != nil {
			rec.Shape, rec.Array, rec.Bad = content.Array.Shape, SumArray(content.Array), 0
			for _, word := range content.Array.Values {
				if word != 0 {
					rec.Bad++
				}
			}
		}
	}
	if err := p.carryOut(ctx, &rec, content); err != nil {
		return rec, err
	}
	return rec, p.readBack(ctx, rec)
}
