package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/open"
	"rawstatus/internal/publish"
)

func newVerifyCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "compare everything that is deployed with the ledger",
		Description: "Fails when a constant is not what was deployed, cannot be read, breaks look-ups, or when a deployment was\n" +
			"interrupted.",
		Flags:  append(lookFlags(), command.Check(&cli.StringFlag{Name: "runs", Usage: "also tell what these `RUNS` use, e.g. 1-300"}, command.Parses(open.ParseRuns))),
		Action: func(c *cli.Context) error { return runVerify(c, e) },
	}
}

func runVerify(c *cli.Context, e *environment) error {
	dest, err := destinationNamed(c, e, false)
	if err != nil {
		return err
	}
	var runs []calib.Range
	if s := c.String("runs"); s != "" {
		list, err := open.ParseRuns(s)
		if err != nil {
			return err
		}
		for _, r := range list {
			runs = append(runs, calib.Range{Begin: r.First, End: min(r.Last, calib.Last)})
		}
	}
	v, err := publish.Verify(c.Context, dest, runs)
	if err != nil {
		return err
	}
	if e.JSON {
		err = e.PrintJSON(v)
	} else {
		v.Text(e.Stdout)
	}
	if err != nil || len(v.Problems) == 0 {
		return err
	}
	return fault.New(fault.Input, "%s in %s: %s", fault.Count(len(v.Problems), "problem"), v.Destination, v.Problems[0]).
		WithHint("mergedeploy history lists the deployments, rollback --to <id> deploys one of them again")
}
