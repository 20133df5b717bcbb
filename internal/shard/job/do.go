package job

import (
	"context"
	"errors"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/task"
)

// Doing says how tasks are done; it changes no result.
type Doing struct {
	task.Options
	// Begin, if any, is called before tasks that read so many bytes. It returns what is told of the bytes as they are
	// counted, and what ends that.
	Begin func(bytes int64) (progress func(bytes int64), end func())
	Log   logrus.FieldLogger
}

// All returns the numbers of all tasks of a plan.
func All(p *plan.Plan) []int {
	out := make([]int, len(p.Tasks))
	for i := range out {
		out[i] = i
	}
	return out
}

// inFlight is how many tasks are under way: one is counted, the others wait for the disk.
const inFlight = 4

// Do does tasks, each with all workers: one is counted while those before are written.
func (j *Job) Do(ctx context.Context, tasks []int, how Doing) error {
	p := j.Plan
	var bytes int64
	for _, n := range tasks {
		bytes += p.Tasks[n].Bytes
	}
	if how.Begin != nil {
		progress, end := how.Begin(bytes)
		defer end()
		how.Progress = progress
	}
	r := task.NewRunner(j.Work, p, how.Options)
	defer r.Close() // files that were only read
	for len(tasks) > 0 {
		// Tasks of a stage may need the partials of those before.
		n := 1
		for n < len(tasks) && p.Tasks[tasks[n]].Stage == p.Tasks[tasks[0]].Stage {
			n++
		}
		g, ctx := fault.WithContext(ctx)
		g.SetLimit(inFlight)
		for _, n := range tasks[:n] {
			g.Go(func() error { return doTask(ctx, r, n, how.Log) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		tasks = tasks[n:]
	}
	return nil
}

// doTask does one task and logs what it did.
func doTask(ctx context.Context, r *task.Runner, n int, logger logrus.FieldLogger) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	res, err := r.Run(ctx, n)
	if err != nil {
		return err
	}
	log := logger.WithField("task", n)
	if res.Reused {
		log.Infof("partial is already there: %s", res.Path)
		return nil
	}
	log.Infof("%s: %.3f GB in %.2f s, %.2f GB/s (%s)", res.Path, float64(res.Bytes)/1e9, res.Elapsed.Seconds(),
		float64(res.Bytes)/1e9/max(res.Elapsed.Seconds(), 1e-9), res.Way)
	return nil
}

// DoAll does all tasks. A job whose predictions are wrong is made again, and done: j is the new one then.
func (j *Job) DoAll(ctx context.Context, how Doing) error {
	err := j.Do(ctx, All(j.Plan), how)
	if !errors.Is(err, frame.ErrHeading) {
		return err
	}
	how.Log.Warnf("the plan is made again, and all headers are read: %v", err)
	again, err := j.Remake(ctx, how.Log)
	if err != nil {
		return err
	}
	if err := again.Save(ctx, how.Mode); err != nil {
		return err
	}
	*j = *again
	return j.Do(ctx, All(j.Plan), how)
}

// Reduce judges the pixels by the rules of the plan and writes the results.
func (j *Job) Reduce(ctx context.Context, opt reduce.Options) (*reduce.Summary, error) {
	return reduce.Run(ctx, j.Work, j.Plan, opt)
}

// Judge judges the pixels by other rules, from what was counted, and writes the results.
func (j *Job) Judge(ctx context.Context, rules plan.Rules, opt reduce.Options) (*reduce.Summary, error) {
	q, err := j.Plan.WithRules(rules)
	if err != nil {
		return nil, err
	}
	return reduce.Again(ctx, j.Work, j.Plan, q, opt)
}
