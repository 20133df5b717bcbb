package xtc1

import (
	"bytes"
	"fmt"
	"slices"

	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
)

// layout says where the pixels of each panel lie in the payloads of one type.
type layout struct {
	word       uint32 // type word of the leaves
	rows, cols int
	segments   []int         // by panel, ascending
	offsets    []int64       // of the pixels by panel; nil for CsPad, whose quads come in any order
	bytes      int64         // of one panel in the payload
	bits       int           // of a word of a camera; 0: not told
	codecs     []frame.Codec // by panel, of the payload when it is not compressed; nil means all identity
	head       []byte        // first bytes that every payload must have (shape of a camera frame), or nil
	sections   [4]uint8      // CsPad: masks of the sections by quad
}

// Data types in versions that can be read. A type without configurations describes itself.
var dataTypes = []struct {
	id       uint16
	versions uint16 // highest
	configs  []uint16
	head     []int64 // bytes before the pixels by version - 1
}{
	{idFrame, 1, nil, []int64{cameraHead}},
	{idTimepixData, 2, nil, []int64{8, 12}},
	{idEpixElement, 3, []uint16{idEpixConfig, idEpix10kConfig, idEpixSConfig, idEpix100aConfig, idEpix10kaConfig}, []int64{elementHead, elementHead, elementHead}},
	{idEpix10kaArray, 1, []uint16{idEpix10kaQuadConf, idEpix10ka2MConfig}, []int64{4}},
	{idJungfrauElement, 2, []uint16{idJungfrauConfig}, []int64{12, 16}},
	{idCspadElement, 2, []uint16{idCspadConfig}, []int64{elementHead, elementHead}},
	{idCspad2x2Element, 1, []uint16{idCspad2x2Config}, []int64{elementHead}},
	{idPnccdFrame, 1, []uint16{idPnccdConfig}, []int64{pnccdHead}},
	{idPrincetonFrame, 2, []uint16{idPrincetonConfig}, []int64{8, 12}},
	{idFliFrame, 1, []uint16{idFliConfig}, []int64{12}},
	{idAndorFrame, 1, []uint16{idAndorConfig}, []int64{12}},
	{idAndor3dFrame, 1, []uint16{idAndor3dConfig}, []int64{8}},
	{idPimaxFrame, 1, []uint16{idPimaxConfig}, []int64{12}},
	{idPixisFrame, 1, []uint16{idPixisConfig}, []int64{12}},
	{idZylaFrame, 1, []uint16{idZylaConfig, idIStarConfig}, []int64{8}},
	{idUxiFrame, 1, []uint16{idUxiConfig}, []int64{16}},
	{idVimbaFrame, 1, []uint16{idAlviumConfig}, []int64{16}},
}

// isData reports whether leaves of a type have frames of an area detector, readable or not.
func isData(id uint16) bool {
	for _, d := range dataTypes {
		if d.id == id {
			return true
		}
	}
	return id == idCspadCompressed
}

// layoutOf returns the layout of the leaves of a source with this type word. setups are its
// configurations; first is the beginning of a payload, which types without configuration need. The
// error says why the source cannot be read and what can be done.
func layoutOf(src source, word uint32, setups []*setup, first []byte) (*layout, error) {
	x := xtc{word: word}
	id, version := x.id(), x.version()
	if id == idCspadCompressed {
		return nil, fmt.Errorf("%s is an obsolete form that psana ignores, too", typeName(id))
	}
	for _, d := range dataTypes {
		if d.id != id {
			continue
		}
		if version < 1 || version > d.versions {
			return nil, fmt.Errorf("%s version %d is not known, only 1 to %d", typeName(id), version, d.versions)
		}
		l := &layout{word: word}
		head := d.head[version-1]
		if d.configs == nil {
			return l, l.selfDescribed(src, head, first)
		}
		if len(setups) == 0 {
			return nil, fmt.Errorf("%s without its configuration: the files from the beginning of the run are needed (chunk 0)", typeName(id))
		}
		for _, s := range setups {
			if !slices.Contains(d.configs, s.id) {
				continue
			}
			if l.configured(s, head); len(l.segments) == 0 {
				return nil, fmt.Errorf("its %s excludes all sections", typeName(s.id))
			}
			return l, nil
		}
		return nil, fmt.Errorf("%s with %s is not known", typeName(id), typeName(setups[0].id))
	}
	return nil, fmt.Errorf("%s is no frame of an area detector", typeName(id))
}

// expected returns the type word of the data that belongs to a configuration, of the newest version.
func (s *setup) expected() uint32 {
	for _, d := range dataTypes {
		if slices.Contains(d.configs, s.id) {
			return uint32(d.id) | uint32(d.versions)<<16
		}
	}
	return 0
}

// configured lays out frames whose shape the configuration states; head is the size of what is before
// the pixels, without parts that depend on the configuration.
func (l *layout) configured(s *setup, head int64) {
	x := xtc{word: l.word}
	l.rows, l.cols = s.rows, s.cols
	l.bytes = 2 * int64(l.rows) * int64(l.cols)
	gap := int64(0)
	switch x.id() {
	case idEpixElement:
		if x.version() == 1 {
			l.rows = s.rowsV1
		}
	case idJungfrauElement:
		if x.version() == 2 {
			head += 20 * int64(s.n)
		}
	case idAndor3dFrame:
		head += 4 * int64(s.n)
	case idPnccdFrame:
		gap = pnccdHead
	case idCspad2x2Element:
		l.segments, l.bytes = []int{0, 1}, 2*l.bytes
		l.offsets, l.codecs = []int64{head, head}, []frame.Codec{codec.Half0, codec.Half1}
		return
	case idCspadElement:
		for q := range l.sections {
			l.sections[q] = s.sections(q, x.version())
			for i := range 8 {
				if l.sections[q]>>i&1 != 0 {
					l.segments = append(l.segments, 8*q+i)
				}
			}
		}
		return
	}
	for i := range s.n {
		l.segments = append(l.segments, i)
		l.offsets = append(l.offsets, head+int64(i)*(l.bytes+gap))
	}
}

// timepixSide is the side of a Timepix: four chips.
const timepixSide = 512

// cameraHead is the size of a camera frame's head: width, height, depth, offset.
const cameraHead = 16

// selfDescribed lays out frames whose shape stands in their own head.
func (l *layout) selfDescribed(src source, head int64, first []byte) error {
	x := xtc{word: l.word}
	if x.id() == idTimepixData && x.version() == 1 {
		l.rows, l.cols, l.bytes = timepixSide, timepixSide, 2*timepixSide*timepixSide
		l.segments, l.offsets, l.codecs = []int{0}, []int64{head}, []frame.Codec{codec.Timepix}
		return nil
	}
	if len(first) < peekSize {
		return fmt.Errorf("frame without a head of %d bytes", peekSize)
	}
	depth, stored := uint32(16), frame.Identity
	if x.id() == idTimepixData {
		l.cols, l.rows, l.head = int(le.Uint16(first)), int(le.Uint16(first[2:])), bytes.Clone(first[:4])
	} else {
		l.cols, l.rows, depth = u32(first, 0), u32(first, 4), le.Uint32(first[8:])
		l.head = bytes.Clone(first[:12]) // the offset behind it is a pedestal and may change
	}
	if l.rows < 1 || l.rows > maxSide || l.cols < 1 || l.cols > maxSide || depth < 1 || depth > 16 ||
		2*int64(l.rows)*int64(l.cols) > maxDatagram {
		return fmt.Errorf("a frame of %d x %d pixels of %d bits cannot be", l.rows, l.cols, depth)
	}
	l.bytes = 2 * int64(l.rows) * int64(l.cols)
	if x.id() != idTimepixData {
		l.bits = int(depth)
	}
	switch {
	case depth <= 8:
		l.bytes /= 2
		stored = frame.Widen
	case src.device() == "Fccd960":
		stored = codec.Fccd960
	}
	l.segments, l.offsets, l.codecs = []int{0}, []int64{head}, []frame.Codec{stored}
	return nil
}

// codec of a panel in payloads that are not compressed.
func (l *layout) codec(panel int) frame.Codec {
	if l.codecs == nil {
		return frame.Identity
	}
	return l.codecs[panel]
}

// piece is where the bytes of one panel's frame lie in a file.
type piece struct {
	off, n int64
	codec  frame.Codec
}

// errOdd says that a payload differs from the layout of its source.
type errOdd struct{ what string }

func (e errOdd) Error() string { return e.what }

// locate finds the frames of all panels in a payload.
func (l *layout) locate(p payload) ([]piece, error) {
	if l.head != nil {
		b, err := p.peek(0, len(l.head))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(b, l.head) {
			return nil, errOdd{"another shape of the frame"}
		}
	}
	offsets := l.offsets
	if offsets == nil {
		var err error
		if offsets, err = l.quads(p); err != nil {
			return nil, err
		}
	}
	pieces := make([]piece, len(offsets))
	for i, off := range offsets {
		var err error
		if pieces[i], err = p.piece(off, l.bytes); err != nil {
			return nil, err
		}
		if pieces[i].codec == frame.Identity {
			pieces[i].codec = l.codec(i)
		} else {
			pieces[i].codec = codec.Then(pieces[i].codec, l.codec(i))
		}
	}
	return pieces, nil
}

// quads returns the offsets of a CsPad's sections: quads come in any order, each says which one it is.
func (l *layout) quads(p payload) ([]int64, error) {
	var base [32]int64
	seen, want := 0, 0
	for _, m := range l.sections {
		if m != 0 {
			want++
		}
	}
	at := int64(0)
	for range want {
		b, err := p.peek(at, 8)
		if err != nil {
			return nil, err
		}
		q := int(le.Uint32(b[4:]) >> 24 & 3)
		if l.sections[q] == 0 || seen>>q&1 != 0 {
			return nil, errOdd{fmt.Sprintf("quad %d, which the configuration excludes or which came before", q)}
		}
		seen |= 1 << q
		at += elementHead
		for i := range 8 {
			if l.sections[q]>>i&1 != 0 {
				base[8*q+i] = at
				at += l.bytes
			}
		}
		at += 4 // two words behind the sections
	}
	offsets := make([]int64, len(l.segments))
	for i, s := range l.segments {
		offsets[i] = base[s]
	}
	return offsets, nil
}
