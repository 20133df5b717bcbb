package simulate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/open"
	"rawstatus/internal/ranges"
	"rawstatus/internal/testenv"
)

// simulated writes a run into a new folder.
func simulated(t *testing.T, cfg Config) (*Generator, *Truth) {
	t.Helper()
	cfg.Dir = t.TempDir()
	truth, err := Write(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGenerator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g, truth
}

func indexOf(t *testing.T, truth *Truth) *frame.Index {
	t.Helper()
	x, err := open.Index(context.Background(), open.Dataset{Experiment: truth.Config.Experiment, Runs: ranges.One(truth.Config.Run),
		Dir: truth.Config.Dir}, open.Options{Settle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// cases are runs with every option at least once.
var cases = map[string]Config{
	"plain":               {Rows: 8, Cols: 12, Events: 5},
	"jungfrau":            {Rows: 64, Cols: 64, Events: 7, GainModes: []string{"g0", "g1", "g2"}, Streams: 2, Panels: 3, Dead: 2, Hot: 3, Noisy: 4, Saturated: 5, Cold: 6},
	"epix10ka":            {Type: "epix10ka", Detector: "epixquad", Rows: 16, Cols: 24, Events: 4, Panels: 4, GainModes: []string{"FH", "FM", "FL", "AHL-H", "AML-M"}, Seed: 5},
	"one gain":            {Type: "epix10ka2m", Rows: 16, Cols: 24, Events: 4, Steps: 3, GainModes: []string{"FL"}},
	"epix100":             {Type: "epix100", Experiment: "rixx1003721", Run: 77, Rows: 40, Cols: 40, Events: 5, Panels: 1, Hot: 8, Saturated: 8, Begin: time.Date(2024, 2, 29, 23, 59, 58, 999999999, time.UTC)},
	"odd":                 {Type: "opal", Rows: 7, Cols: 9, Events: 3, Steps: 2, Panels: 3, Streams: 5, Pedestal: 5000, Sigma: 40, CommonMode: -1},
	"parts":               {Type: "epixm320", Rows: 20, Cols: 20, Events: 6, Panels: 3, Streams: 2, Dead: 1, Hot: 2, LostEvents: 1, DamagedEvents: 2, MissingPanels: []int{2}},
	"many":                {Type: "strange", Rows: 3, Cols: 5, Events: 3, Panels: 25},
	"chunks":              {Rows: 8, Cols: 12, Events: 130, Steps: 2, Streams: 2, Chunks: 7},
	"missing":             {Rows: 8, Cols: 12, Events: 5, Panels: 4, Streams: 2, MissingPanels: []int{3, 1}},
	"lost":                {Rows: 8, Cols: 12, Events: 20, Panels: 4, Streams: 2, LostEvents: 6, DamagedEvents: 5, Steps: 2},
	"lost, single stream": {Rows: 8, Cols: 12, Events: 20, Panels: 2, LostEvents: 6, DamagedEvents: 5},
	"no smd":              {Rows: 8, Cols: 12, Events: 5, NoSmalldata: true, Streams: 2},
	"no EndRun":           {Rows: 8, Cols: 12, Events: 5, NoEndRun: true},
	"truncated":           {Rows: 8, Cols: 12, Events: 10, Panels: 4, Streams: 2, Truncate: 1500},
	"xtc1":                {Format: XTC1, Type: "epix100a", Rows: 16, Cols: 20, Events: 5, Dead: 1, Cold: 1},
	"xtc1 jungfrau": {Format: XTC1, Detector: "MfxEndstation.0:Jungfrau.2", Panels: 3, Rows: 64, Cols: 64, Events: 7, GainModes: []string{"g0", "g1", "g2"},
		Streams: 3, Chunks: 2, Dead: 2, Hot: 3, Noisy: 4, Saturated: 5, Cold: 6, LostEvents: 3, DamagedEvents: 4},
	"xtc1 epix10ka":          {Format: XTC1, Type: "epix10kaquad", Events: 2, GainModes: []string{"FH", "FM", "FL", "AHL-H", "AML-M"}, Streams: 2},
	"xtc1 camera":            {Format: XTC1, Type: "opal", Rows: 7, Cols: 9, Events: 3, Steps: 2, Streams: 5, Pedestal: 5000, Sigma: 40, NoSmalldata: true},
	"xtc1 truncated":         {Format: XTC1, Type: "jungfrau", Rows: 8, Cols: 12, Events: 10, Panels: 2, Streams: 2, Truncate: 1500},
	"xtc1 truncated by much": {Format: XTC1, Type: "jungfrau", Rows: 8, Cols: 12, Events: 10, Panels: 2, Streams: 2, Truncate: 3000, NoSmalldata: true},
	"xtc1 no EndRun":         {Format: XTC1, Type: "jungfrau", Rows: 8, Cols: 12, Events: 10, NoEndRun: true, Seed: 3},
	"truncated by much":      {Rows: 8, Cols: 12, Events: 10, Panels: 2, Streams: 2, Truncate: 1900, NoSmalldata: true},
}

// TestReaderSeesTheTruth reads every case with the reader: facts, panels, steps, states and pixels.
func TestReaderSeesTheTruth(t *testing.T) {
	for name, cfg := range cases {
		t.Run(name, func(t *testing.T) {
			g, truth := simulated(t, cfg)
			x := indexOf(t, truth)
			c := g.Config()
			if x.Run != (frame.Run{Experiment: c.Experiment, Number: c.Run, Begin: c.Begin}) || !truth.Begin.Equal(c.Begin) {
				t.Errorf("run %+v", x.Run)
			}
			checkPanels(t, x, truth)
			checkSteps(t, x, truth)
			if (len(x.Missing) > 0) != truth.Incomplete && len(c.MissingPanels) == 0 {
				t.Errorf("missing %q, truth says %v", x.Missing, truth.Incomplete)
			}
			if len(x.Files) != len(truth.Files) {
				t.Errorf("files %v, want %v", x.Files, truth.Files)
			}
			for i, f := range x.Files {
				if filepath.Base(f.Path) != truth.Files[i] {
					t.Errorf("file %s, want %s", f.Path, truth.Files[i])
				}
			}
			checkFrames(t, x, g, truth)
			read, err := ReadTruth(truth.Path())
			if err != nil || !reflect.DeepEqual(read, truth) {
				t.Errorf("the truth file reads as another truth (%v)\n%+v\n%+v", err, read, truth)
			}
		})
	}
}

func checkPanels(t *testing.T, x *frame.Index, truth *Truth) {
	t.Helper()
	if len(x.Panels) != len(truth.Panels) {
		t.Fatalf("%d panels, want %d", len(x.Panels), len(truth.Panels))
	}
	ids := map[string]bool{}
	for i, p := range truth.Panels {
		got := x.Panels[i]
		want := frame.Panel{Detector: truth.Config.Detector, Type: truth.Config.Type, Segment: p.Segment, Sub: p.Sub, ID: p.ID, Rows: p.Rows, Cols: p.Cols}
		if f, _ := detector.Lookup(truth.Config.Type); truth.Config.Format == XTC1 && f.CalibGroup == "Camera::CalibV1" {
			want.Bits = 16 // as the head of its frames says
		}
		if p.Missing { // no frame has the shape
			want.Rows, want.Cols = got.Rows, got.Cols
		}
		if got != want {
			t.Errorf("panel %#v\nwant  %#v", got, want)
		}
		ids[p.ID] = true
	}
	if len(ids) != len(truth.Panels) {
		t.Errorf("panel ids are not unique: %v", ids)
	}
}

func checkSteps(t *testing.T, x *frame.Index, truth *Truth) {
	t.Helper()
	for _, note := range x.Notes { // the scan and the panels' configuration tell the gain mode, the same one
		if strings.Contains(note, "gain") {
			t.Errorf("note %q", note)
		}
	}
	if len(x.Steps) != len(truth.Steps) {
		t.Fatalf("steps %+v, want %+v", x.Steps, truth.Steps)
	}
	for i, s := range truth.Steps {
		got := x.Steps[i]
		if got.Number != s.Number || (got.Events != s.Events && !truth.Incomplete && len(truth.Lost) == 0) {
			t.Errorf("step %+v, want %+v", got, s)
		}
		family, _ := detector.Lookup(truth.Config.Type)
		for p, g := range got.Gains {
			for _, claim := range []string{g.Doc, g.Config} {
				if k := family.SettingIndex(claim); claim != "" && (k < 0 || family.Settings[k].Modes[0] != s.GainMode) || s.GainMode != "" && g.Config == "" {
					t.Errorf("step %d panel %d: %+v, want %q", i, p, g, s.GainMode)
				}
			}
		}
	}
}

// checkFrames compares state and pixels of every frame of the run.
func checkFrames(t *testing.T, x *frame.Index, g *Generator, truth *Truth) {
	t.Helper()
	c := g.Config()
	panels := len(truth.Panels)
	expect := make([]frame.State, c.total()*panels)
	for i, p := range truth.Panels {
		for e := range c.total() {
			if p.Missing {
				expect[e*panels+i] = frame.Missing
			}
		}
	}
	for state, losses := range map[frame.State][]Loss{frame.Missing: truth.Lost, frame.Damaged: truth.Damaged} {
		for _, l := range losses {
			for k, p := range truth.Panels {
				if i := l.Event*panels + k; slices.Contains(l.Segments, p.Segment) && (state == frame.Missing || expect[i] == frame.Present) {
					expect[i] = state
				}
			}
		}
	}
	position := map[uint64]int{}
	for _, a := range c.schedule() {
		if a.service.IsEvent() {
			position[a.ts] = a.event
		}
	}
	want := make([]byte, 2*c.Rows*c.Cols)
	seen := map[int]bool{}
	for e, event := range x.Events {
		n, ok := position[event.TS]
		if !ok || seen[n] || int(event.Step) != n/c.Events {
			t.Fatalf("event %+v is none of the run, or twice there", event)
		}
		seen[n] = true
		for p := range panels {
			ext := x.At(e, p)
			state := ext.State
			if state == frame.Truncated {
				state = frame.Missing
			}
			if state != expect[n*panels+p] {
				t.Fatalf("event %d panel %d: %v, want %v", n, p, ext.State, expect[n*panels+p])
			}
			if ext.State != frame.Present {
				continue
			}
			g.Frame(want, n, p)
			if got := bytesAt(t, x, ext); !bytes.Equal(got, want) {
				t.Fatalf("event %d panel %d: other pixels than the generator's", n, p)
			}
		}
	}
	for i, state := range expect {
		if !seen[i/panels] && state == frame.Present {
			t.Fatalf("event %d is not there", i/panels)
		}
	}
}

func bytesAt(t *testing.T, x *frame.Index, ext *frame.Extent) []byte {
	t.Helper()
	f, err := os.Open(x.Files[ext.File].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, ext.Length)
	if _, err := f.ReadAt(b, ext.Offset); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIndependentReaderFindsTheFrames lets the reader that comes with the format's description extract the frames.
func TestIndependentReaderFindsTheFrames(t *testing.T) {
	script := filepath.Join(testenv.Shared(t), "spec", "xtc2dump.py")
	py := testenv.Numpy(t)
	g, truth := simulated(t, Config{Rows: 16, Cols: 20, Events: 9, GainModes: []string{"g0", "g1"}, Panels: 3, Streams: 2, Chunks: 3,
		LostEvents: 2, DamagedEvents: 3, Dead: 1, Noisy: 1})
	c := g.Config()
	prefix := filepath.Join(t.TempDir(), "x")
	run := func(args ...string) string {
		out, err := exec.Command(py, append([]string{script}, args...)...).Output()
		if err != nil {
			t.Fatal(err, string(err.(*exec.ExitError).Stderr))
		}
		return string(out)
	}
	out := run("extract", "--dir", c.Dir, "--exp", c.Experiment, "--run", "1", "--det", c.Detector, "-o", prefix)
	for _, p := range truth.Panels {
		if !strings.Contains(out, p.ID) {
			t.Errorf("id %s is not in %s", p.ID, out)
		}
	}
	raw, err := npy.Read(prefix + ".raw.npy")
	if err != nil || fmt.Sprint(raw.Shape) != "[18 3 16 20]" {
		t.Fatalf("shape %v (%v)", raw.Shape, err)
	}
	pixels := raw.Data.([]uint16)
	flags := map[string][]bool{}
	for _, name := range []string{"missing", "reject"} {
		a, err := npy.Read(prefix + "." + name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		flags[name] = a.Data.([]bool)
	}
	missing, rejected := 0, 0
	want := make([]byte, 2*c.Rows*c.Cols)
	for i, gone := range flags["missing"] {
		if gone {
			missing++
			continue
		}
		if flags["reject"][i] {
			rejected++
			continue
		}
		g.Frame(want, i/c.Panels, i%c.Panels)
		for k, v := range pixels[i*c.Rows*c.Cols : (i+1)*c.Rows*c.Cols] {
			if v != uint16(want[2*k])|uint16(want[2*k+1])<<8 {
				t.Fatalf("frame %d pixel %d: %#x", i, k, v)
			}
		}
	}
	lost := 0
	for _, l := range truth.Lost {
		lost += len(l.Segments)
	}
	if missing != lost || rejected != len(truth.Damaged) || lost == 0 {
		t.Errorf("%d missing, %d rejected; want %d and %d", missing, rejected, lost, len(truth.Damaged))
	}
	for stream := range c.Streams {
		args := []string{"smdcheck", filepath.Join(c.Dir, "smalldata", fmt.Sprintf("%s-r0001-s%03d-c000.smd.xtc2", c.Experiment, stream))}
		for _, f := range truth.Files {
			if strings.Contains(f, fmt.Sprintf("-s%03d-", stream)) {
				args = append(args, filepath.Join(c.Dir, f))
			}
		}
		n := c.total()
		for _, l := range truth.Lost {
			if truth.Panels[l.Segments[0]].Stream == stream {
				n--
			}
		}
		if out := run(args...); !strings.Contains(out, fmt.Sprintf(`"matched": %d,`, n)) {
			t.Errorf("smalldata of stream %d: %s, want %d events", stream, out, n)
		}
	}
}

// sums returns the SHA-256 of every file below a folder.
func sums(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSameSeedSameBytes(t *testing.T) {
	cfg := cases["jungfrau"]
	cfg.LostEvents, cfg.DamagedEvents, cfg.Chunks = 2, 2, 2
	_, a := simulated(t, cfg)
	_, b := simulated(t, cfg)
	one := sums(t, a.Config.Dir)
	if two := sums(t, b.Config.Dir); !maps.Equal(one, two) || len(one) != 2*2+2+1 {
		t.Errorf("the same configuration gave other files: %v", slices.Sorted(maps.Keys(one)))
	}
	cfg.Seed++
	_, other := simulated(t, cfg)
	for name, sum := range sums(t, other.Config.Dir) {
		if sum == one[name] && strings.HasSuffix(name, "0.xtc2") && !strings.Contains(name, "smalldata") {
			t.Errorf("%s does not depend on the seed", name)
		}
	}
}

// TestOneSeedIsOneHardware: runs of one seed have the same planted pixels and other noise, streams do not count.
func TestOneSeedIsOneHardware(t *testing.T) {
	cfg := cases["jungfrau"]
	g1, err1 := NewGenerator(cfg)
	cfg.Run, cfg.Streams = 2, 3
	g2, err2 := NewGenerator(cfg)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for i, p := range g1.Truth().Panels {
		q := g2.Truth().Panels[i]
		if !reflect.DeepEqual(p.Planted, q.Planted) || p.ID != q.ID {
			t.Errorf("panel %d: other hardware in the next run", i)
		}
	}
	a, b := make([]byte, 2*64*64), make([]byte, 2*64*64)
	g1.Frame(a, 3, 1)
	g2.Frame(b, 3, 1)
	if bytes.Equal(a, b) {
		t.Error("two runs have the same noise")
	}
	cfg.Run = 1
	g3, err := NewGenerator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if g3.Frame(b, 3, 1); !bytes.Equal(a, b) {
		t.Error("frames depend on the number of streams")
	}
}

// TestNoiseIsThatOfTheConfiguration compares mean and spread of ordinary pixels with the configuration.
func TestNoiseIsThatOfTheConfiguration(t *testing.T) {
	g, err := NewGenerator(Config{Rows: 64, Cols: 64, Events: 400, Panels: 1, GainModes: []string{"g1"}, Pedestal: 2000, Sigma: 12, CommonMode: 5})
	if err != nil {
		t.Fatal(err)
	}
	n := 64 * 64
	sum, sq := make([]float64, n), make([]float64, n)
	var means []float64
	dst := make([]byte, 2*n)
	for e := range 400 {
		g.Frame(dst, e, 0)
		frameSum := 0.0
		for i := range n {
			v := uint16(dst[2*i]) | uint16(dst[2*i+1])<<8
			if v>>14 != 1 {
				t.Fatalf("gain bits of %#x", v)
			}
			y := float64(v & 0x3fff)
			sum[i] += y
			sq[i] += y * y
			frameSum += y
		}
		means = append(means, frameSum/float64(n))
	}
	level, rms := 0.0, 0.0
	var levels []float64
	for i := range n {
		m := sum[i] / 400
		level += m / float64(n)
		rms += math.Sqrt(sq[i]/400-m*m) / float64(n)
		levels = append(levels, m)
	}
	for what, c := range map[string][3]float64{
		"pedestal":                {level, 2000, 3},
		"rms of a pixel":          {rms, math.Hypot(12, 5), 0.3},
		"common mode":             {std(means), 5, 0.6},
		"pedestals of all pixels": {std(levels), spread, 1.5},
	} {
		if math.Abs(c[0]-c[1]) > c[2] {
			t.Errorf("%s: %.2f ADU, want %.2f +- %.2f", what, c[0], c[1], c[2])
		}
	}
}

func TestFramesHaveTheGainBitsOfTheirMode(t *testing.T) {
	for typ, modes := range map[string]map[string]uint16{
		"jungfrau": {"g0": 0, "g1": 1, "g2": 3},
		"epix10ka": {"FH": 0, "FM": 0, "FL": 1, "AHL-H": 0, "AML-M": 0},
	} {
		for mode, want := range modes {
			g, err := NewGenerator(Config{Type: typ, Rows: 20, Cols: 20, Events: 2, Panels: 1, GainModes: []string{mode},
				Dead: 1, Hot: 1, Noisy: 1, Saturated: 1, Cold: 1})
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]byte, 2*20*20)
			for e := range 2 {
				g.Frame(dst, e, 0)
				for i := range 20 * 20 {
					if v := uint16(dst[2*i]) | uint16(dst[2*i+1])<<8; v>>14 != want {
						t.Fatalf("%s %s pixel %d: gain bits %b, want %b", typ, mode, i, v>>14, want)
					}
				}
			}
		}
	}
}

func std(v []float64) float64 {
	m, s := 0.0, 0.0
	for _, x := range v {
		m += x / float64(len(v))
	}
	for _, x := range v {
		s += (x - m) * (x - m) / float64(len(v))
	}
	return math.Sqrt(s)
}

func TestImpossibleRunsAreRefused(t *testing.T) {
	for what, cfg := range map[string]Config{
		"experiment":     {Experiment: "../x"},
		"type":           {Type: "epixuhr"},
		"gain mode":      {GainModes: []string{"g3"}},
		"gain of type":   {Type: "epix100", GainModes: []string{"g0"}},
		"steps":          {GainModes: []string{"g0", "g1"}, Steps: 3},
		"panels":         {Panels: 1000},
		"events":         {Events: -1},
		"too many lost":  {Events: 3, LostEvents: 2, DamagedEvents: 2},
		"chunks":         {Events: 3, Chunks: 4},
		"missing panel":  {MissingPanels: []int{2}},
		"truncate":       {Truncate: -1},
		"year":           {Begin: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)},
		"planted":        {Rows: 20, Cols: 20, Dead: 3},
		"negative":       {Cold: -1},
		"pedestal low":   {Pedestal: 100},
		"pedestal high":  {Pedestal: 9000},
		"not a pedestal": {Pedestal: math.NaN()},
		"sigma":          {Sigma: 0.1},
		"no folder":      {},
		"format":         {Format: "xtc"},
		"xtc1 detector":  {Format: XTC1, Detector: "jungfrau_1"},
		"xtc1 type":      {Format: XTC1, Type: "epixm320"},
		"xtc1 panels":    {Format: XTC1, Type: "epix100a", Panels: 2},
		"xtc1 missing":   {Format: XTC1, Panels: 2, MissingPanels: []int{1}},
	} {
		if _, err := Write(context.Background(), cfg); fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%s: error %v, want one of class Usage with a hint", what, err)
		}
	}
	_, truth := simulated(t, Config{Rows: 8, Cols: 8, Events: 1})
	before := sums(t, truth.Config.Dir)
	if _, err := Write(context.Background(), truth.Config); fault.CodeOf(err) != fault.Usage {
		t.Errorf("the same run again: %v", err)
	}
	if !maps.Equal(before, sums(t, truth.Config.Dir)) {
		t.Error("a refused run changed files")
	}
}

func TestCancelledLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if _, err := Write(ctx, Config{Dir: dir, Rows: 8, Cols: 8, Streams: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if files := sums(t, dir); len(files) != 0 {
		t.Errorf("files left: %v", slices.Sorted(maps.Keys(files)))
	}
}

func TestReadTruthRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "truth.json")
	for _, content := range []string{"", "[]", `{"schema": 2}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTruth(path); fault.CodeOf(err) != fault.Input || !strings.Contains(err.Error(), "truth.json") {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := ReadTruth(path + "x"); fault.CodeOf(err) != fault.Input {
		t.Errorf("no file: %v", err)
	}
}

// TestLostInLCLS1: an event that one recorder lost is there and says so, or it would not count as lost.
func TestLostInLCLS1(t *testing.T) {
	_, truth := simulated(t, Config{Format: XTC1, Type: "jungfrau", Rows: 8, Cols: 12, Events: 20, Panels: 2, Streams: 2, LostEvents: 5})
	x := indexOf(t, truth)
	lost := 0
	for e := range x.Events {
		if ext := x.At(e, 1); ext.State == frame.Missing && ext.Damage == xtc1Dropped {
			lost++
		}
	}
	if len(x.Events) != 20 || lost != 5 {
		t.Errorf("%d events, %d lost", len(x.Events), lost)
	}
}
