package xtc1

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/io/rawfile"
)

// Name is the parts of a file name.
type Name struct {
	Experiment string // as in the name: "xppn4116", or "e167" in old files
	Run        int
	Stream     int
	Chunk      int
	Smalldata  bool
	InProgress bool // it is still being written
}

const (
	inProgress = rawfile.Suffix
	smallDir   = "smalldata"
)

var namePattern = regexp.MustCompile(`^(.+)-r(\d+)-s(\d+)-c(\d+)(\.smd)?\.xtc(\.inprogress)?$`)

// ParseName takes a base name apart; numbers may have any count of digits.
func ParseName(base string) (n Name, ok bool) {
	m := namePattern.FindStringSubmatch(base)
	if m == nil {
		return n, false
	}
	n = Name{Experiment: m[1], Smalldata: m[5] != "", InProgress: m[6] != ""}
	for i, to := range []*int{&n.Run, &n.Stream, &n.Chunk} {
		v, err := strconv.Atoi(m[2+i])
		if err != nil {
			return n, false
		}
		*to = v
	}
	return n, true
}

// String gives the base name as the DAQ forms it.
func (n Name) String() string {
	s := fmt.Sprintf("%s-r%04d-s%02d-c%02d", n.Experiment, n.Run, n.Stream, n.Chunk)
	if n.Smalldata {
		s += ".smd"
	}
	s += ".xtc"
	if n.InProgress {
		s += inProgress
	}
	return s
}

// Found is a data file that a search came upon.
type Found struct {
	Name
	Path  string
	Small string // path of the smalldata file beside it; empty if there is none
}

// Find lists the data files of a run in a directory, ascending by stream and chunk. An empty experiment
// accepts every one. keep tells which streams are wanted; nil means all. missing names files that only
// smalldata tells of. No file of the run is no error.
func Find(dir, experiment string, run int, keep func(stream int) bool) (found []Found, missing []string, err error) {
	found, err = list(dir, experiment, run, keep)
	if err != nil {
		return nil, nil, err
	}
	found = slices.DeleteFunc(found, func(f Found) bool { return f.Smalldata })
	small, err := list(filepath.Join(dir, smallDir), experiment, run, keep)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, s := range small {
		if !s.Smalldata {
			continue
		}
		i := slices.IndexFunc(found, func(f Found) bool { return f.Stream == s.Stream && f.Chunk == s.Chunk })
		if i < 0 {
			missing = append(missing, fmt.Sprintf("stream %d: chunk %d not found; its smalldata file is %q", s.Stream, s.Chunk, s.Path))
			continue
		}
		found[i].Small = s.Path
	}
	return found, missing, nil
}

// list gives the files of a run in one directory, of two with the same numbers the finished one.
func list(dir, experiment string, run int, keep func(stream int) bool) ([]Found, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("xtc1: could not list the files of run %d: %w", run, err)
	}
	var found []Found
	for _, e := range entries {
		n, ok := ParseName(e.Name())
		if ok && n.Run == run && (experiment == "" || n.Experiment == experiment || n.IsNumbered()) && (keep == nil || keep(n.Stream)) {
			found = append(found, Found{Name: n, Path: filepath.Join(dir, e.Name())})
		}
	}
	slices.SortStableFunc(found, func(f, g Found) int {
		return cmp.Or(cmp.Compare(f.Stream, g.Stream), cmp.Compare(f.Chunk, g.Chunk), cmp.Compare(len(f.Path), len(g.Path)))
	})
	return slices.CompactFunc(found, func(f, g Found) bool {
		return f.Stream == g.Stream && f.Chunk == g.Chunk && f.Smalldata == g.Smalldata
	}), nil
}

var numbered = regexp.MustCompile(`^e\d+$`)

// IsNumbered tells old names, where a number stands for the experiment, whose name is only in the path.
func (n Name) IsNumbered() bool { return numbered.MatchString(n.Experiment) }

// SmallPath gives where the smalldata file of a data file would be.
func SmallPath(path string) string {
	dir, base := filepath.Split(path)
	return filepath.Join(dir, smallDir, strings.TrimSuffix(base, ".xtc")+".smd.xtc")
}

// DataPath gives the data file of a smalldata file; other paths come back as they are.
func DataPath(path string) string {
	dir, base := filepath.Split(path)
	data, ok := strings.CutSuffix(base, ".smd.xtc")
	if !ok {
		return path
	}
	return filepath.Join(filepath.Dir(filepath.Clean(dir)), data+".xtc")
}
