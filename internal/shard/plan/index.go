package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
)

// indexKind is the pack kind of index.pack. Its head is the frame.Index without events, extents and notes;
// its arrays are, one element per event: "ts", "step", and for each panel N: "N/offset" (difference to the event before), "N/length", "N/file", "N/damage", "N/state",
// "N/heading". Pulsed maps have "pulsed/K" each, gain maps "map/N", one element per pixel.
const indexKind = "index"

// IndexSums are SHA-256 of an index.
type IndexSums struct {
	File string // of index.pack
	// Content is of all but what tasks have to compare because it was predicted: it is the same however the
	// headers were read.
	Content string
}

// EncodeIndex returns the index of a detector as the bytes of index.pack.
func EncodeIndex(x *frame.Index) (b []byte, sums IndexSums, err error) {
	ts, step := make([]uint64, len(x.Events)), make([]int32, len(x.Events))
	for i, e := range x.Events {
		ts[i], step[i] = e.TS, e.Step
	}
	arrays := []pack.Named{{Name: "ts", Data: ts}, {Name: "step", Data: step}}
	for p := range x.Panels {
		arrays = append(arrays, panelColumns(p, ofPanel(x, p))...)
	}
	for k, m := range x.Pulsed {
		arrays = append(arrays, pack.Named{Name: pulsedColumn(k), Data: m.Bits})
	}
	for i, m := range x.GainMaps {
		arrays = append(arrays, pack.Named{Name: mapName(i + 1), Data: m})
	}
	head := *x
	head.GainMaps = nil
	head.Events, head.Extents, head.Notes, head.Missing, head.Aliases = nil, nil, nil, nil, nil // the plan has them
	var buf bytes.Buffer
	if err := pack.Write(&buf, indexKind, head, arrays); err != nil {
		return nil, sums, err
	}
	b = buf.Bytes()
	file := sha256.Sum256(b)
	sums.File = hex.EncodeToString(file[:])
	sums.Content, err = contentSum(head, b)
	return b, sums, err
}

// contentSum is made from the sums of the arrays.
func contentSum(head frame.Index, b []byte) (string, error) {
	r, err := pack.NewReader(indexFile, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "", err
	}
	head.Headings = nil
	text, err := json.Marshal(head)
	if err != nil {
		return "", fmt.Errorf("plan: could not encode: %w", err)
	}
	h := sha256.New()
	h.Write(text)
	for _, e := range r.Entries() {
		if !strings.HasSuffix(e.Name, headingColumn) {
			fmt.Fprintf(h, "%s %s\n", e.Name, e.SHA256)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func pulsedColumn(k int) string { return fmt.Sprintf("pulsed/%d", k) }

// headingColumn ends the names of the arrays that the content does not depend on.
const headingColumn = "/heading"

func mapName(number int) string { return fmt.Sprintf("map/%d", number) }

func panelColumns(panel int, extents []frame.Extent) []pack.Named {
	n := len(extents)
	offset, length, file := make([]int64, n), make([]uint32, n), make([]int32, n)
	damage, heading, state := make([]uint16, n), make([]uint16, n), make([]uint8, n)
	last := int64(0)
	for i, e := range extents {
		// Distances between frames repeat where offsets do not: they compress to nothing.
		offset[i], last = e.Offset-last, e.Offset
		length[i], file[i], damage[i], heading[i], state[i] = e.Length, e.File, e.Damage, e.Heading, uint8(e.State)
	}
	name := func(column string) string { return fmt.Sprintf("%d/%s", panel, column) }
	return []pack.Named{{Name: name("offset"), Data: offset}, {Name: name("length"), Data: length}, {Name: name("file"), Data: file},
		{Name: name("damage"), Data: damage}, {Name: name("state"), Data: state}, {Name: fmt.Sprint(panel, headingColumn), Data: heading}}
}

// Index reads the extents of a plan panel by panel, so a task holds those of one panel at a time.
type Index struct {
	// Headings are the bytes that must lie before frames whose place was predicted.
	Headings []frame.Heading

	plan   *Plan
	r      *pack.Reader
	events []frame.Event
	pulsed []frame.PulsedMap // without their bits

	mu     sync.Mutex
	latest *selected
}

// OpenIndex reads the index of a plan from its work directory.
func (p *Plan) OpenIndex(work string) (*Index, error) {
	path := filepath.Join(work, indexFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Input, "could not read the index of the plan: %w", err).WithHint("make the plan again with `rawstatus plan`")
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != p.Dataset.Index {
		return nil, fault.New(fault.Input, "index %q is not the one of plan %.12s", path, p.ID).WithHint("make the plan again with `rawstatus plan`")
	}
	r, err := pack.NewReader(path, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	var head frame.Index
	if err := r.Head(&head); err != nil {
		return nil, err
	}
	x := &Index{Headings: head.Headings, plan: p, r: r, pulsed: head.Pulsed}
	ts, err := pack.Get[uint64](r, "ts")
	if err != nil {
		return nil, err
	}
	step, err := column[int32](r, "step", len(ts))
	if err != nil {
		return nil, err
	}
	x.events = make([]frame.Event, len(ts))
	for i := range ts {
		x.events[i] = frame.Event{TS: ts[i], Step: step[i]}
	}
	return x, nil
}

// column loads an array that must have so many elements.
func column[T any](r *pack.Reader, name string, n int) ([]T, error) {
	d, err := pack.Get[T](r, name)
	if err == nil && len(d) != n {
		err = fmt.Errorf("plan: array %q of the index has %s, wanted %d", name, fault.Count(len(d), "element"), n)
	}
	return d, err
}

// Pulsed returns the map of pulsed pixels of a panel in a step, nil if the configuration has none.
func (x *Index) Pulsed(panel, step int) ([]byte, error) {
	for k, m := range x.pulsed {
		if m.Panel == panel && m.Step == step {
			b, err := pack.Get[uint8](x.r, pulsedColumn(k))
			if err == nil && len(b) != (x.plan.Dataset.Panels[panel].Pixels()+7)/8 {
				err = fmt.Errorf("plan: map of pulsed pixels of %v in step %d has %d bytes", x.plan.Dataset.Panels[panel], step, len(b))
			}
			return b, err
		}
	}
	return nil, nil
}

// Times returns the time-stamps of the events of a step, and the positions among them of a unit's selected frames.
func (x *Index) Times(unit, step int) (ts []uint64, frames []int, err error) {
	u := x.plan.Units[unit]
	extents, err := x.panel(u.Panel)
	if err != nil {
		return nil, nil, err
	}
	use, _ := x.plan.selection(x.events, extents, u.Group, u.Panel)
	first := -1
	for e, ev := range x.events {
		if int(ev.Step) == step {
			if first < 0 {
				first = e
			}
			ts = append(ts, ev.TS)
		}
	}
	for _, e := range use {
		if int(x.events[e].Step) == step {
			frames = append(frames, e-first)
		}
	}
	return ts, frames, nil
}

// selected holds the selected frames of a unit.
type selected struct {
	unit    int
	events  []int // positions among the events
	frames  []frame.Extent
	members *Members
}

// selected returns the selected frames of a unit. Those of the latest unit are kept: a plan may have hundreds of tasks for
// each unit, and each asks several times.
func (x *Index) selected(unit int) (*selected, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.latest != nil && x.latest.unit == unit {
		return x.latest, nil
	}
	u := x.plan.Units[unit]
	extents, err := x.panel(u.Panel)
	if err != nil {
		return nil, err
	}
	s := &selected{unit: unit}
	s.events, _ = x.plan.selection(x.events, extents, u.Group, u.Panel)
	if len(s.events) != u.Selected {
		return nil, fmt.Errorf("plan: %s has %s in the index and %d in the plan", x.plan.UnitName(unit), fault.Count(len(s.events), "frame"), u.Selected)
	}
	s.frames = make([]frame.Extent, len(s.events))
	for i, e := range s.events {
		s.frames[i] = extents[e]
	}
	if s.members, err = x.members(unit, s.events); err != nil {
		return nil, err
	}
	x.latest = s
	return s, nil
}

// Frames returns the extents of a unit's selected frames, in order. The caller does not change them.
func (x *Index) Frames(unit int) ([]frame.Extent, error) {
	s, err := x.selected(unit)
	if err != nil {
		return nil, err
	}
	return s.frames, nil
}

// Members are the pixels of a unit's panel that are in its gain mode, where a gain map says that not all are.
type Members struct {
	Masks [][]bool // different sets of pixels; nil: all
	Of    []uint8  // by frame, as in Frames: the number of its mask in Masks
}

// Members returns which pixels of a unit's selected frames are in its gain mode; nil: all are in all frames.
func (x *Index) Members(unit int) (*Members, error) {
	s, err := x.selected(unit)
	if err != nil {
		return nil, err
	}
	return s.members, nil
}

// members is Members for the events that are selected.
func (x *Index) members(unit int, use []int) (*Members, error) {
	p, u := x.plan, x.plan.Units[unit]
	type key struct{ number, setting int }
	numbers, mapped := map[key]int{}, false
	m := &Members{Of: make([]uint8, len(use))}
	var k key
	for i, e := range use {
		if i == 0 || x.events[e].Step != x.events[use[i-1]].Step {
			step := p.step(x.events[e].Step)
			part, _ := p.Groups[u.Group].part(step, u.Panel)
			k = key{step.Gain(u.Panel).Map, part.Setting}
		}
		n, ok := numbers[k]
		if !ok {
			mask, err := x.mask(k.number, uint8(k.setting), p.Pixels(unit))
			if err != nil {
				return nil, err
			}
			if n = len(m.Masks); n > math.MaxUint8 {
				return nil, fault.New(fault.Input, "%s has more than %d gain maps in its steps", p.UnitName(unit), n).WithHint("pick steps with --step")
			}
			numbers[k], m.Masks, mapped = n, append(m.Masks, mask), mapped || k.number > 0
		}
		m.Of[i] = uint8(n)
	}
	if !mapped {
		return nil, nil
	}
	return m, nil
}

// mask returns the pixels that have a setting in a gain map; nil without a map: all of them.
func (x *Index) mask(number int, setting uint8, pixels int) ([]bool, error) {
	if number == 0 {
		return nil, nil
	}
	mask := make([]bool, pixels)
	m, err := column[uint8](x.r, mapName(number), pixels)
	for i, s := range m {
		mask[i] = s == setting
	}
	return mask, err
}

func (x *Index) panel(panel int) ([]frame.Extent, error) {
	n := len(x.events)
	name := func(col string) string { return fmt.Sprintf("%d/%s", panel, col) }
	offset, err := column[int64](x.r, name("offset"), n)
	if err != nil {
		return nil, err
	}
	length, err := column[uint32](x.r, name("length"), n)
	if err != nil {
		return nil, err
	}
	file, err := column[int32](x.r, name("file"), n)
	if err != nil {
		return nil, err
	}
	damage, err := column[uint16](x.r, name("damage"), n)
	if err != nil {
		return nil, err
	}
	state, err := column[uint8](x.r, name("state"), n)
	if err != nil {
		return nil, err
	}
	heading, err := column[uint16](x.r, fmt.Sprint(panel, headingColumn), n)
	if err != nil {
		return nil, err
	}
	out := make([]frame.Extent, n)
	last := int64(0)
	for i := range out {
		last += offset[i]
		out[i] = frame.Extent{Offset: last, Length: length[i], File: file[i], Damage: damage[i], Heading: heading[i], State: frame.State(state[i])}
	}
	return out, nil
}
