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

// What a record can be about.
const (
	ActionDeploy   = "deploy"
	ActionRollback = "rollback"
	ActionFound    = "found" // deployed by others, kept so that it can be restored
)

// Record is one deployment.
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

	// What, for which runs.
	Experiment string `json:"experiment,omitempty"`
	Run        int    `json:"run"`
	// RunTime is the begin of the run, in the time zone of the site.
	RunTime  time.Time `json:"run_time,omitzero"`
	Detector string    `json:"detector,omitempty"`
	CType    string    `json:"ctype,omitempty"`
	Range    Range     `json:"validity"`
	Name     string    `json:"name,omitempty"` // of the item

	// The content.
	Source   string `json:"source,omitempty"`         // file that it was copied from
	Content  string `json:"content_sha256,omitempty"` // bytes as deployed
	Array    string `json:"array_sha256,omitempty"`   // shape and values, whatever the header says
	Size     int64  `json:"size,omitempty"`
	Shape    []int  `json:"shape,omitempty"`
	Bad      int    `json:"bad_pixels"`
	Previous string `json:"previous_sha256,omitempty"` // content in force before, for Run; empty: nothing
	Restores string `json:"restores,omitempty"`        // id of the record that a rollback restores

	// Where it comes from.
	Key     string   `json:"key,omitempty"` // equal keys: the same deployment
	Inputs  []Input  `json:"inputs,omitempty"`
	Choices []string `json:"choices,omitempty"` // what the user said where the data were silent
	Forced  []string `json:"forced,omitempty"`  // gate rules overridden

	// Expect, if set, is the content that was in force for run ExpectRun when the deployment was planned
	// (empty: nothing). If it is another one now, what was weighed is not what would happen: the
	// deployment fails with ErrStale.
	Expect    *string `json:"-"`
	ExpectRun int     `json:"-"`

	// Progress in the place, for repair.
	History       string     `json:"history,omitempty"`        // line for the file HISTORY
	HistoryOffset int64      `json:"history_offset,omitempty"` // its length before
	Documents     []Document `json:"documents,omitempty"`
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

// Document is what a deployment has left in one database of the web service.
type Document struct {
	DB     string `json:"db"`
	DataID string `json:"data_id"`
	DocID  string `json:"doc_id"`
}

// Made tells whether the deployment has made an item of that name.
func (r *Record) Made(item string) bool {
	return r.Name == item || slices.ContainsFunc(r.Documents, func(d Document) bool { return d.DB+"/"+d.DocID == item })
}

// ErrStale says that another deployment came in between planning and deploying.
var ErrStale = errors.New("another deployment came in between")

// CheckFresh compares what is in force for ExpectRun with what the plan has seen.
func (r *Record) CheckFresh(inForce string) error {
	if r.Expect == nil || *r.Expect == inForce {
		return nil
	}
	return fault.New(fault.Temporary, "run %d uses other constants than when this deployment was planned: %w", r.ExpectRun, ErrStale).
		WithHint("run the same command again and look at the new plan")
}

// NewID makes an id that sorts by time.
func NewID(t time.Time) string {
	var b [4]byte
	// crypto/rand.Read never fails: it ends the program when the system has no randomness.
	rand.Read(b[:])
	return t.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(b[:])
}
