package publish

import (
	"fmt"
	"slices"
	"strings"

	"rawstatus/internal/stats/status"
)

// Gate weighs a plan: what would harm analysis is refused unless it is forced by name.
type Gate struct {
	MaxBad    float64 // fraction of a plane that may be bad
	MaxNew    float64 // fraction of all pixels that may become bad
	MaxWarn   float64 // fraction of all pixels that may become bad without a warning
	MaxUnseen float64 // fraction of a plane that may be not judged
	Force     []string
}

// DefaultGate has the limits in force where nothing else is said.
var DefaultGate = Gate{MaxBad: 0.5, MaxNew: 0.1, MaxWarn: 0.01, MaxUnseen: 0.5}

// Finding is one thing that a rule of the gate has to say.
type Finding struct {
	Rule    string `json:"rule"`
	Refuses bool   `json:"refuses"`
	Forced  bool   `json:"forced,omitempty"`
	Text    string `json:"text"`
	Over    string `json:"override,omitempty"` // flags that let it pass
}

// String is the finding as a line.
func (f Finding) String() string {
	switch {
	case f.Forced:
		return fmt.Sprintf("FORCED   %s: %s", f.Rule, f.Text)
	case f.Refuses:
		return fmt.Sprintf("REFUSED  %s: %s (to override: %s)", f.Rule, f.Text, f.Over)
	}
	return fmt.Sprintf("WARNING  %s: %s", f.Rule, f.Text)
}

// Rule is one rule of the gate.
type Rule struct {
	Name    string
	Refuses bool
	What    string
	// check gives what it has found, or nothing.
	check func(g Gate, p *Plan) string
}

// Forcible tells whether --force-<name> overrides the rule. What is missing cannot be forced: the user has
// to say what it is.
func (r Rule) Forcible() bool { return r.Refuses && r.Name != missing }

func (r Rule) override() string {
	switch {
	case r.Forcible():
		return "--force-" + r.Name
	case r.Refuses:
		return "--missing-gain=[<mode>=]copy:<mode>|good|bad, --missing-panel=good|bad"
	}
	return ""
}

const missing = "missing"

// few names the first of a list that the plan shows in full: a large detector lacks a hundred at once.
func few(list []string) string {
	const shown = 3
	if len(list) <= shown {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(list[:shown], "; "), len(list)-shown)
}

// Rules are all rules of the gate, in the order in which they speak.
var Rules = []Rule{
	{missing, true, "panels or gain modes have no status", func(_ Gate, p *Plan) string {
		return few(p.merged.Missing)
	}},
	{"constant", true, "all words of the array are the same", func(_ Gate, p *Plan) string {
		if p.merged.array == nil {
			return ""
		}
		v := p.merged.array.Values
		if slices.ContainsFunc(v, func(x uint64) bool { return x != v[0] }) {
			return ""
		}
		return fmt.Sprintf("all %d words are %d", len(v), v[0])
	}},
	{"all-bad", true, "a panel has no good pixel in a gain mode", func(_ Gate, p *Plan) string {
		return p.some("no good pixel", func(t Tile) bool { return t.Bad == t.Pixels })
	}},
	{"most-bad", true, "most of a panel is bad in a gain mode", func(g Gate, p *Plan) string {
		return p.some(fmt.Sprintf("more than %g %% bad", 100*g.MaxBad), func(t Tile) bool {
			return float64(t.Bad) > g.MaxBad*float64(t.Pixels) && t.Bad < t.Pixels
		})
	}},
	{"unjudged", true, "most of a panel was not judged (no data, low statistics)", func(g Gate, p *Plan) string {
		return p.some(fmt.Sprintf("more than %g %% not judged", 100*g.MaxUnseen), func(t Tile) bool {
			return float64(t.Unjudged) > g.MaxUnseen*float64(t.Pixels)
		})
	}},
	{"many-new", true, "many more pixels become bad", func(g Gate, p *Plan) string {
		if p.Current == nil || float64(p.Current.NewlyBad) <= g.MaxNew*float64(p.Pixels) {
			return ""
		}
		return fmt.Sprintf("%d pixels become bad (%.3f %%), more than %g %%", p.Current.NewlyBad, percent(p.Current.NewlyBad, p.Pixels), 100*g.MaxNew)
	}},
	{"shape", true, "the array has another size than the one in force", func(_ Gate, p *Plan) string {
		if p.Current == nil || !p.Current.Unequal {
			return ""
		}
		return fmt.Sprintf("%v, in force is %v", p.Shape, p.Current.Shape)
	}},
	{"no-effect", true, "no run would use it", func(_ Gate, p *Plan) string {
		if len(p.Effect.Used) > 0 {
			return ""
		}
		return "every run of " + p.Range.String() + " uses a narrower or later constant"
	}},
	{"unknown-bits", true, "words have bits that no rule sets", func(_ Gate, p *Plan) string {
		if top := p.merged.largest(); top > status.User {
			return fmt.Sprintf("bit %d has no meaning; status words end with %d", top, status.User)
		}
		return ""
	}},
	{"new", false, "more pixels become bad", func(g Gate, p *Plan) string {
		if p.Current == nil || float64(p.Current.NewlyBad) <= g.MaxWarn*float64(p.Pixels) || float64(p.Current.NewlyBad) > g.MaxNew*float64(p.Pixels) {
			return ""
		}
		return fmt.Sprintf("%d pixels become bad (%.3f %%)", p.Current.NewlyBad, percent(p.Current.NewlyBad, p.Pixels))
	}},
	{"cleared", false, "many bad pixels become good", func(_ Gate, p *Plan) string {
		if p.Current == nil || p.Current.NewlyGood < 100 || 2*p.Current.NewlyGood < p.Current.Bad {
			return ""
		}
		return fmt.Sprintf("%d of %d bad pixels become good", p.Current.NewlyGood, p.Current.Bad)
	}},
	{"asic", false, "a readout chip is mostly bad", func(_ Gate, p *Plan) string {
		return p.some("readout chips with more than half of their pixels bad", func(t Tile) bool {
			return t.BadASICs > 0 && float64(t.Bad) <= 0.5*float64(t.Pixels)
		})
	}},
	{"not-this-run", false, "the run it was made from does not use it", func(_ Gate, p *Plan) string {
		if p.Against == p.run {
			return ""
		}
		return fmt.Sprintf("run %d itself will not use it", p.run)
	}},
	{"incomplete", false, "made from incomplete data", func(_ Gate, p *Plan) string {
		for _, plane := range p.merged.Planes {
			for _, s := range plane.Sources {
				if s.Partial != "" {
					return s.Path + ": " + s.Partial
				}
			}
		}
		return ""
	}},
}

// weigh asks every rule.
func (g Gate) weigh(p *Plan) []Finding {
	findings := []Finding{}
	for _, r := range Rules {
		text := r.check(g, p)
		if text == "" {
			continue
		}
		f := Finding{Rule: r.Name, Refuses: r.Refuses, Text: text, Over: r.override()}
		f.Forced = r.Forcible() && slices.Contains(g.Force, r.Name)
		findings = append(findings, f)
	}
	return findings
}

// some tells for which planes, other than those that the user has decided about, a condition holds.
func (p *Plan) some(what string, is func(Tile) bool) string {
	var where []string
	for _, t := range p.Tiles {
		if !t.Chosen && is(t) {
			where = append(where, fmt.Sprintf("segment %d%s (%d bad of %d)", t.Slot, gainText(t.GainMode), t.Bad, t.Pixels))
		}
	}
	const most = 8
	if n := len(where); n > most {
		where = append(where[:most], fmt.Sprintf("and %d more", n-most))
	}
	if len(where) == 0 {
		return ""
	}
	return what + ": " + strings.Join(where, ", ")
}

// largest is the largest bit value that occurs.
func (m *Merged) largest() uint64 {
	if len(m.Table) == 0 {
		return 0
	}
	return m.Table[len(m.Table)-1].Value
}
