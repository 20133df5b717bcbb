package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibws"
)

func newHistoryCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "history",
		Usage: "list the deployments, oldest first",
		Flags: append(lookFlags(), &cli.BoolFlag{Name: "all", Usage: "also what was aborted, and what other programs had deployed"},
			&cli.BoolFlag{Name: "dark", Usage: "the sets of constants of dark runs"}),
		Action: func(c *cli.Context) error {
			if c.Bool("dark") {
				return historyOfSets(c, e)
			}
			dest, err := destinationNamed(c, e, false)
			if err != nil {
				return err
			}
			records, err := dest.Records()
			if err != nil {
				return err
			}
			shown := []calib.Record{}
			for _, r := range records {
				if c.Bool("all") || r.State != calib.Aborted {
					shown = append(shown, r)
				}
			}
			if e.JSON {
				return e.PrintJSON(shown)
			}
			if ws, ok := dest.Store.(*calibws.Store); ok {
				if err := ws.Resolve(c.Context); err != nil {
					e.Log.Warnf("the names in the database are not known: %v", err)
				}
			}
			fmt.Fprintln(e.Stdout, dest)
			if dir, ok := dest.Store.(*calibdir.Dir); ok && c.Bool("all") {
				others, err := dir.Others()
				if err != nil {
					return err
				}
				for _, line := range others {
					fmt.Fprintf(e.Stdout, "by another program: %s\n", line)
				}
			}
			for _, r := range shown {
				fmt.Fprintf(e.Stdout, "%s  %-8s %-7s %-10s %8d bad  run %d  %s@%s %s", r.ID, r.Action, r.State, r.Range, r.Bad, r.Run,
					r.Login, r.Host, r.Time.In(e.Site.Location()).Format(time.RFC3339))
				for _, text := range []string{r.Comment, r.Reason} {
					if text != "" {
						fmt.Fprintf(e.Stdout, "  %s", text)
					}
				}
				fmt.Fprintln(e.Stdout)
			}
			return nil
		},
	}
}
