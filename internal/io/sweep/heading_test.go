package sweep_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
)

// headed is a run in which headings lie before the frames of two panels, at different distances.
type headed struct {
	files    []frame.File
	lanes    []sweep.Lane
	headings []frame.Heading
	data     []byte
}

const headedFrames = 40

// newHeaded writes the run; between events lie gap bytes. Frames of a coded run have one byte per pixel.
func newHeaded(t *testing.T, gap int, coded bool) *headed {
	t.Helper()
	r := &headed{headings: []frame.Heading{{Before: 56, Bytes: bytes.Repeat([]byte{0xa1}, 56)}, {Before: 80, Bytes: bytes.Repeat([]byte{0xb2}, 33)}}}
	r.data = make([]byte, 17*4096-r.headings[0].Before) // the first frame begins a page, its heading lies in the one before
	for p := range 2 {
		lane := sweep.Lane{Panel: panel}
		lane.Panel.Segment = p
		if coded {
			lane.Panel.Codec = frame.Widen
		}
		r.lanes = append(r.lanes, lane)
	}
	for k := range headedFrames {
		for p, h := range r.headings {
			r.data = append(append(r.data, h.Bytes...), make([]byte, h.Before-len(h.Bytes))...)
			e := frame.Extent{Offset: int64(len(r.data)), Heading: uint16(p + 1)}
			if k%7 == 3 {
				e.Heading = 0
			}
			for i := range panel.Pixels() {
				if v := pixel(k, i); coded {
					r.data = append(r.data, byte(v))
				} else {
					r.data = binary.LittleEndian.AppendUint16(r.data, v)
				}
			}
			e.Length = uint32(int64(len(r.data)) - e.Offset)
			r.lanes[p].Extents = append(r.lanes[p].Extents, e)
		}
		r.data = append(r.data, make([]byte, gap)...)
	}
	r.write(t)
	return r
}

// write makes the file from the data.
func (r *headed) write(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.bin")
	if err := os.WriteFile(path, r.data, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	r.files = []frame.File{{Path: path, Size: st.Size(), ModTime: st.ModTime()}}
}

// use takes all frames through a way of reading, and counts those whose pixels were right.
func (r *headed) use(t *testing.T, src *sweep.Source, way string) (right int64, err error) {
	t.Helper()
	mask := uint16(0xffff)
	if r.lanes[0].Panel.Codec != frame.Identity {
		mask = 0xff
	}
	var n atomic.Int64
	good := func(k, lo int, px []uint16) {
		for i, v := range px {
			if v != pixel(k, lo+i)&mask {
				t.Errorf("frame %d pixel %d: %d", k, lo+i, v)
				return
			}
		}
		if lo == 0 {
			n.Add(1)
		}
	}
	lanes := slices.Clone(r.lanes)
	for i := range lanes {
		switch way {
		case "bands":
			lanes[i].Bands = bandsOf(256)
		case "later bands":
			lanes[i].Bands = []sweep.Span{{Lo: 64, Hi: 300}}
		}
	}
	err = src.Sweep(t.Context(), sweep.Sweep{Lanes: lanes, Workers: 2, Whole: way == "whole", Do: func(b sweep.Batch) error {
		for i, px := range b.Frames {
			good(b.First+i, b.Lo, px)
		}
		return nil
	}})
	return n.Load(), err
}

// TestWrongHeadingEndsEveryWayOfReading wants frames whose headings are there delivered, and one that is not to end any way of reading
// its first pixel with an error that names the place.
func TestWrongHeadingEndsEveryWayOfReading(t *testing.T) {
	for _, c := range []struct {
		gap   int
		coded bool
	}{{0, false}, {7, false}, {100, true}, {70000, false}} {
		each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
			for _, way := range []string{"sweep", "bands", "whole", "later bands"} {
				for _, wrong := range []int{-1, 0, 8, headedFrames - 1} {
					name := fmt.Sprintf("%+v %s, frame %d wrong", c, way, wrong)
					r := newHeaded(t, c.gap, c.coded)
					at := int64(0)
					if wrong >= 0 {
						e := r.lanes[1].Extents[wrong]
						at = e.Offset - 80 + int64(wrong%33)
						r.data[at]++
						r.write(t)
					}
					src, err := open(r.files, sweep.Options{Depth: 3, Headings: r.headings, Arena: 1 << 17})
					if err != nil {
						t.Fatal(err)
					}
					_, err = r.use(t, src, way)
					if errClose := src.Close(); errClose != nil {
						t.Error(errClose)
					}
					if wrong < 0 || way == "later bands" {
						if err != nil {
							t.Errorf("%s: %v", name, err)
						}
						continue
					}
					if !errors.Is(err, frame.ErrHeading) {
						t.Fatalf("%s: %v", name, err)
					}
					wantFault(t, err, fault.Input, r.files[0].Path, fmt.Sprintf("byte %#x", at), "det segment 1")
					if !strings.Contains(fault.HintOf(err), "--all-headers") {
						t.Errorf("hint %q", fault.HintOf(err))
					}
				}
			}
		})
	}
}

// TestHeadingsOfAnIndexThatDoesNotFit wants numbers and distances that cannot be refused, before anything is read.
func TestHeadingsOfAnIndexThatDoesNotFit(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		first := newHeaded(t, 0, false).headings[0]
		for name, headings := range map[string][]frame.Heading{
			"none given":     nil,
			"too few":        {first},
			"into the frame": {first, {Before: 5, Bytes: make([]byte, 6)}},
			"far away":       {first, {Before: 66000, Bytes: make([]byte, 6)}},
			"negative":       {{Before: -56}, {Before: -1}},
			"before begin":   {first, first}, // of a frame at byte 40
		} {
			r := newHeaded(t, 0, false)
			if name == "before begin" {
				r.lanes[0].Extents[0].Offset = 40
			}
			src, err := open(r.files, sweep.Options{Headings: headings})
			if err != nil {
				t.Fatal(err)
			}
			for _, way := range []string{"sweep", "bands"} {
				if n, err := r.use(t, src, way); n > 0 || fault.CodeOf(err) != fault.Input || errors.Is(err, frame.ErrHeading) {
					t.Errorf("%s, %s: %d frames, %v", name, way, n, err)
				}
			}
			src.Close()
		}
	})
}

// TestFileCutAtAHeading cuts the file under an open source: an error that speaks of the file, not of a layout.
func TestFileCutAtAHeading(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		for _, wide := range []int64{0, 3 * 4096} {
			r := newHeaded(t, 9000, false)
			src, err := open(r.files, sweep.Options{Headings: r.headings})
			if err != nil {
				t.Fatal(err)
			}
			last := r.lanes[0].Extents[headedFrames-1]
			if err := os.Truncate(r.files[0].Path, last.Offset-30-wide); err != nil {
				t.Fatal(err)
			}
			err = src.Sweep(t.Context(), sweep.Sweep{Lanes: r.lanes, Workers: 2, Do: func(sweep.Batch) error { return nil }})
			if errors.Is(err, frame.ErrHeading) {
				t.Errorf("error %v", err)
			}
			wantFault(t, err, fault.Input, r.files[0].Path)
			src.Close()
		}
	})
}

// TestHeadingsTakeNoMemoryPerFrame wants as many allocations for many frames with headings as without.
func TestHeadingsTakeNoMemoryPerFrame(t *testing.T) {
	each(t, func(t *testing.T, open func([]frame.File, sweep.Options) (*sweep.Source, error)) {
		r := newHeaded(t, 0, false)
		src, err := open(r.files, sweep.Options{Headings: r.headings})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		count := func(headings bool) float64 {
			lanes := slices.Clone(r.lanes)
			for i := range lanes {
				lanes[i].Extents = slices.Clone(lanes[i].Extents)
				for k := range lanes[i].Extents {
					if !headings {
						lanes[i].Extents[k].Heading = 0
					}
				}
			}
			return testing.AllocsPerRun(20, func() {
				if err := src.Sweep(t.Context(), sweep.Sweep{Lanes: lanes, Workers: 1, Do: func(sweep.Batch) error { return nil }}); err != nil {
					t.Fatal(err)
				}
			})
		}
		plain, with := count(false), count(true)
		if with > plain+headedFrames/2 {
			t.Errorf("%.0f allocations with headings, %.0f without", with, plain)
		}
	})
}
