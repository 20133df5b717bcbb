package calib

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"rawstatus/internal/fault"
)

// Store is where analysis finds the constants of one type of one detector: a directory of an experiment,
// or the databases behind a web service. It knows how constants are listed, read and put; what a
// deployment is, is the same for all stores and stands in [Destination].
//
// Begin, Put, Holds and End are called by the holder of the lock.
type Store interface {
	// String names the store for people: the address that is read, and the real names of what is there.
	String() string
	// Lock waits for other deployments and keeps them out. It removes what writers that are gone have
	// left, and returns how many files that were.
	Lock(ctx context.Context) (release func(), removed int, err error)

	// Items lists what resolution sees, and notes about what it does not see or cannot read.
	Items(ctx context.Context) (items []Item, notes []string, err error)
	// Sum returns the SHA-256 of an item's content; empty where only reading all of it would tell.
	Sum(ctx context.Context, item Item) (string, error)
	// Read returns the array of an item, and the SHA-256 of its bytes as stored.
	Read(ctx context.Context, item Item) (array *Array, content string, err error)
	// Kept returns the content of a record, also of one that is no longer in force.
	Kept(ctx context.Context, rec Record) (Content, error)

	// Target lists the items that a deployment with that validity would make; the first one decides.
	Target(r Range) []Item
	// Begin gets ready for a deployment: it fills in the steps and what the record has to say for this
	// store, makes sure that one may write, and keeps what is needed to undo or repeat it. It returns
	// the content in the form in which this store has it. Without a content the steps are given.
	Begin(ctx context.Context, rec *Record, content *Content) (*Content, error)
	// Put does a step. A nil content takes the item of the step away. It is old or new: whatever fails or
	// is killed at whatever moment, analysis finds the constant as it was before or the new one, complete.
	Put(ctx context.Context, rec *Record, step int, content *Content) error
	// Holds reports whether a step has been done, and fills in what is known of its outcome.
	Holds(ctx context.Context, rec *Record, step int) (bool, error)
	// End completes the store's own records and reads back what was put. It may be repeated.
	End(ctx context.Context, rec *Record) error
}

// RealType reports whether constants of a type are float32 numbers for analysis.
func RealType(ctype string) bool { return ctype == "pedestals" || ctype == "pixel_rms" }

// Content is an array to be deployed.
type Content struct {
	Path   string // file that holds it, for the record
	SHA256 string // of its bytes: what was planned is what is deployed
	Open   func() (io.ReadCloser, error)
	Array  *Array // the same as values, for stores that do not keep text
	// Raw: the bytes are those of Array, in memory, and SHA256 is its RawSum.
	Raw bool
	// Own: Open reads a file that this process has written and hashed, and that no other one can replace.
	Own bool
}

// RawContent returns the bytes of an array as a content; sum is its RawSum.
func RawContent(path string, a *Array, sum string) Content {
	return Content{Path: path, SHA256: sum, Array: a, Raw: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(a.Bytes()), nil }}
}

// Check reads the content and makes sure that what was planned is what is deployed. What is in memory
// or in a file of its own cannot have changed.
func (c Content) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil || c.Raw || c.Own {
		return err
	}
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != c.SHA256 {
		return fault.New(fault.Temporary, "the content read for deployment has SHA-256 %s, planned was %s", got, c.SHA256).
			WithHint("the merged file changed meanwhile: run the same command again")
	}
	return nil
}
