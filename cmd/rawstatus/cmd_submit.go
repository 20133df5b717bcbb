package main

import (
	"cmp"
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
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
)

// submitSettle is the default of --settle for submit: people submit while the last files are still on their way.
const submitSettle = "60s"

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

// newSubmitCommand makes the command; words are the command line, which the repair job may need again.
func newSubmitCommand(e *environment, words []string) *cli.Command {
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
		Action: func(c *cli.Context) error { return runSubmit(c, e, words) },
	}
}

func submitTasksFlag() cli.Flag {
	return command.AtLeast(&cli.IntFlag{Name: "tasks", Usage: "cut the work into `N` tasks; more than panels x gain modes cuts by frames", DefaultText: "few: about 16 GiB of raw data each"}, 1)
}

func runSubmit(c *cli.Context, e *environment, words []string) error {
	client := slurm.NewClient(c.Context)
	if _, err := repository(e); err != nil {
		return err
	}
	lim, err := client.Limits(c.Context)
	if err != nil {
		return err
	}
	if err := checkRepository(e); err != nil {
		return err
	}
	chain, err := submission(c, e, client)
	if err != nil {
		return err
	}
	attempts, err := slurm.LoadAttempts(chain.Work, chain.Plan)
	if err != nil {
		return err
	}
	if len(attempts) > 0 && !c.Bool("dry-run") {
		if err := notTwice(c, chain); err != nil {
			return err
		}
	}
	a := chain.Draft(len(attempts)+1, allTasks(chain.Plan), lim)
	if c.Bool("dry-run") {
		return showDraft(e, chain, a)
	}
	if err := remember(chain, words); err != nil {
		return err
	}
	if err := slurm.SaveRequest(chain.Work, chain.Plan, chain.Request); err != nil {
		return err
	}
	if err := chain.Preflight(c.Context, a, lim); err != nil {
		return err
	}
	if err := chain.Submit(c.Context, a); err != nil {
		return err
	}
	shown := newCounters(e, chain.Request.Counters)
	shown.post(c.Context, elog.Counter{Key: "rawstatus", Value: fmt.Sprintf("%s submitted", fault.Count(len(chain.Plan.Tasks), "task"))})
	if err := showSubmitted(e, chain, a); err != nil || !c.Bool("wait") {
		return err
	}
	return follow(c, e, chain)
}

// remember puts the command line into the request, and the folder that its paths start from.
func remember(chain *slurm.Chain, words []string) (err error) {
	waits := func(word string) bool { return strings.HasPrefix(strings.Replace(word, "--", "-", 1), "-wait") }
	chain.Request.Command = slices.DeleteFunc(slices.Clone(words), waits)
	if chain.Request.Folder, err = os.Getwd(); err != nil {
		return fmt.Errorf("could not tell the present folder: %w", err)
	}
	return nil
}

// submission plans the run and gathers what is asked for. Without raw data named it takes the plan that is in --work.
func submission(c *cli.Context, e *environment, client *slurm.Client) (*slurm.Chain, error) {
	p, work, err := submitPlan(c, e)
	if err != nil {
		return nil, err
	}
	if work, err = filepath.Abs(work); err != nil {
		return nil, fmt.Errorf("could not tell where the work directory is: %w", err)
	}
	r, err := request(c, e, p)
	if err != nil {
		return nil, err
	}
	if r.Deploy, err = deployWords(c, e, p); err != nil {
		return nil, err
	}
	waitForPerson(c, e, &r)
	return &slurm.Chain{Client: client, Work: work, Plan: p, Request: r}, nil
}

func submitPlan(c *cli.Context, e *environment) (*plan.Plan, string, error) {
	if work := c.String("work"); work != "" && !slices.ContainsFunc([]string{"dataset", "exp", "run", "dir", "file"}, c.IsSet) {
		p, err := plan.Load(work)
		if err != nil {
			return nil, "", err
		}
		return p, work, notInDoubt(work, p)
	}
	if !c.IsSet("settle") {
		if err := c.Set("settle", submitSettle); err != nil {
			return nil, "", fmt.Errorf("could not set --settle: %w", err)
		}
	}
	x, par, work, err := indexJob(c, e)
	if err != nil {
		return nil, "", err
	}
	opt := plan.Options{Tasks: c.Int("tasks"), Workers: c.Int("cpus-per-task")}
	if opt.Tasks == 0 {
		whole, err := plan.Build(x, plan.IndexSums{}, par, plan.Options{Tasks: 1})
		if err != nil {
			return nil, "", err
		}
		opt.Tasks = defaultTasks(whole.Tasks[0].Bytes, len(whole.Units))
	}
	p, err := savePlan(c.Context, work, x, par, opt, fs.FileMode(e.Site.FileMode))
	return p, work, err
}

// notInDoubt refuses a plan that a task could not do because a prediction of its index was wrong.
func notInDoubt(work string, p *plan.Plan) error {
	doubt, err := plan.LoadDoubt(work)
	if err == nil && doubt != nil && doubt.Plan == p.ID {
		err = fault.New(fault.Input, "the plan in %q cannot be done: %s", work, doubt.Error).
			WithHint("make it again, with the flags that it was made with: rawstatus plan --all-headers --work %s ...", slurm.Quote(work))
	}
	return err
}

// defaultTasks makes few tasks: starting one costs Slurm about a second.
func defaultTasks(bytes int64, units int) int {
	return max(min(units, fewTasks), int((bytes+bytesPerTask-1)/bytesPerTask))
}

// notTwice refuses to submit a plan whose jobs are at work, or were and left something. A plan that is done may be submitted
// again, to reduce or deploy it with other options: its partials are used.
func notTwice(c *cli.Context, chain *slurm.Chain) error {
	r, err := chain.Report(c.Context)
	switch {
	case err != nil:
		return err
	case r.Active:
		return fault.New(fault.Busy, "the jobs of this plan are at work already (attempt %d)", r.Attempts).
			WithHint("see them with `rawstatus status %s`, end them with `rawstatus cancel %s`", slurm.Quote(chain.Work), slurm.Quote(chain.Work))
	case r.Counts[slurm.StateDone] > 0 && r.Counts[slurm.StateDone] < len(r.Tasks):
		return fault.New(fault.Usage, "this plan was submitted before, %d of %s are done", r.Counts[slurm.StateDone], fault.Count(len(r.Tasks), "task")).
			WithHint("submit just the rest with: rawstatus rerun --work %s", slurm.Quote(chain.Work))
	}
	return nil
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
func showDraft(e *environment, chain *slurm.Chain, a *slurm.Attempt) error {
	texts, err := chain.Scripts()
	if err != nil {
		return err
	}
	lines := chain.Lines(a)
	if e.JSON {
		scripts := map[string]string{}
		for name, text := range texts {
			scripts[name] = string(text)
		}
		return e.PrintJSON(dryRun{chain.Plan.ID, chain.Work, len(chain.Plan.Tasks), scripts, lines})
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(&b, "# %s\n%s\n", filepath.Join(slurm.Dir(chain.Work, chain.Plan), name), texts[name])
	}
	fmt.Fprintf(&b, "# plan %.12s: %s, nothing was submitted\n%s\n", chain.Plan.ID, fault.Count(len(chain.Plan.Tasks), "task"), strings.Join(lines, "\n"))
	_, err = io.WriteString(e.Stdout, b.String())
	return err
}

// showSubmitted prints the ids and the command that shows the state.
func showSubmitted(e *environment, chain *slurm.Chain, a *slurm.Attempt) error {
	if e.JSON {
		return e.PrintJSON(submitted{chain.Work, a})
	}
	tasks := 0
	for _, chunk := range a.Chunks {
		tasks += len(chunk.Indices)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "plan %.12s, attempt %d: %s", chain.Plan.ID, a.Number, fault.Count(tasks, "task"))
	if ids := a.Arrays(); len(ids) > 0 {
		fmt.Fprintf(&b, " in array %s (%d MB, %s, %s each)", strings.Trim(fmt.Sprint(ids), "[]"), a.Task.MemMB, fault.Count(a.Task.CPUs, "core"), a.Task.Time.Round(time.Second))
	}
	fmt.Fprintf(&b, ", reduce %d", a.ReduceJob)
	if a.DeployJob != 0 {
		fmt.Fprintf(&b, ", mergedeploy %d", a.DeployJob)
	}
	if a.PostJob != 0 {
		fmt.Fprintf(&b, ", post %d", a.PostJob)
	}
	fmt.Fprintf(&b, "\nrawstatus status %s\n", slurm.Quote(chain.Work))
	if os.Getenv("ARP_JOB_ID") != "" { // the automatic run processor follows the job that it finds in this line
		fmt.Fprintf(&b, "Submitted batch job %d\n", cmp.Or(a.PostJob, a.DeployJob, a.ReduceJob))
	}
	_, err := io.WriteString(e.Stdout, b.String())
	return err
}
