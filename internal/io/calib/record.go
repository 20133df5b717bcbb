package calib

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"rawstatus/internal/fault"
)

// State is how far a deployment has come.
type State string

// The states of a deployment.
const (
	Intent  State = "intent"
	Done    State = "done"
	Aborted State = "aborted"
)

// The actions of a record.
const (
	ActionDeploy   = "deploy"
	ActionRollback = "rollback"
)

// Record is one deployment or rollback.
type Record struct {
	ID     string `json:"id"`
	Action string `json:"action,omitempty"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // of an abort

	// Who, when, from where.
	Time    time.Time `json:"time"`
	Login   string    `json:"login,omitempty"`
	Host    string    `json:"host,omitempty"`
	Cwd     string    `json:"cwd,omitempty"`
	Command []string  `json:"command,omitempty"`
	Version string    `json:"version,omitempty"`
	Comment string    `json:"comment,omitempty"`

	// Content and runs.
	Experiment string `json:"experiment,omitempty"`
	Run        int    `json:"run"`
	// RunTime is the begin of the run, in the time zone of the site.
	RunTime  time.Time `json:"run_time,omitzero"`
	Detector string    `json:"detector,omitempty"`
	// Set is the entry of the set of types that a deployment belongs to. Parts, of such an entry, are its types.
	Set   string `json:"set,omitempty"`
	Parts []Part `json:"parts,omitempty"`
	CType string `json:"ctype,omitempty"`
	Range Range  `json:"validity"`
	Name  string `json:"name,omitempty"` // of the item that decides

	// The content.
	Source  string `json:"source,omitempty"`         // file that it was copied from
	Content string `json:"content_sha256,omitempty"` // bytes as deployed; empty: a rollback that takes away
	Array   string `json:"array_sha256,omitempty"`   // shape and values, whatever the header says
	Size    int64  `json:"size,omitempty"`
	Shape   []int  `json:"shape,omitempty"`
	Bad     int    `json:"bad_pixels"`

	// Undoes is the deployment that a rollback takes back, or Restores the one whose content it deploys again.
	Undoes   string `json:"undoes,omitempty"`
	Restores string `json:"restores,omitempty"`
	// Steps are the changes of the destination, in their order; Changes what they change for analysis.
	Steps   []Step   `json:"steps,omitempty"`
	Changes []Change `json:"changes,omitempty"`

	// Where it comes from.
	Key     string   `json:"key,omitempty"` // equal keys: the same deployment
	Inputs  []Input  `json:"inputs,omitempty"`
	Choices []string `json:"choices,omitempty"` // what the user said where the data were silent
	Forced  []string `json:"forced,omitempty"`  // gate rules overridden

	// Seen, if not nil, are the changes as the plan has shown them. If others would happen now, the
	// deployment fails with ErrStale.
	Seen []Change `json:"-"`

	// Progress in the destination, for repair.
	History       string `json:"history,omitempty"`        // line for the file HISTORY
	HistoryOffset int64  `json:"history_offset,omitempty"` // its length before
}

// Step is one change of a place: under a name one content takes the place of another.
type Step struct {
	DB   string `json:"db,omitempty"`      // database of the web service
	Name string `json:"name"`              // of the item; empty for a document that is not sent yet
	Data string `json:"data_id,omitempty"` // of the document's data
	Was  string `json:"was_sha256"`        // content before; empty: nothing
	Now  string `json:"content_sha256"`    // content after; empty: nothing

	done bool // it is there
}

// where names the step's target for people.
func (s Step) where() string {
	if s.DB != "" {
		return s.DB
	}
	return s.Name
}

// Held is the constant that a stretch of runs uses.
type Held struct {
	Name    string `json:"name"` // of the item; empty: nothing is in force
	Content string `json:"sha256,omitempty"`
}

// same reports whether two stand for the same content. One that is not known is known by its name.
func (h Held) same(o Held) bool {
	return h == o || h.Content != "" && h.Content == o.Content
}

// Change is a stretch of runs that used something else before.
type Change struct {
	Runs   Range `json:"runs"`
	Before Held  `json:"before"`
	After  Held  `json:"after,omitzero"` // of a rollback
}

// Input is a status file that went in, with what its sidecar says.
type Input struct {
	Path     string `json:"path"`
	SHA256   string `json:"sha256"`
	CType    string `json:"ctype"`
	Panel    string `json:"panel"`
	GainMode string `json:"gain_mode,omitempty"`
	PlanID   string `json:"plan_id,omitempty"`
	Version  string `json:"version,omitempty"`
}

// Made reports whether the deployment has left that content in an item of that name.
func (r *Record) Made(item, content string) bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Name == item && s.Now == content && content != "" })
}

// names returns the items that the record is about.
func (r *Record) names() []string {
	names := make([]string, len(r.Steps))
	for i, s := range r.Steps {
		names[i] = s.Name
	}
	return names
}

// Undone returns the rollback that has taken a deployment back, or nil.
func Undone(records []Record, id string) *Record {
	for _, r := range records {
		if r.State == Done && r.Undoes == id {
			return &r
		}
	}
	return nil
}

// ErrStale says that another deployment came in between planning and deploying.
var ErrStale = errors.New("another deployment came in between")

// checkFresh compares what a deployment would change now with what its plan has shown.
func checkFresh(seen, now []Change) error {
	if seen == nil || slices.Equal(seen, now) {
		return nil
	}
	what := "the runs that it changes"
	for i, c := range now {
		if i >= len(seen) || seen[i] != c {
			what = "runs " + c.Runs.Runs()
			break
		}
	}
	return fault.New(fault.Temporary, "%s use other constants than when this was planned: %w", what, ErrStale).
		WithHint("run the same command again and look at the new plan")
}

// NewID makes an id that sorts by time.
func NewID(t time.Time) string {
	var b [4]byte
	// crypto/rand.Read never fails: it ends the program when the system has no randomness.
	rand.Read(b[:])
	return t.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(b[:])
}
