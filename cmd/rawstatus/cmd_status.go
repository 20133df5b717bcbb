package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
)

func newStatusCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show the state of submitted tasks: partials first, Slurm second",
		ArgsUsage: "WORKDIR|CAMPAIGNDIR",
		Description: "A task is done when its partial verifies, whatever Slurm says. MAX RSS is sampled by Slurm and counts mapped file\n" +
			"pages. The exit code is 0 when all is done or at work, 11 when something has to be done.",
		Flags: []cli.Flag{
			workFlag(),
			&cli.BoolFlag{Name: "watch", Usage: "show it again every --every until the jobs end"},
			everyFlag(),
			&cli.BoolFlag{Name: "all", Usage: "list every task, not only those that are not done"},
			command.AtLeast(&cli.IntFlag{Name: "tail", Usage: "show the last `N` lines of the logs of failures", Value: 5}, 0),
		},
		Action: func(c *cli.Context) error {
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			q, err := openQueue(c.Context, work)
			if err != nil {
				return err
			}
			return showStatus(c, e, q)
		},
	}
}

// showStatus shows the state of a work directory or campaign, and returns its outcome when it will not change by itself.
func showStatus(c *cli.Context, e *environment, q *slurm.Queue) error {
	look := func(ctx context.Context) (*slurm.View, error) { return lookAt(ctx, q, true) }
	var failed error
	show := func(v *slurm.View) {
		if q.Name == "" {
			showReport(c, e, v.Items[0])
		} else {
			failed = errors.Join(failed, showCampaign(e, q, v))
		}
	}
	over := func(*slurm.View) bool { return true }
	if c.Bool("watch") {
		over = slurm.Quiet()
	}
	v, err := q.Follow(c.Context, c.Duration("every"), look, show, over)
	if err = errors.Join(err, failed); err != nil || v.Goes() {
		return err
	}
	return q.Outcome(v)
}

// lookAt asks Slurm and, with files, is content with what files tell when Slurm does not answer.
func lookAt(ctx context.Context, q *slurm.Queue, files bool) (*slurm.View, error) {
	if files {
		q.Client.Patience = slurm.ShortPatience
	}
	v, err := q.Look(ctx)
	if files && fault.CodeOf(err) == fault.Slurm {
		return q.LookFiles(ctx, err)
	}
	return v, err
}

func everyFlag() cli.Flag {
	return command.AtLeast(&cli.DurationFlag{Name: "every", Usage: "`TIME` between two looks at Slurm", Value: 10 * time.Second}, 0.1)
}

// openQueue opens the queue of a work directory or campaign.
func openQueue(ctx context.Context, work string) (*slurm.Queue, error) {
	q := &slurm.Queue{Dir: work}
	return q, q.Open(slurm.NewClient(ctx))
}

// workArgument returns the work directory, which --work or the argument names.
func workArgument(c *cli.Context) (string, error) {
	work, words := c.String("work"), c.Args().Slice()
	switch {
	case work == "" && len(words) == 1:
		return words[0], nil
	case len(words) > 1:
		return "", fault.New(fault.Usage, "%s takes one work directory, not %d", c.Command.Name, len(words))
	case len(words) == 1 && words[0] != work:
		return "", fault.New(fault.Usage, "the work directory is %q or %q?", work, words[0]).WithHint("give --work or the argument, not both")
	case work == "":
		return "", fault.New(fault.Usage, "%s needs a work directory", c.Command.Name).WithHint("name it with --work")
	}
	return work, nil
}

// showReport prints a report; that standard output cannot be written is told by the exit of what reads it.
func showReport(c *cli.Context, e *environment, r *slurm.Report) {
	if e.JSON {
		_ = e.PrintJSON(r)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "plan %.12s, attempt %d, %s: %s\n", r.PlanID, r.Attempts, fault.Count(len(r.Tasks), "task"), counts(r))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tSTATE\tATTEMPT\tJOB\tNODE\tELAPSED\tMAX RSS\tEXIT\tRESTARTS\tREASON")
	var failures []slurm.JobState
	line := func(what string, s slurm.JobState) {
		rss, exit := "", ""
		if s.MaxRSS > 0 {
			rss = fmt.Sprintf("%d MB", s.MaxRSS>>20)
		}
		if s.State == slurm.StateFailed {
			exit = fmt.Sprintf("%d:%d", s.Exit, s.Signal)
			failures = append(failures, s)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", what, s.State, s.Attempt, s.Job, s.Node, s.Elapsed, rss, exit, s.Restart, s.Reason)
	}
	for _, t := range r.Tasks {
		if t.State != slurm.StateDone || c.Bool("all") {
			line(fmt.Sprintf("task %d", t.Task), t.JobState)
		}
	}
	line("reduce", r.Reduce)
	if r.Deploy != nil {
		line("mergedeploy", *r.Deploy)
	}
	if r.Repair != nil && (r.Repair.State == slurm.StateRunning || r.Repair.State == slurm.StateFailed && r.Repair.Slurm != slurm.Cancelled) {
		line("repair", *r.Repair)
	}
	w.Flush()
	if r.NoSlurm != "" {
		fmt.Fprintf(&b, "this is what files tell; %s\n", r.NoSlurm)
	}
	if r.Waiting != "" {
		fmt.Fprintf(&b, "waiting for a person: %s\n", r.Waiting)
	}
	if n := c.Int("tail"); n > 0 && !r.Active {
		for i, s := range failures {
			if i == shownLogs {
				break
			}
			if text, err := slurm.Tail(s.Log, n); err == nil && text != "" {
				fmt.Fprintf(&b, "\n%s:\n  %s\n", s.Log, strings.ReplaceAll(text, "\n", "\n  "))
			}
		}
	}
	_, _ = io.WriteString(e.Stdout, b.String())
}

// shownLogs bounds how many logs of failures are shown.
const shownLogs = 3

// counts says how many tasks are in which state.
func counts(r *slurm.Report) string {
	var parts []string
	for _, s := range []string{slurm.StateDone, slurm.StateRunning, slurm.StatePending, slurm.StateHeld, slurm.StateFailed, slurm.StateMissing} {
		if n := r.Counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}
