package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

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

// readType reads the file, or with voting runs the files, of one constants type, and all masks of people
// that are valid for the run.
func (m *Merged) readType(r *repo.Repo, p *Plane, ctype string, opt MergeOptions) ([]Source, error) {
	files, foreign, err := r.Files(m.Type, p.Panel, ctype)
	if err != nil {
		return nil, err
	}
	if len(foreign) > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %s of other names passed over (%s, ...)", ctype, fault.Count(len(foreign), "file"), foreign[0]))
	}
	read, err := m.readMasks(r, p, ctype, files)
	if err != nil {
		return nil, err
	}
	chosen := m.choose(r, p, ctype, files, opt)
	byRules := len(slices.DeleteFunc(slices.Clone(files), func(f repo.Found) bool { return f.Mask != "" }))
	if len(chosen) == 0 && (byRules > 0 || len(files) == 0) {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: no file for this time and gain mode among %d", ctype, byRules))
	}
	for _, c := range chosen {
		s, err := m.readSource(r, p, c.Found)
		if err != nil {
			return nil, err
		}
		s.Begin, s.Reason = c.Begin, m.reason(c, p.GainMode, len(files), opt)+m.elsewhere(s)
		read = append(read, *s)
	}
	return read, nil
}

// readSource reads one file with its sidecar.
func (m *Merged) readSource(r *repo.Repo, p *Plane, f repo.Found) (*Source, error) {
	file, err := r.ReadStatus(f.Path, m.wantedShape(p))
	if err != nil {
		return nil, err
	}
	if len(file.Shape) != 2 {
		return nil, fault.New(fault.Input, "%q has %d dimensions, the status of a panel has two", f.Path, len(file.Shape))
	}
	s := &Source{CType: f.CType, Path: f.Path, SHA256: file.SHA256, Family: repo.FamilyFeatures, values: status.Sparse(file.Sparse), shape: file.Shape,
		Bad: len(file.At), Experiment: f.Experiment, Run: f.Run, byPerson: f.CType == repo.TypeUser || f.Mask != ""}
	if r.IsTree() {
		s.Family = repo.FamilyDark
	}
	if sc := file.Sidecar; sc != nil {
		s.Family, s.Profile, s.PlanID, s.Version, s.Mask, s.detector = sc.Family, sc.Profile, sc.PlanID, sc.Version, sc.Mask, sc.DetName
		s.Partial, s.gainMap = strings.Join(sc.Incomplete, "; "), sc.GainMap
		rules, err := json.Marshal(sc.Parameters)
		if err != nil {
			return nil, fault.New(fault.Input, "the sidecar of %q: %w", f.Path, err)
		}
		s.rules = string(rules)
	}
	return s, nil
}

// elsewhere says that the panel was a part of another detector, or of this one under another name, when a
// file was written: a panel is the same wherever it is mounted.
func (m *Merged) elsewhere(s *Source) string {
	if s.detector == "" || s.detector == m.Detector {
		return ""
	}
	return ", written when the panel was a part of " + s.detector
}

// readMasks reads the masks of people that are valid for the run and not retired.
func (m *Merged) readMasks(r *repo.Repo, p *Plane, ctype string, files []repo.Found) (list []Source, err error) {
	retired, others := 0, 0
	for _, f := range files {
		if f.Mask == "" || f.Slice || f.GainMode != "" && f.GainMode != p.GainMode {
			continue
		}
		s, err := m.readSource(r, p, f)
		if err != nil {
			return nil, err
		}
		switch {
		case s.Mask == nil:
			return nil, fault.New(fault.Input, "%q has no sidecar: the runs for which this mask is valid are not known", f.Path).
				WithHint("save the mask again, or remove the file")
		case s.Mask.Retired != nil:
			retired++
		case f.Experiment != m.Run.Experiment || !s.Mask.Validity.Has(m.Run.Number):
			others++
		default:
			s.Reason = fmt.Sprintf("mask %s of %s for runs %s: %s", s.Mask.Short(), s.Mask.Author, s.Mask.Validity, s.Mask.Comment)
			list = append(list, *s)
		}
	}
	if retired+others > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: masks that are not merged: %d retired, %d of other runs", ctype, retired, others))
	}
	return list, nil
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
	return &Source{CType: "default", Path: path, SHA256: file.SHA256, Family: repo.FamilyFeatures, values: status.Sparse(file.Sparse), shape: file.Shape,
		Bad: len(file.At), Reason: "no other file: the default of the detector type"}, nil
}

// wantedShape returns the shape that a file of a plane must have, nil when it is not known.
func (m *Merged) wantedShape(p *Plane) []int {
	i := slices.IndexFunc(m.Panels, func(q Slot) bool { return q.Dir == p.Panel })
	if m.Panels[i].Rows == 0 {
		return nil
	}
	return []int{m.Panels[i].Rows, m.Panels[i].Cols}
}

// choose picks the file for the time, or one file of each voting run.
func (m *Merged) choose(r *repo.Repo, p *Plane, ctype string, files []repo.Found, opt MergeOptions) (chosen []repo.Choice) {
	note := func(format string, args ...any) {
		p.Notes = append(p.Notes, ctype+": "+fmt.Sprintf(format, args...))
	}
	wish := repo.Wish{At: m.At, Run: m.Run, GainMode: p.GainMode}
	if opt.Runs == nil {
		c := r.Choose(files, wish)
		if c.NoGain > 0 {
			note("%s of unknown gain mode (none in the name): not used", fault.Count(c.NoGain, "file"))
		}
		for _, f := range c.Repeated {
			note("%s is not used: the clock showed its time twice, and it may be younger", filepath.Base(f.Path))
		}
		if c.Path == "" {
			return nil
		}
		if len(c.Tied) > 0 {
			note("TIE: runs that began in the same second, none of them run %d: %s run %d is used, not %s", m.Run.Number, c.Experiment, c.Run, c.Describe())
		}
		if now := time.Now(); c.Begin.After(now) {
			note("%s is FROM THE FUTURE: its run began at %s, now it is %s", filepath.Base(c.Path), c.Begin.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
		return []repo.Choice{c}
	}
	byRun := map[int][]repo.Found{}
	for _, f := range files {
		if opt.Runs.Has(f.Run) && f.Experiment == m.Run.Experiment {
			byRun[f.Run] = append(byRun[f.Run], f)
		}
	}
	wish.At = time.Time{}
	for _, run := range slices.Sorted(maps.Keys(byRun)) {
		if c := r.Choose(byRun[run], wish); c.Path != "" {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// reason says why a file was taken.
func (m *Merged) reason(c repo.Choice, gain string, of int, opt MergeOptions) string {
	why := fmt.Sprintf("youngest of %d not after %s", of, m.Stamp)
	if c.Later > 0 {
		why += fmt.Sprintf(", %d younger ones passed over", c.Later)
	}
	switch {
	case opt.Runs != nil:
		why = fmt.Sprintf("run %d votes", c.Run)
	case c.Begin.Equal(m.At.Truncate(time.Second)) && c.Experiment == m.Run.Experiment && c.Run == m.Run.Number:
		why = "of this run"
	case c.Experiment != m.Run.Experiment || c.Run != m.Run.Number:
		why += fmt.Sprintf(" (%s run %d)", c.Experiment, c.Run)
	}
	if gain != "" && c.GainMode == "" {
		why += ", holds for all gain modes"
	}
	return why
}

// whatIsThere says where files were looked for, and what lies there instead.
func (m *Merged) whatIsThere(r *repo.Repo, opt MergeOptions) string {
	dests := []string{m.lookedFor(r)}
	if opt.Tree != nil {
		dests = append(dests, m.lookedFor(opt.Tree))
	}
	if n := len(m.Planes[0].Notes); n > 0 {
		dests = append(dests, strings.Join(m.Planes[0].Notes, "; "))
	}
	return strings.Join(dests, ", ")
}

// lookedFor says what was looked for in one repository, for the first panel, and what there is.
func (m *Merged) lookedFor(r *repo.Repo) string {
	what := "status_*"
	if r.IsTree() {
		what = "status and pixel_status"
	}
	dir := r.PanelDir(m.Type, m.Panels[0].Dir)
	there := "there is no such directory"
	if entries, err := os.ReadDir(dir); err == nil {
		there = "there are: " + names(entries)
	} else if entries, err := os.ReadDir(r.TypeDir(m.Type)); err == nil {
		there = "there is no such directory, beside it are: " + names(entries)
	}
	return fmt.Sprintf("looked for %s in %s (%s)", what, dir, there)
}

// checkTree refuses a tree of dark jobs that has nothing for this run: it was named to be merged.
func (m *Merged) checkTree(tree *repo.Repo) error {
	if tree == nil {
		return nil
	}
	if s := m.source(func(s *Source) bool { return strings.HasPrefix(s.Path, tree.Root+string(filepath.Separator)) }); s != nil {
		return nil
	}
	return fault.New(fault.Input, "the tree of the dark jobs has no status for %s: %s", m.Stamp, m.lookedFor(tree)).
		WithHint("--dark-tree wants the directory in which the panels lie, or for psana2 the one above it, which has the detector types")
}

// names lists the first names of a directory.
func names(entries []os.DirEntry) string {
	var list []string
	for _, e := range entries {
		if e.Name()[0] != '.' {
			list = append(list, e.Name())
		}
	}
	if len(list) == 0 {
		return "nothing"
	}
	return few(list)
}

// checkTypes compares the types that the user names with those that there are: a misspelt one must not be
// without effect. It notes what lies there and is not merged.
func (m *Merged) checkTypes(r *repo.Repo, opt MergeOptions) error {
	there, results := map[string]bool{}, 0
	for i := range m.Planes {
		types, err := m.types(r, &m.Planes[i], opt)
		if err != nil {
			return err
		}
		for _, t := range types {
			there[t.ctype] = true
		}
		if st, err := os.Stat(filepath.Join(r.PanelDir(m.Type, m.Planes[i].Panel), "status_extra")); err == nil && st.IsDir() {
			results++
		}
	}
	if results > 0 {
		m.Notes = append(m.Notes, "the repository has a status_extra of these panels: it is a result of merges and is not merged again")
	}
	known := []string{repo.TypeUser, "status", "pixel_status"}
	for _, b := range status.Table {
		known = append(known, b.Ctypes...)
	}
	for _, name := range slices.Concat(opt.Only, opt.Exclude) {
		switch {
		case there[name]:
		case slices.Contains(known, name):
			m.Notes = append(m.Notes, "no panel has "+name+", which --only or --exclude names")
		default:
			return fault.New(fault.Usage, "no panel of %s has a type %q, which --only or --exclude names", m.Detector, name).
				WithHint("there are: %s", list(there))
		}
	}
	return nil
}
