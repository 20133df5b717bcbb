package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/status"
)

// Verdict is the status of a pixel in one file, with the reasons.
type Verdict struct {
	CType      string       `json:"ctype"`
	GainMode   string       `json:"gain_mode,omitempty"`
	Experiment string       `json:"experiment"`
	Run        int          `json:"run"`
	File       string       `json:"file"`
	Profile    string       `json:"profile,omitempty"`
	PlanID     string       `json:"plan_id,omitempty"`
	Word       uint64       `json:"status"`
	Names      string       `json:"names"`
	Frames     *repo.Frames `json:"frames,omitempty"`
	Rules      []Rule       `json:"rules"` // those that fired first
	// Around are the words of the 5 x 5 pixels around it by row; null outside the panel.
	Around [][]*uint64 `json:"around"`
	Areas  []Area      `json:"areas"`
	Notes  []string    `json:"notes,omitempty"`
	// Traces are the lines that the pixel draws over the ramp of a pulser; profile ci, where the counts are at hand.
	Traces []charge.Trace `json:"traces,omitempty"`
}

// Rule is one rule and its outcome.
type Rule struct {
	Bit     uint64 `json:"bit"`
	Name    string `json:"name"`
	Meaning string `json:"meaning,omitempty"`
	Rule    string `json:"rule"` // with numbers
	Fired   bool   `json:"fired"`
	// Limit belongs to this pixel's panel and chip. Nil where the rule has none, or the file does not say it.
	Limit    *float64 `json:"limit,omitempty"`
	High     bool     `json:"high,omitempty"` // beyond means above the limit
	Low      *float64 `json:"low,omitempty"`  // of a rule with two limits: beyond means below this one, too
	Equal    bool     `json:"equal,omitempty"`
	Quantity string   `json:"quantity,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Centre   *float64 `json:"centre,omitempty"` // mean or median of the quantity behind the limit
	Spread   *float64 `json:"spread,omitempty"`
	Sigmas   float64  `json:"sigmas,omitempty"`   // limit = centre -+ sigmas x spread; 0: an absolute limit
	Value    *float64 `json:"value,omitempty"`    // where the counts are at hand
	Distance *float64 `json:"distance,omitempty"` // beyond the limit, in units of the spread
}

// Area is the bad pixels of the pixel's surroundings.
type Area struct {
	Name   string `json:"name"`
	Bad    int    `json:"bad"`
	Judged int    `json:"judged"`
	Pixels int    `json:"pixels"`
}

// reach is how far Around goes.
const reach = 2

// judge explains one file.
func judge(p *Pixel, ctype, gain string, e Event, read *repo.Read) Verdict {
	v := Verdict{CType: ctype, GainMode: gain, Experiment: e.Experiment, Run: e.Run, File: e.file, Word: e.Word, Names: e.Names}
	sc := read.Sidecar
	if sc != nil {
		v.Profile, v.PlanID = sc.Profile, sc.PlanID
		if sc.Frames.Events > 0 {
			v.Frames = &sc.Frames
		}
		v.Notes = append(slices.Clone(sc.Incomplete), sc.Notes...)
	} else {
		v.Notes = append(v.Notes, "the file has no sidecar: its bits are taken for those of det_pixel_status, limits and values are not known")
	}
	words := read.Dense()
	v.Areas = areas(p, words)
	for r := p.Row - reach; r <= p.Row+reach; r++ {
		var line []*uint64
		for c := p.Col - reach; c <= p.Col+reach; c++ {
			if r < 0 || r >= p.Rows || c < 0 || c >= p.Cols {
				line = append(line, nil)
			} else {
				line = append(line, &words[r*p.Cols+c])
			}
		}
		v.Around = append(v.Around, line)
	}
	v.Rules = rules(p, e, sc, v.Areas)
	return v
}

// areas counts the bad pixels of the chip, of the pixel's row and column in it, and of its neighbours. Bad are pixels by their
// own data; hints do not count, as in the rules.
func areas(p *Pixel, words []uint64) []Area {
	c := p.Chip
	count := func(name string, r0, r1, c0, c1 int, self bool) Area {
		a := Area{Name: name}
		for r := max(r0, 0); r < min(r1, p.Rows); r++ {
			for k := max(c0, 0); k < min(c1, p.Cols); k++ {
				if !self && r == p.Row && k == p.Col {
					continue
				}
				a.Pixels++
				switch w := words[r*p.Cols+k]; {
				case w&status.NotJudged != 0:
				case w&^status.Hints != 0:
					a.Bad++
					a.Judged++
				default:
					a.Judged++
				}
			}
		}
		return a
	}
	return []Area{
		count("chip", c.Row, c.Row+c.Rows, c.Col, c.Col+c.Cols, true),
		count("row of the chip", p.Row, p.Row+1, c.Col, c.Col+c.Cols, true),
		count("column of the chip", c.Row, c.Row+c.Rows, p.Col, p.Col+1, true),
		count("neighbours", p.Row-1, p.Row+2, p.Col-1, p.Col+2, false),
	}
}

// rules lists the rules that fired, whatever they are, and those that have a limit.
func rules(p *Pixel, e Event, sc *repo.Sidecar, around []Area) []Rule {
	var out []Rule
	for _, c := range limits(p, sc) {
		c.Fired = e.Word&c.Bit != 0
		out = append(out, c)
	}
	for rest := e.Word; rest != 0; rest &= rest - 1 {
		bit := rest & -rest
		if !slices.ContainsFunc(out, func(r Rule) bool { return r.Bit == bit }) {
			out = append(out, Rule{Bit: bit, Fired: true})
		}
	}
	for i := range out {
		b := bitOf(out[i].Bit, e.family, sc)
		out[i].Name, out[i].Meaning, out[i].Rule = b.Name, b.Meaning, cmp.Or(out[i].Rule, b.Rule)
		if out[i].Limit != nil {
			out[i].Rule = out[i].condition()
		}
		out[i].surroundings(around, sc)
	}
	slices.SortStableFunc(out, func(a, b Rule) int {
		if a.Fired != b.Fired {
			if a.Fired {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Bit, b.Bit)
	})
	return out
}

// comparison is a quantity that has limits in a sidecar, with the bits below and above them.
type comparison struct {
	name, sigmas string // of the limit, and of the parameters with its numbers of sigma
	low, high    uint64
	family       status.Family
	equal        bool
	unit         string // empty: ADU
}

var compared = append([]comparison{
	{"rms", "rmsn", status.RmsLow, status.RmsHigh, status.Dark, false, ""},
	{"average", "intn", status.AveLow, status.AveHigh, status.Dark, false, ""},
	{"F2 mean", "", status.MeanLow, status.MeanHigh, status.Features, true, ""},
	{"F3 std", "", status.StdLow, status.StdHigh, status.Features, true, ""},
	{"F6 residual", "", status.ResidLow, status.ResidHigh, status.Features, true, ""},
	{"F6 spread", "", status.SpreadLow, status.SpreadHigh, status.Features, true, ""},
	{"F11 max - pedestal", "", status.MaxLow, status.MaxHigh, status.Features, true, ""},
}, chargeCompared()...)

// chargeCompared returns the quantities of charge injection.
func chargeCompared() (out []comparison) {
	for _, q := range []struct {
		name, unit string
		bits       uint64
	}{{"offset", "", status.LineOffset}, {"gain", slopeUnit, status.LineGain}, {"chi2", "ADU²", status.LineChi2}} {
		for line, label := range status.ChargeLines {
			low, high := status.ChargePair(q.bits, line)
			out = append(out, comparison{q.name + " " + label, chargeSigmas, low, high, status.Charge, true, q.unit})
		}
	}
	for m, mode := range charge.ModeNames {
		out = append(out, comparison{"switch " + mode, chargeSigmas, status.SwitchOff << m, status.SwitchOff << m, status.Charge, false, "ramp units"})
	}
	return append(out, comparison{"cross-talk", chargeSigmas, status.CrossTalk, status.CrossTalk, status.Charge, false, slopeUnit})
}

const (
	chargeChi2   = status.LineChi2 * 0xff
	slopeUnit    = "ADU per ramp unit"
	chargeSigmas = "ci_nsigm" // the parameter with the width of all limits of charge injection
)

// limits makes the rules that compare with a limit, with the limits that hold for the pixel.
func limits(p *Pixel, sc *repo.Sidecar) (out []Rule) {
	if sc == nil {
		return nil
	}
	for _, c := range compared {
		if string(c.family) != sc.Family {
			continue
		}
		l := limitAt(p, sc, c.name)
		if l == nil {
			continue
		}
		lo, hi, centre, spread := float64(l.Lo), float64(l.Hi), float64(l.Centre), float64(l.Spread)
		rule := Rule{Quantity: c.name, Unit: cmp.Or(c.unit, "ADU"), Equal: c.equal, Centre: &centre, Spread: &spread}
		low, high := rule, rule
		low.Bit, low.Limit, low.Sigmas = c.low, &lo, sigmas(sc, c.sigmas, "lo", centre, -spread, lo)
		high.Bit, high.High, high.Limit, high.Sigmas = c.high, true, &hi, sigmas(sc, c.sigmas, "hi", centre, spread, hi)
		if c.low == c.high {
			high.Low = &lo
		} else {
			out = append(out, low)
		}
		out = append(out, high)
	}
	if sc.Family != string(status.Dark) || sc.Profile != string(status.ProfileDark) && sc.Profile != string(status.ProfileData) || sc.Parameters == nil {
		return out
	}
	most := float64(status.DarkParams{Profile: status.Profile(sc.Profile), FracLm: number(sc, "fraclm")}.Nevlm(uint64(sc.Frames.Used)))
	out = append(out, Rule{Bit: status.IntHigh, High: true, Quantity: fmt.Sprintf("frames above %g ADU", number(sc, "int_hi")), Unit: "frames", Limit: &most},
		Rule{Bit: status.IntLow, High: true, Quantity: fmt.Sprintf("frames below %g ADU", number(sc, "int_lo")), Unit: "frames", Limit: &most})
	if text, _ := sc.Parameters["gain_rule"].(string); text != "" {
		none := 0.0
		out = append(out, Rule{Bit: status.GainState, High: true, Quantity: "frames with wrong gain bits", Unit: "frames", Limit: &none})
	}
	return out
}

// sigmas returns the number of spreads between centre and limit: the parameter's, if the limit was found with it. The rules of
// features and charge injection have one for both sides.
func sigmas(sc *repo.Sidecar, name, side string, centre, spread, limit float64) float64 {
	switch name {
	case "":
		name = "snrmax"
	case chargeSigmas:
	default:
		name += side
	}
	n := number(sc, name)
	if n > 0 && math.Abs(centre+float64(n*spread)-limit) <= 1e-9*math.Abs(limit) {
		return n
	}
	return 0
}

// limitAt finds the limits of a quantity that hold for the pixel: those of its chip where there are several.
func limitAt(p *Pixel, sc *repo.Sidecar, name string) (found *repo.Limit) {
	for i := range sc.Limits {
		l := &sc.Limits[i]
		if l.Name == name && l.Row <= p.Row && l.Col <= p.Col && (found == nil || l.Row >= found.Row && l.Col >= found.Col) {
			found = l
		}
	}
	return found
}

// number returns a parameter of the sidecar; 0 when it has none of that name.
func number(sc *repo.Sidecar, name string) float64 {
	if sc == nil {
		return 0
	}
	v, _ := sc.Parameters[name].(float64)
	return v
}

// condition writes the rule with its numbers.
func (r *Rule) condition() string {
	op := map[[2]bool]string{{true, false}: ">", {true, true}: ">=", {false, false}: "<", {false, true}: "<="}[[2]bool{r.High, r.Equal}]
	if r.Low != nil {
		return fmt.Sprintf("%s < %.6g or > %.6g", r.Quantity, *r.Low, *r.Limit)
	}
	return fmt.Sprintf("%s %s %.6g", r.Quantity, op, *r.Limit)
}

// surroundings adds the counts to rules about other pixels.
func (r *Rule) surroundings(around []Area, sc *repo.Sidecar) {
	text := func(a Area, fraction string) string {
		s := fmt.Sprintf("%d of %d judged pixels of the %s are bad", a.Bad, a.Judged, a.Name)
		if f := number(sc, fraction); f > 0 {
			s += fmt.Sprintf(", more than %g of them is too much", f)
		}
		return s
	}
	switch r.Name {
	case "ROW_COL":
		r.Rule = fmt.Sprintf("%s; %s; %d of the %s that touch it are bad", text(around[1], "line_fraction"), text(around[2], "line_fraction"),
			around[3].Bad, fault.Count(around[3].Pixels, "pixel"))
	case "ASIC":
		r.Rule = text(around[0], "asic_fraction")
	}
}

// Reason holds the two numbers that a rule has compared.
type Reason struct {
	status.Criterion
	Quantity, Unit string
	Value          float64
}

// Measure adds what the rules have compared, and a note of where it comes from. Rules of which the sidecar has no limit
// get theirs here.
func (v *Verdict) Measure(reasons []Reason, from string) {
	for _, x := range reasons {
		i := slices.IndexFunc(v.Rules, func(r Rule) bool { return r.Bit == x.Bit && (r.Limit == nil || r.High == x.High) })
		if i < 0 {
			continue
		}
		r := &v.Rules[i]
		if math.IsNaN(x.Value) {
			continue
		}
		if r.Limit == nil {
			r.Limit, r.High, r.Equal, r.Quantity, r.Unit = &x.Limit, x.High, x.Inclusive, x.Quantity, x.Unit
			r.Rule = r.condition()
		}
		r.Value = &x.Value
		c := status.Criterion{Bit: r.Bit, High: r.High, Inclusive: r.Equal, Limit: *r.Limit}
		if r.Spread != nil {
			c.Spread = *r.Spread
		}
		d := c.Distance(x.Value)
		if r.Low != nil {
			c.High, c.Limit = false, *r.Low
			d = max(d, c.Distance(x.Value))
		}
		if !math.IsNaN(d) {
			r.Distance = &d
		}
	}
	v.Notes = append(v.Notes, "values from "+from)
}

// text returns the rule for people.
func (r *Rule) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", r.Bit, r.Name)
	if r.Meaning != "" {
		fmt.Fprintf(&b, " (%s)", r.Meaning)
	}
	fmt.Fprintf(&b, ": %s", r.Rule)
	if r.Value != nil {
		fmt.Fprintf(&b, "; here %.6g", *r.Value)
	}
	if r.Distance != nil {
		way := "inside"
		if *r.Distance > 0 {
			way = "beyond"
		}
		fmt.Fprintf(&b, ", %.2f sigma %s", math.Abs(*r.Distance), way)
	}
	switch sign := map[bool]string{true: "+", false: "-"}[r.High]; {
	case r.Low != nil:
		fmt.Fprintf(&b, " (centre %.6g, sigma %.6g)", *r.Centre, *r.Spread)
	case r.Sigmas > 0:
		fmt.Fprintf(&b, " (limit %.6g %s %g x %.6g)", *r.Centre, sign, r.Sigmas, *r.Spread)
	case r.Spread != nil && r.Bit&chargeChi2 != 0:
		fmt.Fprintf(&b, " (limit by cube roots; centre %.6g, sigma %.6g)", *r.Centre, *r.Spread)
	case r.Spread != nil:
		fmt.Fprintf(&b, " (absolute limit; centre %.6g, sigma %.6g)", *r.Centre, *r.Spread)
	}
	return b.String()
}
