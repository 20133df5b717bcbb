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

// program is rawstatus.
func program() command.Program {
	return command.Program{
		Name:        "rawstatus",
		Usage:       "find bad pixels in raw data and write their status into the constants repository",
		WithoutSite: []string{"bits", "simulate", "demo"},
		Explains:    "config",
		Daily: []string{"dataset", "exp", "run", "dir", "file", "det", "profile", "features", "events", "allow-incomplete", "repository", "work",
			"tasks", "partition", "time", "wait", "dry-run", "deploy"},
		Commands: func(e *environment) []*cli.Command {
			// To add a command: write cmd_<name>.go with new<Name>Command(e), and put it into this list,
			// which is in the order of the help text.
			return []*cli.Command{
				newRunCommand(e),
				newDarkCommand(e),
				newPlanCommand(e),
				newTaskCommand(e),
				newReduceCommand(e),
				newReevalCommand(e),
				newScanCommand(e),
				newReportCommand(e),
				newSubmitCommand(e),
				newStatusCommand(e),
				newRerunCommand(e),
				newCancelCommand(e),
				newPruneCommand(e),
				newCampaignCommand(e),
				newPostCommand(e),
				newInspectCommand(e),
				newBitsCommand(e),
				newDiffCommand(e),
				newExplainCommand(e),
				newExportCommand(e),
				newSaveCommand(e),
				newConfigCommand(e),
				newSimulateCommand(e),
				newDemoCommand(e),
			}
		},
	}
}
