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
			err = out.AddTiles(a, plane.Predictor(before, p.Name))
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
	predict := plane.Predictor(before, name)
	for _, p := range before.Planes {
		if n := plane.Len(p.Data); predict != nil && uint64(n) != e.Count {
			return nil, fault.New(fault.Input, "array %q has %s, %q before it has %d", e.Name, fault.Count(e.Count, "element"), p.Name, n)
		}
	}
	return r.LoadTiles(e.Name, predict)
}
