package frame

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHold counts the huge pages that frames touch.
func TestHold(t *testing.T) {
	const mib = 1 << 20
	big := Panel{Rows: 512, Cols: 1024}
	lane := func(panel Panel, n, at, step int) Lane {
		l := Lane{Panel: panel}
		for k := range n {
			l.Extents = append(l.Extents, Extent{Offset: int64(at + k*step), Length: uint32(2 * panel.Pixels())})
		}
		return l
	}
	coded := big
	coded.Codec = Widen
	odd := lane(big, 8, mib, 2*mib)
	odd.Extents[2].Heading = 1 // reaches into what lies before
	for name, c := range map[string]struct {
		lanes  []Lane
		group  []int
		first  int
		most   int64
		frames int
		bytes  int64
	}{
		"one behind the other":  {[]Lane{lane(big, 64, 0, mib)}, []int{0}, 0, 32 * mib, 32, 32 * mib},
		"all fit":               {[]Lane{lane(big, 64, 0, mib)}, []int{0}, 0, 1 << 40, 64, 64 * mib},
		"one huge page each":    {[]Lane{lane(big, 64, mib/2, 4*mib)}, []int{0}, 8, 32 * mib, 16, 32 * mib},
		"two huge pages each":   {[]Lane{lane(big, 64, 3*mib/2, 4*mib)}, []int{0}, 8, 32 * mib, 8, 32 * mib},
		"two that share one":    {[]Lane{lane(big, 64, 0, 2*mib), lane(big, 64, mib, 2*mib)}, []int{0, 1}, 0, 32 * mib, 16, 32 * mib},
		"the other way round":   {[]Lane{lane(big, 64, mib, 2*mib), lane(big, 64, 0, 2*mib)}, []int{0, 1}, 0, 32 * mib, 16, 32 * mib},
		"of another group":      {[]Lane{lane(big, 64, 0, 2*mib), lane(big, 64, mib, 2*mib)}, []int{1}, 0, 32 * mib, 16, 32 * mib},
		"small ones, far apart": {[]Lane{lane(Panel{Rows: 1, Cols: 8}, 64, 100, 32*mib)}, []int{0}, 0, 32 * mib, 16, 32 * mib},
		"small ones, side by side": {[]Lane{lane(Panel{Rows: 1, Cols: 1 << 15}, 1000, 0, 1<<16)}, []int{0}, 0, 32 * mib,
			512, 32 * mib},
		"one is too much":    {[]Lane{lane(big, 64, 0, 4*mib)}, []int{0}, 0, 1, 1, 2 * mib},
		"backwards":          {[]Lane{lane(big, 64, 512*mib, -4*mib)}, []int{0}, 0, 32 * mib, 16, 32 * mib},
		"the file ends":      {[]Lane{lane(big, 1, 1023*mib, mib)}, []int{0}, 0, 32 * mib, 64, mib + mib},
		"in buffers":         {[]Lane{lane(coded, 64, 0, mib)}, []int{0}, 0, 0, 64, 0},
		"a heading before":   {[]Lane{odd}, []int{0}, 2, 1, 1, 4 * mib},
		"lane with no more":  {[]Lane{lane(big, 2, 0, 2*mib), lane(big, 64, mib, 2*mib)}, []int{0, 1}, 30, 8 * mib, 4, 8 * mib},
		"beyond all frames":  {[]Lane{lane(big, 2, 0, 2*mib)}, []int{0}, 30, 8 * mib, 64, 0},
		"the last huge page": {[]Lane{lane(big, 1, 1023*mib+mib/2, mib)}, []int{0}, 0, 32 * mib, 64, mib + mib},
	} {
		s := &mapped{pread: &pread{files: []File{{Size: 1 << 30}}, opt: Options{Headings: []Heading{{Before: 3 * mib / 2}}}}}
		if frames, bytes := s.hold(c.lanes, c.group, c.first, 64+1000*min(1, len(c.lanes[0].Extents)/1000), c.most); frames != c.frames || bytes != c.bytes {
			t.Errorf("%s: %d frames, %d bytes, want %d and %d", name, frames, bytes, c.frames, c.bytes)
		}
	}
}

// rssFile gives the pages of files that this process has mapped, in bytes.
func rssFile(t *testing.T) (bytes int64) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if text, ok := strings.CutPrefix(in.Text(), "RssFile:"); ok {
			if _, err := fmt.Sscan(text, &bytes); err != nil {
				t.Fatal(err)
			}
			return bytes << 10
		}
	}
	t.Fatal("the system does not tell of mapped pages")
	return 0
}

// TestWindowsAreKept maps every fourth MiB of a file, whatever the size of the page cache's pages.
func TestWindowsAreKept(t *testing.T) {
	const mib = 1 << 20
	panel := Panel{Detector: "det", Rows: 512, Cols: 1024}
	const frames, window = 96, 64 * mib
	path := filepath.Join(t.TempDir(), "run.bin")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Truncate(frames * 4 * mib)
	if _, errRead := io.Copy(io.Discard, f); err != nil || errRead != nil { // into the page cache, in large pages
		t.Fatal(err, errRead)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	lane := Lane{Panel: panel}
	for k := range frames {
		lane.Extents = append(lane.Extents, Extent{Offset: int64(k*4*mib + 3*mib/2), Length: mib})
	}
	src, err := OpenMapped([]File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}, Options{Window: window})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, w := src.Footprint([]Lane{lane}); w != window {
		t.Errorf("a window of %d is announced", w)
	}
	before, most := rssFile(t), int64(0)
	var sum atomic.Uint32
	err = src.Sweep(t.Context(), Sweep{Lanes: []Lane{lane}, Workers: 1, Do: func(b Batch) error {
		for _, f := range b.Frames {
			for i := 0; i < len(f); i += 1024 {
				sum.Add(uint32(f[i]))
			}
		}
		most = max(most, rssFile(t)-before)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d MiB of %d mapped", most/mib, window/mib); most > window+4*mib { // code counts, too
		t.Error("more than the window")
	}
}
