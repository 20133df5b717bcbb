package xtc2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/testenv"
)

// everyType has one field of each type and rank.
var everyType = &Names{ID: ID(5, 3), DetType: "tdet", DetName: "thing", DetID: "id-1", Alg: "raw", Version: NewVersion(1, 2, 3), Segment: 7, NumArrays: 3,
	Fields: []Field{
		{Name: "u8", Type: UInt8}, {Name: "u16", Type: UInt16}, {Name: "u32", Type: UInt32}, {Name: "u64", Type: UInt64},
		{Name: "text", Type: CharStr, Rank: 1}, {Name: "i8", Type: Int8}, {Name: "i16", Type: Int16}, {Name: "i32", Type: Int32}, {Name: "i64", Type: Int64},
		{Name: "cube", Type: UInt16, Rank: 3, Alg: "fieldalg", AlgVersion: 9}, {Name: "f", Type: Float}, {Name: "d", Type: Double},
		{Name: "e:en", Type: EnumVal}, {Name: "on:en", Type: EnumDict}, {Name: "none", Type: Double, Rank: 2},
	}}

func everyValue() []any {
	return []any{
		uint8(200), uint16(60000), uint32(4e9), uint64(1 << 63), "hello", int8(-3), int16(-300), int32(-70000), int64(-1 << 40),
		FieldValue{[]int{2, 1, 3}, func(dst []byte) { copy(dst, "abcdefghijkl") }}, float32(1.5), -2.25,
		int32(1), int32(1), FieldValue{[]int{0, 4}, func([]byte) {}},
	}
}

// newStream makes a writer for one stream in a new folder.
func newStream(t *testing.T, opt rawrun.StreamOptions) *StreamWriter {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	opt.Experiment, opt.Run = "tstx00117", 9
	w, err := CreateStream(opt)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w *StreamWriter, d *Draft) {
	t.Helper()
	if err := w.Write(d); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, w *StreamWriter) {
	t.Helper()
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if names := list(t, w.Options.Dir); !strings.Contains(names, ".inprogress") {
		t.Errorf("visible before Close: %s", names)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// scanAll reads a file whole; datagrams are copied as far as the tests look.
func scanAll(t *testing.T, path string, table *Table) (list []*Datagram, after *Table) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{File: frame.File{Path: path, Size: int64(len(b))}, R: bytes.NewReader(b)}
	after, err = Scan(f, table, func(d *Datagram) error {
		list = append(list, d)
		if d.Problem != nil || len(d.Unknown) > 0 {
			t.Errorf("%v: problem %v, unknown %v", d.Service(), d.Problem, d.Unknown)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, after
}

func TestWriteEveryType(t *testing.T) {
	w := newStream(t, rawrun.StreamOptions{Stream: 5})
	var d Draft
	d.Begin(Configure, 1<<32|7, 5, 3)
	d.Names(everyType)
	write(t, w, &d)
	d.Begin(L1Accept, 2<<32|8, 5, 3)
	d.Damage(DamageTimedOut)
	d.Values(everyType, DamageCorrupted, everyValue()...)
	write(t, w, &d)
	publish(t, w)
	list, _ := scanAll(t, w.Paths()[0], nil)
	if len(list) != 2 || len(list[0].Names) != 1 || !reflect.DeepEqual(list[0].Names[0], everyType) {
		t.Fatalf("described %+v\nwant      %+v", list[0].Names, everyType)
	}
	e := list[1]
	if e.Service() != L1Accept || e.TS != 2<<32|8 || e.Src() != 5 || e.Damage() != DamageTimedOut || e.Env&0xffff != 3 {
		t.Errorf("header %+v", e.Header)
	}
	if len(e.Blocks) != 1 || e.Blocks[0].DataDamage != DamageCorrupted {
		t.Fatalf("blocks %+v", e.Blocks)
	}
	b := &e.Blocks[0]
	for i, want := range []any{int64(200), int64(60000), int64(4e9), int64(math.MinInt64), "hello", int64(-3), int64(-300), int64(-70000), int64(-1 << 40),
		"abcdefghijkl", math.Float32bits(1.5), math.Float64bits(-2.25), int64(1), int64(1), ""} {
		v, ok := b.Value(i)
		if !ok {
			t.Errorf("field %s is not there", everyType.Fields[i].Name)
			continue
		}
		var got any
		switch want.(type) {
		case int64:
			got, _ = v.Int()
		case uint32:
			got = binary.LittleEndian.Uint32(v.Bytes)
		case uint64:
			got = binary.LittleEndian.Uint64(v.Bytes)
		case string:
			if got = string(v.Bytes); v.Field.Type == CharStr {
				got, _ = v.Text()
			}
		}
		if got != want {
			t.Errorf("field %s: %v, want %v", v.Field.Name, got, want)
		}
	}
	for name, want := range map[string]string{"cube": "[2 1 3]", "none": "[0 4]", "text": "[8]"} {
		if v, _ := b.Find(name); fmt.Sprint(v.Dims) != want {
			t.Errorf("field %s has dimensions %v, want %s", name, v.Dims, want)
		}
	}
}

// TestSmalldataAsTheOriginal writes the datagrams of real runs again: the smalldata file must be the one
// that the original software made. Strings of its own Names are followed by uninitialised memory there
// and compared as text.
func TestSmalldataAsTheOriginal(t *testing.T) {
	root := filepath.Join(testenv.Shared(t), "data", "xtc2")
	for _, c := range []string{"intg_det/xpptut15-r0014-s000", "intg_det/xpptut15-r0014-s001", "intg_det/xpptut15-r0014-s002",
		"mixed_rate/xpptut15-r0014-s000", "mixed_rate/xpptut15-r0014-s001", "multirun_w_new_config/xpptut15-r0014-s000"} {
		t.Run(c, func(t *testing.T) {
			big, err := os.ReadFile(filepath.Join(root, c+"-c000.xtc2"))
			if err != nil {
				t.Fatal(err)
			}
			dir, base := filepath.Split(filepath.Join(root, c))
			want := split(t, filepath.Join(dir, "smalldata", base+"-c000.smd.xtc2"))
			w := newStream(t, rawrun.StreamOptions{})
			for _, b := range datagrams(t, big) {
				d := Draft{append([]byte(nil), b...)}
				write(t, w, &d)
			}
			publish(t, w)
			if again, err := os.ReadFile(w.Paths()[0]); err != nil || !bytes.Equal(again, big) {
				t.Errorf("the data file changed (%v)", err)
			}
			got := split(t, w.smd.Path())
			if len(got) != len(want) {
				t.Fatalf("%d datagrams, want %d", len(got), len(want))
			}
			for i := range got {
				g, o := Draft{got[i]}, Draft{want[i]}
				if g.Service() == Configure && o.Service() == Configure {
					n := len(got[i]) - xtcSize - nameInfoSize - 2*nameSize
					// The extent of the root comes before.
					if len(got[i]) != len(want[i]) || !bytes.Equal(got[i][:n], want[i][:n]) || texts(got[i][n:]) != texts(want[i][n:]) {
						t.Errorf("datagram %d: another Configure", i)
					}
				} else if !bytes.Equal(got[i], want[i]) {
					t.Errorf("datagram %d:\ngot  %x\nwant %x", i, got[i], want[i])
				}
			}
		})
	}
}

// texts returns a Names with its strings cut at their NULs.
func texts(b []byte) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%x", b[:xtcSize+4])
	str := func(off int) {
		text, _, _ := bytes.Cut(b[off:off+strSize], []byte{0})
		fmt.Fprintf(&s, " %s", text)
	}
	for i := range 4 {
		str(xtcSize + 4 + i*strSize)
	}
	fmt.Fprintf(&s, " %x", b[xtcSize+nameInfoSize-8:xtcSize+nameInfoSize])
	for off := xtcSize + nameInfoSize; off < len(b); off += nameSize {
		str(off)
		str(off + 260)
		fmt.Fprintf(&s, " %x", b[off+516:off+nameSize])
	}
	return s.String()
}

func split(t *testing.T, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return datagrams(t, b)
}

func datagrams(t *testing.T, b []byte) (list [][]byte) {
	t.Helper()
	for len(b) > 0 {
		n := prefixSize + int(binary.LittleEndian.Uint32(b[headerSize-4:]))
		list, b = append(list, b[:n]), b[n:]
	}
	return list
}

func TestWrittenChunksAreAnnouncedAndInSmalldata(t *testing.T) {
	w := newStream(t, rawrun.StreamOptions{})
	var d Draft
	d.Begin(Configure, 1, 0, 1)
	d.Names(everyType)
	d.Names(ChunkInfoNames(0))
	write(t, w, &d)
	for i := range 3 {
		d.Begin(L1Accept, uint64(10+10*i), 0, 1)
		d.Values(everyType, 0, everyValue()...)
		write(t, w, &d)
		d.Begin(Enable, uint64(11+10*i), 0, 1)
		w.SwitchChunk(&d)
		write(t, w, &d)
	}
	if names := list(t, w.Options.Dir); strings.Count(names, ".inprogress") != 5 || strings.Count(names, ".xtc2") != 5 {
		t.Errorf("while writing: %s", names)
	}
	publish(t, w)
	if names := list(t, w.Options.Dir); strings.Contains(names, ".inprogress") {
		t.Errorf("after Close: %s", names)
	}
	smd, _ := scanAll(t, w.smd.Path(), nil)
	var table *Table
	var services []string
	events := 0
	for chunk, path := range w.Paths() {
		var got []*Datagram
		got, table = scanAll(t, path, table)
		for _, d := range got {
			services = append(services, d.Service().String())
			small := smd[len(services)-1]
			if small.TS != d.TS || small.Service() != d.Service() {
				t.Errorf("chunk %d: smalldata has %v %d, data %v %d", chunk, small.Service(), small.TS, d.Service(), d.TS)
			}
			if d.Service() == L1Accept {
				events++
				var place [2]int64
				b, found := small.Find("smdinfo")
				for i, name := range []string{"intOffset", "intDgramSize"} {
					if v, ok := b.Find(name); found && ok {
						place[i], _ = v.Int()
					}
				}
				if place != [2]int64{d.Offset, d.Size()} {
					t.Errorf("smalldata says %d, data are at %d %d", place, d.Offset, d.Size())
				}
			}
			if d.Service() == Enable {
				name, id, ok := d.chunkInfo()
				if !ok || id != chunk+1 || name != filepath.Base(w.Paths()[chunk+1]) {
					t.Errorf("chunk %d announces %q %d %v", chunk, name, id, ok)
				}
			}
		}
	}
	if got := strings.Join(services, " "); got != "Configure L1Accept Enable L1Accept Enable L1Accept Enable" || events != 3 {
		t.Errorf("datagrams %s", got)
	}
}

// list returns all names below a folder.
func list(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestSmalldataHasHeaderOfEndRun(t *testing.T) {
	w := newStream(t, rawrun.StreamOptions{})
	var d Draft
	d.Begin(Configure, 1, 0, 1)
	d.Names(everyType)
	write(t, w, &d)
	d.Begin(EndRun, 2, 0, 1)
	d.Values(everyType, 0, everyValue()...)
	write(t, w, &d)
	publish(t, w)
	if smd := split(t, w.smd.Path()); len(smd) != 2 || len(smd[1]) != headerSize {
		t.Errorf("smalldata %x", smd)
	}
}

func TestAbortAndRefusal(t *testing.T) {
	dir := t.TempDir()
	w := newStream(t, rawrun.StreamOptions{Dir: dir})
	var d Draft
	d.Begin(Configure, 1, 0, 1)
	write(t, w, &d)
	w.Abort()
	if names := list(t, dir); names != "" {
		t.Errorf("after Abort: %s", names)
	}
	w = newStream(t, rawrun.StreamOptions{Dir: dir, NoSmalldata: true})
	write(t, w, &d)
	publish(t, w)
	if names := list(t, dir); names != "tstx00117-r0009-s000-c000.xtc2" {
		t.Errorf("without smalldata: %s", names)
	}
	_, err := CreateStream(rawrun.StreamOptions{Dir: dir, Experiment: "tstx00117", Run: 9})
	if fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
		t.Errorf("second writer: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateStream(rawrun.StreamOptions{Dir: filepath.Join(file, "x")}); fault.CodeOf(err) != fault.Usage || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a folder below a file: %v", err)
	}
}

func TestDraftPanicsOnMistakes(t *testing.T) {
	one := func(f Field) *Names { return &Names{Fields: []Field{f}} }
	for what, f := range map[string]func(d *Draft){
		"count": func(d *Draft) { d.Values(everyType, 0, 1) },
		"size":  func(d *Draft) { d.Values(one(Field{Name: "a", Type: UInt16}), 0, uint32(1)) },
		"rank":  func(d *Draft) { d.Values(one(Field{Name: "a", Type: UInt16, Rank: 1}), 0, uint16(1)) },
		"no rank": func(d *Draft) {
			d.Values(one(Field{Name: "a", Type: UInt16}), 0, FieldValue{[]int{1}, func([]byte) {}})
		},
		"go type":   func(d *Draft) { d.Values(one(Field{Name: "a", Type: Int64}), 0, 5) },
		"long name": func(d *Draft) { d.Names(&Names{DetName: strings.Repeat("x", strSize)}) },
	} {
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.HasPrefix(s, "xtc2: ") {
					t.Errorf("%s: panic %q", what, s)
				}
			}()
			var d Draft
			d.Begin(L1Accept, 1, 0, 0)
			f(&d)
		}()
	}
}
