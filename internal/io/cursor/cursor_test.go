package cursor

import (
	"errors"
	"io"
	"testing"
)

func TestReadsReturnValuesAndMove(t *testing.T) {
	c := New("fmt", "a.dat", 102, []byte{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'h', 'i', 0, 'x', 'a', 'b'})
	if v := c.U32(); v != 0x07060504 {
		t.Errorf("U32 = %#x", v)
	}
	if v := c.U64(); v != 0x0f0e0d0c0b0a0908 {
		t.Errorf("U64 = %#x", v)
	}
	if s := c.Str(4); s != "hi" {
		t.Errorf("Str = %q", s)
	}
	if s := c.Str(2); s != "ab" {
		t.Errorf("Str without NUL = %q", s)
	}
	if c.Offset() != 120 || c.Remaining() != 0 || c.Err() != nil {
		t.Errorf("offset %d, %v", c.Offset(), c.Err())
	}
}

// TestReadsBehindTheEndFailAndStayThere reads one byte too many in every way and expects a typed error at the right place, zero
// values and no movement after it.
func TestReadsBehindTheEndFailAndStayThere(t *testing.T) {
	for name, read := range map[string]func(*Cursor){
		"U32":   func(c *Cursor) { c.U32() },
		"U64":   func(c *Cursor) { c.U64() },
		"minus": func(c *Cursor) { c.Skip(-1) },
		"Str":   func(c *Cursor) { c.Str(2) },
		"Skip":  func(c *Cursor) { c.Skip(2) },
		"Fit":   func(c *Cursor) { c.Fit(1<<63, 2, "table") },
	} {
		c := New("fmt", "a.dat", 10, []byte{1, 2})
		c.Skip(1)
		read(c)
		var e *Error
		if !errors.As(c.Err(), &e) || e.Offset != 11 || e.File != "a.dat" {
			t.Errorf("%s: %v", name, c.Err())
		}
		if !errors.Is(c.Err(), io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v is no unexpected end", name, c.Err())
		}
		if c.U32() != 0 || c.Remaining() != 0 || c.Str(0) != "" {
			t.Errorf("%s: reads go on after an error", name)
		}
	}
}

func TestFirstErrorStays(t *testing.T) {
	c := New("fmt", "a.dat", 0, []byte{1, 2})
	c.Skip(2)
	c.U32()
	c.Fail("later", "a", "b")
	want := `fmt: "a.dat" byte 0x2: uint32: want 4 bytes, got 0 left`
	if c.Err() == nil || c.Err().Error() != want {
		t.Errorf("error %v, want %s", c.Err(), want)
	}
	c = New("fmt", "a.dat", 0, []byte{1, 2})
	c.Fail("number", "3", "4")
	if want := `fmt: "a.dat" byte 0x0: number: want 3, got 4`; c.Err().Error() != want || errors.Is(c.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want %s", c.Err(), want)
	}
	if s := (&Error{Format: "fmt", File: "a", Offset: 16, What: "read", Err: io.ErrClosedPipe}).Error(); s != `fmt: "a" byte 0x10: read: `+io.ErrClosedPipe.Error() {
		t.Error(s)
	}
}
