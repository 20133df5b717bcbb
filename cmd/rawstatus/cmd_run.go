package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/job"
)

func newRunCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "plan, all tasks and reduce on this machine",
		Description: "The same command again goes on where it was stopped: partials that are complete are kept. Example:\n" +
			"  rawstatus run --exp mfx101332224 --run 7 -d jungfrau --dir /data/mfx101332224/xtc -o /constants",
		Flags: concat(dataFlags(), jobFlags(), reduceFlags(), workFlags(), []cli.Flag{workFlag(), tasksFlag(), postFlag()}, elogFlags()),
		Action: func(c *cli.Context) error {
			opt, err := runOptionsOf(c, e, subject{})
			if err != nil {
				return err
			}
			return runRun(c.Context, e, opt)
		},
	}
}

// runOptions are the options of run.
type runOptions struct {
	order   job.Order
	results job.Results
	work    workOptions
	post    bool
}

func runOptionsOf(c *cli.Context, e *environment, about subject) (opt runOptions, err error) {
	if _, err = repository(e); err != nil {
		return opt, err
	}
	opt.work, opt.post, opt.results = workOptionsOf(c), wantsPost(c, e), resultsOf(c, e)
	opt.order, err = orderOf(c, e, about)
	return opt, err
}

func runRun(ctx context.Context, e *environment, opt runOptions) error {
	start := time.Now()
	j, err := makePlan(ctx, e, opt.order)
	if err != nil {
		return err
	}
	if _, err := wantedProducts(e, opt.results, j.Plan); err != nil {
		return err
	}
	l, err := openLog(e, j.Plan, opt.results.Repository, start)
	if err != nil {
		return err
	}
	defer l.close()
	shown := newCounters(e, countersURL(opt.post))
	if err = j.DoAll(ctx, opt.work.how(ctx, e, shown)); err == nil {
		err = reduceJob(ctx, e, j, opt.results, nil, l)
	}
	if code := fault.CodeOf(err); code != fault.Interrupted && code != fault.Temporary {
		notifyOnce(context.WithoutCancel(ctx), e, filepath.Join(j.Work, "notification.json"), eventOf(e, j.Work, j.Plan, err))
	}
	if opt.post {
		postRun(ctx, e, j.Plan, j.Work, err, shown)
	}
	return err
}
