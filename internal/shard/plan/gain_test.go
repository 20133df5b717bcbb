package plan

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
)

// TestGainModeFollowsFromWhatIsSaid lists what is said of a panel's gain, and what comes of it.
func TestGainModeFollowsFromWhatIsSaid(t *testing.T) {
	none := -1
	for _, c := range []struct {
		typ               string
		words             int // gain bits of most words
		doc, config, flag string
		want              string
		err               string // words of the error
	}{
		{"jungfrau", 0, "", "DYNAMIC", "", "g0", ""},
		{"jungfrau", 0x4000, "", "DYNAMIC", "", "g1", ""},
		{"jungfrau", 0xc000, "", "Normal", "", "g2", ""},
		{"jungfrau", 0xc000, "", "", "", "g2", ""},
		{"jungfrau", 0x4000, "DYNAMIC", "FORCE_SWITCH_G1", "", "g1", ""},
		{"jungfrau", 0x4000, "", "FORCE_SWITCH_G2", "", "", "gain bits of g1, but the configuration says FORCE_SWITCH_G2"},
		{"jungfrau", 0x4000, "FORCE_SWITCH_G2", "FIX_G1", "", "", "the description of the step says FORCE_SWITCH_G2"},
		{"jungfrau", 0x4000, "", "FORCE_SWITCH_G2", "g1", "g1", ""},
		{"jungfrau", 0x4000, "", "", "g2", "", "--gain-mode says g2"},
		{"jungfrau", 0x8000, "", "DYNAMIC", "", "", "no gain mode has"},
		{"jungfrau", none, "", "DYNAMIC", "", "g0", ""},
		{"jungfrau", none, "", "FIX_G2", "", "g2", ""},
		{"jungfrau", none, "", "", "", "", ""},
		{"epix10ka", 0, "FM", "", "", "FM", ""},
		{"epix10ka", 0, "FM", "FM", "", "FM", ""},
		{"epix10ka", 0, "FM", "FH", "", "", "says FM, but the configuration says FH"},
		{"epix10ka", 0, "FM", "FH", "FH", "FH", ""},
		{"epix10ka", 0, "", "AHL", "", "AHL-H", ""},
		{"epix10ka", 0x4000, "", "AHL", "", "AHL-L", ""},
		{"epix10ka", 0x4000, "AML", "", "", "AML-L", ""},
		{"epix10ka", 0x4000, "", "FH", "", "", "FL or AHL-L or AML-L, but the configuration says FH"},
		{"epix10ka", 0, "", "", "", "", ""},
		{"epix10ka", 0x4000, "", "", "", "", ""},
		{"epixm320", 0x8000, "", "", "", "", ""},
	} {
		family, _ := detector.Lookup(c.typ)
		var bits *uint16
		if c.words >= 0 {
			v := uint16(c.words)
			bits = &v
		}
		got, err := settle(family, bits, claimsOf(family, frame.Gain{Doc: c.doc, Config: c.config}, c.flag, ""))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

// gainRun writes a run of one panel of 8 x 8 pixels; word returns each word.
func gainRun(t *testing.T, typ string, steps, perStep int, word func(step, event, pixel int) uint16) *frame.Index {
	t.Helper()
	x := &frame.Index{Format: "test", Run: frame.Run{Experiment: "tst", Number: 1}, Panels: []frame.Panel{{Detector: "d", Type: typ, Rows: 8, Cols: 8}}}
	var raw []byte
	for s := range steps {
		x.Steps = append(x.Steps, frame.Step{Number: s, Events: perStep, Gains: make([]frame.Gain, 1)})
		for e := range perStep {
			x.Events = append(x.Events, frame.Event{TS: uint64(len(x.Events)), Step: int32(s)})
			x.Extents = append(x.Extents, frame.Extent{Offset: int64(len(raw)), Length: 128})
			for i := range 64 {
				raw = binary.LittleEndian.AppendUint16(raw, word(s, e, i))
			}
		}
	}
	path := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	x.Files = []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}
	return x
}

// TestCensusTakesTheMajorityOfWords wants the majority of the words to count, zeros of a dead link not, and every pixel to be looked at.
func TestCensusTakesTheMajorityOfWords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := gainRun(t, "jungfrau", 3, 20, func(step, event, pixel int) uint16 {
		v := 1000 + uint16(r.IntN(30))
		switch {
		case step == 0 && event%4 != 3: // most frames are dead
			return 0
		case step == 2 && pixel < 31: // not quite half
			return v
		}
		return v | []uint16{0x4000, 0xc000, 0x4000}[step]
	})
	y, err := Prepare(context.Background(), x, whole(), sweep.Cached)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"g1", "g2", "g1"} {
		if got := y.Steps[i].Gains[0].Parts; len(got) != 1 || got[0].Mode != want {
			t.Errorf("step %d: %+v, wanted %s", i, got, want)
		}
	}
	x.Steps[1].Gains[0].Config = "FORCE_SWITCH_G1"
	_, err = Prepare(context.Background(), x, whole(), sweep.Cached)
	if fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "step 1 of run 1: d segment 0") || !strings.Contains(fault.HintOf(err), "--gain-mode") {
		t.Errorf("contradiction: %v", err)
	}
	par := whole()
	par.Steps = []int{0, 2}
	if y, err = Prepare(context.Background(), x, par, sweep.Cached); err != nil || y.Steps[1].Gains[0].Parts[0].Mode != "" {
		t.Errorf("contradiction in a step that is left out: %v", err)
	}
}

// TestUnknownGainsAreNotPooled wants steps of different gain bits to be refused where no gain modes are known.
func TestUnknownGainsAreNotPooled(t *testing.T) {
	x := gainRun(t, "epixm320", 2, 5, func(step, _, pixel int) uint16 { return uint16(step)<<15 | uint16(100+pixel) })
	y, err := Prepare(context.Background(), x, whole(), sweep.Cached)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Build(y, IndexSums{}, whole(), Options{})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "different gain bits") || !strings.Contains(fault.HintOf(err), "--step") {
		t.Errorf("two gains: %v", err)
	}
	par := whole()
	par.Steps = []int{1}
	p, err := Build(y, IndexSums{}, par, Options{})
	if err != nil || *p.Groups[0].GainBits != 0x8000 || p.Units[0].Selected != 5 {
		t.Errorf("one gain: %v, %+v", err, p)
	}
}

// TestFewPixelsGiveWay wants a step of profile dark in which a few pixels have the gain mode of another step to
// leave the mode to that one.
func TestFewPixelsGiveWay(t *testing.T) {
	x := gainRun(t, "epix10ka", 2, 5, func(_, _, pixel int) uint16 { return uint16(1000 + pixel) })
	odd := make([]uint8, 64)
	odd[7] = 1 // FM among FH
	x.Steps[0].Gains[0] = frame.Gain{Config: "FH", Map: x.AddGainMap(odd)}
	x.Steps[1].Gains[0].Config = "FM"
	par := whole()
	par.Profile, par.FracHi, par.MaxLost = ProfileDark, 1, 100
	y, err := Prepare(context.Background(), x, par, sweep.Cached)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Build(y, IndexSums{}, par, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Groups) != 2 || p.Groups[0].GainMode != "FH" || p.Groups[1].GainMode != "FM" || len(p.Groups[1].Steps) != 1 || p.Groups[1].Steps[0] != 1 {
		t.Errorf("groups %+v", p.Groups)
	}
}
