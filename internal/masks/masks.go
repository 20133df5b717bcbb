package masks

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rawstatus/internal/detector"
	"rawstatus/internal/fault"
	"rawstatus/internal/io/export"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/stats/status"
)

// Choice selects bits, gain modes and types of the status words.
type Choice struct {
	Bits    string   // names or values of bits, comma separated, "^" before one excludes it; empty: all
	Gains   []string // gain modes that are combined; empty: all
	DetType string   // of an array that does not say it
	Family  string   // meaning of the bits of a file that does not say it
}

// plane is one panel in one gain mode.
type plane struct {
	slot  int
	gain  string
	words []uint64
	// gainMap are the gain modes among which the pixels of the panel are divided; empty: all pixels are in each.
	gainMap []string
}

// source combines the files that were read.
type source struct {
	detector   string
	detType    string
	family     string
	rows, cols int
	count      int // panels; 0: up to the last one that has a file
	planes     []plane
	files      []string
	notes      []string
}

// shownFiles is how many sources are named.
const shownFiles = 8

// Load makes the mask of the files: one array of a whole detector, or one file for each panel and gain mode.
func Load(r *repo.Repo, paths []string, c Choice) (*export.Mask, error) {
	if len(paths) == 0 {
		return nil, fault.New(fault.Usage, "no status file is named").WithHint("name files, or a run in the repository with --exp and --run")
	}
	s := &source{detType: c.DetType}
	for _, path := range paths {
		read, err := r.ReadStatus(path, nil)
		if err != nil {
			return nil, err
		}
		if read.Sidecar == nil && len(paths) > 1 {
			return nil, fault.New(fault.Input, "%q has no sidecar: nothing says which panel it is", path).
				WithHint("export files of other programs one by one")
		}
		if err := s.add(path, read, c); err != nil {
			return nil, err
		}
	}
	return s.mask(c)
}

// add takes up a file.
func (s *source) add(path string, read *repo.Read, c Choice) error {
	sc := read.Sidecar
	if sc == nil {
		s.notes = append(s.notes, fmt.Sprintf("%s has no sidecar: its bits are taken for those of family %s", filepath.Base(path), cmp.Or(c.Family, string(status.Features))))
		sc = &repo.Sidecar{Family: cmp.Or(c.Family, string(status.Features)), DetType: cmp.Or(c.DetType, typeOf(path)), DetName: filepath.Base(path)}
	}
	switch {
	case s.detector == "":
		s.detector, s.detType, s.family = sc.DetName, cmp.Or(sc.DetType, s.detType), sc.Family
		if sc.Run.Experiment != "" {
			s.detector += fmt.Sprintf(" of %s run %d", sc.Run.Experiment, sc.Run.Number)
		}
	case sc.Family != s.family:
		return fault.New(fault.Input, "%q has bits of family %s, others of %s: a mask has one meaning", path, sc.Family, s.family).
			WithHint("export one type of constants at a time, or what mergedeploy has merged")
	}
	s.files = append(s.files, path)
	return s.split(path, read, sc)
}

// split cuts the array of a file into planes.
func (s *source) split(path string, read *repo.Read, sc *repo.Sidecar) error {
	shape, family := read.Shape, detector.Family{}
	if s.detType != "" {
		family, _ = detector.Lookup(s.detType)
	}
	gains, panels, rows, cols, last := []string{sc.GainMode}, 1, 0, 0, false
	switch n := len(shape); {
	case n == 2:
		rows, cols = shape[0], shape[1]
	case n == 3 && (family.PanelsLast || shape[2] <= 2 && shape[0] > 2): // as those of cspad2x2
		rows, cols, panels, last = shape[0], shape[1], shape[2], true
	case n == 3:
		panels, rows, cols = shape[0], shape[1], shape[2]
	case n == 4:
		panels, rows, cols = shape[1], shape[2], shape[3]
		if gains = family.GainModes; len(gains) != shape[0] {
			gains = nil
			for i := range shape[0] {
				gains = append(gains, strconv.Itoa(i))
			}
		}
	default:
		return fault.New(fault.Input, "%q has shape %v: wanted (rows, columns), (panels, rows, columns) or (gain modes, panels, rows, columns)", path, shape)
	}
	if s.rows == 0 {
		s.rows, s.cols = rows, cols
	}
	if rows != s.rows || cols != s.cols {
		return fault.New(fault.Input, "%q has panels of %d x %d pixels, others have %d x %d", path, rows, cols, s.rows, s.cols)
	}
	if len(shape) > 2 {
		s.count = max(s.count, panels)
	}
	pixels, values := rows*cols, read.Dense()
	for g, gain := range gains {
		for p := range panels {
			words := values[(g*panels+p)*pixels : (g*panels+p+1)*pixels]
			if last {
				words = make([]uint64, pixels)
				for i := range words {
					words[i] = values[i*panels+p]
				}
			}
			slot := p
			if len(shape) == 2 && read.Sidecar != nil {
				slot = sc.Segment
				if sc.Sub > 0 {
					return fault.New(fault.Input, "%q is panel %d of segment %d: segments of several panels are exported from the array that mergedeploy makes", path, sc.Sub, sc.Segment)
				}
			}
			if i := slices.IndexFunc(s.planes, func(q plane) bool { return q.slot == slot && q.gain == gain }); i >= 0 {
				return fault.New(fault.Input, "%q is a second file of segment %d %s", path, slot, gain).WithHint("name one type of constants of one run")
			}
			s.planes = append(s.planes, plane{slot, gain, words, sc.GainMap})
		}
	}
	return nil
}

// typeOf guesses the detector type from where an array lies: <type>/merge_tmp/ in a repository, <Type>::CalibV1/ in a
// calibration directory.
func typeOf(path string) string {
	dir := filepath.Dir(path)
	for range 3 {
		if group, ok := strings.CutSuffix(filepath.Base(dir), "::CalibV1"); ok {
			return strings.ToLower(group)
		}
		if filepath.Base(dir) == "merge_tmp" {
			return filepath.Base(filepath.Dir(dir))
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

// mask chooses bits and gain modes.
func (s *source) mask(c Choice) (*export.Mask, error) {
	m := &export.Mask{Detector: s.detector, Rows: s.rows, Cols: s.cols, Bits: Bits(s.family)}
	chosen, said, err := chooseBits(c.Bits, m.Bits, s.family)
	if err != nil {
		return nil, err
	}
	gains, err := s.chooseGains(c.Gains)
	if err != nil {
		return nil, err
	}
	alone := 0
	for _, p := range s.planes {
		s.count = max(s.count, p.slot+1)
		alone = max(alone, p.slot)
	}
	single := len(s.planes) == len(gains) && !slices.ContainsFunc(s.planes, func(p plane) bool { return p.slot != alone })
	if single && s.count == alone+1 {
		s.count = 1 // one panel, whatever its segment
		s.notes = append(s.notes, fmt.Sprintf("one panel: segment %d", alone))
	}
	m.Panels = make([][]uint64, s.count)
	for _, p := range s.planes {
		if !slices.Contains(gains, p.gain) {
			continue
		}
		at := p.slot
		if s.count == 1 {
			at = 0
		}
		if m.Panels[at] == nil {
			m.Panels[at] = make([]uint64, len(p.words))
		}
		for i, word := range p.words {
			if word&status.NoData != 0 && s.elsewhere(p, i, gains) {
				word &^= status.NoData
			}
			m.Panels[at][i] |= word & chosen
		}
	}
	for i, p := range m.Panels {
		if p == nil {
			m.Panels[i] = slices.Repeat([]uint64{status.NoData}, s.rows*s.cols)
			s.notes = append(s.notes, fmt.Sprintf("panel %d has no file: it is masked", i))
		}
	}
	m.Notes = append(m.Notes, said, gainNote(gains))
	m.Notes = append(m.Notes, s.notes...)
	for _, path := range s.files[:min(len(s.files), shownFiles)] {
		m.Notes = append(m.Notes, "from "+path)
	}
	if n := len(s.files) - shownFiles; n > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("and from %d more files", n))
	}
	return m, nil
}

// elsewhere reports whether a gain map puts a pixel without data into another of the gain modes that are combined, where
// it has data.
func (s *source) elsewhere(p plane, pixel int, gains []string) bool {
	return len(p.gainMap) > 0 && slices.ContainsFunc(s.planes, func(q plane) bool {
		return q.slot == p.slot && q.gain != p.gain && slices.Contains(p.gainMap, q.gain) && slices.Contains(gains, q.gain) && q.words[pixel]&status.NoData == 0
	})
}

func gainNote(gains []string) string {
	switch {
	case len(gains) > 1:
		return "gain modes: " + strings.Join(gains, ", ") + ": a pixel is masked when it is bad in any of them"
	case gains[0] == "":
		return "gain modes: one, or all alike"
	}
	return "gain modes: " + gains[0] + " only"
}

// chooseGains returns the gain modes to combine: those asked for, else all. Every panel with files must have each.
func (s *source) chooseGains(wanted []string) ([]string, error) {
	var all []string
	slots := map[int]bool{}
	for _, p := range s.planes {
		slots[p.slot] = true
		if !slices.Contains(all, p.gain) {
			all = append(all, p.gain)
		}
	}
	family, _ := detector.Lookup(s.detType)
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(family.GainIndex(a), family.GainIndex(b)) })
	gains := all
	if len(wanted) > 0 {
		gains = wanted
	}
	for _, g := range gains {
		have := 0
		for _, p := range s.planes {
			if p.gain == g {
				have++
			}
		}
		switch {
		case have == 0:
			return nil, fault.New(fault.Input, "there is no gain mode %q, only %s", g, strings.Join(all, ", "))
		case have < len(slots):
			return nil, fault.New(fault.Input, "gain mode %q is there for %d of %d panels", g, have, len(slots)).
				WithHint("choose gain modes that all panels have with --gain-mode")
		}
	}
	return gains, nil
}

// chooseBits reads a list of bits and says what it chooses. Bits of pixels that were not judged belong to every choice that
// does not exclude them by name.
func chooseBits(text string, known []export.Bit, family string) (chosen uint64, said string, err error) {
	const all = 1<<64 - 1
	var with, without uint64
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, exclude := strings.CutPrefix(word, "^")
		var v uint64
		if i := slices.IndexFunc(known, func(b export.Bit) bool {
			return slices.Contains(strings.Split(b.Name, "/"), strings.ToUpper(name))
		}); i >= 0 {
			v = known[i].Value
		} else if v, err = strconv.ParseUint(name, 0, 64); err != nil || v == 0 {
			var names []string
			for _, b := range known {
				names = append(names, b.Name)
			}
			return 0, "", fault.New(fault.Usage, "bit %q is not known of family %s", name, family).WithHint("bits: %s; or numbers", strings.Join(names, ", "))
		}
		if exclude {
			without |= v
		} else {
			with |= v
		}
	}
	chosen = with | status.NotJudged
	if with == 0 {
		chosen = all
	}
	chosen &^= without
	switch {
	case text == "":
		return chosen, "bits: all", nil
	case with == 0:
		return chosen, fmt.Sprintf("bits: all but %s", text), nil
	}
	return chosen, fmt.Sprintf("bits: %s, and pixels that were not judged", text), nil
}
