package slurm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/shard/plan"
)

// Deployment is the word that the deployment of a request leaves: what it did, or why not.
type Deployment struct {
	Code   int       `json:"exit_code"`
	Error  string    `json:"error,omitempty"`
	Hint   string    `json:"hint,omitempty"`
	Record string    `json:"record,omitempty"` // id in the ledger; empty: only merged
	Place  string    `json:"place,omitempty"`
	Time   time.Time `json:"time"`
}

func deploymentPath(work, request string) string {
	return filepath.Join(RequestDir(work, request), "deployment.json")
}

// LoadDeployment reads the word of a deployment, nil when there is none.
func LoadDeployment(work, request string) (*Deployment, error) {
	var d Deployment
	err := ReadRecord(deploymentPath(work, request), &d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &d, err
}

// ForgetDeployment removes the word of an earlier submission of the same request, which is to be deployed again.
func (q *Queue) ForgetDeployment() error {
	q.Complete()
	err := os.Remove(deploymentPath(q.Dir, q.Request.ID()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Piece is the purpose of a job: the plan and the request that it was submitted for.
type Piece struct {
	Work, Plan, Request string
}

// Admit returns the plan in the work directory when the piece may work: the plan and the request are still those that
// its job was submitted for, and no person has cancelled it. A piece without plan is one that a person starts by hand.
func (j Piece) Admit() (*plan.Plan, error) {
	p, err := plan.Load(j.Work)
	if err != nil || j.Plan == "" {
		return p, err
	}
	attempts, err := LoadAttempts(j.Work)
	if err != nil {
		return nil, err
	}
	return p, j.admit(p, attempts)
}

func (j Piece) admit(p *plan.Plan, attempts []*Attempt) error {
	if p.ID != j.Plan {
		return fault.New(fault.Usage, "%q holds plan %.12s now, and this job was submitted for plan %.12s: nothing is done", j.Work, p.ID, j.Plan).
			WithHint("see what is at work with: rawstatus status %s", Quote(j.Work))
	}
	if j.Request == "" {
		return nil
	}
	if len(attempts) == 0 {
		return nil // an item of a campaign, whose elements are admitted by its journal
	}
	switch last := attempts[len(attempts)-1]; {
	case last.Request != j.Request:
		return fault.New(fault.Usage, "%q works for request %.12s now, and this job was submitted for request %.12s: nothing is done", j.Work, last.Request, j.Request).
			WithHint("see what is at work with: rawstatus status %s", Quote(j.Work))
	case last.Cancelled != "":
		return fault.New(fault.Usage, "the jobs of %q were cancelled by %s: nothing is done", j.Work, last.Cancelled).
			WithHint("go on with: rawstatus rerun --work %s", Quote(j.Work))
	}
	return nil
}

// Deployed leaves word of the deployment of the piece's request.
func (j Piece) Deployed(d Deployment) error {
	if err := atomicfile.MkdirAll(RequestDir(j.Work, j.Request), 0o2775, nil); err != nil {
		return err
	}
	return WriteRecord(deploymentPath(j.Work, j.Request), d, false)
}
