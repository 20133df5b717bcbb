package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/shard/slurm"
)

func newReduceCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "reduce",
		Usage:     "merge the partials of a plan, judge the pixels, write the constants repository",
		ArgsUsage: "[WORKDIR]",
		Description: "With --set the pixels are judged again by other rules from what was counted, without raw data, and the status\n" +
			"files are written anew; `rawstatus reeval` only shows what would change. Without --set the plan's rules hold again. Rules: " + strings.Join(plan.RuleNames(), ", "),
		Flags: concat([]cli.Flag{planFlag()}, pieceFlags(), command.In(command.Rules, []cli.Flag{setFlag()}), reduceFlags()),
		Action: func(c *cli.Context) error {
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			return slurm.RequeueAfter(c.Context, e.Log.Warnf, runReduce(c.Context, e, reduceOptions{pieceOf(c, work), resultsOf(c, e), c.StringSlice("set")}))
		},
	}
}

// reduceOptions are the options of reduce.
type reduceOptions struct {
	piece   slurm.Piece
	results job.Results
	set     []string // other rules than the plan's, KEY=VALUE
}

func runReduce(ctx context.Context, e *environment, opt reduceOptions) error {
	p, err := opt.piece.Admit()
	if err != nil {
		return err
	}
	l, err := openLog(e, p, opt.results.Repository, time.Now())
	if err != nil {
		return err
	}
	defer l.close()
	return reduceJob(ctx, e, &job.Job{Work: opt.piece.Work, Plan: p}, opt.results, opt.set, l)
}

func planFlag() cli.Flag {
	return &cli.StringFlag{Name: "work", Usage: "work `DIR` of the plan; the argument names it as well"}
}

func setFlag() cli.Flag {
	return command.CheckEach(&cli.StringSliceFlag{Name: "set", Usage: "another rule than the plan's, `KEY=VALUE`, e.g. rms_hi=50; may be repeated"}, checkSet)
}

// withSet returns the plan with the rules that --set changes; p itself without --set.
func withSet(p *plan.Plan, set []string) (*plan.Plan, error) {
	if len(set) == 0 {
		return p, nil
	}
	rules := p.Params.Rules
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fault.New(fault.Usage, "--set %q: wanted KEY=VALUE", s)
		}
		if err := rules.Set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	}
	return p.WithRules(rules)
}

// reduceFlags say where results go.
func reduceFlags() []cli.Flag {
	return append(productFlags(), []cli.Flag{
		command.Repository(),
		&cli.BoolFlag{Name: "replace", Usage: "replace status files of another profile, or of more of the run than this result; submit: and the jobs of an earlier submission in the work directory"},
		&cli.BoolFlag{Name: "report", Usage: "write <work>/report.html as well: the bad pixels to look at"},
	}...)
}

// resultsOf turns the flags of reduce into what they ask for.
func resultsOf(c *cli.Context, e *environment) job.Results {
	return job.Results{Repository: e.Site.Repository, Replace: c.Bool("replace"), Report: c.Bool("report"), Products: c.String("products"),
		Short: c.String("shortname"), Tree: c.String("dark-tree")}
}

// repository returns the constants repository in force.
func repository(e *environment) (*repo.Repo, error) { return repositoryAt(e, e.Site.Repository) }

func repositoryAt(e *environment, dir string) (*repo.Repo, error) {
	if dir == "" {
		return nil, fault.New(fault.Usage, "no constants repository").WithHint("name it with -o, RAWSTATUS_REPOSITORY or the site file")
	}
	return repo.New(dir, sitePolicy(e), e.Site.Location()), nil
}

// jobLog is the repository with the log file of a job in it.
type jobLog struct {
	repo  *repo.Repo
	file  *os.File
	close func()
}

// openLog makes the job's log file in the repository, which takes the log from now on. A repository that
// cannot be written is found here, before the work.
func openLog(e *environment, p *plan.Plan, repository string, start time.Time) (*jobLog, error) {
	r, err := repositoryAt(e, repository)
	if err != nil {
		return nil, err
	}
	file, err := r.CreateLog(p.Dataset.Type, "rawstatus", start)
	if err != nil {
		return nil, fmt.Errorf("repository %q cannot be written: %w", r.Root, err)
	}
	remove := e.AddLogFile(file)
	return &jobLog{repo: r, file: file, close: func() {
		remove()
		file.Close()
	}}, nil
}

// reduceJob reduces and prints the summary, also into the job's log file.
func reduceJob(ctx context.Context, e *environment, j *job.Job, results job.Results, set []string, l *jobLog) error {
	p := j.Plan
	q, err := withSet(p, set)
	if err != nil {
		return err
	}
	logParameters(e, q, j.Work)
	opt := reduce.Options{Repo: l.repo, Replace: results.Replace, Mode: fs.FileMode(e.Site.FileMode)}
	if opt.Products, err = productOptions(ctx, e, results, q); err != nil {
		return err
	}
	progress := e.Progress(int64(len(p.Units)), "panels")
	opt.Progress = progress.Add
	var sum *reduce.Summary
	if len(set) > 0 {
		sum, err = j.Judge(ctx, q.Params.Rules, opt)
	} else {
		sum, err = j.Reduce(ctx, opt)
	}
	progress.End()
	if err != nil {
		fmt.Fprintf(l.file, "reduce failed: %v\n", err) // the screen gets it at the end
		return err
	}
	var text bytes.Buffer
	if err := sum.WriteText(&text, e.Site.Location()); err != nil {
		return err
	}
	if _, err := l.file.Write(text.Bytes()); err != nil {
		return fmt.Errorf("could not write the log file: %w", err)
	}
	if e.JSON { // the text has them
		for _, w := range sum.Warnings {
			e.Log.Warn(w)
		}
		for _, l := range sum.Incomplete {
			e.Log.Warn("incomplete: " + l)
		}
	}
	e.Log.Infof("summary %s, log %s", plan.SummaryFile(j.Work), l.file.Name())
	if results.Report {
		if err := defaultReport(ctx, e, j.Work, p); err != nil {
			return err
		}
	}
	keepOutcome(ctx, e, j.Work, sum)
	if e.JSON {
		return e.PrintJSON(sum)
	}
	_, err = e.Stdout.Write(text.Bytes())
	return err
}

// logParameters writes what was asked for: one line per group of facts.
func logParameters(e *environment, p *plan.Plan, work string) {
	d := p.Dataset
	e.Log.Infof("rawstatus %s, plan %.12s in %s", p.Software, p.ID, work)
	e.Log.Infof("%s run %d, begin %s, detector %s (%s), %s, %s, %s", d.Run.Experiment, d.Run.Number,
		d.Run.Begin.In(e.Site.Location()).Format(time.RFC3339Nano), d.Detector, d.Type, fault.Count(len(d.Panels), "panel"), fault.Count(d.Events, "event"), fault.Count(len(d.Files), "file"))
	if par, err := json.Marshal(p.Params); err == nil {
		e.Log.Infof("parameters: %s", par)
	}
	for _, n := range d.Notes {
		e.Log.Info("note: " + n)
	}
}
