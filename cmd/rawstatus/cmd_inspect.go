package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
)

func newInspectCommand(e *environment) *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what a run, a raw file or one of our own files holds",
		ArgsUsage: "[FILE...]",
		Description: "Lists transitions, detectors, panels with their ids, steps, and how many frames are there, missing or damaged.\n" +
			"With --npy it also writes one frame to a .npy file. A --file may also be an index, a partial result or merged planes.",
		Flags: concat(dataFlags(), []cli.Flag{
			&cli.BoolFlag{Name: "names", Usage: "also list everything that the Configures describe, with its fields"},
			&cli.StringFlag{Name: "npy", Usage: "write a frame to this `FILE`"},
			command.AtLeast(&cli.IntFlag{Name: "event", Usage: "the frame's event, `N` counted from 0"}, 0),
			command.AtLeast(&cli.IntFlag{Name: "segment", Aliases: []string{"i"}, Usage: "the frame's panel, by `SEGMENT`"}, 0),
			maxLostFlag(), allowIncompleteFlag(),
			command.AtLeast(&cli.IntFlag{Name: "sub", Usage: "the frame's `NUMBER` within the segment, where a segment has several panels"}, 0),
		}),
		Action: func(c *cli.Context) error {
			done, err := inspectPacks(e, filesOf(c))
			if done || err != nil {
				return err
			}
			d, err := datasetOf(c, e)
			if err != nil {
				return err
			}
			return runInspect(c, e, d)
		},
	}
}

// inspection is the result for a run.
type inspection struct {
	Contents []open.Contents `json:"contents"`
	Format   string          `json:"format"`
	Run      frame.Run       `json:"run"`
	Files    []frame.File    `json:"files"`
	Events   int             `json:"events"`
	Panels   []panelCounts   `json:"panels"`
	Steps    []frame.Step    `json:"steps"`
	Missing  []string        `json:"missing"`
	Notes    []string        `json:"notes"`
}

// panelCounts is a panel with its frames by state.
type panelCounts struct {
	frame.Panel
	Frames map[string]int `json:"frames"`
}

// runInspect shows a run. What the files hold is shown even if they cannot be indexed.
func runInspect(c *cli.Context, e *environment, d open.Dataset) error {
	opt := open.Options{Settle: c.Duration("settle"), AllHeaders: true, MaxLost: c.Float64("max-lost")}
	in := inspection{Panels: []panelCounts{}}
	var err error
	if in.Contents, err = open.Survey(c.Context, d, c.Bool("names")); err != nil {
		return err
	}
	x, indexErr := open.Index(c.Context, d, opt)
	lacks := error(nil)
	if indexErr == nil {
		lacks = in.fill(x, c.Float64("max-lost"), e.Site.KnownMissing)
	}
	if e.JSON {
		err = e.PrintJSON(in)
	} else {
		err = in.print(e.Stdout, e.Site.Location(), indexErr == nil)
	}
	if err == nil {
		err = indexErr
	}
	if err == nil && c.IsSet("npy") {
		err = dumpFrame(e, x, c.String("npy"), c.Int("event"), c.Int("segment"), c.Int("sub"))
	}
	if err == nil && !c.Bool("allow-incomplete") {
		err = lacks
	}
	return err
}

// fill takes the index in. It returns what makes the run incomplete, for any of the detectors that are
// shown, as the error that the other commands would give.
func (in *inspection) fill(x *frame.Index, maxLost float64, knownMissing []string) error {
	in.Format, in.Run, in.Files, in.Events, in.Steps = x.Format, x.Run, x.Files, len(x.Events), x.Steps
	in.Missing, in.Notes = x.Missing, x.Notes
	for i, p := range x.Panels {
		pc := panelCounts{Panel: p, Frames: map[string]int{}}
		for s, n := range x.PanelFrames(i) {
			if n > 0 {
				pc.Frames[frame.State(s).String()] = n
			}
		}
		in.Panels = append(in.Panels, pc)
	}
	lacks := slices.Clone(x.Missing)
	for _, name := range x.Detectors() {
		for _, lack := range plan.Lacks(open.Detector(x, name), maxLost, knownMissing) {
			if !slices.Contains(lacks, lack) {
				lacks = append(lacks, lack)
			}
		}
	}
	return plan.Incomplete(x.Run, lacks)
}

// print writes the inspection as text; without an index only what the files hold.
func (in *inspection) print(w io.Writer, zone *time.Location, indexed bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range in.Contents {
		fmt.Fprintf(t, "file %s\t%d bytes\t%s\n", c.Path, c.Size, countList(c.Transitions))
		if len(c.Leaves) > 0 {
			fmt.Fprintf(t, "  content\t%s\n", countList(c.Leaves))
		}
		if len(c.Damage) > 0 {
			fmt.Fprintf(t, "  damage\t%s\n", countList(c.Damage))
		}
		if c.Problem != "" {
			fmt.Fprintf(t, "  cannot be read further\t%s\n", c.Problem)
		}
		for _, d := range c.Detectors {
			fmt.Fprintf(t, "  detector\t%s\n", d)
		}
		for n, names := range c.Configures {
			fmt.Fprintf(t, "  Configure %d\tdetector\ttype\tsegment\talgorithm\tid\n", n)
			for _, d := range names {
				fmt.Fprintf(t, "  %s\t%s\t%s\t%d\t%s %s\t%s\n", d.ID, d.Detector, d.Type, d.Segment, d.Algorithm, d.Version, d.Serial)
				for _, f := range d.Fields {
					fmt.Fprintf(t, "    \t  %s\n", f)
				}
			}
		}
	}
	if !indexed {
		return t.Flush()
	}
	fmt.Fprintf(t, "\n%v\tbegins %s\tformat %s\t%s\n", in.Run, in.Run.Begin.In(zone).Format(time.RFC3339Nano), in.Format, fault.Count(in.Events, "event"))
	fmt.Fprintf(t, "\npanel\ttype\trows x cols\tframes\tid\n")
	for _, p := range in.Panels {
		var states []string
		for s := frame.Present; s <= frame.Bad; s++ {
			if n := p.Frames[s.String()]; n > 0 {
				states = append(states, fmt.Sprintf("%d %v", n, s))
			}
		}
		fmt.Fprintf(t, "%v\t%s\t%d x %d\t%s\t%s\n", p.Panel, p.Type, p.Rows, p.Cols, strings.Join(states, ", "), p.ID)
	}
	fmt.Fprintf(t, "\nstep\tevents\tgain setting\tdescription\n")
	for _, s := range in.Steps {
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\n", s.Number, s.Events, gainSummary(s.Gains), s.Doc)
	}
	for _, m := range in.Missing {
		fmt.Fprintf(t, "\nincomplete: %s\n", m)
	}
	for _, n := range in.Notes {
		fmt.Fprintf(t, "\nnote: %s\n", n)
	}
	return t.Flush()
}

func countList(list []open.Count) string {
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprintf("%d %s", c.N, c.Name))
	}
	return strings.Join(out, ", ")
}

// gainSummary shortens what is said of the gain of all panels: one word if they are equal.
func gainSummary(gains []frame.Gain) string {
	var words []string
	for _, g := range gains {
		word := cmp.Or(g.String(), "-")
		if g.Map > 0 {
			word += " (a map)"
		}
		words = append(words, word)
	}
	if same := slices.Compact(slices.Clone(words)); len(same) <= 1 {
		return strings.Join(same, "")
	}
	return strings.Join(words, " ")
}

// dumpFrame writes the pixels of one frame. Frames that are not to be used are written with a warning,
// if their bytes are there.
func dumpFrame(e *environment, x *frame.Index, path string, event, segment, sub int) error {
	if event < 0 || event >= len(x.Events) {
		return fault.New(fault.Usage, "no event %d: the run has events 0 to %d", event, len(x.Events)-1)
	}
	panel := -1
	for i, p := range x.Panels {
		if p.Segment == segment && p.Sub == sub && p.Detector == x.Panels[0].Detector {
			panel = i
		}
	}
	if panel < 0 || len(x.Detectors()) > 1 {
		return fault.New(fault.Usage, "segment %d.%d names no panel", segment, sub).
			WithHint("detectors: %s; pick one with -d and a segment from the list above", strings.Join(x.Detectors(), ", "))
	}
	ext, p := x.At(event, panel), x.Panels[panel]
	if ext.Length == 0 {
		return fault.New(fault.Input, "the frame of %v in event %d is %v", p, event, ext.State)
	}
	if ext.State != frame.Present {
		e.Log.Warnf("the frame of %v in event %d is %v (damage %#x)", p, event, ext.State, ext.Damage)
	}
	file := x.Files[ext.File].Path
	f, err := os.Open(file)
	if err != nil {
		return fault.New(fault.Input, "could not open a raw file: %w", err)
	}
	defer f.Close()
	src := make([]byte, ext.Length)
	if _, err := f.ReadAt(src, ext.Offset); err != nil {
		return fault.New(fault.Input, "could not read %d bytes of %q at byte %#x: %w", len(src), file, ext.Offset, err)
	}
	dst := make([]uint16, p.Pixels())
	if err := codec.Decode(p, dst, src); err != nil {
		return fault.New(fault.Input, "could not decode %q byte %#x: %w", file, ext.Offset, err)
	}
	if err := npy.Write(path, []int{p.Rows, p.Cols}, dst); err != nil {
		return err
	}
	e.Log.Infof("event %d (time-stamp %d) of %v is in %s", event, x.Events[event].TS, p, path)
	return nil
}

// inspectPacks shows files of our own. done is false when the files are not ours.
func inspectPacks(e *environment, files []string) (done bool, err error) {
	for _, path := range files {
		own, err := isPack(path)
		if err != nil {
			return false, err
		}
		if !own && done {
			return false, fault.New(fault.Usage, "%q is a raw file and others are not; inspect them one by one", path)
		}
		if !own {
			return false, nil
		}
		done = true
		if err := printPack(e, path); err != nil {
			return false, err
		}
	}
	return done, nil
}

// packMagic begins all our binary files.
const packMagic = "RSPACK\r\n"

func isPack(path string) (bool, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return false, nil // to open a pipe waits for its writer
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fault.New(fault.Input, "%w", err)
	}
	if err != nil {
		return false, fault.New(fault.Input, "could not open a file: %w", err)
	}
	defer f.Close()
	head := make([]byte, len(packMagic))
	n, err := io.ReadFull(f, head)
	if err != nil && n == 0 && !errors.Is(err, io.EOF) {
		return false, fault.New(fault.Input, "could not read %q: %w", path, err)
	}
	return string(head[:n]) == packMagic, nil
}

// packInspection is the result for one of our files.
type packInspection struct {
	Path   string          `json:"path"`
	Kind   string          `json:"kind"`
	Head   json.RawMessage `json:"head"`
	Arrays []pack.Entry    `json:"arrays"`
}

// printPack shows one of our files after verifying all of it.
func printPack(e *environment, path string) error {
	p, err := pack.Open(path)
	if err != nil {
		return packError(err)
	}
	defer p.Close()
	if err := p.Verify(); err != nil {
		return packError(err)
	}
	in := packInspection{Path: path, Kind: p.Kind(), Head: p.RawHead(), Arrays: p.Entries()}
	if e.JSON {
		return e.PrintJSON(in)
	}
	var head bytes.Buffer
	if err := json.Indent(&head, in.Head, "", "  "); err != nil {
		return fault.New(fault.Input, "%q: head of the file: %w", path, err)
	}
	t := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "file %s\tkind %s\tall checksums are right\n%s\n\narray\ttype\telements\tstored bytes\n", path, in.Kind, head.String())
	for _, a := range in.Arrays {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", a.Name, a.DType, a.Count, a.Length)
	}
	return t.Flush()
}

// packError classifies an error about the content of one of our files.
func packError(err error) error {
	var bad *pack.Error
	if errors.As(err, &bad) {
		return fault.New(fault.Input, "%w", err).WithHint("the file is damaged: make it again")
	}
	return err
}
