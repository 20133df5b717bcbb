package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

func newRerunCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "rerun",
		Usage:     "submit again what failed or is missing, and just that, with a new reduce",
		ArgsUsage: "WORKDIR",
		Description: "Tasks that ran out of memory or time get twice as much, nodes that failed are left out; --mem and --time override.\n" +
			"When all partials are there only reduce is submitted.",
		Flags: command.In(command.Slurm, []cli.Flag{
			&cli.BoolFlag{Name: "failed", Usage: "tasks without a partial that are not with Slurm any more (default)"},
			&cli.BoolFlag{Name: "missing", Usage: "tasks without a partial, whatever Slurm says"},
			command.Check(&cli.StringFlag{Name: "tasks", Usage: "just these `TASKS`, e.g. 3,17"}, checkNumbers(0)),
			command.Check(&cli.StringFlag{Name: "mem", Usage: "`MEMORY` of a task, e.g. 8G"}, command.Parses(slurm.ParseMemory)),
			command.Check(&cli.StringFlag{Name: "time", Usage: "`TIME` limit of a task, as sbatch takes it"}, command.Parses(slurm.ParseTime)),
			&cli.BoolFlag{Name: "repair", Usage: "as the repair job does it: only what may succeed now, at most --max-attempts of submit times"},
			&cli.IntFlag{Name: "attempt", Usage: "with --repair: of attempt `N`", Hidden: true},
			&cli.BoolFlag{Name: "clear-exclude", Usage: "use again the nodes that were left out after failures"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the sbatch lines, submit nothing"},
			&cli.BoolFlag{Name: "wait", Usage: "show progress until all is done"},
			everyFlag(),
		}, []cli.Flag{workFlag()}, pieceFlags()),
		Action: func(c *cli.Context) error { return runRerun(c, e) },
	}
}

func runRerun(c *cli.Context, e *environment) error {
	work, err := workArgument(c)
	if err != nil {
		return err
	}
	if slurm.IsCampaign(work) {
		if c.Bool("repair") {
			return slurm.RequeueAfter(c.Context, e.Log.Warnf, repairCampaign(c, e, work))
		}
		return fault.New(fault.Usage, "%s is a campaign", work).WithHint("rawstatus campaign --retry --work %s", slurm.Quote(work))
	}
	q, err := submitAgain(c, e, work)
	if c.Bool("repair") {
		return slurm.RequeueAfter(c.Context, e.Log.Warnf, err)
	}
	if err != nil || q == nil || !c.Bool("wait") {
		return err
	}
	every := defaultEvery
	if c.IsSet("every") {
		every = c.Duration("every")
	}
	return follow(c.Context, e, q, every)
}

// submitAgain submits what is missing of one run and returns its queue; nil when nothing was submitted.
func submitAgain(c *cli.Context, e *environment, work string) (*slurm.Queue, error) {
	q := &slurm.Queue{Dir: work}
	if !c.Bool("dry-run") {
		wait := slurm.PersonWaits
		if c.Bool("repair") {
			wait = slurm.JobWaits
		}
		unlock, err := q.Lock(c.Context, wait)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	if _, err := pieceOf(c, work).Admit(); err != nil {
		return nil, err
	}
	if err := q.Open(slurmClient(c.Context, e)); err != nil {
		return nil, err
	}
	wrong, err := job.Wrong(q.Dir, q.Plan)
	if err != nil {
		return nil, err
	}
	if wrong != nil {
		return remade(c, e, q, wrong)
	}
	lim, err := limits(c.Context, e, q.Client, c.Bool("dry-run"))
	if err != nil {
		return nil, err
	}
	if !c.Bool("dry-run") {
		if err := q.Recover(c.Context); err != nil {
			return nil, err
		}
	}
	v, err := lookAt(c.Context, q, c.Bool("dry-run"))
	if err != nil {
		return nil, err
	}
	var a *slurm.Attempt
	if c.Bool("repair") {
		a, err = q.Repair(v, lim, c.Int("attempt"))
	} else {
		a, err = again(c, q, v, lim)
	}
	if err != nil {
		return nil, err
	}
	if a == nil {
		e.Log.Info("nothing is missing")
		return q, nil
	}
	explainAgain(e, v.Items[0], a)
	if c.Bool("dry-run") {
		return nil, showDraft(e, q, a)
	}
	if err := q.Replace(c.Context, v, a); err != nil {
		return nil, err
	}
	return q, showSubmitted(e, q, a)
}

// explainAgain says which pieces are submitted again, and why.
func explainAgain(e *environment, r *slurm.Report, a *slurm.Attempt) {
	for _, reason := range a.Reasons {
		e.Log.WithField("task", reason.Task).Infof("again: %s", reason.Text)
	}
	reduces := slices.ContainsFunc(a.Jobs, func(h *slurm.Handed) bool { return h.Part == slurm.ReducePart })
	if reduces {
		why := r.Reduce.Reason
		switch {
		case len(a.Reasons) > 0:
			why = "it follows the tasks"
		case why == "":
			why = "it is " + r.Reduce.State
		}
		e.Log.Infof("reduce again: %s", why)
	}
	if r.Deploy != nil {
		why := r.Deploy.Reason
		if reduces {
			why = "it follows reduce"
		}
		e.Log.Infof("mergedeploy again: %s", why)
	}
	without := ""
	if len(a.Task.Exclude) > 0 {
		without = ", without " + strings.Join(a.Task.Exclude, ", ")
	}
	e.Log.Infof("attempt %d: %d MB, %s%s", a.Number, a.Task.MemMB, a.Task.Time, without)
}

// remade submits a job whose predictions are wrong, made again. What is left of its jobs is cancelled first.
func remade(c *cli.Context, e *environment, q *slurm.Queue, wrong *plan.WrongPrediction) (*slurm.Queue, error) {
	s := submission{Queue: q}
	if err := s.remake(c.Context, e, wrong); err != nil {
		return nil, err
	}
	lim, err := limits(c.Context, e, s.Client, c.Bool("dry-run"))
	if err != nil {
		return nil, err
	}
	if c.Bool("dry-run") {
		return nil, showDraft(e, q, s.Draft(1, lim))
	}
	ids, err := q.Cancel(c.Context)
	if err != nil {
		return nil, err
	}
	e.Log.Infof("cancelled jobs %v", ids)
	return q, s.submit(c.Context, e, lim)
}

// again drafts what a person asks for. A nil attempt means that there is nothing to do.
func again(c *cli.Context, q *slurm.Queue, v *slurm.View, lim slurm.Limits) (*slurm.Attempt, error) {
	r := v.Items[0]
	var tasks []int
	var err error
	switch {
	case c.IsSet("tasks"):
		if tasks, err = parseNumbers(c.String("tasks"), 0); err != nil {
			return nil, fault.New(fault.Usage, "--tasks %q: %w", c.String("tasks"), err).WithHint("wanted a list like 3,17")
		}
		tasks = ascending(tasks)
		if last := tasks[len(tasks)-1]; last >= len(r.Tasks) {
			return nil, fault.New(fault.Usage, "there is no task %d, the plan has 0-%d", last, len(r.Tasks)-1)
		}
	default:
		tasks = r.Lacking(c.Bool("missing"))
	}
	switch {
	case len(tasks) > 0:
	case r.Done || r.Active:
		return nil, nil
	case r.Held():
		return nil, r.Outcome()
	}
	a := q.Again(v, 1, tasks, lim)
	if c.Bool("clear-exclude") {
		a.Task.Exclude, a.Reduce.Exclude = nil, nil
	}
	var errMem, errTime error
	if s := c.String("mem"); s != "" {
		a.Task.MemMB, errMem = slurm.ParseMemory(s)
	}
	if s := c.String("time"); s != "" {
		a.Task.Time, errTime = slurm.ParseTime(s)
	}
	return a, errors.Join(errMem, errTime)
}
