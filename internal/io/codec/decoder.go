package codec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"rawstatus/internal/io/frame"
)

// Codecs of detectors whose stored frames are not plain pixels. frame.Widen is one more.
const (
	// EpixUHR: one ASIC of an epixuhr, 48384 bytes of eight serial lanes of 12-bit words.
	EpixUHR frame.Codec = "epixuhr"
	// EpixUHR3x2: six ASICs of 168 x 192 words of 12 bits, put together to 336 x 576.
	EpixUHR3x2 frame.Codec = "epixuhr3x2"
	// Half0 and Half1: two panels stored pixel by pixel in turn (CsPad2x2); the first, the second.
	Half0 frame.Codec = "half0"
	Half1 frame.Codec = "half1"
	// Fccd960: 13 bits and a code for the number of bits by which they are to be shifted up.
	Fccd960 frame.Codec = "fccd960"
	// Timepix: four chips of 256 x 256 pixels one after the other, to be turned and put together.
	Timepix frame.Codec = "timepix"
)

// unpackPrefix begins the name of a codec that expands a compressed block first.
const unpackPrefix = "block@"

// Unpack returns the codec of pixels inside one compressed block of an XTC1 payload, from that offset of
// the expanded block on (its header in clear included). The block is
//
//	u32 hs, byte header[hs], u32 engine, u32 reserved, u32 dsize, u32 csize, byte data[csize]
//
// and expands to the header and dsize bytes.
func Unpack(offset int64) frame.Codec {
	return frame.Codec(unpackPrefix + strconv.FormatInt(offset, 10))
}

// Then returns the codec that does first, then next with the result.
func Then(first, next frame.Codec) frame.Codec {
	if next == frame.Identity {
		return first
	}
	return first + "+" + next
}

// layout is how a codec stores a whole panel.
type layout struct {
	stride int // bytes per pixel where pixels are stored in order; else 0
	// decode sets dst to the pixels from lo on. src are the bytes of these pixels alone where there is a
	// stride, else all bytes of the frame.
	decode func(dst []uint16, lo int, src []byte) error
}

// Decoder decodes the frames of one panel. It has no state: goroutines may share one.
type Decoder struct {
	name   frame.Codec
	stored layout
	whole  frame.Panel // the panel that is stored
	bytes  int         // of a frame; 0: they vary
	// The part of the stored panel that is the panel: rows from row on, columns col to col+cols-1.
	row, col, rows, cols int
}

// New returns the decoder of a panel.
func New(panel frame.Panel) (*Decoder, error) {
	whole, row, col, err := panel.Whole()
	if err != nil {
		return nil, err
	}
	d := &Decoder{name: panel.Codec, whole: whole, row: row, col: col, rows: panel.Rows, cols: panel.Cols}
	if rest, ok := strings.CutPrefix(string(whole.Codec), unpackPrefix); ok {
		return d, d.unpacked(rest)
	}
	if s, ok := inOrder[whole.Codec]; ok {
		d.stored, d.bytes = s, s.stride*whole.Pixels()
		return d, nil
	}
	i := slices.IndexFunc(packings, func(p Packing) bool { return p.Codec == whole.Codec })
	if i < 0 {
		return nil, fmt.Errorf("codec %q is not known", panel.Codec)
	}
	if p := packings[i]; whole.Rows != p.Rows || whole.Cols != p.Cols {
		return nil, fmt.Errorf("codec %q: %d x %d pixels, want %d x %d", panel.Codec, whole.Rows, whole.Cols, p.Rows, p.Cols)
	}
	d.stored.decode, d.bytes = packings[i].decode, packings[i].Bytes
	return d, nil
}

// unpacked prepares to expand a block before its pixels are decoded; rest is the name of the codec without its prefix.
func (d *Decoder) unpacked(rest string) error {
	at, then, _ := strings.Cut(rest, "+")
	offset, err := strconv.ParseInt(at, 10, 64)
	if err != nil || offset < 0 {
		return fmt.Errorf("codec %q has no offset", d.name)
	}
	inner, ok := inOrder[frame.Codec(then)]
	if !ok {
		return fmt.Errorf("codec %q is not known", d.name)
	}
	d.stored.decode = func(dst []uint16, lo int, src []byte) error {
		px, err := unpackBlock(src, offset, inner.stride, lo, len(dst), d.whole.Pixels())
		if err != nil {
			return fmt.Errorf("compressed block: %w", err)
		}
		return inner.decode(dst, lo, px)
	}
	return nil
}

// Decode sets dst to all pixels of a frame of a panel, from all its bytes.
func Decode(panel frame.Panel, dst []uint16, src []byte) error {
	d, err := New(panel)
	if err != nil {
		return err
	}
	if d.bytes > 0 && len(src) != d.bytes {
		return fmt.Errorf("codec %q: %d bytes for %d x %d pixels, want %d", d.name, len(src), d.rows, d.cols, d.bytes)
	}
	from, to := d.Span(0, len(dst), len(src))
	return d.Decode(dst, 0, src[from:to])
}

// Bytes returns the stored bytes of a frame; 0 if they differ from frame to frame.
func (d *Decoder) Bytes() int { return d.bytes }

// Plain reports whether the stored bytes from Span are the pixels.
func (d *Decoder) Plain() bool { return d.whole.Codec == frame.Identity && d.cols == d.whole.Cols }

// InOrder reports whether a part of a frame is decoded from a part of its bytes.
func (d *Decoder) InOrder() bool { return d.stored.stride > 0 }

// Span returns which bytes of a frame pixels [lo, hi) are decoded from; frames have size bytes.
func (d *Decoder) Span(lo, hi, size int) (from, to int) {
	if !d.InOrder() {
		return 0, size
	}
	if hi <= lo {
		return 0, 0
	}
	return d.stored.stride * d.at(lo), d.stored.stride * (d.at(hi-1) + 1)
}

// at returns the place of a pixel in the stored panel.
func (d *Decoder) at(i int) int {
	if d.cols == 0 {
		return 0
	}
	return (d.row+i/d.cols)*d.whole.Cols + d.col + i%d.cols
}

// rowPool has memory for the rows of stored panels of which only some columns are wanted.
var rowPool = sync.Pool{New: func() any { return new([]uint16) }}

// Decode sets dst to the pixels from lo on. src are the bytes that Span returns.
func (d *Decoder) Decode(dst []uint16, lo int, src []byte) error {
	if lo < 0 || lo+len(dst) > d.rows*d.cols {
		panic(fmt.Sprintf("io/codec: pixels [%d, %d) of %d x %d", lo, lo+len(dst), d.rows, d.cols))
	}
	from, to := d.Span(lo, lo+len(dst), len(src))
	if want := to - from; len(src) != want || !d.InOrder() && d.bytes > 0 && len(src) != d.bytes {
		return fmt.Errorf("codec %q: %d bytes for %d of %d x %d pixels, want %d", d.name, len(src), len(dst), d.rows, d.cols, max(want, d.bytes))
	}
	if len(dst) == 0 {
		return nil
	}
	if d.cols == d.whole.Cols {
		return d.stored.decode(dst, d.at(lo), src)
	}
	if d.InOrder() {
		for i := 0; i < len(dst); {
			n := min(len(dst)-i, d.cols-(lo+i)%d.cols)
			at := d.stored.stride*d.at(lo+i) - from
			if err := d.stored.decode(dst[i:i+n], d.at(lo+i), src[at:at+d.stored.stride*n]); err != nil {
				return err
			}
			i += n
		}
		return nil
	}
	first, last := d.row+lo/d.cols, d.row+(lo+len(dst)-1)/d.cols
	buffer := rowPool.Get().(*[]uint16)
	defer rowPool.Put(buffer)
	*buffer = slices.Grow((*buffer)[:0], (last-first+1)*d.whole.Cols)[:(last-first+1)*d.whole.Cols]
	if err := d.stored.decode(*buffer, first*d.whole.Cols, src); err != nil {
		return err
	}
	for i := 0; i < len(dst); {
		at := d.at(lo+i) - first*d.whole.Cols
		i += copy(dst[i:], (*buffer)[at:at+d.cols-(lo+i)%d.cols])
	}
	return nil
}
