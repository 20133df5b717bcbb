package publish

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// RunImpact is the effect of a deployment on one run, in pixels as analysis masks them.
type RunImpact struct {
	Run     int    `json:"run"`
	Instead string `json:"instead_of,omitempty"`
	status.Turned
	Whole string `json:"cannot_be_compared,omitempty"`
}

// Runs picks the runs whose mask changes by more than some pixels.
func (p *Plan) Runs(of []int, more int) []RunImpact {
	list := []RunImpact{}
	for _, run := range of {
		for _, s := range p.Stretches {
			whole := cmp.Or(s.Problem, s.Unequal)
			if s.has(run) && (s.NewlyBad+s.NewlyGood > more || whole != "") {
				list = append(list, RunImpact{run, s.Now, s.Turned, whole})
			}
		}
	}
	return list
}

// WriteRuns prints runs as a table.
func WriteRuns(w io.Writer, list []RunImpact, of, more int) {
	fmt.Fprintf(w, "%d of %s with data change their mask by more than %s\n", len(list), fault.Count(of, "run"), fault.Count(more, "pixel"))
	if len(list) > 0 {
		fmt.Fprintf(w, "%6s %10s %10s  %s\n", "run", "newly bad", "newly good", "now")
	}
	for _, r := range list {
		now := r.Instead
		if now == "" {
			now = "nothing"
		}
		if r.Whole != "" {
			fmt.Fprintf(w, "%6d %10s %10s  %s (%s)\n", r.Run, "?", "?", now, r.Whole)
			continue
		}
		fmt.Fprintf(w, "%6d %10d %10d  %s\n", r.Run, r.NewlyBad, r.NewlyGood, now)
	}
}

// KnownRuns lists the runs of the subject's experiment that have status files of its panels, or raw files where raw says,
// ascending.
func (s *Subject) KnownRuns(r *repo.Repo, raw open.Dataset) ([]int, error) {
	var runs []int
	for _, p := range s.Panels {
		types, err := r.StatusTypes(s.Type, p.Dir)
		if err != nil {
			return nil, err
		}
		for _, t := range types {
			files, _, err := r.Files(s.Type, p.Dir, t)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				if f.Experiment == s.Run.Experiment {
					runs = append(runs, f.Run)
				}
			}
		}
	}
	raw.Experiment = s.Run.Experiment
	if raw.Dir != "" || len(raw.Roots) > 0 {
		more, err := open.Runs(raw)
		if err != nil {
			return nil, err
		}
		runs = append(runs, more...)
	}
	slices.Sort(runs)
	return slices.Compact(runs), nil
}
