package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"
)

const (
	// TileSize is the number of elements of a tile; the last one of an array may have fewer.
	TileSize = 8192
	tileHead = 16 // bytes before the elements of a tile
	// exceptionSize is the bytes of an element that does not fit the width of its tile.
	exceptionSize = 10
	// looked is the number of elements that the width of a tile is guessed from, outliers those of them at
	// either end that are taken for exceptions.
	looked, outliers = 64, 3
)

// Prediction holds the expected elements of a tile, modulo 2^64. Only the difference is stored: the same
// prediction must be made to read the tile. The zero Prediction expects 0.
type Prediction struct {
	Same   []uint16 // these, if not nil
	Values []uint64 // else these, if not nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AddTiles stores one array of integers in tiles: many times as fast as Add, and as small where predictions are
// good or values of a tile are near each other. predict returns what is expected of the n elements from at on; nil: 0.
func (p *Writer) AddTiles(a Named, predict func(at, n int) Prediction) error {
	n, dtype := tilesOf(a.Data)
	if dtype == "" {
		return fmt.Errorf("pack: array %q has type %T, which is not stored in tiles", a.Name, a.Data)
	}
	s := takeScratch()
	defer s.put()
	out := s.stored[:0]
	for at := 0; at < n; at += TileSize {
		m := min(TileSize, n-at)
		var expected Prediction
		if predict != nil {
			expected = predict(at, m)
		}
		out = AppendTile(out, a.Name, at, part(a.Data, at, m), expected)
	}
	s.stored = out
	return p.AddStored(a.Name, a.Attr, dtype, n, [][]byte{out})
}

// AddStored stores an array of n integers of which AppendTile has made all tiles, in order; a piece has some of them.
func (p *Writer) AddStored(name string, attr int, dtype string, n int, pieces [][]byte) error {
	e := Entry{Name: name, Attr: attr, DType: dtype, Count: uint64(n), Tile: TileSize, Offset: p.pos}
	for _, piece := range pieces {
		if _, err := p.w.Write(piece); err != nil {
			return fmt.Errorf("pack: could not write array %q: %w", name, err)
		}
		e.Length += uint64(len(piece))
	}
	p.pos += e.Length
	p.foot.Arrays = append(p.foot.Arrays, e)
	return nil
}

// DType returns the name that a file has for the type of the elements of data; "" where these are not integers.
func DType(data any) string {
	_, dtype := tilesOf(data)
	return dtype
}

// AppendTile appends the tile of the elements of data, a slice of integers, which are those from at on of the array
// with that name. It panics if they are more than a tile has, or no integers.
func AppendTile(dst []byte, name string, at int, data any, predict Prediction) []byte {
	seed := tileSeed(name, at)
	switch v := data.(type) {
	case []uint8:
		return tileFor(dst, v, predict, seed)
	case []uint16:
		return tileFor(dst, v, predict, seed)
	case []uint32:
		return tileFor(dst, v, predict, seed)
	case []uint64:
		return tileFor(dst, v, predict, seed)
	case []int32:
		return tileFor(dst, v, predict, seed)
	case []int64:
		return tileFor(dst, v, predict, seed)
	}
	panic(fmt.Sprintf("io/pack: a tile of %T", data))
}

func tileFor[T integer](dst []byte, data []T, predict Prediction, seed uint32) []byte {
	switch {
	case predict.Same != nil:
		return tileOf(dst, data, predict.Same, seed)
	case predict.Values != nil:
		return tileOf(dst, data, predict.Values, seed)
	case constant(data):
		var tile [tileHead]byte
		putHead(tile[:], 0, 0, uint64(data[0]))
		binary.LittleEndian.PutUint32(tile[:], tileSum(tile[:], seed))
		return append(dst, tile[:]...)
	}
	return tileOf(dst, data, zeros[:], seed)
}

// zeros are expected where there is no prediction.
var zeros [TileSize]uint16

// constant reports whether all elements are equal.
func constant[T integer](data []T) bool {
	size := int(unsafe.Sizeof(data[0]))
	b := unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), size*len(data))
	return bytes.Equal(b[size:], b[:len(b)-size])
}

// LoadTiles is Load of an array that AddTiles has stored with the same prediction. predict is asked for the
// tiles in order.
func (r *Reader) LoadTiles(name string, predict func(at, n int) Prediction) (any, error) {
	s := takeScratch()
	defer s.put()
	t := Tiles{stored: s.stored}
	err := t.Open(r, name)
	if s.stored = t.stored; err != nil {
		return nil, err
	}
	data := makeArray(t.e)
	for at := 0; at < int(t.e.Count); at += TileSize {
		n := min(TileSize, int(t.e.Count)-at)
		var expected Prediction
		if predict != nil {
			expected = predict(at, n)
		}
		if err := t.Next(part(data, at, n), expected); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// Tiles reads an array tile by tile. Its memory serves one array after the other.
type Tiles struct {
	r      *Reader
	e      Entry
	at     int
	stored []byte
	left   []byte
}

// Open begins to read an array that is stored in tiles.
func (t *Tiles) Open(r *Reader, name string) (err error) {
	e, err := r.entry(name)
	if err != nil {
		return err
	}
	if e.Tile == 0 {
		return r.damaged(e, 0, "array %q is not stored in tiles", name)
	}
	if t.stored, err = r.read(e, t.stored); err != nil {
		return err
	}
	t.r, t.e, t.at, t.left = r, e, 0, t.stored
	return nil
}

// Room returns memory for a tile: old, if it has the type of the array, else new one.
func (t *Tiles) Room(old any) any {
	if n, dtype := tilesOf(old); n == TileSize && dtype == t.e.DType {
		return old
	}
	return makeArray(Entry{DType: t.e.DType, Count: TileSize})
}

// Next writes the elements of the next tile into dst, a slice of the type of the array with as many elements. predict
// is that of these elements: its first one is element 0.
func (t *Tiles) Next(dst any, predict Prediction) error {
	n, dtype := tilesOf(dst)
	if want := min(TileSize, int(t.e.Count)-t.at); n != want || dtype != t.e.DType {
		return t.r.damaged(t.e, 0, "array %q has a tile of %d elements of type %s, wanted are %d of type %q", t.e.Name, want, t.e.DType, n, dtype)
	}
	offset := len(t.stored) - len(t.left)
	length, wrong := checkTile(t.left, n, tileSeed(t.e.Name, t.at))
	if wrong == "" {
		wrong = decodeTo(dst, t.left[:length], predict)
	}
	if wrong != "" {
		return t.r.damaged(t.e, offset, "array %q, tile at element %d: %s", t.e.Name, t.at, wrong)
	}
	t.left, t.at = t.left[length:], t.at+n
	return nil
}

// verifyTiles checks the checksum of every tile.
func (r *Reader) verifyTiles(e Entry, stored []byte) error {
	left := stored
	for at := 0; at < int(e.Count); at += TileSize {
		n, wrong := checkTile(left, min(TileSize, int(e.Count)-at), tileSeed(e.Name, at))
		if wrong != "" {
			return r.damaged(e, len(stored)-len(left), "array %q, tile at element %d: %s", e.Name, at, wrong)
		}
		left = left[n:]
	}
	if len(left) > 0 {
		return r.damaged(e, len(stored)-len(left), "array %q has %d bytes after its last tile", e.Name, len(left))
	}
	return nil
}

func (r *Reader) damaged(e Entry, at int, format string, args ...any) error {
	return &Error{File: r.name, Offset: int64(e.Offset) + int64(at), What: fmt.Sprintf(format, args...)}
}

// tileSeed makes the checksum of a tile that of its place, too: tiles that change places are seen.
func tileSeed(name string, at int) uint32 {
	return crc32.Update(uint32(at), castagnoli, []byte(name))
}

// tileSum returns the checksum of a tile: of all but the checksum itself.
func tileSum(tile []byte, seed uint32) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, tile[4:tileHead]), castagnoli, tile[tileHead:])
}

// tileOf appends the tile of data in the width that takes the fewest bytes.
func tileOf[T integer, E uint16 | uint64](dst []byte, data []T, expected []E, seed uint32) []byte {
	s := takeScratch()
	defer s.put()
	start, n := len(dst), len(data)
	expected = expected[:n]
	lo, hi := spread(data, expected)
	for _, width := range widths {
		base, ok := baseFor(uint64(data[0])-uint64(expected[0]), lo, hi, width)
		if !ok {
			continue
		}
		next := max(1, 2*width)
		most := (next - width) * n / exceptionSize // more exceptions take more than the next width
		dst = slices.Grow(dst[:start], tileHead+n*width+most*exceptionSize)[:start+tileHead+n*width]
		exceptions, ok := pack(dst[start+tileHead:], data, expected, base, width, s.exceptions[:0:most])
		if !ok {
			continue
		}
		putHead(dst[start:], width, len(exceptions), base)
		for _, i := range exceptions {
			dst = binary.LittleEndian.AppendUint16(dst, i)
			dst = binary.LittleEndian.AppendUint64(dst, uint64(data[i])-uint64(expected[i]))
		}
		break
	}
	binary.LittleEndian.PutUint32(dst[start:], tileSum(dst[start:], seed))
	return dst
}

// widths are the bytes that an element of a tile may take.
var widths = [...]int{0, 1, 2, 4, 8}

func putHead(tile []byte, width, exceptions int, base uint64) {
	binary.LittleEndian.PutUint16(tile[4:], uint16(width))
	binary.LittleEndian.PutUint16(tile[6:], uint16(exceptions))
	binary.LittleEndian.PutUint64(tile[8:], base)
}

// spread looks at some differences, relative to the first, and returns the bounds between which they lie but for
// outliers.
func spread[T integer, E uint16 | uint64](data []T, expected []E) (lo, hi int64) {
	n := min(looked, len(data))
	step, first := len(data)/n, uint64(data[0])-uint64(expected[0])
	if n <= 2*outliers {
		var some [2 * outliers]int64
		for i := range n {
			some[i] = int64(uint64(data[i*step]) - uint64(expected[i*step]) - first)
		}
		slices.Sort(some[:n])
		return some[(n-1)/2], some[n-1-(n-1)/2]
	}
	least, most := [outliers + 1]int64{}, [outliers + 1]int64{} // in order, the outermost first
	for i := range least {
		least[i], most[i] = math.MaxInt64, math.MinInt64
	}
	for i := range n {
		x := int64(uint64(data[i*step]) - uint64(expected[i*step]) - first)
		if x < least[outliers] {
			y := x
			for k := range least {
				least[k], y = min(least[k], y), max(least[k], y)
			}
		}
		if x > most[outliers] {
			for k := range most {
				most[k], x = max(most[k], x), min(most[k], x)
			}
		}
	}
	return least[outliers], most[outliers]
}

// baseFor returns the base with which values between lo and hi, relative to first, fit into a width.
func baseFor(first uint64, lo, hi int64, width int) (base uint64, ok bool) {
	if width == 8 {
		return 0, true
	}
	span, room := uint64(hi)-uint64(lo), uint64(1)<<(8*width)-1
	if span > room {
		return 0, false
	}
	// Sums of squares reach far up, and not far down.
	return first + uint64(lo) - (room-span)/4, true
}

// few is the number of elements that are looked at one by one where one of them is an exception.
const few = 128

// pack writes differences to base in so many bytes each and returns where that does not fit; false if that is in more
// places than exceptions has room for.
func pack[T integer, E uint16 | uint64](dst []byte, data []T, expected []E, base uint64, width int, exceptions []uint16) ([]uint16, bool) {
	room := uint64(1)<<(8*width) - 1
	for at := 0; at < len(data); at += few {
		end := min(at+few, len(data))
		d, e := data[at:end], expected[at:end]
		if put(dst[width*at:width*end], d, e, base, width) <= room {
			continue
		}
		for i, x := range d {
			if uint64(x)-uint64(e[i])-base > room {
				if len(exceptions) == cap(exceptions) {
					return nil, false
				}
				exceptions = append(exceptions, uint16(at+i))
			}
		}
	}
	return exceptions, true
}

// put writes differences to base, so many bytes of each, and returns all bits that one of them has.
func put[T integer, E uint16 | uint64](dst []byte, data []T, expected []E, base uint64, width int) (all uint64) {
	switch width {
	case 0:
		expected = expected[:len(data)]
		for i, x := range data {
			all |= uint64(x) - uint64(expected[i]) - base
		}
		return all
	case 1:
		return store(dst, data, expected, base)
	case 2:
		return store(as[uint16](dst), data, expected, base)
	case 4:
		return store(as[uint32](dst), data, expected, base)
	}
	return store(as[uint64](dst), data, expected, base)
}

func store[W uint8 | uint16 | uint32 | uint64, T integer, E uint16 | uint64](dst []W, data []T, expected []E, base uint64) (all uint64) {
	dst, expected = dst[:len(data)], expected[:len(data)]
	for i, x := range data {
		v := uint64(x) - uint64(expected[i]) - base
		dst[i] = W(v)
		all |= v
	}
	return all
}

// as returns bytes as numbers. They may lie at any address, and numbers have the order of bytes of this machine: that of
// files, for raw data are read in no other way.
func as[W uint16 | uint32 | uint64](b []byte) []W {
	var w W
	return unsafe.Slice((*W)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(w)))
}

// checkTile verifies the tile of n elements that b begins with and returns its length, or what is wrong.
func checkTile(b []byte, n int, seed uint32) (length int, wrong string) {
	if len(b) < tileHead {
		return 0, fmt.Sprintf("%d bytes are left, a tile has at least %d", len(b), tileHead)
	}
	width, exceptions := int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
	if !slices.Contains(widths[:], width) || exceptions > n {
		return 0, fmt.Sprintf("%d bytes for an element and %d exceptions of %d", width, exceptions, n)
	}
	length = tileHead + n*width + exceptions*exceptionSize
	if length > len(b) {
		return 0, fmt.Sprintf("%d bytes are left, the tile has %d", len(b), length)
	}
	if tileSum(b[:length], seed) != binary.LittleEndian.Uint32(b) {
		return 0, "checksum is wrong"
	}
	return length, ""
}

// decodeTile reads a tile that was checked.
func decodeTile(v []uint64, b []byte) (wrong string) {
	width, exceptions := int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
	base, src := binary.LittleEndian.Uint64(b[8:]), b[tileHead:]
	switch width {
	case 0:
		for i := range v {
			v[i] = base
		}
	case 1:
		for i, x := range src[:len(v)] {
			v[i] = base + uint64(x)
		}
	case 2:
		for i := range v {
			v[i] = base + uint64(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case 4:
		for i := range v {
			v[i] = base + uint64(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case 8:
		for i := range v {
			v[i] = base + binary.LittleEndian.Uint64(src[8*i:])
		}
	}
	src = src[len(v)*width:]
	for range exceptions {
		i := int(binary.LittleEndian.Uint16(src))
		if i >= len(v) {
			return fmt.Sprintf("exception at element %d of %d", i, len(v))
		}
		v[i], src = binary.LittleEndian.Uint64(src[2:]), src[exceptionSize:]
	}
	return ""
}

// decodeTo reads a tile that was checked into dst, which has as many elements, and reports what is wrong.
func decodeTo(dst any, b []byte, predict Prediction) (wrong string) {
	switch d := dst.(type) {
	case []uint8:
		return decodeAs(d, b, predict)
	case []uint16:
		return decodeAs(d, b, predict)
	case []uint32:
		return decodeAs(d, b, predict)
	case []uint64:
		return decodeAs(d, b, predict)
	case []int32:
		return decodeAs(d, b, predict)
	case []int64:
		return decodeAs(d, b, predict)
	}
	return fmt.Sprintf("%T holds no elements of tiles", dst)
}

func decodeAs[T integer](dst []T, b []byte, predict Prediction) (wrong string) {
	if predict.Same != nil {
		if done := decodeFast(dst, b, predict.Same[:len(dst)]); done {
			return ""
		}
	}
	if predict.Same == nil && decodeFast(dst, b, predict.Values) {
		return ""
	}
	s := takeScratch()
	defer s.put()
	v := s.values[:len(dst)]
	if wrong := decodeTile(v, b); wrong != "" {
		return wrong
	}
	for i := range v {
		switch {
		case predict.Same != nil:
			v[i] += uint64(predict.Same[i])
		case predict.Values != nil:
			v[i] += predict.Values[i]
		}
	}
	if !narrow(dst, v) {
		return fmt.Sprintf("a value does not fit %T", dst)
	}
	return ""
}

// decodeFast is the usual case of decodeAs in one pass; false: it is not the usual case, and dst is not filled.
// Elements in the place of exceptions that do not fit are such a case.
func decodeFast[T integer, E uint16 | uint64](dst []T, b []byte, expected []E) bool {
	width, exceptions := int(binary.LittleEndian.Uint16(b[4:])), int(binary.LittleEndian.Uint16(b[6:]))
	base, src := binary.LittleEndian.Uint64(b[8:]), b[tileHead:]
	at := src[len(dst)*width:]
	src = src[:len(dst)*width]
	var lost uint64
	if expected == nil {
		lost = plainElements(dst, src, width, base)
	} else {
		lost = addedElements(dst, src, width, base, expected[:len(dst)])
	}
	for ; exceptions > 0; exceptions-- {
		i, x := int(binary.LittleEndian.Uint16(at)), binary.LittleEndian.Uint64(at[2:])
		if i >= len(dst) {
			return false
		}
		if expected != nil {
			x += uint64(expected[i])
		}
		t := T(x)
		dst[i], at = t, at[exceptionSize:]
		lost |= uint64(t) ^ x
	}
	return lost == 0
}

// plainElements writes base and the elements of a tile; what is returned is not 0 where some do not fit.
func plainElements[T integer](dst []T, src []byte, width int, base uint64) (lost uint64) {
	switch width {
	case 0:
		t := T(base)
		for i := range dst {
			dst[i] = t
		}
		return uint64(t) ^ base
	case 1:
		for i, x := range src[:len(dst)] {
			v := base + uint64(x)
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	case 2:
		for i := range dst {
			v := base + uint64(binary.LittleEndian.Uint16(src[2*i:]))
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	case 4:
		for i := range dst {
			v := base + uint64(binary.LittleEndian.Uint32(src[4*i:]))
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	default:
		for i := range dst {
			v := base + binary.LittleEndian.Uint64(src[8*i:])
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	}
	return lost
}

// addedElements is plainElements with what is expected of each.
func addedElements[T integer, E uint16 | uint64](dst []T, src []byte, width int, base uint64, expected []E) (lost uint64) {
	switch width {
	case 0:
		for i, e := range expected {
			v := base + uint64(e)
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	case 1:
		src = src[:len(expected)]
		for i, e := range expected {
			v := base + uint64(e) + uint64(src[i])
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	case 2:
		for i, e := range expected {
			v := base + uint64(e) + uint64(binary.LittleEndian.Uint16(src[2*i:]))
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	case 4:
		for i, e := range expected {
			v := base + uint64(e) + uint64(binary.LittleEndian.Uint32(src[4*i:]))
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	default:
		for i, e := range expected {
			v := base + uint64(e) + binary.LittleEndian.Uint64(src[8*i:])
			t := T(v)
			dst[i] = t
			lost |= uint64(t) ^ v
		}
	}
	return lost
}

// tilesOf returns number and type of the elements; "" where they are not integers.
func tilesOf(data any) (n int, dtype string) {
	switch v := data.(type) {
	case []uint8:
		return len(v), "u1"
	case []uint16:
		return len(v), "u2"
	case []uint32:
		return len(v), "u4"
	case []uint64:
		return len(v), "u8"
	case []int32:
		return len(v), "i4"
	case []int64:
		return len(v), "i8"
	}
	return 0, ""
}

type integer interface {
	uint8 | uint16 | uint32 | uint64 | int32 | int64
}

func makeArray(e Entry) any {
	switch n := int(e.Count); e.DType {
	case "u1":
		return make([]uint8, n)
	case "u2":
		return make([]uint16, n)
	case "u4":
		return make([]uint32, n)
	case "u8":
		return make([]uint64, n)
	case "i4":
		return make([]int32, n)
	case "i8":
		return make([]int64, n)
	}
	return []float64(nil) // Next refuses it
}

// part returns n elements of an array from at on.
func part(data any, at, n int) any {
	switch d := data.(type) {
	case []uint8:
		return d[at : at+n]
	case []uint16:
		return d[at : at+n]
	case []uint32:
		return d[at : at+n]
	case []uint64:
		return d[at : at+n]
	case []int32:
		return d[at : at+n]
	case []int64:
		return d[at : at+n]
	}
	return nil
}

// narrow reports whether all values fit.
func narrow[T integer](dst []T, v []uint64) bool {
	dst = dst[:len(v)]
	var lost uint64
	for i, x := range v {
		t := T(x)
		dst[i] = t
		lost |= uint64(t) ^ x
	}
	return lost == 0
}
