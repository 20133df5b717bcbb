package calib

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"
	"slices"
	"unsafe"

	"rawstatus/internal/io/calibtxt"
)

// Array is an array of constants: of words, or, of the types of [RealType], of numbers.
type Array struct {
	Shape []int
	Words calibtxt.Sparse
	// In place of Words, in pieces that follow each other: words that are short, or numbers.
	Short   [][]uint16
	Numbers [][]float32
}

// Len returns the number of elements.
func (a *Array) Len() int {
	n := a.Words.Pixels
	for _, p := range a.Short {
		n += len(p)
	}
	for _, p := range a.Numbers {
		n += len(p)
	}
	return n
}

// DType returns the type of the elements as numpy names it.
func (a *Array) DType() string {
	if a.Numbers != nil {
		return "float32"
	}
	return "uint64"
}

// Number returns the value of an element as a number.
func (a *Array) Number(i int) float64 {
	for _, p := range a.Numbers {
		if i < len(p) {
			return float64(p[i])
		}
		i -= len(p)
	}
	for _, p := range a.Short {
		if i < len(p) {
			return float64(p[i])
		}
		i -= len(p)
	}
	return float64(a.Words.Word(i))
}

// Size returns the number of bytes as the database stores them.
func (a *Array) Size() int64 {
	if a.Numbers != nil {
		return 4 * int64(a.Len())
	}
	return 8 * int64(a.Len())
}

// Bytes reads the bytes of an array as the database stores them, little-endian.
type Bytes struct {
	left    []byte // is next; then the pieces
	numbers [][]float32
	short   [][]uint16
	words   calibtxt.Sparse // what is left of them
	next    int             // the first of these
	room    []uint64        // for some words
}

// roomSize is how many words are written out at once: they stay in the cache until they are used.
const roomSize = 8 << 10

// Bytes returns a reader of the bytes of the array.
func (a *Array) Bytes() *Bytes {
	r := &Bytes{words: a.Words, numbers: a.Numbers, short: slices.Clone(a.Short)}
	if a.Numbers == nil {
		r.room = make([]uint64, roomSize)
	}
	return r
}

// Next returns the next bytes, not more than so many, and none at the end. They are valid until the next call, and not to be
// changed.
func (r *Bytes) Next(most int) []byte {
	for len(r.left) == 0 && len(r.numbers)+len(r.short)+r.words.Pixels-r.next > 0 {
		if len(r.numbers) > 0 {
			r.left, r.numbers = littleEndian(r.numbers[0]), r.numbers[1:]
			continue
		}
		if len(r.short) == 0 {
			r.left = littleEndian(r.someWords())
			continue
		}
		some := r.short[0][:min(len(r.short[0]), roomSize)]
		if r.short[0] = r.short[0][len(some):]; len(r.short[0]) == 0 {
			r.short = r.short[1:]
		}
		room := r.room[:len(some)]
		for i, v := range some {
			room[i] = uint64(v)
		}
		r.left = littleEndian(room)
	}
	b := r.left[:min(most, len(r.left))]
	r.left = r.left[len(b):]
	return b
}

// someWords writes the next words out.
func (r *Bytes) someWords() []uint64 {
	end := min(r.next+roomSize, r.words.Pixels)
	room := r.room[:end-r.next]
	clear(room)
	n := 0
	for ; n < len(r.words.At) && int(r.words.At[n]) < end; n++ {
		room[int(r.words.At[n])-r.next] = r.words.Words[n]
	}
	r.words.At, r.words.Words, r.next = r.words.At[n:], r.words.Words[n:], end
	return room
}

// littleEndian returns values as bytes: those in memory, where that is the order of the machine.
func littleEndian[T uint64 | float32](v []T) []byte {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(*new(T))))
	}
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic("calib: " + err.Error())
	}
	return b
}

// Read implements io.Reader.
func (r *Bytes) Read(b []byte) (n int, err error) {
	if n = copy(b, r.Next(len(b))); n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// RawSum returns the SHA-256 of the bytes.
func (a *Array) RawSum() string {
	h := sha256.New()
	r := a.Bytes()
	for b := r.Next(math.MaxInt); len(b) > 0; b = r.Next(math.MaxInt) {
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}
