package main

import (
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
	"rawstatus/internal/shard/plan"
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
			list := c.String("task")
			if list == "" {
				list = os.Getenv("SLURM_ARRAY_TASK_ID")
			}
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			p, err := pieceOf(c, work).Admit()
			if err != nil {
				return err
			}
			tasks := allTasks(p)
			if list != "all" {
				if tasks, err = parseNumbers(list, 0); err != nil || len(tasks) == 0 {
					return fault.New(fault.Usage, "--task %q names no task", list).WithHint("wanted a list like 0,3-5, or all")
				}
				tasks = ofPlan(e, p, tasks)
			}
			if err := doTasks(c, e, p, work, tasks, nil); err != nil {
				return requeued(c, e, err)
			}
			if e.JSON {
				return e.PrintJSON(tasksDone{p.ID, tasks})
			}
			_, err = fmt.Fprintf(e.Stdout, "%s of plan %.12s done\n", fault.Count(len(tasks), "task"), p.ID)
			return err
		},
	}
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

func allTasks(p *plan.Plan) []int {
	out := make([]int, len(p.Tasks))
	for i := range out {
		out[i] = i
	}
	return out
}

// doTasks does tasks, each with all workers: one is counted while the one before is written. The one process of a job shows its progress in the counters.
func doTasks(c *cli.Context, e *environment, p *plan.Plan, work string, tasks []int, shown *counters) error {
	opt := task.Options{Workers: c.Int("workers"), Mode: fs.FileMode(e.Site.FileMode),
		Read: task.Reading{Way: c.String("read"), Depth: c.Int("io-depth"), Block: c.Int("block") << 20, DropBehind: c.Bool("drop-behind")},
		Note: func(text string) { e.Log.Warn(text) }}
	e.Log.Infof("kernel %s, %s", kernel.Name(), fault.Count(opt.Workers, "worker"))
	var bytes int64
	for _, n := range tasks {
		bytes += p.Tasks[n].Bytes
	}
	progress := e.Progress(bytes, command.Bytes)
	defer progress.End()
	opt.Progress = progress.Add
	if shown != nil {
		var done atomic.Int64
		opt.Progress = func(bytes int64) {
			done.Add(bytes)
			progress.Add(bytes)
		}
		defer shown.watch(c.Context, "counting", &done, bytes)()
	}
	r := task.NewRunner(work, p, opt)
	defer r.Close() // files that were only read
	for len(tasks) > 0 {
		// Tasks of a stage may need the partials of those before.
		n := 1
		for n < len(tasks) && p.Tasks[tasks[n]].Stage == p.Tasks[tasks[0]].Stage {
			n++
		}
		g, ctx := fault.WithContext(c.Context)
		g.SetLimit(2) // one is counted, one written
		for _, n := range tasks[:n] {
			g.Go(func() error { return doTask(ctx, e, r, n) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		tasks = tasks[n:]
	}
	return nil
}

// doTask does one task and logs what it did.
func doTask(ctx context.Context, e *environment, r *task.Runner, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	res, err := r.Run(ctx, n)
	if err != nil {
		return err
	}
	log := e.Log.WithField("task", n)
	if res.Reused {
		log.Infof("partial is already there: %s", res.Path)
		return nil
	}
	log.Infof("%s: %.3f GB in %.2f s, %.2f GB/s (%s)", res.Path, float64(res.Bytes)/1e9, res.Elapsed.Seconds(),
		float64(res.Bytes)/1e9/max(res.Elapsed.Seconds(), 1e-9), res.Way)
	return nil
}
