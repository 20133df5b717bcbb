package campaign

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/stats/trend"
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
	// Drift is the line through the medians of at least three runs; Level a lasting change that is no chance.
	Drift *Drift `json:"drift,omitempty"`
	Level *Level `json:"level,omitempty"`
}

// Drift is the slope of a line through the runs, by run number.
type Drift struct {
	PerRun float64 `json:"per_run"`
	Error  float64 `json:"error"`
	P      float64 `json:"p"`
}

// Level is a lasting change between two runs.
type Level struct {
	Run    int     `json:"run"` // first run of the new level
	Change float64 `json:"change"`
	P      float64 `json:"p"`
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
	chance     = 0.01 // what noise alone does less often than this is taken for real; of a series, not of each of its chips
	stepSigmas = 3    // a shift of more than so many times the median noise of a pixel is a step
	leastNoise = 0.5  // ADU; quieter chips are not read out
)

// pedestalKey is a chip in a gain mode. Panels are known by id.
type pedestalKey struct {
	panelKey
	row, col int
}

// addPedestals takes the chips of one run in.
func (s *Series) addPedestals(it *slurm.Report) {
	for _, g := range it.Summary.Groups {
		for _, p := range g.Panels {
			for _, chip := range p.Pedestals {
				s.addChip(it.Run, pedestalKey{panelKey{p.ID, g.GainMode}, chip.Row, chip.Col}, p.Segment, chip)
			}
		}
	}
}

func (s *Series) addChip(run int, key pedestalKey, segment int, chip status.Chip) {
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

// fitPedestals finds drifts and lasting changes of level. One chip of many deviates by chance sooner than one alone, so the chance
// of each is multiplied by their number.
func (s *Series) fitPedestals() {
	for _, p := range s.chips {
		x, y := make([]float64, len(p.Runs)), make([]float64, len(p.Runs))
		for i, r := range p.Runs {
			x[i], y[i] = float64(r.Run), r.Median
		}
		p.Drift = drift(x, y, len(s.chips))
		if l, ok := trend.Find(x, y); ok && l.P*float64(len(s.chips)) < chance {
			p.Level = &Level{Run: p.Runs[l.At].Run, Change: rounded(l.Change), P: rounded(l.P * float64(len(s.chips)))}
		}
	}
}

// drift returns the line through a series, one of many; nil where there are too few points.
func drift(x, y []float64, many int) *Drift {
	l, ok := trend.Fit(x, y)
	if !ok {
		return nil
	}
	return &Drift{PerRun: rounded(l.Slope), Error: rounded(l.Error), P: rounded(min(1, l.P*float64(many)))}
}

// text returns for example "+1.25 +- 0.03 ADU per run (p 0.002)".
func (d *Drift) text(unit string) string {
	return fmt.Sprintf("%+.4g +- %.2g%s per run (p %.2g)", d.PerRun, d.Error, unit, d.P)
}

// rounded returns four significant digits, which do not depend on the processor.
func rounded(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	return r
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

// writePedestals names the chip that moved furthest, the one that drifts fastest, and changes of level and steps, the
// earliest first.
func (s *Series) writePedestals(w io.Writer) error {
	type step struct {
		run  int
		text string
	}
	var steps, levels []step
	var moved float64
	var far, fast *Pedestals
	drifts := 0
	list := s.pedestals()
	for _, p := range list {
		if d := p.Runs[len(p.Runs)-1].Median - p.Runs[0].Median; far == nil || math.Abs(d) > math.Abs(moved) {
			moved, far = d, p
		}
		for _, r := range p.Runs {
			if r.Step {
				steps = append(steps, step{r.Run, fmt.Sprintf("step in run %d: %s by %+.3f ADU to %.3f, noise %.3f", r.Run, p.where(), r.Shift, r.Median, r.RMS)})
			}
		}
		if l := p.Level; l != nil {
			levels = append(levels, step{l.Run, fmt.Sprintf("new level from run %d on: %s by %+.3f ADU (p %.2g)", l.Run, p.where(), l.Change, l.P)})
		} else if d := p.Drift; d != nil && d.P < chance {
			drifts++
			if fast == nil || math.Abs(d.PerRun) > math.Abs(fast.Drift.PerRun) {
				fast = p
			}
		}
	}
	if far == nil {
		return nil
	}
	first, last := far.Runs[0], far.Runs[len(far.Runs)-1]
	if _, err := fmt.Fprintf(w, "%s %s %s: pedestals of %s, runs %d to %d: the largest shift is %+.3f ADU (%s), from %.3f to %.3f; %s, %s of level, %s\n", s.Experiment, s.Detector, s.Profile,
		fault.Count(len(list), "chip"), first.Run, last.Run, moved, far.where(), first.Median, last.Median, fault.Count(drifts, "steady drift"), fault.Count(len(levels), "lasting change"), fault.Count(len(steps), "step")); err != nil {
		return err
	}
	if fast != nil {
		if _, err := fmt.Fprintf(w, "  fastest drift: %s by %s\n", fast.where(), fast.Drift.text(" ADU")); err != nil {
			return err
		}
	}
	steps = append(levels, steps...)
	slices.SortStableFunc(steps, func(a, b step) int { return a.run - b.run })
	for i, x := range steps {
		if i == shownSteps {
			_, err := fmt.Fprintf(w, "  and %d more: report.json\n", len(steps)-i)
			return err
		}
		if _, err := fmt.Fprintf(w, "  %s\n", x.text); err != nil {
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
