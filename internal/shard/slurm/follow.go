package slurm

import (
	"context"
	"time"
)

// quietPolls is how many reports in a row must find no job of ours before the chain counts as ended: between the end of one
// job and the start of the next, Slurm may for a moment show neither.
const quietPolls = 3

// Follow looks at the chain until it is done or no job of it is left, and shows every report. Where a repair job has
// made the plan again it goes on with the jobs of the new one.
func (c *Chain) Follow(ctx context.Context, every time.Duration, show func(*Report)) (*Report, error) {
	for quiet := 0; ; {
		r, err := c.Report(ctx)
		if err != nil {
			return nil, err
		}
		if show != nil {
			show(r)
		}
		if quiet++; r.Active {
			quiet = 0
		}
		if r.Done {
			return r, nil
		}
		if quiet >= quietPolls {
			next, err := OpenChain(c.Client, c.Work)
			if err != nil || next.Plan.ID == c.Plan.ID {
				return r, err
			}
			same := next.Request
			if same.Plan = c.Request.Plan; same.ID() != c.Request.ID() {
				return r, nil // another submission has taken its place
			}
			*c, quiet = *next, 0
		}
		if err := c.Client.Sleep(ctx, every); err != nil {
			return r, err
		}
	}
}
