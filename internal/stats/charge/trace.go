package charge

import "rawstatus/internal/stats/status"

// Trace is how a pixel answers the pulser in one mode: two straight lines on the scale of the ramp, of which the
// second one begins where the pixel switches to low gain.
type Trace struct {
	Mode    string       `json:"mode"`
	Ramps   int          `json:"complete_ramps"`
	NoRise  int          `json:"ramps_without_gain_bit"`
	Multi   int          `json:"ramps_with_several_rises"`
	Always  int          `json:"ramps_always_with_gain_bit"`
	Periods int          `json:"periods"`
	Switch  *float64     `json:"switch,omitempty"` // ramp units; nil: it does not
	Lines   [2]TraceLine `json:"lines"`
}

// TraceLine is one of the lines, and the sums that it follows from.
type TraceLine struct {
	Name   string  `json:"name"` // e.g. "AHL-H"
	Points int64   `json:"points"`
	Fitted bool    `json:"fitted"`
	Offset float64 `json:"offset"`
	Gain   float64 `json:"gain"`
	Chi2   float64 `json:"chi2"`
	Sums   Acc     `json:"sums"` // n, x, y, xx, xy, yy
}

// Traces returns how a pixel answered in the modes in which it was pulsed.
func (p *Counts) Traces(v *Verdict, i int) (out []Trace) {
	for m := range p.Mode {
		d := &p.Mode[m]
		if !d.Pulsed[i] {
			continue
		}
		r := &d.Ramp[i]
		t := Trace{Mode: ModeNames[m], Ramps: int(r.Ramps), NoRise: int(r.NoRise), Multi: int(r.Multi), Always: int(r.Always), Periods: int(d.Periods[i])}
		if at := r.Switch(); at == at {
			t.Switch = &at
		}
		for k := range t.Lines {
			l := v.Line[m][k][i]
			t.Lines[k] = TraceLine{Name: status.ChargeLines[2*m+k], Points: d.Line[k][i][0], Fitted: l != Line{}, Offset: l.Offset, Gain: l.Gain, Chi2: l.Chi2, Sums: d.Line[k][i]}
		}
		out = append(out, t)
	}
	return out
}
