package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rawstatus/internal/io/repo"
)

// Side is one of the two things that are compared: files by a name that both sides have in common.
type Side struct {
	Label string
	Repo  *repo.Repo
	Files map[string]string
}

// Filter says which files of a repository are compared; an empty text stands for all.
type Filter struct {
	Experiment, Detector, DetType, Panel, CType string
}

// OfFile returns the side that is one file.
func OfFile(r *repo.Repo, path string) Side {
	return Side{Label: path, Repo: r, Files: map[string]string{"status": path}}
}

// add takes, of one panel's files, the one that holds for a time (zero: the last) in each gain mode, and
// every mask that is not younger.
func (s *Side) add(files []repo.Found, panel, ctype string, at time.Time) {
	for _, f := range files {
		among := files
		if f.Mask != "" {
			alone := f
			alone.Mask, alone.CType = "", repo.TypeUser // taken like a file without other masks beside it
			among = []repo.Found{alone}
		}
		if path := s.Repo.Choose(among, repo.Wish{At: at, GainMode: f.GainMode}).Path; path != "" {
			s.Files[strings.Join(strings.Fields(fmt.Sprint(panel, " ", ctype, " ", f.GainMode, " ", f.Mask)), " ")] = path
		}
	}
}

// types returns the constants types of a panel that are compared.
func (s *Side) types(f Filter, dettype, panel string) ([]string, error) {
	if f.CType != "" {
		return []string{f.CType}, nil
	}
	return s.Repo.StatusTypes(dettype, panel)
}

// AtTime takes the files that are in force at a time.
func (s *Side) AtTime(f Filter, stamp string) error {
	s.Label, s.Files = s.Repo.Root+" at "+stamp, map[string]string{}
	at, err := s.Repo.ParseStamp(stamp)
	if err != nil {
		return err
	}
	dettype := f.DetType
	panels, err := s.Repo.Panels(dettype)
	if err != nil {
		return err
	}
	for _, panel := range panels {
		if f.Panel != "" && panel != f.Panel {
			continue
		}
		types, err := s.types(f, dettype, panel)
		if err != nil {
			return err
		}
		for _, ctype := range types {
			files, _, err := s.Repo.Files(dettype, panel, ctype)
			if err != nil {
				return err
			}
			s.add(files, panel, ctype, at)
		}
	}
	return nil
}

// OfRun takes the files of a run.
func (s *Side) OfRun(f Filter, run int) error {
	s.Label, s.Files = fmt.Sprintf("%s run %d", s.Repo.Root, run), map[string]string{}
	located, err := s.Repo.Locate(f.Experiment, run, f.Panel)
	if err != nil {
		return err
	}
	for _, l := range located {
		if f.Detector != "" && !l.IsOf(f.Detector) || f.DetType != "" && !strings.EqualFold(l.DetType, f.DetType) {
			continue
		}
		types, err := s.types(f, l.DetType, l.Panel)
		if err != nil {
			return err
		}
		for _, ctype := range types {
			files, _, err := s.Repo.Files(l.DetType, l.Panel, ctype)
			if err != nil {
				return err
			}
			files = slices.DeleteFunc(files, func(x repo.Found) bool {
				return x.Run != run || f.Experiment != "" && x.Experiment != f.Experiment
			})
			s.add(files, l.Panel, ctype, time.Time{})
		}
	}
	return nil
}
