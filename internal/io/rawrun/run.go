package rawrun

import (
	"fmt"

	"rawstatus/internal/fault"
)

// Run is a run that the files of a request hold.
type Run struct {
	Number int
	Events int
}

// Pick returns which of the runs in the files is the one that was asked for.
func (r Request) Pick(have []Run) (int, error) {
	var list []string
	var found []int
	for i, h := range have {
		list = append(list, fmt.Sprintf("%d (%s)", h.Number, fault.Count(h.Events, "event")))
		if h.Number == r.RunInFile || r.RunInFile == 0 && r.Run == h.Number {
			found = append(found, i)
		}
	}
	pick := func(err *fault.Error) error { return err.WithHint("pick one with --run-in-file N") }
	switch {
	case len(found) == 1 && (len(have) == 1 || r.RunInFile != 0):
		return found[0], nil
	case len(have) == 1 && r.RunInFile == 0 && !r.ByName:
		return 0, nil
	case len(have) == 1 && r.RunInFile == 0:
		return 0, fault.New(fault.Usage, "the files are named as run %d, the data in them are of run %d", r.Run, have[0].Number).
			WithHint("if that is the run you want, give --run-in-file %d; else the files have the wrong names", have[0].Number)
	case r.RunInFile == 0:
		return 0, pick(fault.New(fault.Usage, "the files hold %s: %v", fault.Count(len(have), "run"), list))
	case len(found) > 1:
		return 0, fault.New(fault.Input, "the files hold run %d %d times, with other runs between", r.RunInFile, len(found))
	}
	return 0, pick(fault.New(fault.Input, "the files hold no run %d, only %v", r.RunInFile, list))
}

// An index has an extent for each panel and event. A frame takes more bytes in a file than its extent in
// memory; only damaged files describe so many panels without frames that extents outgrow them.
const (
	freeExtents    = 1 << 20 // always allowed
	bytesPerExtent = 4       // of the files, for each further one
)

// CheckSize refuses an index of many more extents than the files can have frames.
func (r Request) CheckSize(events, panels int) error {
	size := int64(0)
	for _, f := range r.Files {
		if size += max(0, f.Size); f.Small != nil {
			size += f.Small.Size
		}
	}
	if int64(events)*int64(panels) <= freeExtents+size/bytesPerExtent {
		return nil
	}
	return fault.New(fault.Input, "the files describe %s and %s in only %d bytes: most of these panels cannot have frames", fault.Count(panels, "panel"), fault.Count(events, "event"), size).
		WithHint("the Configure is damaged, or the data files are only the beginning of a run")
}
