package frame_test

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
)

var sources = []struct {
	name string
	open func([]frame.File, frame.Options) (frame.Source, error)
}{
	{"pread", frame.OpenPread},
	{"mapped", frame.OpenMapped},
	{"fetching", frame.OpenFetching},
	{"alternating", frame.OpenAlternating},
}

var panel = frame.Panel{Detector: "det", Rows: 24, Cols: 50}

// pixel is the value of pixel p in frame k of the test run.
func pixel(k, p int) uint16 { return uint16(k*40503 + p*2654435761>>7) }

// writeRun writes frames of the panel after a header of odd or even length and with gaps, and gives
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

func each(t *testing.T, f func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error))) {
	for _, s := range sources {
		t.Run(s.name, func(t *testing.T) { f(t, s.open) })
	}
}

func TestBlockGivesThePixels(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		for _, c := range []struct{ header, gap, lo, hi int }{
			{0, 0, 0, 1200}, {64, 4096, 0, 1200}, {7, 3, 0, 1200}, {7, 12, 33, 1111}, {8, 8, 5, 5}, {2, 100, 1199, 1200},
		} {
			files, exts := writeRun(t, 70, c.header, c.gap)
			src, err := open(files, frame.Options{Depth: 3})
			if err != nil {
				t.Fatal(err)
			}
			for round := range 3 {
				dst := make([][]uint16, len(exts))
				release, err := src.Block(context.Background(), panel, exts, c.lo, c.hi, dst)
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
				release()
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
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, _ := writeRun(t, 2, 0, 0)
		bigger, later, gone := files[0], files[0], files[0]
		bigger.Size++
		later.ModTime = later.ModTime.Add(time.Microsecond)
		gone.Path += "x"
		for _, f := range []frame.File{bigger, later} {
			_, err := open([]frame.File{files[0], f}, frame.Options{})
			wantFault(t, err, fault.Input, "run.bin", "changed since it was indexed")
		}
		_, err := open([]frame.File{gone}, frame.Options{})
		wantFault(t, err, fault.Input, "run.binx")
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("cause is lost: %v", err)
		}
	})
}

func TestBlockRefusesExtentsThatDoNotFit(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 2, 0, 0)
		src, err := open(files, frame.Options{})
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
			dst := make([][]uint16, 2)
			release, err := src.Block(context.Background(), panel, bad, 0, panel.Pixels(), dst)
			if release != nil {
				t.Errorf("%s: release after an error", name)
			}
			wantFault(t, err, fault.Input, "det segment 0")
		}
	})
}

func TestBlockOfTruncatedFile(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 20, 3, 5)
		src, err := open(files, frame.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		if err := os.Truncate(files[0].Path, exts[10].Offset+100); err != nil {
			t.Fatal(err)
		}
		release, err := src.Block(context.Background(), panel, exts, 0, panel.Pixels(), make([][]uint16, len(exts)))
		if release != nil {
			t.Error("release after an error")
		}
		wantFault(t, err, fault.Input, "run.bin", "truncated", "byte 0x")
	})
}

func TestBlockStopsWhenCancelled(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 2, 0, 0)
		src, err := open(files, frame.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := src.Block(ctx, panel, exts, 0, 10, make([][]uint16, 2)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
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

func (s *seen) do(b frame.Batch) error {
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
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 333, 5, 13)
		lanes := []frame.Lane{{Panel: panel}, {Panel: panel}}
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
		for _, workers := range []int{1, 4} {
			for _, arena := range []int64{1, 100 << 10, 0} {
				src, err := open(files, frame.Options{Depth: 5, Arena: arena, Window: arena, Block: 10 << 10, DropBehind: true})
				if err != nil {
					t.Fatal(err)
				}
				var got seen
				if err := src.Sweep(context.Background(), frame.Sweep{Lanes: lanes, Workers: workers, Band: 100, Do: got.do}); err != nil {
					t.Fatal(err)
				}
				if got.sum != want.sum {
					t.Error("sums differ")
				}
				var whole seen
				err = src.Sweep(context.Background(), frame.Sweep{Lanes: lanes, Workers: workers, Whole: true, Do: func(b frame.Batch) error {
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
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 100, 0, 0)
		src, err := open(files, frame.Options{Arena: 30 << 10, Window: 30 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		boom := errors.New("boom")
		sw := frame.Sweep{Lanes: []frame.Lane{{Panel: panel, Extents: exts}}, Workers: 3, Do: func(b frame.Batch) error {
			if b.First >= 20 {
				return boom
			}
			return nil
		}}
		if err := src.Sweep(context.Background(), sw); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		sw.Do = func(b frame.Batch) error { cancel(); return nil }
		if err := src.Sweep(ctx, sw); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		sw.Do = func(b frame.Batch) error {
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

// TestFileCutWhileMapped cuts a file after Sweep has begun, while its pages are being computed on in
// Go and in a system call's copy.
func TestFileCutWhileMapped(t *testing.T) {
	files, exts := writeRun(t, 400, 0, 0)
	src, err := frame.OpenMapped(files, frame.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var once sync.Once
	sw := frame.Sweep{Lanes: []frame.Lane{{Panel: panel, Extents: exts}}, Workers: 2, Band: 64, Do: func(b frame.Batch) error {
		once.Do(func() {
			if err := os.Truncate(files[0].Path, 1<<18); err != nil {
				t.Error(err)
			}
		})
		for _, f := range b.Frames {
			for _, v := range f {
				sink.Add(uint32(v))
			}
		}
		return nil
	}}
	wantFault(t, src.Sweep(context.Background(), sw), fault.Input, "run.bin", "truncated", "262144 bytes")
}

// TestPanicsReachTheCaller: only faults on mapped files become errors.
func TestPanicsReachTheCaller(t *testing.T) {
	files, exts := writeRun(t, 3, 0, 0)
	src, err := frame.OpenMapped(files, frame.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "index out of range") {
			t.Errorf("got %v", r)
		}
	}()
	_ = src.Sweep(context.Background(), frame.Sweep{Lanes: []frame.Lane{{Panel: panel, Extents: exts}}, Do: func(b frame.Batch) error {
		b.Frames[0][len(b.Frames[0])+b.Lo] = 1
		return nil
	}})
	t.Error("no panic")
}

func TestOpenChoosesAWay(t *testing.T) {
	files, _ := writeRun(t, 2, 0, 0)
	for way, want := range map[string]string{frame.Pread: "pread", frame.Mapped: "mapped"} {
		src, err := frame.Open(files, way, frame.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if src.Name() != want {
			t.Errorf("%s gives %s", way, src.Name())
		}
		src.Close()
	}
	if src, err := frame.Open(files, frame.Auto, frame.Options{}); err != nil {
		t.Error(err)
	} else {
		src.Close()
	}
	_, err := frame.Open(files, "direct", frame.Options{})
	wantFault(t, err, fault.Usage, `"direct"`)
}

// TestFootprintIsKept counts what a Sweep holds against what was announced.
func TestFootprintIsKept(t *testing.T) {
	files, exts := writeRun(t, 300, 0, 0)
	lanes := []frame.Lane{{Panel: panel, Extents: exts}}
	for _, arena := range []int64{1, 64 << 10, 1 << 20} {
		p, err := frame.OpenPread(files, frame.Options{Arena: arena})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := p.Footprint(lanes); got > max(arena+arena/8, 4*2500) {
			t.Errorf("pread with an arena of %d takes %d", arena, got)
		}
		m, err := frame.OpenMapped(files, frame.Options{Window: arena})
		if err != nil {
			t.Fatal(err)
		}
		if a, w := m.Footprint(lanes); a != 0 || w > max(arena, 2*files[0].Size) { // a huge page is more than the file
			t.Errorf("mapped with a window of %d takes %d + %d", arena, a, w)
		}
		p.Close()
		m.Close()
	}
}

// TestSweepSeparatesLanes sweeps lanes that lie side by side in a file but in different superblocks, some of
// which may be cut into other bands than the ones before.
func TestSweepSeparatesLanes(t *testing.T) {
	wide := frame.Panel{Detector: "det", Rows: 500, Cols: 700}
	const lanes, frames, header = 3, 11, 6
	value := func(lane, k, p int) uint16 { return uint16(p*31 + k*4099 + lane*977) }
	var data []byte
	sw := frame.Sweep{Lanes: make([]frame.Lane, lanes)}
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
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		src, err := open(files, frame.Options{Arena: 8 << 20, Window: 8 << 20})
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
		sw.Do = func(b frame.Batch) error {
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

// TestBandsOfOtherWidthsKeepTheOrder has superblocks of narrow bands before one of wide bands, and workers that
// are late with the narrow ones.
func TestBandsOfOtherWidthsKeepTheOrder(t *testing.T) {
	wide := frame.Panel{Detector: "det", Rows: 500, Cols: 700}
	path := filepath.Join(t.TempDir(), "run.bin")
	if err := os.WriteFile(path, make([]byte, 2*wide.Pixels()), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	exts := make([]frame.Extent, 6) // the same frame again and again
	for i := range exts {
		exts[i].Length = uint32(2 * wide.Pixels())
	}
	src, err := frame.OpenAlternating([]frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}, frame.Options{Arena: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	next := make([]int, wide.Pixels())
	widths := map[int]bool{}
	var mu sync.Mutex
	err = src.Sweep(t.Context(), frame.Sweep{Lanes: []frame.Lane{{Panel: wide, Extents: exts}}, Workers: 4, Do: func(b frame.Batch) error {
		if b.First == 0 && b.Lo > 0 && b.Lo < 100<<10 {
			time.Sleep(30 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		for i, f := range b.Frames {
			widths[len(f)] = true
			for j := range f {
				if n := &next[b.Lo+j]; *n != b.First+i {
					return fmt.Errorf("pixel %d: frame %d after %d", b.Lo+j, b.First+i, *n-1)
				}
				next[b.Lo+j]++
			}
		}
		return nil
	}})
	if err != nil {
		t.Error(err)
	}
	if len(widths) < 3 { // the last band is narrower, too
		t.Errorf("bands of %v pixels only", widths)
	}
}

// TestSweepOfLittle: nothing to do, single pixels and frames out of order are no special cases.
func TestSweepOfLittle(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 5, 0, 0)
		src, err := open(files, frame.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		one := frame.Panel{Detector: "dot", Rows: 1, Cols: 1}
		dot := exts[3]
		dot.Length = 2
		lanes := []frame.Lane{{Panel: panel}, {Panel: one, Extents: []frame.Extent{dot, dot}},
			{Panel: panel, Extents: []frame.Extent{exts[4], exts[0], exts[4]}}, {Panel: frame.Panel{Detector: "none"}}}
		var mu sync.Mutex
		got := map[string]int{}
		do := func(b frame.Batch) error {
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
			if err := src.Sweep(context.Background(), frame.Sweep{Lanes: lanes, Do: do}); err != nil {
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
		if err := src.Sweep(context.Background(), frame.Sweep{Do: do}); err != nil {
			t.Error(err)
		}
	})
}

// TestCodedFramesAreDecoded: whoever sweeps or reads blocks sees pixels, whatever the frames look like.
func TestCodedFramesAreDecoded(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, frame.Options) (frame.Source, error)) {
		files, exts := writeRun(t, 40, 3, 9)
		part, err := panel.Crop(2, 20, 5, 45)
		if err != nil {
			t.Fatal(err)
		}
		src, err := open(files, frame.Options{Arena: 50 << 10, Window: 50 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		want := func(k, i int) uint16 { return pixel(k, (2+i/40)*50+5+i%40) }
		dst := make([][]uint16, len(exts))
		release, err := src.Block(context.Background(), part, exts, 100, 300, dst)
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
		release()
		// A lane of plain frames and one of coded frames in one sweep.
		lanes := []frame.Lane{{Panel: panel, Extents: exts}, {Panel: part, Extents: exts}}
		err = src.Sweep(context.Background(), frame.Sweep{Lanes: lanes, Do: func(b frame.Batch) error {
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
		_, err = src.Block(context.Background(), coded, exts[:1], 0, 10, dst[:1])
		wantFault(t, err, fault.Input, "run.bin", "rot13")
	})
}

// TestBlockingIsUndone: whoever comes first and goes last, the scheduler is as before.
func TestBlockingIsUndone(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	one := frame.Blocking(20)
	two := frame.Blocking(33)
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
		src, err := s.open([]frame.File{{Path: filepath.Join(t.TempDir(), "gone")}}, frame.Options{})
		if src != nil || fault.CodeOf(err) != fault.Input {
			t.Errorf("%s: %v, %v", s.name, src, err)
		}
	}
}
