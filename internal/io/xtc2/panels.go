package xtc2

import (
	"slices"
	"strings"
	"sync"

	"rawstatus/internal/detector"
	"rawstatus/internal/io/codec"
	"rawstatus/internal/io/frame"
)

// bookkeeping are detectors that describe the run, not the beam.
var bookkeeping = []string{"runinfo", "chunkinfo", "smdinfo", "epics", "epicsinfo", "scan", "step", "pvdetinfo"}

// IsBookkeeping reports whether an entry of the Names table is no detector.
func IsBookkeeping(detName string) bool { return slices.Contains(bookkeeping, detName) }

// frameFields are the names that the field with the pixels has, the first one present counts.
var frameFields = []string{"raw", "image", "value"}

// frameField returns the number of the field that holds a panel's pixels, or -1: alg raw, an array of
// rank 2 or 3 of 16-bit numbers, or of bytes where the type has a codec for them.
func (n *Names) frameField() int {
	if n.Alg != "raw" || IsBookkeeping(n.DetName) {
		return -1
	}
	for _, name := range frameFields {
		for i, f := range n.Fields {
			if f.Name == name && (f.Rank == 2 || f.Rank == 3) &&
				(f.Type == UInt16 || f.Type == UInt8 && codec.Packed(n.DetType).Codec != frame.Identity) {
				return i
			}
		}
	}
	return -1
}

// segment names a contribution to a detector.
type segment struct {
	detector string
	number   int
}

func compareSegments(a, b segment) int {
	if c := strings.Compare(a.detector, b.detector); c != 0 {
		return c
	}
	return a.number - b.number
}

// config is a Names table prepared for reading events: which ShapesData are panels.
type config struct {
	*Table
	segments []segment      // ascending
	names    []*Names       // of each segment, the first that has a frame field
	slot     map[uint32]int // NamesId of frames -> position in segments
	field    map[uint32]int // NamesId of frames -> field number
}

func newConfig(t *Table) *config {
	c := &config{Table: t, slot: map[uint32]int{}, field: map[uint32]int{}}
	first := map[segment]*Names{}
	for _, n := range t.List {
		if f := n.frameField(); f >= 0 {
			c.field[n.ID] = f
			s := segment{n.DetName, n.Segment}
			if first[s] == nil {
				first[s] = n
				c.segments = append(c.segments, s)
			}
		}
	}
	slices.SortFunc(c.segments, compareSegments)
	place := make(map[segment]int, len(c.segments))
	for i, s := range c.segments {
		c.names = append(c.names, first[s])
		place[s] = i
	}
	for _, n := range t.List {
		if _, ok := c.field[n.ID]; ok {
			c.slot[n.ID] = place[segment{n.DetName, n.Segment}]
		}
	}
	return c
}

// layout is the stored form of a segment's array: what must not change during a run.
type layout struct {
	typ  ValueType
	rank int
	dims [3]uint32
}

// maxSubPanels bounds the panels that one array may hold; the largest known has 6.
const maxSubPanels = 64

// shape is a layout understood: how many panels it holds, of what size, in how many bytes each.
type shape struct {
	subs, rows, cols int
	bytes            uint32
	codec            frame.Codec
}

// shape understands a layout of a detector type, false if its array holds no panels.
func (l layout) shape(detType string) (shape, bool) {
	d := l.dims
	if p := codec.Packed(detType); p.Codec != frame.Identity {
		stored := uint64(d[0]) * uint64(d[1]) * uint64(l.typ.Size())
		subs := stored / uint64(p.Bytes)
		if l.rank != 2 || stored%uint64(p.Bytes) != 0 || subs == 0 || subs > maxSubPanels {
			return shape{}, false
		}
		return shape{subs: int(subs), rows: p.Rows, cols: p.Cols, bytes: uint32(p.Bytes), codec: p.Codec}, true
	}
	subs, rows, cols := uint32(1), d[0], d[1]
	if l.rank == 3 {
		subs, rows, cols = d[0], d[1], d[2]
	}
	n := uint64(rows) * uint64(cols) * 2
	if l.typ != UInt16 || n == 0 || n > maxExtent || subs == 0 || subs > maxSubPanels {
		return shape{}, false
	}
	return shape{subs: int(subs), rows: int(rows), cols: int(cols), bytes: uint32(n), codec: frame.Identity}, true
}

// expected returns the shape that the detector table has for a type of which no frame was seen.
func expected(detType string) (shape, bool) {
	if p := codec.Packed(detType); p.Codec != frame.Identity {
		return shape{subs: 1, rows: p.Rows, cols: p.Cols, bytes: uint32(p.Bytes), codec: p.Codec}, true
	}
	f, _ := detector.Lookup(detType)
	return shape{subs: 1, rows: f.Rows, cols: f.Cols, bytes: uint32(2 * f.Rows * f.Cols)}, f.Rows*f.Cols > 0
}

// layouts numbers the layouts that occur; numbers from 1 on, in no particular order.
type layouts struct {
	mu   sync.Mutex
	ids  map[layout]uint32
	list []layout
}

func (t *layouts) id(l layout) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, ok := t.ids[l]
	if !ok {
		t.list = append(t.list, l)
		id = uint32(len(t.list))
		t.ids[l] = id
	}
	return id
}

func (t *layouts) get(id uint32) layout {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.list[id-1]
}
