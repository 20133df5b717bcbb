// Package config is what a site sets once: data roots, repository, modes, Slurm, limits.
//
// # Precedence
//
// A person's word on the command line counts more than variables of the shell. From the strongest:
//
//  1. a flag of the command,
//  2. a site file named by --site,
//  3. RAWSTATUS_<KEY>,
//  4. the site file named by RAWSTATUS_SITE, else /etc/rawstatus/site.toml if that exists,
//  5. variables of the original software: SIT_PSDM_DATA is the data root, $SIT_ROOT/detector/calib/constants the
//     repository, LCLS_CALIB_HTTP the address from which the calibration web service is read, and SIT_PSDM_OFFSITE
//     stands for its addresses outside the laboratory,
//  6. the default.
//
// Each value remembers where it came from, and `rawstatus config` shows both.
//
// # Site file
//
// TOML, every key optional. A key that is not known is an error with its line, and so is a variable RAWSTATUS_* that
// is none of ours: a misspelt setting must not be silently without effect. The keys and their defaults are the fields
// of [Site]; file modes are octal numbers in quotes, as chmod takes them ("2775").
//
// # Environment
//
// RAWSTATUS_<KEY> sets <key>, with an underscore for the dot of a section (RAWSTATUS_SLURM_PARTITION); tables by
// detector type and the Slurm lists are set in the file only. An empty variable is an unset one.
package config
