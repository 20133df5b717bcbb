package slurm

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
)

// Partials remembers which partials of a plan are verified, so that looking again is cheap. A partial is read once as
// long as its size and time stay the same.
type Partials struct {
	Work string
	Plan *plan.Plan

	verified map[int]stamp
	stamp    stamp // of the plan
}

// stamp identifies a file as it was when it was looked at.
type stamp struct {
	size  int64
	mtime time.Time
}

// Lacking returns the tasks without a verified partial, with the reason.
func (v *Partials) Lacking() map[int]string {
	if v.verified == nil {
		v.verified = map[int]stamp{}
	}
	lacks := map[int]string{}
	for n := range v.Plan.Tasks {
		st, err := os.Stat(plan.TaskFile(v.Work, n))
		if err == nil {
			now := stamp{st.Size(), st.ModTime()}
			if v.verified[n] == now {
				continue
			}
			if err = task.Check(v.Work, v.Plan, n); err == nil {
				v.verified[n] = now
				continue
			}
		}
		delete(v.verified, n)
		lacks[n] = "no partial"
		if !errors.Is(err, fs.ErrNotExist) {
			lacks[n] = err.Error()
		}
	}
	return lacks
}
