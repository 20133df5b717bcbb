package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/version"
)

// RollbackPlan is a rollback that can be looked at before it is done.
type RollbackPlan struct {
	Destination string       `json:"place"`
	Undoes      calib.Record `json:"undoes"`
	// Restores is the id of the record whose content is deployed again, or none; empty for a rollback
	// that brings back, for every stretch of runs, what was in force before.
	Restores string         `json:"restores,omitempty"`
	SHA256   string         `json:"sha256,omitempty"`
	Shape    []int          `json:"shape,omitempty"`
	Bad      int            `json:"bad_pixels"`
	Range    calib.Range    `json:"validity"`
	Changes  []calib.Change `json:"changes,omitempty"`
	Effect   *calib.Effect  `json:"effect,omitempty"` // of an earlier content
	Notes    []string       `json:"notes,omitempty"`
	// Already is set when that deployment was taken back before; Next is the one before it.
	Already string `json:"already,omitempty"`
	Next    string `json:"next,omitempty"`

	content *calib.Content // of an earlier deployment; nil: it is taken back
	record  calib.Record
}

// RollbackOptions say what is rolled back.
type RollbackOptions struct {
	Of   string       // id of a deployment (or its beginning); empty: the last one
	Only *calib.Range // the last one for this range
	// To is the id of the record whose content is to be deployed again, or none for an array that masks
	// nothing; empty: what was in force before comes back.
	To string
}

// NewRollback plans to take a deployment back: every stretch of runs that uses it gets again what was in
// force before it. With opt.To it plans to deploy an earlier content for the same runs instead.
func NewRollback(ctx context.Context, dest calib.Destination, opt RollbackOptions) (*RollbackPlan, error) {
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	of, err := deployed(records, opt, dest)
	if err != nil {
		return nil, err
	}
	items, notes, err := dest.Items(ctx)
	if err != nil {
		return nil, err
	}
	p := &RollbackPlan{Destination: dest.String(), Undoes: of, Range: of.Range, Notes: notes}
	if rec, pending := calib.Pending(records); pending {
		p.Notes = append(p.Notes, fmt.Sprintf("%s %s was interrupted: it is completed or undone first, and the plan is made again", rec.Action, rec.ID))
	}
	p.record = calib.Record{Action: calib.ActionRollback, Version: version.String(), Experiment: of.Experiment, Run: of.Run, RunTime: of.RunTime,
		Detector: of.Detector, CType: of.CType, Range: p.Range, Comment: "rollback of " + of.ID}
	switch {
	case opt.To == "":
		return p, p.undo(ctx, dest, records)
	case opt.To == "none":
		err = p.toNone(of)
	default:
		err = p.toRecord(ctx, dest, records, opt.To)
	}
	if err != nil {
		return nil, err
	}
	p.record.Key = "rollback to " + p.Restores
	effect := calib.EffectOf(items, p.Range, dest.Target(p.Range)...)
	p.Effect = &effect
	p.Changes, err = dest.Outlook(ctx, items, p.Range)
	return p, err
}

// isDeployment reports whether a record has put a content by itself, which can be taken back.
func isDeployment(r calib.Record) bool { return r.State == calib.Done && r.Undoes == "" }

// deployed returns the deployment that is meant.
func deployed(records []calib.Record, opt RollbackOptions, dest calib.Destination) (calib.Record, error) {
	if opt.Of != "" {
		r, err := recordNamed(records, opt.Of)
		if err == nil && !isDeployment(r) {
			err = fault.New(fault.Usage, "%s is itself a rollback of %s", r.ID, r.Undoes).WithHint("rollback --to <id> deploys an earlier content again")
		}
		return r, err
	}
	for _, r := range slices.Backward(records) {
		if isDeployment(r) && (opt.Only == nil || r.Range == *opt.Only) {
			return r, nil
		}
	}
	what := ""
	if opt.Only != nil {
		what = " for " + opt.Only.String()
	}
	return calib.Record{}, fault.New(fault.Input, "nothing was deployed%s to %s by this program", what, dest).
		WithHint("mergedeploy history lists the deployments")
}

// recordNamed returns the completed record of an id or its beginning.
func recordNamed(records []calib.Record, id string) (calib.Record, error) {
	var found []calib.Record
	for _, r := range records {
		if r.State == calib.Done && strings.HasPrefix(r.ID, id) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return calib.Record{}, fault.New(fault.Usage, "there is no deployment %q", id).WithHint("mergedeploy history lists them")
	}
	return calib.Record{}, fault.New(fault.Usage, "%q is the beginning of %s", id, fault.Count(len(found), "id")).WithHint("give more of the id; mergedeploy history lists them")
}

// undo plans to take the deployment back. One that was taken back already stays so: the same command
// again, after an answer was lost, is no second rollback.
func (p *RollbackPlan) undo(ctx context.Context, dest calib.Destination, records []calib.Record) error {
	if done := calib.Undone(records, p.Undoes.ID); done != nil {
		p.Already = done.ID
		at := slices.IndexFunc(records, func(r calib.Record) bool { return r.ID == p.Undoes.ID })
		for _, r := range slices.Backward(records[:at]) {
			if isDeployment(r) && calib.Undone(records, r.ID) == nil {
				p.Next = r.ID
				break
			}
		}
		return nil
	}
	u, err := dest.PlanUndo(ctx, p.Undoes)
	if err != nil {
		return err
	}
	p.Changes = u.Changes
	return nil
}

// toRecord takes the content of an earlier deployment.
func (p *RollbackPlan) toRecord(ctx context.Context, dest calib.Destination, records []calib.Record, id string) error {
	from, err := recordNamed(records, id)
	if err != nil {
		return err
	}
	c, err := dest.Kept(ctx, from)
	if err != nil {
		return err
	}
	p.Restores, p.record.Restores, p.record.Inputs = from.ID, from.ID, from.Inputs
	p.record.Comment += " to " + from.ID
	p.take(c, from.Size)
	return nil
}

// toNone makes an array that masks nothing.
func (p *RollbackPlan) toNone(of calib.Record) error {
	n := 1
	for _, d := range of.Shape {
		n *= d
	}
	a := &calib.Array{Shape: of.Shape, Words: calibtxt.Sparse{Pixels: n}}
	var b bytes.Buffer
	h := header(time.UTC)
	h.Shape, h.Comments = a.Shape, []string{"masks nothing: rollback of " + of.ID}
	if err := calibtxt.WriteArray(&b, h, a.Words); err != nil {
		return fmt.Errorf("could not make an array that masks nothing: %w", err)
	}
	sum := sha256.Sum256(b.Bytes())
	p.Restores, p.record.Restores = "none", "none"
	p.record.Comment += " to an array that masks nothing"
	p.take(calib.Content{Path: "none", SHA256: hex.EncodeToString(sum[:]), Array: a,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }}, int64(b.Len()))
	return nil
}

func (p *RollbackPlan) take(c calib.Content, size int64) {
	p.content, p.SHA256, p.Shape, p.Bad = &c, c.SHA256, c.Array.Shape, len(c.Array.Words.At)
	p.record.Array, p.record.Shape, p.record.Bad, p.record.Size = calib.SumArray(c.Array), p.Shape, p.Bad, size
}

// Execute carries the rollback out.
func (p *RollbackPlan) Execute(ctx context.Context, dest calib.Destination, command []string) (calib.Record, error) {
	p.record.Command, p.record.Seen = command, p.Changes
	if p.content == nil {
		return dest.Undo(ctx, p.record, p.Undoes.ID)
	}
	rec, _, err := dest.Deploy(ctx, p.record, *p.content)
	return rec, err
}

// Text prints the plan.
func (p *RollbackPlan) Text(w io.Writer) {
	if p.Already != "" {
		fmt.Fprintf(w, "%s\n  deployment %s of %s by %s was taken back already by rollback %s\n", p.Destination, p.Undoes.ID, p.Undoes.Time.Format(time.RFC3339),
			p.Undoes.Login, p.Already)
		if p.Next != "" {
			fmt.Fprintf(w, "  before it came %s: rollback --of %s takes that back as well\n", p.Next, p.Next)
		}
		return
	}
	fmt.Fprintf(w, "rollback in %s\n  undoes    %s of %s by %s, %s\n  validity  %s\n",
		p.Destination, p.Undoes.ID, p.Undoes.Time.Format(time.RFC3339), p.Undoes.Login, fault.Count(p.Undoes.Bad, "bad pixel"), p.Range)
	if p.content != nil {
		fmt.Fprintf(w, "  restores  %s, %s\n", p.Restores, fault.Count(p.Bad, "bad pixel"))
		for _, l := range p.Effect.Lines() {
			fmt.Fprintf(w, "  %s\n", l)
		}
	} else {
		p.changesText(w)
	}
	printList(w, "  note", p.Notes)
}

// changesText prints what every stretch of runs will use again.
func (p *RollbackPlan) changesText(w io.Writer) {
	if len(p.Changes) == 0 {
		fmt.Fprintln(w, "  no run uses it: nothing changes for analysis")
	}
	for _, c := range p.Changes {
		after := c.After.Name
		switch {
		case after == "":
			after = "nothing, as before"
		case after == c.Before.Name:
			after += " with its content from before"
		}
		fmt.Fprintf(w, "  runs %s use %s now, and then %s\n", c.Runs.Runs(), c.Before.Name, after)
	}
}
