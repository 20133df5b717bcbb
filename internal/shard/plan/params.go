package plan

import (
	"fmt"
	"math"
	"slices"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// Profiles by name.
const (
	ProfileData     = "data"
	ProfileDark     = "dark"
	ProfileFeatures = "features"
	ProfileLight    = "light" // features 1, 6
	ProfileMax      = "max"   // feature 11
	ProfileCharge   = "ci"    // charge injection
)

// Params are the parameters of a job; everything that changes a result is here.
type Params struct {
	Profile  string `json:"profile"`
	Features []int  `json:"features,omitempty"` // of det_pixel_status; empty for profiles data and dark
	CType    string `json:"ctype"`
	Compat   string `json:"compat,omitempty"` // lcls1 or lcls2: quirks of the original, for comparison

	Selection
	Rules
}

// Selection says which frames go in, and which part of them.
type Selection struct {
	// Events is the largest number of frames used per panel and group, 0 = all (nrecs).
	Events int `json:"events"`
	// Skip leaves out that many events at the beginning of each step (evskip).
	Skip int `json:"skip"`
	// Steps selects steps by number; empty = all.
	Steps []int `json:"steps,omitempty"`
	// Segments selects panels by segment number; empty = all.
	Segments []int `json:"segments,omitempty"`
	// GainMode overrides what the data tell of the gain mode.
	GainMode string `json:"gain_mode,omitempty"`
	// GateFrames is the number of leading frames that define the gates of profile dark (nrecs1).
	GateFrames int `json:"gate_frames"`
	// GatesFrom is the work directory of an earlier job whose gates are used.
	GatesFrom string `json:"gates_from,omitempty"`
	// TwoPass are gates from averages and rms of the leading frames; nil: from their quantiles.
	TwoPass *status.TwoPass `json:"two_pass,omitempty"`
	// Slice keeps rows [0], [1]) and columns [2], [3]) of each panel; nil: all.
	Slice    []int  `json:"slice,omitempty"`
	DataBits uint16 `json:"databits"`
	// IntLo and IntHi bound the gates, the counted values and the averages; FracLo and FracHi are the
	// quantiles of the gates.
	IntLo  float64 `json:"int_lo"`
	IntHi  float64 `json:"int_hi"`
	FracLo float64 `json:"fraclo"`
	FracHi float64 `json:"frachi"`
	Window []int   `json:"window,omitempty"` // rows, columns of feature 6
	// KeepZeros takes frames of nothing but zeros as measured; else they are lost.
	KeepZeros bool `json:"keep_zeros,omitempty"`
	// MaxLost is the percentage of a panel's events that may be lost or damaged.
	MaxLost float64 `json:"max_lost"`
	// KnownMissing are panels, by id or directory, that may have no frame at all. Of those in the site file a
	// plan keeps the ones that have none.
	KnownMissing []string `json:"known_missing,omitempty"`
	// AllowIncomplete takes what is there; the result carries the fact.
	AllowIncomplete bool `json:"allow_incomplete"`
	// Injection is how profile ci counts; nil in others.
	Injection *ChargeParams `json:"injection,omitempty"`
}

// Rules are the parameters that can be changed without reading raw data again.
type Rules struct {
	IntNLo float64 `json:"intnlo"`
	IntNHi float64 `json:"intnhi"`
	RmsLo  float64 `json:"rms_lo"`
	RmsHi  float64 `json:"rms_hi"`
	RmsNLo float64 `json:"rmsnlo"`
	RmsNHi float64 `json:"rmsnhi"`
	FracLm float64 `json:"fraclm"`
	// LimitsPer is "detector" (limits over all panels together, as the original), "panel" or "asic".
	LimitsPer string `json:"limits_per"`
	// Limits is "mean" (mean and standard deviation, as the original) or "robust" (median and MAD, clipped).
	Limits    string `json:"limits"`
	GainRule  string `json:"gain_rule,omitempty"` // jungfrau: expected or impossible; empty: off
	MinFrames int    `json:"min_frames"`
	// SNRMax is the width of the outlier search of features.
	SNRMax float64 `json:"snrmax"`
	// Pedestals is the file or calib directory with the pedestals of feature 11.
	Pedestals string `json:"pedestals,omitempty"`

	// Hints about surroundings; 0: off.
	LineFraction float64 `json:"line_fraction,omitempty"` // of rows and columns of a chip
	ASICFraction float64 `json:"asic_fraction,omitempty"`
	Neighbours   int     `json:"neighbours,omitempty"` // 4 or 8

	// Rules of profile ci; see charge.Rules.
	CINSigma    float64 `json:"ci_nsigm,omitempty"`
	CINegMax    int     `json:"ci_neg_max,omitempty"`
	CISwitchMin float64 `json:"ci_switch_min,omitempty"` // ramp units
	CIResponse  float64 `json:"ci_response,omitempty"`   // fraction of the median slope
	CIFlips     float64 `json:"ci_flips,omitempty"`      // fraction of the ramps
	CICrossTalk float64 `json:"ci_crosstalk,omitempty"`  // fraction of the AHL-H slope
	// CIConstants says under which names gains and offsets are written: own, lcls2, both; empty: not at all.
	CIConstants string `json:"ci_constants,omitempty"`
}

// Gated reports whether the profile counts only values inside gates made from the leading frames.
func (p Params) Gated() bool { return p.Profile == ProfileDark }

// ZerosCount reports whether frames of nothing but zeros are measurements, as they are for the originals.
func (p Params) ZerosCount() bool { return p.KeepZeros || p.Compat != "" }

// Masked reports whether only words with the gain bits of their group are summed.
func (p Params) Masked() bool { return p.Profile == ProfileData && p.Compat == "" }

// Has reports whether a feature is evaluated.
func (p Params) Has(f int) bool { return slices.Contains(p.Features, f) }

// Family of the bits that the profile sets.
func (p Params) Family() status.Family {
	switch {
	case len(p.Features) > 0:
		return status.Features
	case p.Charge():
		return status.Charge
	}
	return status.Dark
}

// Gates returns the parameters of the gates of profile dark. wordMax is the largest value of a stored word.
func (p Params) Gates(wordMax uint16) quantile.GateParams {
	g := quantile.GateParams{DataBits: p.DataBits, FracLo: p.FracLo, FracHi: p.FracHi, IntLo: p.IntLo, IntHi: p.IntHi}
	if p.Compat != "" {
		g.RawMax = wordMax
	}
	return g
}

// Sequence says which of a unit's frames are used for what.
func (p Params) Sequence(frames int) status.Sequence {
	if !p.Gated() {
		return status.Sequence{N: frames, Accumulate: frames}
	}
	if p.GatesFrom != "" && p.Compat == "" {
		return status.Sequence{N: frames, Accumulate: frames, GatesGiven: true}
	}
	nrecs := p.Events
	if nrecs == 0 {
		nrecs = math.MaxInt
	}
	if p.TwoPass != nil {
		return status.TwoPassSequence(status.Compat(p.Compat), frames, nrecs, p.GateFrames)
	}
	return status.NewSequence(status.Compat(p.Compat), frames, nrecs, p.GateFrames)
}

// Dark returns the parameters of the rules of profiles data and dark.
func (p Params) Dark(family detector.Family) status.DarkParams {
	d := status.DarkParams{
		Profile: status.Profile(p.Profile), Compat: status.Compat(p.Compat), Scope: status.Scope(p.LimitsPer), Method: status.Method(p.Limits),
		IntLo: p.IntLo, IntHi: p.IntHi, IntNLo: p.IntNLo, IntNHi: p.IntNHi, RmsLo: p.RmsLo, RmsHi: p.RmsHi, RmsNLo: p.RmsNLo, RmsNHi: p.RmsNHi,
		FracLm: p.FracLm, MinFrames: uint64(p.MinFrames), GainRule: status.GainRule(p.GainRule), ASICRows: family.ASICRows, ASICCols: family.ASICCols,
	}
	if p.Compat != "" {
		d.MinFrames = 0
	}
	return d
}

// DefaultGainRule returns the gain rule where none is given: in profile dark words must have the gain bits of their
// step, in profile data, which sums no others, possible ones. The originals look at jungfrau only.
func (p Params) DefaultGainRule(family detector.Family) string {
	switch {
	case len(p.Features) > 0 || family.GainPatterns == nil || !p.Gated() && !p.Masked() || family.NeverPattern == 0 && (p.Compat != "" || !p.Gated()):
		return ""
	case p.Masked() || p.Compat == string(status.LCLS2):
		return string(status.GainImpossible)
	}
	return string(status.GainExpected)
}

// checkGainRule refuses a gain rule that cannot be evaluated.
func (p Params) checkGainRule(family detector.Family) error {
	switch {
	case p.GainRule == "":
	case family.GainPatterns == nil:
		return fmt.Errorf("gain rule %q: words of detector type %s do not tell the gain", p.GainRule, family.Type)
	case !p.Gated() && !p.Masked():
		return fmt.Errorf("gain rule %q: profile %s with --compat counts no gain bits", p.GainRule, p.Profile)
	case p.GainRule == string(status.GainImpossible) && family.NeverPattern == 0:
		return fmt.Errorf("gain rule %q: all gain bits of detector type %s are possible", p.GainRule, family.Type)
	}
	return nil
}

// checkTwoPass refuses gates of two passes that cannot be made.
func (p Params) checkTwoPass() error {
	switch t := *p.TwoPass; {
	case p.GatesFrom != "" && p.Compat != "":
		return fmt.Errorf("gates of an earlier job: the original of two passes takes none")
	case p.GateFrames < 1:
		return fmt.Errorf("gate-frames %d start at 1", p.GateFrames)
	case !(t.NSigma > 0 && t.NSigma <= math.MaxUint16) || !(t.RmsLo <= t.RmsHi):
		return fmt.Errorf("gates of %v sigma, of an rms from %v to %v: wanted more than 0 sigma, and low <= high", t.NSigma, t.RmsLo, t.RmsHi)
	}
	return nil
}

// Feature returns the parameters of the rules of features.
func (p Params) Feature() feature.Params {
	return feature.Params{Features: p.Features, SNR: p.SNRMax, DataBits: p.DataBits, MinFrames: uint64(p.MinFrames), Compat: p.Compat != ""}
}

// Spatial returns the parameters of the hints about a pixel's surroundings.
func (p Params) Spatial(family detector.Family) status.SpatialParams {
	return status.SpatialParams{LineFraction: p.LineFraction, ASICFraction: p.ASICFraction,
		Neighbours: p.Neighbours, ASICRows: family.ASICRows, ASICCols: family.ASICCols}
}

// Flatness returns the geometry of feature 6 on a panel.
func (p Params) Flatness(panel frame.Panel) (*feature.Flatness, error) {
	if len(p.Window) != 2 {
		return nil, fault.New(fault.Usage, "window %v of feature 6: wanted rows and columns", p.Window)
	}
	f, err := feature.NewFlatness(panel.Rows, panel.Cols, p.Window[0], p.Window[1], p.DataBits)
	if err != nil {
		return nil, fault.New(fault.Usage, "feature 6 on %v: %w", panel, err).WithHint("give another --window")
	}
	return f, nil
}

// Validate says what is wrong with the parameters, in words for the user.
func (p Params) Validate(family detector.Family) error {
	var err error
	switch p.Profile {
	case ProfileData, ProfileDark:
		if err = p.Dark(family).Validate(); err == nil {
			err = p.Gates(0).Validate()
		}
		if err == nil {
			err = p.checkGainRule(family)
		}
	case ProfileFeatures, ProfileLight, ProfileMax:
		if len(p.Features) == 0 {
			err = fmt.Errorf("profile %s without features", p.Profile)
		} else {
			err = p.Feature().Validate()
		}
		if err == nil && p.GainRule != "" {
			err = fmt.Errorf("gain rule %q: profile %s has none, it takes all words of a frame; gain bits are judged in profiles data and dark", p.GainRule, p.Profile)
		}
	case ProfileCharge:
		err = p.validateCharge(family)
	default:
		err = fmt.Errorf("unknown profile %q: wanted data, dark, features, light, max or ci", p.Profile)
	}
	if err == nil {
		err = p.Spatial(family).Validate()
	}
	switch name := notFinite(p.Selection) + notFinite(p.Rules); {
	case err != nil:
	case name != "":
		err = fmt.Errorf("%s: wanted a finite number", name)
	case p.Events < 0 || p.Skip < 0 || p.MaxLost < 0:
		err = fmt.Errorf("events %d, skip %d and max-lost %v start at 0", p.Events, p.Skip, p.MaxLost)
	case p.MinFrames < 1 || p.GateFrames < 1 && p.Compat == "":
		err = fmt.Errorf("min-frames %d and gate-frames %d start at 1", p.MinFrames, p.GateFrames)
	case (p.GatesFrom != "" || p.TwoPass != nil) && !p.Gated():
		err = fmt.Errorf("gates are of profile dark only")
	case p.TwoPass != nil:
		err = p.checkTwoPass()
	}
	if err != nil {
		return fault.New(fault.Usage, "parameters: %w", err)
	}
	return nil
}
