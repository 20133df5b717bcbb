package calibtxt

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
)

// Constant is a calibration array as psana of LCLS-I would hold it. Exactly one of Ints and Floats is set,
// by its type.
type Constant struct {
	DType  string
	Shape  []int     // empty for a single value; a dimension of 0 for a file without values
	Ints   []uint64  // integer types: wrapped to their width; negative values as two's complement of 64 bits
	Floats []float64 // floating types: rounded to their precision
}

// kind is an element type of the loader's table.
type kind struct {
	name  string
	class byte // 'f', 'i', 'u', 'b'; 0 for an unknown type
	bits  uint
}

func (k kind) integer() bool { return k.class == 'i' || k.class == 'u' || k.class == 'b' }

// kinds has the type names that load_txt accepts.
var kinds = map[string]kind{
	"float": {"float32", 'f', 32}, "float32": {"float32", 'f', 32},
	"double": {"float64", 'f', 64}, "float64": {"float64", 'f', 64},
	"bool": {"bool", 'b', 1},
	"int8": {"int8", 'i', 8}, "uint8": {"uint8", 'u', 8},
	"int16": {"int16", 'i', 16}, "uint16": {"uint16", 'u', 16},
	"int": {"int64", 'i', 64}, "int32": {"int32", 'i', 32}, "uint32": {"uint32", 'u', 32},
	"int64": {"int64", 'i', 64}, "uint64": {"uint64", 'u', 64}, "uint": {"uint64", 'u', 64},
}

// LoadFile is [Load] of a file.
func LoadFile(path string) (*Constant, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, inputError(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, inputError(err)
	}
	return Load(f, st.Size(), path)
}

// Load reads an array as psana of LCLS-I does. size is that of the file, or -1 when unknown; name is for
// messages.
func Load(r io.Reader, size int64, name string) (*Constant, error) {
	l, err := open(r, size, name)
	if err != nil {
		return nil, err
	}
	if l.dtype == "" {
		l.dtype = "float32"
	}
	k, ok := kinds[l.dtype]
	if !ok {
		return nil, l.failAt(0, "header DTYPE", "a type that psana knows", strconv.Quote(l.dtype))
	}
	if l.ndim < 0 {
		l.ndim = 0
	}
	if (l.ndim > 0 || len(l.dims) > 0) && l.ndim != len(l.dims) {
		return nil, l.failAt(0, "header NDIM", fmt.Sprintf("the number of DIM lines (%d)", len(l.dims)), strconv.Itoa(l.ndim))
	}
	a := &Constant{DType: k.name}
	rows, cols := 0, 0
	for {
		line, err := l.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		n, err := l.loadRow(a, k, line)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		if rows > 0 && n != cols {
			return nil, l.fail("row", fmt.Sprintf("%d values as in the rows above", cols), strconv.Itoa(n))
		}
		rows, cols = rows+1, n
	}
	if a.Shape, err = l.loadShape(rows, cols); err != nil {
		return nil, err
	}
	return a, nil
}

// loadShape returns the shape that load_txt makes of rows x cols values.
func (l *lines) loadShape(rows, cols int) ([]int, error) {
	if l.ndim > 2 {
		if n, ok := l.product(); !ok || n != rows*cols {
			return nil, l.failAt(0, "data", "values for shape "+Tuple(l.dims, ""), strconv.Itoa(rows*cols))
		}
		return l.dims, nil
	}
	switch {
	case rows == 0:
		return []int{0}, nil
	case rows == 1 && cols == 1:
		return []int{}, nil
	case rows == 1:
		return []int{cols}, nil
	case cols == 1:
		return []int{rows}, nil
	}
	return []int{rows, cols}, nil
}

// loadRow appends the values of one line and returns their number.
func (l *lines) loadRow(a *Constant, k kind, line []byte) (int, error) {
	if i := bytes.IndexByte(line, '#'); i >= 0 {
		line = line[:i]
	}
	n := 0
	for i := 0; i < len(line); {
		if isBlank(line[i]) {
			i++
			continue
		}
		start := i
		for i < len(line) && !isBlank(line[i]) {
			i++
		}
		word := line[start:i]
		n++
		if k.class == 'f' {
			v, err := strconv.ParseFloat(string(word), 64)
			if err != nil && !math.IsInf(v, 0) {
				return 0, l.fail("value", "a number", strconv.Quote(string(word)))
			}
			if k.bits == 32 {
				v = float64(float32(v))
			}
			a.Floats = append(a.Floats, v)
			continue
		}
		v, ok := parseInt(word)
		if !ok {
			return 0, l.fail("value", "a whole number of 64 bits", strconv.Quote(string(word)))
		}
		a.Ints = append(a.Ints, k.wrap(v))
	}
	return n, nil
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// parseInt reads an integer, or a float that is then truncated, as numpy does for integer types.
func parseInt(word []byte) (uint64, bool) {
	s := string(word)
	if v, err := strconv.ParseUint(s, 10, 64); err == nil {
		return v, true
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(v), true
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v >= 1<<63 || v < -(1<<63) {
		return 0, false
	}
	return uint64(int64(v)), true
}

// wrap casts as C does.
func (k kind) wrap(v uint64) uint64 {
	switch k.class {
	case 'b':
		if v != 0 {
			return 1
		}
		return 0
	case 'u':
		return v << (64 - k.bits) >> (64 - k.bits)
	}
	return uint64(int64(v<<(64-k.bits)) >> (64 - k.bits))
}
