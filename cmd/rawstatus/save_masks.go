package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
)

// checkHash refuses what cannot be the beginning of a content hash.
func checkHash(text string) error {
	if len(text) < 4 || strings.Trim(text, "0123456789abcdef") != "" {
		return errors.New("wanted at least four digits (0-9, a-f) of a content hash, as save --list shows it")
	}
	return nil
}

// masksNamed lists the masks that --exp, --run, --det and --det-type select.
func masksNamed(c *cli.Context, e *environment, r *repo.Repo) ([]repo.SavedMask, error) {
	var runs ranges.List
	if c.IsSet("run") {
		var err error
		if runs, err = open.ParseRuns(c.String("run")); err != nil {
			return nil, err
		}
	}
	list, notes, err := r.Masks()
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		e.Log.Warn(n)
	}
	other := func(flag, value string) bool { return c.IsSet(flag) && !strings.EqualFold(c.String(flag), value) }
	return slices.DeleteFunc(list, func(m repo.SavedMask) bool {
		inRuns := runs == nil || slices.ContainsFunc(runs, func(r ranges.Range) bool { return r.First <= m.Run && m.Run <= r.Last })
		return !inRuns || other("exp", m.Experiment) || other("det", m.Detector) || other("det-type", m.DetType)
	}), nil
}

// listMasks prints the masks.
func listMasks(c *cli.Context, e *environment, r *repo.Repo) error {
	list, err := masksNamed(c, e, r)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.PrintJSON(append([]repo.SavedMask{}, list...))
	}
	if len(list) == 0 {
		e.Log.Infof("no masks in %q", r.Root)
	}
	return writeMasks(e.Stdout, list)
}

// writeMasks writes the table of masks.
func writeMasks(w io.Writer, list []repo.SavedMask) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "mask\texperiment\trun\tdetector\tsegments\tgain\truns\tbad\tauthor\tsaved\tcomment")
	for _, m := range list {
		gain := "all"
		if len(m.GainModes) > 0 {
			gain = strings.Join(m.GainModes, ",")
		}
		comment := m.Comment
		if x := m.Retired; x != nil {
			comment = strings.TrimSpace(fmt.Sprintf("RETIRED by %s at %s %s | %s", x.Author, x.Time.Format(time.RFC3339), x.Comment, comment))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.Short(), m.Experiment, m.Run, m.Detector, strings.Trim(fmt.Sprint(m.Segments), "[]"),
			gain, m.Validity, m.Bad, m.Author, m.Saved.Format(time.RFC3339), comment)
	}
	return t.Flush()
}

// retireMask takes one mask out of use.
func retireMask(c *cli.Context, e *environment, r *repo.Repo) error {
	list, err := masksNamed(c, e, r)
	if err != nil {
		return err
	}
	hash := c.String("retire")
	list = slices.DeleteFunc(list, func(m repo.SavedMask) bool { return !strings.HasPrefix(m.Hash, hash) })
	switch {
	case len(list) == 0:
		return fault.New(fault.Input, "%q has no mask %s", r.Root, hash).WithHint("rawstatus save --list lists them")
	case len(list) > 1:
		return fault.New(fault.Usage, "%d masks begin with %s", len(list), hash).WithHint("give more digits, or --exp, --run, --det; rawstatus save --list lists them")
	}
	m := list[0]
	if m.Retired != nil {
		e.Log.Infof("mask %s is retired already, by %s", m.Short(), m.Retired.Author)
	} else if err := r.Retire(c.Context, m, c.String("comment")); err != nil {
		return err
	}
	e.Log.Infof("mask %s of %s run %d is not merged any more; what is deployed changes with the next mergedeploy -D", m.Short(), m.Experiment, m.Run)
	if e.JSON {
		return e.PrintJSON(m)
	}
	return nil
}
