package xtc1

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/testenv"
)

// sampleRun opens the sample run of several streams and chunks.
func sampleRun(t testing.TB, small bool, keep func(int) bool) []*File {
	t.Helper()
	dir := filepath.Join(testenv.Shared(t), "data/xtc1/xpp/xppx00123/xtc")
	found, err := FileNames.Find(dir, "xppx00123", 5, keep)
	if err != nil {
		t.Fatal(err)
	}
	var files []*File
	for _, f := range found {
		if f.Small.Path != FileNames.SmallPath(f.Path) || FileNames.DataPath(f.Small.Path) != f.Path {
			t.Errorf("smalldata of %q is %q", f.Path, f.Small.Path)
		}
		files = append(files, openFile(t, f.Path, small))
	}
	return files
}

// TestRunTree reads the sample run and compares events, steps, streams and pixels with what was given
// to the original library for writing.
func TestRunTree(t *testing.T) {
	for _, small := range []bool{true, false} {
		x := index(t, rawrun.Options{}, sampleRun(t, small, nil)...)
		if len(x.Missing)+len(x.Notes) > 0 {
			t.Errorf("missing %v, notes %v", x.Missing, x.Notes)
		}
		dir := filepath.Join(testenv.Shared(t), "data/xtc1/xpp/xppx00123")
		load := func(name string) any {
			a, err := npy.Read(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return a.Data
		}
		meta, opal, slow := load("expected_meta.npy").([]int32), load("expected_opal.npy").([]uint16), load("expected_ctl.npy").([]uint16)
		if len(x.Events) != len(meta)/6 || len(x.Panels) != 2 || x.Panels[0].Detector != "XppEndstation.0:Opal1000.1" {
			t.Fatalf("%d events, panels %v", len(x.Events), x.Panels)
		}
		if got := x.Run.Begin.UnixNano(); got != 1464000000123456789 || x.Run.Number != 5 || x.Run.Experiment != "xppx00123" {
			t.Errorf("run %+v", x.Run)
		}
		pixels16 := x.Panels[0].Pixels()
		for e, event := range x.Events {
			m := meta[6*e : 6*e+6]
			at := x.At(e, 0)
			if event.Step != m[1] || x.Files[at.File].Stream != int(m[2]) || event.TS>>32 != uint64(m[5]) {
				t.Errorf("event %d: step %d, stream %d, want %v", e, event.Step, x.Files[at.File].Stream, m)
			}
			if !slices.Equal(pixels(t, x, e, 0), opal[:pixels16]) {
				t.Errorf("event %d: other pixels", e)
			}
			opal = opal[pixels16:]
			if (x.At(e, 1).State == frame.Present) != (m[3] == 1) {
				t.Errorf("event %d: frame of the slow camera is %v", e, x.At(e, 1).State)
				continue
			}
			if m[3] == 1 {
				if !slices.Equal(pixels(t, x, e, 1), slow[:pixels16]) {
					t.Errorf("event %d: other pixels of the slow camera", e)
				}
				slow = slow[pixels16:]
			}
		}
	}
}

// TestStreamsAlone reads parts of the sample run: the slow camera is not lost without the others.
func TestStreamsAlone(t *testing.T) {
	x := index(t, rawrun.Options{}, sampleRun(t, true, func(s int) bool { return s >= controlStream })...)
	if len(x.Events) != 4 || len(x.Steps) != 2 || x.PanelFrames(0)[frame.Present] != 4 {
		t.Errorf("%d events, steps %+v", len(x.Events), x.Steps)
	}
	files := sampleRun(t, true, func(s int) bool { return s == 0 })
	x = index(t, rawrun.Options{}, files[1])
	if want := "stream 0: chunk 0 not found"; len(x.Missing) != 1 || x.Missing[0] != want || len(x.Events) != 2 {
		t.Errorf("second chunk alone: %d events, missing %q", len(x.Events), x.Missing)
	}
	x = index(t, rawrun.Options{}, files[0])
	if len(x.Missing) != 0 || !slices.Contains(x.Notes, "no EndRun in stream [0]") {
		t.Errorf("first chunk alone: missing %q, notes %q", x.Missing, x.Notes)
	}
	x = index(t, rawrun.Options{}, files[0], sampleRun(t, true, func(s int) bool { return s == 1 })[0])
	if len(x.Missing) != 1 || !strings.Contains(x.Missing[0], "ends without EndRun") {
		t.Errorf("missing %q", x.Missing)
	}
	for step, n := range []int{6, 4} {
		if x.Steps[step].Events != n {
			t.Errorf("steps %+v", x.Steps)
		}
	}
}

// TestTreeIsTheFile holds the index of a run with smalldata to that of its single file without.
func TestTreeIsTheFile(t *testing.T) {
	dir := filepath.Join(testenv.Shared(t), "data/xtc1")
	x := index(t, rawrun.Options{}, openFile(t, filepath.Join(dir, "epix100a.xtc"), false))
	y := index(t, rawrun.Options{}, openFile(t, filepath.Join(dir, "xpp/xppn4116/xtc/xppn4116-r0137-s00-c00.xtc"), true))
	if x.Run.Experiment != "" || y.Run.Experiment != "xppn4116" { // only the file's name says it
		t.Errorf("runs %+v, %+v", x.Run, y.Run)
	}
	x.Run.Experiment = y.Run.Experiment
	x.Files, y.Files = nil, nil
	if !reflect.DeepEqual(x, y) {
		t.Errorf("got  %+v\nwant %+v", y, x)
	}
	if len(x.Steps) != 2 || x.Steps[0].Events != 10 || x.Steps[1].Events != 10 {
		t.Errorf("steps %+v", x.Steps)
	}
}

// TestEachKindOfDamageIsToldApart reads the file with one event of each kind of damage.
func TestEachKindOfDamageIsToldApart(t *testing.T) {
	x := index(t, rawrun.Options{}, openFile(t, filepath.Join(testenv.Shared(t), "data/xtc1/epix100a_damage.xtc"), false))
	want := []frame.Extent{{State: frame.Present}, {State: frame.Missing, Damage: 2}, {State: frame.Damaged, Damage: 0x8000},
		{State: frame.Damaged, Damage: 0x1000}, {State: frame.Damaged, Damage: 2}, {State: frame.Damaged, Damage: 0x8000}, {State: frame.Present}}
	for e := range x.Events {
		got := *x.At(e, 0)
		got.Offset, got.Length = 0, 0
		if e >= len(want) || got != want[e] {
			t.Errorf("event %d: %v, damage %#x", e, got.State, got.Damage)
		}
	}
	if len(x.Events) != len(want) || len(x.Missing) != 0 || len(x.Notes) != 2 || !strings.Contains(x.Notes[0], "got 17 left in the file") ||
		x.Notes[1] != "events without content: removed by the level-3 trigger" {
		t.Errorf("%d events, missing %q, notes %q", len(x.Events), x.Missing, x.Notes)
	}
}

// whole is a run in memory with all that is small: two streams of which one has two chunks, a slow
// camera, three kinds of detectors, steps with gain modes, an event without content.
func whole(t testing.TB) *run {
	jf, epix := model(t, "CxiDs1.0:Jungfrau.0", 2, 16, 18), model(t, "CxiDs1.0:Epix100a.0", 1, 4, 6)
	slow := model(t, "CxiDsu.0:ControlsCamera.0", 1, 6, 6)
	r := newRun(t)
	configure := func(d *Draft) { jf.PutConfig(d, "g0"); epix.PutConfig(d, "") }
	for stream := range 2 {
		r.ts, r.fid = 1464000000<<32+uint64(stream)*4000000, 131000+uint32(stream)
		r.file(stream, 0)
		r.put(Configure, configure)
		r.put(BeginRun, nil)
		r.cycle(10*stream, 3, "g0", jf, epix)
		r.begin(L1Accept, envTrimmed|1, 0)
		r.end()
		if stream == 1 {
			r.file(stream, 1)
		}
		r.cycle(10*stream+3, 3, "g1", jf, epix)
		r.put(EndRun, nil)
		r.put(Unconfigure, nil)
	}
	r.ts, r.fid = 1464000000<<32+3000000, 131000
	r.file(80, 0)
	r.put(Configure, nil)
	r.put(BeginRun, nil)
	r.cycle(0, 3, "", slow)
	r.begin(L1Accept, envTrimmed|1, 0)
	r.end()
	r.cycle(3, 2, "", slow)
	r.put(EndRun, nil)
	return r
}

// TestWithAndWithoutSmalldata holds both ways of indexing to the same result, in files where smalldata
// leaves out events.
func TestWithAndWithoutSmalldata(t *testing.T) {
	r := whole(t)
	x := index(t, rawrun.Options{}, r.open(false)...)
	y := index(t, rawrun.Options{}, r.open(true)...)
	if !reflect.DeepEqual(x, y) {
		t.Errorf("with smalldata\n%+v\nwithout\n%+v", y, x)
	}
	if want := []string{"events without content: removed by the level-3 trigger (3 times)"}; !slices.Equal(x.Notes, want) || len(x.Missing) > 0 {
		t.Errorf("notes %q, missing %q", x.Notes, x.Missing)
	}
	if len(x.Events) != 12 || len(x.Panels) != 4 || len(x.Steps) != 2 || !slices.Equal(settings(x.Steps[1]), []string{"", "FixedGain1", "FixedGain1", ""}) {
		t.Fatalf("%d events, panels %v, steps %+v", len(x.Events), x.Panels, x.Steps)
	}
	for i := range 2 { // all events are there, whatever was truncated of the smalldata
		files := r.open(true)
		files[i].Small.Size -= 50
		z := index(t, rawrun.Options{}, files...)
		if !reflect.DeepEqual(z, x) {
			t.Errorf("smalldata of file %d behind the data: %+v", i, z)
		}
	}
}

// TestLyingSmalldata changes smalldata or data so that they contradict each other: smalldata is not
// used then, and the index is that of the data.
func TestLyingSmalldata(t *testing.T) {
	r := whole(t)
	want := index(t, rawrun.Options{}, r.open(false)...)
	at := func(b []byte, id uint16) int { // payload of the first leaf of a type in an event
		for i := 0; i+xtcSize < len(b); i += 4 {
			if x := parseXtc(b[i:]); x.word == uint32(id)|1<<16 && x.extent < 64 {
				return i + xtcSize
			}
		}
		t.Fatal("no such leaf")
		return 0
	}
	small := r.small[0].Bytes()
	for name, i := range map[string]int{
		"offset of an event": at(small, idSmlDataOffset), "extent of an event": at(small, idSmlDataOffset) + 8,
		"offset of a proxy": at(small, idSmlDataProxy), "extent of a proxy": at(small, idSmlDataProxy) + 12, "type of a proxy": at(small, idSmlDataProxy) + 8,
		"kind of the first leaf": at(small, idSmlDataOffset) - 8, "time of an event": at(small, idSmlDataOffset) - xtcSize - headSize,
	} {
		small[i] ^= 4
		x := index(t, rawrun.Options{}, r.open(true)...)
		small[i] ^= 4
		if len(x.Notes) != 2 || !strings.Contains(x.Notes[0], "smalldata not used") {
			t.Errorf("%s: notes %q", name, x.Notes)
			continue
		}
		x.Notes = x.Notes[1:]
		if !reflect.DeepEqual(x, want) {
			t.Errorf("%s: another index", name)
		}
	}
}

// TestCutFilesAreReportedWhereTheyEnd cuts files at every byte, small ones, or at many: the index or an error reports the damage, of the
// right class and with file and offset, and what is there is as in the whole file.
func TestCutFilesAreReportedWhereTheyEnd(t *testing.T) {
	r := whole(t)
	for _, small := range []bool{false, true} {
		full := index(t, rawrun.Options{}, r.open(small)...)
		for i := range r.files {
			step := int64(1)
			if small || r.files[i].Stream == 1 { // the same code reads the cut; what differs is at the ends of datagrams
				step = 4
			}
			if testing.Short() {
				step = 37
			}
			for size := int64(0); size < int64(r.data[i].Len()); size += step {
				files := r.open(small)
				files[i].Size = size
				checkCut(t, full, files, i, size)
			}
		}
	}
	dir, facts := loadFacts(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, fact := range facts {
		if strings.HasSuffix(fact.File, ".smd.xtc") {
			continue
		}
		f := openFile(t, filepath.Join(dir, fact.File), false)
		full := index(t, rawrun.Options{}, f)
		size := f.Size
		for k := range int64(60) {
			f.Size = rnd.Int64N(size)
			if k < 30 {
				f.Size = min(size, k*7)
			}
			checkCut(t, full, []*File{f}, 0, f.Size)
		}
	}
}

// checkCut indexes files of which one is cut to a size.
func checkCut(t *testing.T, full *frame.Index, files []*File, cut int, size int64) {
	t.Helper()
	name := fmt.Sprintf("%s cut to %d bytes", filepath.Base(files[cut].Path), size)
	x, err := BuildIndex(context.Background(), rawrun.Request{Files: files}, rawrun.Options{})
	if err != nil {
		if code := fault.CodeOf(err); code != fault.Incomplete && (code != fault.Input || !strings.Contains(err.Error(), files[cut].Path)) {
			t.Fatalf("%s: %v", name, err)
		}
		var at *cursor.Error
		if errors.As(err, &at) && (at.File != files[cut].Path || at.Offset > size) {
			t.Fatalf("%s: error at byte %d of %s", name, at.Offset, at.File)
		}
		return
	}
	states := map[uint64][]frame.Extent{}
	for e := range full.Events {
		states[full.Events[e].TS] = full.Extents[e*len(full.Panels) : (e+1)*len(full.Panels)]
	}
	panels := map[string]int{}
	for i, p := range full.Panels {
		panels[p.String()] = i
	}
	lost := 0
	for e := range x.Events {
		was := states[x.Events[e].TS]
		if was == nil {
			t.Fatalf("%s: event %d was not there", name, e)
		}
		delete(states, x.Events[e].TS)
		for p := range x.Panels {
			got, want := *x.At(e, p), was[panels[x.Panels[p].String()]]
			switch {
			case got == want:
			case got.State == frame.Truncated && int(max(got.File, want.File)) == cut:
				lost++
			case got.State == frame.Missing && want.State == frame.Present && int(want.File) == cut: // of the slow camera
				lost++
			default:
				t.Fatalf("%s: event %d %v: %+v, was %+v", name, e, x.Panels[p], got, want)
			}
			if got.State == frame.Present && int(got.File) == cut && got.Offset+int64(got.Length) > size {
				t.Fatalf("%s: frame behind the end", name)
			}
		}
	}
	boundary := false // of datagrams: nothing in the file shows a cut there
	Scan(context.Background(), files[cut], func(d *Datagram) error {
		boundary = d.Offset+d.Size == size
		return nil
	})
	if boundary && files[cut].Small == nil {
		return
	}
	if lost+len(states) > 0 && len(x.Missing) == 0 && !slices.ContainsFunc(x.Notes, func(n string) bool { return strings.Contains(n, "no EndRun") }) {
		t.Fatalf("%s: nothing tells that %d events and %d frames are missing: %q", name, len(states), lost, x.Notes)
	}
}

// TestAliasesOfTwoDetectorsAreLeftOut reads the names of the sample, and leaves out one that two detectors have.
func TestAliasesOfTwoDetectorsAreLeftOut(t *testing.T) {
	x := index(t, rawrun.Options{}, openFile(t, filepath.Join(testenv.Shared(t), "data/xtc1/epix100a.xtc"), false))
	if len(x.Aliases) != 1 || x.Aliases["epix_1"] != "XppGon.0:Epix100a.1" {
		t.Errorf("aliases %v", x.Aliases)
	}
	a, b := model(t, "XppGon.0:Opal1000.0", 1, 2, 2), model(t, "XppGon.0:Opal1000.1", 1, 2, 2)
	r := events(t, func(d *Draft) {
		for _, names := range [][2]string{{"left", "right"}, {"left", "left"}} {
			p := d.Leaf(Node(levelSegment, 1, 1), idAliasConfig, 1, 0, 4+2*aliasSize)
			put32(p, 2)
			for i, m := range []*Model{a, b} {
				put32(p[4+aliasSize*i:], int(m.from.Log), int(m.from.Phy))
				copy(p[4+aliasSize*i+8:], names[i])
			}
		}
		put32(d.Leaf(Node(levelSegment, 1, 1), idAliasConfig, 1, 0, 8), 1<<31) // more than there is
	}, func(d *Draft) { a.PutFrame(d, 0, 0, ramp(0)); b.PutFrame(d, 0, 0, ramp(0)) })
	if x := index(t, rawrun.Options{}, r.open(false)...); len(x.Aliases) != 0 {
		t.Errorf("aliases %v", x.Aliases)
	}
}
