package publish

import (
	"context"
	"fmt"
	"io"
	"slices"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
)

// Impact is what a deployment changes for a stretch of runs that use the same constants now. Pixels count in each gain mode.
type Impact struct {
	Runs      calib.Range `json:"runs"`
	Instead   string      `json:"instead_of,omitempty"` // what they use now; empty: nothing, no pixel is masked
	NewlyBad  int         `json:"newly_bad"`
	NewlyGood int         `json:"newly_good"`
	// Whole is set when the pixels cannot be compared, and why: all of the mask may change.
	Whole string `json:"cannot_be_compared,omitempty"`
}

// Pixels is the number of pixels whose mask changes.
func (i Impact) Pixels() int { return i.NewlyBad + i.NewlyGood }

// String is the impact as a line.
func (i Impact) String() string {
	switch {
	case i.Whole != "":
		return fmt.Sprintf("mask of runs %s changes: %s", i.Runs.Runs(), i.Whole)
	case i.Pixels() == 0:
		return fmt.Sprintf("mask of runs %s stays as it is", i.Runs.Runs())
	}
	return fmt.Sprintf("mask of runs %s changes: %d newly bad, %d newly good", i.Runs.Runs(), i.NewlyBad, i.NewlyGood)
}

// impacts compares what is planned with what each stretch of affected runs uses now.
func (p *Plan) impacts(ctx context.Context, place calib.Place, items []calib.Item) []Impact {
	known := map[string]Impact{"": {NewlyBad: p.Bad}}
	if c := p.Current; c != nil { // it was compared plane by plane
		i := Impact{Instead: c.Name, NewlyBad: c.NewlyBad, NewlyGood: c.NewlyGood, Whole: c.Problem}
		if c.Unequal {
			i.Whole = "the array has another size"
		}
		known[c.Name] = i
	}
	var out []Impact
	for _, use := range p.Effect.Instead {
		i, ok := known[use.Name]
		if !ok {
			i = p.against(ctx, place, items[slices.IndexFunc(items, func(x calib.Item) bool { return x.Name == use.Name })])
			known[use.Name] = i
		}
		i.Runs = use.Runs
		out = append(out, i)
	}
	return out
}

// against compares what is planned with one constant.
func (p *Plan) against(ctx context.Context, place calib.Place, item calib.Item) Impact {
	i := Impact{Instead: item.Name}
	old, _, err := place.Read(ctx, item)
	switch {
	case err != nil:
		i.Whole = err.Error()
		return i
	case len(old.Values) != len(p.merged.array.Values):
		i.Whole = "the array has another size"
		return i
	}
	for k, word := range p.merged.array.Values {
		switch was := old.Values[k]; {
		case was == 0 && word != 0:
			i.NewlyBad++
		case was != 0 && word == 0:
			i.NewlyGood++
		}
	}
	return i
}

// RunImpact is what a deployment changes for one run.
type RunImpact struct {
	Run       int    `json:"run"`
	Instead   string `json:"instead_of,omitempty"`
	NewlyBad  int    `json:"newly_bad"`
	NewlyGood int    `json:"newly_good"`
	Whole     string `json:"cannot_be_compared,omitempty"`
}

// Runs picks the runs whose mask changes by more than some pixels.
func (p *Plan) Runs(of []int, more int) []RunImpact {
	list := []RunImpact{}
	for _, run := range of {
		for _, i := range p.Impact {
			if i.Runs.Has(run) && (i.Pixels() > more || i.Whole != "") {
				list = append(list, RunImpact{run, i.Instead, i.NewlyBad, i.NewlyGood, i.Whole})
			}
		}
	}
	return list
}

// WriteRuns prints runs as a table.
func WriteRuns(w io.Writer, list []RunImpact, of, more int) {
	fmt.Fprintf(w, "%d of %d runs with data change their mask by more than %d pixels\n", len(list), of, more)
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
