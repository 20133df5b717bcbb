package reduce

import (
	"context"
	"fmt"
	"math"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/plane"
	"rawstatus/internal/stats/status"
)

// mergeCharge puts the steps of a panel together. nil: it has no frame.
func mergeCharge(work string, p *plan.Plan, unit int) (*plane.Set, error) {
	panel := p.Panel(unit)
	whole := charge.NewPanel(panel.Rows, panel.Cols)
	var facts []charge.StepFacts
	for t := range p.Tasks {
		parts, err := unitOfTask(work, p, t, unit)
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			f, err := charge.FactsOf(part.set)
			if err != nil || len(f) != 1 {
				return nil, fmt.Errorf("step of %s: %d facts (%w)", p.UnitName(unit), len(f), err)
			}
			sums, err := charge.SumsFromSet(part.set)
			if err == nil {
				err = whole.AddStep(f[0].Mode, sums)
			}
			if err != nil {
				return nil, fault.New(fault.Input, "%s: could not place step %d: %w", p.UnitName(unit), f[0].Step, err).
					WithHint("do two steps pulse the same pixels? --step picks steps, --space is the distance of pulsed rows and columns")
			}
			facts = append(facts, f[0])
		}
	}
	if facts == nil {
		return nil, nil
	}
	slices.SortFunc(facts, func(a, b charge.StepFacts) int { return a.Step - b.Step })
	return whole.Set(facts), nil
}

// A map of pulsed pixels is wrong where fewer than half of its pixels answer, but so many of the others do, in
// thousandths of all.
const wrongMap = 5

// judgeCharge judges panels by their answer to injected charge, each for itself.
func judgeCharge(p *plan.Plan, units []int, in []planes) (*judgement, error) {
	v := &judgement{}
	rules := p.Params.ChargeJudging()
	ramps := 0
	for i, u := range units {
		panel, frames, ramp := p.Panel(u), uint64(0), 0
		at := charge.NewPanel(panel.Rows, panel.Cols)
		if in[i].set != nil {
			var facts []charge.StepFacts
			var err error
			if at, facts, err = charge.PanelFromSet(in[i].set, panel.Rows, panel.Cols); err != nil {
				return nil, fmt.Errorf("%s: %w", p.UnitName(u), err)
			}
			notes, err := stepNotes(p, u, facts)
			if err != nil {
				return nil, err
			}
			v.notes = append(v.notes, notes...)
			for _, f := range facts {
				ramps, ramp = ramps+f.Ramps, max(ramp, f.Length)
			}
			frames = in[i].set.Frames
		}
		res := at.Judge(rules)
		v.notes = append(v.notes, panelNotes(p, u, at, res)...)
		traces := func(pixel int) []charge.Trace { return at.Traces(res, pixel) }
		for m, limit := range res.Response {
			if limit == limit && !rules.Compat {
				v.limits = append(v.limits, Limit{Limit: repo.Limit{Name: silentName(m), Lo: repo.Number(limit), Hi: repo.Number(limit), Centre: repo.Number(limit)}, Panels: []int{i}})
			}
		}
		for _, c := range res.Cuts {
			v.limits = append(v.limits, Limit{repo.Limit{Name: c.Name, Lo: repo.Number(c.Lo), Hi: repo.Number(c.Hi), Centre: repo.Number(c.Med), Spread: repo.Number(c.Spr)}, []int{i}, c.Used})
		}
		one := judged{Judged: Judged{Frames: frames, GoodFrames: frames, Bad: status.SparseOf(res.Status), Quantities: chargeQuantities(at, res, rules), Traces: traces, Ramp: ramp}}
		if p.Params.CIConstants != "" && in[i].set != nil {
			one.extra = chargeConstants(p.Params.CIConstants, res)
		}
		v.panels = append(v.panels, one)
	}
	if ramps == 0 && !rules.Compat {
		return nil, fault.New(fault.Input, "no step has a complete ramp of the pulser: the gain bits of its pixels do not come, go and come again as they should").
			WithHint("was the pulser on, and are there enough events in a step? Two ramps and a few events are always enough")
	}
	for i := range v.panels {
		v.counts.Add(v.panels[i].Bad.Count())
	}
	v.lines = status.Lines(status.Charge, v.counts, chargeRules(rules))
	v.counts = status.Counts{} // judge counts again, with hints
	return v, nil
}

// chargeRules returns the rules with numbers, as far as they do not differ between panels.
func chargeRules(r charge.Rules) map[uint64]string {
	rules := map[uint64]string{}
	for m, mode := range charge.ModeNames {
		if r.MaxPeriods > 0 {
			rules[status.ManyPeriods<<m] = fmt.Sprintf("periods > %d", r.MaxPeriods)
		}
		if r.Compat {
			continue
		}
		rules[status.SwitchOff<<m] = fmt.Sprintf("|switching point - median| > max(%g MAD, %g)", r.NSigma, r.SwitchMin)
		rules[status.NoResponse<<m] = fmt.Sprintf("no gain bit in any ramp, |slope| < %g of the median in %s", r.Response, mode)
		rules[status.GainFlips<<m] = fmt.Sprintf("gain bit in all frames, or more than one rise in more than %g of the ramps", r.Flips)
	}
	if !r.Compat {
		rules[status.CrossTalk] = fmt.Sprintf("|slope beside pulsed pixels - median| > max(%g MAD, %g of the AHL-H slope)", r.NSigma, r.CrossTalk)
	}
	return rules
}

// stepNotes says what is worth knowing of the steps of a panel, and refuses a scan that pulses other pixels than
// its maps say.
func stepNotes(p *plan.Plan, unit int, facts []charge.StepFacts) (notes []string, err error) {
	add := func(format string, args ...any) {
		notes = append(notes, p.UnitName(unit)+": "+fmt.Sprintf(format, args...))
	}
	var silent, bare, dropped []int
	sources := map[int]int{}
	lengths := map[int]int{}
	others := 0
	for _, f := range facts {
		sources[f.Source]++
		if f.Dropped > 0 {
			dropped = append(dropped, f.Step)
		}
		if f.Ramps > 0 {
			lengths[f.Length]++
		} else {
			bare = append(bare, f.Step)
		}
		switch {
		case f.Answering < 0 || f.Ramps > 0 && f.Answering >= 500:
		case f.Answering < 500 && f.Others > wrongMap:
			return nil, fault.New(fault.Input, "%s step %d: of the pixels that should be pulsed (by the %s) %.1f %% answer, of the others %.1f %%", p.UnitName(unit), f.Step,
				charge.Sources[f.Source], float64(f.Answering)/10, float64(f.Others)/10).
				WithHint("the run pulses other pixels than its steps say: check --space and the order of the steps; --compat lcls2 takes them as they are said")
		case f.Answering < 500:
			silent = append(silent, f.Step)
		}
		if f.Others > 100 {
			others++
		}
	}
	for source, n := range sources {
		if p.Params.Compat == "" && n > 0 {
			add("pulsed pixels by the %s in %s", charge.Sources[source], fault.Count(n, "step"))
		}
	}
	slices.Sort(notes)
	if len(silent) > 0 {
		add("fewer than half of the pulsed pixels answer in steps %s", ranges.Of(silent))
	}
	if len(bare) > 0 && p.Params.Compat == "" {
		add("no complete ramp in steps %s: their pixels are not judged", ranges.Of(bare))
	}
	if others > 0 {
		add("in %s more than a tenth of the pixels answer that are not pulsed", fault.Count(others, "step"))
	}
	if len(dropped) > 0 {
		add("frames of steps %s were left out: beyond --events, without any value, or as the original does after lost events", ranges.Of(dropped))
	}
	if len(lengths) > 0 && p.Params.Compat == "" {
		lo, hi := math.MaxInt, 0
		for n := range lengths {
			lo, hi = min(lo, n), max(hi, n)
		}
		add("a ramp has %s events", span(lo, hi))
	}
	return notes, nil
}

func span(lo, hi int) string {
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

// panelNotes says how many pixels were not tested, and what the own measure has found.
func panelNotes(p *plan.Plan, unit int, at *charge.Counts, res *charge.Verdict) (notes []string) {
	if p.Params.Compat != "" {
		return nil
	}
	for m, n := range res.Untested {
		switch {
		case at.Mode[m].Steps == 0:
			notes = append(notes, fmt.Sprintf("%s: no step of mode %s, which is not judged", p.UnitName(unit), charge.ModeNames[m]))
		case n > 0:
			notes = append(notes, fmt.Sprintf("%s: %s were not tested in mode %s: never pulsed, or not for a whole ramp", p.UnitName(unit), fault.Count(n, "pixel"), charge.ModeNames[m]))
		}
	}
	return append(notes, fmt.Sprintf("%s: the original's rules find %s, those on the clock of the ramp %d, of which the original's miss %d", p.UnitName(unit), fault.Count(res.ByA, "bad pixel"), res.ByB, res.OnlyB))
}

// chargeConstants returns the writer of the gains and offsets of the lines of a panel.
func chargeConstants(style string, res *charge.Verdict) func(context.Context, *repo.Repo, repo.StatusFile) ([]string, error) {
	names := []struct {
		style  string
		psana2 bool
		gain   repo.Constant
		offset repo.Constant
	}{
		{"own", false, repo.Constant{Dir: "gain", CType: "gainci"}, repo.Constant{Dir: "offset", CType: "offset"}},
		{"lcls2", true, repo.Constant{Dir: "pixel_gain", CType: "pixel_gainci"}, repo.Constant{Dir: "pixel_offset", CType: "pixel_offset"}},
	}
	return func(ctx context.Context, r *repo.Repo, sf repo.StatusFile) (paths []string, err error) {
		for k, label := range status.ChargeLines {
			lines := res.Line[k/2][k%2]
			gains, offsets := make([]float64, len(lines)), make([]float64, len(lines))
			for i, l := range lines {
				gains[i], offsets[i] = l.Gain, l.Offset
			}
			for _, n := range names {
				if style != n.style && style != "both" {
					continue
				}
				n.gain.GainMode, n.gain.Values, n.offset.GainMode, n.offset.Values = label, gains, label, offsets
				for _, c := range []repo.Constant{n.gain, n.offset} {
					path, err := r.WriteConstant(ctx, sf, c, n.psana2)
					if err != nil {
						return nil, err
					}
					paths = append(paths, path)
				}
			}
		}
		return paths, nil
	}
}

// silentName returns the quantity that separates pixels without an answer from those that only never switch.
func silentName(mode int) string { return "slope without gain bit " + charge.ModeNames[mode] }

// chargeQuantities returns the numbers that the rules compare, for explanations.
func chargeQuantities(at *charge.Counts, res *charge.Verdict, rules charge.Rules) (out []Quantity) {
	for _, c := range res.Cuts {
		q := Quantity{Name: c.Name, Unit: c.Unit, Value: c.Value}
		for _, high := range []bool{false, true} {
			t := status.Criterion{Bit: c.BitLow, High: high, Inclusive: c.Inclusive, Limit: c.Lo, Spread: c.Spr}
			if high {
				t.Bit, t.Limit = c.BitHigh, c.Hi
			}
			q.Tested = append(q.Tested, Tested{Criterion: t})
		}
		out = append(out, q)
	}
	for m, mode := range charge.ModeNames {
		d := &at.Mode[m]
		if d.Steps == 0 {
			continue
		}
		periods := Quantity{Name: "periods " + mode, Unit: "periods", Value: values(d.Periods), Tested: []Tested{{Criterion: status.Criterion{Bit: status.FewPeriods << m, Limit: 1}}}}
		if rules.MaxPeriods > 0 {
			periods.Tested = append(periods.Tested, Tested{Criterion: status.Criterion{Bit: status.ManyPeriods << m, High: true, Limit: float64(rules.MaxPeriods)}})
		}
		out = append(out, periods)
		if rules.Compat {
			continue
		}
		out = append(out, Quantity{Name: "ramps with wrong gain bit " + mode, Unit: "of all", Value: func(i int) float64 { return d.Ramp[i].Wrong() },
			Tested: []Tested{{Criterion: status.Criterion{Bit: status.GainFlips << m, High: true, Limit: rules.Flips}}}})
		out = append(out, Quantity{Name: silentName(m), Unit: "ADU per ramp unit", Value: d.Silent, Tested: []Tested{
			{Criterion: status.Criterion{Bit: status.NoResponse << m, Limit: res.Response[m]}},
			{Criterion: status.Criterion{Bit: status.NeverSwitch << m, High: true, Inclusive: true, Limit: res.Response[m]}}}})
	}
	return out
}
