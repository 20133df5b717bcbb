package open

import (
	"context"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// rawFormat returns a format of raw data: its files are found by their names and opened here.
func rawFormat(names *rawrun.Scheme, build func(context.Context, rawrun.Request, rawrun.Options) (*frame.Index, error),
	survey func(context.Context, surveyOf) ([]Contents, error)) format {
	index := func(ctx context.Context, in input, opt Options) (*frame.Index, error) {
		h := &rawrun.Handles{}
		defer h.Close()
		files, err := in.open(*names, h, !opt.NoSmalldata)
		if err != nil {
			return nil, err
		}
		req := rawrun.Request{Files: files, Open: h.Beside, Experiment: in.experiment, Run: in.run, ByName: len(in.files) == 0, RunInFile: in.RunInFile}
		if !req.ByName && req.RunInFile == 0 {
			req.RunInFile = in.run // of named files, the run number chooses by what the data say
		}
		return build(ctx, req, rawrun.Options{
			Reads: opt.Reads, NoSmalldata: opt.NoSmalldata, AllHeaders: opt.AllHeaders, MaxLost: opt.MaxLost,
			Growing: func(ctx context.Context) ([]string, error) { return h.Growing(ctx, opt.Settle) },
		})
	}
	return format{names: names, suffixes: names.Suffixes(), index: index, survey: survey}
}

// open finds and opens the files of a run, or the named ones.
func (in input) open(names rawrun.Scheme, h *rawrun.Handles, smalldata bool) (files []*rawrun.File, err error) {
	if len(in.files) > 0 {
		files = names.Named(in.files)
	} else {
		keep := func(stream int) bool { return len(in.Streams) == 0 || slices.Contains(in.Streams, stream) }
		files, err = names.Find(in.dir, in.experiment, in.run, keep)
	}
	if err == nil && len(files) == 0 {
		err = fault.New(fault.Input, "no stream of run %d of %s in %q", in.run, in.experiment, in.dir).WithHint("the streams wanted are %v", in.Streams)
	}
	if err != nil {
		return nil, err
	}
	return files, h.Open(files, smalldata)
}
