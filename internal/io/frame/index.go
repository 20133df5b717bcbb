package frame

import (
	"fmt"
	"math/bits"
	"slices"
	"sort"
	"time"
)

// Index is one run: where every frame of every panel lies, or why it does not.
type Index struct {
	Format string  // "xtc2", "xtc1", "npy"
	Run    Run     //
	Files  []File  // files that extents point into, in a fixed order (stream, chunk)
	Panels []Panel // ascending by (Detector, Segment, Sub)
	Steps  []Step  // ascending by Number; -1 (events before the first BeginStep) only if it has events
	Events []Event // ascending by time-stamp as merged; one per event of the run
	// Extents has one element per event and panel: Extents[event*len(Panels)+panel].
	Extents []Extent
	// Groups are the readout groups that took part in each event; nil where the format does not tell. They
	// are of use only until the events of one detector are picked.
	Groups []uint16 `json:"-"`
	// Unpaced are detectors whose recorders have a rate of their own: that they are not in an event is no
	// loss.
	Unpaced []string `json:"-"`
	// Pulsed are the pixels that a pulser reaches, by what the configuration of steps says; only steps and
	// panels with such pixels are there.
	Pulsed []PulsedMap `json:",omitempty"`
	// GainMaps have the setting of every pixel of a panel, a position in detector.Family.Settings or NoSetting.
	GainMaps [][]uint8
	// Headings are bytes that must lie before frames whose place was predicted, see Extent.Heading.
	Headings []Heading
	// Missing lists what makes the run incomplete (truncated tail, missing chunk or stream, files still
	// growing); empty for a complete run. A panel without any frame is not listed here: see PanelFrames.
	Missing []string
	// Aliases are names that people gave to detectors, with the detectors' own.
	Aliases map[string]string
	// Notes are observations that do not make the run incomplete (no EndRun, duplicate segments, ...),
	// each with a count where it can repeat.
	Notes []string
}

// Run identifies a run.
type Run struct {
	Experiment string    `json:"experiment"`
	Number     int       `json:"run"`
	Begin      time.Time `json:"begin"` // begin of the run, UTC; the time of the constants' validity
}

// String names the run for messages; some files do not tell their experiment.
func (r Run) String() string {
	if r.Experiment == "" {
		return fmt.Sprintf("run %d", r.Number)
	}
	return fmt.Sprintf("run %d of %s", r.Number, r.Experiment)
}

// File is a raw file as it was when it was indexed. Size and ModTime guard against later changes.
type File struct {
	Path    string    `json:"path"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
	Stream  int       `json:"stream"`
	Chunk   int       `json:"chunk"`
}

// Panel is one segment of a detector: rows x cols pixels of 16 bits, row-major.
type Panel struct {
	Detector string `json:"detector"`
	Type     string `json:"type"` // detector type as in the data, e.g. "jungfrau"
	Segment  int    `json:"segment"`
	Sub      int    `json:"sub"` // sub-panel for formats that store several panels in one segment's array
	ID       string `json:"id"`  // hardware id, may be empty
	Rows     int    `json:"rows"`
	Cols     int    `json:"cols"`
	Bits     int    `json:"bits,omitempty"` // of a word, where the data tell; 0: they do not
	Codec    Codec  `json:"codec"`
}

// Pixels returns the number of pixels of a panel.
func (p Panel) Pixels() int { return p.Rows * p.Cols }

// String names the panel for messages, e.g. "jungfrau segment 3".
func (p Panel) String() string {
	if p.Sub != 0 {
		return fmt.Sprintf("%s segment %d.%d", p.Detector, p.Segment, p.Sub)
	}
	return fmt.Sprintf("%s segment %d", p.Detector, p.Segment)
}

// Codec names the transform from the bytes of an extent to rows*cols little-endian uint16.
type Codec string

// Codecs of pixels one after the other. Package codec has them all.
const (
	Identity Codec = ""   // the bytes are the pixels
	Widen    Codec = "u8" // pixels of one byte
)

// Step is a calibration cycle.
type Step struct {
	Number int    `json:"step"`  // BeginSteps passed - 1; -1 before the first
	Begin  uint64 `json:"begin"` // time-stamp of its BeginStep, 0 for step -1
	Doc    string `json:"doc,omitempty"`
	// Gains has what is known of the gain of each panel in this step; empty for detectors of one gain, else
	// len = len(Panels).
	Gains  []Gain `json:"gains,omitempty"`
	Events int    `json:"events"`
}

// Event is one L1Accept of the run.
type Event struct {
	TS   uint64 // format's time-stamp, unsigned; XTC2: seconds since 1990 <<32 | nanoseconds
	Step int32  // Step.Number
}

// State is the reason why a frame cannot be used; the zero value is a usable frame.
type State uint8

// The states of a frame.
const (
	Present   State = iota // usable
	Missing                // no contribution of this panel in this event
	Damaged                // damage bits reject it; Damage has them
	Truncated              // the file ends before the frame does
	Odd                    // shape or type differs from the panel's
	Bad                    // structure around the frame is not readable
	numStates
)

var stateNames = [numStates]string{"present", "missing", "damaged", "truncated", "odd shape", "unreadable"}

// String returns the state's name as used in logs.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Extent is where one frame's bytes lie. For a frame that is not Present, File, Offset and Length are
// meaningful only if Length > 0 (the bytes exist but should not be used).
type Extent struct {
	Offset int64  // bytes from the start of the file
	Length uint32 // bytes in the file
	File   int32  // index into Index.Files
	Damage uint16 // damage bits as found (union of root, container and data)
	// Heading is 0 where the headers of the frame were read. Else the place of the frame was predicted
	// from earlier events, and Index.Headings[Heading-1] must lie before it: the task that reads its first pixel
	// compares.
	Heading uint16
	State   State
}

// Heading holds the bytes that must lie before a frame whose place was predicted, from Extent.Offset - Before on.
type Heading struct {
	Before int    `json:"before"`
	Bytes  []byte `json:"bytes"`
}

// MaxHeadings is how many headings an index may have: all numbers of Extent.Heading but 0.
const MaxHeadings = 1<<16 - 1

// PulsedMap says which pixels of a panel a step pulses.
type PulsedMap struct {
	Step  int // number
	Panel int // position in Index.Panels
	TRBit int // of most of these pixels: 0 or 1
	// Bits has a bit for each pixel, row-major, the first in the lowest bit.
	Bits []byte `json:"-"`
}

// Count returns the number of pulsed pixels.
func (m PulsedMap) Count() (n int) {
	for _, b := range m.Bits {
		n += bits.OnesCount8(b)
	}
	return n
}

// At returns the extent of a panel in an event; both are positions in Events and Panels.
func (x *Index) At(event, panel int) *Extent { return &x.Extents[event*len(x.Panels)+panel] }

// StepAt returns the step with that number, or nil.
func (x *Index) StepAt(number int) *Step {
	i := sort.Search(len(x.Steps), func(i int) bool { return x.Steps[i].Number >= number })
	if i < len(x.Steps) && x.Steps[i].Number == number {
		return &x.Steps[i]
	}
	return nil
}

// Detectors lists the names of all detectors that have panels, ascending.
func (x *Index) Detectors() []string {
	var names []string
	for _, p := range x.Panels {
		if len(names) == 0 || names[len(names)-1] != p.Detector {
			names = append(names, p.Detector)
		}
	}
	return names
}

// Select returns the index of one detector: same run and events, only its panels. The result shares no
// extents with x.
func (x *Index) Select(detector string) *Index {
	y := *x
	y.Panels, y.Extents, y.Steps, y.Pulsed = nil, nil, nil, nil
	var keep []int
	for i, p := range x.Panels {
		if p.Detector == detector {
			keep = append(keep, i)
			y.Panels = append(y.Panels, p)
		}
	}
	y.Extents = make([]Extent, 0, len(x.Events)*len(keep))
	for e := range x.Events {
		for _, p := range keep {
			y.Extents = append(y.Extents, *x.At(e, p))
		}
	}
	for _, m := range x.Pulsed {
		if at := slices.Index(keep, m.Panel); at >= 0 {
			m.Panel = at
			y.Pulsed = append(y.Pulsed, m)
		}
	}
	for _, s := range x.Steps {
		gains := s.Gains
		s.Gains = nil
		for _, p := range keep {
			if p < len(gains) {
				s.Gains = append(s.Gains, gains[p])
			}
		}
		y.Steps = append(y.Steps, s)
	}
	return &y
}

// PanelFrames counts the frames of one panel by state.
func (x *Index) PanelFrames(panel int) (count [numStates]int) {
	for e := range x.Events {
		count[x.At(e, panel).State]++
	}
	return count
}
