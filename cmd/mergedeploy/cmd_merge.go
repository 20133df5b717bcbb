package main

import (
	"slices"

	"github.com/urfave/cli/v2"
)

func newMergeCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:        "merge",
		Usage:       "merge only: write status_merged and the detector's array into the repository",
		Description: "Takes no calibration directory and weighs nothing. deploy does the same first.",
		Flags:       slices.Concat(subjectFlags(), mergeFlags()),
		Action: func(c *cli.Context) error {
			s, err := begin(c, e)
			if err != nil {
				return err
			}
			defer s.end()
			m, err := s.merge(c, e, nil)
			if err != nil || !e.JSON {
				return err
			}
			return e.PrintJSON(m)
		},
	}
}
