package calib

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rawstatus/internal/fault"
)

// Set is the ledger of sets: constants of several types of one detector that are deployed, and taken back, together.
// A set has one entry there, which names its parts; each part is a deployment of its type and has its own record besides.
// All parts are deployed, or none is left: what fails or is killed in between is ended by the next call, which takes back
// the parts that are there, unless all are.
type Set struct {
	Ledger *Ledger
	Wait   time.Duration // for another set
	// Open returns the destination of a type.
	Open func(ctype string) (Destination, error)
	// Share, where destinations of different types do not exclude each other, settles what they share, by the first of them: their
	// parts are then deployed at the same time. nil: one after the other.
	Share func(ctx context.Context, first Destination) error
}

// Part is a type of a set.
type Part struct {
	CType string `json:"ctype"`
	Array string `json:"array_sha256,omitempty"`
	// Deployment is the record in the ledger of the type. Unchanged: it was in force before, and belongs to another set.
	Deployment string `json:"deployment,omitempty"`
	Name       string `json:"name,omitempty"`
	Unchanged  bool   `json:"unchanged,omitempty"`
}

// Deployment is a part of a set to be deployed.
type Deployment struct {
	Destination Destination
	Record      Record // of the type; filled in when it is done
	Content     func() (Content, int64, error)
	// Unchanged reports that it was in force already.
	Unchanged bool
}

// Records returns the entries of all sets, oldest first.
func (s *Set) Records() ([]Record, error) { return s.Ledger.Load() }

// Last returns the set that was deployed last and is not taken back, or the one whose id begins with of.
func (s *Set) Last(of string) (Record, error) {
	records, err := s.Records()
	if err != nil {
		return Record{}, err
	}
	for _, r := range slices.Backward(records) {
		if r.State == Done && r.Action == ActionDeploy && strings.HasPrefix(r.ID, of) && (of != "" || Undone(records, r.ID) == nil) {
			return r, nil
		}
	}
	return Record{}, fault.New(fault.Input, "no set of constants of a dark run was deployed here by this program, or all are taken back").
		WithHint("mergedeploy history --dark lists the sets")
}

// enter locks the ledger and ends what was interrupted.
func (s *Set) enter(ctx context.Context) (release func(), err error) {
	if err := s.Ledger.inPlace(); err != nil {
		return nil, err
	}
	if err := s.Ledger.Disk.Make(s.Ledger.Dir); err != nil {
		return nil, err
	}
	release, err = s.Ledger.Disk.Lock(ctx, s.Ledger.Dir, s.Wait)
	if err != nil {
		return nil, err
	}
	if err := s.repair(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// Collect ends what was interrupted. Where no set was ever deployed it does nothing.
func (s *Set) Collect(ctx context.Context) error {
	records, err := s.Records()
	if _, pending := Pending(records); err != nil || !pending {
		return err
	}
	release, err := s.enter(ctx)
	if err == nil {
		release()
	}
	return err
}

// repair ends the set that was interrupted: a rollback is completed; of a deployment, the parts are taken back unless all
// are there.
func (s *Set) repair(ctx context.Context) error {
	records, err := s.Records()
	if err != nil {
		return err
	}
	rec, pending := Pending(records)
	if !pending {
		return nil
	}
	parts, err := s.found(ctx, &rec)
	if err != nil {
		return fmt.Errorf("%s of set %s was interrupted, and cannot be ended: %w", rec.Action, rec.ID, err)
	}
	if rec.Action == ActionDeploy && len(parts) == len(rec.Parts) {
		return s.Ledger.Mark(rec, Done, "")
	}
	if err := s.takeBack(ctx, rec, parts); err != nil {
		return fmt.Errorf("%s of set %s was interrupted, and cannot be ended: %w", rec.Action, rec.ID, err)
	}
	if rec.Action == ActionRollback {
		return s.Ledger.Mark(rec, Done, "")
	}
	return s.Ledger.Mark(rec, Aborted, "interrupted: nothing of it is left")
}

// found fills in the deployments of a set's parts and returns those that are there and not taken back, as positions.
func (s *Set) found(ctx context.Context, rec *Record) (there []int, err error) {
	for i := range rec.Parts {
		part := &rec.Parts[i]
		if part.Unchanged {
			if rec.Action == ActionDeploy {
				there = append(there, i)
			}
			continue
		}
		dest, err := s.Open(part.CType)
		if fault.CodeOf(err) == fault.Input {
			continue // nothing of that type was ever there
		}
		if err != nil {
			return nil, err
		}
		if _, err := dest.Collect(ctx); err != nil {
			return nil, err
		}
		records, err := dest.Records()
		if err != nil {
			return nil, err
		}
		of := rec.ID
		if rec.Action == ActionRollback {
			of = rec.Undoes
		}
		for _, r := range records {
			if r.Set == of && r.State == Done && r.Action == ActionDeploy && Undone(records, r.ID) == nil {
				part.Deployment, part.Name = r.ID, r.Name
				there = append(there, i)
			}
		}
	}
	return there, nil
}

// takeBack takes parts of a set back, the last first.
func (s *Set) takeBack(ctx context.Context, rec Record, parts []int) error {
	for _, i := range slices.Backward(parts) {
		part := rec.Parts[i]
		if part.Unchanged {
			continue
		}
		dest, err := s.Open(part.CType)
		if err != nil {
			return err
		}
		undo := Record{Action: ActionRollback, Version: rec.Version, Command: rec.Command, Experiment: rec.Experiment, Run: rec.Run, RunTime: rec.RunTime,
			Detector: rec.Detector, Set: rec.ID, CType: part.CType, Comment: "rollback of " + part.Deployment}
		if _, err := dest.Undo(ctx, undo, part.Deployment); err != nil {
			return fmt.Errorf("could not take %s back: %w", part.CType, err)
		}
	}
	return nil
}

// Deploy deploys all parts, or none. rec is the entry of the set; it is filled in. When all parts are in force already
// nothing is done and unchanged is true.
func (s *Set) Deploy(ctx context.Context, rec Record, parts []Deployment) (done Record, unchanged bool, err error) {
	release, err := s.enter(ctx)
	if err != nil {
		return rec, false, err
	}
	defer release()
	if unchanged, err := s.inForce(ctx, parts); err != nil || unchanged {
		return rec, unchanged, err
	}
	rec.Action, rec.Parts = ActionDeploy, nil
	for i := range parts {
		rec.Parts = append(rec.Parts, Part{CType: parts[i].Record.CType, Array: parts[i].Record.Array})
	}
	rec.stamp()
	if err := s.Ledger.Append(rec); err != nil {
		return rec, false, err
	}
	if err := s.deployAll(ctx, &rec, parts); err != nil {
		return rec, false, s.abort(ctx, rec, parts, err)
	}
	rec.State = Done
	if err := s.Ledger.Mark(rec, Done, ""); err != nil {
		return rec, false, fault.New(codeOf(err), "set %s is deployed, but not recorded completely: %w", rec.ID, err).
			WithHint("run the same command again: it completes the record")
	}
	return rec, false, nil
}

// inForce reports whether all parts are in force already, and fills in their records.
func (s *Set) inForce(ctx context.Context, parts []Deployment) (bool, error) {
	old := make([]*Record, len(parts))
	for i := range parts {
		items, _, err := parts[i].Destination.Items(ctx)
		if err != nil {
			return false, err
		}
		if old[i], err = parts[i].Destination.inForce(ctx, parts[i].Record, items); err != nil || old[i] == nil {
			return false, err
		}
	}
	for i := range parts {
		parts[i].Record, parts[i].Unchanged = *old[i], true
	}
	return true, nil
}

// deployAll deploys the parts, one after the other or at the same time. Those that are under way when one fails are ended: a
// request that is given up may still arrive.
func (s *Set) deployAll(ctx context.Context, rec *Record, parts []Deployment) error {
	var g fault.Group
	g.SetLimit(1)
	if s.Share != nil {
		if err := s.Share(ctx, parts[0].Destination); err != nil {
			return fmt.Errorf("could not deploy %s: %w", parts[0].Record.CType, err)
		}
		g.SetLimit(len(parts))
	}
	var failed atomic.Bool
	for i := range parts {
		g.Go(func() error {
			if failed.Load() {
				return nil // the error is that of another
			}
			err := s.deploy(ctx, rec, i, &parts[i])
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	return g.Wait()
}

// deploy deploys one part.
func (s *Set) deploy(ctx context.Context, rec *Record, i int, d *Deployment) error {
	content, size, err := d.Content()
	if err == nil {
		d.Record.Set, d.Record.Size = rec.ID, size
		d.Record, d.Unchanged, err = d.Destination.Deploy(ctx, d.Record, content)
	}
	if err != nil {
		return fmt.Errorf("could not deploy %s: %w", d.Record.CType, err)
	}
	part := &rec.Parts[i]
	part.Deployment, part.Name, part.Unchanged = d.Record.ID, d.Record.Name, d.Unchanged
	return nil
}

// abort takes back what there is of a set of which a part has failed, and ends the entry. What cannot be taken back now is taken
// back by the next call.
func (s *Set) abort(ctx context.Context, rec Record, parts []Deployment, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // also after an interrupt
	defer cancel()
	begun := rec
	begun.Parts = nil
	for i := range parts {
		if parts[i].Record.ID != "" { // else nothing was begun
			begun.Parts = append(begun.Parts, rec.Parts[i])
		}
	}
	there, err := s.found(ctx, &begun)
	if err == nil {
		err = s.takeBack(ctx, begun, there)
	}
	if err != nil {
		return fault.New(fault.CodeOf(cause), "%w; what was deployed before could not be taken back: %v", cause, err).
			WithHint("run the same command again: it takes it back first and deploys the set")
	}
	// If the ledger cannot be written either, the next call finds the intent and draws the same conclusion.
	_ = s.Ledger.Mark(rec, Aborted, cause.Error())
	return fault.New(fault.CodeOf(cause), "%w; nothing of the set is deployed", cause).WithHint("remove the cause and run the same command again")
}

// Undo takes a set back: all its parts that are still there. It is refused before anything is changed where one of them cannot
// be taken back exactly. rec says who does it.
func (s *Set) Undo(ctx context.Context, rec Record, id string) (done Record, err error) {
	release, err := s.enter(ctx)
	if err != nil {
		return rec, err
	}
	defer release()
	records, err := s.Records()
	if err != nil {
		return rec, err
	}
	if done := Undone(records, id); done != nil {
		return *done, nil
	}
	of, err := s.Last(id)
	if err != nil {
		return rec, err
	}
	rec.Action, rec.Undoes, rec.Range = ActionRollback, of.ID, of.Range
	rec.Parts = slices.Clone(of.Parts)
	there, err := s.found(ctx, &rec)
	if err != nil {
		return rec, err
	}
	for _, i := range there { // all of them can be taken back, or none is
		dest, err := s.Open(rec.Parts[i].CType)
		if err != nil {
			return rec, err
		}
		records, err := dest.Records()
		if err != nil {
			return rec, err
		}
		k := slices.IndexFunc(records, func(r Record) bool { return r.ID == rec.Parts[i].Deployment })
		if _, err := dest.PlanUndo(ctx, records[k]); err != nil {
			return rec, fmt.Errorf("%s: %w", rec.Parts[i].CType, err)
		}
	}
	rec.stamp()
	if err := s.Ledger.Append(rec); err != nil {
		return rec, err
	}
	if err := s.takeBack(ctx, rec, there); err != nil {
		return rec, fault.New(fault.CodeOf(err), "set %s is taken back in part: %w", of.ID, err).WithHint("run the same command again: it takes back the rest")
	}
	rec.State = Done
	return rec, s.Ledger.Mark(rec, Done, "")
}
