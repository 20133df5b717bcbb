package reduce

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/feature"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
)

// Limit is a pair of evaluated limits, and what it was found from.
type Limit struct {
	repo.Limit
	Panels []int `json:"panels,omitempty"` // positions in Group.Panels; empty: all
	Used   int   `json:"used"`             // values behind them
}

// judgement holds the results for the panels of a group.
type judgement struct {
	panels []judged
	limits []Limit
	lines  []status.Line
	counts status.Counts
	notes  []string
	// dark has the results of profiles dark and data, else it is nil.
	dark *status.DarkResult
}

// judged is the judgement of one panel.
type judged struct {
	Judged
	counts    status.Counts
	gain      *GainWords
	constants *constants // of profile dark
	// extra writes what else the profile makes of a panel and returns the paths; nil: nothing.
	extra func(ctx context.Context, r *repo.Repo, sf repo.StatusFile) ([]string, error)
}

// judge evaluates the rules of a plan over what the units of a group have.
func judge(p *plan.Plan, units []int, in []planes) (*judgement, error) {
	var v *judgement
	var err error
	switch p.Params.Family() {
	case status.Dark:
		v, err = judgeDark(p, units, in)
	case status.Charge:
		v, err = judgeCharge(p, units, in)
	default:
		v, err = judgeFeatures(p, units, in)
	}
	if err != nil {
		return nil, fmt.Errorf("could not judge %s: %w", p.Dataset.Detector, err)
	}
	family, _ := detector.Lookup(p.Dataset.Type)
	spatial := p.Params.Spatial(family)
	rules := map[uint64]string{}
	for _, l := range v.lines {
		rules[l.Value] = l.Rule
	}
	var g fault.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, u := range units {
		g.Go(func() error {
			panel, j := p.Panel(u), &v.panels[i]
			j.Unit, j.Set, j.cols, j.gain = u, in[i].set, panel.Cols, in[i].gain
			if in[i].dark == nil {
				j.gain = gainWords(in[i].set)
			}
			var err error
			j.Bad, err = status.AddHints(j.Bad, panel.Rows, panel.Cols, spatial)
			j.counts = j.Bad.Count()
			if v.dark != nil {
				v.dark.Panels[i].Bad = j.Bad
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i := range units {
		v.counts.Add(v.panels[i].counts)
	}
	v.lines = status.Lines(p.Params.Family(), v.counts, rules)
	return v, nil
}

// darkParams returns the rules of profiles data and dark as they hold for a group, with a note where that is not as asked.
func darkParams(p *plan.Plan, group int) (par status.DarkParams, note string) {
	family, _ := detector.Lookup(p.Dataset.Type)
	par = p.Params.Dark(family)
	if p.Groups[group].GainBits == nil && par.GainRule != status.GainOff {
		// Tasks count gain bits against those of the group.
		note = fmt.Sprintf("gain rule %q is off: the data do not tell the gain mode (--gain-mode does)", par.GainRule)
		par.GainRule = status.GainOff
	}
	return par, note
}

func judgeDark(p *plan.Plan, units []int, in []planes) (*judgement, error) {
	par, note := darkParams(p, p.Units[units[0]].Group)
	v := &judgement{}
	if note != "" {
		v.notes = append(v.notes, note)
	}
	panels := make([]status.PanelPlanes, len(units)) // of units that were not measured before
	results := make([]status.PanelResult, len(units))
	for i, u := range units {
		if in[i].dark != nil {
			results[i] = *in[i].dark
			continue
		}
		panel := p.Panel(u)
		var err error
		if panels[i], err = darkPlanes(p, u, in[i].set, panel.Rows, panel.Cols); err == nil {
			results[i].Begin(par, panels[i].Frames, panel.Rows, panel.Cols)
			err = par.Measure(&results[i], 0, &panels[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.UnitName(u), err)
		}
	}
	res, err := status.JudgeDark(results, par)
	if err != nil {
		return nil, err
	}
	v.lines, v.dark = res.Lines(), res
	for i, r := range res.Panels {
		one := judged{Judged: Judged{Frames: r.Frames, GoodFrames: r.Frames, Bad: r.Bad, ave: r.Ave},
			constants: &constants{ave: r.Ave, rms: r.Rms, min: in[i].min, max: in[i].max}}
		if in[i].dark == nil {
			one.Quantities = darkQuantities(i, &panels[i], res)
			one.constants.min, one.constants.max = extremes(&panels[i])
		}
		v.panels = append(v.panels, one)
	}
	for _, g := range res.Groups {
		if g.Judged == 0 {
			continue
		}
		for _, q := range []struct {
			name string
			l    status.Limits
		}{{"rms", g.Rms}, {"average", g.Ave}} {
			l := q.l
			v.limits = append(v.limits, Limit{repo.Limit{Name: q.name, Row: g.Row, Col: g.Col, Lo: repo.Number(l.Lo), Hi: repo.Number(l.Hi), Centre: repo.Number(l.Mean), Spread: repo.Number(l.Std)}, g.Panels, l.Used})
		}
	}
	return v, nil
}

// extremes returns the least and the largest values of pixels. A pixel without any frame has none: 0.
func extremes(in *status.PanelPlanes) (least, largest []uint16) {
	if in.Frames == 0 || in.MinValue == nil {
		return make([]uint16, len(in.Sum0)), make([]uint16, len(in.Sum0))
	}
	return in.MinValue, in.MaxValue
}

// darkPlanes returns the planes of a unit, or of some of its pixels, as the rules want them; set is nil where there
// is no frame.
func darkPlanes(p *plan.Plan, unit int, set *plane.Set, rows, cols int) (status.PanelPlanes, error) {
	if set == nil {
		return status.AbsentPanel(rows, cols), nil
	}
	if !slices.ContainsFunc(set.Planes, func(q plane.Plane) bool { return q.Name == plane.Sum0 }) {
		// Where every frame counts no sum0 is stored.
		sum0 := make([]uint32, rows*cols)
		for i := range sum0 {
			sum0[i] = uint32(set.Frames)
		}
		set = &plane.Set{Frames: set.Frames, Zeros: set.Zeros, Planes: append(slices.Clip(set.Planes), plane.Plane{Name: plane.Sum0, Op: plane.Sum, Data: sum0})}
	}
	planes, err := status.PanelFromSet(set, rows, cols)
	if err != nil {
		return planes, err
	}
	if bits := p.Groups[p.Units[unit].Group].GainBits; bits != nil {
		planes.GainWanted = *bits
	}
	planes.Known = notInMode(set, 1)
	seq := p.Params.Sequence(p.Units[unit].Selected)
	planes.Frames = uint64(seq.N) - set.Zeros
	if seq.Zeros > 0 {
		// The planes stay as they are: they may be judged again.
		planes.Sum0, planes.NLo, planes.NHi = slices.Clone(planes.Sum0), slices.Clone(planes.NLo), slices.Clone(planes.NHi)
		planes.MinValue, planes.GainOdd = slices.Clone(planes.MinValue), slices.Clone(planes.GainOdd)
		g := p.Params.Gates(0)
		planes.AddZeros(seq.Zeros, g.Below(), g.Above())
	}
	return planes, nil
}

// notInMode returns NoData for pixels that are in the unit's gain mode in less than so many frames; nil where no
// gain map distinguishes pixels.
func notInMode(set *plane.Set, frames uint64) []uint64 {
	inMode, err := plane.Get[uint32](set, plane.InMode)
	if err != nil {
		return nil
	}
	known := make([]uint64, len(inMode))
	for i, n := range inMode {
		if uint64(n) < frames {
			known[i] = status.NoData
		}
	}
	return known
}

func judgeFeatures(p *plan.Plan, units []int, in []planes) (*judgement, error) {
	peds, err := loadPedestals(p)
	if err != nil {
		return nil, err
	}
	v := &judgement{}
	counts, rules := status.Counts{}, map[uint64]string{}
	for i, u := range units {
		fp, err := featurePanel(p, u, in[i], peds, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.UnitName(u), err)
		}
		res, err := feature.Evaluate(fp, p.Params.Feature())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.UnitName(u), err)
		}
		j := Judged{Frames: fp.Frames, GoodFrames: fp.GoodFrames, Bad: status.SparseOf(res.Status)}
		counts.Add(res.Counts)
		for _, s := range []struct {
			name      string
			search    *feature.Search
			values    []float64
			low, high uint64
		}{
			{"F2 mean", res.Mean2, res.Mean, status.MeanLow, status.MeanHigh}, {"F3 std", res.Std3, res.Std, status.StdLow, status.StdHigh},
			{"F6 residual", res.Resid6, res.Med6, status.ResidLow, status.ResidHigh},
			{"F6 spread", res.Spread6, res.Spr6, status.SpreadLow, status.SpreadHigh},
			{"F11 max - pedestal", res.Max11, res.MaxPeds, status.MaxLow, status.MaxHigh},
		} {
			if s.search == nil {
				continue
			}
			v.limits = append(v.limits, limitOf(s.name, i, *s.search))
			j.Quantities = append(j.Quantities, featureQuantity(s.name, s.values, *s.search, s.low, s.high))
			rules[s.low], rules[s.high] = s.name+" <= lo", s.name+" >= hi"
			if len(units) == 1 {
				rules[s.low] = fmt.Sprintf("%s <= %.6g", s.name, s.search.Lo)
				rules[s.high] = fmt.Sprintf("%s >= %.6g", s.name, s.search.Hi)
			}
		}
		v.panels = append(v.panels, judged{Judged: j})
	}
	v.lines = status.Lines(status.Features, counts, rules)
	return v, nil
}

func limitOf(name string, panel int, s feature.Search) Limit {
	return Limit{repo.Limit{Name: name, Lo: repo.Number(s.Lo), Hi: repo.Number(s.Hi), Centre: repo.Number(s.Med), Spread: repo.Number(s.Spr)}, []int{panel}, s.Selected}
}

// featurePanel returns what the features of a unit are evaluated from.
func featurePanel(p *plan.Plan, unit int, from planes, peds *pedestals, v *judgement) (*feature.Input, error) {
	panel := p.Panel(unit)
	in := &feature.Input{Rows: panel.Rows, Cols: panel.Cols}
	set := from.set
	if set == nil {
		return noFrames(in), nil
	}
	in.Frames, in.GoodFrames = set.Frames, set.Frames
	in.Known = notInMode(set, max(1, set.Frames)) // features take all words of a frame
	if p.Params.Has(1) {
		good, search := feature.GoodFrames(from.series, p.Params.Feature())
		in.GoodFrames = 0
		var zeros uint64 // frames of zeros, which were left out, are among the good ones where all medians are 0
		for k, g := range good {
			if g {
				in.GoodFrames++
			}
			if g && from.series[k] == 0 {
				zeros = set.Zeros
			}
		}
		in.GoodFrames -= zeros
		v.limits = append(v.limits, limitOf("F1 frame median", len(v.panels), search))
	}
	var err error
	get := func(name string, into func(string) error) {
		if err == nil {
			err = into(name)
		}
	}
	if p.Params.Has(2) || p.Params.Has(3) {
		in.Sum0 = make([]uint32, panel.Pixels())
		for i := range in.Sum0 {
			in.Sum0[i] = uint32(in.GoodFrames)
		}
		get(plane.Sum1, func(n string) (err error) { in.Sum1, err = plane.Get[uint64](set, n); return })
		get(plane.Sum2, func(n string) (err error) { in.Sum2, err = plane.Get[uint64](set, n); return })
	}
	if p.Params.Has(6) && err == nil {
		in.Resid, err = residuals(p, unit, set, in.GoodFrames)
	}
	if p.Params.Has(11) {
		get(plane.MaxValue, func(n string) (err error) { in.Max, err = plane.Get[uint16](set, n); return })
		if err == nil {
			in.Pedestals, in.Float32, err = peds.of(p, unit)
		}
	}
	return in, err
}

func residuals(p *plan.Plan, unit int, set *plane.Set, good uint64) (*feature.Resid, error) {
	flat, err := p.Params.Flatness(p.Panel(unit))
	if err != nil {
		return nil, err
	}
	r, err := flat.ResidFromSet(set)
	if err != nil {
		return nil, err
	}
	r.Frames = good
	return r, nil
}

// noFrames fills in empty planes: every pixel becomes NO_DATA.
func noFrames(in *feature.Input) *feature.Input {
	n := in.Rows * in.Cols
	in.Sum0, in.Sum1, in.Sum2 = make([]uint32, n), make([]uint64, n), make([]uint64, n)
	in.Resid = &feature.Resid{Den: 1, Med2: make([]int64, n), Mad4: make([]int64, n)}
	in.Max, in.Pedestals = make([]uint16, n), make([]float64, n)
	return in
}
