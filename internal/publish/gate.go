package publish

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/stats/status"
)

// Gate judges a plan: what would harm analysis is refused unless it is forced by name.
type Gate struct {
	MaxBad    float64       // fraction of a panel that may be bad
	MaxNew    float64       // fraction of all pixels that may become bad
	MaxWarn   float64       // fraction of all pixels that may become bad without a warning
	MaxUnseen float64       // fraction of a panel that may be not judged
	MaxShift  float64       // sigmas by which the pedestals of a chip may move
	MaxAge    time.Duration // of the run behind the oldest file, without a warning
	Automatic bool          // nobody looks at the plan
	SourceRun int           // run whose status is meant where this one has none; negative: not said
	Force     []string
}

// DefaultGate has the limits in force where nothing else is said.
var DefaultGate = Gate{MaxBad: 0.5, MaxNew: 0.1, MaxWarn: 0.01, MaxUnseen: 0.5, MaxShift: 10, MaxAge: 30 * 24 * time.Hour, SourceRun: -1}

// Finding is one thing that a rule of the gate has to say.
type Finding struct {
	Rule    string `json:"rule"`
	Refuses bool   `json:"refuses"`
	Forced  bool   `json:"forced,omitempty"`
	Text    string `json:"text"`
	Over    string `json:"override,omitempty"` // flags that let it pass
}

// String returns the finding as a line.
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
	// check returns what it has found, or nothing.
	check func(g Gate, p *Plan) string
	// strict rules refuse in automatic deployments, where nobody reads a warning.
	strict bool
}

// Forcible reports whether --force-<name> overrides the rule. What is missing cannot be forced: the user has
// to say what it is.
func (r Rule) Forcible() bool { return (r.Refuses || r.strict) && r.Name != missing }

func (r Rule) override() string {
	switch {
	case r.Name == "other-run":
		return "--source-run=<run>, which says whose status is meant, or --force-other-run"
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
	{Name: missing, Refuses: true, What: "panels or gain modes have no status", check: func(_ Gate, p *Plan) string {
		return few(p.merged.Missing)
	}},
	{Name: "constant", Refuses: true, What: "all words of the array are the same", check: constant},
	{Name: "all-bad", Refuses: true, What: "analysis will find no good pixel in a panel", check: func(_ Gate, p *Plan) string {
		return p.some("no good pixel", func(t Tile) bool { return t.Bad == t.Pixels && t.Standing < t.Pixels })
	}},
	{Name: "most-bad", Refuses: true, What: "most of a panel is bad", check: func(g Gate, p *Plan) string {
		return p.some(fmt.Sprintf("more than %g %% bad", 100*g.MaxBad), func(t Tile) bool {
			return float64(t.Bad) > g.MaxBad*float64(t.Pixels) && t.Bad < t.Pixels && t.Bad > t.Standing
		})
	}},
	{Name: "unjudged", Refuses: true, What: "most of a panel was not judged (no data, low statistics)", check: func(g Gate, p *Plan) string {
		return p.some(fmt.Sprintf("more than %g %% not judged", 100*g.MaxUnseen), func(t Tile) bool {
			return float64(t.Unjudged) > g.MaxUnseen*float64(t.Pixels)
		})
	}},
	{Name: "many-new", Refuses: true, What: "many more pixels become bad", check: func(g Gate, p *Plan) string {
		return p.become(func(n float64) bool { return n > g.MaxNew }, fmt.Sprintf(", more than %g %%", 100*g.MaxNew))
	}},
	{Name: "shape", Refuses: true, What: "the array has another size than what is in force", check: shapes},
	{Name: "no-effect", Refuses: true, What: "no run would use it", check: func(_ Gate, p *Plan) string {
		if len(p.Effect.Used) > 0 {
			return ""
		}
		return "every run of " + p.Range.String() + " uses a narrower or later constant"
	}},
	{Name: "unknown-bits", Refuses: true, What: "words have bits that no rule sets", check: unknownBits},
	{Name: "plans", Refuses: true, What: "panels of one run were judged under different plans", check: differentPlans},
	{Name: "ambiguous", Refuses: true, What: "analysis could not decide between two constants of the same runs", check: func(_ Gate, p *Plan) string {
		if len(p.ambiguous) == 0 {
			return ""
		}
		return few(p.ambiguous) + ": the order of a listing decides which one is used; remove one"
	}},
	{Name: "experiment", Refuses: true, What: "the target belongs to another experiment", check: otherExperiment},
	{Name: "other-run", What: "no status file is of this run", strict: true, check: otherRun},
	{Name: "new", What: "more pixels become bad", check: func(g Gate, p *Plan) string {
		return p.become(func(n float64) bool { return n > g.MaxWarn && n <= g.MaxNew }, "")
	}},
	{Name: "cleared", What: "many bad pixels become good", check: cleared},
	{Name: "asic", What: "a readout chip is mostly bad", check: func(_ Gate, p *Plan) string {
		return p.some("readout chips with more than half of their pixels bad", func(t Tile) bool {
			return t.BadASICs > 0 && 2*t.Bad <= t.Pixels
		})
	}},
	{Name: "not-this-run", What: "the run it was made from does not use it", check: func(_ Gate, p *Plan) string {
		if p.Against == p.run {
			return ""
		}
		return fmt.Sprintf("run %d itself will not use it", p.run)
	}},
	{Name: "incomplete", What: "made from incomplete data", check: func(_ Gate, p *Plan) string {
		s := p.merged.source(func(s *Source) bool { return s.Partial != "" })
		if s == nil {
			return ""
		}
		return s.Path + ": " + s.Partial
	}},
	{Name: "old", What: "made from old data", check: old},
	{Name: "masks-only", What: "nothing but masks of people is known", check: masksOnly},
}

// judge asks every rule.
func (g Gate) judge(p *Plan) []Finding {
	findings := []Finding{}
	for _, r := range Rules {
		text := r.check(g, p)
		if text == "" {
			continue
		}
		f := Finding{Rule: r.Name, Refuses: r.Refuses || r.strict && g.Automatic, Text: text, Over: r.override()}
		f.Forced = r.Forcible() && slices.Contains(g.Force, r.Name)
		findings = append(findings, f)
	}
	return findings
}

// some says for which panels, other than those that the user has decided about, a condition holds.
func (p *Plan) some(what string, is func(Tile) bool) string {
	var where []string
	for _, t := range p.Tiles {
		if t.Chosen || !is(t) {
			continue
		}
		text := fmt.Sprintf("%d bad of %d", t.Bad, t.Pixels)
		if t.Standing > 0 {
			text += fmt.Sprintf(", %d by pixel_status", t.Standing)
		}
		where = append(where, fmt.Sprintf("segment %d (%s)", t.Slot, text))
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

// become says for which stretch of runs so large a fraction of pixels becomes bad, the worst one first.
func (p *Plan) become(is func(fraction float64) bool, than string) string {
	worst := -1
	for i, s := range p.Stretches {
		if worst < 0 || s.NewlyBad > p.Stretches[worst].NewlyBad {
			worst = i
		}
	}
	if worst < 0 || p.counted == 0 || !is(float64(p.Stretches[worst].NewlyBad)/float64(p.counted)) {
		return ""
	}
	s := p.Stretches[worst]
	return fmt.Sprintf("%s become bad (%.3f %%)%s, for runs %s", fault.Count(s.NewlyBad, "pixel"), percent(s.NewlyBad, p.counted), than, s.Runs[0].Runs())
}

func constant(_ Gate, p *Plan) string {
	if p.merged.array == nil {
		return ""
	}
	v := p.merged.array.Words
	word := v.Word(0)
	if word == 0 && len(v.At) > 0 || word != 0 && len(v.At) < v.Pixels || slices.ContainsFunc(v.Words, func(x uint64) bool { return x != word }) {
		return ""
	}
	return fmt.Sprintf("all %d words are %d", v.Pixels, word)
}

func shapes(_ Gate, p *Plan) string {
	if p.merged.Misfit != "" {
		return p.merged.Misfit
	}
	for _, s := range p.Stretches {
		if s.Unequal != "" {
			return fmt.Sprintf("runs %s: %s", s.Runs[0].Runs(), s.Unequal)
		}
	}
	return ""
}

func cleared(_ Gate, p *Plan) string {
	for _, s := range p.Stretches {
		if s.NewlyGood >= 100 && 2*s.NewlyGood >= s.Bad {
			return fmt.Sprintf("%d of %s become good, for runs %s", s.NewlyGood, fault.Count(s.Bad, "bad pixel"), s.Runs[0].Runs())
		}
	}
	return ""
}

// judgement holds the facts that have to be equal for all panels of a run.
type judgement struct{ plan, rules string }

// differentPlans compares what the panels of one run, type and gain mode were judged by: a reduction that
// is stopped half-way leaves new files of some panels beside old ones of others.
func differentPlans(_ Gate, p *Plan) string {
	type key struct {
		ctype, gain, experiment string
		run                     int
	}
	seen := map[key]judgement{}
	var mixed []string
	for i := range p.merged.Planes {
		plane := &p.merged.Planes[i]
		for _, s := range plane.Sources {
			if s.PlanID == "" {
				continue
			}
			k, j := key{s.CType, plane.GainMode, s.Experiment, s.Run}, judgement{s.PlanID, s.rules}
			if first, known := seen[k]; known && first != j {
				mixed = append(mixed, fmt.Sprintf("%s%s of %s run %d, segment %d", k.ctype, gainText(k.gain), k.experiment, k.run, plane.Slot))
			} else {
				seen[k] = j
			}
		}
	}
	if len(mixed) == 0 {
		return ""
	}
	return "judged under another plan or other rules than the panels before it: " + few(mixed) + "; run its reduction again"
}

// otherExperiment compares the destination with the experiment: by the names in its path, also behind links, and by what was
// deployed there before.
func otherExperiment(_ Gate, p *Plan) string {
	exp := p.merged.Run.Experiment
	for _, path := range []string{p.Destination, behindLinks(p.Destination)} {
		parts := strings.Split(filepath.ToSlash(path), "/")
		for i, part := range parts {
			if i+1 < len(parts) && parts[i+1] == "calib" && isExperiment.MatchString(part) && part != exp {
				return fmt.Sprintf("%s is the calibration directory of %s, the run is of %s", path, part, exp)
			}
		}
	}
	if p.other != "" {
		return fmt.Sprintf("what was deployed to %s before is of %s, the run is of %s", p.Destination, p.other, exp)
	}
	return ""
}

// behindLinks resolves the links in the part of a path that exists.
func behindLinks(path string) string {
	rest := ""
	for at := path; at != filepath.Dir(at); at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
	return path
}

// isExperiment matches the names of experiments, such as mfx101332224 and xpptut15.
var isExperiment = regexp.MustCompile(`^[a-z]{3,4}[a-z0-9]*[0-9][a-z0-9]*$`)

// otherRun says that nothing but older status is deployed: a run without status of its own may have been
// forgotten.
func otherRun(g Gate, p *Plan) string {
	m := p.merged
	if m.voted {
		return ""
	}
	ofRun := func(run int) bool {
		s := m.source(func(s *Source) bool { return !s.byPerson && s.Experiment == m.Run.Experiment && s.Run == run })
		return s != nil
	}
	youngest := m.source(func(s *Source) bool { return !s.byPerson })
	if youngest == nil || ofRun(m.Run.Number) || g.SourceRun >= 0 && ofRun(g.SourceRun) {
		return ""
	}
	return fmt.Sprintf("no status file is of run %d; used is, for example, %s of %s run %d", m.Run.Number, youngest.CType, youngest.Experiment, youngest.Run)
}

// old names the oldest source when it is too old.
func old(g Gate, p *Plan) string {
	var oldest *Source
	var of *Plane
	p.merged.each(func(s *Source, plane *Plane) bool {
		if !s.byPerson && !s.Begin.IsZero() && (oldest == nil || s.Begin.Before(oldest.Begin)) {
			oldest, of = s, plane
		}
		return true
	})
	if oldest == nil || p.merged.At.Sub(oldest.Begin) <= g.MaxAge {
		return ""
	}
	return fmt.Sprintf("%s of segment %d%s is %.0f days older than the run (%s run %d)", oldest.CType, of.Slot, gainText(of.GainMode), p.merged.At.Sub(oldest.Begin).Hours()/24, oldest.Experiment, oldest.Run)
}

func masksOnly(_ Gate, p *Plan) string {
	var where []string
	for i := range p.merged.Planes {
		plane := &p.merged.Planes[i]
		if len(plane.Sources) > 0 && !plane.measured() && !plane.twin {
			where = append(where, fmt.Sprintf("segment %d%s", plane.Slot, gainText(plane.GainMode)))
		}
	}
	if len(where) == 0 {
		return ""
	}
	return "made of masks of people alone, everything else counts as good: " + few(where)
}

func unknownBits(_ Gate, p *Plan) string {
	if bit := p.merged.unknown(); bit != 0 {
		return fmt.Sprintf("bit %d has no meaning; status words end with %d, those of charge injection with %d", bit, status.User, status.CrossTalk)
	}
	return ""
}

// each visits the sources in the order of planes until visit returns false.
func (m *Merged) each(visit func(*Source, *Plane) bool) {
	for i := range m.Planes {
		for j := range m.Planes[i].Sources {
			if !visit(&m.Planes[i].Sources[j], &m.Planes[i]) {
				return
			}
		}
	}
}

// source returns the first source for which is holds, else nil.
func (m *Merged) source(is func(*Source) bool) (found *Source) {
	m.each(func(s *Source, _ *Plane) bool {
		if is(s) {
			found = s
		}
		return found == nil
	})
	return found
}

// unknown returns a bit of the merged words that has no meaning in any of the families that it comes from, 0 if
// there is none.
func (m *Merged) unknown() uint64 {
	for _, row := range m.Table {
		known := row.Merged == 0 || row.Value <= status.User
		for family := range row.Names {
			_, ok := status.Lookup(status.Family(family), row.Value)
			known = known || ok
		}
		if !known {
			return row.Value
		}
	}
	return 0
}
