package sweep_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
)

var sources = []struct {
	name string
	open func([]frame.File, sweep.Options) (*sweep.Source, error)
}{
	{"cached", sweep.OpenCached},
	{"ahead", sweep.OpenAhead},
	{"direct", sweep.OpenDirect},
}

var panel = frame.Panel{Detector: "det", Rows: 24, Cols: 50}

// pixel is the value of pixel p in frame k of the test run.
func pixel(k, p int) uint16 { return uint16(k*40503 + p*2654435761>>7) }

// writeRun writes frames of the panel after a header of odd or even length and with gaps, and returns
// what an index would say of them.
func writeRun(t *testing.T, frames, header, gap int) ([]frame.File, []frame.Extent) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.bin")
	data := make([]byte, header)
	var exts []frame.Extent
	for k := range frames {
		exts = append(exts, frame.Extent{Offset: int64(len(data)), Length: uint32(2 * panel.Pixels())})
		for p := range panel.Pixels() {
			data = binary.LittleEndian.AppendUint16(data, pixel(k, p))
		}
		data = append(data, make([]byte, gap)...)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}, exts
}

// bandsOf cuts the panel into bands.
func bandsOf(width int) (bands []sweep.Span) {
	for lo := 0; lo < panel.Pixels(); lo += width {
		bands = append(bands, sweep.Span{Lo: lo, Hi: min(lo+width, panel.Pixels())})
	}
	return bands
}

func each(t *testing.T, f func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error))) {
	for _, s := range sources {
		t.Run(s.name, func(t *testing.T) { f(t, s.open) })
	}
}

func TestPixelsOfSomeFrames(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		for _, c := range []struct{ header, gap, lo, hi int }{
			{0, 0, 0, 1200}, {64, 4096, 0, 1200}, {7, 3, 0, 1200}, {7, 12, 33, 1111}, {8, 8, 5, 5}, {2, 100, 1199, 1200},
		} {
			files, exts := writeRun(t, 70, c.header, c.gap)
			src, err := open(files, sweep.Options{Depth: 3})
			if err != nil {
				t.Fatal(err)
			}
			for round := range 3 {
				dst, err := src.Pixels(context.Background(), panel, exts, sweep.Span{Lo: c.lo, Hi: c.hi})
				if err != nil {
					t.Fatal(err)
				}
				for k, got := range dst {
					if len(got) != c.hi-c.lo {
						t.Fatalf("%+v round %d frame %d: %d pixels", c, round, k, len(got))
					}
					for i, v := range got {
						if want := pixel(k, c.lo+i); v != want {
							t.Fatalf("%+v round %d frame %d pixel %d: %#x, want %#x", c, round, k, c.lo+i, v, want)
						}
					}
				}
			}
			if err := src.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// wantFault checks the class of an error and that it names file and place.
func wantFault(t *testing.T, err error, code fault.Code, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.CodeOf(err); got != code {
		t.Errorf("class %d, want %d: %v", got, code, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error does not say %q: %v", w, err)
		}
	}
}

func TestOpenRefusesChangedFiles(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, _ := writeRun(t, 2, 0, 0)
		bigger, later, gone := files[0], files[0], files[0]
		bigger.Size++
		later.ModTime = later.ModTime.Add(time.Microsecond)
		gone.Path += "x"
		for _, f := range []frame.File{bigger, later} {
			_, err := open([]frame.File{files[0], f}, sweep.Options{})
			wantFault(t, err, fault.Input, "run.bin", "changed since it was indexed")
		}
		_, err := open([]frame.File{gone}, sweep.Options{})
		wantFault(t, err, fault.Input, "run.binx")
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("cause is lost: %v", err)
		}
	})
}

func TestExtentsThatDoNotFit(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, exts := writeRun(t, 2, 0, 0)
		src, err := open(files, sweep.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		for name, spoil := range map[string]func(*frame.Extent){
			"file":   func(e *frame.Extent) { e.File = 1 },
			"length": func(e *frame.Extent) { e.Length -= 2 },
			"offset": func(e *frame.Extent) { e.Offset += 2 },
			"before": func(e *frame.Extent) { e.Offset = -2 },
			"state":  func(e *frame.Extent) { e.State = frame.Damaged },
		} {
			bad := append([]frame.Extent(nil), exts...)
			spoil(&bad[1])
			err := src.Sweep(context.Background(), sweep.Sweep{Lanes: []sweep.Lane{{Panel: panel, Extents: bad}}, Do: func(sweep.Batch) error { return errors.New(name) }})
			wantFault(t, err, fault.Input, "det segment 0")
		}
	})
}

var sink atomic.Uint32 // keeps the compiler from leaving out reads

// seen adds the pixels of all frames, per lane and pixel, and checks the order of frames.
type seen struct {
	mu   sync.Mutex
	sum  [2][1200]uint64
	next [2][1200]int
}

func (s *seen) do(b sweep.Batch) error {
	for i, f := range b.Frames {
		for j, v := range f {
			s.sum[b.Lane][b.Lo+j] += uint64(v)
			if s.next[b.Lane][b.Lo+j] != b.First+i {
				return fmt.Errorf("lane %d pixel %d: frame %d after %d", b.Lane, b.Lo+j, b.First+i, s.next[b.Lane][b.Lo+j]-1)
			}
			s.next[b.Lane][b.Lo+j]++
		}
	}
	return nil
}

func TestSweepVisitsEveryPixelInOrder(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, exts := writeRun(t, 333, 5, 13)
		lanes := []sweep.Lane{{Panel: panel}, {Panel: panel}}
		var want seen
		for k, e := range exts {
			if k%3 != 2 {
				l := k % 3
				lanes[l].Extents = append(lanes[l].Extents, e)
				for p := range panel.Pixels() {
					want.sum[l][p] += uint64(pixel(k, p))
				}
			}
		}
		lanes[0].Bands, lanes[1].Bands = bandsOf(100), bandsOf(1200)
		for _, workers := range []int{1, 4} {
			for _, arena := range []int64{1, 100 << 10, 0} {
				src, err := open(files, sweep.Options{Depth: 5, Arena: arena, Block: 10 << 10, DropBehind: true})
				if err != nil {
					t.Fatal(err)
				}
				var got seen
				if err := src.Sweep(context.Background(), sweep.Sweep{Lanes: lanes, Workers: workers, Do: got.do}); err != nil {
					t.Fatal(err)
				}
				if got.sum != want.sum {
					t.Error("sums differ")
				}
				var whole seen
				err = src.Sweep(context.Background(), sweep.Sweep{Lanes: lanes, Workers: workers, Whole: true, Do: func(b sweep.Batch) error {
					whole.mu.Lock()
					defer whole.mu.Unlock()
					for _, f := range b.Frames {
						for j, v := range f {
							whole.sum[b.Lane][j] += uint64(v)
						}
					}
					return nil
				}})
				if err != nil || whole.sum != want.sum {
					t.Error("whole frames: sums differ", err)
				}
				src.Close()
			}
		}
	})
}

func TestSweepEndsWithTheFirstError(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, exts := writeRun(t, 100, 0, 0)
		src, err := open(files, sweep.Options{Arena: 30 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		boom := errors.New("boom")
		sw := sweep.Sweep{Lanes: []sweep.Lane{{Panel: panel, Extents: exts}}, Workers: 3, Do: func(b sweep.Batch) error {
			if b.First >= 20 {
				return boom
			}
			return nil
		}}
		if err := src.Sweep(context.Background(), sw); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		sw.Do = func(b sweep.Batch) error { cancel(); return nil }
		if err := src.Sweep(ctx, sw); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		sw.Do = func(b sweep.Batch) error {
			for _, f := range b.Frames {
				for _, v := range f {
					sink.Add(uint32(v))
				}
			}
			return nil
		}
		if err := os.Truncate(files[0].Path, exts[50].Offset+7); err != nil {
			t.Fatal(err)
		}
		wantFault(t, src.Sweep(context.Background(), sw), fault.Input, "run.bin", "truncated", "byte 0x")
	})
}

// TestFileThatChanges cuts a file, or writes to it, after a Sweep has begun.
func TestFileThatChanges(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		for what, change := range map[string]func(path string) error{
			"truncated": func(path string) error { return os.Truncate(path, 1<<18) },
			"changed since it was indexed": func(path string) error {
				later := time.Now().Add(time.Hour)
				return os.Chtimes(path, later, later)
			},
		} {
			files, exts := writeRun(t, 1500, 0, 0)
			src, err := open(files, sweep.Options{Arena: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			sw := sweep.Sweep{Lanes: []sweep.Lane{{Panel: panel, Extents: exts, Bands: bandsOf(64)}}, Workers: 2, Do: func(b sweep.Batch) error {
				once.Do(func() {
					if err := change(files[0].Path); err != nil {
						t.Error(err)
					}
				})
				return nil
			}}
			wantFault(t, src.Sweep(context.Background(), sw), fault.Input, "run.bin", what)
			src.Close()
		}
	})
}

// TestPanicsBecomeErrors: Do is the caller's, and a panic in it must not end the process.
func TestPanicsBecomeErrors(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, exts := writeRun(t, 3, 0, 0)
		src, err := open(files, sweep.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		err = src.Sweep(t.Context(), sweep.Sweep{Lanes: []sweep.Lane{{Panel: panel, Extents: exts}}, Do: func(b sweep.Batch) error {
			b.Frames[0][len(b.Frames[0])+b.Lo] = 1
			return nil
		}})
		wantFault(t, err, fault.Unexpected, "index out of range")
	})
}

func TestOpenChoosesAWay(t *testing.T) {
	files, _ := writeRun(t, 2, 0, 0)
	for _, way := range append(sweep.Ways, "") {
		src, err := sweep.Open(files, way, sweep.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if src.Name() != way && way == sweep.Cached {
			t.Errorf("%s gives %s", way, src.Name())
		}
		src.Close()
	}
	_, err := sweep.Open(files, "mapped", sweep.Options{})
	wantFault(t, err, fault.Usage, `"mapped"`)
}

// TestSweepSeparatesLanes sweeps lanes that lie side by side in a file but in different superblocks, some of
// which may be cut into other bands than the ones before.
func TestSweepSeparatesLanes(t *testing.T) {
	wide := frame.Panel{Detector: "det", Rows: 500, Cols: 700}
	const lanes, frames, header = 3, 11, 6
	value := func(lane, k, p int) uint16 { return uint16(p*31 + k*4099 + lane*977) }
	var data []byte
	sw := sweep.Sweep{Lanes: make([]sweep.Lane, lanes)}
	for k := range frames {
		for l := range lanes {
			data = append(data, make([]byte, header)...)
			sw.Lanes[l].Panel = wide
			if k >= l { // lanes of different lengths
				sw.Lanes[l].Extents = append(sw.Lanes[l].Extents, frame.Extent{Offset: int64(len(data)), Length: uint32(2 * wide.Pixels())})
			}
			for p := range wide.Pixels() {
				data = binary.LittleEndian.AppendUint16(data, value(l, k, p))
			}
		}
	}
	path := filepath.Join(t.TempDir(), "run.bin")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	files := []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		src, err := open(files, sweep.Options{Arena: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		var seen [lanes]atomic.Int64
		var next [lanes][]int
		for l := range next {
			next[l] = make([]int, wide.Pixels())
		}
		sw.Workers = 4
		sw.Do = func(b sweep.Batch) error {
			for i, f := range b.Frames {
				for j, v := range f {
					if want := value(b.Lane, b.First+i+b.Lane, b.Lo+j); v != want {
						return fmt.Errorf("lane %d frame %d pixel %d: %d, want %d", b.Lane, b.First+i, b.Lo+j, v, want)
					}
					if n := &next[b.Lane][b.Lo+j]; *n != b.First+i {
						return fmt.Errorf("lane %d pixel %d: frame %d after %d", b.Lane, b.Lo+j, b.First+i, *n-1)
					} else {
						*n++
					}
				}
				seen[b.Lane].Add(int64(len(f)))
			}
			return nil
		}
		if err := src.Sweep(context.Background(), sw); err != nil {
			t.Fatal(err)
		}
		for l := range seen {
			if got, want := seen[l].Load(), int64(len(sw.Lanes[l].Extents)*wide.Pixels()); got != want {
				t.Errorf("lane %d: %d pixels, want %d", l, got, want)
			}
		}
	})
}

// TestSweepOfLittle: nothing to do, single pixels and frames out of order are no special cases.
func TestSweepOfLittle(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, exts := writeRun(t, 5, 0, 0)
		src, err := open(files, sweep.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		one := frame.Panel{Detector: "dot", Rows: 1, Cols: 1}
		dot := exts[3]
		dot.Length = 2
		lanes := []sweep.Lane{{Panel: panel}, {Panel: one, Extents: []frame.Extent{dot, dot}},
			{Panel: panel, Extents: []frame.Extent{exts[4], exts[0], exts[4]}}, {Panel: frame.Panel{Detector: "none"}}}
		var mu sync.Mutex
		got := map[string]int{}
		do := func(b sweep.Batch) error {
			mu.Lock()
			defer mu.Unlock()
			for i, f := range b.Frames {
				for j, v := range f {
					got[fmt.Sprintf("%d %d %d %d", b.Lane, b.First+i, b.Lo+j, v)]++
				}
			}
			return nil
		}
		for range 2 {
			if err := src.Sweep(context.Background(), sweep.Sweep{Lanes: lanes, Do: do}); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]int{fmt.Sprintf("1 0 0 %d", pixel(3, 0)): 2, fmt.Sprintf("1 1 0 %d", pixel(3, 0)): 2}
		for i, k := range []int{4, 0, 4} {
			for p := range panel.Pixels() {
				want[fmt.Sprintf("2 %d %d %d", i, p, pixel(k, p))] = 2
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d different pixels, want %d", len(got), len(want))
		}
		if err := src.Sweep(context.Background(), sweep.Sweep{Do: do}); err != nil {
			t.Error(err)
		}
	})
}

// TestCodedFramesAreDecoded: a sweep delivers pixels, whatever the frames look like.
func TestCodedFramesAreDecoded(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		files, exts := writeRun(t, 40, 3, 9)
		part, err := panel.Crop(2, 20, 5, 45)
		if err != nil {
			t.Fatal(err)
		}
		src, err := open(files, sweep.Options{Arena: 50 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		want := func(k, i int) uint16 { return pixel(k, (2+i/40)*50+5+i%40) }
		dst, err := src.Pixels(context.Background(), part, exts, sweep.Span{Lo: 100, Hi: 300})
		if err != nil {
			t.Fatal(err)
		}
		for k, f := range dst {
			for i, v := range f {
				if v != want(k, 100+i) {
					t.Fatalf("frame %d pixel %d: %d, want %d", k, 100+i, v, want(k, 100+i))
				}
			}
		}
		// A lane of plain frames and one of coded frames in one sweep.
		lanes := []sweep.Lane{{Panel: panel, Extents: exts}, {Panel: part, Extents: exts}}
		err = src.Sweep(context.Background(), sweep.Sweep{Lanes: lanes, Do: func(b sweep.Batch) error {
			for i, f := range b.Frames {
				for j, v := range f {
					w := pixel(b.First+i, b.Lo+j)
					if b.Lane == 1 {
						w = want(b.First+i, b.Lo+j)
					}
					if v != w {
						return fmt.Errorf("lane %d frame %d pixel %d: %d, want %d", b.Lane, b.First+i, b.Lo+j, v, w)
					}
				}
			}
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
		coded := part
		coded.Codec = "rot13"
		_, err = src.Pixels(context.Background(), coded, exts[:1], sweep.Span{Lo: 0, Hi: 10})
		wantFault(t, err, fault.Input, "run.bin", "rot13")
	})
}

// TestBlockingIsUndone: in whatever order sweeps begin and end, the scheduler is as before.
func TestBlockingIsUndone(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	one := sweep.Blocking(20)
	two := sweep.Blocking(33)
	if got := runtime.GOMAXPROCS(0); got != before+9 {
		t.Errorf("%d processors, want %d", got, before+9)
	}
	one()
	one()
	if got := runtime.GOMAXPROCS(0); got != before+9 {
		t.Errorf("%d processors after the first left, want %d", got, before+9)
	}
	two()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d processors in the end, want %d", got, before)
	}
}

// TestFileGone wants no source at all, not one that holds nothing, when a file is not there.
func TestFileGone(t *testing.T) {
	for _, s := range sources {
		src, err := s.open([]frame.File{{Path: filepath.Join(t.TempDir(), "gone")}}, sweep.Options{})
		if src != nil || fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %v, %v", s.name, src, err)
		}
	}
}

// TestDirectIsRefused has a file of a file system that knows no direct reads, and wants it read all the same, with a note.
func TestDirectIsRefused(t *testing.T) {
	const path = "/proc/version"
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	src, err := sweep.Open([]frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}, sweep.Direct, sweep.Options{Note: func(text string) { notes = append(notes, text) }})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if src.Name() != sweep.Cached || len(notes) != 1 || !strings.Contains(notes[0], path) {
		t.Errorf("read as %s, notes %q", src.Name(), notes)
	}
}
