package xtc1

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// FuzzIndex feeds the reader with a data file and a smalldata file: whatever they hold, the result is
// an index whose frames lie in the file and can be given to the decoder, or an error for the user.
func FuzzIndex(f *testing.F) {
	r := whole(f)
	for i := range r.files {
		f.Add(r.data[i].Bytes(), r.small[i].Bytes())
	}
	m, epix := model(f, "XppGon.0:Opal1000.0", 1, 3, 3), model(f, "CxiDs1.0:Epix100a.0", 1, 4, 6)
	r = events(f, func(d *Draft) { epix.PutConfig(d, "") },
		func(d *Draft) { epix.PutFrame(d, 0, 0, ramp(0)); m.PutFrame(d, 0, 0, ramp(0)) },
		func(d *Draft) { // a compressed frame
			b := d.Leaf(m.from, idFrame, 0x8001, 0, 60)
			put32(b, 16, 3, 3, 16, 0, 0, 0, 18, 18)
		})
	f.Add(r.data[0].Bytes(), r.small[0].Bytes())
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, data, small []byte) {
		file := &File{File: frame.File{Path: "f.xtc", Size: int64(len(data))}, R: bytes.NewReader(data)}
		if len(small) > 0 {
			file.Small = &File{File: frame.File{Path: "f.smd.xtc", Size: int64(len(small))}, R: bytes.NewReader(small)}
		}
		x, err := BuildIndex(context.Background(), rawrun.Request{Files: []*File{file}}, rawrun.Options{})
		if err != nil {
			if c := fault.CodeOf(err); c != fault.Input && c != fault.Incomplete {
				t.Fatalf("class %d: %v", c, err)
			}
			return
		}
		pixels := 0
		for e := range x.Events {
			for p, panel := range x.Panels {
				at := x.At(e, p)
				if at.State != frame.Present {
					continue
				}
				if at.Length == 0 || at.Offset < 0 || at.Offset+int64(at.Length) > file.Size {
					t.Fatalf("frame at %d, %d bytes, of a file of %d", at.Offset, at.Length, file.Size)
				}
				if pixels += panel.Pixels(); pixels < 1<<20 {
					codec.Decode(panel, make([]uint16, panel.Pixels()), data[at.Offset:][:at.Length])
				}
			}
		}
	})
}

// FuzzConfig feeds configuration objects.
func FuzzConfig(f *testing.F) {
	for i, c := range configTypes {
		if c.size < 1<<12 {
			f.Add(uint8(i), make([]byte, c.size))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		c := configTypes[int(which)%len(configTypes)]
		if len(b) < c.size && c.size < 1<<23 {
			b = append(b, make([]byte, c.size-len(b))...)
		}
		s, err := parseConfig(c.id, c.version, b)
		if err != nil {
			return
		}
		if s.frameBytes() < 1 || s.frameBytes() > maxDatagram || s.ids != nil && len(s.ids) != s.n || s.gains != nil && len(s.gains) != s.n {
			t.Errorf("%+v", s)
		}
		// A configuration that excludes all sections has no layout.
		if _, err := layoutOf(0, s.expected(), []*setup{s}, nil); err != nil && !strings.Contains(err.Error(), "excludes all sections") {
			t.Errorf("no layout for %+v: %v", s, err)
		}
	})
}

// TestSeedsOfTheOriginal runs the fuzz target's checks on bytes of the original's small files, each
// byte of the heads changed in turn.
func TestSeedsOfTheOriginal(t *testing.T) {
	dir, facts := loadFacts(t)
	for _, fact := range facts {
		if fact.Size > 10000 {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, fact.File))
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(b), 800) {
			b[i] ^= 0x41
			file := &File{File: frame.File{Path: "f.xtc", Size: int64(len(b))}, R: bytes.NewReader(b)}
			if _, err := BuildIndex(context.Background(), rawrun.Request{Files: []*File{file}}, rawrun.Options{}); err != nil && fault.CodeOf(err) != fault.Input {
				t.Fatalf("%s with byte %d changed: %v", fact.File, i, err)
			}
			b[i] ^= 0x41
		}
	}
}
