package xtc2

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rawstatus/internal/io/rawrun"
)

// bigFile is a data file that exists only as its headers: a beginning, then equal events. Pixels are
// zeros that nobody stores.
type bigFile struct {
	begin  []byte
	event  []byte   // its first bytes
	panel  [][]byte // first bytes of each panel's ShapesData
	panels int
	size   int64 // of a panel's ShapesData
	n      int64 // events
	ts     uint64

	latency        time.Duration
	reads, flying  atomic.Int64
	most, readSize atomic.Int64
}

func (f *bigFile) eventSize() int64 { return headerSize + int64(f.panels)*f.size }
func (f *bigFile) total() int64     { return int64(len(f.begin)) + f.n*f.eventSize() }

// sleep sleeps on the thread: time.Sleep takes a millisecond and more.
func sleep(d time.Duration) {
	for end := time.Now().Add(d); d > 0; d = time.Until(end) {
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&ts, nil) // interrupted: the loop goes on
	}
}

// ReadAt implements io.ReaderAt.
func (f *bigFile) ReadAt(b []byte, off int64) (int, error) {
	f.reads.Add(1)
	f.readSize.Add(int64(len(b)))
	for now := f.flying.Add(1); ; {
		most := f.most.Load()
		if now <= most || f.most.CompareAndSwap(most, now) {
			break
		}
	}
	defer f.flying.Add(-1)
	sleep(f.latency)
	clear(b)
	overlay := func(part []byte, at int64) {
		if lo, hi := max(at, off), min(at+int64(len(part)), off+int64(len(b))); lo < hi {
			copy(b[lo-off:hi-off], part[lo-at:])
		}
	}
	overlay(f.begin, 0)
	first := (off - int64(len(f.begin))) / f.eventSize()
	for e := max(first, 0); e < f.n; e++ {
		at := int64(len(f.begin)) + e*f.eventSize()
		if at >= off+int64(len(b)) {
			break
		}
		overlay(f.event, at)
		if at >= off {
			binary.LittleEndian.PutUint32(b[at-off:], uint32(f.ts+uint64(e)))
		}
		for p := range f.panels {
			overlay(f.panel[p], at+headerSize+int64(p)*f.size)
		}
	}
	return len(b), nil
}

// newBigFile makes a file of events of jungfrau panels, and its smalldata.
func newBigFile(panels int, events int64, latency time.Duration) (f *bigFile, smd []byte) {
	var list []*Names
	for p := range panels {
		list = append(list, camera(1, 10+p, "jungfrau", p, Field{Name: "raw", Type: UInt16, Rank: 3}))
	}
	begin := (&tape{node: 1}).put(Configure, 0, names(list...)).put(BeginRun, 1)
	one := (&tape{node: 1}).put(L1Accept, 2, value(list[0], 0, FieldValue{Dims: []int{1, 512, 1024}, Fill: func([]byte) {}}))
	f = &bigFile{begin: begin.b, panels: panels, size: int64(len(one.b)) - headerSize, n: events, ts: 2000, latency: latency}
	f.event = one.b[:headerSize:headerSize]
	for p := range panels {
		part := append([]byte(nil), one.b[headerSize:headerSize+100]...)
		binary.LittleEndian.PutUint32(part, ID(1, 10+p))
		f.panel = append(f.panel, part)
	}
	binary.LittleEndian.PutUint32(f.event[20:], uint32(f.eventSize()-prefixSize))
	var d Draft
	w := &StreamWriter{}
	at := int64(0)
	add := func(b []byte) {
		d.b = append(d.b[:0], b...)
		smd = append(smd, w.shadow(&d, at)...)
		at += int64(len(b))
	}
	add(begin.b[:len(begin.b)-headerSize])
	add(begin.b[len(begin.b)-headerSize:])
	shadow := func(e int64) {
		d.b = append(d.b[:0], f.event...)
		binary.LittleEndian.PutUint32(d.b, uint32(f.ts+uint64(e)))
		var s Draft
		s.Begin(L1Accept, 1000<<32|(f.ts+uint64(e)), 1, 1)
		s.Values(smdInfo, 0, uint64(int64(len(f.begin))+e*f.eventSize()), uint64(f.eventSize()))
		smd = append(smd, s.Bytes()...)
	}
	for e := range events {
		shadow(e)
	}
	return f, smd
}

// indexBig indexes a file that exists only as its headers.
func indexBig(tb testing.TB, f *bigFile, smd []byte, opt rawrun.Options) time.Duration {
	file := &File{R: f}
	file.Path, file.Size = "big.xtc2", f.total()
	if smd != nil {
		file.Small = memFile("big.smd.xtc2", smd)
	}
	begin := time.Now()
	x, err := BuildIndex(context.Background(), rawrun.Request{Files: []*File{file}}, opt)
	if err != nil {
		tb.Fatal(err)
	}
	took := time.Since(begin)
	if int64(len(x.Events)) != f.n || len(x.Panels) != f.panels {
		tb.Fatalf("%d events of %d panels, %q", len(x.Events), len(x.Panels), x.Notes)
	}
	for p := range x.Panels {
		if n := x.PanelFrames(p)[present]; int64(n) != f.n {
			tb.Fatalf("panel %d: %d frames, %q", p, n, x.Notes)
		}
	}
	return took
}

// TestReadsOfAnIndex bounds the number of reads and wants many of them at once.
func TestReadsOfAnIndex(t *testing.T) {
	for _, panels := range []int{1, 4} {
		for _, smalldata := range []bool{true, false} {
			f, smd := newBigFile(panels, 400, 100*time.Microsecond)
			if !smalldata {
				smd = nil
			}
			indexBig(t, f, smd, rawrun.Options{})
			if reads := float64(f.reads.Load()) / 400; reads > 1.2 {
				t.Errorf("%d panels, smalldata %v: %.2f reads for an event", panels, smalldata, reads)
			}
			if most := f.most.Load(); most < 8 {
				t.Errorf("%d panels, smalldata %v: at most %d reads at once", panels, smalldata, most)
			}
		}
	}
}

// BenchmarkIndex indexes events of panels of 1 MiB behind 0.5 ms of latency; MB/s are those of raw data.
func BenchmarkIndex(b *testing.B) {
	for _, smalldata := range []bool{true, false} {
		for _, panels := range []int{1, 2, 8} {
			b.Run(fmt.Sprintf("smalldata=%v/panels=%d", smalldata, panels), func(b *testing.B) {
				f, smd := newBigFile(panels, 8000, 500*time.Microsecond)
				if !smalldata {
					smd = nil
				}
				for b.Loop() {
					indexBig(b, f, smd, rawrun.Options{})
				}
				b.SetBytes(f.total())
				events := float64(f.n) * float64(b.N)
				b.ReportMetric(float64(b.Elapsed().Microseconds())/events, "us/event")
				b.ReportMetric(float64(f.reads.Load())/events, "reads/event")
			})
		}
	}
}
