package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/xtc2"
	"rawstatus/internal/ranges"
)

// surveyXtc2 looks at all files of a stream, also those that others announce, or at its smalldata where
// there are no data.
func surveyXtc2(ctx context.Context, s surveyOf) ([]Contents, error) {
	files := s.Files
	if !s.HasData() && s.Small() != nil {
		files = []*rawrun.File{s.Small()}
	}
	var list []Contents
	seen := map[string]bool{}
	table := (*xtc2.Table)(nil)
	for i := 0; i < len(files); i++ {
		f := files[i]
		if !f.IsThere() {
			continue
		}
		seen[filepath.Base(f.Path)] = true
		v, err := xtc2.Look(ctx, f, table)
		if err != nil {
			return nil, err
		}
		list = append(list, xtc2Contents(f, v, s.names))
		table = v.InForce
		if v.Next == "" || seen[v.Next] || i+1 < len(files) || !s.HasData() {
			continue
		}
		next, err := s.open(f, v.Next)
		if err == nil {
			files = append(files, next)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return list, nil
}

// xtc2Contents puts a survey into the form of all formats.
func xtc2Contents(f *xtc2.File, v *xtc2.Survey, describe bool) Contents {
	c := Contents{Path: f.Path, Size: f.Size}
	for n, count := range v.Services {
		if count > 0 {
			c.Transitions = append(c.Transitions, Count{xtc2.Service(n).String(), count})
		}
	}
	for _, bits := range slices.Sorted(maps.Keys(v.Damage)) {
		c.Damage = append(c.Damage, Count{fmt.Sprintf("%#06x", bits), v.Damage[bits]})
	}
	if v.Problem != nil {
		c.Problem = v.Problem.Error()
	}
	for _, t := range v.Configs {
		c.Detectors = xtc2Detectors(t.Table)
		if !describe {
			continue
		}
		var names []Description
		values := make(map[*xtc2.Names]*xtc2.Block, len(t.Values))
		for i := range t.Values {
			if b := &t.Values[i]; values[b.Names] == nil {
				values[b.Names] = b
			}
		}
		for _, n := range t.List {
			d := Description{ID: fmt.Sprintf("%#x", n.ID), Detector: n.DetName, Type: n.DetType, Segment: n.Segment,
				Serial: n.DetID, Algorithm: n.Alg, Version: n.Version.String()}
			for i, f := range n.Fields {
				text := fmt.Sprintf("%s %v rank %d", f.Name, f.Type, f.Rank)
				if b := values[n]; b != nil {
					text += " = " + b.Describe(i)
				}
				d.Fields = append(d.Fields, text)
			}
			names = append(names, d)
		}
		c.Configures = append(c.Configures, names)
	}
	return c
}

// xtc2Detectors lists the detectors of a table with their types, segments and algorithms.
func xtc2Detectors(t *xtc2.Table) []string {
	segments := map[string][]int{}
	for _, n := range t.List {
		if !xtc2.IsBookkeeping(n.DetName) {
			key := fmt.Sprintf("%s (%s) %s", n.DetName, n.DetType, n.Alg)
			segments[key] = append(segments[key], n.Segment)
		}
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(segments)) {
		list = append(list, fmt.Sprintf("%s: segments %s", key, ranges.Of(segments[key])))
	}
	return list
}
