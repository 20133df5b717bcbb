package main

import (
	"context"
	"os"
	"os/exec"
	"syscall"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/shard/task"
)

// handsOf returns what the elements of a campaign work with, on so many cores. Of each item only the log is shown.
func handsOf(e *environment, cores int) slurm.Hands {
	log := e.Silent()
	return slurm.Hands{
		Plan: func(ctx context.Context, it slurm.Item, work string) error {
			err := planItem(ctx, e, it, work, cores)
			if err != nil && ctx.Err() == nil {
				e.Log.Warnf("%s", fault.Message(err))
			}
			return err
		},
		Do: func(ctx context.Context, p slurm.Piece, tasks []int) error {
			work := workOptions{Workers: cores, Read: task.Reading{Way: sweep.Cached}}
			return shown(e, runTask(ctx, log, taskOptions{p, ranges.Of(tasks).String(), work}))
		},
		Reduce: func(ctx context.Context, p slurm.Piece, r job.Results) error {
			return shown(e, runReduce(ctx, log, reduceOptions{piece: p, results: r}))
		},
		Post: func(ctx context.Context, work string) {
			if err := postWork(ctx, log, postOptions{work: work}); err != nil {
				e.Log.Warnf("%s", fault.Message(err))
			}
		},
		Deploy: func(ctx context.Context, words []string) error { return startMergedeploy(ctx, e, words) },
	}
}

// shown logs an error that ends the work on an item, and returns it.
func shown(e *environment, err error) error {
	if err != nil {
		e.Log.Errorf("%s", fault.Message(err))
	}
	return err
}

// planItem plans an item of a campaign, by the options of its entry.
func planItem(ctx context.Context, e *environment, it slurm.Item, work string, cores int) error {
	about := subject{open.Dataset{Experiment: it.Experiment, Runs: ranges.One(it.Run), Dir: it.Dir, Detector: it.Detector}, it.Profile}
	var order job.Order
	err := program().Read(e, "plan", it.Options, func(c *cli.Context, e *environment) (err error) {
		order, err = orderOf(c, e, about)
		return err
	})
	if err != nil {
		return err
	}
	order.Cut.Workers, order.Log = cores, nil
	order.Work = func(frame.Run, string, plan.Params) (string, error) { return work, nil }
	j, err := order.Make(ctx)
	if err != nil {
		return err
	}
	return storePlan(ctx, e, j)
}

// startMergedeploy is mergedeploy; the model of Slurm plays it.
var startMergedeploy = mergedeploy

// mergedeploy runs the other program, which stands beside this one.
func mergedeploy(ctx context.Context, e *environment, words []string) error {
	path, err := mergedeployPath()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, words...)
	cmd.Env = append(os.Environ(), slurm.RequeueVariable+"=0") // the next attempt tries again
	cmd.Stdout, cmd.Stderr = e.Stderr, e.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err = cmd.Run(); err == nil {
		return nil
	}
	code := fault.Unexpected
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() > 0 {
		code = fault.Code(cmd.ProcessState.ExitCode())
	}
	return fault.New(code, "mergedeploy: %w", err)
}
