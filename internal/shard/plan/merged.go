package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/pack"
	"rawstatus/internal/stats/plane"
)

// MergedSchema is the version of a merged file's head and arrays.
const MergedSchema = 3

// MergedKind is the pack kind of merged files.
const MergedKind = "merged"

// MergedHead is the head of a merged file: all planes of one panel in one group. It does not name the
// plan, so its bytes do not depend on how the work was cut: where one task has all frames of a unit its partial is this
// file. Arrays are named as the planes, their attr
// is the plane.Op; with feature 1 the series of frame medians is there, too.
type MergedHead struct {
	Schema   int         `json:"schema"`
	Input    string      `json:"input"` // Plan.Input
	Panel    frame.Panel `json:"panel"`
	Slice    []int       `json:"slice,omitempty"`
	GainMode string      `json:"gain_mode,omitempty"`
	Steps    []int       `json:"steps"`
	Frames   uint64      `json:"frames"`
	Zeros    uint64      `json:"zeros,omitempty"` // frames of nothing but zeros, which were left out
	Stuck    uint64      `json:"stuck,omitempty"` // frames that are equal to the one before
}

// MergedHeadOf returns the head of a unit's merged file.
func (p *Plan) MergedHeadOf(unit int, set *plane.Set) MergedHead {
	g := p.Groups[p.Units[unit].Group]
	return MergedHead{Schema: MergedSchema, Input: p.Input, Panel: p.Panel(unit), Slice: p.Params.Slice, GainMode: g.GainMode, Steps: g.Steps, Frames: set.Frames,
		Zeros: set.Zeros, Stuck: set.Stuck}
}

// Whole reports whether a task counts all frames of one unit and nothing else, and which unit that is. Its partial has
// the form of a merged file: nothing is left to merge.
func (p *Plan) Whole(task int) (unit int, ok bool) {
	t := p.Tasks[task]
	if len(t.Shards) != 1 || t.Stage != StagePixels || p.Params.Charge() || p.Params.Has(1) {
		return 0, false
	}
	s := p.Shards[t.Shards[0]]
	return s.Unit, s.Lo == 0 && s.Hi == p.Params.Sequence(p.Units[s.Unit].Selected).Accumulate && s.BandHi == 0
}

// Gates returns the gates that an earlier job has left for a unit, and the SHA-256 of their values. They must
// be of the same pixels in the same gain mode.
func (p *Plan) Gates(unit int) (lo, hi []uint16, sum string, err error) {
	if p.Params.GatesFrom == "" {
		return nil, nil, "", fault.New(fault.Usage, "gate-frames 0 takes the gates of an earlier job").WithHint("name its work directory with --gates-from")
	}
	path := p.MergedFile(p.Params.GatesFrom, unit)
	f, err := pack.Open(path)
	if err != nil {
		return nil, nil, "", fault.New(fault.Input, "no gates of an earlier job: %w", err).WithHint("is --gates-from the work directory of a reduced dark job of this detector?")
	}
	defer f.Close()
	var head MergedHead
	if err := f.Head(&head); err != nil {
		return nil, nil, "", err
	}
	want := p.MergedHeadOf(unit, &plane.Set{})
	same := f.Kind() == MergedKind && head.Schema == want.Schema && samePixels(head.Panel, want.Panel) && slices.Equal(head.Slice, want.Slice)
	if !same || head.GainMode != want.GainMode {
		return nil, nil, "", fault.New(fault.Input, "gates %q are of %s (panel %q, %d x %s, gain mode %q), wanted are those of %s (panel %q, %d x %s, gain mode %q)",
			path, head.Panel, head.Panel.ID, head.Panel.Rows, fault.Count(head.Panel.Cols, "pixel"), head.GainMode, want.Panel, want.Panel.ID, want.Panel.Rows, fault.Count(want.Panel.Cols, "pixel"), want.GainMode).
			WithHint("--gates-from wants the work directory of a dark job of this detector")
	}
	set, err := LoadPlanes(f.Reader, "", head.Frames, -1)
	if err != nil {
		return nil, nil, "", err
	}
	if lo, err = plane.Get[uint16](set, plane.GateLo); err != nil {
		return nil, nil, "", err
	}
	if hi, err = plane.Get[uint16](set, plane.GateHi); err != nil {
		return nil, nil, "", err
	}
	if n := p.Pixels(unit); len(lo) != n || len(hi) != n {
		return nil, nil, "", fault.New(fault.Input, "gates %q have %d and %s, the panel %d", path, len(lo), fault.Count(len(hi), "pixel"), n)
	}
	h := sha256.New()
	var b []byte
	for _, gate := range [][]uint16{lo, hi} {
		b = b[:0]
		for _, v := range gate {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		h.Write(b)
	}
	return lo, hi, hex.EncodeToString(h.Sum(nil)), nil
}

// samePixels reports whether two panels are the same piece of hardware, read in the same way.
func samePixels(a, b frame.Panel) bool {
	return a.Detector == b.Detector && a.Type == b.Type && a.Segment == b.Segment && a.Sub == b.Sub && a.ID == b.ID && a.Rows == b.Rows && a.Cols == b.Cols
}

// takeGates notes the hashes of the gates that an earlier job has left.
func (p *Plan) takeGates() error {
	for i := range p.Units {
		u := &p.Units[i]
		if u.Selected == 0 || !p.Params.Sequence(u.Selected).GatesGiven {
			continue
		}
		var err error
		if _, _, u.Gates, err = p.Gates(i); err != nil {
			return fmt.Errorf("%s: %w", p.UnitName(i), err)
		}
	}
	return nil
}
