// Package plan decides who does what: it turns the index of a run and the parameters of a job into
// shards and tasks, and keeps the result in a work directory.
//
// A plan is a pure function of index, parameters and the number of tasks: the same input gives the
// same bytes. It is kept as two files of the work directory, plan.json for people and machines and
// index.pack with the extents of the planned detector.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"rawstatus/internal/io/frame"
)

// Schema is the version of plan.json. This program reads and writes version 1.
const Schema = 1

// Plan is the content of plan.json.
type Plan struct {
	Schema   int     `json:"schema"`
	ID       string  `json:"id"`    // SHA-256 of everything else here
	Input    string  `json:"input"` // SHA-256 of everything that decides the result: not shards, tasks, memory
	Software string  `json:"software"`
	Dataset  Dataset `json:"dataset"`
	Params   Params  `json:"params"`
	Groups   []Group `json:"groups"`
	Units    []Unit  `json:"units"`
	Shards   []Shard `json:"shards"`
	Tasks    []Task  `json:"tasks"`
	// Incomplete lists why the raw data are not complete; not empty only with Params.AllowIncomplete.
	Incomplete []string `json:"incomplete,omitempty"`
}

// Dataset is what the index said about the run and the planned detector.
type Dataset struct {
	Format   string        `json:"format"`
	Run      frame.Run     `json:"run"`
	Detector string        `json:"detector"`
	Type     string        `json:"type"`
	Panels   []frame.Panel `json:"panels"`
	Steps    []frame.Step  `json:"steps"`
	Files    []frame.File  `json:"files"`
	Events   int           `json:"events"` // of the run
	Notes    []string      `json:"notes,omitempty"`
	Index    string        `json:"index_sha256"` // of the extents
}

// Group is what one set of status constants is made from: all frames of one gain mode (profile data),
// or of one step (profile dark).
type Group struct {
	GainMode string `json:"gain_mode"` // "" when the detector has one gain or the data do not tell
	Steps    []int  `json:"steps"`     // numbers
}

// Unit is one panel in one group: one status file.
type Unit struct {
	Panel    int            `json:"panel"` // position in Dataset.Panels
	Group    int            `json:"group"` // position in Groups
	Expected int            `json:"expected"`
	Selected int            `json:"selected"` // usable frames that go in
	Lost     map[string]int `json:"lost,omitempty"`
}

// Shard is a contiguous part of a unit's selected frames.
type Shard struct {
	Unit int `json:"unit"` // position in Units
	Lo   int `json:"lo"`   // positions [Lo, Hi) among the unit's selected frames
	Hi   int `json:"hi"`
}

// Task is what one array element does.
type Task struct {
	Shards []int `json:"shards"`       // positions in Shards
	Bytes  int64 `json:"bytes"`        // of raw data it reads
	Memory int64 `json:"memory_bytes"` // it needs at most, mapped files not counted
}

// Params are the parameters of a job; everything that changes a result is here.
type Params struct {
	Profile string `json:"profile"`
	CType   string `json:"ctype"`
	// Events is the largest number of frames used per panel and group, 0 = all (dark: nrecs).
	Events int `json:"events"`
	// Skip leaves out that many events at the beginning of each step.
	Skip int `json:"skip"`
	// Steps selects steps by number; empty = all.
	Steps []int `json:"steps,omitempty"`
	// Segments selects panels by segment number; empty = all.
	Segments []int `json:"segments,omitempty"`
	// GateFrames is the number of leading frames that define the gates of profile dark (nrecs1).
	GateFrames int `json:"gate_frames"`

	DataBits uint16  `json:"databits"`
	IntLo    float64 `json:"int_lo"`
	IntHi    float64 `json:"int_hi"`
	IntNLo   float64 `json:"int_n_lo"`
	IntNHi   float64 `json:"int_n_hi"`
	RmsLo    float64 `json:"rms_lo"`
	RmsHi    float64 `json:"rms_hi"`
	RmsNLo   float64 `json:"rms_n_lo"`
	RmsNHi   float64 `json:"rms_n_hi"`
	FracLm   float64 `json:"fraclm"`
	FracLo   float64 `json:"fraclo"`
	FracHi   float64 `json:"frachi"`
	// LimitsPer is "detector" (limits over all panels together, as the original) or "panel".
	LimitsPer string `json:"limits_per"`

	MinFrames int     `json:"min_frames"`
	MaxLost   float64 `json:"max_lost"` // percent of a panel's events
	// AllowIncomplete takes what is there; the result carries the fact.
	AllowIncomplete bool `json:"allow_incomplete"`
}

// Pixels gives the number of pixels of a unit's panel.
func (p *Plan) Pixels(unit int) int { return p.Dataset.Panels[p.Units[unit].Panel].Pixels() }

// UnitName names a unit for messages, e.g. "jungfrau segment 3 g1".
func (p *Plan) UnitName(unit int) string {
	u := p.Units[unit]
	name := p.Dataset.Panels[u.Panel].String()
	if m := p.Groups[u.Group].GainMode; m != "" {
		name += " " + m
	}
	if p.Params.Profile == "dark" {
		name += fmt.Sprintf(" step %d", p.Groups[u.Group].Steps[0])
	}
	return name
}

// seal computes Input and ID.
func (p *Plan) seal() error {
	q := *p
	q.ID, q.Input, q.Shards, q.Tasks = "", "", nil, nil
	var err error
	if p.Input, err = digest(q); err != nil {
		return err
	}
	q = *p
	q.ID = ""
	p.ID, err = digest(q)
	return err
}

func digest(p Plan) (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("plan: could not encode: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Gated tells whether the profile counts only values inside gates made from the leading frames.
func (p Params) Gated() bool { return p.Profile == "dark" }
