package pages

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/report"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/verdict"
)

// Subject says what a report of the repository is about.
type Subject struct {
	Experiment, Detector, DetType, CType string // the detector by its name or type
	Runs                                 []int
}

// repoPanel is a panel with its status files by run and gain mode.
type repoPanel struct {
	repo.Located
	files map[int]map[string]string
}

// repoFiles are the status files of some runs of one detector.
type repoFiles struct {
	dettype, detector, ctype string
	panels                   []*repoPanel
	gains                    []string
	family                   status.Family
}

// preferred is the order in which a type of constants is taken where none is named.
var preferred = []string{"status_data", "status_dark", "status_light", "status_max"}

// findStatus finds the status files of a subject.
func findStatus(r *repo.Repo, s Subject) (*repoFiles, error) {
	out := &repoFiles{ctype: s.CType}
	byDir := map[string]*repoPanel{}
	names := map[string]bool{}
	types := map[string]bool{}
	for _, run := range s.Runs {
		located, err := r.Locate(s.Experiment, run, "")
		if err != nil {
			return nil, err
		}
		for _, l := range located {
			if s.Detector != "" && l.DetName != s.Detector && !strings.EqualFold(l.DetType, s.Detector) {
				continue
			}
			if s.DetType != "" && !strings.EqualFold(l.DetType, s.DetType) {
				continue
			}
			names[cmp.Or(l.DetName, l.DetType)] = true
			out.dettype, out.detector = l.DetType, cmp.Or(l.DetName, l.DetType)
			if byDir[l.Panel] == nil {
				byDir[l.Panel] = &repoPanel{Located: l, files: map[int]map[string]string{}}
				out.panels = append(out.panels, byDir[l.Panel])
			}
			list, err := r.StatusTypes(l.DetType, l.Panel)
			if err != nil {
				return nil, err
			}
			for _, t := range list {
				types[t] = true
			}
		}
	}
	switch {
	case len(out.panels) == 0:
		return nil, fault.New(fault.Input, "repository %q has no status files of %s run %v %s", r.Root, s.Experiment, s.Runs, cmp.Or(s.Detector, s.DetType)).WithHint("check -e, -r, -d, --det-type and -o")
	case len(names) > 1:
		return nil, fault.New(fault.Usage, "the runs have several detectors: %s", strings.Join(slices.Sorted(maps.Keys(names)), ", ")).WithHint("name one with -d")
	}
	if out.ctype == "" {
		for _, t := range preferred {
			if types[t] && out.ctype == "" {
				out.ctype = t
			}
		}
	}
	slices.SortFunc(out.panels, func(a, b *repoPanel) int {
		return cmp.Or(a.Segment-b.Segment, a.Sub-b.Sub, cmp.Compare(a.Panel, b.Panel))
	})
	return out, out.take(r, s)
}

// take chooses a file for each panel, run and gain mode.
func (f *repoFiles) take(r *repo.Repo, s Subject) error {
	gains, found := map[string]bool{}, 0
	for _, p := range f.panels {
		files, _, err := r.Files(p.DetType, p.Panel, f.ctype)
		if err != nil {
			return err
		}
		for _, run := range s.Runs {
			of := slices.DeleteFunc(slices.Clone(files), func(x repo.Found) bool { return x.Run != run || s.Experiment != "" && x.Experiment != s.Experiment })
			for _, x := range of {
				if path := r.Choose(of, repo.Wish{GainMode: x.GainMode}).Path; path != "" {
					if p.files[run] == nil {
						p.files[run] = map[string]string{}
					}
					p.files[run][x.GainMode] = path
					gains[x.GainMode] = true
					found++
				}
			}
		}
	}
	if found == 0 {
		return fault.New(fault.Input, "repository %q has no %s of %s run %v", r.Root, f.ctype, s.Experiment, s.Runs).WithHint("-C names another type of constants")
	}
	family, _ := detector.Lookup(f.dettype)
	f.gains = slices.SortedFunc(maps.Keys(gains), func(a, b string) int {
		return cmp.Or(family.GainIndex(a)-family.GainIndex(b), cmp.Compare(a, b))
	})
	return nil
}

// axes returns the panels of a report; their shapes are those of the files.
func (f *repoFiles) axes(r *repo.Repo) ([]report.PanelInfo, error) {
	family, _ := detector.Lookup(f.dettype)
	var out []report.PanelInfo
	for _, p := range f.panels {
		rows, cols := p.Rows, p.Cols
		for _, byGain := range p.files {
			for _, path := range byGain {
				if rows > 0 && f.family != "" {
					continue
				}
				read, err := r.ReadStatus(path, nil)
				if err != nil {
					return nil, err
				}
				if f.family = status.Features; read.Sidecar != nil {
					f.family = status.Family(read.Sidecar.Family)
				}
				if len(read.Shape) != 2 {
					return nil, fault.New(fault.Input, "%q has shape %v, wanted rows and columns", path, read.Shape)
				}
				rows, cols = read.Shape[0], read.Shape[1]
			}
		}
		name := fmt.Sprintf("segment %d", p.Segment)
		if p.Segment < 0 {
			name = p.Panel
		} else if p.Sub > 0 {
			name += fmt.Sprintf(".%d", p.Sub)
		}
		out = append(out, report.PanelInfo{Name: name, ID: p.Panel, Rows: rows, Cols: cols, ASICRows: family.ASICRows, ASICCols: family.ASICCols})
	}
	return out, nil
}

// OfRun makes the report of one run from its status files: without values, which the repository does not have.
func (m *Maker) OfRun(ctx context.Context, r *repo.Repo, s Subject, against []int, path string, maxSize int64) (report.Made, error) {
	run := s.Runs[0]
	s.Runs = append([]int{run}, against...)
	f, err := findStatus(r, s)
	if err != nil {
		return report.Made{}, err
	}
	page := report.Page{Title: fmt.Sprintf("%s run %d %s", s.Experiment, run, f.detector), Subtitle: fmt.Sprintf("%s, %s from %s", f.dettype, f.ctype, r.Root), Gains: f.gains, MaxSize: maxSize}
	if page.Panels, err = f.axes(r); err != nil {
		return report.Made{}, err
	}
	page.Bits = report.Dictionary(f.family)
	for _, b := range against {
		page.Baselines = append(page.Baselines, fmt.Sprintf("run %d", b))
	}
	facts := verdict.Facts{Gains: make([]verdict.Gain, len(f.gains))}
	if len(against) > 0 {
		facts.Baseline = &verdict.Baseline{Name: page.Baselines[0]}
	}
	b, notes := report.New(page), map[string]string{}
	for g, gain := range f.gains {
		facts.Gains[g].Name = gain
		var units []report.Unit
		for i, p := range f.panels {
			unit, fact, sc, err := f.unit(r, page.Panels[i], i, p, run, against, gain)
			if err != nil {
				return report.Made{}, err
			}
			if unit == nil {
				continue
			}
			fact.Gain = g
			facts.Units, units = append(facts.Units, fact), append(units, *unit)
			describe(page.Bits, notes, sc, g, len(f.gains))
		}
		if err := b.AddGain(ctx, g, units); err != nil {
			return report.Made{}, err
		}
	}
	page.Facts = []report.Fact{{Name: "experiment", Value: s.Experiment}, {Name: "run", Value: fmt.Sprint(run)}, {Name: "detector", Value: fmt.Sprintf("%s (%s), %s", f.detector, f.dettype, fault.Count(len(f.panels), "panel"))},
		{Name: "repository", Value: r.Root}, {Name: "values", Value: "not in the repository: rawstatus report --work shows them"}}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		page.Facts = append(page.Facts, report.Fact{Name: name, Value: notes[name]})
	}
	b.Describe(page.Facts, verdict.Judge(facts))
	return m.writeReport(path, b)
}

// unit reads a panel of a run and of those it is compared with; nil: there is none.
func (f *repoFiles) unit(r *repo.Repo, panel report.PanelInfo, at int, p *repoPanel, run int, against []int, gain string) (*report.Unit, verdict.Unit, *repo.Sidecar, error) {
	var fact verdict.Unit
	path := p.files[run][gain]
	if path == "" {
		return nil, fact, nil, nil
	}
	shape := []int{panel.Rows, panel.Cols}
	read, err := r.ReadStatus(path, shape)
	if err != nil {
		return nil, fact, nil, err
	}
	list := status.Sparse(read.Sparse)
	unit := &report.Unit{Panel: at, Status: list.Dense()}
	c := list.Count()
	fact = verdict.Unit{Name: strings.TrimSpace(panel.Name + " " + gain), Panel: at, Pixels: c.Pixels, Bad: c.Bad, Unjudged: list.NotJudged(), Occupancy: status.Occupied(list, panel.Rows, panel.Cols, panel.ASICRows, panel.ASICCols)}
	if f.family == status.Dark {
		fact.WrongGain = c.Of(status.GainState)
	}
	if sc := read.Sidecar; sc != nil {
		fact.Expected, fact.Frames = sc.Frames.Events, sc.Frames.Used
		unit.Expected, unit.Frames = fact.Expected, fact.Frames
	}
	for i, other := range against {
		var words []uint64
		if path := p.files[other][gain]; path != "" {
			old, err := r.ReadStatus(path, shape)
			if err != nil {
				return nil, fact, nil, err
			}
			words = old.Dense()
			if d, err := list.Compare(status.Sparse(old.Sparse)); err == nil && i == 0 {
				fact.NewlyBad = d.NewlyBad
			}
		}
		unit.Baselines = append(unit.Baselines, words)
	}
	return unit, fact, read.Sidecar, nil
}

// describe takes rules, limits and notes from a sidecar.
func describe(bits []report.Bit, notes map[string]string, sc *repo.Sidecar, gain, gains int) {
	if sc == nil {
		notes["note"] = "some files have no sidecar: written by other programs"
		return
	}
	for i := range bits {
		for _, b := range sc.Bits {
			if b.Value == bits[i].Value {
				if bits[i].Rules == nil {
					bits[i].Rules = make([]string, gains)
				}
				bits[i].Rules[gain] = b.Rule
			}
		}
	}
	notes["profile"], notes["plan"], notes["version"] = sc.Profile, sc.PlanID, sc.Version
	for _, l := range sc.Limits {
		if l.Row+l.Col == 0 {
			notes[strings.TrimSpace("limits "+sc.GainMode+" "+l.Name)] = fmt.Sprintf("from %.5g to %.5g ADU", l.Lo, l.Hi)
		}
	}
	for i, s := range slices.Concat(sc.Incomplete, sc.Notes) {
		notes[fmt.Sprintf("note %d", i+1)] = s
	}
}

// OfRuns makes the page about many runs from the repository.
func (m *Maker) OfRuns(ctx context.Context, r *repo.Repo, s Subject, path string) error {
	f, err := findStatus(r, s)
	if err != nil {
		return err
	}
	page := report.Series{Title: fmt.Sprintf("%s %s, %s", s.Experiment, f.detector, fault.Count(len(s.Runs), "run")), Subtitle: fmt.Sprintf("%s, %s from %s", f.dettype, f.ctype, r.Root), Gains: f.gains}
	if page.Panels, err = f.axes(r); err != nil {
		return err
	}
	page.Bits = report.Dictionary(f.family)
	page.Facts = []report.Fact{{Name: "experiment", Value: s.Experiment}, {Name: "detector", Value: f.detector}, {Name: "repository", Value: r.Root}, {Name: "type", Value: f.ctype}}
	for _, run := range s.Runs {
		page.Runs = append(page.Runs, report.SeriesRun{Run: run})
	}
	return m.writeSeries(ctx, r, page, path, func(run, gain, panel int) string {
		return f.panels[panel].files[run][f.gains[gain]]
	})
}

// OfCampaign makes a page for each experiment, detector and profile of a campaign.
func (m *Maker) OfCampaign(ctx context.Context, dir string, v *slurm.View) ([]string, error) {
	r := repo.New("/", &access.Policy{}, m.Site.Location())
	bySeries := map[string][]*slurm.Report{}
	var order []string
	for _, s := range v.Items {
		name := strings.Join([]string{s.Experiment, s.Detector, s.Profile}, "-")
		if bySeries[name] == nil {
			order = append(order, name)
		}
		bySeries[name] = append(bySeries[name], s)
	}
	var paths []string
	for _, name := range order {
		path := filepath.Join(dir, "report.html")
		if len(order) > 1 {
			path = filepath.Join(dir, "report-"+strings.Map(fileRune, name)+".html")
		}
		done, err := m.campaignSeries(ctx, r, dir, bySeries[name], path)
		if err != nil {
			return paths, err
		}
		if done {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// fileRune replaces what should not be in the name of a file.
func fileRune(r rune) rune {
	if strings.ContainsRune(`/\ :*?"<>|`, r) {
		return '_'
	}
	return r
}

// campaignSeries makes the page of one series; false: nothing of it is done.
func (m *Maker) campaignSeries(ctx context.Context, r *repo.Repo, dir string, items []*slurm.Report, path string) (bool, error) {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b *slurm.Report) int { return a.Run - b.Run })
	page := report.Series{Title: fmt.Sprintf("%s %s, %s", items[0].Experiment, items[0].Detector, fault.Count(len(items), "run")), Subtitle: "profile " + items[0].Profile}
	page.Facts = []report.Fact{{Name: "campaign", Value: dir}, {Name: "experiment", Value: items[0].Experiment}, {Name: "detector", Value: items[0].Detector}, {Name: "profile", Value: items[0].Profile}}
	files := map[string]string{}
	at := map[string]int{}
	for _, s := range items {
		run := report.SeriesRun{Run: s.Run, State: s.State}
		if s.State != slurm.Done {
			page.Runs = append(page.Runs, run)
			continue
		}
		run.State, run.Incomplete = "", len(s.Summary.Incomplete) > 0
		page.Runs = append(page.Runs, run)
		if page.Bits == nil {
			page.Bits = report.Dictionary(s.Summary.Params.Family())
		}
		family, _ := detector.Lookup(s.Summary.Type)
		for _, g := range s.Summary.Groups {
			if !slices.Contains(page.Gains, g.GainMode) {
				page.Gains = append(page.Gains, g.GainMode)
			}
			for _, p := range g.Panels {
				if _, seen := at[p.ID]; !seen {
					read, err := r.ReadStatus(p.File, nil)
					if err != nil {
						return false, err
					}
					at[p.ID] = len(page.Panels)
					page.Panels = append(page.Panels, report.PanelInfo{Name: fmt.Sprintf("segment %d", p.Segment), ID: p.ID, Rows: read.Shape[0], Cols: read.Shape[1], ASICRows: family.ASICRows, ASICCols: family.ASICCols})
				}
				files[fmt.Sprintf("%d %s %d", s.Run, g.GainMode, at[p.ID])] = p.File
			}
		}
	}
	if len(files) == 0 {
		return false, nil
	}
	return true, m.writeSeries(ctx, r, page, path, func(run, gain, panel int) string {
		return files[fmt.Sprintf("%d %s %d", run, page.Gains[gain], panel)]
	})
}

// writeSeries makes the page about many runs; file names the status file of a run, gain mode and panel.
func (m *Maker) writeSeries(ctx context.Context, r *repo.Repo, page report.Series, path string, file func(run, gain, panel int) string) error {
	b := report.NewSeries(page)
	for g := range page.Gains {
		for p, panel := range page.Panels {
			err := b.Add(ctx, g, p, func(run int) ([]uint64, error) {
				path := file(b.Runs()[run].Run, g, p)
				if path == "" {
					return nil, nil
				}
				read, err := r.ReadStatus(path, []int{panel.Rows, panel.Cols})
				if err != nil {
					return nil, err
				}
				return read.Dense(), nil
			})
			if err != nil {
				return err
			}
		}
	}
	if err := atomicfile.Write(path, atomicfile.Options{Mode: fs.FileMode(m.Site.FileMode)}, b.Write); err != nil {
		return err
	}
	m.Log.Infof("report %s: %s", path, fault.Count(len(b.Runs()), "run"))
	return nil
}
