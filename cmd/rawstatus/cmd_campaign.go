package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/campaign"
	"rawstatus/internal/shard/slurm"
)

// defaultMaxJobs is the budget of a campaign where neither flag nor site file says.
const defaultMaxJobs = 50

func newCampaignCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "campaign",
		Usage:     "do the same work for many runs: plan all, few job arrays, a table and a trend at the end",
		ArgsUsage: "FILE.toml",
		Description: "FILE.toml has a name and [[entry]] tables with exp, runs (\"5,8-11\"), detectors, and if wanted dir, profiles, tag, options\n" +
			"(of `rawstatus plan`). The same command again goes on where it was stopped; without FILE, --work names the campaign. Jobs that are\n" +
			"submitted do not need this command: behind each array waits a job that submits what is left.",
		Flags: concat(command.In(command.Slurm, []cli.Flag{
			&cli.StringFlag{Name: "work", Usage: "`DIR` of the campaign", DefaultText: "<work_root>/<name>"},
			command.Setting("slurm.max_jobs", "max-jobs", "at most `N` jobs queued or running at a time; 0: 50"),
			&cli.BoolFlag{Name: "retry", Usage: "try again what has failed for good"},
			&cli.BoolFlag{Name: "no-wait", Usage: "submit what can be submitted, do not follow"},
			everyFlag(),
			&cli.IntFlag{Name: "attempt", Usage: "with --element: do an element of attempt `N`", Hidden: true},
			&cli.IntFlag{Name: "element", Usage: "number `N` of the element", Hidden: true},
		}), []cli.Flag{postFlag()}, reduceFlags(), slurmFlags(), command.In(command.Deployment, []cli.Flag{command.CalibDir(), deployArgFlag()})),
		Action: func(c *cli.Context) error { return runCampaign(c, e) },
	}
}

func runCampaign(c *cli.Context, e *environment) error {
	if c.IsSet("attempt") || c.IsSet("element") {
		q, err := openQueue(c.Context, c.String("work"))
		if err != nil {
			return err
		}
		return slurm.RequeueAfter(c.Context, e.Log.Warnf, q.Element(c.Context, c.Int("attempt"), c.Int("element"), handsOf(e, q.Request.Task.CPUs)))
	}
	q, err := openCampaign(c, e, slurmClient(c.Context, e))
	if err != nil {
		return err
	}
	// This command is a person's wish that comes after this cancellation; one that comes later is a wish, too.
	known, err := q.Cancelled()
	if err != nil {
		return err
	}
	if err := planItems(c, e, q); err != nil {
		return err
	}
	v, err := coordinate(c, e, q, known)
	if err != nil {
		return err
	}
	if err := store(e, q, v, true); err != nil {
		return err
	}
	if c.Bool("no-wait") {
		return nil
	}
	return q.Outcome(v)
}

// repairCampaign makes a step, as the job behind the arrays does.
func repairCampaign(c *cli.Context, e *environment, work string) error {
	q := &slurm.Queue{Dir: work}
	if err := q.Open(slurmClient(c.Context, e)); err != nil {
		return err
	}
	v, err := step(c.Context, e, q, false, "")
	if err != nil {
		return err
	}
	if err := store(e, q, v, false); err != nil {
		return err
	}
	return v.Unanswered()
}

// openCampaign makes, updates or opens the campaign that FILE or --work names.
func openCampaign(c *cli.Context, e *environment, client *slurm.Client) (*slurm.Queue, error) {
	if !c.Args().Present() {
		if c.String("work") == "" {
			return nil, fault.New(fault.Usage, "campaign needs FILE.toml, or --work of one that was started")
		}
		q := &slurm.Queue{Dir: c.String("work")}
		err := q.Open(client)
		if err == nil && q.Name == "" {
			err = fault.New(fault.Usage, "no campaign in %s", q.Dir).WithHint("start one with `rawstatus campaign FILE.toml`")
		}
		return q, err
	}
	if c.Args().Len() > 1 {
		return nil, fault.New(fault.Usage, "campaign does not know what to do with %q", c.Args().Get(1)).WithHint("a campaign has one file")
	}
	file, err := campaign.ReadFile(c.Args().First())
	if err != nil {
		return nil, err
	}
	if _, err := repository(e); err != nil {
		return nil, err
	}
	if err := checkRepository(e); err != nil {
		return nil, err
	}
	items, err := file.Items()
	if err != nil {
		return nil, err
	}
	request, err := baseRequest(c, e)
	if err != nil {
		return nil, err
	}
	if request.Deploy, err = campaignDeploy(c, e, file, request.Results.Repository); err != nil {
		return nil, err
	}
	dir, most := c.String("work"), e.Site.Slurm.MaxJobs
	if dir == "" {
		dir = filepath.Join(e.Site.WorkRoot, file.Name)
	}
	if most == 0 {
		most = defaultMaxJobs
	}
	return slurm.CreateCampaign(client, dir, file.Name, items, request, most)
}

// campaignDeploy returns the words of mergedeploy that all runs of a campaign have in common.
func campaignDeploy(c *cli.Context, e *environment, f *campaign.File, repository string) ([]string, error) {
	extra := *c.Generic("deploy-arg").(*words)
	if !f.Deploys() {
		if len(extra) > 0 || c.IsSet("calib-dir") {
			return nil, fault.New(fault.Usage, "--deploy-arg and --calib-dir are for a campaign that deploys").WithHint("write deploy = true into its file")
		}
		return nil, nil
	}
	if _, err := mergedeployPath(); err != nil {
		return nil, err
	}
	line := []string{"--repository", repository}
	if c.IsSet("calib-dir") {
		line = append(line, "--calib-dir", e.Site.CalibDir)
		if !filepath.IsAbs(e.Site.CalibDir) && !strings.HasPrefix(e.Site.CalibDir, "{") {
			abs, err := filepath.Abs(e.Site.CalibDir)
			if err != nil {
				return nil, fmt.Errorf("could not tell where the calibration directory is: %w", err)
			}
			line[len(line)-1] = abs
		}
	}
	return append(append(line, "--automatic", "--deploy"), extra...), nil
}

// planItems plans all items that have no plan, some at a time; to try again, also those that are not done.
func planItems(c *cli.Context, e *environment, q *slurm.Queue) error {
	begin := time.Now()
	again := map[string]bool{}
	if c.Bool("retry") {
		v, err := q.Look(c.Context)
		if err != nil {
			return err
		}
		for _, r := range v.Items {
			again[r.Key] = r.State == slurm.Ended
		}
	}
	hands := handsOf(e, q.Request.Task.CPUs)
	g, ctx := fault.WithContext(c.Context)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, it := range q.Items {
		g.Go(func() error { return q.PlanItem(ctx, it, again[it.Key()], hands) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	e.Log.Infof("campaign %s in %s: %s planned in %.1f s", q.Name, q.Dir, fault.Count(len(q.Items), "item"), time.Since(begin).Seconds())
	return nil
}

// step makes one step and logs what it submitted. Items whose predictions are wrong are made again, and submitted with
// another step.
func step(ctx context.Context, e *environment, q *slurm.Queue, retry bool, known string) (*slurm.View, error) {
	v, attempts, err := q.Step(ctx, retry, known)
	for _, a := range attempts {
		portions := 0
		for _, element := range a.Elements {
			portions += len(element)
		}
		e.Log.Infof("attempt %d: %d items in %s, %d MB and %s each, job %d", a.Number, portions, fault.Count(len(a.Elements), "element"), a.Task.MemMB, a.Task.Time, a.Jobs[0].Job)
	}
	if err != nil || v.Count(slurm.Mispredicted) == 0 {
		return v, err
	}
	for _, r := range v.Items {
		if r.State != slurm.Mispredicted {
			continue
		}
		e.Log.Warnf("%s is planned again, from all headers: %s", r.Key, r.Reason)
		if err := q.Remake(ctx, r.Item, nil); err != nil {
			return nil, err
		}
	}
	return step(ctx, e, q, false, known)
}

// coordinate makes steps until nothing is left to do. It may be killed at any time: the next call goes on.
func coordinate(c *cli.Context, e *environment, q *slurm.Queue, known string) (*slurm.View, error) {
	retry, last := c.Bool("retry"), ""
	v, err := q.Follow(c.Context, c.Duration("every"), func(ctx context.Context) (*slurm.View, error) {
		v, err := step(ctx, e, q, retry, known)
		retry = false
		return v, err
	}, func(v *slurm.View) {
		if now := v.Summary(); now != last {
			e.Log.Infof("%s: %s", fault.Count(len(v.Items), "item"), now)
			last = now
		}
	}, func(v *slurm.View) bool {
		return v.Cancelled != known && v.Cancelled != "" || v.Over() || c.Bool("no-wait")
	})
	if v != nil && err != nil {
		e.Log.Infof("the jobs go on; rawstatus status %s shows them, rawstatus cancel %s ends them", slurm.Quote(q.Dir), slurm.Quote(q.Dir))
	}
	return v, err
}

// results makes table and trend of a view. The trend reads every status file, which takes its time: it is made when the
// campaign is over.
func results(e *environment, q *slurm.Queue, v *slurm.View) (*campaign.Table, *campaign.Trend, error) {
	r := repo.New("/", &access.Policy{}, e.Site.Location())
	followed := v
	if !v.Over() {
		followed = &slurm.View{}
	}
	trend, err := campaign.MakeTrend(followed, func(path string) ([]uint64, error) {
		status, err := r.ReadStatus(path, nil)
		if err != nil {
			return nil, err
		}
		return status.Dense(), nil
	})
	if err != nil {
		return nil, nil, err
	}
	return campaign.MakeTable(q.Name, v, trend), trend, nil
}

// store keeps table and trend in the campaign's directory and prints them, if wanted.
func store(e *environment, q *slurm.Queue, v *slurm.View, print bool) error {
	table, trend, err := results(e, q, v)
	if err != nil {
		return err
	}
	if err := campaign.WriteReports(q.Dir, table, trend); err != nil {
		return err
	}
	if print {
		if err := printResults(e, table, trend); err != nil {
			return err
		}
	}
	if v.Over() {
		postFailures(context.Background(), e, q, v)
		notifyOfCampaign(context.Background(), e, q, v)
	}
	if v.Over() && q.Request.Results.Report {
		_, err = pagesOf(e).OfCampaign(context.Background(), q.Dir, v)
	}
	return err
}

// showCampaign prints table and trend.
func showCampaign(e *environment, q *slurm.Queue, v *slurm.View) error {
	table, trend, err := results(e, q, v)
	if err != nil {
		return err
	}
	return printResults(e, table, trend)
}

func printResults(e *environment, table *campaign.Table, trend *campaign.Trend) error {
	if e.JSON {
		return e.PrintJSON(table)
	}
	return errors.Join(table.WriteText(e.Stdout), trend.WriteText(e.Stdout))
}
