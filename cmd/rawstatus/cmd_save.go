package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

func newSaveCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "save",
		Usage:     "put a mask that you have made into the constants repository",
		ArgsUsage: "FILE",
		Description: "FILE is .npy or text (numpy.savetxt, NDArrIO). Shapes: (rows, columns) for one panel, (panels, rows, columns), or\n" +
			"(gain modes, panels, rows, columns). Panels count by segment, as in deployed arrays. An array of 0 and 1 needs --good; other\n" +
			"arrays are status words from 0 (good) to 65535. Run and panels come from raw data (-k, --dir, --file) or else from what the\n" +
			"repository has of the run. Masks of one run lie side by side: all that are valid for a run are merged. Examples:\n" +
			"  rawstatus save -o REPO --exp mfx101332224 --run 7 --good 1 --comment 'shadow of the beam stop' mask.npy\n" +
			"  rawstatus save -o REPO --exp mfx101332224 --list\n" +
			"  rawstatus save -o REPO --retire 1a2b3c4d --comment 'the beam stop is gone'",
		Flags: concat(dataFlags(), []cli.Flag{
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "constants `TYPE`", Value: repo.TypeUser}, checkMaskType),
			command.Check(&cli.StringFlag{Name: "segment", Aliases: []string{"i"}, Usage: "only these panels (`SEGMENTS`), e.g. 0,4-7"}, checkNumbers(0)),
			&cli.StringFlag{Name: "panel", Usage: "only the panel of this `ID` (directory in the repository)"},
			command.Check(&cli.StringFlag{Name: "gain-mode", Usage: "the array is for this `MODE` only, e.g. g1 or AHL-H", DefaultText: "all gain modes"}, detector.CheckGainMode),
			command.Choice(&cli.StringFlag{Name: "good", Usage: "what good pixels are in an array of 0 and 1: `0|1`"}, "0", "1"),
			&cli.BoolFlag{Name: "keep-words", Usage: "keep the words of the array; without this each word that is not 0 becomes USER (32768)"},
			command.Check(&cli.StringFlag{Name: "validity", Aliases: []string{"R"}, Usage: "`RUNS` of the experiment that the mask is for: 10-20 or 260-end", DefaultText: "RUN-end"}, command.Parses(calib.ParseRange)),
			&cli.StringFlag{Name: "comment", Usage: "`TEXT` that is kept beside the files and shown in plans"},
			&cli.BoolFlag{Name: "force", Usage: "save a mask although more than half of its pixels are bad"},
			&cli.BoolFlag{Name: "list", Usage: "list the masks in the repository (of --exp, --run, --det)"},
			command.Check(&cli.StringFlag{Name: "retire", Usage: "take the mask of this content `HASH` (or its first digits) out of use; its files stay"}, checkHash),
			command.Repository(),
		}),
		Action: func(c *cli.Context) error { return runSave(c, e) },
	}
}

// checkMaskType refuses types of masks that would be taken for what rules have found.
func checkMaskType(name string) error {
	if err := repo.CheckWritten(name); err != nil {
		return err
	}
	for _, b := range status.Table {
		if name != repo.TypeUser && slices.Contains(b.Ctypes, name) {
			return fmt.Errorf("%s holds what rules have found; masks are %s or a type of another name", name, repo.TypeUser)
		}
	}
	return nil
}

// savedFile is a file that save has written.
type savedFile struct {
	Segment  int         `json:"segment"`
	Panel    string      `json:"panel"`
	GainMode string      `json:"gain_mode,omitempty"`
	Bad      int         `json:"bad_pixels"`
	File     string      `json:"file"`
	Hash     string      `json:"content_hash"` // of the mask, the same for all its files
	Validity calib.Range `json:"validity"`
}

func runSave(c *cli.Context, e *environment) error {
	r, err := repository(e)
	switch {
	case err != nil:
		return err
	case c.Bool("list") && c.IsSet("retire"):
		return fault.New(fault.Usage, "--list and --retire are two different things").WithHint("give one of them")
	case (c.Bool("list") || c.IsSet("retire")) && c.Args().Present():
		return fault.New(fault.Usage, "--list and --retire take no file, and there is %q", c.Args().First())
	case c.Bool("list"):
		return listMasks(c, e, r)
	case c.IsSet("retire"):
		return retireMask(c, e, r)
	case c.NArg() != 1:
		return fault.New(fault.Usage, "save takes one file, not %d", c.NArg())
	}
	input, err := readInput(c.Args().First())
	if err != nil {
		return err
	}
	a, err := publish.ReadHandmade(input.Path, c.String("good"))
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
	planes, notes, err := a.Planes(s, publish.Pick{Segments: segments, Panel: c.String("panel"), GainMode: c.String("gain-mode")})
	if err != nil {
		return err
	}
	file, err := r.CreateLog(s.Type, "rawstatus", time.Now())
	if err != nil {
		return err
	}
	defer file.Close()
	defer e.AddLogFile(file)()
	e.Log.Infof("save %s of shape %v as %s of %s run %d, detector %s (%s), known from %s", input.Path, a.Shape, c.String("ctype"), s.Run.Experiment, s.Run.Number, s.Detector, s.Type, s.Origin)
	for _, n := range append(notes, s.Notes...) {
		e.Log.Info("note: " + n)
	}
	mask := &repo.Mask{Comment: c.String("comment"), Author: access.Login(), Saved: time.Now().UTC().Truncate(time.Millisecond)}
	if mask.Validity, err = maskValidity(c, s.Run.Number); err != nil {
		return err
	}
	sc := repo.Sidecar{Profile: repo.ProfileUser, Family: repo.FamilyUser, Version: version.String(), Inputs: []repo.Input{input}, Notes: notes, Mask: mask}
	return savePlanes(c, e, r, s, planes, sc)
}

// maskValidity returns the runs of -R, by default those from the mask's own on.
func maskValidity(c *cli.Context, run int) (calib.Range, error) {
	if text := c.String("validity"); text != "" {
		return calib.ParseRange(text)
	}
	return calib.ParseRange(fmt.Sprintf("%d-end", run))
}

// savePlanes writes one status file for each plane.
func savePlanes(c *cli.Context, e *environment, r *repo.Repo, s *publish.Subject, planes []publish.HandmadePlane, sc repo.Sidecar) error {
	var masks []repo.MaskPlane
	var total status.Counts
	for _, p := range planes {
		if !c.Bool("keep-words") {
			for i, w := range p.Words {
				if w != 0 {
					p.Words[i] = status.User
				}
			}
		}
		total.Add(status.Count(p.Words))
		masks = append(masks, repo.MaskPlane{Words: p.Words, StatusFile: repo.StatusFile{DetType: s.Type, DetName: s.Detector, Panel: p.Panel.Dir,
			Segment: p.Panel.Segment, Sub: p.Panel.Sub, Run: s.Run, CType: c.String("ctype"), GainMode: p.GainMode, Rows: p.Rows, Cols: p.Cols}})
	}
	if 2*total.Bad > total.Pixels && !c.Bool("force") {
		return fault.New(fault.Refused, "the mask would mask %d of %s, more than half", total.Bad, fault.Count(total.Pixels, "pixel")).
			WithHint("is the polarity right (--good)? If the mask is meant so: --force")
	}
	saved, err := r.SaveMask(c.Context, masks, sc)
	if err != nil {
		return fmt.Errorf("could not save the mask: %w", err)
	}
	for _, w := range saved.Warnings {
		e.Log.Warn(w)
	}
	list := []savedFile{}
	for i, p := range planes {
		bad := status.Count(p.Words).Bad
		e.Log.Infof("segment %d %s: %s: %s", p.Panel.Segment, p.GainMode, fault.Count(bad, "bad pixel"), saved.Paths[i])
		list = append(list, savedFile{Segment: p.Panel.Segment, Panel: p.Panel.Dir, GainMode: p.GainMode, Bad: bad, File: saved.Paths[i], Hash: saved.Hash, Validity: saved.Validity})
	}
	if saved.Again {
		e.Log.Infof("mask %s was there already, for runs %s: nothing has changed", saved.Short(), saved.Validity)
	} else {
		e.Log.Infof("mask %s: %d of %s, for runs %s; to take it out of use: rawstatus save --retire %s", saved.Short(), total.Bad, fault.Count(total.Pixels, "pixel"), saved.Validity, saved.Short())
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
	w := publish.Wanted{Experiment: c.String("exp"), Run: -1, Detector: c.String("det"), Roots: e.Site.DataRoots}
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
