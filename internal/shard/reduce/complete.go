package reduce

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/task"
)

// Lack is a task without a usable partial.
type Lack struct {
	Task   int    `json:"task"`
	Reason string `json:"reason"`
}

// Lacking verifies the partials of all tasks and lists those that are absent, damaged or of another plan.
// Verified partials alone decide what is complete: no scheduler is asked.
func Lacking(work string, p *plan.Plan) []Lack {
	var out []Lack
	for n := range p.Tasks {
		err := task.Check(work, p, n)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			out = append(out, Lack{n, "no partial"})
		default:
			out = append(out, Lack{n, err.Error()})
		}
	}
	return out
}

// shownLacks bounds the list in an error message; the command that redoes the tasks names them all.
const shownLacks = 10

// incomplete returns the error for missing partials, with the command that makes just those.
func incomplete(work string, p *plan.Plan, lacks []Lack) error {
	tasks := make([]int, len(lacks))
	var lines []string
	for i, l := range lacks {
		tasks[i] = l.Task
		if i < shownLacks {
			lines = append(lines, fmt.Sprintf("task %d: %s", l.Task, l.Reason))
		}
	}
	if len(lacks) > shownLacks {
		lines = append(lines, fmt.Sprintf("... and %d more", len(lacks)-shownLacks))
	}
	return fault.New(fault.Incomplete, "%d of %s of plan %.12s are missing or unusable:\n  %s", len(lacks), fault.Count(len(p.Tasks), "partial"), p.ID, strings.Join(lines, "\n  ")).
		WithHint("do them with: rawstatus task --work %s --task %s", work, ranges.Of(tasks))
}
