package main

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/stats/status"
)

func newScanCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "scan",
		Usage:     "count bad pixels against the threshold of one rule, without raw data",
		ArgsUsage: "[WORKDIR]",
		Description: "rms_min, rms_max, ave_min and ave_max are the limits themselves, whatever sigmas give now; the others are the rules\n" +
			"of `rawstatus reeval`. They start from those of the plan. Example: rawstatus scan --work DIR --rule rms_max --from 5 --to 100 --steps 19\nRules: " +
			strings.Join(reduce.ScanRules(), ", "),
		Flags: command.In(command.Rules, []cli.Flag{
			command.Check(&cli.StringFlag{Name: "rule", Usage: "`RULE` whose threshold is varied", Required: true}, checkScanRule),
			command.AtLeast(&cli.Float64Flag{Name: "from", Usage: "first `THRESHOLD`", DefaultText: "by robust statistics of the pixels, else half the one in force"}, math.Inf(-1)),
			command.AtLeast(&cli.Float64Flag{Name: "to", Usage: "last `THRESHOLD`", DefaultText: "by robust statistics of the pixels, else twice the one in force"}, math.Inf(-1)),
			command.Between(&cli.IntFlag{Name: "steps", Usage: "`N` steps from first to last", Value: 12}, 1, 1000),
			setFlag(),
		}, []cli.Flag{planFlag()}),
		Action: func(c *cli.Context) error {
			work, err := workArgument(c)
			if err != nil {
				return err
			}
			p, err := plan.Load(work)
			if err != nil {
				return err
			}
			q, err := withSet(p, c.StringSlice("set"))
			if err != nil {
				return err
			}
			if err := logStart(e, work, p, q); err != nil {
				return err
			}
			opt := reduce.ScanOptions{Rule: c.String("rule"), Steps: c.Int("steps")}
			for flag, to := range map[string]**float64{"from": &opt.From, "to": &opt.To} {
				if c.IsSet(flag) {
					v := c.Float64(flag)
					*to = &v
				}
			}
			list, err := reduce.Scan(c.Context, work, p, q, opt)
			if err != nil {
				return err
			}
			if e.JSON {
				return e.PrintJSON(list)
			}
			for _, s := range list {
				if err := writeScan(e.Stdout, s, p.Params.Family()); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// writeScan prints one line for each threshold, one column for each bit that any pixel has.
func writeScan(w io.Writer, s reduce.Scanned, family status.Family) error {
	fmt.Fprintf(w, "%s, now %.6g", s.Rule, s.InForce)
	if s.GainMode != "" {
		fmt.Fprintf(w, ", gain mode %s", s.GainMode)
	}
	fmt.Fprintf(w, ", steps %s\n", strings.Trim(fmt.Sprint(s.Steps), "[]"))
	var names []string
	for i := range bits.UintSize {
		name := status.Names(family, 1<<i)
		if slices.ContainsFunc(s.Points, func(p reduce.Point) bool { return p.Bits[name] > 0 }) {
			names = append(names, name)
		}
	}
	t := tabwriter.NewWriter(w, 10, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "threshold\tbad\tpercent\t%s\t\n", strings.Join(names, "\t"))
	for _, p := range s.Points {
		if p.NeedsRawData {
			fmt.Fprintf(t, "%.6g\traw data needed\t\t\n", p.Threshold)
			continue
		}
		fmt.Fprintf(t, "%.6g\t%d\t%.4f\t", p.Threshold, p.Bad, 100*float64(p.Bad)/float64(max(1, p.Pixels)))
		for _, name := range names {
			fmt.Fprintf(t, "%d\t", p.Bits[name])
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
