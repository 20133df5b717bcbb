package cursor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Error reports a mistake at a place in a file.
type Error struct {
	Format string // "xtc2", "xtc1", ...
	File   string // path or name as the caller gave it
	Offset int64  // bytes from the start of the file
	What   string // structure that was being read, e.g. "names block"
	Want   string // what it should have been, with unit
	Got    string // what was found
	Err    error  // cause, e.g. io.ErrUnexpectedEOF; may be nil
}

// Error returns e.g.: xtc2: "r0051-s03.xtc2" byte 0x1f40: names block: want 96 bytes, got 40 left.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %q byte %#x: %s", e.Format, e.File, e.Offset, e.What)
	if e.Want != "" || e.Got != "" {
		s += fmt.Sprintf(": want %s, got %s", e.Want, e.Got)
	}
	if e.Err != nil && e.Err != io.ErrUnexpectedEOF {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Cursor reads forward through bytes that lie at a known place of a file. The zero value is empty.
type Cursor struct {
	format, file string
	base         int64 // file offset of b[0]
	b            []byte
	pos          int
	err          error
}

// New makes a cursor over b, the bytes at file offset base.
func New(format, file string, base int64, b []byte) *Cursor {
	return &Cursor{format: format, file: file, base: base, b: b}
}

// Err returns the first error.
func (c *Cursor) Err() error { return c.err }

// Offset returns the position in the file.
func (c *Cursor) Offset() int64 { return c.base + int64(c.pos) }

// Remaining returns the number of bytes left; 0 after an error.
func (c *Cursor) Remaining() int {
	if c.err != nil {
		return 0
	}
	return len(c.b) - c.pos
}

// Fail sets the sticky error at the present position unless there is one already.
func (c *Cursor) Fail(what, want, got string) { c.fail(what, want, got, nil) }

func (c *Cursor) fail(what, want, got string, cause error) {
	if c.err == nil {
		c.err = &Error{Format: c.format, File: c.file, Offset: c.Offset(), What: what, Want: want, Got: got, Err: cause}
	}
}

// take returns the next n bytes, or nil and the sticky error.
func (c *Cursor) take(n int, what string) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || n > len(c.b)-c.pos {
		c.fail(what, fmt.Sprintf("%d bytes", n), fmt.Sprintf("%d left", len(c.b)-c.pos), io.ErrUnexpectedEOF)
		return nil
	}
	b := c.b[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return b
}

// U32 reads a 32-bit number.
func (c *Cursor) U32() uint32 {
	if b := c.take(4, "uint32"); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads a 64-bit number.
func (c *Cursor) U64() uint64 {
	if b := c.take(8, "uint64"); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Str reads a fixed field of n bytes as a string that ends at the first NUL; without NUL it is all n.
func (c *Cursor) Str(n int) string { return CutNUL(c.take(n, "string")) }

// Skip passes over n bytes.
func (c *Cursor) Skip(n int) { c.take(n, "bytes to skip") }

// Fit reports whether count elements of size bytes are left, and sets the sticky error if not.
func (c *Cursor) Fit(count uint64, size int, what string) bool {
	if c.err == nil && count > uint64(len(c.b)-c.pos)/uint64(size) {
		c.fail(what, fmt.Sprintf("%d x %d bytes", count, size), fmt.Sprintf("%d left", len(c.b)-c.pos), io.ErrUnexpectedEOF)
	}
	return c.err == nil
}

// CutNUL returns the text before the first NUL of b, or all of it. Bytes that are no UTF-8 come as \xNN:
// what is written about a run must be text, and two names that differ must not become one.
func CutNUL(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&s, `\x%02x`, b[0])
		} else {
			s.Write(b[:n])
		}
		b = b[n:]
	}
	return s.String()
}
