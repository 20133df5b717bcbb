package frame

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Codecs of detectors whose stored frames are not plain pixels.
const (
	// EpixUHR: one ASIC of an epixuhr, 48384 bytes of eight serial lanes of 12-bit words.
	EpixUHR Codec = "epixuhr"
	// EpixUHR3x2: six ASICs of 168 x 192 words of 12 bits, put together to 336 x 576.
	EpixUHR3x2 Codec = "epixuhr3x2"
)

// Packing is how a detector type stores a panel in other than plain pixels.
type Packing struct {
	Codec      Codec
	Bytes      int // stored bytes of a panel
	Rows, Cols int // of the decoded panel
	decode     func(src []byte, dst []uint16)
}

// packings is the table of codecs, by detector type in lower case.
var packings = map[string]Packing{
	"epixuhr":    {EpixUHR, 48384, uhrRows, uhrCols, decodeEpixUHR},
	"epixuhr3x2": {EpixUHR3x2, 2 * 6 * uhrRows * uhrCols, 2 * uhrRows, 3 * uhrCols, decodeEpixUHR3x2},
}

// Packed gives the packing of a detector type; its Codec is Identity for types without.
func Packed(detType string) Packing { return packings[strings.ToLower(detType)] }

// Decode sets dst to the rows x cols pixels of a panel from the bytes of one extent.
func Decode(codec Codec, panel Panel, src []byte, dst []uint16) error {
	if len(dst) != panel.Pixels() {
		panic(fmt.Sprintf("io/frame: %d pixels for a panel of %d x %d", len(dst), panel.Rows, panel.Cols))
	}
	if known, err := decodeSpread(codec, src, dst); known {
		return err
	}
	if known, err := decodeCrop(codec, panel, src, dst); known {
		return err
	}
	for _, p := range packings {
		if p.Codec == codec {
			if len(src) != p.Bytes || panel.Rows != p.Rows || panel.Cols != p.Cols {
				return fmt.Errorf("codec %q: %d bytes for %d x %d pixels, want %d bytes for %d x %d",
					codec, len(src), panel.Rows, panel.Cols, p.Bytes, p.Rows, p.Cols)
			}
			p.decode(src, dst)
			return nil
		}
	}
	return fmt.Errorf("codec %q is not known", codec)
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
func decodeEpixUHR(src []byte, dst []uint16) {
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
	for c := range 16 {
		for i, from := range uhrLaneMap {
			// the strip's words: columns 2c and 2c+1 of words, row by row
			v := words[from/2*32+2*c+from%2]
			row, col := uhrRows-1-i/laneCols, laneCols*c+i%laneCols
			dst[row*uhrCols+col] = v>>1 | v&1<<11
		}
	}
}

// decodeEpixUHR3x2 puts six ASICs together: the upper three mirrored left to right, the lower three
// upside down. The gain bit stays the lowest bit.
func decodeEpixUHR3x2(src []byte, dst []uint16) {
	for asic := range 6 {
		for r := range uhrRows {
			for c := range uhrCols {
				v := binary.LittleEndian.Uint16(src[2*((asic*uhrRows+r)*uhrCols+c):]) & 0x0fff
				row, col := r, asic*uhrCols+uhrCols-1-c
				if asic >= 3 {
					row, col = 2*uhrRows-1-r, (asic-3)*uhrCols+c
				}
				dst[row*3*uhrCols+col] = v
			}
		}
	}
}
