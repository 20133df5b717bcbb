package slurmsim

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// ErrTerminated is the cause of a process's context after a SIGTERM, unless Config.Terminated is another one.
var ErrTerminated = errors.New("terminated (SIGTERM)")

// Status is how a process ended.
type Status struct{ Code, Signal int }

// Process is a running command: a job's script or something that a person typed. It has the methods of slurm.System.
type Process struct {
	Name   string
	Host   string
	Skew   time.Duration // what its clock is ahead
	Env    map[string]string
	Script string // text of the job script, as it was when the job was submitted
	Path   string // of the job script
	Args   []string
	Start  int // how often the job was started before
	// KillAtCall kills the process at its n-th call of Slurm or wait from now, counted from 1; 0: never. With KillAfter
	// the call has its effect first.
	KillAtCall int
	KillAfter  bool
	// Apart: the node is cut off. Its process goes on and cannot reach Slurm.
	Apart bool

	c      *Cluster
	ctx    context.Context
	cancel context.CancelCauseFunc
	dead   chan struct{} // closed when it is killed
	killed bool
	ended  bool
	job    *element
}

// Context ends when Slurm or a person sends SIGTERM.
func (p *Process) Context() context.Context { return p.ctx }

// Killed reports whether the process was killed.
func (p *Process) Killed() bool { return p.killed }

// Go starts a process of a person on the login node. The function's result is kept for Wait.
func (c *Cluster) Go(p *Process, body func(p *Process) Status, done func(Status)) {
	c.persons++
	c.start(p, body, func(st Status) {
		c.persons--
		done(st)
	})
}

// start runs a process in a goroutine.
func (c *Cluster) start(p *Process, body func(p *Process) Status, done func(Status)) {
	p.c, p.dead = c, make(chan struct{})
	if c.cfg.Skew != nil {
		p.Skew = c.cfg.Skew(p.Host)
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	c.procs.Add(1)
	go func() {
		defer c.procs.Done()
		_ = p.wait(p.ctx, func(resume func()) { resume() }) // its turn comes; body finds a signal
		st := body(p)
		c.park(&call{p: p, run: func() {
			if !p.killed {
				p.ended = true
				done(st)
			}
		}})
	}()
}

// Kill ends a process at once.
func (p *Process) Kill() {
	if !p.killed && !p.ended && p.dead != nil {
		p.killed = true
		if p.job == nil {
			p.c.persons--
		}
		close(p.dead)
	}
}

// Terminate sends SIGTERM.
func (p *Process) Terminate() { p.cancel(p.c.cfg.Terminated) }

// call is something that a process wants of the model. The driver runs it.
type call struct {
	p   *Process
	run func()
}

// park hands a call to the driver.
func (c *Cluster) park(k *call) {
	c.calls <- k
}

// wait parks a call until resume is called by the driver; ctx ends it early where that is allowed.
func (p *Process) wait(ctx context.Context, run func(resume func())) error {
	c := p.c
	done := make(chan struct{})
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			close(done)
		}
	}
	c.park(&call{p: p, run: func() { run(resume) }})
	select {
	case <-done:
	case <-ctx.Done():
		// The driver decides when this process goes on, as always.
		again := make(chan struct{})
		c.park(&call{p: p, run: func() { resumed = true; close(again) }})
		select {
		case <-again:
		case <-p.dead:
			runtime.Goexit()
		case <-c.closed:
			runtime.Goexit()
		}
	case <-p.dead:
		runtime.Goexit()
	case <-c.closed:
		runtime.Goexit()
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return context.Cause(p.ctx)
}

// counts decides whether this call is the one at which the process is killed.
func (p *Process) counts() (before, after bool) {
	if p.c.killNext > 0 && p.job != nil && p.KillAtCall == 0 {
		p.KillAtCall, p.KillAfter, p.c.killNext = p.c.killNext, p.c.killAfter, 0
	}
	if p.KillAtCall == 0 {
		return false, false
	}
	p.KillAtCall--
	if p.KillAtCall > 0 {
		return false, false
	}
	return !p.KillAfter, p.KillAfter
}

// Command runs one of Slurm's commands.
func (p *Process) Command(ctx context.Context, name string, args ...string) (stdout, stderr string, err error) {
	errWait := p.wait(ctx, func(resume func()) {
		if p.killed {
			return
		}
		before, after := p.counts()
		if before {
			p.c.trace("%s is killed before %s", p.Name, name)
			p.Kill()
			p.c.died(p)
			return
		}
		var took time.Duration
		stdout, stderr, took, err = p.c.command(p, name, args)
		if after {
			p.c.trace("%s is killed after %s", p.Name, name)
			p.Kill()
			p.c.died(p)
			return
		}
		p.c.at(took, resume)
	})
	if errWait != nil {
		return "", "", errWait
	}
	return stdout, stderr, err
}

// Sleep waits in virtual time.
func (p *Process) Sleep(ctx context.Context, d time.Duration) error {
	return p.wait(ctx, func(resume func()) {
		if before, after := p.counts(); before || after {
			p.c.trace("%s is killed while it waits", p.Name)
			p.Kill()
			p.c.died(p)
			return
		}
		p.c.at(d, resume)
	})
}

// Work takes the time of a piece of work; false: a signal came.
func (p *Process) Work(d time.Duration) bool {
	return p.wait(p.ctx, func(resume func()) { p.c.at(d, resume) }) == nil
}

// Getenv reads the environment of the process.
func (p *Process) Getenv(key string) string { return p.Env[key] }

// Now returns the clock of the process's host.
func (p *Process) Now() time.Time { return time.Now().Add(p.Skew) }

// String names the process.
func (p *Process) String() string { return fmt.Sprintf("%s on %s", p.Name, p.Host) }
