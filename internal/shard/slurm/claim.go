package slurm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/filelock"
)

// Claim is the head of the record of a set of jobs. Records are written by the holder of the lock of their directory
// alone, so one that is not complete while nobody holds the lock was left by a submitter that is gone.
type Claim struct {
	Submitted time.Time `json:"submitted"`
	By        string    `json:"by"`
	Complete  bool      `json:"complete"` // all jobs are submitted, or the submission has failed
	Error     string    `json:"error,omitempty"`
}

// NewClaim makes the claim of this process.
func (c *Client) NewClaim() Claim {
	return Claim{Submitted: c.system.Now().UTC().Truncate(time.Second), By: access.Login() + "@" + access.Host()}
}

// Unfinished reports whether the submitter has not submitted everything.
func (c *Claim) Unfinished() bool { return !c.Complete }

// Lock lets one process at a time submit and cancel the jobs of a work directory or campaign: it is given back when
// that process ends in whatever way, on whatever machine. wait is how long the holder may take.
func Lock(ctx context.Context, dir string, wait time.Duration) (unlock func(), err error) {
	dir = filepath.Join(dir, "slurm")
	if err := atomicfile.MkdirAll(dir, 0o2775, nil); err != nil {
		return nil, err
	}
	l, err := filelock.Acquire(ctx, dir, wait, &access.Policy{DirMode: 0o2775, FileMode: 0o664})
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// How long the lock is waited for: by people, and by jobs, whose submitter may be waiting for Slurm's controller.
const (
	PersonWaits = 30 * time.Second
	JobWaits    = 20 * time.Minute
)

// Locked reports whether somebody submits or cancels jobs of a work directory or campaign right now.
func Locked(ctx context.Context, dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "slurm", filelock.Name)); err != nil {
		return false
	}
	unlock, err := Lock(ctx, dir, 0)
	if err == nil {
		unlock()
	}
	return fault.CodeOf(err) == fault.Busy
}

// SubmitOnce submits a job unless its id is already known, and has the id stored. With adopt it looks first for a job of
// this name, which an earlier submitter may have submitted and not stored.
func (c *Client) SubmitOnce(ctx context.Context, id *int, j Job, adopt bool, store func() error) error {
	if *id != 0 {
		return nil
	}
	if adopt {
		ids, err := c.Named(ctx, j.Name)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			*id = slices.Max(ids)
			return store()
		}
	}
	n, err := c.Submit(ctx, j)
	var ce *CommandError
	if len(j.Resources.Exclude) > 0 && errors.As(err, &ce) && strings.Contains(ce.Stderr, noNode) {
		j.Resources.Exclude = nil // a node that failed is better than none
		n, err = c.Submit(ctx, j)
	}
	if err != nil {
		return err
	}
	*id = n
	return store()
}

// recordMode keeps records from being changed by others: they say what jobs run.
const recordMode = 0o644

// WriteRecord stores a value as JSON; exclusive: only if there is no such file, else the error is fs.ErrExist.
func WriteRecord(path string, v any, exclusive bool) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("slurm: could not encode %s: %w", path, err)
	}
	return atomicfile.WriteFile(path, atomicfile.Options{Mode: recordMode, Exclusive: exclusive}, append(b, '\n'))
}

// WriteText stores a text that is executed, or decides what is.
func WriteText(path, text string) error {
	return atomicfile.WriteFile(path, atomicfile.Options{Mode: recordMode}, []byte(text))
}

// ReadRecord reads what WriteRecord stored.
func ReadRecord(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fault.New(fault.Input, "%s is damaged: %w", path, err).WithHint("remove it and submit again")
	}
	return nil
}
