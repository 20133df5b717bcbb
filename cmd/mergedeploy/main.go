package main

import (
	"context"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
)

func main() { os.Exit(run(context.Background(), os.Stdout, os.Stderr, os.Args)) }

// environment is passed to each command: writers, log, site configuration.
type environment = command.Env

// run is the whole program but for the end of the process; tests call it.
func run(ctx context.Context, stdout, stderr io.Writer, args []string) int {
	return program().Run(ctx, stdout, stderr, args)
}

// program is mergedeploy.
func program() command.Program {
	return command.Program{
		Name:  "mergedeploy",
		Usage: "merge the status files of a run and deploy them as calibration constants",
		Description: "Without a command's name the flags are those of deploy:\n" +
			"  mergedeploy -e EXP -r RUN -d DET [-o REPO] [-c CALIBDIR] [-R 0-end] [-t TSTAMP] [-D]",
		Default: "deploy",
		Daily: []string{"dataset", "exp", "run", "dir", "det", "tstamp", "repository", "only", "exclude", "missing-gain", "backend", "calib-dir",
			"validity", "deploy", "dry-run", "comment"},
		Commands: func(e *environment) []*cli.Command {
			return []*cli.Command{
				newDeployCommand(e),
				newMergeCommand(e),
				newHistoryCommand(e),
				newShowCommand(e),
				newDiffCommand(e),
				newRollbackCommand(e),
				newVerifyCommand(e),
				newGCCommand(e),
				newPrivilegeCommand(e),
				newServeCommand(e),
			}
		},
	}
}
