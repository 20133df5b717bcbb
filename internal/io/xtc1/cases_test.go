package xtc1

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	families "rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// events writes a run of one file: Configure, one calib cycle with these events.
func events(t testing.TB, configure func(*Draft), fill ...func(*Draft)) *run {
	r := newRun(t)
	r.file(0, 0)
	r.put(Configure, configure)
	r.put(BeginRun, nil)
	r.put(BeginCalibCycle, nil)
	for _, f := range fill {
		r.put(L1Accept, f)
	}
	r.put(EndRun, nil)
	return r
}

func address(t testing.TB, source string) Address {
	a, err := ParseSource(source)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// statesOf returns the states of one panel in all events.
func statesOf(x *frame.Index, panel int) (s []frame.State) {
	for e := range x.Events {
		s = append(s, x.At(e, panel).State)
	}
	return s
}

// object is a configuration or data object to write.
type object struct {
	id, version uint16
	size        int
	fields      map[int]int // 32-bit numbers by offset; 16-bit ones where negative offsets stand
}

func (o object) put(d *Draft, from Address) []byte {
	b := d.Leaf(from, o.id, o.version, 0, o.size)
	for at, v := range o.fields {
		le.PutUint32(b[at:], uint32(v))
	}
	return b
}

// TestTypesOfTheTableAreRead reads a frame of every type that is known by table: shape from the configuration or from
// the frame, pixels where the original has them.
func TestTypesOfTheTableAreRead(t *testing.T) {
	for _, c := range []struct {
		source       string
		config, data object
		n, r, c      int
		at, gap      int // of the pixels, and between panels
		codec        frame.Codec
	}{
		{"AmoEndstation.0:Princeton.1", object{18, 1, 40, map[int]int{0: 12, 4: 7, 16: 2, 20: 2}}, object{17, 1, 8 + 48, nil}, 1, 4, 6, 8, 0, ""},
		{"AmoEndstation.0:Princeton.1", object{18, 5, 56, map[int]int{0: 6, 4: 4, 16: 1, 20: 1}}, object{17, 2, 12 + 48, nil}, 1, 4, 6, 12, 0, ""},
		{"SxrEndstation.0:Fli.0", object{55, 1, 40, map[int]int{0: 6, 4: 4, 16: 1, 20: 1}}, object{56, 1, 12 + 48, nil}, 1, 4, 6, 12, 0, ""},
		{"SxrEndstation.0:Andor.0", object{60, 2, 48, map[int]int{0: 6, 4: 4, 16: 1, 20: 1}}, object{61, 1, 12 + 48, nil}, 1, 4, 6, 12, 0, ""},
		{"SxrEndstation.0:DualAndor.0", object{96, 1, 52, map[int]int{0: 6, 4: 4, 8: 2, 20: 1, 24: 1}}, object{97, 1, 16 + 96, nil}, 2, 4, 6, 16, 0, ""},
		{"MecTargetChamber.0:Pimax.0", object{80, 1, 76, map[int]int{0: 6, 4: 4, 16: 1, 20: 1}}, object{81, 1, 12 + 48, nil}, 1, 4, 6, 12, 0, ""},
		{"MecTargetChamber.0:Pixis.0", object{113, 1, 104, map[int]int{0: 6, 4: 4, 16: 1, 20: 1}}, object{114, 1, 12 + 48, nil}, 1, 4, 6, 12, 0, ""},
		{"XppEndstation.0:Zyla.0", object{110, 1, 52, map[int]int{12: 6, 16: 4, 28: 1, 32: 1}}, object{111, 1, 8 + 48, nil}, 1, 4, 6, 8, 0, ""},
		{"XppEndstation.0:iStar.0", object{121, 1, 56, map[int]int{16: 6, 20: 4, 32: 1, 36: 1}}, object{111, 1, 8 + 48, nil}, 1, 4, 6, 8, 0, ""},
		{"MecTargetChamber.0:Uxi.0", object{115, 1, 152, map[int]int{0: 6, 4: 4, 8: 3}}, object{116, 1, 16 + 144, nil}, 3, 4, 6, 16, 0, ""},
		{"MecTargetChamber.0:Uxi.0", object{115, 2, 164, map[int]int{12: 6, 16: 4, 20: 3}}, object{116, 1, 16 + 144, nil}, 3, 4, 6, 16, 0, ""},
		{"MecTargetChamber.0:Uxi.0", object{115, 3, 168, map[int]int{16: 6, 20: 4, 24: 3}}, object{116, 1, 16 + 144, nil}, 3, 4, 6, 16, 0, ""},
		{"MecTargetChamber.0:Alvium.0", object{122, 1, 464, map[int]int{12: 6, 16: 4}}, object{123, 1, 16 + 48, nil}, 1, 4, 6, 16, 0, ""},
		{"Camp.0:pnCCD.0", object{12, 1, 8, map[int]int{0: 4, 4: 524304}}, object{11, 1, 4 * 524304, nil}, 4, 512, 512, 16, 16, ""},
		{"XcsEndstation.0:Timepix.0", object{}, object{50, 2, 12 + 48, map[int]int{0: 6 | 4<<16}}, 1, 4, 6, 12, 0, ""},
		{"XcsEndstation.0:Timepix.0", object{}, object{50, 1, 8 + 524288, nil}, 1, 512, 512, 8, 0, codec.Timepix},
		{"XppEndstation.0:Tm6740.0", object{}, object{2, 1, 16 + 24, map[int]int{0: 6, 4: 4, 8: 8}}, 1, 4, 6, 16, 0, frame.Widen},
		{"SxrEndstation.0:Fccd960.0", object{}, object{2, 1, 16 + 48, map[int]int{0: 6, 4: 4, 8: 16}}, 1, 4, 6, 16, 0, codec.Fccd960},
		{"XppEndstation.0:Epix.0", object{74, 1, 112, map[int]int{84: 1, 88: 2, 92: 1, 96: 5, 100: 3}}, object{75, 1, 32 + 48, nil}, 1, 4, 6, 32, 0, ""},
		{"XppEndstation.0:Epix10k.0", object{83, 1, 136, map[int]int{92: 1, 96: 2, 100: 1, 104: 5, 108: 3}}, object{75, 1, 32 + 48, nil}, 1, 4, 6, 32, 0, ""},
		{"XppEndstation.0:EpixS.0", object{88, 1, 152, map[int]int{100: 2, 104: 2, 108: 9, 112: 2, 116: 3}}, object{75, 2, 32 + 48, nil}, 1, 4, 6, 32, 0, ""},
		{"XppEndstation.0:Epix100a.0", object{84, 1, 144, map[int]int{92: 2, 96: 2, 100: 9, 104: 2, 108: 3}}, object{75, 2, 32 + 48, nil}, 1, 4, 6, 32, 0, ""},
		{"XppEndstation.0:Epix100a.0", object{84, 1, 144, map[int]int{92: 2, 96: 2, 100: 9, 104: 2, 108: 3}}, object{75, 1, 32 + 48, nil}, 1, 4, 6, 32, 0, ""},
		{"XppEndstation.0:Epix10ka.0", object{112, 2, 1000, map[int]int{128: 2, 132: 2, 136: 9, 140: 2, 144: 3}}, object{75, 3, 32 + 48, nil}, 1, 4, 6, 32, 0, ""},
		{"XppEndstation.0:Jungfrau.0", object{107, 1, 36, map[int]int{0: 2, 4: 4, 8: 6}}, object{108, 1, 12 + 96, nil}, 2, 4, 6, 12, 0, ""},
		{"XppEndstation.0:Cspad.0", object{29, 1, 287804, map[int]int{36: 1, 40: 1}}, object{28, 1, 32 + 2*143560 + 4, nil}, 2, 185, 388, 32, 0, ""},
	} {
		t.Run(fmt.Sprintf("%s v%d v%d", c.source, c.config.version, c.data.version), func(t *testing.T) {
			from := address(t, c.source)
			bytes := 2
			if c.codec == frame.Widen {
				bytes = 1
			}
			r := events(t, func(d *Draft) {
				if c.config.id != 0 {
					c.config.put(d, from)
				}
			}, func(d *Draft) {
				b := c.data.put(d, from)
				for p := range c.n {
					for i := range c.r * c.c * bytes {
						b[c.at+p*(c.r*c.c*bytes+c.gap)+i] = byte(i + p)
					}
				}
			})
			x := index(t, rawrun.Options{}, r.open(true)...)
			if len(x.Panels) != c.n || len(x.Missing)+len(x.Notes) > 0 {
				t.Fatalf("panels %v, missing %q, notes %q", x.Panels, x.Missing, x.Notes)
			}
			for p, panel := range x.Panels {
				if panel.Rows != c.r || panel.Cols != c.c || panel.Segment != p || panel.Codec != c.codec {
					t.Errorf("panel %+v", panel)
				}
				px := r.pixels(x, 0, p)
				want := []uint16{uint16(p) + uint16(p+1)<<8, uint16(p+2) + uint16(p+3)<<8}
				switch c.codec {
				case frame.Widen:
					want = []uint16{0, 1}
				case codec.Timepix: // rows 255 of the second and first column of its chip
					want = []uint16{uint16(b2(2 * (256*256 + 255))), uint16(b2(2 * (257*256 + 255)))}
				case codec.Fccd960:
					want = []uint16{0x0100, 0x0302}
				}
				if !slices.Equal(px[:2], want) {
					t.Errorf("panel %d: pixels %#x, want %#x", p, px[:2], want)
				}
			}
		})
	}
}

// b2 is the pixel that TestTypesOfTheTableAreRead writes at an offset of the payload's pixels.
func b2(i int) int { return i&0xff | (i+1)&0xff<<8 }

// TestReasonWhyADetectorCannotBeRead expects the reason for which a detector cannot be read, alone and beside another.
func TestReasonWhyADetectorCannotBeRead(t *testing.T) {
	other := model(t, "XppEndstation.0:Opal1000.1", 1, 3, 4)
	epixConfig := object{84, 2, 188, map[int]int{128: 2, 132: 2, 136: 2, 140: 2, 144: 3}}
	for _, c := range []struct {
		config, data object
		want         string
	}{
		{object{}, object{51, 1, 100, nil}, "CspadCompressedElement is an obsolete form"},
		{object{}, object{75, 3, 100, nil}, "EpixElement without its configuration: the files from the beginning"},
		{epixConfig, object{75, 4, 100, nil}, "EpixElement version 4 is not known, only 1 to 3"},
		{object{84, 3, 188, nil}, object{75, 3, 100, nil}, "Epix100aConfig version 3 is not known, only 1, 2"},
		{object{84, 2, 100, nil}, object{75, 3, 100, nil}, "Epix100aConfig version 2 has 100 bytes, 188 are needed"},
		{object{85, 1, 44, nil}, object{75, 1, 100, nil}, "GenericPgpConfig describes its own streams"},
		{object{107, 4, 828, nil}, object{75, 3, 100, nil}, "JungfrauConfig version 4 asks for 0 panels of 0 x 0 pixels"},
		{object{107, 1, 36, map[int]int{0: 1, 4: 2, 8: 3}}, object{75, 3, 100, nil}, "EpixElement with JungfrauConfig is not known"},
		{object{12, 1, 8, map[int]int{0: 4, 4: 1000}}, object{11, 1, 4000, nil}, "pnCCDconfig version 1 asks for 0 panels"},
		{object{}, object{2, 1, 100, map[int]int{0: 1 << 30, 4: 1 << 30, 8: 16}}, "a frame of 1073741824 x 1073741824 pixels"},
		{object{}, object{2, 1, 100, map[int]int{0: 4, 4: 4, 8: 24}}, "of 24 bits cannot be"},
	} {
		from := address(t, "XcsEndstation.0:Epix100a.1")
		for _, beside := range []bool{false, true} {
			r := events(t, func(d *Draft) {
				if c.config.id != 0 {
					c.config.put(d, from)
				}
			}, func(d *Draft) {
				c.data.put(d, from)
				if beside {
					other.PutFrame(d, 0, 0, ramp(0))
				}
			})
			x, err := BuildIndex(context.Background(), rawrun.Request{Files: r.open(true)}, rawrun.Options{})
			text := fmt.Sprint(err)
			if beside && err == nil {
				text = strings.Join(x.Notes, "; ")
			}
			if !strings.Contains(text, c.want) || !strings.Contains(text, "XcsEndstation.0:Epix100a.1 cannot be read") || (err == nil) != beside {
				t.Errorf("beside another: %v: %v, %s; want %q", beside, err, text, c.want)
			}
			if err != nil && fault.CodeOf(err) != fault.Input {
				t.Errorf("class %v", fault.CodeOf(err))
			}
		}
	}
}

// TestOddFrames expects frames that cannot be used to be left out, with the reason.
func TestOddFrames(t *testing.T) {
	m := model(t, "XppEndstation.0:Opal1000.1", 1, 3, 4)
	roi := model(t, "XppEndstation.0:Opal1000.1", 1, 4, 3)
	good := func(d *Draft) { m.PutFrame(d, 0, 0, ramp(0)) }
	cases := []struct {
		fill  func(d *Draft)
		state frame.State
		note  string
	}{
		{good, frame.Present, ""},
		{func(d *Draft) { roi.PutFrame(d, 0, 0, ramp(0)) }, frame.Odd, "frame not used: another shape of the frame"}, // as many bytes
		{func(d *Draft) { put32(d.Leaf(m.from, idFrame, 1, 0, 20), 4, 3, 16, 0) }, frame.Odd, "frame not used: a payload of 20 bytes, 40 or more are needed"},
		{func(d *Draft) { d.Leaf(m.from, idFrame, 1, 0, 0) }, frame.Missing, ""},
		{func(d *Draft) { m.PutFrame(d, 0, 1<<14, ramp(0)) }, frame.Damaged, ""},
		{func(d *Draft) { d.Leaf(m.from, idAny, 0, 1<<13, 0) }, frame.Damaged, ""},
		{func(d *Draft) { good(d); roi.PutFrame(d, 1, 0, ramp(1)) }, frame.Present, "comes twice in an event; the first counts"},
		{func(d *Draft) { d.Leaf(m.from, idFrame, 2, 0, m.frameSize()) }, frame.Odd, "frame not used: Frame version 2"},
		{func(d *Draft) { d.Open(m.from, damageIncomplete); good(d) }, frame.Damaged, ""},
		{func(d *Draft) { d.Open(m.from, damageContains); good(d) }, frame.Present, ""},
		{func(d *Draft) { // a leaf that claims to reach beyond its container, before the frame
			d.Leaf(m.from, 19, 1, 0, 0)
			le.PutUint32(d.b[len(d.b)-4:], 1<<20)
			good(d)
		}, frame.Bad, "want an extent of 20 to 80 bytes, got 1048576"},
		{func(d *Draft) { // containers without end
			for range 100 {
				d.Open(m.from, 0)
			}
			good(d)
		}, frame.Bad, "want at most 16 levels, got one more"},
		{nil, frame.Missing, ""},
	}
	r := newRun(t)
	r.file(0, 0)
	r.w.small = nil // the writer makes smalldata of sound datagrams only
	for _, c := range cases {
		r.put(L1Accept, c.fill)
	}
	x := index(t, rawrun.Options{}, r.open(false)...)
	for e, state := range statesOf(x, 0) {
		if state != cases[e].state {
			t.Errorf("event %d is %v, want %v", e, state, cases[e].state)
		}
		if !slices.ContainsFunc(x.Notes, func(n string) bool { return strings.Contains(n, cases[e].note) }) {
			t.Errorf("event %d: no note %q in %q", e, cases[e].note, x.Notes)
		}
	}
	if len(x.Events) != len(cases) {
		t.Errorf("%d events, want %d", len(x.Events), len(cases))
	}
}

// TestShapeMustStay expects an error where a calib cycle changes the shape of a detector.
func TestShapeMustStay(t *testing.T) {
	m, other := model(t, "CxiDs1.0:Jungfrau.0", 2, 4, 4), model(t, "CxiDs1.0:Jungfrau.0", 2, 4, 6)
	r := newRun(t)
	r.file(0, 0)
	r.put(Configure, func(d *Draft) { m.PutConfig(d, "g0") })
	r.cycle(0, 2, "g0", m)
	r.cycle(2, 2, "g0", other)
	_, err := BuildIndex(context.Background(), rawrun.Request{Files: r.open(true)}, rawrun.Options{})
	if fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "CxiDs1.0:Jungfrau.0 changes its shape after calib cycle 1: 2 x 4 x 6 pixels, before 2 x 4 x 4") {
		t.Error(err)
	}
}

// TestControlStreams matches frames of a slow recorder by fiducial and time, over the fiducials' wrap.
func TestControlStreams(t *testing.T) {
	fast, slow := model(t, "XppGon.0:Opal1000.0", 1, 2, 2), model(t, "XppGon.0:ControlsCamera.0", 1, 2, 2)
	r := newRun(t)
	shot := func(m *Model, sec uint64, fiducial uint32) {
		r.d.Begin(L1Accept, sec<<32, fiducial, 1, 0)
		m.PutFrame(&r.d, 0, 0, ramp(0))
		r.end()
	}
	r.file(3, 0)
	for _, s := range [][2]uint32{{1000, 131039}, {1001, 0}, {1100, 500}, {1364, 131039}, {1400, 7}, {1500, 7}, {1501, fiducialMask}, {1502, fiducialWrap}} {
		shot(fast, uint64(s[0]), s[1])
	}
	r.file(81, 0)
	for _, s := range [][2]uint32{{1084, 131039}, {1086, 0}, {1186, 500}, {1366, 131039}, {1451, 7}, {1501, fiducialMask}} {
		shot(slow, uint64(s[0]), s[1])
	}
	x := index(t, rawrun.Options{}, r.open(false)...)
	// 1084 and 1366 are within 85 s of their shots, 1451 is nearer to the later one; 1086 and 1186 are too far.
	P, M := frame.Present, frame.Missing
	if got := statesOf(x, 0); !slices.Equal(got, []frame.State{P, M, M, P, M, P}) {
		t.Errorf("slow camera: %v", got)
	}
	for _, want := range []string{
		"frames of stream 81 belong to no event of the DAQ streams and are left out, as in psana (2 times)",
		"events without a valid fiducial left out (3 times)",
	} {
		if !slices.Contains(x.Notes, want) {
			t.Errorf("no note %q in %q", want, x.Notes)
		}
	}
}

// TestLostChunk numbers the steps behind a chunk that is not there by time.
func TestLostChunk(t *testing.T) {
	m := model(t, "CxiDs1.0:Jungfrau.0", 1, 2, 2)
	r := newRun(t)
	modes := []string{"g0", "g1", "g2", "g0"}
	write := func(stream int) {
		r.ts, r.fid = 1464000000<<32+uint64(stream)*1000, 300
		for chunk, cycles := range [][]string{modes[:1], modes[1:2], modes[2:]} {
			r.file(stream, chunk)
			if chunk == 0 {
				r.put(Configure, func(d *Draft) { m.PutConfig(d, "g0") })
			} else {
				r.put(L1Accept, func(d *Draft) { m.PutFrame(d, 0, 0, ramp(0)) })
			}
			for _, mode := range cycles {
				r.cycle(0, 2, mode, m)
			}
		}
		r.put(EndRun, nil)
	}
	write(0)
	write(1)
	files := r.open(true)
	x := index(t, rawrun.Options{}, append(slices.Clone(files[:4]), files[5])...)
	var steps []int32
	for e, event := range x.Events {
		if x.At(e, 0).File >= 3 {
			steps = append(steps, event.Step)
		}
	}
	if !slices.Equal(steps, []int32{0, 0, 1, 2, 2, 3, 3}) {
		t.Errorf("steps of stream 1: %v", steps)
	}
	for i, s := range x.Steps {
		if len(x.Steps) != 4 || !sameMode(s.Gains[0].Config, modes[i]) {
			t.Errorf("step %+v", s)
		}
	}
	want := []string{"stream 1: chunk 1 not found"}
	if !slices.Equal(x.Missing, want) {
		t.Errorf("missing %q, want %q", x.Missing, want)
	}
}

// TestStateOfFiles expects files that are still written, doubled or of different runs to be told.
func TestStateOfFiles(t *testing.T) {
	m := model(t, "XppGon.0:Opal1000.0", 1, 2, 2)
	good := func(d *Draft) { m.PutFrame(d, 0, 0, ramp(0)) }
	r := newRun(t)
	r.file(0, 0)
	r.put(BeginRun, nil)
	r.put(L1Accept, good)
	r.files[0].Path += ".inprogress"
	asked := 0
	opt := rawrun.Options{Growing: func(context.Context) ([]string, error) { asked++; return []string{"a"}, nil }}
	x := index(t, opt, r.open(false)...)
	if want := []string{fmt.Sprintf("%q is still being written or copied: in progress", r.files[0].Path), `"a" is still in progress: it changes`}; !slices.Equal(x.Missing, want) || asked != 1 {
		t.Errorf("missing %q, want %q", x.Missing, want)
	}
	r.put(EndRun, nil)
	index(t, opt, r.open(false)...)
	if asked != 1 {
		t.Error("a run with its end was watched")
	}
	for name, change := range map[string]func(f *File){"twice": func(f *File) { f.Stream = 0 }, "of run 10": func(f *File) { f.Stream = 1 }} {
		r.file(0, 0)
		r.begin(BeginRun, 10, 0)
		r.end()
		files := r.open(false)[:2]
		change(files[1])
		if _, err := BuildIndex(context.Background(), rawrun.Request{Files: files}, rawrun.Options{}); err == nil {
			t.Errorf("a file %s is accepted", name)
		}
		r.files, r.data, r.small = r.files[:1], r.data[:1], r.small[:1]
	}
	x, err := BuildIndex(context.Background(), rawrun.Request{Files: r.open(false), Experiment: "other", Run: 4}, rawrun.Options{})
	if err != nil || x.Run.Number != 9 || x.Run.Experiment != "other" {
		t.Errorf("%+v, %v", x, err)
	}
	_, err = BuildIndex(context.Background(), rawrun.Request{Files: r.open(false), Run: 4, ByName: true}, rawrun.Options{})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "--run-in-file 9") {
		t.Errorf("a run of another name: %v (%s)", err, fault.HintOf(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := BuildIndex(ctx, rawrun.Request{Files: r.open(false)}, rawrun.Options{}); fault.CodeOf(err) != fault.Interrupted {
		t.Errorf("cancelled: %v", err)
	}
}

// TestStepText reads what a scan says of its steps, in all versions.
func TestStepText(t *testing.T) {
	for version, c := range []struct{ head, name, value int }{{24, 32, 0}, {28, 32, 64}, {28, 32, 64}, {28, 128, 256}} {
		b := make([]byte, c.head)
		put32(b[16:], 2, 1)
		pv := func(name string, index uint32, values int) {
			at := len(b)
			b = append(b, make([]byte, c.name+4+8*values)...)
			copy(b[at:], name)
			le.PutUint32(b[at+c.name:], index)
			le.PutUint64(b[at+c.name+4:], 0x4004000000000000) // 2.5
		}
		pv("gain", 1<<32-1, 1)
		pv("delay", 3, 1)
		pv("watched", 0, 2)
		want := "gain=2.5, delay[3]=2.5"
		if c.value > 0 {
			put32(b[24:], 1)
			at := len(b)
			b = append(b, make([]byte, c.name+c.value)...)
			copy(b[at:], "kind")
			copy(b[at+c.name:], "dark")
			want += ", kind=dark"
		}
		r := newRun(t)
		m := model(t, "XppGon.0:Opal1000.0", 1, 2, 2)
		r.file(0, 0)
		r.put(BeginCalibCycle, func(d *Draft) { copy(d.Leaf(Address{}, idRunControlConfig, uint16(version+1), 0, len(b)), b) })
		r.put(L1Accept, func(d *Draft) { m.PutFrame(d, 0, 0, ramp(0)) })
		if x := index(t, rawrun.Options{}, r.open(false)...); x.Steps[0].Doc != want {
			t.Errorf("version %d: %q, want %q", version+1, x.Steps[0].Doc, want)
		}
		for n := range b { // cut anywhere it must not do harm
			controls(uint16(version+1), b[:n])
		}
	}
}

// TestCalibGroups wants constants of every device where the original software looks for them.
func TestCalibGroups(t *testing.T) {
	for group, devices := range map[string]string{
		"CsPad": "Cspad", "CsPad2x2": "Cspad2x2", "Princeton": "Princeton", "PNCCD": "pnCCD",
		"Camera": "Tm6740 Opal1000 Opal2000 Opal4000 Opal8000 OrcaFl40 Fccd960 Quartz4A150 Rayonix Fccd Zyla ControlsCamera StreakC7700 iStar Alvium",
		"Epix":   "Epix", "Epix10ka": "Epix10k Epix10ka", "Epix100a": "Epix100a", "Andor": "Andor", "Timepix": "Timepix", "Fli": "Fli", "Pimax": "Pimax",
		"Andor3d": "DualAndor", "Jungfrau": "Jungfrau", "Uxi": "Uxi", "Pixis": "Pixis", "Epix10ka2M": "Epix10ka2M", "Epix10kaQuad": "Epix10kaQuad",
	} {
		for device := range strings.FieldsSeq(devices) {
			f, known := families.Lookup(source(address(t, "XppGon.0:"+device+".0").Phy).dettype())
			if !known || f.CalibGroup != group+"::CalibV1" {
				t.Errorf("%s: group %s, want %s", device, f.CalibGroup, group)
			}
		}
	}
}

// TestPackedPayload reads a camera frame compressed in a chain of blocks of odd sizes, which are padded.
func TestPackedPayload(t *testing.T) {
	from := address(t, "CxiDs2.0:Cspad.0")
	const quads = 2
	var payload []byte
	for q := range quads {
		head := make([]byte, elementHead)
		le.PutUint32(head[4:], uint32(1-q)<<24) // the second quad comes first
		data := make([]byte, sectionBytes+4)
		for i := range data {
			data[i] = byte(i + 7*q)
		}
		stored := append(data, 1, 2, 3)[:len(data)+1+q] // more than needed, an odd number
		payload = append(le.AppendUint32(payload, uint32(len(head))), head...)
		for _, v := range []int{0, 0, len(data), len(stored)} {
			payload = le.AppendUint32(payload, uint32(v))
		}
		payload = append(payload, stored...)
		for len(payload)%4 != 0 {
			payload = append(payload, 0xee)
		}
	}
	r := events(t, func(d *Draft) {
		object{29, 5, 287928, map[int]int{76: 0xffff, 80: 3, 84: 0x0102}}.put(d, from) // section 1 of quad 0, section 0 of quad 1
	}, func(d *Draft) { copy(d.Leaf(from, idCspadElement, 0x8002, 0, len(payload)), payload) })
	x := index(t, rawrun.Options{}, r.open(true)...)
	if len(x.Panels) != 2 || x.Panels[0].Segment != 1 || x.Panels[1].Segment != 8 || len(x.Notes) != 0 {
		t.Fatalf("panels %+v, notes %q", x.Panels, x.Notes)
	}
	for p, first := range []uint16{7 + 8<<8, 0 + 1<<8} {
		if px := r.pixels(x, 0, p); px[0] != first {
			t.Errorf("segment %d: first pixel %#x, want %#x", x.Panels[p].Segment, px[0], first)
		}
	}
}

// TestSmalldataCopiesLeavesBelowTheThreshold: smalldata copies leaves below the threshold, and EvrData of any size.
func TestSmalldataCopiesLeavesBelowTheThreshold(t *testing.T) {
	for size, want := range map[int]uint16{smlThreshold - 1: 5, smlThreshold: idSmlDataProxy} {
		var d Draft
		d.Begin(L1Accept, 1, 1, 1, 0)
		d.Leaf(Address{}, 5, 1, 0, size-xtcSize)
		d.Leaf(Address{}, idEvrData, 1, 0, size-xtcSize)
		b := appendShadow(nil, d.Bytes(), 0, smlThreshold)
		first := parseXtc(b[headSize+smlOffsetSize:])
		second := parseXtc(b[headSize+smlOffsetSize+int(first.extent):])
		if first.id() != want || second.id() != idEvrData || int(second.extent) != size {
			t.Errorf("leaf of %d bytes: %+v, EvrData %+v", size, first, second)
		}
	}
}
