package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
)

func newConfigCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "show the configuration in force and where each value comes from",
		Description: "The text printed is a valid site file. Precedence: flag, environment (RAWSTATUS_<KEY>, SIT_PSDM_DATA, SIT_ROOT,\n" +
			"LCLS_CALIB_HTTP), site file, default.",
		Flags:  []cli.Flag{command.Repository(), command.CalibDir()},
		Action: func(*cli.Context) error { return runConfig(e) },
	}
}

// runConfig prints every setting with its origin.
func runConfig(e *environment) error {
	values := e.Site.Values()
	if e.JSON {
		return e.PrintJSON(values)
	}
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for _, v := range values {
		fmt.Fprintf(w, "%s = %s\t# %s\n", v.Key, v.Text(), v.Origin)
	}
	return w.Flush()
}
