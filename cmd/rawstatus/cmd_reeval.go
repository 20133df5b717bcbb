package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

func newReevalCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "reeval",
		Usage:     "show what other rules would change, from what was counted, without raw data",
		ArgsUsage: "[WORKDIR]",
		Description: "The rules start from those of the plan. Nothing is written: `rawstatus reduce` with the same --set does that. The\n" +
			"difference is to the rules of the last reduction. Example: rawstatus reeval --work DIR --set rms_hi=50 --set limits=robust\nRules: " + strings.Join(plan.RuleNames(), ", "),
		Flags: append(command.In(command.Rules, []cli.Flag{setFlag()}), planFlag()),
		Action: func(c *cli.Context) error {
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			p, err := plan.Load(work)
			if err != nil {
				return err
			}
			q, err := withSet(p, c.StringSlice("set"))
			if err != nil {
				return err
			}
			if err := logStart(e, work, p, q); err != nil {
				return err
			}
			sum, err := reduce.Again(c.Context, work, p, q, reduce.Options{})
			if err != nil {
				return err
			}
			if e.JSON {
				return e.PrintJSON(sum)
			}
			return sum.WriteText(e.Stdout, e.Site.Location())
		},
	}
}

// logStart says from which rules an evaluation without raw data starts, and what it is compared with.
func logStart(e *environment, work string, p, q *plan.Plan) error {
	last, err := reduce.InForce(work, p)
	if err != nil {
		return err
	}
	text := "the rules start from those of the plan"
	if changed := q.Params.Rules.Against(p.Params.Rules); changed != "" {
		text += ", with " + changed
	}
	if changed := last.Params.Rules.Against(p.Params.Rules); changed != "" {
		text += "; the last reduction had " + changed
	}
	e.Log.Info(text)
	return nil
}
