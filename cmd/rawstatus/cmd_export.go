package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/export"
	"rawstatus/internal/io/geometry"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/masks"
	"rawstatus/internal/stats/status"
)

func newExportCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write a mask of bad pixels for another program",
		ArgsUsage: "[FILE...]",
		Description: "FILEs are status files: one array of the whole detector (deployed, or merged by mergedeploy), or one file for each\n" +
			"panel and gain mode. Without them the files of a run in the repository are taken. Examples:\n" +
			"  rawstatus export --format npy --out mask.npy -o REPO --exp mfx101332224 --run 7 -d jungfrau\n" +
			"  rawstatus export --format crystfel --geom jungfrau.geom --out bad.geom calib/Jungfrau::CalibV1/jungfrau/status_extra/7-end.data\n" +
			"docs/export.md says how each program uses its file.",
		Flags: append(command.In(command.Data, []cli.Flag{
			command.Repository(),
			&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT` of the run"},
			command.AtLeast(&cli.IntFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN` whose status files in the repository are exported"}, 0),
			&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "`DETECTOR` of the run"},
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "constants `TYPE` of the run", DefaultText: "status_merged, or the only one there is"}, repo.CheckCtype),
			detTypeFlag("of a run: only detectors of this `TYPE`; of files: the type of an array that does not say it"),
			command.Choice(&cli.StringFlag{Name: "family", Usage: "what bits `MEAN` in files of other programs", DefaultText: string(status.Features)}, string(status.Dark), string(status.Features)),
			&cli.StringFlag{Name: "bits", Usage: "bits that mask a pixel: names or numbers, ^ before one excludes it, as `TEXT` RMS_HIGH,AVE_HIGH or ^ROW_COL", DefaultText: "all"},
			&cli.StringSliceFlag{Name: "gain-mode", Aliases: []string{"g"}, Usage: "gain mode by `NAME` or place in the array; several: bad in any of them is bad", DefaultText: "all"},
		}), command.In(command.Output, []cli.Flag{
			command.Choice(&cli.StringFlag{Name: "format", Usage: "`FORMAT` of the file", Required: true}, formatNames()...),
			&cli.StringFlag{Name: "out", Usage: "`FILE` to write; - for standard output", Required: true},
			&cli.BoolFlag{Name: "stack", Usage: "panels one below the other in an array of two dimensions"},
			&cli.StringFlag{Name: "geometry", Usage: "psana geometry `FILE`: the mask is that of the assembled picture"},
			&cli.StringFlag{Name: "geom", Usage: "CrystFEL geometry `FILE` that bad regions are for", DefaultText: "panels p0, p1, ... stacked"},
			command.Choice(&cli.StringFlag{Name: "good", Usage: "npy: what good pixels are: `0|1`; psana wants 1", Value: "0"}, "0", "1"),
			&cli.BoolFlag{Name: "words", Usage: "npy: status words instead of a mask"},
		})...),
		Action: func(c *cli.Context) error { return runExport(c, e) },
	}
}

func formatNames() (names []string) {
	for _, f := range export.Formats {
		names = append(names, string(f))
	}
	return names
}

// exported is the result of export.
type exported struct {
	File     string   `json:"file"`
	Detector string   `json:"detector"`
	Notes    []string `json:"notes"`
	export.Result
}

func runExport(c *cli.Context, e *environment) error {
	opt := export.Options{Format: export.Format(c.String("format")), Plain: strings.HasSuffix(c.String("out"), ".npy"), Stack: c.Bool("stack"), Words: c.Bool("words"), GoodIsOne: c.String("good") == "1"}
	// Options that do not fit together are refused before any file is read.
	if c.IsSet("geometry") {
		opt.Picture = &export.Picture{}
	}
	if c.IsSet("geom") {
		opt.Panels = &export.Geometry{}
	}
	if err := opt.Check(); err != nil {
		return err
	}
	m, err := maskOf(c, e)
	if err != nil {
		return err
	}
	if err := geometries(c, &opt); err != nil {
		return err
	}
	out := exported{File: c.String("out"), Detector: m.Detector, Notes: m.Notes}
	write := func(w io.Writer) (err error) {
		out.Result, err = export.Write(w, m, opt)
		return err
	}
	if out.File == "-" {
		err = write(e.Stdout)
	} else {
		err = atomicfile.Write(out.File, atomicfile.Options{}, write)
	}
	if err != nil {
		return fmt.Errorf("could not export: %w", err)
	}
	if out.Beside > 0 {
		e.Log.Warnf("%d masked pixels lie in no panel of %s: nothing masks them", out.Beside, c.String("geom"))
	}
	if out.Regions > export.ManyRegions && opt.Format != export.List {
		e.Log.Warnf("%d regions: programs that test each of them are slow; docs/export.md names formats with one value for each pixel", out.Regions)
	}
	if out.File == "-" {
		return nil
	}
	if e.JSON {
		return e.PrintJSON(out)
	}
	_, err = io.WriteString(e.Stdout, out.text())
	return err
}

// maskOf makes the mask of the named files or run.
func maskOf(c *cli.Context, e *environment) (*export.Mask, error) {
	paths := c.Args().Slice()
	r := repo.New("", nil, e.Site.Location())
	if len(paths) == 0 {
		if !c.IsSet("run") {
			return nil, fault.New(fault.Usage, "nothing to export is named").WithHint("name status files, or a run with --exp and --run")
		}
		var err error
		if r, err = repository(e); err != nil {
			return nil, err
		}
		var ctype string
		paths, ctype, err = masks.Find(r, masks.Wanted{Experiment: c.String("exp"), Run: c.Int("run"), Detector: c.String("det"), DetType: c.String("det-type"), CType: c.String("ctype")})
		if err != nil {
			return nil, err
		}
		e.Log.Infof("%s of %s", fault.Count(len(paths), "file"), ctype)
	} else if c.IsSet("run") || c.IsSet("exp") {
		return nil, fault.New(fault.Usage, "export takes status files or a run, not both")
	}
	return masks.Load(r, paths, masks.Choice{Bits: c.String("bits"), Gains: c.StringSlice("gain-mode"), DetType: c.String("det-type"), Family: c.String("family")})
}

// geometries reads the geometry files.
func geometries(c *cli.Context, opt *export.Options) error {
	if path := c.String("geometry"); path != "" {
		g, err := readFile(path, geometry.Read)
		if err != nil {
			return err
		}
		p, err := g.Picture()
		if err != nil {
			return err
		}
		opt.Picture = &export.Picture{Rows: p.Rows, Cols: p.Cols, At: p.At}
	}
	if path := c.String("geom"); path != "" {
		g, err := readFile(path, export.ReadGeometry)
		if err != nil {
			return err
		}
		opt.Panels = g
	}
	return nil
}

// readFile opens a file and lets read read it.
func readFile[T any](path string, read func(r io.Reader, name string) (T, error)) (v T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, fault.New(fault.Input, "could not read a geometry: %w", err)
	}
	defer f.Close()
	return read(f, path)
}

// text returns the result for people.
func (x exported) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d of %s of %s are masked", x.File, x.Format, x.Masked, fault.Count(x.Pixels, "pixel"), x.Detector)
	if len(x.Shape) > 0 {
		fmt.Fprintf(&b, ", array %s", strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", " x "))
	}
	if x.Dataset != "" {
		fmt.Fprintf(&b, " at %s", x.Dataset)
	}
	if x.Regions > 0 {
		fmt.Fprintf(&b, ", %s", fault.Count(x.Regions, "region"))
	}
	if x.Gaps > 0 {
		fmt.Fprintf(&b, ", besides %s of gaps", fault.Count(x.Gaps, "pixel"))
	}
	fmt.Fprintf(&b, "\npolarity: %s\n", x.Masks)
	for _, n := range x.Notes {
		fmt.Fprintf(&b, "%s\n", n)
	}
	return b.String()
}
