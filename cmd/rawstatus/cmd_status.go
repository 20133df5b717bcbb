package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/campaign"
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
			work, err := workArgument(c, e)
			if err != nil {
				return err
			}
			if campaign.Is(work) {
				return campaignStatus(c, e, work)
			}
			chain, err := openChain(work)
			if err != nil {
				return err
			}
			if c.Bool("watch") {
				r, err := chain.Follow(c.Context, c.Duration("every"), func(r *slurm.Report) { showReport(c, e, r) })
				if err != nil {
					return err
				}
				return r.Outcome()
			}
			r, err := chain.Report(c.Context)
			if err != nil {
				return err
			}
			showReport(c, e, r)
			if r.Active {
				return nil
			}
			return r.Outcome()
		},
	}
}

func everyFlag() cli.Flag {
	return command.AtLeast(&cli.DurationFlag{Name: "every", Usage: "`TIME` between two looks at Slurm", Value: 10 * time.Second}, 0.1)
}

// openChain opens the chain of a work directory.
func openChain(work string) (*slurm.Chain, error) {
	client, err := slurm.NewClient()
	if err != nil {
		return nil, err
	}
	return slurm.OpenChain(client, work)
}

// workArgument gives the work directory named by --work or as the first word. The parser takes every word after that for
// an argument; here the switches among them are honoured, too.
func workArgument(c *cli.Context, e *environment) (string, error) {
	work, rest := c.String("work"), c.Args().Slice()
	if work == "" && len(rest) > 0 {
		work, rest = rest[0], rest[1:]
	}
	if work == "" {
		return "", fault.New(fault.Usage, "%s needs a work directory", c.Command.HelpName).WithHint("name it with --work")
	}
	for _, word := range rest {
		name, ok := strings.CutPrefix(word, "--")
		if !ok || c.Set(name, "true") != nil {
			return "", fault.New(fault.Usage, "%s does not know what to do with %q", c.Command.HelpName, word).
				WithHint("put flags with values before the work directory; %s --help lists them", c.Command.HelpName)
		}
		if name == "json" {
			e.JSON = true
		}
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
	fmt.Fprintf(&b, "plan %.12s, attempt %d, %d tasks: %s\n", r.Plan, r.Attempts, len(r.Tasks), counts(r))
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

// counts tells how many tasks are in which state.
func counts(r *slurm.Report) string {
	var parts []string
	for _, s := range []string{slurm.StateDone, slurm.StateRunning, slurm.StatePending, slurm.StateFailed, slurm.StateMissing} {
		if n := r.Counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}
