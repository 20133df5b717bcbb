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
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// RollbackPlan is a rollback that can be looked at before it is done.
type RollbackPlan struct {
	Place    string       `json:"place"`
	Undoes   calib.Record `json:"undoes"`
	Restores string       `json:"restores"` // id of a record, or what it is
	SHA256   string       `json:"sha256"`
	Shape    []int        `json:"shape"`
	Bad      int          `json:"bad_pixels"`
	Range    calib.Range  `json:"validity"`
	Effect   calib.Effect `json:"effect"`
	// Already is set when the last deployment is this rollback.
	Already bool `json:"already,omitempty"`
	content calib.Content
	record  calib.Record
}

// NewRollback plans to deploy an earlier content again, for the runs of the last deployment or those of
// only. to is the id of a record (or its beginning), "none" for an array that masks nothing, or empty for
// what was in force before the last deployment. Nothing is ever deleted.
func NewRollback(ctx context.Context, place calib.Place, to string, only *calib.Range) (*RollbackPlan, error) {
	records, err := place.Records(ctx)
	if err != nil {
		return nil, err
	}
	last, err := lastDeployed(records, only, place)
	if err != nil {
		return nil, err
	}
	p := &RollbackPlan{Place: place.String(), Undoes: last, Range: last.Range}
	items, _, err := place.Items(ctx)
	if err != nil {
		return nil, err
	}
	p.Effect = calib.EffectOf(items, place.Target(p.Range))
	if to == "" && last.Action == calib.ActionRollback {
		p.Already, p.Restores = true, last.Restores
		return p, nil
	}
	p.record = calib.Record{Action: calib.ActionRollback, Version: version.String(), Experiment: last.Experiment, Run: last.Run, RunTime: last.RunTime,
		Detector: last.Detector, CType: last.CType, Range: p.Range, Key: "rollback " + last.ID + " to " + to,
		Comment: "rollback of " + last.ID}
	if to == "none" {
		return p, p.toNone(last)
	}
	from, err := restored(records, last, to)
	if err != nil {
		return nil, err
	}
	return p, p.toRecord(ctx, place, from)
}

// lastDeployed gives the last completed deployment, for a range if one is given.
func lastDeployed(records []calib.Record, only *calib.Range, place calib.Place) (calib.Record, error) {
	for _, r := range slices.Backward(records) {
		if r.State == calib.Done && r.Action != calib.ActionFound && (only == nil || r.Range == *only) {
			return r, nil
		}
	}
	what := ""
	if only != nil {
		what = " for " + only.String()
	}
	return calib.Record{}, fault.New(fault.Input, "nothing was deployed%s to %s by this program", what, place).
		WithHint("mergedeploy history lists the deployments")
}

// restored gives the record whose content is wanted again.
func restored(records []calib.Record, last calib.Record, to string) (calib.Record, error) {
	var found []calib.Record
	for _, r := range records {
		switch {
		case r.State != calib.Done:
		case to != "" && strings.HasPrefix(r.ID, to):
			found = append(found, r)
		case to == "" && last.Previous != "" && r.Content == last.Previous && r.ID != last.ID:
			found = []calib.Record{r} // the youngest of equal content
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return calib.Record{}, fault.New(fault.Usage, "%q is the beginning of %d ids", to, len(found)).WithHint("give more of the id; mergedeploy history lists them")
	case to != "":
		return calib.Record{}, fault.New(fault.Usage, "there is no deployment %q", to).WithHint("mergedeploy history lists them")
	}
	return calib.Record{}, fault.New(fault.Refused, "nothing was in force for run %d before deployment %s", last.Run, last.ID).
		WithHint("--to none deploys an array that masks nothing, --to <id> any earlier deployment")
}

// toRecord takes the content of an earlier deployment.
func (p *RollbackPlan) toRecord(ctx context.Context, place calib.Place, from calib.Record) error {
	c, err := place.Content(ctx, from)
	if err != nil {
		return err
	}
	p.Restores, p.record.Restores, p.record.Inputs = from.ID, from.ID, from.Inputs
	p.record.Comment += " to " + from.ID
	p.take(c, from.Size)
	return nil
}

// toNone makes an array that masks nothing.
func (p *RollbackPlan) toNone(last calib.Record) error {
	n := 1
	for _, d := range last.Shape {
		n *= d
	}
	a := &calib.Array{Shape: last.Shape, Values: make([]uint64, n)}
	var b bytes.Buffer
	h := header(time.UTC)
	h.Shape, h.Comments = a.Shape, []string{"masks nothing: rollback of " + last.ID}
	if err := calibtxt.WriteArray(&b, h, a.Values); err != nil {
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
	p.content, p.SHA256, p.Shape, p.Bad = c, c.SHA256, c.Array.Shape, status.Count(c.Array.Values).Bad
	p.record.Array, p.record.Shape, p.record.Bad, p.record.Size = calib.SumArray(c.Array), p.Shape, p.Bad, size
}

// Execute carries the rollback out.
func (p *RollbackPlan) Execute(ctx context.Context, place calib.Place, command []string) (calib.Record, error) {
	p.record.Command = command
	rec, _, err := place.Deploy(ctx, p.record, p.content)
	return rec, err
}

// Text prints the plan.
func (p *RollbackPlan) Text(w io.Writer) {
	if p.Already {
		fmt.Fprintf(w, "the last deployment, %s, is a rollback to %s already\n", p.Undoes.ID, p.Restores)
		return
	}
	fmt.Fprintf(w, "rollback in %s\n  undoes    %s of %s by %s, %d bad pixels\n  restores  %s, %d bad pixels\n  validity  %s\n",
		p.Place, p.Undoes.ID, p.Undoes.Time.Format(time.RFC3339), p.Undoes.Login, p.Undoes.Bad, p.Restores, p.Bad, p.Range)
	for _, l := range p.Effect.Lines() {
		fmt.Fprintf(w, "  %s\n", l)
	}
}
