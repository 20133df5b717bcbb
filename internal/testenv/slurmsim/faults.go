package slurmsim

import (
	"strconv"
	"time"
)

// LoseNode cuts a node's power, or with apart its network only: its processes go on then. It returns the name, or nothing if no
// node is up. The node comes back after a while.
func (c *Cluster) LoseNode(i int, apart bool, back time.Duration) string {
	n := c.nodes[i%len(c.nodes)]
	if !n.up {
		return ""
	}
	n.up = false
	c.trace("%s is lost, apart: %t", n.name, apart)
	var procs []*Process
	for _, e := range n.running {
		procs = append(procs, e.proc)
		if apart {
			e.proc.Apart = true
		} else {
			e.proc.Kill()
		}
	}
	c.at(c.cfg.NodeTimeout, func() {
		for _, e := range append([]*element(nil), n.running...) {
			p := e.proc
			if e.job.opt.requeue {
				e.proc = &Process{c: c, cancel: func(error) {}, ended: true}
				c.requeue(e, string(nodeFail), false)
			} else {
				c.leave(e, nodeFail, Status{}, "NodeDown")
			}
			e.proc = nil
			_ = p
		}
	})
	c.at(max(back, c.cfg.NodeTimeout+time.Second), func() {
		c.trace("%s is back", n.name)
		n.up, c.sched = true, true
		for _, p := range procs {
			if !p.ended {
				p.Kill() // slurmd ends what the controller does not know any more
			}
		}
	})
	return n.name
}

// pick returns one of the running elements.
func (c *Cluster) pick(i int) *element {
	if all := c.runningNow(); len(all) > 0 {
		return all[i%len(all)]
	}
	return nil
}

// Preempt takes a running job off its node, back into the queue.
func (c *Cluster) Preempt(i int) {
	if e := c.pick(i); e != nil && e.job.opt.requeue {
		c.requeue(e, "PREEMPTED", false)
	}
}

// Overrun lets a running job exceed its memory.
func (c *Cluster) Overrun(i int) {
	e := c.pick(i)
	if e == nil {
		return
	}
	e.proc.Kill()
	e.rss = int64(e.job.opt.mem) << 20
	if c.cfg.StepOOM {
		e.stepOOM = true
		st := Status{0, 9}
		if c.cfg.Rand.IntN(2) == 0 {
			st = Status{137, 0}
		}
		c.leave(e, failed, st, "NonZeroExitCode")
		return
	}
	c.leave(e, oom, Status{0, 125}, "OutOfMemory")
}

// Crash kills the process of a running job.
func (c *Cluster) Crash(i int) {
	if e := c.pick(i); e != nil {
		e.proc.Kill()
		c.died(e.proc)
	}
}

// Hold requeues a running job into the held state, as Slurm does when its launch has failed.
func (c *Cluster) Hold(i int) {
	if e := c.pick(i); e != nil {
		p := e.proc
		p.Kill()
		c.requeue(e, "REQUEUED", true)
		e.reason = "launch failed requeued held"
	}
}

// Live lists the ids of arrays and jobs that are queued or run.
func (c *Cluster) Live() (ids []int) {
	for _, id := range c.order {
		if !c.jobs[id].over() {
			ids = append(ids, id)
		}
	}
	return ids
}

// Names lists the names of the jobs that are queued or run, with their ids.
func (c *Cluster) Names() map[int]string {
	names := map[int]string{}
	for _, id := range c.Live() {
		names[id] = c.jobs[id].opt.name
	}
	return names
}

// Target names a job or an element that is queued or runs, for a person to cancel, and the name of its job.
func (c *Cluster) Target(i int) (id, name string) {
	live := c.Live()
	if len(live) == 0 {
		return "", ""
	}
	j := c.jobs[live[i%len(live)]]
	if i%3 == 0 && j.opt.isArray {
		for _, e := range j.elements {
			if !e.over() {
				return e.name(), j.opt.name
			}
		}
	}
	return strconv.Itoa(j.id), j.opt.name
}

// KillCaller lets the next process of a job that calls Slurm die at its n-th call.
func (c *Cluster) KillCaller(n int, after bool) { c.killNext, c.killAfter = n, after }

// Persons counts the processes of people that run.
func (c *Cluster) Persons() int { return c.persons }
