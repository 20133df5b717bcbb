package campaign

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/stats/status"
)

// series names the items that are compared with each other: those that differ in the run alone.
func series(it slurm.Item) string {
	return strings.Join(append([]string{it.Experiment, it.Detector, it.Profile}, it.Options...), "\x00")
}

// StatusReader reads the status of one panel in one gain mode.
type StatusReader func(path string) ([]uint64, error)

// Trend follows the pixels of each series (experiment, detector, profile) through its runs in ascending order.
type Trend struct {
	Series  []*Series
	Changes map[string]*Change // by item key
}

// Series is the history of one experiment, detector and profile.
type Series struct {
	Experiment, Detector, Profile string

	Runs []RunTrend
	// Common compares the first run with the last in the panels and gain modes that both have.
	Common struct{ First, Last, Panels int }
	// Growth is how the number of bad pixels changes by run number; nil where fewer than three runs have all panels.
	Growth *Drift

	keys     []panelKey // by segment, id and gain mode
	unsteady []pixel    // by key and place
	turned   int        // pixels that changed once
	chips    map[pedestalKey]*Pedestals
}

// pixel is one that was not the same in all runs.
type pixel struct {
	key                                              panelKey
	segment, row, col, first, badRuns, runs, changes int
	bad                                              bool
}

// RunTrend is one run of a series.
type RunTrend struct {
	Run           int
	Bad           int
	status.Turned     // against the run before in which the panel was there
	FirstBad      int // pixels that had been good in every run before
}

// panelKey is a panel in a gain mode. Panels are known by id: detectors are taken apart and put together.
type panelKey struct{ id, mode string }

// visit is a run in which a panel was there.
type visit struct {
	run           int // position among the runs of the series
	segment, cols int
	key, file     string // of the item, and its status file
}

// history is the history of the pixels of a panel.
type history struct {
	runs    int
	bad     []bool   // in the latest run
	badRuns []uint16 // number of runs in which the pixel was bad
	flips   []uint16 // number of changes between bad and good
	first   []int32  // run in which it turned bad first, 0 = never
}

// MakeTrend reads the status files of all items that are done, panel by panel: it holds one panel at a time, and the pixels
// that were not the same in all runs.
func MakeTrend(v *slurm.View, read StatusReader) (*Trend, error) {
	t := &Trend{Changes: map[string]*Change{}}
	at := map[string]int{}
	var groups [][]*slurm.Report
	items := slices.Clone(v.Items)
	slices.SortStableFunc(items, func(a, b *slurm.Report) int { return a.Run - b.Run })
	for _, s := range items {
		if s.State != slurm.Done {
			continue
		}
		n, known := at[series(s.Item)]
		if !known {
			n = len(groups)
			at[series(s.Item)], groups = n, append(groups, nil)
			t.Series = append(t.Series, &Series{Experiment: s.Experiment, Detector: s.Detector, Profile: s.Profile, chips: map[pedestalKey]*Pedestals{}})
		}
		groups[n] = append(groups[n], s)
	}
	for n, series := range t.Series {
		if err := series.follow(groups[n], read); err != nil {
			return nil, err
		}
		for i, it := range groups[n][1:] {
			r := series.Runs[i+1]
			t.Changes[it.Key] = &Change{series.Runs[i].Run, r.Turned}
		}
	}
	return t, nil
}

// follow takes the runs of a series in.
func (s *Series) follow(items []*slurm.Report, read StatusReader) error {
	visits := map[panelKey][]visit{}
	for i, it := range items {
		s.Runs = append(s.Runs, RunTrend{Run: it.Run})
		s.addPedestals(it)
		for _, g := range it.Summary.Groups {
			for _, p := range g.Panels {
				key := panelKey{p.ID, g.GainMode}
				if visits[key] == nil {
					s.keys = append(s.keys, key)
				}
				visits[key] = append(visits[key], visit{i, p.Segment, columns(it, p.Segment), it.Key, p.File})
			}
		}
	}
	s.fitPedestals()
	slices.SortFunc(s.keys, func(a, b panelKey) int {
		return cmp.Or(cmp.Compare(visits[a][0].segment, visits[b][0].segment), cmp.Compare(a.id, b.id), cmp.Compare(a.mode, b.mode))
	})
	for _, key := range s.keys {
		if err := s.followPanel(key, visits[key], read); err != nil {
			return err
		}
	}
	s.fitBad(visits)
	return nil
}

// fitBad finds the growth of the number of bad pixels in the runs that have all panels.
func (s *Series) fitBad(visits map[panelKey][]visit) {
	panels := make([]int, len(s.Runs))
	for _, list := range visits {
		for _, v := range list {
			panels[v.run]++
		}
	}
	var x, y []float64
	for i, r := range s.Runs {
		if panels[i] == len(visits) {
			x, y = append(x, float64(r.Run)), append(y, float64(r.Bad))
		}
	}
	s.Growth = drift(x, y, 1)
}

// followPanel takes a panel through its runs.
func (s *Series) followPanel(key panelKey, visits []visit, read StatusReader) error {
	var h *history
	var bad []int
	begin := 0 // of the visits with a panel of the same size
	for n, v := range visits {
		words, err := read(v.file)
		if err != nil {
			return fmt.Errorf("%s: %w", v.key, err)
		}
		if h == nil || len(h.bad) != len(words) {
			h = &history{bad: make([]bool, len(words)), badRuns: make([]uint16, len(words)), flips: make([]uint16, len(words)), first: make([]int32, len(words))}
			begin = n
		}
		before := s.Runs[v.run].Bad
		h.add(words, s.Runs[v.run].Run, &s.Runs[v.run])
		bad = append(bad, s.Runs[v.run].Bad-before)
	}
	if visits[begin].run == 0 && visits[len(visits)-1].run == len(s.Runs)-1 {
		s.Common.First, s.Common.Last, s.Common.Panels = s.Common.First+bad[begin], s.Common.Last+bad[len(bad)-1], s.Common.Panels+1
	}
	at := visits[begin]
	for i, flips := range h.flips {
		if flips == 0 {
			continue
		}
		if flips == 1 {
			s.turned++
		}
		s.unsteady = append(s.unsteady, pixel{key, at.segment, i / at.cols, i % at.cols, int(h.first[i]), int(h.badRuns[i]), h.runs, int(flips), h.bad[i]})
	}
	return nil
}

func columns(it *slurm.Report, segment int) int {
	for _, p := range it.Plan.Dataset.Panels {
		if p.Segment == segment {
			return p.Cols
		}
	}
	return 1
}

func (h *history) add(words []uint64, run int, r *RunTrend) {
	for i, v := range words {
		bad := v != 0
		if bad {
			r.Bad++
			h.badRuns[i]++
		}
		if bad && h.first[i] == 0 {
			h.first[i] = int32(run)
			if h.runs > 0 {
				r.FirstBad++
			}
		}
		if h.runs > 0 && bad != h.bad[i] {
			h.flips[i]++
			r.Count(h.bad[i], bad)
		}
		h.bad[i] = bad
	}
	h.runs++
}

// WriteRuns writes the bad pixels of every run as CSV.
func (t *Trend) WriteRuns(w io.Writer) error {
	lines := [][]string{{"exp", "detector", "profile", "run", "bad", "newly_bad", "newly_good", "first_bad"}}
	n := strconv.Itoa
	for _, s := range t.Series {
		for _, r := range s.Runs {
			lines = append(lines, []string{s.Experiment, s.Detector, s.Profile, n(r.Run), n(r.Bad), n(r.NewlyBad), n(r.NewlyGood), n(r.FirstBad)})
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// WritePixels writes as CSV the pixels that were not the same in all runs: those that come and go and those that
// turned bad, with the first run in which they were bad.
func (t *Trend) WritePixels(w io.Writer) error {
	cw := csv.NewWriter(w)
	if err := cw.Write([]string{"exp", "detector", "profile", "segment", "panel", "gain_mode", "row", "col", "first_bad_run", "bad_runs", "runs", "changes", "bad_now"}); err != nil {
		return err
	}
	n := strconv.Itoa
	for _, s := range t.Series {
		for _, p := range s.unsteady {
			if err := cw.Write([]string{s.Experiment, s.Detector, s.Profile, n(p.segment), p.key.id, p.key.mode, n(p.row), n(p.col),
				n(p.first), n(p.badRuns), n(p.runs), n(p.changes), strconv.FormatBool(p.bad)}); err != nil {
				return err
			}
		}
	}
	cw.Flush()
	return cw.Error()
}

// WriteText says in a few lines how many pixels stayed, came, went, and how pedestals moved.
func (t *Trend) WriteText(w io.Writer) error {
	for _, s := range t.Series {
		if len(s.Runs) < 2 {
			continue
		}
		first, last := s.Runs[0], s.Runs[len(s.Runs)-1]
		changed := "no panel is in both"
		if s.Common.Panels > 0 {
			changed = fmt.Sprintf("%s became %d", fault.Count(s.Common.First, "bad pixel"), s.Common.Last)
		}
		if g := s.Growth; g != nil && g.P < chance {
			changed += ", " + g.text("")
		}
		if _, err := fmt.Fprintf(w, "%s %s %s, runs %d to %d: %s; %d turned once, %d come and go\n",
			s.Experiment, s.Detector, s.Profile, first.Run, last.Run, changed, s.turned, len(s.unsteady)-s.turned); err != nil {
			return err
		}
		if err := s.writePedestals(w); err != nil {
			return err
		}
	}
	return nil
}
