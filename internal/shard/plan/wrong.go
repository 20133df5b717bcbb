package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/atomicfile"
)

// WrongPrediction is a task's note in the work directory that a frame does not lie where the index of its plan
// predicted it. From then on plans for this work directory read all headers.
type WrongPrediction struct {
	Plan  string `json:"plan"` // the plan that cannot be done
	Error string `json:"error"`
}

func wrongPath(work string) string { return filepath.Join(work, "all-headers.json") }

// SaveWrongPrediction leaves the note that predictions of a plan are wrong.
func SaveWrongPrediction(work string, p *Plan, cause error, mode fs.FileMode) error {
	text := cause.Error()
	if e := (*fault.Error)(nil); errors.As(cause, &e) {
		text = e.Msg // without what was under way
	}
	b, err := json.MarshalIndent(WrongPrediction{Plan: p.ID, Error: text}, "", " ")
	if err != nil {
		return fmt.Errorf("plan: could not encode a note: %w", err)
	}
	return atomicfile.WriteFile(wrongPath(work), atomicfile.Options{Mode: mode}, append(b, '\n'))
}

// LoadWrongPrediction reads the note of a work directory, nil if there is none.
func LoadWrongPrediction(work string) (*WrongPrediction, error) {
	b, err := os.ReadFile(wrongPath(work))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var w WrongPrediction
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	if err != nil {
		return nil, fault.New(fault.Input, "could not read %q: %w", wrongPath(work), err).WithHint("remove it")
	}
	return &w, nil
}
