package plan

import (
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/stats/plane"
)

// AddPlanes stores the planes of a set under a prefix: those of integers in tiles, as differences to what the
// planes stored before them and the number of frames predict.
func AddPlanes(out *pack.Writer, prefix string, frames uint64, set *plane.Set) error {
	before := &plane.Set{Frames: frames}
	for _, i := range plane.Storing(set.Planes) {
		p := set.Planes[i]
		a := pack.Array{Name: prefix + p.Name, Attr: int(p.Op), Data: p.Data}
		var err error
		if _, float := p.Data.([]float64); float {
			err = out.Add(a)
		} else {
			err = out.AddTiles(a, prediction(before, p.Name))
		}
		if err != nil {
			return err
		}
		before.Planes = append(before.Planes, p)
	}
	return nil
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
	predict := prediction(before, name)
	for _, p := range before.Planes {
		if n := plane.Len(p.Data); (predict.Same != nil || predict.Of != nil) && uint64(n) != e.Count {
			return nil, fault.New(fault.Input, "array %q has %s, %q before it has %d", e.Name, fault.Count(e.Count, "element"), p.Name, n)
		}
	}
	return r.LoadTiles(e.Name, predict)
}

func prediction(before *plane.Set, name string) (p pack.Prediction) {
	p.Same, p.Of = plane.Predictor(before, name)
	return p
}

// TilePixels is the number of pixels of a tile.
const TilePixels = pack.TileSize

// PlaneTiles reads the planes of a merged file tile by tile, in memory that serves one file after the other.
type PlaneTiles struct {
	set   plane.Set
	tiles []*pack.Tiles
	room  []any // elements of a tile, for each plane
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
	before := plane.Set{Frames: t.set.Frames}
	for i := range t.set.Planes {
		p := &t.set.Planes[i]
		p.Data = plane.Elements(t.room[i], 0, n)
		if err := t.tiles[i].Next(p.Data, prediction(&before, p.Name)); err != nil {
			return nil, err
		}
		before.Planes = t.set.Planes[:i+1]
	}
	return &t.set, nil
}
