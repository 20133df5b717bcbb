package open

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/ranges"
	"rawstatus/internal/testenv"
)

// TestCasesEndWithAllEventsOrSayWhatIsMissing reads situations that other software got wrong: each ends with all events, or says what is
// missing.
func TestCasesEndWithAllEventsOrSayWhatIsMissing(t *testing.T) {
	cases := filepath.Join(testenv.Shared(t), "cases")
	for _, c := range []struct {
		name, detector string
		panels, events int
		present        int // frames of each panel
		missing        []string
		note           string
	}{
		{"01-xtc2-chunk0-lost", "epix100", 2, 40, 40, []string{"stream 1: chunk 0 not found"}, ""},
		{"03-xtc2-configure-again", "epix100", 2, 40, 40, nil, ""},
		{"04-xtc2-smalldata-hole", "epix100", 2, 100, 100, nil, ""},
		{"09-stream-ends-early", "cam", 1, 100, 50, []string{"stream 0: ", "ends without EndRun, which other streams have"}, "absent from 50 events"},
		{"00-same-id-two-cameras", "atmopal", 1, 0, 0, nil, `has the id "serial1234", as tmoopal segment 0 has`},
	} {
		x, err := Index(context.Background(), Dataset{Experiment: "tstx00117", Runs: ranges.One(1), Dir: filepath.Join(cases, c.name, "data"), Detector: c.detector}, quick)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		all := strings.Join(x.Missing, "\n")
		if len(x.Panels) != c.panels || c.events > 0 && len(x.Events) != c.events || (len(x.Missing) == 0) != (c.missing == nil) {
			t.Errorf("%s: %d panels, %d events, missing %q", c.name, len(x.Panels), len(x.Events), x.Missing)
		}
		for p := range x.Panels {
			if n := x.PanelFrames(p)[frame.Present]; c.present > 0 && n != c.present {
				t.Errorf("%s: panel %d has %d frames", c.name, p, n)
			}
		}
		for _, m := range c.missing {
			if !strings.Contains(all, m) {
				t.Errorf("%s: nothing about %q in %q", c.name, m, x.Missing)
			}
		}
		if !slices.ContainsFunc(append(x.Notes, ""), func(n string) bool { return strings.Contains(n, c.note) }) {
			t.Errorf("%s: nothing about %q in %q", c.name, c.note, x.Notes)
		}
	}
}

// TestDetectorOfALostStreamIsIncomplete asks for a detector whose only stream is lost.
func TestDetectorOfALostStreamIsIncomplete(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 1, fast: true})
	first := filepath.Join(dir, "tst-r0005-s000-c000.xtc2")
	b, err := os.ReadFile(first)
	if err == nil { // a later chunk has no Configure
		err = os.WriteFile(filepath.Join(dir, "tst-r0005-s000-c001.xtc2"), b[12+binary.LittleEndian.Uint32(b[20:]):], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	rename(t, first, first+".gone")
	rename(t, filepath.Join(dir, "smalldata", "tst-r0005-s000-c000.smd.xtc2"), filepath.Join(dir, "gone"))
	_, err = Index(context.Background(), Dataset{Experiment: "tst", Runs: ranges.One(5), Dir: dir, Detector: "det"}, quick)
	if fault.CodeOf(err) != fault.Incomplete || !strings.Contains(err.Error(), "stream 0: chunk 0 not found") {
		t.Error(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
