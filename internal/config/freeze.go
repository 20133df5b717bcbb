package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Freeze returns the settings in force as a site file, for jobs that run elsewhere and without this environment, and
// the variables that such a job must not see since they would win over the file. Paths are made absolute.
func (s *Site) Freeze() (text string, variables []string, err error) {
	frozen := *s
	absolute := func(path string) string {
		if path == "" || err != nil {
			return path
		}
		var abs string
		abs, err = filepath.Abs(path)
		return abs
	}
	frozen.Repository, frozen.CalibDir, frozen.WorkRoot = absolute(s.Repository), absolute(s.CalibDir), absolute(s.WorkRoot)
	frozen.Elog.PasswordFile = absolute(s.Elog.PasswordFile)
	frozen.DataRoots = nil
	for _, root := range s.DataRoots {
		frozen.DataRoots = append(frozen.DataRoots, absolute(root))
	}
	if err != nil {
		return "", nil, fmt.Errorf("could not make the paths of the settings absolute: %w", err)
	}
	var b strings.Builder
	if err := toml.NewEncoder(&b).Encode(&frozen); err != nil {
		return "", nil, fmt.Errorf("could not write the settings in force: %w", err)
	}
	for _, f := range s.fields() {
		if v := f.variable(); v != "" {
			variables = append(variables, v)
		}
	}
	return b.String(), variables, nil
}
