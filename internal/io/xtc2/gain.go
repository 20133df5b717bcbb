package xtc2

import (
	"encoding/json"
	"regexp"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/frame"
)

// info extracts what a transition says about the run; nil if nothing.
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
		if c, told := b.gainConfig(); told {
			if in.gains == nil {
				in.gains = map[segment]frame.GainConfig{}
			}
			in.gains[segment{b.Names.DetName, b.Names.Segment}] = c
		}
		if p, ok := b.pulsedMap(); ok {
			if in.pulsed == nil {
				in.pulsed = map[segment]pulsed{}
			}
			in.pulsed[segment{b.Names.DetName, b.Names.Segment}] = p
		}
	}
	if !in.hasRun && in.doc == "" && in.gains == nil && in.pulsed == nil {
		return nil
	}
	return in
}

// gainKind is the way in which the data of a family state its gain.
type gainKind int

const (
	gainUnknown gainKind = iota
	gainJungfrau
	gainEpix10ka
)

func gainKindOf(detType string) gainKind {
	f, _ := detector.Lookup(detType)
	switch {
	case f.SettingIndex("DYNAMIC") >= 0:
		return gainJungfrau
	case f.SettingIndex("FH") >= 0:
		return gainEpix10ka
	}
	return gainUnknown
}

// jungfrauSettings are the names of gainModeEnum by value; the first three are the steps of a pedestal scan.
var jungfrauSettings = []string{"DYNAMIC", "FORCE_SWITCH_G1", "FORCE_SWITCH_G2", "FIX_G1", "FIX_G2"}

// epix10kaSettings are the steps of a pedestal scan in order.
var epix10kaSettings = []string{"FH", "FM", "FL", "AHL", "AML"}

// gainConfig returns what a panel's configuration says; told is false where it says nothing of the gain.
func (b *Block) gainConfig() (c frame.GainConfig, told bool) {
	switch gainKindOf(b.Names.DetType) {
	case gainJungfrau:
		v, ok := b.Find("user.gainMode")
		if !ok {
			return c, false
		}
		if i, ok := v.Int(); ok && i >= 0 && i < int64(len(jungfrauSettings)) {
			c.Setting = jungfrauSettings[i]
		}
		return c, true
	case gainEpix10ka:
		return b.epix10kaConfig()
	}
	return c, false
}

// epix10kaConfig reads the configuration of pixels. Per pixel it has bits 3 and 2; bit 4 is the trbit of the
// pixel's ASIC.
func (b *Block) epix10kaConfig() (frame.GainConfig, bool) {
	var bits []byte
	if v, ok := b.Find("cbitsConfig"); ok && v.Field.Type == UInt8 {
		bits = v.Bytes
	} else {
		pixels, okPixels := b.Find("asicPixelConfig")
		trbit, okTrbit := b.Find("trbit")
		if !okPixels || !okTrbit || pixels.Field.Type != UInt8 || trbit.Field.Type != UInt8 || len(trbit.Bytes) != 4 {
			return frame.GainConfig{}, okPixels || okTrbit
		}
		bits = withTrbits(pixels, trbit.Bytes)
	}
	family, _ := detector.Lookup(b.Names.DetType)
	var index [32]uint8 // of settings, by bits 4..2
	for i := range index {
		index[i] = frame.NoSetting
	}
	for name, values := range map[string][]int{"FH": {28}, "FM": {12}, "FL": {8, 24}, "AHL": {16}, "AML": {0}} {
		for _, v := range values {
			index[v] = uint8(family.SettingIndex(name))
		}
	}
	out := make([]uint8, len(bits))
	for i, v := range bits {
		out[i] = index[v&0x1c]
	}
	return frame.NewGainConfig(family, out), true
}

// withTrbits returns bits 4 to 2 of each pixel of a panel, row by row, nil where the array has no such shape: four
// ASICs one after the other, or put together as a panel.
func withTrbits(pixels Value, trbit []byte) []byte {
	d := pixels.Dims
	if len(d) != 2 && (len(d) != 3 || d[0] != 4) || len(pixels.Bytes) == 0 {
		return nil
	}
	out := make([]byte, len(pixels.Bytes))
	for i, p := range pixels.Bytes {
		at, asic := i, asicOf(d, i)
		if len(d) == 3 {
			at = assembled(d[1], d[2], asic, i%(d[1]*d[2]))
		}
		out[at] = p&12 | trbit[asic]&1<<4
	}
	return out
}

// asicOf returns the ASIC of element i of an array of pixels: four ASICs one after the other, or put
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

// setting returns the setting that a step's description names for a detector, or the empty string.
func (d stepDoc) setting(det, detType string) string {
	if d.DetName != "" && d.DetName != det && segmentSuffix.ReplaceAllString(d.DetName, "") != det {
		return ""
	}
	step := d.Step
	if d.ScanType != "pedestal" {
		step = nil
	}
	steps := epix10kaSettings
	switch gainKindOf(detType) {
	case gainUnknown:
		return ""
	case gainJungfrau:
		steps = jungfrauSettings[:3]
		if d.GainMode != nil {
			step = d.GainMode
		}
	}
	if step == nil || *step < 0 || *step >= len(steps) {
		return ""
	}
	return steps[*step]
}

// configured is the configuration in force of a panel.
type configured struct {
	frame.GainConfig
	scan  int  // the stream that has it
	fresh bool // the transition of the present step told it
}

// gainTracker follows through the transitions of a run what descriptions and configurations say.
type gainTracker struct {
	b      *builder
	x      *frame.Index
	doc    string // of the present step
	config map[segment]configured
	pulsed map[segment]pulsed
}

func newGainTracker(b *builder, x *frame.Index) *gainTracker {
	return &gainTracker{b: b, x: x, config: map[segment]configured{}, pulsed: map[segment]pulsed{}}
}

// transition takes the gain settings of a Configure or BeginStep. A stream that takes no part in a step may have lost a
// change: what it said before is in force no longer.
func (t *gainTracker) transition(g group) {
	t.doc = ""
	took := map[int]bool{}
	for _, m := range g.members {
		took[m.scan] = true
	}
	for s, c := range t.config {
		if c.fresh = false; took[c.scan] || g.service == Configure {
			t.config[s] = c
		} else {
			delete(t.config, s)
		}
	}
	for _, m := range g.members {
		in := t.b.scans[m.scan].entries[m.entry].info
		if in == nil {
			continue
		}
		if t.doc == "" {
			t.doc = in.doc
		}
		for s, set := range in.gains {
			t.config[s] = configured{set, m.scan, true}
		}
		for s, p := range in.pulsed {
			t.pulsed[s] = p
		}
	}
}

// gains returns what is said of each panel in the present step. A description counts more than a configuration
// that was not told again with the step.
func (t *gainTracker) gains() []frame.Gain {
	var doc stepDoc
	if json.Unmarshal([]byte(t.doc), &doc) != nil {
		doc = stepDoc{}
	}
	gains := make([]frame.Gain, len(t.x.Panels))
	for i, p := range t.x.Panels {
		g := &gains[i]
		g.Doc = doc.setting(p.Detector, p.Type)
		c := t.config[segment{p.Detector, p.Segment}]
		if g.Doc != "" && !c.fresh {
			continue
		}
		t.x.Claim(g, p, c.GainConfig)
	}
	return gains
}
