package simulate

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/xtc2"
)

// Gain modes in which a family takes darks, in the order of its pedestal scan.
var (
	jungfrauModes = []string{"g0", "g1", "g2"}
	epix10kaModes = []string{"FH", "FM", "FL", "AHL-H", "AML-M"}
)

// modesOf returns the gain modes that steps of a type can have.
func modesOf(typ string) []string {
	f, _ := detector.Lookup(typ)
	for _, modes := range [][]string{jungfrauModes, epix10kaModes} {
		if f.GainIndex(modes[0]) >= 0 {
			return modes
		}
	}
	return nil
}

// gainBits returns what a pixel says of its gain in a raw word.
func gainBits(mode string) uint16 {
	switch mode {
	case "g1", "FL":
		return 0x4000
	case "g2":
		return 0xc000
	}
	return 0
}

// blocks are the Names of one panel.
type blocks struct {
	data, config, update *xtc2.Names
}

// blocksOf describes a panel as the family's data acquisition does. index counts the panels of a
// stream, of which there are n.
func (c Config) blocksOf(segment, stream, index, n int) blocks {
	names := func(at int, alg string, version xtc2.Version, fields ...xtc2.Field) *xtc2.Names {
		return &xtc2.Names{ID: xtc2.ID(stream, at), DetType: c.Type, DetName: c.Detector, DetID: c.detID(segment), Alg: alg,
			Version: version, Segment: segment, Fields: fields}
	}
	dataAt, updateAt := xtc2.IndexData+index, xtc2.IndexUpdate+index
	if n > xtc2.IndexUpdate-xtc2.IndexData { // the customary places are too few
		dataAt, updateAt = n+index, 2*n+index
	}
	raw := xtc2.Field{Name: "raw", Type: xtc2.UInt16, Rank: 2}
	switch modes := modesOf(c.Type); {
	case c.scanning():
		b := blocks{data: names(dataAt, "raw", xtc2.NewVersion(2, 0, 1), raw),
			config: names(index, "config", xtc2.NewVersion(2, 0, 0), pixelFields()...),
			update: names(updateAt, "config", xtc2.NewVersion(2, 0, 0), pixelFields()...)}
		if slices.Equal(modes, epix10kaModes) {
			b.data.Fields = append(b.data.Fields, xtc2.Field{Name: "aux", Type: xtc2.UInt16, Rank: 2})
		}
		return b
	case slices.Equal(modes, jungfrauModes):
		raw.Rank = 3
		gain := xtc2.Field{Name: "user.gainMode:gainModeEnum", Type: xtc2.EnumVal}
		v := xtc2.NewVersion(0, 2, 0)
		return blocks{
			data: names(dataAt, "raw", v, raw, xtc2.Field{Name: "frame_cnt", Type: xtc2.UInt64}, xtc2.Field{Name: "timestamp", Type: xtc2.UInt64},
				xtc2.Field{Name: "hotPixelThresh", Type: xtc2.UInt16}, xtc2.Field{Name: "numHotPixels", Type: xtc2.UInt32},
				xtc2.Field{Name: "maxHotPixels", Type: xtc2.UInt32}),
			config: names(index, "config", v, append(jungfrauEnum(), gain)...),
			update: names(updateAt, "config", v, gain),
		}
	case slices.Equal(modes, epix10kaModes):
		return blocks{
			data:   names(dataAt, "raw", xtc2.NewVersion(2, 0, 1), raw, xtc2.Field{Name: "aux", Type: xtc2.UInt16, Rank: 2}),
			config: names(index, "config", xtc2.NewVersion(2, 0, 0), pixelFields()...),
			update: names(updateAt, "config", xtc2.NewVersion(2, 0, 0), pixelFields()...),
		}
	}
	switch strings.ToLower(c.Type) {
	case "opal", "piranha4":
		raw.Name = "image"
	case "archon", "axis":
		raw.Name = "value"
	}
	if c.subs() > 1 {
		raw.Rank = 3
	}
	return blocks{data: names(dataAt, "raw", xtc2.NewVersion(2, 0, 1), raw)}
}

// pixelFields returns the configuration of the pixels of four chips.
func pixelFields() []xtc2.Field {
	return []xtc2.Field{{Name: "asicPixelConfig", Type: xtc2.UInt8, Rank: 3}, {Name: "trbit", Type: xtc2.UInt8, Rank: 1}}
}

// jungfrauLabels are the values of gainModeEnum in order.
var jungfrauLabels = []string{"DYNAMIC", "FORCE_SWITCH_G1", "FORCE_SWITCH_G2", "FIX_G1", "FIX_G2"}

func jungfrauEnum() []xtc2.Field {
	var fields []xtc2.Field
	for _, label := range jungfrauLabels {
		fields = append(fields, xtc2.Field{Name: label + ":gainModeEnum", Type: xtc2.EnumDict})
	}
	return fields
}

// configValues returns the values of a panel's config (whole) or update block in a step.
func (c Config) configValues(step int, whole bool) []any {
	if c.scanning() {
		return c.scanValues(step)
	}
	mode := c.modeName(step)
	if i := slices.Index(jungfrauModes, mode); i >= 0 {
		var values []any
		if whole {
			for code := range jungfrauLabels {
				values = append(values, int32(code))
			}
		}
		return append(values, int32(i))
	}
	// Bits 3 and 2 of a pixel, and the trbit of its ASIC.
	bits := map[string][2]byte{"FH": {12, 1}, "FM": {12, 0}, "FL": {8, 0}, "AHL-H": {0, 1}, "AML-M": {0, 0}}[mode]
	fill := func(v byte) func([]byte) {
		return func(dst []byte) {
			for i := range dst {
				dst[i] = v
			}
		}
	}
	return []any{
		xtc2.FieldValue{Dims: []int{4, c.Rows / 2, c.Cols / 2}, Fill: fill(bits[0])},
		xtc2.FieldValue{Dims: []int{4}, Fill: fill(bits[1])},
	}
}

// dataValues returns the values of a panel's data block; fill makes the frame.
func (c Config) dataValues(event int, fill func(dst []byte)) []any {
	frame := xtc2.FieldValue{Dims: []int{c.Rows, c.Cols}, Fill: fill}
	switch modes := modesOf(c.Type); {
	case slices.Equal(modes, jungfrauModes):
		frame.Dims = []int{1, c.Rows, c.Cols}
		return []any{frame, uint64(event), uint64(event), uint16(0), uint32(0), uint32(0)}
	case slices.Equal(modes, epix10kaModes):
		return []any{frame, xtc2.FieldValue{Dims: []int{4, c.Cols}, Fill: func([]byte) {}}}
	}
	if c.subs() > 1 {
		frame.Dims = []int{c.subs(), c.Rows, c.Cols}
	}
	return []any{frame}
}

// stepDoc returns the description of a step as a pedestal scan writes it.
func (c Config) stepDoc(step int) string {
	if c.scanning() {
		return fmt.Sprintf(`{"detname": "%s_0", "scantype": "chargeinj", "step": %d}`, c.Detector, step)
	}
	mode := slices.Index(modesOf(c.Type), c.modeName(step))
	if mode < 0 {
		return fmt.Sprintf(`{"detname": "%s_0", "scantype": "scan", "step": %d}`, c.Detector, step)
	}
	gainMode := ""
	if slices.Equal(modesOf(c.Type), jungfrauModes) {
		gainMode = fmt.Sprintf(`, "gainMode": %d`, mode)
	}
	return fmt.Sprintf(`{"detname": "%s_0", "scantype": "pedestal", "step": %d%s}`, c.Detector, mode, gainMode)
}

// panelID returns the id of a panel: that of its segment, with the number of the part if it is one.
func (c Config) panelID(segment, sub int) string {
	if c.lcls1() {
		if m, err := c.model(); err == nil {
			return m.PanelIDs()[segment]
		}
	}
	if c.subs() > 1 {
		return fmt.Sprintf("%s-ASIC-%02d", c.detID(segment), sub)
	}
	return c.detID(segment)
}

// detID makes a hardware id in the form of the family. It depends on the detector's name and the
// segment only: runs of one detector are of the same hardware.
func (c Config) detID(segment int) string {
	h := fnv.New64a()
	h.Write([]byte(c.Detector))
	r := sequence(forIDs, h.Sum64(), uint64(segment))
	typ := strings.ToLower(c.Type)
	switch {
	case strings.HasPrefix(typ, "jungfrau"):
		return fmt.Sprintf("8000000020000-230920-%x", r.next()>>48<<16|uint64(segment))
	case strings.HasPrefix(typ, "epix"):
		groups := []string{"3926196238"}
		for range 6 {
			groups = append(groups, fmt.Sprintf("%010d", uint32(r.next())))
		}
		return strings.Join(groups, "-")
	}
	return fmt.Sprintf("%s-%08d", typ, r.below(1e8))
}
