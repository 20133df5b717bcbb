package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/open"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/ranges"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/simulate"
)

// Geometry of the simulated run: a jungfrau panel's frame is 1 MiB.
const (
	panels     = 2
	rows, cols = 512, 1024
	pixels     = rows * cols
)

// data is the simulated run, on disk and partly in memory.
type data struct {
	dir   string
	index *frame.Index
	lanes []sweep.Lane
	bytes int64      // of all frames
	ram   [][]uint16 // frames in memory, at distances like those in the file
	free  func()
}

// prepare writes the run unless it is there, indexes it and loads some frames.
func prepare(ctx context.Context, o options, say func(string, ...any)) (*data, error) {
	events := int(o.size / panels / (2 * pixels))
	if events < 64 {
		return nil, fmt.Errorf("a run of %d bytes has %d events, at least 64 are needed", o.size, events)
	}
	c := simulate.Config{Dir: filepath.Join(o.scratch, fmt.Sprintf("run-%dMiB", o.size>>20)), Panels: panels, Events: events, Seed: 1,
		Dead: 50, Hot: 50, Noisy: 200, Saturated: 50, Cold: 50}
	d := &data{dir: c.Dir}
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return nil, err
	}
	if found, err := filepath.Glob(filepath.Join(c.Dir, "*-truth.json")); err != nil {
		return nil, err
	} else if len(found) == 0 {
		say("writing a run of %d MiB to %s", o.size>>20, c.Dir)
		if _, err := simulate.Write(ctx, c); err != nil {
			return nil, err
		}
	}
	var err error
	d.index, err = open.Index(ctx, open.Dataset{Experiment: "tstx00417", Runs: ranges.One(1), Dir: c.Dir}, open.Options{})
	if err != nil {
		return nil, err
	}
	d.lanes = make([]sweep.Lane, panels)
	for p := range d.lanes {
		d.lanes[p].Panel = d.index.Panels[p]
		for e := range d.index.Events {
			if x := d.index.At(e, p); x.State == frame.Present {
				d.lanes[p].Extents = append(d.lanes[p].Extents, *x)
				d.bytes += int64(x.Length)
			}
		}
	}
	if o.ram == 0 {
		return d, nil
	}
	say("loading %d frames", o.ram)
	if err := d.load(ctx, o.ram); err != nil {
		return nil, err
	}
	// Pages in the cache shall be as after reading the files from one end to the other: what was written,
	// or read here and there, lies in smaller pieces, which take longer to map.
	return d, d.chill()
}

// options are those with which a task reads.
func (d *data) options() sweep.Options {
	return sweep.Options{Headings: d.index.Headings, Arena: plan.ArenaBytes}
}

// load brings frames into memory that has huge pages if the system has them, at the distance that
// they have in the file, which is no multiple of a page.
func (d *data) load(ctx context.Context, n int) error {
	const distance = 2*pixels + 232
	mem, err := unix.Mmap(-1, 0, n*distance, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	d.free = func() { _ = unix.Munmap(mem) }
	d.ram = make([][]uint16, n)
	src, err := sweep.Open(d.index.Files, sweep.Cached, d.options())
	if err != nil {
		return err
	}
	defer src.Close()
	for k := range d.ram {
		d.ram[k] = unsafe.Slice((*uint16)(unsafe.Pointer(&mem[k*distance])), pixels)
		lane := d.lanes[0]
		e := lane.Extents[k%len(lane.Extents)]
		px, err := src.Pixels(ctx, lane.Panel, []frame.Extent{e}, sweep.Span{Hi: pixels})
		if err != nil {
			return err
		}
		copy(d.ram[k], px[0])
	}
	return nil
}

func (d *data) close() {
	if d.free != nil {
		d.free()
	}
}

// chill takes the files out of the page cache.
func (d *data) chill() error {
	for _, file := range d.index.Files {
		f, err := os.Open(file.Path)
		if err != nil {
			return err
		}
		err = f.Sync() // only clean pages can go
		if err == nil {
			err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// warm makes sure that all files are in the page cache: the system may have dropped idle pages.
func (d *data) warm() error {
	buf := make([]byte, 4<<20)
	for _, f := range d.index.Files {
		if err := warmFile(f.Path, f.Size, buf); err != nil {
			return err
		}
	}
	return nil
}

func warmFile(path string, size int64, buf []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	span := [2]uint64{0, uint64(size)}
	var stat [5]uint64
	_, _, errno := unix.Syscall6(unix.SYS_CACHESTAT, f.Fd(), uintptr(unsafe.Pointer(&span)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	if errno == 0 && stat[0] >= uint64(size)/uint64(os.Getpagesize()) {
		return nil
	}
	for {
		if _, err := f.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// smallPerEvent is the number of frames of 128 x 512 pixels that an event has.
const smallPerEvent = 8 * panels

// small makes lanes of a panel of 128 x 512 pixels with n frames, which lie one behind the other: eighths
// of the frames of all panels, from an event on.
func (d *data) small(n, from int) []sweep.Lane {
	lane := sweep.Lane{Panel: d.lanes[0].Panel}
	lane.Panel.Rows, lane.Panel.Cols = 128, 512
	length := uint32(2 * lane.Panel.Pixels())
	for i := range n {
		exts := d.lanes[i/8%panels].Extents
		e := exts[(from+i/smallPerEvent)%len(exts)]
		e.Offset += int64(i%8) * int64(length)
		e.Length, e.Heading = length, 0 // only whole frames have headings before them
		lane.Extents = append(lane.Extents, e)
	}
	return []sweep.Lane{lane}
}
