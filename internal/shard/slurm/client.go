package slurm

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/fault"
)

// commandTimeout bounds one call of a Slurm command; a busy controller answers within tens of seconds or not at all.
const commandTimeout = 2 * time.Minute

// Client speaks to Slurm through its commands.
type Client struct {
	// Patience is how long a controller that does not answer is asked again.
	Patience time.Duration
	// Waits, unless nil, hears why a command is given again.
	Waits func(err error)

	system System
}

// A controller restarts within a minute or so; jobs that look after themselves wait for it longer than people do.
const (
	patience = 10 * time.Minute
	// ShortPatience is that of commands that show what files tell where Slurm does not answer.
	ShortPatience = 5 * time.Second
	longestPause  = 30 * time.Second
)

// NewClient makes a client of the system of ctx.
func NewClient(ctx context.Context) *Client {
	return &Client{Patience: patience, system: SystemOf(ctx)}
}

// CommandError is a Slurm command that failed.
type CommandError struct {
	Command string
	Args    []string
	Stderr  string
	Err     error
}

func (e *CommandError) Error() string {
	text := e.Stderr
	if text == "" {
		text = e.Err.Error()
	}
	return fmt.Sprintf("slurm: %s: %s", e.Command, text)
}

func (e *CommandError) Unwrap() error { return e.Err }

// hints lead from what Slurm's commands say to what the user can do about it.
var hints = []struct{ says, hint string }{
	{"Invalid account", "name an account you may charge with --account (sacctmgr show assoc user=$USER lists them)"},
	{"artition", "name a partition with --partition (sinfo lists them) whose limits allow this request"},
	{"Invalid qos", "name a quality of service you may use with --qos"},
	{"eservation", "name a reservation you may use with --reservation (scontrol show reservation)"},
	{"node configuration is not available", "no node has that much memory or that many cores: lower --mem or --cpus-per-task, or use more tasks"},
	{"time limit", "lower --time, or use a partition with longer limits"},
	{"QOSMax", "the account's limits do not allow more jobs now: use fewer --tasks or wait"},
	{"AssocMax", "the account's limits do not allow more jobs now: use fewer --tasks or wait"},
	{"configuration source", "Slurm is installed and not configured here: set SLURM_CONF or use `rawstatus run`"},
	{"contact slurm controller", "Slurm's controller does not answer: try again later or use `rawstatus run`"},
	{"timed out", "Slurm's controller does not answer: try again later"},
}

// transient are messages of Slurm's commands while a controller or its database is away, restarts or has too much to do.
var transient = []string{"contact slurm controller", "timed out", "Connection refused", "Connection reset", "onnection failure", "ero Bytes were transmitted",
	"Transport endpoint", "tandby", "temporarily unable", "temporarily unavailable", "talking to the database", "not responding", "try again"}

// Transient reports whether the same command may succeed in a minute.
func Transient(err error) bool {
	var ce *CommandError
	if !errors.As(err, &ce) {
		return false
	}
	says := func(text string) bool { return strings.Contains(ce.Stderr, text) }
	return errors.Is(ce.Err, context.DeadlineExceeded) || slices.ContainsFunc(transient, says)
}

// retry calls f again while its failure is transient, for as long as the client has patience.
func (c *Client) retry(ctx context.Context, f func() error) error {
	end := c.system.Now().Add(c.Patience)
	for pause := time.Second; ; pause = min(2*pause, longestPause) {
		err := f()
		if err == nil || !Transient(err) || !c.system.Now().Add(pause).Before(end) {
			return err
		}
		if c.Waits != nil {
			c.Waits(err)
		}
		if err := c.system.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (e *CommandError) fault() error {
	f := fault.New(fault.Slurm, "%w", e)
	f.Err = e
	for _, h := range hints {
		if strings.Contains(e.Stderr, h.says) {
			return f.WithHint("%s", h.hint)
		}
	}
	return f
}

// run returns the standard output of a Slurm command, which is given again while the controller is away.
func (c *Client) run(ctx context.Context, name string, args ...string) (out string, err error) {
	err = c.retry(ctx, func() (err error) {
		out, err = c.once(ctx, name, args...)
		return err
	})
	return out, err
}

// once runs a Slurm command one time.
func (c *Client) once(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	stdout, stderr, err := c.system.Command(ctx, name, args...)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fault.New(fault.Slurm, "slurm: there is no %s command on this machine", name).
			WithHint("submit from a machine with Slurm, or use `rawstatus run`, which needs none")
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return "", err
		}
		return "", (&CommandError{name, args, strings.TrimSpace(stderr), err}).fault()
	}
	return stdout, nil
}

// Limits are the largest array and the largest number of jobs that this Slurm allows, and how long it remembers them.
type Limits struct {
	Cluster      string
	MaxArraySize int           // the highest array index is one less
	MaxArrayTask int           // most elements of one array
	MaxJobCount  int           // most jobs, array elements included, that the controller keeps at a time
	MinJobAge    time.Duration // how long the controller knows a job that has ended
	Now          time.Time     // of the controller's clock, in this host's zone; zero when unknown
}

// noNode is how sbatch refuses a job that no node can take, also because all are excluded.
const noNode = "node configuration is not available"

// CommonLimits are those of a Slurm that nobody has configured otherwise.
var CommonLimits = Limits{MaxArraySize: 1001, MaxArrayTask: 1001, MaxJobCount: 10000}

// Limits asks the controller for its configuration.
func (c *Client) Limits(ctx context.Context) (Limits, error) {
	out, err := c.run(ctx, "scontrol", "show", "config")
	if err != nil {
		return Limits{}, err
	}
	return parseLimits(out)
}

// Submit hands a job to sbatch and returns its id. A call that failed because the controller went away may have
// submitted the job all the same: before the next one, a job of that name is looked for.
func (c *Client) Submit(ctx context.Context, j Job) (int, error) {
	var out string
	again := false
	err := c.retry(ctx, func() (err error) {
		if again {
			ids, err := c.named(ctx, c.once, j.Name)
			if err != nil || len(ids) > 0 {
				out = joinInts(ids[max(0, len(ids)-1):], "")
				return err
			}
		}
		again = true
		out, err = c.once(ctx, "sbatch", append([]string{"--parsable"}, j.Args()...)...)
		return err
	})
	if err != nil {
		return 0, err
	}
	// "id" or, in a federation, "id;cluster".
	id, _, _ := strings.Cut(strings.TrimSpace(out), ";")
	n, err := strconv.Atoi(id)
	if err != nil {
		return 0, fault.New(fault.Slurm, "slurm: sbatch answered %q, expected a job id", strings.TrimSpace(out))
	}
	return n, nil
}

// Test asks sbatch whether it would take a job, without submitting it.
func (c *Client) Test(ctx context.Context, j Job) error {
	_, err := c.run(ctx, "sbatch", append([]string{"--test-only"}, j.Args()...)...)
	return err
}

// Cancel ends jobs. Jobs that have already ended are no error.
func (c *Client) Cancel(ctx context.Context, ids []int) error {
	if len(ids) == 0 {
		return nil
	}
	args := make([]string, len(ids))
	for i, id := range ids {
		args[i] = strconv.Itoa(id)
	}
	_, err := c.run(ctx, "scancel", args...)
	return err
}

// Requeue puts a running job back into the queue, which ends it.
func (c *Client) Requeue(ctx context.Context, id string) error {
	_, err := c.run(ctx, "scontrol", "requeue", id)
	return err
}

// Running counts this user's jobs that the controller keeps at the moment, array elements one by one.
func (c *Client) Running(ctx context.Context) (int, error) {
	out, err := c.run(ctx, "squeue", "--noheader", "--me", "--array", "--format=%A")
	if err != nil {
		return 0, err
	}
	return strings.Count(out, "\n"), nil
}

// Named returns the ids, ascending, of this user's jobs of a name that the controller knows, ended ones included. Cancelled
// ones are left out: nobody waits for them.
func (c *Client) Named(ctx context.Context, name string) ([]int, error) {
	return c.named(ctx, c.run, name)
}

func (c *Client) named(ctx context.Context, run func(context.Context, string, ...string) (string, error), name string) ([]int, error) {
	out, err := run(ctx, "squeue", "--noheader", "--me", "--states=all", "--name="+name, "--format=%F|%T")
	if err != nil {
		return nil, err
	}
	var ids []int
	for _, field := range strings.Fields(out) {
		number, state, _ := strings.Cut(field, "|")
		id, err := strconv.Atoi(number)
		if err != nil {
			return nil, badOutput("squeue", field, "a job id and a state")
		}
		if State(state) != Cancelled {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Elements returns the latest state of every element of the jobs, from the controller for what it still knows and from
// accounting for the rest. Where the site keeps no accounting, the controller's memory (minutes) is all there is; where accounting
// is away for now, what the controller has forgotten is [Unanswered].
func (c *Client) Elements(ctx context.Context, ids []int) (Elements, error) {
	all := Elements{}
	if len(ids) == 0 {
		return all, nil
	}
	list := joinInts(ids, ",")
	out, away := c.run(ctx, "sacct", "--noheader", "--parsable2", "--duplicates", "--noconvert", "--jobs="+list, "--format="+sacctFormat)
	if away == nil {
		if err := all.addSacct(out); err != nil {
			return nil, err
		}
	} else if ctx.Err() != nil {
		return nil, away
	}
	out, err := c.run(ctx, "squeue", "--noheader", "--array", "--states=all", "--jobs="+list, "--Format="+squeueFormat)
	var ce *CommandError
	if errors.As(err, &ce) && strings.Contains(ce.Stderr, "Invalid job id") {
		out, err = "", nil // the controller has forgotten all of them
	}
	if err != nil {
		return nil, err
	}
	if err := all.addSqueue(out); err != nil {
		return nil, err
	}
	if Transient(away) {
		all.unanswered(ids)
	}
	return all, nil
}

func joinInts(list []int, sep string) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, sep)
}

// Live returns those of the jobs that have not ended.
func (c *Client) Live(ctx context.Context, ids []int) ([]int, error) {
	elements, err := c.Elements(ctx, ids)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return !elements.Live(id) }), nil
}

// End cancels those of the jobs that have not ended yet, returns them, and waits until all have ended.
func (c *Client) End(ctx context.Context, ids []int) ([]int, error) {
	live, err := c.Live(ctx, ids)
	if err != nil || len(live) == 0 {
		return live, err
	}
	if err := c.Cancel(ctx, live); err != nil {
		return live, err
	}
	end := c.system.Now().Add(c.Patience)
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		left, err := c.Live(ctx, live)
		if err != nil || len(left) == 0 {
			return live, err
		}
		if c.system.Now().After(end) {
			return live, fault.New(fault.Slurm, "slurm: jobs %v are cancelled, and have not ended after %s", left, c.Patience).
				WithHint("a node that does not answer keeps its jobs until Slurm gives it up: look again later with the same command")
		}
		if err := c.system.Sleep(ctx, pause); err != nil {
			return live, err
		}
	}
}

// Sleep waits in the time of the client's system.
func (c *Client) Sleep(ctx context.Context, d time.Duration) error { return c.system.Sleep(ctx, d) }
