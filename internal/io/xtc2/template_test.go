package xtc2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/testenv"
)

// truth compares the index with predictions, made in all ways, with the one that reads all headers. It returns
// the number of frames that were predicted. Predictions of an event that are not true must show in one of
// its headings; only with wrong may there be any.
func truth(t *testing.T, req func() rawrun.Request, wrong bool) (predicted int) {
	t.Helper()
	for _, noSmalldata := range []bool{false, true} {
		want, wantErr := BuildIndex(t.Context(), req(), rawrun.Options{NoSmalldata: noSmalldata, AllHeaders: true})
		var first *frame.Index
		for _, reads := range []int{1, 3, 128} {
			files := req()
			got, err := BuildIndex(t.Context(), files, rawrun.Options{NoSmalldata: noSmalldata, Reads: reads})
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("error %v, with all headers %v", err, wantErr)
			}
			if err != nil {
				continue
			}
			if first == nil {
				first = got
				predicted += compareIndex(t, files, got, want, wrong)
			}
			equal(t, fmt.Sprintf("index with %d reads, no smalldata: %v", reads, noSmalldata), got, first)
		}
	}
	return predicted
}

func compareIndex(t *testing.T, req rawrun.Request, got, want *frame.Index, wrong bool) (predicted int) {
	t.Helper()
	byPath := fileMap(t, req, got)
	if !wrong {
		plain := *got
		plain.Headings, plain.Extents = nil, slices.Clone(got.Extents)
		for i := range plain.Extents {
			plain.Extents[i].Heading = 0
		}
		equal(t, "index", &plain, want)
	}
	if len(want.Headings) > 0 {
		t.Errorf("%d headings with all headers", len(want.Headings))
	}
	for e := range got.Events {
		same, seen := true, false
		for p := range got.Panels {
			x := *got.At(e, p)
			h, err := frame.Predicted(got.Headings, x)
			if err != nil || h != nil && x.State != present {
				t.Fatalf("event %d panel %d: %+v, %v", e, p, x, err)
			}
			if h != nil {
				predicted++
				there := make([]byte, len(h.Bytes))
				if _, err := byPath[x.File].R.ReadAt(there, x.Offset-int64(h.Before)); err != nil || !bytes.Equal(there, h.Bytes) {
					seen = true
				}
			}
			x.Heading = 0
			if len(want.Extents) == len(got.Extents) && x != *want.At(e, p) {
				same = false
			}
		}
		if !same && !seen {
			t.Errorf("event %d is not what was predicted, and no heading shows it", e)
		}
		if seen && !wrong {
			t.Errorf("event %d: a heading differs where the index does not", e)
		}
	}
	return predicted
}

// fileMap returns the files by their numbers in the index.
func fileMap(t *testing.T, req rawrun.Request, x *frame.Index) map[int32]*File {
	t.Helper()
	m := map[int32]*File{}
	for i, f := range x.Files {
		for _, g := range req.Files {
			if g.Path == f.Path {
				m[int32(i)] = g
			}
		}
		if m[int32(i)] == nil && req.Open != nil {
			g, err := req.Open(req.Files[0], filepath.Base(f.Path))
			if err != nil {
				t.Fatal(err)
			}
			m[int32(i)] = g
		}
	}
	return m
}

// withSmalldata is requestOf with a smalldata file for each tape.
func withSmalldata(t *testing.T, tapes ...*tape) func() rawrun.Request {
	return func() rawrun.Request {
		req := requestOf(tapes...)
		for i, p := range tapes {
			req.Files[i].Small = memFile(fmt.Sprintf("/data/smalldata/tst-r0001-s%03d-c000.smd.xtc2", p.node), smalldataOf(t, p.b))
		}
		return req
	}
}

// wide is a run of two streams of several panels, in events larger than what is read at once. change
// edits what an event holds; b is a list of functions that make its blocks.
func wide(panels, events int, change func(d *Draft, stream, event int, cams []*Names) bool) []*tape {
	var tapes []*tape
	for stream := range 2 {
		var cams []*Names
		for k := range panels {
			cams = append(cams, camera(stream+1, 10+k, "tdet", stream*panels+k, Field{Name: "raw", Type: UInt16, Rank: 2}, Field{Name: "frame", Type: UInt64}))
		}
		p := (&tape{node: stream + 1}).put(Configure, 0, names(cams...)).put(BeginRun, 1).put(BeginStep, 2)
		for e := range events {
			if e == events/2 {
				p.put(EndStep, 2*e+3).put(BeginStep, 2*e+3).put(SlowUpdate, 2*e+3)
			}
			p.put(L1Accept, 2*e+4, func(d *Draft) {
				if change != nil && change(d, stream, e, cams) {
					return
				}
				for _, c := range cams {
					d.Values(c, 0, px(96, 128), uint64(e))
				}
			})
		}
		tapes = append(tapes, p.put(EndRun, 2*events+9))
	}
	return tapes
}

// TestPredictionIsTheTruth wants the same index with and without predictions.
func TestPredictionIsTheTruth(t *testing.T) {
	all := func(d *Draft, cams []*Names, e int) {
		for _, c := range cams {
			d.Values(c, 0, px(96, 128), uint64(e))
		}
	}
	for name, c := range map[string]struct {
		change func(d *Draft, stream, event int, cams []*Names) bool
		want   int // frames predicted, by smalldata and without
	}{
		"regular": {nil, 2 * 2 * 7 * 19},
		"damaged events": {func(d *Draft, stream, e int, cams []*Names) bool {
			if e%3 == 0 {
				d.Damage([]uint16{DamageTruncated, DamageMissingData, DamageDroppedContribution, DamageCorrupted}[e/3%4])
			}
			return false
		}, 2 * 2 * 7 * 12},
		"first panel damaged": {func(d *Draft, stream, e int, cams []*Names) bool {
			for i, c := range cams {
				d.Values(c, map[bool]uint16{true: DamageOutOfSynch}[i == 0 && e%5 == 2], px(96, 128), uint64(e))
			}
			return true
		}, 2 * 2 * 7 * 15},
		"first panel of another shape": {func(d *Draft, stream, e int, cams []*Names) bool {
			for i, c := range cams {
				d.Values(c, 0, map[bool]FieldValue{false: px(96, 128), true: px(128, 96)}[i == 0 && e%5 == 2], uint64(e))
			}
			return true
		}, 2 * 2 * 7 * 15},
		"panels missing": {func(d *Draft, stream, e int, cams []*Names) bool {
			all(d, cams[e%3:], e)
			return true
		}, 2 * 2 * (7*6 + 6*6 + 5*5)},
		"events without data": {func(d *Draft, stream, e int, cams []*Names) bool { return e%2 == 1 }, 2 * 2 * 7 * 9},
		"a panel twice": {func(d *Draft, stream, e int, cams []*Names) bool {
			all(d, append(slices.Clone(cams), cams[1]), e)
			return true
		}, 0},
		"unknown block": {func(d *Draft, stream, e int, cams []*Names) bool {
			other := camera(9, 99, "tdet", 0)
			d.Values(other, 0, px(2, 3))
			return false
		}, 0},
		"every event of its own size": {func(d *Draft, stream, e int, cams []*Names) bool {
			all(d, cams, e)
			d.b = append(d.b, make([]byte, e%11)...) // behind the last container
			return true
		}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			n := truth(t, withSmalldata(t, wide(8, 20, c.change)...), false)
			if c.want >= 0 && n != c.want {
				t.Errorf("%d frames predicted, want %d", n, c.want)
			}
		})
	}
}

// TestPredictionOfCutFiles cuts a data file, with and without its smalldata.
func TestPredictionOfCutFiles(t *testing.T) {
	tapes := wide(3, 12, nil)
	rng := rand.New(rand.NewPCG(3, 3))
	whole := withSmalldata(t, tapes...)()
	for range 25 {
		n := rng.IntN(len(tapes[1].b))
		truth(t, func() rawrun.Request {
			req := whole
			req.Files = slices.Clone(whole.Files)
			req.Files[1] = memFile(whole.Files[1].Path, tapes[1].b[:n])
			req.Files[1].Small = whole.Files[1].Small
			return req
		}, false)
	}
}

// TestPredictionOfSharedRuns does it for the files at hand.
func TestPredictionOfSharedRuns(t *testing.T) {
	dir := filepath.Join(testenv.Shared(t), "data", "xtc2")
	n := 0
	for _, pattern := range []string{"*.xtc2", "*/*.xtc2"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			n++
			truth(t, func() rawrun.Request { req := streamOf(t, path); req.Experiment, req.Run = "tst", 1; return req }, false)
		}
	}
	if n < 20 {
		t.Errorf("%d files", n)
	}
}

// TestWrongPredictionsShow damages headers that predictions skip. What the index then says wrongly must
// show in a heading of the event.
func TestWrongPredictionsShow(t *testing.T) {
	clean := wide(4, 12, nil)
	rng := rand.New(rand.NewPCG(4, 4))
	shown := 0
	for range 100 {
		p := &tape{node: 1, b: bytes.Clone(clean[0].b)}
		var headers []int64 // of bytes in headers of panels
		Scan(memFile("f", p.b), nil, func(d *Datagram) error {
			if !d.Service().IsEvent() {
				return nil
			}
			at := d.Offset + headerSize
			for range 4 {
				for i := range int64(3*xtcSize + shapeSize) {
					headers = append(headers, at+i)
				}
				at += 3*xtcSize + shapeSize + 2*96*128 + 8
			}
			return nil
		})
		at := headers[rng.IntN(len(headers))]
		p.b[at] ^= 1 << rng.IntN(8)
		if rng.IntN(3) == 0 {
			p.b[headers[rng.IntN(len(headers))]]++
		}
		req := func() rawrun.Request {
			req := withSmalldata(t, clean[0])()
			small := req.Files[0].Small
			req.Files[0] = memFile(req.Files[0].Path, p.b)
			req.Files[0].Small = small
			return req
		}
		shown += truth(t, req, true)
	}
	if shown == 0 {
		t.Error("nothing was predicted")
	}
}

// TestWhatIsNotPredicted wants the headers of arrays of several panels, of blocks that hold no panel and of
// pixels far behind their headers to be compared when indexing.
func TestWhatIsNotPredicted(t *testing.T) {
	big := camera(1, 10, "tdet", 0)
	for name, c := range map[string]struct {
		n      *Names
		values []any
		want   int
	}{
		"one panel":      {camera(1, 11, "tdet", 1), []any{px(96, 128)}, 11},
		"two panels":     {camera(1, 11, "epixm320", 1, Field{Name: "raw", Type: UInt16, Rank: 3}), []any{px(2, 96, 64)}, 0},
		"pixels further": {camera(1, 11, "tdet", 1, Field{Name: "head", Type: UInt8, Rank: 1}, Field{Name: "raw", Type: UInt16, Rank: 2}), []any{px(5000), px(96, 128)}, 0},
		"pixels further, not too far": {camera(1, 11, "tdet", 1, Field{Name: "head", Type: UInt8, Rank: 1}, Field{Name: "raw", Type: UInt16, Rank: 2}),
			[]any{px(2000), px(96, 128)}, 11},
	} {
		scalars := camera(1, 12, "other", 2, Field{Name: "n", Type: UInt32})
		p := (&tape{node: 1}).put(Configure, 0, names(big, c.n, scalars))
		for e := range 12 {
			p.put(L1Accept, 1+e, value(big, 0, px(96, 128)), value(scalars, 0, uint32(e)), value(c.n, 0, c.values...), value(scalars, 0, uint32(e)))
		}
		if n := truth(t, withSmalldata(t, p), false); n != c.want { // without smalldata all these are read in full
			t.Errorf("%s: %d frames predicted, want %d", name, n, c.want)
		}
	}
}

// TestManySizesKeepToTheBoundAndTheTruth wants no more templates than allowed, and the truth for all.
func TestManySizesKeepToTheBoundAndTheTruth(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 1)
	tail := camera(1, 12, "other", 2, Field{Name: "n", Type: UInt8, Rank: 1})
	p := (&tape{node: 1}).put(Configure, 0, names(a, b, tail))
	for e := range 4 * maxTemplates {
		p.put(L1Accept, 1+e, value(a, 0, px(96, 128)), value(b, 0, px(96, 128)), value(tail, 0, px(1+e%(2*maxTemplates))))
	}
	req := withSmalldata(t, p)
	if n := truth(t, req, false); n != maxTemplates {
		t.Errorf("%d frames predicted", n)
	}
	equal(t, "headings", len(build(t, req(), rawrun.Options{}).Headings), 1)
}

// TestNoTemplateOfAnEventOfManyContainers bounds the memory for an event that is full of containers.
func TestNoTemplateOfAnEventOfManyContainers(t *testing.T) {
	a, b := camera(1, 10, "tdet", 0), camera(1, 11, "tdet", 1)
	tail := camera(1, 12, "other", 2, Field{Name: "n", Type: UInt8})
	for count, want := range map[int]int{300: 2, 2000: 0} {
		p := (&tape{node: 1}).put(Configure, 0, names(a, b, tail))
		for e := range 3 {
			p.put(L1Accept, 1+e, func(d *Draft) {
				for range count {
					d.Values(tail, 0, uint8(e))
				}
				d.Values(a, 0, px(96, 128))
				d.Values(b, 0, px(96, 128))
			})
		}
		if n := truth(t, withSmalldata(t, p), false); n != 2*want {
			t.Errorf("%d containers: %d frames predicted", count, n)
		}
	}
}

// TestOneReadForAnEvent counts reads, with the templates' and those of the beginning.
func TestOneReadForAnEvent(t *testing.T) {
	for _, smalldata := range []bool{true, false} {
		f, smd := newBigFile(8, 1000, 20*time.Microsecond)
		if !smalldata {
			smd = nil
		}
		indexBig(t, f, smd, rawrun.Options{})
		if n := f.reads.Load(); n > 1000+20 {
			t.Errorf("smalldata %v: %d reads for 1000 events of 8 panels", smalldata, n)
		}
		f.reads.Store(0)
		indexBig(t, f, smd, rawrun.Options{AllHeaders: true})
		if n := f.reads.Load(); n < 8000 {
			t.Errorf("smalldata %v: %d reads of all headers of 1000 events of 8 panels", smalldata, n)
		}
	}
}
