package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"rawstatus/internal/io/frame"
)

// inOrder are the codecs that take a fixed number of bytes per pixel.
var inOrder = map[frame.Codec]layout{
	frame.Identity: {2, func(dst []uint16, _ int, src []byte) error {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 2*len(dst)), src) // little-endian both
		return nil
	}},
	frame.Widen: {1, func(dst []uint16, _ int, src []byte) error {
		for i, v := range src {
			dst[i] = uint16(v)
		}
		return nil
	}},
	Half0: {4, func(dst []uint16, _ int, src []byte) error {
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint16(src[4*i:])
		}
		return nil
	}},
	Half1: {4, func(dst []uint16, _ int, src []byte) error {
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint16(src[4*i+2:])
		}
		return nil
	}},
	Fccd960: {2, func(dst []uint16, _ int, src []byte) error {
		for i := range dst {
			w := binary.LittleEndian.Uint16(src[2*i:])
			dst[i] = w & 0x1fff << [4]uint16{0, 2, 16, 3}[w>>13&3]
		}
		return nil
	}},
}

// timepixChip is the side of a Timepix chip.
const timepixChip = 256

// decodeTimepix puts four chips together to 512 x 512: chips 0 and 1 are turned to the left and are the
// lower and the upper left quadrant, 2 and 3 to the right and the upper and the lower right one.
func decodeTimepix(dst []uint16, lo int, src []byte) error {
	const n, side = timepixChip, 2 * timepixChip
	byRow(dst, lo, side, func(row, col int, dst []uint16) {
		left, right := 1, 2 // chips of the upper half
		if row >= n {
			left, right = 0, 3
		}
		for i := range dst {
			at := (left*n+col+i)*n + n - 1 - row%n
			if col+i >= n {
				at = (right*n+side-1-col-i)*n + row%n
			}
			dst[i] = binary.LittleEndian.Uint16(src[2*at:])
		}
	})
	return nil
}

// maxUnpacked bounds the bytes of an expanded block; psana reads no datagram beyond it.
const maxUnpacked = 256 << 20

var errShort = errors.New("ends too early")

// bytesLeft takes fields off the front of bytes; the first that does not fit sets short.
type bytesLeft struct {
	b     []byte
	short bool
}

func (l *bytesLeft) take(n uint32) []byte {
	if l.short || uint64(n) > uint64(len(l.b)) {
		l.short = true
		return nil
	}
	b := l.b[:n]
	l.b = l.b[n:]
	return b
}

func (l *bytesLeft) u16() uint16 {
	if b := l.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (l *bytesLeft) u32() uint32 {
	if b := l.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// unpackBlock returns n pixels from pixel first on of those that begin at offset of the expanded block, of so many
// bytes each. The block must have all of them.
func unpackBlock(src []byte, offset int64, bytes, first, n, all int) ([]byte, error) {
	l := &bytesLeft{b: src}
	head := int64(len(l.take(l.u32())))
	engine, _, size, stored := l.u32(), l.u32(), l.u32(), l.u32()
	l.b = l.take(stored)
	if l.short {
		return nil, errShort
	}
	lo := offset - head
	if lo < 0 || size > maxUnpacked || lo+int64(bytes*all) > int64(size) {
		return nil, fmt.Errorf("%d bytes at %d are wanted, it expands to %d + %d", bytes*all, offset, head, size)
	}
	end := lo + int64(bytes*all)
	lo, n = lo+int64(bytes*first), bytes*n
	dst := make([]byte, n)
	switch engine {
	case 0:
		if int64(len(l.b)) < end {
			return nil, errShort
		}
		copy(dst, l.b[lo:])
		return dst, nil
	case 1:
		h := hist{depth: 2, mapBits: 8, plainBits: 16}
		flag := uint16(l.u32())
		sum := l.u32()
		l.b = l.take(l.u32())
		if flag != 0 {
			h.base = uint32(l.u16())
		}
		return dst, h.expand(l, flag, sum, int(size), int(lo), dst)
	case 2:
		h := hist{}
		flag := l.u16()
		h.depth = int(l.u16())
		sum := l.u32()
		l.b = l.take(l.u32())
		if flag != 0 {
			h.plainBits, h.mapBits = uint(l.u16()), uint(l.u16())
			h.base = l.u32()
		}
		return dst, h.expand(l, flag, sum, int(size), int(lo), dst)
	}
	return nil, fmt.Errorf("compression method %d is not known, only 0 (stored), 1 (Hist16) and 2 (HistN)", engine)
}

// hist is a histogram compression: pixels near the base take few bits, the others all of theirs, and a
// bitmap says which is which.
type hist struct {
	depth              int // bytes of a pixel
	mapBits, plainBits uint
	base               uint32
}

// expand sets dst to the bytes from lo on of an array of size bytes, and checks the sum of all pixels.
func (h hist) expand(l *bytesLeft, flag uint16, sum uint32, size, lo int, dst []byte) error {
	if l.short {
		return errShort
	}
	if h.depth != 1 && h.depth != 2 || size%h.depth != 0 || lo%h.depth != 0 || h.mapBits > 16 || h.plainBits > 16 {
		return fmt.Errorf("pixels of %d bytes, packed to %d and %d bits", h.depth, h.mapBits, h.plainBits)
	}
	out := pixelSink{dst: dst, lo: lo / h.depth, depth: h.depth, n: size / h.depth}
	switch flag {
	case 0:
		if len(l.b) < size {
			return errShort
		}
		for i := range out.n {
			if h.depth == 1 {
				out.put(uint32(l.b[i]))
			} else {
				out.put(uint32(binary.LittleEndian.Uint16(l.b[2*i:])))
			}
		}
	case 1, 3:
		packed := bitStream{b: l.take(l.u32())}
		words := l.take(2 * min(l.u32(), 1<<30))
		if l.short {
			return errShort
		}
		if err := h.mapped(&packed, words, flag == 3, &out); err != nil {
			return err
		}
	default:
		return fmt.Errorf("form %d of the pixels is not known", flag)
	}
	if out.sum != sum {
		return fmt.Errorf("sum of the pixels is %d, it was %d when they were written", out.sum, sum)
	}
	return nil
}

// mapped expands pixels by their bitmap; in runs the words of the bitmap stand behind their counts.
func (h hist) mapped(packed *bitStream, words []byte, runs bool, out *pixelSink) error {
	for i := 0; out.i < out.n; {
		if i+2 > len(words) || runs && i+4 > len(words) {
			return errShort
		}
		count := 1
		if runs {
			count = int(binary.LittleEndian.Uint16(words[i:]))
			i += 2
		}
		word := binary.LittleEndian.Uint16(words[i:])
		i += 2
		for range count {
			for bit := 0; bit < 16 && out.i < out.n; bit++ {
				if word>>bit&1 != 0 {
					out.put(packed.take(h.mapBits) + h.base)
				} else {
					out.put(packed.take(h.plainBits))
				}
			}
			if packed.short {
				return errShort
			}
		}
	}
	return nil
}

// pixelSink takes the pixels of an array in order, sums them, and keeps the bytes of some.
type pixelSink struct {
	dst          []byte
	lo, depth, n int // first pixel that is kept, bytes of a pixel, pixels of the array
	i            int // next pixel
	sum          uint32
}

func (s *pixelSink) put(v uint32) {
	if s.depth == 1 {
		v &= 0xff
	} else {
		v &= 0xffff
	}
	s.sum += v
	if k := (s.i - s.lo) * s.depth; k >= 0 && k+s.depth <= len(s.dst) {
		s.dst[k] = byte(v)
		if s.depth == 2 {
			s.dst[k+1] = byte(v >> 8)
		}
	}
	s.i++
}

// bitStream reads numbers packed from the lowest bit of the first byte on.
type bitStream struct {
	b     []byte
	acc   uint64
	have  uint
	short bool
}

func (s *bitStream) take(n uint) uint32 {
	for s.have < n {
		if len(s.b) == 0 {
			s.short = true
			return 0
		}
		s.acc |= uint64(s.b[0]) << s.have
		s.b = s.b[1:]
		s.have += 8
	}
	v := uint32(s.acc & (1<<n - 1))
	s.acc >>= n
	s.have -= n
	return v
}
