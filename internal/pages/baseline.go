package pages

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/report"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/verdict"
)

// Baseline is the status that the status of a run is compared with.
type Baseline struct {
	name string
	// words returns the words of a panel in a gain mode; nil: there are none.
	words func(p frame.Panel, gain string) ([]uint64, error)
	facts verdict.Baseline
}

// Baselines returns what a report is compared with: the status files of runs in a repository, else the constants in force.
func (m *Maker) Baselines(ctx context.Context, p *plan.Plan, r *repo.Repo, runs []int) (list []Baseline, err error) {
	for _, run := range slices.Compact(runs) {
		b, err := earlier(r, p, run)
		if err != nil {
			return nil, err
		}
		list = append(list, *b)
	}
	if len(runs) > 0 {
		return list, nil
	}
	b, err := m.inForce(ctx, p)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil: // the report is worth having without it
		m.Log.Warnf("the report is not compared with the constants in force: %v", err)
	case b != nil:
		list = append(list, *b)
	}
	return list, nil
}

// inForcePlace returns where analysis finds the constants of a run: for LCLS-II the calibration database, when the site
// names one and no calib directory is asked for, else the calib directory; false: neither is known.
func (m *Maker) inForcePlace(p *plan.Plan) (calib.Destination, bool, error) {
	family, _ := detector.Lookup(p.Dataset.Type)
	asked := strings.HasPrefix(m.Site.Origin("calib_dir"), "flag")
	if p.Dataset.Format == "xtc2" && !asked && m.Site.Origin("calibws.read_url") != "default" {
		words := []string{strings.ToLower(p.Dataset.Type)}
		for _, panel := range p.Dataset.Panels {
			words = append(words, panel.ID)
		}
		if long := strings.Join(words, "_"); calibws.CheckLongName(long) == nil {
			url := m.Site.CalibWS.ReadURL
			s := &calibws.Store{Client: &calibws.Client{ReadURL: url, WriteURL: url}, Experiment: p.Dataset.Run.Experiment, DetName: p.Dataset.Detector,
				DetType: words[0], LongName: long, CType: "status_extra"}
			return s.Destination(), true, nil
		}
	}
	if m.Site.CalibDir == "" {
		return calib.Destination{}, false, nil
	}
	d, err := calibdir.New(m.Site.CalibDir, family.CalibGroup, p.Dataset.Detector, "status_extra", disk.Files{Policy: &access.Policy{}}, time.UTC)
	if err != nil {
		return calib.Destination{}, false, err
	}
	return d.Destination(), true, nil
}

// inForce returns what analysis uses for the run now; nil: nothing.
func (m *Maker) inForce(ctx context.Context, p *plan.Plan) (*Baseline, error) {
	family, _ := detector.Lookup(p.Dataset.Type)
	place, known, err := m.inForcePlace(p)
	if err != nil || !known {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	items, _, err := place.Items(ctx)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	i := calib.Pick(items, p.Dataset.Run.Number)
	if i < 0 {
		return nil, nil
	}
	array, sum, err := place.Read(ctx, items[i])
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s in %s (sha256 %.12s)", items[i].Name, place, sum)
	subs := map[int]int{}
	for _, q := range p.Dataset.Panels {
		subs[q.Segment]++
	}
	return &Baseline{name: name, facts: verdict.Baseline{Name: items[i].Name}, words: func(q frame.Panel, gain string) ([]uint64, error) {
		slot := q.Segment
		if n := subs[q.Segment]; n > 1 {
			slot = q.Segment*n + q.Sub
		}
		return report.Deployed(array.Shape, array.Words.Dense(), max(0, family.GainIndex(gain)), slot, q.Rows, q.Cols, family.PanelsLast), nil
	}}, nil
}

// earlier returns the status files of another run in the repository.
func earlier(r *repo.Repo, p *plan.Plan, run int) (*Baseline, error) {
	dirs := repo.PanelDirs(p.Dataset.Panels)
	found := 0
	paths := map[string]string{}
	var begin time.Time
	for i, panel := range p.Dataset.Panels {
		files, _, err := r.Files(p.Dataset.Type, dirs[i], p.Params.CType)
		if err != nil {
			return nil, err
		}
		files = slices.DeleteFunc(files, func(f repo.Found) bool { return f.Run != run || f.Experiment != p.Dataset.Run.Experiment })
		for _, f := range files {
			if chosen := r.Choose(files, repo.Wish{GainMode: f.GainMode}); chosen.Path != "" {
				paths[panelKeyOf(panel)+f.GainMode], begin = chosen.Path, chosen.Begin
				found++
			}
		}
	}
	if found == 0 {
		return nil, fault.New(fault.Usage, "no %s of %s run %d for %s in repository %q", p.Params.CType, p.Dataset.Run.Experiment, run, p.Dataset.Detector, r.Root).
			WithHint("rawstatus diff --exp %s --run %d --run %d lists what there is", p.Dataset.Run.Experiment, run, p.Dataset.Run.Number)
	}
	b := &Baseline{name: "run " + strconv.Itoa(run), facts: verdict.Baseline{Name: "run " + strconv.Itoa(run), Days: p.Dataset.Run.Begin.Sub(begin).Hours() / 24}}
	b.words = func(q frame.Panel, gain string) ([]uint64, error) {
		path := paths[panelKeyOf(q)+gain]
		if path == "" {
			return nil, nil
		}
		read, err := r.ReadStatus(path, []int{q.Rows, q.Cols})
		if err != nil {
			return nil, err
		}
		return read.Dense(), nil
	}
	return b, nil
}

func panelKeyOf(p frame.Panel) string { return fmt.Sprintf("%d.%d ", p.Segment, p.Sub) }
