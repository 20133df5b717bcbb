package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
)

// dataFlags name raw data and a detector; every command that reads raw data has them.
func dataFlags() []cli.Flag {
	return command.In(command.Data, []cli.Flag{
		command.Check(&cli.StringFlag{Name: "dataset", Aliases: []string{"k"}, Usage: "data set `STRING`, e.g. exp=xpptut15,run=260,dir=/path (colons too)"}, command.Parses(open.ParseDataset)),
		&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT`, e.g. xpptut15"},
		command.Check(&cli.StringFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN` number"}, command.Parses(open.ParseRuns)),
		&cli.StringFlag{Name: "dir", Usage: "`DIR` with the run's files", DefaultText: "searched under the site's data roots"},
		&cli.StringSliceFlag{Name: "file", Usage: "raw `FILE` instead of a run; may be repeated"},
		command.AtLeast(&cli.IntFlag{Name: "run-in-file", Usage: "run `NUMBER` inside files that hold several"}, 0),
		&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "`DETECTOR` name; may be left out when the data have only one"},
		command.Check(&cli.StringFlag{Name: "det-type", Usage: "detector `TYPE` of the frames in a .npy file, e.g. jungfrau", DefaultText: "npy: 16 bits, one gain"}, detector.CheckType),
		command.AtLeast(&cli.DurationFlag{Name: "settle", Usage: "`TIME` that a file without end of run must not change to count as complete", Value: 2 * time.Second}, 0),
	})
}

// detTypeFlag is --det-type of commands that look into the repository.
func detTypeFlag(usage string) cli.Flag {
	return command.In(command.Data, []cli.Flag{command.Check(&cli.StringFlag{Name: "det-type", Usage: usage}, detector.CheckType)})[0]
}

// filesOf returns the raw files named by --file and, where a command takes files, by its arguments.
func filesOf(c *cli.Context) []string {
	files := c.StringSlice("file")
	if c.Command.Name == "inspect" {
		files = append(files, c.Args().Slice()...)
	}
	return files
}

// datasetOf makes the data set that the flags name; a flag wins over the same key in --dataset.
func datasetOf(c *cli.Context, e *environment) (open.Dataset, error) {
	return datasetFrom(c, e, open.Dataset{})
}

// datasetFrom is datasetOf for flags that change a given data set.
func datasetFrom(c *cli.Context, e *environment, d open.Dataset) (open.Dataset, error) {
	var err error
	if s := c.String("dataset"); s != "" {
		if d, err = open.ParseDataset(s); err != nil {
			return d, err
		}
	}
	if c.IsSet("exp") {
		d.Experiment = c.String("exp")
	}
	if c.IsSet("run") {
		if d.Runs, err = open.ParseRuns(c.String("run")); err != nil {
			return d, fault.New(fault.Usage, "--run %q: %w", c.String("run"), err)
		}
	}
	if c.IsSet("dir") {
		d.Dir = c.String("dir")
	}
	if c.IsSet("det") {
		d.Detector = c.String("det")
	}
	d.Files, d.RunInFile, d.Roots = filesOf(c), c.Int("run-in-file"), e.Site.DataRoots
	d.Frames.Type = c.String("det-type")
	if len(d.Files) == 1 && d.Dir == "" {
		if st, err := os.Stat(d.Files[0]); err == nil && st.IsDir() { // people name the folder as they name a file
			d.Dir, d.Files = d.Files[0], nil
		}
	}
	if npy := func(path string) bool { return filepath.Ext(path) == ".npy" }; c.IsSet("det-type") && !slices.ContainsFunc(d.Files, npy) {
		return d, fault.New(fault.Usage, "--det-type is for frames in a .npy file: raw data say their type themselves").WithHint("leave it out")
	}
	if len(d.Files) == 0 && d.Experiment == "" && d.Dir == "" {
		return d, fault.New(fault.Usage, "no raw data named").WithHint("give --exp and --run (with --dir), or --dataset, or files")
	}
	return d, nil
}
