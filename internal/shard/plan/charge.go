package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/stats/charge"
)

// ChargeParams say how a charge-injection scan is counted; see stats/charge.
type ChargeParams struct {
	Space       int    `json:"space,omitempty"` // distance of pulsed rows and columns, 0: as the data tell
	NPOff       int    `json:"npoff"`
	Gap         int    `json:"gap"`
	FirstPeriod bool   `json:"first_period,omitempty"`
	GainBit     uint16 `json:"gainbit"`
}

// Scan is the layout of a charge-injection scan.
type Scan struct {
	Space int        `json:"space"`
	Steps []ScanStep `json:"steps"` // ascending by number
	// LCLS1: position P pulses rows P/space, P/space + space, ... and columns P%space, ...
	LCLS1 bool `json:"lcls1,omitempty"`
}

// ScanStep is a step that injects charge.
type ScanStep struct {
	Step     int `json:"step"`
	Mode     int `json:"mode"` // charge.AML, charge.AHL
	Position int `json:"position"`
	// InjPos is the first pulsed row and column as the description says, nil: it does not.
	InjPos []int `json:"injpos,omitempty"`
}

// Charge reports whether the profile judges charge injection.
func (p Params) Charge() bool { return p.Profile == ProfileCharge }

// ChargeCounting returns the parameters of the counting.
func (p Params) ChargeCounting() charge.Params {
	c := p.Injection
	return charge.Params{GainBit: c.GainBit, DataBits: p.DataBits, NPOff: c.NPOff, Gap: c.Gap, FirstPeriod: c.FirstPeriod, Compat: p.Compat != ""}
}

// ChargeJudging returns the rules of the judgement.
func (p Params) ChargeJudging() charge.Rules {
	return charge.Rules{DataBits: p.DataBits, Compat: p.Compat != "", NSigma: p.CINSigma, MaxPeriods: p.CINegMax, SwitchMin: p.CISwitchMin,
		Response: p.CIResponse, Flips: p.CIFlips, CrossTalk: p.CICrossTalk}
}

// GainBit returns the bit of a raw word that is set in low gain, 0 where charge injection of the type cannot
// be judged.
func GainBit(family detector.Family) uint16 {
	if !strings.HasPrefix(family.Type, "epix10ka") && !strings.HasPrefix(family.Type, "epixhr") {
		return 0
	}
	return uint16(1) << (bits.Len16(family.GainBits) - 1)
}

// validateCharge says what is wrong with the parameters of profile ci.
func (p Params) validateCharge(family detector.Family) error {
	c := p.Injection
	switch {
	case c == nil:
		return fmt.Errorf("profile %s without its parameters", p.Profile)
	case GainBit(family) == 0:
		return fmt.Errorf("detector type %s: charge injection is judged for types epix10ka... and epixhr..., whose pixels switch between two gains", family.Type)
	case p.Compat == "lcls1":
		return fmt.Errorf("compat %s: the original of profile ci is of LCLS-II, compat lcls2", p.Compat)
	case len(p.Slice) > 0 || p.GainMode != "":
		return fmt.Errorf("slice and gain mode are not for profile ci: it judges whole panels, and a scan has both its modes")
	case !slices.Contains([]string{"", "own", "lcls2", "both"}, p.CIConstants):
		return fmt.Errorf("ci_constants %q: wanted own, lcls2 or both", p.CIConstants)
	case c.Space < 0 || c.Space > maxSpace:
		return fmt.Errorf("space %d: wanted 1 to %d, or 0", c.Space, maxSpace)
	case p.Events < 1 || p.Events > charge.MaxEvents:
		return fmt.Errorf("events %d: profile ci uses 1 to %d of each step", p.Events, charge.MaxEvents)
	}
	return charge.Check(p.ChargeCounting(), p.ChargeJudging())
}

const maxSpace = 64

// scanDoc is the JSON that describes a step.
type scanDoc struct {
	ScanType string   `json:"scantype"`
	Step     *float64 `json:"step"`
	InjPos   []int    `json:"injpos"`
}

// lcls1Doc is how LCLS-I describes a step.
var lcls1Doc = regexp.MustCompile(`position (\d+) trbit ([01])`)

// described is a step with what its description says.
type described struct {
	step   int
	number int // within the scan, both modes
	lcls1  bool
	trbit  int
	injpos []int
}

// describe returns the steps that inject charge; others are counted by what they are.
func describe(x *frame.Index, par Params) (steps []described, others map[string]int) {
	others = map[string]int{}
	documented := slices.ContainsFunc(x.Steps, func(s frame.Step) bool { return s.Doc != "" })
	running := 0
	for i := range x.Steps {
		s := &x.Steps[i]
		if s.Events == 0 || s.Number < 0 || len(par.Steps) > 0 && !slices.Contains(par.Steps, s.Number) {
			continue
		}
		var doc scanDoc
		if m := lcls1Doc.FindStringSubmatch(s.Doc); m != nil {
			position, err := strconv.Atoi(m[1])
			if err != nil || position > maxSpace*maxSpace {
				others["position "+m[1]]++
				continue
			}
			steps = append(steps, described{step: s.Number, number: position, lcls1: true, trbit: int(m[2][0] - '0')})
			continue
		}
		switch err := json.Unmarshal([]byte(s.Doc), &doc); {
		case !documented:
			steps = append(steps, described{step: s.Number, number: running})
			running++
		case err != nil:
			others["without a description"]++
		case doc.ScanType != "chargeinj":
			others[fmt.Sprintf("scan type %q", doc.ScanType)]++
		case doc.Step == nil || *doc.Step < 0 || *doc.Step > 2*maxSpace*maxSpace || *doc.Step != float64(int(*doc.Step)):
			others["without a step number"]++
		default:
			steps = append(steps, described{step: s.Number, number: int(*doc.Step), injpos: doc.InjPos})
		}
	}
	return steps, others
}

// scanOf finds the charge-injection scan of a run: its steps by mode and position, notes about what was not
// used, and what the scan lacks.
func scanOf(x *frame.Index, par Params) (scan *Scan, notes []string, err error) {
	steps, others := describe(x, par)
	for _, what := range slices.Sorted(maps.Keys(others)) {
		notes = append(notes, fmt.Sprintf("%s are no charge injection and were left out: %s", fault.Count(others[what], "step"), what))
	}
	if len(steps) == 0 {
		return nil, nil, fault.New(fault.Input, "%v has no step of a charge-injection scan%s", x.Run, listed(notes)).
			WithHint("profile ci wants steps whose description says scantype chargeinj, or a run without descriptions")
	}
	scan = &Scan{LCLS1: steps[0].lcls1}
	for _, s := range steps {
		if s.lcls1 != scan.LCLS1 {
			return nil, nil, fault.New(fault.Input, "%v mixes two kinds of descriptions: steps %d and %d", x.Run, steps[0].step, s.step)
		}
	}
	note := ""
	if scan.Space, note, err = spaceOf(x, par, steps); err != nil {
		return nil, nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	at := map[[2]int]int{}
	for _, s := range steps {
		one := ScanStep{Step: s.step, Mode: s.number / (scan.Space * scan.Space), Position: s.number % (scan.Space * scan.Space)}
		if len(s.injpos) == 2 && min(s.injpos[0], s.injpos[1]) >= 0 && max(s.injpos[0], s.injpos[1]) < scan.Space {
			one.InjPos = s.injpos
		}
		if s.lcls1 {
			one.Mode, one.Position = charge.AML+s.trbit, s.number
		}
		if one.Mode >= charge.Modes || one.Position >= scan.Space*scan.Space {
			return nil, nil, fault.New(fault.Input, "step %d of %v is number %d of its scan, which has 2 x %d with space %d", s.step, x.Run, s.number,
				scan.Space*scan.Space, scan.Space).WithHint("is --space right?")
		}
		if mode, ok := configuredMode(x, s.step); ok && mode != one.Mode && par.Compat == "" {
			notes = append(notes, fmt.Sprintf("step %d should be of mode %s by its number, the configuration says %s and counts", s.step, charge.ModeNames[one.Mode], charge.ModeNames[mode]))
			one.Mode = mode
		}
		key := [2]int{one.Mode, one.Position}
		if k, twice := at[key]; twice {
			notes = append(notes, fmt.Sprintf("steps %d and %d are both position %d of mode %s: the later one counts (--step picks)", scan.Steps[k].Step, s.step, one.Position, charge.ModeNames[one.Mode]))
			scan.Steps[k] = one
			continue
		}
		at[key] = len(scan.Steps)
		scan.Steps = append(scan.Steps, one)
	}
	slices.SortFunc(scan.Steps, func(a, b ScanStep) int { return a.Step - b.Step })
	return scan, notes, nil
}

func listed(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return ": " + strings.Join(notes, "; ")
}

// lacks lists the positions that a scan lacks.
func (s *Scan) lacks() (out []string) {
	if s == nil {
		return nil
	}
	for m, name := range charge.ModeNames {
		have := map[int]bool{}
		for _, step := range s.Steps {
			if step.Mode == m {
				have[step.Position] = true
			}
		}
		var missing []string
		for position := range s.Space * s.Space {
			if !have[position] {
				missing = append(missing, strconv.Itoa(position))
			}
		}
		if n := len(missing); n > 0 {
			out = append(out, fmt.Sprintf("charge injection: %d of %d positions of mode %s are missing: %s", n, s.Space*s.Space, name, strings.Join(missing, ",")))
		}
	}
	return out
}

// customary distances of pulsed rows and columns, by type; LCLS-I always had 7.
func customarySpace(typ string, lcls1 bool) int {
	if lcls1 || strings.HasPrefix(strings.ToLower(typ), "epix10ka") {
		return 7
	}
	return 5
}

// spaceOf finds the distance of pulsed rows and columns: as the parameters say, as the number of steps or the
// pulsed pixels of the configuration tell, or what is customary.
func spaceOf(x *frame.Index, par Params, steps []described) (space int, note string, err error) {
	if par.Injection.Space > 0 {
		return par.Injection.Space, "", nil
	}
	most := 0
	for _, s := range steps {
		n := s.number + 1
		if s.lcls1 {
			n *= 2
		}
		most = max(most, n)
	}
	for k := 1; k <= maxSpace; k++ {
		if 2*k*k == most {
			return k, "", nil
		}
	}
	for _, m := range x.Pulsed {
		if n := m.Count(); n > 0 {
			pixels := x.Panels[m.Panel].Pixels()
			for k := 1; k <= maxSpace; k++ {
				if near := float64(pixels) / float64(k*k) / float64(n); near > 0.9 && near < 1.1 && 2*k*k >= most {
					return k, "", nil
				}
			}
		}
	}
	if space = customarySpace(x.Panels[0].Type, steps[0].lcls1); 2*space*space < most {
		return 0, "", fault.New(fault.Input, "%v has a charge-injection scan of %s or more, which is not 2 x space x space", x.Run, fault.Count(most, "step")).
			WithHint("name the distance of pulsed rows and columns with --space")
	}
	return space, fmt.Sprintf("the scan ends with step %d: space %d is what is customary for %s (--space)", most-1, space, x.Panels[0].Type), nil
}

// configuredMode returns the mode of a step as most panels are configured.
func configuredMode(x *frame.Index, step int) (mode int, ok bool) {
	var votes [charge.Modes]int
	for _, m := range x.Pulsed {
		if m.Step == step {
			votes[charge.AML+m.TRBit]++
		}
	}
	if s := x.StepAt(step); votes == [charge.Modes]int{} && s != nil {
		for _, gain := range s.Gains {
			switch name, _, _ := strings.Cut(gain.String(), "-"); name {
			case "AML":
				votes[charge.AML]++
			case "AHL":
				votes[charge.AHL]++
			}
		}
	}
	switch {
	case votes[charge.AML] > votes[charge.AHL]:
		return charge.AML, true
	case votes[charge.AHL] > votes[charge.AML]:
		return charge.AHL, true
	}
	return 0, false
}

// Formula returns the pixels that a step pulses by the formula of the original program.
func (s *Scan) Formula(rows, cols, position int) []uint32 {
	if !s.LCLS1 {
		return charge.Grid(rows, cols, position, s.Space)
	}
	return charge.Every(rows, cols, position/s.Space, position%s.Space, s.Space)
}

// Nanoseconds returns the time of an event; in .npy files events have none, and follow each other at 120 Hz.
func (p *Plan) Nanoseconds(ts uint64) int64 {
	if p.Dataset.Format == "npy" {
		return int64(ts) * 1e9 / 120
	}
	return int64(ts>>32)*1e9 + int64(uint32(ts))
}

// PulseID returns the number of an event on the clock of the timing system, 1300/1400 MHz.
func (p *Plan) PulseID(ts uint64) int64 {
	ns := p.Nanoseconds(ts)
	return ns/14000*13 + ns%14000*13/14000
}

// takeScan makes the scan of a run one group, whose panels are judged in both modes together. The gain modes of
// the steps have done their duty then.
func (p *Plan) takeScan(x *frame.Index) (*frame.Index, error) {
	scan, notes, err := scanOf(x, p.Params)
	if err != nil {
		return nil, err
	}
	p.Scan = scan
	y := *x
	y.Steps = slices.Clone(x.Steps)
	for i := range y.Steps {
		y.Steps[i].Gains = nil
	}
	p.Dataset.Steps = y.Steps
	p.Dataset.Notes = slices.Concat(x.Notes, notes)
	g := Group{}
	for _, s := range scan.Steps {
		g.Steps = append(g.Steps, s.Step)
	}
	p.Groups = []Group{g}
	return &y, nil
}

// perStep counts the usable frames of a panel in each step of the scan.
func (p *Plan) perStep(events []frame.Event, use []int) []int {
	if p.Scan == nil {
		return nil
	}
	out := make([]int, len(p.Scan.Steps))
	for _, e := range use {
		i, ok := slices.BinarySearchFunc(p.Scan.Steps, int(events[e].Step), func(s ScanStep, step int) int { return s.Step - step })
		if ok {
			out[i]++
		}
	}
	return out
}

// cutScan makes a shard of each step of a unit that has frames.
func (p *Plan) cutScan(unit int) {
	at := 0
	for i, n := range p.Units[unit].Steps {
		if n > 0 {
			p.Shards = append(p.Shards, Shard{Stage: StagePixels, Unit: unit, Lo: at, Hi: at + n, ScanStep: i})
		}
		at += n
	}
}

// emptySteps lists the steps of the scan in which a panel has no usable frame.
func (p *Plan) emptySteps(u Unit) (out []int) {
	for i, n := range u.Steps {
		if n == 0 {
			out = append(out, p.Scan.Steps[i].Step)
		}
	}
	return out
}
