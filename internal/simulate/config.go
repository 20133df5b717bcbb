package simulate

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
)

// Config describes a run. Zero values of fields with a default mean the default.
type Config struct {
	Dir        string `json:"-"`
	Experiment string `json:"experiment"` // default "tstx00417"
	Run        int    `json:"run"`        // default 1
	Format     string `json:"format"`     // XTC2, the default, or XTC1

	Type     string `json:"detector_type"` // default "jungfrau"; in XTC1 that of the detector's name
	Detector string `json:"detector"`      // name; default the type, in XTC1 a full name for it
	Panels   int    `json:"panels"`        // segments; default 2, in XTC1 those of the type
	Rows     int    `json:"rows"`          // default that of the type, else 512
	Cols     int    `json:"cols"`          // default that of the type, else 1024

	Events    int       `json:"events"`               // of each step; default 100
	Steps     int       `json:"steps"`                // default one for each gain mode
	GainModes []string  `json:"gain_modes,omitempty"` // one step each; default the first of the type
	Streams   int       `json:"streams"`              // default 1
	Chunks    int       `json:"chunks"`               // files of each stream; default 1
	Begin     time.Time `json:"begin"`                // default 2026-01-15T20:00:00Z
	Seed      uint64    `json:"seed"`

	Pedestal   float64 `json:"pedestal"`    // ADU; default 1000
	Sigma      float64 `json:"sigma"`       // ADU; default 15
	CommonMode float64 `json:"common_mode"` // ADU; default 3, negative for none

	// Planted pixels of each panel and gain mode.
	Dead      int `json:"dead"`
	Hot       int `json:"hot"`
	Noisy     int `json:"noisy"`
	Saturated int `json:"saturated"`
	Cold      int `json:"cold"`
	// Hard kinds: whether they are found depends on the limits.
	Stuck        int `json:"stuck,omitempty"`
	Flickering   int `json:"flickering,omitempty"`
	NoisyColumns int `json:"noisy_columns,omitempty"` // columns of a chip
	WrongGain    int `json:"wrong_gain,omitempty"`
	Weak         int `json:"weak,omitempty"`

	MissingPanels []int `json:"missing_panels,omitempty"` // segments that are declared and never sent
	LostEvents    int   `json:"lost_events"`              // events that one stream did not get
	DamagedEvents int   `json:"damaged_events"`           // events with one damaged frame
	NoSmalldata   bool  `json:"no_smalldata"`
	NoEndRun      bool  `json:"no_endrun"`
	Truncate      int64 `json:"truncate"` // bytes cut from the last file of the last stream

	// Scan is empty for a dark run, or ChargeInjection: 2 x Space x Space steps, in which a pulser of Ramp
	// events reaches every Space-th row and column of each chip. Plant pixels of each of Defects are planted.
	Scan  string `json:"scan,omitempty"`
	Space int    `json:"space,omitempty"`
	Ramp  int    `json:"ramp,omitempty"`
	Plant int    `json:"plant,omitempty"`
	// NoTestBits leaves the pulsed pixels out of the configuration; they are those of psana's formula then.
	NoTestBits bool `json:"no_test_bits,omitempty"`
}

// ChargeInjection is a scan with the pulser.
const ChargeInjection = "chargeinj"

const (
	maxPanels    = 75    // of one stream: three NamesIds each, below those of the bookkeeping
	maxPlanted   = 0.005 // of the pixels of a panel, for each kind: see doc.go
	gainShift    = 100   // ADU from the pedestal of one gain mode to the next
	spread       = 30    // ADU, sigma of pedestals over pixels
	noisyFactor  = 20    // of sigma
	hotFraction  = 0.7   // of int_hi
	tableTail    = 3.7   // sigmas at which Gaussian tables end
	flicker      = 4.5   // of sigma, in every eighth frame
	noisyTenths  = 17    // noise of a noisy column, in tenths of sigma
	weakTenths   = 2     // noise of a weak pixel
	minSigma     = 2     // ADU; below it integer noise is too often constant
	firstInRange = 1     // default int_lo
)

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// withDefaults fills in what is not given.
func (c Config) withDefaults() Config {
	setDefault(&c.Experiment, "tstx00417")
	setDefault(&c.Run, 1)
	setDefault(&c.Format, XTC2)
	if c.Scan == ChargeInjection {
		c = c.withScan()
	}
	setDefault(&c.Type, "jungfrau")
	if c.lcls1() {
		c = c.withSource()
	}
	setDefault(&c.Detector, c.Type)
	setDefault(&c.Panels, 2)
	f, _ := detector.Lookup(c.Type)
	setDefault(&c.Rows, f.Rows)
	setDefault(&c.Cols, f.Cols)
	setDefault(&c.Rows, 512)
	setDefault(&c.Cols, 1024)
	setDefault(&c.Events, 100)
	if len(c.GainModes) == 0 && len(f.GainModes) > 0 {
		c.GainModes = f.GainModes[:1]
	}
	setDefault(&c.Steps, max(1, len(c.GainModes)))
	setDefault(&c.Streams, 1)
	setDefault(&c.Chunks, 1)
	setDefault(&c.Begin, time.Date(2026, 1, 15, 20, 0, 0, 0, time.UTC))
	c.Begin = c.Begin.UTC()
	setDefault(&c.Pedestal, 1000)
	setDefault(&c.Sigma, 15)
	setDefault(&c.CommonMode, 3)
	c.CommonMode = max(c.CommonMode, 0)
	c.MissingPanels = slices.Compact(slices.Sorted(slices.Values(c.MissingPanels)))
	return c
}

var wordPattern = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// check refuses what cannot be written, or what would not show what it should.
func (c Config) check() error {
	bad := func(hint, format string, args ...any) error {
		return fault.New(fault.Usage, "simulate: "+format, args...).WithHint("%s", hint)
	}
	if !slices.Contains(formats, c.Format) {
		return bad("take one of: "+strings.Join(formats, " "), "format %q cannot be written", c.Format)
	}
	if c.lcls1() {
		if err := c.checkXtc1(bad); err != nil {
			return err
		}
	}
	for i, s := range []string{c.Experiment, c.Type, c.Detector} {
		if !wordPattern.MatchString(s) && !(i == 2 && c.lcls1()) {
			return bad("take letters, digits and _", "%q is no name for an experiment, a detector or a type", s)
		}
	}
	if codec.Packed(c.Type).Codec != frame.Identity {
		return bad("take another type", "frames of type %s are packed and cannot be simulated", c.Type)
	}
	for _, n := range []struct {
		name     string
		n, least int
		most     int
	}{
		{"run", c.Run, 1, 9999}, {"panels", c.Panels, 1, maxPanels}, {"rows", c.Rows, 2, 1 << 13}, {"cols", c.Cols, 2, 1 << 13},
		{"events", c.Events, 1, 1 << 30}, {"steps", c.Steps, 1, 1 << 16}, {"streams", c.Streams, 1, 1 << 8}, {"chunks", c.Chunks, 1, 1000},
		{"lost events", c.LostEvents, 0, c.total()}, {"damaged events", c.DamagedEvents, 0, c.total() - c.LostEvents},
	} {
		if n.n < n.least || n.n > n.most {
			return bad("give another number", "%d %s, possible are %d to %d", n.n, n.name, n.least, n.most)
		}
	}
	if c.Chunks > c.total() {
		return bad("take fewer chunks", "%s of %s", fault.Count(c.Chunks, "chunk"), fault.Count(c.total(), "event"))
	}
	if n := len(c.GainModes); n > 1 && n != c.Steps {
		return bad("leave --steps out", "%s with %s", fault.Count(c.Steps, "step"), fault.Count(n, "gain mode"))
	}
	for _, mode := range c.GainModes {
		if known := modesOf(c.Type); !slices.Contains(known, mode) {
			return bad("leave the gain mode out or take one of: "+strings.Join(known, " "), "type %s has no dark step of gain mode %q", c.Type, mode)
		}
	}
	for _, s := range c.MissingPanels {
		if s < 0 || s >= c.Panels {
			return bad("segments count from 0", "missing panel %d of %d", s, c.Panels)
		}
	}
	if c.Truncate < 0 {
		return bad("give the bytes to cut off", "truncate by %d bytes", c.Truncate)
	}
	if year := c.Begin.Year(); year < 1991 || year > 2099 {
		return bad("time-stamps of the format count from 1990", "begin in the year %d", year)
	}
	if c.Scan != "" {
		return c.checkScan(bad)
	}
	return c.checkLevels(bad)
}

// checkLevels keeps all ordinary values within the data bits and above int_lo, so that nothing but the
// planted pixels is out of range, and keeps the planted ones few enough to be found.
func (c Config) checkLevels(bad func(hint, format string, args ...any) error) error {
	if !(c.Sigma >= minSigma) || !(c.CommonMode < 1e4) || !(c.Pedestal < 1e5) {
		return bad("take sigma about 15, common mode about 3, pedestal about 1000", "sigma %g, common mode %g, pedestal %g ADU", c.Sigma, c.CommonMode, c.Pedestal)
	}
	swing := tableTail*(spread+c.Sigma+c.CommonMode) + 3
	low := c.Pedestal - swing - noisyFactor*c.Sigma
	high := c.Pedestal + swing + noisyFactor*c.Sigma + gainShift*float64(max(0, len(c.GainModes)-1))
	f, _ := detector.Lookup(c.Type)
	hot := hotFraction * float64(upperLimit(f))
	if low < firstInRange || high > hot/2 || hot+swing > float64(upperLimit(f)) {
		return bad("take another --pedestal or a smaller --sigma", "values would go from %.0f to %.0f ADU, possible are %d to %.0f", low, high, firstInRange, hot/2)
	}
	if c.WrongGain > 0 && f.NeverPattern == 0 {
		return bad("leave --wrong-gain out", "type %s has no gain bits that no gain mode has", c.Type)
	}
	most := int(math.Floor(maxPlanted * float64(c.Rows*c.Cols)))
	for kind, n := range c.planted() {
		if Kind(kind) == NoisyColumn {
			n *= len(c.column(0))
		}
		if n < 0 || n > most {
			return bad("take fewer, or larger panels", "%d %s pixels in a panel of %d x %d, at most %d would be sure to be found", n, Kind(kind), c.Rows, c.Cols, most)
		}
	}
	return nil
}

// planted returns the number of pixels of each kind.
func (c Config) planted() [numKinds]int {
	return [numKinds]int{Dead: c.Dead, Hot: c.Hot, Noisy: c.Noisy, Saturated: c.Saturated, Cold: c.Cold,
		Stuck: c.Stuck, Flickering: c.Flickering, NoisyColumn: c.NoisyColumns, WrongGain: c.WrongGain, Weak: c.Weak}
}

// total returns the number of events of the run.
func (c Config) total() int { return c.Events * c.Steps }

// modes returns the number of gain modes that differ in pixels.
func (c Config) modes() int { return max(1, len(c.GainModes)) }

// modeOf returns the position of a step's gain mode in GainModes, 0 if there are none.
func (c Config) modeOf(step int) int { return step % c.modes() }

// modeName returns the gain mode of a step, or the empty string.
func (c Config) modeName(step int) string {
	if len(c.GainModes) == 0 {
		return ""
	}
	return c.GainModes[c.modeOf(step)]
}

// streamOf returns the stream that carries a segment: neighbours together, all streams equally loaded.
func (c Config) streamOf(segment int) int { return segment * c.Streams / c.Panels }

// scanning reports whether the run is a charge-injection scan.
func (c Config) scanning() bool { return c.Scan == ChargeInjection }

// subs returns the number of panels that one segment holds.
func (c Config) subs() int {
	if strings.EqualFold(c.Type, "epixm320") {
		return 4
	}
	return 1
}

// String names the kind as in doc.go.
func (k Kind) String() string {
	if k >= 0 && k < numKinds {
		return kinds[k].name
	}
	return fmt.Sprintf("kind %d", int(k))
}

// upperLimit returns the largest value that pixels without a fault may have. Simulated words use all bits that the type's
// mask has, also those of cameras that really have fewer.
func upperLimit(f detector.Family) int {
	f.Bits = 0
	return f.IntHi()
}
