package frame

import (
	"fmt"
	"strings"
)

// cropPrefix begins the codec of a part of a panel: crop:<row0>:<row1>:<col0>:<col1>:<rows>:<cols>:<codec>
// with the shape and codec of the whole panel.
const cropPrefix = "crop:"

// Crop returns the part of a panel with rows [r0, r1) and columns [c0, c1). Its extents are those of the
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

// Bytewise reports whether the stored words of a codec are single bytes.
func (c Codec) Bytewise() bool {
	return c == Widen || strings.HasPrefix(string(c), cropPrefix) && strings.HasSuffix(string(c), ":"+string(Widen))
}

// Whole returns the panel that a cropped one is a part of, and where that part begins; a panel that is not
// cropped is its own whole.
func (p Panel) Whole() (whole Panel, row, col int, err error) {
	spec, cropped := strings.CutPrefix(string(p.Codec), cropPrefix)
	if !cropped {
		return p, 0, 0, nil
	}
	whole = p
	parts := strings.SplitN(spec, ":", 7)
	if len(parts) != 7 {
		return p, 0, 0, fmt.Errorf("codec %q: wanted seven parts", p.Codec)
	}
	var r1, c1 int
	if _, err := fmt.Sscan(strings.Join(parts[:6], " "), &row, &r1, &col, &c1, &whole.Rows, &whole.Cols); err != nil {
		return p, 0, 0, fmt.Errorf("codec %q: %w", p.Codec, err)
	}
	whole.Codec = Codec(parts[6])
	if again, err := whole.Crop(row, r1, col, c1); err != nil || again != p {
		return p, 0, 0, fmt.Errorf("codec %q is not one of %d x %d pixels", p.Codec, p.Rows, p.Cols)
	}
	return whole, row, col, nil
}
