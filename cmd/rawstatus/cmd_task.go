package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/shard/task"
	"rawstatus/internal/stats/kernel"
)

// tasksDone is the result of task.
type tasksDone struct {
	Plan  string `json:"plan"`  // id
	Tasks []int  `json:"tasks"` // numbers of the tasks that are done
}

func newTaskCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "task",
		Usage:     "do tasks of a plan: read raw data, count, leave partials",
		ArgsUsage: "[WORKDIR]",
		Description: "A task whose verified partial is already there is not done again. In a Slurm job array the number of the\n" +
			"task is taken from SLURM_ARRAY_TASK_ID.",
		Flags: concat(workFlags(), []cli.Flag{
			planFlag(),
			pieceFlags()[0], pieceFlags()[1],
			command.Check(&cli.StringFlag{Name: "task", Usage: "task `NUMBERS`, e.g. 0,3-5, or all", DefaultText: "SLURM_ARRAY_TASK_ID"}, checkTasks),
		}),
		Action: func(c *cli.Context) error {
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			list := cmp.Or(c.String("task"), os.Getenv("SLURM_ARRAY_TASK_ID"))
			return slurm.RequeueAfter(c.Context, e.Log.Warnf, runTask(c.Context, e, taskOptions{pieceOf(c, work), list, workOptionsOf(c)}))
		},
	}
}

// taskOptions are the options of task.
type taskOptions struct {
	piece slurm.Piece
	list  string // of task numbers, or all
	work  workOptions
}

func runTask(ctx context.Context, e *environment, opt taskOptions) error {
	p, err := opt.piece.Admit()
	if err != nil {
		return err
	}
	tasks := job.All(p)
	if opt.list != "all" {
		if tasks, err = parseNumbers(opt.list, 0); err != nil || len(tasks) == 0 {
			return fault.New(fault.Usage, "--task %q names no task", opt.list).WithHint("wanted a list like 0,3-5, or all")
		}
		tasks = ofPlan(e, p, tasks)
	}
	j := &job.Job{Work: opt.piece.Work, Plan: p}
	if err := j.Do(ctx, tasks, opt.work.how(ctx, e, nil)); err != nil {
		return err
	}
	if e.JSON {
		return e.PrintJSON(tasksDone{p.ID, tasks})
	}
	_, err = fmt.Fprintf(e.Stdout, "%s of plan %.12s done\n", fault.Count(len(tasks), "task"), p.ID)
	return err
}

// workOptions say how tasks work.
type workOptions task.Options

func workOptionsOf(c *cli.Context) workOptions {
	return workOptions{Workers: c.Int("workers"),
		Read: task.Reading{Way: c.String("read"), Depth: c.Int("io-depth"), Block: c.Int("block") << 20, DropBehind: c.Bool("drop-behind")}}
}

// workFlags say how tasks work; they change no result.
func workFlags() []cli.Flag {
	return command.In(command.Machine, []cli.Flag{
		workersFlag(),
		command.Choice(&cli.StringFlag{Name: "read", Usage: "`WAY` of reading files: through the page cache, or direct, past it; a file system that refuses that is read through it", Value: sweep.Cached}, sweep.Ways...),
		command.Between(&cli.IntFlag{Name: "io-depth", Usage: "`N` reads in flight", Value: 32}, 1, 4096),
		command.Between(&cli.IntFlag{Name: "block", Usage: "one read takes at most `MIB`", Value: 4}, 1, 1024),
		&cli.BoolFlag{Name: "drop-behind", Usage: "do not keep raw data in the page cache: for long campaigns"},
	})
}

// ofPlan leaves the numbers out that the plan has no task for: a plan may have fewer tasks than were asked for, and
// the range or job array that was written for them serves it, too.
func ofPlan(e *environment, p *plan.Plan, tasks []int) []int {
	beyond := func(n int) bool { return n >= len(p.Tasks) }
	if i := slices.IndexFunc(tasks, beyond); i >= 0 {
		e.Log.Warnf("plan %.12s has %s, the last is %d: nothing to do for task %d and above", p.ID, fault.Count(len(p.Tasks), "task"), len(p.Tasks)-1, tasks[i])
	}
	return slices.DeleteFunc(slices.Clone(tasks), beyond)
}

// how says how the tasks of a command work, and shows their progress. The one process of a job shows it in the counters,
// too.
func (w workOptions) how(ctx context.Context, e *environment, shown *counters) job.Doing {
	w.Mode = fs.FileMode(e.Site.FileMode)
	w.Note = func(text string) { e.Log.Warn(text) }
	e.Log.Infof("kernel %s, %s", kernel.Name(), fault.Count(w.Workers, "worker"))
	return job.Doing{Options: task.Options(w), Log: e.Log, Begin: func(bytes int64) (func(int64), func()) {
		progress := e.Progress(bytes, command.Bytes)
		if shown == nil {
			return progress.Add, progress.End
		}
		var done atomic.Int64
		stop := shown.watch(ctx, "counting", &done, bytes)
		return func(bytes int64) {
				done.Add(bytes)
				progress.Add(bytes)
			}, func() {
				stop()
				progress.End()
			}
	}}
}
