package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func newConfigCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "show the configuration in force and where each value comes from",
		Action: func(*cli.Context) error {
			_, err := fmt.Fprintf(e.Stdout, "timezone = %q\n", e.Site.Timezone)
			return err
		},
	}
}
