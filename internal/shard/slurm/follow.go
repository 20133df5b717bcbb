package slurm

import (
	"context"
	"time"
)

// quietPolls is how many looks in a row must find no job of ours before the jobs count as ended: between the end of one
// job and the start of the next, Slurm may for a moment show neither.
const quietPolls = 3

// Follow looks, or makes steps, until over says that there is nothing to wait for, and shows every view.
func (q *Queue) Follow(ctx context.Context, every time.Duration, look func(context.Context) (*View, error), show func(*View), over func(*View) bool) (*View, error) {
	for {
		v, err := look(ctx)
		if err != nil {
			return nil, err
		}
		show(v)
		if over(v) {
			return v, nil
		}
		if err := q.Client.Sleep(ctx, every); err != nil {
			return v, err
		}
	}
}

// Quiet makes a function that reports whether all is done, or no job of ours has been seen for some looks.
func Quiet() func(*View) bool {
	quiet := 0
	return func(v *View) bool {
		if quiet++; v.Active {
			quiet = 0
		}
		return v.Count(Done) == len(v.Items) || v.Replaced || quiet >= quietPolls || v.packed && v.settled()
	}
}

// settled reports whether a campaign will not get further without a person.
func (v *View) settled() bool { return v.Over() || v.Cancelled != "" }

// Goes reports whether the state can change by itself.
func (v *View) Goes() bool { return v.Active && !v.Replaced && !(v.packed && v.settled()) }
