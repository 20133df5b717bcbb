package plan

import (
	"strings"
	"sync"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/memory"
	"rawstatus/internal/stats/plane"
)

// AddPlanes stores the planes of a set under a prefix: those of integers in tiles, as differences to what the
// planes stored before them and the number of frames predict.
func AddPlanes(out *pack.Writer, prefix string, frames uint64, set *plane.Set) error {
	before := &plane.Set{Frames: frames}
	room := make([]uint64, TilePixels)
	for _, i := range plane.Storing(set.Planes) {
		p := set.Planes[i]
		a := pack.Named{Name: prefix + p.Name, Attr: int(p.Op), Data: p.Data}
		var err error
		if _, float := p.Data.([]float64); float {
			err = out.Add(a)
		} else {
			err = out.AddTiles(a, predictions(before, p.Name, room))
		}
		if err != nil {
			return err
		}
		before.Planes = append(before.Planes, p)
	}
	return nil
}

// TileWriter is AddPlanes for planes of integers of which the tiles are made one by one, in any order and from several
// goroutines. It holds the tiles as they will be stored.
type TileWriter struct {
	prefix string
	pixels int
	pool   *memory.Pool

	mu     sync.Mutex
	planes []plane.Plane // in the order of the file, without data
	pieces [][][]byte    // of each plane, by tile
	chunks [][]byte      // what they lie in
	used   int           // bytes of the last chunk
}

// NewTileWriter prepares for planes of so many pixels, whose names in the file begin with prefix.
func NewTileWriter(prefix string, pixels int, pool *memory.Pool) *TileWriter {
	return &TileWriter{prefix: prefix, pixels: pixels, pool: pool}
}

// TileRoom is memory for making tiles, of one goroutine.
type TileRoom struct {
	expected []uint64
	stored   []byte
	ends     []int
	before   plane.Set
}

// Put takes the planes of a tile, which begin at pixel at. All tiles have the same planes and the same number of frames.
func (t *TileWriter) Put(at int, set *plane.Set, room *TileRoom) error {
	if room.expected == nil {
		room.expected = make([]uint64, TilePixels)
	}
	room.before = plane.Set{Frames: set.Frames, Planes: room.before.Planes[:0]}
	room.stored, room.ends = room.stored[:0], room.ends[:0]
	for _, i := range plane.Storing(set.Planes) {
		p := set.Planes[i]
		room.stored = pack.AppendTile(room.stored, t.prefix+p.Name, at, p.Data, prediction(&room.before, p.Name, room.expected))
		room.ends = append(room.ends, len(room.stored))
		room.before.Planes = append(room.before.Planes, p)
	}
	stored, err := t.keep(room)
	if err != nil {
		return err
	}
	copy(stored, room.stored)
	begin := 0
	for i, end := range room.ends {
		t.pieces[i][at/TilePixels] = stored[begin:end]
		begin = end
	}
	return nil
}

// keep returns the memory for a tile.
func (t *TileWriter) keep(room *TileRoom) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pieces == nil {
		for _, p := range room.before.Planes {
			p.Data = pack.DType(p.Data)
			t.planes, t.pieces = append(t.planes, p), append(t.pieces, make([][]byte, (t.pixels+TilePixels-1)/TilePixels))
		}
	}
	n := len(room.stored)
	if len(t.chunks) == 0 || t.used+n > len(t.chunks[len(t.chunks)-1]) {
		chunk, err := t.pool.Get(max(n, memory.HugeSize))
		if err != nil {
			return nil, err
		}
		t.chunks, t.used = append(t.chunks, chunk), 0
	}
	out := t.chunks[len(t.chunks)-1][t.used:][:n]
	t.used += n
	return out, nil
}

// AddTo stores all planes.
func (t *TileWriter) AddTo(out *pack.Writer) error {
	for i, p := range t.planes {
		if err := out.AddStored(t.prefix+p.Name, int(p.Op), p.Data.(string), t.pixels, t.pieces[i]); err != nil {
			return err
		}
	}
	return nil
}

// Close frees the memory.
func (t *TileWriter) Close() {
	for _, c := range t.chunks {
		t.pool.Put(c)
	}
	t.planes, t.pieces, t.chunks = nil, nil, nil
}

// LoadPlanes reads what AddPlanes has stored of so many frames: the planes whose names begin with prefix, each of which must have so many elements; -1: the
// caller checks that.
func LoadPlanes(r *pack.Reader, prefix string, frames uint64, elements int) (*plane.Set, error) {
	set := &plane.Set{Frames: frames}
	for _, e := range r.Entries() {
		name, ok := strings.CutPrefix(e.Name, prefix)
		if !ok || name == "" {
			continue
		}
		if elements >= 0 && e.Count != uint64(elements) {
			return nil, fault.New(fault.Input, "array %q has %s, wanted %d", e.Name, fault.Count(e.Count, "element"), elements)
		}
		data, err := loadPlane(r, e, set, name)
		if err != nil {
			return nil, err
		}
		set.Planes = append(set.Planes, plane.Plane{Name: name, Op: plane.Op(e.Attr), Data: data})
	}
	return set, nil
}

// loadPlane reads a plane; before are those that were stored before it.
func loadPlane(r *pack.Reader, e pack.Entry, before *plane.Set, name string) (any, error) {
	if e.Tile == 0 {
		return r.Load(e.Name)
	}
	predict := predictions(before, name, make([]uint64, min(TilePixels, e.Count)))
	for _, p := range before.Planes {
		if n := plane.Len(p.Data); predict != nil && uint64(n) != e.Count {
			return nil, fault.New(fault.Input, "array %q has %s, %q before it has %d", e.Name, fault.Count(e.Count, "element"), p.Name, n)
		}
	}
	return r.LoadTiles(e.Name, predict)
}

// predictions returns the predictions of the tiles of a plane; nil: nothing is expected. It uses room.
func predictions(before *plane.Set, name string, room []uint64) func(at, n int) pack.Prediction {
	if p := prediction(before.Part(0, 0), name, room); p.Same == nil && p.Values == nil {
		return nil
	}
	return func(at, n int) pack.Prediction { return prediction(before.Part(at, n), name, room) }
}

// prediction returns what planes stored before expect of another one; it may use room.
func prediction(before *plane.Set, name string, room []uint64) (p pack.Prediction) {
	p.Same, p.Values = plane.Expected(before, name, room)
	return p
}

// TilePixels is the number of pixels of a tile.
const TilePixels = pack.TileSize

// PlaneTiles reads the planes of a merged file tile by tile, in memory that serves one file after the other.
type PlaneTiles struct {
	set      plane.Set
	tiles    []*pack.Tiles
	room     []any // elements of a tile, for each plane
	expected []uint64
}

// Open begins to read the planes of a file, which counted so many frames of so many pixels each.
func (t *PlaneTiles) Open(r *pack.Reader, frames uint64, pixels int) error {
	t.set = plane.Set{Frames: frames, Planes: t.set.Planes[:0]}
	for i, e := range r.Entries() {
		if e.Count != uint64(pixels) {
			return fault.New(fault.Input, "array %q has %s, wanted %d", e.Name, fault.Count(int(e.Count), "element"), pixels)
		}
		if i == len(t.tiles) {
			t.tiles, t.room = append(t.tiles, new(pack.Tiles)), append(t.room, nil)
		}
		if err := t.tiles[i].Open(r, e.Name); err != nil {
			return err
		}
		t.room[i] = t.tiles[i].Room(t.room[i])
		t.set.Planes = append(t.set.Planes, plane.Plane{Name: e.Name, Op: plane.Op(e.Attr)})
	}
	return nil
}

// Next reads the next n pixels, a tile or what is left; what is returned is valid until the next call.
func (t *PlaneTiles) Next(n int) (*plane.Set, error) {
	if t.expected == nil {
		t.expected = make([]uint64, TilePixels)
	}
	before := plane.Set{Frames: t.set.Frames}
	for i := range t.set.Planes {
		p := &t.set.Planes[i]
		p.Data = plane.Elements(t.room[i], 0, n)
		if err := t.tiles[i].Next(p.Data, prediction(&before, p.Name, t.expected)); err != nil {
			return nil, err
		}
		before.Planes = t.set.Planes[:i+1]
	}
	return &t.set, nil
}
