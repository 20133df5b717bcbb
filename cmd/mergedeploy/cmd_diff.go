package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/publish"
)

func newDiffCommand(e *environment) *cli.Command {
	const what = "`FILE`, or run=<n> for what analysis uses for a run, or the id of a deployment"
	return &cli.Command{
		Name:      "diff",
		Usage:     "compare two arrays: newly bad, newly good, bad for other reasons",
		ArgsUsage: "[FROM TO]",
		Flags: append(lookFlags(),
			&cli.StringFlag{Name: "from", Usage: what},
			&cli.StringFlag{Name: "to", Usage: what},
			command.AtLeast(&cli.IntFlag{Name: "pixels", Usage: "also list up to `N` pixels that differ"}, 0),
		),
		Action: func(c *cli.Context) error { return runDiff(c, e) },
	}
}

func runDiff(c *cli.Context, e *environment) error {
	from, to := c.String("from"), c.String("to")
	switch words := c.Args().Slice(); {
	case len(words) == 2 && from == "" && to == "":
		from, to = words[0], words[1]
	case len(words) > 0 || from == "" || to == "":
		return fault.New(fault.Usage, "two arrays are compared").WithHint("name them as arguments, or with --from and --to")
	}
	var dest calib.Destination
	if !publish.IsFile(from) || !publish.IsFile(to) {
		var err error
		if dest, err = destinationNamed(c, e, false); err != nil {
			return err
		}
	}
	a, err := publish.LoadArray(c.Context, dest, from)
	if err != nil {
		return err
	}
	b, err := publish.LoadArray(c.Context, dest, to)
	if err != nil {
		return err
	}
	d, err := publish.Diff(from, to, a, b, c.Int("pixels"))
	if err != nil {
		return err
	}
	if e.JSON {
		return e.PrintJSON(d)
	}
	d.Text(e.Stdout)
	return nil
}
