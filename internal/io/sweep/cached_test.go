package sweep

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"rawstatus/internal/io/frame"
)

// lateReader is a file whose answers take a while.
type lateReader struct {
	*os.File
	delay time.Duration
}

func (r lateReader) ReadAt(b []byte, off int64) (int, error) {
	time.Sleep(r.delay)
	return r.File.ReadAt(b, off)
}

// bigFrames writes frames of the panel and returns a lane of them.
func bigFrames(t testing.TB, panel frame.Panel, frames int) ([]frame.File, Lane) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.bin")
	size := 2 * panel.Pixels()
	if panel.Codec == frame.Widen {
		size = panel.Pixels()
	}
	if err := os.WriteFile(path, make([]byte, frames*size), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	l := Lane{Panel: panel}
	for i := range frames {
		l.Extents = append(l.Extents, frame.Extent{Offset: int64(i * size), Length: uint32(size)})
	}
	return []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}, l
}

// TestInPageCache wants frames that come at once read by who computes, and others read ahead.
func TestInPageCache(t *testing.T) {
	big := frame.Panel{Detector: "det", Rows: 256, Cols: 256}
	for name, c := range map[string]struct {
		panel frame.Panel
		opt   Options
		sweep Sweep
		delay time.Duration
		want  bool
	}{
		"bands":          {panel: big, want: true},
		"whole":          {panel: big, sweep: Sweep{Whole: true}, want: true},
		"bytes":          {panel: frame.Panel{Detector: "det", Rows: 256, Cols: 512, Codec: frame.Widen}, want: true},
		"slow":           {panel: big, delay: time.Millisecond},
		"not to be kept": {panel: big, opt: Options{DropBehind: true}},
		"small":          {panel: frame.Panel{Detector: "det", Rows: 32, Cols: 64}},
	} {
		t.Run(name, func(t *testing.T) {
			files, l := bigFrames(t, c.panel, 20)
			c.opt.Open = func(path string) (Reader, error) {
				f, err := os.Open(path)
				return lateReader{f, c.delay}, err
			}
			s, err := Open(files, Cached, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c.sweep.Workers = 2
			r := run{s: s, sw: c.sweep}
			r.sw.Lanes = []Lane{l, {Panel: c.panel}}
			if err := r.prepare(); err != nil {
				t.Fatal(err)
			}
			got := s.inPageCache(&r)
			for try := 0; try < 100 && c.want && !got; try++ { // a thread may have had to wait for its core
				got = s.inPageCache(&r)
			}
			if got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestArenaIsKept sweeps lanes in every way, and wants no more memory than was allowed.
func TestArenaIsKept(t *testing.T) {
	const arena = 24 << 20
	panel := frame.Panel{Detector: "det", Rows: 512, Cols: 512}
	files, l := bigFrames(t, panel, 60)
	bytewise := l
	bytewise.Panel.Codec = frame.Widen
	bytewise.Extents = nil
	for _, e := range l.Extents {
		e.Length /= 2
		bytewise.Extents = append(bytewise.Extents, e)
	}
	for name, lanes := range map[string][]Lane{"plain": {l, l, l}, "coded": {bytewise, bytewise}} {
		for _, open := range []func([]frame.File, Options) (*Source, error){OpenCached, OpenAhead, OpenDirect} {
			s, err := open(files, Options{Arena: arena, Block: 2 << 20, Depth: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, sw := range []Sweep{{}, {Whole: true}, {Lead: 10}, {Workers: 40}} {
				most := arena
				if sw.Workers == 40 && sw.Whole {
					most = 40 * 2 * panel.Pixels()
				}
				sw.Lanes, sw.Workers = lanes, max(3, sw.Workers)
				sw.Do = func(b Batch) error {
					if b.First == 0 && len(b.Frames) < sw.Lead {
						t.Errorf("%s: %d frames lead", name, len(b.Frames))
					}
					if held := s.pool.Mapped(); held > most+most/8 { // each is rounded up to huge pages
						return fmt.Errorf("%s %s: %d bytes held of %d", name, s.Name(), held, most)
					}
					return nil
				}
				if err := s.Sweep(t.Context(), sw); err != nil {
					t.Errorf("%d workers, lead %d, whole %v: %v", sw.Workers, sw.Lead, sw.Whole, err)
				}
			}
			s.Close()
		}
	}
}

// countedReader counts reads and bytes.
type countedReader struct {
	*os.File
	reads, bytes *atomic.Int64
}

func (r countedReader) ReadAt(b []byte, off int64) (int, error) {
	r.reads.Add(1)
	r.bytes.Add(int64(len(b)))
	return r.File.ReadAt(b, off)
}

// TestOnlyWantedRowsAreRead counts the bytes that are read for a part of the panel, and for bands of the whole.
func TestOnlyWantedRowsAreRead(t *testing.T) {
	panel := frame.Panel{Detector: "det", Rows: 256, Cols: 512}
	files, l := bigFrames(t, panel, 40)
	part, err := panel.Crop(64, 128, 100, 400)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lane Lane
		want int64
	}{
		"part":  {Lane{Panel: part, Extents: l.Extents}, 40 * 64 * 512 * 2},
		"bands": {Lane{Panel: panel, Extents: l.Extents, Bands: []Span{{0, 512 * 20}, {512 * 20, 512 * 40}}}, 40 * 40 * 512 * 2},
		"all":   {l, 40 * 256 * 512 * 2},
	} {
		for way, open := range map[string]func([]frame.File, Options) (*Source, error){"cached": OpenCached, "ahead": OpenAhead} {
			var reads, bytes atomic.Int64
			s, err := open(files, Options{Open: func(path string) (Reader, error) {
				f, err := os.Open(path)
				return countedReader{f, &reads, &bytes}, err
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Sweep(t.Context(), Sweep{Lanes: []Lane{c.lane}, Workers: 2, Do: func(Batch) error { return nil }}); err != nil {
				t.Fatal(err)
			}
			if got := bytes.Load(); got > c.want || got < c.want*9/10 {
				t.Errorf("%s, %s: %d bytes in %d reads, want %d", name, way, got, reads.Load(), c.want)
			}
			s.Close()
		}
	}
}

// reading is the read whose allocations are counted: frames of the smallest size that is fetched, of which one file
// is read again and again.
var reading = []struct {
	name string
	open func([]frame.File, Options) (*Source, error)
}{{"cached", OpenCached}, {"ahead", OpenAhead}}

// again returns a lane of so many frames of a file that has less.
func again(lane Lane, frames int) Lane {
	exts := make([]frame.Extent, frames)
	for i := range exts {
		exts[i] = lane.Extents[i%len(lane.Extents)]
	}
	lane.Extents = exts
	return lane
}

// TestSweepAllocatesNothingPerFrame counts what superblocks and reads take, which have many frames.
func TestSweepAllocatesNothingPerFrame(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector pools forget what they were given")
	}
	files, lane := bigFrames(t, frame.Panel{Detector: "det", Rows: 128, Cols: 256}, maxSuper)
	for _, c := range reading {
		src, err := c.open(files, Options{})
		if err != nil {
			t.Fatal(err)
		}
		const frames = 8 * maxSuper
		sw := Sweep{Lanes: []Lane{again(lane, frames)}, Do: func(Batch) error { return nil }}
		n := testing.AllocsPerRun(2, func() {
			if err := src.Sweep(t.Context(), sw); err != nil {
				t.Error(err)
			}
		})
		if t.Logf("%s: %.0f allocations for %d frames", c.name, n, frames); n > frames/5 {
			t.Errorf("%s: %.0f allocations for %d frames", c.name, n, frames)
		}
		src.Close()
	}
}

// BenchmarkSweep reads frames and does nothing with them; an operation is a frame.
func BenchmarkSweep(b *testing.B) {
	files, lane := bigFrames(b, frame.Panel{Detector: "det", Rows: 128, Cols: 256}, maxSuper)
	for _, c := range reading {
		b.Run(c.name, func(b *testing.B) {
			src, err := c.open(files, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer src.Close()
			sw := Sweep{Lanes: []Lane{again(lane, b.N)}, Do: func(Batch) error { return nil }}
			b.SetBytes(2 * int64(lane.Panel.Pixels()))
			b.ReportAllocs()
			b.ResetTimer()
			if err := src.Sweep(b.Context(), sw); err != nil {
				b.Fatal(err)
			}
		})
	}
}
