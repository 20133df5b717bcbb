package publish

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/config"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/calib"
	"rawstatus/internal/io/calibdir"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/disk"
	"rawstatus/internal/io/repo"
)

// CalibRoot returns the calibration directory of an experiment.
func CalibRoot(site *config.Site, exp string) (string, error) {
	dir, err := site.CalibDirOf(exp)
	if err != nil {
		return "", err
	}
	if dir == "" {
		return "", fault.New(fault.Usage, "no calibration directory is known").WithHint("name it with -c, in the environment or in the site file")
	}
	return filepath.Abs(dir)
}

// Identity is the part of a detector's identity that a ledger of the web service keeps.
type Identity struct {
	LongName string `json:"longname"`
	DetType  string `json:"dettype"`
	DetName  string `json:"detname"`
}

// LedgerDir returns where deployments of a detector in an experiment to the web service are recorded.
func LedgerDir(r *repo.Repo, dettype, exp, det, suffix string) string {
	name := exp + "-" + det
	if suffix != "" {
		name += "-" + suffix
	}
	return filepath.Join(r.TypeDir(dettype), "merge_tmp", "ledger-"+name)
}

// identityOf returns how the database names a detector, by the panels that the repository has of a run; without LongName
// where they do not tell.
func identityOf(r *repo.Repo, exp string, run int, dettype, det string) (id Identity, err error) {
	found, err := r.Locate(exp, run, "")
	if err != nil {
		return id, err
	}
	found = slices.DeleteFunc(found, func(l repo.Located) bool { return !l.IsOf(det) || l.DetType != dettype })
	slices.SortFunc(found, func(a, b repo.Located) int { return cmp.Or(a.Segment-b.Segment, a.Sub-b.Sub) })
	words := []string{strings.ToLower(dettype)}
	for _, l := range found {
		if repo.IsSegmentName(l.Panel) || l.Segment < 0 {
			return id, nil
		}
		words = append(words, l.Panel)
	}
	if long := strings.Join(words, "_"); len(found) > 0 && calibws.CheckLongName(long) == nil {
		id = Identity{LongName: long, DetType: words[0], DetName: det}
	}
	return id, nil
}

// LedgerOfType returns the ledger of a type of constants: that of status_extra stands in the directory of LedgerDir itself.
func LedgerOfType(dir, ctype string) string {
	if ctype == "status_extra" {
		return dir
	}
	return filepath.Join(dir, ctype)
}

// LedgerOfDetector is the inverse of LedgerOfType.
func LedgerOfDetector(dir, ctype string) string {
	if ctype == "status_extra" {
		return dir
	}
	return filepath.Dir(dir)
}

// Destinations returns the destinations that hold constants of a detector in an experiment, to look at them: the calibration directory,
// and the database if something was deployed to it from this repository, or if the site names it and the repository has all
// panels of the run, which make the name of the detector there. Notes say where nothing was looked at.
func Destinations(site *config.Site, r *repo.Repo, exp string, run int, dettype, det, ctype string) (dests []calib.Destination, notes []string, err error) {
	root, err := CalibRoot(site, exp)
	if err != nil {
		notes = append(notes, err.Error())
	} else {
		found, err := calibdir.Find(root, det, ctype)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range found {
			d, err := calibdir.New(root, f[0], f[1], ctype, disk.Files{Policy: r.Policy}, site.Location())
			if err != nil {
				return nil, nil, err
			}
			dests = append(dests, d.Destination())
		}
		if len(found) == 0 {
			notes = append(notes, fmt.Sprintf("%s has no %s of %s", root, ctype, det))
		}
	}
	dir := LedgerDir(r, dettype, exp, det, "")
	text, err := os.ReadFile(filepath.Join(dir, "detector.json"))
	var id Identity
	switch {
	case errors.Is(err, fs.ErrNotExist) && site.Origin("calibws.read_url") == "default":
		return dests, append(notes, "nothing was deployed to the calibration database from this repository, and the site file names none (calibws.read_url)"), nil
	case errors.Is(err, fs.ErrNotExist):
		if id, err = identityOf(r, exp, run, dettype, det); id.LongName == "" && err == nil {
			return dests, append(notes, "the calibration database was not looked at: the ids of the panels, which make the name of the detector there, are not known"), nil
		}
	case err == nil:
		err = json.Unmarshal(text, &id)
	}
	if err != nil {
		return nil, nil, fault.New(fault.Input, "the ledger %q cannot be read: %w", dir, err)
	}
	s := &calibws.Store{Client: &calibws.Client{ReadURL: site.CalibWS.ReadURL, WriteURL: site.CalibWS.WriteURL}, Experiment: exp, DetName: id.DetName,
		DetType: id.DetType, LongName: id.LongName, CType: ctype, Ledger: &calib.Ledger{Dir: LedgerOfType(dir, ctype), Disk: disk.Files{Policy: r.Policy}}}
	return append(dests, s.Destination()), notes, nil
}
