package cursor

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReads(t *testing.T) {
	c := New("fmt", "a.dat", 100, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'h', 'i', 0, 'x', 'a', 'b'})
	if v := c.U8(); v != 1 {
		t.Errorf("U8 = %d", v)
	}
	if v := c.U16(); v != 0x0302 {
		t.Errorf("U16 = %#x", v)
	}
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
	if c.Offset() != 121 || c.Close("all") != nil {
		t.Errorf("offset %d, %v", c.Offset(), c.Err())
	}
}

// TestWalls reads one byte too many in every way and expects a typed error at the right place, zero
// values and no movement after it.
func TestWalls(t *testing.T) {
	for name, read := range map[string]func(*Cursor){
		"U16":   func(c *Cursor) { c.U16() },
		"U32":   func(c *Cursor) { c.U32() },
		"U64":   func(c *Cursor) { c.U64() },
		"Bytes": func(c *Cursor) { c.Bytes(2) },
		"minus": func(c *Cursor) { c.Bytes(-1) },
		"Str":   func(c *Cursor) { c.Str(2) },
		"Skip":  func(c *Cursor) { c.Skip(2) },
		"Sub":   func(c *Cursor) { c.Sub(2, "part") },
		"Fit":   func(c *Cursor) { c.Fit(1<<63, 2, "table") },
		"Close": func(c *Cursor) { c.Close("end") },
	} {
		c := New("fmt", "a.dat", 10, []byte{1, 2})
		c.U8()
		read(c)
		var e *Error
		if !errors.As(c.Err(), &e) || e.Offset != 11 || e.File != "a.dat" {
			t.Errorf("%s: %v", name, c.Err())
		}
		if name != "Close" && !errors.Is(c.Err(), io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v is no unexpected end", name, c.Err())
		}
		if c.U8() != 0 || c.Remaining() != 0 || c.Bytes(0) != nil {
			t.Errorf("%s: reads go on after an error", name)
		}
	}
}

func TestSub(t *testing.T) {
	c := New("fmt", "a.dat", 0, []byte{1, 2, 3, 4})
	s := c.Sub(2, "part")
	if s.U16() != 0x0201 || c.U16() != 0x0403 {
		t.Fatal("child and parent read each other's bytes")
	}
	s.U8()
	want := `fmt: "a.dat" byte 0x2: uint8: want 1 bytes, got 0 left`
	if c.Err() == nil || c.Err().Error() != want {
		t.Errorf("parent's error %v, want %s", c.Err(), want)
	}
	c.Fail("later", "a", "b")
	if strings.Contains(c.Err().Error(), "later") {
		t.Error("a later error replaced the first")
	}
}
