package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/stats/status"
)

// Plan is a deployment that can be looked at before it is done.
type Plan struct {
	Place    string       `json:"place"`
	Detector string       `json:"detector"`
	Run      string       `json:"run"`
	CType    string       `json:"ctype"`
	Range    calib.Range  `json:"validity"`
	Target   string       `json:"target"` // name within the place
	Effect   calib.Effect `json:"effect"`
	Source   string       `json:"source"`
	Array    string       `json:"array_sha256"`
	Shape    []int        `json:"shape"`
	Bad      int          `json:"bad_pixels"`
	Pixels   int          `json:"pixels"`
	Against  int          `json:"compared_for_run"`
	Current  *Current     `json:"current,omitempty"` // what that run uses now; nil: nothing
	Impact   []Impact     `json:"impact"`            // on each stretch of runs that would use it
	Tiles    []Tile       `json:"planes"`
	Findings []Finding    `json:"findings"`
	Notes    []string     `json:"notes,omitempty"` // about the place
	Choices  []string     `json:"choices,omitempty"`
	merged   *Merged
	run      int
	changes  []calib.Change
}

// Current is what analysis uses now.
type Current struct {
	Name      string `json:"name"`
	Content   string `json:"sha256"`
	Shape     []int  `json:"shape"`
	Bad       int    `json:"bad_pixels"`
	NewlyBad  int    `json:"newly_bad"`
	NewlyGood int    `json:"newly_good"`
	Unequal   bool   `json:"other_size,omitempty"` // sizes differ: pixels cannot be compared
	Problem   string `json:"problem,omitempty"`    // it cannot be read
}

// Tile counts one panel in one gain mode.
type Tile struct {
	Slot      int    `json:"slot"`
	GainMode  string `json:"gain_mode,omitempty"`
	Pixels    int    `json:"pixels"`
	Bad       int    `json:"bad_pixels"`
	Unjudged  int    `json:"not_judged"`
	NewlyBad  int    `json:"newly_bad"`
	NewlyGood int    `json:"newly_good"`
	BadASICs  int    `json:"bad_asics,omitempty"` // readout chips with more than half of their pixels bad
	Chosen    bool   `json:"chosen,omitempty"`    // padding, or filled as the user said
}

// NewPlan plans to deploy what was merged, for the given runs, and weighs it by the gate's rules.
func NewPlan(ctx context.Context, place calib.Place, m *Merged, ctype string, r calib.Range, g Gate) (*Plan, error) {
	items, notes, err := place.Items(ctx)
	if err != nil {
		return nil, err
	}
	targets := place.Target(r)
	changes, err := place.Outlook(ctx, items, r)
	if err != nil {
		return nil, err
	}
	p := &Plan{Place: place.String(), Detector: m.Detector, CType: ctype, Range: r, Target: targets[0].Name, Effect: calib.EffectOf(items, r, targets...),
		changes: changes,
		Run:     fmt.Sprintf("%s run %d (%s)", m.Run.Experiment, m.Run.Number, m.Stamp),
		Source:  m.Path, Shape: m.Shape, Choices: m.Choices, Notes: notes,
		merged: m, run: m.Run.Number}
	if m.array != nil {
		p.Pixels = len(m.array.Values)
		p.Bad = status.Count(m.array.Values).Bad
		p.Array = calib.SumArray(m.array)
		p.Tiles = tiles(m)
	}
	p.Against = p.affected()
	if i := calib.Pick(items, p.Against); i >= 0 {
		p.compare(ctx, place, items[i])
	}
	if m.array != nil {
		p.Impact = p.impacts(ctx, place, items)
	}
	p.Findings = g.weigh(p)
	return p, nil
}

// affected gives the run whose constants are compared: the run itself if it will use the new ones, else
// the first that will.
func (p *Plan) affected() int {
	for _, r := range p.Effect.Used {
		if r.Has(p.run) {
			return p.run
		}
	}
	if len(p.Effect.Used) > 0 {
		return p.Effect.Used[0].Begin
	}
	return p.run
}

// compare counts what changes against the constant in force.
func (p *Plan) compare(ctx context.Context, place calib.Place, item calib.Item) {
	p.Current = &Current{Name: item.Name}
	old, sum, err := place.Read(ctx, item)
	if err != nil {
		// A constant that cannot be read must not stop the one that replaces it.
		p.Current.Problem = err.Error()
		return
	}
	p.Current.Content, p.Current.Shape, p.Current.Bad = sum, old.Shape, status.Count(old.Values).Bad
	if p.merged.array == nil {
		return
	}
	now := p.merged.array.Values
	if len(old.Values) != len(now) {
		p.Current.Unequal = true
		return
	}
	l, gains := p.merged.layout(), p.merged.gains()
	for i := range p.Tiles {
		t := &p.Tiles[i]
		base, step := l.at(slices.Index(gains, t.GainMode), i%l.count)
		for j := range t.Pixels {
			if was, is := old.Values[base+j*step] != 0, now[base+j*step] != 0; is && !was {
				t.NewlyBad++
			} else if was && !is {
				t.NewlyGood++
			}
		}
		p.Current.NewlyBad += t.NewlyBad
		p.Current.NewlyGood += t.NewlyGood
	}
}

// tiles counts the planes of the stacked array, in its order.
func tiles(m *Merged) []Tile {
	l := m.layout()
	chosen, real := map[[2]string]bool{}, map[int]bool{}
	for _, p := range m.Planes {
		real[p.Slot] = true
		if p.Filled != "" {
			chosen[[2]string{fmt.Sprint(p.Slot), p.GainMode}] = true
		}
	}
	var out []Tile
	for g, gain := range m.gains() {
		for i := range l.count {
			slot := i
			if !m.stacked() {
				slot = m.Panels[0].Slot // the only panel
			}
			t := Tile{Slot: slot, GainMode: gain, Pixels: l.pixels, Chosen: !real[slot] || chosen[[2]string{fmt.Sprint(slot), gain}]}
			base, step := l.at(g, i)
			word := func(i int) uint64 { return m.array.Values[base+i*step] }
			for i := range l.pixels {
				if word(i) != 0 {
					t.Bad++
				}
				if word(i)&status.NotJudged != 0 {
					t.Unjudged++
				}
			}
			t.BadASICs = badASICs(word, m.Panels[0].Rows, m.Panels[0].Cols, m.family)
			out = append(out, t)
		}
	}
	return out
}

// badASICs counts the readout chips of which more than half is bad.
func badASICs(word func(i int) uint64, rows, cols int, f detector.Family) int {
	if f.ASICRows == 0 || f.ASICCols == 0 {
		return 0
	}
	across := (cols + f.ASICCols - 1) / f.ASICCols
	down := (rows + f.ASICRows - 1) / f.ASICRows
	bad := make([]int, across*down)
	for i := range rows * cols {
		if word(i) != 0 {
			bad[i/cols/f.ASICRows*across+i%cols/f.ASICCols]++
		}
	}
	n := 0
	for _, b := range bad {
		if 2*b > f.ASICRows*f.ASICCols {
			n++
		}
	}
	return n
}

// Refused lists the findings that stop the deployment.
func (p *Plan) Refused() []Finding {
	return slices.DeleteFunc(slices.Clone(p.Findings), func(f Finding) bool { return !f.Refuses || f.Forced })
}

// Key identifies the deployment within its place: what, for which runs, made of which files, with which choices.
func (p *Plan) Key() string {
	var inputs []string
	for _, in := range p.merged.inputs() {
		inputs = append(inputs, in.CType+" "+in.Panel+" "+in.GainMode+" "+in.SHA256)
	}
	b, err := json.Marshal([]any{p.Range, p.CType, p.Array, inputs, p.Choices})
	if err != nil {
		panic("publish: a key does not encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Text prints the plan.
func (p *Plan) Text(w io.Writer) {
	fmt.Fprintf(w, "deployment of %s for %s from %s\n", p.CType, p.Detector, p.Run)
	fmt.Fprintf(w, "  source  %s\n  target  %s  %s\n", p.Source, p.Place, p.Target)
	for _, l := range p.Effect.Lines() {
		fmt.Fprintf(w, "  %s\n", l)
	}
	if p.merged.array == nil {
		fmt.Fprintf(w, "  array   %s uint64, not complete\n", calibtxt.Tuple(p.Shape, ""))
	} else {
		fmt.Fprintf(w, "  array   %s uint64, %d of %d pixels bad (%.3f %%)\n", calibtxt.Tuple(p.Shape, ""), p.Bad, p.Pixels, percent(p.Bad, p.Pixels))
	}
	switch c := p.Current; {
	case c == nil:
		fmt.Fprintf(w, "  in force for run %d: nothing\n", p.Against)
	case c.Problem != "":
		fmt.Fprintf(w, "  in force for run %d: %s, which cannot be read: %s\n", p.Against, c.Name, c.Problem)
	case c.Unequal:
		fmt.Fprintf(w, "  in force for run %d: %s, an array of another size %s\n", p.Against, c.Name, calibtxt.Tuple(c.Shape, ""))
	default:
		fmt.Fprintf(w, "  in force for run %d: %s with %d bad pixels; newly bad %d, newly good %d\n", p.Against, c.Name, c.Bad, c.NewlyBad, c.NewlyGood)
	}
	for _, i := range p.Impact {
		fmt.Fprintf(w, "  %s\n", i)
	}
	for _, t := range p.Tiles {
		if len(p.Tiles) > 1 && (t.Bad > 0 || t.NewlyGood > 0) {
			fmt.Fprintf(w, "  segment %2d%s: %d bad (%.3f %%), newly bad %d, newly good %d\n", t.Slot, gainText(t.GainMode), t.Bad, percent(t.Bad, t.Pixels),
				t.NewlyBad, t.NewlyGood)
		}
	}
	printList(w, "  note", p.Notes)
	for _, f := range p.Findings {
		fmt.Fprintf(w, "  %s\n", f)
	}
}
