package command

import (
	"encoding/json"
	"io"

	"github.com/sirupsen/logrus"

	"rawstatus/internal/config"
)

// Env holds the things that the program passes to a command. Its fields are valid from the start of the
// command's action on; a constructor of a command keeps the pointer and looks at them later.
type Env struct {
	Stdout io.Writer // results
	Stderr io.Writer // log, progress
	Log    *logrus.Logger
	Site   *config.Site
	JSON   bool // --json: results are JSON on Stdout
	Quiet  bool // --quiet: no log below warnings, no progress

	sinks *sinks
	bar   bar
}

// AddLogFile sends every log line also to w, in the same format and whatever --quiet and --log-level
// say: lines from info on, as the log kept in the repository. The function returned ends that.
func (e *Env) AddLogFile(w io.Writer) (remove func()) { return e.sinks.add(w, logrus.InfoLevel) }

// PrintJSON writes v to Stdout as indented JSON with a final newline.
func (e *Env) PrintJSON(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
