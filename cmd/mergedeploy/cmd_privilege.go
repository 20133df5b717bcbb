package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
)

func newPrivilegeCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:        "privilege",
		Usage:       "say whether you may deploy into the calibration database of an experiment",
		Description: "Asks the service with your Kerberos ticket or token, and writes nothing. The exit code is 2 when you may not.",
		Flags:       append(wsFlags(), &cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT`, e.g. xpptut15", Required: true}),
		Action:      func(c *cli.Context) error { return runPrivilege(c, e) },
	}
}

// writable is the result of privilege.
type writable struct {
	Database string `json:"database"`
	URL      string `json:"url"`
}

func runPrivilege(c *cli.Context, e *environment) error {
	exp := c.String("exp")
	if err := access.CheckName("experiment", exp); err != nil {
		return err
	}
	ws, err := client(c, e)
	if err != nil {
		return err
	}
	db := "cdb_" + exp
	if err := ws.MayWrite(c.Context, db); err != nil {
		return fault.New(fault.CodeOf(err), "you may not write into %s: %w", db, err)
	}
	if e.JSON {
		return e.PrintJSON(writable{db, ws.WriteURL})
	}
	_, err = fmt.Fprintf(e.Stdout, "you may write into %s at %s\n", db, ws.WriteURL)
	return err
}
