package slurm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	scripts "rawstatus/jobs/slurm"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/job"
)

// recordSchema is the version of the records of a queue.
const recordSchema = 3

// Request is a person's request at submission: all that decides the work of the jobs and where results go. It does not
// change; another request has another id, and jobs of one do nothing for another.
type Request struct {
	Schema      int           `json:"schema"`
	Plan        string        `json:"plan,omitempty"` // of the one run; items of a campaign have their own
	Work        string        `json:"work"`
	Task        Resources     `json:"task"`
	Reduce      Resources     `json:"reduce"`
	Throttle    int           `json:"throttle"`     // tasks that run at a time, 0 = no limit
	MaxAttempts int           `json:"max_attempts"` // automatic ones
	MaxMemMB    int64         `json:"max_mem_mb"`   // memory is not raised beyond this, 0 = no limit
	MaxTime     time.Duration `json:"max_time"`
	SiteLines   []string      `json:"site_lines,omitempty"` // of the job scripts
	Program     string        `json:"-"`                    // path of rawstatus: this program, never one that a file names
	Results     job.Results   `json:"results"`
	Deploy      []string      `json:"deploy,omitempty"`  // words of mergedeploy; empty: no such job
	Waiting     string        `json:"waiting,omitempty"` // command that deploys, for a person who may; empty: none waits
	Post        bool          `json:"post,omitempty"`    // the logbook is told how it went
	Notify      bool          `json:"notify,omitempty"`  // and the hook of the site
	// Variables that jobs need of the submission's environment are kept here, since they may run without it: the table of progress,
	// and the settings in force as a site file.
	Counters string `json:"counters,omitempty"`
	Site     string `json:"site,omitempty"`
	// Unset are variables that would override settings.
	Unset []string `json:"unset,omitempty"`
}

// ID identifies the request by its content.
func (r *Request) ID() string { return hash("request", r) }

// hash identifies a value by its content.
func hash(what string, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("slurm: a " + what + " does not encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// told reports whether somebody wants to hear of the end of the jobs.
func (r *Request) told() bool { return r.Post || r.Notify }

// Lines returns the lines of the request in job scripts; site is where its settings are.
func (r *Request) Lines(site string) []string {
	if r.Site == "" {
		return r.SiteLines
	}
	return append(slices.Clone(r.SiteLines), "unset "+strings.Join(r.Unset, " "), "export RAWSTATUS_SITE="+Quote(site))
}

// RequestDir returns where a request is kept with its job scripts, the settings of its jobs and what came of its deployment.
func RequestDir(dir, id string) string { return filepath.Join(dir, "slurm", id[:12]) }

func requestPath(dir, id string) string { return filepath.Join(RequestDir(dir, id), "request.json") }

func sitePath(dir, id string) string { return filepath.Join(RequestDir(dir, id), "site.toml") }

func logDir(dir string) string { return filepath.Join(dir, "slurm", "log") }

// Self returns the path of this program, which jobs run.
func Self() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("could not find the path of this program: %w", err)
	}
	return self, nil
}

// loadRequest reads a request that was submitted from a directory.
func loadRequest(dir, id string) (r Request, err error) {
	path := requestPath(dir, id)
	if err := ReadRecord(path, &r); err != nil {
		return r, err
	}
	if r.Schema != recordSchema {
		return r, fault.New(fault.Input, "%s has schema %d, this program reads %d", path, r.Schema, recordSchema).
			WithHint("use the version of rawstatus that submitted the jobs")
	}
	r.Program, err = Self()
	return r, err
}

// SaveRequest stores the request of the queue with its settings and job scripts, which jobs run.
func (q *Queue) SaveRequest() error {
	q.Complete()
	id := q.Request.ID()
	// The lines of the scripts come from these files, after the first submission.
	if err := errors.Join(access.Trusted(recordPath(q.Dir)), access.Trusted(requestPath(q.Dir, id)), access.Trusted(sitePath(q.Dir, id))); err != nil {
		return err
	}
	for _, dir := range []string{logDir(q.Dir), RequestDir(q.Dir, id)} {
		if err := atomicfile.MkdirAll(dir, 0o2775, nil); err != nil {
			return err
		}
	}
	if err := writeText(sitePath(q.Dir, id), q.Request.Site); err != nil {
		return err
	}
	if err := WriteRecord(requestPath(q.Dir, id), &q.Request, false); err != nil {
		return err
	}
	texts, err := q.Scripts()
	if err != nil {
		return err
	}
	for name, text := range texts {
		if err := atomicfile.WriteFile(filepath.Join(RequestDir(q.Dir, id), name), atomicfile.Options{Mode: 0o755}, text); err != nil {
			return err
		}
	}
	return nil
}

// Scripts returns the job scripts as they are submitted, by file name.
func (q *Queue) Scripts() (map[string][]byte, error) {
	names := []string{scripts.Repair}
	if q.packed() {
		names = append(names, scripts.Element)
	} else {
		names = append(names, scripts.Array, scripts.Reduce)
		if len(q.Request.Deploy) > 0 {
			names = append(names, scripts.Deploy)
		}
		if q.Request.told() {
			names = append(names, scripts.Post)
		}
	}
	lines := q.Request.Lines(sitePath(q.Dir, q.Request.ID()))
	out := map[string][]byte{}
	for _, name := range names {
		program := q.Request.Program
		if name == scripts.Deploy {
			program = filepath.Join(filepath.Dir(program), "mergedeploy")
		}
		text, err := scripts.Render(name, Quote(program), lines)
		if err != nil {
			return nil, fmt.Errorf("slurm: could not make %s: %w", name, err)
		}
		out[name] = text
	}
	return out, nil
}
