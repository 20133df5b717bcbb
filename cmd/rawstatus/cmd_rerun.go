package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/campaign"
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
			&cli.BoolFlag{Name: "dry-run", Usage: "print the sbatch lines, submit nothing"},
			&cli.BoolFlag{Name: "wait", Usage: "show progress until all is done"},
			everyFlag(),
		}, []cli.Flag{workFlag()}),
		Action: func(c *cli.Context) error { return runRerun(c, e) },
	}
}

func runRerun(c *cli.Context, e *environment) error {
	work, err := workArgument(c)
	if err != nil {
		return err
	}
	if campaign.Is(work) {
		return fault.New(fault.Usage, "%s is a campaign", work).WithHint("rawstatus campaign --retry --work %s", slurm.Quote(work))
	}
	chain, err := openChain(c.Context, work)
	if err != nil {
		return err
	}
	doubt, err := plan.LoadDoubt(chain.Work)
	if err != nil {
		return err
	}
	if doubt != nil && doubt.Plan == chain.Plan.ID {
		return resubmit(c, e, chain, doubt)
	}
	lim, err := chain.Client.Limits(c.Context)
	if err != nil {
		return err
	}
	if err := chain.Recover(c.Context); err != nil {
		return err
	}
	draft := again
	if c.Bool("repair") {
		draft = func(c *cli.Context, chain *slurm.Chain, lim slurm.Limits) (*slurm.Report, *slurm.Attempt, error) {
			return chain.Repair(c.Context, lim)
		}
	}
	r, a, err := draft(c, chain, lim)
	if err != nil {
		return err
	}
	if a == nil {
		e.Log.Info("nothing is missing")
		return nil
	}
	for _, reason := range a.Reasons {
		e.Log.WithField("task", reason.Task).Infof("again: %s", reason.Text)
	}
	if c.Bool("dry-run") {
		return showDraft(e, chain, a)
	}
	err = chain.Replace(c.Context, r, a)
	if c.Bool("repair") && fault.CodeOf(err) == fault.Busy {
		e.Log.Infof("somebody else was faster: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	without := ""
	if len(a.Task.Exclude) > 0 {
		without = ", without " + strings.Join(a.Task.Exclude, ", ")
	}
	e.Log.Infof("attempt %d: %d MB, %s%s", a.Number, a.Task.MemMB, a.Task.Time, without)
	if err := showSubmitted(e, chain, a); err != nil || !c.Bool("wait") {
		return err
	}
	return follow(c, e, chain)
}

// resubmit gives the command of the submission once more, for a plan that cannot be done: the plan made now
// reads all headers. What is left of the jobs is cancelled first.
func resubmit(c *cli.Context, e *environment, chain *slurm.Chain, doubt *plan.Doubt) error {
	words := chain.Request.Command
	if len(words) == 0 {
		return notInDoubt(chain.Work, chain.Plan)
	}
	var line strings.Builder
	for _, w := range words {
		line.WriteString(" " + slurm.Quote(w))
	}
	e.Log.Warnf("the plan cannot be done and is made again: %s", doubt.Error)
	if c.Bool("dry-run") {
		_, err := fmt.Fprintf(e.Stdout, "cd %s && rawstatus%s\n", slurm.Quote(chain.Request.Folder), line.String())
		return err
	}
	ids, err := chain.Cancel(c.Context)
	if err != nil {
		return err
	}
	e.Log.Infof("cancelled jobs %v, submitting:%s", ids, line.String())
	if err := os.Chdir(chain.Request.Folder); err != nil {
		return fault.New(fault.Input, "could not submit from where it was submitted before: %w", err).
			WithHint("submit again: rawstatus%s", line.String())
	}
	if code := fault.Code(run(c.Context, e.Stdout, e.Stderr, append([]string{"rawstatus"}, words...))); code != fault.OK {
		return fault.New(code, "could not submit again").WithHint("submit by hand: rawstatus%s", line.String())
	}
	if !c.Bool("wait") {
		return nil
	}
	if chain, err = openChain(c.Context, chain.Work); err != nil {
		return err
	}
	return follow(c, e, chain)
}

// again drafts what a person asks for. A nil attempt means that there is nothing to do.
func again(c *cli.Context, chain *slurm.Chain, lim slurm.Limits) (*slurm.Report, *slurm.Attempt, error) {
	r, err := chain.Report(c.Context)
	if err != nil {
		return nil, nil, err
	}
	var tasks []int
	switch {
	case c.IsSet("tasks"):
		if tasks, err = parseNumbers(c.String("tasks"), 0); err != nil {
			return nil, nil, fault.New(fault.Usage, "--tasks %q: %w", c.String("tasks"), err).WithHint("wanted a list like 3,17")
		}
		tasks = ascending(tasks)
		if last := tasks[len(tasks)-1]; last >= len(r.Tasks) {
			return nil, nil, fault.New(fault.Usage, "there is no task %d, the plan has 0-%d", last, len(r.Tasks)-1)
		}
	case c.Bool("missing"):
		tasks = r.Select(slurm.WhichMissing)
	default:
		tasks = r.Select(slurm.WhichFailed)
	}
	if len(tasks) == 0 && (r.Done || r.Active) {
		return r, nil, nil
	}
	a := chain.Again(r, tasks, lim)
	var errMem, errTime error
	if s := c.String("mem"); s != "" {
		a.Task.MemMB, errMem = slurm.ParseMemory(s)
	}
	if s := c.String("time"); s != "" {
		a.Task.Time, errTime = slurm.ParseTime(s)
	}
	return r, a, errors.Join(errMem, errTime)
}
