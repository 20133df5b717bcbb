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
)

// bigFile is a data file that exists only as its headers: a beginning, then equal events. Pixels are
// zeros that nobody stores.
type bigFile struct {
	begin   []byte
	heads   []span // parts of an event that are not zero
	event   []byte // those parts, one after the other
	size, n int64  // of an event, and how many

	latency             time.Duration
	reads, flying, most atomic.Int64
	stop                func() // called with the hundredth read
}

func (f *bigFile) total() int64 { return int64(len(f.begin)) + f.n*f.size }

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
	for e := max((off-int64(len(f.begin)))/f.size, 0); e < f.n; e++ {
		at := int64(len(f.begin)) + e*f.size
		if at >= off+int64(len(b)) {
			break
		}
		from := 0
		for _, h := range f.heads {
			part := bytes.Clone(f.event[from : from+h.n])
			if h.off == 0 {
				le.PutUint32(part, uint32(e)*1000)
				le.PutUint32(part[12:], uint32(e*3%fiducialWrap))
			}
			overlay(part, at+h.off)
			from += h.n
		}
	}
	return len(b), nil
}

// newBigFile makes a file of events of these detectors, and its smalldata.
func newBigFile(tb testing.TB, events int64, latency time.Duration, models ...*Model) (f *bigFile, small []byte) {
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
	var d Draft
	d.Begin(L1Accept, 1464000000<<32, 0, 1, 0)
	d.Open(Node(levelSegment, 2002, 0), 0)
	f.heads = []span{{0, headSize + xtcSize}}
	for _, m := range models {
		f.heads = append(f.heads, span{int64(len(d.b)), 64})
		m.PutFrame(&d, 0, 0, func([]byte, int) {})
	}
	b := d.Bytes()
	f.size = int64(len(b))
	for _, h := range f.heads {
		f.event = append(f.event, b[h.off:][:h.n]...)
	}
	small = bytes.Clone(r.small[0].Bytes())
	for e := range events {
		le.PutUint32(b, uint32(e)*1000)
		le.PutUint32(b[12:], uint32(e*3%fiducialWrap))
		small = appendShadow(small, b, int64(len(f.begin))+e*f.size, smlThreshold)
	}
	return f, small
}

// indexBig indexes a file that exists only as its headers.
func indexBig(tb testing.TB, f *bigFile, small []byte) *frame.Index {
	file := &File{File: frame.File{Path: "big.xtc", Size: f.total()}, R: f}
	if small != nil {
		file.Small = &File{File: frame.File{Path: "big.smd.xtc", Size: int64(len(small))}, R: bytes.NewReader(small)}
	}
	x, err := BuildIndex(context.Background(), Request{Files: []*File{file}}, Options{})
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

// bigModels are a detector alone, and two with a camera, whose every frame tells its shape.
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
		for _, smalldata := range []bool{true, false} {
			f, small := newBigFile(t, 400, 100*time.Microsecond, models...)
			limit := 1.1 * float64(len(models)) // the first leaf comes with the head of the datagram
			if smalldata {
				limit = 0.5 + float64(len(models)/3)
			} else {
				small = nil
			}
			indexBig(t, f, small)
			if reads := float64(f.reads.Load()) / 400; reads > limit {
				t.Errorf("%s, smalldata %v: %.2f reads for an event, at most %.2f are needed", name, smalldata, reads, limit)
			}
			if most := f.most.Load(); most < 8 {
				t.Errorf("%s, smalldata %v: at most %d reads at once", name, smalldata, most)
			}
		}
	}
}

// TestNothingReadsAfterwards wants no read under way when an index is ready, or given up: the caller
// closes the files then.
func TestNothingReadsAfterwards(t *testing.T) {
	for name, models := range bigModels(t) {
		for _, stopped := range []bool{false, true} {
			f, _ := newBigFile(t, 300, 100*time.Microsecond, models...)
			ctx, cancel := context.WithCancel(context.Background())
			if stopped {
				f.stop = cancel
			}
			_, err := BuildIndex(ctx, Request{Files: []*File{{File: frame.File{Path: "big.xtc", Size: f.total()}, R: f}}}, Options{})
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

// BenchmarkIndex indexes events of 4 MiB behind 0.5 ms of latency; the rate of bytes is that of the
// data that is indexed.
func BenchmarkIndex(b *testing.B) {
	for name, models := range bigModels(b) {
		for _, smalldata := range []bool{true, false} {
			b.Run(fmt.Sprintf("detectors=%s/smalldata=%v", name, smalldata), func(b *testing.B) {
				f, small := newBigFile(b, 2000, 500*time.Microsecond, models...)
				if !smalldata {
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
