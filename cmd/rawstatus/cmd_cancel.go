package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/shard/slurm"
)

// cancelled is the result of cancel.
type cancelled struct {
	Jobs []int `json:"cancelled"` // ids
}

func newCancelCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "cancel",
		Usage:     "cancel the jobs of a plan or campaign; partials stay, `rawstatus rerun` goes on",
		ArgsUsage: "WORKDIR|CAMPAIGNDIR",
		Flags:     []cli.Flag{workFlag()},
		Action: func(c *cli.Context) error {
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			q, err := openQueue(c.Context, work)
			if err != nil {
				return err
			}
			ids, err := cancelJobs(c.Context, q)
			if err != nil {
				return err
			}
			if e.JSON {
				return e.PrintJSON(cancelled{ids})
			}
			if len(ids) == 0 {
				_, err = io.WriteString(e.Stdout, "no job is queued or running\n")
				return err
			}
			_, err = fmt.Fprintf(e.Stdout, "cancelled %v\n", ids)
			return err
		},
	}
}

// cancelJobs cancels all jobs that were submitted from the directory of a queue.
func cancelJobs(ctx context.Context, q *slurm.Queue) ([]int, error) {
	unlock, err := q.Lock(ctx, slurm.PersonWaits)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return q.Cancel(ctx)
}
