package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/combine"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// MergeOptions say what is merged and how.
type MergeOptions struct {
	CType    string   // of the deployed array; status_extra
	Only     []string // constants types; empty: all status_*
	Exclude  []string
	Bits     map[string]uint64 // these bits only, by bit family, for families not named under the empty name; nil: all
	And      bool              // a bit must be in all types instead of one
	Runs     []open.Range      // not nil: every run of these votes, by type
	Fraction float64
	AtLeast  int
	// Tree, if any, is the panel repository of the detector's dark jobs: its status is merged as well.
	Tree     *repo.Repo
	Standing *Standing // what is in force beside it: the array gets its shape; nil: nothing
	// LookOnly: nothing will be deployed, so a repository that cannot be written to is good enough.
	LookOnly bool
	// MissingGain says what an absent gain mode of a panel is, by mode, for the others under the empty
	// name; MissingPanel what an absent panel is: "good", "bad", for gains also "copy:<mode>". What is not
	// said stops the deployment.
	MissingGain  map[string]string
	MissingPanel string
	// Progress, if any, is told of each plane that has been merged, from many goroutines.
	Progress func(planes int64)
}

// Merged is the outcome of a merge.
type Merged struct {
	Subject
	Planes []Plane  `json:"planes"`
	Table  []BitRow `json:"bits"`
	Shape  []int    `json:"shape"`
	// ShapeFrom says why it is this one; Misfit why the array cannot have the shape of what is in force.
	ShapeFrom string   `json:"shape_from"`
	Misfit    string   `json:"misfit,omitempty"`
	Path      string   `json:"file,omitempty"`    // the detector's array; empty when planes are missing
	Missing   []string `json:"missing,omitempty"` // planes that nothing is known of
	Choices   []string `json:"choices,omitempty"` // what the user said about them
	voted     bool     // several runs have voted
	array     *calib.Array
	written   *written        // the array's file; nil where it is not written here
	header    calibtxt.Header // of the array's file
}

// Plane is one panel in one gain mode.
type Plane struct {
	Panel    string   `json:"panel"`
	Slot     int      `json:"slot"`
	GainMode string   `json:"gain_mode,omitempty"`
	Sources  []Source `json:"sources"`
	Notes    []string `json:"notes,omitempty"`
	Bad      int      `json:"bad_pixels"`
	Pixels   int      `json:"pixels"`
	Filled   string   `json:"filled,omitempty"` // how, when there is no source
	File     string   `json:"file,omitempty"`   // status_merged
	twin     bool     // filled as a mode of the same amplifier, since analysis does not use it by default
	header   calibtxt.Header
	merged   *status.Sparse // nil: nothing is known
	table    []combine.Row
	types    []string // columns of table
}

// Source is one status file that went in.
type Source struct {
	CType   string `json:"ctype"`
	Path    string `json:"path"`
	Reason  string `json:"reason"`
	SHA256  string `json:"sha256"`
	Family  string `json:"bit_family"`
	Profile string `json:"profile,omitempty"` // empty: written by another program
	PlanID  string `json:"plan_id,omitempty"`
	Version string `json:"version,omitempty"`
	Bad     int    `json:"bad_pixels"`
	Partial string `json:"incomplete,omitempty"`

	Experiment string     `json:"experiment,omitempty"` // of the run that it was made from
	Run        int        `json:"run"`
	Begin      time.Time  `json:"begin"`          // of that run
	Mask       *repo.Mask `json:"mask,omitempty"` // of a mask made by a person

	byPerson bool   // a mask, also without a sidecar: it only adds bad pixels
	detector string // whose part the panel was
	rules    string // parameters of the rules, as text to compare
	gainMap  []string
	noData   []bool // with a gain map: the pixels that have NO_DATA
	values   []uint64
	shape    []int
}

// column names the source in the table of bits: masks each have a column.
func (s *Source) column() string {
	if s.Mask != nil {
		return s.CType + " " + s.Mask.Short()
	}
	return s.CType
}

// BitRow says how many pixels have a bit, by constants type, over all panels and gain modes.
type BitRow struct {
	Value  uint64            `json:"value"`
	Names  map[string]string `json:"names"`  // by bit family
	Counts map[string]int    `json:"pixels"` // by constants type
	Alone  map[string]int    `json:"alone"`  // of these, pixels that no other type calls so
	Merged int               `json:"merged"`
}

// PlaneCount is the number of planes that Merge makes: panels times gain modes.
func (s *Subject) PlaneCount() int { return len(s.Panels) * len(s.gains()) }

// Merge merges the status files of the subject per panel and gain mode, writes status_merged, stacks the
// planes and writes the detector's array.
func Merge(ctx context.Context, r *repo.Repo, s *Subject, opt MergeOptions) (*Merged, error) {
	m := &Merged{Subject: *s, voted: opt.Runs != nil}
	m.Run.Begin = m.Run.Begin.In(r.Loc)
	for _, p := range s.Panels {
		for _, g := range s.gains() {
			m.Planes = append(m.Planes, Plane{Panel: p.Dir, Slot: p.Slot, GainMode: g})
		}
	}
	if err := m.checkTypes(r, opt); err != nil {
		return nil, err
	}
	group, groupCtx := fault.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range m.Planes {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			err := m.mergePlane(r, &m.Planes[i], opt)
			if opt.Progress != nil {
				opt.Progress(1)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := m.checkShapes(r, opt); err != nil {
		return nil, err
	}
	if err := m.checkTree(opt.Tree); err != nil {
		return nil, err
	}
	if err := m.checkFamilies(opt); err != nil {
		return nil, err
	}
	m.tabulate()
	if err := m.writePlanes(ctx, r, opt); err != nil {
		return nil, err
	}
	if err := m.stack(opt); err != nil || len(m.Missing) > 0 {
		return m, err
	}
	return m, m.writeStack(r, opt)
}

// mergePlane chooses, reads and merges the files of one plane.
func (m *Merged) mergePlane(r *repo.Repo, p *Plane, opt MergeOptions) error {
	types, err := m.types(r, p, opt)
	if err != nil {
		return err
	}
	var sources []combine.Source
	for _, t := range types {
		ctype := t.ctype
		if slices.Contains(opt.Exclude, ctype) || len(opt.Only) > 0 && !slices.Contains(opt.Only, ctype) {
			p.Notes = append(p.Notes, ctype+": left out on request")
			continue
		}
		read, err := m.readType(t.repo, p, ctype, opt)
		if err != nil {
			return err
		}
		if len(read) == 0 {
			continue
		}
		voted, err := p.vote(read, opt)
		if err != nil {
			return err
		}
		sources = append(sources, voted...)
		for _, s := range read {
			s.keepNoData()
			s.values = nil
			p.Sources = append(p.Sources, s)
		}
	}
	if p.onlyCharge() {
		sources, p.Sources = nil, nil
		p.Notes = append(p.Notes, repo.TypeCharge+": not enough alone: it tests AHL and AML only")
	}
	if len(sources) == 0 {
		last, err := m.readDefault(r, p, opt)
		if err != nil || last == nil {
			return err
		}
		sources = append(sources, combine.Source{Name: last.CType, Status: last.values, Bits: opt.selected(last.Family)})
		last.values = nil
		p.Sources = append(p.Sources, *last)
	}
	rule := combine.Rule{Unjudged: status.NotJudged, Sticky: status.EvalError}
	if opt.And {
		rule.Fraction = 1
	}
	res, err := combine.Merge(sources, rule)
	if err != nil {
		return fault.New(fault.Input, "panel %s: %w", p.Panel, err)
	}
	merged := status.SparseOf(res.Status)
	p.merged, p.table = &merged, res.Table
	for _, s := range sources {
		p.types = append(p.types, s.Name)
	}
	p.Bad, p.Pixels = merged.Count().Bad, merged.Pixels
	return nil
}

// onlyCharge reports whether nothing but charge injection was found for a gain mode that it does not test.
func (p *Plane) onlyCharge() bool {
	tested := p.GainMode == "" || strings.HasPrefix(p.GainMode, "AHL") || strings.HasPrefix(p.GainMode, "AML")
	return !tested && len(p.Sources) > 0 && !slices.ContainsFunc(p.Sources, func(s Source) bool { return s.CType != repo.TypeCharge })
}

// selected gives the bits of a family that are merged.
func (o MergeOptions) selected(family string) uint64 {
	if o.Bits == nil {
		return combine.AllBits
	}
	if mask, known := o.Bits[family]; known {
		return mask
	}
	return o.Bits[""]
}

// vote makes the sources of one type: what the rules have found, or what the voting runs agree on, and
// each mask for itself.
func (p *Plane) vote(read []Source, opt MergeOptions) ([]combine.Source, error) {
	var sources, voters []combine.Source
	for _, s := range read {
		c := combine.Source{Name: s.column(), Status: s.values, Bits: opt.selected(s.Family), Mask: s.byPerson}
		if c.Mask && s.Mask != nil && c.Bits&status.User == 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("--bits leaves mask %s out: it does not name USER", s.Mask.Short()))
		}
		if c.Mask || opt.Runs == nil {
			sources = append(sources, c)
			continue
		}
		c.Bits = combine.AllBits // selected after the vote
		voters = append(voters, c)
	}
	if len(voters) == 0 {
		return sources, nil
	}
	if len(voters) < opt.AtLeast {
		return nil, fault.New(fault.Refused, "--at-least %d: panel %s%s has %s of only %d of the voting runs", opt.AtLeast, p.Panel, gainText(p.GainMode), read[0].CType, len(voters)).
			WithHint("name more runs with --runs, or ask for fewer votes")
	}
	res, err := combine.Merge(voters, combine.Rule{Fraction: opt.Fraction, AtLeast: opt.AtLeast, Unjudged: status.NotJudged})
	if err != nil {
		return nil, fault.New(fault.Usage, "%w", err)
	}
	first := read[slices.IndexFunc(read, func(s Source) bool { return !s.byPerson })]
	return append(sources, combine.Source{Name: first.CType, Status: res.Status, Bits: opt.selected(first.Family)}), nil
}

// checkShapes wants one shape of all files of the detector, and fills it in.
func (m *Merged) checkShapes(r *repo.Repo, opt MergeOptions) error {
	var shape []int
	var first string
	for i := range m.Planes {
		for _, s := range m.Planes[i].Sources {
			if shape == nil {
				shape, first = s.shape, s.Path
			}
			if !slices.Equal(s.shape, shape) {
				return fault.New(fault.Input, "%q is an array %v, %q is %v", s.Path, s.shape, first, shape)
			}
		}
	}
	if shape == nil {
		return fault.New(fault.Input, "no panel of %s has a status file for %s: %s", m.Detector, m.Stamp, m.whatIsThere(r, opt)).
			WithHint("check -t, -o, --only, --exclude and --dark-tree")
	}
	if f := m.family; f.Rows > 0 && (shape[0] != f.Rows || shape[1] != f.Cols) {
		return fault.New(fault.Input, "%q is an array %v, a panel of %s is %dx%d", first, shape, m.Type, f.Rows, f.Cols)
	}
	for i := range m.Panels {
		m.Panels[i].Rows, m.Panels[i].Cols = shape[0], shape[1]
	}
	m.fit(shape[0], shape[1], opt.Standing)
	return nil
}

// checkFamilies says when numbers of different meaning come together. A word then still says that a pixel
// is bad; which bit means what is in the table of sources.
func (m *Merged) checkFamilies(opt MergeOptions) error {
	files := map[string]int{}
	foreign := 0
	for i := range m.Planes {
		for _, s := range m.Planes[i].Sources {
			if s.byPerson {
				continue
			}
			files[s.Family]++
			if s.Profile == "" && s.Family == repo.FamilyFeatures {
				foreign++
			}
		}
	}
	if foreign > 0 {
		m.Notes = append(m.Notes, count(foreign, "file")+" without sidecar: the bits are taken as those of det_pixel_status")
	}
	if len(files) < 2 {
		return nil
	}
	var lines []string
	for family, n := range files {
		lines = append(lines, fmt.Sprintf("%s (%s)", family, count(n, "file")))
	}
	slices.Sort(lines)
	what := strings.Join(lines, ", ")
	if opt.And {
		return fault.New(fault.Usage, "--and compares bits of different meaning: %s", what).WithHint("merge types of one kind only, with --only or --exclude")
	}
	m.Notes = append(m.Notes, "bits below 1024 are of several families, "+what+": the table of bits says which type a bit comes from")
	return nil
}

// tabulate adds up the per-bit source tables of all planes.
func (m *Merged) tabulate() {
	rows := map[uint64]*BitRow{}
	for i := range m.Planes {
		p := &m.Planes[i]
		for _, t := range p.table {
			row := rows[t.Value]
			if row == nil {
				row = &BitRow{Value: t.Value, Names: map[string]string{}, Counts: map[string]int{}, Alone: map[string]int{}}
				rows[t.Value] = row
			}
			row.Merged += t.Merged
			for j, ctype := range p.types {
				if t.Counts[j] == 0 {
					continue
				}
				row.Counts[ctype] += t.Counts[j]
				row.Alone[ctype] += t.Alone[j]
				for _, s := range p.Sources {
					if s.column() == ctype {
						row.Names[s.Family] = status.Names(status.Family(s.Family), t.Value)
					}
				}
			}
		}
		p.table, p.types = nil, nil
	}
	for _, row := range rows {
		m.Table = append(m.Table, *row)
	}
	slices.SortFunc(m.Table, func(a, b BitRow) int {
		if a.Value < b.Value {
			return -1
		}
		return 1
	})
}

// header is that of the files written here.
func header(loc *time.Location) calibtxt.Header {
	return calibtxt.Header{Host: access.Host(), WorkDir: workDir(), UID: access.Login(), Time: time.Now().In(loc)}
}

// writePlanes writes status_merged of every plane that has sources.
func (m *Merged) writePlanes(ctx context.Context, r *repo.Repo, opt MergeOptions) error {
	group, ctx := fault.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range m.Planes {
		p := &m.Planes[i]
		if p.merged == nil {
			continue
		}
		group.Go(func() error {
			j := slices.IndexFunc(m.Panels, func(q Panel) bool { return q.Dir == p.Panel })
			panel := m.Panels[j]
			sf := repo.StatusFile{DetType: m.Type, DetName: m.Detector, Panel: p.Panel, Segment: panel.Segment, Sub: panel.Sub,
				Run:   frame.Run{Experiment: m.Run.Experiment, Number: m.Run.Number, Begin: m.At},
				CType: "status_merged", GainMode: p.GainMode, Rows: panel.Rows, Cols: panel.Cols}
			p.header = header(r.Loc)
			err := r.WriteMerged(ctx, sf, p.merged.Dense(), m.sidecar(p), &p.header)
			if opt.tolerates(err) {
				p.Notes = append(p.Notes, "status_merged is not written: "+err.Error())
				return nil
			}
			p.File = p.header.FileName
			return err
		})
	}
	return group.Wait()
}

// sidecar says what a merged plane is made of.
func (m *Merged) sidecar(p *Plane) repo.Sidecar {
	sc := repo.Sidecar{Profile: "merged", Version: version.String(), Notes: p.Notes}
	families := map[string]bool{}
	for _, s := range p.Sources {
		families[s.Family] = true
		sc.GainMap = append(sc.GainMap, s.gainMap...)
		sc.Inputs = append(sc.Inputs, repo.Input{Path: s.Path, SHA256: s.SHA256})
		if s.Partial != "" {
			sc.Incomplete = append(sc.Incomplete, s.CType+": "+s.Partial)
		}
	}
	slices.Sort(sc.GainMap)
	sc.GainMap = slices.Compact(sc.GainMap)
	sc.Family = strings.ReplaceAll(list(families), ", ", "+")
	counts := p.merged.Count()
	for _, b := range status.Table {
		if n := counts.Of(b.Value); n > 0 && (b.Family == "" || families[string(b.Family)]) {
			sc.Bits = append(sc.Bits, repo.Bit{Value: b.Value, Name: b.Name, Rule: b.Rule, Pixels: n})
		}
	}
	return sc
}

// tolerates tells whether an error only says that the repository may not be written to, and that this is
// good enough for looking at a plan.
func (o MergeOptions) tolerates(err error) bool {
	return o.LookOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS))
}

// inputs lists the status files that went in, each once.
func (m *Merged) inputs() []calib.Input {
	var inputs []calib.Input
	for i := range m.Planes {
		p := &m.Planes[i]
		for _, s := range p.Sources {
			inputs = append(inputs, calib.Input{Path: s.Path, SHA256: s.SHA256, CType: s.CType, Panel: p.Panel, GainMode: p.GainMode,
				PlanID: s.PlanID, Version: s.Version})
		}
	}
	return inputs
}

func workDir() string {
	cwd, err := os.Getwd()
	if err != nil {
		return "unknown"
	}
	return cwd
}

// Text prints what was merged: which file of which type was taken for each plane and why, and the bits.
func (m *Merged) Text(w io.Writer) {
	fmt.Fprintf(w, "merge %s (%s) of %s run %d for %s, panels known from %s\n", m.Detector, m.Type, m.Run.Experiment, m.Run.Number, m.Stamp, m.Origin)
	for i := range m.Planes {
		p := &m.Planes[i]
		fmt.Fprintf(w, "  segment %d%s  panel %s: ", p.Slot, gainText(p.GainMode), p.Panel)
		switch {
		case len(p.Sources) > 0:
			fmt.Fprintf(w, "%d of %s bad\n", p.Bad, fault.Count(p.Pixels, "pixel"))
		case p.Filled != "":
			fmt.Fprintf(w, "no status file, taken as %s\n", p.Filled)
		default:
			fmt.Fprintf(w, "NO STATUS FILE\n")
		}
		for _, s := range p.Sources {
			fmt.Fprintf(w, "    %-14s %6d bad  %s  (%s)\n", s.CType, s.Bad, s.Path, s.Reason)
		}
		for _, n := range p.Notes {
			fmt.Fprintf(w, "    note: %s\n", n)
		}
	}
	if len(m.Table) > 0 {
		fmt.Fprintf(w, "bits, in pixels (alone: no other type has it)\n  %8s %10s  %s\n", "value", "merged", "from")
	}
	for _, row := range m.Table {
		var parts []string
		for ctype, n := range row.Counts {
			parts = append(parts, fmt.Sprintf("%s %d (alone %d)", ctype, n, row.Alone[ctype]))
		}
		slices.Sort(parts)
		var names []string
		for family, name := range row.Names {
			names = append(names, name+" ("+family+")")
		}
		slices.Sort(names)
		fmt.Fprintf(w, "  %8d %10d  %s: %s\n", row.Value, row.Merged, strings.Join(names, " or "), strings.Join(parts, ", "))
	}
	printList(w, "missing", m.Missing)
	printList(w, "choice", m.Choices)
	printList(w, "note", m.Notes)
	if m.Path != "" {
		fmt.Fprintf(w, "merged array %s: %s\n", calibtxt.Tuple(m.Shape, ""), m.Path)
	}
}
