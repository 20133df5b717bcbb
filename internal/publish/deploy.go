package publish

import (
	"context"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/version"
)

// Allowed gives the refusal of the gate as an error, or nil.
func (p *Plan) Allowed() error {
	refused := p.Refused()
	if len(refused) == 0 {
		return nil
	}
	var names []string
	for _, f := range refused {
		names = append(names, f.Rule)
	}
	return fault.New(fault.Refused, "deployment refused: %s: %s", strings.Join(names, ", "), refused[0].Text).
		WithHint("look at the plan above; to override: %s", refused[0].Over)
}

// Execute carries the plan out. unchanged tells that the very same deployment is in force already.
func (p *Plan) Execute(ctx context.Context, place calib.Place, command []string, comment string) (rec calib.Record, unchanged bool, err error) {
	if err := p.Allowed(); err != nil {
		return rec, false, err
	}
	if p.Source == "" {
		return rec, false, fault.New(fault.Usage, "the merged array could not be written into the repository, so its deployment could not be traced").
			WithHint("deploy with a repository that you may write to")
	}
	content, size, err := p.merged.content()
	if err != nil {
		return rec, false, err
	}
	rec = calib.Record{Action: calib.ActionDeploy, Command: command, Version: version.String(), Comment: comment,
		Experiment: p.merged.Run.Experiment, Run: p.run, RunTime: p.merged.Run.Begin, Detector: p.Detector, CType: p.CType, Range: p.Range,
		Array: p.Array, Size: size, Shape: p.Shape, Bad: p.Bad, Key: p.Key(), Inputs: p.merged.inputs(), Choices: p.Choices}
	switch {
	case p.Current == nil:
		rec.Expect, rec.ExpectRun = new(string), p.Against
	case p.Current.Problem == "":
		rec.Expect, rec.ExpectRun = &p.Current.Content, p.Against
	}
	for _, f := range p.Findings {
		if f.Forced {
			rec.Forced = append(rec.Forced, f.Rule)
		}
	}
	rec, unchanged, err = place.Deploy(ctx, rec, content)
	if err != nil {
		return rec, unchanged, err
	}
	return rec, unchanged, p.readBack(ctx, place)
}

// readBack resolves the constant as analysis does and compares the array.
func (p *Plan) readBack(ctx context.Context, place calib.Place) error {
	if len(p.Effect.Used) == 0 {
		return nil
	}
	items, _, err := place.Items(ctx)
	if err != nil {
		return err
	}
	run := p.Effect.Used[0].Begin
	i := calib.Pick(items, run)
	if i < 0 {
		return fault.New(fault.Unexpected, "after the deployment nothing is found for run %d in %s", run, p.Place)
	}
	got, _, err := place.Read(ctx, items[i])
	if err != nil {
		return err
	}
	if sum := calib.SumArray(got); sum != p.Array {
		return fault.New(fault.Unexpected, "after the deployment run %d uses %s, whose array is another one", run, items[i].Name).
			WithHint("another deployment came in between (see history), or another program writes here")
	}
	return nil
}
