package explain

import (
	"fmt"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// States of a pixel in a run.
const (
	Good     = "good"
	Bad      = "bad"
	Unjudged = "unjudged"
)

// Event is a pixel in one run.
type Event struct {
	Experiment string `json:"experiment"`
	Run        int    `json:"run"`
	Stamp      string `json:"timestamp"`
	Word       uint64 `json:"status"`
	Names      string `json:"names"`
	State      string `json:"state"`

	file   string
	family status.Family
}

// String names the run.
func (e Event) String() string { return fmt.Sprintf("run %d of %s", e.Run, e.Experiment) }

// History is a pixel in all runs of one type of constants and gain mode, by time.
type History struct {
	CType    string  `json:"ctype"`
	GainMode string  `json:"gain_mode,omitempty"`
	Runs     []Event `json:"runs"`
	Good     int     `json:"good_runs"`
	Bad      int     `json:"bad_runs"`
	Unjudged int     `json:"unjudged_runs"`
	Changes  int     `json:"changes"` // from good to bad or back, between judged runs
	// Since is the first run of the stretch of bad runs that reaches to the youngest judged one; nil: it is not bad there.
	Since *Event `json:"bad_since,omitempty"`
	// First is the first bad run of all, Healed the first good one after the last bad one.
	First  *Event `json:"first_bad,omitempty"`
	Healed *Event `json:"good_since,omitempty"`
}

// Add appends a run and keeps the summary. Runs come in the order of time.
func (h *History) Add(e Event) {
	var last *Event // judged
	for i := range h.Runs {
		if h.Runs[i].State != Unjudged {
			last = &h.Runs[i]
		}
	}
	switch e.State {
	case Unjudged:
		h.Unjudged++
	case Bad:
		h.Bad++
		if h.Since == nil {
			h.Since = &e
		}
		if h.First == nil {
			h.First = &e
		}
		h.Healed = nil
	case Good:
		h.Good++
		if h.Since != nil {
			h.Since, h.Healed = nil, &e
		}
	}
	if last != nil && e.State != Unjudged && last.State != e.State {
		h.Changes++
	}
	h.Runs = append(h.Runs, e)
}

// Sentence returns the history in one line.
func (h *History) Sentence() string {
	judged := h.Good + h.Bad
	var s string
	switch {
	case judged == 0:
		return fmt.Sprintf("judged in none of %s", fault.Count(len(h.Runs), "run"))
	case h.Bad == 0:
		s = fmt.Sprintf("good in all of %s", fault.Count(judged, "run"))
	case h.Good == 0:
		s = fmt.Sprintf("bad in all of %s, since %v", fault.Count(judged, "run"), h.Since)
	default:
		s = fmt.Sprintf("bad in %d of %s, first in %v, %s", h.Bad, fault.Count(judged, "run"), h.First, fault.Count(h.Changes, "change"))
		if h.Changes == 1 {
			s = strings.TrimSuffix(s, "s")
		}
		if h.Since != nil {
			s += fmt.Sprintf("; bad since %v", h.Since)
		} else {
			s += fmt.Sprintf("; good again since %v", h.Healed)
		}
	}
	if h.Unjudged > 0 {
		s += fmt.Sprintf("; not judged in %d more", h.Unjudged)
	}
	return s
}

// stateOf returns the state of a word.
func stateOf(word uint64) string {
	switch {
	case word&status.NotJudged != 0:
		return Unjudged
	case word != 0:
		return Bad
	}
	return Good
}

// source is a status file of the panel.
type source struct {
	repo.Found
	ctype string
}

// files lists the status files of a panel: whole panels, of equal runs and gain modes the preferred one, by time.
func files(r *repo.Repo, p *Pixel, w Wanted) ([]source, error) {
	types := []string{w.CType}
	if w.CType == "" {
		var err error
		if types, err = r.StatusTypes(p.DetType, p.Panel); err != nil {
			return nil, err
		}
	}
	var out []source
	for _, t := range types {
		found, _, err := r.Files(p.DetType, p.Panel, t)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			last := source{f, t}
			if f.Slice || len(w.Gains) > 0 && f.GainMode != "" && !slices.Contains(w.Gains, f.GainMode) {
				continue
			}
			if !slices.ContainsFunc(out, func(o source) bool {
				return o.ctype == t && o.GainMode == f.GainMode && o.Stamp == f.Stamp && o.Run == f.Run && o.Experiment == f.Experiment
			}) {
				out = append(out, last)
			}
		}
	}
	return out, nil
}

// Answer is everything that the repository knows of a pixel.
type Answer struct {
	Pixel    Pixel     `json:"pixel"`
	Verdicts []Verdict `json:"verdicts"` // of the run asked for, one for each type and gain mode
	History  []History `json:"history"`
	Notes    []string  `json:"notes,omitempty"`
}

// Explain answers what the repository knows of a pixel.
func Explain(r *repo.Repo, w Wanted) (*Answer, error) {
	p, notes, err := Find(r, w)
	if err != nil {
		return nil, err
	}
	list, err := files(r, p, w)
	if err != nil {
		return nil, err
	}
	a := &Answer{Pixel: *p, Notes: notes}
	chosen := map[[2]string]*repo.Read{} // of the run asked for, by type and gain mode
	at := map[[2]string]Event{}
	for _, f := range list {
		read, err := r.ReadStatus(f.Path, nil)
		if err == nil && len(read.Shape) != 2 {
			err = fault.New(fault.Input, "%q has shape %v, wanted one panel", f.Path, read.Shape)
		}
		if err == nil {
			err = a.Pixel.shape(read.Shape[0], read.Shape[1])
		}
		if fault.CodeOf(err) == fault.Usage {
			return nil, err
		}
		if err != nil { // one unreadable file hides no other
			a.Notes = append(a.Notes, err.Error())
			continue
		}
		e := event(f, read, read.Word(w.Row*read.Shape[1]+w.Col))
		a.history(f).Add(e)
		k := [2]string{f.ctype, f.GainMode}
		if w.Run < 0 || f.Run == w.Run && (w.Experiment == "" || f.Experiment == w.Experiment) {
			chosen[k], at[k] = read, e // the youngest comes last
		}
	}
	for _, h := range a.History {
		k := [2]string{h.CType, h.GainMode}
		if read := chosen[k]; read != nil {
			a.Verdicts = append(a.Verdicts, judge(&a.Pixel, h.CType, h.GainMode, at[k], read))
		}
	}
	if len(a.Verdicts) == 0 {
		return nil, fault.New(fault.Input, "no status file of panel %s could be used%s: %s", p.Panel, ofRun(w), strings.Join(append(a.Notes, "no such type or gain mode"), "; "))
	}
	return a, nil
}

// history returns the history that a file belongs to.
func (a *Answer) history(f source) *History {
	i := slices.IndexFunc(a.History, func(h History) bool { return h.CType == f.ctype && h.GainMode == f.GainMode })
	if i < 0 {
		i, a.History = len(a.History), append(a.History, History{CType: f.ctype, GainMode: f.GainMode})
	}
	return &a.History[i]
}

func event(f source, read *repo.Read, word uint64) Event {
	family := status.Features
	if read.Sidecar != nil {
		family = status.Family(read.Sidecar.Family)
	}
	return Event{Experiment: f.Experiment, Run: f.Run, Stamp: f.Stamp, Word: word, Names: names(word, family, read.Sidecar), State: stateOf(word), file: f.Path, family: family}
}

// names spells a word by the names in the sidecar, else by those of the family.
func names(word uint64, family status.Family, sc *repo.Sidecar) string {
	if word == 0 {
		return "good"
	}
	var out []string
	for rest := word; rest != 0; rest &= rest - 1 {
		v := rest & -rest
		out = append(out, bitOf(v, family, sc).Name)
	}
	return strings.Join(out, "|")
}

// bitOf returns the meaning of a bit: the sidecar's, else the table's.
func bitOf(v uint64, family status.Family, sc *repo.Sidecar) status.Bit {
	b, known := status.Lookup(family, v)
	if !known {
		b = status.Bit{Value: v, Name: fmt.Sprint(v), Rule: "not known to this program"}
	}
	if sc != nil {
		for _, x := range sc.Bits {
			if x.Value == v {
				b.Name, b.Rule = x.Name, x.Rule
			}
		}
	}
	return b
}
