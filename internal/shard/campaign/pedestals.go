package campaign

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/reduce"
)

// Pedestals follow the pedestals of one readout chip in one gain mode through the dark runs of a series.
type Pedestals struct {
	Experiment string `json:"exp"`
	Detector   string `json:"detector"`
	Profile    string `json:"profile"`
	Segment    int    `json:"segment"` // in the latest run
	Panel      string `json:"panel"`
	GainMode   string `json:"gain_mode,omitempty"`
	Row        int    `json:"row"` // first pixel of the chip
	Col        int    `json:"col"`

	Runs []PedestalRun `json:"runs"`
}

// PedestalRun is a chip in one run, in ADU.
type PedestalRun struct {
	Run    int     `json:"run"`
	Median float64 `json:"median"`
	Spread float64 `json:"spread"`
	RMS    float64 `json:"rms"`
	// Shift is the median less that of the run before in which the chip was there; Step: it is more than the noise explains.
	Shift float64 `json:"shift"`
	Step  bool    `json:"step,omitempty"`
}

const (
	stepSigmas = 3   // a shift of more than so many times the median noise of a pixel is a step
	leastNoise = 0.5 // ADU; quieter chips are not read out
)

// pedestalKey is a chip in a gain mode. Panels are known by id.
type pedestalKey struct {
	panelKey
	row, col int
}

// addPedestals takes the chips of one run in.
func (s *Series) addPedestals(it *State) {
	for _, g := range it.Summary.Groups {
		for _, p := range g.Panels {
			for _, chip := range p.Pedestals {
				s.addChip(it.Run, pedestalKey{panelKey{p.ID, g.GainMode}, chip.Row, chip.Col}, p.Segment, chip)
			}
		}
	}
}

func (s *Series) addChip(run int, key pedestalKey, segment int, chip reduce.Chip) {
	p := s.chips[key]
	if p == nil {
		p = &Pedestals{Experiment: s.Experiment, Detector: s.Detector, Profile: s.Profile, Panel: key.id, GainMode: key.mode, Row: chip.Row, Col: chip.Col}
		s.chips[key] = p
	}
	p.Segment = segment
	r := PedestalRun{Run: run, Median: chip.Median, Spread: chip.Spread, RMS: chip.RMS}
	if n := len(p.Runs); n > 0 {
		before := p.Runs[n-1]
		r.Shift = math.Round(1000*(r.Median-before.Median)) / 1000 // of thousandths
		r.Step = math.Abs(r.Shift) > stepSigmas*max(r.RMS, before.RMS, leastNoise)
	}
	p.Runs = append(p.Runs, r)
}

// Pedestals returns the chips of all series, by series, segment, gain mode and place.
func (t *Trend) Pedestals() []*Pedestals {
	list := []*Pedestals{}
	for _, s := range t.Series {
		list = append(list, s.pedestals()...)
	}
	return list
}

func (s *Series) pedestals() (list []*Pedestals) {
	for _, key := range s.keys {
		var chips []*Pedestals
		for k, p := range s.chips {
			if k.panelKey == key {
				chips = append(chips, p)
			}
		}
		slices.SortFunc(chips, func(a, b *Pedestals) int {
			if a.Row != b.Row {
				return a.Row - b.Row
			}
			return a.Col - b.Col
		})
		list = append(list, chips...)
	}
	return list
}

// WritePedestals writes as CSV the pedestals of every chip in every run.
func (t *Trend) WritePedestals(w io.Writer) error {
	lines := [][]string{{"exp", "detector", "profile", "run", "segment", "panel", "gain_mode", "row", "col", "median", "spread", "rms", "shift", "step"}}
	n, f := strconv.Itoa, func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	for _, p := range t.Pedestals() {
		for _, r := range p.Runs {
			lines = append(lines, []string{p.Experiment, p.Detector, p.Profile, n(r.Run), n(p.Segment), p.Panel, p.GainMode, n(p.Row), n(p.Col),
				f(r.Median), f(r.Spread), f(r.RMS), f(r.Shift), strconv.FormatBool(r.Step)})
		}
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// shownSteps bounds the steps that are named.
const shownSteps = 20

// writePedestals names the chip that drifted furthest, and the steps, the earliest first.
func (s *Series) writePedestals(w io.Writer) error {
	type step struct {
		p *Pedestals
		r PedestalRun
	}
	var steps []step
	var drift float64
	var far *Pedestals
	list := s.pedestals()
	for _, p := range list {
		if d := p.Runs[len(p.Runs)-1].Median - p.Runs[0].Median; far == nil || math.Abs(d) > math.Abs(drift) {
			drift, far = d, p
		}
		for _, r := range p.Runs {
			if r.Step {
				steps = append(steps, step{p, r})
			}
		}
	}
	if far == nil {
		return nil
	}
	first, last := far.Runs[0], far.Runs[len(far.Runs)-1]
	if _, err := fmt.Fprintf(w, "%s %s %s: pedestals of %s, runs %d to %d: the largest drift is %+.3f ADU (%s), from %.3f to %.3f; %s\n", s.Experiment, s.Detector, s.Profile,
		fault.Count(len(list), "chip"), first.Run, last.Run, drift, far.where(), first.Median, last.Median, fault.Count(len(steps), "step")); err != nil {
		return err
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.r.Run - b.r.Run })
	for i, x := range steps {
		if i == shownSteps {
			_, err := fmt.Fprintf(w, "  and %s more: pedestals.csv\n", fault.Count(len(steps)-i, "step"))
			return err
		}
		if _, err := fmt.Fprintf(w, "  step in run %d: %s by %+.3f ADU to %.3f, noise %.3f\n", x.r.Run, x.p.where(), x.r.Shift, x.r.Median, x.r.RMS); err != nil {
			return err
		}
	}
	return nil
}

// where names the chip.
func (p *Pedestals) where() string {
	mode := ""
	if p.GainMode != "" {
		mode = " " + p.GainMode
	}
	return fmt.Sprintf("segment %d%s chip at row %d column %d", p.Segment, mode, p.Row, p.Col)
}
