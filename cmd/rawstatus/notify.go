package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/notify"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

// told is the record of the event that the hook was given last, so that none is given twice.
type told struct {
	Event notify.Event `json:"event"`
	Error string       `json:"error,omitempty"` // of the hook
}

// notifyOnce sends an event to the hook of the site. The outcome does not affect the job: it is logged and recorded.
func notifyOnce(ctx context.Context, e *environment, record string, ev notify.Event) {
	if !notify.Wanted(e.Site.Notify, ev.State) {
		return
	}
	ev.Schema = notify.Schema
	var before told
	if err := slurm.ReadRecord(record, &before); err == nil && before.Event == ev && before.Error == "" {
		return
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.Log.Warn(err)
	}
	now := told{Event: ev}
	if err := notify.Send(ctx, e.Site.Notify, ev); err != nil {
		e.Log.Warn(err)
		now.Error = err.Error()
	}
	if err := slurm.WriteRecord(record, now, false); err != nil {
		e.Log.Warnf("the notification is not recorded: %v", err)
	}
}

// eventOf describes how a job ended; err is how.
func eventOf(e *environment, work string, p *plan.Plan, err error) notify.Event {
	d := p.Dataset
	ev := notify.Event{State: notify.Done, Experiment: d.Run.Experiment, Run: d.Run.Number, Detector: d.Detector, Plan: p.ID, Work: work, Repository: e.Site.Repository}
	if sum, errSum := reduce.LoadSummary(work); errSum == nil && sum.Plan == p.ID {
		for _, g := range sum.Groups {
			ev.Pixels, ev.Bad = ev.Pixels+g.Pixels, ev.Bad+g.Bad
		}
	}
	if err == nil {
		return ev
	}
	ev.State, ev.Error, ev.Hint = notify.Failed, fault.Message(err), fault.HintOf(err)
	if fault.CodeOf(err) == fault.Refused {
		ev.State = notify.Refused
	}
	return ev
}

// notifyOfRun reports the end of a submission's jobs, once they are over.
func notifyOfRun(ctx context.Context, e *environment, q *slurm.Queue) error {
	v, err := q.Look(ctx)
	if err != nil {
		return err
	}
	r := v.Items[0]
	if r.Active {
		e.Log.Info("the jobs are not over: the last of them notifies")
		return nil
	}
	ev := eventOf(e, q.Dir, r.Plan, r.Outcome())
	ev.Request, ev.Deployed = q.Request.ID(), r.Done && r.Deploy != nil && r.Waiting == ""
	if r.Done && r.Waiting != "" {
		ev.State, ev.Hint = notify.Waiting, r.Waiting
	}
	notifyOnce(ctx, e, filepath.Join(slurm.RequestDir(q.Dir, ev.Request), "notification.json"), ev)
	return nil
}

// notifyOfCampaign reports the end of a campaign.
func notifyOfCampaign(ctx context.Context, e *environment, q *slurm.Queue, v *slurm.View) {
	ev := notify.Event{State: notify.Done, Campaign: q.Name, Items: len(v.Items), Done: v.Count(slurm.Done), Work: q.Dir, Repository: q.Request.Results.Repository}
	if err := q.Outcome(v); err != nil {
		ev.State, ev.Error, ev.Hint = notify.Failed, fmt.Sprint(err), fault.HintOf(err)
	}
	notifyOnce(ctx, e, filepath.Join(q.Dir, "notification.json"), ev)
}
