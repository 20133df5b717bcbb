package xtc2

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// tape is a stream under construction in memory.
type tape struct {
	node int
	b    []byte
	d    Draft
}

// put appends a datagram; ts counts in microseconds.
func (p *tape) put(s Service, ts int, fill ...func(*Draft)) *tape {
	p.d.Begin(s, uint64(1000)<<32|uint64(ts*1000), p.node, 1)
	for _, f := range fill {
		f(&p.d)
	}
	p.b = append(p.b, p.d.Bytes()...)
	return p
}

func (p *tape) file() *File {
	return memFile(fmt.Sprintf("/data/tst-r0001-s%03d-c000.xtc2", p.node), p.b)
}

// camera is a detector's segment that a test writes.
func camera(node, index int, typ string, seg int, fields ...Field) *Names {
	if fields == nil {
		fields = []Field{{Name: "raw", Type: UInt16, Rank: 2}}
	}
	return &Names{ID: ID(node, index), DetType: typ, DetName: "det", DetID: fmt.Sprintf("id%d", seg), Alg: "raw", Version: NewVersion(1, 2, 3), Segment: seg, Fields: fields}
}

// scanNames is ScanNames without a step value.
func scanNames(node int) *Names {
	n := ScanNames(node)
	n.Fields = n.Fields[1:]
	return n
}

func names(list ...*Names) func(*Draft) {
	return func(d *Draft) {
		for _, n := range list {
			d.Names(n)
		}
	}
}

// value appends a block; every array is an Array of those dimensions, filled with its own number.
func value(n *Names, damage uint16, values ...any) func(*Draft) {
	return func(d *Draft) { d.Values(n, damage, values...) }
}

func px(dims ...int) FieldValue {
	return FieldValue{Dims: dims, Fill: func(b []byte) {
		for i := range b {
			b[i] = byte(i)
		}
	}}
}

func rootDamage(bits uint16) func(*Draft) { return func(d *Draft) { d.Damage(bits) } }

// indexOf indexes tapes without smalldata.
func indexOf(t *testing.T, tapes ...*tape) *frame.Index {
	t.Helper()
	return build(t, requestOf(tapes...), rawrun.Options{})
}

func requestOf(tapes ...*tape) rawrun.Request {
	req := rawrun.Request{Experiment: "tst", Run: 1}
	for _, p := range tapes {
		req.Files = append(req.Files, p.file())
	}
	return req
}

func states(x *frame.Index, event int) []frame.State {
	var out []frame.State
	for p := range x.Panels {
		out = append(out, x.At(event, p).State)
	}
	return out
}

func wantNote(t *testing.T, notes []string, part string) {
	t.Helper()
	if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, part) }) {
		t.Errorf("nothing about %q in %q", part, notes)
	}
}

const (
	present   = frame.Present
	missing   = frame.Missing
	damaged   = frame.Damaged
	truncated = frame.Truncated
)

func TestDamageDecidesWhichPanelsCount(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 1)
	for _, c := range []struct {
		root, a, b uint16
		want       []frame.State
	}{
		{0, 0, 0, []frame.State{present, present}},
		{DamageTruncated, DamageTruncated, 0, []frame.State{damaged, present}},
		{DamageMissingData, 0, DamageOutOfSynch, []frame.State{present, damaged}},
		{DamageMissingData, 0, 0, []frame.State{damaged, damaged}},
		{DamageTruncated, 0, 0, []frame.State{damaged, damaged}},
		{DamageCorrupted, 0, 0, []frame.State{damaged, damaged}},
		{DamageCorrupted, DamageCorrupted, 0, []frame.State{damaged, damaged}},
		{DamageDroppedContribution | DamageTimedOut | DamageOutOfOrder, 0, 0, []frame.State{present, present}},
		{0, DamageOutOfOrder, DamageTimedOut, []frame.State{damaged, present}},
		{0, 0xf000, DamageDroppedContribution, []frame.State{present, present}},
	} {
		p := (&tape{node: 1}).put(Configure, 0, names(a, b)).
			put(L1Accept, 1, value(a, 0, px(2, 3)), value(b, 0, px(2, 3))).
			put(L1Accept, 2, value(a, c.a, px(2, 3)), value(b, c.b, px(2, 3)), rootDamage(c.root))
		x := indexOf(t, p)
		if got := states(x, 1); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v", c, got)
		}
		if x.At(1, 0).Damage != c.root|c.a && c.root&DamageCorrupted == 0 || x.At(0, 0).Damage != 0 {
			t.Errorf("%+v: damage %#x", c, x.At(1, 0).Damage)
		}
	}
}

func TestDroppedContributionMarksOtherStreams(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(2, 10, "tdet", 1)
	p := (&tape{node: 1}).put(Configure, 0, names(a)).put(L1Accept, 1, value(a, 0, px(2, 3)), rootDamage(DamageDroppedContribution)).put(L1Accept, 2, value(a, 0, px(2, 3)))
	q := (&tape{node: 2}).put(Configure, 0, names(b)).put(L1Accept, 3, value(b, 0, px(2, 3)))
	x := indexOf(t, p, q)
	equal(t, "states", [][]frame.State{states(x, 0), states(x, 1), states(x, 2)}, [][]frame.State{{present, missing}, {present, missing}, {missing, present}})
	equal(t, "damage", []uint16{x.At(0, 0).Damage, x.At(0, 1).Damage, x.At(1, 1).Damage}, []uint16{16, 16, 0})
}

// TestPanelsOfTypes wants the panels that arrays of each kind hold.
func TestPanelsOfTypes(t *testing.T) {
	u16 := func(name string, rank int) Field { return Field{Name: name, Type: UInt16, Rank: rank} }
	for _, c := range []struct {
		typ    string
		fields []Field
		values []any
		want   []frame.Panel // without detector, type and segment
		offset int64         // of the first panel behind that of its Data
	}{
		{"jungfrau", []Field{u16("raw", 3)}, []any{px(1, 4, 6)}, []frame.Panel{{Rows: 4, Cols: 6, ID: "id0"}}, 0},
		{"epixm320", []Field{{Name: "header", Type: UInt8, Rank: 2}, u16("raw", 3)}, []any{px(2, 48), px(2, 3, 5)},
			[]frame.Panel{{Rows: 3, Cols: 5, ID: "id0-ASIC-00"}, {Sub: 1, Rows: 3, Cols: 5, ID: "id0-ASIC-01"}}, 96},
		{"opal", []Field{u16("image", 2)}, []any{px(4, 6)}, []frame.Panel{{Rows: 4, Cols: 6, ID: "id0"}}, 0},
		{"axis", []Field{u16("value", 2)}, []any{px(4, 6)}, []frame.Panel{{Rows: 4, Cols: 6, ID: "id0"}}, 0},
		{"opal", []Field{u16("image", 2), u16("raw", 2)}, []any{px(4, 6), px(3, 7)}, []frame.Panel{{Rows: 3, Cols: 7, ID: "id0"}}, 48},
		{"epixuhr", []Field{{Name: "raw", Type: UInt8, Rank: 2}}, []any{px(2, 48384)}, []frame.Panel{
			{Rows: 168, Cols: 192, ID: "id0-ASIC-00", Codec: codec.EpixUHR}, {Sub: 1, Rows: 168, Cols: 192, ID: "id0-ASIC-01", Codec: codec.EpixUHR}}, 0},
		{"epixuhr3x2", []Field{u16("raw", 2)}, []any{px(6, 32256)}, []frame.Panel{{Rows: 336, Cols: 576, ID: "id0", Codec: codec.EpixUHR3x2}}, 0},
		{"piranha4", []Field{u16("image", 1)}, []any{px(7)}, nil, 0},
		{"other", []Field{{Name: "raw", Type: UInt32, Rank: 2}}, []any{px(2, 3)}, nil, 0},
		{"other", []Field{{Name: "raw", Type: UInt8, Rank: 2}}, []any{px(2, 3)}, nil, 0},
		{"other", []Field{u16("data", 2)}, []any{px(2, 3)}, nil, 0},
		{"other", []Field{u16("raw", 3)}, []any{px(65, 1, 1)}, nil, 0},
		{"other", []Field{u16("raw", 2)}, []any{px(0, 5)}, nil, 0},
	} {
		n := camera(1, 10, c.typ, 0, c.fields...)
		p := (&tape{node: 1}).put(Configure, 0, names(n)).put(L1Accept, 1, value(n, 0, c.values...))
		x := indexOf(t, p)
		for i := range c.want {
			c.want[i].Detector, c.want[i].Type = "det", c.typ
		}
		equal(t, c.typ, x.Panels, c.want)
		if len(x.Panels) == 0 {
			continue
		}
		// one datagram: header, ShapesData, Shapes with 20 bytes for each array, Data
		begin := int64(len(p.b)) - int64(len(p.d.Bytes())) + headerSize + xtcSize + xtcSize + int64(20*len(c.fields)) + xtcSize
		for i := range x.Panels {
			e := x.At(0, i)
			if want := begin + c.offset + int64(i)*int64(e.Length); e.State != present || e.Offset != want {
				t.Errorf("%s panel %d: %+v, want offset %d", c.typ, i, *e, want)
			}
		}
	}
}

func TestOtherAlgorithmsAreNoPanels(t *testing.T) {
	fex, own := camera(1, 10, "tdet", 0), camera(1, 11, "runinfo", 0)
	fex.Alg, own.DetName = "fex", "runinfo"
	x := indexOf(t, (&tape{node: 1}).put(Configure, 0, names(fex, own)).put(L1Accept, 1, value(fex, 0, px(2, 3))))
	equal(t, "panels", x.Panels, []frame.Panel(nil))
	equal(t, "events", len(x.Events), 1)
}

func TestFramesOfAnotherShapeAreOdd(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 1)
	p := (&tape{node: 1}).put(Configure, 0, names(a, b))
	for i, rows := range []int{3, 2, 2, 4, 2} {
		p.put(L1Accept, 1+i, value(a, 0, px(rows, 5)))
	}
	x := indexOf(t, p)
	for e, want := range []frame.State{frame.Odd, present, present, frame.Odd, present} {
		equal(t, fmt.Sprint("event ", e), x.At(e, 0).State, want)
		equal(t, "the panel without frames", x.At(e, 1).State, missing)
	}
	equal(t, "its shape", []int{x.Panels[1].Rows, x.Panels[1].Cols}, []int{2, 5})
	wantNote(t, x.Notes, "another shape or type (2 times)")
}

func TestSegmentThatComesTwiceCountsOnce(t *testing.T) {
	a, b, c := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 0), camera(2, 10, "tdet", 0)
	p := (&tape{node: 1}).put(Configure, 0, names(a, b)).put(L1Accept, 1, value(b, 0, px(2, 3)), value(a, 0, px(2, 3)))
	q := (&tape{node: 2}).put(Configure, 0, names(c)).put(L1Accept, 1, value(c, 0, px(2, 3)))
	x := indexOf(t, p, q)
	equal(t, "panels", len(x.Panels), 1)
	equal(t, "first", x.At(0, 0).Offset, int64(len(p.b)-len(p.d.Bytes()))+headerSize+3*xtcSize+20)
	wantNote(t, x.Notes, "twice in one event")
	wantNote(t, x.Notes, "came from two streams")
}

// TestDamageInsideAnEventEndsThere damages the structure within one event; the panels before stay, those after are
// unreadable, and the next event is not touched.
func TestDamageInsideAnEventEndsThere(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 1)
	p := (&tape{node: 1}).put(Configure, 0, names(a, b))
	at := len(p.b)
	p.put(L1Accept, 1, value(a, 0, px(2, 3)), value(b, 0, px(2, 3)))
	block := (len(p.b) - at - headerSize) / 2
	p.put(L1Accept, 2, value(a, 0, px(2, 3)), value(b, 0, px(2, 3)))
	second := at + headerSize + block
	for name, c := range map[string]struct {
		off  int
		v    uint32
		want frame.State
	}{
		"extent beyond the parent": {second + 8, uint32(block + 1), frame.Bad},
		"extent too small":         {second + 8, 3, frame.Bad},
		"garbage dimension":        {second + 24, 0xffffffff, frame.Bad},
		"no Data":                  {second + 12 + 32 + 4, 9 << 16, frame.Bad},
		"unknown NamesId":          {second, 77, missing},
	} {
		saved := binary.LittleEndian.Uint32(p.b[c.off:])
		binary.LittleEndian.PutUint32(p.b[c.off:], c.v)
		x := indexOf(t, p)
		equal(t, name, [][]frame.State{states(x, 0), states(x, 1)}, [][]frame.State{{present, c.want}, {present, present}})
		wantNote(t, x.Notes, "stream 1: ")
		binary.LittleEndian.PutUint32(p.b[c.off:], saved)
	}
}

func TestConfigurationsNameTheGainMode(t *testing.T) {
	enum := func(n *Names, v int32) func(*Draft) { return value(n, 0, v) }
	jf, ep := camera(1, 10, "jungfrau", 0), camera(1, 11, "epix10ka", 0)
	ep.DetName = "quad"
	jfc := &Names{ID: ID(1, 0), DetType: "jungfrau", DetName: "det", Alg: "config", Fields: []Field{{Name: "user.gainMode:gainModeEnum", Type: EnumVal}}}
	jfu := *jfc
	jfu.ID = ID(1, 20)
	epc := &Names{ID: ID(1, 1), DetType: "epix10ka", DetName: "quad", Alg: "config",
		Fields: []Field{{Name: "asicPixelConfig", Type: UInt8, Rank: 3}, {Name: "trbit", Type: UInt8, Rank: 1}}}
	fill := func(v byte, dims ...int) FieldValue {
		return FieldValue{Dims: dims, Fill: func(b []byte) {
			for i := range b {
				b[i] = v
			}
		}}
	}
	scan := scanNames(1)
	frames := func(d *Draft) { d.Values(jf, 0, px(2, 3)); d.Values(ep, 0, px(2, 3)) }
	p := (&tape{node: 1}).
		put(Configure, 0, names(jf, ep, jfc, &jfu, epc, scan), enum(jfc, 1), value(epc, 0, fill(12, 4, 2, 3), fill(1, 4))).
		put(L1Accept, 1, frames).
		put(BeginStep, 2).put(L1Accept, 3, frames).
		put(BeginStep, 4, value(scan, 0, `{"detname": "det_3", "scantype": "pedestal", "step": 0, "gainMode": 2}`)).
		put(BeginStep, 5, value(scan, 0, `{"detname": "det", "scantype": "pedestal", "step": 1}`), enum(&jfu, 4)).
		put(BeginStep, 6, value(scan, 0, `{"detname": "quad_0", "scantype": "pedestal", "step": 4}`)).
		put(BeginStep, 7, value(scan, 0, `{"detname": "quad", "scantype": "timing", "step": 3}`), value(epc, 0, fill(8, 4, 2, 3), fill(0, 4))).
		put(BeginStep, 8, value(scan, 0, "free words"), enum(&jfu, 9))
	x := indexOf(t, p)
	// A description counts more than what the configuration said before; with both told by the step, both are kept.
	want := [][]string{{"-/FORCE_SWITCH_G1", "-/FH"}, {"-/FORCE_SWITCH_G1", "-/FH"}, {"FORCE_SWITCH_G2/-", "-/FH"}, {"FORCE_SWITCH_G1/FIX_G2", "-/FH"},
		{"-/FIX_G2", "AML/-"}, {"-/FIX_G2", "-/FL"}, {"-/-", "-/FL"}}
	var got [][]string
	for i, s := range x.Steps {
		equal(t, "number", s.Number, i-1)
		var list []string
		for _, g := range s.Gains {
			list = append(list, cmp.Or(g.Doc, "-")+"/"+cmp.Or(g.Config, "-"))
		}
		got = append(got, list)
	}
	equal(t, "gain settings", got, want)
	equal(t, "doc", x.Steps[6].Doc, "free words")
	equal(t, "events of steps", []int{x.Steps[0].Events, x.Steps[1].Events, x.Steps[2].Events}, []int{1, 1, 0})
	equal(t, "steps of events", []int32{x.Events[0].Step, x.Events[1].Step}, []int32{-1, 0})
	equal(t, "number of notes", len(x.Notes), 2)
}

// TestEpix10kaModes checks the gain mode of configurations in each of their forms.
func TestEpix10kaModes(t *testing.T) {
	for _, c := range []struct {
		pixel, trbit byte
		want         string
	}{{12, 1, "FH"}, {12, 0, "FM"}, {8, 0, "FL"}, {8, 1, "FL"}, {0, 1, "AHL"}, {0, 0, "AML"}, {4, 0, ""}} {
		asics := &Block{Names: &Names{DetType: "epix10ka", Fields: []Field{{Name: "asicPixelConfig", Type: UInt8, Rank: 3}, {Name: "trbit", Type: UInt8, Rank: 1}}}}
		panel := &Block{Names: &Names{DetType: "epix10ka", Fields: []Field{{Name: "asicPixelConfig", Type: UInt8, Rank: 2}, {Name: "trbit", Type: UInt8, Rank: 1}}}}
		cbits := &Block{Names: &Names{DetType: "epix10ka", Fields: []Field{{Name: "cbitsConfig", Type: UInt8, Rank: 2}}}}
		shape := func(dims ...uint32) []byte {
			b := make([]byte, shapeSize)
			for i, d := range dims {
				binary.LittleEndian.PutUint32(b[4*i:], d)
			}
			return b
		}
		pixels := slices.Repeat([]byte{c.pixel}, 24)
		// three pixels of another mode do not change the majority
		pixels[0], pixels[5], pixels[23] = 4, 4, 4
		asics.data, asics.shapes = append(slices.Clone(pixels), slices.Repeat([]byte{c.trbit}, 4)...), append(shape(4, 2, 3), shape(4)...)
		panel.data, panel.shapes = asics.data, append(shape(4, 6), shape(4)...)
		cbits.shapes = shape(4, 6)
		for _, v := range pixels {
			cbits.data = append(cbits.data, v|c.trbit<<4|0xe0)
		}
		for form, b := range map[string]*Block{"asics": asics, "panel": panel, "cbits": cbits} {
			got, told := b.gainConfig()
			equal(t, fmt.Sprintf("%s %+v", form, c), []any{got.Setting, told, got.Pixels != nil}, []any{c.want, true, c.want != ""})
		}
	}
	for i, want := range []int{2, 2, 1, 1, 2, 2, 1, 1, 3, 3, 0, 0, 3, 3, 0, 0} {
		equal(t, fmt.Sprint("asic of pixel ", i), asicOf([]int{4, 4}, i), want)
	}
}

func TestRunsOfAFile(t *testing.T) {
	a, info := camera(1, 10, "tdet", 0), RunInfoNames(1)
	img := value(a, 0, px(2, 3))
	p := (&tape{node: 1}).put(Configure, 0, names(a, info)).
		put(BeginRun, 1, value(info, 0, "exp1", uint32(5))).put(L1Accept, 2, img).put(L1Accept, 3, img).put(EndRun, 4).put(EndRun, 4).
		put(L1Accept, 5, img).
		put(BeginRun, 6, value(info, 0, "exp1", uint32(6))).put(BeginStep, 7).put(L1Accept, 8, img)
	req := requestOf(p)
	_, err := BuildIndex(context.Background(), req, rawrun.Options{})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(fmt.Sprint(err), "5 (2 events) 6 (1 event)") {
		t.Errorf("no run asked for: %v", err)
	}
	req.RunInFile = 7
	if _, err = BuildIndex(context.Background(), req, rawrun.Options{}); fault.CodeOf(err) != fault.Input {
		t.Errorf("run that is not there: %v", err)
	}
	req.RunInFile = 5
	x := build(t, req, rawrun.Options{})
	equal(t, "run", x.Run, frame.Run{Experiment: "exp1", Number: 5, Begin: Time(1000<<32 | 1000)})
	equal(t, "events", len(x.Events), 2)
	equal(t, "notes", x.Notes, []string(nil))
	equal(t, "missing", x.Missing, []string{"1 events lie behind the EndRun of run 5 and belong to no run"})
	req.RunInFile = 6
	x = build(t, req, rawrun.Options{})
	equal(t, "events, states, step", []any{len(x.Events), states(x, 0), x.Events[0].Step}, []any{1, []frame.State{present}, int32(0)})
	wantNote(t, x.Notes, "no EndRun in stream [1]")
}

// TestRunWithoutEnd wants a Configure for the next run kept out of the run before.
func TestRunWithoutEnd(t *testing.T) {
	a, b, info := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 1), RunInfoNames(1)
	for _, unconfigure := range []bool{true, false} {
		p := (&tape{node: 1}).put(Configure, 0, names(a, info)).put(BeginRun, 1, value(info, 0, "exp1", uint32(5))).put(L1Accept, 2, value(a, 0, px(2, 3)))
		if unconfigure {
			p.put(Unconfigure, 3)
		}
		p.put(Configure, 4, names(b, info)).put(BeginRun, 5, value(info, 0, "exp1", uint32(6))).put(L1Accept, 6, value(b, 0, px(2, 3)))
		for i, run := range []int{5, 6} {
			req := requestOf(p)
			req.RunInFile = run
			x := build(t, req, rawrun.Options{})
			if len(x.Panels) != 1 || x.Panels[0].Segment != i || x.At(0, 0).State != present {
				t.Errorf("run %d: %+v", run, x)
			}
		}
	}
}

// TestRepeatedBeginRun wants the second BeginRun of streams that begin a run at different times, or of
// edited files, to be no second run.
func TestRepeatedBeginRun(t *testing.T) {
	a, info := camera(1, 10, "tdet", 0), RunInfoNames(1)
	p := (&tape{node: 1}).put(Configure, 0, names(a, info)).put(BeginRun, 1, value(info, 0, "exp1", uint32(5))).
		put(BeginStep, 2).put(L1Accept, 3, value(a, 0, px(2, 3))).
		put(BeginRun, 4, value(info, 0, "exp1", uint32(5))).put(BeginRun, 5).put(L1Accept, 6, value(a, 0, px(2, 3))).put(EndRun, 7)
	x := indexOf(t, p)
	equal(t, "events, run, begin", []any{len(x.Events), x.Run.Number, x.Run.Begin}, []any{2, 5, Time(1000<<32 | 1000)})
	equal(t, "notes", len(x.Notes), 2)
}

// TestWrongTimeStampsLoseOnlyTheirEvents wants that wrong time-stamps lose events to alignment, and nothing else.
func TestWrongTimeStampsLoseOnlyTheirEvents(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(2, 10, "tdet", 1)
	p, q := (&tape{node: 1}).put(Configure, 0, names(a)), (&tape{node: 2}).put(Configure, 0, names(b))
	for i := 1; i <= 6; i++ {
		ts := i * 10
		q.put(L1Accept, ts, value(b, 0, px(2, 3)))
		switch i {
		case 3:
			ts = 9000 // jumps ahead
		case 5:
			ts = 5 // falls back
		}
		p.put(L1Accept, ts, value(a, 0, px(2, 3)))
	}
	x := indexOf(t, p, q)
	both := 0
	for e := range x.Events {
		if slices.Equal(states(x, e), []frame.State{present, present}) {
			both++
		}
	}
	equal(t, "events, and with both", []int{len(x.Events), both}, []int{8, 4})
}

// writeRun writes a run of two streams, the first with two chunks, through the writer; dirty may
// change what a stream writes.
func writeRun(t *testing.T, dir string, endRun bool) {
	t.Helper()
	for node := range 2 {
		n := camera(node, 10, "tdet", node)
		w, err := CreateStream(rawrun.StreamOptions{Dir: dir, Experiment: "tst", Run: 3, Stream: node})
		if err != nil {
			t.Fatal(err)
		}
		var d Draft
		put := func(s Service, ts int, fill ...func(*Draft)) {
			d.Begin(s, uint64(1000)<<32|uint64(ts*1000), node, 1)
			for _, f := range fill {
				f(&d)
			}
			if err := w.Write(&d); err != nil {
				t.Fatal(err)
			}
		}
		info := RunInfoNames(node)
		put(Configure, 0, names(n, info, ChunkInfoNames(node)))
		put(BeginRun, 1, value(info, 0, "tst", uint32(3)))
		put(BeginStep, 2)
		put(Enable, 3)
		for ev := range 20 {
			if ev == 10 && node == 0 {
				put(Disable, 15)
				put(Enable, 16, w.SwitchChunk)
			}
			// large enough not to be read whole with its neighbours
			put(L1Accept, 20+ev, value(n, 0, px(160, 128)))
		}
		if endRun {
			put(EndRun, 99)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// change rewrites a file.
func change(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(b), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func countStates(x *frame.Index, panel int) map[frame.State]int {
	m := map[frame.State]int{}
	for s, n := range x.PanelFrames(panel) {
		if n > 0 {
			m[frame.State(s)] = n
		}
	}
	return m
}

func TestWrittenRunIsReadWithAndWithoutSmalldata(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, true)
	with := build(t, runOf(t, dir, "tst", 3), rawrun.Options{})
	without := build(t, runOf(t, dir, "tst", 3), rawrun.Options{NoSmalldata: true, Reads: 3})
	if !reflect.DeepEqual(with, without) {
		t.Errorf("with smalldata\n%+v\nwithout\n%+v", with, without)
	}
	equal(t, "events, files", []int{len(with.Events), len(with.Files)}, []int{20, 3})
	equal(t, "missing and notes", [][]string{with.Missing, with.Notes}, [][]string{nil, {"1 Enable not in all streams", "1 Disable not in all streams"}})
	for p := range with.Panels {
		equal(t, "frames", countStates(with, p), map[frame.State]int{present: 20})
		for e := range with.Events {
			if b := pixels(t, with, e, p); b[0] != 0 || b[255] != 255 || b[256] != 0 {
				t.Fatalf("event %d panel %d: not its pixels", e, p)
			}
		}
	}
}

// TestIncompleteRunsSayWhatIsMissing breaks a run in the ways that a file system and a data mover know.
func TestIncompleteRunsSayWhatIsMissing(t *testing.T) {
	data := func(s, c int) string {
		return FileNames.Format(rawrun.Name{Experiment: "tst", Run: 3, Stream: s, Chunk: c})
	}
	smd := func(s int) string {
		return filepath.Join("smalldata", FileNames.Format(rawrun.Name{Experiment: "tst", Run: 3, Stream: s, Smalldata: true}))
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	edit := func(name string, f func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) { change(t, filepath.Join(dir, name), f) }
	}
	short := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	all := map[frame.State]int{present: 20}
	for name, c := range map[string]struct {
		do          func(*testing.T, string)
		noEnd       bool
		first       map[frame.State]int // frames of the first stream's panel
		second      map[frame.State]int
		incomplete  string // part of the message; empty: complete
		note        string
		noSmalldata bool
	}{
		"truncated tail": {do: edit(data(1, 0), short(100)), first: all, second: map[frame.State]int{present: 19, truncated: 1}, incomplete: "the last 1 event of its smalldata"},
		"truncated tail without smalldata": {do: edit(data(1, 0), short(100)), noSmalldata: true,
			first: all, second: map[frame.State]int{present: 19, missing: 1}, incomplete: "left in the file"},
		"chunk missing": {do: remove(data(0, 1)), first: map[frame.State]int{present: 10, missing: 10}, second: all, incomplete: `chunk 1 not found: chunk file "tst-r0003-s000-c001.xtc2" was announced`},
		"chunk missing without smalldata": {do: remove(data(0, 1)), noSmalldata: true, first: map[frame.State]int{present: 10, missing: 10}, second: all,
			incomplete: `chunk 1 not found: chunk file "tst-r0003-s000-c001.xtc2" was announced`},
		"smalldata cut":           {do: edit(smd(1), short(30)), first: all, second: all},
		"smalldata behind":        {do: edit(smd(1), short(76)), noEnd: true, first: all, second: all},
		"smalldata of other data": {do: edit(smd(1), func(b []byte) []byte { b[len(b)-24-76*3]++; return b }), first: all, second: all, note: "smalldata not used"},
		"no end":                  {do: func(*testing.T, string) {}, noEnd: true, first: all, second: all, note: "no EndRun in stream [0 1]"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeRun(t, dir, !c.noEnd)
			c.do(t, dir)
			x := build(t, runOf(t, dir, "tst", 3), rawrun.Options{NoSmalldata: c.noSmalldata})
			equal(t, "events", len(x.Events), 20)
			equal(t, "first", countStates(x, 0), c.first)
			equal(t, "second", countStates(x, 1), c.second)
			if c.incomplete == "" {
				equal(t, "missing", x.Missing, []string(nil))
			} else {
				wantNote(t, x.Missing, c.incomplete)
			}
			wantNote(t, append(x.Notes, ""), c.note)
		})
	}
}

func TestStreamKnownFromSmalldataOnly(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, true)
	req := runOf(t, dir, "tst", 3)
	req.Files[0].R, req.Files[1].R = nil, nil
	if err := os.Remove(filepath.Join(dir, "tst-r0003-s000-c001.xtc2")); err != nil {
		t.Fatal(err)
	}
	x := build(t, req, rawrun.Options{})
	equal(t, "panels", len(x.Panels), 2)
	equal(t, "first", countStates(x, 0), map[frame.State]int{missing: 20})
	equal(t, "second", countStates(x, 1), map[frame.State]int{present: 20})
	wantNote(t, x.Missing, "stream 0: chunk 0 not found; its smalldata file")
}

func TestGrowingFilesWithoutEndAreIncomplete(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, false)
	asked := 0
	opt := rawrun.Options{Growing: func(context.Context) ([]string, error) { asked++; return []string{"a.xtc2"}, nil }}
	wantNote(t, build(t, runOf(t, dir, "tst", 3), opt).Missing, `"a.xtc2" is still in progress`)
	complete := t.TempDir()
	writeRun(t, complete, true)
	equal(t, "missing", build(t, runOf(t, complete, "tst", 3), opt).Missing, []string(nil))
	equal(t, "asked", asked, 1)
	opt.Growing = func(context.Context) ([]string, error) { return nil, io.ErrClosedPipe }
	if _, err := BuildIndex(context.Background(), runOf(t, dir, "tst", 3), opt); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

// secondStream is the first file of stream 1.
func secondStream(req rawrun.Request) *File {
	return req.Files[slices.IndexFunc(req.Files, func(f *File) bool { return f.Stream == 1 })]
}

// failing fails all reads from some offset on.
type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(b, off)
}

// TestFailedReadsAreNoDamage wants errors of the file system to end the indexing with their own class, wherever
// they come: they are no damage of the data.
func TestFailedReadsAreNoDamage(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, true)
	for _, noSmalldata := range []bool{false, true} {
		size := secondStream(runOf(t, dir, "tst", 3)).Size
		for _, from := range []int64{0, 5000, size / 2, size - 10} {
			req := runOf(t, dir, "tst", 3)
			f := secondStream(req)
			f.R = failing{f.R, from, syscall.EIO}
			_, err := BuildIndex(context.Background(), req, rawrun.Options{NoSmalldata: noSmalldata})
			if fault.CodeOf(err) != fault.Temporary || !strings.Contains(err.Error(), f.Path) {
				t.Errorf("nosmd %v from %d: %v", noSmalldata, from, err)
			}
		}
	}
}

// TestSmalldataCutWhileRead falls back to the data where the smalldata file shrinks under the reader.
func TestSmalldataCutWhileRead(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, true)
	for _, from := range []int64{0, 200, 5000} {
		req := runOf(t, dir, "tst", 3)
		f := secondStream(req).Small
		f.R = failing{f.R, from, io.EOF}
		x := build(t, req, rawrun.Options{})
		equal(t, "frames", countStates(x, 1), map[frame.State]int{present: 20})
		f.R = failing{f.R, from, syscall.ESTALE}
		if _, err := BuildIndex(context.Background(), req, rawrun.Options{}); fault.CodeOf(err) != fault.Temporary {
			t.Errorf("from %d: %v", from, err)
		}
	}
}

func TestCancellationEndsTheIndexing(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, true)
	for _, noSmalldata := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if x, err := BuildIndex(ctx, runOf(t, dir, "tst", 3), rawrun.Options{NoSmalldata: noSmalldata}); x != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("nosmd %v: %v", noSmalldata, err)
		}
	}
}

func TestLaterChunkAloneIsRefused(t *testing.T) {
	dir := t.TempDir()
	writeRun(t, dir, true)
	_, err := BuildIndex(context.Background(), streamOf(t, filepath.Join(dir, "tst-r0003-s000-c001.xtc2")), rawrun.Options{})
	if fault.CodeOf(err) != fault.Incomplete || !strings.Contains(err.Error(), "stream 0: chunk 0 not found") {
		t.Errorf("error %v", err)
	}
}

func TestTimeStampsAreSecondsAndNanoseconds(t *testing.T) {
	const ts = 4193682596073796843
	if s := Time(ts).Format("2006-01-02T15:04:05.000000000Z"); s != "2020-12-10T03:10:18.532116715Z" {
		t.Error(s)
	}
	if TimeStamp(Time(ts)) != ts {
		t.Error(TimeStamp(Time(ts)))
	}
}
