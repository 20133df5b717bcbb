package main

import (
	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/detector"
	"rawstatus/internal/shard/plan"
)

// Default numbers of profile ci: those of the original, and of our own measure.
const (
	defaultChargeEvents = 4600
	defaultNPOff        = 10
	defaultGap          = 10
	defaultCINSigma     = 8
	defaultCISwitchMin  = 1
	defaultCIResponse   = 0.1
	defaultCIFlips      = 0.1
	defaultCICrossTalk  = 0.002
	originalNegMax      = 3
)

// chargeCountFlags say how charge injection is counted.
func chargeCountFlags() []cli.Flag {
	return []cli.Flag{
		command.Between(&cli.IntFlag{Name: "space", Usage: "ci: every `N`-th row and column is pulsed", DefaultText: "as the steps tell"}, 1, 64),
		command.Between(&cli.IntFlag{Name: "npoff", Usage: "ci: leave out `N` frames on both sides of the switching point", Value: defaultNPOff}, 0, 1000),
		command.Between(&cli.IntFlag{Name: "gap", Usage: "ci: up to `N` events without gain bit do not end a group", Value: defaultGap}, 0, 1000),
		&cli.BoolFlag{Name: "first-period", Usage: "ci: use the first period of each pixel only"},
	}
}

// chargeRuleFlags returns the numbers in the rules of charge injection.
func chargeRuleFlags() []cli.Flag {
	return []cli.Flag{
		command.AtLeast(&cli.Float64Flag{Name: "ci-nsigm", Usage: "ci: limits are median ± `N` median distances", Value: defaultCINSigma}, 0),
		command.AtLeast(&cli.IntFlag{Name: "ci-neg-max", Usage: "ci: more than `N` periods are too many; 0: one more than complete ramps", DefaultText: "0; with --compat 3"}, 0),
		command.AtLeast(&cli.Float64Flag{Name: "ci-switch-min", Usage: "ci: least distance of a switching point from the median that is bad, in `UNITS` of the ramp", Value: defaultCISwitchMin}, 0),
		command.Between(&cli.Float64Flag{Name: "ci-response", Usage: "ci: no response below this `FRACTION` of the median slope", Value: defaultCIResponse}, 0, 1),
		command.Between(&cli.Float64Flag{Name: "ci-flips", Usage: "ci: `FRACTION` of the ramps whose gain bit may rise more than once", Value: defaultCIFlips}, 0, 1),
		command.AtLeast(&cli.Float64Flag{Name: "ci-crosstalk", Usage: "ci: slope beside pulsed pixels that is bad at least, a `FRACTION` of the AHL-H slope", Value: defaultCICrossTalk}, 0),
		command.Choice(&cli.StringFlag{Name: "ci-constants", Usage: "ci: write gains and offsets, too, under names of this `STYLE`", DefaultText: "not"}, "own", "lcls2", "both"),
	}
}

// setCharge fills in what profile ci has in addition.
func setCharge(c *cli.Context, family detector.Family, par *plan.Params) {
	if !par.Charge() {
		return
	}
	if !c.IsSet("events") {
		par.Events = defaultChargeEvents
	}
	par.Injection = &plan.ChargeParams{Space: c.Int("space"), NPOff: c.Int("npoff"), Gap: c.Int("gap"), FirstPeriod: c.Bool("first-period"),
		GainBit: plan.GainBit(family)}
	par.CINSigma, par.CINegMax, par.CISwitchMin = c.Float64("ci-nsigm"), c.Int("ci-neg-max"), c.Float64("ci-switch-min")
	par.CIResponse, par.CIFlips, par.CICrossTalk = c.Float64("ci-response"), c.Float64("ci-flips"), c.Float64("ci-crosstalk")
	par.CIConstants = c.String("ci-constants")
	if par.Compat != "" && !c.IsSet("ci-neg-max") {
		par.CINegMax = originalNegMax
	}
}
