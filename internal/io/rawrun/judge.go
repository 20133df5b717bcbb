package rawrun

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"rawstatus/internal/fault"
)

// Reading holds the facts about a stream that were seen while it was read, as far as it belongs to the run.
type Reading struct {
	Stream
	Beside   bool     // a slow recorder beside the data acquisition: it neither ends nor keeps time with the others
	Times    []uint64 // time-stamps of its events
	Steps    int      // BeginSteps
	Ended    bool     // its EndRun came, or the run's end was not to be expected in it
	Known    []int    // by file: events that are known of a file that is not there, or behind its end
	Problems []string // what could not be read: the run is incomplete
}

// Judge says what makes a run incomplete, and what was noticed beside.
func Judge(ctx context.Context, list []Reading, opt Options) (missing, notes []string, err error) {
	anyEnd := slices.ContainsFunc(list, func(r Reading) bool { return r.Ended && !r.Beside })
	var all []uint64
	steps := 0
	for _, r := range list {
		if !r.Beside {
			all = append(all, r.Times...)
			steps = max(steps, r.Steps)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	var open []int
	for _, r := range list {
		missing = append(append(missing, r.files()...), r.Problems...)
		silent := ""
		if !r.Beside && len(r.NotFound()) == 0 { // else that is why
			silent = r.silence(all, opt.MaxLost)
		}
		switch last := r.Files[len(r.Files)-1]; {
		case !last.IsThere() || last.Size == 0: // said already
		case !r.Ended && anyEnd && !r.Beside && len(r.Problems) == 0:
			missing = append(missing, fmt.Sprintf("stream %d: %q ends without EndRun, which other streams have%s", r.Number, last.Path, silent))
		case !r.Ended:
			open = append(open, r.Number)
			fallthrough
		default:
			if silent != "" && len(r.Problems) == 0 {
				missing = append(missing, fmt.Sprintf("stream %d: %q lacks events%s", r.Number, last.Path, silent))
			}
		}
		if r.Steps < steps && !r.Beside && len(r.Times) > 0 {
			notes = append(notes, fmt.Sprintf("stream %d has %d of %d BeginSteps; the time says to which step its events belong", r.Number, r.Steps, steps))
		}
	}
	if len(open) == 0 {
		return missing, notes, nil
	}
	notes = append(notes, fmt.Sprintf("no EndRun in stream %v", open))
	if opt.Growing == nil {
		return missing, notes, nil
	}
	growing, err := opt.Growing(ctx)
	for _, f := range growing {
		missing = append(missing, fmt.Sprintf("%q is still in progress: it changes", f))
	}
	return missing, notes, err
}

// files lists the files of the stream that are not there, not complete or empty.
func (r Reading) files() (missing []string) {
	for i, f := range r.Files {
		known := ""
		if i < len(r.Known) && r.Known[i] > 0 {
			known = fmt.Sprintf("; %s are known from its smalldata", fault.Count(r.Known[i], "event"))
		}
		switch {
		case f.IsThere() && strings.HasSuffix(f.Path, inProgress):
			missing = append(missing, fmt.Sprintf("%q is still being written or copied: in progress", f.Path))
		case f.IsThere() && known != "":
			missing = append(missing, fmt.Sprintf("%q ends at byte %#x, before the last %s of its smalldata", f.Path, f.Size, fault.Count(r.Known[i], "event")))
		case f.IsThere() && f.Size == 0:
			missing = append(missing, fmt.Sprintf("%q is empty", f.Path))
		case !f.IsThere() && f.Small != nil:
			missing = append(missing, fmt.Sprintf("stream %d: chunk %d not found; its smalldata file is %q%s", r.Number, f.Chunk, f.Small.Path, known))
		case !f.IsThere() && f.Path != "":
			missing = append(missing, fmt.Sprintf("stream %d: chunk %d not found: chunk file %q was announced%s", r.Number, f.Chunk, f.Path, known))
		case !f.IsThere():
			missing = append(missing, fmt.Sprintf("stream %d: chunk %d not found", r.Number, f.Chunk))
		}
	}
	return missing
}

// NotFound lists the files of the stream that are not there.
func (s Stream) NotFound() (missing []string) {
	for _, f := range s.Files {
		if !f.IsThere() {
			missing = append(missing, Reading{Stream: Stream{s.Number, []*File{f}}}.files()...)
		}
	}
	return missing
}

// silence looks for the longest time in which the stream had no events although others had, and says so
// if its own rhythm does not explain it. A stream of events that are shared out at random is now and then
// silent for some times its mean distance, rarely for more than the logarithm of their number.
func (r Reading) silence(all []uint64, maxLost float64) string {
	at := positions(all, r.Times)
	if len(at) == 0 {
		return ""
	}
	gaps := distances(at)
	mean, most := float64(len(all))/float64(len(at)), 0
	for _, g := range gaps {
		most = max(most, g)
	}
	if len(gaps) > 0 {
		mean = float64(at[len(at)-1]-at[0]) / float64(len(gaps))
	}
	tail := len(all) - 1 - at[len(at)-1]
	if lost := float64(tail) / mean; !r.Ended && len(gaps) > 0 && tail > most && lost*100 > maxLost*float64(len(at)) {
		return fmt.Sprintf(": it has %d, the last at time-stamp %d; others go on for %s, of which about %.0f should be its own",
			len(at), r.Times[len(r.Times)-1], fault.Count(tail, "event"), math.Ceil(lost))
	}
	if len(at) < 4 {
		return ""
	}
	sort.Ints(gaps)
	mean = max(1, float64(gaps[len(gaps)/2])) // a long silence does not change the median
	long := mean * (8 + 2*math.Log(float64(len(at))))
	for _, gap := range []int{at[0], most, tail} {
		if lost := float64(gap) / mean; float64(gap) > long && lost*100 > maxLost*float64(len(at)) {
			return fmt.Sprintf(": it has %d and is silent for %s of other streams, of which about %.0f should be its own", len(at), fault.Count(gap, "event"), math.Ceil(lost))
		}
	}
	return ""
}

// positions returns where times lie in all times, ascending.
func positions(all, times []uint64) []int {
	var at []int
	for _, t := range times {
		if n, ok := slices.BinarySearch(all, t); ok {
			at = append(at, n)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}
