package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // run time-stamps must not depend on what is installed on a node

	"rawstatus/internal/fault"
)

// DefaultPath is the site file that is read when none is named and it exists.
const DefaultPath = "/etc/rawstatus/site.toml"

// Site is the configuration in force. The tags say how a field is set: toml is its key, sep splits a
// list given in the environment, is names a kind of text.
type Site struct {
	DataRoots  []string `toml:"data_roots" sep:":"`
	Repository string   `toml:"repository"`
	CalibDir   string   `toml:"calib_dir"`
	Timezone   string   `toml:"timezone"`
	Group      string   `toml:"group"`
	DirMode    Mode     `toml:"dir_mode"`
	FileMode   Mode     `toml:"file_mode"`
	WorkRoot   string   `toml:"work_root"`

	// KnownMissing are ids of panels that may be missing from runs.
	KnownMissing []string `toml:"known_missing" sep:","`

	// Products are the constants of dark runs that are written beside the status.
	Products []string `toml:"products" sep:","`

	CalibWS CalibWS           `toml:"calibws"`
	Slurm   Slurm             `toml:"slurm"`
	Elog    Elog              `toml:"elog"`
	Notify  Notify            `toml:"notify"`
	Limits  map[string]Limits `toml:"limits"` // by detector type in lower case

	location   *time.Location
	origin     map[string]string
	file       string
	unknown    []string
	overridden []string
}

// CalibWS has the addresses of the LCLS-II calibration web service.
type CalibWS struct {
	ReadURL  string `toml:"read_url" is:"address"`
	WriteURL string `toml:"write_url" is:"address"`
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

// Elog is the experiment logbook.
type Elog struct {
	Post         bool     `toml:"post"` // run, submit and campaign post without being asked
	URL          string   `toml:"url" is:"address"`
	Auth         string   `toml:"auth"`          // none, basic, negotiate or auto
	User         string   `toml:"user"`          // of basic; empty: the instrument's operator
	PasswordFile string   `toml:"password_file"` // of basic
	Title        string   `toml:"title"`
	Tags         []string `toml:"tags" sep:","`
	AttachMax    int      `toml:"attach_max"` // bytes; of larger reports a smaller page is attached
}

// Notify is the hook that hears how jobs end.
type Notify struct {
	Command []string `toml:"command"`      // program and first arguments; the event is its input
	Mail    []string `toml:"mail" sep:","` // addresses
	On      []string `toml:"on" sep:","`   // states that are told; empty: all
}

// states are those that a job can end in.
var states = []string{"done", "failed", "refused", "waiting"}

// Limits replace the limits of the detector table for one detector type. A nil field is not set. The tags from and to
// bound the values that make sense.
type Limits struct {
	IntLo  *float64 `toml:"int_lo"`                   // intensity limits, ADU
	IntHi  *float64 `toml:"int_hi"`                   //
	IntNLo *float64 `toml:"intnlo" from:"0" to:"1e9"` // ... in standard deviations from the mean over the pixels
	IntNHi *float64 `toml:"intnhi" from:"0" to:"1e9"` //
	RMSLo  *float64 `toml:"rms_lo" from:"0" to:"1e9"` // limits of the RMS over frames, ADU
	RMSHi  *float64 `toml:"rms_hi" from:"0" to:"1e9"` //
	RMSNLo *float64 `toml:"rmsnlo" from:"0" to:"1e9"` // ... in standard deviations from the mean over the pixels
	RMSNHi *float64 `toml:"rmsnhi" from:"0" to:"1e9"` //
	FracLM *float64 `toml:"fraclm" from:"0" to:"1"`   // allowed fraction of frames outside int_lo, int_hi
	FracLo *float64 `toml:"fraclo" from:"0" to:"1"`   // quantiles of the dark gate
	FracHi *float64 `toml:"frachi" from:"0" to:"1"`   //
	SNRMax *float64 `toml:"snrmax" from:"0" to:"1e9"` // outlier limit of the features, in spreads

	HowLimits  *string `toml:"limits" words:"mean robust"`                      // how rms and average limits are made
	LimitsPer  *string `toml:"limits_per" words:"detector panel asic"`          // ... and over what
	Profile    *string `toml:"profile" words:"data dark features light max ci"` // where neither --profile nor -F says
	ZeroFrames *string `toml:"zero_frames" words:"lost keep"`                   // frames of nothing but zeros

	MaxBad      *float64 `toml:"max_bad" from:"0" to:"1"`      // gate of deployments: fraction of a panel that may be bad
	MaxNew      *float64 `toml:"max_new" from:"0" to:"1"`      // ... fraction of the pixels that may become bad
	MaxUnjudged *float64 `toml:"max_unjudged" from:"0" to:"1"` // ... fraction of a panel that may be not judged
	MaxShift    *float64 `toml:"max_shift" from:"0" to:"1e6"`  // ... sigmas that pedestals of a chip may move
	MaxAge      *float64 `toml:"max_age" from:"0" to:"1e6"`    // ... days that the run behind a status file may be older

	MissingGain *[]string `toml:"missing_gain"` // what gain modes without a status file are, as --missing-gain says it
}

// defaults returns the settings of a machine that has no site file.
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
		Slurm: Slurm{Account: "lcls:{exp}"},
		Elog: Elog{
			URL:       "https://pswww.slac.stanford.edu",
			Auth:      "auto",
			Title:     "Detector Bad Pixel Info",
			Tags:      []string{"SUMMARY_BAD_PIX"},
			AttachMax: 10 << 20,
		},
		Limits: map[string]Limits{},
		origin: map[string]string{},
	}
}

// Load makes the configuration from the defaults, psana's variables, the site file and our variables; environ is as
// os.Environ. A site file that is named by path wins over our variables: somebody has just typed it. An empty path
// stands for the file named by RAWSTATUS_SITE, else DefaultPath if it exists; over these our variables win.
func Load(path string, environ []string) (*Site, error) {
	s := defaults()
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	s.nameUnknown(env)
	layers := []func() error{func() error { return s.readOriginal(env) }}
	ours := func() error { return s.readEnvironment(env) }
	if path != "" {
		layers = append(layers, ours, func() error { return s.openFile(path, false) })
	} else if named := env["RAWSTATUS_SITE"]; named != "" {
		layers = append(layers, func() error { return s.openFile(named, false) }, ours)
	} else {
		layers = append(layers, func() error { return s.openFile(DefaultPath, true) }, ours)
	}
	for _, layer := range layers {
		if err := layer(); err != nil {
			return nil, err
		}
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	for _, f := range s.fields() { // variables that --site has overridden
		if v := f.variable(); v != "" && env[v] != "" && s.Origin(f.key) != "environment "+v {
			s.overridden = append(s.overridden, v)
		}
	}
	return s, nil
}

// openFile reads the site file; one that is optional may be absent.
func (s *Site) openFile(path string, optional bool) error {
	text, err := os.ReadFile(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Usage, "could not read the site file: %w", err).
			WithHint("name another one with --site or RAWSTATUS_SITE")
	}
	if err := guard(path); err != nil {
		return err
	}
	s.file = path
	return s.readFile(path, string(text))
}

// aliases are variables of the original software, below everything that is said to this program. A later one wins.
var aliases = []struct {
	key, variable string
	value         func(string) string
}{
	{"data_roots", "SIT_PSDM_DATA", strings.Clone},
	{"repository", "SIT_ROOT", func(root string) string { return filepath.Join(root, "detector/calib/constants") }},
	{"calibws.read_url", "LCLS_CALIB_HTTP", strings.Clone},
	{"calibws.read_url", "SIT_PSDM_OFFSITE", func(string) string { return offsite + "calib_ws/" }},
	{"calibws.write_url", "SIT_PSDM_OFFSITE", func(string) string { return offsite + "ws-kerb/calib_ws/" }},
}

// offsite is the web service for machines outside the laboratory, which psana uses when SIT_PSDM_OFFSITE is set.
const offsite = "https://psextapi.slac.stanford.edu/"

// readOriginal takes what the variables of the original software set.
func (s *Site) readOriginal(env map[string]string) error {
	for _, a := range aliases {
		if value := env[a.variable]; value != "" {
			if err := s.assign(a.key, a.value(value), "environment "+a.variable); err != nil {
				return err
			}
		}
	}
	return nil
}

// readEnvironment takes what our variables set.
func (s *Site) readEnvironment(env map[string]string) error {
	for _, f := range s.fields() {
		if value := env[f.variable()]; f.variable() != "" && value != "" {
			if err := s.assign(f.key, value, "environment "+f.variable()); err != nil {
				return err
			}
		}
	}
	return nil
}

// others are our variables that are no settings: of the job scripts, and of tests and benchmarks.
var others = []string{"RAWSTATUS_SITE", "RAWSTATUS_REQUEUE", "RAWSTATUS_BIN", "RAWSTATUS_MERGEDEPLOY_BIN", "RAWSTATUS_PYTHON", "RAWSTATUS_SHARED",
	"RAWSTATUS_SLURM_DIR", "RAWSTATUS_SLURM_NODE", "RAWSTATUS_SLURM_OOM", "RAWSTATUS_SLURM_PORT"}

// nameUnknown notes the variables that look like ours and are not.
func (s *Site) nameUnknown(env map[string]string) {
	known := slices.Clone(others)
	for _, f := range s.fields() {
		known = append(known, f.variable())
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, "RAWSTATUS_") || slices.Contains(known, name) ||
			strings.HasPrefix(name, "RAWSTATUS_TEST_") || strings.HasPrefix(name, "RAWSTATUS_BENCH_") {
			continue
		}
		text := "environment: there is no setting for " + name
		if near := fault.Nearest(name, known); near != "" {
			text += ", did you mean " + near + "?"
		}
		s.unknown = append(s.unknown, text)
	}
}

// Unknown lists what the site file and the environment set that does not exist.
func (s *Site) Unknown() []string { return s.unknown }

// CheckNames refuses settings that do not exist: a misspelt setting must not be without effect.
func (s *Site) CheckNames() error {
	if len(s.unknown) == 0 {
		return nil
	}
	return fault.New(fault.Usage, "%s", strings.Join(s.unknown, "; ")).
		WithHint("`rawstatus config` lists the settings with the place where each comes from; docs/configuration.md explains them")
}

// File returns the site file in force, empty if there is none.
func (s *Site) File() string { return s.file }

// Overridden lists the variables of ours that the site file named by --site has overridden.
func (s *Site) Overridden() []string { return s.overridden }

// Clone returns a copy whose settings may be changed.
func (s *Site) Clone() *Site {
	c := *s
	c.origin, c.Limits = maps.Clone(s.origin), maps.Clone(s.Limits)
	return &c
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
	for _, f := range s.limits() {
		if f.value.Elem().Kind() == reflect.String {
			if words := strings.Fields(f.tag("words")); !slices.Contains(words, f.value.Elem().String()) {
				return bad(f.key, "%q is not one of %s", f.value.Elem().String(), strings.Join(words, ", "))
			}
		}
		if f.value.Elem().Kind() != reflect.Float64 {
			continue
		}
		switch v := f.value.Elem().Float(); {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return bad(f.key, "%v is not a finite number", v)
		case f.tag("from") != "" && (v < f.number("from") || v > f.number("to")):
			return bad(f.key, "%v is not from %s to %s", v, f.tag("from"), f.tag("to"))
		}
	}
	for _, f := range s.fields() {
		if text := fmt.Sprint(f.value); f.tag("is") == "address" && text != "" {
			if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
				return bad(f.key, "it is not an address such as https://host.example/path, without user and password")
			}
		}
	}
	for _, state := range s.Notify.On {
		if !slices.Contains(states, state) {
			return bad("notify.on", "%q is not one of %s", state, strings.Join(states, ", "))
		}
	}
	if len(s.Notify.Command) > 0 && !filepath.IsAbs(s.Notify.Command[0]) {
		return bad("notify.command", "%q is not the absolute path of a program", s.Notify.Command[0])
	}
	for _, to := range s.Notify.Mail {
		if !strings.Contains(to, "@") || strings.ContainsAny(to, " ,\n\r") {
			return bad("notify.mail", "%q is not an address", to)
		}
	}
	if s.Elog.AttachMax < 0 {
		return bad("elog.attach_max", "%d is negative", s.Elog.AttachMax)
	}
	if !slices.Contains([]string{"none", "basic", "negotiate", "auto"}, s.Elog.Auth) {
		return bad("elog.auth", "%q is not none, basic, negotiate or auto", s.Elog.Auth)
	}
	return nil
}

// CalibDirOf returns the calibration directory of an experiment: as set, with {exp}, {ins} and {INS} replaced, else the
// one beside the experiment's raw data below a data root; empty if there is none.
func (s *Site) CalibDirOf(exp string) (string, error) {
	ins := exp[:min(3, len(exp))]
	if s.CalibDir != "" {
		if strings.Contains(s.CalibDir, "{") && exp == "" {
			return "", fault.New(fault.Usage, "the calibration directory %q depends on the experiment", s.CalibDir).WithHint("give -e")
		}
		return strings.NewReplacer("{exp}", exp, "{ins}", ins, "{INS}", strings.ToUpper(ins)).Replace(s.CalibDir), nil
	}
	if exp == "" {
		return "", nil
	}
	for _, root := range s.DataRoots {
		for _, i := range []string{ins, strings.ToUpper(ins), "."} {
			dir := filepath.Join(root, i, exp, "calib")
			if st, err := os.Stat(dir); err == nil && st.IsDir() {
				return dir, nil
			}
		}
	}
	return "", nil
}

// Location returns the time zone in which run time-stamps are written.
func (s *Site) Location() *time.Location { return s.location }
