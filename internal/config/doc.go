// Package config is what a site sets once: data roots, repository, modes, Slurm, limits.
//
// # Precedence
//
// Each setting has a default. The site file overrides the default, the environment overrides the file,
// and a flag of the command overrides them all. Each value remembers where it came from, and
// `rawstatus config` shows both.
//
// # Site file
//
// TOML, every key optional; the file is the one named by --site, else by RAWSTATUS_SITE, else
// /etc/rawstatus/site.toml if that exists. A key that is not known is an error with its line: a
// misspelt setting must not be silently without effect. The keys and their defaults are the fields of
// [Site]; file modes are octal numbers in quotes, as chmod takes them ("2775").
//
// # Environment
//
// RAWSTATUS_<KEY> sets <key>, with an underscore for the dot of a section (RAWSTATUS_SLURM_PARTITION);
// tables by detector type and the Slurm lists are set in the file only. Where that variable is unset, these
// variables of the original software count: SIT_PSDM_DATA is the data root, $SIT_ROOT/detector/calib/constants
// the repository, LCLS_CALIB_HTTP the address from which the calibration web service is read. An empty variable is an unset one.
package config
