package open

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/ranges"
	"rawstatus/internal/testenv"
)

// TestRunsOfLCLSIAreFoundByEveryName finds runs of LCLS-I in all the ways in which they are named.
func TestRunsOfLCLSIAreFoundByEveryName(t *testing.T) {
	root := filepath.Join(testenv.Shared(t), "data/xtc1")
	dir := filepath.Join(root, "xpp/xppx00123/xtc")
	old := t.TempDir() // of the time when names had numbers
	for _, name := range []string{"s00-c00", "s00-c01", "s01-c00"} {
		b, err := os.ReadFile(filepath.Join(dir, "xppx00123-r0005-"+name+".xtc"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(old, "XPP/xppx00123/xtc"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(old, "XPP/xppx00123/xtc/e167-r0005-"+name+".xtc"), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	opt := Options{Settle: time.Millisecond}
	file := filepath.Join(dir, "xppx00123-r0005-s01-c00.xtc")
	for name, c := range map[string]struct {
		set     string
		d       Dataset
		events  int
		missing int
	}{
		"string":          {set: "exp=xppx00123:run=5:dir=" + dir + ":stream=0-79:smd", events: 12},
		"one stream":      {set: "exp=xppx00123,run=5,stream=1,dir=" + dir, events: 6},
		"root":            {d: Dataset{Experiment: "xppx00123", Runs: ranges.One(5), Roots: []string{root}, Detector: "XppEndstation.0:Opal1000.1"}, events: 12},
		"slow camera":     {d: Dataset{Experiment: "xppx00123", Runs: ranges.One(5), Roots: []string{root}, Detector: "XppGon.0:ControlsCamera.2"}, events: 4},
		"numbered":        {d: Dataset{Experiment: "xppx00123", Runs: ranges.One(5), Roots: []string{old}}, events: 12},
		"numbered by dir": {d: Dataset{Dir: filepath.Join(old, "XPP/xppx00123/xtc"), Runs: ranges.One(5)}, events: 12},
		"file":            {d: Dataset{Files: []string{file}}, events: 6, missing: 0},
		"smalldata file":  {d: Dataset{Files: []string{filepath.Join(dir, "smalldata/xppx00123-r0005-s01-c00.smd.xtc")}}, events: 6},
		"chunk file":      {d: Dataset{Files: []string{filepath.Join(dir, "xppx00123-r0005-s00-c01.xtc")}}, events: 2, missing: 1},
		"alias":           {d: Dataset{Files: []string{filepath.Join(root, "epix100a.xtc")}, Detector: "epix_1"}, events: 20},
	} {
		d := c.d
		var err error
		if c.set != "" {
			if d, err = ParseDataset(c.set); err != nil {
				t.Fatal(err)
			}
		}
		x, err := Index(context.Background(), d, opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(x.Events) != c.events || x.Format != "xtc1" || len(x.Missing) != c.missing {
			t.Errorf("%s: %d events, format %s, missing %q", name, len(x.Events), x.Format, x.Missing)
		}
		if len(d.Files) == 0 && (x.Run.Experiment != "xppx00123" || x.Run.Number != 5) {
			t.Errorf("%s: run %+v", name, x.Run)
		}
	}
	for detector, want := range map[string]string{"opal": "did you mean XppEndstation.0:Opal1000.1?", "0": "the run has XppEndstation"} {
		_, err := Index(context.Background(), Dataset{Experiment: "xppx00123", Runs: ranges.One(5), Dir: dir, Detector: detector}, opt)
		if fault.CodeOf(err) != fault.Input || !strings.HasPrefix(fault.HintOf(err), want) {
			t.Errorf("detector %q: %v; %s", detector, err, fault.HintOf(err))
		}
	}
	x, err := Index(context.Background(), Dataset{Experiment: "xppx00123", Runs: ranges.One(5), Dir: dir}, opt)
	if err != nil {
		t.Fatal(err)
	}
	x.Notes = append(x.Notes, "XppGon.0:Epix10ka.0 cannot be read: for a reason")
	if _, err := selectDetector(x, "XppGon.0:Epix10ka.0"); err == nil || !strings.HasSuffix(err.Error(), ": XppGon.0:Epix10ka.0 cannot be read: for a reason") {
		t.Error(err)
	}
	_, err = Index(context.Background(), Dataset{Experiment: "xppx00123", Runs: ranges.One(6), Dir: dir}, opt)
	if fault.CodeOf(err) != fault.Input || !strings.Contains(fault.HintOf(err), "runs of xppx00123 there: 5") {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
	_, err = Index(context.Background(), Dataset{Experiment: "xppx00123", Runs: ranges.One(5), Dir: dir, Streams: []int{7}}, opt)
	if fault.CodeOf(err) != fault.Input {
		t.Error(err)
	}
}

// TestSurveyListsTheDamagedSample lists what the damaged sample holds.
func TestSurveyListsTheDamagedSample(t *testing.T) {
	path := filepath.Join(testenv.Shared(t), "data/xtc1/epix100a_damage.xtc")
	list, err := Survey(context.Background(), Dataset{Files: []string{path}}, true)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	c := list[0]
	if len(c.Transitions) != 9 || c.Transitions[4] != (Count{"L1Accept", 8}) || len(c.Damage) != 3 || len(c.Configures) != 1 ||
		c.Leaves[1] != (Count{"XppGon.0:Epix100a.1 EpixElement v3", 4}) || !strings.Contains(c.Problem, "got 17 left in the file") {
		t.Errorf("%+v", c)
	}
}
