package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
)

// Tile counts the pixels of one panel as analysis will mask them: gain modes combined, together with the
// pixel_status in force.
type Tile struct {
	Slot      int  `json:"slot"`
	Pixels    int  `json:"pixels"`
	Bad       int  `json:"bad_pixels"`
	Standing  int  `json:"bad_by_pixel_status"` // of these, bad by the pixel_status in force alone
	Unjudged  int  `json:"not_judged"`
	NewlyBad  int  `json:"newly_bad"`
	NewlyGood int  `json:"newly_good"`
	BadASICs  int  `json:"bad_asics,omitempty"` // readout chips with more than half of their pixels bad
	Chosen    bool `json:"chosen,omitempty"`    // padding, or a panel filled as the user said
}

// Stretch holds the changes for runs that use one constant now, under one pixel_status.
type Stretch struct {
	Runs      []calib.Range `json:"runs"`
	Now       string        `json:"now,omitempty"` // what they use now; empty: nothing
	Content   string        `json:"sha256,omitempty"`
	Shape     []int         `json:"shape,omitempty"`
	Status    string        `json:"pixel_status,omitempty"`
	Bad       int           `json:"bad_pixels"` // masked now
	NewlyBad  int           `json:"newly_bad"`
	NewlyGood int           `json:"newly_good"`
	Unequal   string        `json:"other_size,omitempty"` // sizes differ: pixels cannot be compared
	Problem   string        `json:"problem,omitempty"`    // what is in force cannot be read
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
	p.eachTile(func(t *Tile, base, step int) {
		bad, newlyBad, newlyGood := 0, 0, 0
		for j := 0; j < t.Pixels; j++ {
			i := base + j*step
			if j%len(nothing) == 0 && j+len(nothing) <= t.Pixels && clean(p.ours, standing, i, step, len(nothing)) && clean(old, nil, i, step, len(nothing)) {
				j += len(nothing) - 1
				continue
			}
			was, is := old.bad(i) || standing.bad(i), p.ours.bad(i) || standing.bad(i)
			switch {
			case was:
				bad++
				if !is {
					newlyGood++
				}
			case is:
				newlyBad++
			}
		}
		if s.has(p.Against) {
			t.NewlyBad, t.NewlyGood = newlyBad, newlyGood
		}
		if !t.Chosen {
			s.Bad, s.NewlyBad, s.NewlyGood = s.Bad+bad, s.NewlyBad+newlyBad, s.NewlyGood+newlyGood
		}
	})
}

// eachTile visits the panels; pixel j of a panel is at base + j*step in the flags.
func (p *Plan) eachTile(visit func(t *Tile, base, step int)) {
	l := p.merged.layout()
	for i := range p.Tiles {
		base, step := l.at(0, i)
		visit(&p.Tiles[i], base, step)
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
	p.eachTile(func(t *Tile, base, step int) {
		var bad []int
		for j := 0; j < t.Pixels; j++ {
			i := base + j*step
			if j%len(nothing) == 0 && j+len(nothing) <= t.Pixels && clean(p.ours, standing, i, step, len(nothing)) {
				j += len(nothing) - 1
				continue
			}
			if p.ours.bad(i) || standing.bad(i) {
				bad = append(bad, j)
			}
			if standing.bad(i) {
				t.Standing++
			}
			if p.ours.bits[i]&notJudged != 0 {
				t.Unjudged++
			}
		}
		t.Bad = len(bad)
		t.BadASICs = badASICs(bad, m.Panels[0].Rows, m.Panels[0].Cols, m.family)
	})
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
