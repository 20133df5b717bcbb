package npy

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// maxFrame bounds the bytes of one frame, whose length an extent keeps in 32 bits.
const maxFrame = 1<<32 - 1

// IndexOptions say of a file of frames what the file itself does not.
type IndexOptions struct {
	Experiment string    `json:"experiment,omitempty"`
	Run        int       `json:"run,omitempty"`
	Begin      time.Time `json:"begin,omitzero"`      // zero means the time of the file's last change
	Detector   string    `json:"detector,omitempty"`  // name; empty means "npy"
	Type       string    `json:"type,omitempty"`      // detector type; empty means "npy": all 16 bits, one gain
	GainMode   string    `json:"gain_mode,omitempty"` // of all frames; empty if there is none
	PanelIDs   []string  `json:"panel_ids,omitempty"` // empty, or one for each panel
}

// BuildIndex makes files of frames a run, of one step for each file: shapes (events, rows, cols) or (events,
// panels, rows, cols) of uint16 or uint8 in C order, which differ in their events only. Time-stamps of events are
// their positions.
func BuildIndex(ctx context.Context, paths []string, opt IndexOptions) (*frame.Index, error) {
	x := &frame.Index{Format: "npy", Run: frame.Run{Experiment: opt.Experiment, Number: opt.Run, Begin: opt.Begin.UTC()}}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := addStep(x, path, opt); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// addStep adds a file to the index.
func addStep(x *frame.Index, path string, opt IndexOptions) error {
	h, f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return openError(err)
	}
	if err := checkFrames(h, path); err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	step := len(x.Steps)
	panels, events, err := panelsOf(h, path, opt)
	switch {
	case err != nil:
		return err
	case step == 0:
		x.Panels = panels
		if opt.Begin.IsZero() {
			x.Run.Begin = st.ModTime().UTC()
		}
	case !slices.Equal(x.Panels, panels):
		return inputError(&Error{path, 0, "frames", fmt.Sprintf("%d panels of %d x %d pixels as in %q", len(x.Panels), x.Panels[0].Rows, x.Panels[0].Cols, x.Files[0].Path),
			fmt.Sprintf("%d of %d x %d", len(panels), panels[0].Rows, panels[0].Cols)}).WithHint("the files of one run differ in the number of their events only")
	}
	x.Files = append(x.Files, fileOf(path, st))
	x.Steps = append(x.Steps, frame.Step{Number: step, Events: events, Gains: frame.GainsOf(slices.Repeat([]string{opt.GainMode}, len(panels))...)})
	length := int64(panels[0].Pixels()) * int64(h.DType.Size)
	for e := range events {
		x.Events = append(x.Events, frame.Event{TS: uint64(len(x.Events)), Step: int32(step)})
		for p := range panels {
			x.Extents = append(x.Extents, frame.Extent{File: int32(step), Offset: h.Offset + int64(e*len(panels)+p)*length, Length: uint32(length)})
		}
	}
	return nil
}

// panelsOf returns the panels and the number of events of a file.
func panelsOf(h Header, path string, opt IndexOptions) (panels []frame.Panel, events int, err error) {
	shape := h.Shape
	if len(shape) == 3 {
		shape = []int{shape[0], 1, shape[1], shape[2]}
	}
	if n := len(opt.PanelIDs); n != 0 && n != shape[1] {
		return nil, 0, fault.New(fault.Usage, "npy: %d panel ids for %q, which has %d panels", n, path, shape[1]).
			WithHint("give one id for each panel, or none")
	}
	codec := frame.Identity
	if h.DType.Size == 1 {
		codec = frame.Widen
	}
	for p := range shape[1] {
		panel := frame.Panel{Detector: cmp.Or(opt.Detector, "npy"), Type: cmp.Or(opt.Type, "npy"), Segment: p, Rows: shape[2], Cols: shape[3], Codec: codec}
		if len(opt.PanelIDs) != 0 {
			panel.ID = opt.PanelIDs[p]
		}
		panels = append(panels, panel)
	}
	return panels, shape[0], nil
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
