package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/xtc1"
	"rawstatus/internal/io/xtc2"
)

// The formats of runs.
const (
	XTC1 = "xtc1" // LCLS-I
	XTC2 = "xtc2" // LCLS-II
)

// formats are those that can be written.
var formats = []string{XTC2, XTC1}

// xtc1Names are names of detectors for types that are given without one.
var xtc1Names = map[string]string{
	"epix100":      "XcsEndstation.0:Epix100a.1",
	"epix100a":     "XcsEndstation.0:Epix100a.1",
	"epix10kaquad": "XcsEndstation.0:Epix10kaQuad.0",
	"epix10ka2m":   "MfxEndstation.0:Epix10ka2M.0",
	"jungfrau":     "CxiDs1.0:Jungfrau.0",
	"opal":         "XppEndstation.0:Opal1000.1",
	"opal1000":     "XppEndstation.0:Opal1000.1",
}

// lcls1 reports whether the run is one of LCLS-I. There all panels of a detector come together, and each
// event is whole in one stream.
func (c Config) lcls1() bool { return c.Format == XTC1 }

// withSource sets the full name of a detector of LCLS-I, and takes type and shape from it.
func (c Config) withSource() Config {
	setDefault(&c.Detector, xtc1Names[strings.ToLower(c.Type)])
	setDefault(&c.Detector, c.Type)
	if m, err := c.model(); err == nil {
		c.Type, c.Panels, c.Rows, c.Cols = m.Type(), m.Panels, m.Rows, m.Cols
	}
	return c
}

// model returns the detector as the format has it.
func (c Config) model() (*xtc1.Model, error) {
	return xtc1.NewModel(c.Detector, c.Panels, c.Rows, c.Cols)
}

// timeStamp returns a time as the format has it.
func (c Config) timeStamp(t time.Time) uint64 {
	if c.lcls1() {
		return xtc1.TimeStamp(t)
	}
	return xtc2.TimeStamp(t)
}

// recorderOf returns the stream of LCLS-I that has an event.
func (c Config) recorderOf(event int) int { return event % c.Streams }

// xtc1Stream writes a stream of LCLS-I.
type xtc1Stream struct {
	*xtc1.StreamWriter
	g      *Generator
	number int
	lost   losses
	model  *xtc1.Model
	d      xtc1.Draft
}

func newXtc1Stream(g *Generator, number int, lost losses) (output, error) {
	c := g.cfg
	s := &xtc1Stream{g: g, number: number, lost: lost}
	var err error
	if s.model, err = c.model(); err != nil {
		return nil, err
	}
	s.StreamWriter, err = xtc1.CreateStream(rawrun.StreamOptions{Dir: c.Dir, Experiment: c.Experiment, Run: c.Run, Stream: number, NoSmalldata: c.NoSmalldata})
	return s, err
}

// transitions are those of both formats that mean the same.
var transitions = map[xtc2.Service]xtc1.Transition{
	xtc2.Configure: xtc1.Configure, xtc2.BeginRun: xtc1.BeginRun, xtc2.BeginStep: xtc1.BeginCalibCycle, xtc2.Enable: xtc1.Enable,
	xtc2.L1Accept: xtc1.L1Accept, xtc2.Disable: xtc1.Disable, xtc2.EndStep: xtc1.EndCalibCycle, xtc2.EndRun: xtc1.EndRun,
}

const (
	xtc1Fiducials = 360     // in a second
	xtc1Wrap      = 0x1ffe0 // they count below this
	xtc1Dropped   = 1 << 1  // damage: a contribution did not come
	xtc1Synch     = 1 << 13 // damage: a contribution is of another event
	xtc1Node      = 0x7f000001
)

// put implements output. A lost event comes without its contribution, and says so; what a damaged frame
// holds must not be used and shows if it is: all bits are set.
func (s *xtc1Stream) put(a action) (bool, error) {
	c := s.g.cfg
	t, ok := transitions[a.service]
	if !ok || t == xtc1.L1Accept && c.recorderOf(a.event) != s.number {
		return false, nil
	}
	env, damage := uint32(1), uint32(0)
	if t == xtc1.BeginRun {
		env = uint32(c.Run)
	}
	_, gone := s.lost.stream[a.event]
	gone = gone && t == xtc1.L1Accept
	if gone {
		damage = xtc1Dropped
	}
	elapsed := xtc1.Time(a.ts).Sub(c.Begin)
	fiducial := uint32(elapsed.Round(time.Second/xtc1Fiducials)*xtc1Fiducials/time.Second) % xtc1Wrap
	s.d.Begin(t, a.ts, fiducial, env, damage)
	s.d.Open(xtc1.Node(2, uint32(s.number+1), xtc1Node), 0)
	switch {
	case t == xtc1.Configure, t == xtc1.BeginCalibCycle && len(c.GainModes) > 0:
		s.model.PutConfig(&s.d, c.modeName(a.step))
	case t == xtc1.L1Accept && !gone:
		s.event(a.event)
	}
	if err := s.Write(&s.d); err != nil {
		return false, fmt.Errorf("simulate: %w", err)
	}
	if a.chunk {
		return true, s.NextChunk()
	}
	return true, nil
}

// event puts the frames of all panels.
func (s *xtc1Stream) event(event int) {
	damage := uint32(0)
	if _, ok := s.lost.panel[event]; ok {
		damage = xtc1Synch
	}
	s.model.PutFrame(&s.d, event, damage, func(dst []byte, panel int) {
		if damage == 0 {
			s.g.Frame(dst, event, panel)
			return
		}
		for i := range dst {
			dst[i] = 0xff
		}
	})
}

// allSegments lists the segments of the detector.
func (c Config) allSegments() []int {
	segments := make([]int, c.Panels)
	for i := range segments {
		segments[i] = i
	}
	return segments
}

// checkXtc1 refuses what LCLS-I has not.
func (c Config) checkXtc1(bad func(hint, format string, args ...any) error) error {
	if _, err := c.model(); err != nil {
		return bad("name the detector, e.g. XcsEndstation.0:Epix100a.1, or a type: "+strings.Join(slices.Sorted(maps.Keys(xtc1Names)), " "), "%v", err)
	}
	if len(c.MissingPanels) > 0 {
		return bad("leave the missing panels out, or take format "+XTC2, "panels of one detector come together in format %s: none can be missing alone", XTC1)
	}
	return nil
}
