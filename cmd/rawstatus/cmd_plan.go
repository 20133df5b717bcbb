package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

func newPlanCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "index a run and cut the work into tasks",
		Description: "Writes plan.json, index.pack and the request (job.json) into the work directory. Then do every task with `rawstatus\n" +
			"task` (or the job array of `rawstatus submit`) and finish with `rawstatus reduce`; `rawstatus run` does all of it on this machine.\n" +
			"With --work alone the stored request is planned again, by the headers of all frames: where a task found a prediction to be wrong.",
		Flags: concat(dataFlags(), jobFlags(), []cli.Flag{workFlag(), tasksFlag()}, command.In(command.Machine, []cli.Flag{workersFlag()})),
		Action: func(c *cli.Context) error {
			if work := c.String("work"); work != "" && !namesData(c) {
				return runPlanAgain(c.Context, e, work)
			}
			order, err := orderOf(c, e, subject{})
			if err != nil {
				return err
			}
			return runPlan(c.Context, e, order)
		},
	}
}

// namesData reports whether the flags name raw data.
func namesData(c *cli.Context) bool {
	return slices.ContainsFunc([]string{"dataset", "exp", "run", "dir", "file"}, c.IsSet)
}

func runPlan(ctx context.Context, e *environment, order job.Order) error {
	j, err := makePlan(ctx, e, order)
	if err != nil {
		return err
	}
	return showPlan(e, j)
}

// runPlanAgain makes the plan of a work directory again, by the headers of all frames.
func runPlanAgain(ctx context.Context, e *environment, work string) error {
	j, err := job.Open(work)
	if err == nil {
		j, err = j.Remake(ctx, e.Log)
	}
	if err == nil {
		err = storePlan(ctx, e, j)
	}
	if err != nil {
		return err
	}
	logPlan(e, j)
	return showPlan(e, j)
}

func showPlan(e *environment, j *job.Job) error {
	if e.JSON {
		return e.PrintJSON(j.Plan)
	}
	last := len(j.Plan.Tasks) - 1
	_, err := fmt.Fprintf(e.Stdout, "plan %.12s in %s: %s, next: rawstatus task --work %s --task 0-%d\n", j.Plan.ID, j.Work, fault.Count(last+1, "task"), j.Work, last)
	return err
}

func tasksFlag() cli.Flag {
	return command.AtLeast(&cli.IntFlag{Name: "tasks", Usage: "cut the work into `N` tasks; more than panels x gain modes cuts by frames", DefaultText: "one per panel and gain mode"}, 1)
}

func workersFlag() cli.Flag {
	return command.AtLeast(&cli.IntFlag{Name: "workers", Usage: "`N` goroutines that count", Value: runtime.GOMAXPROCS(0), DefaultText: "all cores"}, 1)
}

func concat(lists ...[]cli.Flag) []cli.Flag {
	var out []cli.Flag
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// makePlan makes the job that is ordered and stores it in its work directory.
func makePlan(ctx context.Context, e *environment, order job.Order) (*job.Job, error) {
	j, err := order.Make(ctx)
	if err == nil {
		err = storePlan(ctx, e, j)
	}
	if err != nil {
		return nil, err
	}
	logPlan(e, j)
	return j, nil
}

// storePlan stores a job in its work directory, unless jobs of Slurm are at work there on another plan.
func storePlan(ctx context.Context, e *environment, j *job.Job) error {
	if err := notUnderJobs(ctx, j.Work, j.Plan); err != nil {
		return err
	}
	return j.Save(ctx, fs.FileMode(e.Site.FileMode))
}

func logPlan(e *environment, j *job.Job) {
	p := j.Plan
	e.Log.WithField("plan", p.ID[:12]).Infof("%s, %s or steps, %s in %s; work directory %s",
		fault.Count(len(p.Dataset.Panels), "panel"), fault.Count(len(p.Groups), "gain mode"), fault.Count(len(p.Shards), "shard"), fault.Count(len(p.Tasks), "task"), j.Work)
	for i, t := range p.Tasks {
		e.Log.Debugf("task %d: shards %v, %.3f GB of raw data, at most %d MiB of memory", i, t.Shards, float64(t.Bytes)/1e9, t.Memory>>20)
	}
}

// notUnderJobs refuses another plan for a work directory while jobs of Slurm are at work there, or may be.
func notUnderJobs(ctx context.Context, work string, p *plan.Plan) error {
	abs, err := filepath.Abs(work)
	if err != nil {
		return fmt.Errorf("could not tell where the work directory is: %w", err)
	}
	attempts, err := slurm.LoadAttempts(abs)
	if err != nil || len(attempts) == 0 || attempts[len(attempts)-1].Plan == p.ID {
		return err
	}
	q := &slurm.Queue{Client: slurm.NewClient(ctx), Dir: abs}
	q.Client.Patience = slurm.ShortPatience
	live, err := q.Live(ctx)
	if err == nil && len(live) == 0 {
		return nil
	}
	why := fmt.Sprintf("jobs %v are at work", live)
	if err != nil { // files may tell that they are not
		if errOpen := q.Open(q.Client); errOpen == nil {
			if v, errFiles := q.LookFiles(ctx, err); errFiles == nil && (v.Items[0].Done || v.Cancelled != "") {
				return nil
			}
		}
		why = fault.Message(err)
	}
	return fault.New(fault.Busy, "%q has jobs of plan %.12s, and this would be plan %.12s: %s", work, attempts[len(attempts)-1].Plan, p.ID, why).
		WithHint("give another --work, or end them with `rawstatus cancel %s`", slurm.Quote(work))
}
