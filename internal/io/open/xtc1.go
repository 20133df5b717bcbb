package open

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/xtc1"
)

var xtc1Format = format{
	name: "xtc1",
	parse: func(base string) (runFile, bool) {
		n, ok := xtc1.ParseName(base)
		if n.IsNumbered() {
			n.Experiment = "" // "e167": the name is only in the path
		}
		return runFile{n.Experiment, n.Run}, ok
	},
	suffixes: []string{".xtc", ".xtc" + inProgress},
	index:    indexXtc1,
	survey:   surveyXtc1,
}

// surveyXtc1 looks at every file.
func surveyXtc1(ctx context.Context, in input, opt Options) ([]Contents, error) {
	h := &handles{}
	defer h.close()
	found, _, err := xtc1Files(in)
	if err != nil {
		return nil, err
	}
	var list []Contents
	for _, f := range found {
		file, err := openXtc1(h, f, f.Path)
		if err != nil {
			return nil, err
		}
		c := Contents{Path: f.Path, Size: file.Size}
		transitions, leaves, damage := counter{}, counter{}, counter{}
		err = xtc1.Scan(ctx, file, func(d *xtc1.Datagram) error {
			transitions.add(d.Service)
			var described []Description
			for _, l := range d.Leaves {
				leaves.add(l.String())
				if l.Damage != 0 {
					damage.add(fmt.Sprintf("%#x", l.Damage))
				}
				described = append(described, Description{ID: fmt.Sprintf("%#x", l.Offset), Detector: l.Source, Type: l.TypeName,
					Version: fmt.Sprintf("v%d", l.Version), Fields: []string{fmt.Sprintf("%d bytes", l.Size)}})
			}
			if d.Service == "Configure" {
				c.Configures = append(c.Configures, described)
			}
			return nil
		})
		var problem *cursor.Error
		switch {
		case errors.As(err, &problem):
			c.Problem = err.Error()
		case err != nil:
			return nil, err
		}
		c.Transitions, c.Leaves, c.Damage = transitions.list, leaves.list, damage.list
		list = append(list, c)
	}
	return list, nil
}

// counter counts things by name, in the order in which they come first.
type counter struct {
	list []Count
	at   map[string]int
}

func (c *counter) add(name string) {
	i, ok := c.at[name]
	if !ok {
		if c.at == nil {
			c.at = map[string]int{}
		}
		i = len(c.list)
		c.at[name] = i
		c.list = append(c.list, Count{Name: name})
	}
	c.list[i].N++
}

// indexXtc1 opens the files of a run and indexes them.
func indexXtc1(ctx context.Context, in input, opt Options) (*frame.Index, error) {
	h := &handles{}
	defer h.close()
	found, missing, err := xtc1Files(in)
	if err != nil {
		return nil, err
	}
	req := xtc1.Request{Experiment: in.experiment, Run: in.run, Missing: missing}
	for _, f := range found {
		data, err := openXtc1(h, f, f.Path)
		if err != nil {
			return nil, err
		}
		if f.Small != "" && !opt.NoSmalldata {
			if data.Small, err = openXtc1(h, f, f.Small); err != nil {
				return nil, err
			}
		}
		req.Files = append(req.Files, data)
	}
	return xtc1.BuildIndex(ctx, req, xtc1.Options{
		Reads: opt.Reads, NoSmalldata: opt.NoSmalldata,
		Growing: func(ctx context.Context) ([]string, error) { return h.growing(ctx, opt.Settle) },
	})
}

func openXtc1(h *handles, f xtc1.Found, path string) (*xtc1.File, error) {
	r, st, err := h.open(path)
	if err != nil {
		return nil, err
	}
	st.Stream, st.Chunk = f.Stream, f.Chunk
	return &xtc1.File{File: st, R: r}, nil
}

// xtc1Files finds the files of a run, or takes the named ones with their smalldata files. Named files
// that are not named as those of a run are streams of their own.
func xtc1Files(in input) (found []xtc1.Found, missing []string, err error) {
	if len(in.files) == 0 {
		keep := func(stream int) bool { return len(in.Streams) == 0 || slices.Contains(in.Streams, stream) }
		if found, missing, err = xtc1.Find(in.dir, in.experiment, in.run, keep); err == nil && len(found) == 0 {
			err = fault.New(fault.Input, "no data file of run %d of %s in %q (streams wanted: %v; empty means all)", in.run, in.experiment, in.dir, in.Streams).
				WithHint("what only smalldata has: %q", missing)
		}
		return found, missing, err
	}
	for i, path := range in.files {
		path = xtc1.DataPath(path)
		f := xtc1.Found{Path: path}
		var ok bool
		if f.Name, ok = xtc1.ParseName(filepath.Base(path)); !ok {
			f.Stream = i
		}
		if small := xtc1.SmallPath(strings.TrimSuffix(path, inProgress)); exists(small) {
			f.Small = small
		}
		found = append(found, f)
	}
	return found, nil, nil
}
