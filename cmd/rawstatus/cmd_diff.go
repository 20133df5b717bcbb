package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/compare"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
)

func newDiffCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "compare two status files, two times or two runs of a detector: bits gained, lost and kept",
		ArgsUsage: "[FILE FILE]",
		Description: "  rawstatus diff A.dat B.dat\n" +
			"  rawstatus diff -o REPO --det-type jungfrau --at 20260101000000 --at 20260201000000\n" +
			"  rawstatus diff -o REPO --exp mfx101332224 --run 7 --run 9\n" +
			"  rawstatus diff -o REPO --other-repository TEST --exp mfx101332224 --run 7\n" +
			fmt.Sprintf("The exit code is 0 when nothing differs and %d when anything does, a file without counterpart included.", fault.Different),
		Flags: command.In(command.Data, []cli.Flag{
			command.Repository(),
			&cli.StringFlag{Name: "other-repository", Usage: "the second side is in the repository `DIR`", DefaultText: "the same"},
			command.Check(&cli.StringFlag{Name: "det-type", Usage: "detector `TYPE`: what holds for it at the times --at"}, detector.CheckType),
			command.CheckEach(&cli.StringSliceFlag{Name: "at", Usage: "`TIME` (YYYYmmddHHMMSS), twice; once with --other-repository"}, repo.CheckStamp),
			&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT` of the runs"},
			command.AtLeast(&cli.IntSliceFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN`, twice; once with --other-repository"}, 0),
			&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "only this `DETECTOR` of the runs"},
			&cli.StringFlag{Name: "panel", Usage: "only the panel of this `ID`"},
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "only this `TYPE`, e.g. status_data", DefaultText: "all that are merged"}, repo.CheckCtype),
		}),
		Action: func(c *cli.Context) error { return runDiff(c, e) },
	}
}

func runDiff(c *cli.Context, e *environment) error {
	a, b, err := sides(c, e)
	if err != nil {
		return err
	}
	d, err := compare.Sides(a, b)
	if err != nil {
		return err
	}
	if e.JSON {
		err = e.PrintJSON(d)
	} else {
		err = d.Write(e.Stdout)
	}
	if err == nil && !d.Same {
		err = fault.New(fault.Different, "%s and %s differ", d.A, d.B)
	}
	return err
}

// sides finds out what is compared with what.
func sides(c *cli.Context, e *environment) (a, b compare.Side, err error) {
	at, runs := c.StringSlice("at"), c.IntSlice("run")
	if c.Args().Present() {
		if c.NArg() != 2 || len(at)+len(runs) > 0 {
			return a, b, fault.New(fault.Usage, "diff compares two files, two times (--at) or two runs (--run)").
				WithHint("flags go before the names of files")
		}
		r := repo.New("", nil, e.Site.Location())
		return compare.OfFile(r, c.Args().Get(0)), compare.OfFile(r, c.Args().Get(1)), nil
	}
	if a.Repo, err = repository(e); err != nil {
		return a, b, err
	}
	b.Repo = a.Repo
	wanted := 2
	if other := c.String("other-repository"); other != "" {
		b.Repo = repo.New(other, a.Repo.Policy, a.Repo.Loc)
		if len(at)+len(runs) == 1 {
			at, runs, wanted = slices.Repeat(at, 2), slices.Repeat(runs, 2), 2
		}
	}
	f := compare.Filter{Experiment: c.String("exp"), Detector: c.String("det"), DetType: c.String("det-type"), Panel: c.String("panel"), CType: c.String("ctype")}
	switch {
	case len(at) == wanted && len(runs) == 0 && c.String("det-type") != "":
		err = cmp.Or(a.AtTime(f, at[0]), b.AtTime(f, at[1]))
	case len(runs) == wanted && len(at) == 0:
		err = cmp.Or(a.OfRun(f, runs[0]), b.OfRun(f, runs[1]))
	default:
		err = fault.New(fault.Usage, "diff compares two files, two times (--det-type, --at, --at) or two runs (--exp, --run, --run)").
			WithHint("rawstatus diff --help shows examples")
	}
	if err == nil && len(a.Files)+len(b.Files) == 0 {
		err = fault.New(fault.Input, "neither %s nor %s has status files in %q", a.Label, b.Label, a.Repo.Root)
	}
	return a, b, err
}
