package plan

import (
	"reflect"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// TestFileCutBeforeItsFirstEventIsCalledCut wants a file that was cut before its first event to be called cut, whatever is allowed.
func TestFileCutBeforeItsFirstEventIsCalledCut(t *testing.T) {
	x := predicted(0)
	x.Steps = nil
	const cut = `"r1.xtc2" byte 0x10: cut`
	for _, c := range []struct {
		missing []string
		want    fault.Code
		words   []string
	}{
		{nil, fault.Input, []string{"no events", "detector d"}},
		{[]string{cut}, fault.Incomplete, []string{"incomplete", "detector d", cut}},
	} {
		x.Missing = c.missing
		for _, allow := range []bool{false, true} {
			par := whole()
			par.AllowIncomplete = allow
			_, err := Build(x, IndexSums{}, par, Options{})
			if err == nil || fault.CodeOf(err) != c.want {
				t.Fatalf("missing %q, allowed %v: %v", c.missing, allow, err)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("missing %q: does not say %q: %v", c.missing, w, err)
				}
			}
		}
	}
}

// whole are parameters of profile data.
func whole() Params {
	return Params{Profile: "data", CType: "status_data", Selection: Selection{DataBits: 0x3fff, IntLo: 1, IntHi: 16000, GateFrames: 20},
		Rules: Rules{RmsHi: 16000, MinFrames: 3, LimitsPer: "detector", Limits: "mean"}}
}

// build makes a plan of an index of 300 events after a change.
func build(t *testing.T, opt Options, change func(*frame.Index, *Params)) *Plan {
	t.Helper()
	x, par := predicted(300), whole()
	x.Steps[0].Doc = "step"
	change(x, &par)
	_, sums, err := EncodeIndex(x)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Build(x, sums, par, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestHashesDependOnWhatDecidesTheResult wants the input to depend on what decides the result and the id on the cut, too.
func TestHashesDependOnWhatDecidesTheResult(t *testing.T) {
	opt := Options{Tasks: 4, Workers: 2}
	p := build(t, opt, func(*frame.Index, *Params) {})
	for name, c := range map[string]struct {
		opt               Options
		change            func(*frame.Index, *Params)
		sameInput, sameID bool
	}{
		"nothing":  {opt, func(*frame.Index, *Params) {}, true, true},
		"workers":  {Options{Tasks: 4, Workers: 64}, func(*frame.Index, *Params) {}, true, true},
		"notes":    {opt, func(x *frame.Index, _ *Params) { x.Notes = []string{"b", "a"} }, true, true},
		"tasks":    {Options{Tasks: 5, Workers: 2}, func(*frame.Index, *Params) {}, true, false},
		"headings": {opt, func(x *frame.Index, _ *Params) { x.Headings[0].Before++ }, true, false},
		"rule":     {opt, func(_ *frame.Index, par *Params) { par.RmsHi++ }, false, false},
		"frame":    {opt, func(x *frame.Index, _ *Params) { x.Extents[7].Offset++ }, false, false},
		"file":     {opt, func(x *frame.Index, _ *Params) { x.Files = []frame.File{{Path: "a"}} }, false, false},
	} {
		q := build(t, c.opt, c.change)
		if (q.Input == p.Input) != c.sameInput || (q.ID == p.ID) != c.sameID {
			t.Errorf("%s: same input %v, same id %v", name, q.Input == p.Input, q.ID == p.ID)
		}
		if name == "workers" && q.Tasks[0].Memory == p.Tasks[0].Memory {
			t.Error("workers need no memory: the test says nothing about them")
		}
	}
}

// TestTextThatIsNotUTF8 wants a plan to be read back whatever text the raw data hold.
func TestTextThatIsNotUTF8(t *testing.T) {
	const bad = "\xff\xfe caf\xe9 \ufffd"
	p := build(t, Options{}, func(x *frame.Index, _ *Params) {
		x.Run.Experiment, x.Steps[0].Doc, x.Notes = "tst\xff", bad, []string{bad}
		for i := range x.Panels {
			x.Panels[i].Detector, x.Panels[i].ID, x.Panels[i].Type = bad, bad, bad
		}
	})
	work := t.TempDir()
	if err := Save(work, p, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	q, err := Load(work)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, q) {
		t.Errorf("read back: %+v\nwanted: %+v", q, p)
	}
	x := predicted(3)
	x.Files = []frame.File{{Path: "/data/r\xff.xtc2"}}
	if _, err := Build(x, IndexSums{}, whole(), Options{}); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "not UTF-8") {
		t.Errorf("a path that is not UTF-8: %v", err)
	}
}
