package open

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/ranges"
)

// Dataset says which raw data to read: a run of an experiment, or files.
type Dataset struct {
	Experiment string      `json:"experiment,omitempty"`
	Runs       ranges.List `json:"runs,omitempty"` // one run for Index; ranges are for campaigns
	Dir        string      `json:"dir,omitempty"`  // folder of the files; else Roots are searched
	Roots      []string    `json:"roots,omitempty"`
	Files      []string    `json:"files,omitempty"`   // instead of a run's files
	Streams    []int       `json:"streams,omitempty"` // only these; empty means all
	RunInFile  int         `json:"run_in_file,omitempty"`
	Detector   string      `json:"detector,omitempty"` // empty means all
	// Frames are the facts about frames that a .npy file lacks: type, begin of the run, gain mode, ids.
	Frames npy.IndexOptions `json:"frames,omitzero"`
}

// Run returns the run of a dataset of one run; 0 if none is named.
func (d Dataset) Run() (int, error) {
	switch {
	case len(d.Runs) == 0:
		return 0, nil
	case len(d.Runs) == 1 && d.Runs[0].First == d.Runs[0].Last:
		return d.Runs[0].First, nil
	}
	return 0, fault.New(fault.Usage, "one run is wanted, not %s", d.Runs)
}

// String returns the dataset in the form that ParseDataset reads, or its files.
func (d Dataset) String() string {
	if len(d.Files) > 0 {
		return strings.Join(d.Files, " ")
	}
	parts := []string{"exp=" + d.Experiment, "run=" + d.Runs.String()}
	if d.Dir != "" {
		parts = append(parts, "dir="+d.Dir)
	}
	if len(d.Streams) > 0 {
		parts = append(parts, "stream="+strings.Trim(strings.ReplaceAll(fmt.Sprint(d.Streams), " ", ","), "[]"))
	}
	return strings.Join(parts, ",")
}

var (
	keyPattern  = regexp.MustCompile(`^([a-z_]+)=`)
	separators  = regexp.MustCompile(`[:,]`)
	datasetKeys = []string{"exp", "run", "dir", "stream", "det"}
	// readingModes are words of the original software that choose how it reads; they say nothing about which data.
	readingModes = []string{"smd", "idx", "live", "rax", "xtc", "shmem"}
)

const datasetForm = `exp=xpptut15,run=260[,dir=/path/of/the/files][,stream=0,3-5], or the same with colons`

// ParseDataset reads a dataset string, e.g. exp=xpptut15:run=260:dir=/path or exp=xpptut15,run=260-265,270.
// A part without key belongs to the value before it, so that directories may hold separators.
func ParseDataset(s string) (Dataset, error) {
	var d Dataset
	values := map[string]string{}
	key, from, colons := "", 0, false // colons: one stands before the key
	for _, end := range append(separators.FindAllStringIndex(s, -1), []int{len(s), len(s)}) {
		part := s[from:end[0]]
		m := keyPattern.FindStringSubmatch(part)
		switch {
		case m != nil && !slices.Contains(datasetKeys, m[1]) && key != "dir":
			return d, badDataset(s, "key %q is not known", m[1])
		case m != nil && slices.Contains(datasetKeys, m[1]):
			colons = from > 0 && s[from-1] == ':'
			if key = m[1]; values[key] != "" {
				return d, badDataset(s, "key %q is there twice", key)
			}
			values[key] = part[len(m[0]):]
		case slices.Contains(readingModes, part) && (key != "dir" || colons && end[0] == len(s)):
			key = "" // behind a directory only at the end, as psana's users write it: exp=x:run=1:dir=/a:smd
		case part == "" && end[0] == len(s): // separator at the end
		case key == "":
			return d, badDataset(s, "%q has no key", part)
		default:
			values[key] += s[from-1:from] + part
		}
		from = end[1]
	}
	d.Experiment, d.Dir, d.Detector = values["exp"], values["dir"], values["det"]
	var err error
	if d.Runs, err = ParseRuns(strings.ReplaceAll(values["run"], ":", ",")); err != nil {
		return d, badDataset(s, "%v", err)
	}
	streams, err := ranges.Parse(strings.ReplaceAll(values["stream"], ":", ","), 0, maxRun)
	if err != nil {
		return d, badDataset(s, "%v", err)
	}
	d.Streams = streams.Numbers()
	if d.Experiment == "" && d.Dir == "" {
		return d, badDataset(s, "it names no experiment")
	}
	return d, nil
}

func badDataset(s, format string, args ...any) error {
	return fault.New(fault.Usage, "dataset %q: %s", s, fmt.Sprintf(format, args...)).WithHint("the form is %s", datasetForm)
}

// maxRun bounds run and stream numbers.
const maxRun = 9999

// ParseRuns reads a list of runs such as 5,8-11.
func ParseRuns(s string) (ranges.List, error) { return ranges.Parse(s, 0, maxRun) }
