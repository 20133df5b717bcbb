package calib

import (
	"context"
	"io"
)

// Place is where analysis finds the constants of one type of one detector: a directory of an experiment,
// or the databases behind a web service. Every implementation passes the suite in calibtest.
//
// Deploy may be called by any number of processes at once. It is old or new: whatever fails or is killed
// at whatever moment, analysis finds either the constant as it was before or the new one, complete.
type Place interface {
	// String names the place for people.
	String() string
	// Items lists what resolution sees, and notes about what it does not (malformed names).
	Items(ctx context.Context) (items []Item, notes []string, err error)
	// Target is the item that a deployment with that validity would make.
	Target(r Range) Item
	// Read gives the array of an item, whose SHA-256 over the bytes as stored is content.
	Read(ctx context.Context, item Item) (array *Array, content string, err error)
	// Deploy makes content the constant for the range of rec. It fills in what it knows: id, state,
	// time, login, host. When the same deployment (equal Key) is in force already, nothing is done and
	// unchanged is true. What an interrupted deployment has left is completed or undone first.
	Deploy(ctx context.Context, rec Record, content Content) (done Record, unchanged bool, err error)
	// Records gives the ledger, oldest first.
	Records(ctx context.Context) ([]Record, error)
	// Content gives what an earlier deployment has deployed, so that it can be deployed again.
	Content(ctx context.Context, rec Record) (Content, error)
	// Collect removes leftovers of interrupted writers and says how many.
	Collect(ctx context.Context) (removed int, err error)
}

// Array is a status array.
type Array struct {
	Shape  []int
	Values []uint64
}

// Content is what is to be deployed.
type Content struct {
	Path   string // file that holds it, for the record
	SHA256 string // of its bytes: what was planned is what is deployed
	Open   func() (io.ReadCloser, error)
	Array  *Array // the same as values, for places that do not store text
}
