package repo

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"rawstatus/internal/io/frame"
)

// Wish says for what a file is chosen.
type Wish struct {
	At       time.Time // files of runs that began later are not taken; zero: there is no such limit
	Run      frame.Run // among files of equal time those of this run come first
	GainMode string    // of the plane; empty for detectors with one gain
}

// Choice is the file that holds for a wish, and what else there was.
type Choice struct {
	Found           // without a path: none
	Begin time.Time // of its run, to the second
	// Tied are files of other runs that began in the same second, where the wish's own run has none.
	Tied []Found
	// Later counts files of runs that began after the wished time; NoGain those of unknown gain mode,
	// which for a detector of several gains hold for none.
	Later, NoGain int
	// Repeated are files without a sidecar whose name has a local time that the clock showed twice: they
	// count from the second of the two instants on.
	Repeated []Found
}

// TypeCharge is the constants type of charge injection. Its files have no gain mode in their names and hold
// for all: what a pixel does when it switches is not the matter of one of them.
const TypeCharge = "status_ci"

// zones is how far a name's local time and the true time of a run can be apart when the name was written
// in another time zone than ours.
const zones = 26 * time.Hour

// Choose picks, among files in the order of [Repo.Files], the one that holds for a wish: of those whose run
// did not begin later the one that began last, whole panels only. Runs are compared by their true begin,
// which the sidecar has; only for files without one the local time in the name counts. Of files that
// began in the same second one of the wished run comes first, then the first in the order of files. Masks
// of people are not chosen but all valid: see [Repo.Masks].
func (r *Repo) Choose(files []Found, w Wish) Choice {
	var c Choice
	var equals []Found
	for i := len(files) - 1; i >= 0; i-- { // from the youngest name on
		f := files[i]
		switch {
		case f.Slice || f.Mask != "" || f.GainMode != "" && f.GainMode != w.GainMode:
			continue
		case w.GainMode != "" && f.GainMode == "" && f.CType != TypeUser && f.CType != TypeCharge:
			c.NoGain++
			continue
		}
		name, repeated, err := r.stampTime(f.Stamp)
		switch {
		case err != nil:
			continue // a time that is none
		case !w.At.IsZero() && name.Add(-zones).After(w.At):
			c.Later++
			continue
		case c.Path != "" && name.Add(zones).Before(c.Begin):
			continue // it cannot be younger than the best one: its sidecar need not be read
		}
		begin, byRecord := r.begin(f, name)
		if !byRecord && f.Experiment == w.Run.Experiment && f.Run == w.Run.Number && f.Stamp == r.Stamp(w.At) {
			begin = w.At.Truncate(time.Second) // of this very run, at whichever of two equal local times
		}
		switch {
		case !w.At.IsZero() && begin.After(w.At.Truncate(time.Second)):
			c.Later++
			if repeated && !byRecord {
				c.Repeated = append(c.Repeated, f)
			}
		case c.Path == "" || begin.After(c.Begin):
			c.Found, c.Begin, equals = f, begin, []Found{f}
		case begin.Equal(c.Begin):
			equals = append(equals, f)
		}
	}
	c.settle(equals, w)
	return c
}

// settle picks one of files whose runs began in the same second; they come in falling order of preference
// from the end on.
func (c *Choice) settle(equals []Found, w Wish) {
	own := func(f Found) bool { return f.Experiment == w.Run.Experiment && f.Run == w.Run.Number }
	best := -1
	for i, f := range equals {
		switch {
		case best < 0, own(f) && !own(equals[best]):
			best = i
		case own(f) == own(equals[best]) && (f.GainMode != "" || equals[best].GainMode == ""):
			best = i
		}
	}
	if best < 0 {
		return
	}
	c.Found = equals[best]
	for _, f := range equals {
		if !own(c.Found) && (f.Experiment != c.Experiment || f.Run != c.Run) {
			c.Tied = append(c.Tied, f)
		}
	}
}

// begin returns when the run of a file began, to the second, and whether that is from its sidecar; name is
// the time in its name. A run's begin does not change, so it is read once.
func (r *Repo) begin(f Found, name time.Time) (begin time.Time, byRecord bool) {
	if known, ok := r.begins.Load(f.Path); ok {
		return known.(time.Time), true
	}
	var told frame.Run
	b, err := os.ReadFile(sidecarPath(f.Path))
	if err != nil || json.Unmarshal(b, &told) != nil || told.Begin.IsZero() {
		return name, false // [Repo.ReadStatus] reports what is wrong with a sidecar
	}
	begin = told.Begin.Truncate(time.Second)
	r.begins.Store(f.Path, begin)
	return begin, true
}

// stampTime reads the time in a name. When the clock was set back it showed an hour twice: the time is then
// the second one.
func (r *Repo) stampTime(stamp string) (t time.Time, repeated bool, err error) {
	t, err = time.ParseInLocation(stampForm, stamp, r.Loc)
	if err != nil {
		return t, false, fmt.Errorf("time-stamp %q: %w", stamp, err)
	}
	for _, shift := range []time.Duration{-time.Hour, time.Hour} {
		if other := t.Add(shift); other.Format(stampForm) == stamp {
			if other.After(t) {
				t = other
			}
			return t, true, nil
		}
	}
	return t, false, nil
}

// Describe names the tied files for people.
func (c Choice) Describe() string {
	var names []string
	for _, f := range c.Tied {
		names = append(names, fmt.Sprintf("%s run %d", f.Experiment, f.Run))
	}
	return strings.Join(names, ", ")
}
