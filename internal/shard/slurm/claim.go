package slurm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// Claim says who submits a set of jobs, so that others can tell whether the submitter is still at it.
type Claim struct {
	Submitted time.Time `json:"submitted"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Complete  bool      `json:"complete"` // all jobs are submitted, or the submission has failed
	Error     string    `json:"error,omitempty"`
}

// NewClaim makes the claim of this process.
func NewClaim() (Claim, error) {
	host, err := os.Hostname()
	if err != nil {
		return Claim{}, fmt.Errorf("slurm: could not tell the name of this machine: %w", err)
	}
	return Claim{Submitted: time.Now().UTC().Truncate(time.Second), Host: host, PID: os.Getpid()}, nil
}

// abandonedAfter is longer than submitting takes when every command takes as long as it may.
const abandonedAfter = 20 * time.Minute

// Abandoned tells that the submitter is gone before it submitted everything.
func (c *Claim) Abandoned() bool {
	if c.Complete {
		return false
	}
	if host, err := os.Hostname(); err == nil && host == c.Host {
		_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(c.PID)))
		return err != nil
	}
	return time.Since(c.Submitted) > abandonedAfter
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
