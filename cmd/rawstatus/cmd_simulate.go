package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/simulate"
)

func newSimulateCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:  "simulate",
		Usage: "write a run with planted bad pixels and a file that tells the truth about it",
		Description: "The run is DIR/EXP-rNNNN-sSSS-cCCC.xtc2 (or -sSS-cCC.xtc) with DIR/smalldata, the truth DIR/EXP-rNNNN-truth.json.\n" +
			"Planted pixels count per panel and gain mode; both profiles find them with their default limits, but for the hard kinds.\n" +
			"The same options give the same bytes.",
		Flags: command.In(command.Data, []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "`DIR` to write into", Required: true},
			&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT`", Value: "tstx00417"},
			command.Between(&cli.IntFlag{Name: "run", Aliases: []string{"r"}, Usage: "run `NUMBER`", Value: 1}, 0, 9999),
			command.Choice(&cli.StringFlag{Name: "format", Usage: "`FORMAT`, that of LCLS-II or LCLS-I", Value: simulate.XTC2}, simulate.XTC2, simulate.XTC1),
			command.Check(&cli.StringFlag{Name: "det-type", Usage: "`TYPE`: jungfrau, epix10ka, epix100, or any other; xtc1: epix100a, epix10kaquad, epix10ka2m, jungfrau, opal", Value: "jungfrau"}, detector.CheckType),
			&cli.StringFlag{Name: "name", Aliases: []string{"d"}, Usage: "`NAME` of the detector; xtc1: a full name, which also tells the type", DefaultText: "its type; xtc1: e.g. CxiDs1.0:Jungfrau.0"},
			command.AtLeast(&cli.IntFlag{Name: "panels", Usage: "`N` panels", DefaultText: "2; xtc1: as many as the type has"}, 1),
			command.AtLeast(&cli.IntFlag{Name: "rows", Usage: "`N` rows of a panel", DefaultText: "those of the type"}, 1),
			command.AtLeast(&cli.IntFlag{Name: "cols", Usage: "`N` columns of a panel", DefaultText: "those of the type"}, 1),
			command.AtLeast(&cli.IntFlag{Name: "events", Aliases: []string{"n"}, Usage: "`N` events of each step", Value: 100}, 1),
			command.AtLeast(&cli.IntFlag{Name: "steps", Usage: "`N` steps of one gain mode", DefaultText: "one for each gain mode"}, 1),
			command.Check(&cli.StringFlag{Name: "gain-modes", Usage: "`MODES`, a step each, e.g. g0,g1,g2 or FH,FM,FL,AHL-H,AML-M", DefaultText: "the first of the type"}, checkGainModes),
			command.AtLeast(&cli.IntFlag{Name: "streams", Usage: "spread the panels over `N` streams", Value: 1}, 1),
			command.AtLeast(&cli.IntFlag{Name: "chunks", Usage: "cut each stream into `N` files", Value: 1}, 1),
			command.AtLeast(&cli.Uint64Flag{Name: "seed", Usage: "`NUMBER` that all that is random follows from", Value: 1}, 0),
			&cli.TimestampFlag{Name: "begin", Usage: "begin of the run, `TIME` as 2026-01-15T20:00:00Z", Layout: time.RFC3339},
			command.AtLeast(&cli.Float64Flag{Name: "pedestal", Usage: "pedestal in `ADU`", Value: 1000}, 0),
			command.AtLeast(&cli.Float64Flag{Name: "sigma", Usage: "noise in `ADU`", Value: 15}, 0),
			command.AtLeast(&cli.IntFlag{Name: "dead", Usage: "plant `N` constant pixels"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "hot", Usage: "plant `N` pixels of high average"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "noisy", Usage: "plant `N` pixels of high rms"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "saturated", Usage: "plant `N` pixels above the upper intensity limit"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "cold", Usage: "plant `N` pixels below the lower intensity limit"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "stuck", Usage: "plant `N` stuck pixels; hard to find, as the next four kinds"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "flickering", Usage: "plant `N` pixels that jump now and then"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "noisy-columns", Usage: "plant `N` columns of a chip with too much noise"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "wrong-gain", Usage: "plant `N` pixels with impossible gain bits now and then (jungfrau)"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "weak", Usage: "plant `N` pixels with too little noise"}, 0),
			command.AtLeast(&cli.IntSliceFlag{Name: "missing-panel", Usage: "`SEGMENT` that is configured and never sends data"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "lost-events", Usage: "`N` events that one stream does not get"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "damaged-events", Usage: "`N` events with one damaged frame"}, 0),
			&cli.BoolFlag{Name: "no-smalldata", Usage: "no smalldata files"},
			&cli.BoolFlag{Name: "no-endrun", Usage: "no EndRun at the end"},
			command.Choice(&cli.StringFlag{Name: "scan", Usage: "a scan instead of darks: `SCAN` with the pulser, of types epixhr2x2 and epix10ka"}, simulate.ChargeInjection),
			command.AtLeast(&cli.IntFlag{Name: "space", Usage: "scan: every `N`-th row and column is pulsed", DefaultText: "epixhr2x2: 5, epix10ka: 7"}, 1),
			command.AtLeast(&cli.IntFlag{Name: "ramp", Usage: "scan: events `N` of a ramp", DefaultText: "1024"}, 1),
			command.AtLeast(&cli.IntFlag{Name: "plant", Usage: "scan: plant `N` pixels of each class", DefaultText: "2"}, 1),
			&cli.BoolFlag{Name: "no-test-bits", Usage: "scan: the configuration does not tell the pulsed pixels, which are those of psana's formula"},
			command.AtLeast(&cli.Int64Flag{Name: "truncate", Usage: "cut `BYTES` from the last file of the last stream"}, 0),
		}),
		Action: func(c *cli.Context) error { return runSimulate(c, e) },
	}
}

func runSimulate(c *cli.Context, e *environment) error {
	cfg := simulate.Config{
		Format: c.String("format"), Dir: c.String("out"), Experiment: c.String("exp"), Run: c.Int("run"),
		Type: c.String("det-type"), Detector: c.String("name"), Panels: c.Int("panels"), Rows: c.Int("rows"), Cols: c.Int("cols"),
		Events: c.Int("events"), Steps: c.Int("steps"), Streams: c.Int("streams"), Chunks: c.Int("chunks"), Seed: c.Uint64("seed"),
		Pedestal: c.Float64("pedestal"), Sigma: c.Float64("sigma"),
		Dead: c.Int("dead"), Hot: c.Int("hot"), Noisy: c.Int("noisy"), Saturated: c.Int("saturated"), Cold: c.Int("cold"),
		Stuck: c.Int("stuck"), Flickering: c.Int("flickering"), NoisyColumns: c.Int("noisy-columns"), WrongGain: c.Int("wrong-gain"), Weak: c.Int("weak"),
		MissingPanels: c.IntSlice("missing-panel"), LostEvents: c.Int("lost-events"), DamagedEvents: c.Int("damaged-events"),
		Scan: c.String("scan"), Space: c.Int("space"), Ramp: c.Int("ramp"), Plant: c.Int("plant"), NoTestBits: c.Bool("no-test-bits"),
		NoSmalldata: c.Bool("no-smalldata"), NoEndRun: c.Bool("no-endrun"), Truncate: c.Int64("truncate"),
	}
	if cfg.Scan != "" { // what it does not say is up to the scan
		if !c.IsSet("events") {
			cfg.Events = 0
		}
		if !c.IsSet("det-type") {
			cfg.Type = ""
		}
	}
	if cfg.Scan == "" {
		for _, flag := range []string{"space", "ramp", "plant", "no-test-bits"} {
			if c.IsSet(flag) {
				return fault.New(fault.Usage, "--%s has no effect without --scan", flag).WithHint("leave it out, or give --scan %s", simulate.ChargeInjection)
			}
		}
	}
	if modes := c.String("gain-modes"); modes != "" {
		cfg.GainModes = strings.Split(modes, ",")
	}
	if begin := c.Timestamp("begin"); begin != nil {
		cfg.Begin = *begin
	}
	truth, err := simulate.Write(c.Context, cfg)
	if err != nil {
		return err
	}
	e.Log.WithField("files", len(truth.Files)).WithField("truth", truth.Path()).Info("simulated run written")
	if e.JSON {
		return e.PrintJSON(truth)
	}
	return printTruth(e.Stdout, truth)
}

// printTruth writes what was planted, a line for each gain mode and kind; all panels have as many.
func printTruth(w io.Writer, truth *simulate.Truth) error {
	var missing []string
	for _, p := range truth.Panels {
		if segment := strconv.Itoa(p.Segment); p.Missing && !slices.Contains(missing, segment) {
			missing = append(missing, segment)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if planted := truth.Panels[0].Planted; len(planted) > 0 {
		fmt.Fprintln(t, "gain mode\tplanted\tpixels per panel\tbit")
		for _, x := range planted {
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", cmp.Or(x.GainMode, "-"), x.Kind, len(x.Pixels), x.Data|x.CI)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(missing) > 0 {
		fmt.Fprintf(w, "segments that send nothing: %s\n", strings.Join(missing, " "))
	}
	_, err := fmt.Fprintf(w, "%s, %s of %s; frames lost in %s, damaged in %d\ntruth in %s\n",
		fault.Count(len(truth.Panels), "panel"), fault.Count(len(truth.Steps), "step"), fault.Count(truth.Config.Events, "event"), fault.Count(len(truth.Lost), "event"), len(truth.Damaged), truth.Path())
	return err
}
