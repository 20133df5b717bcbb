package publish

import (
	"fmt"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/stats/status"
)

// keepNoData keeps which pixels of a source of a run with a gain map have no data.
func (s *Source) keepNoData() {
	if len(s.gainMap) == 0 {
		return
	}
	s.noData = make([]bool, s.values.Pixels)
	for i, at := range s.values.At {
		s.noData[at] = s.values.Words[i]&status.NoData != 0
	}
}

// applyGainMaps copies the words of pixels that a gain map puts into another gain mode from the plane of that mode.
// Analysis masks what is bad in any plane, so that NO_DATA in the planes of the other modes would mask every pixel of
// such a run. Pixels without data in all modes of the map keep NO_DATA.
func applyGainMaps(planes []*Plane) {
	if !slices.ContainsFunc(planes, func(p *Plane) bool {
		return slices.ContainsFunc(p.Sources, func(s Source) bool { return s.noData != nil })
	}) {
		return
	}
	merged := make([][]uint64, len(planes)) // before any word is taken over
	for k, p := range planes {
		if p.merged != nil {
			merged[k] = p.merged.Dense()
		}
	}
	for at, p := range planes {
		moved, values := 0, merged[at]
		for _, s := range p.Sources {
			for k, q := range planes {
				t := q.partner(&s)
				if q == p || t == nil {
					continue
				}
				if moved == 0 {
					values = slices.Clone(values)
				}
				for i, none := range s.noData {
					if none && !t.noData[i] && values[i]&status.NoData != 0 {
						values[i] = values[i]&^status.NoData | merged[k][i]
						moved++
					}
				}
			}
		}
		if moved > 0 {
			taken := status.SparseOf(values)
			p.merged = &taken
			p.Notes = append(p.Notes, fmt.Sprintf("%s in another gain mode by the gain map: taken as in that mode", fault.Count(moved, "pixel")))
		}
	}
}

// partner returns the source of the plane that has other pixels of the same panel in the same run.
func (p *Plane) partner(s *Source) *Source {
	if !slices.Contains(s.gainMap, p.GainMode) {
		return nil
	}
	for i := range p.Sources {
		if t := &p.Sources[i]; t.CType == s.CType && t.PlanID == s.PlanID && t.noData != nil {
			return t
		}
	}
	return nil
}
