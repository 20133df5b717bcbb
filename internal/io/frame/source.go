package frame

import (
	"context"
	"fmt"
	"os"
	"unsafe"

	"rawstatus/internal/fault"
)

// Source delivers the pixels of extents. Implementations differ in how they read (positioned reads,
// mapped files); what they deliver is the same, and one conformance suite holds them to it.
//
// Pixels are little-endian in files and in memory: the package builds for such machines only.
type Source interface {
	// Block reads pixels [lo, hi) of each given extent (row-major pixel positions within the panel)
	// and sets dst[i] to those of exts[i]. All extents are Present and of the same panel. The slices
	// are read-only and valid until release is called. On error nothing is held and release is nil;
	// the error names file and offset.
	//
	// Block may be called from many goroutines at once.
	Block(ctx context.Context, panel Panel, exts []Extent, lo, hi int, dst [][]uint16) (release func(), err error)
	// Close gives back files and buffers; no Block may be under way.
	Close() error
}

// Options are the parameters of a Source; zero values mean the defaults.
type Options struct {
	Depth int // reads in flight, default 32
}

// bytesOf gives the memory of pixels.
func bytesOf(px []uint16) []byte {
	if len(px) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&px[0])), 2*len(px))
}

// openUnchanged opens the files of an index and refuses those that are no longer what was indexed.
func openUnchanged(files []File) (fds []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	for _, want := range files {
		f, err := os.Open(want.Path)
		if err != nil {
			return fds, fault.New(fault.Input, "frame: could not open a file of the index: %w", err).
				WithHint("is %q still there and readable? After moving raw data make a new plan", want.Path)
		}
		fds = append(fds, f)
		st, err := f.Stat()
		if err != nil {
			return fds, fmt.Errorf("frame: could not stat %q: %w", want.Path, err)
		}
		if st.Size() != want.Size || !st.ModTime().Equal(want.ModTime) {
			return fds, fault.New(fault.Input, "frame: %q changed since it was indexed: %d bytes of %s, indexed as %d bytes of %s",
				want.Path, st.Size(), st.ModTime().UTC().Format(timeForm), want.Size, want.ModTime.UTC().Format(timeForm)).
				WithHint("make a new plan from the file as it is now")
		}
	}
	return fds, nil
}

const timeForm = "2006-01-02T15:04:05.999999999Z"

// closeAll closes files that were only read.
func closeAll(fds []*os.File) error {
	var first error
	for _, f := range fds {
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// checkBlock refuses the arguments of Block that a caller must never give.
func checkBlock(panel Panel, exts []Extent, lo, hi int, dst [][]uint16) {
	if lo < 0 || hi < lo || hi > panel.Pixels() || len(dst) != len(exts) {
		panic(fmt.Sprintf("io/frame: pixels [%d, %d) of %d and %d slices for %d extents", lo, hi, panel.Pixels(), len(dst), len(exts)))
	}
}

// checkExtent refuses an extent that does not fit its panel or file: indices come from files.
func checkExtent(files []File, panel Panel, e Extent) error {
	if e.File < 0 || int(e.File) >= len(files) {
		return fault.New(fault.Input, "frame: extent of %v points into file %d of %d", panel, e.File, len(files))
	}
	f := files[e.File]
	if e.State != Present {
		return fault.New(fault.Input, "frame: %q byte %#x: frame of %v is %v", f.Path, e.Offset, panel, e.State)
	}
	if panel.Codec == Identity && int64(e.Length) != 2*int64(panel.Pixels()) {
		return fault.New(fault.Input, "frame: %q byte %#x: frame of %v has %d bytes, %d x %d pixels need %d",
			f.Path, e.Offset, panel, e.Length, panel.Rows, panel.Cols, 2*panel.Pixels())
	}
	if e.Offset < 0 || e.Offset+int64(e.Length) > f.Size {
		return fault.New(fault.Input, "frame: %q byte %#x: frame of %v needs %d bytes, the file has %d", f.Path, e.Offset, panel, e.Length, f.Size)
	}
	return nil
}

// decode turns the bytes of an extent into the panel's pixels.
func decode(panel Panel, raw []byte, dst []uint16) error {
	return fmt.Errorf("codec %q is not known", panel.Codec)
}
