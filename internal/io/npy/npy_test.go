package npy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/testenv"
)

// samples has one array of each type, with the extremes of the type.
var samples = []struct {
	dtype string
	shape []int
	data  any
}{
	{"|u1", []int{2, 3}, []uint8{0, 1, 2, 3, 4, 255}},
	{"<u2", []int{6}, []uint16{0, 1, 2, 3, 4, 65535}},
	{"<u4", []int{3, 2, 1}, []uint32{0, 1, 2, 3, 4, math.MaxUint32}},
	{"<u8", []int{2, 1, 3}, []uint64{0, 1, 2, 3, 4, math.MaxUint64}},
	{"|i1", []int{2, 3}, []int8{0, -1, 2, -3, -128, 127}},
	{"<i2", []int{2, 3}, []int16{0, -1, 2, -3, math.MinInt16, math.MaxInt16}},
	{"<i4", []int{2, 3}, []int32{0, -1, 2, -3, math.MinInt32, math.MaxInt32}},
	{"<i8", []int{2, 3}, []int64{0, -1, 2, -3, math.MinInt64, math.MaxInt64}},
	{"<f4", []int{2, 3}, []float32{0, -1.5, 2, float32(math.Inf(1)), math.MaxFloat32, math.SmallestNonzeroFloat32}},
	{"<f8", []int{2, 3}, []float64{0, -1.5, 2, math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}},
	{"|b1", []int{2, 3}, []bool{true, false, false, true, true, false}},
	{"<u2", []int{}, []uint16{7}},
	{"<u2", []int{0, 5}, []uint16{}},
}

func TestWrittenFilesAreReadExactly(t *testing.T) {
	for _, s := range samples {
		path := filepath.Join(t.TempDir(), "a.npy")
		if err := Write(path, s.shape, s.data); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, &File{s.shape, s.data}) {
			t.Errorf("%s: got %v, want %v %v", s.dtype, got, s.shape, s.data)
		}
		h, f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if h.DType.String() != s.dtype || h.Offset%align != 0 || h.Fortran || !reflect.DeepEqual(h.Shape, s.shape) {
			t.Errorf("header %+v, want %s %v", h, s.dtype, s.shape)
		}
	}
}

// TestArraysAcrossChunksAreReadExactly crosses the chunks in which values are converted.
func TestArraysAcrossChunksAreReadExactly(t *testing.T) {
	data := make([]uint32, 3*chunk/4+5)
	for i := range data {
		data[i] = uint32(i) * 2654435761
	}
	var b bytes.Buffer
	if err := Encode(&b, []int{len(data)}, data); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(bytes.NewReader(b.Bytes()), int64(b.Len()), "memory")
	if err != nil || !reflect.DeepEqual(got.Data, data) {
		t.Errorf("a long array changed (%v)", err)
	}
}

// TestNumpyReadsOurs: same type, shape, order and values in NumPy.
func TestNumpyReadsOurs(t *testing.T) {
	py := testenv.Numpy(t)
	dir := t.TempDir()
	for i, s := range samples {
		if err := Write(filepath.Join(dir, fmt.Sprintf("%d.npy", i)), s.shape, s.data); err != nil {
			t.Fatal(err)
		}
	}
	script := `
import numpy as np, sys
for i in range(int(sys.argv[1])):
    a = np.load('%d.npy' % i)
    print(a.dtype.str, list(a.shape), a.flags.c_contiguous, a.astype('<f8').tobytes().hex())
`
	cmd := exec.Command(py, "-c", script, fmt.Sprint(len(samples)))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, string(err.(*exec.ExitError).Stderr))
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, s := range samples {
		var hex strings.Builder
		v := reflect.ValueOf(s.data)
		for k := range v.Len() {
			bits := math.Float64bits(toFloat(v.Index(k)))
			for b := 0; b < 64; b += 8 {
				fmt.Fprintf(&hex, "%02x", byte(bits>>b))
			}
		}
		want := strings.TrimSpace(fmt.Sprintf("%s %s True %s", s.dtype, strings.ReplaceAll(fmt.Sprint(s.shape), " ", ", "), hex.String()))
		if strings.TrimSpace(lines[i]) != want {
			t.Errorf("NumPy sees %s\nwant      %s", lines[i], want)
		}
	}
}

func toFloat(v reflect.Value) float64 {
	switch {
	case v.CanUint():
		return float64(v.Uint())
	case v.CanInt():
		return float64(v.Int())
	case v.CanFloat():
		return v.Float()
	case v.Bool():
		return 1
	}
	return 0
}

// TestWeReadNumpys: all versions, byte orders and memory orders that NumPy writes.
func TestWeReadNumpys(t *testing.T) {
	py := testenv.Numpy(t)
	dir := t.TempDir()
	script := `
import numpy as np
from numpy.lib import format as f
base = np.arange(24).reshape(2, 3, 4)
for t in '<u2 >u2 <i4 >i4 <f4 >f4 <f8 >f8 <u8 >u8 |u1 |i1'.split():
    for order in 'CF':
        for version in (1, 0), (2, 0), (3, 0):
            with open('%s%s%s%d.npy' % ({'<': 'l', '>': 'b', '|': 'n'}[t[0]], t[1:], order, version[0]), 'wb') as out:
                f.write_array(out, np.asarray(base, dtype=t, order=order), version=version)
`
	cmd := exec.Command(py, "-W", "ignore", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.npy"))
	if len(files) != 12*2*3 {
		t.Fatalf("%d files", len(files))
	}
	for _, path := range files {
		a, err := Read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		v := reflect.ValueOf(a.Data)
		if fmt.Sprint(a.Shape) != "[2 3 4]" || v.Len() != 24 {
			t.Errorf("%s: shape %v, %d values", path, a.Shape, v.Len())
			continue
		}
		for i := range 24 {
			if toFloat(v.Index(i)) != float64(i) {
				t.Errorf("%s: value %d is %v", filepath.Base(path), i, v.Index(i))
			}
		}
	}
}

// file makes a version 1 file of a header text and a body.
func file(header string, body int) []byte {
	b := append([]byte(magic), 1, 0, byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), make([]byte, body)...)
}

func TestHeadersOfEveryFormAreReadOrRefused(t *testing.T) {
	for _, c := range []struct {
		header, body string
		want         string // "" for an error
	}{
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }", "12", "<u2 [2 3] false"},
		{`{"shape":(2,3,),"descr":"=u2","fortran_order":True}   ` + "\n", "99", "<u2 [2 3] true"},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (2L, 3L)}", "12", "<u2 [2 3] false"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': ()}", "8", "<f8 [] false"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9, 0)}", "0", "<f8 [9223372036854775807 9 0] false"},
		{"{'descr': '<f8', 'fortran_order': False, 'shape': ()}", "7", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3)}", "11", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296)}", "12", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (9223372036854775808,)}", "12", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (-2, 3)}", "12", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': 6}", "12", ""},
		{"{'descr': '<u2', 'fortran_order': 0, 'shape': (6,)}", "12", ""},
		{"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '|u2', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '<u1 u2', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '<u2', 'shape': (1,)}", "12", ""},
		{"{'descr': '<u2', 'descr': '<u2', 'fortran_order': False, 'shape': (1,)}", "12", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (1,), 'more': 1}", "12", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (1,)} x", "12", ""},
		{"{'descr': '<u2', 'fortran_order': False, 'shape': (1,)", "12", ""},
		{"{'descr' '<u2'}", "12", ""},
		{"{'descr: 1", "12", ""},
		{"", "12", ""},
	} {
		var body int
		fmt.Sscan(c.body, &body)
		b := file(c.header, body)
		h, err := ReadHeader(bytes.NewReader(b), int64(len(b)), "f.npy")
		if c.want == "" {
			wantInputError(t, c.header, err)
		} else if err != nil {
			t.Errorf("%s: %v", c.header, err)
		} else if got := fmt.Sprintf("%v %v %v", h.DType, h.Shape, h.Fortran); got != c.want {
			t.Errorf("%s: got %s, want %s", c.header, got, c.want)
		}
	}
}

func wantInputError(t *testing.T, what string, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "f.npy") {
		t.Errorf("%s: error %v, want a typed one of class Input that names the file", what, err)
	}
}

func TestCutAtEveryByte(t *testing.T) {
	var b bytes.Buffer
	if err := Encode(&b, []int{2, 3}, []uint16{1, 2, 3, 4, 5, 6}); err != nil {
		t.Fatal(err)
	}
	for n := range b.Len() {
		_, err := Decode(bytes.NewReader(b.Bytes()[:n]), int64(n), "f.npy")
		wantInputError(t, fmt.Sprintf("cut at %d", n), err)
	}
}

func TestHugeHeaderIsNotAllocated(t *testing.T) {
	b := append([]byte(magic), 2, 0, 0xff, 0xff, 0xff, 0xff)
	b = append(b, make([]byte, 100)...)
	_, err := Decode(bytes.NewReader(b), int64(len(b)), "f.npy")
	wantInputError(t, "huge header", err)
	var e *Error
	if errors.As(err, &e) && e.What != "header length" {
		t.Errorf("%v: it was read", err)
	}
	b[6] = 4
	_, err = Decode(bytes.NewReader(b), int64(len(b)), "f.npy")
	wantInputError(t, "version 4", err)
}

func TestReadErrors(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "none.npy")); fault.CodeOf(err) != fault.Input || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}

func TestEncodePanicsOnMistakes(t *testing.T) {
	for _, f := range []func(){
		func() { Encode(&bytes.Buffer{}, []int{3}, []uint16{1}) },
		func() { Encode(&bytes.Buffer{}, []int{1}, []string{"a"}) },
	} {
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.HasPrefix(s, "npy: ") {
					t.Errorf("panic %q", s)
				}
			}()
			f()
		}()
	}
}

func TestIndexHasTheFramesOfTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.npy")
	frames := make([]uint16, 3*2*4*5)
	for i := range frames {
		frames[i] = uint16(i * 100)
	}
	if err := Write(path, []int{3, 2, 4, 5}, frames); err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	x, err := BuildIndex(context.Background(), []string{path}, IndexOptions{Experiment: "tstx00117", Run: 9, Begin: begin,
		Detector: "cam", Type: "epix100", GainMode: "g0", PanelIDs: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if x.Run != (frame.Run{Experiment: "tstx00117", Number: 9, Begin: begin}) || len(x.Events) != 3 || x.Steps[0].Events != 3 ||
		!reflect.DeepEqual(x.Steps[0].Gains, frame.GainsOf("g0", "g0")) {
		t.Errorf("index %+v", x)
	}
	if want := (frame.Panel{Detector: "cam", Type: "epix100", Segment: 1, ID: "b", Rows: 4, Cols: 5}); x.Panels[1] != want {
		t.Errorf("panel %+v, want %+v", x.Panels[1], want)
	}
	for e := range 3 {
		for p := range 2 {
			ext := x.At(e, p)
			got := raw[ext.Offset : ext.Offset+int64(ext.Length)]
			for i := range 20 {
				if v := uint16(got[2*i]) | uint16(got[2*i+1])<<8; v != frames[(e*2+p)*20+i] {
					t.Fatalf("event %d panel %d pixel %d: %d", e, p, i, v)
				}
			}
		}
	}

	small := make([]uint8, 60)
	for i := range small {
		small[i] = uint8(240 + 40 - i) // the last frame is 240, 239, ...
	}
	if err := Write(path, []int{3, 4, 5}, small); err != nil {
		t.Fatal(err)
	}
	if x, err = BuildIndex(context.Background(), []string{path}, IndexOptions{}); err != nil {
		t.Fatal(err)
	}
	if p := x.Panels[0]; p.Codec != frame.Widen || p.Detector != "npy" || x.At(2, 0).Length != 20 || x.Run.Begin.IsZero() {
		t.Errorf("panel %+v extent %+v begin %v", p, x.At(2, 0), x.Run.Begin)
	}
	src, err := sweep.Open(x.Files, "", sweep.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	got, err := src.Pixels(context.Background(), x.Panels[0], []frame.Extent{*x.At(2, 0)}, sweep.Span{Hi: 20})
	if err != nil {
		t.Fatal(err)
	}
	if got[0][0] != 240 || got[0][19] != 221 {
		t.Errorf("pixels of one byte read as %v", got[0])
	}
	if _, err := BuildIndex(context.Background(), []string{path}, IndexOptions{PanelIDs: []string{"a", "b"}}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("wrong number of ids: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := BuildIndex(ctx, []string{path}, IndexOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestBuildIndexRefuses(t *testing.T) {
	const form = "{'descr': '%s', 'fortran_order': %s, 'shape': %s}"
	for _, c := range [][3]string{
		{"<i2", "False", "(2, 3, 4)"}, {">u2", "False", "(2, 3, 4)"}, {"<f4", "False", "(2, 3, 4)"},
		{"<u2", "True", "(2, 3, 4)"}, {"<u2", "False", "(3, 4)"}, {"<u2", "False", "(1, 1, 1, 3, 4)"},
		{"<u2", "False", "(0, 3, 4)"}, {"<u2", "False", "(2, 0, 4)"},
	} {
		path := filepath.Join(t.TempDir(), "f.npy")
		if err := os.WriteFile(path, file(fmt.Sprintf(form, c[0], c[1], c[2]), 96), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := BuildIndex(context.Background(), []string{path}, IndexOptions{})
		wantInputError(t, fmt.Sprint(c), err)
		if fault.HintOf(err) == "" {
			t.Errorf("%v: no hint", c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples {
		var b bytes.Buffer
		if err := Encode(&b, s.shape, s.data); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add(file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3)}", 12))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := Decode(bytes.NewReader(in), int64(len(in)), "f.npy")
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		var once, twice bytes.Buffer
		if err := Encode(&once, a.Shape, a.Data); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(bytes.NewReader(once.Bytes()), int64(once.Len()), "again")
		if err != nil {
			t.Fatal(err)
		}
		if err := Encode(&twice, again.Shape, again.Data); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("written and read again: other bytes (%v)", err)
		}
	})
}
