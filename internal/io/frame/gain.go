package frame

import (
	"bytes"
	"slices"
	"strings"

	"rawstatus/internal/detector"
)

// Gain is the gain of a panel's words in a step, as far as it is known. Readers fill in what descriptions and
// configurations say; a look at the frames finds the rest.
type Gain struct {
	Doc    string `json:"doc,omitempty"`    // setting (detector.Family.Settings) that the description of the step names
	Config string `json:"config,omitempty"` // setting of the panel's configuration, or of most of its pixels
	Map    int    `json:"map,omitempty"`    // not 0: pixels have different settings, those of Index.GainMaps[Map-1]
	// Parts are the pixels of the panel by gain mode: one part, or with a map one for each setting in it.
	Parts []GainPart `json:"parts,omitempty"`
}

// GainPart are pixels of a panel that are in one gain mode.
type GainPart struct {
	Setting int     `json:"setting,omitempty"` // of the pixels in the map; without a map 0
	Mode    string  `json:"mode,omitempty"`    // of detector.Family.GainModes; empty: not known
	Bits    *uint16 `json:"bits,omitempty"`    // gain bits of most of the words; nil: not known
	Pixels  int     `json:"pixels,omitempty"`  // with a map
}

// NoSetting stands in gain maps for pixels without a known setting.
const NoSetting = 255

// GainsOf returns the gains of panels whose modes are known; nil where no mode is known.
func GainsOf(modes ...string) []Gain {
	if !slices.ContainsFunc(modes, func(m string) bool { return m != "" }) {
		return nil
	}
	gains := make([]Gain, len(modes))
	for i, m := range modes {
		gains[i].Parts = []GainPart{{Mode: m}}
	}
	return gains
}

// Gain returns what is known of the gain of a panel in the step.
func (s *Step) Gain(panel int) Gain {
	if panel < len(s.Gains) {
		return s.Gains[panel]
	}
	return Gain{}
}

// String names the modes, or the settings where modes are not known.
func (g Gain) String() string {
	var modes []string
	for _, p := range g.Parts {
		if p.Mode != "" {
			modes = append(modes, p.Mode)
		}
	}
	switch {
	case len(modes) > 0:
		return strings.Join(modes, "+")
	case g.Doc != "":
		return g.Doc
	}
	return g.Config
}

// GainConfig is the gain of a panel's pixels by its configuration.
type GainConfig struct {
	Setting string  // of all pixels, or of more than half of them; empty: none, or not known
	Pixels  []uint8 // of each pixel where they differ, as in Index.GainMaps
}

// NewGainConfig returns the configuration of a panel whose pixels have these settings (see Index.GainMaps).
func NewGainConfig(family detector.Family, pixels []uint8) GainConfig {
	var counts [NoSetting + 1]int
	for _, p := range pixels {
		counts[p]++
	}
	c := GainConfig{Pixels: pixels}
	for i, n := range counts {
		if 2*n > len(pixels) && i < len(family.Settings) {
			c.Setting = family.Settings[i].Name
		}
		if n == len(pixels) {
			c.Pixels = nil
		}
	}
	return c
}

// Claim notes what a configuration says of a panel's gain.
func (x *Index) Claim(g *Gain, panel Panel, c GainConfig) {
	g.Config = c.Setting
	if len(c.Pixels) == 0 || len(c.Pixels) != panel.Pixels() {
		return
	}
	g.Map = x.AddGainMap(c.Pixels)
}

// AddGainMap adds a gain map, unless there is an equal one, and returns its number for Gain.Map.
func (x *Index) AddGainMap(pixels []uint8) int {
	i := slices.IndexFunc(x.GainMaps, func(m []uint8) bool { return bytes.Equal(m, pixels) })
	if i < 0 {
		i = len(x.GainMaps)
		x.GainMaps = append(x.GainMaps, pixels)
	}
	return i + 1
}
