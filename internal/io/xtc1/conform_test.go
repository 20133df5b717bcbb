package xtc1

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/iotest"
	"rawstatus/internal/io/rawrun"
)

// buildDir indexes run 9 in a directory.
func buildDir(t testing.TB, opt rawrun.Options) func(context.Context, string) (*frame.Index, error) {
	return func(ctx context.Context, dir string) (*frame.Index, error) {
		found, err := FileNames.Find(dir, "tstx00117", 9, nil)
		if err != nil {
			return nil, err
		}
		var req rawrun.Request
		for _, f := range found {
			if f.Size >= 0 {
				f = openFile(t, f.Path, f.Small != nil)
			}
			req.Files = append(req.Files, f)
		}
		return BuildIndex(ctx, req, opt)
	}
}

// writeDir writes the files of a run with their smalldata.
func (r *run) writeDir(dir string) {
	r.t.Helper()
	for i, f := range r.files {
		path := filepath.Join(dir, filepath.Base(f.Path))
		if err := os.MkdirAll(filepath.Dir(FileNames.SmallPath(path)), 0o777); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, r.data[i].Bytes(), 0o666); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(FileNames.SmallPath(path), r.small[i].Bytes(), 0o666); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestConformsWithAllFormats runs the suite of all formats, with smalldata and without, on a detector of several
// panels and on a camera of odd width, whose events are in two streams.
func TestConformsWithAllFormats(t *testing.T) {
	for _, m := range []*Model{model(t, "CxiDs1.0:Jungfrau.0", 3, 5, 7), model(t, "XppGon.0:Opal1000.2", 1, 5, 7)} {
		for _, small := range []bool{true, false} {
			var panels []frame.Panel
			for i, id := range m.PanelIDs() {
				panels = append(panels, frame.Panel{Detector: m.Source, Type: m.Type(), Segment: i, ID: id, Rows: m.Rows, Cols: m.Cols})
				if strings.Contains(m.Source, "Opal") {
					panels[i].Bits = 16 // as the head of its frames says
				}
			}
			iotest.Conform(t, iotest.Reader{
				Write: func(t *testing.T, dir string) {
					r := newRun(t)
					for stream := range 2 {
						r.file(stream, 0)
						r.ts = 1464000000<<32 + uint64(stream)
						r.put(Configure, func(d *Draft) { m.PutConfig(d, "") })
						r.put(BeginRun, nil)
						for step := range 2 {
							r.put(BeginCalibCycle, nil)
							for e := range 3 {
								event := 6*step + 2*e + stream
								r.put(L1Accept, func(d *Draft) { m.PutFrame(d, event, 0, ramp(event)) })
							}
						}
						r.put(EndRun, nil)
					}
					r.writeDir(dir)
				},
				Build:  buildDir(t, rawrun.Options{NoSmalldata: !small}),
				Panels: panels,
				Events: 12,
				Pixel:  func(event, panel, row, col int) uint16 { return rampAt(event, panel, 7*row+col) },
			})
		}
	}
}
