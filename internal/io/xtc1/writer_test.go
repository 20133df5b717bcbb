package xtc1

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	families "rawstatus/internal/detector"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// TestShadowIsThatOfTheOriginal makes smalldata of the sample runs and compares it, byte by byte, with
// the files that the original tool made. Only the source of the leaf with the threshold differs: the
// original leaves it to chance.
func TestShadowIsThatOfTheOriginal(t *testing.T) {
	dir, facts := loadFacts(t)
	done := 0
	for _, fact := range facts {
		path := filepath.Join(dir, fact.File)
		if !strings.HasSuffix(path, ".smd.xtc") {
			continue
		}
		done++
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		threshold := uint32(512) // of later chunks, which do not tell
		if parseXtc(want[headSize:]).id() == idSmlDataConfig {
			threshold = le.Uint32(want[headSize+xtcSize:])
			clear(want[headSize+4 : headSize+12])
			want[headSize+7] = levelRecorder
		}
		f := openFile(t, FileNames.DataPath(path), false)
		data := make([]byte, f.Size)
		if _, err := f.R.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		var big, small bytes.Buffer
		w := NewWriter(&big, &small)
		w.threshold = threshold
		for off := 0; off < len(data); {
			n := rootAt + int(le.Uint32(data[off+headSize-4:]))
			if err := w.Write(data[off : off+n]); err != nil {
				t.Fatal(err)
			}
			off += n
		}
		if !bytes.Equal(small.Bytes(), want) {
			t.Errorf("%s: %d bytes, want %d, or other content", fact.File, small.Len(), len(want))
		}
		if !bytes.Equal(big.Bytes(), data) {
			t.Errorf("%s: the data file is not what was written", fact.File)
		}
	}
	if done == 0 {
		t.Error("no smalldata file among the samples")
	}
}

// run writes a run of some files into memory.
type run struct {
	t     testing.TB
	d     Draft
	files []*File
	w     *Writer
	data  []*bytes.Buffer
	small []*bytes.Buffer
	fid   uint32
	ts    uint64
}

// newRun starts a run; times count up by 1/120 s with every datagram, fiducials by three.
func newRun(t testing.TB) *run { return &run{t: t, ts: 1464000000 << 32, fid: 300} }

// file starts the next file of the run.
func (r *run) file(stream, chunk int) {
	r.data, r.small = append(r.data, &bytes.Buffer{}), append(r.small, &bytes.Buffer{})
	n := len(r.data) - 1
	r.w = NewWriter(r.data[n], r.small[n])
	name := FileNames.Format(rawrun.Name{Experiment: "tstx00117", Run: 9, Stream: stream, Chunk: chunk})
	r.files = append(r.files, &File{File: frame.File{Path: "/tst/" + name, Stream: stream, Chunk: chunk}})
}

func (r *run) begin(tr Transition, env uint32, damage uint32) {
	r.ts += 8333333
	if r.ts&0xffffffff >= 1e9 {
		r.ts += 1<<32 - 1e9
	}
	r.fid = (r.fid + 3) % fiducialWrap
	r.d.Begin(tr, r.ts, r.fid, env, damage)
}

func (r *run) end() {
	if err := r.w.Write(r.d.Bytes()); err != nil {
		r.t.Fatal(err)
	}
}

// put writes one datagram with one container of a readout node.
func (r *run) put(tr Transition, fill func(*Draft)) {
	env := uint32(1)
	if tr == BeginRun {
		env = 9
	}
	r.begin(tr, env, 0)
	r.d.Open(Node(levelSegment, 2002, 0x7f000001), 0)
	if fill != nil {
		fill(&r.d)
	}
	r.end()
}

// open returns the files for reading, with smalldata or without.
func (r *run) open(small bool) []*File {
	for i, f := range r.files {
		f.R, f.Size = bytes.NewReader(r.data[i].Bytes()), int64(r.data[i].Len())
		f.Small = nil
		if small {
			f.Small = &File{File: frame.File{Path: FileNames.SmallPath(f.Path), Size: int64(r.small[i].Len())}, R: bytes.NewReader(r.small[i].Bytes())}
		}
	}
	return r.files
}

// pixels decodes one frame.
func (r *run) pixels(x *frame.Index, event, panel int) []uint16 {
	r.t.Helper()
	e := x.At(event, panel)
	px := make([]uint16, x.Panels[panel].Pixels())
	raw := r.data[e.File].Bytes()[e.Offset:][:e.Length]
	if err := codec.Decode(x.Panels[panel], px, raw); err != nil {
		r.t.Fatal(err)
	}
	return px
}

func model(t testing.TB, source string, panels, rows, cols int) *Model {
	t.Helper()
	m, err := NewModel(source, panels, rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ramp fills a panel with numbers that tell event, panel and pixel apart.
func ramp(event int) func(dst []byte, panel int) {
	return func(dst []byte, panel int) {
		for i := range len(dst) / 2 {
			binary.LittleEndian.PutUint16(dst[2*i:], rampAt(event, panel, i))
		}
	}
}

func rampAt(event, panel, i int) uint16 { return uint16(1000*event + 300*panel + i) }

// cycle writes a calib cycle with events of the models.
func (r *run) cycle(first, events int, mode string, models ...*Model) {
	r.put(BeginCalibCycle, func(d *Draft) {
		for _, m := range models {
			m.PutConfig(d, mode)
		}
	})
	r.put(Enable, nil)
	for e := range events {
		r.put(L1Accept, func(d *Draft) {
			for _, m := range models {
				m.PutFrame(d, first+e, 0, ramp(first+e))
			}
		})
	}
	r.put(Disable, nil)
	r.put(EndCalibCycle, nil)
}

// models are one of each kind that can be written.
var modelCases = []struct {
	source             string
	panels, rows, cols int
	modes              []string
}{
	{"XcsEndstation.0:Epix100a.1", 0, 0, 0, nil},
	{"XppGon.0:Epix100a.2", 1, 7, 9, nil},
	{"CxiDs1.0:Jungfrau.0", 3, 16, 8, []string{"g0", "g1", "g2"}},
	{"MfxEndstation.0:Epix10kaQuad.3", 0, 0, 0, []string{"FH", "FM", "FL", "AHL-H", "AML-M"}},
	{"MfxEndstation.0:Epix10ka2M.0", 0, 0, 0, []string{"AML-M", "FL"}},
	{"XppEndstation.0:Opal1000.1", 0, 5, 7, nil},
}

// TestEachKindOfDetectorIsReadAsWritten writes a run with each kind of detector, a cycle for each gain mode, and reads it.
func TestEachKindOfDetectorIsReadAsWritten(t *testing.T) {
	for _, c := range modelCases {
		t.Run(c.source, func(t *testing.T) {
			m := model(t, c.source, c.panels, c.rows, c.cols)
			modes := c.modes
			if modes == nil {
				modes = []string{""}
			}
			r := newRun(t)
			r.file(0, 0)
			r.put(Configure, func(d *Draft) { m.PutConfig(d, modes[0]) })
			r.put(BeginRun, nil)
			for i, mode := range modes {
				r.cycle(2*i, 2, mode, m)
			}
			r.put(EndRun, nil)
			x := index(t, rawrun.Options{}, r.open(true)...)
			if len(x.Missing)+len(x.Notes) > 0 {
				t.Errorf("missing %v, notes %v", x.Missing, x.Notes)
			}
			if len(x.Panels) != m.Panels || len(x.Steps) != len(modes) || len(x.Events) != 2*len(modes) || x.Run.Number != 9 || x.Run.Experiment != "tstx00117" {
				t.Fatalf("%d panels, %d steps, %d events, run %+v", len(x.Panels), len(x.Steps), len(x.Events), x.Run)
			}
			for i, p := range x.Panels {
				if p.ID != m.PanelIDs()[i] || p.Detector != c.source || p.Type != m.Type() || p.Rows != m.Rows || p.Cols != m.Cols || p.Segment != i {
					t.Errorf("panel %+v of %+v, id %s", p, m, m.PanelIDs()[i])
				}
			}
			for i, s := range x.Steps {
				for p, setting := range settings(s) {
					if !sameMode(setting, modes[i]) {
						t.Errorf("step %d panel %d: setting %q, want %q", i, p, setting, modes[i])
					}
				}
				if s.Number != i || s.Events != 2 || s.Begin == 0 || len(s.Gains) != m.Panels {
					t.Errorf("step %+v", s)
				}
			}
			for e := range x.Events {
				if int(x.Events[e].Step) != e/2 {
					t.Errorf("event %d in step %d", e, x.Events[e].Step)
				}
				for p := range x.Panels {
					if st := x.At(e, p).State; st != frame.Present {
						t.Fatalf("event %d panel %d is %v", e, p, st)
					}
					for i, v := range r.pixels(x, e, p) {
						if v != rampAt(e, p, i) {
							t.Fatalf("event %d panel %d pixel %d is %d, want %d", e, p, i, v, rampAt(e, p, i))
						}
					}
				}
			}
		})
	}
}

// TestModelSizes compares sizes of objects with those of the original library.
func TestModelSizes(t *testing.T) {
	for source, want := range map[string][2]int{
		"XcsEndstation.0:Epix100a.1":       {1083468, 1090604},
		"XcsEndstation.0:Epix10kaQuad.0":   {1087292, 1099812},
		"MfxEndstation.0:Epix10ka2M.0":     {4349144, 4399236},
		"MfxEndstation.0:Jungfrau.0":       {828, 16 + 20 + 1<<20},
		"XppEndstation.0:ControlsCamera.0": {28, 16 + 2<<20},
	} {
		m := model(t, source, 0, 0, 0)
		if got := [2]int{len(m.kind.configure(m, "")), m.frameSize()}; got != want {
			t.Errorf("%s: configuration and frame have %d bytes, want %d", source, got, want)
		}
	}
	for _, bad := range []struct {
		source string
		n, r   int
	}{{"XppGon.0:Timepix.0", 1, 1}, {"XppGon:Epix100a.0", 1, 1}, {"Nowhere.0:Epix100a.0", 1, 1}, {"XppGon.300:Epix100a.0", 1, 1},
		{"XppGon.0:Epix100a.0", 2, 1}, {"XppGon.0:Jungfrau.0", 33, 1}, {"XppGon.0:Epix10ka2M.0", 16, 10}, {"XppGon.0:Jungfrau.0", 2, -1}} {
		if _, err := NewModel(bad.source, bad.n, bad.r, 0); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if _, err := BuildIndex(context.Background(), rawrun.Request{}, rawrun.Options{}); err == nil {
		t.Error("no files make an index")
	}
}

// settings are the gain settings of all panels in a step, from the configurations.
func settings(s frame.Step) (list []string) {
	for _, g := range s.Gains {
		list = append(list, g.Config)
	}
	return list
}

// sameMode reports whether a setting is that of a gain mode.
func sameMode(setting, mode string) bool {
	for _, typ := range []string{"jungfrau", "epix10ka"} {
		f, _ := families.Lookup(typ)
		if i := f.SettingIndex(setting); i >= 0 {
			return f.Settings[i].Modes[0] == mode
		}
	}
	return setting == mode
}
