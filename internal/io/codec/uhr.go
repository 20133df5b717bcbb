package codec

import (
	"encoding/binary"
	"strings"

	"rawstatus/internal/io/frame"
)

// Packing is how a detector type stores a panel in other than plain pixels.
type Packing struct {
	Type       string // in lower case
	Codec      frame.Codec
	Bytes      int // stored bytes of a panel
	Rows, Cols int // of the decoded panel
	decode     func(dst []uint16, lo int, src []byte) error
}

// packings is the table of codecs that detector types need.
var packings = []Packing{
	{"epixuhr", EpixUHR, 48384, uhrRows, uhrCols, decodeEpixUHR},
	{"epixuhr3x2", EpixUHR3x2, 2 * 6 * uhrRows * uhrCols, 2 * uhrRows, 3 * uhrCols, decodeEpixUHR3x2},
	{"", Timepix, 8 * timepixChip * timepixChip, 2 * timepixChip, 2 * timepixChip, decodeTimepix},
}

// Packed returns the packing of a detector type; its Codec is Identity for types without.
func Packed(detType string) Packing {
	for _, p := range packings {
		if detType != "" && p.Type == strings.ToLower(detType) {
			return p
		}
	}
	return Packing{}
}

// One ASIC of the epixuhr family.
const (
	uhrRows  = 168
	uhrCols  = 192
	uhrLanes = 8
	laneCols = 2 * 6                            // pixel columns of one of the 16 strips of an ASIC
	strip    = uhrRows * laneCols               // pixels of a strip, 2016
	uhrWords = uhrRows * uhrCols / 32           // rows of the array of 32 word columns, 1008
	laneRows = uhrRows * uhrCols / 4 / uhrLanes // groups of four words in a lane, 1008
)

// uhrLaneMap says which word of a strip is pixel i of the strip, counted from its last row up.
//
// Pixels are read out in 72 clusters of 14: two halves of 36 clusters of 12 rows x 3 columns each, the
// right half mirrored, side by side.
var uhrLaneMap = func() (m [strip]int) {
	var cluster [12 * 6]int
	for r := range 12 {
		for c := range 3 {
			cluster[6*r+c] = 3*r + c
			cluster[6*r+5-c] = 36 + 3*r + c
		}
	}
	// The column map has 1008 entries, 14 x 72, as 168 rows of 6; even words are the left six columns
	// of a strip and odd words the right six.
	for i := range strip / 2 {
		word := 14*cluster[i%72] + i/72
		row, col := i/6, i%6
		m[row*laneCols+col] = 2 * word
		m[row*laneCols+6+col] = 2*word + 1
	}
	return m
}()

// decodeEpixUHR unpacks one ASIC; the gain bit moves from the lowest bit to bit 11.
func decodeEpixUHR(dst []uint16, lo int, src []byte) error {
	// words[r*32+c]: lane c/4 holds in its group r four 12-bit words for columns 4*lane to 4*lane+3.
	var words [uhrWords * 32]uint16
	var six [6]byte
	for lane := range uhrLanes {
		for g := range laneRows {
			for k := range six {
				six[5-k] = src[(6*g+k)*uhrLanes+lane]
			}
			w := words[g*32+4*lane:]
			w[3] = uint16(six[0])<<4 | uint16(six[1])>>4
			w[2] = uint16(six[1]&15)<<8 | uint16(six[2])
			w[1] = uint16(six[3])<<4 | uint16(six[4])>>4
			w[0] = uint16(six[4]&15)<<8 | uint16(six[5])
		}
	}
	byRow(dst, lo, uhrCols, func(row, col int, dst []uint16) {
		lane := uhrLaneMap[(uhrRows-1-row)*laneCols:][:laneCols]
		c, k := col/laneCols, col%laneCols
		for i := range dst {
			// the strip's words: columns 2c and 2c+1 of words, row by row
			v := words[lane[k]>>1*32+2*c+lane[k]&1]
			dst[i] = v>>1 | v&1<<11
			if k++; k == laneCols {
				c, k = c+1, 0
			}
		}
	})
	return nil
}

// decodeEpixUHR3x2 puts six ASICs together: the upper three mirrored left to right, the lower three
// upside down. The gain bit stays the lowest bit.
func decodeEpixUHR3x2(dst []uint16, lo int, src []byte) error {
	byRow(dst, lo, 3*uhrCols, func(row, col int, dst []uint16) {
		for i := range dst {
			asic, c := (col+i)/uhrCols, (col+i)%uhrCols
			at := (asic*uhrRows+row)*uhrCols + uhrCols - 1 - c
			if row >= uhrRows {
				at = ((asic+3)*uhrRows+2*uhrRows-1-row)*uhrCols + c
			}
			dst[i] = binary.LittleEndian.Uint16(src[2*at:]) & 0x0fff
		}
	})
	return nil
}

// byRow calls do for the pixels from lo on, row by row of a panel of so many columns.
func byRow(dst []uint16, lo, cols int, do func(row, col int, dst []uint16)) {
	for len(dst) > 0 {
		n := min(len(dst), cols-lo%cols)
		do(lo/cols, lo%cols, dst[:n])
		dst, lo = dst[n:], lo+n
	}
}
