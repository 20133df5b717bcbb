package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"unsafe"

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

// Named is one named array on its way into a pack; Data is a []uint8, []uint16, []uint32, []uint64,
// []int32, []int64 or []float64.
type Named struct {
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
	Tile   int    `json:"tile,omitempty"`   // elements of a tile; 0: not stored in tiles
	SHA256 string `json:"sha256,omitempty"` // of the stored bytes; tiles have checksums of their own
}

type footer struct {
	Kind   string          `json:"kind"`
	Head   json.RawMessage `json:"head"`
	Arrays []Entry         `json:"arrays"`
}

// Writer writes a pack as its arrays become known.
type Writer struct {
	w     io.Writer
	start []byte
	foot  footer
	pos   uint64
}

// scratch is memory for one array at a time. New memory costs more than what is done in it: all writers and
// readers of the process share some.
type scratch struct {
	plain, stored []byte
	values        [TileSize]uint64 // of a tile
	exceptions    [TileSize]uint16
}

// scratches keeps as many as are in use at once, also through collections of garbage.
var scratches = make(chan *scratch, 64)

func takeScratch() *scratch {
	select {
	case s := <-scratches:
		return s
	default:
		return new(scratch)
	}
}

func (s *scratch) put() {
	select {
	case scratches <- s:
	default:
	}
}

// encoder compresses whole arrays, for any number of writers at once.
var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
})

// NewWriter begins a pack.
func NewWriter(w io.Writer, kind string) (*Writer, error) {
	p := &Writer{w: w, start: make([]byte, startSize), foot: footer{Kind: kind, Arrays: []Entry{}}, pos: startSize}
	copy(p.start, magicStart)
	binary.LittleEndian.PutUint32(p.start[8:], version)
	if _, err := w.Write(p.start); err != nil {
		return nil, fmt.Errorf("pack: could not write the start: %w", err)
	}
	return p, nil
}

// Add stores one array.
func (p *Writer) Add(a Named) error {
	enc, err := encoder()
	if err != nil {
		return fmt.Errorf("pack: could not start the compressor: %w", err)
	}
	s := takeScratch()
	defer s.put()
	var e Entry
	if s.plain, e, err = shuffle(s.plain, a); err != nil {
		return err
	}
	s.stored = enc.EncodeAll(s.plain, s.stored[:0])
	sum := sha256.Sum256(s.stored)
	e.Offset, e.Length, e.SHA256 = p.pos, uint64(len(s.stored)), hex.EncodeToString(sum[:])
	if _, err := p.w.Write(s.stored); err != nil {
		return fmt.Errorf("pack: could not write array %q: %w", a.Name, err)
	}
	p.pos += e.Length
	p.foot.Arrays = append(p.foot.Arrays, e)
	return nil
}

// Finish writes the footer with the head, which is marshalled as JSON. Nothing can be added after it.
func (p *Writer) Finish(head any) (err error) {
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
func Write(w io.Writer, kind string, head any, arrays []Named) error {
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
		if tiles := (e.Count + TileSize - 1) / TileSize; e.Tile != 0 && (e.Tile != TileSize || e.Length < tiles*tileHead) {
			return fail(int64(e.Offset), "array %q has tiles of %d elements in %d bytes, wanted tiles of %d in at least %d", e.Name, e.Tile, e.Length, TileSize, tiles*tileHead)
		}
		r.index[e.Name] = i
		at += e.Length
	}
	if at != pos {
		return fail(int64(at), "arrays end at %d, footer begins at %d", at, pos)
	}
	return r, nil
}

// Kind returns the kind of the pack.
func (r *Reader) Kind() string { return r.foot.Kind }

// RawHead returns the head as JSON.
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
	e, err := r.entry(name)
	if err != nil {
		return nil, err
	}
	if e.Tile != 0 {
		return nil, r.damaged(e, 0, "array %q is stored in tiles", name)
	}
	s := takeScratch()
	defer s.put()
	if err := r.stored(e, s); err != nil {
		return nil, err
	}
	want := e.Count * uint64(elementSize(e.DType))
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(want, 1<<20)))
	if err != nil {
		return nil, fmt.Errorf("pack: could not start the decompressor: %w", err)
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(s.stored, s.plain[:0])
	if err != nil {
		return nil, &Error{File: r.name, Offset: int64(e.Offset), What: fmt.Sprintf("array %q does not decompress: %v", name, err)}
	}
	s.plain = plain
	if uint64(len(plain)) != want {
		return nil, &Error{File: r.name, Offset: int64(e.Offset), What: fmt.Sprintf("array %q has %d bytes, wanted %d", name, len(plain), want)}
	}
	return unshuffle(plain, e), nil
}

// entry finds an array.
func (r *Reader) entry(name string) (Entry, error) {
	i, ok := r.index[name]
	if !ok {
		return Entry{}, &Error{File: r.name, What: fmt.Sprintf("no array %q", name)}
	}
	return r.foot.Arrays[i], nil
}

// read reads the stored bytes of an array into room, which grows when it is too small.
func (r *Reader) read(e Entry, room []byte) ([]byte, error) {
	room = slices.Grow(room[:0], int(e.Length))[:e.Length]
	if _, err := r.src.ReadAt(room, int64(e.Offset)); err != nil {
		return room, fmt.Errorf("pack: could not read array %q of %q: %w", e.Name, r.name, err)
	}
	return room, nil
}

// stored reads the bytes of an array and compares their checksums.
func (r *Reader) stored(e Entry, s *scratch) error {
	var err error
	if s.stored, err = r.read(e, s.stored); err != nil {
		return err
	}
	if e.Tile != 0 {
		return r.verifyTiles(e, s.stored)
	}
	if sum := sha256.Sum256(s.stored); hex.EncodeToString(sum[:]) != e.SHA256 {
		return &Error{File: r.name, Offset: int64(e.Offset), What: fmt.Sprintf("checksum of array %q is wrong", e.Name)}
	}
	return nil
}

// Verify checks the checksum of every array.
func (r *Reader) Verify() error {
	s := takeScratch()
	defer s.put()
	for _, e := range r.foot.Arrays {
		if err := r.stored(e, s); err != nil {
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

// words returns an array as unsigned numbers of its size: what is stored are their bytes.
func words[T, W any](v []T) []W {
	return unsafe.Slice((*W)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
}

// shuffle writes the bytes of an array into dst, if it is large enough: all lowest bytes first, all highest
// last.
func shuffle(dst []byte, a Named) ([]byte, Entry, error) {
	e := Entry{Name: a.Name, Attr: a.Attr}
	grow := func(dtype string, n int) []byte {
		e.DType, e.Count = dtype, uint64(n)
		dst = slices.Grow(dst[:0], n*elementSize(dtype))[:n*elementSize(dtype)]
		return dst
	}
	switch v := a.Data.(type) {
	case []uint8:
		copy(grow("u1", len(v)), v)
	case []uint16:
		shuffle2(grow("u2", len(v)), v)
	case []uint32:
		shuffle4(grow("u4", len(v)), v)
	case []int32:
		shuffle4(grow("i4", len(v)), words[int32, uint32](v))
	case []uint64:
		shuffle8(grow("u8", len(v)), v)
	case []int64:
		shuffle8(grow("i8", len(v)), words[int64, uint64](v))
	case []float64:
		shuffle8(grow("f8", len(v)), words[float64, uint64](v))
	default:
		return dst, e, fmt.Errorf("pack: array %q has type %T, which a pack cannot hold", a.Name, a.Data)
	}
	return dst, e, nil
}

func shuffle2(dst []byte, v []uint16) {
	n := len(v)
	r0, r1 := dst[:n], dst[n:][:n]
	for i, x := range v {
		r0[i], r1[i] = byte(x), byte(x>>8)
	}
}

func shuffle4(dst []byte, v []uint32) {
	n := len(v)
	r0, r1, r2, r3 := dst[:n], dst[n:][:n], dst[2*n:][:n], dst[3*n:][:n]
	for i, x := range v {
		r0[i], r1[i], r2[i], r3[i] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
	}
}

// shuffle8 does the lower and the upper halves one after the other, as many rows as there are registers.
func shuffle8(dst []byte, v []uint64) {
	n := len(v)
	for half := range 2 {
		d := dst[half*4*n:]
		r0, r1, r2, r3 := d[:n], d[n:][:n], d[2*n:][:n], d[3*n:][:n]
		for i, x := range v {
			x >>= 32 * half
			r0[i], r1[i], r2[i], r3[i] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
		}
	}
}

// unshuffle returns the array that shuffle made bytes of; it does not keep src.
func unshuffle(src []byte, e Entry) any {
	n := int(e.Count)
	switch e.DType {
	case "u1":
		return append([]byte{}, src...)
	case "u2":
		return unshuffle2(src, n)
	case "u4":
		return unshuffle4(src, n)
	case "i4":
		return words[uint32, int32](unshuffle4(src, n))
	case "u8":
		return unshuffle8(src, n)
	case "i8":
		return words[uint64, int64](unshuffle8(src, n))
	default: // "f8": NewReader admits no other
		return words[uint64, float64](unshuffle8(src, n))
	}
}

func unshuffle2(src []byte, n int) []uint16 {
	out := make([]uint16, n)
	r0, r1 := src[:n], src[n:][:n]
	for i := range out {
		out[i] = uint16(r0[i]) | uint16(r1[i])<<8
	}
	return out
}

func unshuffle4(src []byte, n int) []uint32 {
	out := make([]uint32, n)
	r0, r1, r2, r3 := src[:n], src[n:][:n], src[2*n:][:n], src[3*n:][:n]
	for i := range out {
		out[i] = uint32(r0[i]) | uint32(r1[i])<<8 | uint32(r2[i])<<16 | uint32(r3[i])<<24
	}
	return out
}

func unshuffle8(src []byte, n int) []uint64 {
	out := make([]uint64, n)
	for half := range 2 {
		s := src[half*4*n:]
		r0, r1, r2, r3 := s[:n], s[n:][:n], s[2*n:][:n], s[3*n:][:n]
		for i := range out {
			x := uint32(r0[i]) | uint32(r1[i])<<8 | uint32(r2[i])<<16 | uint32(r3[i])<<24
			out[i] |= uint64(x) << (32 * half)
		}
	}
	return out
}
