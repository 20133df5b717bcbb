package xtc2

import (
	"encoding/json"
	"regexp"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/frame"
)

// info extracts what a transition tells; nil if nothing.
func (d *Datagram) info() *info {
	in := &info{}
	if d.Service() == BeginRun {
		in.experiment, in.run, in.hasRun = d.runInfo()
	}
	if b, ok := d.Find("scan"); ok && d.Service() == BeginStep {
		if v, ok := b.Find("step_docstring"); ok {
			in.doc, _ = v.Text()
		}
	}
	for i := range d.Blocks {
		b := &d.Blocks[i]
		if b.Names.Alg != "config" {
			continue
		}
		if mode := b.gainMode(); mode != "" {
			if in.modes == nil {
				in.modes = map[segment]string{}
			}
			in.modes[segment{b.Names.DetName, b.Names.Segment}] = mode
		}
		if p, ok := b.pulsedMap(); ok {
			if in.pulsed == nil {
				in.pulsed = map[segment]pulsed{}
			}
			in.pulsed[segment{b.Names.DetName, b.Names.Segment}] = p
		}
	}
	if !in.hasRun && in.doc == "" && in.modes == nil && in.pulsed == nil {
		return nil
	}
	return in
}

// gainKind tells the families whose gain mode the data tell.
type gainKind int

const (
	gainUnknown gainKind = iota
	gainJungfrau
	gainEpix10ka
)

func gainKindOf(detType string) gainKind {
	f, _ := detector.Lookup(detType)
	switch {
	case f.GainIndex("g0") >= 0:
		return gainJungfrau
	case f.GainIndex("FH") >= 0:
		return gainEpix10ka
	}
	return gainUnknown
}

// Steps of a pedestal scan in order.
var (
	jungfrauSteps = []string{"g0", "g1", "g2"}
	epix10kaSteps = []string{"FH", "FM", "FL", "AHL-H", "AML-M"}
)

// jungfrauModes are the gain modes by the value of gainModeEnum: DYNAMIC, FORCE_SWITCH_G1,
// FORCE_SWITCH_G2, FIX_G1, FIX_G2. Dark frames of DYNAMIC are in g0.
var jungfrauModes = []string{"g0", "g1", "g2", "g1", "g2"}

// gainMode gives the gain mode that a panel's configuration says, or the empty string.
func (b *Block) gainMode() string {
	switch gainKindOf(b.Names.DetType) {
	case gainJungfrau:
		if v, ok := b.Find("user.gainMode"); ok {
			return pick(jungfrauModes, v)
		}
	case gainEpix10ka:
		return b.epix10kaMode()
	}
	return ""
}

func pick(modes []string, v Value) string {
	if i, ok := v.Int(); ok && i >= 0 && i < int64(len(modes)) {
		return modes[i]
	}
	return ""
}

// epix10kaMode gives the gain mode that more than half of the pixels are configured for.
//
// Per pixel the configuration has bits 3 and 2; bit 4 is the trbit of the pixel's ASIC. The automatic
// modes are named by the gain they start with.
func (b *Block) epix10kaMode() string {
	var counts [32]int // by bits 4..2
	total := 0
	if v, ok := b.Find("cbitsConfig"); ok && v.Field.Type == UInt8 {
		for _, p := range v.Bytes {
			counts[p&0x1c]++
		}
		total = len(v.Bytes)
	} else {
		pixels, okPixels := b.Find("asicPixelConfig")
		trbit, okTrbit := b.Find("trbit")
		if !okPixels || !okTrbit || pixels.Field.Type != UInt8 || trbit.Field.Type != UInt8 || len(trbit.Bytes) != 4 {
			return ""
		}
		for i, p := range pixels.Bytes {
			counts[p&12|trbit.Bytes[asicOf(pixels.Dims, i)]&1<<4]++
		}
		total = len(pixels.Bytes)
	}
	for mode, n := range map[string]int{
		"FH": counts[28], "FM": counts[12], "FL": counts[8] + counts[24],
		"AHL-H": counts[16], "AML-M": counts[0],
	} {
		if 2*n > total {
			return mode
		}
	}
	return ""
}

// asicOf gives the ASIC of element i of an array of pixels: four ASICs one after the other, or put
// together as a panel with ASICs 2 and 1 above 3 and 0.
func asicOf(dims []int, i int) int {
	if len(dims) == 3 {
		return min(i/(dims[1]*dims[2]), 3)
	}
	rows, cols := dims[0], dims[1]
	top, left := i/cols < rows/2, i%cols < cols/2
	switch {
	case top && left:
		return 2
	case top:
		return 1
	case left:
		return 3
	}
	return 0
}

// stepDoc is the JSON of a calibration scan's step.
type stepDoc struct {
	DetName  string `json:"detname"`
	ScanType string `json:"scantype"`
	Step     *int   `json:"step"`
	GainMode *int   `json:"gainMode"`
}

var segmentSuffix = regexp.MustCompile(`_\d+$`)

// mode gives the gain mode that a step's description means for a detector, or the empty string.
func (d stepDoc) mode(det, detType string) string {
	if d.DetName != "" && d.DetName != det && segmentSuffix.ReplaceAllString(d.DetName, "") != det {
		return ""
	}
	step := d.Step
	if d.ScanType != "pedestal" {
		step = nil
	}
	steps := epix10kaSteps
	switch gainKindOf(detType) {
	case gainUnknown:
		return ""
	case gainJungfrau:
		steps = jungfrauSteps
		if d.GainMode != nil {
			step = d.GainMode
		}
	}
	if step == nil || *step < 0 || *step >= len(steps) {
		return ""
	}
	return steps[*step]
}

// gainTracker follows the gain modes through the transitions of a run.
type gainTracker struct {
	b      *builder
	x      *frame.Index
	doc    string // of the present step
	config map[segment]string
	pulsed map[segment]pulsed
	fresh  map[segment]bool // config was told by the transition of the present step
}

func newGainTracker(b *builder, x *frame.Index) *gainTracker {
	return &gainTracker{b: b, x: x, config: map[segment]string{}, pulsed: map[segment]pulsed{}}
}

// transition takes what a Configure or BeginStep tells.
func (t *gainTracker) transition(g group) {
	t.doc, t.fresh = "", map[segment]bool{}
	for _, m := range g.members {
		in := t.b.scans[m.scan].entries[m.entry].info
		if in == nil {
			continue
		}
		if t.doc == "" {
			t.doc = in.doc
		}
		for s, mode := range in.modes {
			t.config[s], t.fresh[s] = mode, true
		}
		for s, p := range in.pulsed {
			t.pulsed[s] = p
		}
	}
}

// modes gives the gain mode of each panel in the present step: what the scan says, else what the
// configuration says.
func (t *gainTracker) modes(step int) []string {
	var doc stepDoc
	if json.Unmarshal([]byte(t.doc), &doc) != nil {
		doc = stepDoc{}
	}
	modes := make([]string, len(t.x.Panels))
	for i, p := range t.x.Panels {
		s := segment{p.Detector, p.Segment}
		modes[i] = doc.mode(p.Detector, p.Type)
		if modes[i] == "" {
			modes[i] = t.config[s]
		} else if t.fresh[s] && t.config[s] != modes[i] {
			t.b.counts.Add("step %d: the scan says gain mode %s, the configuration of %v says %s; the scan counts", step, modes[i], p, t.config[s])
		}
	}
	return modes
}
