package npy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// maxFrame bounds the bytes of one frame, whose length an extent keeps in 32 bits.
const maxFrame = 1<<32 - 1

// IndexOptions say of a file of frames what the file itself does not.
type IndexOptions struct {
	Experiment string
	Run        int
	Begin      time.Time // zero means the time of the file's last change
	Detector   string    // name; empty means "npy"
	Type       string    // detector type; empty means "npy": all 16 bits, one gain
	GainMode   string    // of all frames; empty if there is none
	PanelIDs   []string  // empty, or one for each panel
}

// BuildIndex makes a file of frames a run of one step: shape (events, rows, cols) or (events, panels,
// rows, cols) of uint16 or uint8 in C order. Time-stamps of events are their positions.
func BuildIndex(ctx context.Context, path string, opt IndexOptions) (*frame.Index, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, openError(err)
	}
	if err := checkFrames(h, path); err != nil {
		return nil, err
	}
	shape := h.Shape
	if len(shape) == 3 {
		shape = []int{shape[0], 1, shape[1], shape[2]}
	}
	events, panels := shape[0], shape[1]
	if len(opt.PanelIDs) != 0 && len(opt.PanelIDs) != panels {
		return nil, fault.New(fault.Usage, "npy: %d panel ids for %q, which has %d panels", len(opt.PanelIDs), path, panels).
			WithHint("give one id for each panel, or none")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("npy: %w", err)
	}
	if opt.Begin.IsZero() {
		opt.Begin = st.ModTime()
	}
	x := &frame.Index{
		Format: "npy",
		Run:    frame.Run{Experiment: opt.Experiment, Number: opt.Run, Begin: opt.Begin.UTC()},
		Files:  []frame.File{fileOf(path, st)},
		Steps:  []frame.Step{{Events: events}},
	}
	codec := frame.Identity
	if h.DType.Size == 1 {
		codec = frame.Widen
	}
	for p := range panels {
		panel := frame.Panel{Detector: opt.Detector, Type: opt.Type, Segment: p, Rows: shape[2], Cols: shape[3], Codec: codec}
		if panel.Detector == "" {
			panel.Detector = "npy"
		}
		if panel.Type == "" {
			panel.Type = "npy"
		}
		if len(opt.PanelIDs) != 0 {
			panel.ID = opt.PanelIDs[p]
		}
		x.Panels = append(x.Panels, panel)
		x.Steps[0].GainModes = append(x.Steps[0].GainModes, opt.GainMode)
	}
	length := int64(shape[2]) * int64(shape[3]) * int64(h.DType.Size)
	x.Events = make([]frame.Event, events)
	x.Extents = make([]frame.Extent, events*panels)
	for e := range x.Events {
		x.Events[e].TS = uint64(e)
	}
	for i := range x.Extents {
		x.Extents[i] = frame.Extent{Offset: h.Offset + int64(i)*length, Length: uint32(length)}
	}
	return x, nil
}

func fileOf(path string, st os.FileInfo) frame.File {
	return frame.File{Path: path, Size: st.Size(), ModTime: st.ModTime().UTC()}
}

func checkFrames(h Header, path string) error {
	const hint = "save it with numpy.save(path, numpy.ascontiguousarray(frames, dtype='<u2'))"
	bad := func(what, want, got string) error {
		return inputError(&Error{path, 0, what, want, got}).WithHint(hint)
	}
	if t := h.DType.String(); t != "<u2" && t != "|u1" {
		return bad("type of frames", "<u2 or |u1", t)
	}
	if h.Fortran {
		return bad("order of frames", "C order", "Fortran order")
	}
	n := len(h.Shape)
	if n != 3 && n != 4 || h.Count() == 0 {
		return bad("shape of frames", "(events, rows, cols) or (events, panels, rows, cols), none of them 0", fmt.Sprint(h.Shape))
	}
	if bytes := int64(h.Shape[n-2]) * int64(h.Shape[n-1]) * int64(h.DType.Size); bytes > maxFrame {
		return bad("bytes of one frame", fmt.Sprintf("at most %d", int64(maxFrame)), fmt.Sprint(bytes))
	}
	return nil
}
