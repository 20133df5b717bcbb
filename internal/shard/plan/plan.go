package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/stats/feature"
)

// Schema is the version of plan.json. This program reads and writes version 1.
const Schema = 1

// Plan is the content of plan.json.
type Plan struct {
	Schema   int     `json:"schema"`
	ID       string  `json:"id"`    // SHA-256 of Input, the index, the shards, and which tasks do them
	Input    string  `json:"input"` // SHA-256 of everything that decides the result
	Software string  `json:"software"`
	Dataset  Dataset `json:"dataset"`
	Params   Params  `json:"params"`
	Scan     *Scan   `json:"scan,omitempty"` // profile ci: what each step injects
	Groups   []Group `json:"groups"`
	Units    []Unit  `json:"units"`
	Shards   []Shard `json:"shards"`
	Tasks    []Task  `json:"tasks"`
	// Incomplete lists why the raw data are not complete; not empty only with Params.AllowIncomplete.
	Incomplete []string `json:"incomplete,omitempty"`
}

// Dataset holds the facts about the run and the planned detector, from the index.
type Dataset struct {
	Format   string        `json:"format"`
	Run      frame.Run     `json:"run"`
	Detector string        `json:"detector"`
	Aliases  []string      `json:"aliases,omitempty"` // names that people gave to the detector
	Type     string        `json:"type"`
	Panels   []frame.Panel `json:"panels"`
	Steps    []frame.Step  `json:"steps"`
	Files    []frame.File  `json:"files"`
	Events   int           `json:"events"` // of the run
	Notes    []string      `json:"notes,omitempty"`
	Index    string        `json:"index_sha256"`   // of index.pack
	Content  string        `json:"content_sha256"` // of the extents, predicted or not
}

// Group is the input of one set of status constants: all frames of one gain mode (profile data),
// or of one step (profile dark).
type Group struct {
	GainMode string  `json:"gain_mode"`           // "" when the detector has one gain or the data do not tell
	GainBits *uint16 `json:"gain_bits,omitempty"` // of its words; nil: not known, or there are none
	Steps    []int   `json:"steps"`               // numbers
}

// has reports whether pixels are of the group.
func (g Group) has(p frame.GainPart) bool {
	return g.GainMode == p.Mode && (g.GainMode != "" || sameBits(g.GainBits, p.Bits))
}

func sameBits(a, b *uint16) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// partsOf returns the pixels of a panel in a step by gain mode: one part where nothing is known.
func partsOf(s *frame.Step, panel int) []frame.GainPart {
	if s != nil {
		if g := s.Gain(panel); len(g.Parts) > 0 {
			return g.Parts
		}
	}
	return []frame.GainPart{{}}
}

// part returns the pixels of a panel that are of the group in a step.
func (g Group) part(s *frame.Step, panel int) (p frame.GainPart, ok bool) {
	for _, p := range partsOf(s, panel) {
		if g.has(p) {
			return p, true
		}
	}
	return p, false
}

// GainMap returns the gain modes among which a gain map divides the pixels of a unit's panel, nil without a map.
func (p *Plan) GainMap(unit int) (modes []string) {
	u := p.Units[unit]
	for _, number := range p.Groups[u.Group].Steps {
		s := p.step(int32(number))
		if s == nil || s.Gain(u.Panel).Map == 0 {
			continue
		}
		for _, part := range partsOf(s, u.Panel) {
			if part.Mode != "" && !slices.Contains(modes, part.Mode) {
				modes = append(modes, part.Mode)
			}
		}
	}
	return modes
}

// Unit is one panel in one group: one status file.
type Unit struct {
	Panel    int            `json:"panel"` // position in Dataset.Panels
	Group    int            `json:"group"` // position in Groups
	Expected int            `json:"expected"`
	Selected int            `json:"selected"` // usable frames that go in
	Usable   int            `json:"usable"`   // frames that would go in if all steps and events were selected
	Lost     map[string]int `json:"lost,omitempty"`
	Gates    string         `json:"gates_sha256,omitempty"` // of the gates of an earlier job
	Steps    []int          `json:"step_frames,omitempty"`  // profile ci: usable frames of each step of Plan.Scan
}

// Stage is the kind of result that the shards of a task produce. Tasks of a stage need nothing of each other; those of a
// later stage need the verified partials of the earlier one, and make what is missing of them.
type Stage string

// The stages, in their order.
const (
	// StageFrames makes one number per frame (feature 1), from which the good frames are picked.
	StageFrames Stage = "frames"
	// StagePixels makes planes.
	StagePixels Stage = "pixels"
)

// Shard is a part of a unit: of its frames, or for windowed features (6) of its rows.
type Shard struct {
	Stage Stage `json:"stage"`
	Unit  int   `json:"unit"` // position in Units
	Lo    int   `json:"lo"`   // positions [Lo, Hi) among the unit's frames
	Hi    int   `json:"hi"`
	// BandLo and BandHi are rows of windows [BandLo, BandHi) of feature 6; both 0: the whole panel.
	BandLo int `json:"band_lo,omitempty"`
	BandHi int `json:"band_hi,omitempty"`
	// ScanStep is the position in Scan.Steps of the step that a shard of profile ci counts.
	ScanStep int `json:"scan_step,omitempty"`
}

// Task is the work of one array element.
type Task struct {
	Stage  Stage `json:"stage"`
	Shards []int `json:"shards"`       // positions in Shards
	Bytes  int64 `json:"bytes"`        // of raw data it reads
	Memory int64 `json:"memory_bytes"` // it needs at most, mapped file pages not counted
}

// StageOf returns the position of a task's stage.
func (p *Plan) StageOf(task int) int {
	if p.Tasks[task].Stage == StagePixels {
		return 1
	}
	return 0
}

// Pixels returns the number of pixels of a unit's panel.
func (p *Plan) Pixels(unit int) int { return p.Panel(unit).Pixels() }

// Panel returns a unit's panel.
func (p *Plan) Panel(unit int) frame.Panel { return p.Dataset.Panels[p.Units[unit].Panel] }

// step returns the step with that number, or nil.
func (p *Plan) step(number int32) *frame.Step {
	for i := range p.Dataset.Steps {
		if s := &p.Dataset.Steps[i]; s.Number == int(number) {
			return s
		}
	}
	return nil
}

// UnitName names a unit for messages, e.g. "jungfrau segment 3 g1".
func (p *Plan) UnitName(unit int) string {
	u := p.Units[unit]
	name := p.Dataset.Panels[u.Panel].String()
	if m := p.Groups[u.Group].GainMode; m != "" {
		name += " " + m
	}
	if p.Params.Gated() {
		name += fmt.Sprintf(" step %d", p.Groups[u.Group].Steps[0])
	}
	return name
}

// seal computes Input and ID. Notes are in neither, nor is what a task needs: bytes, memory.
func (p *Plan) seal() error {
	// The plan becomes what it will be when it is read back: JSON has no text but UTF-8.
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("plan: could not encode: %w", err)
	}
	*p = Plan{}
	if err := json.Unmarshal(b, p); err != nil {
		return fmt.Errorf("plan: could not read back: %w", err)
	}
	q := *p
	q.ID, q.Input, q.Shards, q.Tasks, q.Dataset.Index, q.Dataset.Notes, q.Dataset.Aliases = "", "", nil, nil, "", nil, nil
	q.Params.GatesFrom = "" // the units have the hashes of the gates
	if p.Input, err = digest(q); err != nil {
		return err
	}
	cut := struct {
		Input, Index string
		Shards       []Shard
		Tasks        [][]int
	}{p.Input, p.Dataset.Index, p.Shards, nil}
	for _, t := range p.Tasks {
		cut.Tasks = append(cut.Tasks, t.Shards)
	}
	p.ID, err = digest(cut)
	return err
}

func digest(of any) (string, error) {
	b, err := json.Marshal(of)
	if err != nil {
		return "", fmt.Errorf("plan: could not encode: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// ShardRows returns the rows of the panel that a shard of stage pixels has planes for.
func (p *Plan) ShardRows(shard int) (feature.Span, error) {
	s := p.Shards[shard]
	if s.BandHi == 0 {
		return feature.Span{Lo: 0, Hi: p.Panel(s.Unit).Rows}, nil
	}
	f, err := p.Params.Flatness(p.Panel(s.Unit))
	if err != nil {
		return feature.Span{}, err
	}
	bands := f.Bands()
	return feature.Span{Lo: bands[s.BandLo].Keep.Lo, Hi: bands[s.BandHi-1].Keep.Hi}, nil
}
