package calibtxt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/testenv"
)

func parse(t *testing.T, text string, want []int) (*Status, error) {
	t.Helper()
	return ReadStatus(strings.NewReader(text), int64(len(text)), "f.txt", want)
}

// TestHeaderOfOriginal writes the array of the original programs again, byte for byte.
func TestHeaderOfOriginal(t *testing.T) {
	shared := testenv.Shared(t)
	tests := []struct {
		path string
		h    Header
	}{
		{"calib/calib_example/Epix100a::CalibV1/XppGon.0:Epix100a.1/status_extra/137-end.data", Header{
			Host: "node001", WorkDir: "/sit/job", UID: "ops", Time: time.Date(2026, 11, 22, 7, 11, 12, 0, time.UTC),
			FileName: "/sit/repo/epix100a/3925999616-0996579585-0553648138-1232098304-1221641739-2650251521-3976200215/" +
				"status_merged/epix100a_0001_20160523104000_xppn4116_r0137_status_merged.txt"}},
		{"calib/data_test/calib/Epix100a::CalibV1/XppGon.0:Epix100a.1/pixel_status/0-end.data", Header{
			Comments: []string{"DATASET  /tmp/data_test/xtc/data-xppn4116-r0137-3events-epix100a.xtc", "STATISTICS  2",
				"ARR_TYPE  status", "SOURCE  XppGon.0:Epix100a.1"},
			Host: "sdfiana001", WorkDir: "/sdf/home/d/dubrovin/LCLS/con-py3", UID: "dubrovin",
			FileName: "work/results/clb-xppn4116-r0137-peds-sta-XppGon.0:Epix100a.1.txt",
			Time:     time.Date(2024, 5, 31, 10, 3, 38, 0, time.UTC)}},
	}
	for _, tt := range tests {
		path := filepath.Join(shared, "data", tt.path)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ReadStatusFile(path, []int{704, 768})
		if err != nil {
			t.Fatal(err)
		}
		tt.h.Shape = a.Shape
		var got bytes.Buffer
		if err := WriteArray(&got, tt.h, SparseOf(a.Dense())); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: written again it differs; begins %q", tt.path, got.Bytes()[:600])
		}
	}
}

func TestBadPixelsOfExamples(t *testing.T) {
	shared := testenv.Shared(t)
	for path, want := range map[string]int{
		"calib/calib_example/Epix100a::CalibV1/XppGon.0:Epix100a.1/status_extra/137-end.data": 56,
		"calib/data_test/calib/Epix100a::CalibV1/XppGon.0:Epix100a.1/pixel_status/0-end.data": 53703,
	} {
		a, err := LoadFile(filepath.Join(shared, "data", path))
		if err != nil {
			t.Fatal(err)
		}
		bad := 0
		for _, v := range a.Ints {
			if v != 0 {
				bad++
			}
		}
		if bad != want || !slices.Equal(a.Shape, []int{704, 768}) || a.DType != "uint64" {
			t.Errorf("%s: %d bad pixels of %v %s, want %d", path, bad, a.Shape, a.DType, want)
		}
	}
}

func TestOneDimensionalArraysAreOneRow(t *testing.T) {
	var b bytes.Buffer
	if err := WriteArray(&b, Header{Shape: []int{5}}, SparseOf([]uint64{0, 10, 2, 3, 4})); err != nil {
		t.Fatal(err)
	}
	if want := "# DIM:0       5\n\n\n 0 10 2 3 4 "; !strings.HasSuffix(b.String(), want) || !strings.Contains(b.String(), "(5,)") {
		t.Errorf("got %q, want it to end in %q", b.String(), want)
	}
	if a, err := parse(t, b.String(), []int{5}); err != nil || !slices.Equal(a.Dense(), []uint64{0, 10, 2, 3, 4}) {
		t.Errorf("read back %v, %v", a, err)
	}
}

// TestWrittenArraysAreReadExactly: what is written is read again exactly, around all chunk borders.
func TestWrittenArraysAreReadExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][]int{{1, 1}, {3, 7}, {700, 190}, {2, 3, 40, 50}, {1, 200000}, {200000, 1}, {70000}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		a := make([]uint64, n)
		for i := range a {
			a[i] = rng.Uint64() >> rng.IntN(64) // every length of number
		}
		a[n-1] = math.MaxUint64
		var b bytes.Buffer
		if err := WriteArray(&b, Header{Shape: shape}, SparseOf(a)); err != nil {
			t.Fatal(err)
		}
		got, err := parse(t, b.String(), shape)
		if err != nil || !slices.Equal(got.Dense(), a) {
			t.Errorf("%v: read back something else (%v)", shape, err)
		}
		if len(shape) != 2 {
			continue
		}
		b.Reset()
		if err := WritePlain(&b, SparseOf(a), shape[1]); err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for i, v := range a {
			sep := " "
			if (i+1)%shape[1] == 0 {
				sep = "\n"
			}
			want.WriteString(strconv.FormatUint(v, 10) + sep)
		}
		if b.String() != want.String() {
			t.Errorf("%v: plain text differs from the simple loop's", shape)
		}
	}
}

func TestStatusWordsAreReadOrRefusedByLine(t *testing.T) {
	header := func(lines ...string) string { return "\n# " + strings.Join(lines, "\n# ") + "\n\n" }
	full := header("SHAPE (9,9)", "DTYPE       uint64", "NDIM 2", "DIM:0 2", "DIM:1 2")
	tests := []struct {
		name, text string
		want       []int
		line       int
		part       string // of the error; empty: no error
	}{
		{"plain", "0 1\n2 3\n", []int{2, 2}, 0, ""},
		{"justified, CRLF, comments, blank lines", "   0    1\r\n\r\n# a\n\t2 3 # b\r\n", []int{2, 2}, 0, ""},
		{"no final newline", "0 1\n2 3", nil, 0, ""},
		{"with header", full + "0 1\n2 18446744073709551615\n", []int{2, 2}, 0, ""},
		{"type only", "# DTYPE uint64\n0 1\n", []int{1, 2}, 0, ""},
		{"other shape", "0 1\n2 3\n", []int{4, 1}, 0, "wanted (4,1), got (2,2)"},
		{"other shape in header", full + "0 1\n2 3\n", []int{4, 1}, 0, "shape"},
		{"negative", "0 1\n2 -3\n", nil, 2, `negative status word: wanted a whole number from 0 to 2^64-1, got "-3"`},
		{"point", full + "0 1\n2 3.0\n", nil, 9, `fractional status word`},
		{"exponent", "1e3 0\n", nil, 1, "fractional"},
		{"garbage", "0 1\n0 x1\n", nil, 2, `"x1"`},
		{"comma", "0,1\n", nil, 1, `"0,1"`},
		{"nan", "nan 0\n", nil, 1, `"nan"`},
		{"binary", "\x00\xff\x80", nil, 1, "whole number"},
		{"too large", "18446744073709551616\n", nil, 1, `"18446744073709551616"`},
		{"far too large", "99999999999999999999999999999999\n", nil, 1, "whole number"},
		{"ragged", "0 1\n2\n", nil, 2, "wanted 2 values as in the rows above, got 1"},
		{"empty", "", nil, 0, "got none"},
		{"header only", full, nil, 0, "got none"},
		{"too few", full + "0 1\n", nil, 0, "wanted 4 values"},
		{"too many", full + "0 1\n0 1\n0 1\n", nil, 10, "wanted 4 values"},
		{"rows of other length", full + "0 1 2 3\n", nil, 0, "last dimension"},
		{"float type", header("DTYPE float32", "NDIM 1", "DIM:0 1") + "1\n", nil, 0, "integer type"},
		{"unknown type", header("DTYPE object") + "1\n", nil, 0, "integer type"},
		{"NDIM without DIM", header("NDIM 2") + "1\n", nil, 0, "number of DIM lines (0)"},
		{"negative DIM", header("DIM:0 -2") + "1\n", nil, 2, "header DIM:0"},
		{"huge DIM", header("NDIM 2", "DIM:0 1099511627776", "DIM:1 1099511627776") + "1\n", nil, 0, "fits the file's"},
		{"huge count", header("NDIM 1", "DIM:0 1000000000") + "1\n", nil, 0, "fits the file's"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.text, tt.want)
			if tt.part == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || fault.CodeOf(err) != fault.Input {
				t.Fatalf("error %v (%T), want an input error", err, err)
			}
			if e.Line != tt.line || !strings.Contains(err.Error(), tt.part) || !strings.Contains(err.Error(), `"f.txt"`) {
				t.Errorf("error %q, want line %d and %q", err, tt.line, tt.part)
			}
		})
	}
}

func TestLoadReadsNumbersOfEveryKind(t *testing.T) {
	u := func(v ...uint64) []uint64 { return v }
	f := func(v ...float64) []float64 { return v }
	minus := uint64(math.MaxUint64)
	head := func(dtype string, dims ...int) string {
		s := "\n# DTYPE " + dtype + "\n# NDIM " + strconv.Itoa(len(dims)) + "\n"
		for i, d := range dims {
			s += fmt.Sprintf("# DIM:%d %d\n", i, d)
		}
		return s + "\n"
	}
	tests := []struct {
		name, text string
		shape      []int
		ints       []uint64
		floats     []float64
	}{
		{"float32 without header", "16777217 1\n4294967301 2\n", []int{2, 2}, nil, f(16777216, 1, 4294967296, 2)},
		{"single row", "1 2 3\n", []int{3}, nil, f(1, 2, 3)},
		{"single column", "1\n2\n", []int{2}, nil, f(1, 2)},
		{"single value", "7 # seven\n", []int{}, nil, f(7)},
		{"empty", "# nothing\n", []int{0}, nil, nil},
		{"uint64 exact", head("uint64", 2) + "9007199254740993 1\n", []int{2}, u(9007199254740993, 1), nil},
		{"wraps", head("uint16", 2) + "70000 -1\n", []int{2}, u(4464, 65535), nil},
		{"minus one in uint64", head("uint64", 2) + "-1 1.0\n", []int{2}, u(minus, 1), nil},
		{"signed", head("int16", 2) + "40000 -5\n", []int{2}, u(minus-(65536-40000)+1, minus-4), nil},
		{"bool", head("bool", 2) + "0 5\n", []int{2}, u(0, 1), nil},
		{"3-d", head("float64", 2, 1, 2) + "1.5 2\n3 nan\n", []int{2, 1, 2}, nil, f(1.5, 2, 3, math.NaN())},
		{"2-d keeps the rows of the file", head("int", 4, 1) + "1 2\n3 4\n", []int{2, 2}, u(1, 2, 3, 4), nil},
		{"SHAPE and DATATYPE do not count", "# SHAPE (1,)\n# DATATYPE uint8\n300 1\n", []int{2}, nil, f(300, 1)},
		{"header after data does not count", "300 1\n# DTYPE uint8\n", []int{2}, nil, f(300, 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Load(strings.NewReader(tt.text), int64(len(tt.text)), "f.txt")
			if err != nil {
				t.Fatal(err)
			}
			same := slices.EqualFunc(a.Floats, tt.floats, func(x, y float64) bool { return x == y || x != x && y != y })
			if !slices.Equal(a.Shape, tt.shape) || !slices.Equal(a.Ints, tt.ints) || !same {
				t.Errorf("got %v ints %v floats %v, want %v %v %v", a.Shape, a.Ints, a.Floats, tt.shape, tt.ints, tt.floats)
			}
		})
	}
	for name, text := range map[string]string{
		"ragged": "1 2\n3\n", "comma": "1,2\n", "type": head("complex") + "1\n", "NDIM alone": "# NDIM 2\n1 2\n",
		"3-d mismatch": head("uint8", 2, 2, 2) + "1 2\n", "huge": head("uint8", 1<<20, 1<<20, 1<<20) + "1\n", "int": head("int32", 1) + "x\n",
	} {
		if a, err := Load(strings.NewReader(text), int64(len(text)), "f.txt"); fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

// TestNumpyReadsOursAndWeReadNumpys lets numpy read what we write, by the rules of load_txt, and us what numpy writes.
func TestNumpyReadsOursAndWeReadNumpys(t *testing.T) {
	py := testenv.Numpy(t)
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours.txt"), filepath.Join(dir, "theirs.txt")
	rng := rand.New(rand.NewPCG(3, 4))
	a := make([]uint64, 3*2*8*16)
	for i := range a {
		a[i] = rng.Uint64() >> rng.IntN(64)
	}
	f, err := os.Create(ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteArray(f, Header{Shape: []int{3, 2, 8, 16}, Time: time.Now()}, SparseOf(a)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	script := `
import sys, numpy as np
dtype, dims = np.float32, []
for line in open(sys.argv[1]):
    f = line.split()
    if f and f[0] != '#': break
    if len(f) > 2 and f[1] == 'DTYPE': dtype = np.dtype(f[2])
    if len(f) > 2 and 'DIM:' in f[1]: dims.append(int(f[2]))
a = np.loadtxt(sys.argv[1], dtype=dtype).reshape(dims)
np.savetxt(sys.argv[2], a.reshape(-1, dims[-1]), fmt='%d')
print(a.dtype, a.shape, a[2,1,7,15], sum(int(v) for v in a.flat))
`
	out, err := exec.Command(py, "-c", script, ours, theirs).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read, err := ReadStatusFile(theirs, []int{48, 16})
	if err != nil || !slices.Equal(read.Dense(), a) {
		t.Errorf("numpy's copy differs from what was written (%v)", err)
	}
	if want := fmt.Sprintf("uint64 (3, 2, 8, 16) %d ", a[len(a)-1]); !strings.HasPrefix(string(out), want) {
		t.Errorf("numpy says %q, want %q", out, want)
	}
}

// statusLike is an array as detectors give: nearly all zero.
func statusLike(n int) []uint64 {
	rng := rand.New(rand.NewPCG(5, 6))
	a := make([]uint64, n)
	for range n / 100 {
		a[rng.IntN(n)] = 1 << rng.IntN(16)
	}
	return a
}

type count int64

func (c *count) Write(b []byte) (int, error) { *c += count(len(b)); return len(b), nil }

func BenchmarkWriteArray(b *testing.B) {
	a := statusLike(4 * 512 * 1024)
	for b.Loop() {
		var n count
		if err := WriteArray(&n, Header{Shape: []int{4, 512, 1024}}, SparseOf(a)); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(n))
	}
}

func BenchmarkReadStatus(b *testing.B) {
	var text bytes.Buffer
	if err := WriteArray(&text, Header{Shape: []int{4, 512, 1024}}, SparseOf(statusLike(4*512*1024))); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := ReadStatus(bytes.NewReader(text.Bytes()), int64(text.Len()), "f", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadFloat(b *testing.B) {
	var text bytes.Buffer
	for range 512 {
		for x := range 1024 {
			fmt.Fprintf(&text, "%.3f ", 1234.567+float64(x))
		}
		text.WriteByte('\n')
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := Load(bytes.NewReader(text.Bytes()), int64(text.Len()), "f"); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("0 1\n2 3\n"))
	f.Add([]byte("\n# DTYPE       uint64\n# NDIM        3\n# DIM:0       1\n# DIM:1       2\n# DIM:2       2\n\n0 1\n2 18446744073709551615\n"))
	f.Add([]byte("# DTYPE uint16\r\n70000 -1 1.0\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ReadStatus(bytes.NewReader(text), int64(len(text)), "f", nil)
		a, errLoad := Load(bytes.NewReader(text), int64(len(text)), "f")
		for _, err := range []error{err, errLoad} {
			if err != nil && fault.CodeOf(err) != fault.Input {
				t.Fatalf("error of another class: %v", err)
			}
		}
		if err != nil {
			return
		}
		// Text that the strict reader accepts is accepted again as we write it.
		var again bytes.Buffer
		if err := WriteArray(&again, Header{Shape: s.Shape}, SparseOf(s.Dense())); err != nil {
			t.Fatal(err)
		}
		s2, err := ReadStatus(bytes.NewReader(again.Bytes()), int64(again.Len()), "again", s.Shape)
		if err != nil || !slices.Equal(s.Dense(), s2.Dense()) {
			t.Fatalf("written again: %v, %v", s2, err)
		}
		if errLoad == nil && a.DType == "uint64" && !slices.Equal(a.Ints, s.Dense()) {
			t.Fatalf("the two readers disagree: %v and %v", a.Ints, s.Dense())
		}
	})
}

// TestEveryByteBesideDigits puts every byte at every place of eight that the fast way looks at.
func TestEveryByteBesideDigits(t *testing.T) {
	for place := range 8 {
		for c := range 256 {
			line := []byte("1 2 3 4 5 6 7 8 9")
			line[place] = byte(c)
			if c == '\n' || c == '\r' || c == '#' {
				continue
			}
			want, ok := []uint64(nil), true
			for _, word := range strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' }) {
				v, err := strconv.ParseUint(word, 10, 64)
				ok = ok && err == nil
				want = append(want, v)
			}
			s, err := ReadStatus(bytes.NewReader(line), int64(len(line)), "f", nil)
			if (err == nil) != ok || ok && !slices.Equal(s.Dense(), want) {
				t.Errorf("%q: %v, %v, want %v", line, s, err, want)
			}
		}
	}
}

// TestTenTimesNumpy measures reader and writer beside numpy's on this machine, best of nine each.
func TestTenTimesNumpy(t *testing.T) {
	if os.Getenv("RAWSTATUS_TEST_LARGE") == "" {
		t.Skip("a measurement: RAWSTATUS_TEST_LARGE=1 asks for it")
	}
	py := testenv.Numpy(t)
	path := filepath.Join(t.TempDir(), "a.txt")
	const cols = 1024
	a := statusLike(4 * 512 * cols)
	best := func(f func() error) float64 {
		least := math.Inf(1)
		for range 9 {
			begin := time.Now()
			if err := f(); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(begin).Seconds())
		}
		return least
	}
	write := best(func() error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return WritePlain(f, SparseOf(a), cols)
	})
	read := best(func() error {
		_, err := ReadStatusFile(path, nil)
		return err
	})
	script := `
import sys, time, numpy as np
def best(f):
    times = []
    for i in range(9):
        t = time.time(); f(); times.append(time.time() - t)
    return min(times)
a = np.loadtxt(sys.argv[1], dtype=np.uint64)
print(best(lambda: np.savetxt(sys.argv[1], a, fmt='%d')), best(lambda: np.loadtxt(sys.argv[1], dtype=np.uint64)))
`
	out, err := exec.Command(py, "-c", script, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var npWrite, npRead float64
	if _, err := fmt.Sscan(string(out), &npWrite, &npRead); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	mb := float64(st.Size()) / 1e6
	t.Logf("write %.0f MB/s, numpy.savetxt %.0f (%.0f times); read %.0f MB/s, numpy.loadtxt %.0f (%.0f times)",
		mb/write, mb/npWrite, npWrite/write, mb/read, mb/npRead, npRead/read)
	if npWrite < 10*write || npRead < 10*read {
		t.Error("less than ten times as fast as numpy")
	}
}
