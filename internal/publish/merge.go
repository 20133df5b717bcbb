package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
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
	CType     string   // of the deployed array; status_extra
	Only      []string // constants types; empty: all status_*
	Exclude   []string
	Bits      map[string]uint64 // these bits only, by bit family, for families not named under the empty name; nil: all
	And       bool              // a bit must be in all types instead of one
	Runs      []open.Range      // not nil: every run of these votes, by type
	Fraction  float64
	AtLeast   int
	MixedBits bool
	// Tree, if any, is the panel repository of the detector's dark jobs: its status is merged as well.
	Tree *repo.Repo
	// LookOnly: nothing will be deployed, so a repository that cannot be written to is good enough.
	LookOnly bool
	// MissingGain says what an absent gain mode of a panel is, by mode, for the others under the empty
	// name; MissingPanel what an absent panel is: "good", "bad", for gains also "copy:<mode>". What is not
	// said stops the deployment.
	MissingGain  map[string]string
	MissingPanel string
}

// Merged is the outcome of a merge.
type Merged struct {
	Subject
	Planes  []Plane  `json:"planes"`
	Table   []BitRow `json:"bits"`
	Shape   []int    `json:"shape"`
	Path    string   `json:"file,omitempty"`    // the detector's array; empty when planes are missing
	Missing []string `json:"missing,omitempty"` // planes that nothing is known of
	Choices []string `json:"choices,omitempty"` // what the user said about them
	array   *calib.Array
	header  calibtxt.Header // of the array's file
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
	header   calibtxt.Header
	values   []uint64
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
	values  []uint64
	shape   []int
}

// BitRow says how many pixels have a bit, by constants type, over all panels and gain modes.
type BitRow struct {
	Value  uint64            `json:"value"`
	Names  map[string]string `json:"names"`  // by bit family
	Counts map[string]int    `json:"pixels"` // by constants type
	Alone  map[string]int    `json:"alone"`  // of these, pixels that no other type calls so
	Merged int               `json:"merged"`
}

// Merge merges the status files of the subject per panel and gain mode, writes status_merged, stacks the
// planes and writes the detector's array.
func Merge(ctx context.Context, r *repo.Repo, s *Subject, opt MergeOptions) (*Merged, error) {
	m := &Merged{Subject: *s}
	m.Run.Begin = m.Run.Begin.In(r.Loc)
	for _, p := range s.Panels {
		for _, g := range s.gains() {
			m.Planes = append(m.Planes, Plane{Panel: p.Dir, Slot: p.Slot, GainMode: g})
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range m.Planes {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			return m.mergePlane(r, &m.Planes[i], opt)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := m.checkShapes(); err != nil {
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
		values, err := vote(read, opt)
		if err != nil {
			return err
		}
		sources = append(sources, combine.Source{Name: ctype, Status: values, Bits: opt.selected(read[0].Family)})
		for _, s := range read {
			s.values = nil
			p.Sources = append(p.Sources, s)
		}
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
	rule := combine.Rule{Unjudged: status.NotJudged}
	if opt.And {
		rule.Fraction = 1
	}
	res, err := combine.Merge(sources, rule)
	if err != nil {
		return fault.New(fault.Input, "panel %s: %w", p.Panel, err)
	}
	p.values, p.table = res.Status, res.Table
	for _, s := range sources {
		p.types = append(p.types, s.Name)
	}
	p.Bad, p.Pixels = status.Count(res.Status).Bad, len(res.Status)
	return nil
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

// from is a constants type of a panel in one of the repositories.
type from struct {
	repo  *repo.Repo
	ctype string
}

// types lists what there is to merge for a panel.
func (m *Merged) types(r *repo.Repo, p *Plane, opt MergeOptions) ([]from, error) {
	var list []from
	for _, r := range []*repo.Repo{r, opt.Tree} {
		if r == nil {
			continue
		}
		types, err := r.StatusTypes(m.Type, p.Panel)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			list = append(list, from{r, t})
		}
	}
	return list, nil
}

// readType reads the file, or with voting runs the files, of one constants type.
func (m *Merged) readType(r *repo.Repo, p *Plane, ctype string, opt MergeOptions) ([]Source, error) {
	files, foreign, err := r.Files(m.Type, p.Panel, ctype)
	if err != nil {
		return nil, err
	}
	if len(foreign) > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %d files of other names passed over (%s, ...)", ctype, len(foreign), foreign[0]))
	}
	chosen := m.choose(files, p.GainMode, opt)
	if len(chosen) == 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: no file for this time and gain mode among %d", ctype, len(files)))
		return nil, nil
	}
	var read []Source
	for _, f := range chosen {
		file, err := r.ReadStatus(f.Path, m.wantedShape(p))
		if err != nil {
			return nil, err
		}
		s := Source{CType: ctype, Path: f.Path, SHA256: file.SHA256, Family: repo.FamilyFeatures, values: file.Values, shape: file.Shape,
			Bad: status.Count(file.Values).Bad, Reason: m.reason(f, p.GainMode, len(files), opt)}
		if r.IsTree() {
			s.Family = repo.FamilyDark
		}
		if sc := file.Sidecar; sc != nil {
			s.Family, s.Profile, s.PlanID, s.Version = sc.Family, sc.Profile, sc.PlanID, sc.Version
			s.Partial = strings.Join(sc.Incomplete, "; ")
		}
		if len(s.shape) != 2 {
			return nil, fault.New(fault.Input, "%q has %d dimensions, the status of a panel has two", f.Path, len(s.shape))
		}
		read = append(read, s)
	}
	return read, nil
}

// readDefault reads the constant of last resort of the detector type, or nothing.
func (m *Merged) readDefault(r *repo.Repo, p *Plane, opt MergeOptions) (*Source, error) {
	path := r.DefaultPath(m.Type, opt.CType)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	file, err := r.ReadStatus(path, m.wantedShape(p))
	if err != nil {
		return nil, err
	}
	return &Source{CType: "default", Path: path, SHA256: file.SHA256, Family: repo.FamilyFeatures, values: file.Values, shape: file.Shape,
		Bad: status.Count(file.Values).Bad, Reason: "no other file: the default of the detector type"}, nil
}

// wantedShape is the shape that a file of a plane must have, nil when it is not known.
func (m *Merged) wantedShape(p *Plane) []int {
	i := slices.IndexFunc(m.Panels, func(q Panel) bool { return q.Dir == p.Panel })
	if m.Panels[i].Rows == 0 {
		return nil
	}
	return []int{m.Panels[i].Rows, m.Panels[i].Cols}
}

// choose picks the file for the time-stamp, or one file of each voting run.
func (m *Merged) choose(files []repo.Found, gain string, opt MergeOptions) []repo.Found {
	if opt.Runs == nil {
		if f, ok := repo.Choose(files, m.Stamp, gain); ok {
			return []repo.Found{f}
		}
		return nil
	}
	byRun := map[int][]repo.Found{}
	var runs []int
	for _, f := range files {
		in := slices.ContainsFunc(opt.Runs, func(r open.Range) bool { return r.First <= f.Run && f.Run <= r.Last })
		if !in || f.Experiment != m.Run.Experiment {
			continue
		}
		if byRun[f.Run] == nil {
			runs = append(runs, f.Run)
		}
		byRun[f.Run] = append(byRun[f.Run], f)
	}
	slices.Sort(runs)
	var chosen []repo.Found
	for _, run := range runs {
		if f, ok := repo.Choose(byRun[run], "99999999999999", gain); ok {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// reason says why a file was taken.
func (m *Merged) reason(f repo.Found, gain string, of int, opt MergeOptions) string {
	why := fmt.Sprintf("youngest of %d not after %s", of, m.Stamp)
	switch {
	case opt.Runs != nil:
		why = fmt.Sprintf("run %d votes", f.Run)
	case f.Stamp == m.Stamp && f.Experiment == m.Run.Experiment && f.Run == m.Run.Number:
		why = "of this run"
	case f.Experiment != m.Run.Experiment || f.Run != m.Run.Number:
		why += fmt.Sprintf(" (%s run %d)", f.Experiment, f.Run)
	}
	if gain != "" && f.GainMode == "" {
		why += ", holds for all gain modes"
	}
	return why
}

// vote merges the files of one type: one is taken as it is, several are counted.
func vote(read []Source, opt MergeOptions) ([]uint64, error) {
	if opt.Runs == nil {
		return read[0].values, nil
	}
	sources := make([]combine.Source, len(read))
	for i, s := range read {
		sources[i] = combine.Source{Name: filepath.Base(s.Path), Status: s.values, Bits: combine.AllBits}
	}
	res, err := combine.Merge(sources, combine.Rule{Fraction: opt.Fraction, AtLeast: min(opt.AtLeast, len(read)), Unjudged: status.NotJudged})
	if err != nil {
		return nil, fault.New(fault.Usage, "%w", err)
	}
	return res.Status, nil
}

// checkShapes wants one shape of all files of the detector, and fills it in.
func (m *Merged) checkShapes() error {
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
		return fault.New(fault.Input, "no panel of %s has a status file for %s", m.Detector, m.Stamp).
			WithHint("the repository holds older or other constants only: check -t, -o, --only and --exclude")
	}
	if f := m.family; f.Rows > 0 && (shape[0] != f.Rows || shape[1] != f.Cols) {
		return fault.New(fault.Input, "%q is an array %v, a panel of %s is %dx%d", first, shape, m.Type, f.Rows, f.Cols)
	}
	for i := range m.Panels {
		m.Panels[i].Rows, m.Panels[i].Cols = shape[0], shape[1]
	}
	m.Shape = m.shape(shape[0], shape[1])
	return nil
}

// checkFamilies refuses to mix numbers that mean different things unless asked to.
func (m *Merged) checkFamilies(opt MergeOptions) error {
	example := map[string]string{}
	foreign := 0
	for i := range m.Planes {
		for _, s := range m.Planes[i].Sources {
			example[s.Family] = s.Path
			if s.Profile == "" && s.Family == repo.FamilyFeatures {
				foreign++
			}
		}
	}
	if foreign > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d files have no sidecar: their bits are taken as those of det_pixel_status", foreign))
	}
	if len(example) < 2 {
		return nil
	}
	var lines []string
	for family, path := range example {
		lines = append(lines, family+" in "+path)
	}
	slices.Sort(lines)
	if !opt.MixedBits {
		return fault.New(fault.Refused, "bits below 1024 mean different things: %s", strings.Join(lines, "; ")).
			WithHint("leave a type out with --exclude, or merge all the same with --mixed-bits: then a word says that a pixel is bad, but its bits have no single meaning")
	}
	m.Notes = append(m.Notes, "bits below 1024 are of mixed meaning (--mixed-bits): "+strings.Join(lines, "; "))
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
					if s.CType == ctype {
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
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range m.Planes {
		p := &m.Planes[i]
		if p.values == nil {
			continue
		}
		group.Go(func() error {
			j := slices.IndexFunc(m.Panels, func(q Panel) bool { return q.Dir == p.Panel })
			panel := m.Panels[j]
			begin, err := r.ParseStamp(m.Stamp)
			if err != nil {
				return err
			}
			sf := repo.StatusFile{DetType: m.Type, DetName: m.Detector, Panel: p.Panel, Segment: panel.Segment, Sub: panel.Sub,
				Run:   frame.Run{Experiment: m.Run.Experiment, Number: m.Run.Number, Begin: begin},
				CType: "status_merged", GainMode: p.GainMode, Rows: panel.Rows, Cols: panel.Cols}
			p.header = header(r.Loc)
			err = r.WriteMerged(ctx, sf, p.values, m.sidecar(p), &p.header)
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
		sc.Inputs = append(sc.Inputs, repo.Input{Path: s.Path, SHA256: s.SHA256})
		if s.Partial != "" {
			sc.Incomplete = append(sc.Incomplete, s.CType+": "+s.Partial)
		}
	}
	sc.Family = strings.ReplaceAll(list(families), ", ", "+")
	counts := status.Count(p.values)
	for _, b := range status.Table {
		if n := counts.Of(b.Value); n > 0 && (b.Family == "" || families[string(b.Family)]) {
			sc.Bits = append(sc.Bits, repo.Bit{Value: b.Value, Name: b.Name, Rule: b.Rule, Pixels: n})
		}
	}
	return sc
}

// stack puts the planes together; what is missing is filled as the user says, or listed.
func (m *Merged) stack(opt MergeOptions) error {
	n, l := 1, m.layout()
	for _, d := range m.Shape {
		n *= d
	}
	m.array = &calib.Array{Shape: m.Shape, Values: make([]uint64, n)}
	bySlot := map[int][]*Plane{}
	for i := range m.Planes {
		bySlot[m.Planes[i].Slot] = append(bySlot[m.Planes[i].Slot], &m.Planes[i])
	}
	highest := m.Panels[len(m.Panels)-1].Slot
	for slot := range l.count {
		if !m.stacked() {
			slot = highest // the only panel
		}
		planes := bySlot[slot]
		absent := !slices.ContainsFunc(planes, func(p *Plane) bool { return p.values != nil })
		switch {
		case absent && slot > highest:
			m.Notes = append(m.Notes, fmt.Sprintf("slot %d pads the array to the size that analysis knows: no such panel, bad (NO_DATA)", slot))
			m.fill(l, slot, status.NoData)
		case absent:
			if err := m.fillPanel(l, slot, opt.MissingPanel, planes); err != nil {
				return err
			}
		default:
			if err := m.place(l, planes, opt.MissingGain); err != nil {
				return err
			}
		}
	}
	for i := range m.Planes {
		m.Planes[i].values = nil
	}
	if len(m.Missing) > 0 {
		m.array = nil
	}
	return nil
}

// place puts the planes of one panel into the array.
func (m *Merged) place(l layout, planes []*Plane, choices map[string]string) error {
	for gain, p := range planes {
		values := p.values
		if values == nil {
			choice, own := choices[p.GainMode]
			if !own {
				choice = choices[""]
			}
			var err error
			if values, err = m.fillGain(l.pixels, p, planes, choice); err != nil {
				return err
			}
		}
		if values == nil {
			continue // it is on the list of what is missing
		}
		if base, step := l.at(gain, p.Slot); step == 1 {
			copy(m.array.Values[base:base+l.pixels], values)
		} else {
			l.put(m.array.Values, gain, p.Slot, func(i int) uint64 { return values[i] })
		}
	}
	return nil
}

// fill gives all pixels of a panel, in all gain modes, one word.
func (m *Merged) fill(l layout, slot int, word uint64) {
	for gain := range m.gains() {
		l.put(m.array.Values, gain, slot, func(int) uint64 { return word })
	}
}

// fillPanel decides about a panel without any file.
func (m *Merged) fillPanel(l layout, slot int, choice string, planes []*Plane) error {
	name := fmt.Sprintf("segment %d", slot)
	if len(planes) > 0 {
		name += " (panel " + planes[0].Panel + ")"
	}
	word := uint64(0)
	switch choice {
	case "":
		m.Missing = append(m.Missing, name+" has no status file")
		return nil
	case "good":
	case "bad":
		word = status.NoData
	default:
		return fault.New(fault.Usage, "--missing-panel=%s: wanted good or bad", choice)
	}
	m.fill(l, slot, word)
	m.Choices = append(m.Choices, name+" has no status file: taken as "+choice+" (--missing-panel)")
	for _, p := range planes {
		p.Filled = choice
	}
	return nil
}

// fillGain decides about a gain mode without a file, of a panel that has others. It gives nothing when
// nobody has said what the plane is.
func (m *Merged) fillGain(pixels int, p *Plane, planes []*Plane, choice string) ([]uint64, error) {
	name := fmt.Sprintf("segment %d gain mode %s", p.Slot, p.GainMode)
	var values []uint64
	switch {
	case choice == "":
		m.Missing = append(m.Missing, name+" has no status file")
		return nil, nil
	case choice == "good":
		values = make([]uint64, pixels)
	case choice == "bad":
		values = slices.Repeat([]uint64{status.NoData}, pixels)
	case strings.HasPrefix(choice, "copy:"):
		mode := strings.TrimPrefix(choice, "copy:")
		i := slices.IndexFunc(planes, func(q *Plane) bool { return q.GainMode == mode })
		if i < 0 {
			return nil, fault.New(fault.Usage, "--missing-gain=%s: %s has the gain modes %s", choice, m.Type, strings.Join(m.gains(), ", "))
		}
		if planes[i].values == nil {
			return nil, fault.New(fault.Refused, "%s cannot be copied from %s, which has no status file either", name, mode)
		}
		values = planes[i].values
	default:
		return nil, fault.New(fault.Usage, "--missing-gain=%s: wanted good, bad or copy:<gain mode>", choice)
	}
	p.Filled = choice
	m.Choices = append(m.Choices, name+" has no status file: taken as "+choice+" (--missing-gain)")
	return values, nil
}

// writeStack writes the detector's array, unless it is the merged file of its only plane.
func (m *Merged) writeStack(r *repo.Repo, opt MergeOptions) error {
	if !m.stacked() {
		m.header, m.Path = m.Planes[0].header, m.Planes[0].File
		return nil
	}
	if err := access.CheckName("detector", m.Detector); err != nil {
		return err
	}
	begin, err := r.ParseStamp(m.Stamp)
	if err != nil {
		return err
	}
	m.header = header(r.Loc)
	m.header.Shape = m.Shape
	m.header.FileName = r.StackPath(m.Type, m.Detector, m.Run.Experiment, m.Run.Number, begin, opt.CType)
	file := r.Policy.File()
	file.Keep = true
	if err = r.Policy.MkdirAll(filepath.Dir(m.header.FileName)); err == nil {
		err = atomicfile.Write(m.header.FileName, file, m.text)
	}
	if opt.tolerates(err) {
		m.Notes = append(m.Notes, "the detector's array is not written: "+err.Error())
		return nil
	}
	m.Path = m.header.FileName
	return err
}

// text writes the array as it stands in its file. The file itself may be replaced by another merge of the
// run at any time; what was planned and weighed is what is in memory.
func (m *Merged) text(w io.Writer) error { return calibtxt.WriteArray(w, m.header, m.array.Values) }

// content is the array as it is deployed.
func (m *Merged) content() (calib.Content, int64, error) {
	h := sha256.New()
	var n counter
	if err := m.text(io.MultiWriter(h, &n)); err != nil {
		return calib.Content{}, 0, err
	}
	open := func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(m.text(w)) }()
		return r, nil
	}
	return calib.Content{Path: m.Path, SHA256: hex.EncodeToString(h.Sum(nil)), Open: open, Array: m.array}, int64(n), nil
}

// counter counts bytes.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// tolerates tells whether an error only says that the repository may not be written to, and that this is
// good enough for looking at a plan.
func (o MergeOptions) tolerates(err error) bool {
	return o.LookOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS))
}
