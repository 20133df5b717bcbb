package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/elog"
	"rawstatus/internal/io/filelock"
)

// Logbook is the part of [elog.Client] that is needed here.
type Logbook interface {
	RunParams(ctx context.Context, experiment string, run int, params map[string]any) error
	NewEntry(ctx context.Context, experiment string, e elog.Entry) (id string, err error)
	Entries(ctx context.Context, experiment string, run int) ([]elog.Found, error)
}

// Sender sends outcomes.
type Sender struct {
	Logbook   Logbook
	Policy    *access.Policy
	AttachMax int64            // a larger report is not attached
	Now       func() time.Time // nil: time.Now
}

// Late is how long a request may be on its way. An entry that nobody knows the fate of, and that the
// logbook does not have, is sent again after that time.
const Late = 5 * time.Minute

// lockWait is how long to wait for another process that posts the same outcome.
const lockWait = 2 * time.Minute

func (s *Sender) now() time.Time {
	if s.Now != nil {
		return s.Now().UTC()
	}
	return time.Now().UTC()
}

// Keep writes an outcome into its work directory, without sending it. The outcome that is there stays when
// it says the same; else the new one takes its place, as an answer to the entry of the old one.
func (s *Sender) Keep(ctx context.Context, work string, o *Outcome) (kept *Outcome, err error) {
	unlock, err := s.lock(ctx, work)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := Load(work)
	if err != nil {
		return nil, err
	}
	if old != nil && old.Token == o.Token {
		if !old.Unasked || o.Unasked {
			return old, nil
		}
		old.Unasked = false
		return old, old.save(work, s.Policy)
	}
	if old != nil {
		if !old.Complete() { // somebody waits for it
			o.Unasked = false
		}
		if o.Parent = old.Parent; old.part(EntryPart).State == Sent {
			o.Parent = old.part(EntryPart).ID
		}
	}
	return o, o.save(work, s.Policy)
}

func (s *Sender) lock(ctx context.Context, work string) (unlock func(), err error) {
	if err := s.Policy.MkdirAll(Dir(work)); err != nil {
		return nil, err
	}
	l, err := filelock.Acquire(ctx, Dir(work), lockWait, s.Policy)
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// Send sends what is missing of the outcome in a work directory. The parts after one that failed are not
// sent: "rawstatus" = "done" means that all is there. The error is of class fault.Unposted.
func (s *Sender) Send(ctx context.Context, work string) (*Outcome, error) {
	unlock, err := s.lock(ctx, work)
	if err != nil {
		return nil, err
	}
	defer unlock()
	o, err := Load(work)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fault.New(fault.Incomplete, "there is no outcome to post in %q", work).WithHint("make it with: rawstatus post --work %s", work)
	}
	if o.Unasked {
		return o, nil
	}
	for i := range o.Parts {
		p := &o.Parts[i]
		if p.State == Sent {
			continue
		}
		if err := s.sendPart(ctx, work, o, p); err != nil {
			p.Error = err.Error()
			if errSave := o.save(work, s.Policy); errSave != nil {
				return o, errSave
			}
			return o, fault.New(fault.Unposted, "%s was not posted for run %d of %s: %w", partTitles[p.Name], o.Run, o.Experiment, err).WithHint("%s", fault.HintOf(err))
		}
		p.State, p.Error = Sent, ""
		if err := o.save(work, s.Policy); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (s *Sender) sendPart(ctx context.Context, work string, o *Outcome, p *Part) error {
	switch p.Name {
	case ParamsPart:
		p.Tried = s.now()
		return s.Logbook.RunParams(ctx, o.Experiment, o.Run, o.Params)
	case StatePart:
		p.Tried = s.now()
		return s.Logbook.RunParams(ctx, o.Experiment, o.Run, map[string]any{"rawstatus": o.State})
	}
	if p.State != Waiting {
		found, err := s.arrived(ctx, o, p)
		if found || err != nil {
			return err
		}
	}
	entry, err := s.entry(o, p)
	if err != nil {
		return err
	}
	p.State, p.Tried = Sending, s.now()
	if err := o.save(work, s.Policy); err != nil {
		return err
	}
	p.ID, err = s.Logbook.NewEntry(ctx, o.Experiment, entry)
	switch {
	case errors.Is(err, elog.ErrUnknown):
		p.State = Unknown
	case err != nil:
		p.State = Waiting
	}
	return err
}

// arrived asks the logbook for an entry that may have arrived. Its absence proves nothing before Late has passed.
func (s *Sender) arrived(ctx context.Context, o *Outcome, p *Part) (bool, error) {
	entries, err := s.Logbook.Entries(ctx, o.Experiment, o.Run)
	if err != nil {
		return false, fmt.Errorf("could not find out whether the entry was made: %w", err)
	}
	for _, e := range entries {
		if strings.Contains(e.Content, o.line()) {
			p.ID = e.ID
			return true, nil
		}
	}
	if again := p.Tried.Add(Late); s.now().Before(again) {
		return false, fault.New(fault.Temporary, "whether the entry was made is not known, and it may still arrive").
			WithHint("after %s: rawstatus post --retry", again.Format(time.RFC3339))
	}
	return false, nil
}

// line returns the last line of the entry.
func (o *Outcome) line() string { return "rawstatus outcome " + o.Token }

// entry returns the message with its attachment. A report that cannot be attached is left out, which the part says.
func (s *Sender) entry(o *Outcome, p *Part) (elog.Entry, error) {
	e := elog.Entry{Run: o.Run, Title: o.Title, Tags: o.Tags, Parent: o.Parent}
	note := ""
	if o.Report != "" {
		page, err := os.ReadFile(o.Report)
		switch {
		case err != nil:
			p.Dropped = fmt.Sprintf("the report is not attached: %v", err)
		case int64(len(page)) > s.AttachMax:
			p.Dropped = fmt.Sprintf("the report is not attached: it has %d bytes, elog.attach_max is %d", len(page), s.AttachMax)
		default:
			p.Dropped = ""
			e.Files = []elog.File{{Name: "report.html", Kind: "text/html", Content: bytes.TrimSpace(page)}}
		}
		if p.Dropped != "" {
			note = paragraph(p.Dropped + "; it is " + o.Report)
		}
	}
	e.HTML = o.HTML + note + paragraph(o.line())
	return e, nil
}
