package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/stats/status"
)

// Tile counts the pixels of one panel as analysis will mask them: gain modes combined, together with the
// pixel_status in force.
type Tile struct {
	Slot     int `json:"slot"`
	Pixels   int `json:"pixels"`
	Bad      int `json:"bad_pixels"`
	Standing int `json:"bad_by_pixel_status"` // of these, bad by the pixel_status in force alone
	Unjudged int `json:"not_judged"`
	status.Turned
	BadASICs int  `json:"bad_asics,omitempty"` // readout chips with more than half of their pixels bad
	Chosen   bool `json:"chosen,omitempty"`    // padding, or a panel filled as the user said
}

// Stretch holds the changes for runs that use one constant now, under one pixel_status.
type Stretch struct {
	Runs    []calib.Range `json:"runs"`
	Now     string        `json:"now,omitempty"` // what they use now; empty: nothing
	Content string        `json:"sha256,omitempty"`
	Shape   []int         `json:"shape,omitempty"`
	Status  string        `json:"pixel_status,omitempty"`
	Bad     int           `json:"bad_pixels"` // masked now
	status.Turned
	Unequal string `json:"other_size,omitempty"` // sizes differ: pixels cannot be compared
	Problem string `json:"problem,omitempty"`    // what is in force cannot be read
}

// has reports whether a run belongs to the stretch.
func (s *Stretch) has(run int) bool {
	return slices.ContainsFunc(s.Runs, func(r calib.Range) bool { return r.Has(run) })
}

// stretches splits the runs that will use the new constant by what they use now and by the pixel_status in
// force.
func (p *Plan) stretches() (list []Stretch) {
	at := map[[2]string]int{}
	for _, u := range p.Effect.Instead {
		edges := slices.DeleteFunc(append(p.standing.edges(), u.Runs.Begin), func(run int) bool { return run < u.Runs.Begin || run > u.Runs.End })
		slices.Sort(edges)
		edges = slices.Compact(edges)
		for i, begin := range edges {
			runs := calib.Range{Begin: begin, End: u.Runs.End}
			if i+1 < len(edges) {
				runs.End = edges[i+1] - 1
			}
			key := [2]string{u.Name, p.standing.pixelStatus(begin)}
			n, known := at[key]
			if !known {
				n = len(list)
				at[key] = n
				list = append(list, Stretch{Now: key[0], Status: key[1]})
			}
			list[n].Runs = append(list[n].Runs, runs)
		}
	}
	return list
}

// compareStretches compares the new constant with what is in force, for every stretch of runs that changes.
func (p *Plan) compareStretches(ctx context.Context, dest calib.Destination, items []calib.Item) {
	p.Stretches = p.stretches()
	planes := p.merged.planes()
	now := map[string]*flags{}
	sums, problems := map[string]string{}, map[string]string{}
	for i := range p.Stretches {
		s := &p.Stretches[i]
		if _, known := now[s.Now]; !known && s.Now != "" {
			j := slices.IndexFunc(items, func(x calib.Item) bool { return x.Name == s.Now })
			a, sum, err := dest.Read(ctx, items[j])
			if err != nil { // a constant that cannot be read must not stop the one that replaces it
				problems[s.Now] = err.Error()
			} else {
				now[s.Now], sums[s.Now] = flagsOf(a, planes), sum
			}
		}
		s.Content, s.Problem = sums[s.Now], problems[s.Now]
		if f := now[s.Now]; f != nil {
			s.Shape = f.shape
		}
		p.compare(s, now[s.Now], p.standing.mask(ctx, s.Status, planes))
	}
}

// compare counts what changes in a stretch. Padding and panels that the user has decided about do not count.
func (p *Plan) compare(s *Stretch, old, standing *flags) {
	if p.ours == nil {
		return
	}
	switch size := p.ours.size; {
	case !standing.fits(size):
		s.Unequal = fmt.Sprintf("the pixel_status %s is an array %v, ours %v", s.Status, standing.shape, p.Shape)
		return
	case !old.fits(size):
		s.Unequal = fmt.Sprintf("%s is an array %v, ours %v", s.Now, old.shape, p.Shape)
		return
	}
	found := make([]Tile, len(p.Tiles))
	was, is := old.with(standing, p.ours.bad.Pixels), p.ours.with(standing, p.ours.bad.Pixels)
	l := p.merged.layout()
	pairs(was, is, func(at int, w, i uint64) {
		tile, _ := l.find(at)
		t := &found[tile]
		if t.Count(w != 0, i != 0); w != 0 {
			t.Bad++
		}
	})
	for i, f := range found {
		t := &p.Tiles[i]
		if s.has(p.Against) {
			t.Turned = f.Turned
		}
		if !t.Chosen {
			s.Bad += f.Bad
			s.Sum(f.Turned)
		}
	}
}

// pairs visits the pixels that have a word in one of two lists of the same pixels.
func pairs(a, b status.Sparse, visit func(at int, a, b uint64)) {
	if err := a.Pairs(b, func(at uint32, x, y uint64) { visit(int(at), x, y) }); err != nil {
		panic("publish: " + err.Error())
	}
}

// count fills in the panels.
func (p *Plan) count(standing *flags) {
	m := p.merged
	l := m.layout()
	measured := map[int]bool{}
	for _, plane := range m.Planes {
		if plane.Sources != nil {
			measured[plane.Slot] = true
		}
	}
	for i := range l.count {
		slot := i
		if !m.stacked() {
			slot = m.Panels[0].Slot // the only panel
		}
		p.Tiles = append(p.Tiles, Tile{Slot: slot, Pixels: l.pixels, Chosen: !measured[slot]})
	}
	if !standing.fits(p.ours.size) {
		standing = nil // said by rule shape
	}
	bad := make([][]int, len(p.Tiles)) // pixels of each panel
	none := status.Sparse{Pixels: p.ours.bad.Pixels}
	if standing != nil {
		none = standing.bad
	}
	pairs(p.ours.bad, none, func(at int, ours, theirs uint64) {
		tile, pixel := l.find(at)
		t := &p.Tiles[tile]
		bad[tile] = append(bad[tile], pixel)
		if theirs != 0 {
			t.Standing++
		}
		if ours&status.NotJudged != 0 {
			t.Unjudged++
		}
	})
	for i := range p.Tiles {
		p.Tiles[i].Bad = len(bad[i])
		p.Tiles[i].BadASICs = badASICs(bad[i], m.Panels[0].Rows, m.Panels[0].Cols, m.family)
	}
	for _, t := range p.Tiles {
		p.Bad += t.Bad
		p.Pixels += t.Pixels
		if !t.Chosen {
			p.counted += t.Pixels
		}
	}
}

// badASICs counts the readout chips of which more than half is bad.
func badASICs(bad []int, rows, cols int, f detector.Family) int {
	if f.ASICRows == 0 || f.ASICCols == 0 {
		return 0
	}
	across := (cols + f.ASICCols - 1) / f.ASICCols
	down := (rows + f.ASICRows - 1) / f.ASICRows
	counts := make([]int, across*down)
	for _, i := range bad {
		counts[i/cols/f.ASICRows*across+i%cols/f.ASICCols]++
	}
	n := 0
	for _, b := range counts {
		if 2*b > f.ASICRows*f.ASICCols {
			n++
		}
	}
	return n
}

// lines says what changes for which runs.
func (p *Plan) lines() (lines []string) {
	for _, s := range p.Stretches {
		var runs []string
		for _, r := range s.Runs {
			runs = append(runs, r.Runs())
		}
		where := "runs " + strings.Join(runs, ", ")
		now := "nothing"
		if s.Now != "" {
			now = s.Now
		}
		if s.Status != "" {
			now += " with pixel_status " + s.Status
		}
		switch {
		case s.Problem != "":
			lines = append(lines, fmt.Sprintf("%s: in force is %s, which cannot be read: %s", where, now, s.Problem))
		case s.Unequal != "":
			lines = append(lines, fmt.Sprintf("%s: in force is %s; %s", where, now, s.Unequal))
		default:
			lines = append(lines, fmt.Sprintf("%s: in force is %s, %s; newly bad %d, newly good %d", where, now, fault.Count(s.Bad, "bad pixel"), s.NewlyBad, s.NewlyGood))
		}
	}
	return lines
}
