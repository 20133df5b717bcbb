package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/config"
	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
)

// job flags describe what is computed; plan, run and everything that plans share them.

// Default numbers of the original programs (DarkProc), where the detector table does not say otherwise.
const (
	defaultIntLo      = 1
	defaultNSigma     = 6
	defaultRmsLo      = 0.001
	defaultFracLm     = 0.1
	defaultFracLo     = 0.05
	defaultFracHi     = 0.95
	defaultDarkEvents = 1000
	defaultGateFrames = 50
	twoPassGateFrames = 500
	twoPassEvents     = 1024   // of the original
	originalDataBits  = 0x3fff // of any detector
	defaultMinFrames  = 3
	defaultMaxLost    = 1.0
	defaultSNRMax     = 8
)

func jobFlags() []cli.Flag {
	return slices.Concat(command.In(command.Rules, profileFlags(), limitFlags(), chargeRuleFlags()), command.In(command.Data, selectionFlags(), chargeCountFlags()))
}

// profileFlags say which rules judge the pixels.
func profileFlags() []cli.Flag {
	return []cli.Flag{
		command.Choice(&cli.StringFlag{Name: "profile", Usage: "`PROFILE` of rules, see rawstatus bits; features takes -F, light is -F 1,6, max is -F 11", DefaultText: "data, or features when -F is given"}, plan.ProfileData, plan.ProfileDark, plan.ProfileFeatures, plan.ProfileLight, plan.ProfileMax, plan.ProfileCharge),
		command.Check(&cli.StringFlag{Name: "features", Aliases: []string{"F"}, Usage: "`FEATURES` of det_pixel_status, any of 1,2,3,6,11"}, checkFeatures),
		command.Check(&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "constants `TYPE` to write", DefaultText: "status_<profile>; features: status_light with 6, status_max with 11, else status_dark"}, repo.CheckWritten),
		command.Choice(&cli.StringFlag{Name: "compat", Usage: "quirks of the `ORIGINAL`, for comparison"}, "lcls1", "lcls2"),
	}
}

// selectionFlags say which frames and pixels are used.
func selectionFlags() []cli.Flag {
	return []cli.Flag{
		command.AtLeast(&cli.IntFlag{Name: "events", Aliases: []string{"n"}, Usage: "use at most `N` frames per panel and gain mode, 0 = all", DefaultText: "dark: 1000, ci: 4600 of each step, else all"}, 0),
		command.AtLeast(&cli.IntFlag{Name: "skip", Aliases: []string{"m"}, Usage: "leave out the first `N` events of each step"}, 0),
		command.Check(&cli.StringFlag{Name: "step", Usage: "only these `STEPS`, e.g. 0,2-4; -1 = before the first BeginStep"}, checkNumbers(-1)),
		command.Check(&cli.StringFlag{Name: "segment", Aliases: []string{"i"}, Usage: "only these panels (`SEGMENTS`), e.g. 0,4-7"}, checkNumbers(0)),
		command.Check(&cli.StringFlag{Name: "gain-mode", Usage: "`MODE` of the frames, against what the data tell, e.g. g1 or AHL-H"}, detector.CheckGainMode),
		command.Check(&cli.StringFlag{Name: "slice", Aliases: []string{"S"}, Usage: "only this part of each panel, `R0:R1,C0:C1`"}, command.Parses(parseSlice)),
		command.Choice(&cli.StringFlag{Name: "zero-frames", Usage: "`WHAT` frames of nothing but zeros are: lost, or kept where the detector really reads zero", DefaultText: "lost; --compat: keep"}, "lost", "keep"),
		command.AtLeast(&cli.IntFlag{Name: "gate-frames", Usage: "dark: leading frames `N` that define the gates (nrecs1)", DefaultText: "50; two-pass: 500"}, 1),
		command.Choice(&cli.StringFlag{Name: "gates", Usage: "dark: `HOW` gates are made: from quantiles of the leading frames, or two-pass, from their averages and mean rms", DefaultText: "two-pass for epix10ka, else quantiles"}, gatesQuantiles, gatesTwoPass),
		&cli.StringFlag{Name: "gates-from", Usage: "dark: take the gates of an earlier job from its work `DIR`"},
		command.Check(&cli.StringFlag{Name: "databits", Usage: "`MASK` of the value in a raw word, e.g. 0x3fff", DefaultText: "by detector type; dark with --compat: 0x3fff"}, command.Parses(parseMask)),
		command.Check(&cli.StringFlag{Name: "window", Usage: "feature 6: `ROWS,COLUMNS` of its windows", Value: "15,15"}, command.Parses(parseWindow)),
		maxLostFlag(),
		allowIncompleteFlag(),
		&cli.BoolFlag{Name: "all-headers", Usage: "index by the headers of all frames; else those of an event's later panels are predicted, and checked while pixels are read"},
	}
}

// maxLostFlag and allowIncompleteFlag say what of an incomplete run is accepted.
func maxLostFlag() cli.Flag {
	return command.Between(&cli.Float64Flag{Name: "max-lost", Usage: "accept up to this `PERCENTAGE` of a panel's events lost or damaged", Value: defaultMaxLost}, 0, 100)
}

func allowIncompleteFlag() cli.Flag {
	return &cli.BoolFlag{Name: "allow-incomplete", Usage: "take what is there; every output carries the fact"}
}

// limitFlags returns the numbers in the rules.
func limitFlags() []cli.Flag {
	return []cli.Flag{
		command.AtLeast(&cli.Float64Flag{Name: "int-lo", Usage: "lower intensity limit in `ADU`", Value: defaultIntLo}, math.Inf(-1)),
		command.AtLeast(&cli.Float64Flag{Name: "int-hi", Usage: "upper intensity limit in `ADU`", DefaultText: "16000 for 14-bit data, else one below the largest value"}, math.Inf(-1)),
		command.Between(&cli.Float64Flag{Name: "fraclo", Usage: "dark: lower quantile of the gates, a `FRACTION`", Value: defaultFracLo}, 0, 1),
		command.Between(&cli.Float64Flag{Name: "frachi", Usage: "dark: upper quantile of the gates, a `FRACTION`", Value: defaultFracHi}, 0, 1),
		command.AtLeast(&cli.Float64Flag{Name: "intnlo", Usage: "average below mean - `N` sigma is bad; 0: int-lo alone", Value: defaultNSigma}, 0),
		command.AtLeast(&cli.Float64Flag{Name: "intnhi", Usage: "average above mean + `N` sigma is bad; 0: int-hi alone", Value: defaultNSigma}, 0),
		command.AtLeast(&cli.Float64Flag{Name: "rms-lo", Usage: "lower rms limit in `ADU`", Value: defaultRmsLo}, 0),
		command.AtLeast(&cli.Float64Flag{Name: "rms-hi", Usage: "upper rms limit in `ADU`", DefaultText: "as int-hi"}, 0),
		command.AtLeast(&cli.Float64Flag{Name: "rmsnlo", Usage: "rms below mean - `N` sigma is bad; 0: rms-lo alone", Value: defaultNSigma}, 0),
		command.AtLeast(&cli.Float64Flag{Name: "rmsnhi", Usage: "rms above mean + `N` sigma is bad; 0: rms-hi alone", Value: defaultNSigma}, 0),
		command.Between(&cli.Float64Flag{Name: "fraclm", Usage: "bad when more than this `FRACTION` of frames is outside int-lo, int-hi", Value: defaultFracLm}, 0, 1),
		command.Choice(&cli.StringFlag{Name: "limits-per", Usage: "`WHAT` limits are made over: all pixels of the detector, of each panel, or of each asic", DefaultText: "detector; two-pass: panel"}, "detector", "panel", "asic"),
		command.Choice(&cli.StringFlag{Name: "limits", Usage: "`HOW` limits are made: from mean and standard deviation, or robust (median and MAD, clipped)", Value: "mean"}, "mean", "robust"),
		command.Choice(&cli.StringFlag{Name: "gain-rule", Usage: "`WHICH` gain bits make a pixel bad: those not expected in the gain mode, only impossible ones (jungfrau: 10), or none", DefaultText: "dark: expected, data and --compat lcls2: impossible"}, "expected", "impossible", "off"),
		command.AtLeast(&cli.IntFlag{Name: "min-frames", Usage: "fewer than `N` frames: LOW_STATS", Value: defaultMinFrames}, 1),
		command.AtLeast(&cli.Float64Flag{Name: "snrmax", Usage: "features: width of the outlier search, in `SPREADS`", Value: defaultSNRMax}, 0),
		&cli.StringFlag{Name: "pedestals", Usage: "feature 11: pedestals, a `FILE` (.npy, text) or a calib directory", DefaultText: "the calib directory in force"},
		command.Between(&cli.Float64Flag{Name: "line-fraction", Usage: "hint ROW_COL when more than this `FRACTION` of a chip's row or column is bad; 0: off"}, 0, 1),
		command.Between(&cli.Float64Flag{Name: "asic-fraction", Usage: "hint ASIC when more than this `FRACTION` of a chip is bad; 0: off"}, 0, 1),
		command.Between(&cli.IntFlag{Name: "neighbours", Usage: "hint ROW_COL for the `N` pixels around bad ones: 4 or 8; 0: off"}, 0, 8),
	}
}

// subject holds the run, detector and profile of a job where its flags do not name them: of an item of a campaign, of a
// detector of a dark run.
type subject struct {
	data    open.Dataset
	profile string
}

// orderOf turns the flags of a job into an order.
func orderOf(c *cli.Context, e *environment, about subject) (job.Order, error) {
	data, err := datasetFrom(c, e, about.data)
	if err != nil {
		return job.Order{}, err
	}
	profile := cmp.Or(c.String("profile"), about.profile)
	return job.Order{Data: data, Settle: c.Duration("settle"), MaxLost: c.Float64("max-lost"), AllHeaders: c.Bool("all-headers"), Read: c.String("read"),
		Cut: plan.Options{Tasks: c.Int("tasks"), Workers: c.Int("workers")}, Log: e.Log,
		Params: func(run frame.Run, panel frame.Panel) (plan.Params, error) {
			return jobParams(c, e, profile, run, panel)
		},
		Work: func(run frame.Run, det string, par plan.Params) (string, error) {
			return workDir(e, c.String("work"), run, det, par)
		}}, nil
}

// jobParams turns flags, site file and detector table into the parameters of a job, in this order of
// precedence.
func jobParams(c *cli.Context, e *environment, profile string, run frame.Run, panel frame.Panel) (plan.Params, error) {
	family, _ := detector.Lookup(panel.Type)
	site := e.Site.Limits[strings.ToLower(panel.Type)]
	par := plan.Params{Profile: profile, CType: c.String("ctype"), Compat: c.String("compat")}
	if par.Profile == "" && !c.IsSet("features") && site.Profile != nil {
		par.Profile = *site.Profile
	}
	var err error
	if par.Features, err = numbers(c, "features", 1); err != nil {
		return par, err
	}
	if err := nameProfile(&par); err != nil {
		return par, err
	}
	if err := checkEffects(c, par); err != nil {
		return par, err
	}
	par.Selection = plan.Selection{Events: c.Int("events"), Skip: c.Int("skip"), GainMode: c.String("gain-mode"), GateFrames: defaultGateFrames,
		GatesFrom: c.String("gates-from"), DataBits: family.DataBits, MaxLost: c.Float64("max-lost"), AllowIncomplete: c.Bool("allow-incomplete"),
		KnownMissing: e.Site.KnownMissing}
	if par.Gated() && !c.IsSet("events") {
		par.Events = defaultDarkEvents
	}
	if c.IsSet("gate-frames") {
		par.GateFrames = c.Int("gate-frames")
	}
	if par.Steps, err = numbers(c, "step", -1); err != nil {
		return par, err
	}
	if par.Segments, err = numbers(c, "segment", 0); err != nil {
		return par, err
	}
	if par.Gated() && par.Compat != "" {
		par.DataBits = originalDataBits
	}
	if s := c.String("databits"); s != "" {
		if par.DataBits, err = parseMask(s); err != nil {
			return par, err
		}
	}
	if par.Has(6) {
		if par.Window, err = parseWindow(c.String("window")); err != nil {
			return par, err
		}
	}
	if s := c.String("slice"); s != "" {
		if par.Slice, err = parseSlice(s); err != nil {
			return par, err
		}
	}
	word := func(flag string, site *string) string {
		if site == nil || c.IsSet(flag) {
			return c.String(flag)
		}
		return *site
	}
	par.Rules = plan.Rules{LimitsPer: word("limits-per", site.LimitsPer), Limits: word("limits", site.HowLimits), MinFrames: c.Int("min-frames"),
		LineFraction: c.Float64("line-fraction"), ASICFraction: c.Float64("asic-fraction"), Neighbours: c.Int("neighbours")}
	par.GainRule = par.DefaultGainRule(family)
	if c.IsSet("gain-rule") {
		par.GainRule = strings.TrimPrefix(c.String("gain-rule"), "off")
	}
	par.KeepZeros = keepZeros(c, e.Site.Limits[strings.ToLower(panel.Type)])
	if par.Has(11) {
		if par.Pedestals = c.String("pedestals"); par.Pedestals == "" {
			if par.Pedestals, err = e.Site.CalibDirOf(run.Experiment); err != nil {
				return par, err
			}
		}
	}
	if panel.Bits > 0 {
		family.Bits = panel.Bits
	}
	setLimits(c, site, family, &par)
	setCharge(c, family, &par)
	return par, setTwoPass(c, family, &par)
}

// How gates are made.
const (
	gatesQuantiles = "quantiles"
	gatesTwoPass   = "two-pass"
)

// setTwoPass chooses the gates, and what else is usual with those of two passes. It comes after the limits.
func setTwoPass(c *cli.Context, family detector.Family, par *plan.Params) error {
	how := c.String("gates")
	two := par.Gated() && (how == gatesTwoPass || how == "" && family.TwoPass)
	if par.LimitsPer == "" {
		par.LimitsPer = string(status.PerDetector)
		if two {
			par.LimitsPer = string(status.PerPanel)
		}
	}
	if !two {
		return nil
	}
	for _, flag := range []string{"fraclo", "frachi"} {
		if c.IsSet(flag) {
			return fault.New(fault.Usage, "--%s is for gates from quantiles, and these are of two passes", flag).WithHint("leave it out, or give --gates quantiles")
		}
	}
	par.TwoPass = &status.TwoPass{NSigma: defaultNSigma, RmsLo: par.RmsLo, RmsHi: par.RmsHi}
	if !c.IsSet("gate-frames") {
		par.GateFrames = twoPassGateFrames
	}
	if par.Compat != "" && !c.IsSet("events") {
		par.Events = twoPassEvents
	}
	return nil
}

// nameProfile settles profile, features and constants type, each of which may follow from the others.
func nameProfile(par *plan.Params) error {
	fixed := map[string][]int{plan.ProfileLight: {1, 6}, plan.ProfileMax: {11}}
	switch features := fixed[par.Profile]; {
	case par.Profile == "" && par.Features == nil:
		par.Profile = plan.ProfileData
	case par.Profile == "":
		par.Profile = plan.ProfileFeatures
	case par.Profile == plan.ProfileFeatures && par.Features == nil:
		par.Features = []int{1, 2, 3}
	case features != nil && par.Features == nil:
		par.Features = features
	case par.Profile != plan.ProfileFeatures && par.Features != nil:
		return fault.New(fault.Usage, "profile %s has its own features", par.Profile).WithHint("leave --profile out, or use --profile features")
	}
	slices.Sort(par.Features)
	par.Features = slices.Compact(par.Features)
	if par.CType != "" {
		return nil
	}
	switch {
	case par.Profile != plan.ProfileFeatures:
		par.CType = "status_" + par.Profile
	case par.Has(6):
		par.CType = "status_light"
	case par.Has(11):
		par.CType = "status_max"
	default:
		par.CType = "status_dark"
	}
	return nil
}

// keepZeros reports whether frames of nothing but zeros are measurements, by flag or site file.
func keepZeros(c *cli.Context, site config.Limits) bool {
	word := c.String("zero-frames")
	if word == "" && site.ZeroFrames != nil {
		word = *site.ZeroFrames
	}
	return word == "keep"
}

// setLimits takes each limit from its flag, the site file or the detector table.
func setLimits(c *cli.Context, site config.Limits, family detector.Family, par *plan.Params) {
	family.DataBits = par.DataBits
	hi := float64(family.IntHi())
	for _, l := range []struct {
		flag string
		site *float64
		def  float64
		dst  *float64
	}{
		{"int-lo", site.IntLo, defaultIntLo, &par.IntLo}, {"int-hi", site.IntHi, hi, &par.IntHi},
		{"intnlo", site.IntNLo, defaultNSigma, &par.IntNLo}, {"intnhi", site.IntNHi, defaultNSigma, &par.IntNHi},
		{"rms-lo", site.RMSLo, defaultRmsLo, &par.RmsLo}, {"rms-hi", site.RMSHi, hi, &par.RmsHi},
		{"rmsnlo", site.RMSNLo, defaultNSigma, &par.RmsNLo}, {"rmsnhi", site.RMSNHi, defaultNSigma, &par.RmsNHi},
		{"fraclm", site.FracLM, defaultFracLm, &par.FracLm}, {"fraclo", site.FracLo, defaultFracLo, &par.FracLo},
		{"frachi", site.FracHi, defaultFracHi, &par.FracHi}, {"snrmax", site.SNRMax, defaultSNRMax, &par.SNRMax},
	} {
		switch {
		case c.IsSet(l.flag):
			*l.dst = c.Float64(l.flag)
		case l.site != nil:
			*l.dst = *l.site
		default:
			*l.dst = l.def
		}
	}
}

// integers reads so many integers.
func integers(s, separator string, n int) ([]int, error) {
	parts := strings.Split(s, separator)
	if len(parts) != n {
		return nil, fmt.Errorf("wanted %d numbers, not %d", n, len(parts))
	}
	out := make([]int, n)
	for i, p := range parts {
		v, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", p)
		}
		out[i] = v
	}
	return out, nil
}

// numbers reads a list like 0,2-4 from a flag; each number is at least least.
func numbers(c *cli.Context, flag string, least int) ([]int, error) {
	out, err := parseNumbers(c.String(flag), least)
	if err != nil {
		return nil, fault.New(fault.Usage, "--%s %q: %w", flag, c.String(flag), err).WithHint("wanted a list like 0,2-4")
	}
	return out, nil
}

// parseNumbers reads a list like 0,2-4 of numbers from least on.
func parseNumbers(s string, least int) ([]int, error) {
	list, err := ranges.Parse(s, least, math.MaxInt)
	return list.Numbers(), err
}

func workFlag() cli.Flag {
	return &cli.StringFlag{Name: "work", Usage: "work `DIR` with plan, partials and summary", DefaultText: "<work_root>/<exp>-r<run>-<detector>-<profile>-<hash of the parameters>"}
}

// defaultWorkRoot is where work directories are made when the site does not say.
const defaultWorkRoot = "rawstatus-work"

// workDir returns the work directory of a job: the one that was named, else a name made from the run and the parameters under
// the site's root. Jobs of other parameters have directories of their own: none changes what another one is at work on.
func workDir(e *environment, named string, run frame.Run, det string, par plan.Params) (string, error) {
	if named != "" {
		return named, nil
	}
	text, err := json.Marshal(par)
	if err != nil {
		return "", fmt.Errorf("could not name the work directory: %w", err)
	}
	sum := sha256.Sum256(text)
	return workPrefix(e, run, det, par.Profile) + hex.EncodeToString(sum[:4]), nil
}

// workPrefix returns how the names of the work directories of a run begin.
func workPrefix(e *environment, run frame.Run, det, profile string) string {
	root := e.Site.WorkRoot
	if root == "" {
		root = defaultWorkRoot
	}
	return filepath.Join(root, fmt.Sprintf("%s-r%04d-%s-%s-", fileName(run.Experiment), run.Number, fileName(det), profile))
}

// workOf returns the work directory with a plan among those of a run that have the default names; the latest one when
// none has it.
func workOf(e *environment, run frame.Run, det, profile, planID string) string {
	prefix := workPrefix(e, run, det, profile)
	latest, when := strings.TrimSuffix(prefix, "-"), time.Time{}
	entries, _ := os.ReadDir(filepath.Dir(prefix)) // none: nothing is known
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), filepath.Base(prefix)) {
			continue
		}
		work := filepath.Join(filepath.Dir(prefix), entry.Name())
		p, err := plan.Load(work)
		if err == nil && p.ID == planID && planID != "" {
			return work
		}
		if info, errInfo := entry.Info(); err == nil && errInfo == nil && info.ModTime().After(when) {
			latest, when = work, info.ModTime()
		}
	}
	return latest
}

// longestPart bounds the part of a directory's name that is from a name in the data.
const longestPart = 80

// fileName makes a name in the data a part of a directory's name: whatever a file says, it leads nowhere
// else.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return '-'
		}
		return r
	}, s)
	if len(s) > longestPart {
		sum := sha256.Sum256([]byte(s))
		s = strings.ToValidUTF8(s[:longestPart-9], "") + "-" + hex.EncodeToString(sum[:4])
	}
	return s
}
