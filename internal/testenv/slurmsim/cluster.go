package slurmsim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing/synctest"
	"time"
)

// Config is a cluster. New fills what is left zero.
type Config struct {
	Nodes        int // node1, node2, ...
	CPUs         int // of a node
	MemMB        int
	MaxArraySize int
	MaxJobCount  int
	MinJobAge    time.Duration // how long an ended job stays in squeue
	NodeTimeout  time.Duration // after which a lost node is noticed
	KillWait     time.Duration // between SIGTERM and SIGKILL
	Requeued     time.Duration // how long a requeued job waits at least
	Latency      time.Duration // of a command, at most
	Accounting   Accounting
	AcctLag      time.Duration // of a row, at most
	StepOOM      bool          // a step out of memory leaves its job FAILED 0:9 instead of OUT_OF_MEMORY
	Terminated   error         // cause of a context after SIGTERM
	// Skew is how much the clock of a host is ahead of the controller's; nil: not at all.
	Skew  func(host string) time.Duration
	Rand  *rand.Rand // source of all that happens by chance
	Trace func(line string)
	// Body is the work of jobs.
	Body func(p *Process) Status
}

// Accounting says how sacct answers.
type Accounting int

// The kinds of accounting.
const (
	AcctOn Accounting = iota
	AcctOff
)

// Cluster is a model of a Slurm cluster.
type Cluster struct {
	cfg    Config
	calls  chan *call
	parked []*call
	events events
	seq    int
	closed chan struct{}
	procs  sync.WaitGroup
	begin  time.Time

	nodes   []*node
	jobs    map[int]*job
	order   []int
	lastJob int
	sched   bool // a pass of the scheduler is due

	// Faults, to be set by the test between steps.
	Down     bool                                 // the controller does not answer
	AcctDown bool                                 // the database does not answer
	LoseNext func(name string, args []string) int // 0: nothing, 1: the call fails before it has an effect, 2: its answer is lost

	killNext  int // call at which the next caller dies, 0: none
	killAfter bool
	persons   int

	Calls map[string]int // of each command
	Wrong []string       // calls that the model does not know
}

type node struct {
	name    string
	up      bool
	cpus    int // free
	mem     int // free
	running []*element
}

// state is Slurm's word.
type state string

// The states of the model.
const (
	pending   state = "PENDING"
	running   state = "RUNNING"
	completed state = "COMPLETED"
	failed    state = "FAILED"
	cancelled state = "CANCELLED"
	timeout   state = "TIMEOUT"
	nodeFail  state = "NODE_FAIL"
	oom       state = "OUT_OF_MEMORY"
)

// job is one call of sbatch.
type job struct {
	id       int
	opt      options
	script   string
	env      map[string]string
	elements []*element
	throttle int
	submit   time.Time
}

// element is an element of an array or, with index -1, a plain job.
type element struct {
	job      *job
	index    int
	id       int // 0 while it has none of its own
	state    state
	reason   string
	waited   string // what it waited for before it started
	held     bool
	queued   time.Time // when it was submitted, or requeued the last time
	begin    time.Time
	node     *node
	nodeName string
	proc     *Process
	started  time.Time
	ended    time.Time
	status   Status
	stepOOM  bool
	restarts int
	by       string // who cancelled it
	gone     bool   // cancelled alone while pending: nobody knows it any more
	history  []row
	asked    bool // SIGTERM before the time limit was sent
	rss      int64
	preempt  bool
}

// row is accounting's record of one start.
type row struct {
	visible time.Time
	state   string
	status  Status
	batch   string
	node    string
	begin   time.Time
	end     time.Time
	reason  string
	start   int
	rss     int64
	id      int
}

func (e *element) over() bool { return e.state != pending && e.state != running }

func (e *element) name() string {
	if e.index < 0 {
		return strconv.Itoa(e.job.id)
	}
	return fmt.Sprintf("%d_%d", e.job.id, e.index)
}

// raw returns the job number of its own, or of its array while it has none.
func (e *element) raw() int {
	if e.id == 0 {
		return e.job.id
	}
	return e.id
}

type event struct {
	when time.Time
	seq  int
	do   func()
}

type events []*event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	return h[i].when.Before(h[j].when) || h[i].when.Equal(h[j].when) && h[i].seq < h[j].seq
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *events) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// New makes a cluster, in a bubble of synctest.
func New(cfg Config) *Cluster {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	wait := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&cfg.Nodes, 4)
	set(&cfg.CPUs, 4)
	set(&cfg.MemMB, 4000)
	set(&cfg.MaxArraySize, 33)
	set(&cfg.MaxJobCount, 2000)
	wait(&cfg.MinJobAge, 10*time.Minute)
	wait(&cfg.NodeTimeout, 10*time.Second)
	wait(&cfg.KillWait, 3*time.Second)
	wait(&cfg.Requeued, 6*time.Second)
	wait(&cfg.Latency, 50*time.Millisecond)
	if cfg.Terminated == nil {
		cfg.Terminated = ErrTerminated
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 1))
	}
	c := &Cluster{cfg: cfg, calls: make(chan *call, 1<<12), closed: make(chan struct{}), jobs: map[int]*job{}, Calls: map[string]int{}, begin: time.Now()}
	for i := range cfg.Nodes {
		c.nodes = append(c.nodes, &node{name: fmt.Sprintf("node%d", i+1), up: true, cpus: cfg.CPUs, mem: cfg.MemMB})
	}
	return c
}

// Close ends all processes. Nothing may be asked of the cluster afterwards.
func (c *Cluster) Close() {
	close(c.closed)
	all := make(chan struct{})
	go func() {
		c.procs.Wait()
		close(all)
	}()
	for {
		select {
		case <-c.calls:
		case <-all:
			return
		}
	}
}

func (c *Cluster) trace(format string, args ...any) {
	if c.cfg.Trace != nil {
		c.cfg.Trace(fmt.Sprintf("%9.1f ", time.Since(c.begin).Seconds()) + fmt.Sprintf(format, args...))
	}
}

// at does something later.
func (c *Cluster) at(d time.Duration, do func()) {
	c.seq++
	heap.Push(&c.events, &event{time.Now().Add(d), c.seq, do})
}

// At does something later, between two steps of processes.
func (c *Cluster) At(d time.Duration, do func()) { c.at(d, do) }

// Elapsed returns the time since the cluster was made.
func (c *Cluster) Elapsed() time.Duration { return time.Since(c.begin) }

// Run lets processes and time go on until stop reports true; false: the time is over.
func (c *Cluster) Run(most time.Duration, stop func() bool) bool {
	end := time.Now().Add(most)
	for {
		synctest.Wait()
		c.take()
		if len(c.parked) > 0 {
			i := c.cfg.Rand.IntN(len(c.parked))
			k := c.parked[i]
			c.parked = slices.Delete(c.parked, i, i+1)
			k.run()
			continue
		}
		if c.sched {
			c.sched = false
			c.at(time.Second, c.schedule)
		}
		if stop() {
			return true
		}
		until := end
		if len(c.events) > 0 && c.events[0].when.Before(end) {
			until = c.events[0].when
		}
		if wait := time.Until(until); wait > 0 {
			// Processes may also wait for clocks of their own, as for a lock.
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case k := <-c.calls:
				timer.Stop()
				c.parked = append(c.parked, k)
			}
			continue
		}
		if len(c.events) == 0 || c.events[0].when.After(end) {
			return false
		}
		next := c.events[0]
		heap.Pop(&c.events)
		next.do()
	}
}

// take gathers the calls that processes have parked, in an order that does not depend on the goroutines' speed.
func (c *Cluster) take() {
	for {
		select {
		case k := <-c.calls:
			c.parked = append(c.parked, k)
		default:
			slices.SortStableFunc(c.parked, func(a, b *call) int {
				return compareNames(a.p.Name, b.p.Name)
			})
			return
		}
	}
}

func compareNames(a, b string) int {
	if a < b {
		return -1
	} else if a > b {
		return 1
	}
	return 0
}

// each calls do for every element in the order of submission.
func (c *Cluster) each(do func(e *element)) {
	for _, id := range c.order {
		for _, e := range c.jobs[id].elements {
			do(e)
		}
	}
}

// active counts the elements that are queued or run.
func (c *Cluster) active() int {
	n := 0
	c.each(func(e *element) {
		if !e.over() {
			n++
		}
	})
	return n
}

// Quiet reports whether no job runs, and none will start unless a person does something: what is left in the queue is held or
// depends on what is held.
func (c *Cluster) Quiet() bool {
	quiet := true
	c.each(func(e *element) {
		if e.state == running || e.state == pending && !e.held && (time.Now().Before(e.begin) || c.depends(e) != depWait) {
			quiet = false
		}
	})
	return quiet
}

// schedule looks at all pending elements once.
func (c *Cluster) schedule() {
	if c.Down {
		c.sched = true
		return
	}
	var candidates []*element
	c.each(func(e *element) {
		if e.state != pending || e.gone {
			return
		}
		switch {
		case e.held:
		case time.Now().Before(e.begin):
			e.reason = "BeginTime"
			c.at(time.Until(e.begin), func() { c.sched = true })
		default:
			switch c.depends(e) {
			case depWait:
				e.reason = "Dependency"
			case depNever:
				e.reason = "DependencyNeverSatisfied"
				if e.job.opt.killInvalid {
					c.trace("%s %s: dependency never satisfied", e.name(), e.job.opt.name)
					e.state, e.ended = cancelled, time.Now()
					e.account("CANCELLED", "Dependency")
					c.finish(e)
				}
			case depReady:
				candidates = append(candidates, e)
			}
		}
	})
	for _, e := range candidates {
		if t := e.job.throttle; t > 0 && e.job.running() >= t {
			e.reason = "JobArrayTaskLimit"
			continue
		}
		if n := c.place(e); n != nil {
			c.launch(e, n)
		} else {
			e.reason = "Resources"
		}
	}
}

func (j *job) running() (n int) {
	for _, e := range j.elements {
		if e.state == running {
			n++
		}
	}
	return n
}

// fits reports whether a node may ever run an element.
func (c *Cluster) fits(o *options, n *node) bool {
	return !slices.Contains(o.exclude, n.name) && (len(o.nodelist) == 0 || slices.Contains(o.nodelist, n.name)) && o.mem <= c.cfg.MemMB && o.cpus <= c.cfg.CPUs
}

func (c *Cluster) place(e *element) *node {
	var free []*node
	for _, n := range c.nodes {
		if n.up && c.fits(&e.job.opt, n) && n.cpus >= e.job.opt.cpus && n.mem >= e.job.opt.mem {
			free = append(free, n)
		}
	}
	if len(free) == 0 {
		return nil
	}
	return free[c.cfg.Rand.IntN(len(free))]
}

// launch starts an element on a node.
func (c *Cluster) launch(e *element, n *node) {
	if e.id == 0 {
		left := 0
		for _, o := range e.job.elements {
			if o.id == 0 && !o.gone {
				left++
			}
		}
		if e.id = e.job.id; left > 1 {
			c.lastJob++
			e.id = c.lastJob
		}
	}
	o := &e.job.opt
	n.cpus, n.mem = n.cpus-o.cpus, n.mem-o.mem
	n.running = append(n.running, e)
	e.state, e.node, e.nodeName, e.started, e.asked, e.preempt = running, n, n.name, time.Now(), false, false
	if e.waited = "None"; e.reason == "Dependency" || e.reason == "BeginTime" {
		e.waited = e.reason
	}
	e.reason = "None"
	c.trace("%s %s starts on %s (start %d)", e.name(), o.name, n.name, e.restarts)
	e.record("RUNNING")
	env := map[string]string{}
	for k, v := range e.job.env {
		env[k] = v
	}
	env["SLURM_JOB_ID"], env["SLURM_JOBID"], env["SLURM_JOB_NAME"], env["SLURMD_NODENAME"] = strconv.Itoa(e.id), strconv.Itoa(e.id), o.name, n.name
	env["SLURM_CPUS_PER_TASK"] = strconv.Itoa(o.cpus)
	if e.index >= 0 {
		env["SLURM_ARRAY_JOB_ID"], env["SLURM_ARRAY_TASK_ID"] = strconv.Itoa(e.job.id), strconv.Itoa(e.index)
	}
	if e.restarts > 0 {
		env["SLURM_RESTART_COUNT"] = strconv.Itoa(e.restarts)
	}
	p := &Process{Name: fmt.Sprintf("%s-%d", e.name(), e.restarts), Host: n.name, Env: env, Script: e.job.script, Path: o.script, Args: o.words, Start: e.restarts, job: e}
	e.proc = p
	c.limits(e, e.restarts)
	c.start(p, c.cfg.Body, func(st Status) { c.exited(e, p, st) })
}

// limits watches the time limit of a start.
func (c *Cluster) limits(e *element, start int) {
	limit := e.job.opt.time
	same := func() bool { return e.state == running && e.restarts == start }
	if before := e.job.opt.signalBefore; before > 0 && before < limit {
		c.at(limit-before, func() {
			if same() {
				c.trace("%s gets SIGTERM before its limit", e.name())
				e.asked = true
				e.proc.Terminate()
			}
		})
	}
	c.at(limit, func() {
		if same() {
			c.trace("%s is at its time limit", e.name())
			e.proc.Terminate()
			c.stop(e, timeout, Status{0, 15}, "TimeLimit")
		}
	})
}

// exited takes in the end of a job's process.
func (c *Cluster) exited(e *element, p *Process, st Status) {
	if e.proc != p || e.state != running || p.Apart {
		return
	}
	switch {
	case st == Status{}:
		c.leave(e, completed, st, "None")
	case st.Signal == 9 && e.stepOOM, st.Code == 137 && e.stepOOM:
		c.leave(e, failed, st, "NonZeroExitCode")
	case st == Status{0, 125}:
		c.leave(e, oom, st, "OutOfMemory")
	case st.Signal != 0:
		c.leave(e, failed, st, "JobLaunchFailure")
	default:
		c.leave(e, failed, st, "NonZeroExitCode")
	}
}

// died is the end of a process that was killed from outside of Slurm.
func (c *Cluster) died(p *Process) {
	if e := p.job; e != nil && e.proc == p && e.state == running {
		c.leave(e, failed, Status{0, 9}, "JobLaunchFailure")
	}
}

// stop ends a running element: what its process does from now on is of no interest to Slurm.
func (c *Cluster) stop(e *element, s state, st Status, reason string) {
	p := e.proc
	c.at(c.cfg.KillWait, func() {
		if !p.ended {
			p.Kill()
		}
	})
	c.leave(e, s, st, reason)
}

// leave takes an element off its node.
func (c *Cluster) leave(e *element, s state, st Status, reason string) {
	c.free(e)
	e.state, e.status, e.ended = s, st, time.Now()
	e.reason = "None"
	if s == failed {
		e.reason = reason
	}
	text := string(s)
	if s == cancelled && e.by != "" {
		text += " by " + e.by
	}
	c.trace("%s %s ends: %s %d:%d", e.name(), e.job.opt.name, text, st.Code, st.Signal)
	e.record(text)
	c.finish(e)
}

func (c *Cluster) free(e *element) {
	if n := e.node; n != nil {
		n.cpus, n.mem = n.cpus+e.job.opt.cpus, n.mem+e.job.opt.mem
		n.running = slices.DeleteFunc(n.running, func(o *element) bool { return o == e })
		e.node = nil
	}
}

func (c *Cluster) finish(*element) { c.sched = true }

// requeue puts a running or ended element back into the queue. was is its state in accounting.
func (c *Cluster) requeue(e *element, was string, hold bool) {
	if e.state == running {
		p := e.proc
		p.Terminate()
		c.at(c.cfg.KillWait, func() {
			if !p.ended {
				p.Kill()
			}
		})
		c.free(e)
		e.ended = time.Now()
		e.status = Status{}
		e.record(was)
	}
	c.trace("%s %s is requeued (%s)", e.name(), e.job.opt.name, was)
	e.restarts++
	e.state, e.nodeName, e.begin, e.held, e.proc = pending, "", time.Now().Add(c.cfg.Requeued), hold, nil
	e.started, e.ended, e.status, e.by, e.queued = time.Time{}, time.Time{}, Status{}, "", time.Now()
	e.reason = "BeginTime"
	if hold {
		e.reason = "job requeued in held state"
	}
	c.sched = true
}

// account adds what accounting knows about a start that never was.
func (e *element) account(text, reason string) {
	e.history = append(e.history, row{state: text, reason: reason, start: -1, visible: time.Now(), end: e.ended})
}

// record adds what accounting knows about the present start.
func (e *element) record(text string) {
	batch := text
	switch {
	case e.stepOOM && text == "FAILED":
		batch = "OUT_OF_MEMORY"
	case text == "REQUEUED" || text == "PREEMPTED" || text == "TIMEOUT" || e.status.Signal != 0 && text != "OUT_OF_MEMORY":
		batch = "CANCELLED"
	}
	status := e.status
	if batch == "CANCELLED" && status == (Status{}) {
		status.Signal = 15
	}
	e.history = append(e.history, row{state: text, status: status, batch: batch, node: e.nodeName, begin: e.started, end: e.ended, reason: e.waited, start: e.restarts,
		visible: time.Now(), rss: e.rss, id: e.id})
}

// The fates of a dependency.
const (
	depReady = iota
	depWait
	depNever
)

// depends evaluates the dependency of an element.
func (c *Cluster) depends(e *element) int {
	if e.job.opt.singleton {
		for _, id := range c.order {
			if id >= e.job.id {
				break
			}
			if o := c.jobs[id]; o.opt.name == e.job.opt.name && !o.over() {
				return depWait
			}
		}
	}
	result := depReady
	for _, d := range e.job.opt.depends {
		switch c.depend(e, d) {
		case depNever:
			return depNever
		case depWait:
			result = depWait
		}
	}
	return result
}

func (j *job) over() bool {
	return !slices.ContainsFunc(j.elements, func(e *element) bool { return !e.over() })
}

func (c *Cluster) depend(e *element, d dependency) int {
	j := c.jobs[d.id]
	if j == nil {
		return depReady // Slurm takes what it does not know for satisfied
	}
	targets := j.elements
	switch {
	case d.kind == "aftercorr" && e.index >= 0:
		targets = slices.DeleteFunc(slices.Clone(targets), func(o *element) bool { return o.index != e.index })
	case d.index >= 0:
		targets = slices.DeleteFunc(slices.Clone(targets), func(o *element) bool { return o.index != d.index })
	}
	ended, good := true, true
	for _, o := range targets {
		switch d.kind {
		case "after":
			if o.state == pending {
				return depWait
			}
		default:
			ended = ended && o.over()
			good = good && o.state == completed
		}
	}
	switch {
	case d.kind == "after":
		return depReady
	case !ended:
		return depWait
	case d.kind == "afterany" || d.kind == "afternotok" && !good || (d.kind == "afterok" || d.kind == "aftercorr") && good:
		return depReady
	}
	return depNever
}

// running returns the running elements, in the order of submission.
func (c *Cluster) runningNow() (all []*element) {
	c.each(func(e *element) {
		if e.state == running {
			all = append(all, e)
		}
	})
	return all
}
