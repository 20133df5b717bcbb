package campaign

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"rawstatus/internal/fault"
	"rawstatus/internal/shard/slurm"
)

// deployID identifies the deployment of an item's results: what, and where to.
func (c *Campaign) deployID(s *State) string {
	b, err := json.Marshal([]any{c.ID, s.Item, s.plan.ID, c.Request.Deploy})
	if err != nil {
		panic("campaign: a deployment does not encode: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// deployment finds the state of an item that is reduced and to be deployed, from the word that its deployment has left.
func (c *Campaign) deployment(s *State, parts []part, retry bool) error {
	tries := 0
	var last *part
	for i := range parts {
		p := &parts[i]
		if p.piece.Deploy == "" || p.piece.Plan != s.plan.ID {
			continue
		}
		tries++
		last = p
		if p.element != nil && p.element.Held() {
			s.State, s.Reason = Held, heldReason(p.element)
			return nil
		}
		if p.active {
			s.State = Running
			return nil
		}
	}
	d, err := slurm.LoadDeployment(c.Work(s.Key), s.plan, c.deployID(s))
	switch {
	case err != nil:
		return err
	case d != nil && d.Code == int(fault.OK):
		return nil
	}
	s.State = Reduced
	if d != nil {
		s.Reason = d.Error
	}
	if retry || last == nil {
		return nil
	}
	v := slurm.Diagnose(last.element)
	switch {
	case d != nil && d.Code != int(fault.Temporary) && d.Code != int(fault.Busy) && d.Code != int(fault.Interrupted):
		s.State = Failed
	case d == nil && v.Action == slurm.Hold:
		s.State, s.Reason = Failed, "deployment: "+v.Reason
	case tries >= c.Request.MaxAttempts:
		s.State, s.Reason = Failed, fmt.Sprintf("deployment given up after %s: %s", fault.Count(tries, "attempt"), cmp.Or(s.Reason, last.outcome.Error, v.Reason))
	}
	return nil
}

func heldReason(e *slurm.Element) string {
	return fmt.Sprintf("%s; remove the cause, then: scontrol release %d_%d", e.State, e.Job, e.Index)
}

// deployable returns what can be deployed now, for each detector in the order of runs: a run waits until all before it
// are reduced or have failed for good, so that each is weighed against the one before, whatever is computed first.
func (c *Campaign) deployable(v *View) (list [][]*State) {
	series := map[string][]*State{}
	var names []string
	for _, s := range v.Items {
		name := s.Experiment + "\x00" + s.Detector
		if series[name] == nil {
			names = append(names, name)
		}
		series[name] = append(series[name], s)
	}
	for _, name := range names {
		slices.SortStableFunc(series[name], func(a, b *State) int { return a.Run - b.Run })
		var ready, ofRun []*State
		for i, s := range series[name] {
			if s.State == Reduced {
				ofRun = append(ofRun, s)
			} else if s.State != Done && s.State != Failed && s.State != Held {
				ofRun = nil
				break
			}
			if i+1 == len(series[name]) || series[name][i+1].Run != s.Run {
				ready, ofRun = append(ready, ofRun...), nil
			}
		}
		if len(ready) > 0 {
			list = append(list, ready)
		}
	}
	return list
}

// deployWords are the words of mergedeploy for an item.
func (c *Campaign) deployWords(w *Wave, p Piece) []string {
	words := []string{"deploy"}
	if partials, err := c.plan(p.Key); err == nil && partials != nil {
		d := partials.Plan.Dataset
		words = append(words, "--exp", d.Run.Experiment, "--run", strconv.Itoa(d.Run.Number), "--det", d.Detector, "--dir", filepath.Dir(d.Files[0].Path))
	}
	words = append(words, w.Deploy...)
	return append(words, "--job-of", c.Work(p.Key), "--plan", p.Plan, "--request", p.Deploy)
}
