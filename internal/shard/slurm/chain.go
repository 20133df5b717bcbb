package slurm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	scripts "rawstatus/jobs/slurm"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/plan"
)

// Chain submits and follows the jobs of one plan.
type Chain struct {
	Client  *Client
	Work    string // absolute
	Plan    *plan.Plan
	Request Request
	Locked  bool // the caller holds the lock of the work directory

	partials *Partials
}

// OpenChain opens the chain of a work directory whose plan was submitted before.
func OpenChain(client *Client, work string) (*Chain, error) {
	abs, err := filepath.Abs(work)
	if err != nil {
		return nil, fmt.Errorf("slurm: %w", err)
	}
	p, err := plan.Load(abs)
	if err != nil {
		return nil, err
	}
	r, err := LoadRequest(abs, p)
	if err != nil {
		return nil, err
	}
	return &Chain{Client: client, Work: abs, Plan: p, Request: r}, nil
}

// Chains returns the chains of all plans that were ever submitted from a work directory, without their requests.
func Chains(client *Client, work string) ([]*Chain, error) {
	plans, err := os.ReadDir(filepath.Join(work, "slurm"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("slurm: %w", err)
	}
	var chains []*Chain
	for _, dir := range plans {
		var a Attempt
		err := ReadRecord(filepath.Join(work, "slurm", dir.Name(), "attempt-001.json"), &a)
		if !dir.IsDir() || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(a.Plan) == 2*sha256.Size {
			chains = append(chains, &Chain{Client: client, Work: work, Plan: &plan.Plan{ID: a.Plan}})
		}
	}
	return chains, nil
}

// Live returns the jobs of the chain that have not ended.
func (c *Chain) Live(ctx context.Context) (live []int, err error) {
	attempts, err := LoadAttempts(c.Work, c.Plan)
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, a := range attempts {
		ids = append(ids, a.Jobs()...)
	}
	elements, err := c.Client.Elements(ctx, ids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ids, func(id int) bool { return !elements.Live(id) }), nil
}

// Parts of a job name.
const (
	reducePart = "reduce"
	repairPart = "repair"
	deployPart = "deploy"
	postPart   = "post"
)

// Draft makes the attempt with this number at these tasks (ascending; none: reduce alone), not yet submitted.
func (c *Chain) Draft(number int, tasks []int, lim Limits) *Attempt {
	c.Complete()
	return &Attempt{Number: number, Try: 1, Plan: c.Plan.ID, Request: c.Request.ID(), Task: c.Request.Task, Reduce: c.Request.Reduce, Chunks: Chunks(tasks, c.Plan.StageOf, lim)}
}

// arrayJob returns the array job of chunk i of an attempt; ids are those of the chunks before it. It waits for those of
// earlier stages.
func (c *Chain) arrayJob(a *Attempt, i int, ids []string) Job {
	chunk := a.Chunks[i]
	j := c.job(a, chunkPart(i), scripts.Array, a.Task, "%A_%a")
	j.Array = chunk.Spec(Throttles(a.Chunks, c.Request.Throttle)[i])
	j.Words = append([]string{c.Work, strconv.Itoa(chunk.Offset)}, c.names(a)...)
	for k, id := range ids {
		if a.Chunks[k].Stage < chunk.Stage {
			j.AfterOK = append(j.AfterOK, id)
		}
	}
	return j
}

func (c *Chain) reduceJob(a *Attempt, arrays []string) Job {
	j := c.job(a, reducePart, scripts.Reduce, a.Reduce, "%j")
	j.AfterOK = arrays
	for _, id := range a.After {
		j.AfterAny = append(j.AfterAny, strconv.Itoa(id))
	}
	j.Words = slices.Concat([]string{c.Work}, c.names(a), c.Request.Results.Words())
	return j
}

func (c *Chain) repairJob(a *Attempt, reduce string) Job {
	j := c.job(a, repairPart, scripts.Repair, Small(a.Reduce), "%j")
	j.AfterFail, j.Words = []string{reduce}, append([]string{c.Work, "--attempt", strconv.Itoa(a.Number)}, c.names(a)...)
	return j
}

func (c *Chain) deployJob(a *Attempt, after []string) Job {
	j := c.job(a, deployPart, scripts.Deploy, a.Reduce, "%j")
	j.AfterOK, j.Words = after, slices.Concat(c.Request.Deploy, []string{"--job-of", c.Work}, c.names(a))
	return j
}

// postJob waits for all other jobs, however they end: the last attempt that does not continue writes to the logbook.
func (c *Chain) postJob(a *Attempt, others ...string) Job {
	j := c.job(a, postPart, scripts.Post, Small(a.Reduce), "%j")
	j.AfterAny, j.Words = others, append([]string{c.Work}, c.names(a)...)
	return j
}

// names are the words by which a job names what it works for; see Admit.
func (c *Chain) names(a *Attempt) []string {
	return []string{"--plan", c.Plan.ID, "--request", a.Request}
}

// Small are the resources of a job that only speaks to Slurm.
func Small(r Resources) Resources {
	r.MemMB, r.CPUs, r.Time, r.Exclusive = smallMemMB, 1, smallTime, false
	return r
}

const (
	smallMemMB = 500
	smallTime  = 30 * time.Minute
)

func (c *Chain) job(a *Attempt, part, script string, r Resources, logName string) Job {
	return Job{Name: a.Name(part), Script: filepath.Join(RequestDir(c.Work, c.Plan, a.Request), script), Resources: r, Chdir: c.Work,
		LogDir: filepath.Join(Dir(c.Work, c.Plan), "log"), Log: part + "-" + logName + ".log"}
}

// Lines returns the sbatch command lines of an attempt that is not submitted; words in angle brackets stand for job ids.
func (c *Chain) Lines(a *Attempt) []string {
	var lines, arrays []string
	for i := range a.Chunks {
		lines = append(lines, c.arrayJob(a, i, arrays).Line())
		arrays = append(arrays, "<"+chunkPart(i)+">")
	}
	var after []string
	if !a.DeployAlone {
		after = []string{"<" + reducePart + ">"}
		lines = append(lines, c.reduceJob(a, arrays).Line(), c.repairJob(a, after[0]).Line())
	}
	if len(c.Request.Deploy) > 0 {
		lines = append(lines, c.deployJob(a, after).Line())
	}
	if c.Request.Post || c.Request.Notify {
		lines = append(lines, c.postJob(a, "<"+reducePart+">", "<"+repairPart+">").Line())
	}
	return lines
}

// Scripts returns the job scripts as they are submitted, by file name.
func (c *Chain) Scripts() (map[string][]byte, error) {
	out := map[string][]byte{}
	programs := map[string]string{scripts.Array: c.Request.Program, scripts.Reduce: c.Request.Program, scripts.Repair: c.Request.Program}
	if len(c.Request.Deploy) > 0 {
		programs[scripts.Deploy] = filepath.Join(filepath.Dir(c.Request.Program), "mergedeploy")
	}
	if c.Request.Post || c.Request.Notify {
		programs[scripts.Post] = c.Request.Program
	}
	lines := c.Request.Lines(sitePath(c.Work, c.Plan, c.Request.ID()))
	for name, program := range programs {
		text, err := scripts.Render(name, Quote(program), lines)
		if err != nil {
			return nil, fmt.Errorf("slurm: could not make %s: %w", name, err)
		}
		out[name] = text
	}
	return out, nil
}

// Preflight asks Slurm whether it would take the jobs of an attempt.
func (c *Chain) Preflight(ctx context.Context, a *Attempt, lim Limits) error {
	if err := c.writeScripts(); err != nil {
		return err
	}
	tasks := 0
	for _, chunk := range a.Chunks {
		tasks += len(chunk.Indices)
	}
	running, err := c.Client.Running(ctx)
	if err != nil {
		return err
	}
	if free := lim.MaxJobCount - running; tasks+3 > free {
		return fault.New(fault.Slurm, "slurm: %s, but the controller keeps at most %s (MaxJobCount) and you have %d", fault.Count(tasks, "task"), fault.Count(lim.MaxJobCount, "job"), running).
			WithHint("use fewer and larger tasks with --tasks, or wait")
	}
	jobs := []Job{c.reduceJob(a, nil)} // asks for the most
	if len(a.Chunks) > 0 {
		jobs = append(jobs, c.arrayJob(a, 0, nil))
	}
	for _, j := range jobs {
		j.AfterAny = nil
		if err := c.Client.Test(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chain) writeScripts() error {
	// The lines of the scripts come from this file, after the first submission.
	id := c.Request.ID()
	if err := errors.Join(access.Trusted(requestPath(c.Work, c.Plan, id)), access.Trusted(sitePath(c.Work, c.Plan, id))); err != nil {
		return err
	}
	if err := c.SaveRequest(); err != nil {
		return err
	}
	texts, err := c.Scripts()
	if err != nil {
		return err
	}
	for name, text := range texts {
		path := filepath.Join(RequestDir(c.Work, c.Plan, id), name)
		if err := atomicfile.WriteFile(path, atomicfile.Options{Mode: 0o755}, text); err != nil {
			return err
		}
	}
	return nil
}

// Submit claims the attempt and submits its jobs; the caller holds the lock of the work directory. If sbatch refuses one, those before it are cancelled and the
// attempt's record says why.
func (c *Chain) Submit(ctx context.Context, a *Attempt) error {
	if err := c.writeScripts(); err != nil {
		return err
	}
	if err := c.claim(a); err != nil {
		return err
	}
	return c.proceed(ctx, a, false)
}

// proceed submits the jobs of an attempt that have no id yet. With adopt it looks first for jobs by name, which the
// submitter may have submitted and not written down.
func (c *Chain) proceed(ctx context.Context, a *Attempt, adopt bool) error {
	store := func() error { return a.save(c.Work, c.Plan) }
	submit := func(id *int, j Job) error { return c.Client.SubmitOnce(ctx, id, j, adopt, store) }
	err := func() error {
		var arrays []string
		for i := range a.Chunks {
			if err := submit(&a.Chunks[i].Job, c.arrayJob(a, i, arrays)); err != nil {
				return err
			}
			arrays = append(arrays, strconv.Itoa(a.Chunks[i].Job))
		}
		var after []string // for the deployment
		if !a.DeployAlone {
			if err := submit(&a.ReduceJob, c.reduceJob(a, arrays)); err != nil {
				return err
			}
			after = []string{strconv.Itoa(a.ReduceJob)}
			if a.Try < c.Request.MaxAttempts {
				if err := submit(&a.RepairJob, c.repairJob(a, after[0])); err != nil {
					return err
				}
			}
		}
		if len(c.Request.Deploy) > 0 {
			if err := submit(&a.DeployJob, c.deployJob(a, after)); err != nil {
				return err
			}
		}
		if !c.Request.Post && !c.Request.Notify {
			return nil
		}
		var others []string
		for _, id := range []int{a.ReduceJob, a.RepairJob, a.DeployJob} {
			if id != 0 {
				others = append(others, strconv.Itoa(id))
			}
		}
		return submit(&a.PostJob, c.postJob(a, others...))
	}()
	a.Complete = true
	if err == nil {
		return store()
	}
	if ctx.Err() != nil || Transient(err) {
		a.Complete = false // what is submitted goes on; rerun completes the chain
		return errors.Join(fault.New(fault.CodeOf(err), "the jobs are not all submitted: %w", err).
			WithHint("submit the rest with: rawstatus rerun --work %s", Quote(c.Work)), store())
	}
	a.Error = err.Error()
	return errors.Join(err, c.Client.Cancel(context.WithoutCancel(ctx), a.Jobs()), store())
}
