package status

import (
	"slices"

	"rawstatus/internal/stats/quantile"
)

// Sharper compares limits in force with robust ones per ASIC (Method Robust, Scope PerASIC), which bad
// pixels do not widen.
type Sharper struct {
	Now  int `json:"found_now"`   // pixels that limits of rms and average flag
	More int `json:"robust_more"` // further pixels, good now, that robust limits per ASIC would flag
}

// Chip has what pedestals and noise of a readout chip are in a dark run, in ADU: medians over its judged pixels, of the
// numbers as they are deployed, in thousandths.
type Chip struct {
	Row    int     `json:"row"` // first pixel of the chip
	Col    int     `json:"col"`
	Pixels int     `json:"pixels"` // that are judged
	Median float64 `json:"median"`
	Spread float64 `json:"spread"` // 1.4826 times the median absolute deviation: the standard deviation of normal values
	RMS    float64 `json:"rms"`    // median noise of a pixel
}

// Chips returns the chips of each panel that have judged pixels, and how many pixels robust limits per ASIC would find
// beyond those that r has found. They are the pixels that EvalDark with Scope PerASIC and Method Robust would call bad and r
// calls good.
func (r *DarkResult) Chips() ([][]Chip, Sharper) {
	var s Sharper
	for i := range r.Panels {
		for _, w := range r.Panels[i].Bad.Words {
			if w&NotJudged == 0 && w&(RmsHigh|RmsLow|AveHigh|AveLow) != 0 {
				s.Now++
			}
		}
	}
	p := r.Params
	p.Scope, p.Method = PerASIC, Robust
	tiles := p.groups(r.Panels)
	found := make([]Chip, len(tiles))
	more := make([]int, len(tiles))
	atOnce(len(tiles), func(i int) { found[i], more[i] = r.chip(p, tiles[i][0]) })
	chips := make([][]Chip, len(r.Panels))
	for i, t := range tiles {
		if panel := t[0].panel; found[i].Pixels > 0 && r.Panels[panel].Frames > 0 {
			chips[panel] = append(chips[panel], found[i])
		}
		if r.Params.Scope != PerASIC || r.Params.Method != Robust {
			s.More += more[i]
		}
	}
	return chips, s
}

// chip returns what a chip is, and counts its pixels that r calls good and p's limits do not.
func (r *DarkResult) chip(p DarkParams, t tile) (c Chip, more int) {
	o := &r.Panels[t.panel]
	of := part{tile: t, cols: o.Cols, of: o}
	of.count()
	aves, rmss := of.pieces(o.Ave), of.pieces(o.Rms)
	c = Chip{Row: t.r0, Col: t.c0, Pixels: of.judged}
	if p.Compat != Sane {
		aves, rmss, c.Pixels = bothFinite(aves, rmss)
	}
	ave := quantityOf(aves, bounds{p.IntNLo, p.IntNHi, p.IntLo, p.IntHi})
	rms := quantityOf(rmss, bounds{p.RmsNLo, p.RmsNHi, p.RmsLo, p.RmsHi})
	c.Median, c.Spread, c.RMS = float64(ave.median)/1000, float64(madToSigma*float64(ave.spread))/1000, float64(rms.median)/1000
	if ave.outside+rms.outside == 0 {
		return c, 0
	}
	a, s := ave.limits, rms.limits
	of.spans(func(lo, hi int) {
		rms := o.Rms[lo:hi]
		for i, x := range o.Ave[lo:hi] {
			if y := rms[i]; (x < a.Lo || x > a.Hi || y < s.Lo || y > s.Hi) && o.Bad.Word(lo+i) == 0 {
				more++
			}
		}
	})
	return c, more
}

// bothFinite returns the values of pixels whose average and rms are finite, and their number.
func bothFinite(aves, rmss [][]float64) (a, r [][]float64, n int) {
	ave, rms := slices.Concat(aves...), slices.Concat(rmss...)
	for i, x := range ave {
		if finite(x) && finite(rms[i]) {
			ave[n], rms[n] = x, rms[i]
			n++
		}
	}
	return [][]float64{ave[:n]}, [][]float64{rms[:n]}, n
}

// quantity has the order statistics of a quantity of the judged pixels of a chip.
type quantity struct {
	limits         Limits // robust ones
	outside        int    // values beyond them
	median, spread int32  // as thousandths returns them
}

// quantityOf finds the order statistics of values, which stay as they are.
func quantityOf(pieces [][]float64, w bounds) (q quantity) {
	b := binneds.Get().(*binned)
	defer b.put()
	filled, known := b.fill(pieces, w), false
	if filled {
		if q.limits, known = b.limits(w); known {
			q.outside = b.outside(q.limits)
		}
		q.median, q.spread = b.thousandths()
	}
	if known {
		return q
	}
	v := slices.Concat(pieces...)
	if !filled {
		q.median, q.spread = thousandths(v)
	}
	q.limits = roundLimits(v, w)
	q.outside = len(v) // the caller looks at all of them
	return q
}

// thousandths is [binned.thousandths] of a list of values, whatever they are.
func thousandths(v []float64) (median, spread int32) {
	if len(v) == 0 {
		return 0, 0
	}
	list := make([]int32, len(v))
	for i, x := range v {
		list[i] = thousandth(x)
	}
	rank := (len(list) - 1) / 2
	median = quantile.Select(list, rank)
	for i, x := range list {
		list[i] = max(x-median, median-x)
	}
	return median, quantile.Select(list, rank)
}
