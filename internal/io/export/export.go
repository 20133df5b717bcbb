package export

import (
	"bufio"
	"io"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/npy"
)

// Format names a kind of file.
type Format string

// The formats.
const (
	NPY          Format = "npy"
	EDF          Format = "edf"
	MSK          Format = "msk"
	List         Format = "list"
	CrystFEL     Format = "crystfel"
	DIALS        Format = "dials"
	XDS          Format = "xds"
	NXmx         Format = "nxmx"
	CXI          Format = "cxi"
	EuXFEL       Format = "euxfel"
	AreaDetector Format = "areadetector"
)

// Formats lists all formats.
var Formats = []Format{NPY, EDF, MSK, List, CrystFEL, DIALS, XDS, NXmx, CXI, EuXFEL, AreaDetector}

// ManyRegions is the number of regions from which on programs that test each of them for every image become slow.
const ManyRegions = 2000

// Options say how a mask is written.
type Options struct {
	Format    Format
	Stack     bool      // panels one below the other in an array of two dimensions
	Words     bool      // npy: the status words, not a mask
	GoodIsOne bool      // npy: 1 is good and 0 is masked
	Plain     bool      // nxmx, cxi: a numpy array instead of an HDF5 file
	Picture   *Picture  // where a geometry puts the pixels
	Panels    *Geometry // crystfel: the panels of the geometry file that the regions are for
}

// Result says what was written.
type Result struct {
	Format  Format `json:"format"`
	Shape   []int  `json:"shape,omitempty"`   // of the array in the file, or that positions refer to
	Masked  int    `json:"masked"`            // pixels of the detector that are masked
	Pixels  int    `json:"pixels"`            // of the detector
	Gaps    int    `json:"gaps,omitempty"`    // pixels of the picture outside all panels, masked
	Regions int    `json:"regions,omitempty"` // rectangles or pixels listed
	Beside  int    `json:"beside,omitempty"`  // masked pixels in no panel of the geometry file, not listed
	Masks   string `json:"masks"`             // polarity, for people
	Dataset string `json:"dataset,omitempty"` // path inside an HDF5 file
}

// flat are the formats whose array has two dimensions.
var flat = []Format{EDF, MSK, XDS, AreaDetector}

// raw are the formats that name pixels as the detector delivers them, not as a geometry places them.
var raw = []Format{List, CrystFEL, DIALS, AreaDetector}

// Check reports options that do not fit together.
func (o Options) Check() error {
	switch {
	case !slices.Contains(Formats, o.Format):
		return fault.New(fault.Usage, "unknown format %q", o.Format).WithHint("formats: %s", list(Formats))
	case o.Picture != nil && slices.Contains(raw, o.Format):
		return fault.New(fault.Usage, "format %s names pixels as they are read out, not as a geometry places them", o.Format).
			WithHint("leave the geometry out")
	case o.Words && o.Format != NPY, o.GoodIsOne && o.Format != NPY:
		return fault.New(fault.Usage, "format %s has its own values for masked pixels", o.Format).WithHint("words and polarity can be chosen for npy")
	case o.Words && o.GoodIsOne:
		return fault.New(fault.Usage, "status words are 0 for good pixels: they have no other polarity")
	case o.Panels != nil && o.Format != CrystFEL:
		return fault.New(fault.Usage, "a CrystFEL geometry file is for format crystfel, not %s", o.Format)
	}
	return nil
}

func list(formats []Format) (s string) {
	for i, f := range formats {
		if i > 0 {
			s += ", "
		}
		s += string(f)
	}
	return s
}

// Write writes a mask.
func Write(w io.Writer, m *Mask, opt Options) (Result, error) {
	res := Result{Format: opt.Format, Masked: 0, Pixels: len(m.Panels) * m.Rows * m.Cols}
	if err := opt.Check(); err != nil {
		return res, err
	}
	if err := m.Check(); err != nil {
		return res, err
	}
	if opt.Picture != nil && len(opt.Picture.At) != res.Pixels {
		return res, fault.New(fault.Input, "the geometry has %s, the detector %s of %d x %d", fault.Count(len(opt.Picture.At), "pixel"), fault.Count(len(m.Panels), "panel"), m.Rows, m.Cols)
	}
	res.Masked = m.Masked()
	b := bufio.NewWriterSize(w, 1<<16)
	if err := write(b, m, opt, &res); err != nil {
		return res, err
	}
	return res, b.Flush()
}

func write(w *bufio.Writer, m *Mask, opt Options, res *Result) error {
	switch opt.Format {
	case List:
		return writeList(w, m, res)
	case CrystFEL:
		return writeCrystFEL(w, m, opt.Panels, res)
	case DIALS:
		return writeDIALS(w, m, opt.Stack, res)
	}
	a := m.layout(opt.Stack || slices.Contains(flat, opt.Format), opt.Picture)
	res.Shape, res.Gaps = a.shape, a.gaps()
	switch opt.Format {
	case NPY:
		return writeNPY(w, m, a, opt, res)
	case EDF:
		return writeEDF(w, m, a, res)
	case MSK:
		return writeMSK(w, a, res)
	case XDS:
		return writeXDS(w, m, a, res)
	case NXmx:
		res.Masks = "values other than 0 are masked: bits of NXmx"
		return writeWords(w, opt, a, values(m, a, int32(nxGap), nxmxWord), m, res, inNXmx)
	case CXI:
		res.Masks = "values other than 0 are masked: bits of CXI"
		return writeWords(w, opt, a, values(m, a, uint16(cxiBad|cxiMissing), cxiWord), m, res, inCXI)
	case EuXFEL:
		res.Masks = "values other than 0 are masked; bits as European XFEL names them"
		return npy.Encode(w, a.shape, values(m, a, euxfelGap, euxfelWord))
	}
	return writeAreaDetector(w, a, res)
}

// zeroOne returns 1 for masked and 0 for good pixels.
func zeroOne(m *Mask, a *array) []uint8 {
	return values(m, a, 1, func(word uint64, _ Kind) uint8 {
		if word != 0 {
			return 1
		}
		return 0
	})
}

// NoDataWord is the status word NO_DATA, which gaps get where words are written.
const NoDataWord = 1024

func writeNPY(w io.Writer, m *Mask, a *array, opt Options, res *Result) error {
	switch {
	case opt.Words:
		res.Masks = "values other than 0 are masked: status words"
		return npy.Encode(w, a.shape, values(m, a, NoDataWord, func(word uint64, _ Kind) uint64 { return word }))
	case opt.GoodIsOne:
		res.Masks = "0 is masked, 1 is good"
		v := zeroOne(m, a)
		for i := range v {
			v[i] ^= 1
		}
		return npy.Encode(w, a.shape, v)
	}
	res.Masks = "1 is masked, 0 is good"
	return npy.Encode(w, a.shape, zeroOne(m, a))
}
