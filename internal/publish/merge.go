package publish

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibtxt"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
	"rawstatus/internal/stats/combine"
	"rawstatus/internal/stats/status"
)

// MergeOptions say what is merged and how.
type MergeOptions struct {
	CType    string   // of the deployed array; status_extra
	Only     []string // constants types; empty: all status_*
	Exclude  []string
	Bits     map[string]uint64 // these bits only, by bit family, for families not named under the empty name; nil: all
	And      bool              // a bit must be in all types instead of one
	Runs     ranges.List       // not nil: every run of these votes, by type
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
	ShapeFrom string         `json:"shape_from"`
	Misfit    string         `json:"misfit,omitempty"`
	Path      string         `json:"file,omitempty"`    // the detector's array; empty when planes are missing
	Missing   []string       `json:"missing,omitempty"` // planes that nothing is known of
	Choices   []string       `json:"choices,omitempty"` // what the user said about them
	voted     bool           // several runs have voted
	stacks    []stackedPlane // of the array, until it is complete
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
	values   status.Sparse
	shape    []int
}

// column names the source in the table of bits: masks each have a column.
func (s *Source) column() string {
	if s.Mask != nil {
		return s.CType + " " + s.Mask.Short()
	}
	return s.CType
}

// PlaneCount returns the number of planes that Merge makes: panels times gain modes.
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
			s.values = status.Sparse{}
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
		last.values = status.Sparse{}
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
	p.merged, p.table = &res.Status, res.Table
	for _, s := range sources {
		p.types = append(p.types, s.Name)
	}
	p.Bad, p.Pixels = len(p.merged.At), p.merged.Pixels
	return nil
}

// onlyCharge reports whether nothing but charge injection was found for a gain mode that it does not test.
func (p *Plane) onlyCharge() bool {
	tested := p.GainMode == "" || strings.HasPrefix(p.GainMode, "AHL") || strings.HasPrefix(p.GainMode, "AML")
	return !tested && len(p.Sources) > 0 && !slices.ContainsFunc(p.Sources, func(s Source) bool { return s.CType != repo.TypeCharge })
}

// selected returns the bits of a family that are merged.
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
