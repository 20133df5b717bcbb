package task

import (
	"sync"
	"unsafe"

	"rawstatus/internal/memory"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/plane"
)

// room is the memory of a Runner for accumulators and for what they leave, allocated once and used again: new memory
// costs more than what is counted in it.
type room struct {
	pool  memory.Pool
	mu    sync.Mutex
	cells []*cell
	desks []*desk
}

// cell counts the pixels of a tile.
type cell struct {
	at, n int // pixels [at, at+n) of the counter
	*cellMemory
	sums accum.Gated
	max  accum.Max
	gain accum.Gain
	left int  // pixels that wait for their last frame
	held bool // there are zeros that may be no data
}

// cellMemory is the memory of a cell. It holds no pointers.
type cellMemory struct {
	blocks         [plan.TilePixels / kernel.Width]kernel.Block
	gateLo, gateHi [plan.TilePixels]uint16
	most           [plan.TilePixels]uint16
	odd, never     [plan.TilePixels]uint16
	last           [plan.TilePixels]uint16 // the last frame that was seen
}

// desk is memory of one goroutine at a time.
type desk struct {
	frames [][]uint16 // of a tile
	tile   plan.TileRoom
	set    plane.Set
	// Planes of a tile.
	sum0, nLo, nHi     [plan.TilePixels]uint32
	odd, never, inMode [plan.TilePixels]uint32
	sum1, sum2         [plan.TilePixels]uint64
	min, max           [plan.TilePixels]uint16
}

// cell returns a cell for n pixels from at on.
func (r *room) cell(at, n int) (*cell, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cells) == 0 {
		chunk, err := r.pool.Get(memory.HugeSize)
		if err != nil {
			return nil, err
		}
		const size = int(unsafe.Sizeof(cellMemory{}))
		for ; len(chunk) >= size; chunk = chunk[size:] {
			r.cells = append(r.cells, &cell{cellMemory: (*cellMemory)(unsafe.Pointer(&chunk[0]))})
		}
	}
	c := r.cells[len(r.cells)-1]
	r.cells = r.cells[:len(r.cells)-1]
	c.at, c.n, c.left, c.held = at, n, n, false
	return c, nil
}

func (r *room) putCell(c *cell) {
	r.mu.Lock()
	r.cells = append(r.cells, c)
	r.mu.Unlock()
}

func (r *room) desk() *desk {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.desks) == 0 {
		return new(desk)
	}
	d := r.desks[len(r.desks)-1]
	r.desks = r.desks[:len(r.desks)-1]
	return d
}

func (r *room) putDesk(d *desk) {
	r.mu.Lock()
	r.desks = append(r.desks, d)
	r.mu.Unlock()
}

// cut returns pixels [lo, hi) of frames.
func (d *desk) cut(frames [][]uint16, lo, hi int) [][]uint16 {
	d.frames = d.frames[:0]
	for _, f := range frames {
		d.frames = append(d.frames, f[lo:hi:hi])
	}
	return d.frames
}
