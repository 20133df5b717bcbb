package xtc2

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/testenv"
)

// facts is XTC2_FACTS.json: what an independent parser, checked against the original library, found.
type facts struct {
	Files         []fileFacts              `json:"files"`
	Frames        map[string]frameFacts    `json:"frames"`
	EventBuilding map[string]buildingFacts `json:"event_building"`
	Synth         map[string]synthFacts    `json:"synth"`
}

type fileFacts struct {
	File        string         `json:"file"`
	Size        int64          `json:"size"`
	SHA256      string         `json:"sha256"`
	Dgrams      int            `json:"dgrams"`
	Transitions map[string]int `json:"transitions"`
	L1          int            `json:"l1"`
	Configures  int            `json:"configures"`
	Contains    map[string]int `json:"root_contains"`
	OddSized    int            `json:"odd_sized_dgrams"`
	Unaligned   int            `json:"unaligned_dgram_offsets"`
	Damage      map[string]int `json:"dgram_damage"`
	Order       map[string]int `json:"shapesdata_order"`
	Trailing    map[string]int `json:"shapes_trailing_bytes"`
	BeginRuns   []beginFacts   `json:"beginruns"`
	FirstL1     *string        `json:"first_l1"`
	LastL1      *string        `json:"last_l1"`
	FirstL1TS   *uint64        `json:"first_l1_64"`
	LastL1TS    *uint64        `json:"last_l1_64"`
	Problems    []string       `json:"problems"`
	Detectors   map[string]struct {
		Type     string            `json:"type"`
		Segments map[string]string `json:"segments"`
		Algs     map[string]struct {
			Version  string   `json:"version"`
			Segments []int    `json:"segments"`
			NamesIDs []string `json:"namesids"`
		} `json:"algs"`
	} `json:"detectors"`
	Arrays []arrayFacts `json:"arrays"`
}

type beginFacts struct {
	TS     string  `json:"ts"`
	TS64   uint64  `json:"ts64"`
	UTC    string  `json:"utc"`
	Expt   *string `json:"expt"`
	RunNum *int    `json:"runnum"`
}

type arrayFacts struct {
	Det              string    `json:"det"`
	Alg              string    `json:"alg"`
	Field            string    `json:"field"`
	Segment          int       `json:"segment"`
	Events           int       `json:"events"`
	Shapes           [][]int   `json:"shapes"`
	DType            string    `json:"dtype"`
	Min              float64   `json:"min"`
	Max              float64   `json:"max"`
	Mean             float64   `json:"mean"`
	Sum              float64   `json:"sum"`
	SHA256           string    `json:"sha256"`
	SHA256FirstEvent string    `json:"sha256_first_event"`
	First            []float64 `json:"first"`
}

type frameFacts struct {
	Detector string   `json:"detector"`
	Segments []int    `json:"segments"`
	PanelIDs []string `json:"panel_ids"`
	Shape    []int    `json:"shape"`
	DType    string   `json:"dtype"`
	SHA256   string   `json:"sha256"`
	Events   []struct {
		TS64   uint64 `json:"ts64"`
		Panels []struct {
			Shape        []int    `json:"shape"`
			DType        string   `json:"dtype"`
			SHA256       string   `json:"sha256"`
			Min          uint16   `json:"min"`
			Max          uint16   `json:"max"`
			Mean         float64  `json:"mean"`
			Sum          uint64   `json:"sum"`
			First        []uint16 `json:"first"`
			Last         []uint16 `json:"last"`
			Bits         []int    `json:"bits_15_14"`
			SHA256Masked string   `json:"sha256_masked_0x3fff"`
		} `json:"panels"`
	} `json:"events"`
}

type buildingFacts struct {
	Streams     int            `json:"streams"`
	Events      int            `json:"events"`
	L1PerStream []int          `json:"l1_per_stream"`
	AllStreams  int            `json:"events_with_all_streams"`
	Transitions map[string]int `json:"transitions"`
}

type synthFacts struct {
	SHA256     string         `json:"sha256"`
	Size       int64          `json:"size"`
	Datagrams  int            `json:"datagrams"`
	Shape      []int          `json:"shape"`
	Segments   []int          `json:"segments"`
	TS64       []uint64       `json:"ts64"`
	Step       []int32        `json:"step"`
	Missing    [][]int        `json:"missing"`
	Damage     [][]uint16     `json:"damage"`
	Reject     [][]int        `json:"reject"`
	Problems   []string       `json:"problems"`
	Notes      map[string]int `json:"notes"`
	FirstPixel [][]uint16     `json:"first_pixel"`
	SHA256Raw  string         `json:"sha256_raw"`
}

// loadFacts reads the facts, strictly: a field that no test knows is an error.
func loadFacts(t *testing.T) (f facts, data string) {
	t.Helper()
	shared := testenv.Shared(t)
	b, err := os.ReadFile(filepath.Join(shared, "spec", "XTC2_FACTS.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Files) != 19 || len(f.Frames) != 2 || len(f.EventBuilding) != 4 || len(f.Synth) != 24 {
		t.Fatalf("%d files, %d camera files, %d runs, %d synthetic files", len(f.Files), len(f.Frames), len(f.EventBuilding), len(f.Synth))
	}
	return f, filepath.Join(shared, "data")
}

// memFile makes a File of bytes.
func memFile(path string, b []byte) *File {
	f := &File{File: frame.File{Path: path, Size: int64(len(b))}, R: bytes.NewReader(b)}
	if n, ok := FileNames.Parse(filepath.Base(path)); ok {
		f.Stream, f.Chunk = n.Stream, n.Chunk
	}
	return f
}

// readFile loads a file.
func readFile(path string) (*File, error) {
	b, err := os.ReadFile(path)
	return memFile(path, b), err
}

func mustRead(t testing.TB, path string) *File {
	t.Helper()
	f, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// streamOf is the request for the stream of a file, with its smalldata file if there is one.
func streamOf(t testing.TB, path string) rawrun.Request {
	t.Helper()
	return load(t, FileNames.Named([]string{path}))
}

// runOf is the request for all streams of a run in a directory.
func runOf(t testing.TB, dir, exp string, run int) rawrun.Request {
	t.Helper()
	files, err := FileNames.Find(dir, exp, run, nil)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of %s run %d in %s: %v", exp, run, dir, err)
	}
	req := load(t, files)
	req.Experiment, req.Run = exp, run
	return req
}

// load reads files into memory.
func load(t testing.TB, files []*File) rawrun.Request {
	t.Helper()
	for _, f := range files {
		if f.Size >= 0 {
			g := mustRead(t, f.Path)
			f.R, f.Size = g.R, g.Size
		}
		if f.Small != nil {
			f.Small = mustRead(t, f.Small.Path)
		}
	}
	return rawrun.Request{Files: files, Open: func(beside *File, name string) (*File, error) {
		return readFile(filepath.Join(filepath.Dir(beside.Path), name))
	}}
}

func build(t testing.TB, req rawrun.Request, opt rawrun.Options) *frame.Index {
	t.Helper()
	x, err := BuildIndex(context.Background(), req, opt)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func sum256(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// equal reports a difference.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

func dotted(ts uint64) *string {
	s := fmt.Sprintf("%d.%09d", ts>>32, uint32(ts))
	return &s
}

// stacked collects one array field of all events.
type stacked struct {
	arrayFacts
	bytes []byte
	elem  Value
	first int // bytes of the first event
}

// gatherArrays adds the arrays of rank 2 and more of an event.
func gatherArrays(list []*stacked, d *Datagram) []*stacked {
	for i := range d.Blocks {
		b := &d.Blocks[i]
		for k, f := range b.Names.Fields {
			v, ok := b.Value(k)
			if f.Rank < 2 || f.Type > Double || !ok {
				continue
			}
			n := slices.IndexFunc(list, func(s *stacked) bool {
				return s.Det == b.Names.DetName && s.Alg == b.Names.Alg && s.Field == f.Name && s.Segment == b.Names.Segment
			})
			if n < 0 {
				n = len(list)
				list = append(list, &stacked{elem: v, first: len(v.Bytes), arrayFacts: arrayFacts{
					Det: b.Names.DetName, Alg: b.Names.Alg, Field: f.Name, Segment: b.Names.Segment, Shapes: [][]int{v.Dims},
					DType: map[ValueType]string{UInt8: "uint8", UInt16: "uint16", Float: "float32"}[f.Type],
				}})
			}
			s := list[n]
			s.Events++
			s.bytes = append(s.bytes, v.Bytes...)
			if !slices.ContainsFunc(s.Shapes, func(sh []int) bool { return slices.Equal(sh, v.Dims) }) {
				s.Shapes = append(s.Shapes, v.Dims)
			}
		}
	}
	return list
}

// finish computes the statistics.
func (s *stacked) finish() arrayFacts {
	f := s.arrayFacts
	size := s.elem.Field.Type.Size()
	f.Min, f.Max = math.Inf(1), math.Inf(-1)
	n := 0
	for at := 0; at < len(s.bytes); at += size {
		var v float64
		switch s.elem.Field.Type {
		case UInt8:
			v = float64(s.bytes[at])
		case UInt16:
			v = float64(binary.LittleEndian.Uint16(s.bytes[at:]))
		case Float:
			v = float64(math.Float32frombits(binary.LittleEndian.Uint32(s.bytes[at:])))
		}
		f.Min, f.Max, f.Sum = min(f.Min, v), max(f.Max, v), f.Sum+v
		if n < 4 {
			f.First = append(f.First, v)
		}
		n++
	}
	f.Mean = f.Sum / float64(n)
	f.SHA256, f.SHA256FirstEvent = sum256(s.bytes), sum256(s.bytes[:s.first])
	return f
}

// scanFacts reads a file with Scan and states what the facts state.
func scanFacts(t *testing.T, path, name string) fileFacts {
	t.Helper()
	f := mustRead(t, path)
	b, _ := os.ReadFile(path)
	got := fileFacts{File: name, Size: f.Size, SHA256: sum256(b), Transitions: map[string]int{}, Contains: map[string]int{}, Damage: map[string]int{},
		Order: map[string]int{}, Trailing: map[string]int{}, Problems: []string{}, BeginRuns: []beginFacts{}, Arrays: []arrayFacts{}}
	var arrays []*stacked
	next := ""
	visit := func(main bool) func(d *Datagram) error {
		return func(d *Datagram) error {
			if n, _, ok := d.chunkInfo(); ok && main {
				next = n
			}
			if d.Service().IsEvent() {
				arrays = gatherArrays(arrays, d)
			}
			if main {
				got.add(d)
			}
			return d.Problem
		}
	}
	table, err := Scan(f, nil, visit(true))
	if err != nil {
		t.Fatal(err)
	}
	if next != "" && !strings.Contains(path, ".smd.") {
		if _, err := Scan(mustRead(t, filepath.Join(filepath.Dir(path), next)), table, visit(false)); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range arrays {
		got.Arrays = append(got.Arrays, a.finish())
	}
	got.addTable(t, table)
	return got
}

func (got *fileFacts) add(d *Datagram) {
	got.Dgrams++
	got.Transitions[d.Service().String()]++
	got.Contains[fmt.Sprintf("0x%x", d.Contains())]++
	got.OddSized += int(d.Size() & 1)
	if d.Offset%4 != 0 {
		got.Unaligned++
	}
	if d.Damage() != 0 {
		got.Damage[fmt.Sprintf("0x%x", d.Damage())]++
	}
	for _, id := range d.Unknown {
		got.Problems = append(got.Problems, fmt.Sprintf("ShapesData with unknown NamesId 0x%x", id))
	}
	for i := range d.Blocks {
		order := "SD"
		if d.Blocks[i].DataFirst {
			order = "DS"
		}
		got.Order[order]++
		got.Trailing[strconv.Itoa(d.Blocks[i].Trailing)]++
	}
	switch d.Service() {
	case Configure:
		got.Configures++
	case BeginRun:
		r := beginFacts{TS: *dotted(d.TS), TS64: d.TS, UTC: Time(d.TS).Format("2006-01-02T15:04:05.000000Z")}
		if e, n, ok := d.runInfo(); ok {
			r.Expt, r.RunNum = &e, &n
		}
		got.BeginRuns = append(got.BeginRuns, r)
	case L1Accept:
		ts := d.TS
		if got.L1++; got.FirstL1 == nil {
			got.FirstL1, got.FirstL1TS = dotted(ts), &ts
		}
		got.LastL1, got.LastL1TS = dotted(ts), &ts
	}
}

func (got *fileFacts) addTable(t *testing.T, table *Table) {
	t.Helper()
	// through JSON, because the facts have anonymous structures
	type alg struct {
		Version  string   `json:"version"`
		Segments []int    `json:"segments"`
		NamesIDs []string `json:"namesids"`
	}
	type det struct {
		Type     string            `json:"type"`
		Segments map[string]string `json:"segments"`
		Algs     map[string]*alg   `json:"algs"`
	}
	dets := map[string]*det{}
	for _, n := range table.List {
		d := dets[n.DetName]
		if d == nil {
			d = &det{Type: n.DetType, Segments: map[string]string{}, Algs: map[string]*alg{}}
			dets[n.DetName] = d
		}
		if _, ok := d.Segments[strconv.Itoa(n.Segment)]; !ok {
			d.Segments[strconv.Itoa(n.Segment)] = n.DetID
		}
		a := d.Algs[n.Alg]
		if a == nil {
			a = &alg{Version: n.Version.String()}
			d.Algs[n.Alg] = a
		}
		a.Segments = append(a.Segments, n.Segment)
		a.NamesIDs = append(a.NamesIDs, fmt.Sprintf("0x%x", n.ID))
		arrays := 0
		for _, f := range n.Fields {
			if f.Rank > 0 {
				arrays++
			}
		}
		equal(t, "numArrays of "+n.DetName, n.NumArrays, arrays)
	}
	b, err := json.Marshal(dets)
	if err == nil {
		err = json.Unmarshal(b, &got.Detectors)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFactsOfFiles reads every datagram, Names and array of the real files.
func TestFactsOfFiles(t *testing.T) {
	all, data := loadFacts(t)
	for _, want := range all.Files {
		t.Run(want.File, func(t *testing.T) {
			got := scanFacts(t, filepath.Join(data, want.File), want.File)
			if len(got.Arrays) != len(want.Arrays) {
				t.Fatalf("%d arrays, want %d", len(got.Arrays), len(want.Arrays))
			}
			for i := range got.Arrays {
				g, w := &got.Arrays[i], want.Arrays[i]
				if !near(g.Sum, w.Sum) || !near(g.Mean, w.Mean) {
					t.Errorf("%s %s: sum %v mean %v, want %v %v", w.Det, w.Field, g.Sum, g.Mean, w.Sum, w.Mean)
				}
				g.Sum, g.Mean = w.Sum, w.Mean // to rounding
			}
			if !reflect.DeepEqual(got, want) {
				g, _ := json.Marshal(got)
				w, _ := json.Marshal(want)
				t.Errorf("got\n%s\nwant\n%s", g, w)
			}
		})
	}
}

// pixels returns the pixels of a frame as the index says, from the file it names.
func pixels(t *testing.T, x *frame.Index, event, panel int) []byte {
	t.Helper()
	e, p := x.At(event, panel), x.Panels[panel]
	f := mustRead(t, x.Files[e.File].Path)
	if e.Length != uint32(2*p.Pixels()) {
		t.Fatalf("event %d %v: %d bytes for %d x %d pixels", event, p, e.Length, p.Rows, p.Cols)
	}
	b := make([]byte, e.Length)
	if _, err := f.R.ReadAt(b, e.Offset); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFactsOfFrames indexes the camera files and reads every frame by its extent.
func TestFactsOfFrames(t *testing.T) {
	all, data := loadFacts(t)
	for name, want := range all.Frames {
		t.Run(name, func(t *testing.T) {
			x := build(t, streamOf(t, filepath.Join(data, name)), rawrun.Options{})
			equal(t, "detectors", x.Detectors(), []string{want.Detector})
			equal(t, "missing", x.Missing, []string(nil))
			equal(t, "shape", []int{len(x.Events), len(x.Panels), x.Panels[0].Rows, x.Panels[0].Cols}, want.Shape)
			for p, panel := range x.Panels {
				equal(t, "segment", panel.Segment, want.Segments[p])
				equal(t, "id", panel.ID, want.PanelIDs[p])
				equal(t, "codec", panel.Codec, frame.Identity)
			}
			var whole []byte
			for e, event := range x.Events {
				equal(t, "time-stamp", event.TS, want.Events[e].TS64)
				for p := range x.Panels {
					equal(t, "state", x.At(e, p).State, frame.Present)
					equal(t, "damage", x.At(e, p).Damage, uint16(0))
					b, w := pixels(t, x, e, p), want.Events[e].Panels[p]
					whole = append(whole, b...)
					px := make([]uint16, len(b)/2)
					for i := range px {
						px[i] = binary.LittleEndian.Uint16(b[2*i:])
					}
					equal(t, "shape", []int{x.Panels[p].Rows, x.Panels[p].Cols}, w.Shape)
					equal(t, "sha256", sum256(b), w.SHA256)
					equal(t, "first", px[:6], w.First)
					equal(t, "last", px[len(px)-4:], w.Last)
					equal(t, "min", slices.Min(px), w.Min)
					equal(t, "max", slices.Max(px), w.Max)
					sum, bits := uint64(0), make([]int, 4)
					for i, v := range px {
						sum += uint64(v)
						bits[v>>14]++
						binary.LittleEndian.PutUint16(b[2*i:], v&0x3fff)
					}
					equal(t, "sum", sum, w.Sum)
					equal(t, "bits", bits, w.Bits)
					equal(t, "masked", sum256(b), w.SHA256Masked)
					if mean := float64(sum) / float64(len(px)); math.Abs(mean-w.Mean) > 1e-6 {
						t.Errorf("mean %v, want %v", mean, w.Mean)
					}
				}
			}
			equal(t, "sha256 of all", sum256(whole), want.SHA256)
		})
	}
}

// TestFactsOfRuns builds events from all streams of each run, with and without smalldata.
func TestFactsOfRuns(t *testing.T) {
	all, data := loadFacts(t)
	for name, want := range all.EventBuilding {
		for _, noSmalldata := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/nosmd=%v", filepath.Base(name), noSmalldata), func(t *testing.T) {
				req := runOf(t, filepath.Join(data, name), "xpptut15", 14)
				b := &builder{req: req, opt: rawrun.Options{Reads: 4, NoSmalldata: noSmalldata}, slots: make(chan struct{}, 4), layouts: layouts{ids: map[layout]uint32{}}}
				var scans []*scan
				l1 := []int{}
				streams, err := rawrun.Streams(req.Files)
				if err != nil {
					t.Fatal(err)
				}
				b.streams = len(streams)
				for _, s := range streams {
					if s.Small() == nil {
						t.Fatal("no smalldata file")
					}
					sc := &scan{b: b, stream: s}
					if err := sc.run(context.Background()); err != nil {
						t.Fatal(err)
					}
					equal(t, "notes", sc.notes, []string(nil))
					equal(t, "missing", sc.missing, []string(nil))
					n := 0
					for _, e := range sc.entries {
						if e.service.IsEvent() {
							n++
						}
					}
					l1 = append(l1, n)
					scans = append(scans, sc)
				}
				equal(t, "streams", len(scans), want.Streams)
				equal(t, "events of each stream", l1, want.L1PerStream)
				events, complete, others := 0, 0, map[string]int{}
				configured := 0
				for _, r := range merge(scans) {
					equal(t, "notes", r.notes, []string(nil))
					for _, g := range r.groups {
						switch {
						case g.service == Configure:
							configured++
						case g.service.IsEvent():
							if events++; len(g.members) == len(scans) {
								complete++
							}
						default:
							others[g.service.String()]++
						}
					}
				}
				equal(t, "events", events, want.Events)
				equal(t, "events in all streams", complete, want.AllStreams)
				// of these each run has its own: Configures are repeated where none begins a run, and
				// what ends a run or lies between runs is in none, nor are SlowUpdates
				for _, s := range []Service{Configure, EndRun, Unconfigure, SlowUpdate} {
					delete(others, s.String())
					delete(want.Transitions, s.String())
				}
				equal(t, "transitions", others, want.Transitions)
			})
		}
	}
}

// TestSmalldataIsNeverSeen wants the same index with and without smalldata files.
func TestSmalldataIsNeverSeen(t *testing.T) {
	_, data := loadFacts(t)
	dir := t.TempDir()
	link := func(file, as, smd string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(data, "xtc2", smd))
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, "smalldata"), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "smalldata", filepath.Base(smd)), b, 0o644)
		}
		if err == nil {
			err = os.Symlink(filepath.Join(data, "xtc2", file), filepath.Join(dir, as))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	link("epix.xtc2", "ueddaq02-r0109-s000-c000.xtc2", "ueddaq02/xtc/smalldata/ueddaq02-r0109-s000-c000.smd.xtc2")
	link("jf05m.xtc2", "mfx101332224-r0007-s001-c000.xtc2", "mfx101332224/xtc/smalldata/mfx101332224-r0007-s001-c000.smd.xtc2")
	for _, req := range []rawrun.Request{
		runOf(t, dir, "ueddaq02", 109), runOf(t, dir, "mfx101332224", 7),
		runOf(t, filepath.Join(data, "xtc2/chunking"), "xpptut15", 14), runOf(t, filepath.Join(data, "xtc2/intg_det"), "xpptut15", 14),
		runOf(t, filepath.Join(data, "xtc2/mixed_rate"), "xpptut15", 14),
	} {
		with, without := build(t, req, rawrun.Options{}), build(t, req, rawrun.Options{NoSmalldata: true})
		if !reflect.DeepEqual(with, without) {
			t.Errorf("%s run %d: with smalldata\n%+v\nwithout\n%+v", req.Experiment, req.Run, with, without)
		}
		if len(with.Events) == 0 || len(with.Missing) > 0 {
			t.Errorf("%s run %d: %d events, missing %v", req.Experiment, req.Run, len(with.Events), with.Missing)
		}
	}
}

// TestFactsOfCornerCases indexes the synthetic files.
func TestFactsOfCornerCases(t *testing.T) {
	all, data := loadFacts(t)
	checked := 0
	for _, name := range slices.Sorted(maps.Keys(all.Synth)) {
		want := all.Synth[name]
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(data, "xtc2", "synth", name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "size", int64(len(b)), want.Size)
			equal(t, "sha256", sum256(b), want.SHA256)
			datagrams := 0
			_, scanErr := Scan(memFile(path, b), nil, func(*Datagram) error { datagrams++; return nil })
			equal(t, "datagrams", datagrams, want.Datagrams)
			checkProblems(t, scanErr, want.Problems)
			if n, ok := FileNames.Parse(name); ok && (n.Stream > 0 || n.Chunk > 0) {
				return // second file of a pair
			}
			req := streamOf(t, path)
			if n, ok := FileNames.Parse(name); ok {
				req = runOf(t, filepath.Dir(path), n.Experiment, n.Run)
			}
			if want.Shape == nil {
				_, err := BuildIndex(context.Background(), req, rawrun.Options{})
				if err == nil || (len(want.Problems) > 0) != isProblem(err) {
					t.Errorf("error %v", err)
				}
				return
			}
			compareSynth(t, req, want)
			checked++
		})
	}
	if checked != 20 {
		t.Errorf("%d files indexed", checked)
	}
}

// checkProblems compares the error that ended a file with the facts, which begin with its offset.
func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var e *cursor.Error
	switch {
	case len(want) == 0:
		equal(t, "error", err, nil)
	case !errors.As(err, &e):
		t.Errorf("error %v, want one of kind %v", err, want)
	default:
		offset, _, ok := strings.Cut(want[0], ": ")
		if !ok {
			offset = "0" // in the first datagram
		}
		equal(t, "offset of "+want[0], fmt.Sprint(e.Offset), offset)
		if e.File == "" || e.What == "" || e.Want == "" || e.Got == "" {
			t.Errorf("%+v", e)
		}
	}
}

// compareSynth indexes every run of the request and compares them, one after the other, with facts
// that count all runs as one.
func compareSynth(t *testing.T, req rawrun.Request, want synthFacts) {
	t.Helper()
	var runs []*frame.Index
	x, err := BuildIndex(context.Background(), req, rawrun.Options{})
	if err == nil {
		runs = append(runs, x)
	} else { // several runs in the file
		for _, n := range []int{7, 8} {
			req.RunInFile = n
			runs = append(runs, build(t, req, rawrun.Options{}))
		}
	}
	event, firstStep, whole := 0, int32(0), []byte(nil)
	for _, x := range runs {
		for e := range x.Events {
			equal(t, "time-stamp", x.Events[e].TS, want.TS64[event])
			equal(t, "step", x.Events[e].Step+firstStep, want.Step[event])
			for k, seg := range want.Segments {
				ext := frame.Extent{State: frame.Missing}
				p := slices.IndexFunc(x.Panels, func(p frame.Panel) bool { return p.Detector == "tdet" && p.Segment == seg })
				if p >= 0 {
					ext = *x.At(e, p)
					equal(t, "shape", []int{x.Panels[p].Rows, x.Panels[p].Cols}, want.Shape[2:])
					equal(t, "id", x.Panels[p].ID, fmt.Sprintf("id-%d", seg))
				}
				at := fmt.Sprintf("event %d segment %d: ", event, seg)
				equal(t, at+"missing", ext.Length == 0, want.Missing[event][k] == 1)
				equal(t, at+"damage", ext.Damage, want.Damage[event][k])
				equal(t, at+"reject", ext.State != frame.Present, want.Reject[event][k] == 1)
				b := make([]byte, 2*want.Shape[2]*want.Shape[3])
				if ext.Length > 0 {
					b = pixels(t, x, e, p)
				}
				equal(t, at+"first pixel", binary.LittleEndian.Uint16(b), want.FirstPixel[event][k])
				whole = append(whole, b...)
			}
			event++
		}
		firstStep += int32(len(x.Steps))
		equal(t, "missing", len(x.Missing), len(want.Problems))
		for note := range want.Notes {
			if !slices.ContainsFunc(x.Notes, func(s string) bool { return strings.Contains(s, note) }) {
				t.Errorf("no note %q in %q", note, x.Notes)
			}
		}
	}
	equal(t, "shape", []int{event, len(want.Segments)}, want.Shape[:2])
	equal(t, "sha256", sum256(whole), want.SHA256Raw)
}
