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
			"submitted do not need this command: each wave of them ends with a job that submits the next.",
		Flags: concat(command.In(command.Slurm, []cli.Flag{
			&cli.StringFlag{Name: "work", Usage: "`DIR` of the campaign", DefaultText: "<work_root>/<name>"},
			command.Setting("slurm.max_jobs", "max-jobs", "at most `N` jobs queued or running at a time; 0: 50"),
			&cli.BoolFlag{Name: "retry", Usage: "try again what has failed for good"},
			&cli.BoolFlag{Name: "no-wait", Usage: "submit what can be submitted, do not follow"},
			everyFlag(),
			&cli.BoolFlag{Name: "step", Usage: "one step, as the job behind a wave makes it", Hidden: true},
			&cli.IntFlag{Name: "wave", Usage: "with --element: do an element of wave `N`", Hidden: true},
			&cli.IntFlag{Name: "element", Usage: "number `N` of the element", Hidden: true},
		}), []cli.Flag{postFlag()}, reduceFlags(), slurmFlags(), command.In(command.Deployment, []cli.Flag{command.CalibDir(), deployArgFlag()})),
		Action: func(c *cli.Context) error { return runCampaign(c, e) },
	}
}

func runCampaign(c *cli.Context, e *environment) error {
	if c.IsSet("wave") || c.IsSet("element") {
		cam, err := campaign.Open(nil, c.String("work"))
		if err != nil {
			return err
		}
		return requeued(c, e, cam.Element(c.Context, c.Int("wave"), c.Int("element"), handsOf(e, cam.Request.Task.CPUs)))
	}
	client := slurmClient(c.Context, e)
	if c.Bool("step") {
		cam, err := campaign.Open(client, c.String("work"))
		if err != nil {
			return err
		}
		v, err := step(c, e, cam, false, "")
		if err != nil {
			return requeued(c, e, err)
		}
		return store(e, cam, v, false)
	}
	cam, err := openCampaign(c, e, client)
	if err != nil {
		return err
	}
	// This command is a person's wish that comes after this cancellation; one that comes later is a wish, too.
	known, err := cam.Cancelled()
	if err != nil {
		return err
	}
	if err := planItems(c, e, cam); err != nil {
		return err
	}
	cam.Forget()
	v, err := coordinate(c, e, cam, known)
	if err != nil {
		return err
	}
	if err := store(e, cam, v, true); err != nil {
		return err
	}
	if c.Bool("no-wait") {
		return nil
	}
	return outcome(cam, v)
}

// outcome is an error when something of a campaign is not done and will not be done by itself.
func outcome(cam *campaign.Campaign, v *campaign.View) error {
	done := v.Count(campaign.Done)
	if done == len(v.Items) {
		return nil
	}
	if v.Cancelled != "" {
		return fault.New(fault.Incomplete, "%d of %s of campaign %s are done, the others were cancelled by %s", done, fault.Count(len(v.Items), "item"), cam.Name, v.Cancelled).
			WithHint("go on with: rawstatus campaign --retry --work %s", slurm.Quote(cam.Dir))
	}
	return fault.New(fault.Incomplete, "%d of %s of campaign %s are done", done, fault.Count(len(v.Items), "item"), cam.Name).
		WithHint("remove the causes, then: rawstatus campaign --retry --work %s", slurm.Quote(cam.Dir))
}

// openCampaign makes, updates or opens the campaign that FILE or --work names.
func openCampaign(c *cli.Context, e *environment, client *slurm.Client) (*campaign.Campaign, error) {
	if !c.Args().Present() {
		if c.String("work") == "" {
			return nil, fault.New(fault.Usage, "campaign needs FILE.toml, or --work of one that was started")
		}
		return campaign.Open(client, c.String("work"))
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
	return campaign.Create(client, dir, file, request, most)
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
func planItems(c *cli.Context, e *environment, cam *campaign.Campaign) error {
	begin := time.Now()
	again := map[string]bool{}
	if c.Bool("retry") {
		v, err := cam.Look(c.Context, false)
		if err != nil {
			return err
		}
		for _, s := range v.Items {
			again[s.Key] = s.State == campaign.Failed
		}
	}
	hands := handsOf(e, cam.Request.Task.CPUs)
	g, ctx := fault.WithContext(c.Context)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, it := range cam.Items {
		g.Go(func() error { return cam.Plan(ctx, it, again[it.Key()], hands) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	e.Log.Infof("campaign %s in %s: %s planned in %.1f s", cam.Name, cam.Dir, fault.Count(len(cam.Items), "item"), time.Since(begin).Seconds())
	return nil
}

// step makes one step and logs what it submitted. Items whose predictions are wrong are made again, and submitted with
// another step.
func step(c *cli.Context, e *environment, cam *campaign.Campaign, retry bool, known string) (*campaign.View, error) {
	v, err := oneStep(c.Context, e, cam, retry, known)
	if err != nil || v.Count(campaign.Mispredicted) == 0 {
		return v, err
	}
	for _, s := range v.Items {
		if s.State != campaign.Mispredicted {
			continue
		}
		e.Log.Warnf("%s is planned again, from all headers: %s", s.Key, s.Reason)
		if err := cam.Remake(c.Context, s.Item, nil); err != nil {
			return nil, err
		}
	}
	cam.Forget()
	return oneStep(c.Context, e, cam, false, known)
}

func oneStep(ctx context.Context, e *environment, cam *campaign.Campaign, retry bool, known string) (*campaign.View, error) {
	v, waves, err := cam.Step(ctx, retry, known)
	for _, w := range waves {
		pieces := 0
		for _, element := range w.Elements {
			pieces += len(element)
		}
		e.Log.Infof("wave %d: %d pieces in %s, %d MB and %s each, job %d", w.Number, pieces, fault.Count(len(w.Elements), "element"), w.Resources.MemMB, w.Resources.Time, w.Chunks[0].Job)
	}
	return v, err
}

// coordinate makes steps until nothing is left to do. It may be killed at any time: the next call goes on.
func coordinate(c *cli.Context, e *environment, cam *campaign.Campaign, known string) (*campaign.View, error) {
	last := ""
	for retry := c.Bool("retry"); ; retry = false {
		v, err := step(c, e, cam, retry, known)
		if err != nil {
			return nil, err
		}
		var parts []string
		for _, s := range []string{campaign.Done, campaign.Running, campaign.Pending, campaign.Waiting, campaign.Reduced, campaign.Mispredicted, campaign.Held, campaign.Failed} {
			if n := v.Count(s); n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, s))
			}
		}
		if now := strings.Join(parts, ", "); now != last {
			e.Log.Infof("%s: %s", fault.Count(len(v.Items), "item"), now)
			last = now
		}
		if v.Cancelled != known && v.Cancelled != "" {
			return v, nil
		}
		if v.Over() || c.Bool("no-wait") {
			return v, nil
		}
		if err := cam.Client.Sleep(c.Context, c.Duration("every")); err != nil {
			e.Log.Infof("the jobs go on; rawstatus status %s shows them, rawstatus cancel %s ends them", slurm.Quote(cam.Dir), slurm.Quote(cam.Dir))
			return nil, err
		}
	}
}

// results makes table and trend of a view. The trend reads every status file, which takes its time: it is made when the
// campaign is over.
func results(e *environment, cam *campaign.Campaign, v *campaign.View) (*campaign.Table, *campaign.Trend, error) {
	r := repo.New("/", &access.Policy{}, e.Site.Location())
	followed := v
	if !v.Over() {
		followed = &campaign.View{}
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
	return campaign.MakeTable(cam.Name, v, trend), trend, nil
}

// store keeps table and trend in the campaign's directory and prints them, if wanted.
func store(e *environment, cam *campaign.Campaign, v *campaign.View, print bool) error {
	table, trend, err := results(e, cam, v)
	if err != nil {
		return err
	}
	if err := cam.WriteReports(table, trend); err != nil {
		return err
	}
	if print {
		if err := printResults(e, table, trend); err != nil {
			return err
		}
	}
	if v.Over() {
		postFailures(context.Background(), e, cam, v)
		notifyOfCampaign(context.Background(), e, cam, v)
	}
	if v.Over() && cam.Request.Results.Report {
		_, err = reportOfCampaign(context.Background(), e, cam.Dir, v)
	}
	return err
}

// show prints table and trend.
func show(e *environment, cam *campaign.Campaign, v *campaign.View) error {
	table, trend, err := results(e, cam, v)
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

// campaignStatus shows the table as it is now.
func campaignStatus(c *cli.Context, e *environment, dir string) error {
	cam, err := campaign.Open(slurmClient(c.Context, e), dir)
	if err != nil {
		return err
	}
	cam.Client.Patience = slurm.ShortPatience
	for {
		v, err := cam.Look(c.Context, false)
		if fault.CodeOf(err) == fault.Slurm {
			return campaignFiles(e, cam, err)
		}
		if err != nil {
			return err
		}
		if err := show(e, cam, v); err != nil {
			return err
		}
		if v.Over() || v.Cancelled != "" || !v.Going {
			return outcome(cam, v)
		}
		if !c.Bool("watch") {
			return nil
		}
		if err := cam.Client.Sleep(c.Context, c.Duration("every")); err != nil {
			return err
		}
	}
}

// campaignFiles shows what files tell of a campaign when Slurm does not answer.
func campaignFiles(e *environment, cam *campaign.Campaign, why error) error {
	v, err := cam.Results()
	if err != nil {
		return err
	}
	if err := show(e, cam, v); err != nil || v.Over() {
		return err
	}
	return fault.New(fault.Slurm, "this is what files tell; %w", why).WithHint("ask again when Slurm answers: rawstatus status %s", slurm.Quote(cam.Dir))
}
