package export

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/testenv"
)

// bits are a dictionary with every kind.
var bits = []Bit{{1, "NOISY", Noisy}, {2, "QUIET", Quiet}, {4, "SATURATED", Saturated}, {8, "COLD", Cold}, {16, "HOT", Hot}, {64, "GAIN", WrongGain},
	{128, "WEAK", Weak}, {1024, "NO_DATA", NoData}, {2048, "LOW_STATS", LowStats}, {4096, "EVAL_ERROR", EvalError}, {8192, "SPATIAL", Spatial}, {32768, "USER", User}}

// random makes a mask of some density: single pixels, rows, columns and blocks.
func random(r *rand.Rand) *Mask {
	m := &Mask{Detector: "det of tst run 1", Rows: 1 + r.IntN(40), Cols: 1 + r.IntN(70), Bits: bits, Notes: []string{"bits: all", "a = {note}; of \"text\""}}
	density := []float64{0, 0.003, 0.05, 0.5, 0.97, 1}[r.IntN(6)]
	word := func() uint64 { return bits[r.IntN(len(bits))].Value | 1<<r.IntN(60) }
	for range 1 + r.IntN(4) {
		p := make([]uint64, m.Rows*m.Cols)
		for i := range p {
			if r.Float64() < density {
				p[i] = word()
			}
		}
		for range r.IntN(4) {
			y0, x0 := r.IntN(m.Rows), r.IntN(m.Cols)
			y1, x1 := y0+1+r.IntN(m.Rows-y0), x0+1+r.IntN(m.Cols-x0)
			w := word()
			for y := y0; y < y1; y++ {
				for x := x0; x < x1; x++ {
					p[y*m.Cols+x] |= w
				}
			}
		}
		m.Panels = append(m.Panels, p)
	}
	return m
}

// masks runs a test with random masks; a failure names the seed.
func eachMask(t *testing.T, test func(t *testing.T, r *rand.Rand, m *Mask)) {
	n := uint64(150)
	if testing.Short() {
		n = 30
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(seed, 18))
		m := random(r)
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { test(t, r, m) }) {
			t.Fatalf("repeat with: go test ./internal/io/export -run '%s/seed=%d$'", t.Name(), seed)
		}
	}
}

func encode(t *testing.T, m *Mask, opt Options) ([]byte, Result) {
	t.Helper()
	var b bytes.Buffer
	res, err := Write(&b, m, opt)
	if err != nil {
		t.Fatal(err)
	}
	if res.Masked != m.Masked() {
		t.Errorf("result says %d masked pixels of %d", res.Masked, m.Masked())
	}
	return b.Bytes(), res
}

// canvas collects regions: each pixel may be covered once and must lie inside.
type canvas struct {
	rows, cols int
	n          []int
}

func newCanvas(rows, cols int) *canvas { return &canvas{rows, cols, make([]int, rows*cols)} }

func (c *canvas) fill(t *testing.T, x0, x1, y0, y1 int) {
	t.Helper()
	if x0 < 0 || y0 < 0 || x0 >= x1 || y0 >= y1 || x1 > c.cols || y1 > c.rows {
		t.Fatalf("region x %d..%d, y %d..%d is not inside %d x %d", x0, x1, y0, y1, c.rows, c.cols)
	}
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			c.n[y*c.cols+x]++
		}
	}
}

func (c *canvas) equals(t *testing.T, masked func(i int) bool) {
	t.Helper()
	for i, n := range c.n {
		if n > 1 || (n == 1) != masked(i) {
			t.Fatalf("row %d column %d is listed %d times, masked: %v", i/c.cols, i%c.cols, n, masked(i))
		}
	}
}

// picture is a random placement: panels turned and shifted, some pixels on top of others.
func picture(r *rand.Rand, m *Mask) *Picture {
	p := &Picture{Rows: 2*max(m.Rows, m.Cols) + r.IntN(20), Cols: 2*max(m.Rows, m.Cols) + r.IntN(20)}
	for range m.Panels {
		dy, dx, turned := r.IntN(p.Rows-max(m.Rows, m.Cols)), r.IntN(p.Cols-max(m.Rows, m.Cols)), r.IntN(2) == 1
		for i := range m.Rows * m.Cols {
			y, x := i/m.Cols, i%m.Cols
			if turned {
				y, x = x, y
			}
			p.At = append(p.At, int32((y+dy)*p.Cols+x+dx))
		}
	}
	return p
}

// flatten is the mask of an array of two dimensions, by an independent way: pixel by pixel.
func flatten(m *Mask, pic *Picture) (rows, cols int, masked []bool) {
	if pic == nil {
		rows, cols = len(m.Panels)*m.Rows, m.Cols
		for _, p := range m.Panels {
			for _, w := range p {
				masked = append(masked, w != 0)
			}
		}
		return rows, cols, masked
	}
	rows, cols, masked = pic.Rows, pic.Cols, slices.Repeat([]bool{true}, pic.Rows*pic.Cols)
	covered := map[int32]bool{}
	for p := range m.Panels {
		for i, w := range m.Panels[p] {
			at := pic.At[p*m.Rows*m.Cols+i]
			if !covered[at] {
				masked[at] = false
			}
			covered[at] = true
			masked[at] = masked[at] || w != 0
		}
	}
	return rows, cols, masked
}

// TestXDS reads the lines back: pixels count from 1 and the limits lie outside.
func TestXDS(t *testing.T) {
	eachMask(t, func(t *testing.T, r *rand.Rand, m *Mask) {
		var pic *Picture
		if r.IntN(2) == 1 {
			pic = picture(r, m)
		}
		rows, cols, masked := flatten(m, pic)
		text, res := encode(t, m, Options{Format: XDS, Picture: pic})
		c, n := newCanvas(rows, cols), 0
		for line := range strings.Lines(string(text)) {
			if line[0] == '!' {
				continue
			}
			var x1, x2, y1, y2 int
			if _, err := fmt.Sscanf(line, "UNTRUSTED_RECTANGLE= %d %d %d %d\n", &x1, &x2, &y1, &y2); err != nil {
				t.Fatal(err)
			}
			c.fill(t, x1, x2-1, y1, y2-1) // 1-based and exclusive: first x1+1, last x2-1
			n++
		}
		c.equals(t, func(i int) bool { return masked[i] })
		if n != res.Regions || !slices.Equal(res.Shape, []int{rows, cols}) {
			t.Errorf("%d regions, result %+v", n, res)
		}
	})
}

// TestDIALS reads the scopes back.
func TestDIALS(t *testing.T) {
	eachMask(t, func(t *testing.T, r *rand.Rand, m *Mask) {
		stack := r.IntN(2) == 1
		text, res := encode(t, m, Options{Format: DIALS, Stack: stack})
		canvases, n := []*canvas(nil), 0
		for range m.Panels {
			canvases = append(canvases, newCanvas(m.Rows, m.Cols))
		}
		if stack {
			canvases = []*canvas{newCanvas(len(m.Panels)*m.Rows, m.Cols)}
		}
		panel := -1
		for line := range strings.Lines(string(text)) {
			var a, b, c, d int
			f := strings.Fields(line)
			switch {
			case f[0] == "#":
			case f[0] == "panel":
				panel, _ = strconv.Atoi(f[2])
			case f[0] == "pixel":
				if _, err := fmt.Sscanf(line, " pixel = %d %d\n", &a, &b); err != nil {
					t.Fatal(err)
				}
				canvases[panel].fill(t, b, b+1, a, a+1)
				n++
			case f[0] == "rectangle":
				if _, err := fmt.Sscanf(line, " rectangle = %d %d %d %d\n", &a, &b, &c, &d); err != nil {
					t.Fatal(err)
				}
				canvases[panel].fill(t, a, b, c, d)
				n++
			case line == "untrusted {\n", line == "}\n":
			default:
				t.Fatalf("line %q", line)
			}
		}
		for i, c := range canvases {
			c.equals(t, func(k int) bool { return m.Panels[(i*len(c.n)+k)/(m.Rows*m.Cols)][(i*len(c.n)+k)%(m.Rows*m.Cols)] != 0 })
		}
		if n != res.Regions {
			t.Errorf("%d regions, result says %d", n, res.Regions)
		}
	})
}

// geom writes a geometry file over the detector: panels cut into chips, in a stacked array or one with a panel dimension.
func geom(r *rand.Rand, m *Mask) string {
	var b strings.Builder
	numbered := r.IntN(2) == 1
	fmt.Fprintf(&b, "; made for a test\ndata = /entry/data ;\ndim0 = %%\nbadrs3/min_x = 1\n")
	if numbered {
		fmt.Fprintf(&b, "dim2 = ss\ndim3 = fs\n")
	}
	ch, cw := 1+r.IntN(m.Rows), 1+r.IntN(m.Cols)
	for p := range m.Panels {
		for y := 0; y < m.Rows; y += ch {
			for x := 0; x < m.Cols; x += cw {
				name := fmt.Sprintf("p%da%dx%d", p, y, x)
				ss := y + p*m.Rows
				if numbered {
					ss = y
					fmt.Fprintf(&b, "%s/dim1 = %d\n", name, p)
				}
				fmt.Fprintf(&b, "%s/min_fs = %d ; first\n%s/min_ss = %d\n%s/max_fs=%d\n%s/max_ss = %d\n%s/fs = +1.0x\n",
					name, x, name, ss, name, min(x+cw, m.Cols)-1, name, min(ss+ch, ss-y+m.Rows)-1, name)
			}
		}
	}
	return b.String()
}

// TestCrystFEL reads the regions back as CrystFEL does: those of the named panel, in the coordinates of the data array, with
// inclusive corners, and no region may reach out of its panel.
func TestCrystFEL(t *testing.T) {
	eachMask(t, func(t *testing.T, r *rand.Rand, m *Mask) {
		text := ""
		if r.IntN(3) > 0 {
			text = geom(r, m)
		}
		var g *Geometry
		if text != "" {
			var err error
			if g, err = ReadGeometry(strings.NewReader(text), "test.geom"); err != nil {
				t.Fatal(err)
			}
		}
		out, res := encode(t, m, Options{Format: CrystFEL, Panels: g})
		panels := items(t, text)
		if text == "" {
			for p := range m.Panels {
				panels[fmt.Sprintf("p%d", p)] = map[string]string{"min_fs": "0", "max_fs": fmt.Sprint(m.Cols - 1), "min_ss": fmt.Sprint(p * m.Rows), "max_ss": fmt.Sprint((p+1)*m.Rows - 1)}
			}
		}
		c, regions := newCanvas(len(m.Panels)*m.Rows, m.Cols), items(t, string(out))
		for name, region := range regions {
			if !strings.HasPrefix(name, "bad") || panels[name] != nil {
				t.Fatalf("name %q", name)
			}
			p := panels[region["panel"]]
			num := func(of map[string]string, key string) int {
				n, err := strconv.Atoi(of[key])
				if err != nil {
					t.Fatalf("region %s: %s: %v", name, key, err)
				}
				return n
			}
			x0, x1, y0, y1 := num(region, "min_fs"), num(region, "max_fs"), num(region, "min_ss"), num(region, "max_ss")
			if x0 < num(p, "min_fs") || x1 > num(p, "max_fs") || y0 < num(p, "min_ss") || y1 > num(p, "max_ss") {
				t.Fatalf("region %s reaches out of its panel", name)
			}
			shift := 0
			if p["dim1"] != "" {
				shift = num(p, "dim1") * m.Rows
			}
			c.fill(t, x0, x1+1, y0+shift, y1+shift+1)
		}
		_, _, masked := flatten(m, nil)
		c.equals(t, func(i int) bool { return masked[i] })
		if len(regions) != res.Regions || res.Beside != 0 {
			t.Errorf("%d regions, result %+v", len(regions), res)
		}
	})
}

// items reads lines name/key = value.
func items(t *testing.T, text string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		name, rest, ok := strings.Cut(line, "/")
		key, value, eq := strings.Cut(rest, "=")
		if !ok || !eq || strings.ContainsAny(name, " =") {
			continue
		}
		if out[name] == nil {
			out[name] = map[string]string{}
		}
		out[name][strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return out
}

// TestCrystFELBeside wants masked pixels outside the panels of a geometry counted, and impossible geometries refused.
func TestCrystFELBeside(t *testing.T) {
	m := &Mask{Detector: "d", Rows: 4, Cols: 4, Panels: [][]uint64{make([]uint64, 16)}}
	m.Panels[0][0], m.Panels[0][15] = 1, 1
	read := func(text string) *Geometry {
		g, err := ReadGeometry(strings.NewReader(text), "x.geom")
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	_, res := encode(t, m, Options{Format: CrystFEL, Panels: read("p/min_fs=0\np/max_fs=1\np/min_ss=0\np/max_ss=1\n")})
	if res.Beside != 1 || res.Regions != 1 {
		t.Errorf("%+v, wanted one region and one pixel beside", res)
	}
	for _, text := range []string{"p/min_fs=0\n", "p/min_fs=0\np/max_fs=4\np/min_ss=0\np/max_ss=1\n", "p/min_fs=0\np/max_fs=1\np/min_ss=3\np/max_ss=4\n",
		"p/dim0=1\np/min_fs=0\np/max_fs=1\np/min_ss=0\np/max_ss=1\n", "p/dim0=0\np/dim1=0\np/min_fs=0\np/max_fs=1\np/min_ss=0\np/max_ss=1\n"} {
		if _, err := Write(&bytes.Buffer{}, m, Options{Format: CrystFEL, Panels: read(text)}); fault.CodeOf(err) != fault.Input {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "p/min_fs = x\n", "p/min_fs = -1\n", "q = 3\n", strings.Repeat("x", 1<<17)} {
		if _, err := ReadGeometry(strings.NewReader(text), "x.geom"); fault.CodeOf(err) != fault.Input {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestListsAreReadBack reads the list and the JSON of areaDetector back.
func TestListsAreReadBack(t *testing.T) {
	eachMask(t, func(t *testing.T, r *rand.Rand, m *Mask) {
		text, _ := encode(t, m, Options{Format: List})
		got := map[[3]int]uint64{}
		for line := range strings.Lines(string(text)) {
			if line[0] == '#' {
				continue
			}
			var p, y, x int
			var w uint64
			var names string
			if _, err := fmt.Sscanf(line, "%d %d %d %d %s\n", &p, &y, &x, &w, &names); err != nil {
				t.Fatal(err)
			}
			got[[3]int{p, y, x}] = w
			var sum uint64
			for _, name := range strings.Split(names, "|") {
				v, err := strconv.ParseUint(name, 10, 64)
				if i := slices.IndexFunc(bits, func(b Bit) bool { return b.Name == name }); i >= 0 {
					v, err = bits[i].Value, nil
				}
				if err != nil {
					t.Fatal(err)
				}
				sum |= v
			}
			if sum != w {
				t.Fatalf("names %q of %d", names, w)
			}
		}
		if len(got) != m.Masked() {
			t.Errorf("%d lines, %d masked", len(got), m.Masked())
		}
		for p, words := range m.Panels {
			for i, w := range words {
				if got[[3]int{p, i / m.Cols, i % m.Cols}] != w {
					t.Fatalf("panel %d pixel %d: %d, want %d", p, i, got[[3]int{p, i / m.Cols, i % m.Cols}], w)
				}
			}
		}
		out, _ := encode(t, m, Options{Format: AreaDetector})
		var file struct {
			Bad []struct{ Pixel, Median [2]int } `json:"Bad pixels"`
		}
		if err := json.Unmarshal(out, &file); err != nil {
			t.Fatal(err)
		}
		rows, cols, masked := flatten(m, nil)
		c := newCanvas(rows, cols)
		for _, b := range file.Bad {
			c.fill(t, b.Pixel[0], b.Pixel[0]+1, b.Pixel[1], b.Pixel[1]+1)
			if b.Median != [2]int{1, 1} {
				t.Fatalf("median %v", b.Median)
			}
		}
		c.equals(t, func(i int) bool { return masked[i] })
	})
}

// TestImagesAreReadBack reads EDF and Fit2D masks back by small readers of their own.
func TestImagesAreReadBack(t *testing.T) {
	eachMask(t, func(t *testing.T, r *rand.Rand, m *Mask) {
		var pic *Picture
		if r.IntN(2) == 1 {
			pic = picture(r, m)
		}
		rows, cols, masked := flatten(m, pic)
		check := func(name string, gotRows, gotCols int, at func(i int) bool) {
			if gotRows != rows || gotCols != cols {
				t.Fatalf("%s: %d x %d, want %d x %d", name, gotRows, gotCols, rows, cols)
			}
			for i := range masked {
				if at(i) != masked[i] {
					t.Fatalf("%s: pixel %d is %v", name, i, at(i))
				}
			}
		}
		b, _ := encode(t, m, Options{Format: EDF, Picture: pic})
		end := bytes.Index(b, []byte("}\n")) + 2
		head := map[string]string{}
		for line := range strings.Lines(string(b[:end])) {
			if key, value, ok := strings.Cut(line, " = "); ok {
				head[key] = strings.TrimSuffix(value, " ;\n")
			}
		}
		if end%512 != 0 || head["EDF_HeaderSize"] != fmt.Sprintf("%5d", end) || head["DataType"] != "UnsignedByte" || len(b) != end+rows*cols {
			t.Fatalf("EDF: %d bytes of header, %q, %d bytes", end, head, len(b))
		}
		w, _ := strconv.Atoi(head["Dim_1"])
		h, _ := strconv.Atoi(head["Dim_2"])
		check("EDF", h, w, func(i int) bool { return b[end+i] != 0 })
		k, _ := encode(t, m, Options{Format: MSK, Picture: pic})
		w, h = int(binary.LittleEndian.Uint32(k[16:])), int(binary.LittleEndian.Uint32(k[20:]))
		line := (w + 31) / 32 * 4
		if len(k) != 1024+h*line {
			t.Fatalf("MSK: %d bytes for %d x %d", len(k), h, w)
		}
		check("MSK", h, w, func(i int) bool {
			word := binary.LittleEndian.Uint32(k[1024+i/w*line+i%w/32*4:])
			return word>>(i%w%32)&1 == 1
		})
	})
}

// TestNPY reads arrays back: shapes, polarity, words, bits of European XFEL.
func TestNPY(t *testing.T) {
	eachMask(t, func(t *testing.T, r *rand.Rand, m *Mask) {
		var flat []uint64
		for _, p := range m.Panels {
			flat = append(flat, p...)
		}
		shape := []int{len(m.Panels), m.Rows, m.Cols}
		if len(m.Panels) == 1 {
			shape = shape[1:]
		}
		for _, opt := range []Options{{Format: NPY}, {Format: NPY, Stack: true}, {Format: NPY, GoodIsOne: true}, {Format: NPY, Words: true}, {Format: EuXFEL}} {
			b, res := encode(t, m, opt)
			a, err := npy.Decode(bytes.NewReader(b), int64(len(b)), "test")
			if err != nil {
				t.Fatal(err)
			}
			want := shape
			if opt.Stack {
				want = []int{len(m.Panels) * m.Rows, m.Cols}
			}
			if !slices.Equal(a.Shape, want) || !slices.Equal(res.Shape, want) {
				t.Fatalf("%+v: shape %v", opt, a.Shape)
			}
			for i, w := range flat {
				bad := w != 0
				switch v := a.Data.(type) {
				case []uint8:
					bad = bad == ((v[i] == 1) != opt.GoodIsOne)
				case []uint64:
					bad = v[i] == w
				case []uint32:
					bad = bad == (v[i] != 0)
				}
				if !bad {
					t.Fatalf("%+v: pixel %d of word %d", opt, i, w)
				}
			}
		}
	})
}

// TestBitsAreThoseOfTheOtherPrograms compares the words of other programs with the table that stands in their documents.
func TestBitsAreThoseOfTheOtherPrograms(t *testing.T) {
	for _, c := range []struct {
		word   uint64
		nx     int32
		cxi    uint16
		euxfel uint32
	}{
		{0, 0, 0, 0},
		{1, 1 << 4, 128 | 1024, 2},
		{2, 1 << 1, 128 | 8, 1 << 14},
		{4, 1 << 3, 128 | 2, 1},
		{8, 1 << 1, 128 | 8, 1},
		{16, 1 << 3, 128 | 4, 1},
		{64, 1 << 4, 128, 1 << 21},
		{128, 1 << 2, 128, 1},
		{1024, 1 << 1, 128 | 512, 8},
		{2048, 1 << 1, 128, 8},
		{4096, 1 << 1, 128, 4},
		{8192, 1<<1 | 1<<6, 128, 1 << 23},
		{32768, 1 << 8, 128, 1 << 30},
		{1 << 40, 1 << 8, 128, 1 << 23},
		{1 | 16, 1<<4 | 1<<3, 128 | 1024 | 4, 3},
	} {
		m := &Mask{Bits: bits}
		k := m.kind(c.word)
		if nxmxWord(c.word, k) != c.nx || cxiWord(c.word, k) != c.cxi || euxfelWord(c.word, k) != c.euxfel {
			t.Errorf("word %d: NXmx %d, CXI %d, EuXFEL %d, wanted %d, %d, %d", c.word, nxmxWord(c.word, k), cxiWord(c.word, k), euxfelWord(c.word, k), c.nx, c.cxi, c.euxfel)
		}
	}
}

// TestOptionsWithoutMeaningAreRefused wants combinations that mean nothing to be refused.
func TestOptionsWithoutMeaningAreRefused(t *testing.T) {
	m := &Mask{Detector: "d", Rows: 2, Cols: 2, Panels: [][]uint64{{0, 1, 0, 0}}}
	pic := &Picture{Rows: 2, Cols: 2, At: []int32{0, 1, 2, 3}}
	for name, opt := range map[string]Options{
		"format": {Format: "png"}, "picture of a list": {Format: List, Picture: pic}, "words of an image": {Format: EDF, Words: true},
		"polarity of words": {Format: NPY, Words: true, GoodIsOne: true}, "geometry file": {Format: XDS, Panels: stacked(m)},
	} {
		if _, err := Write(&bytes.Buffer{}, m, opt); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	pic.At = pic.At[:3]
	if _, err := Write(&bytes.Buffer{}, m, Options{Format: NPY, Picture: pic}); fault.CodeOf(err) != fault.Input {
		t.Errorf("picture of another detector: %v", err)
	}
	if _, err := Write(&bytes.Buffer{}, &Mask{Rows: 2, Cols: 2}, Options{Format: NPY}); fault.CodeOf(err) != fault.Input {
		t.Errorf("no panels: %v", err)
	}
}

// files writes a mask in every format that holds arrays, and the array that a reader has to find.
func files(t *testing.T, m *Mask) string {
	dir := t.TempDir()
	write := func(name string, opt Options) {
		b, _ := encode(t, m, opt)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("words.npy", Options{Format: NPY, Words: true})
	write("mask.npy", Options{Format: NPY})
	write("good.npy", Options{Format: NPY, GoodIsOne: true})
	write("euxfel.npy", Options{Format: EuXFEL})
	write("mask.edf", Options{Format: EDF})
	write("mask.msk", Options{Format: MSK})
	write("nxmx.npy", Options{Format: NXmx, Plain: true})
	write("cxi.npy", Options{Format: CXI, Plain: true})
	write("mask.nxs", Options{Format: NXmx})
	write("mask.cxi", Options{Format: CXI})
	return dir
}

// oneMask is a mask of two panels with every bit of the dictionary.
func oneMask() *Mask {
	m := random(rand.New(rand.NewPCG(7, 18)))
	m.Rows, m.Cols, m.Panels = 33, 70, [][]uint64{make([]uint64, 33*70), make([]uint64, 33*70)}
	for i, b := range bits {
		m.Panels[0][7*i] = b.Value
		m.Panels[1][33*70-1-i] = b.Value | 1<<40
	}
	return m
}

// python runs a script over the files and wants its last word to be fine.
func python(t *testing.T, module, script string) {
	t.Helper()
	py := testenv.Python(t, module)
	out, err := exec.Command(py, "-c", "import sys, numpy as np\nd = sys.argv[1] + '/'\nwords = np.load(d + 'words.npy')\nbad = words != 0\n"+script+"\nprint('fine')", files(t, oneMask())).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "fine\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReadByNumpy wants numpy to read the arrays.
func TestReadByNumpy(t *testing.T) {
	python(t, "numpy", `
assert words.shape == (2, 33, 70) and words.dtype == np.uint64
assert words[0, 0, 7] == 2 and words[1, 32, 69] == 1 | 1 << 40
m = np.load(d + 'mask.npy')
assert m.dtype == np.uint8 and (m == bad).all()
assert (np.load(d + 'good.npy') == ~bad).all()
e = np.load(d + 'euxfel.npy')
assert e.dtype == np.uint32 and ((e != 0) == bad).all()
n = np.load(d + 'nxmx.npy')
assert n.dtype == np.dtype('<i4') and n.shape == (2, 33, 70) and ((n & 0xffff != 0) == bad).all()
c = np.load(d + 'cxi.npy')
assert c.dtype == np.dtype('<u2') and ((c & 128 != 0) == bad).all()`)
}

// TestReadByFabio wants fabio to read the images, and to write the same bytes of a Fit2D mask.
func TestReadByFabio(t *testing.T) {
	python(t, "fabio", `
import fabio
flat = bad.reshape(66, 70)
e = fabio.open(d + 'mask.edf')
assert e.data.shape == (66, 70) and e.data.dtype == np.uint8 and ((e.data != 0) == flat).all()
assert e.header['program_name'] == 'rawstatus', e.header
k = fabio.open(d + 'mask.msk')
assert k.data.shape == (66, 70) and ((k.data != 0) == flat).all()
fabio.fit2dmaskimage.fit2dmaskimage(data=flat.astype('u1')).write(d + 'again.msk')
assert open(d + 'again.msk', 'rb').read() == open(d + 'mask.msk', 'rb').read()`)
}

// TestReadByH5py wants h5py to read the HDF5 files.
func TestReadByH5py(t *testing.T) {
	python(t, "h5py", `
import h5py
f = h5py.File(d + 'mask.nxs', 'r')
p = f['/entry/instrument/detector/pixel_mask']
assert (p[()] == np.load(d + 'nxmx.npy')).all()
assert p.dtype == np.int32 and p.shape == (2, 33, 70) and ((p[()] != 0) == bad).all()
assert f['/entry'].attrs['NX_class'] == b'NXentry' and f['/entry/instrument/detector'].attrs['NX_class'] == b'NXdetector'
assert b'bits: all' in p.attrs['comment']
c = h5py.File(d + 'mask.cxi', 'r')
m = c['/entry_1/instrument_1/detector_1/mask']
assert m.dtype == np.uint16 and ((m[()] != 0) == bad).all() and (m[()][bad] & 128 == 128).all()
assert c['cxi_version'][0] == 160`)
}

// FuzzReadGeometry wants an error or panels from any text.
func FuzzReadGeometry(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	f.Add(geom(r, random(r)))
	f.Add("p0/dim0 = %\np0/dim1 = ss ; x\nbad/min_fs = 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ReadGeometry(strings.NewReader(text), "fuzz")
		if err != nil {
			return
		}
		m := &Mask{Detector: "d", Rows: 8, Cols: 8, Panels: [][]uint64{slices.Repeat([]uint64{1}, 64)}}
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		_ = writeCrystFEL(w, m, g, &Result{}) // refused, or regions of panels that fit
	})
}
