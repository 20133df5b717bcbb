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
		list = append(list, fmt.Sprintf("%d (%d events)", h.Number, h.Events))
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
		return 0, pick(fault.New(fault.Usage, "the files hold %d runs: %v", len(have), list))
	case len(found) > 1:
		return 0, fault.New(fault.Input, "the files hold run %d %d times, with other runs between", r.RunInFile, len(found))
	}
	return 0, pick(fault.New(fault.Input, "the files hold no run %d, only %v", r.RunInFile, list))
}
