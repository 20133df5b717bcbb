package post

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
)

// Schema is the version of outcome.json. 1: first.
const Schema = 1

// States of a job, the values of run parameter "rawstatus".
const (
	Done       = "done"
	Incomplete = "incomplete" // done, but of raw data that are not complete
	Failed     = "failed"
)

// Outcome is the message about a job, and how far its sending has come.
type Outcome struct {
	Schema     int            `json:"schema"`
	Token      string         `json:"token"` // names the outcome: a hash of all that is said
	Experiment string         `json:"experiment"`
	Run        int            `json:"run"`
	Detector   string         `json:"detector"`
	Plan       string         `json:"plan"`
	State      string         `json:"state"`
	Bad        int            `json:"bad_pixels"` // summed over the gain modes, as is Pixels
	Pixels     int            `json:"pixels"`
	Params     map[string]any `json:"params"` // run-table parameters: numbers or strings
	Title      string         `json:"title"`
	HTML       string         `json:"html"` // text of the entry, without its last line
	Tags       []string       `json:"tags"`
	Report     string         `json:"report,omitempty"`  // path of the page to attach
	Parent     string         `json:"parent,omitempty"`  // id of the entry about an earlier outcome of the job
	Unasked    bool           `json:"unasked,omitempty"` // kept for readers of this file: nobody has asked to post it
	Parts      []Part         `json:"parts"`             // in the order in which they are sent
}

// Part is one of the things to send.
type Part struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Tried   time.Time `json:"tried,omitzero"` // when it was sent last
	ID      string    `json:"id,omitempty"`   // of the entry that was made
	Error   string    `json:"error,omitempty"`
	Dropped string    `json:"dropped,omitempty"` // attachment that was left out, and why
}

// Names of the parts.
const (
	ParamsPart = "params"
	EntryPart  = "entry"
	StatePart  = "state"
)

// partTitles are the names of the parts for people.
var partTitles = map[string]string{ParamsPart: "the run table", EntryPart: "the logbook entry", StatePart: "the state in the run table"}

// States of a part.
const (
	Waiting = "waiting" // not sent, or refused for certain
	Sending = "sending" // a process sends it now, or died while it did: nobody knows whether it arrived
	Unknown = "unknown" // sent, without an answer
	Sent    = "sent"
)

// seal sets token and parts of the outcome.
func (o *Outcome) seal() error {
	o.Schema, o.Token, o.Parts, o.Unasked = Schema, "", nil, false
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("post: could not encode the outcome: %w", err)
	}
	sum := sha256.Sum256(text)
	o.Token = hex.EncodeToString(sum[:8])
	for _, name := range []string{ParamsPart, EntryPart, StatePart} {
		o.Parts = append(o.Parts, Part{Name: name, State: Waiting})
	}
	return nil
}

// Complete reports whether nothing is left to send.
func (o *Outcome) Complete() bool {
	return o.Unasked || !slices.ContainsFunc(o.Parts, func(p Part) bool { return p.State != Sent })
}

// part returns a part by its name.
func (o *Outcome) part(name string) *Part {
	return &o.Parts[slices.IndexFunc(o.Parts, func(p Part) bool { return p.Name == name })]
}

// Dir returns the folder of a work directory where its outcome is kept.
func Dir(work string) string { return filepath.Join(work, "post") }

// Path returns the file that holds the outcome of a work directory.
func Path(work string) string { return filepath.Join(Dir(work), "outcome.json") }

// Load reads the outcome of a work directory; nil when there is none.
func Load(work string) (*Outcome, error) {
	text, err := os.ReadFile(Path(work))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("could not read the outcome to post: %w", err)
	}
	var o Outcome
	if err := json.Unmarshal(text, &o); err != nil || o.Schema != Schema || !o.sound() {
		return nil, fault.New(fault.Input, "%s is not an outcome of schema %d (%v)", Path(work), Schema, cmp.Or(err, errors.New("unknown content"))).
			WithHint("remove it, then: rawstatus post --work %s", work)
	}
	return &o, nil
}

// sound reports whether the parts are those that this program knows.
func (o *Outcome) sound() bool {
	names := []string{}
	for _, p := range o.Parts {
		names = append(names, p.Name)
		if !slices.Contains([]string{Waiting, Sending, Unknown, Sent}, p.State) {
			return false
		}
	}
	return slices.Equal(names, []string{ParamsPart, EntryPart, StatePart})
}

// save writes the outcome durably.
func (o *Outcome) save(work string, policy *access.Policy) error {
	text, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return fmt.Errorf("post: could not encode the outcome: %w", err)
	}
	return atomicfile.WriteFile(Path(work), policy.File(), append(text, '\n'))
}
