package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

// defaultPruneDays is how old a finished work directory is before it is in the way.
const defaultPruneDays = 30

func newPruneCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "prune",
		Usage:     "remove the work directories of jobs that are done and deployed, by age; shows them first",
		ArgsUsage: "[DIR]",
		Description: "Looks at the work directories and campaigns in DIR, default work_root, and shows which are done, deployed if that was asked\n" +
			"for, and older than --days; with --remove they go. What is not done, at work or waiting for a person stays, and so does every file in\n" +
			"them that rawstatus has not made. Results in the repository are not touched; other limits then need the raw data again.",
		Flags: command.In(command.Output, []cli.Flag{
			command.AtLeast(&cli.Float64Flag{Name: "days", Usage: "only those that were done more than `N` days ago", Value: defaultPruneDays}, 0),
			&cli.BoolFlag{Name: "remove", Usage: "remove them; without this they are only shown"},
		}),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return fault.New(fault.Usage, "prune takes one directory, not %d", c.NArg())
			}
			return runPrune(c.Context, e, cmp.Or(c.Args().First(), e.Site.WorkRoot, defaultWorkRoot), c.Float64("days"), c.Bool("remove"))
		},
	}
}

// pruned is a work directory or campaign with what becomes of it.
type pruned struct {
	Dir     string    `json:"dir"`
	Done    time.Time `json:"done"`
	Bytes   int64     `json:"bytes"`
	Keep    string    `json:"keep,omitempty"` // why it stays
	Removed bool      `json:"removed,omitempty"`
}

func runPrune(ctx context.Context, e *environment, root string, days float64, remove bool) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return fault.New(fault.Input, "could not look for work directories: %w", err).WithHint("name the directory that they are in")
	}
	list := []pruned{}
	var failed error
	for _, entry := range entries {
		dir := filepath.Join(root, entry.Name())
		if !entry.IsDir() { // links, too
			continue
		}
		p, ours := prunable(ctx, dir)
		if !ours {
			continue
		}
		if age := time.Since(p.Done); p.Keep == "" && age < time.Duration(days*24*float64(time.Hour)) {
			p.Keep = fmt.Sprintf("done %.1f days ago", age.Hours()/24)
		}
		if p.Keep == "" && remove {
			if p.Keep, err = removeWork(ctx, dir); err != nil {
				failed = errors.Join(failed, err)
				p.Keep = err.Error()
			}
			p.Removed = p.Keep == ""
		}
		list = append(list, p)
	}
	return errors.Join(showPruned(e, root, list, remove), failed)
}

func showPruned(e *environment, root string, list []pruned, remove bool) error {
	if e.JSON {
		return e.PrintJSON(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintf(e.Stdout, "%s holds no work directory of rawstatus\n", root)
		return err
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORK DIRECTORY\tMB\tWHAT")
	for _, p := range list {
		what := "would be removed"
		switch {
		case p.Removed:
			what = "removed"
		case p.Keep != "":
			what = "stays: " + p.Keep
		}
		fmt.Fprintf(w, "%s\t%d\t%s\n", p.Dir, p.Bytes>>20, what)
	}
	w.Flush()
	if !remove {
		b.WriteString("nothing was removed: --remove does it\n")
	}
	_, err := io.WriteString(e.Stdout, b.String())
	return err
}

// prunable looks at a directory; ours is false when it is neither work directory nor campaign.
func prunable(ctx context.Context, dir string) (p pruned, ours bool) {
	p = pruned{Dir: dir}
	if slurm.IsCampaign(dir) {
		p.Bytes = sizeOf(dir)
		p.Keep = queueDone(ctx, dir, &p)
		return p, true
	}
	pl, err := plan.Load(dir)
	if fault.CodeOf(err) == fault.Usage {
		return p, false
	}
	if err != nil {
		p.Keep = err.Error()
		return p, true
	}
	p.Bytes = sizeOf(dir)
	info, err := os.Stat(plan.SummaryFile(dir))
	if err != nil {
		p.Keep = "not reduced"
		return p, true
	}
	p.Done = info.ModTime()
	attempts, err := slurm.LoadAttempts(dir)
	switch {
	case err != nil:
		p.Keep = fault.Message(err)
	case len(attempts) > 0:
		p.Keep = queueDone(ctx, dir, &p)
	default: // not submitted
		if _, err := slurm.Reduced(dir, pl, ""); err != nil {
			p.Keep = err.Error()
		}
	}
	return p, true
}

// queueDone says why the directory of submitted jobs has to stay; empty: it has not.
func queueDone(ctx context.Context, dir string, p *pruned) string {
	q, err := openQueue(ctx, dir)
	if err != nil {
		return fault.Message(err)
	}
	q.Client.Patience = slurm.ShortPatience
	v, err := q.Look(ctx)
	if err != nil {
		return fault.Message(err)
	}
	if v.Active {
		return "jobs are at work"
	}
	if err := q.Outcome(v); err != nil {
		return fault.Message(err)
	}
	for _, r := range v.Items {
		if r.Waiting != "" {
			return "waits for a person: " + r.Waiting
		}
		if at := r.DoneAt(); at.After(p.Done) {
			p.Done = at
		}
	}
	return ""
}

func sizeOf(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what cannot be read does not count
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}

// made are the entries that rawstatus makes in a work directory or campaign.
var made = []string{"plan.json", "job.json", "index.pack", "summary.json", "tasks", "merged", "post", "slurm", "outcome", "report.html", "all-headers.json", "notification.json",
	"campaign.json", "report.txt", "report.csv", "report.json", "trend.csv", "pixels.csv", "pedestals.csv"}

// removeWork removes what rawstatus has made in a work directory or campaign, and the directory when nothing else is in
// it. It returns why something stays.
func removeWork(ctx context.Context, dir string) (keep string, err error) {
	unlock, err := slurm.Lock(ctx, dir, 0)
	if err != nil {
		return "", err
	}
	defer unlock()
	if q, err := openQueue(ctx, dir); err == nil && q.Name != "" {
		for _, it := range q.Items {
			work := q.Work(it.Key())
			if _, err := os.Stat(work); err != nil {
				continue
			}
			if keep, err = removeMade(work); err != nil || keep != "" {
				return keep, err
			}
		}
	}
	return removeMade(dir)
}

func removeMade(dir string) (keep string, err error) {
	for _, name := range made { // the plan goes first: what is left of an interrupted removal is no work directory
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	if err := os.Remove(dir); err != nil {
		return "it has files of others", nil
	}
	return "", nil
}
