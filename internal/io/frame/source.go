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
// Pixels are little-endian in files and in memory: the package is for such machines only.
type Source interface {
	// Block reads pixels [lo, hi) of each given extent (row-major pixel positions within the panel)
	// and sets dst[i] to those of exts[i]. All extents are Present and of the same panel. The slices
	// are read-only and valid until release is called. On error nothing is held and release is nil;
	// the error names file and offset. Block is for a few frames here and there; whoever wants a run
	// calls Sweep.
	//
	// Block and Sweep may be called from many goroutines at once.
	Block(ctx context.Context, panel Panel, exts []Extent, lo, hi int, dst [][]uint16) (release func(), err error)
	// Sweep streams all frames of the lanes through s.Do, reading ahead while Do computes. It returns
	// when every batch is done, or with the first error once no Do is running any more.
	Sweep(ctx context.Context, s Sweep) error
	// Footprint gives the bytes that a Sweep of these lanes will hold: buffers (arena), and mapped
	// file pages (window) which the system can take back at any time.
	Footprint(lanes []Lane) (arena, window int64)
	// Name tells in logs how pixels are read: "pread", "mapped".
	Name() string
	// Close gives back files and buffers; no Block or Sweep may be under way.
	Close() error
}

// Lane is a panel and those of its frames that a Sweep shall visit, all Present.
type Lane struct {
	Panel   Panel
	Extents []Extent
}

// Sweep tells Source.Sweep what to read and what to do with it.
//
// Frames come in superblocks of up to some hundred, cut into bands of pixels: one Do sees one band of
// all frames of a superblock, so that the band's accumulators stay in the cache of the core while the
// frames stream by. A superblock has neighbouring lanes: where their panels lie side by side in a file one
// read serves them. Of all lanes where memory holds enough of their frames, else of few, whose frames are
// then more.
type Sweep struct {
	Lanes   []Lane
	Workers int // goroutines that call Do, default GOMAXPROCS
	// Band is the number of pixels of a batch, default 32768 or less for small panels; it is rounded
	// up to a multiple of 64.
	Band int
	// Whole asks for whole frames instead of bands: Lo is 0, a batch has few frames, and batches come
	// in any order and at the same time.
	Whole bool
	// Do handles a batch; it may be called from Workers goroutines at once. Batches of one lane and
	// band come one after the other in the order of frames, each frame exactly once. The pixels are
	// read-only, must not be kept, and not be given to another goroutine.
	Do func(Batch) error
}

// Batch is the pixels [Lo, Lo+len(Frames[i])) of frames First, First+1, ... of a lane.
type Batch struct {
	Lane   int // index into Sweep.Lanes
	First  int // Frames[i] is Lanes[Lane].Extents[First+i]
	Lo     int // a multiple of 64
	Frames [][]uint16
	Worker int // 0..Workers-1, for scratch memory per worker
}

// Options are the parameters of a Source; zero values mean the defaults.
type Options struct {
	Depth  int   // reads in flight, default 32
	Block  int   // neighbouring extents are read together up to that many bytes, default 4 MiB
	Arena  int64 // bytes of buffers of one Sweep, default 384 MiB; never less than three frames of a lane
	Window int64 // bytes of mapped pages of one Sweep, default 1 GiB; likewise
	// Headings are those of the index: what must lie before frames whose place was predicted. Whoever reads
	// the first pixel of such a frame compares, and ends with ErrHeading if that is not there.
	Headings []Heading
	// DropBehind tells the system not to keep what was read in its page cache.
	DropBehind bool
	// Open replaces the opening of files by positioned reads, for tests and simulated storage.
	Open func(path string) (Reader, error)
}

// Reader is an open file as positioned reads need it.
type Reader interface {
	// ReadVec fills parts one after the other from the bytes at off. n < the sum of their lengths
	// comes with an error, io.EOF at the end of the file.
	ReadVec(parts [][]byte, off int64) (n int, err error)
	Stat() (os.FileInfo, error)
	Close() error
}

func (o Options) withDefaults() Options {
	if o.Depth <= 0 {
		o.Depth = 32
	}
	if o.Block <= 0 {
		o.Block = 4 << 20
	}
	if o.Arena <= 0 {
		o.Arena = 384 << 20
	}
	if o.Window <= 0 {
		o.Window = 1 << 30
	}
	if o.Open == nil {
		o.Open = openOS
	}
	return o
}

// bytesOf gives the memory of pixels.
func bytesOf(px []uint16) []byte {
	if len(px) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&px[0])), 2*len(px))
}

// openUnchanged opens the files of an index and refuses those that are no longer what was indexed.
func openUnchanged(files []File, open func(string) (Reader, error)) (fds []Reader, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	for _, want := range files {
		f, err := open(want.Path)
		if err != nil {
			return fds, fault.New(fault.Input, "frame: could not open a file of the index: %w", err).
				WithHint("is %q still there and readable? After moving raw data make a new plan", want.Path)
		}
		fds = append(fds, f)
		if err := sameFile(f, want); err != nil {
			return fds, err
		}
	}
	return fds, nil
}

// closeAll closes files that were only read.
func closeAll(fds []Reader) error {
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
func checkExtent(files []File, headings []Heading, panel Panel, e Extent) error {
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
	_, err := Predicted(headings, e)
	return err
}
