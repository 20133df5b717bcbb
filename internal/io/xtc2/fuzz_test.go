package xtc2

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/testenv"
)

// checkIndex wants of any index, whatever the file: usable frames lie in their files and have their
// panel's size, and the parts fit each other.
func checkIndex(t *testing.T, x *frame.Index) {
	t.Helper()
	if len(x.Extents) != len(x.Events)*len(x.Panels) {
		t.Fatalf("%d extents for %d events of %d panels", len(x.Extents), len(x.Events), len(x.Panels))
	}
	for e := range x.Events {
		for p, panel := range x.Panels {
			ext := x.At(e, p)
			if ext.State == frame.Present && ext.Length == 0 {
				t.Fatalf("event %d %v: present and empty", e, panel)
			}
			if ext.Length == 0 {
				continue
			}
			if int(ext.File) >= len(x.Files) || ext.Offset < 0 || ext.Offset+int64(ext.Length) > x.Files[ext.File].Size {
				t.Fatalf("event %d %v: %+v lies outside of %+v", e, panel, *ext, x.Files)
			}
			if panel.Codec == frame.Identity && int(ext.Length) != 2*panel.Pixels() {
				t.Fatalf("event %d %v: %d bytes for %d x %d pixels", e, panel, ext.Length, panel.Rows, panel.Cols)
			}
		}
		if x.StepAt(int(x.Events[e].Step)) == nil {
			t.Fatalf("event %d has step %d, there are %+v", e, x.Events[e].Step, x.Steps)
		}
	}
	for _, s := range x.Steps {
		if len(s.Gains) != len(x.Panels) {
			t.Fatalf("step %d: %d gain modes for %d panels", s.Number, len(s.Gains), len(x.Panels))
		}
	}
}

// indexBytes indexes a file, and again with a second one as its smalldata if there is one. An error
// must name a place.
func indexBytes(t *testing.T, data, smd []byte) (*frame.Index, error) {
	t.Helper()
	return indexWith(t, data, smd, rawrun.Options{Reads: 2})
}

func indexWith(t *testing.T, data, smd []byte, opt rawrun.Options) (*frame.Index, error) {
	t.Helper()
	f := memFile("tst-r0001-s000-c000.xtc2", data)
	if smd != nil {
		f.Small = memFile("tst-r0001-s000-c000.smd.xtc2", smd)
	}
	x, err := BuildIndex(context.Background(), rawrun.Request{Files: []*File{f}, Experiment: "tst", Run: 1}, opt)
	if err != nil {
		if !strings.Contains(err.Error(), "xtc2") && !strings.Contains(err.Error(), "the files hold") {
			t.Fatalf("error names no place: %v", err)
		}
		return nil, err
	}
	checkIndex(t, x)
	return x, nil
}

// fixture is a small run with all kinds of structure.
func fixture() []byte {
	a, b, c := camera(1, 10, "jungfrau", 0, Field{Name: "raw", Type: UInt16, Rank: 3}, Field{Name: "cnt", Type: UInt64}), camera(1, 11, "epixm320", 1,
		Field{Name: "header", Type: UInt8, Rank: 2}, Field{Name: "raw", Type: UInt16, Rank: 3}), camera(1, 12, "opal", 0, Field{Name: "image", Type: UInt16, Rank: 2})
	b.DetName, c.DetName = "epixm", "opal"
	info, scan, ci := RunInfoNames(1), ScanNames(1), ChunkInfoNames(1)
	ev := func(d *Draft) {
		d.Values(a, 0, px(1, 2, 3), uint64(7))
		d.Values(b, DamageTimedOut, px(2, 4), px(2, 3, 5))
		d.Values(c, 0, px(4, 6))
	}
	return (&tape{node: 1}).put(Configure, 0, names(a, b, c, info, scan, ci)).put(BeginRun, 1, value(info, 0, "tst", uint32(1))).
		put(BeginStep, 2, value(scan, 0, 1.5, `{"detname":"det","scantype":"pedestal","step":1}`)).put(Enable, 3).
		put(L1Accept, 4, ev).put(SlowUpdate, 5).put(L1Accept, 6, ev, rootDamage(DamageMissingData)).
		put(Enable, 7, value(ci, 0, "gone.xtc2", uint32(3))).b
}

// TestCutAtEveryByte cuts files and wants all whole datagrams used, and the place of the cut named.
func TestCutAtEveryByte(t *testing.T) {
	files := map[string][]byte{"fixture": fixture()}
	if dir := filepath.Join(testenv.Shared(t), "data", "xtc2"); !testing.Short() {
		for _, pattern := range []string{"*.xtc2", "*/*.xtc2", "*/smalldata/*.xtc2"} {
			paths, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, p := range paths {
				b, err := os.ReadFile(p)
				if err != nil {
					t.Fatal(err)
				}
				files[p] = b
			}
		}
		if len(files) < 40 {
			t.Fatalf("%d files", len(files))
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for name, b := range files {
		ends := map[int]int{0: 0} // events before each datagram's end
		configured := len(b) + 1  // from this length on
		events, end := 0, 0
		Scan(memFile(name, b), nil, func(d *Datagram) error {
			if d.Service().IsEvent() {
				events++
			}
			end = int(d.Offset + d.Size())
			if ends[end] = events; d.Service() == Configure && configured > len(b) {
				configured = end
			}
			return nil
		})
		cuts := []int{}
		for at := range ends {
			for d := -26; d <= 26; d++ {
				cuts = append(cuts, at+d)
			}
		}
		for range 40 {
			cuts = append(cuts, rng.IntN(len(b)+1))
		}
		if name == "fixture" {
			for n := range b {
				cuts = append(cuts, n)
			}
		} else if len(cuts) > 200 {
			rng.Shuffle(len(cuts), func(i, k int) { cuts[i], cuts[k] = cuts[k], cuts[i] })
			cuts = cuts[:200]
		}
		for _, n := range cuts {
			if n < 0 || n > end { // behind the last good datagram the file is broken anyway
				continue
			}
			x, err := indexBytes(t, b[:n], nil)
			_, whole := ends[n]
			if err != nil {
				var e *cursor.Error
				if n < configured && !whole && (!errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(n)) {
					t.Fatalf("%s cut at %d: %v", name, n, err)
				}
				if n >= configured && !strings.Contains(err.Error(), "the files hold") {
					t.Fatalf("%s cut at %d: %v", name, n, err)
				}
				continue
			}
			at := n
			for ; ; at-- {
				if _, ok := ends[at]; ok {
					break
				}
			}
			outside := 0
			for _, note := range x.Notes {
				fmt.Sscanf(note, "%d events lie behind", &outside)
			}
			if len(x.Events)+outside != ends[at] || !whole && !strings.Contains(strings.Join(x.Missing, " "), fmt.Sprintf("byte %#x", at)) {
				t.Fatalf("%s cut at %d: %d of %d events, missing %q", name, n, len(x.Events), ends[at], x.Missing)
			}
		}
	}
}

// TestFilesThatClaimMuchTakeLittleMemory wants little memory for files that claim much.
func TestFilesThatClaimMuchTakeLittleMemory(t *testing.T) {
	base := fixture()
	for at := 0; at+4 <= len(base); at += 3 { // hits a part of every number
		for _, v := range [][]byte{{0xff, 0xff, 0xff, 0x7f}, {0xff, 0xff, 0xff, 0xff}} {
			b := bytes.Clone(base)
			copy(b[at:], v)
			var before, after runtime.MemStats
			measure := at%33 == 0
			if measure {
				runtime.ReadMemStats(&before)
			}
			indexBytes(t, b, nil)
			if !measure {
				continue
			}
			if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 16<<20 {
				t.Fatalf("%#x at %d: %d bytes allocated for a file of %d", v, at, after.TotalAlloc-before.TotalAlloc, len(b))
			}
		}
	}
}

// smalldataOf makes the smalldata file of a file.
func smalldataOf(tb testing.TB, data []byte) []byte {
	var out []byte
	var d Draft
	w := &StreamWriter{}
	if _, err := Scan(memFile("f", data), nil, func(dg *Datagram) error {
		d.b = append(d.b[:0], data[dg.Offset:dg.Offset+dg.Size()]...)
		out = append(out, w.shadow(&d, dg.Offset)...)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return out
}

func FuzzIndex(f *testing.F) {
	data := fixture()
	f.Add(data, []byte(nil))
	f.Add(data, smalldataOf(f, data))
	f.Add(data[:len(data)-60], smalldataOf(f, data))
	f.Fuzz(func(t *testing.T, data, smd []byte) {
		table, _ := Scan(memFile("f", data), nil, func(d *Datagram) error {
			for i := range d.Blocks {
				for k := range d.Blocks[i].Names.Fields {
					if v, ok := d.Blocks[i].Value(k); ok {
						v.Int()
						v.Text()
						d.Blocks[i].EnumLabel(v)
					}
				}
			}
			d.info()
			return nil
		})
		if table == nil {
			t.Fatal("no table")
		}
		for _, smd := range [][]byte{nil, smd} {
			got, err := indexBytes(t, data, smd)
			want, wantErr := indexWith(t, data, smd, rawrun.Options{Reads: 2, AllHeaders: true})
			if (err == nil) != (wantErr == nil) || err == nil && len(got.Headings) == 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v %v, with all headers %+v %v", got, err, want, wantErr)
			}
		}
	})
}

// FuzzPulsed feeds configurations of pixels and compares the pulsed ones with those found pixel by pixel on the panel.
func FuzzPulsed(f *testing.F) {
	f.Add(uint32(4), uint32(2), uint32(3), true, bytes.Repeat([]byte{1, 0, 13, 8}, 7))
	f.Add(uint32(0), uint32(4), uint32(6), false, bytes.Repeat([]byte{17, 0, 0xff}, 8))
	f.Add(uint32(0xffffffff), uint32(0xffff), uint32(0), true, []byte(nil))
	f.Fuzz(func(t *testing.T, a, rows, cols uint32, asics bool, data []byte) {
		b := &Block{Names: &Names{DetType: "epix10ka", Fields: []Field{{Name: "cbitsConfig", Type: UInt8, Rank: 2}}}, data: data}
		dims := []uint32{rows, cols}
		if asics {
			b.Names.Fields = []Field{{Name: "asicPixelConfig", Type: UInt8, Rank: 3}, {Name: "trbit", Type: UInt8, Rank: 1}}
			dims = []uint32{a, rows, cols}
		}
		b.shapes = make([]byte, 2*shapeSize)
		for i, d := range dims {
			binary.LittleEndian.PutUint32(b.shapes[4*i:], d)
		}
		binary.LittleEndian.PutUint32(b.shapes[shapeSize:], uint32(len(data)%5))
		p, ok := b.pulsedMap()
		if !ok {
			return
		}
		n := p.rows * p.cols
		if n > len(data) || n < 1 || p.bits != nil && len(p.bits) != (n+7)/8 {
			t.Fatalf("%d x %d pixels in %d bytes of %d", p.rows, p.cols, len(p.bits), len(data))
		}
		if p.bits == nil {
			p.bits = make([]byte, (n+7)/8)
		}
		half, across := p.rows/2, p.cols/2
		for i := range n {
			r, c, at := i/p.cols, i%p.cols, i
			if asics { // ASICs 2 and 1 above, turned, 3 and 0 below
				upper, left := r < half, c < across
				y, x := r%half, c%across
				if upper {
					y, x = half-1-y, across-1-x
				}
				asic := map[[2]bool]int{{true, true}: 2, {true, false}: 1, {false, true}: 3, {false, false}: 0}[[2]bool{upper, left}]
				at = (asic*half+y)*across + x
			}
			if got := p.bits[i/8]>>(i%8)&1 != 0; got != (data[at]&testBit != 0) {
				t.Fatalf("row %d column %d: pulsed %v", r, c, got)
			}
		}
	})
}
