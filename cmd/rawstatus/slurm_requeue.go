package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
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
