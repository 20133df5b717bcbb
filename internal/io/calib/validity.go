package calib

import (
	"fmt"
	"slices"
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

// Has reports whether the range has a run.
func (r Range) Has(run int) bool {
	run = min(run, Last)
	return r.Begin <= run && run <= r.End
}

// Item is one deployed constant as resolution sees it.
type Item struct {
	Range    Range  `json:"validity"`
	Name     string `json:"name"`               // file name, or database and document id
	Deployed int64  `json:"deployed,omitempty"` // Unix time where the destination knows it and it decides, else 0
	// Fallback: used only where no other item has the run.
	Fallback bool `json:"fallback,omitempty"`
	// Content is the SHA-256 of the content where a listing includes it.
	Content string `json:"-"`
}

// Pick returns the position of the item that wins for a run, or -1.
func Pick(items []Item, run int) int {
	best := -1
	for i, x := range items {
		if x.Range.Has(run) && (best < 0 || beats(x, items[best])) {
			best = i
		}
	}
	return best
}

// beats reports whether a wins over b for a run that both have.
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

// Effect lists the changes for analysis when one more constant is deployed.
type Effect struct {
	Used     []Range `json:"used_for"`              // runs that will use it
	Instead  []Use   `json:"instead_of,omitempty"`  // what these runs use now
	Shadowed []Use   `json:"shadowed_by,omitempty"` // runs of its range that go on using something else
	// Beyond are runs outside of its range that will use it as well: those without a constant of their
	// experiment fall back on the detector's database, where the youngest counts for all runs.
	Beyond []Range `json:"beyond,omitempty"`
	// Others is the constant that other experiments without constants of their own use now and will no longer; nil
	// when they are not affected, an empty name when they use nothing.
	Others *string `json:"other_experiments,omitempty"`
}

// EffectOf works out what new items for a range change. An existing item of the same name is replaced.
func EffectOf(items []Item, r Range, added ...Item) Effect {
	var e Effect
	isNew := map[string]bool{}
	for _, x := range added {
		isNew[x.Name] = true
		if x.Fallback {
			e.Others = new(string)
			if i := Pick(fallbacks(items), 0); i >= 0 {
				*e.Others = fallbacks(items)[i].Name
			}
		}
	}
	compare(items, with(items, added), func(runs Range, now, then string) {
		inside := Range{max(runs.Begin, r.Begin), min(runs.End, r.End)}
		if !isNew[then] {
			if inside.Begin <= inside.End {
				e.Shadowed = append(e.Shadowed, Use{inside, then})
			}
			return
		}
		e.Used = extend(e.Used, runs)
		e.Instead = append(e.Instead, Use{runs, now})
		if inside != runs {
			e.Beyond = extend(e.Beyond, runs)
		}
	}, r)
	return e
}

func fallbacks(items []Item) []Item {
	return slices.DeleteFunc(slices.Clone(items), func(x Item) bool { return !x.Fallback })
}

// with returns the items after others have been added, in place of those of the same names.
func with(items, added []Item) []Item {
	return append(without(items, added...), added...)
}

func without(items []Item, gone ...Item) []Item {
	return slices.DeleteFunc(slices.Clone(items), func(x Item) bool {
		return slices.ContainsFunc(gone, func(g Item) bool { return g.Name == x.Name })
	})
}

// compare calls f for stretches of runs, ascending, in which neither the item in force before nor the one
// after changes. Stretches end where those of cuts do.
func compare(before, after []Item, f func(runs Range, was, is string), cuts ...Range) {
	edges, isCut := []int{0}, map[int]bool{}
	for _, x := range slices.Concat(before, after) {
		edges = append(edges, x.Range.Begin, x.Range.End+1)
	}
	for _, c := range cuts {
		edges = append(edges, c.Begin, c.End+1)
		isCut[c.Begin], isCut[c.End+1] = true, true
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	name := func(items []Item, run int) string {
		if i := Pick(items, run); i >= 0 {
			return items[i].Name
		}
		return ""
	}
	var runs Range
	var was, is string
	for i, edge := range edges {
		if edge > Last {
			break
		}
		a, b := name(before, edge), name(after, edge)
		if i > 0 && (a != was || b != is || isCut[edge]) {
			f(runs, was, is)
			runs.Begin = edge
		}
		was, is, runs.End = a, b, Last
		if i+1 < len(edges) && edges[i+1] <= Last {
			runs.End = edges[i+1] - 1
		}
	}
	f(runs, was, is)
}

// Uses lists what runs use, in stretches.
func Uses(items []Item, r Range) []Use {
	var uses []Use
	compare(items, nil, func(runs Range, name, _ string) {
		runs = Range{max(runs.Begin, r.Begin), min(runs.End, r.End)}
		if runs.Begin <= runs.End {
			uses = append(uses, Use{runs, name})
		}
	})
	return uses
}

// extend adds a stretch to ascending ones.
func extend(ranges []Range, r Range) []Range {
	if n := len(ranges); n > 0 && ranges[n-1].End+1 == r.Begin {
		ranges[n-1].End = r.End
		return ranges
	}
	return append(ranges, r)
}

// Lines says the effect in sentences.
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
	if len(e.Beyond) > 0 {
		lines = append(lines, "runs "+join(e.Beyond)+" have no constant of their experiment: they will use it through the detector's database, whatever its validity")
	}
	switch {
	case e.Others != nil && *e.Others == "":
		lines = append(lines, "other experiments without constants of their own will use it, too (nothing now)")
	case e.Others != nil:
		lines = append(lines, "other experiments without constants of their own will use it, too (now "+*e.Others+")")
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
