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
		Name:  "reeval",
		Usage: "show what other rules would change, from what was counted, without raw data",
		Description: "Nothing is written: `rawstatus reduce` with the same --set does that. The difference is to the rules of the last\n" +
			"reduction. Example: rawstatus reeval --work DIR --set rms_hi=50 --set limits=robust\nRules: " + strings.Join(plan.RuleNames(), ", "),
		Flags: append(command.In(command.Rules, []cli.Flag{setFlag()}), planFlag()),
		Action: func(c *cli.Context) error {
			work := c.String("work")
			p, err := plan.Load(work)
			if err != nil {
				return err
			}
			q, err := withSet(c, p)
			if err != nil {
				return err
			}
			sum, err := reduce.Again(c.Context, work, p, q, reduce.Options{})
			if err != nil {
				return err
			}
			if e.JSON {
				return e.PrintJSON(sum)
			}
			return sum.WriteText(e.Stdout)
		},
	}
}
