package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/publish"
)

func newRollbackCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "rollback",
		Usage: "deploy an earlier content again, for the same runs",
		Description: "Without --to it restores what was in force before the last deployment. Nothing is deleted: a rollback is a\n" +
			"deployment itself and can be undone with --to.",
		Flags: append(lookFlags(),
			&cli.StringFlag{Name: "to", Usage: "`ID` of the deployment to restore, or none for an array that masks nothing"},
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
	place, err := placeNamed(c, e)
	if err != nil {
		return err
	}
	var only *calib.Range
	if s := c.String("validity"); s != "" {
		r, err := calib.ParseRange(s)
		if err != nil {
			return err
		}
		only = &r
	}
	plan, err := publish.NewRollback(c.Context, place, c.String("to"), only)
	if err != nil {
		return err
	}
	if !e.JSON {
		plan.Text(e.Stdout)
	}
	res := rollbackResult{Plan: plan}
	switch {
	case plan.Already:
	case c.Bool("deploy"):
		rec, err := plan.Execute(c.Context, place, os.Args)
		if err != nil {
			return err
		}
		res.Deployed = &rec
		e.Log.Infof("deployed %s: %s, %d bad pixels", rec.ID, rec.Name, rec.Bad)
	default:
		e.Log.Info("nothing is deployed: -D does it")
	}
	if e.JSON {
		return e.PrintJSON(res)
	}
	return nil
}
