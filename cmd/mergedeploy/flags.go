package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/publish"
	"rawstatus/internal/ranges"
	"rawstatus/internal/stats/status"
)

// subjectFlags name the detector and run, and what is merged.
func subjectFlags() []cli.Flag {
	return command.In(command.Data, []cli.Flag{
		command.Check(&cli.StringFlag{Name: "dataset", Aliases: []string{"k"}, Usage: "raw data set `STRING`, e.g. exp=xpptut15,run=260,dir=/path (colons too)"}, command.Parses(open.ParseDataset)),
		&cli.StringFlag{Name: "exp", Aliases: []string{"e"}, Usage: "`EXPERIMENT`, e.g. xpptut15"},
		runFlag(),
		&cli.StringFlag{Name: "det", Aliases: []string{"d"}, Usage: "`DETECTOR` name; may be left out when there is only one"},
		&cli.StringFlag{Name: "dir", Usage: "`DIR` with the run's raw files, to take panels and time from them", DefaultText: "searched under the site's data roots, else the repository tells"},
		&cli.StringSliceFlag{Name: "file", Usage: "raw `FILE` instead of a run; may be repeated"},
		command.AtLeast(&cli.IntFlag{Name: "run-in-file", Usage: "run `NUMBER` inside files that hold several"}, 0),
		&cli.StringFlag{Name: "panel", Usage: "only the panel of this `ID` (directory in the repository)"},
		command.Check(&cli.StringFlag{Name: "tstamp", Aliases: []string{"t"}, Usage: "merge what holds for this `TIME` (YYYYmmddHHMMSS) instead of the run's"}, repo.CheckStamp),
		command.Repository(),
	})
}

// runFlag is -r. It is a text, for as a number 0137 would be taken as octal.
func runFlag() cli.Flag {
	return command.Check(&cli.StringFlag{Name: "run", Aliases: []string{"r"}, Usage: "`RUN` number"}, command.Parses(parseRun))
}

func parseRun(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > calib.Last {
		return 0, fmt.Errorf("not a run number from 0 to %d", calib.Last)
	}
	return n, nil
}

// runOf returns the run of -r, -1 when there is none.
func runOf(c *cli.Context) (int, error) {
	if !c.IsSet("run") {
		return -1, nil
	}
	return parseRun(c.String("run"))
}

// checkMerged refuses what is no type that is merged; status and pixel_status are the types of the files in --dark-tree.
func checkMerged(ctype string) error {
	if ctype == "status" || ctype == "pixel_status" {
		return nil
	}
	return repo.CheckWritten(ctype)
}

func checkBits(word string) error {
	_, err := parseBits([]string{word})
	return err
}

func checkMissingGain(text string) error {
	mode, choice, one := strings.Cut(text, "=")
	if !one {
		mode, choice = "", text
	}
	if from, copied := strings.CutPrefix(choice, "copy:"); copied {
		if err := detector.CheckGainMode(from); err != nil {
			return err
		}
	} else if choice != "good" && choice != "bad" {
		return fmt.Errorf("wanted good, bad or copy:<mode>")
	}
	if one {
		return detector.CheckGainMode(mode)
	}
	return nil
}

// mergeFlags say what is merged and how.
func mergeFlags() []cli.Flag {
	return command.In(command.Rules, []cli.Flag{
		command.CheckEach(&cli.StringSliceFlag{Name: "only", Usage: "merge only this `TYPE`, e.g. status_dark; may be repeated"}, checkMerged),
		command.CheckEach(&cli.StringSliceFlag{Name: "exclude", Usage: "leave this `TYPE` out; may be repeated"}, checkMerged),
		command.CheckEach(&cli.StringSliceFlag{Name: "bits", Usage: "merge only these bits: `VALUE`, name or group (noise, intensity, gain, flatness, maximum, unjudged, spatial)"}, checkBits),
		&cli.BoolFlag{Name: "and", Usage: "a bit must be in every type, not in one of them"},
		command.Check(&cli.StringFlag{Name: "runs", Usage: "let these `RUNS` vote for each bit, e.g. 10-20,25; with --fraction or --at-least"}, command.Parses(open.ParseRuns)),
		command.Between(&cli.Float64Flag{Name: "fraction", Usage: "`FRACTION` of the voting runs that must have a bit"}, 0, 1),
		command.AtLeast(&cli.IntFlag{Name: "at-least", Usage: "number `N` of voting runs that must have a bit"}, 0),
		&cli.StringFlag{Name: "dark-tree", Usage: "`DIR` of the panel repository that the detector's dark jobs keep: merge its status, too"},
		command.CheckEach(&cli.StringSliceFlag{Name: "missing-gain", Usage: "what a gain mode without a file is: `WHAT` is good, bad or copy:<mode>; <mode>=<this> for one of them, may be repeated"}, checkMissingGain),
		command.Choice(&cli.StringFlag{Name: "missing-panel", Usage: "what a panel without a file is: `WHAT`"}, "good", "bad"),
	})
}

// repository returns the repository of the site.
func repository(e *environment) (*repo.Repo, error) {
	if e.Site.Repository == "" {
		return nil, fault.New(fault.Usage, "no repository is configured").WithHint("name it with -o, in the environment or in the site file")
	}
	root, err := filepath.Abs(e.Site.Repository) // paths go into ledgers and HISTORY
	if err != nil {
		return nil, err
	}
	return repo.New(root, policy(e), e.Site.Location()), nil
}

func policy(e *environment) *access.Policy {
	return &access.Policy{DirMode: uint32(e.Site.DirMode), FileMode: uint32(e.Site.FileMode), Group: e.Site.Group}
}

// wanted takes from the flags what the user says about the subject.
func wanted(c *cli.Context, e *environment) (publish.Wanted, error) {
	run, err := runOf(c)
	w := publish.Wanted{Experiment: c.String("exp"), Run: run, Detector: c.String("det"), Panel: c.String("panel"), Stamp: c.String("tstamp"), Roots: e.Site.DataRoots}
	if err != nil || c.String("dataset") == "" && c.String("dir") == "" && len(c.StringSlice("file")) == 0 {
		return w, err
	}
	var d open.Dataset
	if s := c.String("dataset"); s != "" {
		if d, err = open.ParseDataset(s); err != nil {
			return w, err
		}
	}
	if w.Experiment != "" {
		d.Experiment = w.Experiment
	}
	if w.Run >= 0 {
		d.Runs = ranges.One(w.Run)
	}
	if dir := c.String("dir"); dir != "" {
		d.Dir = dir
	}
	if w.Detector != "" {
		d.Detector = w.Detector
	}
	d.Files, d.RunInFile, d.Roots = c.StringSlice("file"), c.Int("run-in-file"), e.Site.DataRoots
	w.Raw = &d
	return w, nil
}

// mergeOptions takes the options from the flags.
func mergeOptions(c *cli.Context, e *environment, r *repo.Repo, dettype string) (publish.MergeOptions, error) {
	o := publish.MergeOptions{CType: ctype, Only: c.StringSlice("only"), Exclude: c.StringSlice("exclude"), And: c.Bool("and"),
		Fraction: c.Float64("fraction"), AtLeast: c.Int("at-least"),
		MissingGain: map[string]string{}, MissingPanel: c.String("missing-panel")}
	if dir := c.String("dark-tree"); dir != "" {
		o.Tree = repo.NewTree(dir, dettype, r.Policy, r.Loc)
	}
	family, _ := detector.Lookup(dettype)
	missing := c.StringSlice("missing-gain")
	if site := e.Site.Limits[strings.ToLower(dettype)].MissingGain; len(missing) == 0 && site != nil {
		missing = *site
	}
	for _, s := range missing {
		if err := checkMissingGain(s); err != nil {
			return o, fault.New(fault.Usage, "missing_gain of %s: %q: %w", dettype, s, err)
		}
		mode, choice, one := strings.Cut(s, "=")
		if !one {
			mode, choice = "", s
		}
		if one && family.GainIndex(mode) < 0 {
			if len(family.GainModes) == 0 {
				return o, fault.New(fault.Usage, "--missing-gain=%s: %s has one gain", s, dettype).WithHint("leave the gain mode out")
			}
			return o, fault.New(fault.Usage, "--missing-gain=%s: %s has the gain modes %s", s, dettype, strings.Join(family.GainModes, ", "))
		}
		o.MissingGain[mode] = choice
	}
	var err error
	if o.Bits, err = parseBits(c.StringSlice("bits")); err != nil {
		return o, err
	}
	if c.IsSet("runs") {
		if o.Runs, err = open.ParseRuns(c.String("runs")); err != nil {
			return o, err
		}
	}
	return o, nil
}

// checkVoting refuses runs without a share and a share without runs.
func checkVoting(c *cli.Context) error {
	shares := 0
	for _, flag := range []string{"fraction", "at-least"} {
		switch {
		case !c.IsSet(flag):
		case c.Float64(flag) == 0 && c.Int(flag) == 0:
			return fault.New(fault.Usage, "--%s 0: wanted more", flag)
		default:
			shares++
		}
	}
	if c.IsSet("runs") != (shares == 1) {
		return fault.New(fault.Usage, "--runs and one of --fraction and --at-least go together").WithHint("for example: --runs 10-20 --fraction 0.7")
	}
	return nil
}

// parseBits makes masks, by bit family, of bit values, names and groups; nil when nothing is asked for. A
// number means the bit of that value in every family.
func parseBits(words []string) (map[string]uint64, error) {
	if len(words) == 0 {
		return nil, nil
	}
	masks := map[string]uint64{}
	families := []status.Family{status.Dark, status.Features, status.Charge, ""} // the last for masks of users and others
	for _, word := range words {
		digits, base := word, 10
		if hex, ok := strings.CutPrefix(word, "0x"); ok {
			digits, base = hex, 16
		}
		v, err := strconv.ParseUint(digits, base, 64)
		known := err == nil && v != 0
		for _, family := range families {
			if known {
				masks[string(family)] |= v
			}
		}
		for _, b := range status.Table {
			if !strings.EqualFold(word, b.Name) && !strings.EqualFold(word, b.Group) {
				continue
			}
			known = true
			for _, family := range families {
				if b.Family == "" || b.Family == family {
					masks[string(family)] |= b.Value
				}
			}
		}
		if !known {
			return nil, fault.New(fault.Usage, "%q is neither a number nor the name or group of a bit", word).WithHint("rawstatus bits lists them")
		}
	}
	return masks, nil
}
