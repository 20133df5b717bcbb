package golden

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/testenv"
)

// Case is one folder: frames and the results obtained from them.
type Case struct {
	Name    string   `json:"case"`
	Kind    string   `json:"kind"` // dark or pixel_status
	Frames  *Numbers `json:"-"`
	Results []*Result
}

// Result is one set of parameters and expected arrays.
type Result struct {
	Dir        string
	Generation string // L1 or L2
	Mode       string // original or sane
	Params     Params
	FrameRange []int   `json:"frame_range"`
	Panel      *int    `json:"panel"`
	GainIndex  *int    `json:"gain_index"`
	GatesFrom  *string `json:"gates_from"`
	Pedestals  *string `json:"pedestals"`
	Summary    Summary `json:"-"`

	path string
}

// Params are the parameters of both kinds of result.
type Params struct {
	Nrecs, Nrecs1                  int
	DatBits, DataBits              uint16
	IntLo                          float64 `json:"int_lo"`
	IntHi                          float64 `json:"int_hi"`
	IntNLo, IntNHi, RmsNLo, RmsNHi float64
	RmsLo                          float64 `json:"rms_lo"`
	RmsHi                          float64 `json:"rms_hi"`
	FracLm, FracLo, FracHi         float64
	SnrMax                         float64
	ShWind, Features               string
	Segind                         int
	Slice                          *string
}

// Summary is summary.json.
type Summary struct {
	NRecords   int  `json:"n_records"`
	NoResult   bool `json:"no_result"`
	Stage1Only bool `json:"stage1_only"`
	Nevlm      *uint32
	Files      map[string]any
	Limits     map[string]map[string]json.RawMessage
}

// Number returns a number of the evaluated limits; ok is false when it is absent or null.
func (s *Summary) Number(t testing.TB, group, key string) (v float64, ok bool) {
	t.Helper()
	raw, ok := s.Limits[group][key]
	if !ok || string(raw) == "null" {
		return 0, false
	}
	var exact struct{ Hex string }
	text := string(raw)
	if json.Unmarshal(raw, &exact) == nil && exact.Hex != "" {
		text = exact.Hex
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%s.%s: %v", group, key, err)
	}
	return v, true
}

// Cases reads all cases of a kind, in order of their names.
func Cases(t *testing.T, kind string) []*Case {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(testenv.Shared(t), "golden", "*", "params.json"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden cases in the shared data set: %v", err)
	}
	var cases []*Case
	for _, f := range dirs {
		c := &Case{}
		readJSON(t, f, c)
		if c.Kind != kind {
			continue
		}
		c.Frames = ReadNpy(t, filepath.Join(filepath.Dir(f), "frames.npy"))
		for _, r := range c.Results {
			r.path = filepath.Join(filepath.Dir(f), r.Dir)
			readJSON(t, filepath.Join(r.path, "summary.json"), &r.Summary)
		}
		cases = append(cases, c)
	}
	return cases
}

// Array reads an expected array of a result.
func (r *Result) Array(t testing.TB, name string) *Numbers {
	t.Helper()
	return ReadNpy(t, filepath.Join(r.path, name+".npy"))
}

// Sibling reads an array of another result of the same case.
func (r *Result) Sibling(t testing.TB, dir, name string) *Numbers {
	t.Helper()
	return ReadNpy(t, filepath.Join(filepath.Dir(r.path), dir, name+".npy"))
}

func readJSON(t testing.TB, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Numbers is a .npy array: V holds the numbers, which float64 represents exactly for all types in use.
type Numbers struct {
	Type  string // numpy's type code without byte order: u1 u2 u4 u8 i2 i8 f4 f8 b1
	Shape []int
	V     []float64
}

// U16 returns the elements as raw values.
func (a *Numbers) U16() []uint16 {
	v := make([]uint16, len(a.V))
	for i, x := range a.V {
		v[i] = uint16(x)
	}
	return v
}

// ReadNpy reads a C-ordered little-endian .npy file of version 1.
func ReadNpy(t testing.TB, file string) *Numbers {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 10 || string(b[:7]) != "\x93NUMPY\x01" {
		t.Fatalf("%s: not a .npy file of version 1", file)
	}
	n := 10 + int(binary.LittleEndian.Uint16(b[8:]))
	a := &Numbers{}
	var fortran bool
	if err := a.header(string(b[10:n]), &fortran); err != nil || fortran {
		t.Fatalf("%s: %v (fortran order %v)", file, err, fortran)
	}
	decode, size := decoder(a.Type)
	if decode == nil || len(b)-n != size*product(a.Shape) {
		t.Fatalf("%s: %d bytes of type %q, shape %v", file, len(b)-n, a.Type, a.Shape)
	}
	for p := n; p < len(b); p += size {
		a.V = append(a.V, decode(b[p:]))
	}
	return a
}

// header reads the dictionary, e.g. {'descr': '<u2', 'fortran_order': False, 'shape': (3, 4), }.
func (a *Numbers) header(h string, fortran *bool) error {
	_, descr, ok1 := strings.Cut(h, "'descr': '")
	_, shape, ok2 := strings.Cut(h, "'shape': (")
	if !ok1 || !ok2 {
		return fmt.Errorf("header %q", h)
	}
	descr, _, _ = strings.Cut(descr, "'")
	a.Type = strings.TrimLeft(descr, "<|")
	*fortran = strings.Contains(h, "'fortran_order': True")
	shape, _, _ = strings.Cut(shape, ")")
	for _, s := range strings.FieldsFunc(shape, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		a.Shape = append(a.Shape, n)
	}
	return nil
}

func decoder(typ string) (func([]byte) float64, int) {
	le := binary.LittleEndian
	switch typ {
	case "u1", "b1":
		return func(b []byte) float64 { return float64(b[0]) }, 1
	case "u2":
		return func(b []byte) float64 { return float64(le.Uint16(b)) }, 2
	case "u4":
		return func(b []byte) float64 { return float64(le.Uint32(b)) }, 4
	case "u8":
		return func(b []byte) float64 { return float64(le.Uint64(b)) }, 8
	case "i2":
		return func(b []byte) float64 { return float64(int16(le.Uint16(b))) }, 2
	case "i8":
		return func(b []byte) float64 { return float64(int64(le.Uint64(b))) }, 8
	case "f4":
		return func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }, 4
	case "f8":
		return func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }, 8
	}
	return nil, 0
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// FramesOf returns the frames that a result uses, as raw values of all panels together (or of its panel),
// and the shape of one frame.
func (c *Case) FramesOf(r *Result) (frames [][]uint16, shape []int) {
	raw, shape := c.Frames.U16(), c.Frames.Shape[1:]
	size := product(shape)
	for k := range c.Frames.Shape[0] {
		if r.FrameRange != nil && (k < r.FrameRange[0] || k >= r.FrameRange[1]) {
			continue
		}
		f := raw[k*size : (k+1)*size]
		if r.Panel != nil {
			one := size / shape[0]
			f = f[*r.Panel*one : (*r.Panel+1)*one]
		}
		frames = append(frames, f)
	}
	if r.Panel != nil {
		shape = shape[1:]
	}
	return frames, shape
}

// Same says whether two numbers are equal, NaN being equal to NaN.
func Same(a, b float64) bool {
	return a == b || (a != a && b != b)
}
