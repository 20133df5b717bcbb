package campaign

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"rawstatus/internal/fault"
)

// StatusReader reads the status of one panel in one gain mode.
type StatusReader func(path string) ([]uint64, error)

// Trend follows the pixels of each series (experiment, detector, profile) through its runs in ascending order.
type Trend struct {
	Series  []*Series
	Changes map[string]*Change // by item key
}

// Series is what happened in one experiment, detector and profile.
type Series struct {
	Experiment, Detector, Profile string

	Runs   []RunTrend
	panels map[panelKey]*history
	chips  map[pedestalKey]*Pedestals
}

// RunTrend is one run of a series.
type RunTrend struct {
	Run       int
	Bad       int
	NewlyBad  int // against the run before in which the panel was there
	NewlyGood int
	FirstBad  int // pixels that had been good in every run before
}

// panelKey is a panel in a gain mode. Panels are known by id: detectors are taken apart and put together.
type panelKey struct{ id, mode string }

// history is what happened to the pixels of a panel.
type history struct {
	segment, cols int
	runs          int
	bad           []bool   // in the latest run
	badRuns       []uint16 // number of runs in which the pixel was bad
	flips         []uint16 // number of changes between bad and good
	first         []int32  // run in which it turned bad first, 0 = never
}

// MakeTrend reads the status files of all items that are done.
func MakeTrend(v *View, read StatusReader) (*Trend, error) {
	t := &Trend{Changes: map[string]*Change{}}
	byName := map[string]*Series{}
	items := slices.Clone(v.Items)
	slices.SortStableFunc(items, func(a, b *State) int { return a.Run - b.Run })
	for _, s := range items {
		if s.State != Done {
			continue
		}
		series := byName[s.series()]
		if series == nil {
			series = &Series{Experiment: s.Experiment, Detector: s.Detector, Profile: s.Profile, panels: map[panelKey]*history{}, chips: map[pedestalKey]*Pedestals{}}
			byName[s.series()] = series
			t.Series = append(t.Series, series)
		}
		r, err := series.add(s, read)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Key, err)
		}
		if n := len(series.Runs); n > 0 {
			t.Changes[s.Key] = &Change{Previous: series.Runs[n-1].Run, NewlyBad: r.NewlyBad, NewlyGood: r.NewlyGood}
		}
		series.Runs = append(series.Runs, r)
		series.addPedestals(s)
	}
	return t, nil
}

// add takes the status of one run in.
func (s *Series) add(it *State, read StatusReader) (RunTrend, error) {
	r := RunTrend{Run: it.Run}
	for _, g := range it.Summary.Groups {
		for _, p := range g.Panels {
			status, err := read(p.File)
			if err != nil {
				return r, err
			}
			key := panelKey{p.ID, g.GainMode}
			h := s.panels[key]
			if h == nil || len(h.bad) != len(status) {
				h = &history{segment: p.Segment, cols: columns(it, p.Segment), bad: make([]bool, len(status)), badRuns: make([]uint16, len(status)),
					flips: make([]uint16, len(status)), first: make([]int32, len(status))}
				s.panels[key] = h
			}
			h.add(status, it.Run, &r)
		}
	}
	return r, nil
}

func columns(it *State, segment int) int {
	for _, p := range it.plan.Dataset.Panels {
		if p.Segment == segment {
			return p.Cols
		}
	}
	return 1
}

func (h *history) add(status []uint64, run int, r *RunTrend) {
	for i, v := range status {
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
			if bad {
				r.NewlyBad++
			} else {
				r.NewlyGood++
			}
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
		for _, key := range s.keys() {
			h := s.panels[key]
			for i, flips := range h.flips {
				if flips == 0 {
					continue
				}
				if err := cw.Write([]string{s.Experiment, s.Detector, s.Profile, n(h.segment), key.id, key.mode, n(i / h.cols), n(i % h.cols),
					n(int(h.first[i])), n(int(h.badRuns[i])), n(h.runs), n(int(flips)), strconv.FormatBool(h.bad[i])}); err != nil {
					return err
				}
			}
		}
	}
	cw.Flush()
	return cw.Error()
}

func (s *Series) keys() []panelKey {
	var keys []panelKey
	for k := range s.panels {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b panelKey) int {
		if d := s.panels[a].segment - s.panels[b].segment; d != 0 {
			return d
		}
		if a.id != b.id {
			return cmp.Compare(a.id, b.id)
		}
		return cmp.Compare(a.mode, b.mode)
	})
	return keys
}

// WriteText says in a few lines how many pixels stayed, came, went, and how pedestals moved.
func (t *Trend) WriteText(w io.Writer) error {
	for _, s := range t.Series {
		if len(s.Runs) < 2 {
			continue
		}
		var turned, unsteady int
		for _, h := range s.panels {
			for _, flips := range h.flips {
				switch {
				case flips == 1:
					turned++
				case flips > 1:
					unsteady++
				}
			}
		}
		first, last := s.Runs[0], s.Runs[len(s.Runs)-1]
		if _, err := fmt.Fprintf(w, "%s %s %s, runs %d to %d: %s became %d; %d turned once, %d come and go\n",
			s.Experiment, s.Detector, s.Profile, first.Run, last.Run, fault.Count(first.Bad, "bad pixel"), last.Bad, turned, unsteady); err != nil {
			return err
		}
		if err := s.writePedestals(w); err != nil {
			return err
		}
	}
	return nil
}
