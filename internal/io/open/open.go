package open

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/xtc1"
	"rawstatus/internal/io/xtc2"
	"rawstatus/internal/ranges"
)

// Options are how to read; zero values mean the defaults.
type Options struct {
	Settle      time.Duration // how long a file without end of run must not change, default 2 s
	NoSmalldata bool          // do not use smalldata files
	Reads       int           // reads in flight while indexing
	MaxLost     float64       // percentage of a stream's events that may be missing at its end where nothing ends the run
	// AllHeaders reads the headers of every frame. Else some are predicted, and compared by the task that reads the
	// frames' pixels (frame.Index.Headings).
	AllHeaders bool
}

// format is a raw format: how its files are recognised and indexed.
type format struct {
	// names is how the files of a run are named; nil for formats whose files are always named one by one.
	names *rawrun.Scheme
	// suffixes that files named one by one have.
	suffixes []string
	index    func(ctx context.Context, in input, opt Options) (*frame.Index, error)
	// survey lists the content of a file; nil for formats that have nothing but frames.
	survey func(ctx context.Context, s surveyOf) ([]Contents, error)
}

// formats is every format there is. A further one is a line here.
var formats = []format{
	rawFormat(&xtc2.FileNames, xtc2.BuildIndex, surveyXtc2),
	rawFormat(&xtc1.FileNames, xtc1.BuildIndex, surveyXtc1),
	npyFormat,
}

// input names the files that a format indexes: the files of one run in a directory, or named files.
type input struct {
	Dataset
	experiment string
	run        int
	dir        string   // of a run
	files      []string // named files; empty for a run
}

// Index finds the files of a dataset of one run and indexes them. With a detector named, or a single
// one there, the index has only its panels and the events to which it contributed.
func Index(ctx context.Context, d Dataset, opt Options) (*frame.Index, error) {
	if opt.Settle == 0 {
		opt.Settle = 2 * time.Second
	}
	f, in, err := find(d)
	if err != nil {
		return nil, err
	}
	x, err := f.index(ctx, in, opt)
	if err != nil {
		return nil, err
	}
	if ahead := time.Until(x.Run.Begin); ahead > 24*time.Hour {
		x.Notes = append(x.Notes, fmt.Sprintf("the run begins in the future, at %s: the clock of its data is not what it should be",
			x.Run.Begin.Format(time.RFC3339)))
	}
	return selectDetector(x, d.Detector)
}

// find returns the format and the files of a dataset.
func find(d Dataset) (format, input, error) {
	run, err := d.Run()
	if err != nil {
		return format{}, input{}, err
	}
	in := input{Dataset: d, experiment: d.Experiment, run: run}
	if len(d.Files) > 0 {
		f, err := formatOf(d.Files)
		for _, path := range d.Files {
			abs, absErr := filepath.Abs(path)
			if err == nil && absErr != nil {
				err = fmt.Errorf("open: %w", absErr)
			}
			if err == nil {
				err = rawrun.CheckRegular(path)
			}
			in.files = append(in.files, abs)
		}
		return f, in, err
	}
	dirs, err := candidates(d)
	if err != nil {
		return format{}, in, err
	}
	have := map[string][]int{} // runs by experiment
	for _, dir := range dirs {
		files, err := listRuns(dir, d.Experiment)
		if err != nil {
			return format{}, in, err
		}
		var wanted []namedRun
		for _, r := range files {
			have[r.experiment] = append(have[r.experiment], r.run)
			if r.run == run && (d.Experiment == "" || r.experiment == d.Experiment) && len(d.Runs) > 0 {
				wanted = append(wanted, r)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		for _, r := range wanted {
			if r.experiment != wanted[0].experiment {
				return format{}, in, fault.New(fault.Usage, "run %d in %q is one of %s and one of %s", run, dir, wanted[0].experiment, r.experiment).
					WithHint("name the experiment")
			}
		}
		in.experiment = wanted[0].experiment
		in.dir, err = filepath.Abs(dir)
		return wanted[0].format, in, err
	}
	return format{}, in, noRun(d, run, dirs, have)
}

// Runs lists the runs of an experiment that have files where the data set says, ascending. A directory that is not there has
// none.
func Runs(d Dataset) ([]int, error) {
	dirs, err := candidates(d)
	if err != nil {
		return nil, err
	}
	var runs []int
	for _, dir := range dirs {
		files, err := listRuns(dir, d.Experiment)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if f.experiment == d.Experiment {
				runs = append(runs, f.run)
			}
		}
	}
	slices.Sort(runs)
	return slices.Compact(runs), nil
}

// namedRun is a file of a run in a directory.
type namedRun struct {
	experiment string
	run        int
	format     format
}

// listRuns lists the files of runs in a directory and its smalldata. experiment is that of names that
// do not tell, if it is known.
func listRuns(dir, experiment string) ([]namedRun, error) {
	var list []namedRun
	for _, dir := range []string{dir, filepath.Join(dir, "smalldata")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.Input, "could not list %q: %w", dir, err)
		}
		for _, e := range entries {
			for _, f := range formats {
				if f.names == nil {
					continue
				}
				if n, ok := f.names.Parse(e.Name()); ok {
					if n.IsNumbered() {
						n.Experiment = "" // "e167": the name is only in the path
					}
					list = append(list, namedRun{n.Experiment, n.Run, f})
				}
			}
		}
	}
	for i := range list {
		if list[i].experiment == "" {
			list[i].experiment = cmp.Or(experiment, experimentOf(dir))
		}
	}
	return list, nil
}

// experimentOf returns the experiment of a directory .../<experiment>/xtc or .../<experiment>.
func experimentOf(dir string) string {
	if filepath.Base(dir) == "xtc" {
		dir = filepath.Dir(dir)
	}
	return filepath.Base(dir)
}

// formatOf returns the format of named files, by their suffix.
func formatOf(files []string) (format, error) {
	var known []string
	for _, f := range formats {
		for _, s := range f.suffixes {
			if strings.HasSuffix(files[0], s) {
				return f, nil
			}
		}
		known = append(known, f.suffixes...)
	}
	return format{}, fault.New(fault.Usage, "%q is not named like a raw file", files[0]).
		WithHint("names of raw files end in %s", strings.Join(known, ", "))
}

// Exists reports whether files of a run are in its directory or below the data roots, whatever is in them.
func Exists(d Dataset) bool {
	run, err := d.Run()
	if err != nil {
		return false
	}
	runs, err := Runs(d)
	return err == nil && slices.Contains(runs, run)
}

// candidates lists the directories where the files of a run may be.
func candidates(d Dataset) ([]string, error) {
	if d.Dir != "" {
		return []string{d.Dir}, nil
	}
	if len(d.Roots) == 0 || d.Experiment == "" {
		return nil, fault.New(fault.Usage, "nothing says where the raw data of %q are", d).
			WithHint("name the experiment and its directory (--dir), or set the roots of the data in the site file or SIT_PSDM_DATA")
	}
	var dirs []string
	for _, root := range d.Roots {
		if len(d.Experiment) >= 3 {
			ins := d.Experiment[:3]
			dirs = append(dirs, filepath.Join(root, ins, d.Experiment, "xtc"), filepath.Join(root, strings.ToUpper(ins), d.Experiment, "xtc"))
		}
		dirs = append(dirs, filepath.Join(root, d.Experiment, "xtc"), filepath.Join(root, d.Experiment))
	}
	return dirs, nil
}

// noRun returns the error for a run that is not there; it lists what is.
func noRun(d Dataset, run int, dirs []string, have map[string][]int) error {
	what := fmt.Sprintf("run %d of %s", run, d.Experiment)
	if len(d.Runs) == 0 {
		what = "a run: none is named"
	}
	err := fault.New(fault.Input, "could not find %s in %s", what, strings.Join(dirs, ", "))
	if runs := have[d.Experiment]; len(runs) > 0 {
		return err.WithHint("runs of %s there: %s", d.Experiment, ranges.Of(runs))
	}
	var others []string
	for exp, runs := range have {
		others = append(others, fmt.Sprintf("%s runs %s", exp, ranges.Of(runs)))
	}
	if len(others) > 0 {
		slices.Sort(others)
		return err.WithHint("there is %s", strings.Join(others, "; "))
	}
	return err.WithHint("no raw files are there; is the directory right and mounted on this machine?")
}

// selectDetector reduces an index to one detector.
func selectDetector(x *frame.Index, name string) (*frame.Index, error) {
	names := x.Detectors()
	if name == "" && len(names) != 1 {
		return x, nil
	}
	if name == "" {
		name = names[0]
	}
	if own, ok := x.Aliases[name]; ok && !slices.Contains(names, name) {
		name = own
	}
	if !slices.Contains(names, name) {
		return nil, noDetector(x, name)
	}
	return Detector(x, name), nil
}

// Detector reduces the index of a run to one of its detectors and the events that are its own. An index
// that has been reduced already stays as it is.
//
// An id that a panel of another detector has as well is taken from the panels: nothing could be kept under
// it.
func Detector(x *frame.Index, name string) *frame.Index {
	if x.Groups == nil && len(x.Detectors()) == 1 {
		return x
	}
	y := x.Select(name)
	y.Notes = slices.Clone(y.Notes)
	for i := range y.Panels {
		p := &y.Panels[i]
		other := slices.IndexFunc(x.Panels, func(q frame.Panel) bool { return q.Detector != name && q.ID == p.ID })
		if other < 0 || p.ID == "" {
			continue
		}
		y.Notes = append(y.Notes, fmt.Sprintf("%v has the id %q, as %v has: the id is not used", *p, p.ID, x.Panels[other]))
		p.ID = ""
	}
	return ownEvents(y)
}

// noDetector returns the error for a detector that is not there; it lists what is.
func noDetector(x *frame.Index, name string) error {
	type kind struct{ name, typ string }
	count := map[kind]int{}
	for _, p := range x.Panels {
		count[kind{p.Detector, p.Type}]++
	}
	var have []string
	for k, n := range count {
		have = append(have, fmt.Sprintf("%s (%s, %s)", k.name, k.typ, fault.Count(n, "panel")))
	}
	slices.Sort(have)
	why := ""
	for _, n := range x.Notes {
		if strings.HasPrefix(n, name+" ") { // readers say so of detectors that they cannot read
			why = ": " + n
		}
	}
	if len(x.Missing) > 0 {
		return fault.New(fault.Incomplete, "no detector %q with frames in %v, which is incomplete%s:\n  %s", name, x.Run, why, strings.Join(x.Missing, "\n  ")).
			WithHint("wait for or repair the raw data; the detectors in what is there: %s", strings.Join(x.Detectors(), ", "))
	}
	err := fault.New(fault.Input, "no detector %q with frames in %v%s", name, x.Run, why)
	if len(have) == 0 {
		return err.WithHint("the run has no detector with frames; rawstatus inspect --names shows what it has")
	}
	meant := ""
	if similar := similarNames(x, name); len(similar) == 1 {
		meant = fmt.Sprintf("did you mean %s? ", similar[0])
	}
	return err.WithHint("%sthe run has %s", meant, strings.Join(have, ", "))
}

// similarNames lists the detectors whose name or alias has a part like name, in any case of letters.
func similarNames(x *frame.Index, name string) (names []string) {
	like := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(name)) }
	for _, detector := range x.Detectors() {
		hit := like(detector)
		for alias, own := range x.Aliases {
			hit = hit || own == detector && like(alias)
		}
		if hit {
			names = append(names, detector)
		}
	}
	return names
}

// ownEvents drops the events of other detectors: those to which no panel contributed and in which none
// should have been, by its readout groups and its own rate.
func ownEvents(x *frame.Index) *frame.Index {
	n := len(x.Panels)
	took := make([]bool, len(x.Events))
	for e := range x.Events {
		took[e] = slices.ContainsFunc(x.Extents[e*n:(e+1)*n], func(e frame.Extent) bool { return e.State != frame.Missing || e.Damage != 0 })
	}
	own := took
	if !slices.Contains(x.Unpaced, x.Panels[0].Detector) {
		own = rawrun.Own(took, x.Groups)
	}
	events := x.Events
	x.Events = nil
	extents := x.Extents[:0]
	counts := map[int32]int{}
	absent := 0
	for e, event := range events {
		if own[e] {
			extents = append(extents, x.Extents[e*n:(e+1)*n]...)
			x.Events = append(x.Events, event)
			counts[event.Step]++
		}
		if own[e] && !took[e] {
			absent++
		}
	}
	x.Notes = slices.Clone(x.Notes)
	if dropped := len(events) - len(x.Events); dropped > 0 {
		x.Notes = append(x.Notes, fmt.Sprintf("%d of %s of the run are without this detector", dropped, fault.Count(len(events), "event")))
	}
	if absent > 0 {
		x.Notes = append(x.Notes, fmt.Sprintf("%s is absent from %s in which it should be by its rate and readout groups", x.Panels[0].Detector, fault.Count(absent, "event")))
	}
	if len(x.Events) == 0 && len(events) > 0 {
		x.Missing = append(slices.Clone(x.Missing), fmt.Sprintf("%s is described, but no event of %d has a frame of it", x.Panels[0].Detector, len(events)))
	}
	x.Extents, x.Groups = extents, nil
	x.Steps = slices.Clone(x.Steps)
	for i := range x.Steps {
		x.Steps[i].Events = counts[int32(x.Steps[i].Number)]
	}
	x.Steps = slices.DeleteFunc(x.Steps, func(s frame.Step) bool { return s.Number < 0 && s.Events == 0 })
	return x
}
