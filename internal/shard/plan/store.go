package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
)

// Files of a work directory.
const (
	planFile  = "plan.json"
	indexFile = "index.pack"
	indexKind = "index"
)

// TaskFile is the path of a task's partial.
func TaskFile(work string, task int) string {
	return filepath.Join(work, "tasks", fmt.Sprintf("task-%05d.pack", task))
}

// MergedFile is the path of the merged planes of a unit.
func (p *Plan) MergedFile(work string, unit int) string {
	u := p.Units[unit]
	panel := p.Dataset.Panels[u.Panel]
	name := fmt.Sprintf("seg%02d", panel.Segment)
	if panel.Sub > 0 {
		name += fmt.Sprintf(".%d", panel.Sub)
	}
	if m := p.Groups[u.Group].GainMode; m != "" {
		name += "_" + m
	}
	return filepath.Join(work, "merged", name+".pack")
}

// SummaryFile is the path of the reduce step's summary.
func SummaryFile(work string) string { return filepath.Join(work, "summary.json") }

// Save writes plan and index to the work directory, the plan last, so a plan's index is always there.
func Save(work string, p *Plan, index []byte, mode fs.FileMode) error {
	if err := atomicfile.WriteFile(filepath.Join(work, indexFile), atomicfile.Options{Mode: mode}, index); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("plan: could not encode: %w", err)
	}
	return atomicfile.WriteFile(filepath.Join(work, planFile), atomicfile.Options{Mode: mode}, append(b, '\n'))
}

// Load reads and checks the plan of a work directory.
func Load(work string) (*Plan, error) {
	path := filepath.Join(work, planFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Usage, "no plan in work directory %q", work).WithHint("make one with `rawstatus plan --work %s ...`", work)
	}
	if err != nil {
		return nil, fmt.Errorf("plan: could not read: %w", err)
	}
	broken := func(format string, args ...any) error {
		return fault.New(fault.Input, "plan %q: %s", path, fmt.Sprintf(format, args...)).WithHint("make the plan again with `rawstatus plan`")
	}
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, broken("not JSON: %v", err)
	}
	if head.Schema != Schema {
		return nil, broken("schema %d, this program reads schema %d", head.Schema, Schema)
	}
	var p Plan
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, broken("%v", err)
	}
	id := p.ID
	if err := p.seal(); err != nil {
		return nil, err
	}
	if p.ID != id {
		return nil, broken("content does not match its id %.12s: it was edited or damaged", id)
	}
	return &p, nil
}

// LoadIndex reads the index of a plan.
func (p *Plan) LoadIndex(work string) (*frame.Index, error) {
	path := filepath.Join(work, indexFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Input, "could not read the index of the plan: %w", err).WithHint("make the plan again with `rawstatus plan`")
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != p.Dataset.Index {
		return nil, fault.New(fault.Input, "index %q is not the one of plan %.12s", path, p.ID).WithHint("make the plan again with `rawstatus plan`")
	}
	return DecodeIndex(path, b)
}

// EncodeIndex gives an index as the bytes of index.pack and their SHA-256.
func EncodeIndex(x *frame.Index) (b []byte, sum string, err error) {
	n, panels := len(x.Extents), len(x.Panels)
	ts, step := make([]uint64, len(x.Events)), make([]int32, len(x.Events))
	for i, e := range x.Events {
		ts[i], step[i] = e.TS, e.Step
	}
	offset, length, file := make([]int64, n), make([]uint32, n), make([]int32, n)
	damage, state := make([]uint16, n), make([]uint8, n)
	for i, e := range x.Extents {
		offset[i], length[i], file[i], damage[i], state[i] = e.Offset, e.Length, e.File, e.Damage, uint8(e.State)
	}
	// Distances between a panel's frames repeat where offsets do not: they compress to nothing.
	for i := n - 1; i >= panels; i-- {
		offset[i] -= offset[i-panels]
	}
	head := *x
	head.Events, head.Extents = nil, nil
	var buf bytes.Buffer
	err = pack.Write(&buf, indexKind, head, []pack.Array{
		{Name: "ts", Data: ts}, {Name: "step", Data: step},
		{Name: "offset", Data: offset}, {Name: "length", Data: length}, {Name: "file", Data: file},
		{Name: "damage", Data: damage}, {Name: "state", Data: state},
	})
	if err != nil {
		return nil, "", err
	}
	h := sha256.Sum256(buf.Bytes())
	return buf.Bytes(), hex.EncodeToString(h[:]), nil
}

// DecodeIndex reads the bytes of an index.pack; name is used in errors.
func DecodeIndex(name string, b []byte) (*frame.Index, error) {
	r, err := pack.NewReader(name, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	var x frame.Index
	if err := r.Head(&x); err != nil {
		return nil, err
	}
	var c columns
	if err := c.load(r); err != nil {
		return nil, err
	}
	n, panels := len(c.offset), len(x.Panels)
	if len(c.step) != len(c.ts) || n != len(c.ts)*panels || len(c.length) != n || len(c.file) != n || len(c.damage) != n || len(c.state) != n {
		return nil, &pack.Error{File: name, What: fmt.Sprintf("%d events of %d panels do not fit %d extents", len(c.ts), panels, n)}
	}
	x.Events = make([]frame.Event, len(c.ts))
	for i := range x.Events {
		x.Events[i] = frame.Event{TS: c.ts[i], Step: c.step[i]}
	}
	x.Extents = make([]frame.Extent, n)
	for i := range x.Extents {
		if i >= panels {
			c.offset[i] += c.offset[i-panels]
		}
		x.Extents[i] = frame.Extent{Offset: c.offset[i], Length: c.length[i], File: c.file[i], Damage: c.damage[i], State: frame.State(c.state[i])}
		if f := int(c.file[i]); f < 0 || f >= len(x.Files) && x.Extents[i].State == frame.Present {
			return nil, &pack.Error{File: name, What: fmt.Sprintf("extent %d lies in file %d of %d", i, f, len(x.Files))}
		}
	}
	return &x, nil
}

type columns struct {
	ts     []uint64
	step   []int32
	offset []int64
	length []uint32
	file   []int32
	damage []uint16
	state  []uint8
}

func (c *columns) load(r *pack.Reader) (err error) {
	get := func(name string, into func() error) {
		if err == nil {
			err = into()
		}
	}
	get("ts", func() (e error) { c.ts, e = pack.Get[uint64](r, "ts"); return })
	get("step", func() (e error) { c.step, e = pack.Get[int32](r, "step"); return })
	get("offset", func() (e error) { c.offset, e = pack.Get[int64](r, "offset"); return })
	get("length", func() (e error) { c.length, e = pack.Get[uint32](r, "length"); return })
	get("file", func() (e error) { c.file, e = pack.Get[int32](r, "file"); return })
	get("damage", func() (e error) { c.damage, e = pack.Get[uint16](r, "damage"); return })
	get("state", func() (e error) { c.state, e = pack.Get[uint8](r, "state"); return })
	return err
}
