package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
)

// ascending sorts numbers and leaves each once.
func ascending(numbers []int) []int {
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

const barWidth = 30

// defaultEvery is how often the jobs of one run are looked at.
const defaultEvery = 2 * time.Second

// follow shows progress until the jobs end, and returns its outcome. Interrupted, it asks whether the jobs shall go on.
func follow(ctx context.Context, e *environment, q *slurm.Queue, every time.Duration) error {
	p := progress{w: e.Stderr, quiet: e.Quiet, begin: time.Now()}
	if f, ok := e.Stderr.(*os.File); ok {
		p.bar = term.IsTerminal(int(f.Fd()))
	}
	shown := newCounters(e, q.Request.Counters)
	v, err := q.Follow(ctx, every, q.Look, func(v *slurm.View) {
		p.show(v.Items[0])
		shown.follow(ctx, v.Items[0])
	}, slurm.Quiet())
	p.end()
	if err != nil {
		if fault.CodeOf(context.Cause(ctx)) == fault.Interrupted {
			return interrupted(ctx, e, q)
		}
		return err
	}
	return q.Outcome(v)
}

// interrupted asks once whether the jobs shall end, too. Where nobody can answer they are cancelled: that is what
// Ctrl-C means; a coordinator that is killed in another way leaves its jobs alone.
func interrupted(ctx context.Context, e *environment, q *slurm.Queue) error {
	cancel := true
	if term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprint(e.Stderr, "cancel the jobs, too? [Y/n] ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		cancel = err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "n")
	}
	if !cancel {
		return fault.New(fault.Interrupted, "interrupted, the jobs go on").WithHint("rawstatus status %s", slurm.Quote(q.Dir))
	}
	ids, err := cancelJobs(context.WithoutCancel(ctx), q)
	if err != nil {
		return err
	}
	return fault.New(fault.Interrupted, "interrupted, jobs %v are cancelled", ids).
		WithHint("go on with: rawstatus rerun --work %s", slurm.Quote(q.Dir))
}

// progress shows how far the jobs are, as a bar on a terminal and as a line for each change elsewhere.
type progress struct {
	w          io.Writer
	bar, quiet bool
	begin      time.Time
	had        int64 // bytes done before
	last       string
	started    bool
}

func (p *progress) show(r *slurm.Report) {
	if p.quiet {
		return
	}
	var done, all int64
	for _, t := range r.Tasks {
		all += t.Bytes
		if t.State == slurm.StateDone {
			done += t.Bytes
		}
	}
	if !p.started {
		p.had, p.started = done, true
	}
	elapsed := time.Since(p.begin)
	rate := float64(done-p.had) / elapsed.Seconds()
	left := "?"
	if rate > 0 {
		left = (time.Duration(float64(all-done)/rate) * time.Second).String()
	}
	state := counts(r)
	if r.Counts[slurm.StateDone] == len(r.Tasks) {
		state = "all tasks done, reduce " + r.Reduce.State
		if r.Deploy != nil {
			state += ", mergedeploy " + r.Deploy.State
		}
	}
	if p.bar {
		full := barWidth
		if all > 0 {
			full = int(barWidth * done / all)
		}
		fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %s  %.2f GB/s  %s left", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), state, rate/1e9, left)
		return
	}
	if state != p.last {
		fmt.Fprintf(p.w, "%8s  attempt %d: %s  %.2f GB/s  %s left\n", elapsed.Round(time.Second), r.Attempts, state, rate/1e9, left)
		p.last = state
	}
}

func (p *progress) end() {
	if p.bar && p.started {
		fmt.Fprintln(p.w)
	}
}
