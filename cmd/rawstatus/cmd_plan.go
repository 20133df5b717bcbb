package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

func newPlanCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "index a run and cut the work into tasks",
		Description: "Writes plan.json and index.pack into the work directory. Then do every task with `rawstatus task` (or the\n" +
			"job array of `rawstatus submit`) and finish with `rawstatus reduce`. `rawstatus run` does all of it on this machine.",
		Flags: concat(dataFlags(), jobFlags(), []cli.Flag{workFlag(), tasksFlag()}, command.In(command.Machine, []cli.Flag{workersFlag()})),
		Action: func(c *cli.Context) error {
			p, work, err := makePlan(c, e)
			if err != nil {
				return err
			}
			if e.JSON {
				return e.PrintJSON(p)
			}
			_, err = fmt.Fprintf(e.Stdout, "plan %.12s in %s: %s, next: rawstatus task --work %s --task 0-%d\n", p.ID, work, fault.Count(len(p.Tasks), "task"), work, len(p.Tasks)-1)
			return err
		},
	}
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

// indexJob indexes the run that the flags name, prepared for the parameters that they give, and returns the work
// directory. Headers are predicted; once somebody has found that a prediction is wrong, all are read.
func indexJob(c *cli.Context, e *environment) (x *frame.Index, par plan.Params, work string, err error) {
	for all := c.Bool("all-headers"); ; all = true {
		x, par, work, err = indexOnce(c, e, all)
		if all || !errors.Is(err, frame.ErrHeading) {
			return x, par, work, err
		}
		e.Log.Warnf("all headers are read: %v", err)
	}
}

// indexOnce is indexJob for predicted headers, or for all. It fails with frame.ErrHeading if a prediction is wrong: one
// that it looked at itself, or one that a task of this work directory found.
func indexOnce(c *cli.Context, e *environment, all bool) (x *frame.Index, par plan.Params, work string, err error) {
	if x, err = indexDetector(c, e, all); err != nil {
		return nil, par, "", err
	}
	panel := x.Panels[0]
	if family, _ := detector.Lookup(panel.Type); family.IsCamera() && panel.Bits == 0 {
		if panel.Bits, err = plan.Reach(c.Context, x, c.String("read")); err != nil {
			return nil, par, "", err
		}
		e.Log.Infof("nothing tells how many bits words of %s have; those of some frames reach %s, which the default upper limits follow", panel.Detector, fault.Count(panel.Bits, "bit"))
	}
	if par, err = jobParams(c, e, x.Run, panel); err != nil {
		return nil, par, "", err
	}
	if work, err = workDir(c, e, x.Run, x.Panels[0].Detector, par); err != nil {
		return nil, par, "", err
	}
	doubt, err := plan.LoadDoubt(work)
	if err != nil {
		return nil, par, "", err
	}
	if doubt != nil && len(x.Headings) > 0 {
		return nil, par, "", fmt.Errorf("an earlier plan of %s could not be done: %s%w", work, strings.TrimSuffix(doubt.Error, frame.ErrHeading.Error()), frame.ErrHeading)
	}
	x, err = plan.Prepare(c.Context, x, par, c.String("read"))
	return x, par, work, err
}

// makePlan indexes the run that the flags name and saves its plan. A work directory that already holds
// this very plan with its index is left as it is.
func makePlan(c *cli.Context, e *environment) (*plan.Plan, string, error) {
	x, par, work, err := indexJob(c, e)
	if err != nil {
		return nil, "", err
	}
	p, index, err := buildPlan(x, par, plan.Options{Tasks: c.Int("tasks"), Workers: c.Int("workers")})
	if err == nil {
		err = notUnderJobs(c.Context, work, p)
	}
	if err == nil {
		err = savePlan(c.Context, work, p, index, fs.FileMode(e.Site.FileMode))
	}
	if err != nil {
		return nil, "", err
	}
	e.Log.WithField("plan", p.ID[:12]).Infof("%s, %s or steps, %s in %s; work directory %s",
		fault.Count(len(p.Dataset.Panels), "panel"), fault.Count(len(p.Groups), "gain mode"), fault.Count(len(p.Shards), "shard"), fault.Count(len(p.Tasks), "task"), work)
	for i, t := range p.Tasks {
		e.Log.Debugf("task %d: shards %v, %.3f GB of raw data, at most %d MiB of memory", i, t.Shards, float64(t.Bytes)/1e9, t.Memory>>20)
	}
	return p, work, nil
}

// notUnderJobs refuses another plan for a work directory while jobs of Slurm are at work there, or may be.
func notUnderJobs(ctx context.Context, work string, p *plan.Plan) error {
	abs, err := filepath.Abs(work)
	if err != nil {
		return fmt.Errorf("could not tell where the work directory is: %w", err)
	}
	chains, err := slurm.Chains(slurm.NewClient(ctx), abs)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		if chain.Plan.ID == p.ID {
			continue
		}
		chain.Client.Patience = slurm.ShortPatience
		live, err := chain.Live(ctx)
		if err == nil && len(live) == 0 {
			continue
		}
		why := fmt.Sprintf("jobs %v are at work", live)
		if err != nil { // files may tell that they are not
			own, errOpen := slurm.OpenChain(chain.Client, abs)
			if errOpen == nil && own.Plan.ID == chain.Plan.ID {
				if r, errFiles := own.ReportFiles(ctx, err); errFiles == nil && (r.Done || r.Cancelled != "") {
					continue
				}
			}
			why = fault.Message(err)
		}
		return fault.New(fault.Busy, "%q has jobs of plan %.12s, and this would be plan %.12s: %s", work, chain.Plan.ID, p.ID, why).
			WithHint("give another --work, or end them with `rawstatus cancel %s`", slurm.Quote(work))
	}
	return nil
}

// buildPlan makes the plan of an index and the index as it is stored.
func buildPlan(x *frame.Index, par plan.Params, opt plan.Options) (*plan.Plan, []byte, error) {
	index, sums, err := plan.EncodeIndex(x)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Build(x, sums, par, opt)
	if err != nil {
		return nil, nil, err
	}
	return p, index, reduce.CheckPedestals(p)
}

// savePlan stores a plan in its work directory.
func savePlan(ctx context.Context, work string, p *plan.Plan, index []byte, mode fs.FileMode) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := atomicfile.MkdirAll(work, 0o2775, nil); err != nil {
		return fmt.Errorf("could not make the work directory: %w", err)
	}
	if old, err := plan.Load(work); err == nil && old.ID == p.ID {
		if _, err := old.OpenIndex(work); err == nil {
			return nil
		}
	}
	return plan.Save(work, p, index, mode)
}
