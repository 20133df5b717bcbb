package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/stats/charge"
)

// scanIndex is a run whose steps have these descriptions.
func scanIndex(typ string, docs ...string) *frame.Index {
	x := &frame.Index{Run: frame.Run{Experiment: "tst", Number: 1}, Panels: []frame.Panel{{Detector: "d", Type: typ, Rows: 28, Cols: 28}}}
	for i, doc := range docs {
		x.Steps = append(x.Steps, frame.Step{Number: i, Doc: doc, Events: 10})
	}
	return x
}

func pulse(step int) string {
	return fmt.Sprintf(`{"detname": "d_0", "scantype": "chargeinj", "step": %d}`, step)
}

// TestStepsOfAScanHaveModeAndPosition wants each step's mode and position, whatever the order, and a word about what is not as it should be.
func TestStepsOfAScanHaveModeAndPosition(t *testing.T) {
	eight := func(order ...int) (docs []string) {
		for _, n := range order {
			docs = append(docs, pulse(n))
		}
		return docs
	}
	all := eight(0, 1, 2, 3, 4, 5, 6, 7)
	for _, c := range []struct {
		name  string
		x     *frame.Index
		par   ChargeParams
		steps string // number:mode/position ...
		space int
		notes []string
		lacks []string
		fails string
	}{
		{name: "in order", x: scanIndex("epixhr2x2", all...), steps: "0:0/0 1:0/1 2:0/2 3:0/3 4:1/0 5:1/1 6:1/2 7:1/3", space: 2},
		{name: "out of order", x: scanIndex("epixhr2x2", eight(4, 5, 6, 7, 3, 2, 1, 0)...), steps: "0:1/0 1:1/1 2:1/2 3:1/3 4:0/3 5:0/2 6:0/1 7:0/0", space: 2},
		{name: "no descriptions", x: scanIndex("epixhr2x2", make([]string, 8)...), steps: "0:0/0 1:0/1 2:0/2 3:0/3 4:1/0 5:1/1 6:1/2 7:1/3", space: 2},
		{name: "darks in front", x: scanIndex("epixhr2x2", append([]string{`{"scantype": "pedestal", "step": 0}`, "no JSON"}, all...)...),
			steps: "2:0/0 3:0/1 4:0/2 5:0/3 6:1/0 7:1/1 8:1/2 9:1/3", space: 2, notes: []string{`left out: scan type "pedestal"`, "left out: without a description"}},
		{name: "repeated", x: scanIndex("epixhr2x2", append(slices.Clone(all), pulse(5))...), steps: "0:0/0 1:0/1 2:0/2 3:0/3 4:1/0 6:1/2 7:1/3 8:1/1", space: 2,
			notes: []string{"steps 5 and 8 are both position 1 of mode AHL: the later one counts"}},
		{name: "missing", x: scanIndex("epixhr2x2", eight(0, 1, 3, 4, 6, 7)...), steps: "0:0/0 1:0/1 2:0/3 3:1/0 4:1/2 5:1/3", space: 2,
			lacks: []string{"1 of 4 positions of mode AML are missing: 2", "1 of 4 positions of mode AHL are missing: 1"}},
		{name: "ends early", x: scanIndex("epixhr2x2", eight(0, 1, 2)...), steps: "0:0/0 1:0/1 2:0/2", space: 5, notes: []string{"space 5 is what is customary"},
			lacks: []string{"22 of 25 positions of mode AML", "25 of 25 positions of mode AHL"}},
		{name: "space by hand", x: scanIndex("epixhr2x2", eight(0, 1, 2)...), par: ChargeParams{Space: 1}, fails: "is --space right?"},
		{name: "too many", x: scanIndex("epixhr2x2", pulse(50)), fails: "--space"},
		{name: "LCLS-I", x: scanIndex("epix10ka2m", "kind=position 8 trbit 0", "kind=position 48 trbit 1"), steps: "0:0/8 1:1/48", space: 7,
			lacks: []string{"48 of 49 positions of mode AML", "48 of 49 positions of mode AHL"}},
		{name: "both kinds", x: scanIndex("epix10ka2m", "position 8 trbit 0", pulse(3)), fails: "mixes two kinds of descriptions"},
		{name: "no scan", x: scanIndex("epixhr2x2", `{"scantype": "pedestal", "step": 0}`), fails: "no step of a charge-injection scan"},
		{name: "odd numbers", x: scanIndex("epixhr2x2", `{"scantype": "chargeinj", "step": 1.5}`, `{"scantype": "chargeinj", "step": -1}`, `{"scantype": "chargeinj"}`), fails: "3 steps are no charge injection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			scan, notes, err := scanOf(c.x, Params{Profile: ProfileCharge, Selection: Selection{Injection: &c.par}})
			if c.fails != "" {
				if fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error()+fault.HintOf(err), c.fails) {
					t.Fatalf("%v, wanted an error with %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range scan.Steps {
				got = append(got, fmt.Sprintf("%d:%d/%d", s.Step, s.Mode, s.Position))
			}
			if strings.Join(got, " ") != c.steps || scan.Space != c.space {
				t.Errorf("steps %v, space %d", got, scan.Space)
			}
			contain(t, "notes", notes, c.notes)
			contain(t, "lacks", scan.lacks(), c.lacks)
		})
	}
}

// contain wants as many texts as parts, each with one of them in this order.
func contain(t *testing.T, what string, texts, parts []string) {
	t.Helper()
	if len(texts) != len(parts) {
		t.Errorf("%s: %q, wanted %q", what, texts, parts)
		return
	}
	for i, part := range parts {
		if !strings.Contains(texts[i], part) {
			t.Errorf("%s: %q, wanted %q", what, texts[i], part)
		}
	}
}

// TestConfigurationIsBelievedBeforeTheStep wants the configuration to be believed before the number of a step, with a note.
func TestConfigurationIsBelievedBeforeTheStep(t *testing.T) {
	x := scanIndex("epixhr2x2", pulse(0), pulse(1))
	x.Pulsed = []frame.PulsedMap{{Step: 1, Panel: 0, TRBit: 0, Bits: []byte{1}}, {Step: 0, Panel: 0, TRBit: 1, Bits: []byte{1}}}
	scan, notes, err := scanOf(x, Params{Profile: ProfileCharge, Selection: Selection{Injection: &ChargeParams{Space: 1}}})
	if err != nil || scan.Steps[0].Mode != charge.AHL || scan.Steps[1].Mode != charge.AML {
		t.Fatalf("%+v, %v", scan, err)
	}
	contain(t, "notes", notes, []string{"step 0 should be of mode AML by its number, the configuration says AHL", "step 1 should be of mode AHL by its number, the configuration says AML"})
}

// FuzzScanOf tries steps of any description.
func FuzzScanOf(f *testing.F) {
	for _, doc := range []string{pulse(3), "position 8 trbit 0", `{"scantype":"chargeinj","step":1e9,"injpos":[1,2]}`, `{"scantype":"chargeinj","step":3,"injpos":[-1]}`, "{", "position 99999999999999999999 trbit 1"} {
		f.Add(doc, 0)
		f.Add(doc, 5)
	}
	f.Fuzz(func(t *testing.T, doc string, space int) {
		x := scanIndex("epixhr2x2", pulse(0), doc, doc)
		scan, _, err := scanOf(x, Params{Profile: ProfileCharge, Selection: Selection{Injection: &ChargeParams{Space: min(max(space, 0), maxSpace)}}})
		if err != nil {
			return
		}
		for _, s := range scan.Steps {
			if s.Mode < 0 || s.Mode >= charge.Modes || s.Position < 0 || s.Position >= scan.Space*scan.Space || len(s.InjPos) != 0 && len(s.InjPos) != 2 {
				t.Fatalf("%+v with space %d", s, scan.Space)
			}
			scan.Formula(28, 28, s.Position)
		}
	})
}
