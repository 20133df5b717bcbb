package xtc1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// bigFile is a data file that exists only as its headers: a beginning, then events of some sizes in
// turn. Pixels are zeros that nobody stores.
type bigFile struct {
	begin []byte
	kinds []eventKind
	n     int64 // events

	latency             time.Duration
	reads, flying, most atomic.Int64
	stop                func() // called with the hundredth read
}

// eventKind is an event: the parts that are not zero, one after the other, and where they lie.
type eventKind struct {
	heads []span
	bytes []byte
	off   int64 // from the beginning of the turn
	size  int64
}

// turn is the size of one event of each kind.
func (f *bigFile) turn() int64 {
	last := f.kinds[len(f.kinds)-1]
	return last.off + last.size
}

func (f *bigFile) at(e int64) int64 {
	k := int64(len(f.kinds))
	return int64(len(f.begin)) + e/k*f.turn() + f.kinds[e%k].off
}

func (f *bigFile) total() int64 { return f.at(f.n) }

// ReadAt implements io.ReaderAt.
func (f *bigFile) ReadAt(b []byte, off int64) (int, error) {
	if f.reads.Add(1) == 100 && f.stop != nil {
		f.stop()
	}
	for now := f.flying.Add(1); ; {
		most := f.most.Load()
		if now <= most || f.most.CompareAndSwap(most, now) {
			break
		}
	}
	defer f.flying.Add(-1)
	// sleeping takes a millisecond and more; waiting for a storage of 0.5 ms must not
	for begin := time.Now(); time.Since(begin) < f.latency; {
		runtime.Gosched()
	}
	clear(b)
	overlay := func(part []byte, at int64) {
		if lo, hi := max(at, off), min(at+int64(len(part)), off+int64(len(b))); lo < hi {
			copy(b[lo-off:hi-off], part[lo-at:])
		}
	}
	overlay(f.begin, 0)
	for e := max((off-int64(len(f.begin)))/f.turn(), 0) * int64(len(f.kinds)); e < f.n && f.at(e) < off+int64(len(b)); e++ {
		kind := f.kinds[e%int64(len(f.kinds))]
		from := 0
		for _, h := range kind.heads {
			part := bytes.Clone(kind.bytes[from : from+h.n])
			if h.off == 0 {
				le.PutUint32(part, uint32(e)*1000)
				le.PutUint32(part[12:], uint32(e*3%fiducialWrap))
			}
			overlay(part, f.at(e)+h.off)
			from += h.n
		}
	}
	return len(b), nil
}

// newBigFile makes a file of events of these detectors, and its smalldata. The sizes of events differ by
// some words, if there are several kinds.
func newBigFile(tb testing.TB, events int64, kinds int, latency time.Duration, models ...*Model) (f *bigFile, small []byte) {
	r := newRun(tb)
	r.file(0, 0)
	r.put(Configure, func(d *Draft) {
		for _, m := range models {
			m.PutConfig(d, "")
		}
	})
	r.put(BeginRun, nil)
	r.put(BeginCalibCycle, nil)
	f = &bigFile{begin: bytes.Clone(r.data[0].Bytes()), n: events, latency: latency}
	small = bytes.Clone(r.small[0].Bytes())
	var whole [][]byte
	off := int64(0)
	for k := range kinds {
		var d Draft
		d.Begin(L1Accept, 1464000000<<32, 0, 1, 0)
		d.Open(Node(levelSegment, 2002, 0), 0)
		d.Leaf(Node(levelSegment, 1, 1), idEvrData, 4, 0, 16+k*5%kinds*12)
		heads := []span{{0, len(d.b)}}
		for _, m := range models {
			heads = append(heads, span{int64(len(d.b)), 64})
			m.PutFrame(&d, 0, 0, func([]byte, int) {})
		}
		kind := eventKind{heads: heads, off: off, size: int64(len(d.Bytes()))}
		for _, h := range heads {
			kind.bytes = append(kind.bytes, d.b[h.off:][:h.n]...)
		}
		f.kinds = append(f.kinds, kind)
		whole = append(whole, d.b)
		off += kind.size
	}
	for e := range events {
		b := whole[e%int64(kinds)]
		le.PutUint32(b, uint32(e)*1000)
		le.PutUint32(b[12:], uint32(e*3%fiducialWrap))
		small = appendShadow(small, b, f.at(e), smlThreshold)
	}
	return f, small
}

// indexBig indexes a file that exists only as its headers.
func indexBig(tb testing.TB, f *bigFile, small []byte) *frame.Index {
	file := &File{File: frame.File{Path: "big.xtc", Size: f.total()}, R: f}
	if small != nil {
		file.Small = &File{File: frame.File{Path: "big.smd.xtc", Size: int64(len(small))}, R: bytes.NewReader(small)}
	}
	x, err := BuildIndex(context.Background(), rawrun.Request{Files: []*File{file}}, rawrun.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	if int64(len(x.Events)) != f.n || len(x.Notes) != 1 {
		tb.Fatalf("%d events, %q", len(x.Events), x.Notes)
	}
	for p := range x.Panels {
		if n := x.PanelFrames(p)[frame.Present]; int64(n) != f.n {
			tb.Fatalf("panel %d: %d frames, %q", p, n, x.Notes)
		}
	}
	return x
}

// bigModels are a detector alone, and two with a camera, whose every frame states its shape.
func bigModels(tb testing.TB) map[string][]*Model {
	jf := model(tb, "CxiDs1.0:Jungfrau.0", 4, 512, 1024)
	return map[string][]*Model{
		"jungfrau": {jf},
		"three":    {model(tb, "CxiDs1.0:Epix100a.0", 1, 704, 768), jf, model(tb, "CxiDsu.0:Opal1000.0", 1, 1024, 1024)},
	}
}

// TestReadsOfAnIndex bounds the number of reads and wants many of them at once.
func TestReadsOfAnIndex(t *testing.T) {
	for name, models := range bigModels(t) {
		for _, c := range []struct {
			smalldata bool
			kinds     int
			limit     float64 // reads of an event
			most      int64
		}{
			{true, 1, 0.5 + float64(len(models)/3), 8},
			{false, 1, 1.1 * float64(len(models)), 16}, // the first leaf comes with the head of the datagram
			{false, 7, 1.5 * float64(len(models)), 4},
		} {
			f, small := newBigFile(t, 400, c.kinds, 100*time.Microsecond, models...)
			if !c.smalldata {
				small = nil
			}
			indexBig(t, f, small)
			if reads := float64(f.reads.Load()) / 400; reads > c.limit {
				t.Errorf("%s %+v: %.2f reads for an event", name, c, reads)
			}
			if most := f.most.Load(); most < c.most {
				t.Errorf("%s %+v: at most %d reads at once", name, c, most)
			}
		}
	}
}

// TestNothingReadsAfterwards wants no read under way when an index is ready, or given up: the caller
// closes the files then.
func TestNothingReadsAfterwards(t *testing.T) {
	for name, models := range bigModels(t) {
		for _, stopped := range []bool{false, true} {
			f, _ := newBigFile(t, 300, 1, 100*time.Microsecond, models...)
			ctx, cancel := context.WithCancel(context.Background())
			if stopped {
				f.stop = cancel
			}
			_, err := BuildIndex(ctx, rawrun.Request{Files: []*File{{File: frame.File{Path: "big.xtc", Size: f.total()}, R: f}}}, rawrun.Options{})
			if errors.Is(err, context.Canceled) != stopped {
				t.Errorf("%s: %v", name, err)
			}
			if n := f.flying.Load(); n != 0 {
				t.Errorf("%s, stopped %v: %d reads under way", name, stopped, n)
			}
			cancel()
		}
	}
}

// BenchmarkIndex indexes events of 4 MiB and more behind 0.5 ms of latency, by smalldata or by the data
// file, whose events are equally long or not quite; the rate of bytes is that of the data.
func BenchmarkIndex(b *testing.B) {
	for name, models := range bigModels(b) {
		for how, kinds := range map[string]int{"small": 1, "equal": 1, "unequal": 7} {
			b.Run(fmt.Sprintf("detectors=%s/by=%s", name, how), func(b *testing.B) {
				f, small := newBigFile(b, 2000, kinds, 500*time.Microsecond, models...)
				if how != "small" {
					small = nil
				}
				for b.Loop() {
					indexBig(b, f, small)
				}
				b.SetBytes(f.total())
				b.ReportMetric(float64(f.n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
