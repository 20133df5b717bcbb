package sweep

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"unsafe"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
)

// Lane is a panel and those of its frames that a Sweep shall visit, all Present.
type Lane struct {
	Panel   frame.Panel
	Extents []frame.Extent
	// Bands are the pixels that the batches of the lane have. They may overlap, and leave pixels out: those
	// are not read where the codec allows it. Nil: the Sweep cuts the panel into bands whose first pixels
	// are multiples of 64.
	Bands []Span
}

// Span is the pixels [Lo, Hi) of a panel, row-major.
type Span struct{ Lo, Hi int }

// Sweep says which frames are visited and what is done with them.
type Sweep struct {
	Lanes   []Lane
	Workers int // goroutines that call Do, default GOMAXPROCS
	// Lead is how many frames the first batches of every band have together, at least, where the lane has so
	// many. They are held in memory at once.
	Lead int
	// Whole asks for all pixels of a frame in one batch: batches have few frames, and come in any order and
	// at the same time.
	Whole bool
	// Do handles a batch; it may be called from Workers goroutines at once. Batches of the same pixels come
	// one after the other in the order of frames, each frame exactly once. The pixels are read-only, must
	// not be kept, and not be given to another goroutine.
	Do func(Batch) error
}

// Batch is the pixels [Lo, Lo+len(Frames[i])) of frames First, First+1, ... of a lane.
type Batch struct {
	Lane   int // index into Sweep.Lanes
	Band   int // index into Lane.Bands
	First  int // Frames[i] is Lanes[Lane].Extents[First+i]
	Lo     int
	Frames [][]uint16
	Worker int // 0..Workers-1, for scratch memory per worker
}

// Options are the parameters of a Source; zero values mean the defaults.
type Options struct {
	Depth int   // reads in flight, default 32
	Block int   // neighbouring frames are read together up to that many bytes, default 4 MiB
	Arena int64 // bytes of buffers of one Sweep, default 384 MiB; never less than one frame for each worker, or three of a lane
	// Headings are those of the index: the bytes that must lie before frames whose place was predicted. The worker that reads
	// the first pixel of such a frame compares, and ends with ErrHeading if that is not there.
	Headings []frame.Heading
	// DropBehind asks the system not to keep the data in its page cache.
	DropBehind bool
	// Note is called when files cannot be read in the way that was asked for; may be nil.
	Note func(text string)
	// Open replaces the opening of files, for tests and simulated storage.
	Open func(path string) (Reader, error)
}

// Reader is an open file.
type Reader interface {
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
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
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return o
}

// Sweep streams all frames of the lanes through sw.Do. It returns when every batch is done, or with the first
// error once no Do is running any more. An error names file and offset. Several may be under way at once.
func (s *Source) Sweep(ctx context.Context, sw Sweep) error {
	if sw.Do == nil {
		panic("io/sweep: Sweep without Do")
	}
	if sw.Workers <= 0 {
		sw.Workers = cores()
	}
	r := run{s: s, sw: sw}
	err := r.prepare()
	switch {
	case err != nil:
		return err
	case r.inOrder() && s.cached(&r):
		err = r.strips(ctx)
	default:
		err = r.superblocks(ctx)
	}
	return s.afterwards(err)
}

// Pixels returns some pixels of a few frames of a panel: a Sweep that keeps what it sees.
func (s *Source) Pixels(ctx context.Context, panel frame.Panel, exts []frame.Extent, span Span) ([][]uint16, error) {
	out := make([][]uint16, len(exts))
	err := s.Sweep(ctx, Sweep{Lanes: []Lane{{Panel: panel, Extents: exts, Bands: []Span{span}}}, Workers: 1, Do: func(b Batch) error {
		for i, f := range b.Frames {
			out[b.First+i] = slices.Clone(f)
		}
		return nil
	}})
	return out, err
}

// run is a Sweep under way.
type run struct {
	s      *Source
	sw     Sweep
	lanes  []lane
	frames int // of the longest lane
}

// lane is a Lane as the engine needs it.
type lane struct {
	Lane
	codec  *codec.Decoder
	bands  []Span
	tile   int  // pixels of a batch at most
	hull   Span // pixels that bands have
	copied bool // frames cannot be used where they were read
	before int  // bytes that are read before a frame for its heading, at most
}

const (
	stripWidth  = 128 << 10 // pixels of a band: each strip of a frame costs a system call
	stripFrames = 16        // frames of a strip: with that width they stay in the shared cache
	minBand     = 8 << 10   // pixels below which streams become too short to be prefetched
	tileWidth   = 16 << 10  // pixels of a batch: accumulators of 832 B for 32 pixels fit into L2
	grain       = 64        // bands are multiples of this many pixels: no two share a cache line of any plane
	wholeSize   = 512 << 10 // pixels that a batch of whole frames has at most, if it has more than one
)

// prepare checks the lanes and cuts them into bands.
func (r *run) prepare() error {
	for i, l := range r.sw.Lanes {
		q, err := r.s.lane(l, r.sw)
		if err != nil {
			return fmt.Errorf("lane %d: %w", i, err)
		}
		r.lanes, r.frames = append(r.lanes, q), max(r.frames, len(l.Extents))
	}
	return nil
}

// inOrder reports whether parts of all frames can be read.
func (r *run) inOrder() bool {
	return !slices.ContainsFunc(r.lanes, func(l lane) bool { return !l.codec.InOrder() })
}

// lane checks a lane and cuts it.
func (s *Source) lane(l Lane, sw Sweep) (q lane, err error) {
	q = lane{Lane: l}
	if q.codec, err = codec.New(l.Panel); err != nil {
		return q, fault.New(fault.Input, "frame: could not decode frames of %v: %w", l.Panel, s.at(l, err))
	}
	pixels := l.Panel.Pixels()
	q.bands, q.tile = l.Bands, pixels
	switch {
	case pixels == 0:
		q.bands = nil
	case sw.Whole:
		q.bands = []Span{{0, pixels}}
	case l.Bands == nil:
		width := min(stripWidth, max(minBand, pixels/(2*sw.Workers)), int(s.opt.Arena/int64(2*sw.Workers*max(sw.Lead, 1))))
		width = max(grain, width/grain*grain)
		for lo := 0; lo < pixels; lo += width {
			q.bands = append(q.bands, Span{lo, min(lo+width, pixels)})
		}
		q.tile = tileWidth
	}
	q.hull = Span{pixels, 0}
	for _, b := range q.bands {
		if b.Lo < 0 || b.Hi < b.Lo || b.Hi > pixels {
			panic(fmt.Sprintf("io/sweep: pixels [%d, %d) of %d", b.Lo, b.Hi, pixels))
		}
		q.hull.Lo, q.hull.Hi = min(q.hull.Lo, b.Lo), max(q.hull.Hi, b.Hi)
	}
	q.copied = !q.codec.Plain()
	for _, e := range l.Extents {
		h, err := s.check(q, e)
		if err != nil {
			return q, err
		}
		if h != nil {
			q.before = max(q.before, h.Before)
		}
		q.copied = q.copied || e.Offset%2 != 0
	}
	return q, nil
}

// at names the first frame of a lane in an error about its codec.
func (s *Source) at(l Lane, err error) error {
	if len(l.Extents) == 0 || l.Extents[0].File < 0 || int(l.Extents[0].File) >= len(s.files) {
		return err
	}
	return fmt.Errorf("%q byte %#x: %w", s.files[l.Extents[0].File].Path, l.Extents[0].Offset, err)
}

// check refuses an extent that does not fit its panel or file: indices come from files.
func (s *Source) check(l lane, e frame.Extent) (*frame.Heading, error) {
	if e.File < 0 || int(e.File) >= len(s.files) {
		return nil, fault.New(fault.Input, "frame: extent of %v points into file %d of %d", l.Panel, e.File, len(s.files))
	}
	f := s.files[e.File]
	if e.State != frame.Present {
		return nil, fault.New(fault.Input, "frame: %q byte %#x: frame of %v is %v", f.Path, e.Offset, l.Panel, e.State)
	}
	if want := l.codec.Bytes(); want > 0 && int64(e.Length) != int64(want) {
		return nil, fault.New(fault.Input, "frame: %q byte %#x: frame of %v has %d bytes, %d x %d pixels need %d",
			f.Path, e.Offset, l.Panel, e.Length, l.Panel.Rows, l.Panel.Cols, want)
	}
	if e.Offset < 0 || e.Offset+int64(e.Length) > f.Size {
		return nil, fault.New(fault.Input, "frame: %q byte %#x: frame of %v needs %d bytes, the file has %d", f.Path, e.Offset, l.Panel, e.Length, f.Size)
	}
	return frame.Predicted(s.opt.Headings, e)
}

// each calls Do for the tiles of a band; frames have the pixels from lo on.
func (r *run) each(b Batch, band Span, lo int, frames [][]uint16, view *[][]uint16) error {
	l := &r.lanes[b.Lane]
	for b.Lo = band.Lo; b.Lo < band.Hi; b.Lo += l.tile {
		hi := min(b.Lo+l.tile, band.Hi)
		*view = (*view)[:0]
		for _, f := range frames {
			*view = append(*view, f[b.Lo-lo:hi-lo:hi-lo])
		}
		b.Frames = *view
		if err := r.sw.Do(b); err != nil {
			return err
		}
	}
	return nil
}

// wholeOf returns the frames of a batch of whole frames.
func wholeOf(pixels int) int { return max(1, wholeSize/max(1, pixels)) }

// bytesOf returns the memory of pixels.
func bytesOf(px []uint16) []byte {
	if len(px) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&px[0])), 2*len(px))
}
