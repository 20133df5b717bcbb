package repo

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
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
)

// Found is a file with constants of a panel.
type Found struct {
	Name
	Path string
}

// StatusTypes lists the status_* directories of a panel that a merge may read, ascending: not
// status_merged and status_extra, which are made of the others.
func (r *Repo) StatusTypes(dettype, panel string) ([]string, error) {
	entries, err := os.ReadDir(r.PanelDir(dettype, panel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("could not list the constants of panel %q: %w", panel, err)
	}
	var types []string
	for _, e := range entries {
		name := e.Name()
		generic := strings.HasPrefix(name, "status_") && name != "status_merged" && name != "status_extra"
		dark := name == "status" || name == "pixel_status"
		if e.IsDir() && (generic && r.tree == "" || dark && r.tree != "") {
			types = append(types, name)
		}
	}
	return types, nil
}

// Files lists the files of one constants type of a panel, ascending by time-stamp, and the names of
// others that were passed over. Files of equal time-stamp and gain mode are in falling order of
// preference: whole panels before slices, .dat before .txt before .data, of several names of a jungfrau
// gain mode the last by alphabet (as the original deploys them), then by name.
func (r *Repo) Files(dettype, panel, ctype string) (files []Found, foreign []string, err error) {
	dir := filepath.Join(r.PanelDir(dettype, panel), ctype)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("could not list %q: %w", dir, err)
	}
	alias := r.knownAlias(dettype, panel)
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() && e.Type() != fs.ModeSymlink || name[0] == '.' || filepath.Ext(name) == ".json" {
			continue
		}
		n, ok := ParseName(name, ctype)
		sameType := n.DetType == strings.ToLower(dettype) || r.tree != "" && strings.HasPrefix(strings.ToLower(dettype), n.DetType)
		if !ok || !sameType || alias != "" && n.Alias != "" && n.Alias != alias {
			foreign = append(foreign, name)
			continue
		}
		files = append(files, Found{n, filepath.Join(dir, name)})
	}
	slices.SortFunc(files, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), cmp.Compare(a.GainMode, b.GainMode), compareBool(a.Slice, b.Slice),
			cmp.Compare(slices.Index(extensions, a.Ext), slices.Index(extensions, b.Ext)), cmp.Compare(b.gainWord, a.gainWord), cmp.Compare(a.Path, b.Path))
	})
	return files, foreign, nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Sweep removes the temporaries that interrupted writers have left in the directories of a detector type
// for longer than an hour, and says how many.
func (r *Repo) Sweep(dettype string) (removed int, err error) {
	err = filepath.WalkDir(r.TypeDir(dettype), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		n, err := atomicfile.RemoveStale(path, time.Hour)
		removed += n
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return removed, nil
	}
	return removed, err
}

// Located is a panel that has constants of some run.
type Located struct {
	DetType  string
	DetName  string // empty when neither sidecar nor alias record has it
	Aliases  []string
	Panel    string
	Segment  int // -1 when it is not known
	Sub      int
	Rows     int // 0 when it is not known
	Cols     int
	Run      frame.Run
	ByRecord bool // told by a sidecar; else by names alone
}

var segmentName = regexp.MustCompile(`-seg([0-9]{2,4})(?:-([0-9]{2}))?$`)

// IsSegmentName reports whether a panel's directory has the detector's name and segment instead of an id.
func IsSegmentName(panel string) bool { return segmentName.MatchString(panel) }

// Locate lists the panels for which the repository has status files of a run, by type, segment and panel.
// With panel it looks at directories of that name only; an empty experiment and a negative run stand for any.
func (r *Repo) Locate(experiment string, run int, panel string) ([]Located, error) {
	return r.search(panel, func(f Found) bool {
		return (experiment == "" || f.Experiment == experiment) && (run < 0 || f.Run == run)
	})
}

// Youngest looks for panels of that name; their youngest file not after the time-stamp names the run.
func (r *Repo) Youngest(experiment, panel, stamp string) ([]Located, error) {
	return r.search(panel, func(f Found) bool {
		return (experiment == "" || f.Experiment == experiment) && f.Stamp <= stamp
	})
}

// Check reports why the repository cannot be read, nil if it can.
func (r *Repo) Check() error {
	_, err := r.list()
	return err
}

// list reads the repository's directory.
func (r *Repo) list() ([]os.DirEntry, error) {
	list, err := os.ReadDir(r.Root)
	if err != nil {
		return nil, fault.New(fault.Input, "could not look into the repository: %w", err).
			WithHint("name it with -o, RAWSTATUS_REPOSITORY or in the site file")
	}
	return list, nil
}

// search looks for panels that have a wanted file.
func (r *Repo) search(panel string, wanted func(Found) bool) ([]Located, error) {
	types, err := r.list()
	if err != nil {
		return nil, err
	}
	var found []Located
	for _, t := range types {
		if !t.IsDir() || !access.Plausible(t.Name()) || t.Name() == "scripts" {
			continue
		}
		panels, err := r.Panels(t.Name())
		if err != nil {
			return nil, err
		}
		for _, p := range panels {
			if panel != "" && p != panel {
				continue
			}
			x, err := r.locate(t.Name(), p, wanted)
			if err != nil {
				return nil, err
			}
			if x != nil {
				found = append(found, *x)
			}
		}
	}
	slices.SortFunc(found, func(a, b Located) int {
		return cmp.Or(cmp.Compare(a.DetType, b.DetType), cmp.Compare(a.DetName, b.DetName), cmp.Compare(a.Segment, b.Segment),
			cmp.Compare(a.Sub, b.Sub), cmp.Compare(a.Panel, b.Panel))
	})
	return found, nil
}

// locate returns what the youngest wanted file of a panel says about it, among equals one with a sidecar; nil when
// there is none.
func (r *Repo) locate(dettype, panel string, wanted func(Found) bool) (*Located, error) {
	types, err := r.StatusTypes(dettype, panel)
	if err != nil {
		return nil, err
	}
	var x *Located
	stamp := ""
	for _, ctype := range types {
		files, _, err := r.Files(dettype, panel, ctype)
		if err != nil {
			return nil, err
		}
		for _, f := range slices.Backward(files) {
			if !wanted(f) || f.Stamp < stamp || f.Stamp == stamp && x.ByRecord {
				continue
			}
			y, err := r.located(f, panel)
			if err != nil {
				continue // a time that is none
			}
			if f.Stamp > stamp || y.ByRecord {
				x, stamp = y, f.Stamp
			}
		}
	}
	return x, nil
}

// located returns what a file says about its panel.
func (r *Repo) located(f Found, panel string) (*Located, error) {
	if sc, err := ReadSidecar(f.Path); err == nil {
		return &Located{DetType: sc.DetType, DetName: sc.DetName, Aliases: sc.Aliases, Panel: panel, Segment: sc.Segment, Sub: sc.Sub,
			Rows: sc.Rows, Cols: sc.Cols, Run: sc.Run, ByRecord: true}, nil
	}
	begin, err := r.ParseStamp(f.Stamp)
	if err != nil {
		return nil, err
	}
	x := &Located{DetType: f.DetType, DetName: r.aliasDetector(f.DetType, panel), Panel: panel, Segment: -1,
		Run: frame.Run{Experiment: f.Experiment, Number: f.Run, Begin: begin}}
	if m := segmentName.FindStringSubmatch(panel); m != nil {
		x.Segment, _ = strconv.Atoi(m[1]) // digits
		x.Sub, _ = strconv.Atoi(m[2])     // digits or empty
	}
	return x, nil
}

// aliasDetector returns the detector's name that the alias record of a panel remembers.
func (r *Repo) aliasDetector(dettype, panel string) string {
	text, err := atomicfile.ReadFile(r.aliasPath(dettype))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		// alias, panel, time, experiment, run, detector, login
		if f := strings.Fields(line); len(f) >= 7 && f[1] == panel {
			return f[5]
		}
	}
	return ""
}

// IsOf reports whether the file is of a detector that goes by a name: its own, or one that people gave to it.
func (l Located) IsOf(detector string) bool {
	return l.DetName == detector || slices.Contains(l.Aliases, detector)
}
