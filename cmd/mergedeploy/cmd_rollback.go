package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/publish"
)

func newRollbackCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "rollback",
		Usage: "take a deployment back: every run gets again what was in force before",
		Description: "Takes the last deployment back, or with --of or -R another one: every stretch of runs that uses it gets again what\n" +
			"was in force before; what came later stays. Where that cannot be done exactly it is refused. With --to an earlier\n" +
			"content is deployed again for the same runs. The ledger keeps all contents, so --to also undoes a rollback.",
		Flags: append(lookFlags(),
			&cli.BoolFlag{Name: "dark", Usage: "take a set of constants of a dark run back, all its types; --of names the set"},
			&cli.StringFlag{Name: "of", Usage: "`ID` of the deployment to take back", DefaultText: "the last one"},
			&cli.StringFlag{Name: "to", Usage: "`ID` of the deployment whose content is deployed again, or none for an array that masks nothing"},
			command.Check(&cli.StringFlag{Name: "validity", Aliases: []string{"R"}, Usage: "undo the last deployment for these `RUNS`", DefaultText: "the last of all"}, command.Parses(calib.ParseRange)),
			&cli.BoolFlag{Name: "deploy", Aliases: []string{"D"}, Usage: "do it; without this the plan is shown only"},
		),
		Action: func(c *cli.Context) error { return runRollback(c, e) },
	}
}

// rollbackResult is the outcome for programs.
type rollbackResult struct {
	Plan     *publish.RollbackPlan `json:"plan"`
	Deployed *calib.Record         `json:"deployed,omitempty"`
}

func runRollback(c *cli.Context, e *environment) error {
	if c.Bool("dark") {
		return rollbackSet(c, e)
	}
	dest, err := destinationNamed(c, e, true)
	if err != nil {
		return err
	}
	opt := publish.RollbackOptions{Of: c.String("of"), To: c.String("to")}
	if s := c.String("validity"); s != "" {
		r, err := calib.ParseRange(s)
		if err != nil {
			return err
		}
		opt.Only = &r
	}
	if opt.Of != "" && opt.Only != nil {
		return fault.New(fault.Usage, "--of and --validity both name the deployment").WithHint("give one of them")
	}
	var res rollbackResult
	for try := 0; ; try++ {
		if c.Bool("deploy") { // what was interrupted is ended first, so that the plan is of what is there
			if _, err := dest.Collect(c.Context); err != nil {
				return err
			}
		}
		plan, err := publish.NewRollback(c.Context, dest, opt)
		if err != nil {
			return err
		}
		if !e.JSON {
			plan.Text(e.Stdout)
		}
		res = rollbackResult{Plan: plan}
		if plan.Already != "" {
			break
		}
		if !c.Bool("deploy") {
			e.Log.Info("nothing is changed: -D does it")
			break
		}
		rec, err := plan.Execute(c.Context, dest, os.Args)
		if err == nil {
			res.Deployed = &rec
			e.Log.Infof("rolled back %s: %s", plan.Undoes.ID, rec.ID)
			break
		}
		if !errors.Is(err, calib.ErrStale) || try >= maxPlans {
			return err
		}
		e.Log.Warn("another deployment came in between: planned again")
	}
	if e.JSON {
		return e.PrintJSON(res)
	}
	return nil
}
