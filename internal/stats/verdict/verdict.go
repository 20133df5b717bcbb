package verdict

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"rawstatus/internal/stats/status"
)

// Level is the weight of a finding.
type Level string

// The levels, ascending.
const (
	OK    Level = "OK"
	Check Level = "CHECK" // somebody should look at it
	Bad   Level = "BAD"   // do not deploy this
)

func (l Level) weight() int { return slices.Index([]Level{OK, Check, Bad}, l) }

// Finding is one thing that is not as it should be.
type Finding struct {
	Level  Level  `json:"level"`
	Rule   string `json:"rule"` // name of the rule, e.g. "blunt limits"
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"`
	// Panel and Gain are positions in Facts.Units' panels and in Facts.Gains; -1: all.
	Panel int `json:"panel"`
	Gain  int `json:"gain"`
}

// String returns the finding in one line.
func (f Finding) String() string {
	if f.Advice == "" {
		return f.Text
	}
	return f.Text + ": " + f.Advice
}

// Facts are the input of the rules.
type Facts struct {
	Incomplete []string // why raw data are not complete
	Gains      []Gain
	Units      []Unit
	Wanted     int       // frames that the gates of profile dark want; 0: no such number
	Baseline   *Baseline // what was compared with; nil: nothing
}

// Gain holds the facts about all panels of one gain mode together.
type Gain struct {
	Name    string // "" when there is one
	Sharper *status.Sharper
	Bounded []string // limits that an absolute bound sets instead of n sigma
}

// Unit is one panel in one gain mode.
type Unit struct {
	Name             string // for people, e.g. "jungfrau segment 3 g1"
	Panel, Gain      int
	Expected, Frames int // events of the detector, frames that were counted
	Pixels, Bad      int
	Unjudged         int
	WrongGain        int              // pixels with wrong gain bits
	NewlyBad         int              // against Facts.Baseline
	Occupancy        status.Occupancy // empty: not looked at
	// Pedestal is where the averages of the good pixels lie, Before where they lay in the run of that name; nil: not known.
	Pedestal, Before *Pedestal
	BeforeRun        string
}

// Pedestal is the mean of the averages of a panel's good pixels and their standard deviation, ADU.
type Pedestal struct{ Mean, Spread float64 }

// Baseline is the status that this one was compared with.
type Baseline struct {
	Name          string
	Days          float64 // it is older than the run
	OtherDetector bool    // made for other panels
}

// Numbers of the rules.
const (
	LostFraction  = 0.001 // of a panel's frames
	NewFraction   = 0.001 // of the pixels newly bad
	GainFraction  = 0.001 // of a panel's pixels with wrong gain bits
	BluntFraction = 0.1   // of the pixels that limits find, more with robust limits
	BluntPixels   = 10    // fewer are not worth a word
	StaleDays     = 30
	MovedSigmas   = 3 // the mean of a panel's pedestals, in their spread
	fewLines      = 4 // bad rows and columns that are named
)

// Judge applies the rules. The findings are sorted: worst first, then as the rules stand here.
func Judge(f Facts) []Finding {
	var out []Finding
	add := func(level Level, rule, advice string, panel, gain int, format string, args ...any) {
		out = append(out, Finding{level, rule, fmt.Sprintf(format, args...), advice, panel, gain})
	}
	for _, s := range f.Incomplete {
		add(Bad, "incomplete", "", -1, -1, "raw data are not complete: %s", s)
	}
	for _, u := range f.Units {
		f.judgeUnit(u, add)
	}
	for i, g := range f.Gains {
		f.judgeGain(i, g, add)
	}
	f.judgeBaseline(add)
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Level.weight(), a.Level.weight()) })
	return out
}

type adder func(level Level, rule, advice string, panel, gain int, format string, args ...any)

func (f Facts) judgeUnit(u Unit, add adder) {
	switch {
	case u.Unjudged >= u.Pixels:
		add(Bad, "no data", "", u.Panel, u.Gain, "%s: no pixel could be judged, from %d frames", u.Name, u.Frames)
		return
	case u.Bad >= u.Pixels:
		add(Bad, "all bad", "", u.Panel, u.Gain, "%s: all pixels are bad", u.Name)
		return
	case 2*u.Bad > u.Pixels:
		add(Bad, "mostly bad", "", u.Panel, u.Gain, "%s: %d of %d pixels are bad", u.Name, u.Bad, u.Pixels)
		return
	}
	if lost := u.Expected - u.Frames; float64(lost) > float64(LostFraction*float64(u.Expected)) {
		add(Check, "frames lost", "", u.Panel, u.Gain, "%s: %d of %d frames were not used", u.Name, lost, u.Expected)
	}
	if f.Wanted > u.Frames {
		add(Check, "few frames", "", u.Panel, u.Gain, "%s: %d frames, the gates want %d", u.Name, u.Frames, f.Wanted)
	}
	if float64(u.WrongGain) > float64(GainFraction*float64(u.Pixels)) {
		add(Check, "gain bits", "", u.Panel, u.Gain, "%s: %d pixels have wrong gain bits", u.Name, u.WrongGain)
	}
	if a, b := u.Pedestal, u.Before; a != nil && b != nil && math.Abs(a.Mean-b.Mean) > float64(MovedSigmas*b.Spread) {
		add(Check, "pedestal", "", u.Panel, u.Gain, "%s: the mean pedestal of the good pixels is %.1f ADU, in %s it was %.1f with a spread of %.1f", u.Name, a.Mean, u.BeforeRun, b.Mean, b.Spread)
	}
	for _, a := range u.Occupancy.Chips {
		if a.MostlyBad() && a.Pixels() < u.Pixels {
			add(Check, "bad chip", "", u.Panel, u.Gain, "%s: %d of %d pixels of the chip at row %d, column %d are bad", u.Name, a.Bad, a.Pixels(), a.Row, a.Col)
		}
	}
	u.judgeLines(add)
}

// judgeLines names the bad rows and columns of chips that are not bad as a whole.
func (u Unit) judgeLines(add adder) {
	var lines []string
	for _, l := range u.Occupancy.Lines {
		inBad := slices.ContainsFunc(u.Occupancy.Chips, func(c status.Area) bool {
			return c.MostlyBad() && l.Row >= c.Row && l.Row < c.Row+c.Rows && l.Col >= c.Col && l.Col < c.Col+c.Cols
		})
		switch {
		case inBad:
		case l.Cols == 1:
			lines = append(lines, fmt.Sprintf("column %d (rows %d to %d)", l.Col, l.Row, l.Row+l.Rows-1))
		default:
			lines = append(lines, fmt.Sprintf("row %d (columns %d to %d)", l.Row, l.Col, l.Col+l.Cols-1))
		}
	}
	if len(lines) == 0 {
		return
	}
	text := lines[0]
	for _, l := range lines[1:min(len(lines), fewLines)] {
		text += ", " + l
	}
	if n := len(lines) - fewLines; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	add(Check, "bad line", "", u.Panel, u.Gain, "%s: mostly bad: %s", u.Name, text)
}

func (f Facts) judgeGain(i int, g Gain, add adder) {
	of := ""
	if g.Name != "" {
		of = g.Name + ": "
	}
	if s := g.Sharper; s != nil && Blunt(*s) {
		add(Check, "blunt limits", "--set limits=robust --set limits_per=asic takes them, or limits = \"robust\" and limits_per = \"asic\" in the site file", -1, i,
			"%sblunt limits: bad pixels widen the limits, which find %d; limits by median and MAD per chip would find %d more", of, s.Now, s.More)
	}
	for _, b := range g.Bounded {
		add(Check, "absolute limit", "", -1, i, "%sthe limit %s is set by its absolute bound, not by the pixels", of, b)
	}
}

// Blunt reports whether robust limits would find many more pixels.
func Blunt(s status.Sharper) bool {
	return s.More >= BluntPixels && float64(s.More) > float64(BluntFraction*float64(s.Now))
}

func (f Facts) judgeBaseline(add adder) {
	if f.Baseline == nil {
		return
	}
	pixels, newly := 0, 0
	for _, u := range f.Units {
		pixels, newly = pixels+u.Pixels, newly+u.NewlyBad
	}
	if float64(newly) > float64(NewFraction*float64(pixels)) {
		add(Check, "newly bad", "", -1, -1, "%d of %d pixels are newly bad against %s", newly, pixels, f.Baseline.Name)
	}
	if f.Baseline.OtherDetector {
		add(Check, "baseline", "", -1, -1, "the baseline %s was made for other panels", f.Baseline.Name)
	}
	if f.Baseline.Days > StaleDays {
		add(Check, "baseline", "", -1, -1, "the baseline %s is %.0f days older than the run", f.Baseline.Name, f.Baseline.Days)
	}
}

// Of returns the verdict: the level of the worst finding.
func Of(findings []Finding) Level {
	worst := OK
	for _, f := range findings {
		if f.Level.weight() > worst.weight() {
			worst = f.Level
		}
	}
	return worst
}
