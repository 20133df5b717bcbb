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
		Description: "The text printed is a valid site file. Precedence: flag, site file of --site, RAWSTATUS_<KEY>, site file of RAWSTATUS_SITE\n" +
			"or /etc/rawstatus/site.toml, variables of the original software (SIT_PSDM_DATA, SIT_ROOT, LCLS_CALIB_HTTP, SIT_PSDM_OFFSITE), default.\n" +
			"Settings and variables that do not exist are named, and then the exit code is 2.",
		Flags:  []cli.Flag{command.Repository(), command.CalibDir()},
		Action: func(*cli.Context) error { return runConfig(e) },
	}
}

// runConfig prints every setting with its origin, and what the site file and the environment set that does not exist.
func runConfig(e *environment) error {
	values := e.Site.Values()
	if e.JSON {
		if err := e.PrintJSON(values); err != nil {
			return err
		}
		return e.Site.CheckNames()
	}
	file := e.Site.File()
	if file == "" {
		file = "none"
	}
	fmt.Fprintf(e.Stdout, "# site file: %s\n", file)
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for _, v := range values {
		fmt.Fprintf(w, "%s = %s\t# %s\n", v.Key, v.Text(), v.Origin)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, text := range e.Site.Unknown() {
		fmt.Fprintf(e.Stdout, "# does not exist: %s\n", text)
	}
	return e.Site.CheckNames()
}
