package publish

import (
	"context"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/version"
)

// Allowed returns the refusal of the gate as an error, or nil.
func (p *Plan) Allowed() error {
	refused := p.Refused()
	if len(refused) == 0 {
		return nil
	}
	var names, over []string
	for _, f := range refused {
		names = append(names, f.Rule)
		if !slices.Contains(over, f.Over) {
			over = append(over, f.Over)
		}
	}
	return fault.New(fault.Refused, "deployment refused: %s: %s", strings.Join(names, ", "), refused[0].Text).
		WithHint("look at the plan above; to override: %s", strings.Join(over, "; "))
}

// Execute carries the plan out. unchanged reports that the very same deployment is in force already.
func (p *Plan) Execute(ctx context.Context, dest calib.Destination, command []string, comment string) (rec calib.Record, unchanged bool, err error) {
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
		Array: p.Array, Size: size, Shape: p.Shape, Bad: len(p.merged.array.Words.At), Key: p.Key(), Inputs: p.merged.inputs(), Choices: p.Choices}
	rec.Seen = p.changes
	for _, f := range p.Findings {
		if f.Forced {
			rec.Forced = append(rec.Forced, f.Rule)
		}
	}
	return dest.Deploy(ctx, rec, content)
}
