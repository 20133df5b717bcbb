package open

import (
	"context"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/npy"
)

var npyFormat = format{
	suffixes: []string{".npy"},
	index: func(ctx context.Context, in input, _ Options) (*frame.Index, error) {
		opt := in.Frames
		opt.Experiment, opt.Run, opt.Detector = in.experiment, in.run, in.Detector
		return npy.BuildIndex(ctx, in.files, opt)
	},
}
