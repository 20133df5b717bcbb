package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// RollbackPlan is a rollback that can be looked at before it is done.
type RollbackPlan struct {
	Place    string       `json:"place"`
	Undoes   calib.Record `json:"undoes"`
	Restores string       `json:"restores"` // id of a record, or what it is
	SHA256   string       `json:"sha256"`
	Shape    []int        `json:"shape"`
	Bad      int          `json:"bad_pixels"`
	Range    calib.Range  `json:"validity"`
	Effect   calib.Effect `json:"effect"`
	// Already is set when the last deployment is this rollback.
	Already bool `json:"already,omitempty"`
	content calib.Content
	record  calib.Record
}

// NewRollback plans to deploy an earlier content again, for the runs of the last deployment or those of
// only. to is the id of a record (or its beginning), "none" for an array that masks nothing, or empty for
// what was in force before the last deployment. Nothing is ever deleted.
func NewRollback(ctx context.Context, place calib.Place, to string, only *calib.Range) (*RollbackPlan, error) {
	records, err := place.Records(ctx)
	if err != nil {
		return nil, err
	}
	last, err := lastDeployed(records, only, place)
	if err != nil {
		return nil, err
	}
	p := &RollbackPlan{Place: place.String(), Undoes: last, Range: last.Range}
	items, _, err := place.Items(ctx)
	if err != nil {
		return nil, err
	}
	p.Effect = calib.EffectOf(items, place.Target(p.Range))
	if to == "" && last.Action == calib.ActionRollback {
		p.Already, p.Restores = true, last.Restores
		return p, nil
	}
	p.record = calib.Record{Action: calib.ActionRollback, Version: version.String(), Experiment: last.Experiment, Run: last.Run, RunTime: last.RunTime,
		Detector: last.Detector, CType: last.CType, Range: p.Range, Key: "rollback " + last.ID + " to " + to,
		Comment: "rollback of " + last.ID}
	if to == "none" {
		return p, p.toNone(last)
	}
	from, err := restored(records, last, to)
	if err != nil {
		return nil, err
	}
	return p, p.toRecord(ctx, place, from)
}

// lastDeployed gives the last completed deployment, for a range if one is given.
func lastDeployed(records []calib.Record, only *calib.Range, place calib.Place) (calib.Record, error) {
	for _, r := range slices.Backward(records) {
		if r.State == calib.Done && r.Action != calib.ActionFound && (only == nil || r.Range == *only) {
			return r, nil
		}
	}
	what := ""
	if only != nil {
		what = " for " + only.String()
	}
	return calib.Record{}, fault.New(fault.Input, "nothing was deployed%s to %s by this program", what, place).
		WithHint("mergedeploy history lists the deployments")
}

// restored gives the record whose content is wanted again.
func restored(records []calib.Record, last calib.Record, to string) (calib.Record, error) {
	var found []calib.Record
	for _, r := range records {
		switch {
		case r.State != calib.Done:
		case to != "" && strings.HasPrefix(r.ID, to):
			found = append(found, r)
		case to == "" && last.Previous != "" && r.Content == last.Previous && r.ID != last.ID:
			found = []calib.Record{r} // the youngest of equal content
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return calib.Record{}, fault.New(fault.Usage, "%q is the beginning of %d ids", to, len(found)).WithHint("give more of the id; mergedeploy history lists them")
	case to != "":
		return calib.Record{}, fault.New(fault.Usage, "there is no deployment %q", to).WithHint("mergedeploy history lists them")
	}
	return calib.Record{}, fault.New(fault.Refused, "nothing was in force for run %d before deployment %s", last.Run, last.ID).
		WithHint("--to none deploys an array that masks nothing, --to <id> any earlier deployment")
}

// toRecord takes the content of an earlier deployment.
func (p *RollbackPlan) toRecord(ctx context.Context, place calib.Place, from calib.Record) error {
	c, err := place.Content(ctx, from)
	if err != nil {
		return err
	}
	p.Restores, p.record.Restores, p.record.Inputs = from.ID, from.ID, from.Inputs
	p.record.Comment += " to " + from.ID
	p.take(c, from.Size)
	return nil
}

// toNone makes an array that masks nothing.
func (p *RollbackPlan) toNone(last calib.Record) error {
	n := 1
	for _, d := range last.Shape {
		n *= d
	}
	a := &calib.Array{Shape: last.Shape, Values: make([]uint64, n)}
	var b bytes.Buffer
	h := header(time.UTC)
	h.Shape, h.Comments = a.Shape, []string{"masks nothing: rollback of " + last.ID}
	if err := calibtxt.WriteArray(&b, h, a.Values); err != nil {
		return fmt.Errorf("could not make an array that masks nothing: %w", err)
	}
	sum := sha256.Sum256(b.Bytes())
	p.Restores, p.record.Restores = "none", "none"
	p.record.Comment += " to an array that masks nothing"
	p.take(calib.Content{Path: "none", SHA256: hex.EncodeToString(sum[:]), Array: a,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }}, int64(b.Len()))
	return nil
}

func (p *RollbackPlan) take(c calib.Content, size int64) {
	p.content, p.SHA256, p.Shape, p.Bad = c, c.SHA256, c.Array.Shape, status.Count(c.Array.Values).Bad
	p.record.Array, p.record.Shape, p.record.Bad, p.record.Size = calib.SumArray(c.Array), p.Shape, p.Bad, size
}

// Execute carries the rollback out.
func (p *RollbackPlan) Execute(ctx context.Context, place calib.Place, command []string) (calib.Record, error) {
	p.record.Command = command
	rec, _, err := place.Deploy(ctx, p.record, p.content)
	return rec, err
}

// Text prints the plan.
func (p *RollbackPlan) Text(w io.Writer) {
	if p.Already {
		fmt.Fprintf(w, "the last deployment, %s, is a rollback to %s already\n", p.Undoes.ID, p.Restores)
		return
	}
	fmt.Fprintf(w, "rollback in %s\n  undoes    %s of %s by %s, %d bad pixels\n  restores  %s, %d bad pixels\n  validity  %s\n",
		p.Place, p.Undoes.ID, p.Undoes.Time.Format(time.RFC3339), p.Undoes.Login, p.Undoes.Bad, p.Restores, p.Bad, p.Range)
	for _, l := range p.Effect.Lines() {
		fmt.Fprintf(w, "  %s\n", l)
	}
}

// Shown is what analysis uses for a run and where it comes from.
type Shown struct {
	Place   string        `json:"place"`
	Run     int           `json:"run"`
	Item    *calib.Item   `json:"item"` // nil: nothing
	Content string        `json:"sha256,omitempty"`
	Shape   []int         `json:"shape,omitempty"`
	Bad     int           `json:"bad_pixels"`
	Bits    []ShownBit    `json:"bits,omitempty"`
	Record  *calib.Record `json:"record,omitempty"` // nil: deployed by another program
	Origins []Origin      `json:"origins,omitempty"`
	Notes   []string      `json:"notes,omitempty"`
}

// ShownBit counts the pixels with a bit.
type ShownBit struct {
	Value  uint64 `json:"value"`
	Pixels int    `json:"pixels"`
}

// Origin is a status file behind a deployed array, with its sidecar as it is now.
type Origin struct {
	calib.Input
	Changed bool          `json:"changed,omitempty"` // the file is not the one that was deployed
	Gone    bool          `json:"gone,omitempty"`
	Sidecar *repo.Sidecar `json:"sidecar,omitempty"`
}

// Show resolves a run as analysis does and follows what it finds to its origins.
func Show(ctx context.Context, place calib.Place, run int) (*Shown, error) {
	items, notes, err := place.Items(ctx)
	if err != nil {
		return nil, err
	}
	s := &Shown{Place: place.String(), Run: run, Notes: notes}
	i := calib.Pick(items, run)
	if i < 0 {
		return s, nil
	}
	s.Item = &items[i]
	a, sum, err := place.Read(ctx, items[i])
	if err != nil {
		return nil, err
	}
	s.Content, s.Shape = sum, a.Shape
	counts := status.Count(a.Values)
	s.Bad = counts.Bad
	for bit, n := range counts.Bit {
		if n > 0 {
			s.Bits = append(s.Bits, ShownBit{1 << bit, n})
		}
	}
	records, err := place.Records(ctx)
	if err != nil {
		return nil, err
	}
	if s.Record = recordOf(records, items[i], sum); s.Record == nil {
		s.Notes = append(s.Notes, "the ledger does not know this content: it was deployed or changed by another program")
		return s, nil
	}
	for _, in := range s.Record.Inputs {
		s.Origins = append(s.Origins, originOf(in))
	}
	return s, nil
}

// recordOf finds the youngest record of an item with that content.
func recordOf(records []calib.Record, item calib.Item, content string) *calib.Record {
	for _, r := range slices.Backward(records) {
		if r.State == calib.Done && r.Content == content && r.Made(item.Name) {
			return &r
		}
	}
	return nil
}

func originOf(in calib.Input) Origin {
	o := Origin{Input: in}
	sum, err := calib.SumFile(in.Path)
	if err != nil {
		o.Gone = true
		return o
	}
	o.Changed = sum != in.SHA256
	if sc, err := repo.ReadSidecar(in.Path); err == nil && sc.StatusSHA256 == in.SHA256 {
		o.Sidecar = sc
	}
	return o
}

// Text prints what is used.
func (s *Shown) Text(w io.Writer) {
	fmt.Fprintf(w, "run %d in %s: ", s.Run, s.Place)
	if s.Item == nil {
		fmt.Fprintln(w, "nothing is deployed for it")
	} else {
		fmt.Fprintf(w, "%s, array %s, %d bad pixels\n  sha256 %s\n", s.Item.Name, calibtxt.Tuple(s.Shape, ""), s.Bad, s.Content)
		for _, b := range s.Bits {
			fmt.Fprintf(w, "  bit %5d: %d pixels\n", b.Value, b.Pixels)
		}
	}
	if r := s.Record; r != nil && r.Action == calib.ActionFound {
		fmt.Fprintf(w, "  %s, kept as %s\n", r.Comment, r.ID)
	} else if r != nil {
		fmt.Fprintf(w, "  %s %s by %s@%s at %s\n", r.Action, r.ID, r.Login, r.Host, r.Time.Format(time.RFC3339))
		printList(w, "  choice", r.Choices)
		printList(w, "  forced", r.Forced)
	}
	for _, o := range s.Origins {
		state := ""
		switch {
		case o.Gone:
			state = " (gone)"
		case o.Changed:
			state = " (changed since)"
		}
		fmt.Fprintf(w, "  from %s%s %s%s\n", o.CType, gainText(o.GainMode), o.Path, state)
		if o.Sidecar == nil {
			continue
		}
		fmt.Fprintf(w, "    profile %s, %s run %d, %d frames, plan %s\n", o.Sidecar.Profile, o.Sidecar.Experiment, o.Sidecar.Number, o.Sidecar.Frames.Used, o.Sidecar.PlanID)
		for _, l := range o.Sidecar.Limits {
			fmt.Fprintf(w, "    limits of %s: %g .. %g\n", l.Name, l.Lo, l.Hi)
		}
		for _, in := range o.Sidecar.Inputs {
			fmt.Fprintf(w, "    raw %s (%d bytes, %s)\n", in.Path, in.Size, in.MTime)
		}
	}
	printList(w, "note", s.Notes)
}

// Verified is the state of everything that is deployed in a place.
type Verified struct {
	Place    string      `json:"place"`
	Checked  int         `json:"checked"`
	Problems []string    `json:"problems"`
	Notes    []string    `json:"notes,omitempty"`
	Uses     []calib.Use `json:"uses"` // runs asked for
}

// Verify compares every deployed content with the ledger, opens every kept content, and resolves runs.
func Verify(ctx context.Context, place calib.Place, runs []calib.Range) (*Verified, error) {
	v := &Verified{Place: place.String(), Problems: []string{}, Uses: []calib.Use{}}
	items, notes, err := place.Items(ctx)
	if err != nil {
		return nil, err
	}
	v.Problems = append(v.Problems, notes...)
	records, err := place.Records(ctx)
	if err != nil {
		return nil, err
	}
	if rec, pending := calib.Pending(records); pending {
		v.Problems = append(v.Problems, fmt.Sprintf("deployment %s was interrupted; the next deployment, or gc, completes or undoes it", rec.ID))
	}
	for _, item := range items {
		v.Checked++
		_, sum, err := place.Read(ctx, item)
		if err != nil {
			v.Problems = append(v.Problems, fmt.Sprintf("%s cannot be read: %v", item.Name, err))
			continue
		}
		v.weigh(records, item, sum)
	}
	latest := map[string]string{} // by item
	for _, r := range records {
		if r.State == calib.Done && r.Action != calib.ActionFound {
			latest[r.Name] = r.ID
		}
	}
	for name, id := range latest {
		if !slices.ContainsFunc(items, func(x calib.Item) bool { return x.Name == name }) {
			v.Problems = append(v.Problems, fmt.Sprintf("%s of deployment %s is gone", name, id))
		}
	}
	for _, r := range records {
		if r.State != calib.Done {
			continue
		}
		if err := checkContent(ctx, place, r); err != nil {
			v.Problems = append(v.Problems, fmt.Sprintf("the content of deployment %s: %v", r.ID, err))
		}
	}
	for _, r := range runs {
		for run := r.Begin; run <= r.End; run++ {
			name := ""
			if i := calib.Pick(items, run); i >= 0 {
				name = items[i].Name
			}
			v.Uses = calib.Extend(v.Uses, run, name)
		}
	}
	return v, nil
}

// weigh compares an item with the last deployment of its range.
func (v *Verified) weigh(records []calib.Record, item calib.Item, sum string) {
	for _, r := range slices.Backward(records) {
		if r.State != calib.Done || !r.Made(item.Name) {
			continue
		}
		if r.Content != sum {
			v.Problems = append(v.Problems, fmt.Sprintf("%s was changed after deployment %s: SHA-256 is %s, deployed was %s", item.Name, r.ID, sum, r.Content))
		}
		return
	}
	v.Notes = append(v.Notes, item.Name+" was deployed by another program")
}

// checkContent reads a kept content to its end.
func checkContent(ctx context.Context, place calib.Place, rec calib.Record) error {
	c, err := place.Content(ctx, rec)
	if err != nil {
		return err
	}
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != rec.Content {
		return fault.New(fault.Input, "SHA-256 is %s, recorded is %s", sum, rec.Content)
	}
	return nil
}

// Text prints the state.
func (v *Verified) Text(w io.Writer) {
	for _, u := range v.Uses {
		name := u.Name
		if name == "" {
			name = "nothing"
		}
		fmt.Fprintf(w, "runs %s use %s\n", u.Runs.Runs(), name)
	}
	printList(w, "note", v.Notes)
	printList(w, "PROBLEM", v.Problems)
	fmt.Fprintf(w, "%s: %d constants, %d problems\n", v.Place, v.Checked, len(v.Problems))
}

// Difference is what changes from one status array to another.
type Difference struct {
	From      string       `json:"from"`
	To        string       `json:"to"`
	Shape     []int        `json:"shape"`
	NewlyBad  int          `json:"newly_bad"`
	NewlyGood int          `json:"newly_good"`
	OtherBits int          `json:"other_bits"` // bad in both, for other reasons
	Same      int          `json:"same"`
	Planes    []DiffPlane  `json:"planes,omitempty"` // planes that differ
	Pixels    []DiffPixels `json:"pixels,omitempty"`
}

// DiffPlane counts the changes in one plane (all indexes but the last two).
type DiffPlane struct {
	Index     []int `json:"index"`
	NewlyBad  int   `json:"newly_bad"`
	NewlyGood int   `json:"newly_good"`
	OtherBits int   `json:"other_bits"`
}

// DiffPixels is one pixel that differs.
type DiffPixels struct {
	Index []int  `json:"index"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
}

// Diff compares two arrays of one size; at most most pixels are listed one by one.
func Diff(from, to string, a, b *calib.Array, most int) (*Difference, error) {
	if len(a.Values) != len(b.Values) {
		return nil, fault.New(fault.Input, "%s is an array %v, %s is %v: their pixels cannot be compared", from, a.Shape, to, b.Shape)
	}
	d := &Difference{From: from, To: to, Shape: b.Shape}
	plane := len(b.Values)
	if n := len(b.Shape); n > 2 {
		plane = b.Shape[n-1] * b.Shape[n-2]
	}
	for base := 0; base < len(b.Values); base += plane {
		var p DiffPlane
		for i := base; i < base+plane; i++ {
			x, y := a.Values[i], b.Values[i]
			switch {
			case x == y:
				d.Same++
				continue
			case x == 0:
				p.NewlyBad++
			case y == 0:
				p.NewlyGood++
			default:
				p.OtherBits++
			}
			if len(d.Pixels) < most {
				d.Pixels = append(d.Pixels, DiffPixels{indexOf(i, b.Shape), x, y})
			}
		}
		d.NewlyBad, d.NewlyGood, d.OtherBits = d.NewlyBad+p.NewlyBad, d.NewlyGood+p.NewlyGood, d.OtherBits+p.OtherBits
		if p.NewlyBad+p.NewlyGood+p.OtherBits > 0 {
			p.Index = indexOf(base, b.Shape)[:max(0, len(b.Shape)-2)]
			d.Planes = append(d.Planes, p)
		}
	}
	return d, nil
}

// indexOf gives the indexes of an element.
func indexOf(i int, shape []int) []int {
	index := make([]int, len(shape))
	for k := len(shape) - 1; k >= 0; k-- {
		index[k] = i % shape[k]
		i /= shape[k]
	}
	return index
}

// Text prints the difference.
func (d *Difference) Text(w io.Writer) {
	fmt.Fprintf(w, "from %s\nto   %s\n", d.From, d.To)
	fmt.Fprintf(w, "newly bad %d, newly good %d, bad for other reasons %d, the same %d\n", d.NewlyBad, d.NewlyGood, d.OtherBits, d.Same)
	for _, p := range d.Planes {
		if len(p.Index) > 0 {
			fmt.Fprintf(w, "  %v: newly bad %d, newly good %d, other bits %d\n", p.Index, p.NewlyBad, p.NewlyGood, p.OtherBits)
		}
	}
	for _, p := range d.Pixels {
		fmt.Fprintf(w, "  pixel %v: %d -> %d\n", p.Index, p.From, p.To)
	}
}

// IsFile tells whether the name of an array is that of a file.
func IsFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// LoadArray reads an array that the user names: a file, "run=<n>" for what analysis uses for a run, or
// the id of a deployment.
func LoadArray(ctx context.Context, place calib.Place, name string) (*calib.Array, error) {
	if IsFile(name) {
		a, err := calibtxt.ReadStatusFile(name, nil)
		if err != nil {
			return nil, err
		}
		return &calib.Array{Shape: a.Shape, Values: a.Values}, nil
	}
	if place == nil {
		return nil, fault.New(fault.Usage, "%q is not a file", name).WithHint("to name a run or a deployment, say where: -e, -r, -d and -c")
	}
	var run int
	if n, err := fmt.Sscanf(name, "run=%d", &run); n == 1 && err == nil {
		items, _, err := place.Items(ctx)
		if err != nil {
			return nil, err
		}
		i := calib.Pick(items, run)
		if i < 0 {
			return nil, fault.New(fault.Input, "nothing is deployed for run %d in %s", run, place)
		}
		a, _, err := place.Read(ctx, items[i])
		return a, err
	}
	records, err := place.Records(ctx)
	if err != nil {
		return nil, err
	}
	rec, err := restored(records, calib.Record{}, name)
	if err != nil {
		return nil, err
	}
	c, err := place.Content(ctx, rec)
	return c.Array, err
}
