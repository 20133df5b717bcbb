package frame

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// cropPrefix begins the codec of a part of a panel: crop:<row0>:<row1>:<col0>:<col1>:<rows>:<cols>:<codec>
// with the shape and codec of the whole panel.
const cropPrefix = "crop:"

// Crop gives the part of a panel with rows [r0, r1) and columns [c0, c1). Its extents are those of the
// whole panel.
func (p Panel) Crop(r0, r1, c0, c1 int) (Panel, error) {
	if r0 < 0 || r1 <= r0 || r1 > p.Rows || c0 < 0 || c1 <= c0 || c1 > p.Cols {
		return p, fmt.Errorf("rows %d:%d, columns %d:%d are no part of %v with %d x %d pixels", r0, r1, c0, c1, p, p.Rows, p.Cols)
	}
	q := p
	q.Rows, q.Cols = r1-r0, c1-c0
	q.Codec = Codec(fmt.Sprintf("%s%d:%d:%d:%d:%d:%d:%s", cropPrefix, r0, r1, c0, c1, p.Rows, p.Cols, p.Codec))
	return q, nil
}

// decodeCrop decodes a part of a panel; cropped is false for other codecs.
func decodeCrop(codec Codec, panel Panel, src []byte, dst []uint16) (cropped bool, err error) {
	spec, ok := strings.CutPrefix(string(codec), cropPrefix)
	if !ok {
		return false, nil
	}
	var r0, r1, c0, c1 int
	whole := panel
	parts := strings.SplitN(spec, ":", 7)
	if len(parts) != 7 {
		return true, fmt.Errorf("codec %q: wanted seven parts", codec)
	}
	if _, err := fmt.Sscan(strings.Join(parts[:6], " "), &r0, &r1, &c0, &c1, &whole.Rows, &whole.Cols); err != nil {
		return true, fmt.Errorf("codec %q: %w", codec, err)
	}
	whole.Codec = Codec(parts[6])
	if check, err := whole.Crop(r0, r1, c0, c1); err != nil || check.Pixels() != len(dst) {
		return true, fmt.Errorf("codec %q does not give %d pixels: %w", codec, len(dst), err)
	}
	pixels := make([]uint16, whole.Pixels())
	if whole.Codec == Identity {
		if len(src) != 2*len(pixels) {
			return true, fmt.Errorf("codec %q: %d bytes for %d x %d pixels", codec, len(src), whole.Rows, whole.Cols)
		}
		for i := range pixels {
			pixels[i] = binary.LittleEndian.Uint16(src[2*i:])
		}
	} else if err := Decode(whole.Codec, whole, src, pixels); err != nil {
		return true, err
	}
	for r := r0; r < r1; r++ {
		copy(dst[(r-r0)*(c1-c0):], pixels[r*whole.Cols+c0:r*whole.Cols+c1])
	}
	return true, nil
}

// Bytewise tells whether the stored words of a codec are single bytes.
func (c Codec) Bytewise() bool {
	return c == Widen || strings.HasPrefix(string(c), cropPrefix) && strings.HasSuffix(string(c), ":"+string(Widen))
}

// Whole gives the shape of the panel that a cropped one is a part of.
func (p Panel) Whole() (rows, cols int) {
	spec, ok := strings.CutPrefix(string(p.Codec), cropPrefix)
	if !ok {
		return p.Rows, p.Cols
	}
	var r0, r1, c0, c1 int
	if _, err := fmt.Sscanf(spec, "%d:%d:%d:%d:%d:%d", &r0, &r1, &c0, &c1, &rows, &cols); err != nil {
		return p.Rows, p.Cols
	}
	return rows, cols
}
