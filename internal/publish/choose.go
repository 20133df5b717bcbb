package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
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
