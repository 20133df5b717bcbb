package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/explain"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

func newExplainCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say why a pixel is bad, since when and how often",
		ArgsUsage: "PANEL ROW COLUMN",
		Description: "PANEL is a segment number or the id of a panel; rows and columns count from 0. Every rule is shown with its numbers, for the\n" +
			"youngest run with files of the panel or for --run. Values are those of the run's work directory, while it is there. Example:\n" +
			"  rawstatus explain -o REPO -d jungfrau --exp mfx101332224 --run 7 1 12 345",
		Flags: append(command.In(command.Data, []cli.Flag{
			command.Repository(),
			&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT` of the run"},
			command.AtLeast(&cli.IntFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN` to explain", DefaultText: "the youngest"}, 0),
			&cli.StringFlag{Name: "file", Usage: "explain this status `FILE` of the repository"},
			&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "`DETECTOR`, by name or type", DefaultText: "the only one"},
			&cli.StringSliceFlag{Name: "gain-mode", Aliases: []string{"g"}, Usage: "gain mode by `NAME`; may be repeated", DefaultText: "all"},
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "only this `TYPE`, e.g. status_data", DefaultText: "all that are merged"}, repo.CheckCtype),
		}), workFlag()),
		Action: func(c *cli.Context) error { return runExplain(c, e) },
	}
}

func runExplain(c *cli.Context, e *environment) error {
	w, err := wantedPixel(c)
	if err != nil {
		return err
	}
	var r *repo.Repo
	if path := c.String("file"); path != "" {
		if r, err = w.OfFile(path, e.Site.Location()); err != nil {
			return err
		}
	} else if r, err = repository(e); err != nil {
		return err
	}
	a, err := explain.Explain(r, w)
	if err != nil {
		return err
	}
	for i := range a.Verdicts {
		if err := measure(c, e, a, &a.Verdicts[i]); err != nil {
			return err
		}
	}
	if e.JSON {
		return e.PrintJSON(a)
	}
	return a.WriteText(e.Stdout)
}

// wantedPixel reads the arguments.
func wantedPixel(c *cli.Context) (w explain.Wanted, err error) {
	if c.NArg() != 3 {
		return w, fault.New(fault.Usage, "explain takes PANEL ROW COLUMN, not %d words", c.NArg()).WithHint("rawstatus explain --help shows an example")
	}
	w = explain.Wanted{Experiment: c.String("exp"), Run: -1, Detector: c.String("det"), Panel: c.Args().First(), Gains: c.StringSlice("gain-mode"), CType: c.String("ctype")}
	if c.IsSet("run") {
		w.Run = c.Int("run")
	}
	for i, to := range []*int{&w.Row, &w.Col} {
		text := c.Args().Get(1 + i)
		if *to, err = strconv.Atoi(text); err != nil || *to < 0 {
			return w, fault.New(fault.Usage, "%q is not a row or column", text).WithHint("rows and columns count from 0")
		}
	}
	return w, nil
}

// measure adds the values of a verdict from the work directory of its run, if that is still there and of this reduction.
func measure(c *cli.Context, e *environment, a *explain.Answer, v *explain.Verdict) error {
	work := workDir(c, e, frame.Run{Experiment: v.Experiment, Number: v.Run}, a.Pixel.Detector, v.Profile)
	p, err := plan.Load(work)
	switch {
	case err != nil && c.IsSet("work"):
		return err
	case err != nil:
		v.Notes = append(v.Notes, fmt.Sprintf("values are not known: %v (--work names another; the command of the run makes it again)", err))
		return nil
	case p.Dataset.Run.Number != v.Run || p.Dataset.Run.Experiment != v.Experiment:
		v.Notes = append(v.Notes, fmt.Sprintf("values are not known: %s is of run %d of %s", work, p.Dataset.Run.Number, p.Dataset.Run.Experiment))
		return nil
	}
	values, err := valuesOf(c.Context, work, p, a.Pixel, v)
	if err != nil {
		return err
	}
	if values == nil {
		v.Notes = append(v.Notes, fmt.Sprintf("values are not known: what %s has counted makes another status of this pixel", work))
		return nil
	}
	v.Measure(values, work)
	return nil
}

// valuesOf returns what the rules have compared for the pixel, by bit; nil when the work directory judges it otherwise than
// the file, or does not know it.
func valuesOf(ctx context.Context, work string, p *plan.Plan, at explain.Pixel, v *explain.Verdict) (values map[uint64]float64, err error) {
	err = reduce.View(ctx, work, p, func(g *reduce.Group, panels []*reduce.Judged) error {
		if g.GainMode != v.GainMode {
			return nil
		}
		for i, panel := range g.Panels {
			pixel := at.Row*at.Cols + at.Col
			if panel.Segment != at.Segment || panel.Sub != at.Sub || pixel >= len(panels[i].Status) || panels[i].Status[pixel] != v.Word {
				continue
			}
			values = map[uint64]float64{}
			for _, r := range panels[i].Explain(pixel) {
				values[r.Bit] = r.Value
			}
		}
		return nil
	})
	return values, err
}
