package frame

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// lateReader is a file whose answers take a while.
type lateReader struct {
	osReader
	delay time.Duration
}

func (r lateReader) ReadVec(parts [][]byte, off int64) (int, error) {
	time.Sleep(r.delay)
	return r.osReader.ReadVec(parts, off)
}

// bigFrames writes frames of the panel and gives a lane of them.
func bigFrames(t testing.TB, panel Panel, frames int) ([]File, Lane) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.bin")
	size := 2 * panel.Pixels()
	if err := os.WriteFile(path, make([]byte, frames*size), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	l := Lane{Panel: panel}
	for i := range frames {
		l.Extents = append(l.Extents, Extent{Offset: int64(i * size), Length: uint32(size)})
	}
	return []File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}, l
}

// TestFromMemory wants large frames that come at once fetched, and others loaded ahead.
func TestFromMemory(t *testing.T) {
	big := Panel{Detector: "det", Rows: 256, Cols: 256}
	for name, c := range map[string]struct {
		panel Panel
		opt   Options
		sweep Sweep
		delay time.Duration
		want  bool
	}{
		"bands":            {panel: big, want: true},
		"whole":            {panel: big, sweep: Sweep{Whole: true}, want: true},
		"slow":             {panel: big, delay: time.Millisecond},
		"not to be kept":   {panel: big, opt: Options{DropBehind: true}},
		"small":            {panel: Panel{Detector: "det", Rows: 64, Cols: 256}},
		"coded":            {panel: Panel{Detector: "det", Rows: 256, Cols: 256, Codec: Widen}},
		"too many workers": {panel: big, sweep: Sweep{Workers: 100}},
		"little memory":    {panel: big, opt: Options{Arena: 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			files, lane := bigFrames(t, c.panel, 20)
			c.opt.Open = func(path string) (Reader, error) {
				f, err := os.Open(path)
				return lateReader{osReader{f}, c.delay}, err
			}
			s, err := openPread(files, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c.sweep.Lanes = []Lane{lane, {Panel: c.panel}}
			c.sweep.Workers = max(2, c.sweep.Workers)
			got := s.fromMemory(c.sweep, 5, 20)
			for try := 0; try < 100 && c.want && !got; try++ { // a thread may have had to wait for its core
				got = s.fromMemory(c.sweep, 5, 20)
			}
			if got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestFetchingKeepsTheArena sweeps frames of which some are loaded and some fetched, and wants no more memory
// than was announced.
func TestFetchingKeepsTheArena(t *testing.T) {
	panel := Panel{Detector: "det", Rows: 512, Cols: 512}
	files, lane := bigFrames(t, panel, 60)
	const arena = 64 << 20
	src, err := OpenAlternating(files, Options{Arena: arena})
	if err != nil {
		t.Fatal(err)
	}
	s := src.(*pread)
	defer s.Close()
	lanes := []Lane{lane, lane, lane}
	if got, _ := s.Footprint(lanes); got > arena-s.stripBytes() {
		t.Errorf("superblocks take %d of %d bytes", got, arena)
	}
	for _, whole := range []bool{false, true} {
		sw := Sweep{Lanes: lanes, Workers: 3, Whole: whole, Do: func(Batch) error {
			s.pool.mu.Lock()
			defer s.pool.mu.Unlock()
			held := 0
			for _, mem := range s.pool.mapped {
				held += len(mem)
			}
			if held > arena+arena/8 { // each is rounded up to huge pages
				t.Errorf("%d bytes held of %d", held, arena)
			}
			return nil
		}}
		if !s.fits(sw) {
			t.Error("it would not be fetched")
		}
		if err := s.Sweep(t.Context(), sw); err != nil {
			t.Fatal(err)
		}
	}
}

// reading is what allocations are counted for: frames of the smallest size that is fetched, of which one file
// is read again and again.
var reading = []struct {
	name string
	open func([]File, Options) (Source, error)
}{{"mapped", OpenMapped}, {"loading", openLoading}, {"fetching", OpenFetching}}

// again gives a lane of so many frames of a file that has less.
func again(lane Lane, frames int) Lane {
	exts := make([]Extent, frames)
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
	files, lane := bigFrames(t, Panel{Detector: "det", Rows: 128, Cols: 256}, maxSuper)
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
	files, lane := bigFrames(b, Panel{Detector: "det", Rows: 128, Cols: 256}, maxSuper)
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
