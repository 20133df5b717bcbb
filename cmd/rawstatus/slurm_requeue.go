package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
)

// pieceFlags say what the job of a command was submitted for.
func pieceFlags() []cli.Flag {
	return command.In(command.Slurm, []cli.Flag{
		&cli.StringFlag{Name: "plan", Usage: "do nothing unless the work directory holds the plan of this `ID`"},
		&cli.StringFlag{Name: "request", Usage: "... and works for the request of this `ID`, as the jobs of submit do"},
	})
}

func pieceOf(c *cli.Context, work string) slurm.Piece {
	return slurm.Piece{Work: work, Plan: c.String("plan"), Request: c.String("request")}
}

// requeued puts the Slurm job around this process back into the queue when err is temporary and no signal caused it, and
// returns err. A lock that is held by others is temporary for a job.
func requeued(c *cli.Context, e *environment, err error) error {
	if code := fault.CodeOf(err); code != fault.Temporary && code != fault.Busy || c.Context.Err() != nil {
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
