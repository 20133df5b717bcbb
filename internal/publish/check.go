package publish

import (
	"fmt"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/repo"
)

// checkShapes wants one shape of all files of the detector, and fills it in.
func (m *Merged) checkShapes(r *repo.Repo, opt MergeOptions) error {
	var shape []int
	var first string
	for i := range m.Planes {
		for _, s := range m.Planes[i].Sources {
			if shape == nil {
				shape, first = s.shape, s.Path
			}
			if !slices.Equal(s.shape, shape) {
				return fault.New(fault.Input, "%q is an array %v, %q is %v", s.Path, s.shape, first, shape)
			}
		}
	}
	if shape == nil {
		return fault.New(fault.Input, "no panel of %s has a status file for %s: %s", m.Detector, m.Stamp, m.whatIsThere(r, opt)).
			WithHint("check -t, -o, --only, --exclude and --dark-tree")
	}
	if f := m.family; f.Rows > 0 && (shape[0] != f.Rows || shape[1] != f.Cols) {
		return fault.New(fault.Input, "%q is an array %v, a panel of %s is %dx%d", first, shape, m.Type, f.Rows, f.Cols)
	}
	for i := range m.Panels {
		m.Panels[i].Rows, m.Panels[i].Cols = shape[0], shape[1]
	}
	m.fit(shape[0], shape[1], opt.Standing)
	return nil
}

// checkFamilies says when numbers of different meaning come together. A word then still says that a pixel
// is bad; which bit means what is in the table of sources.
func (m *Merged) checkFamilies(opt MergeOptions) error {
	files := map[string]int{}
	foreign := 0
	for i := range m.Planes {
		for _, s := range m.Planes[i].Sources {
			if s.byPerson {
				continue
			}
			files[s.Family]++
			if s.Profile == "" && s.Family == repo.FamilyFeatures {
				foreign++
			}
		}
	}
	if foreign > 0 {
		m.Notes = append(m.Notes, fault.Count(foreign, "file")+" without sidecar: the bits are taken as those of det_pixel_status")
	}
	if len(files) < 2 {
		return nil
	}
	var lines []string
	for family, n := range files {
		lines = append(lines, fmt.Sprintf("%s (%s)", family, fault.Count(n, "file")))
	}
	slices.Sort(lines)
	what := strings.Join(lines, ", ")
	if opt.And {
		return fault.New(fault.Usage, "--and compares bits of different meaning: %s", what).WithHint("merge types of one kind only, with --only or --exclude")
	}
	m.Notes = append(m.Notes, "bits below 1024 are of several families, "+what+": the table of bits says which type a bit comes from")
	return nil
}
