package reduce

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/status"
)

// ScanOptions say which thresholds are tried.
type ScanOptions struct {
	Rule     string   // rms_min, rms_max, ave_min, ave_max: the limit itself; or the name of a rule
	From, To *float64 // nil: see usefulRange
	Steps    int      // from From to To
}

// Scanned are bad pixels against the thresholds of one rule, in one gain mode or step.
type Scanned struct {
	GainMode string      `json:"gain_mode,omitempty"`
	Steps    []int       `json:"steps"`
	Rule     string      `json:"rule"`
	InForce  repo.Number `json:"in_force"` // the threshold that holds without a scan; per detector the widest
	Points   []Point     `json:"points"`
}

// Point is the outcome of one threshold.
type Point struct {
	Threshold float64        `json:"threshold"`
	Pixels    int            `json:"pixels"`
	Bad       int            `json:"bad_pixels"`
	Bits      map[string]int `json:"pixels_per_bit,omitempty"`
	// NeedsRawData: by this threshold other frames would be good than those that were counted.
	NeedsRawData bool `json:"needs_raw_data,omitempty"`
}

// limitRule is an evaluated limit, the name under which it is reported, and how it is made what one likes.
type limitRule struct {
	name, limit string
	high        bool
	set         func(par *plan.Params, v float64)
}

// limitRules are the limits of the dark rules. int_lo and int_hi also bound the values that were counted;
// only the average is judged by others here.
var limitRules = []limitRule{
	{"rms_min", "rms", false, func(par *plan.Params, v float64) { par.RmsNLo, par.RmsLo = 0, v }},
	{"rms_max", "rms", true, func(par *plan.Params, v float64) { par.RmsNHi, par.RmsHi = 0, v }},
	{"ave_min", "average", false, func(par *plan.Params, v float64) { par.IntNLo, par.IntLo = 0, v }},
	{"ave_max", "average", true, func(par *plan.Params, v float64) { par.IntNHi, par.IntHi = 0, v }},
}

// ScanRules lists the rules that have a threshold.
func ScanRules() []string {
	var names []string
	for _, l := range limitRules {
		names = append(names, l.name)
	}
	for _, name := range plan.RuleNames() {
		if _, _, err := (plan.Rules{}).Value(name); err == nil && name != "neighbours" {
			names = append(names, name)
		}
	}
	return names
}

// Scan judges what the tasks of plan p have counted by the rules of q once for each threshold of one rule.
func Scan(ctx context.Context, work string, p, q *plan.Plan, opt ScanOptions) ([]Scanned, error) {
	opt.Rule = strings.ReplaceAll(opt.Rule, "-", "_")
	if !slices.Contains(ScanRules(), opt.Rule) {
		return nil, fault.New(fault.Usage, "rule %q has no threshold to scan", opt.Rule).WithHint("rules: %s", strings.Join(ScanRules(), ", "))
	}
	if strings.HasPrefix(opt.Rule, "ci_") && !p.Params.Charge() {
		return nil, fault.New(fault.Usage, "rule %s is for profile ci, the plan is of profile %s", opt.Rule, p.Params.Profile).WithHint("scan rms_hi, or another of its rules")
	}
	switch limit := slices.ContainsFunc(limitRules, func(l limitRule) bool { return l.name == opt.Rule }); {
	case limit && p.Params.Family() != status.Dark:
		return nil, fault.New(fault.Usage, "profile %s has no limit %s", p.Params.Profile, opt.Rule).WithHint("scan snrmax")
	case limit && p.Params.Compat != "":
		return nil, fault.New(fault.Usage, "with --compat %s also decides which zero records are counted: it cannot be varied alone", opt.Rule).
			WithHint("scan a plan without --compat, or rmsnlo, rmsnhi, intnlo, intnhi")
	}
	var out []Scanned
	for g := range p.Groups {
		units, in, err := loadGroup(ctx, p, g, judgedBytes, func(unit int) (planes, error) { return stored(work, p, unit) })
		if err != nil {
			return nil, err
		}
		if gatesOnly(p, units) {
			return nil, fault.New(fault.Usage, "plan %.12s makes gates only: it judges nothing", p.ID)
		}
		s := Scanned{GainMode: p.Groups[g].GainMode, Steps: p.Groups[g].Steps, Rule: opt.Rule}
		values, err := s.thresholds(q, units, in, opt)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			point, err := scanPoint(p, q, units, in, opt.Rule, v)
			if err != nil {
				return nil, err
			}
			s.Points = append(s.Points, point)
		}
		out = append(out, s)
	}
	return out, nil
}

// thresholds returns the values to try in one group, after finding the one in force.
func (s *Scanned) thresholds(q *plan.Plan, units []int, in []planes, opt ScanOptions) ([]float64, error) {
	now, whole, err := q.Params.Rules.Value(opt.Rule)
	if i := slices.IndexFunc(limitRules, func(l limitRule) bool { return l.name == opt.Rule }); i >= 0 {
		now, err = limitInForce(q, units, in, limitRules[i])
	}
	if err != nil {
		return nil, err
	}
	s.InForce = repo.Number(now)
	from, to, err := usefulRange(q, units, in, opt.Rule, now)
	if err != nil {
		return nil, err
	}
	if opt.From != nil {
		from = *opt.From
	}
	if opt.To != nil {
		to = *opt.To
	}
	if !(from < to) || to-from-(to-from) != 0 || opt.Steps < 1 {
		return nil, fault.New(fault.Usage, "no thresholds of %s from %v to %v in %s", opt.Rule, from, to, fault.Count(opt.Steps, "step")).
			WithHint("the value in force is %v; give --from and --to", now)
	}
	var values []float64
	for i := range opt.Steps + 1 {
		v := from + float64((to-from)*float64(i))/float64(opt.Steps)
		if whole {
			v = math.Round(v)
		}
		if len(values) == 0 || v != values[len(values)-1] {
			values = append(values, v)
		}
	}
	return values, nil
}

// scanned says which per-pixel quantity a rule bounds, and from which side.
var scanned = map[string]struct {
	quantity string
	high     bool
}{
	"rms_min": {"rms", false}, "rms_max": {"rms", true}, "ave_min": {"average", false}, "ave_max": {"average", true},
	"rms_lo": {"rms", false}, "rms_hi": {"rms", true}, "int_lo": {"average", false}, "int_hi": {"average", true},
}

// The range of a scan in robust standard deviations from the median: nearer most pixels are bad, farther hardly any.
const (
	scanNear = 3
	scanFar  = 30
)

// usefulRange returns the thresholds between which the number of bad pixels is of interest. Where a rule bounds a
// quantity of the pixels they follow from its robust statistics, for the value in force may be far from all pixels. Of
// other rules they are half and twice the value in force.
func usefulRange(q *plan.Plan, units []int, in []planes, rule string, now float64) (from, to float64, err error) {
	if of, ok := scanned[rule]; ok && q.Params.Family() == status.Dark {
		robust := *q
		robust.Params.Limits, robust.Params.LimitsPer = string(status.Robust), string(status.PerDetector)
		v, err := judge(&robust, units, in)
		if err != nil {
			return 0, 0, err
		}
		for _, l := range v.limits {
			centre, sigma := float64(l.Centre), float64(l.Spread)
			switch {
			case l.Name != of.quantity || !(sigma > 0):
			case of.high:
				return centre + scanNear*sigma, centre + scanFar*sigma, nil
			default:
				return max(0, centre-scanFar*sigma), max(0, centre-scanNear*sigma), nil
			}
		}
	}
	from, to = now/2, now*2
	switch rule {
	case "fraclm", "fraclo", "frachi", "line_fraction", "asic_fraction":
		if now == 0 { // switched off
			from, to = 0.05, 0.95
		}
		to = min(to, 0.95)
	case "intnlo", "intnhi", "rmsnlo", "rmsnhi":
		if now == 0 {
			from, to = 3, 12
		}
	}
	return from, to, nil
}

// limitInForce returns a limit as it is evaluated; the widest where there are several.
func limitInForce(q *plan.Plan, units []int, in []planes, rule limitRule) (float64, error) {
	v, err := judge(q, units, in)
	if err != nil {
		return 0, err
	}
	var list []float64
	for _, l := range v.limits {
		switch {
		case l.Name != rule.limit:
		case rule.high:
			list = append(list, float64(l.Hi))
		default:
			list = append(list, float64(l.Lo))
		}
	}
	switch {
	case len(list) == 0:
		return math.NaN(), nil
	case rule.high:
		return slices.Max(list), nil
	}
	return slices.Min(list), nil
}

// scanPoint judges a group with one threshold.
func scanPoint(p, q *plan.Plan, units []int, in []planes, rule string, threshold float64) (Point, error) {
	par := q.Params
	if i := slices.IndexFunc(limitRules, func(l limitRule) bool { return l.name == rule }); i >= 0 {
		limitRules[i].set(&par, threshold)
	} else if err := par.Rules.Set(rule, strconv.FormatFloat(threshold, 'g', -1, 64)); err != nil {
		return Point{}, err
	}
	base := *q
	base.Params = par
	one, err := base.WithRules(par.Rules)
	if err != nil {
		return Point{}, fmt.Errorf("%s = %v: %w", rule, threshold, err)
	}
	point := Point{Threshold: threshold, Bits: map[string]int{}}
	if sameGoodFrames(p, one, units, in) != nil {
		point.NeedsRawData = true
		return point, nil
	}
	v, err := judge(one, units, in)
	if err != nil {
		return Point{}, err
	}
	point.Pixels, point.Bad = v.counts.Pixels, v.counts.Bad
	for _, l := range v.lines {
		if l.Count > 0 {
			point.Bits[l.Name] = l.Count
		}
	}
	return point, nil
}
