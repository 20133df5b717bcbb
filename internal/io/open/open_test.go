package open

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/iotest"
	"rawstatus/internal/io/npy"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/xtc2"
	"rawstatus/internal/ranges"
	"rawstatus/internal/testenv"
)

const (
	testEvents = 7
	testRows   = 12
	testCols   = 40
)

// testPixel is the value of a pixel in the runs that tests write.
func testPixel(event, panel, row, col int) uint16 {
	return uint16(event*1000 + panel*100 + row*testCols + col)
}

// frameBytes is one frame of a test run.
func frameBytes(event, panel int) []byte {
	var b []byte
	for i := range testRows * testCols {
		b = binary.LittleEndian.AppendUint16(b, testPixel(event, panel, i/testCols, i%testCols))
	}
	return b
}

// runOptions say how a test run deviates from a plain one.
type runOptions struct {
	exp       string
	run       int
	streams   int // one panel each
	noEnd     bool
	fast      bool // a further stream without panels has three times as many events
	dropEvent int  // event that the last stream lacks
	begin     time.Time
}

var testBegin = time.Date(2024, 3, 5, 6, 7, 8, 9000, time.UTC)

// writeXtc2 writes a run into a directory.
func writeXtc2(t *testing.T, dir string, o runOptions) {
	t.Helper()
	if o.begin.IsZero() {
		o.begin = testBegin
	}
	for node := range o.streams + 1 {
		if node == o.streams && !o.fast {
			break
		}
		cam := &xtc2.Names{ID: xtc2.ID(node, 10), DetType: "tdet", DetName: "det", DetID: fmt.Sprintf("id%d", node), Alg: "raw", Segment: node,
			Fields: []xtc2.Field{{Name: "raw", Type: xtc2.UInt16, Rank: 2}}}
		if node == o.streams {
			cam = &xtc2.Names{ID: xtc2.ID(node, 10), DetType: "ts", DetName: "timing", Alg: "raw", Fields: []xtc2.Field{{Name: "n", Type: xtc2.UInt32}}}
		}
		info := xtc2.RunInfoNames(node)
		w, err := xtc2.CreateStream(rawrun.StreamOptions{Dir: dir, Experiment: o.exp, Run: o.run, Stream: node})
		if err != nil {
			t.Fatal(err)
		}
		var d xtc2.Draft
		put := func(s xtc2.Service, at int, fill func()) {
			d.Begin(s, xtc2.TimeStamp(o.begin.Add(time.Duration(at)*time.Millisecond)), node, 1)
			if fill != nil {
				fill()
			}
			if err := w.Write(&d); err != nil {
				t.Fatal(err)
			}
		}
		put(xtc2.Configure, -10, func() { d.Names(cam); d.Names(info) })
		put(xtc2.BeginRun, 0, func() { d.Values(info, 0, o.exp, uint32(o.run)) })
		put(xtc2.BeginStep, 1, nil)
		put(xtc2.Enable, 2, nil)
		for n := range 3 * testEvents {
			switch event := n / 3; {
			case node == o.streams:
				put(xtc2.L1Accept, 10+n, func() { d.Values(cam, 0, uint32(n)) })
			case n%3 == 0 && (o.dropEvent == 0 || event != o.dropEvent || node != o.streams-1):
				put(xtc2.L1Accept, 10+n, func() {
					d.Values(cam, 0, xtc2.FieldValue{Dims: []int{testRows, testCols}, Fill: func(b []byte) { copy(b, frameBytes(event, node)) }})
				})
			}
		}
		if !o.noEnd {
			put(xtc2.EndRun, 1000, nil)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func dataset(dir, exp string, run int) Dataset {
	return Dataset{Experiment: exp, Runs: ranges.One(run), Dir: dir}
}

// quick keeps tests from waiting for files to settle.
var quick = Options{Settle: time.Millisecond}

func index(t *testing.T, d Dataset) *frame.Index {
	t.Helper()
	x, err := Index(context.Background(), d, quick)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestConformXtc2(t *testing.T) {
	panel := func(n int) frame.Panel {
		return frame.Panel{Detector: "det", Type: "tdet", Segment: n, ID: fmt.Sprintf("id%d", n), Rows: testRows, Cols: testCols}
	}
	for _, smalldata := range []bool{true, false} {
		t.Run(fmt.Sprint("smalldata=", smalldata), func(t *testing.T) {
			iotest.Conform(t, iotest.Reader{
				Write: func(t *testing.T, dir string) { writeXtc2(t, dir, runOptions{exp: "tst", run: 4, streams: 2}) },
				Build: func(ctx context.Context, dir string) (*frame.Index, error) {
					return Index(ctx, dataset(dir, "tst", 4), Options{NoSmalldata: !smalldata})
				},
				Panels: []frame.Panel{panel(0), panel(1)},
				Events: testEvents,
				Pixel:  testPixel,
			})
		})
	}
}

func TestConformNpy(t *testing.T) {
	panel := func(n int) frame.Panel {
		return frame.Panel{Detector: "det", Type: "epix100", Segment: n, Rows: testRows, Cols: testCols}
	}
	iotest.Conform(t, iotest.Reader{
		Write: func(t *testing.T, dir string) {
			var px []uint16
			for e := range testEvents {
				for p := range 2 {
					for i := range testRows * testCols {
						px = append(px, testPixel(e, p, i/testCols, i%testCols))
					}
				}
			}
			if err := npy.Write(filepath.Join(dir, "frames.npy"), []int{testEvents, 2, testRows, testCols}, px); err != nil {
				t.Fatal(err)
			}
		},
		Build: func(ctx context.Context, dir string) (*frame.Index, error) {
			return Index(ctx, Dataset{Files: []string{filepath.Join(dir, "frames.npy")}, Detector: "det", Frames: npy.IndexOptions{Type: "epix100"}}, quick)
		},
		Panels: []frame.Panel{panel(0), panel(1)},
		Events: testEvents,
		Pixel:  testPixel,
	})
}

func TestParseDataset(t *testing.T) {
	for s, want := range map[string]Dataset{
		"exp=xpptut15,run=260":                        {Experiment: "xpptut15", Runs: ranges.One(260)},
		"exp=xpptut15:run=260":                        {Experiment: "xpptut15", Runs: ranges.One(260)},
		"exp=xpptut15:run=260:smd:dir=/a/b":           {Experiment: "xpptut15", Runs: ranges.One(260), Dir: "/a/b"},
		"exp=xpptut15:run=260:dir=/a/b:smd":           {Experiment: "xpptut15", Runs: ranges.One(260), Dir: "/a/b"},
		"exp=xpptut15,run=260-265,270,dir=/a,b:c":     {Experiment: "xpptut15", Runs: ranges.List{{First: 260, Last: 265}, {First: 270, Last: 270}}, Dir: "/a,b:c"},
		"exp=x:run=1:stream=0,3-5":                    {Experiment: "x", Runs: ranges.One(1), Streams: []int{0, 3, 4, 5}},
		"exp=x:run=1:":                                {Experiment: "x", Runs: ranges.One(1)},
		"dir=/a":                                      {Dir: "/a"},
		"dir=/a,smd,exp=x":                            {Dir: "/a,smd", Experiment: "x"},
		"dir=/a,x=y,exp=x":                            {Dir: "/a,x=y", Experiment: "x"},
		"det=jungfrau,exp=mfx101332224,run=7,dir=/d/": {Experiment: "mfx101332224", Runs: ranges.One(7), Dir: "/d/", Detector: "jungfrau"},
	} {
		got, err := ParseDataset(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if got.Detector != "" {
			continue
		}
		if again, err := ParseDataset(got.String()); err == nil && !reflect.DeepEqual(again, got) {
			t.Errorf("%s becomes %s", s, got)
		}
	}
	for _, s := range []string{"", "run=5", "exp=x,run=a", "exp=x,run=5-", "exp=x,run=5-4", "exp=x,run=1-100000", "exp=x,exp=y", "exp=x,foo=1", "word,exp=x", "exp=x,stream=z"} {
		if d, err := ParseDataset(s); fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "exp=") {
			t.Errorf("%q: %+v, %v", s, d, err)
		}
	}
}

func TestOneRunIsWanted(t *testing.T) {
	_, err := Index(context.Background(), Dataset{Experiment: "x", Dir: t.TempDir(), Runs: ranges.List{{First: 1, Last: 3}}}, quick)
	if fault.CodeOf(err) != fault.Usage {
		t.Error(err)
	}
}

func TestRunsAreFoundBelowRoots(t *testing.T) {
	for _, place := range []string{"tst/tstx42/xtc", "TST/tstx42/xtc", "tstx42/xtc", "tstx42"} {
		root := t.TempDir()
		writeXtc2(t, filepath.Join(root, place), runOptions{exp: "tstx42", run: 5, streams: 1})
		x := index(t, Dataset{Experiment: "tstx42", Runs: ranges.One(5), Roots: []string{filepath.Join(root, "none"), root}})
		if len(x.Events) != testEvents || x.Files[0].Path != filepath.Join(root, place, "tstx42-r0005-s000-c000.xtc2") {
			t.Errorf("%s: %d events, %+v", place, len(x.Events), x.Files)
		}
	}
	if _, err := Index(context.Background(), Dataset{Experiment: "tstx42", Runs: ranges.One(5)}, quick); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no roots: %v", err)
	}
}

func TestWrongRunIsRefusedWithWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for _, r := range []int{5, 6, 7, 9} {
		writeXtc2(t, dir, runOptions{exp: "tst", run: r, streams: 1})
	}
	for _, c := range []struct {
		d          Dataset
		code       fault.Code
		text, hint string
	}{
		{dataset(dir, "tst", 8), fault.Input, "run 8 of tst", "5-7,9"},
		{dataset(dir, "other", 5), fault.Input, "run 5 of other", "tst runs 5-7,9"},
		{Dataset{Experiment: "tst", Dir: dir}, fault.Input, "none is named", "5-7,9"},
		{dataset(t.TempDir(), "tst", 8), fault.Input, "run 8 of tst", "no raw files"},
		{Dataset{Files: []string{filepath.Join(dir, "x.txt")}}, fault.Usage, "x.txt", ".xtc2"},
		{Dataset{Files: []string{filepath.Join(dir, "x.xtc2")}}, fault.Input, "x.xtc2", ""},
		{Dataset{Files: []string{dir + ".xtc2"}}, fault.Input, dir, ""},
		{Dataset{Experiment: "tst", Runs: ranges.One(5), Dir: dir, Streams: []int{3}}, fault.Input, "no stream", "[3]"},
		{Dataset{Experiment: "tst", Runs: ranges.One(5), Dir: dir, Detector: "jungfrau"}, fault.Input, `"jungfrau"`, "det (tdet, 1 panel)"},
		{Dataset{Experiment: "tst", Runs: ranges.One(5), Dir: dir, RunInFile: 3}, fault.Input, "no run 3", "--run-in-file"},
	} {
		_, err := Index(context.Background(), c.d, quick)
		if fault.CodeOf(err) != c.code || !strings.Contains(fmt.Sprint(err), c.text) || !strings.Contains(fault.HintOf(err), c.hint) {
			t.Errorf("%+v: %v (%s)", c.d, err, fault.HintOf(err))
		}
	}
	// the experiment may be left out where a directory is given, and has it once
	if x := index(t, Dataset{Dir: dir, Runs: ranges.One(6)}); x.Run.Experiment != "tst" || x.Run.Number != 6 || !x.Run.Begin.Equal(testBegin) {
		t.Errorf("%+v", x.Run)
	}
	writeXtc2(t, dir, runOptions{exp: "other", run: 6, streams: 1})
	if _, err := Index(context.Background(), Dataset{Dir: dir, Runs: ranges.One(6)}, quick); fault.CodeOf(err) != fault.Usage || !strings.Contains(fmt.Sprint(err), "other") {
		t.Errorf("two experiments: %v", err)
	}
}

func TestNamedFilesAreReadAsTheirRunIs(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 2})
	run := index(t, dataset(dir, "tst", 5))
	paths := []string{filepath.Join(dir, "tst-r0005-s000-c000.xtc2"), filepath.Join(dir, "tst-r0005-s001-c000.xtc2")}
	files := index(t, Dataset{Files: paths})
	if !reflect.DeepEqual(run, files) {
		t.Errorf("by run\n%+v\nby files\n%+v", run, files)
	}
	if x := index(t, Dataset{Files: paths, Runs: ranges.One(5)}); len(x.Events) != testEvents {
		t.Errorf("run 5 of files: %+v", x)
	}
	if _, err := Index(context.Background(), Dataset{Files: paths, Runs: ranges.One(6)}, quick); fault.CodeOf(err) != fault.Input {
		t.Errorf("run 6 of files: %v", err)
	}
	odd := filepath.Join(dir, "any.xtc2")
	if err := os.Rename(paths[1], odd); err != nil {
		t.Fatal(err)
	}
	x := index(t, Dataset{Files: []string{odd}})
	if len(x.Panels) != 1 || x.Panels[0].Segment != 1 || x.Run.Number != 5 {
		t.Errorf("%+v", x)
	}
}

// TestEventsWithoutTheDetectorAreLeftOutAndCounted wants events of a faster stream without this detector left out and counted, but an
// event that only a part of the detector lacks kept.
func TestEventsWithoutTheDetectorAreLeftOutAndCounted(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 2, fast: true, dropEvent: 3})
	x := index(t, dataset(dir, "tst", 5))
	if len(x.Events) != testEvents || x.Steps[0].Events != testEvents || x.At(3, 1).State != frame.Missing || x.At(4, 1).State != frame.Present {
		t.Errorf("%d events, %+v", len(x.Events), x.Steps)
	}
	if !slices.Contains(x.Notes, "14 of 21 events of the run are without this detector") {
		t.Errorf("notes %q", x.Notes)
	}
}

func TestFilesInProgressAreIncomplete(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 1})
	path := filepath.Join(dir, "tst-r0005-s000-c000.xtc2")
	if err := os.Rename(path, path+".inprogress"); err != nil {
		t.Fatal(err)
	}
	if x := index(t, dataset(dir, "tst", 5)); len(x.Missing) != 1 || !strings.Contains(x.Missing[0], "in progress") || len(x.Events) != testEvents {
		t.Errorf("%+v", x)
	}
}

// TestFileWithoutEndIsIncompleteWhileItGrows lets a file without end grow while it is indexed, and not.
func TestFileWithoutEndIsIncompleteWhileItGrows(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 1, noEnd: true})
	path := filepath.Join(dir, "tst-r0005-s000-c000.xtc2")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer f.Close()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				f.Write([]byte{0})
			}
		}
	}()
	x, err := Index(context.Background(), dataset(dir, "tst", 5), Options{Settle: 100 * time.Millisecond})
	close(stop)
	<-done
	if err != nil || !slices.ContainsFunc(x.Missing, func(s string) bool { return strings.Contains(s, "in progress") }) {
		t.Errorf("growing: %v, %v", x, err)
	}
	writeXtc2(t, dir, runOptions{exp: "tst", run: 6, streams: 1, noEnd: true})
	if x := index(t, dataset(dir, "tst", 6)); len(x.Missing) > 0 || !slices.Contains(x.Notes, "no EndRun in stream [0]") {
		t.Errorf("stable: %+v", x)
	}
	// files that nobody touched for long are not waited for
	old := time.Now().Add(-time.Hour)
	for _, p := range []string{"tst-r0006-s000-c000.xtc2", "smalldata/tst-r0006-s000-c000.smd.xtc2"} {
		if err := os.Chtimes(filepath.Join(dir, p), old, old); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if _, err := Index(context.Background(), dataset(dir, "tst", 6), Options{Settle: time.Minute}); err != nil || time.Since(begin) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestMissingStreamIsIncomplete(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 2})
	if err := os.Remove(filepath.Join(dir, "tst-r0005-s001-c000.xtc2")); err != nil {
		t.Fatal(err)
	}
	x := index(t, dataset(dir, "tst", 5))
	if len(x.Panels) != 2 || x.PanelFrames(1)[frame.Missing] != testEvents || len(x.Missing) != 1 || !strings.Contains(x.Missing[0], "stream 1") {
		t.Errorf("%+v", x)
	}
}

func TestRunFromTheFutureIsNoted(t *testing.T) {
	dir := t.TempDir()
	writeXtc2(t, dir, runOptions{exp: "tst", run: 5, streams: 1, begin: time.Now().Add(1000 * time.Hour).Truncate(time.Second)})
	if x := index(t, dataset(dir, "tst", 5)); !slices.ContainsFunc(x.Notes, func(s string) bool { return strings.Contains(s, "future") }) {
		t.Errorf("notes %q", x.Notes)
	}
}

// TestRealRunsAreFoundByName reads the real runs by name, as they lie in the trees of a site.
func TestRealRunsAreFoundByName(t *testing.T) {
	data := filepath.Join(testenv.Shared(t), "data")
	for _, c := range []struct {
		root, exp      string
		run            int
		panels, events int
		begin          string
	}{
		{"xtc2", "ueddaq02", 109, 4, 2, "2021-02-23T20:34:21.839351174Z"},
		{"xtc2", "mfx101332224", 7, 1, 2, "2025-03-28T19:08:11.09073912Z"},
		{"xtc1", "xppn4116", 137, 1, 20, "2016-05-23T10:40:00.123456789Z"},
	} {
		d := Dataset{Experiment: c.exp, Runs: ranges.One(c.run), Roots: []string{filepath.Join(data, c.root)}}
		x := index(t, d)
		if len(x.Panels) != c.panels || len(x.Events) != c.events || len(x.Missing) > 0 || x.Run.Begin.Format(time.RFC3339Nano) != c.begin || x.Run.Experiment != c.exp {
			t.Errorf("%s: %+v", c.exp, x)
		}
		survey, err := Survey(context.Background(), d, true)
		if err != nil || len(survey) != 1 || !slices.Contains(survey[0].Transitions, Count{"L1Accept", c.events}) || len(survey[0].Configures) != 1 {
			t.Errorf("%s: %+v, %v", c.exp, survey, err)
		}
	}
}

// TestSurveyFollowsChunks wants all files of a stream in a survey.
func TestSurveyFollowsChunks(t *testing.T) {
	dir := filepath.Join(testenv.Shared(t), "data", "xtc2", "chunking")
	survey, err := Survey(context.Background(), dataset(dir, "xpptut15", 14), true)
	if err != nil || len(survey) != 2 {
		t.Fatalf("%+v, %v", survey, err)
	}
	if !slices.Contains(survey[0].Transitions, Count{"L1Accept", 10}) || !slices.Contains(survey[1].Transitions, Count{"L1Accept", 5}) || survey[1].Problem != "" {
		t.Errorf("%+v\n%+v", survey[0].Transitions, survey[1])
	}
}
