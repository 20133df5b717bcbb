package reduce

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// SummarySchema is the version of summary.json.
const SummarySchema = 1

// Summary is the result of a reduction; it is kept as summary.json beside the partials.
type Summary struct {
	Schema     int         `json:"schema"`
	Plan       string      `json:"plan"`
	Input      string      `json:"input"`
	Software   string      `json:"software"`
	Run        frame.Run   `json:"run"`
	Detector   string      `json:"detector"`
	Type       string      `json:"detector_type"`
	Params     plan.Params `json:"params"`
	Events     int         `json:"events"` // of the run
	Work       string      `json:"work"`
	Groups     []Group     `json:"groups"`
	Products   []string    `json:"products,omitempty"` // files of whole detectors, in all gain modes
	Changes    []Change    `json:"changes,omitempty"`  // against the rules before, when rules were changed
	Incomplete []string    `json:"incomplete,omitempty"`
	Notes      []string    `json:"notes,omitempty"`
	Warnings   []string    `json:"warnings,omitempty"`
}

// Group is the result of the panels that were evaluated together: one gain mode, or one step.
type Group struct {
	GainMode string        `json:"gain_mode,omitempty"`
	Steps    []int         `json:"steps"`
	Limits   []Limit       `json:"limits"`
	Bits     []status.Line `json:"bits"`
	Pixels   int           `json:"pixels"`
	Bad      int           `json:"bad_pixels"`
	Panels   []PanelResult `json:"panels"`
	Notes    []string      `json:"notes,omitempty"`
	// Sharper says what robust limits per ASIC would find; nil where rules have no such choice.
	Sharper  *status.Sharper   `json:"sharper,omitempty"`
	Findings []verdict.Finding `json:"findings,omitempty"` // positions of panels are those in Panels; no baseline
}

// PanelResult is the result of one panel in a group.
type PanelResult struct {
	Segment  int            `json:"segment"`
	Sub      int            `json:"sub,omitempty"`
	ID       string         `json:"id"`
	Expected int            `json:"events"`      // in which the detector took part
	Frames   uint64         `json:"frames"`      // that were counted
	Good     uint64         `json:"good_frames"` // that features 2, 3 and 6 used
	Lost     map[string]int `json:"lost,omitempty"`
	Gain     *GainWords     `json:"gain_words,omitempty"`
	Stuck    uint64         `json:"stuck_frames,omitempty"` // that are equal to the one before
	Bad      int            `json:"bad_pixels"`
	Bits     map[string]int `json:"pixels_per_bit"`
	File     string         `json:"file"`
	// Constants are further files that were written.
	Constants []string `json:"constants,omitempty"`
	// Pedestals are those of the readout chips, of dark runs.
	Pedestals []status.Chip `json:"pedestals,omitempty"`
	// list has the bad pixels of File, of a panel that was reduced by this process and has few bad pixels; nil: not kept.
	list *status.Sparse
}

// BadPixels returns what the panel's file says where it is known without reading it.
func (p *PanelResult) BadPixels() (bad status.Sparse, known bool) {
	if p.list == nil {
		return bad, false
	}
	return *p.list, true
}

// fewBad is the part of a panel's pixels, one in so many, up to which their list is kept.
const fewBad = 20

// GainWords counts the words of a panel whose gain bits are not those of the gain mode.
type GainWords struct {
	Words      uint64 `json:"words"`                // of pixels that are in the gain mode
	Others     uint64 `json:"others"`               // with other gain bits
	Pixels     int    `json:"pixels"`               // that have such words
	Impossible uint64 `json:"impossible,omitempty"` // words with gain bits that no mode has
}

// gainWords adds up what was counted of gain bits; nil where nothing was.
func gainWords(set *plane.Set) *GainWords {
	if set == nil {
		return nil
	}
	odd, err := plane.Get[uint32](set, plane.GainOdd)
	if err != nil {
		return nil
	}
	g := &GainWords{Words: set.Frames * uint64(len(odd))}
	eachOther(odd, func(n uint32) { g.Others, g.Pixels = g.Others+uint64(n), g.Pixels+1 })
	if inMode, err := plane.Get[uint32](set, plane.InMode); err == nil {
		g.Words = sumOf(inMode)
	}
	if never, err := plane.Get[uint32](set, plane.GainNever); err == nil {
		eachOther(never, func(n uint32) { g.Impossible += uint64(n) })
	}
	return g
}

// eachOther visits the numbers that are not 0, which are few as a rule.
func eachOther(v []uint32, visit func(n uint32)) {
	for len(v) >= 8 {
		if w := v[:8]; w[0]|w[1]|w[2]|w[3]|w[4]|w[5]|w[6]|w[7] != 0 {
			for _, n := range w {
				if n != 0 {
					visit(n)
				}
			}
		}
		v = v[8:]
	}
	for _, n := range v {
		if n != 0 {
			visit(n)
		}
	}
}

// add adds up what was counted of different pixels.
func (g *GainWords) add(o *GainWords) *GainWords {
	if g == nil || o == nil {
		return o
	}
	g.Words, g.Others, g.Pixels, g.Impossible = g.Words+o.Words, g.Others+o.Others, g.Pixels+o.Pixels, g.Impossible+o.Impossible
	return g
}

func sumOf(v []uint32) (n uint64) {
	for _, x := range v {
		n += uint64(x)
	}
	return n
}

// String says which words were not those of the gain mode; nothing if all were.
func (g *GainWords) String() string {
	if g == nil || g.Others == 0 {
		return ""
	}
	text := fmt.Sprintf(", %d words (%.3g %%) of other gains in %s", g.Others, 100*float64(g.Others)/float64(g.Words), fault.Count(g.Pixels, "pixel"))
	if g.Impossible > 0 {
		text += fmt.Sprintf(", %d of them impossible", g.Impossible)
	}
	return text
}

func newSummary(work string, p *plan.Plan) *Summary {
	return &Summary{Schema: SummarySchema, Plan: p.ID, Input: p.Input, Software: p.Software, Run: p.Dataset.Run,
		Detector: p.Dataset.Detector, Type: p.Dataset.Type, Params: p.Params, Events: p.Dataset.Events, Work: work,
		Incomplete: p.Incomplete, Notes: p.Dataset.Notes}
}

func groupSummary(p *plan.Plan, group int, units []int, v *judgement) Group {
	g := Group{GainMode: p.Groups[group].GainMode, Steps: p.Groups[group].Steps, Limits: v.limits, Bits: v.lines, Pixels: v.counts.Pixels, Bad: v.counts.Bad, Notes: v.notes}
	var chips [][]status.Chip
	if v.dark != nil {
		var sharper status.Sharper
		if chips, sharper = v.dark.Chips(); v.dark.Params.Compat == status.Sane {
			g.Sharper = &sharper
		}
	}
	for i, u := range units {
		unit, panel, r := p.Units[u], p.Panel(u), &v.panels[i]
		out := PanelResult{Segment: panel.Segment, Sub: panel.Sub, ID: panel.ID, Expected: unit.Expected, Frames: r.Frames, Good: r.GoodFrames,
			Lost: unit.Lost, Gain: r.gain, Bad: r.counts.Bad, Bits: map[string]int{}}
		if r.Set != nil {
			out.Stuck = r.Set.Stuck
		}
		if r.counts.Bad <= r.counts.Pixels/fewBad {
			out.list = &r.Bad
		}
		for _, l := range g.Bits {
			if n := r.counts.Of(l.Value); n > 0 {
				out.Bits[l.Name] = n
			}
		}
		if chips != nil {
			out.Pedestals = chips[i]
		}
		g.Panels = append(g.Panels, out)
	}
	return g
}

func (s *Summary) save(work string, mode fs.FileMode) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("reduce: could not encode the summary: %w", err)
	}
	return atomicfile.WriteFile(plan.SummaryFile(work), atomicfile.Options{Mode: mode}, append(b, '\n'))
}

// LoadSummary reads the summary of a work directory.
func LoadSummary(work string) (*Summary, error) {
	path := plan.SummaryFile(work)
	b, err := os.ReadFile(path)
	if err != nil {
		if _, lacking := plan.Load(work); lacking != nil { // it is no work directory, or cannot be read
			return nil, lacking
		}
		return nil, fault.New(fault.Incomplete, "no summary: %w", err).WithHint("make it with: rawstatus reduce --work %s", work)
	}
	var s Summary
	if err := json.Unmarshal(b, &s); err != nil || s.Schema != SummarySchema {
		return nil, fault.New(fault.Input, "summary %q has schema %d, this program reads %d (%v)", path, s.Schema, SummarySchema, err).
			WithHint("make it again with: rawstatus reduce --work %s", work)
	}
	return &s, nil
}

// WriteText writes the summary for people: events, limits, the bad-pixel table, files.
func (s *Summary) WriteText(w io.Writer, zone *time.Location) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s run %d of %s (%s), begin %s, profile %s, %s\n", s.Run.Experiment, s.Run.Number, s.Detector, s.Type,
		s.Run.Begin.In(zone).Format(time.RFC3339), s.Params.Profile, s.Params.CType)
	for _, l := range s.Incomplete {
		fmt.Fprintf(&b, "INCOMPLETE: %s\n", l)
	}
	for _, l := range s.Notes {
		fmt.Fprintf(&b, "note: %s\n", l)
	}
	for _, l := range s.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", l)
	}
	for i := range s.Groups {
		s.Groups[i].write(&b)
	}
	for _, path := range s.Products {
		fmt.Fprintf(&b, "put together: %s\n", path)
	}
	s.writeChanges(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeChanges writes the differences, panel by panel and in total.
func (s *Summary) writeChanges(b *strings.Builder) {
	if len(s.Changes) == 0 {
		return
	}
	var total status.Differences
	b.WriteString("\nagainst the rules before\n")
	for _, c := range s.Changes {
		total.Add(c.Diff)
		fmt.Fprintf(b, "%s: %v", strings.TrimSpace(fmt.Sprintf("segment %d %s", c.Segment, c.GainMode)), c.Diff)
	}
	fmt.Fprintf(b, "in total: %v", total)
}

func (g *Group) write(b *strings.Builder) {
	name := "all gain modes"
	if g.GainMode != "" {
		name = "gain mode " + g.GainMode
	}
	fmt.Fprintf(b, "\n%s, steps %s: %d of %s bad (%.4f %%)\n", name, strings.Trim(fmt.Sprint(g.Steps), "[]"), g.Bad, fault.Count(g.Pixels, "pixel"),
		100*float64(g.Bad)/float64(max(1, g.Pixels)))
	for _, n := range g.Notes {
		fmt.Fprintf(b, "note: %s\n", n)
	}
	fmt.Fprintf(b, "%8s  %-12s %10s %9s  %s\n", "bit", "name", "pixels", "percent", "rule")
	for _, l := range g.Bits {
		fmt.Fprintf(b, "%8d  %-12s %10d %9.4f  %s\n", l.Value, l.Name, l.Count, l.Percent, l.Rule)
	}
	for _, l := range g.Limits {
		where := "all panels"
		if len(l.Panels) == 1 && len(g.Panels) > 1 || l.Row+l.Col > 0 {
			where = fmt.Sprintf("segment %d", g.Panels[l.Panels[0]].Segment)
		}
		if l.Row+l.Col > 0 {
			where += fmt.Sprintf(" row %d column %d", l.Row, l.Col)
		}
		if l.Used == 0 {
			fmt.Fprintf(b, "limits of %s, %s: %.6g .. %.6g (no pixel could be judged)\n", l.Name, where, l.Lo, l.Hi)
			continue
		}
		fmt.Fprintf(b, "limits of %s, %s: %.6g .. %.6g (centre %.6g, spread %.6g, %s)\n", l.Name, where, l.Lo, l.Hi, l.Centre, l.Spread, fault.Count(l.Used, "value"))
	}
	for _, p := range g.Panels {
		good := ""
		if p.Good != p.Frames {
			good = fmt.Sprintf(", %d of them good", p.Good)
		}
		if p.Stuck > 0 {
			good += fmt.Sprintf(", %d stuck (equal to the one before)", p.Stuck)
		}
		fmt.Fprintf(b, "segment %2d: %d of %s used%s%s%s, %s\n", p.Segment, p.Frames, fault.Count(p.Expected, "event"), good, lostText(p.Lost), p.Gain, fault.Count(p.Bad, "bad pixel"))
		if p.File != "" {
			fmt.Fprintf(b, "  %s\n", p.File)
		}
		for _, path := range p.Constants {
			fmt.Fprintf(b, "  %s\n", path)
		}
	}
}

func lostText(lost map[string]int) string {
	if len(lost) == 0 {
		return ""
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(lost)) {
		parts = append(parts, fmt.Sprintf("%d %s", lost[reason], reason))
	}
	return ", lost: " + strings.Join(parts, ", ")
}

// statusFile names the status file of a unit; dirs are the repository's directories of the panels.
func statusFile(p *plan.Plan, unit int, dirs []string) repo.StatusFile {
	u := p.Units[unit]
	panel := p.Dataset.Panels[u.Panel]
	return repo.StatusFile{DetType: p.Dataset.Type, DetName: p.Dataset.Detector, Panel: dirs[u.Panel], Segment: panel.Segment, Sub: panel.Sub,
		Run: p.Dataset.Run, CType: p.Params.CType, GainMode: p.Groups[u.Group].GainMode, Slice: len(p.Params.Slice) > 0, Rows: panel.Rows, Cols: panel.Cols}
}

// dataOf returns what a sidecar says of the data of a unit.
func dataOf(p *plan.Plan, unit int) repo.Sidecar {
	u := p.Units[unit]
	sc := repo.Sidecar{Aliases: p.Dataset.Aliases, Profile: p.Params.Profile, Family: string(p.Params.Family()), PlanID: p.ID, Version: p.Software, Incomplete: p.Incomplete,
		Frames: repo.Frames{Events: u.Expected, Used: u.Selected - u.Lost[zeroState], Zeros: u.Lost[zeroState], Missing: u.Lost[frame.Missing.String()],
			Damaged: u.Expected - u.Selected - u.Lost[frame.Missing.String()], Steps: p.Groups[u.Group].Steps}}
	sc.GainMap = p.GainMap(unit)
	if u.Selected < u.Usable {
		sc.Part = append(sc.Part, fmt.Sprintf("%d of %d usable frames (--step, --skip, --events)", u.Selected, u.Usable))
	}
	if slices.ContainsFunc(p.Dataset.Panels, func(q frame.Panel) bool {
		return len(p.Params.Segments) > 0 && !slices.Contains(p.Params.Segments, q.Segment)
	}) {
		sc.Part = append(sc.Part, fmt.Sprintf("limits over segments %v of %s (--segment)", p.Params.Segments, fault.Count(len(p.Dataset.Panels), "panel")))
	}
	return sc
}

// mayReplace refuses to replace files in the repository before any is written.
func mayReplace(p *plan.Plan, r *repo.Repo, dirs []string, replace bool) error {
	if r == nil || replace {
		return nil
	}
	for u := range p.Units {
		if err := r.MayReplace(statusFile(p, u, dirs), dataOf(p, u)); err != nil {
			return fmt.Errorf("could not write the status of %s: %w", p.UnitName(u), err)
		}
	}
	return nil
}

// sidecar says what the status of the unit's panel (position i in v) means and where it comes from.
func sidecar(p *plan.Plan, unit, i int, v *judgement) repo.Sidecar {
	c, sc := v.panels[i].counts, dataOf(p, unit)
	sc.Notes, sc.Parameters = slices.Concat(p.Dataset.Notes, v.notes), parameters(p.Params)
	for _, l := range v.lines {
		sc.Bits = append(sc.Bits, repo.Bit{Value: l.Value, Name: l.Name, Rule: l.Rule, Pixels: c.Of(l.Value)})
	}
	for _, l := range v.limits {
		switch q, sum := l.Limit, l.Lo+l.Hi+l.Centre+l.Spread; {
		case !slices.Contains(l.Panels, i):
		case sum-sum == 0:
			sc.Limits = append(sc.Limits, q)
		default:
			sc.Notes = append(sc.Notes, fmt.Sprintf("limits of %s are not finite: %v .. %v, centre %v, spread %v, from %s", l.Name, q.Lo, q.Hi, q.Centre, q.Spread, fault.Count(l.Used, "value")))
		}
	}
	if l := v.panels[i].Level(); l != nil {
		sc.Level = &repo.Level{Mean: l.Mean, Spread: l.Spread}
	}
	for _, f := range p.Dataset.Files {
		sc.Inputs = append(sc.Inputs, repo.Input{Path: f.Path, Size: f.Size, MTime: f.ModTime.UTC().Format(time.RFC3339Nano)})
	}
	return sc
}

// parameters returns the parameters by the names that plan.json uses.
func parameters(par plan.Params) map[string]any {
	b, err := json.Marshal(par)
	if err != nil {
		panic("reduce: parameters do not encode: " + err.Error())
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		panic("reduce: parameters do not decode: " + err.Error())
	}
	return m
}
