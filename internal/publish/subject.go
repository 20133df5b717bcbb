package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
)

// Subject is the detector and run whose constants are published.
type Subject struct {
	Detector string    `json:"detector"`
	Type     string    `json:"detector_type"`
	Run      frame.Run `json:"run"`
	At       time.Time `json:"at"`        // files of runs that began later are not merged
	Stamp    string    `json:"timestamp"` // the same in the site's time zone
	Panels   []Slot    `json:"panels"`    // ascending by slot
	Origin   string    `json:"origin"`    // where this knowledge comes from
	Notes    []string  `json:"notes,omitempty"`
	family   detector.Family
	onePlane bool // what is in force has no axis of gain modes, although the type has several
	panels   int  // length of the panel axis where what is in force has more panels than the run; 0: no more
}

// Slot is one panel of the subject.
type Slot struct {
	Dir  string `json:"panel"` // directory in the repository
	ID   string `json:"id,omitempty"`
	Slot int    `json:"slot"` // position along the panel axis of the deployed array
	// Segment and Sub as in the data.
	Segment int `json:"segment"`
	Sub     int `json:"sub,omitempty"`
	Rows    int `json:"rows,omitempty"` // 0 until a file has been read
	Cols    int `json:"cols,omitempty"`
}

// Wanted is the subject as the user names it.
type Wanted struct {
	Raw        *open.Dataset // raw data to take run and panels from; nil: they are those of the repository
	Roots      []string      // where raw data are looked for when none are named
	Experiment string
	Run        int // negative: not given
	Detector   string
	Panel      string // only this panel's directory
	Stamp      string // instead of the run's time; empty: not given
}

// Find finds out which panels to merge and for which time: from raw data if they are named, else from
// what the repository knows of the run.
func Find(ctx context.Context, r *repo.Repo, w Wanted) (*Subject, error) {
	var s *Subject
	var err error
	switch raw := w.underRoots(); {
	case w.Raw != nil:
		s, err = fromRaw(ctx, *w.Raw)
	case raw != nil:
		if s, err = fromRaw(ctx, *raw); err != nil { // what nobody has named need not be whole
			why := err
			if s, err = fromRepository(r, w); err == nil {
				s.Notes = append(s.Notes, fmt.Sprintf("raw data below the data roots are not used: %v", why))
			}
		}
	default:
		s, err = fromRepository(r, w)
	}
	if err != nil {
		return nil, err
	}
	wanted := w.Experiment
	if wanted == "" && w.Raw != nil {
		wanted = w.Raw.Experiment
	}
	switch {
	case s.Run.Experiment == "":
		s.Run.Experiment = wanted
	case wanted != "" && wanted != s.Run.Experiment:
		return nil, fault.New(fault.Usage, "the raw data are of experiment %s, not %s", s.Run.Experiment, wanted).
			WithHint("if %s is meant, leave the name of the experiment out", s.Run.Experiment)
	}
	if s.Run.Experiment == "" {
		return nil, fault.New(fault.Usage, "the raw data do not tell their experiment").WithHint("give -e")
	}
	if w.Panel != "" {
		s.Panels = slices.DeleteFunc(s.Panels, func(p Slot) bool { return p.Dir != w.Panel })
		if len(s.Panels) == 0 {
			return nil, fault.New(fault.Usage, "%s has no panel %q", s.Detector, w.Panel)
		}
	}
	s.At = s.Run.Begin
	if w.Stamp != "" {
		if s.At, err = r.ParseStamp(w.Stamp); err != nil {
			return nil, err
		}
	}
	s.Stamp = r.Stamp(s.At)
	var known bool
	if s.family, known = detector.Lookup(s.Type); !known {
		s.Notes = append(s.Notes, fmt.Sprintf("detector type %q is not in the table: taken as single-gain", s.Type))
	}
	return s, s.slots()
}

// underRoots returns the raw data of the run below the data roots, nil if there are none.
func (w Wanted) underRoots() *open.Dataset {
	if w.Raw != nil || w.Experiment == "" || w.Run < 0 || len(w.Roots) == 0 {
		return nil
	}
	d := open.Dataset{Experiment: w.Experiment, Runs: ranges.One(w.Run), Roots: w.Roots, Detector: w.Detector}
	if !open.Exists(d) {
		return nil
	}
	return &d
}

// fromRaw indexes the raw data.
func fromRaw(ctx context.Context, d open.Dataset) (*Subject, error) {
	x, err := open.Index(ctx, d, open.Options{AllHeaders: true}) // nobody reads pixels, which would check predictions
	if err != nil {
		return nil, err
	}
	names := x.Detectors()
	if len(names) != 1 {
		return nil, fault.New(fault.Usage, "the run has several detectors: %s", strings.Join(names, ", ")).
			WithHint("name one with -d")
	}
	s := &Subject{Detector: names[0], Type: x.Panels[0].Type, Run: x.Run, Origin: "raw data"}
	s.setPanels(x.Panels)
	return s, nil
}

func (s *Subject) setPanels(panels []frame.Panel) {
	for i, dir := range repo.PanelDirs(panels) {
		p := panels[i]
		s.Panels = append(s.Panels, Slot{Dir: dir, ID: p.ID, Segment: p.Segment, Sub: p.Sub, Rows: p.Rows, Cols: p.Cols})
	}
}

// fromRepository takes what sidecars, file names and alias records tell.
func fromRepository(r *repo.Repo, w Wanted) (*Subject, error) {
	var found []repo.Located
	var err error
	switch {
	case w.Panel != "" && w.Stamp != "":
		found, err = r.Youngest(w.Experiment, w.Panel, w.Stamp)
	case w.Run >= 0:
		found, err = r.Locate(w.Experiment, w.Run, w.Panel)
	default:
		return nil, fault.New(fault.Usage, "no run is named").WithHint("give -e and -r, or -k, or --panel with -t")
	}
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	found = slices.DeleteFunc(found, func(l repo.Located) bool {
		if l.DetName == "" {
			l.DetName = w.Detector
		}
		names[l.DetName+" ("+l.DetType+")"] = true
		return w.Detector != "" && !l.IsOf(w.Detector)
	})
	if len(found) == 0 {
		return nil, nothingFound(r, w, names)
	}
	if first := found[0]; len(names) > 1 && slices.ContainsFunc(found, func(l repo.Located) bool { return l.DetName != first.DetName }) {
		return nil, fault.New(fault.Usage, "the run has constants of several detectors: %s", list(names)).WithHint("name one with -d")
	}
	s := &Subject{Detector: found[0].DetName, Type: found[0].DetType, Run: found[0].Run, Origin: "sidecars in the repository"}
	if s.Detector == "" {
		s.Detector = w.Detector
	}
	if w.Run >= 0 && w.Experiment != "" {
		s.Run.Experiment, s.Run.Number = w.Experiment, w.Run
	}
	for _, l := range found {
		if !l.ByRecord {
			s.Origin = "file names in the repository"
		}
		if l.Segment < 0 && len(found) > 1 {
			return nil, fault.New(fault.Usage, "the repository does not say which segment panel %q is", l.Panel).
				WithHint("name the raw data with -k or --dir")
		}
		p := Slot{Dir: l.Panel, Segment: max(l.Segment, 0), Sub: l.Sub, Rows: l.Rows, Cols: l.Cols}
		if !repo.IsSegmentName(l.Panel) {
			p.ID = l.Panel
		}
		s.Panels = append(s.Panels, p)
	}
	return s, s.addKnown(r, w)
}

// addKnown adds the panels that the repository knows of the detector from other runs of the experiment, at
// segments where this run has none: what has no file of this run must not be taken as not there.
func (s *Subject) addKnown(r *repo.Repo, w Wanted) error {
	if w.Panel != "" {
		return nil
	}
	known, err := r.Locate(s.Run.Experiment, -1, "")
	if err != nil {
		return err
	}
	for _, l := range known {
		there := slices.ContainsFunc(s.Panels, func(p Slot) bool { return p.Dir == l.Panel || p.Segment == l.Segment && p.Sub == l.Sub })
		if l.DetName != s.Detector || !strings.EqualFold(l.DetType, s.Type) || l.Segment < 0 || there {
			continue
		}
		p := Slot{Dir: l.Panel, Segment: l.Segment, Sub: l.Sub, Rows: l.Rows, Cols: l.Cols}
		if !repo.IsSegmentName(l.Panel) {
			p.ID = l.Panel
		}
		s.Panels = append(s.Panels, p)
		s.Notes = append(s.Notes, fmt.Sprintf("segment %d (panel %s) has no file of run %d, but of run %d: it belongs to the detector", l.Segment, l.Panel, s.Run.Number, l.Run.Number))
	}
	return nil
}

func nothingFound(r *repo.Repo, w Wanted, names map[string]bool) error {
	if len(names) > 0 {
		return fault.New(fault.Input, "the repository has no constants of detector %q for this run, but of %s", w.Detector, list(names))
	}
	return fault.New(fault.Input, "the repository %q has no status files of experiment %q run %d", r.Root, w.Experiment, w.Run).
		WithHint("check -e, -r and -o; with raw data at hand name them with -k or --dir and older files are found as well")
}

func list(set map[string]bool) string {
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// slots sets the position of every panel in the deployed array.
func (s *Subject) slots() error {
	subs := 1
	for _, p := range s.Panels {
		subs = max(subs, p.Sub+1)
	}
	seen := map[int]string{}
	for i := range s.Panels {
		p := &s.Panels[i]
		p.Slot = p.Segment*subs + p.Sub
		if p.Slot < 0 || p.Slot >= 4096 {
			return fault.New(fault.Input, "panel %q: segment %d is out of range", p.Dir, p.Segment)
		}
		if other, taken := seen[p.Slot]; taken {
			return fault.New(fault.Input, "panels %q and %q have the same segment number %d", other, p.Dir, p.Segment).
				WithHint("a panel was exchanged between runs: name the raw data of this run with -k or --dir")
		}
		seen[p.Slot] = p.Dir
	}
	slices.SortFunc(s.Panels, func(a, b Slot) int { return a.Slot - b.Slot })
	return nil
}
