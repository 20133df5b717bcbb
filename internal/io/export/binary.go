package export

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"rawstatus/internal/io/hdf5"
	"rawstatus/internal/io/npy"
)

// edfBlock is the unit of the length of an EDF header.
const edfBlock = 512

// writeEDF writes an image of one byte per pixel.
func writeEDF(w io.Writer, m *Mask, a *array, res *Result) error {
	res.Masks = "1 is masked, 0 is good"
	rows, cols := a.size()
	body := zeroOne(m, a)
	var lines []string
	add := func(key string, value any) { lines = append(lines, fmt.Sprintf("%s = %v ;\n", key, value)) }
	add("EDF_DataBlockID", "0.Image.Psd")
	add("EDF_BinarySize", len(body))
	size := len(lines)
	lines = append(lines, "")
	add("ByteOrder", "LowByteFirst")
	add("DataType", "UnsignedByte")
	add("Dim_1", cols)
	add("Dim_2", rows)
	add("Image", 0)
	add("HeaderID", "EH:000000:000000:000000")
	add("Size", len(body))
	add("program_name", "rawstatus")
	add("masked_value", "nonzero")
	for i, note := range m.Notes {
		add(fmt.Sprintf("note_%d", i+1), edfText(note))
	}
	length := func(n int) string { return fmt.Sprintf("EDF_HeaderSize = %5d ;\n", n) }
	lines[size] = length(0)
	text := "{\n" + strings.Join(lines, "")
	total := (len(text) + 2 + edfBlock - 1) / edfBlock * edfBlock
	lines[size] = length(total)
	text = "{\n" + strings.Join(lines, "")
	text += strings.Repeat(" ", total-len(text)-2) + "}\n"
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// edfText takes out what ends a value or the header.
func edfText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ';', r == '{', r == '}', r == '=', r < ' ', r > '~':
			return '_'
		}
		return r
	}, s)
}

// writeMSK writes a mask of Fit2D.
func writeMSK(w io.Writer, a *array, res *Result) error {
	res.Masks = "1 is masked, 0 is good"
	rows, cols := a.size()
	head := make([]byte, 1024)
	for i, c := range []byte("MASK") {
		head[4*i] = c
	}
	binary.LittleEndian.PutUint32(head[16:], uint32(cols))
	binary.LittleEndian.PutUint32(head[20:], uint32(rows))
	head[24] = 1
	if _, err := w.Write(head); err != nil {
		return err
	}
	line := make([]byte, (cols+31)/32*4)
	for y := range rows {
		clear(line)
		for x := range cols {
			if a.masked(y*cols + x) {
				line[x/8] |= 1 << (x % 8)
			}
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// Bits of NXmx pixel_mask.
const (
	nxGap     = 1 << 0
	nxDead    = 1 << 1
	nxUnder   = 1 << 2
	nxOver    = 1 << 3
	nxNoisy   = 1 << 4
	nxCluster = 1 << 6
	nxUser    = 1 << 8
)

func nxmxWord(_ uint64, k Kind) (v int32) {
	for _, x := range []struct {
		kinds Kind
		bits  int32
	}{
		{Quiet | Cold | NoData | LowStats | EvalError, nxDead}, {Weak, nxUnder}, {Hot | Saturated, nxOver},
		{Noisy | WrongGain, nxNoisy}, {Spatial, nxDead | nxCluster}, {User | Other, nxUser},
	} {
		if k&x.kinds != 0 {
			v |= x.bits
		}
	}
	return v
}

// writeWords writes an array as numpy's, or inside an HDF5 file: in returns the file's tree and the path of the dataset.
func writeWords(w io.Writer, opt Options, a *array, words any, m *Mask, res *Result, in func(*hdf5.Dataset) (*hdf5.Group, string)) error {
	if opt.Plain {
		return npy.Encode(w, a.shape, words)
	}
	var root *hdf5.Group
	root, res.Dataset = in(&hdf5.Dataset{Shape: a.shape, Data: words, Attributes: []hdf5.Attribute{{Name: "comment", Text: strings.Join(m.Notes, "\n")}}})
	return hdf5.Write(w, root)
}

func inNXmx(d *hdf5.Dataset) (root *hdf5.Group, path string) {
	class := func(name string) []hdf5.Attribute { return []hdf5.Attribute{{Name: "NX_class", Text: name}} }
	d.Name = "pixel_mask"
	detector := &hdf5.Group{Name: "detector", Attributes: class("NXdetector"), Datasets: []*hdf5.Dataset{d}}
	instrument := &hdf5.Group{Name: "instrument", Attributes: class("NXinstrument"), Groups: []*hdf5.Group{detector}}
	entry := &hdf5.Group{Name: "entry", Attributes: class("NXentry"), Groups: []*hdf5.Group{instrument}}
	return &hdf5.Group{Attributes: class("NXroot"), Groups: []*hdf5.Group{entry}}, "/entry/instrument/detector/pixel_mask"
}

// Bits of CXI masks.
const (
	cxiSaturated = 2
	cxiHot       = 4
	cxiDead      = 8
	cxiBad       = 128
	cxiMissing   = 512
	cxiNoisy     = 1024
)

func cxiWord(_ uint64, k Kind) (v uint16) {
	if k != 0 {
		v = cxiBad
	}
	for _, x := range []struct {
		kinds Kind
		bits  uint16
	}{
		{NoData, cxiMissing}, {Saturated, cxiSaturated}, {Hot, cxiHot}, {Noisy, cxiNoisy}, {Quiet | Cold, cxiDead},
	} {
		if k&x.kinds != 0 {
			v |= x.bits
		}
	}
	return v
}

func inCXI(d *hdf5.Dataset) (root *hdf5.Group, path string) {
	d.Name = "mask"
	entry := &hdf5.Group{Name: "entry_1", Groups: []*hdf5.Group{{Name: "instrument_1", Groups: []*hdf5.Group{{Name: "detector_1", Datasets: []*hdf5.Dataset{d}}}}}}
	version := &hdf5.Dataset{Name: "cxi_version", Shape: []int{1}, Data: []int32{160}}
	return &hdf5.Group{Datasets: []*hdf5.Dataset{version}, Groups: []*hdf5.Group{entry}}, "/entry_1/instrument_1/detector_1/mask"
}

// Bits of European XFEL.
const (
	euOffset = 1 << 0
	euNoise  = 1 << 1
	euEval   = 1 << 2
	euNoDark = 1 << 3
	euStd0   = 1 << 14
	euGain   = 1 << 21
	euExpert = 1 << 23
	euUser   = 1 << 30

	euxfelGap = uint32(euNoDark)
)

func euxfelWord(_ uint64, k Kind) (v uint32) {
	for _, x := range []struct {
		kinds Kind
		bits  uint32
	}{
		{Cold | Weak | Hot | Saturated, euOffset}, {Noisy, euNoise}, {EvalError, euEval}, {NoData | LowStats, euNoDark}, {Quiet, euStd0},
		{WrongGain, euGain}, {Spatial | Other, euExpert}, {User, euUser},
	} {
		if k&x.kinds != 0 {
			v |= x.bits
		}
	}
	return v
}
