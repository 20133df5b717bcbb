package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/stats/plane"
)

// PartialSchema is the version of a partial's head and arrays.
const PartialSchema = 3

const partialKind = "partial"

// Head is the head of a partial. Its arrays are named "<position in Shards>/<plane>" (names in stats/plane), their
// attr is the plane.Op. The partial of a task that has all frames of one unit (plan.Plan.Whole) is a merged file instead, with the head
// plan.MergedHead. A shard of stage frames has the series "median2" instead of planes.
type Head struct {
	Schema int         `json:"schema"`
	Plan   string      `json:"plan"` // id of the plan it belongs to
	Task   int         `json:"task"`
	Shards []ShardHead `json:"shards"`
}

// ShardHead says which frames of which panel a part of a partial has counted.
type ShardHead struct {
	Stage    plan.Stage `json:"stage"`
	Segment  int        `json:"segment"`
	Sub      int        `json:"sub,omitempty"`
	GainMode string     `json:"gain_mode,omitempty"`
	Steps    []int      `json:"steps"`
	Lo       int        `json:"lo"` // frames [Lo, Hi) of those that the panel has in these steps
	Hi       int        `json:"hi"`
	BandLo   int        `json:"band_lo,omitempty"` // rows of windows [BandLo, BandHi); both 0: the whole panel
	BandHi   int        `json:"band_hi,omitempty"`
	Zeros    uint64     `json:"zeros,omitempty"` // frames of nothing but zeros, which were left out
	Stuck    uint64     `json:"stuck,omitempty"` // frames that are equal to the one before
}

// headOf returns what a partial says about a shard.
func headOf(p *plan.Plan, shard int) ShardHead {
	s := p.Shards[shard]
	panel, g := p.Panel(s.Unit), p.Groups[p.Units[s.Unit].Group]
	return ShardHead{Stage: s.Stage, Segment: panel.Segment, Sub: panel.Sub, GainMode: g.GainMode, Steps: g.Steps, Lo: s.Lo, Hi: s.Hi, BandLo: s.BandLo, BandHi: s.BandHi}
}

// String names the shard for messages.
func (h ShardHead) String() string {
	text := fmt.Sprintf("%s of segment %d.%d %s steps %v, frames %d to %d", h.Stage, h.Segment, h.Sub, h.GainMode, h.Steps, h.Lo, h.Hi)
	if h.BandHi > 0 {
		text += fmt.Sprintf(", bands %d to %d", h.BandLo, h.BandHi)
	}
	return text
}

// frames returns how many frames were counted.
func (h ShardHead) frames() uint64 { return uint64(h.Hi-h.Lo) - h.Zeros }

func shardPrefix(position int) string { return fmt.Sprintf("%d/", position) }

// Partial is an opened partial of a plan.
type Partial struct {
	*pack.File
	Head Head

	whole bool // it is a merged file
}

// Open opens the partial of a task and refuses one of another plan or task.
func Open(work string, p *plan.Plan, n int) (*Partial, error) {
	f, err := pack.Open(plan.TaskFile(work, n))
	if err != nil {
		return nil, err
	}
	q := &Partial{File: f}
	if err := q.fits(p, n); err != nil {
		f.Close()
		return nil, err
	}
	return q, nil
}

func (q *Partial) fits(p *plan.Plan, n int) error {
	if unit, whole := p.Whole(n); whole {
		return q.fitsUnit(p, n, unit)
	}
	if q.Kind() != partialKind {
		return fault.New(fault.Input, "%q is a %s, not a partial", plan.TaskFile("", n), q.Kind())
	}
	if err := q.File.Head(&q.Head); err != nil {
		return err
	}
	if q.Head.Schema != PartialSchema || q.Head.Plan != p.ID || q.Head.Task != n || len(q.Head.Shards) != len(p.Tasks[n].Shards) {
		return fault.New(fault.Input, "partial has schema %d, plan %.12s, task %d; wanted schema %d, plan %.12s, task %d",
			q.Head.Schema, q.Head.Plan, q.Head.Task, PartialSchema, p.ID, n)
	}
	for i, s := range p.Tasks[n].Shards {
		got, want := q.Head.Shards[i], headOf(p, s)
		if want.Zeros, want.Stuck = got.Zeros, got.Stuck; !reflect.DeepEqual(got, want) || got.Zeros > uint64(got.Hi-got.Lo) {
			return fault.New(fault.Input, "partial of task %d has %v; wanted %v", n, got, want)
		}
	}
	return nil
}

// fitsUnit is fits of a task that has all frames of a unit.
func (q *Partial) fitsUnit(p *plan.Plan, n, unit int) error {
	if q.Kind() != plan.MergedKind {
		return fault.New(fault.Input, "%q is a %s; wanted merged planes, since the task has all frames of the panel", plan.TaskFile("", n), q.Kind())
	}
	var got plan.MergedHead
	if err := q.File.Head(&got); err != nil {
		return err
	}
	h := headOf(p, p.Tasks[n].Shards[0])
	h.Zeros, h.Stuck = got.Zeros, got.Stuck
	want, err := json.Marshal(p.MergedHeadOf(unit, &plane.Set{Frames: h.frames(), Zeros: got.Zeros, Stuck: got.Stuck}))
	if err != nil {
		return fmt.Errorf("task: could not encode a head: %w", err)
	}
	if !bytes.Equal(q.RawHead(), want) || got.Zeros > uint64(h.Hi-h.Lo) {
		return fault.New(fault.Input, "partial of task %d has %s; wanted %s", n, q.RawHead(), want)
	}
	q.Head, q.whole = Head{Schema: PartialSchema, Plan: p.ID, Task: n, Shards: []ShardHead{h}}, true
	return nil
}

// Check verifies the partial of a task with all checksums; nil means complete and of this plan.
func Check(work string, p *plan.Plan, n int) error {
	if _, err := os.Stat(plan.TaskFile(work, n)); err != nil {
		return err
	}
	q, err := Open(work, p, n)
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Verify()
}

// Planes reads what the task made of a shard: planes of its pixels, or the series of its frames.
func (q *Partial) Planes(p *plan.Plan, shard int) (*plane.Set, error) {
	s := p.Shards[shard]
	elements := s.Hi - s.Lo
	switch {
	case p.Params.Charge():
		elements = -1
	case s.Stage == plan.StagePixels:
		rows, err := p.ShardRows(shard)
		if err != nil {
			return nil, err
		}
		elements = (rows.Hi - rows.Lo) * p.Panel(s.Unit).Cols
	}
	at := slices.Index(p.Tasks[q.Head.Task].Shards, shard)
	head := q.Head.Shards[at]
	prefix := shardPrefix(at)
	if q.whole {
		prefix = ""
	}
	set, err := plan.LoadPlanes(q.Reader, prefix, head.frames(), elements)
	if err == nil {
		set.Zeros, set.Stuck = head.Zeros, head.Stuck
	}
	return set, err
}

// Tiles begins to read the planes of a partial that has all frames of a unit, tile by tile, and returns its numbers of
// frames.
func (q *Partial) Tiles(p *plan.Plan, into *plan.PlaneTiles) (head *plane.Set, err error) {
	h := q.Head.Shards[0]
	unit, _ := p.Whole(q.Head.Task)
	head = &plane.Set{Frames: h.frames(), Zeros: h.Zeros, Stuck: h.Stuck}
	return head, into.Open(q.Reader, h.frames(), p.Pixels(unit))
}
