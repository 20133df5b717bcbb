package explain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
)

// Wanted names a pixel and a run.
type Wanted struct {
	Experiment string // empty: any
	Run        int    // negative: the youngest that has files of the panel
	Detector   string // name or type; empty: the only one
	DetType    string // empty: any
	Panel      string // segment number or id
	Row, Col   int
	Gains      []string // gain modes; empty: all
	CType      string   // empty: all that are merged
}

// Pixel is where a pixel lies.
type Pixel struct {
	Detector string `json:"detector"`
	DetType  string `json:"detector_type"`
	Panel    string `json:"panel"`
	Segment  int    `json:"segment"` // -1: not known
	Sub      int    `json:"sub,omitempty"`
	Slot     int    `json:"slot"` // position along the panel axis of deployed arrays
	Rows     int    `json:"rows"`
	Cols     int    `json:"cols"`
	Row      int    `json:"row"`
	Col      int    `json:"column"`
	Chip     Chip   `json:"chip"`
}

// Chip is the readout chip of a pixel, the panel where it has none.
type Chip struct {
	Row   int `json:"row"` // first pixel in the panel
	Col   int `json:"column"`
	Rows  int `json:"rows"`
	Cols  int `json:"columns"`
	InRow int `json:"pixel_row"` // position of the pixel in the chip
	InCol int `json:"pixel_column"`
}

// shape sets what follows from the size of the panel.
func (p *Pixel) shape(rows, cols int) error {
	if p.Row < 0 || p.Row >= rows || p.Col < 0 || p.Col >= cols {
		return fault.New(fault.Usage, "row %d column %d is not in panel %s of %d x %s", p.Row, p.Col, p.Panel, rows, fault.Count(cols, "pixel")).
			WithHint("rows and columns count from 0")
	}
	p.Rows, p.Cols = rows, cols
	family, _ := detector.Lookup(p.DetType)
	c := Chip{Rows: family.ASICRows, Cols: family.ASICCols}
	if c.Rows == 0 || c.Cols == 0 {
		c.Rows, c.Cols = rows, cols
	}
	c.InRow, c.InCol = p.Row%c.Rows, p.Col%c.Cols
	c.Row, c.Col = p.Row-c.InRow, p.Col-c.InCol
	c.Rows, c.Cols = min(c.Rows, rows-c.Row), min(c.Cols, cols-c.Col)
	p.Chip = c
	return nil
}

// Find finds the panel that is meant, by what the repository has of the run, or of any.
func Find(r *repo.Repo, w Wanted) (*Pixel, []string, error) {
	const youngest = "99999999999999"
	var located []repo.Located
	var err error
	if w.Run >= 0 {
		located, err = r.Locate(w.Experiment, w.Run, "")
	} else {
		located, err = r.Youngest(w.Experiment, "", youngest)
	}
	if err != nil {
		return nil, nil, err
	}
	var names, others []string
	of := located[:0:0]
	for _, l := range located {
		if w.DetType != "" && !strings.EqualFold(l.DetType, w.DetType) {
			others = append(others, l.DetType)
			continue
		}
		name := l.DetName
		if name == "" {
			name = l.DetType
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if w.Detector == "" || strings.EqualFold(l.DetName, w.Detector) || strings.EqualFold(l.DetType, w.Detector) {
			of = append(of, l)
		}
	}
	switch {
	case len(of) == 0 && len(names) > 0:
		return nil, nil, fault.New(fault.Input, "the repository has no status files of detector %q%s, but of %s", w.Detector, ofRun(w), strings.Join(names, ", "))
	case len(of) == 0 && len(others) > 0:
		return nil, nil, fault.New(fault.Input, "the repository has no status files of a detector of type %q%s, but of %s", w.DetType, ofRun(w), strings.Join(slices.Compact(slices.Sorted(slices.Values(others))), ", "))
	case len(of) == 0:
		return nil, nil, fault.New(fault.Input, "the repository %q has no status files%s", r.Root, ofRun(w)).WithHint("check -o, --exp and --run")
	case w.Detector == "" && len(names) > 1:
		return nil, nil, fault.New(fault.Usage, "the repository has several detectors: %s", strings.Join(names, ", ")).WithHint("name one with -d")
	}
	return choose(of, w)
}

func ofRun(w Wanted) string {
	switch {
	case w.Run < 0 && w.Experiment == "":
		return ""
	case w.Run < 0:
		return " of experiment " + w.Experiment
	case w.Experiment == "":
		return fmt.Sprintf(" of run %d", w.Run)
	}
	return fmt.Sprintf(" of %s run %d", w.Experiment, w.Run)
}

// choose picks the panel by its id, else by its segment number.
func choose(of []repo.Located, w Wanted) (*Pixel, []string, error) {
	var found []repo.Located
	var have []string
	number, err := strconv.Atoi(w.Panel)
	for _, l := range of {
		have = append(have, fmt.Sprintf("%d (%s)", l.Segment, l.Panel))
		if l.Panel == w.Panel {
			found = []repo.Located{l}
			break
		}
		if err == nil && l.Segment == number {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		return nil, nil, fault.New(fault.Input, "there is no panel %q; segments (ids): %s", w.Panel, strings.Join(have, ", "))
	}
	slices.SortStableFunc(found, func(a, b repo.Located) int { return b.Run.Begin.Compare(a.Run.Begin) })
	l := found[0]
	var notes []string
	for _, o := range found[1:] {
		if o.Sub != l.Sub && o.Run.Number == l.Run.Number && o.Run.Experiment == l.Run.Experiment {
			return nil, nil, fault.New(fault.Usage, "segment %d has several panels", number).WithHint("name the panel by its id: %s", strings.Join(have, ", "))
		}
		notes = append(notes, fmt.Sprintf("segment %d was panel %s in run %d of %s", number, o.Panel, o.Run.Number, o.Run.Experiment))
	}
	subs := 1
	for _, o := range of {
		subs = max(subs, o.Sub+1)
	}
	return &Pixel{Detector: l.DetName, DetType: l.DetType, Panel: l.Panel, Segment: l.Segment, Sub: l.Sub, Slot: max(l.Segment, 0)*subs + l.Sub, Row: w.Row, Col: w.Col}, notes, nil
}

// OfFile completes what is wanted by a status file of a repository, and returns the repository: the file's run, type and gain
// mode, and its panel, which must be the one that is named, if one is.
func (w *Wanted) OfFile(path string, loc *time.Location) (*repo.Repo, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fault.New(fault.Input, "could not read a status file: %w", err)
	}
	ctype := filepath.Base(filepath.Dir(path))
	panel := filepath.Dir(filepath.Dir(path))
	n, ok := repo.ParseName(filepath.Base(path), ctype)
	if !ok || !strings.HasPrefix(ctype, "status_") {
		return nil, fault.New(fault.Input, "%q is not a status file of a repository: <type>/<panel>/<constants type>/<name>", path).
			WithHint("rawstatus diff and export read other files")
	}
	sc, err := repo.ReadSidecar(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if sc != nil && w.Panel != filepath.Base(panel) && w.Panel != strconv.Itoa(sc.Segment) {
		return nil, fault.New(fault.Usage, "%q is segment %d, panel %s, not %q", path, sc.Segment, filepath.Base(panel), w.Panel)
	}
	w.Experiment, w.Run, w.Detector, w.Panel, w.CType = n.Experiment, n.Run, n.DetType, filepath.Base(panel), ctype
	if n.GainMode != "" {
		w.Gains = []string{n.GainMode}
	}
	return repo.New(filepath.Dir(filepath.Dir(panel)), nil, loc), nil
}
