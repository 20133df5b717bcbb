package xtc1

import (
	"cmp"
	"fmt"
	"slices"

	families "rawstatus/internal/detector"
)

// Model is a detector to write: its configuration and its frames.
type Model struct {
	Source             string // full name, e.g. CxiDs1.0:Jungfrau.0
	Panels, Rows, Cols int

	from Address
	kind modelKind
}

// modelKind is how a family of devices is written.
type modelKind struct {
	device         string
	panels         []int // that are possible; nil means 1 to 32
	rows, cols     int   // that are possible; 0 means any
	config, data   uint16
	configV, dataV uint16
	modes          []string
	head           func(m *Model) int
	tail           func(m *Model) int
	configure      func(m *Model, mode string) []byte
	fill           func(m *Model, b []byte, event int)
	ids            func(m *Model) []string
}

// kinds of detectors that can be written, cameras last: they are all written alike.
var modelKinds = []modelKind{
	{device: "Epix100a", panels: []int{1}, config: idEpix100aConfig, configV: 2, data: idEpixElement, dataV: 3,
		head: fixed(elementHead), tail: epixTail, configure: epix100a, ids: epix100aIDs},
	{device: "Jungfrau", config: idJungfrauConfig, configV: 4, data: idJungfrauElement, dataV: 2, modes: jungfrauModes[:3],
		head: func(m *Model) int { return 16 + 20*m.Panels }, tail: fixed(0), configure: jungfrauConfig, ids: jungfrauIDs},
	{device: "Epix10kaQuad", panels: []int{4}, rows: 352, cols: 384, config: idEpix10kaQuadConf, configV: 2, data: idEpix10kaArray, dataV: 1,
		modes: epix10kaModes, head: fixed(4), tail: arrayTail, configure: array10kaConfig, ids: array10kaIDs},
	{device: "Epix10ka2M", panels: []int{16}, rows: 352, cols: 384, config: idEpix10ka2MConfig, configV: 2, data: idEpix10kaArray, dataV: 1,
		modes: epix10kaModes, head: fixed(4), tail: arrayTail, configure: array10kaConfig, ids: array10kaIDs},
	camera("Opal1000"), camera("Opal2000"), camera("Opal4000"), camera("Opal8000"), camera("Tm6740"), camera("OrcaFl40"),
	camera("Quartz4A150"), camera("Rayonix"), camera("ControlsCamera"),
}

// Gain modes in which a Jungfrau and an Epix10ka take darks.
var (
	jungfrauModes = []string{"g0", "g1", "g2"}
	epix10kaModes = []string{"FH", "FM", "FL", "AHL-H", "AML-M"}
)

func fixed(n int) func(*Model) int { return func(*Model) int { return n } }

func camera(device string) modelKind {
	return modelKind{device: device, panels: []int{1}, config: idFrameFexConfig, configV: 1, data: idFrame, dataV: 1, head: fixed(cameraHead),
		tail:      func(m *Model) int { return -2 * m.Rows * m.Cols & 3 },
		configure: func(*Model, string) []byte { return make([]byte, 28) },
		fill: func(m *Model, b []byte, _ int) {
			put32(b, m.Cols, m.Rows, 16, 0)
		}}
}

// NewModel prepares a detector by its full name. Zero panels, rows or columns mean those of the device.
func NewModel(source string, panels, rows, cols int) (*Model, error) {
	from, err := ParseSource(source)
	if err != nil {
		return nil, err
	}
	device := sourceOf(from).device()
	i := slices.IndexFunc(modelKinds, func(k modelKind) bool { return k.device == device })
	if i < 0 {
		var names []string
		for _, k := range modelKinds {
			names = append(names, k.device)
		}
		return nil, fmt.Errorf("a detector %s cannot be written, only %v", device, names)
	}
	k := modelKinds[i]
	f, _ := families.Lookup(device)
	m := &Model{Source: source, Panels: cmp.Or(panels, append(k.panels, 1)[0]), Rows: cmp.Or(rows, f.Rows, 1024), Cols: cmp.Or(cols, f.Cols, 1024),
		from: from, kind: k}
	switch {
	case k.panels != nil && !slices.Contains(k.panels, m.Panels):
		return nil, fmt.Errorf("a detector %s has %v panels, not %d", k.device, k.panels, m.Panels)
	case m.Panels < 1 || m.Panels > 32:
		return nil, fmt.Errorf("a detector %s has 1 to 32 panels, not %d", k.device, m.Panels)
	case k.rows != 0 && (m.Rows != k.rows || m.Cols != k.cols):
		return nil, fmt.Errorf("a panel of %s has %d x %d pixels, not %d x %d", k.device, k.rows, k.cols, m.Rows, m.Cols)
	case m.Rows < 1 || m.Cols < 1 || m.Rows > maxSide || m.Cols > maxSide || m.frameSize() > maxDatagram/2:
		return nil, fmt.Errorf("%d panels of %d x %d pixels do not fit a datagram", m.Panels, m.Rows, m.Cols)
	}
	return m, nil
}

func sourceOf(a Address) source { return source(a.Phy) }

// Type returns the detector type under which constants are kept.
func (m *Model) Type() string { return sourceOf(m.from).dettype() }

// Modes returns the gain modes that steps can have; nil for single-gain detectors.
func (m *Model) Modes() []string { return m.kind.modes }

// PanelIDs returns the ids of the panels as a reader forms them.
func (m *Model) PanelIDs() []string {
	if m.kind.ids == nil {
		return []string{sourceOf(m.from).plain()}
	}
	return m.kind.ids(m)
}

func (m *Model) panelBytes() int { return 2 * m.Rows * m.Cols }

func (m *Model) frameSize() int {
	return m.kind.head(m) + m.Panels*m.panelBytes() + m.kind.tail(m)
}

// PutConfig appends the configuration in a gain mode, for Configure and BeginCalibCycle.
func (m *Model) PutConfig(d *Draft, mode string) {
	b := m.kind.configure(m, mode)
	copy(d.Leaf(m.from, m.kind.config, m.kind.configV, 0, len(b)), b)
}

// PutFrame appends the frames of all panels; fill sets the bytes of one, which are zero before.
func (m *Model) PutFrame(d *Draft, event int, damage uint32, fill func(dst []byte, panel int)) {
	b := d.Leaf(m.from, m.kind.data, m.kind.dataV, damage, m.frameSize())
	if m.kind.fill != nil {
		m.kind.fill(m, b, event)
	} else {
		le.PutUint32(b, uint32(event))
	}
	n, at := m.panelBytes(), m.kind.head(m)
	for i := range m.Panels {
		fill(b[at+i*n:][:n], i)
	}
}

// put32 writes 32-bit numbers one after the other.
func put32(b []byte, values ...int) {
	for i, v := range values {
		le.PutUint32(b[4*i:], uint32(v))
	}
}

// Rows beside the pixels of an Epix asic: calibration and environment.
const (
	calibRows = 2
	envRows   = 1
)

// epixAsics returns asics in each direction: two where the panel can be halved.
func (m *Model) epixAsics() (across, down int) {
	if m.Rows%2 == 0 && m.Cols%2 == 0 {
		return 2, 2
	}
	return 1, 1
}

// epixTail returns the size of the data behind the pixels: calibration and environmental rows, temperatures, last word.
func epixTail(m *Model) int {
	across, down := m.epixAsics()
	n := 2*m.Cols*down*(calibRows+envRows) + 2*across*down + 4
	return n + -(2*m.Rows*m.Cols+n)&3
}

// Numbers in the ids of written panels.
const (
	modelFirmware = 0xea010100
	modelCarrier  = 0x0a700000
	modelDigital  = 0x1234
	modelAnalog   = 0xabcd
)

func (m *Model) serial(panel int) uint32 { return m.from.Phy>>8 ^ m.from.Phy&0xff<<8 + uint32(panel) }

func epix100a(m *Model, _ string) []byte {
	across, down := m.epixAsics()
	const fixedSize, asicSize = 188, 100
	b := make([]byte, fixedSize+across*down*asicSize+2*m.Rows*m.Cols+down*calibRows/2*m.Cols)
	put32(b, modelFirmware)
	put32(b[104:], modelDigital, int(m.serial(0)), modelAnalog, int(m.serial(0)), modelCarrier, int(m.serial(0)),
		across, down, m.Rows/down, m.Rows/down, m.Cols/across, calibRows, envRows)
	return b
}

func epix100aIDs(m *Model) []string {
	n := m.serial(0)
	return []string{epixID(modelFirmware, [2]uint32{modelCarrier, n}, [2]uint32{modelDigital, n}, [2]uint32{modelAnalog, n})}
}

func jungfrauConfig(m *Model, mode string) []byte {
	b := make([]byte, 828)
	put32(b, m.Panels, m.Rows, m.Cols)
	le.PutUint16(b[16:], uint16(max(0, slices.Index(jungfrauModes, mode))))
	for i := range m.Panels {
		r := b[60+24*i:]
		le.PutUint64(r, uint64(m.serial(i)))
		le.PutUint64(r[8:], 0x230920)
		le.PutUint64(r[16:], 0x211222)
	}
	return b
}

func jungfrauIDs(m *Model) []string {
	var ids []string
	for i := range m.Panels {
		ids = append(ids, fmt.Sprintf("230920-211222-%x", m.serial(i)))
	}
	return ids
}

// arrayTail returns the size of the data behind the pixels of an Epix10ka array: calibration and environmental rows and
// temperatures of each panel.
func arrayTail(m *Model) int { return m.Panels * (2*m.Cols*2*(calibRows+envRows) + 2*4) }

func array10kaConfig(m *Model, mode string) []byte {
	quads := m.Panels / 4
	b := make([]byte, 8+quads*quad10kaSizeV2+m.Panels*elem10kaSize)
	bits := map[string][2]byte{"FH": {12, 1}, "FM": {12, 0}, "FL": {8, 0}, "AHL-H": {0, 1}, "AML-M": {0, 0}}[mode]
	for q := range quads {
		put32(b[8+q*quad10kaSizeV2+16:], modelDigital, int(m.serial(q)))
	}
	for i := range m.Panels {
		e := b[8+quads*quad10kaSizeV2+i*elem10kaSize:][:elem10kaSize]
		put32(e, modelCarrier, int(m.serial(i)))
		for asic := range 4 {
			e[elem10kaAsics+asic*asic10kaSize+asic10kaTrbit] = bits[1] << 4
		}
		for p := range m.Rows * m.Cols {
			e[elem10kaPixels+2*p] = bits[0]
		}
	}
	return b
}

func array10kaIDs(m *Model) []string {
	var ids []string
	for i := range m.Panels {
		ids = append(ids, epixID(2, [2]uint32{modelCarrier, m.serial(i)}, [2]uint32{modelDigital, m.serial(i / 4)}, [2]uint32{}))
	}
	return ids
}
