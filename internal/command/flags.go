package command

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/fault"
)

// Categories of flags, in the order of the help pages.
const (
	Data       = "Data"
	Rules      = "Rules"
	Output     = "Output"
	Deployment = "Deployment"
	Slurm      = "Slurm"
	Machine    = "This machine"
)

var categories = []string{Data, Rules, Output, Deployment, Slurm, Machine}

// In puts flags that have no category yet into one, and returns them as one list. A flag without any
// category is in Output.
func In(category string, lists ...[]cli.Flag) []cli.Flag {
	flags := slices.Concat(lists...)
	for _, f := range flags {
		if c := commonOf(f); *c.category == "" {
			*c.category = category
		}
	}
	return flags
}

// common holds what the flags of the parser have in common, whatever their type and whatever wraps them.
type common struct {
	category, byDefault *string
	required, hidden    *bool
	checked             bool // its value is checked
}

func commonOf(f cli.Flag) common {
	switch f := f.(type) {
	case *settingFlag:
		return commonOf(f.StringFlag)
	case *choiceFlag:
		return commonOf(f.StringFlag)
	case *cli.BoolFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.DurationFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.Float64Flag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.GenericFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.Int64Flag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.IntFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.IntSliceFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.StringFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.StringSliceFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.TimestampFlag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	case *cli.Uint64Flag:
		return common{&f.Category, &f.DefaultText, &f.Required, &f.Hidden, f.Action != nil}
	}
	panic(fmt.Sprintf("command: flags of type %T are not known", f))
}

// settingFlag is a flag that overrides a setting of the site.
type settingFlag struct {
	*cli.StringFlag
	key string
}

// Setting makes a flag of a command that overrides a setting of the site: key is the setting's key in
// the site file. The command finds the outcome in Env.Site and does not ask for the flag itself.
func Setting(key, name, usage string, aliases ...string) cli.Flag {
	return &settingFlag{&cli.StringFlag{Name: name, Usage: usage, Aliases: aliases, DefaultText: "setting " + key}, key}
}

// Repository is -o, the repository of constants: Env.Site.Repository.
func Repository() cli.Flag {
	return In(Output, []cli.Flag{Setting("repository", "repository", "`DIR` of the constants repository", "repo", "o")})[0]
}

// CalibDir is -c, the calibration directory that analysis reads: Env.Site.CalibDir.
func CalibDir() cli.Flag {
	return In(Deployment, []cli.Flag{Setting("calib_dir", "calib-dir", "calibration `DIR` that analysis reads", "c")})[0]
}

// choiceFlag is a flag whose value is one of a few words.
type choiceFlag struct {
	*cli.StringFlag
	words []string
}

// Choice makes a flag take one of these words only. Help pages and completion list them.
func Choice(f *cli.StringFlag, words ...string) cli.Flag {
	return &choiceFlag{Check(f, func(text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("wanted one of %s", strings.Join(words, ", "))
		}
		return nil
	}), words}
}

// Check makes a flag refuse texts for which check returns an error, before any work; the message names flag and text.
func Check(f *cli.StringFlag, check func(text string) error) *cli.StringFlag {
	f.Action = func(c *cli.Context, text string) error { return refuse(c, f.Name, strconv.Quote(text), check(text)) }
	return f
}

// CheckEach is Check for a flag that may be repeated.
func CheckEach(f *cli.StringSliceFlag, check func(text string) error) *cli.StringSliceFlag {
	f.Action = func(c *cli.Context, texts []string) error {
		for _, text := range texts {
			if err := refuse(c, f.Name, strconv.Quote(text), check(text)); err != nil {
				return err
			}
		}
		return nil
	}
	return f
}

// Parses makes a check of a function that reads a text.
func Parses[T any](parse func(text string) (T, error)) func(text string) error {
	return func(text string) error {
		_, err := parse(text)
		return err
	}
}

// refuse classifies the complaint about a flag's value. An error for the user names the value itself, and may have
// a hint.
func refuse(c *cli.Context, flag, value string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	refused := fault.New(fault.Usage, "--%s %s: %w", flag, value, err)
	if errors.As(err, &known) {
		refused = fault.New(fault.Usage, "--%s: %w", flag, err)
	}
	if fault.HintOf(err) == "" {
		return refused.WithHint("%s %s --help-all lists the flags with their values", c.App.Name, c.Command.Name)
	}
	return refused
}

// AtLeast makes a flag refuse numbers (and durations) below least.
func AtLeast(f cli.Flag, least float64) cli.Flag { return Between(f, least, math.Inf(1)) }

// Between makes a flag refuse numbers (and durations, in seconds) that are not from least to most. What is not a number
// at all, as NaN, and infinity are refused always.
func Between(f cli.Flag, least, most float64) cli.Flag {
	name := f.Names()[0]
	check := func(c *cli.Context, text string, v float64) error {
		switch {
		case v >= least && v <= most && !math.IsInf(v, 0):
			return nil
		case !math.IsInf(most, 0):
			return refuse(c, name, text, fmt.Errorf("wanted a value from %g to %g", least, most))
		case !math.IsInf(least, 0) && v < least:
			return refuse(c, name, text, fmt.Errorf("wanted at least %g", least))
		}
		return refuse(c, name, text, fmt.Errorf("wanted a finite number"))
	}
	switch f := f.(type) {
	case *cli.IntFlag:
		f.Action = func(c *cli.Context, v int) error { return check(c, strconv.Itoa(v), float64(v)) }
	case *cli.Int64Flag:
		f.Action = func(c *cli.Context, v int64) error { return check(c, fmt.Sprint(v), float64(v)) }
	case *cli.Uint64Flag:
		f.Action = func(c *cli.Context, v uint64) error { return check(c, fmt.Sprint(v), float64(v)) }
	case *cli.Float64Flag:
		f.Action = func(c *cli.Context, v float64) error { return check(c, fmt.Sprint(v), v) }
	case *cli.DurationFlag:
		f.Action = func(c *cli.Context, v time.Duration) error { return check(c, v.String(), v.Seconds()) }
	case *cli.IntSliceFlag:
		f.Action = func(c *cli.Context, list []int) error {
			for _, v := range list {
				if err := check(c, strconv.Itoa(v), float64(v)); err != nil {
					return err
				}
			}
			return nil
		}
	default:
		panic(fmt.Sprintf("command: --%s is no number", name))
	}
	return f
}

// names are the placeholders of names that become parts of paths or are looked up in data: printable ASCII without
// blanks. A letter with an accent is a slip of the keyboard or of an encoding.
var names = []string{"NAME", "ID", "EXPERIMENT", "DETECTOR", "TYPE"}

// checkName refuses what cannot be a name.
func checkName(flag, text string) error {
	for _, r := range text {
		if r <= ' ' || r > '~' || r == '/' || r == '\\' {
			return fault.New(fault.Usage, "--%s %q is not a name: it has the character %q", flag, text, r).
				WithHint("names of experiments, detectors, panels and types are letters, digits and signs of ASCII, without blanks and slashes")
		}
	}
	return nil
}

// free are the placeholders of texts that only the command itself can judge. A flag with another one has a check.
var free = []string{"DIR", "FILE", "TEXT", "NAME", "ID", "EXPERIMENT", "DETECTOR", "URL", "ADDRESS", "OPTION"}

// Unchecked lists the flags of a program's commands that would take any value: each needs Between, AtLeast, Choice or
// Check, or a placeholder of a text that is free.
func (p Program) Unchecked() (faults []string) {
	for _, c := range p.Commands(&Env{}) {
		for _, f := range c.Flags {
			d := describe(f)
			_, setting := f.(*settingFlag) // the settings have their own checks
			_, parsed := f.(*cli.TimestampFlag)
			switch {
			case !d.takesValue || setting || parsed || d.hidden:
			case d.placeholder == "" || d.placeholder != strings.ToUpper(d.placeholder):
				faults = append(faults, fmt.Sprintf("%s --%s: %q is no placeholder: put one in capitals into backquotes in its usage", c.Name, d.names[0], d.placeholder))
			case !slices.Contains(free, d.placeholder) && !commonOf(f).checked:
				faults = append(faults, fmt.Sprintf("%s --%s: a value %s is not checked", c.Name, d.names[0], d.placeholder))
			}
		}
	}
	return faults
}

// usual are the categories of flags that several commands have, where nothing else is said.
var usual = map[string]string{
	"exp": Data, "run": Data, "det": Data, "det-type": Data, "file": Data, "segment": Data, "ctype": Data,
	"rule": Rules, "validity": Deployment, "deploy": Deployment,
}

// described holds the facts about a flag that help pages, man pages and completion show.
type described struct {
	names       []string
	placeholder string // empty for a flag that takes no value
	usage       string // without backquotes
	byDefault   string
	category    string
	words       []string // the values it may have, where they are few
	takesValue  bool
	repeats     bool
	hidden      bool
}

// describe collects what is known of a flag.
func describe(f cli.Flag) described {
	doc, c := f.(cli.DocGenerationFlag), commonOf(f)
	d := described{names: f.Names(), category: *c.category, takesValue: doc.TakesValue(), hidden: *c.hidden, byDefault: *c.byDefault}
	if slice, ok := f.(cli.DocGenerationSliceFlag); ok {
		d.repeats = slice.IsSliceFlag()
	}
	if _, generic := f.(*cli.GenericFlag); generic { // ours collect words
		d.repeats = true
	}
	if choice, ok := f.(*choiceFlag); ok {
		d.words = choice.words
	}
	before, rest, _ := strings.Cut(doc.GetUsage(), "`")
	placeholder, after, quoted := strings.Cut(rest, "`")
	d.usage = doc.GetUsage()
	if quoted {
		d.usage = before + placeholder + after
		d.placeholder = placeholder
	}
	if value := doc.GetValue(); d.byDefault == "" && d.takesValue && !d.repeats && value != "0" && value != "0s" {
		d.byDefault = strings.Trim(value, `"`)
	}
	if d.category == "" {
		d.category = cmp.Or(usual[d.names[0]], Output)
	}
	return d
}
