package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

// Checks of flag values: each is made before any work, whatever the command does with the value later.

// effect names flags that change nothing but in some jobs.
type effect struct {
	of    string // the jobs, in words
	has   func(par plan.Params) bool
	flags []string
}

// moments reports whether a job judges averages and deviations of single values.
func moments(par plan.Params) bool { return !par.Charge() && len(par.Features) == 0 }

// effects are the flags of a job that not every job heeds. A job that does not refuses them: the person who gave one
// believes that it holds.
var effects = []effect{
	{"profiles data and dark", moments, []string{"int-lo", "int-hi", "intnlo", "intnhi", "rms-lo", "rms-hi", "rmsnlo", "rmsnhi", "fraclm", "limits-per", "limits"}},
	{"profile dark", plan.Params.Gated, []string{"gate-frames", "gates", "gates-from", "fraclo", "frachi"}},
	{"features", func(par plan.Params) bool { return len(par.Features) > 0 }, []string{"snrmax"}},
	{"feature 6", func(par plan.Params) bool { return par.Has(6) }, []string{"window"}},
	{"feature 11", func(par plan.Params) bool { return par.Has(11) }, []string{"pedestals"}},
	{"profile ci", plan.Params.Charge, []string{"space", "npoff", "gap", "first-period", "ci-nsigm", "ci-neg-max", "ci-switch-min", "ci-response", "ci-flips", "ci-crosstalk", "ci-constants"}},
	{"other profiles than ci", func(par plan.Params) bool { return !par.Charge() }, []string{"min-frames", "slice", "gain-mode", "gain-rule"}},
}

// checkEffects refuses flags that have no effect on a job.
func checkEffects(c *cli.Context, par plan.Params) error {
	for _, x := range effects {
		for _, flag := range x.flags {
			if !c.IsSet(flag) || x.has(par) {
				continue
			}
			job := "profile " + par.Profile
			if len(par.Features) > 0 {
				job = "features " + strings.Trim(strings.ReplaceAll(fmt.Sprint(par.Features), " ", ","), "[]")
			}
			return fault.New(fault.Usage, "--%s has no effect on a job of %s: it is for %s", flag, job, x.of).WithHint("leave it out, or choose another --profile or -F")
		}
	}
	return nil
}

func checkFeatures(text string) error {
	features, err := parseNumbers(text, 1)
	if err != nil {
		return err
	}
	for _, n := range features {
		if !slices.Contains([]int{1, 2, 3, 6, 11}, n) {
			return fmt.Errorf("there is no feature %d, only 1, 2, 3, 6 and 11", n)
		}
	}
	return nil
}

func checkNumbers(least int) func(string) error {
	return func(text string) error {
		_, err := parseNumbers(text, least)
		return err
	}
}

func checkTasks(text string) error {
	if text == "all" {
		return nil
	}
	if _, err := parseNumbers(text, 0); err != nil {
		return fmt.Errorf("%w; wanted a list like 0,3-5, or all", err)
	}
	return nil
}

// parseSlice reads R0:R1,C0:C1.
func parseSlice(text string) ([]int, error) {
	s, err := integers(strings.ReplaceAll(text, ":", ","), ",", 4)
	if err != nil || s[0] < 0 || s[1] <= s[0] || s[2] < 0 || s[3] <= s[2] {
		return nil, fmt.Errorf("wanted R0:R1,C0:C1, rows R0 to R1-1 and columns C0 to C1-1")
	}
	return s, nil
}

// parseWindow reads ROWS,COLUMNS.
func parseWindow(text string) ([]int, error) {
	w, err := integers(text, ",", 2)
	if err != nil || w[0] < 1 || w[1] < 1 {
		return nil, fmt.Errorf("wanted ROWS,COLUMNS, each at least 1")
	}
	return w, nil
}

// parseMask reads the mask of the value in a raw word.
func parseMask(text string) (uint16, error) {
	v, err := strconv.ParseUint(text, 0, 16)
	if err != nil || v == 0 {
		return 0, fmt.Errorf("wanted a mask of 1 to 16 bits, such as 0x3fff")
	}
	return uint16(v), nil
}

// checkSet refuses what is no rule, or no value of it.
func checkSet(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("wanted KEY=VALUE, e.g. rms_hi=50")
	}
	return new(plan.Rules).Set(strings.TrimSpace(key), strings.TrimSpace(value))
}

func checkScanRule(text string) error {
	if !slices.Contains(reduce.ScanRules(), strings.ReplaceAll(text, "-", "_")) {
		return fmt.Errorf("there is no such rule to vary, only %s", strings.Join(reduce.ScanRules(), ", "))
	}
	return nil
}

func checkGainModes(text string) error {
	for _, mode := range strings.Split(text, ",") {
		if err := detector.CheckGainMode(mode); err != nil {
			return err
		}
	}
	return nil
}
