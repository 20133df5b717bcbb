package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/explain"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
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
			detTypeFlag("only detectors of this `TYPE`"),
			&cli.StringSliceFlag{Name: "gain-mode", Aliases: []string{"g"}, Usage: "gain mode by `NAME`; may be repeated", DefaultText: "all"},
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "only this `TYPE`, e.g. status_data", DefaultText: "all that are merged"}, repo.CheckCtype),
		}), workFlag(), command.CalibDir()),
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
	x := explanation{Answer: a}
	if err := x.look(c.Context, e, r); err != nil {
		return err
	}
	if e.JSON {
		return e.PrintJSON(x)
	}
	return x.writeText(e.Stdout)
}

// explanation is a pixel in the repository and in deployed constants.
type explanation struct {
	*explain.Answer
	Deployed []publish.Masking `json:"deployed"`
	// Beside says why constants of some place are not among them.
	Beside []string `json:"not_deployed,omitempty"`
}

// look finds the deployed constants of the run's experiment. A place that cannot be read is said and hides nothing else.
func (x *explanation) look(ctx context.Context, e *environment, r *repo.Repo) error {
	p, v := x.Pixel, x.Verdicts[len(x.Verdicts)-1]
	places, beside, err := publish.Destinations(e.Site, r, v.Experiment, v.Run, p.DetType, p.Detector, "status_extra")
	if err != nil {
		return err
	}
	x.Deployed, x.Beside = []publish.Masking{}, beside
	at := publish.PixelAt{DetType: p.DetType, Panel: p.Panel, Slot: p.Slot, Rows: p.Rows, Cols: p.Cols, Row: p.Row, Col: p.Col}
	for _, place := range places {
		m, err := publish.MaskingOf(ctx, place, at)
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			x.Beside = append(x.Beside, fmt.Sprintf("%s cannot be read: %v", place, err))
		case len(m) == 0:
			x.Beside = append(x.Beside, fmt.Sprintf("%s has nothing", place))
		}
		x.Deployed = append(x.Deployed, m...)
	}
	return nil
}

func (x *explanation) writeText(w io.Writer) error {
	if err := x.WriteText(w); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("\ndeployed constants\n")
	place := ""
	for i := range x.Deployed {
		if m := &x.Deployed[i]; m.Destination != place {
			place = m.Destination
			fmt.Fprintf(&b, "  %s\n", place)
		}
		x.Deployed[i].Text(&b)
	}
	for _, n := range x.Beside {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wantedPixel reads the arguments.
func wantedPixel(c *cli.Context) (w explain.Wanted, err error) {
	if c.NArg() != 3 {
		return w, fault.New(fault.Usage, "explain takes PANEL ROW COLUMN, not %d words", c.NArg()).WithHint("rawstatus explain --help shows an example")
	}
	w = explain.Wanted{Experiment: c.String("exp"), Run: -1, Detector: c.String("det"), DetType: c.String("det-type"), Panel: c.Args().First(), Gains: c.StringSlice("gain-mode"), CType: c.String("ctype")}
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
	if v.Profile == "" {
		return nil // made by another program, which is noted already
	}
	work := c.String("work")
	if work == "" {
		work = workOf(e, frame.Run{Experiment: v.Experiment, Number: v.Run}, a.Pixel.Detector, v.Profile, v.PlanID)
	}
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
	known, err := reasonsOf(c.Context, work, p, a.Pixel, v)
	switch {
	case err != nil && (c.IsSet("work") || c.Context.Err() != nil):
		return err
	case err != nil: // nobody has asked for this directory
		v.Notes = append(v.Notes, fmt.Sprintf("values are not known: %s cannot be used: %v", work, err))
		return nil
	}
	if !known {
		v.Notes = append(v.Notes, fmt.Sprintf("values are not known: what %s has counted makes another status of this pixel", work))
		return nil
	}
	return nil
}

// reasonsOf adds what the rules have compared for the pixel; false when the work directory judges it otherwise than
// the file, or does not know it.
func reasonsOf(ctx context.Context, work string, p *plan.Plan, at explain.Pixel, v *explain.Verdict) (known bool, err error) {
	err = reduce.View(ctx, work, p, func(g *reduce.Group, panels []*reduce.Judged) error {
		if g.GainMode != v.GainMode {
			return nil
		}
		for i, panel := range g.Panels {
			pixel := at.Row*at.Cols + at.Col
			if panel.Segment != at.Segment || panel.Sub != at.Sub || pixel >= panels[i].Bad.Pixels || panels[i].Bad.Word(pixel) != v.Word {
				continue
			}
			var reasons []explain.Reason
			for _, r := range panels[i].Explain(pixel) {
				reasons = append(reasons, explain.Reason(r))
			}
			v.Measure(reasons, work)
			if traces := panels[i].Traces; traces != nil {
				v.Traces = traces(pixel)
			}
			known = true
		}
		return nil
	})
	return known, err
}
