package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/publish"
)

func newShowCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "show what analysis uses for a run and where it comes from, down to raw files and limits",
		Flags: append(lookFlags(), runFlag()),
		Action: func(c *cli.Context) error {
			run, err := runOf(c)
			if err != nil {
				return err
			}
			if run < 0 {
				return fault.New(fault.Usage, "no run is named").WithHint("give -r")
			}
			dest, err := destinationNamed(c, e, false)
			if err != nil {
				return err
			}
			shown, err := publish.Show(c.Context, dest, run)
			if err != nil {
				return err
			}
			if e.JSON {
				return e.PrintJSON(shown)
			}
			shown.Text(e.Stdout)
			return nil
		},
	}
}
