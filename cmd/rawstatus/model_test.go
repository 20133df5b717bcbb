package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/simulate"
	"rawstatus/internal/testenv"
	"rawstatus/internal/testenv/slurmsim"
)

// The run that all scenarios are about.
const (
	modelExperiment = "tstx00417"
	modelRun        = "3"
	modelHorizon    = 14 * 24 * time.Hour // of virtual time, in which every submission ends
)

// variants are the plans that persons ask for: flags of submit that decide the result.
var variants = [][]string{nil, {"--min-frames", "1000"}, {"--profile", "features", "-F", "1,6"}}

// stage holds the things that all scenarios share: raw data, and the results of undisturbed runs.
type stage struct {
	dir, data string
	quiet     []map[string]string // status files of each variant, by name
}

// newStage makes it, on a file system that does not wait for disks.
func newStage(t *testing.T) *stage {
	t.Helper()
	base := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, "rawstatus-model-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &stage{dir: dir, data: filepath.Join(dir, "data")}
	_, err = simulate.Write(context.Background(), simulate.Config{Dir: s.data, Experiment: modelExperiment, Run: 3, Type: nightDetector, Panels: 2, Rows: 16, Cols: 16, Events: 130, Streams: 1, Dead: 1, Hot: 1})
	if err != nil {
		t.Fatal(err)
	}
	// The jobs' program is this test; mergedeploy stands beside it, and is played by the scenario.
	self, err := slurm.Self()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(self), "mergedeploy"), []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The runtime's watcher of signals and other goroutines that live as long as the process start outside of a bubble.
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	signal.Stop(c)
	for i, flags := range variants {
		w := &world{stage: s, dir: filepath.Join(dir, fmt.Sprint("quiet", i))}
		w.site(t)
		args := append([]string{"run", "--exp", modelExperiment, "--run", modelRun, "--dir", s.data, "--settle", "0s", "--work", filepath.Join(w.dir, "job"), "--tasks", "3"}, flags...)
		if code, _, stderr := w.program(context.Background(), args); code != 0 {
			t.Fatalf("%v: exit code %d\n%s", args, code, stderr)
		}
		s.quiet = append(s.quiet, statusFiles(t, w.repo()))
	}
	if len(s.quiet[0]) == 0 || maps.Equal(s.quiet[0], s.quiet[1]) {
		t.Fatal("the variants do not differ")
	}
	return s
}

// statusFiles reads the values of all status files in a repository.
func statusFiles(t *testing.T, repo string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !strings.HasSuffix(path, ".dat") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var values strings.Builder
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "#") {
				values.WriteString(line)
			}
		}
		files[strings.TrimPrefix(path, repo)] = values.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// world is one scenario.
type world struct {
	*stage
	t    *testing.T
	seed uint64
	rand *rand.Rand
	dir  string
	c    *slurmsim.Cluster

	lines    []string // what happened
	failures []string
	persons  int

	deployments []deployment
	last        []string      // the words of the last submission
	accepted    map[int]bool  // variants that were ever asked for
	wish        int           // the variant that is wished now; -1: nothing is
	since       time.Duration // when that became so
	chaos       bool          // things still go wrong
	damage      bool          // a partial is to be damaged once
	deploys     bool          // a campaign deploys
	budget      int           // temporary failures that are left
}

// deployment is a record in the ledger of the scenario.
type deployment struct {
	request, plan string
	variant       int
	at            time.Duration
}

func (w *world) repo() string { return filepath.Join(w.dir, "repo") }
func (w *world) work() string { return filepath.Join(w.dir, "job") }
func (w *world) siteFile() string {
	return filepath.Join(w.dir, "site.toml")
}

func (w *world) site(t *testing.T) {
	t.Helper()
	text := fmt.Sprintf("timezone = \"UTC\"\ngroup = \"\"\nrepository = %q\n", w.repo())
	if err := errors.Join(os.MkdirAll(w.dir, 0o755), os.WriteFile(w.siteFile(), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// program runs a command of rawstatus in this process. Commands that are not called are left out: making their flags
// would take most of the time.
func (w *world) program(ctx context.Context, args []string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	full := append([]string{"rawstatus", args[0], "--site", w.siteFile()}, args[1:]...)
	p := program()
	all := p.Commands
	p.Commands = func(e *environment) []*cli.Command {
		return slices.DeleteFunc(all(e), func(c *cli.Command) bool { return c.Name != args[0] })
	}
	code = p.Run(ctx, &out, &err, full)
	return code, out.String(), err.String()
}

func (w *world) trace(line string) { w.lines = append(w.lines, line) }

func (w *world) say(format string, args ...any) {
	w.trace(fmt.Sprintf("%9.1f ", w.c.Elapsed().Seconds()) + fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
	w.say("WRONG: "+format, args...)
}

// chance is true so often out of a hundred times.
func (w *world) chance(percent int) bool { return w.rand.IntN(100) < percent }

func (w *world) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rand.Int64N(int64(hi-lo)))
}

// body is the work of a job.
func (w *world) body(p *slurmsim.Process) slurmsim.Status {
	killed := slurmsim.Status{Signal: 15}
	if !p.Work(w.between(time.Second, 5*time.Minute)) {
		return killed
	}
	s, err := readScript(p.Script, p.Args, p.Env)
	if err != nil {
		w.fail("%s: %v", p, err)
		return slurmsim.Status{Code: 1}
	}
	p.Env = s.env
	ctx := slurm.WithSystem(p.Context(), p)
	if w.chaos && w.budget > 0 && w.chance(4) {
		w.budget--
		w.say("%s fails: exit code 75", p)
		return slurmsim.Status{Code: int(fault.Temporary)}
	}
	code, text := 0, ""
	switch {
	case filepath.Base(s.program) == "mergedeploy":
		code, text = w.deploy(s.words)
	default:
		if s.words[0] == "reduce" && w.damage {
			w.damage = false
			w.spoil()
		}
		code, _, text = w.program(ctx, s.words)
	}
	if code != 0 {
		w.say("%s: %s ends with %d: %s", p, strings.Join(s.words, " "), code, strings.TrimSpace(text))
	}
	if !p.Work(w.between(time.Millisecond, time.Minute)) {
		return killed
	}
	return slurmsim.Status{Code: code}
}

// spoil writes into a partial that is there.
func (w *world) spoil() {
	found, _ := filepath.Glob(filepath.Join(w.work(), "tasks", "*.pack"))
	if len(found) == 0 {
		return
	}
	path := found[w.rand.IntN(len(found))]
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		w.say("%s is damaged", path)
		_, _ = f.WriteAt([]byte("XXXX"), 100)
		f.Close()
	}
}

// deploy plays mergedeploy, which deploys what the repository holds when the job of a request may, and once.
func (w *world) deploy(words []string) (code int, text string) {
	value := func(flag string) string {
		if i := slices.Index(words, flag); i >= 0 && i+1 < len(words) {
			return words[i+1]
		}
		return ""
	}
	j := slurm.Piece{Work: value("--job-of"), Plan: value("--plan"), Request: value("--request")}
	p, err := j.Admit()
	if err != nil {
		return int(fault.CodeOf(err)), err.Error()
	}
	if n := len(w.deployments); n == 0 || w.deployments[n-1].request != j.Request {
		d := deployment{request: j.Request, plan: j.Plan, variant: w.variantOf(p), at: w.c.Elapsed()}
		w.deployments = append(w.deployments, d)
		w.say("variant %d is deployed for request %.8s", d.variant, d.request)
		if !w.holds(d.variant) {
			w.fail("what is deployed is not what an undisturbed job of variant %d leaves", d.variant)
		}
	}
	if err := j.Deployed(slurm.Deployment{Record: "record", Place: "calib", Time: time.Now()}); err != nil {
		return int(fault.CodeOf(err)), err.Error()
	}
	return 0, ""
}

// variantOf finds the variant of a plan.
func (w *world) variantOf(p *plan.Plan) int {
	switch {
	case p.Params.Profile == "features":
		return 2
	case p.Params.MinFrames == 1000:
		return 1
	}
	return 0
}

// holds reports whether the repository has just what an undisturbed job of a variant leaves, beside files of others.
func (w *world) holds(variant int) bool {
	got := statusFiles(w.t, w.repo())
	for name, values := range w.quiet[variant] {
		if got[name] != values {
			return false
		}
	}
	return true
}

// person types a command. then hears of its end, unless it is killed.
func (w *world) person(args []string, kill int, then func(code int, stdout, stderr string)) {
	w.persons++
	p := &slurmsim.Process{Name: fmt.Sprintf("person%d", w.persons), Host: fmt.Sprintf("login%d", w.persons%2), Env: map[string]string{}, KillAtCall: kill, KillAfter: w.chance(50)}
	w.say("%s types: rawstatus %s (killed at call %d)", p.Name, strings.Join(args, " "), kill)
	code, stdout, stderr := 0, "", ""
	w.c.Go(p, func(p *slurmsim.Process) slurmsim.Status {
		code, stdout, stderr = w.program(slurm.WithSystem(p.Context(), p), args)
		return slurmsim.Status{Code: code}
	}, func(slurmsim.Status) {
		w.say("%s: exit code %d: %s", p.Name, code, strings.TrimSpace(stderr))
		if code == int(fault.Unexpected) {
			w.fail("%v ends unexpectedly: %s", args, stderr)
		}
		if then != nil {
			then(code, stdout, stderr)
		}
	})
}

// submit is a person's submission of a variant.
func (w *world) submit(variant int, kill int, more ...string) {
	args := append([]string{"submit", "--exp", modelExperiment, "--run", modelRun, "--dir", w.data, "--settle", "0s", "--work", w.work(), "--deploy", "-c", filepath.Join(w.dir, "calib")}, variants[variant]...)
	args = append(args, more...)
	w.accepted[variant], w.last = true, args
	if kill > 0 {
		w.wish, w.since = variant, w.c.Elapsed() // who knows what it did
	}
	w.person(args, kill, func(code int, _, _ string) {
		if code == 0 && !slices.Contains(args, "--wait") {
			w.wish, w.since = variant, w.c.Elapsed()
		}
	})
}

// options are the flags that the first submission of a scenario has, and later ones keep.
func (w *world) options() (flags []string) {
	flags = append(flags, "--tasks", strconv.Itoa(1+w.rand.IntN(5)), "--max-attempts", strconv.Itoa(2+w.rand.IntN(3)), "--time", strconv.Itoa(20+w.rand.IntN(40)),
		"--mem", strconv.Itoa(50+w.rand.IntN(500))+"M", "--cpus-per-task", "1")
	if w.chance(30) {
		flags = append(flags, "--throttle", strconv.Itoa(1+w.rand.IntN(2)))
	}
	return flags
}

// cluster draws a cluster.
func (w *world) cluster() *slurmsim.Cluster {
	pick := func(list ...time.Duration) time.Duration { return list[w.rand.IntN(len(list))] }
	cfg := slurmsim.Config{Nodes: 2 + w.rand.IntN(3), CPUs: 1 + w.rand.IntN(4), MaxArraySize: []int{3, 33, 1001}[w.rand.IntN(3)], MinJobAge: pick(5*time.Minute, time.Hour),
		NodeTimeout: pick(10*time.Second, 5*time.Minute), Requeued: pick(5*time.Second, 2*time.Minute), Latency: pick(50*time.Millisecond, 3*time.Second),
		AcctLag: pick(0, 0, 20*time.Second, 2*time.Minute), StepOOM: w.chance(50), Rand: w.rand, Trace: w.trace, Body: w.body, Skew: w.skew,
		Terminated: fault.New(fault.Temporary, "terminated (SIGTERM)")}
	if w.chance(15) {
		cfg.Accounting, cfg.MinJobAge = slurmsim.AcctOff, 24*time.Hour // what nobody remembers nobody can respect
	}
	w.trace(fmt.Sprintf("seed %d: %d nodes of %d cores, MaxArraySize %d, MinJobAge %s, node timeout %s, requeue %s, latency %s, accounting %v lag %s, step OOM %t", w.seed, cfg.Nodes, cfg.CPUs, cfg.MaxArraySize,
		cfg.MinJobAge, cfg.NodeTimeout, cfg.Requeued, cfg.Latency, cfg.Accounting, cfg.AcctLag, cfg.StepOOM))
	return slurmsim.New(cfg)
}

// skew draws how much the clock of a host is ahead of the controller's: half of the clocks are right, the others up to three days off.
func (w *world) skew(host string) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(host))
	r := rand.New(rand.NewPCG(w.seed, h.Sum64()))
	if r.IntN(2) == 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(144*time.Hour))) - 72*time.Hour
}

// kill draws the call at which a person's process dies, mostly none.
func (w *world) kill() int {
	if w.chance(25) {
		return 1 + w.rand.IntN(14)
	}
	return 0
}

// troubles draws what goes wrong until the end of the chaos.
func (w *world) troubles(until time.Duration) {
	at := func() time.Duration { return w.between(time.Second, until) }
	n := w.rand.IntN(6)
	for range n {
		i := w.rand.IntN(1000)
		switch w.rand.IntN(10) {
		case 9:
			w.c.At(at(), func() { w.c.Hold(i) })
		case 0:
			w.c.At(at(), func() { w.c.LoseNode(i, false, w.between(time.Minute, time.Hour)) })
		case 1:
			w.c.At(at(), func() { w.c.LoseNode(i, true, w.between(time.Minute, time.Hour)) })
		case 2:
			w.c.At(at(), func() { w.c.Preempt(i) })
		case 3:
			w.c.At(at(), func() { w.c.Overrun(i) })
		case 4:
			w.c.At(at(), func() { w.c.Crash(i) })
		case 5:
			begin, length := at(), w.between(5*time.Second, 20*time.Minute)
			w.c.At(begin, func() { w.say("the controller is away for %s", length); w.c.Down = true })
			w.c.At(begin+length, func() { w.c.Down = false })
		case 6:
			begin, length := at(), w.between(time.Minute, time.Hour)
			w.c.At(begin, func() { w.say("the database is away for %s", length); w.c.AcctDown = true })
			w.c.At(begin+length, func() { w.c.AcctDown = false })
		case 7:
			w.damage = true
		case 8:
			w.c.At(at(), func() { w.c.KillCaller(1+i%6, i%2 == 0) })
		}
	}
	w.budget = w.rand.IntN(3)
	if w.chance(25) {
		left := 1 + w.rand.IntN(3)
		w.c.LoseNext = func(name string, _ []string) int {
			if left > 0 && w.chaos && w.chance(10) {
				left--
				return 1 + w.rand.IntN(2)
			}
			return 0
		}
	}
}

// meddle draws what persons do while the jobs are at work.
func (w *world) meddle(until time.Duration, variant int, options []string) {
	for range w.rand.IntN(4) {
		i := w.rand.IntN(1000)
		var act func()
		switch w.rand.IntN(8) {
		case 0:
			act = func() { w.submit(variant, w.kill(), options...) }
		case 1:
			act = func() { w.submit(w.rand.IntN(len(variants)), w.kill(), options...) }
		case 2:
			act = func() { w.submit(w.rand.IntN(len(variants)), w.kill(), append(slices.Clone(options), "--replace")...) }
		case 3:
			act = func() { w.cancel(w.kill()) }
		case 4:
			act = func() { w.scancel(i) }
		case 5:
			act = func() { w.rerun(w.kill()) }
		case 6:
			act = func() { w.person([]string{"status", w.work()}, w.kill(), nil) }
		case 7:
			act = func() { w.rerun(0); w.rerun(0) }
		}
		w.c.At(w.between(time.Second, until), act)
	}
}

func (w *world) rerun(kill int) {
	if kill > 0 && w.wish < 0 {
		w.wish, w.since = -2, w.c.Elapsed() // perhaps something is wished again
	}
	w.person([]string{"rerun", "--work", w.work()}, kill, func(code int, _, _ string) {
		if w.wish == -1 {
			w.wish = -2
		}
	})
	if w.wish == -1 {
		w.wish = -2 // from now on its jobs may deploy
	}
}

// cancel is final as soon as the command has said so.
func (w *world) cancel(kill int) {
	w.person([]string{"cancel", w.work()}, kill, func(code int, _, _ string) {
		if code == 0 {
			w.wish, w.since = -1, w.c.Elapsed()
		}
	})
}

// scancel is a person who knows Slurm. What was cancelled stays so until a person says something else; of the jobs that
// only look after others that need not be.
func (w *world) scancel(i int) {
	id, name := w.c.Target(i)
	if id == "" {
		return
	}
	w.say("a person types: scancel %s (%s)", id, name)
	w.slurm(func(p *slurmsim.Process) {
		_, _, err := p.Command(p.Context(), "scancel", id)
		if err == nil && !strings.HasSuffix(name, "-repair") && w.wish >= 0 {
			w.wish, w.since = -1, w.c.Elapsed()
		}
	})
}

// slurm is a person who types commands of Slurm.
func (w *world) slurm(do func(p *slurmsim.Process)) {
	w.persons++
	p := &slurmsim.Process{Name: fmt.Sprintf("person%d", w.persons), Host: fmt.Sprintf("login%d", w.persons%2), Env: map[string]string{}}
	w.c.Go(p, func(p *slurmsim.Process) slurmsim.Status {
		do(p)
		return slurmsim.Status{}
	}, func(slurmsim.Status) {})
}

// state asks for the state, as a person would. text is what the command says to people.
func (w *world) state() (done bool, code int, text string) {
	ended := 0
	w.person([]string{"status", "--json", w.work()}, 0, func(_ int, stdout, _ string) {
		var r struct {
			Done bool `json:"done"`
		}
		_ = json.NewDecoder(strings.NewReader(stdout)).Decode(&r)
		done, ended = r.Done, ended+1
	})
	w.person([]string{"status", w.work()}, 0, func(c int, stdout, stderr string) {
		code, text, ended = c, stdout+stderr, ended+1
	})
	if !w.c.Run(time.Hour, func() bool { return ended == 2 }) {
		w.fail("status does not end")
	}
	return done, code, text
}

// settle lets everything come to its end.
func (w *world) settle(what string) {
	quiet := func() bool { return w.c.Persons() == 0 && w.c.Quiet() }
	if !w.c.Run(modelHorizon, quiet) {
		w.fail("%s: jobs or commands are at work after %s: %v", what, modelHorizon, w.c.Names())
	}
}

// hinted is the command that a hint asks a person to type.
var hinted = regexp.MustCompile("(rawstatus (?:rerun|submit|cancel)|scontrol release)([^\n`;(]*)")

// play runs the scenario of a seed and returns what was wrong.
func (s *stage) play(t *testing.T, seed uint64) *world {
	w := &world{stage: s, t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 15)), dir: filepath.Join(s.dir, fmt.Sprint("seed", seed)), accepted: map[int]bool{}, wish: -1, chaos: true}
	w.site(t)
	defer os.RemoveAll(w.dir)
	synctest.Test(t, func(t *testing.T) {
		w.c = w.cluster()
		defer w.c.Close()
		variant, options := w.rand.IntN(len(variants)), w.options()
		chaos := w.between(10*time.Minute, 2*time.Hour)
		w.troubles(chaos)
		w.submit(variant, w.kill(), options...)
		w.meddle(chaos, variant, options)
		w.c.Run(chaos, func() bool { return w.c.Elapsed() > chaos })
		w.chaos, w.c.Down, w.c.AcctDown = false, false, false
		w.say("-- nothing goes wrong any more")
		w.settle("afterwards")
		w.judge(options)
	})
	return w
}

// judge wants every submission to have ended, and what is wished to be done in the end.
func (w *world) judge(options []string) {
	if w.wish == -1 {
		w.neverAfter("a cancel")
	}
	for try := 0; ; try++ {
		done, code, text := w.state()
		if done {
			break
		}
		m := hinted.FindStringSubmatch(text)
		w.wish = -2
		switch {
		case try == 6:
			w.fail("still not done after %d commands of a person: exit code %d: %s", try, code, text)
			return
		case m != nil && m[1] == "scontrol release":
			w.say("a person types: scontrol release %s", m[2])
			w.slurm(func(p *slurmsim.Process) {
				_, _, _ = p.Command(p.Context(), "scontrol", append([]string{"release"}, strings.Fields(m[2])...)...)
			})
		case m != nil:
			w.person(append(strings.Fields(m[1])[1:], strings.Fields(m[2])...), 0, nil)
		case strings.Contains(text, "no plan in work directory"): // the submission was killed before it left anything
			w.person(w.last, 0, nil)
		default:
			w.fail("no command that goes on: exit code %d: %s", code, text)
			return
		}
		w.settle("after a person's command")
	}
	w.right()
}

// neverAfter wants no deployment after what was wished ended.
func (w *world) neverAfter(what string) {
	for _, d := range w.deployments {
		if d.at > w.since {
			w.fail("variant %d is deployed at %.1f s, after %s at %.1f s", d.variant, d.at.Seconds(), what, w.since.Seconds())
		}
	}
}

// right checks what is left at the end.
func (w *world) right() {
	p, err := plan.Load(w.work())
	if err != nil {
		w.fail("the plan is gone: %v", err)
		return
	}
	v := w.variantOf(p)
	if !w.holds(v) {
		w.fail("the repository is not what an undisturbed job of variant %d leaves", v)
	}
	last := -1
	for _, d := range w.deployments {
		if !w.accepted[d.variant] {
			w.fail("variant %d was deployed, which nobody has asked for", d.variant)
		}
		last = d.variant
	}
	if last != v {
		w.fail("variant %d is deployed at the end, and variant %d is in the work directory", last, v)
	}
	if n := w.c.Calls["sbatch"]; n > 40+40*w.persons {
		w.fail("%d calls of sbatch for %d commands", n, w.persons)
	}
	for _, wrong := range w.c.Wrong {
		w.fail("the model of Slurm does not know: %s", wrong)
	}
}

// scenarios is the number of scenarios to play: RAWSTATUS_TEST_SCENARIOS of them, else n, or less than half of them in a short test.
func scenarios(t *testing.T, n int) int {
	if text := os.Getenv("RAWSTATUS_TEST_SCENARIOS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		n = 2 * n / 5
	}
	return n
}

// shownScenarios bounds the scenarios that are printed.
const shownScenarios = 5

// TestModelScenarios plays random scenarios, RAWSTATUS_TEST_SCENARIOS of them (100 unless it says otherwise; 500 in CI) from
// the seed on.
func TestModelScenarios(t *testing.T) {
	n := scenarios(t, 100)
	first := testenv.Seed(t)
	s := newStage(t)
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	begin := time.Now()
	bad := 0
	for seed := first; seed < first+uint64(n); seed++ {
		w := s.play(t, seed)
		if len(w.failures) == 0 {
			continue
		}
		if bad++; bad <= shownScenarios {
			t.Errorf("seed %d:\n  %s\nscenario:\n%s\nto repeat: %s=%d RAWSTATUS_TEST_SCENARIOS=1 go test -run TestModelScenarios ./cmd/rawstatus", seed, strings.Join(w.failures, "\n  "),
				strings.Join(w.lines, "\n"), testenv.SeedVariable, seed)
		} else {
			t.Errorf("seed %d: %s", seed, w.failures[0])
		}
	}
	took := time.Since(begin)
	t.Logf("%d scenarios in %.1f s: %.0f in a minute, %d wrong", n, took.Seconds(), float64(n)/took.Minutes(), bad)
}
