package main

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/shard/campaign"
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
			cancel, err := canceller(c.Context, work)
			if err != nil {
				return err
			}
			ids, err := cancel(c.Context)
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

// canceller returns what cancels the jobs of a plan or campaign.
func canceller(ctx context.Context, work string) (func(context.Context) ([]int, error), error) {
	if !campaign.Is(work) {
		chain, err := openChain(ctx, work)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) ([]int, error) { return cancelJobs(ctx, chain) }, nil
	}
	cam, err := campaign.Open(slurm.NewClient(ctx), work)
	if err != nil {
		return nil, err
	}
	return cam.Cancel, nil
}

// cancelJobs cancels all jobs that were submitted from the work directory of a chain.
func cancelJobs(ctx context.Context, chain *slurm.Chain) (ids []int, err error) {
	unlock, err := slurm.Lock(ctx, chain.Work, slurm.PersonWaits)
	if err != nil {
		return nil, err
	}
	defer unlock()
	chains, err := slurm.Chains(chain.Client, chain.Work)
	if err != nil {
		return nil, err
	}
	for _, c := range chains {
		some, err := c.Cancel(ctx)
		if ids = append(ids, some...); err != nil {
			return ids, err
		}
	}
	return ids, nil
}
