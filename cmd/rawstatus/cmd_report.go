package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/pages"
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
	opt := pages.Options{Path: c.String("out"), MaxSize: int64(c.Float64("max-size") * (1 << 20))}
	var err error
	if c.IsSet("work") || c.Args().Present() {
		if work, err = workArgument(c); err != nil {
			return err
		}
	}
	if opt.Segments, err = numbers(c, "segment", 0); err != nil {
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
	if opt.Path == "" {
		opt.Path = pages.File(work)
	}
	if opt.Baselines, err = reportBaselines(c.Context, e, p, against); err != nil {
		return err
	}
	made, err := pagesOf(e).OfWork(c.Context, work, p, opt)
	if err != nil {
		return err
	}
	return printReport(e, opt.Path, made)
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
func reportRepository(c *cli.Context, e *environment, opt pages.Options, against []int) error {
	runs, err := numbers(c, "run", 0)
	if err != nil {
		return err
	}
	switch {
	case len(runs) == 0 || c.String("exp") == "":
		return fault.New(fault.Usage, "report needs a work directory, or -e and -r").WithHint("rawstatus report --help shows examples")
	case opt.Path == "":
		return fault.New(fault.Usage, "report needs --out FILE for runs of the repository")
	}
	r, err := repository(e)
	if err != nil {
		return err
	}
	s := pages.Subject{Experiment: c.String("exp"), Detector: c.String("det"), DetType: c.String("det-type"), CType: c.String("ctype"), Runs: slices.Compact(slices.Sorted(slices.Values(runs)))}
	if len(s.Runs) > 1 {
		if len(against) > 0 {
			return fault.New(fault.Usage, "--against is for one run: several runs are compared with each other")
		}
		if err := pagesOf(e).OfRuns(c.Context, r, s, opt.Path); err != nil {
			return err
		}
		return printReport(e, opt.Path, report.Made{})
	}
	made, err := pagesOf(e).OfRun(c.Context, r, s, against, opt.Path, opt.MaxSize)
	if err != nil {
		return err
	}
	return printReport(e, opt.Path, made)
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
	paths, err := pagesOf(e).OfCampaign(c.Context, q.Dir, v)
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

// pagesOf makes reports by the settings of the site.
func pagesOf(e *environment) *pages.Maker { return &pages.Maker{Site: e.Site, Log: e.Log} }

// reportBaselines finds what a report compares with: the named runs, else the constants in force.
func reportBaselines(ctx context.Context, e *environment, p *plan.Plan, runs []int) (list []pages.Baseline, err error) {
	var r *repo.Repo
	if len(runs) > 0 {
		if r, err = repository(e); err != nil {
			return nil, err
		}
	}
	return pagesOf(e).Baselines(ctx, p, r, runs)
}

// defaultReport writes the report of a work directory beside its summary, against the constants in force.
func defaultReport(ctx context.Context, e *environment, work string, p *plan.Plan) error {
	baselines, err := reportBaselines(ctx, e, p, nil)
	if err != nil {
		return err
	}
	_, err = pagesOf(e).OfWork(ctx, work, p, pages.Options{Path: pages.File(work), Baselines: baselines})
	return err
}
