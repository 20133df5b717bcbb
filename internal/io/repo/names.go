package repo

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/frame"
)

// stampForm is the time in file names.
const stampForm = "20060102150405"

// PanelDirs returns the directory name of each panel of one detector: its id, or <detName>-seg<NN> (with
// -<MM> for sub-panels) where the id is empty, a placeholder, not unique or not fit for a name.
func PanelDirs(panels []frame.Panel) []string {
	ids, segments := map[string]int{}, map[string]int{}
	segment := func(p frame.Panel) string {
		name := strings.NewReplacer(".", "-", ":", "-", "|", "-", "/", "-", " ", "-").Replace(p.Detector)
		return fmt.Sprintf("%s-seg%02d", name, p.Segment)
	}
	for _, p := range panels {
		ids[p.ID]++
		segments[segment(p)]++
	}
	dirs := make([]string, len(panels))
	for i, p := range panels {
		switch {
		case ids[p.ID] == 1 && access.Plausible(p.ID) && !slices.Contains(reserved, p.ID) && !detector.IsPlaceholder(p.ID):
			dirs[i] = p.ID
		case segments[segment(p)] > 1:
			dirs[i] = fmt.Sprintf("%s-%02d", segment(p), p.Sub)
		default:
			dirs[i] = segment(p)
		}
	}
	return dirs
}

// reserved are the directories beside the panels.
var reserved = []string{"default", "logs", "merge_tmp"}

// Name holds the parts of the name of a file in a panel's ctype directory.
type Name struct {
	DetType    string
	Alias      string
	Stamp      string // YYYYmmddHHMMSS in the site's time zone
	Experiment string
	Run        int
	CType      string
	GainMode   string // canonical: "gm0-Normal" is read as "g0"; empty when the name has none
	Slice      bool
	Mask       string // of a mask saved by a person: the first digits of its content hash
	Ext        string // ".dat", ".txt" or ".data"

	gainWord string // as in the name
}

// String returns the file's name.
func (n Name) String() string { return n.stem() + n.Ext }

func (n Name) prefix() string {
	return fmt.Sprintf("%s_%s_%s_%s_r%04d", n.DetType, n.Alias, n.Stamp, n.Experiment, n.Run)
}

func (n Name) stem() string {
	s := n.prefix() + "_" + n.CType
	if n.GainMode != "" {
		s += "_" + n.GainMode
	}
	if n.Slice {
		s += "_slice"
	}
	if n.Mask != "" {
		s += "_" + n.Mask
	}
	return s
}

// Extensions of files with constants, the preferred one first.
var extensions = []string{".dat", ".txt", ".data"}

var (
	namePattern = regexp.MustCompile(`^([^_]+)_([0-9]+)_([0-9]{14})_(.+)_r([0-9]{1,9})_(.+)$`)
	darkPattern = regexp.MustCompile(`^([^-]+)-s[0-9]+-([0-9]{14})-([^-]+)-r([0-9]{1,9})-(.+)\.data$`)
	gainName    = regexp.MustCompile(`^gm([0-2])-`)
	maskDigits  = regexp.MustCompile(`^[0-9a-f]{8}$`)
)

// ParseName takes a file's name in a ctype directory apart; false for a file of another kind.
func ParseName(file, ctype string) (Name, bool) {
	ext := filepath.Ext(file)
	if !slices.Contains(extensions, ext) {
		return Name{}, false
	}
	m := namePattern.FindStringSubmatch(strings.TrimSuffix(file, ext))
	if m == nil {
		return parseDark(file, ctype)
	}
	n := Name{DetType: m[1], Alias: m[2], Stamp: m[3], Experiment: m[4], CType: ctype, Ext: ext}
	n.Run, _ = strconv.Atoi(m[5]) // at most nine digits
	rest, ok := strings.CutPrefix(m[6], ctype)
	if !ok || rest != "" && rest[0] != '_' {
		return Name{}, false
	}
	if i := strings.LastIndexByte(rest, '_'); i >= 0 && maskDigits.MatchString(rest[i+1:]) {
		rest, n.Mask = rest[:i], rest[i+1:]
	}
	rest, n.Slice = strings.CutSuffix(rest, "_slice")
	n.gainWord = strings.TrimPrefix(rest, "_")
	n.GainMode = n.gainWord
	if g := gainName.FindStringSubmatch(n.GainMode); g != nil {
		n.GainMode = "g" + g[1]
	}
	return n, true
}

// parseDark takes the name of a file apart that the dark jobs of psana2 have written for one panel:
//
//	<short>-s<segment:%02d>-<YYYYmmddHHMMSS>-<exp>-r<run:%04d>-<ctype>[-<gmode>].data
//
// with <gmode> one of g0, g1, g2 (jungfrau) or FH, FM, FL, AHL_H, ... (epix10ka).
func parseDark(file, ctype string) (Name, bool) {
	m := darkPattern.FindStringSubmatch(file)
	if m == nil || m[5] != ctype && !strings.HasPrefix(m[5], ctype+"-") {
		return Name{}, false
	}
	n := Name{Stamp: m[2], Experiment: m[3], CType: ctype, Ext: ".data"}
	n.DetType, _, _ = strings.Cut(m[1], "_")
	n.Run, _ = strconv.Atoi(m[4]) // at most nine digits
	n.gainWord = strings.TrimPrefix(strings.TrimPrefix(m[5], ctype), "-")
	n.GainMode = strings.ReplaceAll(n.gainWord, "_", "-")
	return n, true
}

// Stamp writes a time as file names have it.
func (r *Repo) Stamp(t time.Time) string { return t.In(r.Loc).Format(stampForm) }

// ctypeName is the form of a type of status constants.
var ctypeName = regexp.MustCompile(`^status_[a-z0-9_]+$`)

// CheckCtype refuses what is no type of status constants, such as pedestals.
func CheckCtype(name string) error {
	if !ctypeName.MatchString(name) {
		return fault.New(fault.Usage, "%q is not a type of status constants", name).
			WithHint("types are called status_* in lower case, such as status_data, status_dark, status_user")
	}
	return nil
}

// CheckWritten refuses types that nobody writes directly: status_merged and status_extra are results of mergedeploy.
func CheckWritten(name string) error {
	if err := CheckCtype(name); err != nil {
		return err
	}
	if name == "status_merged" || name == "status_extra" {
		return fault.New(fault.Usage, "%s is made by mergedeploy from the other types", name).WithHint("write another type, such as status_user")
	}
	return nil
}

// CheckStamp refuses what ParseStamp cannot read, whatever the zone.
func CheckStamp(s string) error {
	_, err := (&Repo{Loc: time.UTC}).ParseStamp(s)
	return err
}

// ParseStamp reads a time-stamp as users give it: YYYYmmddHHMMSS in the site's time zone, the second instant
// of two that the clock showed so.
func (r *Repo) ParseStamp(s string) (time.Time, error) {
	t, _, err := r.stampTime(s)
	if err != nil {
		return t, fault.New(fault.Usage, "time-stamp %q is not of the form YYYYmmddHHMMSS", s)
	}
	return t, nil
}
