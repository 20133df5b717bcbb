package repo

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Found is a file with constants of a panel.
type Found struct {
	Name
	Path string
}

// StatusTypes lists the status_* directories of a panel that a merge may read, ascending: not
// status_merged and status_extra, which are made of the others.
func (r *Repo) StatusTypes(dettype, panel string) ([]string, error) {
	entries, err := os.ReadDir(r.PanelDir(dettype, panel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("could not list the constants of panel %q: %w", panel, err)
	}
	var types []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() && strings.HasPrefix(name, "status_") && name != "status_merged" && name != "status_extra" {
			types = append(types, name)
		}
	}
	return types, nil
}

// Files lists the files of one constants type of a panel, ascending by time-stamp, and the names of
// others that were passed over. Files of equal time-stamp and gain mode are in falling order of
// preference: whole panels before slices, .dat before .txt before .data, then by name.
func (r *Repo) Files(dettype, panel, ctype string) (files []Found, foreign []string, err error) {
	dir := filepath.Join(r.PanelDir(dettype, panel), ctype)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("could not list %q: %w", dir, err)
	}
	alias := r.knownAlias(dettype, panel)
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() && e.Type() != fs.ModeSymlink || name[0] == '.' || filepath.Ext(name) == ".json" {
			continue
		}
		n, ok := ParseName(name, ctype)
		if !ok || n.DetType != strings.ToLower(dettype) || alias != "" && n.Alias != alias {
			foreign = append(foreign, name)
			continue
		}
		files = append(files, Found{n, filepath.Join(dir, name)})
	}
	slices.SortFunc(files, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), cmp.Compare(a.GainMode, b.GainMode), compareBool(a.Slice, b.Slice),
			cmp.Compare(slices.Index(extensions, a.Ext), slices.Index(extensions, b.Ext)), cmp.Compare(a.Path, b.Path))
	})
	return files, foreign, nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Choose picks, among files in the order of [Repo.Files], the one that holds for a time-stamp and gain
// mode: of those not younger the youngest, a file of that very gain mode before one without, whole panels
// only. ok is false when there is none.
func Choose(files []Found, stamp, gainMode string) (chosen Found, ok bool) {
	for _, f := range files {
		if f.Stamp > stamp || f.Slice || f.GainMode != "" && f.GainMode != gainMode {
			continue
		}
		if !ok || f.Stamp > chosen.Stamp || f.Stamp == chosen.Stamp && f.GainMode != "" && chosen.GainMode == "" {
			chosen, ok = f, true
		}
	}
	return chosen, ok
}
