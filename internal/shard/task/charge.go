package task

import (
	"fmt"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/charge"
	"rawstatus/internal/stats/plane"
)

// injection is one step of a panel in a charge-injection scan.
type injection struct {
	facts  charge.StepFacts
	lane   sweep.Lane
	events []int32 // numbers of the lane's frames
	step   *charge.Step
}

// charge counts some steps in one sweep. A step is one stream of whole frames: its frames share the clock of the
// ramp.
func (w *worker) charge(shards []int) ([]*plane.Set, error) {
	steps := make([]*injection, len(shards))
	var sw sweep.Sweep
	for i, s := range shards {
		var err error
		if steps[i], err = w.injection(s); err != nil {
			return nil, w.named(s, fmt.Errorf("step %d: %w", w.plan.Scan.Steps[w.plan.Shards[s].ScanStep].Step, err))
		}
		sw.Lanes = append(sw.Lanes, steps[i].lane)
	}
	err := w.sweep(sw, func(b sweep.Batch) error {
		steps[b.Lane].step.Add(b.Frames)
		w.progress(b.Frames)
		return nil
	})
	if err != nil {
		return nil, err
	}
	sets := make([]*plane.Set, len(shards))
	for i, s := range shards {
		sums, err := steps[i].step.Sums(charge.LeastPoints)
		if err != nil {
			return nil, w.named(s, err)
		}
		f := steps[i].facts
		f.Frames, f.Dropped = f.Frames-sums.Zeros, f.Dropped+sums.Zeros
		f.Pulsed, f.Ramps, f.Length = len(sums.Pulsed), int(sums.Ramps), int(sums.Length)
		sets[i] = sums.Set(f)
		sets[i].Frames = uint64(w.plan.Shards[s].Hi - w.plan.Shards[s].Lo)
	}
	return sets, nil
}

// injection prepares the counting of a shard.
func (w *worker) injection(shard int) (*injection, error) {
	sh, par := w.plan.Shards[shard], w.plan.Params
	scan := w.plan.Scan.Steps[sh.ScanStep]
	panel := w.plan.Panel(sh.Unit)
	all, err := w.index.Frames(sh.Unit)
	if err != nil {
		return nil, err
	}
	ts, at, err := w.index.Times(sh.Unit, scan.Step)
	if err != nil {
		return nil, err
	}
	extents := all[sh.Lo:sh.Hi]
	if len(at) != len(extents) {
		return nil, fmt.Errorf("the index has %s, the plan %d", fault.Count(len(at), "frame"), len(extents))
	}
	times := make([]int64, len(ts))
	for i, t := range ts {
		times[i] = w.plan.Nanoseconds(t)
	}
	numbers := charge.Numbers(times)
	j := &injection{facts: charge.StepFacts{Step: scan.Step, Mode: scan.Mode, Position: scan.Position, Answering: -1, Others: -1}}
	lo, hi := 0, min(len(at), par.Events)
	if par.Compat != "" {
		ids := make([]int64, len(at))
		for i, k := range at {
			ids[i] = w.plan.PulseID(ts[k])
		}
		lo, hi = charge.Records(ids, par.Events)
	}
	for _, k := range at[lo:hi] {
		n := numbers[k] - numbers[at[lo]]
		if n >= charge.MaxEvents {
			return nil, fault.New(fault.Input, "events %d and %d of the step are %s apart, at most %d can be counted", at[lo], k, fault.Count(n, "event"), charge.MaxEvents).
				WithHint("use fewer with --events")
		}
		j.events = append(j.events, int32(n))
	}
	j.lane = sweep.Lane{Panel: panel, Extents: extents[lo:hi], Bands: []sweep.Span{{Hi: panel.Pixels()}}}
	j.facts.Frames, j.facts.Dropped = hi-lo, len(at)-(hi-lo)
	pulsed, err := w.pulsed(j, sh.Unit, scan)
	if err != nil {
		return nil, err
	}
	j.step, err = charge.NewStep(par.ChargeCounting(), panel.Rows, panel.Cols, pulsed, j.events)
	return j, err
}

// sampleFrames is how many frames of a step are looked at to see which pixels answer the pulser.
const sampleFrames = 48

// pulsed returns the pulsed pixels of a step: the first map that at least half of its pixels confirm by a gain
// bit that comes and goes. Where none does the first is taken, and the facts tell. In compat it is the formula.
func (w *worker) pulsed(j *injection, unit int, scan plan.ScanStep) ([]uint32, error) {
	panel := j.lane.Panel
	formula := w.plan.Scan.Formula(panel.Rows, panel.Cols, scan.Position)
	j.facts.Source = charge.SourceFormula
	if w.plan.Params.Compat != "" {
		return formula, nil
	}
	bits, err := w.index.Pulsed(w.plan.Units[unit].Panel, scan.Step)
	if err != nil {
		return nil, err
	}
	maps := make([][]uint32, len(charge.Sources))
	maps[charge.SourceTest] = charge.FromBits(bits, panel.Pixels())
	maps[charge.SourceRotated] = charge.TurnTop(maps[charge.SourceTest], panel.Rows, panel.Cols)
	maps[charge.SourceFormula] = formula
	if scan.InjPos != nil {
		maps[charge.SourceInjpos] = charge.Every(panel.Rows, panel.Cols, scan.InjPos[0], scan.InjPos[1], w.plan.Scan.Space)
	}
	answers, err := w.answers(j.lane)
	if err != nil {
		return nil, err
	}
	best := -1
	for source, m := range maps {
		if len(m) == 0 {
			continue
		}
		inside, others := charge.Answering(m, answers)
		if best < 0 || inside >= 500 {
			best, j.facts.Answering, j.facts.Others = source, inside, others
		}
		if inside >= 500 {
			break
		}
	}
	j.facts.Source = best
	return maps[best], nil
}

// answers reports for each pixel whether its gain bit was seen both set and not in a sample of the frames.
func (w *worker) answers(lane sweep.Lane) ([]bool, error) {
	n := lane.Panel.Pixels()
	exts := lane.Extents
	if len(exts) > sampleFrames {
		exts = nil
		for i := range sampleFrames {
			exts = append(exts, lane.Extents[i*len(lane.Extents)/sampleFrames])
		}
	}
	px, err := w.src.Pixels(w.ctx, lane.Panel, exts, sweep.Span{Hi: n})
	if err != nil {
		return nil, err
	}
	px = slices.DeleteFunc(px, charge.Empty)
	return charge.Answers(px, n, w.plan.Params.Injection.GainBit), nil
}
