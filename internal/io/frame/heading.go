package frame

import (
	"bytes"
	"errors"

	"rawstatus/internal/fault"
)

// ErrHeading says that the headers of a frame are not those that were predicted. A plan that reads all
// headers shows what the frame really is.
var ErrHeading = errors.New("layout differs from what was predicted from earlier events")

// MaxBefore bounds the bytes between the begin of a heading and its frame.
const MaxBefore = 64 << 10

// Predicted returns the heading that must lie before a frame, nil if its headers were read when it was
// indexed. The error is one of an index that does not fit.
func Predicted(headings []Heading, e Extent) (*Heading, error) {
	if e.Heading == 0 {
		return nil, nil
	}
	if int(e.Heading) > len(headings) {
		return nil, fault.New(fault.Input, "frame: heading %d of %d of the frame at byte %#x", e.Heading, len(headings), e.Offset)
	}
	h := &headings[e.Heading-1]
	if len(h.Bytes) > h.Before || h.Before > MaxBefore || int64(h.Before) > e.Offset {
		return nil, fault.New(fault.Input, "frame: heading of %d bytes, %d before the frame at byte %#x", len(h.Bytes), h.Before, e.Offset)
	}
	return h, nil
}

// Check compares what lies in a file where the heading of a frame must be. The error wraps ErrHeading.
func (h *Heading) Check(got []byte, path string, e Extent, panel Panel) error {
	if bytes.Equal(got, h.Bytes) {
		return nil
	}
	at := 0
	for at < min(len(got), len(h.Bytes)) && got[at] == h.Bytes[at] {
		at++
	}
	return fault.New(fault.Input, "frame: %q byte %#x: headers of a frame of %v: %w", path, e.Offset-int64(h.Before)+int64(at), panel, ErrHeading).
		WithHint("make the plan again with --all-headers, which reads the headers of every frame")
}
