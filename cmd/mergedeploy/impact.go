package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/open"
	"rawstatus/internal/publish"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/campaign"
)

// impact lists the runs whose mask a plan changes, and writes them as a campaign, if asked to.
func impact(c *cli.Context, e *environment, s *session, res *deployResult) error {
	if !c.IsSet("impact") && !c.IsSet("campaign") {
		return nil
	}
	known, err := s.subject.KnownRuns(s.repo, open.Dataset{Dir: c.String("dir"), Roots: e.Site.DataRoots})
	if err != nil {
		return err
	}
	res.Runs = res.Plan.Runs(known, c.Int("impact"))
	publish.WriteRuns(s.out, res.Runs, len(known), c.Int("impact"))
	path := c.String("campaign")
	if path == "" {
		return nil
	}
	if len(res.Runs) == 0 {
		return fault.New(fault.Usage, "no run changes its mask: %q would be a campaign of nothing", path).WithHint("leave --campaign out")
	}
	file, err := rerun(c, s.subject, res)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, atomicfile.Options{}, func(w io.Writer) error { return file.Write(w) }); err != nil {
		return fmt.Errorf("could not write the campaign: %w", err)
	}
	e.Log.Infof("campaign of %s: %s", fault.Count(len(res.Runs), "run"), path)
	return nil
}

// rerun makes the campaign of the runs.
func rerun(c *cli.Context, s *publish.Subject, res *deployResult) (*campaign.File, error) {
	var runs []int
	for _, r := range res.Runs {
		runs = append(runs, r.Run)
	}
	dir := c.String("dir")
	if dir != "" {
		var err error
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, err
		}
	}
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("./: |", r) {
			return '-'
		}
		return r
	}, fmt.Sprintf("rerun-%s-%s-r%04d", s.Run.Experiment, s.Detector, s.Run.Number))
	return &campaign.File{Name: name, Entries: []campaign.Entry{{Experiment: s.Run.Experiment, Runs: ranges.Of(runs).String(), Dir: dir,
		Detectors: []string{s.Detector}, Tag: fmt.Sprintf("mask changed by %s of run %d", res.Plan.Target, s.Run.Number)}}}, nil
}
