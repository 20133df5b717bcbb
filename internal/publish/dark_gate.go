package publish

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/quantile"
	"rawstatus/internal/stats/status"
)

// Shift is how far the pedestals of a chip moved against those in force: the median over its good pixels.
type Shift struct {
	Slot     int     `json:"segment"`
	GainMode string  `json:"gain_mode,omitempty"`
	Row      int     `json:"row"` // first pixel of the chip
	Col      int     `json:"col"`
	ADU      float64 `json:"adu"`
	Sigma    float64 `json:"sigma"` // median rms of the pixels
	Like     string  `json:"like,omitempty"`
}

// Sigmas returns the shift in units of the noise.
func (s Shift) Sigmas() float64 { return math.Abs(s.ADU) / max(s.Sigma, leastSigma) }

// leastSigma is the noise in ADU below which pedestals are not compared: quieter pixels are not read out.
const leastSigma = 0.5

// String returns the shift in words.
func (s Shift) String() string {
	text := fmt.Sprintf("segment %d%s chip at row %d column %d by %+.1f ADU, %.1f sigma", s.Slot, gainText(s.GainMode), s.Row, s.Col, s.ADU, s.Sigmas())
	if s.Like != "" {
		text += ": they look like " + s.Like
	}
	return text
}

const (
	shownShifts = 5
	mostSampled = 1 << 14 // pixels of a chip that its median is taken of
	zeroShare   = 0.5     // of a panel, whose pedestals are 0
	quietShare  = 0.1     // of a panel, whose rms is 0
)

// compareShifts compares the pedestals with those that the runs of the plan use now.
func (p *DarkPlan) compareShifts(ctx context.Context, opt DarkOptions) error {
	if p.Unseen {
		return nil
	}
	dest, err := opt.Destination(string(repo.Pedestals))
	if err != nil {
		return err
	}
	old, from, err := inForceFor(ctx, dest, opt.Range.Begin)
	switch {
	case err != nil:
		p.Notes = append(p.Notes, fmt.Sprintf("the pedestals in force cannot be read, so nothing is compared with them: %v", err))
		return nil
	case old == nil:
		p.Notes = append(p.Notes, "no pedestals are in force: there is nothing to compare with")
		return nil
	case !slices.Equal(long(old.Shape), long(p.Shape)):
		p.Notes = append(p.Notes, fmt.Sprintf("the pedestals in force (%s) have another shape, so nothing is compared with them", from))
		return nil
	}
	l := p.merged.layout()
	cols := p.dark.Panels[0].Cols
	family := p.merged.family
	for slot, units := range p.bySlot {
		for gain, mode := range p.merged.gains() {
			u := units[mode]
			if u == nil {
				continue
			}
			for _, tile := range chips(p.dark.Panels[0].Rows, cols, family.ASICRows, family.ASICCols) {
				now := func(gain int) (diff, noise float64, n int) { return u.against(old, l, gain, slot, cols, tile) }
				adu, sigma, n := now(gain)
				if n == 0 {
					continue
				}
				s := Shift{Slot: slot, GainMode: mode, Row: tile[0], Col: tile[2], ADU: adu, Sigma: sigma}
				if s.Sigmas() > opt.Gate.maxShift() {
					for other, name := range p.merged.gains() {
						if d, _, n := now(other); other != gain && n > 0 && math.Abs(d)/max(sigma, leastSigma) < opt.Gate.maxShift() {
							s.Like = "those of " + name + " in force"
						}
					}
				}
				p.Shifts = append(p.Shifts, s)
			}
		}
	}
	slices.SortFunc(p.Shifts, func(a, b Shift) int {
		return cmp.Or(-cmp.Compare(a.Sigmas(), b.Sigmas()), cmp.Compare(a.Slot, b.Slot), strings.Compare(a.GainMode, b.GainMode), a.Row-b.Row, a.Col-b.Col)
	})
	return nil
}

// inForceFor reads what a run uses; nil for nothing.
func inForceFor(ctx context.Context, dest calib.Destination, run int) (*calib.Array, string, error) {
	item, _, err := dest.Find(ctx, run)
	if err != nil || item == nil {
		return nil, "", err
	}
	a, _, err := dest.Read(ctx, *item)
	return a, item.Name, err
}

// chips returns the first and last rows and columns of the readout chips of a panel.
func chips(rows, cols, asicRows, asicCols int) (tiles [][4]int) {
	if asicRows <= 0 || asicCols <= 0 {
		asicRows, asicCols = rows, cols
	}
	for r := 0; r < rows; r += asicRows {
		for c := 0; c < cols; c += asicCols {
			tiles = append(tiles, [4]int{r, min(r+asicRows, rows), c, min(c+asicCols, cols)})
		}
	}
	return tiles
}

// against returns the median difference of a chip's pedestals to those of a gain mode in force, and its median noise,
// over pixels that were judged and have a pedestal there.
func (u *DarkUnit) against(old *calib.Array, l layout, gain, slot, cols int, tile [4]int) (diff, noise float64, n int) {
	base, step := l.at(gain, slot)
	stride := max(1, (tile[1]-tile[0])*(tile[3]-tile[2])/mostSampled)
	var diffs, rms []float64
	for k, r := 0, tile[0]; r < tile[1]; r++ {
		for c := tile[2]; c < tile[3]; c++ {
			if k++; k%stride != 0 {
				continue
			}
			i := r*cols + c
			was := old.Number(base + i*step)
			if uint64(u.Status[i])&status.NotJudged != 0 || was == 0 || was-was != 0 || u.Ave[i] == 0 {
				continue
			}
			diffs, rms = append(diffs, float64(u.Ave[i])-was), append(rms, float64(u.Rms[i]))
		}
	}
	if len(diffs) == 0 {
		return 0, 0, 0
	}
	return quantile.Median(diffs), quantile.Median(rms), len(diffs)
}

// DarkRules are the rules of the gate for constants of dark runs that status alone does not have.
var DarkRules = []Rule{
	{Name: "zero-pedestals", Refuses: true, What: "most pedestals of a panel are 0"},
	{Name: "zero-rms", Refuses: true, What: "many pixels of a panel have an rms of 0, or one that is not finite"},
	{Name: "moved", Refuses: true, What: "pedestals of a panel or chip moved too far"},
}

// find adds a finding of a rule.
func (p *DarkPlan) find(g Gate, name string, refuses bool, text string) {
	if text == "" {
		return
	}
	r := Rule{Name: name, Refuses: refuses}
	f := Finding{Rule: name, Refuses: refuses, Text: text, Over: r.override()}
	f.Forced = refuses && r.Forcible() && slices.Contains(g.Force, name)
	p.Findings = append(p.Findings, f)
}

// judge asks every rule.
func (p *DarkPlan) judge(g Gate) {
	p.Findings = []Finding{}
	if len(p.missing) > 0 {
		f := Finding{Rule: missing, Refuses: true, Text: few(p.missing), Over: "--missing-panel=bad, --missing-gain=[<mode>=]bad"}
		p.Findings = append(p.Findings, f)
	}
	p.find(g, "shape", true, p.merged.Misfit)
	var zero, quiet, unjudged, bad []string
	for _, x := range p.merged.Panels {
		for _, mode := range p.merged.gains() {
			u := p.bySlot[x.Slot][mode]
			if u == nil {
				continue
			}
			n := float64(len(u.Ave))
			c := u.tally()
			name := fmt.Sprintf("segment %d%s", x.Slot, gainText(mode))
			add := func(list *[]string, is bool, format string, args ...any) {
				if is {
					*list = append(*list, name+": "+fmt.Sprintf(format, args...))
				}
			}
			add(&zero, float64(c.zero) > zeroShare*n, "%d of %d pedestals", c.zero, len(u.Ave))
			add(&quiet, c.wild > 0 || float64(c.quiet) > quietShare*n && c.zero < len(u.Ave), "%d of %d are 0, %d not finite", c.quiet, len(u.Ave), c.wild)
			add(&unjudged, float64(c.unjudged) > g.MaxUnseen*n, "%d of %d have no or too few frames", c.unjudged, len(u.Ave))
			add(&bad, float64(c.bad) > g.MaxBad*n, "%d of %d bad", c.bad, len(u.Ave))
		}
	}
	p.find(g, "zero-pedestals", true, few(zero))
	p.find(g, "zero-rms", true, few(quiet))
	p.find(g, "unjudged", true, few(unjudged))
	p.find(g, "most-bad", true, few(bad))
	moved := slices.DeleteFunc(slices.Clone(p.Shifts), func(s Shift) bool { return s.Sigmas() <= g.maxShift() })
	var where []string
	for _, s := range moved {
		where = append(where, s.String())
	}
	p.find(g, "moved", true, few(where))
	for _, part := range p.Parts {
		if len(part.Effect.Used) == 0 && !p.Unseen {
			p.find(g, "no-effect", true, fmt.Sprintf("every run of %s uses a narrower or later %s", p.Range, part.CType))
			break
		}
	}
	if len(p.Parts) > 0 {
		p.find(g, "experiment", true, otherExperiment(g, &Plan{Destination: p.Parts[0].Destination, merged: p.merged}))
	}
	p.find(g, "incomplete", g.Automatic, few(p.dark.Incomplete))
}

// tally counts pixels that rules look at.
type tally struct{ zero, quiet, wild, unjudged, bad int }

func (u *DarkUnit) tally() (c tally) {
	for i, a := range u.Ave {
		if a == 0 {
			c.zero++
		}
		switch r := u.Rms[i]; {
		case r-r != 0 || a-a != 0:
			c.wild++
		case r == 0:
			c.quiet++
		}
		if uint64(u.Status[i])&status.NotJudged != 0 {
			c.unjudged++
		}
		if u.Status[i] != 0 {
			c.bad++
		}
	}
	return c
}

// maxShift returns the number of sigmas by which pedestals of a chip may move.
func (g Gate) maxShift() float64 {
	if g.MaxShift == 0 {
		return DefaultGate.MaxShift
	}
	return g.MaxShift
}
