package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/xtc2"
)

const inProgress = ".inprogress"

var xtc2Format = format{
	name: "xtc2",
	parse: func(base string) (runFile, bool) {
		n, ok := xtc2.ParseName(base)
		return runFile{n.Experiment, n.Run}, ok
	},
	suffixes: []string{".xtc2", ".xtc2" + inProgress},
	index:    indexXtc2,
	survey:   surveyXtc2,
}

// indexXtc2 opens the streams of a run and indexes them.
func indexXtc2(ctx context.Context, in input, opt Options) (*frame.Index, error) {
	h := &handles{}
	defer h.close()
	streams, err := xtc2Streams(in, h, opt)
	if err != nil {
		return nil, err
	}
	req := xtc2.Request{Experiment: in.experiment, Run: in.run, RunInFile: in.RunInFile, Streams: streams}
	if len(in.files) > 0 && in.RunInFile == 0 {
		req.RunInFile = in.run // of named files, the run number chooses by runinfo
	}
	x, err := xtc2.BuildIndex(ctx, req, xtc2.Options{
		Reads: opt.Reads, NoSmalldata: opt.NoSmalldata, AllHeaders: opt.AllHeaders,
		Growing: func(ctx context.Context) ([]string, error) { return h.growing(ctx, opt.Settle) },
	})
	if err != nil {
		return nil, err
	}
	var moving []string
	for _, f := range x.Files {
		if strings.HasSuffix(f.Path, inProgress) {
			moving = append(moving, fmt.Sprintf("%q is still being copied: in progress", f.Path))
		}
	}
	x.Missing = append(moving, x.Missing...)
	return x, nil
}

// surveyXtc2 looks at all files of each stream, or its smalldata where there are no data.
func surveyXtc2(ctx context.Context, in input, opt Options) ([]Contents, error) {
	h := &handles{}
	defer h.close()
	streams, err := xtc2Streams(in, h, opt)
	if err != nil {
		return nil, err
	}
	var list []Contents
	for _, s := range streams {
		f := s.First
		if f == nil {
			f = s.Smd
		}
		seen := map[string]bool{}
		for table := (*xtc2.Table)(nil); f != nil; {
			seen[filepath.Base(f.Path)] = true
			v, err := xtc2.Look(ctx, f, table)
			if err != nil {
				return nil, err
			}
			list = append(list, xtc2Contents(f, v))
			f, table = nil, v.InForce
			if v.Next == "" || seen[v.Next] || s.First == nil {
				continue
			}
			if f, err = s.Open(v.Next); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return list, nil
}

// xtc2Contents puts a survey into the form of all formats.
func xtc2Contents(f *xtc2.File, v *xtc2.Survey) Contents {
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
		var names []Description
		for _, n := range t.List {
			d := Description{ID: fmt.Sprintf("%#x", n.ID), Detector: n.DetName, Type: n.DetType, Segment: n.Segment,
				Serial: n.DetID, Algorithm: n.Alg, Version: n.Version.String()}
			values := slices.IndexFunc(t.Values, func(b xtc2.Block) bool { return b.Names == n })
			for i, f := range n.Fields {
				text := fmt.Sprintf("%s %v rank %d", f.Name, f.Type, f.Rank)
				if values >= 0 {
					text += " = " + t.Values[values].Describe(i)
				}
				d.Fields = append(d.Fields, text)
			}
			names = append(names, d)
		}
		c.Configures = append(c.Configures, names)
		c.Detectors = xtc2Detectors(t.Table)
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
		list = append(list, fmt.Sprintf("%s: segments %s", key, formatRanges(ranges(segments[key]))))
	}
	return list
}

// xtc2Streams opens the streams of a run.
func xtc2Streams(in input, h *handles, opt Options) ([]xtc2.Stream, error) {
	paths, err := xtc2Paths(in)
	if err != nil {
		return nil, err
	}
	var streams []xtc2.Stream
	for _, p := range paths {
		s, err := p.open(h, opt)
		if err != nil {
			return nil, err
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// streamPaths is where the files of one stream are; empty where there is none.
type streamPaths struct {
	stream    int
	data, smd string
}

// xtc2Paths gives the files of each stream, ascending.
func xtc2Paths(in input) ([]streamPaths, error) {
	if len(in.files) > 0 {
		return namedPaths(in.files), nil
	}
	byStream := map[int]*streamPaths{}
	for _, dir := range []string{in.dir, filepath.Join(in.dir, "smalldata")} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fault.New(fault.Input, "could not list %q: %w", dir, err)
		}
		for _, e := range entries {
			n, ok := xtc2.ParseName(e.Name())
			if !ok || n.Experiment != in.experiment || n.Run != in.run || n.Chunk != 0 || n.Smalldata != (dir != in.dir) {
				continue
			}
			if len(in.Streams) > 0 && !slices.Contains(in.Streams, n.Stream) {
				continue
			}
			p := byStream[n.Stream]
			if p == nil {
				p = &streamPaths{stream: n.Stream}
				byStream[n.Stream] = p
			}
			to := &p.data
			if n.Smalldata {
				to = &p.smd
			}
			if *to == "" || !n.InProgress { // the complete file goes before a copy under way
				*to = filepath.Join(dir, e.Name())
			}
		}
	}
	var list []streamPaths
	for _, p := range byStream {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b streamPaths) int { return a.stream - b.stream })
	if len(list) == 0 {
		return nil, fault.New(fault.Input, "no stream of run %d of %s in %q", in.run, in.experiment, in.dir).
			WithHint("the streams wanted are %v", in.Streams)
	}
	return list, nil
}

// namedPaths takes each named file as a stream, with its smalldata file if that lies where it belongs.
// Later chunks are found from the first ones and not streams of their own.
func namedPaths(files []string) []streamPaths {
	var list []streamPaths
	for i, path := range files {
		dir, base := filepath.Split(path)
		n, ok := xtc2.ParseName(base)
		if !ok {
			list = append(list, streamPaths{stream: i, data: path})
			continue
		}
		if n.Smalldata {
			list = append(list, streamPaths{stream: n.Stream, smd: path})
			continue
		}
		if n.Chunk > 0 && slices.ContainsFunc(files, func(other string) bool {
			o, ok := xtc2.ParseName(filepath.Base(other))
			return ok && o.Chunk < n.Chunk && o.Stream == n.Stream && o.Run == n.Run && o.Experiment == n.Experiment
		}) {
			continue
		}
		p := streamPaths{stream: n.Stream, data: path}
		stem, _, _ := strings.Cut(base, ".xtc2")
		if smd := filepath.Join(dir, "smalldata", stem+".smd.xtc2"); exists(smd) {
			p.smd = smd
		}
		list = append(list, p)
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// open opens the files of a stream.
func (p streamPaths) open(h *handles, opt Options) (xtc2.Stream, error) {
	s := xtc2.Stream{Number: p.stream}
	file := func(path string) (*xtc2.File, error) {
		f, st, err := h.open(path)
		if err != nil {
			return nil, err
		}
		st.Stream = p.stream
		if n, ok := xtc2.ParseName(filepath.Base(path)); ok {
			st.Chunk = n.Chunk
		}
		return &xtc2.File{File: st, R: f}, nil
	}
	var err error
	if p.data != "" {
		if s.First, err = file(p.data); err != nil {
			return s, err
		}
	}
	if p.smd != "" && (!opt.NoSmalldata || p.data == "") {
		if s.Smd, err = file(p.smd); err != nil {
			return s, err
		}
	}
	s.Open = func(name string) (*xtc2.File, error) {
		dir := filepath.Dir(p.data)
		if p.data == "" {
			dir = filepath.Dir(filepath.Dir(p.smd))
		}
		path := filepath.Join(dir, name)
		if !exists(path) && exists(path+inProgress) {
			path += inProgress
		}
		return file(path)
	}
	return s, nil
}
