package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/publish"
)

// removed is the result of gc.
type removed struct {
	Files int `json:"removed"` // temporary files
}

func newGCCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "gc",
		Usage: "remove what interrupted deployments have left, and complete or undo them",
		Flags: append(lookFlags(), command.Check(&cli.StringFlag{Name: "det-type", Usage: "also sweep the repository's directories of this detector `TYPE`"}, detector.CheckType)),
		Action: func(c *cli.Context) error {
			dest, err := destinationNamed(c, e, true)
			if err != nil {
				return err
			}
			n, err := dest.Collect(c.Context)
			if err != nil {
				return err
			}
			set := publish.SetOf(dest, func(ctype string) (calib.Destination, error) { return destinationOf(c, e, ctype, true) })
			if err := set.Collect(c.Context); err != nil {
				return err
			}
			if dettype := c.String("det-type"); dettype != "" {
				r, err := repository(e)
				if err != nil {
					return err
				}
				k, err := r.Sweep(dettype)
				if n += k; err != nil {
					return err
				}
			}
			if e.JSON {
				return e.PrintJSON(removed{n})
			}
			fmt.Fprintf(e.Stdout, "%s removed\n", fault.Count(n, "temporary file"))
			return nil
		},
	}
}
