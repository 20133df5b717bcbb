package pages

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"rawstatus/internal/io/repo"
	"rawstatus/internal/report"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/stats/status"
)

// historyRuns is how many earlier runs a report looks at.
const historyRuns = 20

// pastRuns looks up what became of pixels in the run of a report and the runs before it, from the repository that its status
// files are in.
type pastRuns struct {
	m     *Maker
	sum   *reduce.Summary
	names []string // of runs that begin a stretch of bad ones
	at    map[string]int16
}

func (m *Maker) newPastRuns(sum *reduce.Summary) *pastRuns {
	return &pastRuns{m: m, sum: sum, at: map[string]int16{}}
}

// name returns the position of a run's name.
func (h *pastRuns) name(f repo.Name) int16 {
	text := fmt.Sprintf("run %d", f.Run)
	if f.Experiment != h.sum.Run.Experiment {
		text += " of " + f.Experiment
	}
	i, ok := h.at[text]
	if !ok {
		i = int16(len(h.names))
		h.at[text], h.names = i, append(h.names, text)
	}
	return i
}

// quantities returns since which run a pixel is bad without interruption, in how many runs it was, and how many judged it.
// Runs that could not judge it neither begin nor end a stretch.
// before is the sidecar of the youngest run before, as far as there is one.
func (h *pastRuns) quantities(gain string, segment, sub int, words []uint64) (list []report.Quantity, before *repo.Sidecar, err error) {
	path := h.file(gain, segment, sub)
	panel := filepath.Dir(filepath.Dir(path))
	own, ok := repo.ParseName(filepath.Base(path), filepath.Base(filepath.Dir(path)))
	if path == "" || !ok {
		return pastQuantities(nil, make([]uint8, len(words)), make([]uint8, len(words))), nil, nil
	}
	r := repo.New(filepath.Dir(filepath.Dir(panel)), nil, h.m.Site.Location())
	files, _, err := r.Files(filepath.Base(filepath.Dir(panel)), filepath.Base(panel), own.CType)
	if err != nil {
		return nil, nil, err
	}
	var earlier []repo.Found  // of equal runs the preferred file
	for _, f := range files { // by time
		same := func(x repo.Name) bool { return x.Run == f.Run && x.Experiment == f.Experiment && x.Stamp == f.Stamp }
		if same(own) {
			break
		}
		if !f.Slice && f.GainMode == own.GainMode && !slices.ContainsFunc(earlier, func(x repo.Found) bool { return same(x.Name) }) {
			earlier = append(earlier, f)
		}
	}
	since := make([]int16, len(words)) // -1: good
	bad, judged := make([]uint8, len(words)), make([]uint8, len(words))
	for i := range since {
		since[i] = -1
	}
	add := func(name repo.Name, words []uint64) {
		at := h.name(name)
		for i, w := range words {
			if w&status.NotJudged != 0 {
				continue
			}
			judged[i]++
			if w == 0 {
				since[i] = -1
				continue
			}
			bad[i]++
			if since[i] < 0 {
				since[i] = at
			}
		}
	}
	for _, f := range earlier[max(0, len(earlier)-historyRuns):] {
		read, err := r.ReadStatus(f.Path, nil)
		if err != nil || read.Pixels != len(words) {
			h.m.Log.Warnf("the history in the report lacks %q: %v", f.Path, err)
			continue
		}
		before = read.Sidecar
		add(f.Name, read.Dense())
	}
	add(own, words)
	return pastQuantities(since, bad, judged), before, nil
}

// pastQuantities makes the quantities; since is nil where nothing is known.
func pastQuantities(since []int16, bad, judged []uint8) []report.Quantity {
	return []report.Quantity{
		{Name: "bad since", Unit: report.RunUnit, Value: func(i int) float64 {
			if since == nil || since[i] < 0 {
				return math.NaN()
			}
			return float64(since[i])
		}},
		{Name: "runs bad", Unit: report.CountUnit, Value: func(i int) float64 { return float64(bad[i]) }},
		{Name: "runs judged", Unit: report.CountUnit, Value: func(i int) float64 { return float64(judged[i]) }},
	}
}

// file returns the status file of a unit as the last reduction wrote it, empty where there is none.
func (h *pastRuns) file(gain string, segment, sub int) string {
	for _, g := range h.sum.Groups {
		for _, p := range g.Panels {
			if g.GainMode == gain && p.Segment == segment && p.Sub == sub {
				return p.File
			}
		}
	}
	return ""
}
