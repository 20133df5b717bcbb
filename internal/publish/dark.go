package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// DarkUnit holds the constants of a dark run for one panel in one gain mode.
type DarkUnit struct {
	Panel    int // position among the panels of the run
	GainMode string
	Frames   uint64 // 0: nothing is known
	Ave, Rms []float32
	Status   []uint16
	Min, Max []uint16
}

// DarkRun holds the counts of a dark run for one detector, and where they come from.
type DarkRun struct {
	Run          frame.Run
	Detector     string
	Type         string
	Panels       []frame.Panel
	Units        []DarkUnit
	KnownMissing []string // ids or directories of panels that may be without data
	Incomplete   []string
	Notes        []string
	Source       string // file that leads back to the counts
	PlanID       string
}

// Subject returns the detector of the run as the deployment knows it.
func (d *DarkRun) Subject(r *repo.Repo) (*Subject, error) {
	s := &Subject{Detector: d.Detector, Type: d.Type, Run: d.Run, At: d.Run.Begin, Stamp: r.Stamp(d.Run.Begin), Origin: "the plan of the dark run"}
	s.setPanels(d.Panels)
	s.family, _ = detector.Lookup(d.Type)
	// RunTime of records is in the zone of the site.
	s.Run.Begin = s.Run.Begin.In(r.Loc)
	return s, s.slots()
}

// DarkPlan is a deployment of a set of types of constants of one dark run, which can be looked at before it is done.
type DarkPlan struct {
	Detector  string      `json:"detector"`
	Run       string      `json:"run"`
	Range     calib.Range `json:"validity"`
	Shape     []int       `json:"shape"`
	ShapeFrom string      `json:"shape_from"`
	Parts     []DarkPart  `json:"types"`
	Shifts    []Shift     `json:"pedestal_shifts,omitempty"` // of chips, against what is in force; the largest first
	Bad       int         `json:"bad_pixels"`                // with any bit in any gain mode that analysis combines
	Pixels    int         `json:"pixels"`
	Findings  []Finding   `json:"findings"`
	Notes     []string    `json:"notes,omitempty"`
	// Unseen: the destination did not answer. What is in force is not known, and nothing is compared with it.
	Unseen bool `json:"unseen,omitempty"`
	// Set is the entry in the ledger of sets when it was done; Unchanged reports that all of it was in force already.
	Set       string `json:"set,omitempty"`
	Unchanged bool   `json:"unchanged,omitempty"`

	set     *calib.Set
	dark    *DarkRun
	merged  *Merged // shape and layout
	bySlot  map[int]map[string]*DarkUnit
	missing []string
	choices []string
}

// DarkPart is one type of the set.
type DarkPart struct {
	CType       repo.Product `json:"ctype"`
	Destination string       `json:"place"`
	Target      string       `json:"target"`
	Effect      calib.Effect `json:"effect"`
	DType       string       `json:"dtype"`
	Array       string       `json:"array_sha256"`
	// Deployed is the record when it was done; Unchanged reports that it was in force already.
	Deployed  *calib.Record `json:"deployed,omitempty"`
	Unchanged bool          `json:"unchanged,omitempty"`

	dest    calib.Destination
	array   *calib.Array
	sum     string // of its bytes
	changes []calib.Change
	header  calibtxt.Header
	raw     bool
}

// DarkOptions say what is deployed where.
type DarkOptions struct {
	Products     []repo.Product
	Destination  func(ctype string) (calib.Destination, error)
	Range        calib.Range
	Standing     *Standing
	Gate         Gate
	MissingGain  map[string]string // by gain mode, "" for the others: bad
	MissingPanel string            // bad: NO_DATA
	Raw          bool              // the destinations keep bytes and no text
	Unseen       bool              // the destinations do not answer: what is in force is not known
}

// NewDarkPlan plans to deploy types of constants of a dark run, and judges them by the gate's rules together: what is
// wrong with one of them refuses all.
func NewDarkPlan(ctx context.Context, s *Subject, d *DarkRun, loc *time.Location, opt DarkOptions) (*DarkPlan, error) {
	p := &DarkPlan{Detector: d.Detector, Run: fmt.Sprintf("%s run %d (%s)", d.Run.Experiment, d.Run.Number, s.Stamp), Range: opt.Range, Unseen: opt.Unseen,
		dark: d, merged: &Merged{Subject: *s}, bySlot: map[int]map[string]*DarkUnit{}}
	rows, cols := d.Panels[0].Rows, d.Panels[0].Cols
	for _, q := range d.Panels {
		if q.Rows != rows || q.Cols != cols {
			return nil, fault.New(fault.Input, "the panels of %s differ in size: they make no array", d.Detector)
		}
	}
	p.merged.fit(rows, cols, opt.Standing)
	if p.Shape, p.ShapeFrom = p.merged.Shape, p.merged.ShapeFrom; p.Unseen {
		p.ShapeFrom = "of the detector type"
	}
	for i := range d.Units {
		u := &d.Units[i]
		slot := p.slotOf(d.Panels[u.Panel])
		if p.bySlot[slot] == nil {
			p.bySlot[slot] = map[string]*DarkUnit{}
		}
		if u.Frames > 0 {
			p.bySlot[slot][u.GainMode] = u
		}
	}
	if n := p.merged.planes(); n > len(p.merged.gains()) {
		return nil, fault.New(fault.Refused, "the constants of %s have %d gain planes, and the gain modes of its data are not told apart: it is not known which planes this run has measured", d.Type, n).
			WithHint("pedestals of this type are deployed by the detector's own software; deploy its bad pixels with mergedeploy without --dark")
	}
	if err := p.settle(opt); err != nil {
		return nil, err
	}
	if err := p.add(ctx, loc, opt); err != nil {
		return nil, err
	}
	p.set = SetOf(p.Parts[0].dest, opt.Destination)
	p.count()
	if err := p.compareShifts(ctx, opt); err != nil {
		return nil, err
	}
	p.judge(opt.Gate)
	return p, nil
}

func (p *DarkPlan) slotOf(q frame.Panel) int {
	i := slices.IndexFunc(p.merged.Panels, func(x Slot) bool { return x.Segment == q.Segment && x.Sub == q.Sub })
	return p.merged.Panels[i].Slot
}

// settle lists which panels and gain modes nothing is known of, and takes those as NO_DATA that the user, the site or
// the way analysis works lets be.
func (p *DarkPlan) settle(opt DarkOptions) error {
	l := p.merged.layout()
	highest := p.merged.Panels[len(p.merged.Panels)-1].Slot
	for slot := range l.count {
		if !p.merged.stacked() {
			slot = highest
		}
		at := slices.IndexFunc(p.merged.Panels, func(x Slot) bool { return x.Slot == slot })
		if len(p.bySlot[slot]) == 0 {
			known := at >= 0 && (slices.Contains(p.dark.KnownMissing, p.merged.Panels[at].ID) || slices.Contains(p.dark.KnownMissing, p.merged.Panels[at].Dir))
			name := fmt.Sprintf("segment %d", slot)
			switch {
			case known:
				p.Notes = append(p.Notes, name+" is known to be missing: NO_DATA")
			case slot > highest && slot < p.merged.padded():
				p.Notes = append(p.Notes, name+" pads the array to the size that analysis knows: NO_DATA")
			case opt.MissingPanel == "bad":
				p.choices = append(p.choices, name+" has no data: taken as bad (--missing-panel)")
			case opt.MissingPanel != "":
				return fault.New(fault.Usage, "--missing-panel=%s: a panel without data has no pedestals that are good", opt.MissingPanel).WithHint("bad fills it with NO_DATA")
			default:
				p.missing = append(p.missing, name+" has no data")
			}
			continue
		}
		for gain, mode := range p.merged.gains() {
			if p.bySlot[slot][mode] != nil {
				continue
			}
			name := fmt.Sprintf("segment %d gain mode %s", slot, mode)
			choice, own := opt.MissingGain[mode]
			if !own {
				choice = opt.MissingGain[""]
			}
			switch {
			case gain >= usedPlanes && choice == "":
				p.Notes = append(p.Notes, name+" is not measured, and not used by analysis unless asked for: NO_DATA")
			case choice == "bad":
				p.choices = append(p.choices, name+" has no data: taken as bad (--missing-gain)")
			case choice != "":
				return fault.New(fault.Usage, "--missing-gain=%s: a gain mode without data has no pedestals that are good", choice).WithHint("bad fills it with NO_DATA")
			default:
				p.missing = append(p.missing, name+" has no data")
			}
		}
	}
	p.Notes = append(append(p.Notes, p.dark.Notes...), p.choices...)
	return nil
}

// add makes the parts, several at a time.
func (p *DarkPlan) add(ctx context.Context, loc *time.Location, opt DarkOptions) error {
	p.Parts = make([]DarkPart, len(opt.Products))
	notes := make([][]string, len(opt.Products))
	g, ctx := fault.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range opt.Products {
		g.Go(func() (err error) {
			p.Parts[i], notes[i], err = p.part(ctx, name, loc, opt)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	p.Notes = append(p.Notes, slices.Concat(notes...)...)
	return nil
}

// part makes the array of a type and looks at its destination.
func (p *DarkPlan) part(ctx context.Context, name repo.Product, loc *time.Location, opt DarkOptions) (part DarkPart, notes []string, err error) {
	dest, err := opt.Destination(string(name))
	if err != nil {
		return part, nil, err
	}
	targets := dest.Target(opt.Range)
	var changes []calib.Change
	var effect calib.Effect
	if !opt.Unseen {
		items, more, err := dest.Items(ctx)
		if err != nil {
			return part, nil, err
		}
		if changes, err = dest.Outlook(ctx, items, opt.Range); err != nil {
			return part, nil, err
		}
		notes, effect = more, calib.EffectOf(items, opt.Range, targets...)
	}
	part = DarkPart{CType: name, Destination: dest.String(), Target: targets[0].Name, Effect: effect, DType: name.DType(),
		dest: dest, changes: changes, array: p.stack(name), header: header(loc), raw: opt.Raw}
	part.sum = part.array.RawSum()
	part.Array = calib.SumShaped(part.array, part.sum)
	part.header.Shape = part.array.Shape
	part.header.FileName = part.Target
	return part, notes, nil
}

// stack puts the values of a type together. Where nothing is known numbers are 0 and the status is NO_DATA.
func (p *DarkPlan) stack(name repo.Product) *calib.Array {
	a := &calib.Array{Shape: p.Shape}
	switch name {
	case repo.Pedestals:
		a.Numbers = pieces(p, func(u *DarkUnit) []float32 { return u.Ave }, 0)
	case repo.PixelRMS:
		a.Numbers = pieces(p, func(u *DarkUnit) []float32 { return u.Rms }, 0)
	case repo.PixelMin:
		a.Short = pieces(p, func(u *DarkUnit) []uint16 { return u.Min }, 0)
	case repo.PixelMax:
		a.Short = pieces(p, func(u *DarkUnit) []uint16 { return u.Max }, 0)
	default:
		a.Short = pieces(p, func(u *DarkUnit) []uint16 { return u.Status }, uint16(status.NoData))
	}
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	if a.Len() != n {
		panic(fmt.Sprintf("publish: %d values of %s for an array of shape %v", a.Len(), name, p.Shape))
	}
	return a
}

// pieces returns the values of all panels in all gain modes in the order of the array: those of the units themselves, where their
// pixels are next to each other there.
func pieces[T float32 | uint16](p *DarkPlan, of func(*DarkUnit) []T, unknown T) [][]T {
	l, gains := p.merged.layout(), p.merged.gains()
	highest := p.merged.Panels[len(p.merged.Panels)-1].Slot
	none := slices.Repeat([]T{unknown}, l.pixels)
	var list [][]T
	var mixed []T
	for gain, mode := range gains {
		for slot := range l.count {
			at := slot
			if !p.merged.stacked() {
				at = highest
			}
			values := none
			if u := p.bySlot[at][mode]; u != nil {
				values = of(u)
			}
			base, step := l.at(gain, slot)
			if step == 1 {
				list = append(list, values)
				continue
			}
			if mixed == nil {
				mixed = make([]T, len(gains)*l.count*l.pixels)
				list = append(list, mixed)
			}
			for i, v := range values {
				mixed[base+i*step] = v
			}
		}
	}
	return list
}

// count counts pixels as analysis combines them.
func (p *DarkPlan) count() {
	for slot := range p.merged.layout().count {
		if !p.merged.stacked() {
			slot = p.merged.Panels[len(p.merged.Panels)-1].Slot
		}
		combined := make([]uint16, p.merged.layout().pixels)
		for gain, mode := range p.merged.gains() {
			if gain >= usedPlanes {
				break
			}
			u := p.bySlot[slot][mode]
			if u == nil {
				for i := range combined {
					combined[i] |= uint16(status.NoData)
				}
				continue
			}
			for i, w := range u.Status {
				combined[i] |= w
			}
		}
		p.Pixels, p.Bad = p.Pixels+len(combined), p.Bad+nonZero(combined)
	}
}

// nonZero counts words that are not 0.
func nonZero(words []uint16) (n int) {
	for _, w := range words {
		if w != 0 {
			n++
		}
	}
	return n
}

// Refused lists the findings that stop the deployment.
func (p *DarkPlan) Refused() []Finding { return (&Plan{Findings: p.Findings}).Refused() }

// Allowed returns the refusal of the gate as an error, or nil.
func (p *DarkPlan) Allowed() error { return (&Plan{Findings: p.Findings}).Allowed() }

// Text prints the plan.
func (p *DarkPlan) Text(w io.Writer) {
	fmt.Fprintf(w, "deployment of the constants of dark run %s for %s\n  source  %s\n  runs    %s\n", p.Run, p.Detector, p.dark.Source, p.Range)
	for i := range p.Parts {
		q := &p.Parts[i]
		fmt.Fprintf(w, "  %-13s %s %s -> %s  %s\n", q.CType, calibtxt.Tuple(p.Shape, ""), q.DType, q.Destination, q.Target)
		if p.Unseen {
			fmt.Fprintln(w, "                what runs use now is not known")
			continue
		}
		for _, l := range q.Effect.Lines() {
			fmt.Fprintf(w, "                %s\n", l)
		}
	}
	fmt.Fprintf(w, "  shape %s\n  status %d of %s bad (%.3f %%) as analysis combines it\n", p.ShapeFrom, p.Bad, fault.Count(p.Pixels, "pixel"), percent(p.Bad, p.Pixels))
	for i, s := range p.Shifts {
		if i == shownShifts || i > 0 && s.Sigmas() < 1 {
			break
		}
		fmt.Fprintf(w, "  pedestals against those in force, largest shift %d: %s\n", i+1, s)
	}
	printList(w, "  note", p.Notes)
	for _, f := range p.Findings {
		fmt.Fprintf(w, "  %s\n", f)
	}
}

// key identifies the deployment of a part within its destination.
func (p *DarkPlan) key(part *DarkPart) string {
	b, err := json.Marshal([]any{p.Range, part.CType, part.Array, p.dark.PlanID, p.choices})
	if err != nil {
		panic("publish: a key does not encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// write writes the array of a part as the text that stands in a calibration directory.
func (q *DarkPart) write(w io.Writer) error {
	if _, err := w.Write(q.header.Text(q.DType)); err != nil {
		return err
	}
	cols := q.array.Shape[len(q.array.Shape)-1]
	for _, numbers := range q.array.Numbers {
		if err := writeRows(w, numbers, cols, calibtxt.AppendFixedRows); err != nil {
			return err
		}
	}
	for _, words := range q.array.Short {
		if err := writeRows(w, words, cols, func(b []byte, a []uint16, cols int) []byte { return calibtxt.AppendIntRows(b, a, cols, 0) }); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes rows of cols values.
func writeRows[T any](w io.Writer, values []T, cols int, appendRows func(b []byte, a []T, cols int) []byte) error {
	var b []byte
	for row := range slices.Chunk(values, cols) {
		b = appendRows(b[:0], row, cols)
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// content returns the array as it is deployed: its bytes, or the text.
func (q *DarkPart) content(source string) (calib.Content, int64, error) {
	if q.raw {
		return calib.RawContent(source, q.array, q.sum), q.array.Size(), nil
	}
	h := sha256.New()
	var n counter
	if err := q.write(io.MultiWriter(h, &n)); err != nil {
		return calib.Content{}, 0, err
	}
	open := func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		fault.Start(func() error { return q.write(w) }, func(err error) { w.CloseWithError(err) })
		return r, nil
	}
	return calib.Content{Path: source, SHA256: hex.EncodeToString(h.Sum(nil)), Open: open, Array: q.array}, int64(n), nil
}

// Remember calls a function for the store of each part.
func (p *DarkPlan) Remember(f func(calib.Store) error) error {
	for i := range p.Parts {
		if err := f(p.Parts[i].dest.Store); err != nil {
			return err
		}
	}
	return nil
}

// setWait is how long a set waits for another one of the same detector.
const setWait = time.Minute

// SetOf returns the sets of the detector of a destination.
func SetOf(dest calib.Destination, open func(ctype string) (calib.Destination, error)) *calib.Set {
	set := &calib.Set{Ledger: dest.Sets, Wait: setWait, Open: open}
	if _, ws := dest.Store.(*calibws.Store); ws {
		set.Share = func(ctx context.Context, first calib.Destination) error {
			return first.Store.(*calibws.Store).Name(ctx)
		}
	}
	return set
}

// Execute deploys all types of the set, or none: when one fails, those before it are taken back. With dry nothing is
// written.
func (p *DarkPlan) Execute(ctx context.Context, command []string, comment string, dry bool) error {
	if err := p.Allowed(); err != nil {
		return err
	}
	parts := make([]calib.Deployment, len(p.Parts))
	for i := range p.Parts {
		q := &p.Parts[i]
		parts[i] = calib.Deployment{Destination: q.dest, Record: p.record(q, command, comment), Content: func() (calib.Content, int64, error) { return q.content(p.dark.Source) }}
	}
	if dry {
		return p.dryRun(ctx, parts)
	}
	set := p.entry(command, comment)
	var err error
	set, p.Unchanged, err = p.set.Deploy(ctx, set, parts)
	if err != nil {
		return err
	}
	if p.Set = set.ID; p.Unchanged {
		p.Set = parts[0].Record.Set
	}
	for i := range p.Parts {
		p.Parts[i].Deployed, p.Parts[i].Unchanged = &parts[i].Record, parts[i].Unchanged
	}
	return nil
}

// dryRun deploys the parts to destinations that keep nothing.
func (p *DarkPlan) dryRun(ctx context.Context, parts []calib.Deployment) error {
	for i, d := range parts {
		content, size, err := d.Content()
		if err == nil {
			d.Record.Size = size
			d.Record, d.Unchanged, err = d.Destination.DryRun().Deploy(ctx, d.Record, content)
		}
		if err != nil {
			return fmt.Errorf("could not deploy %s: %w", d.Record.CType, err)
		}
		p.Parts[i].Deployed, p.Parts[i].Unchanged = &d.Record, d.Unchanged
	}
	return nil
}

// entry returns the record of the set.
func (p *DarkPlan) entry(command []string, comment string) calib.Record {
	rec := calib.Record{Action: calib.ActionDeploy, Command: command, Version: version.String(), Comment: comment, Experiment: p.dark.Run.Experiment,
		Run: p.dark.Run.Number, RunTime: p.merged.Run.Begin, Detector: p.Detector, Range: p.Range, Source: p.dark.Source, Shape: p.Shape, Bad: p.Bad, Choices: p.choices}
	for _, f := range p.Findings {
		if f.Forced {
			rec.Forced = append(rec.Forced, f.Rule)
		}
	}
	return rec
}

// record returns the record of a part.
func (p *DarkPlan) record(q *DarkPart, command []string, comment string) calib.Record {
	rec := p.entry(command, comment)
	rec.CType, rec.Array, rec.Key, rec.Seen, rec.Bad = string(q.CType), q.Array, p.key(q), q.changes, 0
	rec.Inputs = []calib.Input{{Path: p.dark.Source, CType: string(q.CType), PlanID: p.dark.PlanID, Version: version.String()}}
	if q.CType == repo.PixelStatus {
		for _, words := range q.array.Short {
			rec.Bad += nonZero(words)
		}
	}
	return rec
}
