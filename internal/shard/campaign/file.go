package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"rawstatus/internal/config"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/open"
	"rawstatus/internal/shard/slurm"
)

// File is a campaign file.
type File struct {
	Name    string  `toml:"name"`             // also of the campaign's directory
	Deploy  bool    `toml:"deploy,omitempty"` // each run behind the gate, in the order of runs
	Entries []Entry `toml:"entry"`
}

// Entry is the same work on some runs of an experiment.
type Entry struct {
	Experiment string   `toml:"exp"`
	Runs       string   `toml:"runs"`          // 5,8-11
	Dir        string   `toml:"dir,omitempty"` // of the raw files; empty: found under the data roots
	Detectors  []string `toml:"detectors"`
	Profiles   []string `toml:"profiles,omitempty"` // default: data
	Tag        string   `toml:"tag,omitempty"`      // for people; shown in the table
	Options    []string `toml:"options,omitempty"`  // of `rawstatus plan`, e.g. ["--min-frames", "10"]
	Deploy     *bool    `toml:"deploy,omitempty"`   // other than the file says
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	// itemName takes the names of LCLS-I detectors as well, e.g. XppGon.0:Epix100a.1.
	itemName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]*$`)
)

// ReadFile reads a campaign file. Unknown keys are errors: a misspelt one must not go unnoticed over night.
func ReadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Usage, "no campaign file: %w", err)
	case err != nil:
		return nil, fault.New(fault.Input, "could not read the campaign file: %w", err)
	}
	var f File
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		return nil, bad(path, "%s", config.Mistake(err))
	}
	if !plainName.MatchString(f.Name) {
		return nil, bad(path, "name %q: wanted letters, digits, dots, dashes, it names a directory", f.Name)
	}
	if len(f.Entries) == 0 {
		return nil, bad(path, "no [[entry]]")
	}
	return &f, nil
}

// Deploys reports whether any entry is to be deployed.
func (f *File) Deploys() bool {
	return slices.ContainsFunc(f.Entries, func(e Entry) bool { return e.Deploy == nil && f.Deploy || e.Deploy != nil && *e.Deploy })
}

// Write writes the file as ReadFile reads it.
func (f *File) Write(w io.Writer) error { return toml.NewEncoder(w).Encode(f) }

func bad(path, format string, args ...any) error {
	return fault.New(fault.Usage, "campaign %q: %s", path, fmt.Sprintf(format, args...)).
		WithHint("keys: name, deploy; in each [[entry]]: exp, runs, dir, detectors, profiles, tag, options, deploy")
}

// Items returns what the file asks for, in its order.
func (f *File) Items() ([]slurm.Item, error) {
	var items []slurm.Item
	seen := map[string]bool{}
	for n, e := range f.Entries {
		wrong := func(format string, args ...any) error {
			return fault.New(fault.Usage, "campaign %s, entry %d: %s", f.Name, n+1, fmt.Sprintf(format, args...))
		}
		runs, err := open.ParseRuns(e.Runs)
		switch {
		case err != nil:
			return nil, wrong("runs %q: %v", e.Runs, err)
		case len(runs) == 0:
			return nil, wrong("no runs")
		case len(e.Detectors) == 0:
			return nil, wrong("no detectors")
		}
		profiles := e.Profiles
		if len(profiles) == 0 {
			profiles = []string{"data"}
		}
		for _, name := range append(append([]string{e.Experiment}, e.Detectors...), profiles...) {
			if !itemName.MatchString(name) {
				return nil, wrong("%q is not a name", name)
			}
		}
		for _, det := range e.Detectors {
			for _, profile := range profiles {
				for _, r := range runs {
					for run := r.First; run <= r.Last; run++ {
						it := slurm.Item{Experiment: e.Experiment, Run: run, Dir: e.Dir, Detector: det, Profile: profile, Tag: e.Tag, Options: e.Options, Deploy: f.Deploy}
						if e.Deploy != nil {
							it.Deploy = *e.Deploy
						}
						if seen[it.Key()] {
							return nil, wrong("%s is there twice", it.Key())
						}
						seen[it.Key()] = true
						items = append(items, it)
					}
				}
			}
		}
	}
	return items, nil
}
