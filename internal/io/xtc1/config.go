package xtc1

import (
	"fmt"
	"strings"

	families "rawstatus/internal/detector"
	"rawstatus/internal/io/frame"
)

// setup is the layout of a source's frames, from its configuration object.
type setup struct {
	id, version uint16
	n           int // panels
	rows, cols  int
	rowsV1      int                // rows in EpixElement v1, where the last rows are left out
	ids         []string           // by panel; nil where the type has none
	gains       []frame.GainConfig // by panel; nil where the type has none or the object does not tell
	asics       uint32             // CsPad: asic mask
	quads       uint32             // CsPad: mask of quads
	roi         uint32             // CsPad: mask of sections, 8 bits per quad
	hasRoi      bool
}

// Limits on what a configuration may ask for: beyond them it is damage, not a detector.
const (
	maxPanels = 64
	maxSide   = 1 << 16
	maxConfig = 64 << 20 // bytes of a configuration object; the largest known has 4.3 MB
)

// configType says how to read one version of a configuration object.
type configType struct {
	id, version uint16
	size        int // bytes that the payload must have at least
	parse       func(b []byte, s *setup)
}

// sizes of blocks in the Epix10ka configurations.
const (
	asic10kaSize   = 104
	asic10kaTrbit  = 88 // register whose bit 4 is trbit
	elem10kaSize   = 271532
	elem10kaAsics  = 12
	elem10kaPixels = 428
	quad10kaSizeV1 = 812
	quad10kaSizeV2 = 1156
)

var configTypes = []configType{
	{idEpixConfig, 1, 112, epixConfig{excluded: 84, dims: 88}.parse},
	{idEpix10kConfig, 1, 136, epixConfig{excluded: 92, dims: 96}.parse},
	{idEpixSConfig, 1, 152, epixConfig{dims: 100, readable: true}.parse},
	{idEpix100aConfig, 1, 144, epixConfig{digital: 76, analog: 84, dims: 92, readable: true}.parse},
	{idEpix100aConfig, 2, 188, epixConfig{digital: 104, analog: 112, carrier: 120, dims: 128, readable: true}.parse},
	{idEpix10kaConfig, 1, 188, epixConfig{digital: 104, analog: 112, carrier: 120, dims: 128, readable: true, asics: 188}.parse},
	{idEpix10kaConfig, 2, 520, epixConfig{digital: 104, analog: 112, carrier: 120, dims: 128, readable: true, asics: 520}.parse},
	{idEpix10kaQuadConf, 1, 8 + quad10kaSizeV1 + 4*elem10kaSize, array10ka{1, quad10kaSizeV1, 12}.parse},
	{idEpix10kaQuadConf, 2, 8 + quad10kaSizeV2 + 4*elem10kaSize, array10ka{1, quad10kaSizeV2, 16}.parse},
	{idEpix10ka2MConfig, 1, 8 + 4*quad10kaSizeV1 + 16*elem10kaSize, array10ka{4, quad10kaSizeV1, 12}.parse},
	{idEpix10ka2MConfig, 2, 8 + 4*quad10kaSizeV2 + 16*elem10kaSize, array10ka{4, quad10kaSizeV2, 16}.parse},
	{idJungfrauConfig, 1, 36, jungfrau(0)},
	{idJungfrauConfig, 2, 60, jungfrau(0)},
	{idJungfrauConfig, 3, 252, jungfrau(8)},
	{idJungfrauConfig, 4, 828, jungfrau(32)},
	{idCspadConfig, 1, 287804, cspad(36, false)},
	{idCspadConfig, 2, 287808, cspad(36, true)},
	{idCspadConfig, 3, 287844, cspad(72, true)},
	{idCspadConfig, 4, 287892, cspad(72, true)},
	{idCspadConfig, 5, 287928, cspad(76, true)},
	{idCspad2x2Config, 1, 71996, cspad2x2},
	{idCspad2x2Config, 2, 72008, cspad2x2},
	{idPnccdConfig, 1, 8, pnccd},
	{idPnccdConfig, 2, 544, pnccd},
	{idPrincetonConfig, 1, 40, binned(0, 16)},
	{idPrincetonConfig, 2, 40, binned(0, 16)},
	{idPrincetonConfig, 3, 40, binned(0, 16)},
	{idPrincetonConfig, 4, 52, binned(0, 16)},
	{idPrincetonConfig, 5, 56, binned(0, 16)},
	{idFliConfig, 1, 40, binned(0, 16)},
	{idAndorConfig, 1, 44, binned(0, 16)},
	{idAndorConfig, 2, 48, binned(0, 16)},
	{idAndor3dConfig, 1, 52, andor3d},
	{idPimaxConfig, 1, 76, binned(0, 16)},
	{idPixisConfig, 1, 104, binned(0, 16)},
	{idZylaConfig, 1, 52, binned(12, 28)},
	{idIStarConfig, 1, 56, binned(16, 32)},
	{idAlviumConfig, 1, 464, func(b []byte, s *setup) { s.shape(1, u32(b, 16), u32(b, 12)) }},
	{idUxiConfig, 1, 152, uxi(0)},
	{idUxiConfig, 2, 164, uxi(12)},
	{idUxiConfig, 3, 168, uxi(16)},
	{idUxiConfig, 4, 168, uxi(16)},
}

// isConfig reports whether objects of a type say how frames look.
func isConfig(id uint16) bool {
	for _, c := range configTypes {
		if c.id == id {
			return true
		}
	}
	return id == idGenericPgpConfig
}

// parseConfig reads a configuration object. The error says why its source cannot be read.
func parseConfig(id, version uint16, b []byte) (*setup, error) {
	var versions []string
	for _, c := range configTypes {
		if c.id != id {
			continue
		}
		if c.version != version {
			versions = append(versions, fmt.Sprint(c.version))
			continue
		}
		if len(b) < c.size {
			return nil, fmt.Errorf("%s version %d has %d bytes, %d are needed", typeName(id), version, len(b), c.size)
		}
		s := &setup{id: id, version: version}
		c.parse(b, s)
		if s.n < 1 || s.n > maxPanels || s.rows < 1 || s.rows > maxSide || s.cols < 1 || s.cols > maxSide || s.frameBytes() > maxDatagram {
			return nil, fmt.Errorf("%s version %d asks for %d panels of %d x %d pixels", typeName(id), version, s.n, s.rows, s.cols)
		}
		return s, nil
	}
	if versions == nil {
		return nil, fmt.Errorf("%s describes its own streams, which is not supported", typeName(id))
	}
	return nil, fmt.Errorf("%s version %d is not known, only %s", typeName(id), version, strings.Join(versions, ", "))
}

func (s *setup) frameBytes() int64 { return 2 * int64(s.n) * int64(s.rows) * int64(s.cols) }

func u32(b []byte, off int) int { return int(le.Uint32(b[off:])) }

// shape sets n panels of rows x cols; products that cannot be meant are left for the check.
func (s *setup) shape(n, rows, cols int) { s.n, s.rows, s.cols = n, rows, cols }

// epixConfig has the offsets of fields in the configuration of an Epix with one panel; 0 where a
// version has no such field.
type epixConfig struct {
	digital, analog, carrier int // pairs of ids
	excluded                 int // last rows that are left out
	dims                     int // asics per row and column, rows, [readable rows,] pixels per asic
	readable                 bool
	asics                    int // Epix10ka: registers of the asics, followed by the pixels' configuration
}

func (c epixConfig) parse(b []byte, s *setup) {
	across, down, asicRows := u32(b, c.dims), u32(b, c.dims+4), u32(b, c.dims+8)
	if across > maxPanels || down > maxPanels {
		return
	}
	rows, width := asicRows, u32(b, c.dims+12)
	if c.readable {
		rows, width = u32(b, c.dims+12), u32(b, c.dims+16)
	}
	excluded := 0
	if c.excluded != 0 {
		excluded = u32(b, c.excluded)
	}
	s.shape(1, down*rows-excluded, across*width)
	s.rowsV1 = s.rows
	if c.digital == 0 {
		return
	}
	var carrier [2]uint32
	if c.carrier != 0 {
		carrier = pair(b, c.carrier)
	}
	s.ids = []string{epixID(le.Uint32(b), carrier, pair(b, c.digital), pair(b, c.analog))}
	pixels := c.asics + 4*asic10kaSize
	if c.asics != 0 && across == 2 && down == 2 && s.rows <= maxSide && s.cols <= maxSide && len(b)-pixels >= 2*s.rows*s.cols {
		s.gains = []frame.GainConfig{gain10ka(b[c.asics:pixels], b[pixels:], s.rows, s.cols)}
	}
}

func pair(b []byte, off int) [2]uint32 { return [2]uint32{le.Uint32(b[off:]), le.Uint32(b[off+4:])} }

// epixID forms the id of an Epix panel.
func epixID(version uint32, carrier, digital, analog [2]uint32) string {
	return fmt.Sprintf("%010d-%010d-%010d-%010d-%010d-%010d-%010d",
		version, carrier[0], carrier[1], digital[0], digital[1], analog[0], analog[1])
}

// array10ka describes the configuration of an Epix10ka Quad or 2M: blocks of quads, then four elements
// for each.
type array10ka struct{ quads, quadSize, digital int }

func (c array10ka) parse(b []byte, s *setup) {
	s.shape(4*c.quads, 352, 384)
	for i := range s.n {
		digital := pair(b, 8+i/4*c.quadSize+c.digital)
		e := b[8+c.quads*c.quadSize+i*elem10kaSize:][:elem10kaSize]
		s.ids = append(s.ids, epixID(uint32(s.version), pair(e, 0), digital, [2]uint32{}))
		s.gains = append(s.gains, gain10ka(e[elem10kaAsics:elem10kaPixels], e[elem10kaPixels:], s.rows, s.cols))
	}
}

// gain10ka returns the gain configuration of a panel: bits 2-3 of each pixel and trbit of its ASIC. Asics and
// quadrants: 0 bottom right, 1 top right, 2 top left, 3 bottom left.
func gain10ka(asics, pixels []byte, rows, cols int) frame.GainConfig {
	family, _ := families.Lookup("epix10ka")
	var settings [4][4]uint8 // by ASIC and bits
	for asic := range settings {
		trbit := asics[asic*asic10kaSize+asic10kaTrbit]>>4&1 != 0
		for bits := range settings[asic] {
			settings[asic][bits] = frame.NoSetting
			if i := family.SettingIndex(setting10ka(bits, trbit)); i >= 0 {
				settings[asic][bits] = uint8(i)
			}
		}
	}
	out := make([]uint8, 0, rows*cols)
	for r := range rows {
		left, right := 2, 1
		if r >= rows/2 {
			left, right = 3, 0
		}
		for c := range cols {
			asic := left
			if c >= cols/2 {
				asic = right
			}
			out = append(out, settings[asic][pixels[2*(r*cols+c)]>>2&3])
		}
	}
	return frame.NewGainConfig(family, out)
}

// setting10ka names the setting of pixels with these bits 2-3 of the pixel configuration.
func setting10ka(bits int, trbit bool) string {
	switch {
	case bits == 3 && trbit:
		return "FH"
	case bits == 3:
		return "FM"
	case bits == 2:
		return "FL"
	case bits == 0 && trbit:
		return "AHL"
	case bits == 0:
		return "AML"
	}
	return ""
}

// jungfrauSettings are the names of gainMode by value.
var jungfrauSettings = []string{"Normal", "FixedGain1", "FixedGain2", "ForcedGain1", "ForcedGain2", "HighGain0"}

// jungfrau reads configurations with records of up to that many modules at the end.
func jungfrau(records int) func([]byte, *setup) {
	return func(b []byte, s *setup) {
		s.shape(u32(b, 0), u32(b, 4), u32(b, 8))
		if s.n > maxPanels || records != 0 && s.n > records {
			s.n = 0
			return
		}
		gain := frame.GainConfig{}
		if m := int(le.Uint16(b[16:])); m < len(jungfrauSettings) {
			gain.Setting = jungfrauSettings[m]
		}
		for i := range s.n {
			s.gains = append(s.gains, gain)
			if records != 0 {
				m := b[60+24*i:]
				s.ids = append(s.ids, hexOrNothing(m[8:])+"-"+hexOrNothing(m[16:])+"-"+hexOrNothing(m))
			}
		}
	}
}

// hexOrNothing prints the 64-bit number at b as the original does: nothing for zero.
func hexOrNothing(b []byte) string {
	if v := le.Uint64(b); v != 0 {
		return fmt.Sprintf("%x", v)
	}
	return ""
}

// Sections of a CsPad.
const (
	sectionRows  = 185
	sectionCols  = 388
	sectionBytes = 2 * sectionRows * sectionCols
	elementHead  = 32 // of a CsPad quad, a CsPad2x2 and an Epix frame
)

// cspad reads configurations whose asic mask is at masks, followed by the masks of quads and sections.
func cspad(masks int, roi bool) func([]byte, *setup) {
	return func(b []byte, s *setup) {
		s.shape(32, sectionRows, sectionCols)
		s.asics, s.quads, s.hasRoi = le.Uint32(b[masks:]), le.Uint32(b[masks+4:]), roi
		if roi {
			s.roi = le.Uint32(b[masks+8:])
		}
	}
}

// sections returns the mask of the sections of a quad that data of a version has.
func (s *setup) sections(quad int, version uint16) uint8 {
	switch {
	case s.quads>>quad&1 == 0:
		return 0
	case version == 1 && s.asics&0xf == 1:
		return 3
	case version == 1:
		return 0xff
	}
	return uint8(s.roi >> (8 * quad))
}

func cspad2x2(_ []byte, s *setup) { s.shape(2, sectionRows, sectionCols) }

// pnccdSide is the side of one of four quadrants, each sent with a head of 16 bytes.
const (
	pnccdSide = 512
	pnccdHead = 16
)

func pnccd(b []byte, s *setup) {
	if u32(b, 0) == 4 && u32(b, 4) == pnccdHead+2*pnccdSide*pnccdSide {
		s.shape(4, pnccdSide, pnccdSide)
	}
}

// binned reads width and height at size and the binning in both directions at bin.
func binned(size, bin int) func([]byte, *setup) {
	return func(b []byte, s *setup) {
		s.shape(1, binnedSide(u32(b, size+4), u32(b, bin+4)), binnedSide(u32(b, size), u32(b, bin)))
	}
}

func binnedSide(pixels, bin int) int {
	if bin < 1 {
		return 0
	}
	return (pixels + bin - 1) / bin
}

func andor3d(b []byte, s *setup) {
	s.shape(u32(b, 8), binnedSide(u32(b, 4), u32(b, 24)), binnedSide(u32(b, 0), u32(b, 20)))
}

// uxi reads width, height and number of frames at size.
func uxi(size int) func([]byte, *setup) {
	return func(b []byte, s *setup) { s.shape(u32(b, size+8), u32(b, size+4), u32(b, size)) }
}
