package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

func newDiffCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "compare two status files, two times or two runs of a detector: bits gained, lost and kept",
		ArgsUsage: "[FILE FILE]",
		Description: "  rawstatus diff A.dat B.dat\n" +
			"  rawstatus diff -o REPO --det-type jungfrau --at 20260101000000 --at 20260201000000\n" +
			"  rawstatus diff -o REPO --exp mfx101332224 --run 7 --run 9\n" +
			"  rawstatus diff -o REPO --other-repository TEST --exp mfx101332224 --run 7\n" +
			fmt.Sprintf("The exit code is 0 when nothing differs and %d when anything does, a file without counterpart included.", fault.Different),
		Flags: command.In(command.Data, []cli.Flag{
			command.Repository(),
			&cli.StringFlag{Name: "other-repository", Usage: "the second side is in the repository `DIR`", DefaultText: "the same"},
			command.Check(&cli.StringFlag{Name: "det-type", Usage: "detector `TYPE`: what holds for it at the times --at"}, detector.CheckType),
			command.CheckEach(&cli.StringSliceFlag{Name: "at", Usage: "`TIME` (YYYYmmddHHMMSS), twice; once with --other-repository"}, repo.CheckStamp),
			&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT` of the runs"},
			command.AtLeast(&cli.IntSliceFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN`, twice; once with --other-repository"}, 0),
			&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "only this `DETECTOR` of the runs"},
			&cli.StringFlag{Name: "panel", Usage: "only the panel of this `ID`"},
			command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "only this `TYPE`, e.g. status_data", DefaultText: "all that are merged"}, repo.CheckCtype),
		}),
		Action: func(c *cli.Context) error { return runDiff(c, e) },
	}
}

// comparison is the result of diff.
type comparison struct {
	Same  bool               `json:"same"`
	A     string             `json:"a"`
	B     string             `json:"b"`
	Files []fileDiff         `json:"files"`
	OnlyA []string           `json:"only_in_a,omitempty"`
	OnlyB []string           `json:"only_in_b,omitempty"`
	Total status.Differences `json:"total"`
}

// fileDiff compares two files, or one panel of them if they hold several.
type fileDiff struct {
	Name string             `json:"name"`
	A    string             `json:"a"`
	B    string             `json:"b"`
	Note string             `json:"note,omitempty"`
	Diff status.Differences `json:"difference"`
}

// side is one of the two things that are compared: files by a name that both sides have in common.
type side struct {
	label string
	repo  *repo.Repo
	files map[string]string
}

func runDiff(c *cli.Context, e *environment) error {
	a, b, err := sides(c, e)
	if err != nil {
		return err
	}
	d := comparison{A: a.label, B: b.label}
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		if b.files[name] == "" {
			d.OnlyA = append(d.OnlyA, a.files[name])
			continue
		}
		list, err := compareFiles(a.repo, b.repo, name, a.files[name], b.files[name])
		if err != nil {
			return err
		}
		for _, f := range list {
			d.Total.Add(f.Diff)
		}
		d.Files = append(d.Files, list...)
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		if a.files[name] == "" {
			d.OnlyB = append(d.OnlyB, b.files[name])
		}
	}
	d.Same = d.Total.Same() && len(d.OnlyA)+len(d.OnlyB) == 0
	if e.JSON {
		err = e.PrintJSON(d)
	} else {
		err = d.write(e.Stdout)
	}
	if err == nil && !d.Same {
		err = fault.New(fault.Different, "%s and %s differ", d.A, d.B)
	}
	return err
}

// sides finds out what is compared with what.
func sides(c *cli.Context, e *environment) (a, b side, err error) {
	at, runs := c.StringSlice("at"), c.IntSlice("run")
	if c.Args().Present() {
		if c.NArg() != 2 || len(at)+len(runs) > 0 {
			return a, b, fault.New(fault.Usage, "diff compares two files, two times (--at) or two runs (--run)").
				WithHint("flags go before the names of files")
		}
		one := func(path string) side {
			return side{label: path, repo: repo.New("", nil, e.Site.Location()), files: map[string]string{"status": path}}
		}
		return one(c.Args().Get(0)), one(c.Args().Get(1)), nil
	}
	if a.repo, err = repository(e); err != nil {
		return a, b, err
	}
	b.repo = a.repo
	wanted := 2
	if other := c.String("other-repository"); other != "" {
		b.repo = repo.New(other, a.repo.Policy, a.repo.Loc)
		if len(at)+len(runs) == 1 {
			at, runs, wanted = slices.Repeat(at, 2), slices.Repeat(runs, 2), 2
		}
	}
	switch {
	case len(at) == wanted && len(runs) == 0 && c.String("det-type") != "":
		err = cmp.Or(a.holding(c, at[0]), b.holding(c, at[1]))
	case len(runs) == wanted && len(at) == 0:
		err = cmp.Or(a.ofRun(c, runs[0]), b.ofRun(c, runs[1]))
	default:
		err = fault.New(fault.Usage, "diff compares two files, two times (--det-type, --at, --at) or two runs (--exp, --run, --run)").
			WithHint("rawstatus diff --help shows examples")
	}
	if err == nil && len(a.files)+len(b.files) == 0 {
		err = fault.New(fault.Input, "neither %s nor %s has status files in %q", a.label, b.label, a.repo.Root)
	}
	return a, b, err
}

// add takes, of one panel's files, the one that holds for a time (zero: the last) in each gain mode, and
// every mask that is not younger.
func (s *side) add(files []repo.Found, panel, ctype string, at time.Time) {
	for _, f := range files {
		among := files
		if f.Mask != "" {
			alone := f
			alone.Mask, alone.CType = "", repo.TypeUser // taken like a file without other masks beside it
			among = []repo.Found{alone}
		}
		if path := s.repo.Choose(among, repo.Wish{At: at, GainMode: f.GainMode}).Path; path != "" {
			s.files[strings.Join(strings.Fields(fmt.Sprint(panel, " ", ctype, " ", f.GainMode, " ", f.Mask)), " ")] = path
		}
	}
}

// types returns the constants types of a panel that are compared.
func (s *side) types(c *cli.Context, dettype, panel string) ([]string, error) {
	if t := c.String("ctype"); t != "" {
		return []string{t}, nil
	}
	return s.repo.StatusTypes(dettype, panel)
}

// holding takes what holds for a time.
func (s *side) holding(c *cli.Context, stamp string) error {
	s.label, s.files = s.repo.Root+" at "+stamp, map[string]string{}
	at, err := s.repo.ParseStamp(stamp)
	if err != nil {
		return err
	}
	dettype := c.String("det-type")
	panels, err := s.repo.Panels(dettype)
	if err != nil {
		return err
	}
	for _, panel := range panels {
		if c.IsSet("panel") && panel != c.String("panel") {
			continue
		}
		types, err := s.types(c, dettype, panel)
		if err != nil {
			return err
		}
		for _, ctype := range types {
			files, _, err := s.repo.Files(dettype, panel, ctype)
			if err != nil {
				return err
			}
			s.add(files, panel, ctype, at)
		}
	}
	return nil
}

// ofRun takes the files of a run.
func (s *side) ofRun(c *cli.Context, run int) error {
	s.label, s.files = fmt.Sprintf("%s run %d", s.repo.Root, run), map[string]string{}
	located, err := s.repo.Locate(c.String("exp"), run, c.String("panel"))
	if err != nil {
		return err
	}
	for _, l := range located {
		if c.IsSet("det") && !l.IsOf(c.String("det")) || c.IsSet("det-type") && !strings.EqualFold(l.DetType, c.String("det-type")) {
			continue
		}
		types, err := s.types(c, l.DetType, l.Panel)
		if err != nil {
			return err
		}
		for _, ctype := range types {
			files, _, err := s.repo.Files(l.DetType, l.Panel, ctype)
			if err != nil {
				return err
			}
			files = slices.DeleteFunc(files, func(f repo.Found) bool {
				return f.Run != run || c.IsSet("exp") && f.Experiment != c.String("exp")
			})
			s.add(files, l.Panel, ctype, time.Time{})
		}
	}
	return nil
}

// compareFiles compares two files, panel by panel if they hold an array of panels.
func compareFiles(ra, rb *repo.Repo, name, pathA, pathB string) ([]fileDiff, error) {
	a, err := ra.ReadStatus(pathA, nil)
	if err != nil {
		return nil, err
	}
	b, err := rb.ReadStatus(pathB, nil)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(a.Shape, b.Shape) {
		return nil, fault.New(fault.Input, "%q has shape %v, %q has %v: their pixels cannot be compared", pathA, a.Shape, pathB, b.Shape)
	}
	family, note := familyOf(a), ""
	if other := familyOf(b); other != family {
		note = fmt.Sprintf("bits mean different things: %s and %s", family, other)
		family = ""
	}
	was, is := a.Dense(), b.Dense()
	pixels := len(was)
	if n := len(a.Shape); n > 2 && a.Shape[n-1] > 2 { // else the panels come last, as those of cspad2x2
		pixels = a.Shape[n-2] * a.Shape[n-1]
	}
	var list []fileDiff
	for lo := 0; lo < len(was); lo += pixels {
		d, err := status.Compare(was[lo:lo+pixels], is[lo:lo+pixels])
		if err != nil {
			return nil, err
		}
		f := fileDiff{Name: name, A: pathA, B: pathB, Note: note, Diff: d.Table(family)}
		if pixels < len(was) {
			f.Name += place(a.Shape[:len(a.Shape)-2], lo/pixels)
		}
		list = append(list, f)
	}
	return list, nil
}

// place writes the position of a panel in an array, e.g. " [1 3]".
func place(shape []int, n int) string {
	index := make([]int, len(shape))
	for i, size := range slices.Backward(shape) {
		index[i], n = n%size, n/size
	}
	return fmt.Sprintf(" %v", index)
}

// familyOf returns the family of a file's bits; files of other programs are those of det_pixel_status.
func familyOf(r *repo.Read) status.Family {
	if r.Sidecar == nil {
		return status.Features
	}
	return status.Family(r.Sidecar.Family)
}

func (d *comparison) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A: %s\nB: %s\n", d.A, d.B)
	for _, f := range d.Files {
		if f.Diff.Same() {
			fmt.Fprintf(&b, "\n%s: the same, %s\n", f.Name, fault.Count(f.Diff.Pixels, "pixel"))
			continue
		}
		fmt.Fprintf(&b, "\n%s: %v", f.Name, f.Diff)
		if f.Note != "" {
			fmt.Fprintf(&b, "note: %s\n", f.Note)
		}
	}
	for _, path := range d.OnlyA {
		fmt.Fprintf(&b, "only in A: %s\n", path)
	}
	for _, path := range d.OnlyB {
		fmt.Fprintf(&b, "only in B: %s\n", path)
	}
	if len(d.Files) > 1 {
		fmt.Fprintf(&b, "\nin total: %v", d.Total)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
