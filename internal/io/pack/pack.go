package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

const (
	magicStart = "RSPACK\r\n"
	magicEnd   = "RSPEND\r\n"
	version    = 1
	startSize  = 16
	endSize    = sha256.Size + 16
	// maxElements bounds one array: 2^31 elements is 16 GiB of float64, far above any panel.
	maxElements = 1 << 31
	maxFooter   = 64 << 20
)

// Array is one named array on its way into a pack; Data is a []uint8, []uint16, []uint32, []uint64,
// []int32, []int64 or []float64.
type Array struct {
	Name string
	Attr int
	Data any
}

// Entry describes a stored array.
type Entry struct {
	Name   string `json:"name"`
	DType  string `json:"dtype"`
	Count  uint64 `json:"count"`
	Attr   int    `json:"attr,omitempty"`
	Offset uint64 `json:"offset"`
	Length uint64 `json:"length"`
	SHA256 string `json:"sha256"`
}

type footer struct {
	Kind   string          `json:"kind"`
	Head   json.RawMessage `json:"head"`
	Arrays []Entry         `json:"arrays"`
}

// Writer writes a pack as its arrays become known.
type Writer struct {
	w             io.Writer
	enc           *zstd.Encoder
	start         []byte
	foot          footer
	pos           uint64
	plain, stored []byte
}

// NewWriter begins a pack.
func NewWriter(w io.Writer, kind string) (*Writer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("pack: could not start the compressor: %w", err)
	}
	p := &Writer{w: w, enc: enc, start: make([]byte, startSize), foot: footer{Kind: kind, Arrays: []Entry{}}, pos: startSize}
	copy(p.start, magicStart)
	binary.LittleEndian.PutUint32(p.start[8:], version)
	if _, err := w.Write(p.start); err != nil {
		return nil, fmt.Errorf("pack: could not write the start: %w", err)
	}
	return p, nil
}

// Add stores one array.
func (p *Writer) Add(a Array) error {
	plain, e, err := shuffle(p.plain[:0], a)
	if err != nil {
		return err
	}
	p.plain = plain
	p.stored = p.enc.EncodeAll(plain, p.stored[:0])
	sum := sha256.Sum256(p.stored)
	e.Offset, e.Length, e.SHA256 = p.pos, uint64(len(p.stored)), hex.EncodeToString(sum[:])
	if _, err := p.w.Write(p.stored); err != nil {
		return fmt.Errorf("pack: could not write array %q: %w", a.Name, err)
	}
	p.pos += e.Length
	p.foot.Arrays = append(p.foot.Arrays, e)
	return nil
}

// Finish writes the footer with the head, which is marshalled as JSON. Nothing can be added after it.
func (p *Writer) Finish(head any) (err error) {
	defer p.enc.Close()
	if p.foot.Head, err = json.Marshal(head); err != nil {
		return fmt.Errorf("pack: could not encode the head of a %s: %w", p.foot.Kind, err)
	}
	tail, err := json.Marshal(p.foot)
	if err != nil {
		return fmt.Errorf("pack: could not encode the footer of a %s: %w", p.foot.Kind, err)
	}
	sum := footerSum(p.start, tail)
	tail = append(tail, sum[:]...)
	tail = binary.LittleEndian.AppendUint64(tail, p.pos)
	tail = append(tail, magicEnd...)
	if _, err := p.w.Write(tail); err != nil {
		return fmt.Errorf("pack: could not write the footer: %w", err)
	}
	return nil
}

// Write writes a whole pack.
func Write(w io.Writer, kind string, head any, arrays []Array) error {
	p, err := NewWriter(w, kind)
	if err != nil {
		return err
	}
	for _, a := range arrays {
		if err := p.Add(a); err != nil {
			return err
		}
	}
	return p.Finish(head)
}

func footerSum(start, foot []byte) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte(nil), start...), foot...))
}

// Error says where a pack is not what it should be.
type Error struct {
	File   string
	Offset int64
	What   string // what is wrong, with wanted and found
}

func (e *Error) Error() string {
	return fmt.Sprintf("pack: %q byte %#x: %s", e.File, e.Offset, e.What)
}

// Reader reads the arrays of a verified pack. It is safe for concurrent use.
type Reader struct {
	name  string
	src   io.ReaderAt
	foot  footer
	index map[string]int
}

// NewReader verifies the frame of a pack of size bytes: everything but the arrays' own checksums,
// which Load verifies. name is used in errors.
func NewReader(name string, src io.ReaderAt, size int64) (*Reader, error) {
	fail := func(off int64, format string, args ...any) (*Reader, error) {
		return nil, &Error{File: name, Offset: off, What: fmt.Sprintf(format, args...)}
	}
	if size < startSize+endSize {
		return fail(size, "file has %d bytes, a pack has at least %d", size, startSize+endSize)
	}
	start, end := make([]byte, startSize), make([]byte, endSize)
	if _, err := src.ReadAt(start, 0); err != nil {
		return nil, fmt.Errorf("pack: could not read %q: %w", name, err)
	}
	if string(start[:8]) != magicStart {
		return fail(0, "starts with %q, a pack starts with %q", start[:8], magicStart)
	}
	if v := binary.LittleEndian.Uint32(start[8:]); v != version {
		return fail(8, "version %d, this program reads version %d", v, version)
	}
	if _, err := src.ReadAt(end, size-endSize); err != nil {
		return nil, fmt.Errorf("pack: could not read %q: %w", name, err)
	}
	if string(end[endSize-8:]) != magicEnd {
		return fail(size-8, "ends with %q, a complete pack ends with %q", end[endSize-8:], magicEnd)
	}
	pos := binary.LittleEndian.Uint64(end[sha256.Size:])
	if pos < startSize || pos > uint64(size-endSize) || uint64(size-endSize)-pos > maxFooter {
		return fail(size-16, "footer at %d does not lie in a file of %d bytes", pos, size)
	}
	foot := make([]byte, uint64(size-endSize)-pos)
	if _, err := src.ReadAt(foot, int64(pos)); err != nil {
		return nil, fmt.Errorf("pack: could not read %q: %w", name, err)
	}
	if sum := footerSum(start, foot); !bytes.Equal(sum[:], end[:sha256.Size]) {
		return fail(int64(pos), "checksum of the footer is wrong")
	}
	r := &Reader{name: name, src: src, index: map[string]int{}}
	if err := json.Unmarshal(foot, &r.foot); err != nil {
		return fail(int64(pos), "footer is not what this version writes: %v", err)
	}
	at := uint64(startSize)
	for i, e := range r.foot.Arrays {
		if e.Offset != at || e.Length > pos-at {
			return fail(int64(e.Offset), "array %q at %d with %d bytes, wanted at %d with at most %d", e.Name, e.Offset, e.Length, at, pos-at)
		}
		if _, dup := r.index[e.Name]; dup || elementSize(e.DType) == 0 || e.Count > maxElements {
			return fail(int64(e.Offset), "array %q (dtype %q, %d elements) is a duplicate, of unknown type or too large", e.Name, e.DType, e.Count)
		}
		r.index[e.Name] = i
		at += e.Length
	}
	if at != pos {
		return fail(int64(at), "arrays end at %d, footer begins at %d", at, pos)
	}
	return r, nil
}

// Kind tells what the pack holds.
func (r *Reader) Kind() string { return r.foot.Kind }

// RawHead gives the head as JSON.
func (r *Reader) RawHead() json.RawMessage { return r.foot.Head }

// Head decodes the head into v; a field that v does not have is an error.
func (r *Reader) Head(v any) error {
	d := json.NewDecoder(bytes.NewReader(r.foot.Head))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &Error{File: r.name, What: fmt.Sprintf("head of the %s is not what this version writes: %v", r.foot.Kind, err)}
	}
	return nil
}

// Entries lists the stored arrays in file order.
func (r *Reader) Entries() []Entry { return r.foot.Arrays }

// Load reads, verifies and decodes one array; the result has the type of Array.Data.
func (r *Reader) Load(name string) (any, error) {
	i, ok := r.index[name]
	if !ok {
		return nil, &Error{File: r.name, What: fmt.Sprintf("no array %q", name)}
	}
	e := r.foot.Arrays[i]
	stored, err := r.stored(e)
	if err != nil {
		return nil, err
	}
	want := e.Count * uint64(elementSize(e.DType))
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(want, 1<<20)))
	if err != nil {
		return nil, fmt.Errorf("pack: could not start the decompressor: %w", err)
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(stored, nil)
	if err != nil {
		return nil, &Error{File: r.name, Offset: int64(e.Offset), What: fmt.Sprintf("array %q does not decompress: %v", name, err)}
	}
	if uint64(len(plain)) != want {
		return nil, &Error{File: r.name, Offset: int64(e.Offset), What: fmt.Sprintf("array %q has %d bytes, wanted %d", name, len(plain), want)}
	}
	return unshuffle(plain, e), nil
}

func (r *Reader) stored(e Entry) ([]byte, error) {
	stored := make([]byte, e.Length)
	if _, err := r.src.ReadAt(stored, int64(e.Offset)); err != nil {
		return nil, fmt.Errorf("pack: could not read array %q of %q: %w", e.Name, r.name, err)
	}
	if sum := sha256.Sum256(stored); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, &Error{File: r.name, Offset: int64(e.Offset), What: fmt.Sprintf("checksum of array %q is wrong", e.Name)}
	}
	return stored, nil
}

// Verify checks the checksum of every array.
func (r *Reader) Verify() error {
	for _, e := range r.foot.Arrays {
		if _, err := r.stored(e); err != nil {
			return err
		}
	}
	return nil
}

// Get loads an array of a known type.
func Get[T any](r *Reader, name string) ([]T, error) {
	a, err := r.Load(name)
	if err != nil {
		return nil, err
	}
	d, ok := a.([]T)
	if !ok {
		return nil, &Error{File: r.name, What: fmt.Sprintf("array %q is %T, wanted %T", name, a, d)}
	}
	return d, nil
}

func elementSize(dtype string) int {
	switch dtype {
	case "u1":
		return 1
	case "u2":
		return 2
	case "u4", "i4":
		return 4
	case "u8", "i8", "f8":
		return 8
	}
	return 0
}

// scatter writes value i byte by byte to positions i, n+i, 2n+i, ... of dst.
func scatter[T any](dst []byte, vals []T, size int, bits func(T) uint64) {
	n := len(vals)
	for b := range size {
		row := dst[b*n : (b+1)*n]
		for i, v := range vals {
			row[i] = byte(bits(v) >> (8 * b))
		}
	}
}

func shuffle(dst []byte, a Array) ([]byte, Entry, error) {
	e := Entry{Name: a.Name, Attr: a.Attr}
	grow := func(dtype string, n int) []byte {
		e.DType, e.Count = dtype, uint64(n)
		if need := n * elementSize(dtype); cap(dst) < need {
			dst = make([]byte, need)
		} else {
			dst = dst[:need]
		}
		return dst
	}
	switch v := a.Data.(type) {
	case []uint8:
		copy(grow("u1", len(v)), v)
	case []uint16:
		scatter(grow("u2", len(v)), v, 2, func(x uint16) uint64 { return uint64(x) })
	case []uint32:
		scatter(grow("u4", len(v)), v, 4, func(x uint32) uint64 { return uint64(x) })
	case []uint64:
		scatter(grow("u8", len(v)), v, 8, func(x uint64) uint64 { return x })
	case []int32:
		scatter(grow("i4", len(v)), v, 4, func(x int32) uint64 { return uint64(uint32(x)) })
	case []int64:
		scatter(grow("i8", len(v)), v, 8, func(x int64) uint64 { return uint64(x) })
	case []float64:
		scatter(grow("f8", len(v)), v, 8, math.Float64bits)
	default:
		return dst, e, fmt.Errorf("pack: array %q has type %T, which a pack cannot hold", a.Name, a.Data)
	}
	return dst, e, nil
}

func gather[T any](src []byte, n, size int, value func(uint64) T) []T {
	out := make([]T, n)
	for i := range out {
		var x uint64
		for b := range size {
			x |= uint64(src[b*n+i]) << (8 * b)
		}
		out[i] = value(x)
	}
	return out
}

func unshuffle(src []byte, e Entry) any {
	n := int(e.Count)
	switch e.DType {
	case "u1":
		return src
	case "u2":
		return gather(src, n, 2, func(x uint64) uint16 { return uint16(x) })
	case "u4":
		return gather(src, n, 4, func(x uint64) uint32 { return uint32(x) })
	case "u8":
		return gather(src, n, 8, func(x uint64) uint64 { return x })
	case "i4":
		return gather(src, n, 4, func(x uint64) int32 { return int32(uint32(x)) })
	case "i8":
		return gather(src, n, 8, func(x uint64) int64 { return int64(x) })
	default: // "f8": NewReader admits no other
		return gather(src, n, 8, math.Float64frombits)
	}
}
