package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
)

// requeued puts the Slurm job around this process back into the queue when err is temporary and no signal caused it, and
// gives err back.
func requeued(c *cli.Context, e *environment, err error) error {
	if fault.CodeOf(err) != fault.Temporary || c.Context.Err() != nil {
		return err
	}
	switch again, errQueue := slurm.RequeueSelf(c.Context); {
	case errQueue != nil:
		e.Log.Warnf("could not requeue this job: %v", errQueue)
	case again:
		e.Log.Warnf("this job is requeued after: %v", err)
	}
	return err
}
