package simulate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// TruthVersion is the version of the truth file that this package writes and reads.
const TruthVersion = 1

// Truth lists the bad pixels that a correct analysis of a run must find.
type Truth struct {
	Version    int          `json:"schema"`
	Config     Config       `json:"config"`
	Begin      time.Time    `json:"begin"` // of the run, UTC
	Files      []string     `json:"files"` // base names of the raw files, by stream and chunk
	Panels     []PanelTruth `json:"panels"`
	Steps      []Step       `json:"steps"`
	Lost       []Loss       `json:"lost,omitempty"`    // frames that are not there
	Damaged    []Loss       `json:"damaged,omitempty"` // frames whose damage bits reject them
	Incomplete bool         `json:"incomplete"`        // the run lacks its end or a panel
}

// PanelTruth is one panel of the detector: a segment, or a part of one.
type PanelTruth struct {
	Segment int       `json:"segment"`
	Sub     int       `json:"sub,omitempty"`
	ID      string    `json:"id"`
	Rows    int       `json:"rows"`
	Cols    int       `json:"cols"`
	Stream  int       `json:"stream"`
	Missing bool      `json:"missing,omitempty"` // in no event
	Planted []Planted `json:"planted"`
}

// Planted are the bad pixels of one kind in one gain mode.
type Planted struct {
	GainMode string `json:"gain_mode,omitempty"`
	Kind     string `json:"kind"`
	// Data and Dark are the bits that the profile of that name must give at least.
	Data uint64 `json:"data"`
	Dark uint64 `json:"dark"`
	// Hard kinds have these bits only where the limits are sharp enough.
	Hard   bool   `json:"hard,omitempty"`
	CI     uint64 `json:"ci,omitempty"` // of a charge-injection scan
	Pixels []int  `json:"pixels"`       // row-major positions, ascending
}

// Step is one calibration cycle.
type Step struct {
	Number   int    `json:"step"`
	GainMode string `json:"gain_mode,omitempty"`
	Events   int    `json:"events"`
}

// Loss are frames of one event that cannot be used.
type Loss struct {
	Event    int    `json:"event"` // of the run, from 0
	TS       uint64 `json:"ts"`
	Step     int    `json:"step"`
	Segments []int  `json:"segments"`
	Why      string `json:"why"`
}

// truthPath returns the name of the truth file of a run.
func truthPath(dir, experiment string, run int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-r%04d-truth.json", experiment, run))
}

// Path returns the name of the truth file.
func (t *Truth) Path() string { return truthPath(t.Config.Dir, t.Config.Experiment, t.Config.Run) }

// Truth returns what the frames of the generator hold; files, losses and completeness are those of a run
// that has been written, see Write.
func (g *Generator) Truth() *Truth {
	c := g.cfg
	t := &Truth{Version: TruthVersion, Config: c, Begin: c.Begin, Incomplete: len(c.MissingPanels) > 0}
	for i := range c.Panels * c.subs() {
		s := i / c.subs()
		p := PanelTruth{Segment: s, Sub: i % c.subs(), ID: c.panelID(s, i%c.subs()), Rows: c.Rows, Cols: c.Cols, Stream: c.streamOf(s),
			Missing: slices.Contains(c.MissingPanels, s), Planted: []Planted{}}
		if g.scan != nil {
			p.Planted = g.scan[i].truth()
		}
		for m := 0; m < c.modes() && g.scan == nil; m++ {
			for k, pixels := range g.panels[i][m].planted {
				if len(pixels) == 0 {
					continue
				}
				one := Planted{GainMode: c.modeName(m), Kind: Kind(k).String(), Data: kinds[k].bit, Dark: kinds[k].bit, Hard: kinds[k].hard}
				for _, x := range pixels {
					one.Pixels = append(one.Pixels, x.pixel)
				}
				p.Planted = append(p.Planted, one)
			}
		}
		t.Panels = append(t.Panels, p)
	}
	for s := range c.Steps {
		t.Steps = append(t.Steps, Step{s, c.modeName(s), c.Events})
	}
	return t
}

// write makes the truth file.
func (t *Truth) write() error {
	b, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	return atomicfile.WriteFile(t.Path(), atomicfile.Options{}, append(b, '\n'))
}

// ReadTruth reads a truth file.
func ReadTruth(path string) (*Truth, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Input, "simulate: could not read a truth file: %w", err)
	}
	t := &Truth{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fault.New(fault.Input, "simulate: truth file %q is not what it should be: %w", path, err)
	}
	if t.Version != TruthVersion {
		return nil, fault.New(fault.Input, "simulate: truth file %q has version %d, known is %d", path, t.Version, TruthVersion)
	}
	t.Config.Dir = filepath.Dir(path)
	return t, nil
}
