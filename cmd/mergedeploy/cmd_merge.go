package main

import (
	"slices"

	"github.com/urfave/cli/v2"
)

func newMergeCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:        "merge",
		Usage:       "merge only: write status_merged and the detector's array into the repository",
		Description: "Needs no calibration directory and judges nothing. deploy does the same first.",
		Flags:       slices.Concat(subjectFlags(), pieceFlags(), mergeFlags()),
		Action: func(c *cli.Context) error {
			return asPiece(c, e, func(j *piece) error { return runMerge(c, e, j) })
		},
	}
}

func runMerge(c *cli.Context, e *environment, j *piece) error {
	s, err := begin(c, e)
	if err != nil {
		return err
	}
	defer s.end()
	m, err := s.merge(c, e, nil)
	if err == nil {
		err = j.made(m)
	}
	if err != nil || !e.JSON {
		return err
	}
	return e.PrintJSON(m)
}
