package rawrun

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Name is the parts of a file name.
type Name struct {
	Experiment string // as in the name: "xppn4116", or "e167" in old files
	Run        int
	Stream     int
	Chunk      int
	Smalldata  bool
	InProgress bool // it is still being written or copied
}

const (
	inProgress   = ".inprogress"
	smalldataDir = "smalldata"
)

// Scheme is how a format names its files.
type Scheme struct {
	suffix  string
	digits  int // of stream and chunk in names that are made
	pattern *regexp.Regexp
}

// NewScheme makes the scheme of a format from the suffix of its files.
func NewScheme(suffix string, digits int) Scheme {
	return Scheme{suffix, digits, regexp.MustCompile(`^(.+)-r(\d+)-s(\d+)-c(\d+)(?:-i\d+)?(\.smd)?` + regexp.QuoteMeta(suffix) + `(\.inprogress)?$`)}
}

// Suffixes lists what the names of raw files of the format end in.
func (s Scheme) Suffixes() []string { return []string{s.suffix, s.suffix + inProgress} }

// Parse takes a base name apart; numbers may have any count of digits.
func (s Scheme) Parse(base string) (n Name, ok bool) {
	m := s.pattern.FindStringSubmatch(base)
	if m == nil {
		return n, false
	}
	n = Name{Experiment: m[1], Smalldata: m[5] != "", InProgress: m[6] != ""}
	for i, to := range []*int{&n.Run, &n.Stream, &n.Chunk} {
		v, err := strconv.ParseInt(m[2+i], 10, 32)
		if err != nil {
			return n, false
		}
		*to = int(v)
	}
	return n, true
}

// Format returns the base name as a data acquisition forms it.
func (s Scheme) Format(n Name) string {
	base := fmt.Sprintf("%s-r%04d-s%0*d-c%0*d", n.Experiment, n.Run, s.digits, n.Stream, s.digits, n.Chunk)
	if n.Smalldata {
		base += ".smd"
	}
	base += s.suffix
	if n.InProgress {
		base += inProgress
	}
	return base
}

var numbered = regexp.MustCompile(`^e\d+$`)

// IsNumbered reports whether the name is an old one, where a number stands for the experiment, whose name
// is only in the path.
func (n Name) IsNumbered() bool { return numbered.MatchString(n.Experiment) }

// SmallPath returns where the smalldata file of a data file would be.
func (s Scheme) SmallPath(path string) string {
	dir, base := filepath.Split(strings.TrimSuffix(path, inProgress))
	return filepath.Join(dir, smalldataDir, strings.TrimSuffix(base, s.suffix)+".smd"+s.suffix)
}

// DataPath returns the data file of a smalldata file; other paths come back as they are.
func (s Scheme) DataPath(path string) string {
	dir, base := filepath.Split(path)
	data, ok := strings.CutSuffix(strings.TrimSuffix(base, inProgress), ".smd"+s.suffix)
	if !ok {
		return path
	}
	return filepath.Join(filepath.Dir(filepath.Clean(dir)), data+s.suffix)
}
