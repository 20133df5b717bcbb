package plan

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/stats/status"
	"rawstatus/internal/version"
)

// Options say how the work is cut; they change no result.
type Options struct {
	Tasks   int `json:"tasks"`   // number of tasks, 0 = one per unit
	Workers int `json:"workers"` // goroutines per task, for the memory estimate
}

// aliases returns the names that people gave to the detector of an index, in order.
func aliases(x *frame.Index) (list []string) {
	for alias, own := range x.Aliases {
		if own == x.Panels[0].Detector {
			list = append(list, alias)
		}
	}
	slices.Sort(list)
	return list
}

// minShard is the least number of frames worth a shard of its own.
const minShard = 64

// Build makes the plan for the index of one detector, whose events are those in which it took part.
func Build(x *frame.Index, sums IndexSums, par Params, opt Options) (*Plan, error) {
	if len(x.Panels) == 0 {
		return nil, fault.New(fault.Input, "%v has no panels to work on", x.Run)
	}
	if x.Run.Experiment == "" {
		return nil, fault.New(fault.Usage, "the data do not name their experiment, which file names in the repository need").WithHint("name it with --exp")
	}
	for _, f := range x.Files {
		if !utf8.ValidString(f.Path) {
			return nil, fault.New(fault.Input, "the path of raw file %q is not UTF-8, which a plan cannot hold", f.Path).WithHint("give another path to it, for example a link")
		}
	}
	p := &Plan{Schema: Schema, Software: version.String(), Params: par, Dataset: Dataset{
		Format: x.Format, Run: x.Run, Detector: x.Panels[0].Detector, Aliases: aliases(x), Type: x.Panels[0].Type, Panels: x.Panels,
		Steps: x.Steps, Files: x.Files, Events: len(x.Events), Notes: x.Notes, Index: sums.File, Content: sums.Content,
	}}
	family, _ := detector.Lookup(x.Panels[0].Type)
	err := par.Validate(family)
	if err == nil {
		err = checkSelections(x, par)
	}
	if err != nil {
		return nil, err
	}
	if par.Charge() {
		x, err = p.takeScan(x)
	} else {
		p.Groups, err = groups(x, par)
	}
	if err != nil {
		return nil, err
	}
	if err = p.units(x); err != nil {
		return nil, err
	}
	p.knownMissing()
	p.sayUnreachable(family)
	if p.Incomplete = p.lacks(x); !par.AllowIncomplete {
		if err := Incomplete(x.Run, p.Incomplete); err != nil {
			return nil, err
		}
	}
	if err := p.takeGates(); err != nil {
		return nil, err
	}
	if err := p.cut(opt); err != nil {
		return nil, err
	}
	return p, p.seal()
}

func checkSelections(x *frame.Index, par Params) error {
	for _, s := range par.Steps {
		if x.StepAt(s) == nil {
			var have []string
			for _, st := range x.Steps {
				have = append(have, fmt.Sprint(st.Number))
			}
			return fault.New(fault.Input, "run %d has no step %d", x.Run.Number, s).WithHint("steps in the data: %s", strings.Join(have, ", "))
		}
	}
	for _, seg := range par.Segments {
		if !slices.ContainsFunc(x.Panels, func(p frame.Panel) bool { return p.Segment == seg }) {
			return fault.New(fault.Input, "detector %s has no segment %d in run %d", x.Panels[0].Detector, seg, x.Run.Number).
				WithHint("`rawstatus inspect` lists the panels")
		}
	}
	return nil
}

func wanted(par Params, panel frame.Panel) bool {
	return len(par.Segments) == 0 || slices.Contains(par.Segments, panel.Segment)
}

// groups lists the groups in the order of the family's gain modes, then of steps.
func groups(x *frame.Index, par Params) ([]Group, error) {
	family, _ := detector.Lookup(x.Panels[0].Type)
	var out []Group
	for i := range x.Steps {
		s := &x.Steps[i]
		if s.Events == 0 || len(par.Steps) > 0 && !slices.Contains(par.Steps, s.Number) {
			continue
		}
		for panel := range x.Panels {
			if !wanted(par, x.Panels[panel]) {
				continue
			}
			for _, part := range partsOf(s, panel) {
				at := slices.IndexFunc(out, func(g Group) bool { return g.has(part) })
				switch {
				case at < 0:
					g := Group{GainMode: part.Mode, GainBits: part.Bits, Steps: []int{s.Number}}
					if bits, known := family.Pattern(part.Mode); known {
						g.GainBits = &bits
					}
					out = append(out, g)
				case !slices.Contains(out[at].Steps, s.Number):
					out[at].Steps = append(out[at].Steps, s.Number)
				}
			}
		}
	}
	if len(out) == 0 && len(x.Missing) > 0 {
		return nil, fault.New(fault.Incomplete, "%v is incomplete and has no whole event for detector %s in the selected steps:\n  %s",
			x.Run, x.Panels[0].Detector, strings.Join(x.Missing, "\n  ")).WithHint("are the files still being written or copied? Give the command again when they are whole")
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Input, "%v has no events for detector %s in the selected steps", x.Run, x.Panels[0].Detector)
	}
	if par.Gated() {
		if err := onePerMode(x, out); err != nil {
			return nil, err
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return family.GainIndex(out[i].GainMode) < family.GainIndex(out[j].GainMode) })
	return out, nil
}

// onePerMode leaves each group one step. A step in which only some pixels of each panel are in the mode, by their
// gain map, is replaced by one in which most are.
func onePerMode(x *frame.Index, list []Group) error {
	for i := range list {
		g := &list[i]
		most := slices.DeleteFunc(slices.Clone(g.Steps), func(n int) bool { return !g.mostPixels(x, n) })
		if len(g.Steps) > 1 && len(most) == 1 {
			g.Steps = most
		}
		if len(g.Steps) > 1 {
			return fault.New(fault.Usage, "steps %d and %d of run %d have the same gain mode %q: profile dark makes one set of constants per gain mode",
				g.Steps[0], g.Steps[1], x.Run.Number, g.GainMode).WithHint("pick one with --step, or pool them with --profile data")
		}
	}
	return nil
}

// mostPixels reports whether most pixels of some panel are of the group in a step.
func (g Group) mostPixels(x *frame.Index, step int) bool {
	for panel := range x.Panels {
		if part, ok := g.part(x.StepAt(step), panel); ok && 2*part.Pixels >= x.Panels[panel].Pixels() || ok && part.Pixels == 0 {
			return true
		}
	}
	return false
}

// selection returns the usable frames of a panel in a group, as positions in events, and the states of
// those that are not usable.
func (p *Plan) selection(events []frame.Event, extents []frame.Extent, group, panel int) (use []int, lost map[string]int) {
	par, g := p.Params, p.Groups[group]
	member := map[int32]bool{}
	for i := range p.Dataset.Steps {
		s := &p.Dataset.Steps[i]
		_, in := g.part(s, panel)
		member[int32(s.Number)] = in && slices.Contains(g.Steps, s.Number)
	}
	inStep := map[int32]int{}
	for e, ev := range events {
		inStep[ev.Step]++
		if par.Events > 0 && len(use) == par.Events && p.Scan == nil {
			break
		}
		if inStep[ev.Step] <= par.Skip || !member[ev.Step] {
			continue
		}
		if extents[e].State == frame.Present {
			use = append(use, e)
			continue
		}
		if lost == nil {
			lost = map[string]int{}
		}
		lost[extents[e].State.String()]++
	}
	return use, lost
}

// ofPanel returns the extents of one panel, one per event.
func ofPanel(x *frame.Index, panel int) []frame.Extent {
	out := make([]frame.Extent, len(x.Events))
	for e := range out {
		out[e] = *x.At(e, panel)
	}
	return out
}

// units makes a unit for each panel and group in which the panel is expected.
func (p *Plan) units(x *frame.Index) error {
	for gi, g := range p.Groups {
		for panel := range x.Panels {
			expected := slices.ContainsFunc(g.Steps, func(n int) bool { _, in := g.part(x.StepAt(n), panel); return in })
			if !expected || !wanted(p.Params, x.Panels[panel]) {
				continue
			}
			if i := slices.IndexFunc(p.Units, func(u Unit) bool { return u.Panel == panel && p.Groups[u.Group].GainMode == g.GainMode }); i >= 0 {
				return fault.New(fault.Usage, "steps %v and %v of run %d: the words of %s have different gain bits, and the data do not tell the gain modes",
					p.Groups[p.Units[i].Group].Steps, g.Steps, x.Run.Number, x.Panels[panel]).WithHint("pick steps of one gain with --step")
			}
			events, lost := p.selection(x.Events, ofPanel(x, panel), gi, panel)
			u := Unit{Panel: panel, Group: gi, Selected: len(events), Usable: max(len(events), p.usable(x, g, panel)), Lost: lost, Expected: len(events)}
			for _, n := range lost {
				u.Expected += n
			}
			u.Steps = p.perStep(x.Events, events)
			p.Units = append(p.Units, u)
		}
	}
	return nil
}

// sayUnreachable notes an upper limit that no word can exceed.
func (p *Plan) sayUnreachable(family detector.Family) {
	if p.Params.Family() != status.Dark {
		return
	}
	family.DataBits = p.Params.DataBits
	if bits := p.Dataset.Panels[0].Bits; bits > 0 {
		family.Bits = bits
	}
	if most := family.Largest(); p.Params.IntHi >= float64(most) {
		p.Dataset.Notes = append(slices.Clip(p.Dataset.Notes), fmt.Sprintf("the limit int_hi = %v cannot be reached: words of %s are at most %d, so that INT_HIGH is never set (--int-hi)",
			p.Params.IntHi, p.Dataset.Detector, most))
	}
}

// usable counts the usable frames that a panel has in a group without --step, --skip and -n. Profile dark is per
// step: there it is one step.
func (p *Plan) usable(x *frame.Index, g Group, panel int) (n int) {
	member := map[int32]bool{}
	for i := range x.Steps {
		s := &x.Steps[i]
		_, in := g.part(s, panel)
		member[int32(s.Number)] = in && (!p.Params.Gated() || slices.Contains(g.Steps, s.Number))
	}
	for e, event := range x.Events {
		if member[event.Step] && x.At(e, panel).State == frame.Present {
			n++
		}
	}
	return n
}

// cut makes shards and tasks, for each stage as many tasks as asked. With no more tasks than units every
// unit is one shard and tasks get whole units; with more, units are cut by frames, or by rows of windows
// where feature 6 needs all frames of its pixels.
func (p *Plan) cut(opt Options) error {
	var live []int
	for i, u := range p.Units {
		if u.Selected > 0 {
			live = append(live, i)
		}
	}
	tasks := opt.Tasks
	if tasks <= 0 {
		tasks = len(live)
	}
	pieces := 1
	if len(live) > 0 && tasks > len(live) {
		pieces = (tasks + len(live) - 1) / len(live)
	}
	for _, stage := range p.stages() {
		first := len(p.Shards)
		for _, i := range live {
			if err := p.cutUnit(stage, i, pieces); err != nil {
				return err
			}
		}
		p.deal(stage, first, tasks)
	}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		slices.Sort(t.Shards)
		t.Memory = p.taskMemory(i, max(1, opt.Workers))
	}
	return nil
}

func (p *Plan) stages() []Stage {
	if p.Params.Has(1) {
		return []Stage{StageFrames, StagePixels}
	}
	return []Stage{StagePixels}
}

// cutUnit makes the shards of a unit.
func (p *Plan) cutUnit(stage Stage, unit, pieces int) error {
	if p.Scan != nil {
		p.cutScan(unit)
		return nil
	}
	n := p.Params.Sequence(p.Units[unit].Selected).Accumulate
	if stage == StagePixels && p.Params.Has(6) {
		f, err := p.Params.Flatness(p.Panel(unit))
		if err != nil {
			return err
		}
		bands := len(f.Bands())
		k := min(pieces, bands)
		for j := range k {
			p.Shards = append(p.Shards, Shard{Stage: stage, Unit: unit, Lo: 0, Hi: n, BandLo: j * bands / k, BandHi: (j + 1) * bands / k})
		}
		return nil
	}
	k := max(1, min(pieces, n/minShard))
	for j := range k {
		p.Shards = append(p.Shards, Shard{Stage: stage, Unit: unit, Lo: j * n / k, Hi: (j + 1) * n / k})
	}
	return nil
}

// deal assigns the shards from first on to tasks. Heavier ones are dealt first, each to the lightest task,
// so tasks are even and the deal is the same every time.
func (p *Plan) deal(stage Stage, first, tasks int) {
	order := make([]int, len(p.Shards)-first)
	for i := range order {
		order[i] = first + i
	}
	list := make([]Task, max(1, min(tasks, len(order))))
	sort.SliceStable(order, func(a, b int) bool { return p.shardBytes(order[a]) > p.shardBytes(order[b]) })
	lightest := byLoad{list, make([]int, len(list))}
	for i := range list {
		lightest.order[i] = i
	}
	for _, s := range order {
		t := &list[lightest.order[0]]
		t.Shards = append(t.Shards, s)
		t.Bytes += p.shardBytes(s)
		heap.Fix(lightest, 0)
	}
	for _, t := range list {
		t.Stage = stage
		p.Tasks = append(p.Tasks, t)
	}
}

// byLoad is a heap of tasks, the lightest on top, of equal ones the first.
type byLoad struct {
	tasks []Task
	order []int
}

func (h byLoad) Len() int { return len(h.order) }
func (h byLoad) Less(i, j int) bool {
	a, b := h.order[i], h.order[j]
	return cmp.Or(cmp.Compare(h.tasks[a].Bytes, h.tasks[b].Bytes), cmp.Compare(a, b)) < 0
}
func (h byLoad) Swap(i, j int) { h.order[i], h.order[j] = h.order[j], h.order[i] }

// Push and Pop complete heap.Interface: tasks neither come nor go.
func (h byLoad) Push(any) {}
func (h byLoad) Pop() any { return nil }

// shardBytes returns the raw data a shard reads, the frames for the gates counted once more when the shard
// does not begin with them.
func (p *Plan) shardBytes(shard int) int64 {
	s := p.Shards[shard]
	frames := int64(s.Hi - s.Lo)
	if s.Lo > 0 && p.Params.Gated() {
		frames += int64(p.Params.Sequence(p.Units[s.Unit].Selected).Block)
	}
	bytes := frames * int64(p.Pixels(s.Unit)) * 2
	if s.BandHi > 0 {
		f, err := p.Params.Flatness(p.Panel(s.Unit))
		if err != nil {
			return bytes // cutUnit has refused it
		}
		bytes = bytes * int64(s.BandHi-s.BandLo) / int64(len(f.Bands()))
	}
	return bytes
}
