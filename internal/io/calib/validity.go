package calib

import (
	"fmt"
	"strconv"
	"strings"

	"rawstatus/internal/fault"
)

// Last is the largest run number that validity ranges know; as an end it is written "end".
const Last = 9999

// Range is a range of runs, both ends included.
type Range struct{ Begin, End int }

// ParseRange reads a range as users give it: "10-20", "260-end" or one run "15".
func ParseRange(s string) (Range, error) {
	begin, end, two := strings.Cut(s, "-")
	if !two {
		end = begin
	}
	b, okB := digits(begin)
	e, okE := digits(end)
	if two && end == "end" {
		e, okE = Last, true
	}
	switch {
	case !okB || !okE:
		return Range{}, fault.New(fault.Usage, "validity range %q is not of the form 10-20 or 260-end", s)
	case b > Last || e > Last:
		return Range{}, fault.New(fault.Usage, "validity range %q: runs above %d cannot be looked up by analysis", s, Last)
	case b > e:
		return Range{}, fault.New(fault.Usage, "validity range %q ends before it begins", s)
	}
	return Range{b, e}, nil
}

// digits reads a decimal number; one too large for any range stands as Last+1.
func digits(s string) (int, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > Last {
		n = Last + 1
	}
	return n, true
}

// String writes the range as file names have it.
func (r Range) String() string {
	if r.End >= Last {
		return strconv.Itoa(r.Begin) + "-end"
	}
	return fmt.Sprintf("%d-%d", r.Begin, r.End)
}

// MarshalText implements encoding.TextMarshaler.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Range) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRange(string(b))
	return err
}

// Has tells whether the range has a run.
func (r Range) Has(run int) bool {
	run = min(run, Last)
	return r.Begin <= run && run <= r.End
}

// Item is one deployed constant as resolution sees it.
type Item struct {
	Range    Range  `json:"validity"`
	Name     string `json:"name"`               // file name or document id
	Deployed int64  `json:"deployed,omitempty"` // Unix time where the place knows it and it decides, else 0
	// Fallback: used only where no other item has the run.
	Fallback bool `json:"fallback,omitempty"`
}

// Pick gives the position of the item that wins for a run, or -1.
func Pick(items []Item, run int) int {
	best := -1
	for i, x := range items {
		if x.Range.Has(run) && (best < 0 || beats(x, items[best])) {
			best = i
		}
	}
	return best
}

// beats tells whether a wins over b for a run that both have.
func beats(a, b Item) bool {
	switch {
	case a.Fallback != b.Fallback:
		return b.Fallback
	case a.Range.Begin != b.Range.Begin:
		return a.Range.Begin > b.Range.Begin
	case a.Range.End != b.Range.End:
		return a.Range.End < b.Range.End
	}
	return a.Deployed >= b.Deployed
}

// Use is a stretch of runs and the constant that they use; an empty Name stands for none.
type Use struct {
	Runs Range  `json:"runs"`
	Name string `json:"name"`
}

// Effect is what deploying one more constant changes.
type Effect struct {
	Used     []Range `json:"used_for"`              // runs that will use it
	Instead  []Use   `json:"instead_of,omitempty"`  // what these runs use now
	Shadowed []Use   `json:"shadowed_by,omitempty"` // runs of its range that go on using something else
}

// EffectOf works out, run by run as analysis does, what a new item changes. An existing item of the same
// name is the one that it replaces.
func EffectOf(items []Item, added Item) Effect {
	after := []Item{}
	for _, x := range items {
		if x.Name != added.Name {
			after = append(after, x)
		}
	}
	after = append(after, added)
	name := func(items []Item, run int) string {
		if i := Pick(items, run); i >= 0 {
			return items[i].Name
		}
		return ""
	}
	var e Effect
	for run := added.Range.Begin; run <= added.Range.End; run++ {
		now, then := name(items, run), name(after, run)
		if then != added.Name {
			e.Shadowed = Extend(e.Shadowed, run, then)
			continue
		}
		if n := len(e.Used); n > 0 && e.Used[n-1].End == run-1 {
			e.Used[n-1].End = run
		} else {
			e.Used = append(e.Used, Range{run, run})
		}
		e.Instead = Extend(e.Instead, run, now)
	}
	return e
}

// Extend adds a run and what it uses to stretches of ascending runs.
func Extend(uses []Use, run int, name string) []Use {
	if n := len(uses); n > 0 && uses[n-1].Name == name && uses[n-1].Runs.End == run-1 {
		uses[n-1].Runs.End = run
		return uses
	}
	return append(uses, Use{Range{run, run}, name})
}

// Lines tells the effect in sentences.
func (e Effect) Lines() []string {
	var lines []string
	if len(e.Used) == 0 {
		lines = append(lines, "will be used for NO run: narrower or later ranges shadow all of it")
	} else {
		lines = append(lines, "will be used for runs "+join(e.Used))
	}
	for _, u := range e.Instead {
		if u.Name == "" {
			lines = append(lines, "runs "+u.Runs.Runs()+" use nothing now")
		} else {
			lines = append(lines, fmt.Sprintf("runs %s use %s now", u.Runs.Runs(), u.Name))
		}
	}
	for _, u := range e.Shadowed {
		lines = append(lines, fmt.Sprintf("runs %s go on using %s", u.Runs.Runs(), u.Name))
	}
	return lines
}

// Runs writes a range for people: "15", "10..20", "260..end".
func (r Range) Runs() string {
	switch {
	case r.Begin == r.End:
		return strconv.Itoa(r.Begin)
	case r.End >= Last:
		return strconv.Itoa(r.Begin) + "..end"
	}
	return fmt.Sprintf("%d..%d", r.Begin, r.End)
}

func join(ranges []Range) string {
	parts := make([]string, len(ranges))
	for i, r := range ranges {
		parts[i] = r.Runs()
	}
	return strings.Join(parts, ", ")
}
