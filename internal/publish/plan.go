package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
)

// Plan is a deployment that can be looked at before it is done. Pixels count as analysis will mask them:
// gain modes combined, together with the pixel_status in force.
type Plan struct {
	Destination string       `json:"place"`
	Detector    string       `json:"detector"`
	Run         string       `json:"run"`
	CType       string       `json:"ctype"`
	Range       calib.Range  `json:"validity"`
	Target      string       `json:"target"` // name within the destination
	Effect      calib.Effect `json:"effect"`
	Source      string       `json:"source"`
	Array       string       `json:"array_sha256"`
	Shape       []int        `json:"shape"`
	ShapeFrom   string       `json:"shape_from"` // why it has this shape
	Bad         int          `json:"bad_pixels"`
	Pixels      int          `json:"pixels"`
	Against     int          `json:"compared_for_run"`
	Stretches   []Stretch    `json:"changes"` // what changes for which runs
	Tiles       []Tile       `json:"panels"`
	Findings    []Finding    `json:"findings"`
	Notes       []string     `json:"notes,omitempty"` // about the destination
	Choices     []string     `json:"choices,omitempty"`

	merged    *Merged
	run       int
	now       string // what the run uses now
	other     string // experiment of earlier deployments to the destination, if it is another one
	changes   []calib.Change
	standing  *Standing
	ours      *flags
	counted   int      // pixels of panels that are neither padding nor filled as the user said
	ambiguous []string // constants between which analysis cannot decide
}

// NewPlan plans to deploy what was merged, for the given runs, and judges it by the gate's rules. standing
// may be nil.
func NewPlan(ctx context.Context, dest calib.Destination, standing *Standing, m *Merged, ctype string, r calib.Range, g Gate) (*Plan, error) {
	items, notes, err := dest.Items(ctx)
	if err != nil {
		return nil, err
	}
	targets := dest.Target(r)
	changes, err := dest.Outlook(ctx, items, r)
	if err != nil {
		return nil, err
	}
	p := &Plan{Destination: dest.String(), Detector: m.Detector, CType: ctype, Range: r, Target: targets[0].Name, Effect: calib.EffectOf(items, r, targets...),
		changes: changes, standing: standing,
		Run:    fmt.Sprintf("%s run %d (%s)", m.Run.Experiment, m.Run.Number, m.Stamp),
		Source: m.Path, Shape: m.Shape, ShapeFrom: m.ShapeFrom, Choices: m.Choices, Notes: notes,
		merged: m, run: m.Run.Number}
	if i := calib.Pick(items, p.run); i >= 0 {
		p.now = items[i].Name
	}
	if p.other, err = ofAnother(dest, m.Run.Experiment); err != nil {
		return nil, err
	}
	p.Against = p.affected()
	p.ambiguous = ambiguous(append(slices.Clone(items), targets...))
	if m.array != nil {
		p.Array = calib.SumArray(m.array)
		p.ours = flagsOf(m.array, m.planes())
		p.count(standing.mask(ctx, standing.pixelStatus(p.Against), m.planes()))
	}
	p.compareStretches(ctx, dest, items)
	if standing != nil {
		p.Notes = append(p.Notes, standing.Notes...)
	}
	p.Findings = g.judge(p)
	return p, nil
}

// ofAnother returns the experiment of a deployment in the ledger that is of another one; empty: none is.
func ofAnother(dest calib.Destination, exp string) (string, error) {
	records, err := dest.Records()
	if err != nil {
		return "", err
	}
	for _, r := range slices.Backward(records) {
		if r.State == calib.Done && r.Undoes == "" && r.Experiment != exp && calib.Undone(records, r.ID) == nil {
			return r.Experiment, nil
		}
	}
	return "", nil
}

// NewPlanOfRun is NewPlan where nobody has said for which runs: for those from this one on, and for all while nothing is
// in force and a person looks at the plan. A command that is given again, also after a kill, means the deployment that
// it was and not a second one.
func NewPlanOfRun(ctx context.Context, dest calib.Destination, standing *Standing, m *Merged, ctype string, g Gate) (*Plan, error) {
	if m.Run.Number > calib.Last {
		return nil, fault.New(fault.Input, "run %d: runs above %d cannot be looked up by analysis", m.Run.Number, calib.Last).WithHint("say with -R for which runs the constants are")
	}
	items, _, err := dest.Items(ctx)
	if err != nil {
		return nil, err
	}
	runs := calib.Range{Begin: m.Run.Number, End: calib.Last}
	if len(items) == 0 && !g.Automatic {
		runs.Begin = 0
	}
	p, err := NewPlan(ctx, dest, standing, m, ctype, runs, g)
	if err != nil || g.Automatic {
		return p, err
	}
	records, err := dest.Records()
	if err != nil {
		return nil, err
	}
	if again, same := p.repeats(records); same && again != runs {
		return NewPlan(ctx, dest, standing, m, ctype, again, g)
	}
	return p, nil
}

// ambiguous lists pairs of constants of the same runs in a destination where nothing but the order of a listing
// decides between them.
func ambiguous(items []calib.Item) (pairs []string) {
	for i, a := range items {
		for _, b := range items[:i] {
			if a.Range == b.Range && a.Name != b.Name && a.Deployed == 0 && b.Deployed == 0 && !a.Fallback && !b.Fallback {
				pairs = append(pairs, b.Name+" and "+a.Name)
			}
		}
	}
	return pairs
}

// affected returns the run whose constants are compared: the run itself if it will use the new ones, else
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

// Refused lists the findings that stop the deployment.
func (p *Plan) Refused() []Finding {
	return slices.DeleteFunc(slices.Clone(p.Findings), func(f Finding) bool { return !f.Refuses || f.Forced })
}

// repeats returns the runs of the deployment on record that this one repeats: of the same content, and what the run
// uses now, or interrupted.
func (p *Plan) repeats(records []calib.Record) (calib.Range, bool) {
	for _, r := range slices.Backward(records) {
		ours := r.State == calib.Intent || r.State == calib.Done && calib.Undone(records, r.ID) == nil && slices.ContainsFunc(r.Steps, func(s calib.Step) bool { return s.Name == p.now })
		if ours && r.Undoes == "" {
			return r.Range, r.Key == p.key(r.Range)
		}
	}
	return calib.Range{}, false
}

// Key identifies the deployment within its destination: what, for which runs, made of which files, with which choices.
func (p *Plan) Key() string { return p.key(p.Range) }

func (p *Plan) key(runs calib.Range) string {
	var inputs []string
	for _, in := range p.merged.inputs() {
		inputs = append(inputs, in.CType+" "+in.Panel+" "+in.GainMode+" "+in.SHA256)
	}
	b, err := json.Marshal([]any{runs, p.CType, p.Array, inputs, p.Choices})
	if err != nil {
		panic("publish: a key does not encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Text prints the plan.
func (p *Plan) Text(w io.Writer) {
	fmt.Fprintf(w, "deployment of %s for %s from %s\n", p.CType, p.Detector, p.Run)
	fmt.Fprintf(w, "  source  %s\n  target  %s  %s\n", cmp.Or(p.Source, "none: the merge is not complete"), p.Destination, p.Target)
	for _, l := range p.Effect.Lines() {
		fmt.Fprintf(w, "  %s\n", l)
	}
	fmt.Fprintf(w, "  array   %s uint64, shape %s\n", calibtxt.Tuple(p.Shape, ""), p.ShapeFrom)
	if p.ours == nil {
		fmt.Fprintf(w, "  mask    not complete\n")
	} else {
		fmt.Fprintf(w, "  mask    %d of %s bad (%.3f %%) as analysis will combine it\n", p.Bad, fault.Count(p.Pixels, "pixel"), percent(p.Bad, p.Pixels))
	}
	for _, l := range p.lines() {
		fmt.Fprintf(w, "  %s\n", l)
	}
	for _, t := range p.Tiles {
		if len(p.Tiles) > 1 && (t.Bad > 0 || t.NewlyGood > 0) {
			fmt.Fprintf(w, "  segment %2d: %d bad (%.3f %%), newly bad %d, newly good %d\n", t.Slot, t.Bad, percent(t.Bad, t.Pixels), t.NewlyBad, t.NewlyGood)
		}
	}
	printList(w, "  note", p.Notes)
	for _, f := range p.Findings {
		fmt.Fprintf(w, "  %s\n", f)
	}
}
