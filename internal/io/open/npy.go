package open

import (
	"context"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
)

var npyFormat = format{
	suffixes: []string{".npy"},
	index: func(ctx context.Context, in input, _ Options) (*frame.Index, error) {
		if len(in.files) != 1 {
			return nil, fault.New(fault.Usage, "%d .npy files are named, a run of frames is one", len(in.files))
		}
		opt := in.Frames
		opt.Experiment, opt.Run, opt.Detector = in.experiment, in.run, in.Detector
		return npy.BuildIndex(ctx, in.files[0], opt)
	},
}
