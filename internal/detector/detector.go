package detector

import (
	"slices"
	"strings"

	"rawstatus/internal/fault"
)

// Family describes the detectors of one type.
type Family struct {
	// Type is the type's name in lower case, as it names the directory in the constants repository.
	Type string
	// Rows and Cols are the expected shape of a panel in pixels; 0 when it varies by model.
	Rows, Cols int
	// DataBits masks the ADU value out of a raw word; GainBits are the bits that tell the gain.
	DataBits, GainBits uint16
	// Bits is the real number of bits of a camera whose words have more; 0: not known, or those of DataBits.
	Bits int
	// GainModes are the known gain modes in the order of the planes of a deployed array; empty for
	// single-gain detectors.
	GainModes []string
	// GainPlanes is the number of gain planes of a deployed array of a type whose modes are not told apart
	// here: a status then holds for all of them. 0: as many as GainModes.
	GainPlanes int
	// GainPatterns are the gain bits, in their place, of words of each of GainModes, and NeverPattern those that
	// no mode has; 0: every mode's words are possible.
	GainPatterns []uint16
	NeverPattern uint16
	// Settings are the gain settings that configurations and descriptions of steps can name.
	Settings []Setting
	// PanelCounts are the sizes that a deployed array of this type may have along its panel axis,
	// ascending; empty means highest segment + 1.
	PanelCounts []int
	// ASICRows and ASICCols are the shape of one readout chip in pixels; 0 when the panel is one tile.
	ASICRows, ASICCols int
	// CalibGroup is the directory of the type in an LCLS-I calib directory, e.g. "Jungfrau::CalibV1".
	CalibGroup string
	// TwoPass: the gates of dark runs come from averages and the mean rms of the leading frames.
	TwoPass bool
	// AlwaysStacked: a deployed array has a panel axis even for one panel.
	AlwaysStacked bool
	// PanelsLast: the panel axis of a deployed array is its last one (rows, cols, panels). Analysis takes
	// any array of the right size, so that another order would mask the wrong pixels without a word.
	PanelsLast bool
}

// Setting is a gain as configurations name it, with the modes that words can then be in: in darkness the first.
type Setting struct {
	Name  string
	Modes []string
}

// Gain modes of the multi-gain families, in plane order of deployed arrays.
var (
	JungfrauGains = []string{"g0", "g1", "g2"}
	Epix10kaGains = []string{"FH", "FM", "FL", "AHL-H", "AML-M", "AHL-L", "AML-L"}
)

// Gain bits and settings of these families.
var (
	jungfrauPatterns = []uint16{0x0000, 0x4000, 0xc000}
	epix10kaPatterns = []uint16{0x0000, 0x0000, 0x4000, 0x0000, 0x0000, 0x4000, 0x4000}

	jungfrauSettings = []Setting{
		{"DYNAMIC", JungfrauGains}, {"FORCE_SWITCH_G1", JungfrauGains[1:2]}, {"FORCE_SWITCH_G2", JungfrauGains[2:]},
		{"FIX_G1", JungfrauGains[1:2]}, {"FIX_G2", JungfrauGains[2:]},
		{"Normal", JungfrauGains}, {"FixedGain1", JungfrauGains[1:2]}, {"FixedGain2", JungfrauGains[2:]},
		{"ForcedGain1", JungfrauGains[1:2]}, {"ForcedGain2", JungfrauGains[2:]}, {"HighGain0", JungfrauGains},
	}
	epix10kaSettings = []Setting{
		{"FH", []string{"FH"}}, {"FM", []string{"FM"}}, {"FL", []string{"FL"}},
		{"AHL", []string{"AHL-H", "AHL-L"}}, {"AML", []string{"AML-M", "AML-L"}},
	}
)

func epix10ka(typ, group string) Family {
	return Family{Type: typ, Rows: 352, Cols: 384, DataBits: 0x3fff, GainBits: 0x4000, GainModes: Epix10kaGains,
		GainPatterns: epix10kaPatterns, Settings: epix10kaSettings,
		ASICRows: 176, ASICCols: 192, CalibGroup: group, AlwaysStacked: true, TwoPass: true}
}

// camera returns an LCLS-I camera: its shape varies, and all share one group of constants.
func camera(typ string) Family {
	return Family{Type: typ, DataBits: 0xffff, CalibGroup: "Camera::CalibV1"}
}

// opal returns a camera of 12 bits.
func opal(typ string) Family {
	f := camera(typ)
	f.Bits = 12
	return f
}

// families holds LCLS-II detType names and LCLS-I type names, all in lower case.
var families = []Family{
	epix10ka("epix10ka", "Epix10ka::CalibV1"),
	epix10ka("epix10ka2m", "Epix10ka2M::CalibV1"),
	epix10ka("epix10kaquad", "Epix10kaQuad::CalibV1"),
	{Type: "jungfrau", Rows: 512, Cols: 1024, DataBits: 0x3fff, GainBits: 0xc000, GainModes: JungfrauGains, GainPatterns: jungfrauPatterns, NeverPattern: 0x8000, Settings: jungfrauSettings,
		PanelCounts: []int{1, 2, 8, 32}, ASICRows: 256, ASICCols: 256, CalibGroup: "Jungfrau::CalibV1", AlwaysStacked: true},
	{Type: "jungfrauemu", Rows: 512, Cols: 1024, DataBits: 0x3fff, GainBits: 0xc000, GainModes: JungfrauGains, GainPatterns: jungfrauPatterns, NeverPattern: 0x8000, Settings: jungfrauSettings,
		PanelCounts: []int{1, 2, 8, 32}, ASICRows: 256, ASICCols: 256, CalibGroup: "Jungfrau::CalibV1", AlwaysStacked: true},
	{Type: "epix100", Rows: 704, Cols: 768, DataBits: 0xffff, ASICRows: 352, ASICCols: 384, CalibGroup: "Epix100a::CalibV1"},
	{Type: "epix100a", Rows: 704, Cols: 768, DataBits: 0x3fff, ASICRows: 352, ASICCols: 384, CalibGroup: "Epix100a::CalibV1"},
	{Type: "epixhr2x2", Rows: 288, Cols: 384, DataBits: 0x3fff, GainBits: 0xc000, ASICRows: 144, ASICCols: 192, CalibGroup: "Epixhr2x2::CalibV1"},
	{Type: "epixhremu", Rows: 144, Cols: 768, DataBits: 0x3fff, GainBits: 0xc000, ASICRows: 144, ASICCols: 192, CalibGroup: "Epixhremu::CalibV1"},
	{Type: "epixm320", GainPlanes: 3, Rows: 192, Cols: 384, DataBits: 0x7fff, GainBits: 0x8000, CalibGroup: "Epixm320::CalibV1"},
	{Type: "epixuhr", GainPlanes: 8, Rows: 168, Cols: 192, DataBits: 0x07ff, GainBits: 0x0800, CalibGroup: "Epixuhr::CalibV1"},
	{Type: "epixuhr3x2", Rows: 336, Cols: 576, DataBits: 0x0ffe, GainBits: 0x0001, ASICRows: 168, ASICCols: 192, CalibGroup: "Epixuhr3x2::CalibV1"},
	{Type: "cspad", Rows: 185, Cols: 388, DataBits: 0x3fff, PanelCounts: []int{32}, ASICRows: 185, ASICCols: 194, CalibGroup: "CsPad::CalibV1", AlwaysStacked: true},
	{Type: "cspad2x2", Rows: 185, Cols: 388, DataBits: 0x3fff, PanelCounts: []int{2}, ASICRows: 185, ASICCols: 194, CalibGroup: "CsPad2x2::CalibV1", AlwaysStacked: true, PanelsLast: true},
	opal("opal"), opal("opal1000"), opal("opal2000"), opal("opal4000"), opal("opal8000"), camera("tm6740"), camera("orcafl40"),
	camera("quartz4a150"), camera("rayonix"), camera("fccd"), camera("fccd960"), camera("zyla"), camera("istar"), camera("alvium"),
	camera("controlscamera"), camera("streak"),
	{Type: "epix", DataBits: 0x3fff, CalibGroup: "Epix::CalibV1"},
	{Type: "epix10k", DataBits: 0x3fff, CalibGroup: "Epix10ka::CalibV1"},
	{Type: "pnccd", Rows: 512, Cols: 512, DataBits: 0xffff, PanelCounts: []int{4}, CalibGroup: "PNCCD::CalibV1", AlwaysStacked: true},
	{Type: "princeton", DataBits: 0xffff, CalibGroup: "Princeton::CalibV1"},
	{Type: "andor", DataBits: 0xffff, CalibGroup: "Andor::CalibV1"},
	{Type: "andor3d", DataBits: 0xffff, CalibGroup: "Andor3d::CalibV1", AlwaysStacked: true},
	{Type: "timepix", DataBits: 0xffff, CalibGroup: "Timepix::CalibV1"},
	{Type: "fli", DataBits: 0xffff, CalibGroup: "Fli::CalibV1"},
	{Type: "pimax", DataBits: 0xffff, CalibGroup: "Pimax::CalibV1"},
	{Type: "pixis", DataBits: 0xffff, CalibGroup: "Pixis::CalibV1"},
	{Type: "uxi", DataBits: 0xffff, CalibGroup: "Uxi::CalibV1", AlwaysStacked: true},
	{Type: "archon", DataBits: 0xffff, CalibGroup: "Archon::CalibV1"},
	{Type: "axis", DataBits: 0xffff, CalibGroup: "Axis::CalibV1"},
	{Type: "piranha4", DataBits: 0xffff, CalibGroup: "Piranha4::CalibV1"},
}

// Lookup returns the family of a detector type, in any case of letters. An unknown type is a single-gain
// family of free shape that uses all 16 bits; known is false for it.
func Lookup(dettype string) (f Family, known bool) {
	t := strings.ToLower(dettype)
	for _, f := range families {
		if f.Type == t {
			return f, true
		}
	}
	group := dettype
	if group != "" {
		group = strings.ToUpper(group[:1]) + group[1:]
	}
	return Family{Type: t, DataBits: 0xffff, CalibGroup: group + "::CalibV1"}, false
}

// CheckType refuses a detector type that is not in the table: a misspelt one would quietly be a type of its own.
func CheckType(name string) error {
	if _, known := Lookup(name); known {
		return nil
	}
	types := make([]string, len(families))
	for i, f := range families {
		types[i] = f.Type
	}
	return fault.New(fault.Usage, "there is no detector type %q", name).WithHint("types: %s", strings.Join(types, ", "))
}

// CheckGainMode refuses what is no gain mode of any type.
func CheckGainMode(name string) error {
	var modes []string
	for _, f := range families {
		if slices.Contains(f.GainModes, name) {
			return nil
		}
		for _, mode := range f.GainModes {
			if !slices.Contains(modes, mode) {
				modes = append(modes, mode)
			}
		}
	}
	return fault.New(fault.Usage, "there is no gain mode %q", name).WithHint("gain modes: %s", strings.Join(modes, ", "))
}

// IntHi returns the default upper intensity limit in ADU (also of the rms): 16000 for 14-bit data, else
// one below the largest value.
func (f Family) IntHi() int {
	if f.DataBits == 0x3fff {
		return 16000
	}
	return f.Largest() - 1
}

// Largest returns the largest value of a word in ADU, as far as the type determines it.
func (f Family) Largest() int {
	if f.Bits > 0 {
		return min(1<<f.Bits-1, int(f.DataBits))
	}
	return int(f.DataBits)
}

// IsCamera reports whether the type is a camera whose number of bits the type alone does not tell.
func (f Family) IsCamera() bool { return f.CalibGroup == "Camera::CalibV1" && f.Bits == 0 }

// GainIndex returns the plane of a gain mode in a deployed array, or -1 when the family has no such mode.
func (f Family) GainIndex(mode string) int {
	for i, m := range f.GainModes {
		if m == mode {
			return i
		}
	}
	return -1
}

// Pattern returns the gain bits of words of a gain mode; known is false where the family has no such mode.
func (f Family) Pattern(mode string) (bits uint16, known bool) {
	i := f.GainIndex(mode)
	if i < 0 || i >= len(f.GainPatterns) {
		return 0, false
	}
	return f.GainPatterns[i], true
}

// SettingIndex returns the position of a setting in Settings, or -1.
func (f Family) SettingIndex(name string) int {
	return slices.IndexFunc(f.Settings, func(s Setting) bool { return s.Name == name })
}

// StackPanels returns the length of the panel axis of a deployed array whose highest segment number is
// maxSegment.
func (f Family) StackPanels(maxSegment int) int {
	n := maxSegment + 1
	for _, c := range f.PanelCounts {
		if n <= c {
			return c
		}
	}
	return n
}
