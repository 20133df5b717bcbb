package masks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
)

// Wanted names the status files of one run in the repository.
type Wanted struct {
	Experiment string
	Run        int
	Detector   string // name or type; empty: the only one
	DetType    string // empty: any
	CType      string // empty: status_merged, or else the only type there is
}

// Find lists the status files of a run, one for each panel and gain mode, and the type they have.
func Find(r *repo.Repo, w Wanted) (paths []string, ctype string, err error) {
	located, err := r.Locate(w.Experiment, w.Run, "")
	if err != nil {
		return nil, "", err
	}
	var names []string
	if w.DetType != "" {
		types := map[string]bool{}
		all := len(located)
		located = slices.DeleteFunc(located, func(l repo.Located) bool {
			types[l.DetType] = true
			return !strings.EqualFold(l.DetType, w.DetType)
		})
		if len(located) == 0 && all > 0 {
			return nil, "", fault.New(fault.Input, "run %d has no status files of a detector of type %q, but of %s", w.Run, w.DetType, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
		}
	}
	located = slices.DeleteFunc(located, func(l repo.Located) bool {
		if !slices.Contains(names, l.DetName) {
			names = append(names, l.DetName)
		}
		return w.Detector != "" && !strings.EqualFold(l.DetName, w.Detector) && !strings.EqualFold(l.DetType, w.Detector)
	})
	switch {
	case len(located) == 0 && len(names) > 0:
		return nil, "", fault.New(fault.Input, "run %d has no status files of detector %q, but of %s", w.Run, w.Detector, strings.Join(names, ", "))
	case len(located) == 0:
		return nil, "", fault.New(fault.Input, "the repository %q has no status files of experiment %q run %d", r.Root, w.Experiment, w.Run).
			WithHint("check --exp, --run and -o")
	case w.Detector == "" && len(names) > 1:
		return nil, "", fault.New(fault.Usage, "the run has status files of several detectors: %s", strings.Join(names, ", ")).WithHint("name one with -d")
	}
	files := map[string][]repo.Found{}
	for _, l := range located {
		types, err := r.StatusTypes(l.DetType, l.Panel)
		if err != nil {
			return nil, "", err
		}
		for _, t := range append(types, merged) {
			of, _, err := r.Files(l.DetType, l.Panel, t)
			if err != nil {
				return nil, "", err
			}
			files[t] = append(files[t], ofRun(of, w)...)
		}
	}
	if ctype, err = chooseType(files, w); err != nil {
		return nil, "", err
	}
	for _, f := range files[ctype] {
		paths = append(paths, f.Path)
	}
	return paths, ctype, nil
}

// merged is the type that combines the others.
const merged = "status_merged"

// ofRun picks the files of a run: whole panels, and of several files of one gain mode the preferred one, which is the first.
func ofRun(files []repo.Found, w Wanted) (out []repo.Found) {
	for _, f := range files {
		if f.Run != w.Run || w.Experiment != "" && f.Experiment != w.Experiment || f.Slice {
			continue
		}
		if !slices.ContainsFunc(out, func(o repo.Found) bool { return o.GainMode == f.GainMode }) {
			out = append(out, f)
		}
	}
	return out
}

// chooseType returns the type of the files to take.
func chooseType(files map[string][]repo.Found, w Wanted) (string, error) {
	var types []string
	for t, list := range files {
		if len(list) > 0 {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	switch {
	case w.CType != "" && !slices.Contains(types, w.CType):
		return "", fault.New(fault.Input, "run %d has no %s, but %s", w.Run, w.CType, strings.Join(types, ", "))
	case w.CType != "":
		return w.CType, nil
	case slices.Contains(types, merged):
		return merged, nil
	case len(types) == 1:
		return types[0], nil
	case len(types) == 0:
		return "", fault.New(fault.Input, "run %d has status files of parts of panels only", w.Run)
	}
	return "", fault.New(fault.Usage, "run %d has several types of status: %s", w.Run, strings.Join(types, ", ")).
		WithHint("%s", fmt.Sprintf("choose one with -C, or merge them: mergedeploy merge -r %d", w.Run))
}
