package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/elog"
	"rawstatus/internal/io/open"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

// submitSettle is the default of --settle for submit: people submit while the last files are still on their way.
const submitSettle = 60 * time.Second

// dryRun is the result of submit --dry-run.
type dryRun struct {
	Plan     string            `json:"plan"`
	Work     string            `json:"work"`
	Tasks    int               `json:"tasks"`
	Scripts  map[string]string `json:"scripts"`  // text by file name
	Commands []string          `json:"commands"` // sbatch command lines
}

// submitted is the result of submit.
type submitted struct {
	Work    string         `json:"work"`
	Attempt *slurm.Attempt `json:"attempt"`
}

func newSubmitCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "submit",
		Usage: "plan a run and let Slurm do it: tasks as a job array, reduce, merge and deployment",
		Description: "Slurm runs the tasks, then reduce, then (--merge, --deploy) mergedeploy. When a task fails for want of memory or time,\n" +
			"or with its node, a repair job submits it again, asking for more; nobody has to watch. `rawstatus status` shows the state. Example:\n" +
			"  rawstatus submit --exp mfx101332224 --run 7 -d jungfrau -o /constants --partition milano",
		Flags: concat(dataFlags(), jobFlags(), reduceFlags(), []cli.Flag{workFlag(), submitTasksFlag(), postFlag()}, slurmFlags(), deployFlags(), command.In(command.Slurm, []cli.Flag{
			command.AtLeast(&cli.IntFlag{Name: "throttle", Usage: "at most `N` tasks at a time, 0 = no limit"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "nodes", Usage: "`N` whole nodes at a time, a task on each: --exclusive --throttle N"}, 0),
			&cli.BoolFlag{Name: "wait", Usage: "show progress until all is done; the exit code tells how it went"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the scripts and the sbatch lines, submit nothing"},
		})),
		Action: func(c *cli.Context) error {
			opt, err := submitOptionsOf(c, e)
			if err != nil {
				return err
			}
			return runSubmit(c.Context, e, opt)
		},
	}
}

func submitTasksFlag() cli.Flag {
	return command.AtLeast(&cli.IntFlag{Name: "tasks", Usage: "cut the work into `N` tasks; more than panels x gain modes cuts by frames", DefaultText: "few: about 16 GiB of raw data each"}, 1)
}

// submission is a call of submit: a job, and a request of what Slurm shall do with it.
type submission struct {
	*slurm.Queue
	made *job.Job // not stored yet; nil: the plan is in the work directory
}

// submitOptions are the options of submit.
type submitOptions struct {
	work  string // whose plan is taken; empty: the order is planned
	order job.Order
	// request returns what Slurm shall do with a plan; data are nil where the plan was in the work directory.
	request               func(ctx context.Context, p *plan.Plan, data *open.Dataset) (slurm.Request, error)
	replace, wait, dryRun bool
}

func submitOptionsOf(c *cli.Context, e *environment) (opt submitOptions, err error) {
	opt.replace, opt.wait, opt.dryRun = c.Bool("replace"), c.Bool("wait"), c.Bool("dry-run")
	opt.request = func(ctx context.Context, p *plan.Plan, data *open.Dataset) (slurm.Request, error) {
		return request(ctx, c, e, p, data)
	}
	if work := c.String("work"); work != "" && !namesData(c) {
		opt.work = work
		return opt, nil
	}
	if opt.order, err = orderOf(c, e, subject{}); err != nil {
		return opt, err
	}
	opt.order.Cut.Workers, opt.order.Tasks = c.Int("cpus-per-task"), defaultTasks
	if !c.IsSet("settle") {
		opt.order.Settle = submitSettle
	}
	return opt, nil
}

func runSubmit(ctx context.Context, e *environment, opt submitOptions) error {
	client := slurmClient(ctx, e)
	if _, err := repository(e); err != nil {
		return err
	}
	lim, err := limits(ctx, e, client, opt.dryRun)
	if err != nil {
		return err
	}
	if err := checkRepository(e); err != nil {
		return err
	}
	s, err := newSubmission(ctx, e, client, opt)
	if err != nil {
		return err
	}
	if opt.dryRun {
		return showDraft(e, s.Queue, s.Draft(1, lim))
	}
	if err := s.enter(ctx, e, opt.replace, lim); err != nil || !opt.wait {
		return err
	}
	return follow(ctx, e, s.Queue, defaultEvery)
}

// enter submits the jobs, or joins those that are at work for the same request already.
func (s *submission) enter(ctx context.Context, e *environment, replace bool, lim slurm.Limits) error {
	unlock, err := s.Lock(ctx, slurm.PersonWaits)
	if err != nil {
		return err
	}
	defer unlock()
	joined, err := s.former(ctx, e, replace)
	if err != nil {
		return err
	}
	if joined != nil {
		return showSubmitted(e, s.Queue, joined)
	}
	return s.submit(ctx, e, lim)
}

// submit stores plan and request and submits the jobs. The caller holds the lock.
func (s *submission) submit(ctx context.Context, e *environment, lim slurm.Limits) error {
	attempts, err := slurm.LoadAttempts(s.Dir)
	if err != nil {
		return err
	}
	a := s.Draft(len(attempts)+1, lim)
	if err := s.Preflight(ctx, a, lim); err != nil {
		return err
	}
	// Slurm was asked before: a plan in the work directory has an attempt, which says what is missing.
	if s.made != nil {
		if err := s.made.Save(ctx, fs.FileMode(e.Site.FileMode)); err != nil {
			return err
		}
	}
	if err := s.ForgetDeployment(); err != nil {
		return err
	}
	if err := s.Submit(ctx, a); err != nil {
		return err
	}
	shown := newCounters(e, s.Request.Counters)
	shown.post(ctx, elog.Counter{Key: "rawstatus", Value: fmt.Sprintf("%s submitted", fault.Count(len(s.Plan.Tasks), "task"))})
	return showSubmitted(e, s.Queue, a)
}

// former decides what becomes of jobs that were submitted from the work directory before. It returns the attempt that
// this submission joins; nil when new jobs are to be submitted. Jobs that wait keep their plan and their request, or are
// cancelled.
func (s *submission) former(ctx context.Context, e *environment, replace bool) (*slurm.Attempt, error) {
	attempts, err := slurm.LoadAttempts(s.Dir)
	if err != nil || len(attempts) == 0 {
		return nil, err
	}
	s.Complete()
	last := attempts[len(attempts)-1]
	if last.Request == s.Request.ID() && !replace {
		return s.join(ctx, e, last)
	}
	live, err := s.Live(ctx)
	if err != nil || len(live) == 0 {
		return nil, err
	}
	if !replace {
		what := fmt.Sprintf("plan %.12s", last.Plan)
		if last.Plan == s.Plan.ID {
			what = "this plan with other options"
		}
		return nil, fault.New(fault.Busy, "jobs of %s are at work in %q (%s)", what, s.Dir, fault.Count(len(live), "job")).
			WithHint("see them with `rawstatus status %s`; give another --work, or --replace, which cancels them", slurm.Quote(s.Dir))
	}
	ids, err := s.Cancel(ctx)
	if err == nil {
		e.Log.Infof("cancelled jobs %v of plan %.12s", ids, last.Plan)
	}
	return nil, err
}

// join returns the latest attempt at the same request while its jobs are at work or it is done.
func (s *submission) join(ctx context.Context, e *environment, last *slurm.Attempt) (*slurm.Attempt, error) {
	if err := s.Recover(ctx); err != nil {
		return nil, err
	}
	v, err := s.Look(ctx)
	if err != nil {
		return nil, err
	}
	switch r := v.Items[0]; {
	case r.Done:
		e.Log.Info("this was submitted before, and all of it is done")
		return last, nil
	case r.Active || r.Counts[slurm.StateHeld] > 0:
		e.Log.Info("the jobs of this very submission are at work already")
		return last, nil
	case last.Error != "": // sbatch refused it
		return nil, nil
	default:
		return nil, fault.New(fault.Usage, "this was submitted before, %d of %s are done, reduce is %s", r.Counts[slurm.StateDone], fault.Count(len(r.Tasks), "task"), r.Reduce.State).
			WithHint("submit just what is missing with: rawstatus rerun --work %s; or all of it with --replace", slurm.Quote(s.Dir))
	}
}

// slurmClient returns a client that logs why it waits.
func slurmClient(ctx context.Context, e *environment) *slurm.Client {
	client := slurm.NewClient(ctx)
	client.Waits = func(err error) { e.Log.Warnf("trying again: %v", err) }
	return client
}

// limits asks Slurm what it allows. To show what would be submitted no Slurm is needed.
func limits(ctx context.Context, e *environment, client *slurm.Client, dryRun bool) (slurm.Limits, error) {
	if dryRun {
		client.Patience = slurm.ShortPatience
	}
	lim, err := client.Limits(ctx)
	if err != nil && dryRun && fault.CodeOf(err) == fault.Slurm {
		lim = slurm.CommonLimits
		e.Log.Warnf("%v: shown for a Slurm with arrays of %d", err, lim.MaxArraySize)
		return lim, nil
	}
	return lim, err
}

// newSubmission plans the run and gathers what is asked for. Without raw data named it takes the plan that is in --work.
func newSubmission(ctx context.Context, e *environment, client *slurm.Client, opt submitOptions) (*submission, error) {
	s := &submission{Queue: &slurm.Queue{Client: client, Items: make([]slurm.Item, 1)}}
	err := s.plan(ctx, e, opt)
	if err != nil {
		return nil, err
	}
	if s.Dir, err = filepath.Abs(s.Dir); err != nil {
		return nil, fmt.Errorf("could not tell where the work directory is: %w", err)
	}
	if strings.ContainsAny(s.Dir, "\\\n") {
		return nil, fault.New(fault.Usage, "work directory %q: Slurm cannot write logs below a name with a backslash or line break", s.Dir).WithHint("name another one with --work")
	}
	var data *open.Dataset
	if s.made != nil {
		s.made.Work, data = s.Dir, &s.made.Request.Data
	}
	s.Request, err = opt.request(ctx, s.Plan, data)
	return s, err
}

// plan makes the plan, or takes the one that is in the work directory. One whose predictions are wrong is made again.
func (s *submission) plan(ctx context.Context, e *environment, opt submitOptions) (err error) {
	if opt.work == "" {
		return s.take(opt.order.Make(ctx))
	}
	s.Dir = opt.work
	if s.Plan, err = plan.Load(opt.work); err != nil {
		return err
	}
	wrong, err := job.Wrong(opt.work, s.Plan)
	if err != nil || wrong == nil {
		return err
	}
	return s.remake(ctx, e, wrong)
}

// remake makes the job of the work directory again.
func (s *submission) remake(ctx context.Context, e *environment, wrong *plan.WrongPrediction) error {
	old, err := job.Open(s.Dir)
	if err != nil {
		return err
	}
	e.Log.Warnf("the plan cannot be done and is made again: %s", wrong.Error)
	return s.take(old.Remake(ctx, e.Log))
}

func (s *submission) take(j *job.Job, err error) error {
	if err == nil {
		s.made, s.Plan, s.Dir = j, j.Plan, j.Work
	}
	return err
}

// defaultTasks makes few tasks: starting one costs Slurm about a second.
func defaultTasks(bytes int64, units int) int {
	return max(min(units, fewTasks), int((bytes+bytesPerTask-1)/bytesPerTask))
}

// checkRepository tries to write where reduce will write, so that a night's work does not end at a closed door.
func checkRepository(e *environment) error {
	dir, err := filepath.Abs(e.Site.Repository)
	if err != nil {
		return fmt.Errorf("could not tell where the repository is: %w", err)
	}
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.CreateTemp(dir, ".rawstatus-*")
	if err != nil {
		return fault.New(fault.Usage, "the repository %s cannot be written: %w", e.Site.Repository, err).
			WithHint("name another one with -o, or ask for write permission")
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("could not remove a test file from the repository: %w", err)
	}
	policy := &access.Policy{Group: e.Site.Group}
	if _, warning := policy.Gid(); warning != "" {
		e.Log.Warn(warning)
	}
	return nil
}

// showDraft prints the scripts and the command lines.
func showDraft(e *environment, q *slurm.Queue, a *slurm.Attempt) error {
	texts, err := q.Scripts()
	if err != nil {
		return err
	}
	lines := q.Lines(a)
	if e.JSON {
		scripts := map[string]string{}
		for name, text := range texts {
			scripts[name] = string(text)
		}
		return e.PrintJSON(dryRun{q.Plan.ID, q.Dir, len(q.Plan.Tasks), scripts, lines})
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(&b, "# %s\n%s\n", filepath.Join(slurm.RequestDir(q.Dir, a.Request), name), texts[name])
	}
	fmt.Fprintf(&b, "# plan %.12s: %s, nothing was submitted\n%s\n", q.Plan.ID, fault.Count(len(q.Plan.Tasks), "task"), strings.Join(lines, "\n"))
	_, err = io.WriteString(e.Stdout, b.String())
	return err
}

// showSubmitted prints the ids and the command that shows the state.
func showSubmitted(e *environment, q *slurm.Queue, a *slurm.Attempt) error {
	if e.JSON {
		return e.PrintJSON(submitted{q.Dir, a})
	}
	tasks, ids := 0, []int{}
	for _, h := range a.Arrays() {
		tasks, ids = tasks+len(h.Indices), append(ids, h.Job)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "plan %.12s, attempt %d: %s", q.Plan.ID, a.Number, fault.Count(tasks, "task"))
	if len(ids) > 0 {
		fmt.Fprintf(&b, " in array %s (%d MB, %s, %s each)", strings.Trim(fmt.Sprint(ids), "[]"), a.Task.MemMB, fault.Count(a.Task.CPUs, "core"), a.Task.Time.Round(time.Second))
	}
	for _, part := range []slurm.Part{slurm.ReducePart, slurm.DeployPart, slurm.PostPart} {
		if id := a.JobOf(part); id != 0 {
			fmt.Fprintf(&b, ", %s %d", part, id)
		}
	}
	fmt.Fprintf(&b, "\nrawstatus status %s\n", slurm.Quote(q.Dir))
	if os.Getenv("ARP_JOB_ID") != "" { // the automatic run processor follows the job that it finds in this line
		fmt.Fprintf(&b, "Submitted batch job %d\n", cmp.Or(a.JobOf(slurm.PostPart), a.JobOf(slurm.DeployPart), a.JobOf(slurm.ReducePart)))
	}
	_, err := io.WriteString(e.Stdout, b.String())
	return err
}
