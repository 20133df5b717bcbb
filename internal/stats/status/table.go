package status

import (
	"fmt"
	"math/bits"
	"strings"
)

// Bits of dark-like status (ctype status_dark of profile dark, status_data). The numbers and meanings of
// the first seven are those of psana.
const (
	RmsHigh   uint64 = 1
	RmsLow    uint64 = 2
	IntHigh   uint64 = 4
	IntLow    uint64 = 8
	AveHigh   uint64 = 16
	AveLow    uint64 = 32
	GainState uint64 = 64
)

// Bits of feature-like status (profiles features, light, max), as det_pixel_status writes them.
const (
	MeanLow    uint64 = 1
	MeanHigh   uint64 = 2
	StdLow     uint64 = 4
	StdHigh    uint64 = 8
	ResidLow   uint64 = 16
	ResidHigh  uint64 = 32
	SpreadLow  uint64 = 64
	SpreadHigh uint64 = 128
	MaxLow     uint64 = 256
	MaxHigh    uint64 = 512
)

// Bits of ours, with the same meaning in all families. Analysis casts status_data to 16 bits: 32768 is the
// largest there can be. The bits of status_ci lie above it (see Charge).
const (
	NoData    uint64 = 1024
	LowStats  uint64 = 2048
	EvalError uint64 = 4096
	RowCol    uint64 = 8192
	ASIC      uint64 = 16384
	User      uint64 = 32768
)

// NotJudged are the bits of pixels that no rule looked at: they take no part in limits.
const NotJudged = NoData | LowStats | EvalError

// Hints are the bits that say something about a pixel's surroundings, not about its own data.
const Hints = RowCol | ASIC

// Family selects the meaning of the numbers below 1024.
type Family string

// The families. Numbers of different families must not be merged without saying so.
const (
	Dark     Family = "dark"     // profiles dark and data
	Features Family = "features" // profiles features, light and max: det_pixel_status
	Users    Family = "user"     // masks made by people: User, or words of their own that nobody else can name
)

// Bit is one row of the dictionary.
type Bit struct {
	Value    uint64   `json:"value"`
	Name     string   `json:"name"`
	Family   Family   `json:"family,omitempty"` // empty: in both
	Rule     string   `json:"rule"`             // symbols as in the evaluated limits
	Meaning  string   `json:"meaning"`
	Ctypes   []string `json:"ctypes"`   // where it is found by default
	Profiles []string `json:"profiles"` // who sets it
	Group    string   `json:"group"`    // noise, intensity, gain, flatness, maximum, unjudged, spatial, user
	Original bool     `json:"original"` // this number has the same meaning in psana
}

var (
	darkCtypes   = []string{"status_dark", "status_data"}
	darkProfiles = []string{"dark", "data"}
	all          = []string{"dark", "data", "features", "light", "max", "ci"}
	allCtypes    = []string{"status_dark", "status_data", "status_light", "status_max", "status_ci"}
)

// Table is the dictionary of all bits, by family and value. It is the only one: help, logs, sidecars and
// documents are made from it.
var Table = append([]Bit{
	{RmsHigh, "RMS_HIGH", Dark, "rms > rms_max", "noisy", darkCtypes, darkProfiles, "noise", true},
	{RmsLow, "RMS_LOW", Dark, "rms < rms_min", "quiet, stuck or dead", darkCtypes, darkProfiles, "noise", true},
	{IntHigh, "INT_HIGH", Dark, "y > int_hi in more than nevlm frames", "often saturated", darkCtypes, darkProfiles, "intensity", true},
	{IntLow, "INT_LOW", Dark, "y < int_lo in more than nevlm frames", "often without signal", darkCtypes, darkProfiles, "intensity", true},
	{AveHigh, "AVE_HIGH", Dark, "average > ave_max", "hot", darkCtypes, darkProfiles, "intensity", true},
	{AveLow, "AVE_LOW", Dark, "average < ave_min", "cold", darkCtypes, darkProfiles, "intensity", true},
	{GainState, "GAIN_STATE", Dark, "gain bits of any frame: in profile dark not those of the gain mode, in profile data those that no mode has", "wrong gain state", darkCtypes, darkProfiles, "gain", true},

	{MeanLow, "MEAN_LOW", Features, "F2: mean <= lo", "cold", []string{"status_dark"}, []string{"features"}, "intensity", true},
	{MeanHigh, "MEAN_HIGH", Features, "F2: mean >= hi", "hot", []string{"status_dark"}, []string{"features"}, "intensity", true},
	{StdLow, "STD_LOW", Features, "F3: std <= lo", "quiet, stuck or dead", []string{"status_dark"}, []string{"features"}, "noise", true},
	{StdHigh, "STD_HIGH", Features, "F3: std >= hi", "noisy", []string{"status_dark"}, []string{"features"}, "noise", true},
	{ResidLow, "RESID_LOW", Features, "F6: median residual <= lo", "darker than its surroundings", []string{"status_light"}, []string{"light", "features"}, "flatness", true},
	{ResidHigh, "RESID_HIGH", Features, "F6: median residual >= hi", "brighter than its surroundings", []string{"status_light"}, []string{"light", "features"}, "flatness", true},
	{SpreadLow, "SPREAD_LOW", Features, "F6: residual spread <= lo", "follows the light too little", []string{"status_light"}, []string{"light", "features"}, "flatness", true},
	{SpreadHigh, "SPREAD_HIGH", Features, "F6: residual spread >= hi", "follows the light badly", []string{"status_light"}, []string{"light", "features"}, "flatness", true},
	{MaxLow, "MAX_LOW", Features, "F11: max - pedestal <= lo", "never sees light", []string{"status_max"}, []string{"max", "features"}, "maximum", true},
	{MaxHigh, "MAX_HIGH", Features, "F11: max - pedestal >= hi", "jumps too high", []string{"status_max"}, []string{"max", "features"}, "maximum", true},

	{NoData, "NO_DATA", "", "no frame of the panel or pixel", "not measured", allCtypes, all, "unjudged", false},
	{LowStats, "LOW_STATS", "", "fewer than min_frames frames", "too few frames to judge", allCtypes, all, "unjudged", false},
	{EvalError, "EVAL_ERROR", "", "the rule has no answer", "degenerate input, missing or NaN constants", allCtypes, all, "unjudged", false},
	{RowCol, "ROW_COL", "", "more than the allowed fraction of the row or column of the chip is bad, or it touches a bad pixel", "in a bad row or column, or beside a bad pixel", allCtypes, all, "spatial", false},
	{ASIC, "ASIC", "", "more than the allowed fraction of the chip is bad", "in a bad chip", allCtypes, all, "spatial", false},
	{User, "USER", "", "in a mask that a person has saved", "masked by a person", []string{"status_user"}, []string{"user"}, "user", false},
}, chargeTable()...)

// Lookup finds a bit of a family by its value.
func Lookup(f Family, value uint64) (Bit, bool) {
	for _, b := range Table {
		if b.Value == value && (b.Family == f || b.Family == "") {
			return b, true
		}
	}
	return Bit{}, false
}

// Names spells a status word, e.g. "RMS_HIGH|AVE_HIGH"; "good" for 0. Bits without a name are given as numbers.
func Names(f Family, word uint64) string {
	if word == 0 {
		return "good"
	}
	var names []string
	for rest := word; rest != 0; rest &= rest - 1 {
		v := rest & -rest
		if b, ok := Lookup(f, v); ok {
			names = append(names, b.Name)
		} else {
			names = append(names, fmt.Sprint(v))
		}
	}
	return strings.Join(names, "|")
}

// Counts are the pixels of a status array that have each bit; index i counts bit 1<<i.
type Counts struct {
	Pixels, Bad int
	Bit         [64]int
}

// Count counts bits. Bad are pixels with any bit.
func Count(status []uint64) Counts {
	c := Counts{Pixels: len(status)}
	for _, s := range status {
		if s != 0 {
			c.Bad++
		}
		for ; s != 0; s &= s - 1 {
			c.Bit[bits.TrailingZeros64(s)]++
		}
	}
	return c
}

// Add puts the counts of another array to these.
func (c *Counts) Add(o Counts) {
	c.Pixels += o.Pixels
	c.Bad += o.Bad
	for i, n := range o.Bit {
		c.Bit[i] += n
	}
}

// Of counts the pixels that have the bit of this value.
func (c Counts) Of(value uint64) int {
	return c.Bit[bits.TrailingZeros64(value)]
}
