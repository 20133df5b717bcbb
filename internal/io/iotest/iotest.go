package iotest

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/sweep"
)

// Reader is a format under test.
type Reader struct {
	// Write makes a complete run in an empty directory.
	Write func(t *testing.T, dir string)
	// Build indexes the run in that directory.
	Build func(ctx context.Context, dir string) (*frame.Index, error)
	// Panels and Events are what the run has; every panel has a frame in every event.
	Panels []frame.Panel
	Events int
	// Pixel is the value of a pixel.
	Pixel func(event, panel, row, col int) uint16
}

// Conform runs the suite.
func Conform(t *testing.T, r Reader) {
	t.Run("index", r.index)
	t.Run("frames", r.frames)
	t.Run("again", r.again)
	t.Run("cancelled", r.cancelled)
	t.Run("cut", r.cut)
	t.Run("absent", r.absent)
}

// run writes and indexes the run.
func (r Reader) run(t *testing.T) (dir string, x *frame.Index) {
	t.Helper()
	dir = t.TempDir()
	r.Write(t, dir)
	x, err := r.Build(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, x
}

func (r Reader) index(t *testing.T) {
	_, x := r.run(t)
	if !slices.Equal(x.Panels, r.Panels) {
		t.Fatalf("panels\n%+v, want\n%+v", x.Panels, r.Panels)
	}
	if len(x.Events) != r.Events || len(x.Extents) != r.Events*len(r.Panels) {
		t.Fatalf("%d events, %d extents, want %d events", len(x.Events), len(x.Extents), r.Events)
	}
	if len(x.Missing) > 0 || x.Format == "" || x.Run.Begin.IsZero() || x.Run.Begin.Location().String() != "UTC" {
		t.Errorf("missing %q, format %q, run %+v", x.Missing, x.Format, x.Run)
	}
	if !slices.IsSortedFunc(x.Events, func(a, b frame.Event) int {
		if a.TS < b.TS {
			return -1
		}
		return 1
	}) {
		t.Error("events are not in the order of their time-stamps, each once")
	}
	events := map[int]int{}
	for _, e := range x.Events {
		events[int(e.Step)]++
	}
	last := math.MinInt
	for _, s := range x.Steps {
		if s.Number <= last || s.Events != events[s.Number] || s.Gains != nil && len(s.Gains) != len(x.Panels) {
			t.Errorf("step %+v after %d, it has %d events", s, last, events[s.Number])
		}
		last = s.Number
		delete(events, s.Number)
	}
	if len(events) > 0 {
		t.Errorf("events of steps %v that are not listed", events)
	}
	for _, f := range x.Files {
		st, err := os.Stat(f.Path)
		if err != nil || !filepath.IsAbs(f.Path) || st.Size() != f.Size || !st.ModTime().Equal(f.ModTime) {
			t.Errorf("file %+v: %v", f, err)
		}
	}
}

// frames reads every frame, whole and in part, through a source.
func (r Reader) frames(t *testing.T) {
	_, x := r.run(t)
	src, err := sweep.Open(x.Files, "", sweep.Options{Depth: 2, Headings: x.Headings})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for p, panel := range x.Panels {
		var exts []frame.Extent
		for e := range x.Events {
			if x.At(e, p).State != frame.Present {
				t.Fatalf("event %d %v is %v", e, panel, x.At(e, p).State)
			}
			exts = append(exts, *x.At(e, p))
		}
		n := panel.Pixels()
		for _, part := range [][2]int{{0, n}, {1, n}, {n / 3, n/3 + 2}} {
			dst, err := src.Pixels(context.Background(), panel, exts, sweep.Span{Lo: part[0], Hi: part[1]})
			if err != nil {
				t.Fatal(err)
			}
			for e := range dst {
				for i, got := range dst[e] {
					at := part[0] + i
					if want := r.Pixel(e, p, at/panel.Cols, at%panel.Cols); got != want {
						t.Fatalf("event %d %v row %d col %d: %d, want %d", e, panel, at/panel.Cols, at%panel.Cols, got, want)
					}
				}
			}
		}
	}
}

// again wants the same index from the same bytes.
func (r Reader) again(t *testing.T) {
	dir, x := r.run(t)
	for range 3 {
		y, err := r.Build(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("indexed again:\n%+v\nfirst:\n%+v", y, x)
		}
	}
}

func (r Reader) cancelled(t *testing.T) {
	dir, _ := r.run(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	x, err := r.Build(ctx, dir)
	if x != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("index %v, error %v", x, err)
	}
}

// cut shortens the last file by half a frame: the run is either refused as unreadable input, or
// indexed as incomplete without the lost frame. A source opened on the old index refuses the file.
func (r Reader) cut(t *testing.T) {
	dir, x := r.run(t)
	last := x.At(r.Events-1, len(r.Panels)-1)
	f := x.Files[last.File]
	if err := os.Truncate(f.Path, last.Offset+int64(last.Length)/2); err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Open(x.Files, "", sweep.Options{Headings: x.Headings}); fault.CodeOf(err) != fault.Input {
		t.Errorf("source of the old index: %v", err)
	}
	y, err := r.Build(context.Background(), dir)
	if err != nil {
		if fault.CodeOf(err) != fault.Input {
			t.Errorf("error %v of class %d", err, fault.CodeOf(err))
		}
		return
	}
	if len(y.Missing) == 0 {
		t.Error("the run is said to be complete")
	}
	if n := len(y.Events); n == r.Events && y.At(n-1, len(r.Panels)-1).State == frame.Present {
		t.Error("the frame that is cut is said to be there")
	}
	for e := range y.Events {
		for p := range y.Panels {
			ext := y.At(e, p)
			if ext.State == frame.Present && ext.Offset+int64(ext.Length) > y.Files[ext.File].Size {
				t.Errorf("event %d panel %d lies behind the end of the file", e, p)
			}
		}
	}
}

// absent wants a directory without the run refused as input.
func (r Reader) absent(t *testing.T) {
	x, err := r.Build(context.Background(), t.TempDir())
	if x != nil || fault.CodeOf(err) != fault.Input {
		t.Errorf("index %v, error %v", x, err)
	}
}
