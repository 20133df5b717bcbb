package status

// Sharper compares limits in force with robust ones per ASIC (Method Robust, Scope PerASIC), which bad
// pixels do not widen.
type Sharper struct {
	Now  int `json:"found_now"`   // pixels that limits of rms and average flag
	More int `json:"robust_more"` // further pixels, good now, that robust limits per ASIC would flag
}

// Sharper returns how many pixels robust limits per ASIC would find beyond those that r has found. They are
// the pixels that EvalDark with Scope PerASIC and Method Robust would call bad and r calls good. panels are
// those that r was evaluated from.
func (r *DarkResult) Sharper(panels []PanelPlanes) Sharper {
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
	groups := p.groups(panels)
	more := make([]int, len(groups))
	atOnce(len(groups), func(i int) { more[i] = r.more(p, groups[i][0], panels[groups[i][0].panel].Cols) })
	for _, n := range more {
		out.More += n
	}
	return out
}

// more counts the pixels of a chip that r calls good and p's limits do not.
func (r *DarkResult) more(p DarkParams, t tile, cols int) (n int) {
	o := &r.Panels[t.panel]
	size := (t.r1 - t.r0) * (t.c1 - t.c0)
	ave, rms := make([]float64, 0, size), make([]float64, 0, size)
	for row := t.r0; row < t.r1; row++ {
		for i := row*cols + t.c0; i < row*cols+t.c1; i++ {
			if o.Status[i]&NotJudged == 0 {
				ave, rms = append(ave, o.Ave[i]), append(rms, o.Rms[i])
			}
		}
	}
	a := limits(ave, window{p.IntNLo, p.IntNHi, p.IntLo, p.IntHi}, p.Method)
	s := limits(rms, window{p.RmsNLo, p.RmsNHi, p.RmsLo, p.RmsHi}, p.Method)
	for row := t.r0; row < t.r1; row++ {
		for i := row*cols + t.c0; i < row*cols+t.c1; i++ {
			if o.Status[i] == 0 && (o.Ave[i] < a.Lo || o.Ave[i] > a.Hi || o.Rms[i] < s.Lo || o.Rms[i] > s.Hi) {
				n++
			}
		}
	}
	return n
}
