package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/shard/plan"
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
	defaultMinFrames  = 3
	defaultMaxLost    = 1.0
)

func jobFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "profile", Usage: "rules: data (mean, rms, saturation of all frames, per gain mode) or dark (gated, per step)", Value: "data"},
		&cli.StringFlag{Name: "ctype", Aliases: []string{"C"}, Usage: "constants `TYPE` to write", DefaultText: "status_<profile>"},
		&cli.IntFlag{Name: "events", Aliases: []string{"n"}, Usage: "use at most `N` frames per panel and gain mode, 0 = all", DefaultText: "data: all, dark: 1000"},
		&cli.IntFlag{Name: "skip", Aliases: []string{"m"}, Usage: "leave out the first `N` events of each step"},
		&cli.StringFlag{Name: "step", Usage: "only these `STEPS`, e.g. 0,2-4; -1 = before the first BeginStep"},
		&cli.StringFlag{Name: "segment", Aliases: []string{"i"}, Usage: "only these panels (`SEGMENTS`), e.g. 0,4-7"},
		&cli.IntFlag{Name: "gate-frames", Usage: "profile dark: leading frames `N` that define the gates (nrecs1)", Value: defaultGateFrames},
		&cli.StringFlag{Name: "databits", Usage: "`MASK` of the value in a raw word, e.g. 0x3fff", DefaultText: "by detector type"},
		&cli.Float64Flag{Name: "int-lo", Usage: "lower intensity limit in `ADU`", Value: defaultIntLo},
		&cli.Float64Flag{Name: "int-hi", Usage: "upper intensity limit in `ADU`", DefaultText: "16000 for 14-bit data, else databits-1"},
		&cli.Float64Flag{Name: "int-nlo", Usage: "average below mean - `N` sigma is bad; 0: int-lo alone", Value: defaultNSigma},
		&cli.Float64Flag{Name: "int-nhi", Usage: "average above mean + `N` sigma is bad; 0: int-hi alone", Value: defaultNSigma},
		&cli.Float64Flag{Name: "rms-lo", Usage: "lower rms limit in `ADU`", Value: defaultRmsLo},
		&cli.Float64Flag{Name: "rms-hi", Usage: "upper rms limit in `ADU`", DefaultText: "as int-hi"},
		&cli.Float64Flag{Name: "rms-nlo", Usage: "rms below mean - `N` sigma is bad; 0: rms-lo alone", Value: defaultNSigma},
		&cli.Float64Flag{Name: "rms-nhi", Usage: "rms above mean + `N` sigma is bad; 0: rms-hi alone", Value: defaultNSigma},
		&cli.Float64Flag{Name: "fraclm", Usage: "bad when more than this `FRACTION` of frames is outside int-lo, int-hi", Value: defaultFracLm},
		&cli.Float64Flag{Name: "fraclo", Usage: "profile dark: lower quantile of the gates", Value: defaultFracLo},
		&cli.Float64Flag{Name: "frachi", Usage: "profile dark: upper quantile of the gates", Value: defaultFracHi},
		&cli.StringFlag{Name: "limits-per", Usage: "limits over all panels of the `detector` together, per panel, or per asic", Value: "detector"},
		&cli.IntFlag{Name: "min-frames", Usage: "fewer than `N` frames: LOW_STATS", Value: defaultMinFrames},
		&cli.Float64Flag{Name: "max-lost", Usage: "accept up to this `PERCENTAGE` of a panel's events lost or damaged", Value: defaultMaxLost},
		&cli.BoolFlag{Name: "allow-incomplete", Usage: "take what is there; every output carries the fact"},
	}
}

// jobParams turns flags, site file and detector table into the parameters of a job, in this order of
// precedence.
func jobParams(c *cli.Context, e *environment, panel frame.Panel) (plan.Params, error) {
	family, _ := detector.Lookup(panel.Type)
	par := plan.Params{
		Profile: c.String("profile"), CType: c.String("ctype"), Events: c.Int("events"), Skip: c.Int("skip"), GateFrames: c.Int("gate-frames"),
		DataBits: family.DataBits, LimitsPer: c.String("limits-per"), MinFrames: c.Int("min-frames"), MaxLost: c.Float64("max-lost"),
		AllowIncomplete: c.Bool("allow-incomplete"),
	}
	if par.Profile != "data" && par.Profile != "dark" {
		return par, fault.New(fault.Usage, "unknown profile %q", par.Profile).WithHint("profiles: data, dark")
	}
	if par.CType == "" {
		par.CType = "status_" + par.Profile
	}
	if par.Profile == "dark" && !c.IsSet("events") {
		par.Events = defaultDarkEvents
	}
	var err error
	if par.Steps, err = numbers(c, "step", -1); err != nil {
		return par, err
	}
	if par.Segments, err = numbers(c, "segment", 0); err != nil {
		return par, err
	}
	if s := c.String("databits"); s != "" {
		v, err := strconv.ParseUint(s, 0, 16)
		if err != nil || v == 0 {
			return par, fault.New(fault.Usage, "--databits %q is not a mask of 1 to 16 bits", s)
		}
		par.DataBits = uint16(v)
	}
	hi := float64(family.IntHi())
	if par.DataBits != family.DataBits {
		hi = float64(detector.Family{DataBits: par.DataBits}.IntHi())
	}
	site := e.Site.Limits[strings.ToLower(panel.Type)]
	for _, l := range []struct {
		flag string
		site *float64
		def  float64
		dst  *float64
	}{
		{"int-lo", site.IntLo, defaultIntLo, &par.IntLo}, {"int-hi", site.IntHi, hi, &par.IntHi},
		{"int-nlo", site.IntNLo, defaultNSigma, &par.IntNLo}, {"int-nhi", site.IntNHi, defaultNSigma, &par.IntNHi},
		{"rms-lo", site.RMSLo, defaultRmsLo, &par.RmsLo}, {"rms-hi", site.RMSHi, hi, &par.RmsHi},
		{"rms-nlo", site.RMSNLo, defaultNSigma, &par.RmsNLo}, {"rms-nhi", site.RMSNHi, defaultNSigma, &par.RmsNHi},
		{"fraclm", site.FracLM, defaultFracLm, &par.FracLm},
		{"fraclo", site.FracLo, defaultFracLo, &par.FracLo}, {"frachi", site.FracHi, defaultFracHi, &par.FracHi},
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
	if par.GateFrames < 1 || par.Events < 0 || par.Skip < 0 || par.MinFrames < 1 || par.MaxLost < 0 {
		return par, fault.New(fault.Usage, "--gate-frames and --min-frames start at 1; --events, --skip and --max-lost at 0")
	}
	return par, nil
}

// numbers reads a list like 0,2-4 from a flag; each number is at least least.
func numbers(c *cli.Context, flag string, least int) ([]int, error) {
	out, err := parseNumbers(c.String(flag), least)
	if err != nil {
		return nil, fault.New(fault.Usage, "--%s %q: %w", flag, c.String(flag), err).WithHint("wanted a list like 0,2-4")
	}
	return out, nil
}

// maxNumbers bounds what a range like 0-999999999 can ask for.
const maxNumbers = 1 << 20

func parseNumbers(s string, least int) ([]int, error) {
	var out []int
	if s == "" {
		return nil, nil
	}
	for _, part := range strings.Split(s, ",") {
		from, to := part, part
		if i := strings.Index(part[min(1, len(part)):], "-"); i >= 0 {
			from, to = part[:i+1], part[i+2:]
		}
		a, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", from)
		}
		b, err := strconv.Atoi(to)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", to)
		}
		if a < least || b < a || b-a >= maxNumbers {
			return nil, fmt.Errorf("range %d-%d", a, b)
		}
		for ; a <= b; a++ {
			out = append(out, a)
		}
	}
	return out, nil
}

func workFlag() cli.Flag {
	return &cli.StringFlag{Name: "work", Usage: "work `DIR` with plan, partials and summary", DefaultText: "<work_root>/<exp>-r<run>-<detector>-<profile>"}
}

// workDir is the work directory of a job: --work, else a name made from the run under the site's root.
func workDir(c *cli.Context, e *environment, run frame.Run, det, profile string) string {
	if w := c.String("work"); w != "" {
		return w
	}
	root := e.Site.WorkRoot
	if root == "" {
		root = "rawstatus-work"
	}
	return filepath.Join(root, fmt.Sprintf("%s-r%04d-%s-%s", run.Experiment, run.Number, det, profile))
}
