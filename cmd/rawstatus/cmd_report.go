package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/report"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

func newReportCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "write one HTML file that shows the bad pixels of a run, or of many: verdict, tables, maps, every pixel",
		ArgsUsage: "[WORKDIR|CAMPAIGNDIR]",
		Description: "The page needs no network and no server. With --work it shows all values and limits, and compares with the constants in\n" +
			"force in the calib directory (-c) or with other runs of the repository (--against). Without, it shows the status files of a\n" +
			"run; several runs, or the directory of a campaign, give a page about what became of every pixel. Examples:\n" +
			"  rawstatus report --work /scratch/mfx101332224-r0007 --against 5 --out report.html\n" +
			"  rawstatus report -o /constants -e mfx101332224 -r 5-9 -d jungfrau --out report.html",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "work", Usage: "work `DIR` of the plan, or of a campaign"},
			&cli.StringFlag{Name: "out", Usage: "`FILE` to write", DefaultText: "<work>/report.html"},
			&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "without --work: `EXPERIMENT` of the runs"},
			command.Check(&cli.StringFlag{Name: "run", Aliases: []string{"r"}, Usage: "without --work: `RUNS`, e.g. 7 or 5,8-11"}, checkNumbers(0)),
			&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "without --work: `DETECTOR`, by name or type", DefaultText: "the only one"},
			detTypeFlag("without --work: only detectors of this `TYPE`"),
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "without --work: constants `TYPE`", DefaultText: "status_data, else status_dark, status_light, status_max"}, repo.CheckWritten),
			command.CalibDir(),
			command.Repository(),
			command.Check(&cli.StringFlag{Name: "against", Usage: "compare with the status files of these `RUNS` in the repository, e.g. 5 or 5,3; the first one is in the table"}, checkNumbers(1)),
			command.Check(&cli.StringFlag{Name: "segment", Aliases: []string{"i"}, Usage: "with --work: only these panels (`SEGMENTS`), e.g. 0,4-7"}, checkNumbers(0)),
			command.Between(&cli.Float64Flag{Name: "max-size", Usage: "leave details out of a page above this `SIZE` in MiB", Value: float64(report.DefaultMaxSize) / (1 << 20)}, 0.1, 1000),
		},
		Action: func(c *cli.Context) error { return runReport(c, e) },
	}
}

func runReport(c *cli.Context, e *environment) error {
	work := ""
	opt := reportOptions{path: c.String("out"), maxSize: int64(c.Float64("max-size") * (1 << 20))}
	var err error
	if c.IsSet("work") || c.Args().Present() {
		if work, err = workArgument(c); err != nil {
			return err
		}
	}
	if opt.panels, err = numbers(c, "segment", 0); err != nil {
		return err
	}
	against, err := numbers(c, "against", 1)
	if err != nil {
		return err
	}
	switch {
	case work == "":
		return reportRepository(c, e, opt, against)
	case c.IsSet("exp") || c.IsSet("run") || c.IsSet("det") || c.IsSet("det-type") || c.IsSet("ctype"):
		return fault.New(fault.Usage, "--work names a run already: -e, -r, -d, --det-type and -C are for reports of the repository")
	case slurm.IsCampaign(work):
		return reportCampaignDir(c, e, work)
	}
	p, err := plan.Load(work)
	if err != nil {
		return err
	}
	if opt.path == "" {
		opt.path = reportFile(work)
	}
	if opt.baselines, err = reportBaselines(c.Context, e, p, against); err != nil {
		return err
	}
	made, err := reportOfWork(c.Context, e, work, p, opt)
	if err != nil {
		return err
	}
	return printReport(e, opt.path, made)
}

// madeReport is the result of report.
type madeReport struct {
	Path string `json:"path"`
	report.Made
}

func printReport(e *environment, path string, made report.Made) error {
	if e.JSON {
		return e.PrintJSON(madeReport{path, made})
	}
	_, err := fmt.Fprintln(e.Stdout, path)
	return err
}

// reportRepository makes the report of a run, or of runs, from status files.
func reportRepository(c *cli.Context, e *environment, opt reportOptions, against []int) error {
	runs, err := numbers(c, "run", 0)
	if err != nil {
		return err
	}
	switch {
	case len(runs) == 0 || c.String("exp") == "":
		return fault.New(fault.Usage, "report needs a work directory, or -e and -r").WithHint("rawstatus report --help shows examples")
	case opt.path == "":
		return fault.New(fault.Usage, "report needs --out FILE for runs of the repository")
	}
	r, err := repository(e)
	if err != nil {
		return err
	}
	s := repoSubject{exp: c.String("exp"), det: c.String("det"), dettype: c.String("det-type"), ctype: c.String("ctype"), runs: slices.Compact(slices.Sorted(slices.Values(runs)))}
	if len(s.runs) > 1 {
		if len(against) > 0 {
			return fault.New(fault.Usage, "--against is for one run: several runs are compared with each other")
		}
		if err := reportOfRuns(c.Context, e, r, s, opt.path); err != nil {
			return err
		}
		return printReport(e, opt.path, report.Made{})
	}
	made, err := reportOfRun(c.Context, e, r, s, against, opt.path, opt.maxSize)
	if err != nil {
		return err
	}
	return printReport(e, opt.path, made)
}

// reportCampaignDir makes the pages of a campaign as far as it is done.
func reportCampaignDir(c *cli.Context, e *environment, dir string) error {
	q, err := openQueue(c.Context, dir)
	if err != nil {
		return err
	}
	v, err := q.LookFiles(c.Context, nil)
	if err != nil {
		return err
	}
	paths, err := reportOfCampaign(c.Context, e, q.Dir, v)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fault.New(fault.Incomplete, "nothing of campaign %s is done", q.Name).WithHint("rawstatus status %s shows how it is doing", dir)
	}
	for _, path := range paths {
		if _, err := fmt.Fprintln(e.Stdout, path); err != nil {
			return err
		}
	}
	return nil
}

// reportBaselines finds what a report compares with: the named runs, else the constants in force.
func reportBaselines(ctx context.Context, e *environment, p *plan.Plan, runs []int) (out []baseline, err error) {
	if len(runs) > 0 {
		r, err := repository(e)
		if err != nil {
			return nil, err
		}
		for _, run := range slices.Compact(runs) {
			b, err := runBaseline(r, p, run)
			if err != nil {
				return nil, err
			}
			out = append(out, *b)
		}
		return out, nil
	}
	b, err := inForceBaseline(ctx, e, p)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil: // the report is worth having without it
		e.Log.Warnf("the report is not compared with the constants in force: %v", err)
	case b != nil:
		out = append(out, *b)
	}
	return out, nil
}

// defaultReport writes the report of a work directory beside its summary, against the constants in force.
func defaultReport(ctx context.Context, e *environment, work string, p *plan.Plan) error {
	baselines, err := reportBaselines(ctx, e, p, nil)
	if err != nil {
		return err
	}
	_, err = reportOfWork(ctx, e, work, p, reportOptions{path: reportFile(work), baselines: baselines})
	return err
}
