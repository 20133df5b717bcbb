package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// profileUser names status files that a user has made.
const profileUser = "user"

func newSaveCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "save",
		Usage:     "put a status array that you have made into the constants repository",
		ArgsUsage: "FILE",
		Description: "FILE is .npy or text (numpy.savetxt, NDArrIO) with whole numbers from 0 (good) to 65535. Shapes: (rows, columns) for one\n" +
			"panel, (panels, rows, columns), or (gain modes, panels, rows, columns). Panels count by segment, as in deployed arrays.\n" +
			"Run and panels come from raw data (-k, --dir, --file) or else from what the repository has of the run. Example:\n" +
			"  rawstatus save -o REPO --exp mfx101332224 --run 7 --comment 'shadow of the beam stop' mask.npy",
		Flags: concat(dataFlags(), []cli.Flag{
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "constants `TYPE`", Value: "status_" + profileUser}, repo.CheckWritten),
			command.Check(&cli.StringFlag{Name: "segment", Aliases: []string{"i"}, Usage: "only these panels (`SEGMENTS`), e.g. 0,4-7"}, checkNumbers(0)),
			&cli.StringFlag{Name: "panel", Usage: "only the panel of this `ID` (directory in the repository)"},
			command.Check(&cli.StringFlag{Name: "gain-mode", Usage: "the array is for this `MODE` only, e.g. g1 or AHL-H", DefaultText: "all gain modes"}, detector.CheckGainMode),
			&cli.BoolFlag{Name: "mask", Usage: "the array is a mask: 1 is good and 0 is bad"},
			&cli.StringFlag{Name: "comment", Usage: "`TEXT` that is kept beside the files"},
		}, reduceFlags()),
		Action: func(c *cli.Context) error { return runSave(c, e) },
	}
}

// savedFile is what save has written.
type savedFile struct {
	Segment  int    `json:"segment"`
	Panel    string `json:"panel"`
	GainMode string `json:"gain_mode,omitempty"`
	Bad      int    `json:"bad_pixels"`
	File     string `json:"file"`
}

func runSave(c *cli.Context, e *environment) error {
	ctype := c.String("ctype")
	switch {
	case c.NArg() != 1:
		return fault.New(fault.Usage, "save takes one file, not %d", c.NArg()).WithHint("flags go before its name")
	case !strings.HasPrefix(ctype, "status_") || ctype == "status_merged" || ctype == "status_extra":
		return fault.New(fault.Usage, "constants type %q cannot be saved: types are called status_*, status_merged and status_extra are made by mergedeploy", ctype)
	}
	r, err := repository(e)
	if err != nil {
		return err
	}
	input, err := readInput(c.Args().First())
	if err != nil {
		return err
	}
	a, err := readUserArray(input.Path, c.Bool("mask"))
	if err != nil {
		return err
	}
	s, err := subjectOf(c, e, r)
	if err != nil {
		return err
	}
	segments, err := numbers(c, "segment", 0)
	if err != nil {
		return err
	}
	planes, notes, err := a.planes(s, pick{segments, c.String("panel"), c.String("gain-mode")})
	if err != nil {
		return err
	}
	file, err := r.CreateLog(s.Type, "rawstatus", time.Now())
	if err != nil {
		return err
	}
	defer file.Close()
	defer e.AddLogFile(file)()
	e.Log.Infof("save %s of shape %v as %s of %s run %d, detector %s (%s), known from %s", input.Path, a.shape, ctype, s.Run.Experiment, s.Run.Number, s.Detector, s.Type, s.Origin)
	for _, n := range append(notes, s.Notes...) {
		e.Log.Info("note: " + n)
	}
	sc := repo.Sidecar{Profile: profileUser, Family: profileUser, Version: version.String(), Inputs: []repo.Input{input}, Notes: notes}
	if text := c.String("comment"); text != "" {
		sc.Notes = append(sc.Notes, text)
	}
	return savePlanes(c, e, r, s, planes, sc)
}

// savePlanes writes one status file for each plane.
func savePlanes(c *cli.Context, e *environment, r *repo.Repo, s *publish.Subject, planes []userPlane, sc repo.Sidecar) error {
	var list []savedFile
	for _, p := range planes {
		counts := status.Count(p.values)
		sc.Bits = nil
		for v := uint64(1); v <= largestWord; v <<= 1 {
			if n := counts.Of(v); n > 0 {
				sc.Bits = append(sc.Bits, repo.Bit{Value: v, Name: fmt.Sprintf("USER_%d", v), Rule: "set by a user", Pixels: n})
			}
		}
		sf := repo.StatusFile{DetType: s.Type, DetName: s.Detector, Panel: p.panel.Dir, Segment: p.panel.Segment, Sub: p.panel.Sub, Run: s.Run,
			CType: c.String("ctype"), GainMode: p.gain, Rows: p.rows, Cols: p.cols}
		path, warnings, err := r.WriteStatus(c.Context, sf, p.values, sc, c.Bool("replace"))
		if err != nil {
			return fmt.Errorf("could not save segment %d: %w", p.panel.Segment, err)
		}
		if len(list) == 0 {
			for _, w := range warnings {
				e.Log.Warn(w)
			}
		}
		if 2*counts.Bad > counts.Pixels {
			e.Log.Warnf("segment %d %s: %d of %d pixels are bad; if 1 means good in this array, save it with --mask", p.panel.Segment, p.gain, counts.Bad, counts.Pixels)
		}
		e.Log.Infof("%d bad pixels: %s", counts.Bad, path)
		list = append(list, savedFile{Segment: p.panel.Segment, Panel: p.panel.Dir, GainMode: p.gain, Bad: counts.Bad, File: path})
	}
	if e.JSON {
		return e.PrintJSON(list)
	}
	for _, f := range list {
		if _, err := fmt.Fprintf(e.Stdout, "%s\n", f.File); err != nil {
			return err
		}
	}
	return nil
}

// subjectOf finds run and panels: from raw data if they are named, else from the repository.
func subjectOf(c *cli.Context, e *environment, r *repo.Repo) (*publish.Subject, error) {
	w := publish.Wanted{Experiment: c.String("exp"), Run: -1, Detector: c.String("det")}
	if c.IsSet("dataset") || c.IsSet("dir") || c.IsSet("file") {
		d, err := datasetOf(c, e)
		if err != nil {
			return nil, err
		}
		w.Raw = &d
	} else if c.IsSet("run") {
		runs, err := open.ParseRuns(c.String("run"))
		if err != nil {
			return nil, fault.New(fault.Usage, "--run %q: %w", c.String("run"), err)
		}
		if w.Run = runs[0].First; len(runs) != 1 || runs[0].Last != w.Run {
			return nil, fault.New(fault.Usage, "--run %q: one array belongs to one run", c.String("run"))
		}
	}
	s, err := publish.Find(c.Context, r, w)
	if err == nil && len(s.Panels) == 0 {
		err = fault.New(fault.Input, "detector %s has no panels", s.Detector)
	}
	return s, err
}

// readInput describes the file for the sidecar.
func readInput(path string) (repo.Input, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return repo.Input{}, fault.New(fault.Input, "could not read the array: %w", err)
	}
	st, err := os.Stat(path)
	if err != nil {
		return repo.Input{}, fault.New(fault.Input, "could not read the array: %w", err)
	}
	sum := sha256.Sum256(b)
	return repo.Input{Path: path, Size: int64(len(b)), MTime: st.ModTime().UTC().Format(time.RFC3339Nano), SHA256: hex.EncodeToString(sum[:])}, nil
}

// gainModes of a detector type, in the order of the planes of an array.
func gainModes(dettype string) []string {
	family, _ := detector.Lookup(dettype)
	return family.GainModes
}
