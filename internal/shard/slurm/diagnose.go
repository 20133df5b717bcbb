package slurm

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"rawstatus/internal/fault"
)

// Verdict is the next step for a task without a partial.
type Verdict struct {
	Action  Action
	Reason  string        // one line for people: what happened
	Mem     int64         // at least this much memory in MB, 0 as before
	Time    time.Duration // at least this much time, 0 as before
	Exclude []string      // not on these nodes
}

// Action is the kind of step that is taken for a task without a partial.
type Action int

// The actions. A person's rerun takes Hold tasks, too; an automatic repair does not.
const (
	Retry Action = iota // submit again
	Wait                // Slurm is still at it
	Hold                // a person cancelled it
	Stop                // it would fail again: a person has to act first
)

// mostExcluded bounds the nodes that are left out: a site where more fail has another trouble.
const mostExcluded = 8

// Growth of requests after a failure for want of memory or time.
const growth = 2

// signalSlack is how long before its limit a task may have been told to end: --signal's 60 s, the 60 s by which
// Slurm may be early, and the time to start.
const signalSlack = 125 * time.Second

// Diagnose says what a task without a verified partial needs, from Slurm's record of its latest start (nil when
// Slurm knows nothing).
func Diagnose(e *Element) Verdict {
	if e == nil {
		return Verdict{Action: Retry, Reason: "never ran, or Slurm has forgotten it"}
	}
	v := diagnoseEnd(e)
	for _, n := range e.LostNodes {
		if !slices.Contains(v.Exclude, n) {
			v.Exclude = append(v.Exclude, n)
		}
	}
	return v
}

func diagnoseEnd(e *Element) Verdict {
	moreTime := Verdict{Action: Retry, Time: growth * e.TimeLimit,
		Reason: fmt.Sprintf("ran out of its time of %s", e.TimeLimit)}
	moreMemory := Verdict{Action: Retry, Mem: growth * e.ReqMemMB,
		Reason: fmt.Sprintf("ran out of its memory of %d MB on %s", e.ReqMemMB, e.Node)}
	switch e.State {
	case Completed:
		return Verdict{Action: Retry, Reason: "finished, but its partial is missing or damaged"}
	case OutOfMemory:
		return moreMemory
	case Timeout:
		return moreTime
	case NodeFail, BootFail:
		return Verdict{Action: Retry, Reason: fmt.Sprintf("node %s failed", e.Node)}
	case Preempted, Deadline:
		return Verdict{Action: Retry, Reason: fmt.Sprintf("ended by Slurm: %s", e.State)}
	case Cancelled:
		if e.Reason == neverSatisfied {
			return Verdict{Action: Retry, Reason: "could not start: a job before it failed"}
		}
		return Verdict{Action: Hold, Reason: "cancelled"}
	case LaunchFailed, ReconfigFail:
		return Verdict{Action: Retry, Reason: fmt.Sprintf("Slurm could not start it: %s", e.state())}
	case Revoked:
		return Verdict{Action: Stop, Reason: "another cluster of the federation has taken it: " + e.state()}
	case Lost:
		return Verdict{Action: Retry, Reason: "Slurm has forgotten it: " + e.Reason}
	case Unanswered:
		return Verdict{Action: Retry, Reason: "Slurm's controller has forgotten it, and its accounts do not answer"}
	case Failed:
	default:
		return Verdict{Action: Wait, Reason: string(e.State)}
	}
	signal := e.Signal
	if e.Exit > signalBase && e.Exit < signalBase+64 { // as a shell says it
		signal = e.Exit - signalBase
	}
	switch {
	case e.StepOOM:
		return moreMemory
	case (e.Exit == int(fault.Temporary) || e.Signal == int(syscall.SIGTERM)) && e.TimeLimit > 0 && e.Elapsed > e.TimeLimit-signalSlack:
		return moreTime // the signal ends the script when it comes before the program has started
	case e.Exit == int(fault.Temporary):
		return Verdict{Action: Retry, Reason: fmt.Sprintf("temporary failure on %s (exit code 75)", e.Node)}
	case e.Exit == 126 || e.Exit == 127:
		return Verdict{Action: Retry, Exclude: []string{e.Node},
			Reason: fmt.Sprintf("node %s could not start the program (exit code %d)", e.Node, e.Exit)}
	case signal != 0:
		return Verdict{Action: Retry, Reason: fmt.Sprintf("killed by signal %d on %s", signal, e.Node)}
	}
	return Verdict{Action: Stop, Reason: fmt.Sprintf("failed on %s with exit code %d: %s", e.Node, e.Exit, meaning(e.Exit))}
}

// signalBase is added to a signal's number in the exit code of a shell.
const signalBase = 128

// state returns Slurm's word for the state, with its reason.
func (e *Element) state() string {
	if e.Reason == "" || e.Reason == "None" {
		return string(e.State)
	}
	return fmt.Sprintf("%s (%s)", e.State, e.Reason)
}

func meaning(exit int) string {
	for _, m := range fault.Codes() {
		if int(m.Code) == exit {
			return m.Text
		}
	}
	return "see its log"
}

// Escalate returns the resources of the next attempt: those of the last with what the verdicts ask for, within the
// bounds (0: none).
func Escalate(r Resources, verdicts []Verdict, maxMemMB int64, maxTime time.Duration) Resources {
	r.Exclude = slices.Clone(r.Exclude)
	for _, v := range verdicts {
		r.MemMB, r.Time = max(r.MemMB, v.Mem), max(r.Time, v.Time)
		for _, n := range v.Exclude {
			if !slices.Contains(r.Exclude, n) {
				r.Exclude = append(r.Exclude, n)
			}
		}
	}
	if maxMemMB > 0 {
		r.MemMB = min(r.MemMB, maxMemMB)
	}
	if maxTime > 0 {
		r.Time = min(r.Time, maxTime)
	}
	r.Exclude = r.Exclude[max(0, len(r.Exclude)-mostExcluded):]
	slices.Sort(r.Exclude)
	return r
}
