package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // run time-stamps must not depend on what is installed on a node

	"rawstatus/internal/fault"
)

// DefaultPath is the site file that is read when none is named and it exists.
const DefaultPath = "/etc/rawstatus/site.toml"

// Site is the configuration in force. The tags say how a field is set: toml is its key, sep splits a
// list given in the environment.
type Site struct {
	DataRoots  []string `toml:"data_roots" sep:":"`
	Repository string   `toml:"repository"`
	CalibDir   string   `toml:"calib_dir"`
	Timezone   string   `toml:"timezone"`
	Group      string   `toml:"group"`
	DirMode    Mode     `toml:"dir_mode"`
	FileMode   Mode     `toml:"file_mode"`
	WorkRoot   string   `toml:"work_root"`

	CalibWS CalibWS           `toml:"calibws"`
	Slurm   Slurm             `toml:"slurm"`
	Limits  map[string]Limits `toml:"limits"` // by detector type in lower case

	location *time.Location
	origin   map[string]string
}

// CalibWS has the addresses of the LCLS-II calibration web service.
type CalibWS struct {
	ReadURL  string `toml:"read_url"`
	WriteURL string `toml:"write_url"`
}

// Slurm is how jobs are submitted at this site. An empty text leaves the choice to Slurm.
type Slurm struct {
	Partition   string   `toml:"partition"`
	Account     string   `toml:"account"` // {exp} stands for the experiment
	QOS         string   `toml:"qos"`
	Reservation string   `toml:"reservation"`
	Time        string   `toml:"time"`        // as sbatch --time
	MaxJobs     int      `toml:"max_jobs"`    // at most so many of our jobs queued or running; 0: no limit of ours
	Prolog      []string `toml:"prolog"`      // shell lines at the start of a job
	Modules     []string `toml:"modules"`     // environment modules loaded by a job
	SbatchArgs  []string `toml:"sbatch_args"` // further arguments of sbatch
}

// Limits replace the limits of the detector table for one detector type. A nil field is not set.
type Limits struct {
	IntLo  *float64 `toml:"int_lo"` // intensity limits, ADU
	IntHi  *float64 `toml:"int_hi"` //
	IntNLo *float64 `toml:"intnlo"` // ... in standard deviations from the mean over the pixels
	IntNHi *float64 `toml:"intnhi"` //
	RMSLo  *float64 `toml:"rms_lo"` // limits of the RMS over frames, ADU
	RMSHi  *float64 `toml:"rms_hi"` //
	RMSNLo *float64 `toml:"rmsnlo"` // ... in standard deviations from the mean over the pixels
	RMSNHi *float64 `toml:"rmsnhi"` //
	FracLM *float64 `toml:"fraclm"` // allowed fraction of frames outside int_lo, int_hi
	FracLo *float64 `toml:"fraclo"` // quantiles of the dark gate
	FracHi *float64 `toml:"frachi"` //
	SNRMax *float64 `toml:"snrmax"` // outlier limit of the features, in spreads

	MaxBad      *float64 `toml:"max_bad"`      // gate of deployments: fraction of a panel that may be bad
	MaxNew      *float64 `toml:"max_new"`      // ... fraction of the pixels that may become bad
	MaxUnjudged *float64 `toml:"max_unjudged"` // ... fraction of a panel that may be not judged
}

// defaults are the settings of a machine that has no site file.
func defaults() *Site {
	return &Site{
		Timezone: "America/Los_Angeles",
		Group:    "ps-users",
		DirMode:  0o2775,
		FileMode: 0o664,
		CalibWS: CalibWS{
			ReadURL:  "https://psdmint.sdf.slac.stanford.edu/calib_ws/",
			WriteURL: "https://psdmint.sdf.slac.stanford.edu/ws-kerb/calib_ws/",
		},
		Slurm:  Slurm{Account: "lcls:{exp}"},
		Limits: map[string]Limits{},
		origin: map[string]string{},
	}
}

// Load makes the configuration from the defaults, the site file and the environment. An empty path
// stands for the file named by RAWSTATUS_SITE, else DefaultPath if it exists.
func Load(path string, env func(string) string) (*Site, error) {
	s := defaults()
	optional := false
	if path == "" {
		path = env("RAWSTATUS_SITE")
	}
	if path == "" {
		path, optional = DefaultPath, true
	}
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := guard(path); err != nil {
			return nil, err
		}
		if err := s.readFile(path, string(text)); err != nil {
			return nil, err
		}
	case optional && errors.Is(err, fs.ErrNotExist):
	default:
		return nil, fault.New(fault.Usage, "could not read the site file: %w", err).
			WithHint("name another one with --site or RAWSTATUS_SITE")
	}
	if err := s.readEnvironment(env); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// aliases are variables of the original software, used where ours is unset.
var aliases = []struct {
	key, variable string
	value         func(string) string
}{
	{"data_roots", "SIT_PSDM_DATA", strings.Clone},
	{"repository", "SIT_ROOT", func(root string) string { return filepath.Join(root, "detector/calib/constants") }},
	{"calibws.read_url", "LCLS_CALIB_HTTP", strings.Clone},
}

// readEnvironment takes what the environment sets.
func (s *Site) readEnvironment(env func(string) string) error {
	for _, a := range aliases {
		if value := env(a.variable); value != "" {
			if err := s.assign(a.key, a.value(value), "environment "+a.variable); err != nil {
				return err
			}
		}
	}
	for _, f := range s.fields() {
		if value := env(f.variable()); f.variable() != "" && value != "" {
			if err := s.assign(f.key, value, "environment "+f.variable()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Set overrides a setting, as a flag of the command line does; origin says who asks for it.
func (s *Site) Set(key, text, origin string) error {
	if err := s.assign(key, text, origin); err != nil {
		return err
	}
	return s.check()
}

// check refuses what cannot work and loads the time zone.
func (s *Site) check() error {
	bad := func(key, why string, args ...any) error {
		return fault.New(fault.Usage, key+" ("+s.Origin(key)+"): "+why, args...).
			WithHint("`rawstatus config` shows every value and where it comes from")
	}
	loc, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "" || s.Timezone == "Local" {
		return bad("timezone", "%q is not the name of a time zone such as America/Los_Angeles", s.Timezone)
	}
	s.location = loc
	if s.DirMode&0o700 != 0o700 || s.DirMode&0o002 != 0 {
		return bad("dir_mode", "%v must allow the owner everything and others no writing", s.DirMode)
	}
	if s.FileMode&0o600 != 0o600 || s.FileMode&0o002 != 0 || s.FileMode > 0o777 {
		return bad("file_mode", "%v must allow the owner to read and write, others no writing, and have no special bits", s.FileMode)
	}
	if s.Slurm.MaxJobs < 0 {
		return bad("slurm.max_jobs", "%d is negative", s.Slurm.MaxJobs)
	}
	return nil
}

// Location is the time zone in which run time-stamps are written.
func (s *Site) Location() *time.Location { return s.location }
