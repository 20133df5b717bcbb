package frame

import "context"

// Source delivers the pixels of extents. Implementations differ in how they read (positioned reads,
// mapped files); what they deliver is the same, and one conformance suite holds them to it.
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
