package post

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/reduce"
	"rawstatus/internal/stats/status"
)

// Job is the input of an outcome.
type Job struct {
	Summary *reduce.Summary // nil: the job failed before it had one
	Policy  *access.Policy
	Zone    *time.Location // of the time-stamps in names
	// For a failed job.
	Experiment string
	Run        int
	Detector   string
	Plan       string
	Failure    string

	Deployment string // what became of it, one sentence; empty: none was asked for
	Undeployed bool   // it was asked for and did not succeed
	Report     string // path of the page; empty: none
	Whole      string // path of the whole page, when Report is a smaller one
	Title      string
	Tags       []string
}

// gainCounts are the bad pixels of one gain mode over all panels.
type gainCounts struct {
	name   string
	bits   []status.Line
	bad    int
	pixels int
	before *gainBefore // nil when a panel has no status of an earlier run
}

// gainBefore is the same of the earlier run.
type gainBefore struct {
	counts status.Counts
	diff   status.Diff
}

// panelWords collects the words of one panel over its gain modes: a pixel is bad in any of them.
type panelWords struct {
	now, before status.Sparse
	lacking     bool // a gain mode has no status of an earlier run
}

// add merges the words of one gain mode into those of the panel.
func add(all *status.Sparse, bad status.Sparse) (err error) {
	switch {
	case all.Pixels == 0:
		*all = bad
	case all.Pixels != bad.Pixels:
		return fmt.Errorf("the gain modes of a panel have %d and %s", all.Pixels, fault.Count(bad.Pixels, "pixel"))
	default:
		*all, err = all.Or(bad)
	}
	return err
}

// Build makes the outcome of a job: it reads the status files that the summary names, and those of the
// run before.
func Build(j Job) (*Outcome, error) {
	o := &Outcome{Experiment: j.Experiment, Run: j.Run, Detector: j.Detector, Plan: j.Plan, State: Failed, Title: j.Title, Tags: j.Tags}
	if j.Summary == nil {
		o.Params = map[string]any{category + label(j.Detector) + "_state": Failed}
		o.HTML = failureHTML(o, j.Failure)
		return o, o.seal()
	}
	s := j.Summary
	o.Experiment, o.Run, o.Detector, o.Plan, o.Report = s.Run.Experiment, s.Run.Number, s.Detector, s.Plan, j.Report
	switch o.State = Done; {
	case j.Undeployed:
		o.State = Failed
	case len(s.Incomplete) > 0:
		o.State = Incomplete
	}
	gains, panels, earlier, err := count(j)
	if err != nil {
		return nil, err
	}
	for _, g := range gains {
		o.Bad += g.bad
		o.Pixels += g.pixels
	}
	o.Params = params(s, o.State, gains, panels)
	o.HTML = html(j, o, gains, earlier)
	return o, o.seal()
}

// count reads the status files of the run and of the run before.
func count(j Job) (gains []gainCounts, panels []*panelWords, earlier string, err error) {
	byID := map[string]*panelWords{}
	for _, g := range j.Summary.Groups {
		gain := gainCounts{name: g.GainMode, bits: g.Bits, bad: g.Bad, pixels: g.Pixels, before: &gainBefore{}}
		for _, p := range g.Panels {
			key := fmt.Sprint(p.Segment, "/", p.Sub)
			words := byID[key]
			if words == nil {
				words = &panelWords{}
				byID[key], panels = words, append(panels, words)
			}
			r := j.repository(p.File)
			now, known := p.BadPixels()
			if !known {
				read, err := r.ReadStatus(p.File, nil)
				if err != nil {
					return nil, nil, "", err
				}
				now = status.Sparse(read.Sparse)
			}
			if err := add(&words.now, now); err != nil {
				return nil, nil, "", fault.New(fault.Input, "%s: %w", p.File, err)
			}
			before, label, err := j.before(r, p.File, g.GainMode, now.Pixels)
			if err != nil {
				return nil, nil, "", err
			}
			if before.Pixels == 0 {
				words.lacking, gain.before = true, nil
				continue
			}
			earlier = label
			if err := add(&words.before, before); err != nil {
				return nil, nil, "", fault.New(fault.Input, "%s: %w", label, err)
			}
			if gain.before != nil {
				gain.before.counts.Add(before.Count())
				diff, err := now.Compare(before)
				if err != nil {
					return nil, nil, "", fault.New(fault.Input, "%s: %w", label, err)
				}
				gain.before.diff.Add(diff)
			}
		}
		gains = append(gains, gain)
	}
	return gains, panels, earlier, nil
}

// repository returns the repository that a status file is in: <root>/<type>/<panel>/<ctype>/<file>.
func (j Job) repository(file string) *repo.Repo {
	root := file
	for range 4 {
		root = filepath.Dir(root)
	}
	return repo.New(root, j.Policy, j.Zone)
}

// before returns the status of the youngest run before that of a status file, of the same panel, type and
// gain mode; no pixels when there is none of the same size.
func (j Job) before(r *repo.Repo, file, gainMode string, pixels int) (bad status.Sparse, label string, err error) {
	ctype := filepath.Base(filepath.Dir(file))
	panel := filepath.Base(filepath.Dir(filepath.Dir(file)))
	files, _, err := r.Files(j.Summary.Type, panel, ctype)
	if err != nil {
		return bad, "", err
	}
	own, ok := repo.ParseName(filepath.Base(file), ctype)
	if !ok {
		return bad, "", fault.New(fault.Input, "%s is not the name of a status file", file)
	}
	for _, f := range slices.Backward(files) {
		if f.Stamp >= own.Stamp || f.Slice || f.GainMode != gainMode {
			continue
		}
		read, err := r.ReadStatus(f.Path, nil)
		if err != nil {
			return bad, "", err
		}
		if read.Pixels != pixels {
			return bad, "", nil
		}
		return status.Sparse(read.Sparse), fmt.Sprintf("run %d of %s", f.Run, f.Experiment), nil
	}
	return bad, "", nil
}

// category is the group of the run table in which the parameters are shown.
const category = "Pixel Status/"

// darkNames are the names under which the run table has the bits of dark runs already.
var darkNames = map[string]string{
	"RMS_HIGH": "rms_high", "RMS_LOW": "rms_low", "INT_HIGH": "adu_high_frac", "INT_LOW": "adu_low_frac",
	"AVE_HIGH": "adu_av_high", "AVE_LOW": "adu_av_low", "GAIN_STATE": "bad_switch",
}

// label returns a detector's name for use in the name of a parameter, where a slash would begin a category.
func label(detector string) string { return strings.ReplaceAll(detector, "/", "_") }

// none is the value of a parameter that compares, where there is nothing to compare with.
const none = "-"

// params returns the run-table parameters.
func params(s *reduce.Summary, state string, gains []gainCounts, panels []*panelWords) map[string]any {
	prefix := category + label(s.Detector) + "_"
	if s.Params.Profile != "dark" {
		prefix += s.Params.Profile + "_"
	}
	out := map[string]any{prefix + "state": state}
	var now status.Counts
	var diff status.Diff
	compared := len(panels) > 0
	for _, p := range panels {
		now.Add(p.now.Count())
		if p.lacking {
			compared = false
			continue
		}
		// The lengths are equal: count has compared every gain mode.
		if d, err := p.now.Compare(p.before); err == nil {
			diff.Add(d)
		}
	}
	for _, b := range bitsOf(gains) {
		name := strings.ToLower(b.Name)
		if s.Params.Profile == "dark" && darkNames[b.Name] != "" {
			name = darkNames[b.Name]
		}
		out[prefix+"n_"+name] = now.Of(b.Value)
	}
	out[prefix+"n_no_data"] = now.Of(status.NoData)
	out[prefix+"total_masked"] = now.Bad
	out[prefix+"n_new"], out[prefix+"n_gone"] = any(none), any(none)
	if compared {
		out[prefix+"n_new"], out[prefix+"n_gone"] = diff.NewlyBad, diff.NewlyGood
	}
	if len(gains) < 2 {
		return out
	}
	for i, g := range gains {
		out[fmt.Sprintf("%scycle%d", prefix, i)] = g.bad
		if g.name == "" {
			continue
		}
		of := prefix + g.name + "_"
		out[of+"n_bad"] = g.bad
		out[of+"n_new"], out[of+"n_gone"] = any(none), any(none)
		if g.before != nil {
			out[of+"n_new"], out[of+"n_gone"] = g.before.diff.NewlyBad, g.before.diff.NewlyGood
		}
	}
	return out
}

// bitsOf returns the bits that any gain mode lists, ascending.
func bitsOf(gains []gainCounts) []status.Line {
	var bits []status.Line
	for _, g := range gains {
		for _, b := range g.bits {
			if !slices.ContainsFunc(bits, func(o status.Line) bool { return o.Value == b.Value }) {
				bits = append(bits, b)
			}
		}
	}
	slices.SortFunc(bits, func(a, b status.Line) int { return int(min(1, max(-1, int64(a.Value)-int64(b.Value)))) })
	return bits
}
