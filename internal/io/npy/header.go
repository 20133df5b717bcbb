package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	magic = "\x93NUMPY"
	// align is where values start, so that mapped files are aligned for any vector unit.
	align = 64
	// maxHeader bounds the header of a file; NumPy refuses more than 10000 by default.
	maxHeader = 1 << 16
	maxRank   = 32
)

// types are the kinds and sizes that can be read.
var types = []string{"u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "b1"}

// DType is the type of the values of a file.
type DType struct {
	Kind byte // 'u', 'i', 'f' or 'b'
	Size int  // bytes
	Big  bool // big-endian
}

// String returns the type string of NumPy, e.g. "<u2".
func (d DType) String() string {
	order := "<"
	switch {
	case d.Size == 1:
		order = "|"
	case d.Big:
		order = ">"
	}
	return fmt.Sprintf("%s%c%d", order, d.Kind, d.Size)
}

// Header is the description of a file's values.
type Header struct {
	DType   DType
	Fortran bool // the first index runs fastest
	Shape   []int
	Offset  int64 // of the first value in the file
}

// Count returns the number of values.
func (h Header) Count() int {
	n := 1
	for _, d := range h.Shape {
		n *= d
	}
	return n
}

// bytes returns a file from its header to its first value.
func (h Header) bytes() []byte {
	dims := make([]string, len(h.Shape))
	for i, d := range h.Shape {
		dims[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	dict := fmt.Sprintf("{'descr': '%v', 'fortran_order': False, 'shape': (%s), }", h.DType, tuple)
	total := (10 + len(dict) + 1 + align - 1) / align * align
	b := append(make([]byte, 0, total), magic...)
	b = append(b, 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(total-10))
	b = append(b, dict...)
	for len(b) < total-1 {
		b = append(b, ' ')
	}
	return append(b, '\n')
}

// ReadHeader reads the header of a file of size bytes and checks that all values are there. name is
// for errors.
func ReadHeader(r io.ReaderAt, size int64, name string) (Header, error) {
	var pre [12]byte
	n, err := r.ReadAt(pre[:min(int64(len(pre)), size)], 0)
	if err != nil && err != io.EOF {
		return Header{}, fmt.Errorf("npy: could not read %q: %w", name, err)
	}
	if n < 10 || string(pre[:6]) != magic {
		return Header{}, inputError(&Error{name, 0, "magic", fmt.Sprintf("%q", magic), fmt.Sprintf("%q", pre[:min(n, 6)])}).
			WithHint("make the file with numpy.save")
	}
	h := Header{Offset: 10}
	length := int64(binary.LittleEndian.Uint16(pre[8:]))
	switch {
	case pre[6] == 1:
	case (pre[6] == 2 || pre[6] == 3) && n == 12:
		length, h.Offset = int64(binary.LittleEndian.Uint32(pre[8:])), 12
	default:
		return Header{}, inputError(&Error{name, 6, "version", "1, 2 or 3", fmt.Sprintf("%d in a file of %d bytes", pre[6], size)})
	}
	if limit := min(size-h.Offset, maxHeader); length > limit {
		return Header{}, inputError(&Error{name, 8, "header length", fmt.Sprintf("at most %d", limit), fmt.Sprint(length)})
	}
	text := make([]byte, length)
	if _, err := r.ReadAt(text, h.Offset); err != nil && err != io.EOF {
		return Header{}, fmt.Errorf("npy: could not read %q: %w", name, err)
	}
	p := &parser{file: name, base: h.Offset, text: string(text)}
	if err := p.dict(&h); err != nil {
		return Header{}, inputError(err)
	}
	h.Offset += length
	if err := h.check(size, name); err != nil {
		return Header{}, inputError(err)
	}
	return h, nil
}

// check compares the number of values with the bytes there are, before anything is allocated.
func (h Header) check(size int64, name string) *Error {
	left := size - h.Offset
	need := int64(h.DType.Size)
	empty := false
	for _, d := range h.Shape {
		empty = empty || d == 0
	}
	for _, d := range h.Shape {
		if !empty && int64(d) > left/need {
			return &Error{name, h.Offset, "values", fmt.Sprintf("%v of type %v", h.Shape, h.DType), fmt.Sprintf("%d bytes to the end of the file", left)}
		}
		if !empty {
			need *= int64(d)
		}
	}
	if !empty && need > left {
		return &Error{name, h.Offset, "values", fmt.Sprintf("%d bytes", need), fmt.Sprintf("%d to the end of the file", left)}
	}
	return nil
}

// parser reads the one kind of Python dict that a header may be.
type parser struct {
	file string
	base int64 // offset of text in the file
	text string
	pos  int
}

func (p *parser) fail(what, want string) *Error {
	got := "the end"
	if p.pos < len(p.text) {
		got = fmt.Sprintf("%.20q", p.text[p.pos:])
	}
	return &Error{p.file, p.base + int64(p.pos), what, want, got}
}

// take skips white space and then token, if it is there.
func (p *parser) take(token string) bool {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	if strings.HasPrefix(p.text[p.pos:], token) {
		p.pos += len(token)
		return true
	}
	return false
}

func (p *parser) dict(h *Header) *Error {
	if !p.take("{") {
		return p.fail("header", "a dict")
	}
	seen := map[string]bool{}
	for !p.take("}") {
		key, err := p.quoted("key of the header")
		if err != nil {
			return err
		}
		if seen[key] || !p.take(":") {
			return p.fail("header", fmt.Sprintf("one value for %.20q", key))
		}
		seen[key] = true
		switch key {
		case "descr":
			h.DType, err = p.dtype()
		case "fortran_order":
			if h.Fortran = p.take("True"); !h.Fortran && !p.take("False") {
				err = p.fail("fortran_order", "True or False")
			}
		case "shape":
			h.Shape, err = p.shape()
		default:
			err = p.fail("key of the header", "descr, fortran_order or shape")
		}
		if err != nil {
			return err
		}
		if !p.take(",") && !strings.HasPrefix(p.text[p.pos:], "}") {
			return p.fail("header", "',' or '}'")
		}
	}
	if len(seen) != 3 {
		return p.fail("header", "the keys descr, fortran_order and shape")
	}
	if p.take(""); p.pos != len(p.text) {
		return p.fail("end of the header", "white space")
	}
	return nil
}

func (p *parser) quoted(what string) (string, *Error) {
	for _, quote := range []string{"'", `"`} {
		if p.take(quote) {
			if end := strings.Index(p.text[p.pos:], quote); end >= 0 {
				s := p.text[p.pos : p.pos+end]
				p.pos += end + 1
				return s, nil
			}
		}
	}
	return "", p.fail(what, "a quoted string")
}

func (p *parser) dtype() (DType, *Error) {
	s, err := p.quoted("descr")
	if err != nil {
		err.Want = "a type string"
		return DType{}, err
	}
	if len(s) == 3 && strings.IndexByte("<>|=", s[0]) >= 0 && slices.Contains(types, s[1:]) {
		d := DType{Kind: s[1], Size: int(s[2] - '0')}
		d.Big = s[0] == '>' && d.Size > 1
		if s[0] != '|' || d.Size == 1 {
			return d, nil
		}
	}
	p.pos -= len(s) + 2
	return DType{}, p.fail("descr", "one of "+strings.Join(types, " "))
}

func (p *parser) shape() ([]int, *Error) {
	const want = "a tuple of integers"
	if !p.take("(") {
		return nil, p.fail("shape", want)
	}
	shape := []int{}
	for !p.take(")") {
		start := p.pos
		for p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
			p.pos++
		}
		d, err := strconv.Atoi(p.text[start:p.pos])
		if err != nil || len(shape) == maxRank {
			p.pos = start
			return nil, p.fail("shape", want)
		}
		p.take("L") // long integers of Python 2
		shape = append(shape, d)
		if !p.take(",") && !strings.HasPrefix(p.text[p.pos:], ")") {
			return nil, p.fail("shape", want)
		}
	}
	return shape, nil
}
