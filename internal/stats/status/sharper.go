package status

import "sync"

// Sharper compares limits in force with robust ones per ASIC (Method Robust, Scope PerASIC), which bad
// pixels do not widen.
type Sharper struct {
	Now  int `json:"found_now"`   // pixels that limits of rms and average flag
	More int `json:"robust_more"` // further pixels, good now, that robust limits per ASIC would flag
}

// Sharper returns how many pixels robust limits per ASIC would find beyond those that r has found. They are
// the pixels that EvalDark with Scope PerASIC and Method Robust would call bad and r calls good.
func (r *DarkResult) Sharper() Sharper {
	var out Sharper
	for i := range r.Panels {
		for _, s := range r.Panels[i].Status {
			if s&NotJudged == 0 && s&(RmsHigh|RmsLow|AveHigh|AveLow) != 0 {
				out.Now++
			}
		}
	}
	p := r.Params
	if p.Scope == PerASIC && p.Method == Robust {
		return out
	}
	p.Scope, p.Method = PerASIC, Robust
	groups := p.groups(r.Panels)
	more := make([]int, len(groups))
	atOnce(len(groups), func(i int) { more[i] = r.more(p, groups[i][0], r.Panels[groups[i][0].panel].Cols) })
	for _, n := range more {
		out.More += n
	}
	return out
}

// more counts the pixels of a chip that r calls good and p's limits do not.
func (r *DarkResult) more(p DarkParams, t tile, cols int) (n int) {
	o := &r.Panels[t.panel]
	g := gathers.Get().(*gathered)
	defer gathers.Put(g)
	ave, rms := g.tile(o, t, cols)
	a := limits(ave, bounds{p.IntNLo, p.IntNHi, p.IntLo, p.IntHi}, p.Method)
	s := limits(rms, bounds{p.RmsNLo, p.RmsNHi, p.RmsLo, p.RmsHi}, p.Method)
	for row := t.r0; row < t.r1; row++ {
		lo, hi := row*cols+t.c0, row*cols+t.c1
		ave, rms := o.Ave[lo:hi], o.Rms[lo:hi]
		for i, word := range o.Status[lo:hi] {
			x, y := ave[i], rms[i]
			if word == 0 && (x < a.Lo || x > a.Hi || y < s.Lo || y > s.Hi) {
				n++
			}
		}
	}
	return n
}

// gathered are the values of the judged pixels of a tile.
type gathered struct{ ave, rms []float64 }

var gathers = sync.Pool{New: func() any { return new(gathered) }}

// tile gathers averages and rms of the judged pixels of a tile, row by row; valid until the next call.
func (g *gathered) tile(o *PanelResult, t tile, cols int) (ave, rms []float64) {
	g.ave, g.rms = g.ave[:0], g.rms[:0]
	for row := t.r0; row < t.r1; row++ {
		lo, hi := row*cols+t.c0, row*cols+t.c1
		if allJudged(o.Status[lo:hi]) {
			g.ave, g.rms = append(g.ave, o.Ave[lo:hi]...), append(g.rms, o.Rms[lo:hi]...)
			continue
		}
		for i := lo; i < hi; i++ {
			if o.Status[i]&NotJudged == 0 {
				g.ave, g.rms = append(g.ave, o.Ave[i]), append(g.rms, o.Rms[i])
			}
		}
	}
	return g.ave, g.rms
}

// allJudged reports whether no word says that its pixel is not judged.
func allJudged(words []uint64) bool {
	any := uint64(0)
	for _, w := range words {
		any |= w
	}
	return any&NotJudged == 0
}
