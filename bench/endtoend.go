package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/sweep"
	"rawstatus/internal/stats/accum"
	"rawstatus/internal/stats/kernel"
	"rawstatus/internal/stats/quantile"
)

const e2e = "end to end, warm: files in the page cache, opening included"

// endToEnd times profiles from files in the page cache to accumulators.
func endToEnd(b *bench) error {
	defer kernel.Use(kernel.Names()[0])
	one := func(lanes []sweep.Lane, level, way, profile string, cores int) variant {
		name := profile + " " + level
		if way != sweep.Cached {
			name += " " + way
		}
		if cores == 0 {
			name += " all cores"
		} else {
			name += " 1 core"
		}
		return variant{name: name, bytes: sizeOf(lanes), cores: cores, before: func() error {
			if err := kernel.Use(level); err != nil {
				return err
			}
			return b.d.warm()
		}, run: func() error { return b.profile(lanes, way, profile) }}
	}
	list := []variant{{name: "dd bs=1M", bytes: b.d.index.Files[0].Size, cores: 1, before: b.d.warm, run: b.dd}}
	for _, cores := range []int{1, 0} {
		name, readers := "AVX read, mapped, 1 core", 1
		if cores == 0 {
			name, readers = "AVX read, mapped, all cores", runtime.GOMAXPROCS(0)
		}
		list = append(list, variant{name: name, bytes: b.d.index.Files[0].Size, cores: cores, before: b.d.warm, run: func() error { return b.d.readMapped(readers) }})
		for _, level := range kernel.Names() {
			if level == "go" {
				continue
			}
			for _, profile := range []string{"dark", "data", "max"} {
				list = append(list, one(b.d.lanes, level, sweep.Cached, profile, cores))
			}
		}
		list = append(list, one(b.d.lanes, kernel.Names()[0], sweep.Cached, darkAndGain, cores))
	}
	few := head(b.d.lanes, 128)
	list = append(list, one(few, "go", sweep.Cached, "dark", 1), one(few, "go", sweep.Cached, "data", 1),
		one(head(b.d.lanes, 256), kernel.Names()[0], sweep.Cached, "light", 0))
	withNumpy := b.numpyHere()
	if withNumpy {
		n := int(b.o.numpy / (2 * pixels))
		exts := b.d.lanes[0].Extents[:min(n, len(b.d.lanes[0].Extents))]
		list = append(list, variant{name: "numpy loop", bytes: int64(len(exts)) * 2 * pixels, cores: 1, before: b.d.warm,
			clock: func() (float64, error) { return b.numpy("loop", exts) }})
	}
	if err := b.group(e2e, b.o.reps, list); err != nil || !withNumpy {
		return err
	}
	ratio, _ := b.r.ratio(e2e, "dark "+kernel.Names()[0]+" 1 core", "numpy loop")
	b.r.value("dark one core / numpy", ratio, "times", "same frames, same repetition")
	return b.numpyQuantile()
}

// cold times reading from the disk: files are dropped from the page cache before each variant.
func cold(b *bench) error {
	list := []variant{{name: "dd bs=1M", bytes: b.d.index.Files[0].Size, before: b.d.chill, run: b.dd}}
	for _, way := range sweep.Ways {
		list = append(list, variant{name: "data " + way + " all cores", bytes: b.d.bytes, before: b.d.chill,
			run: func() error { return b.profile(b.d.lanes, way, "data") }})
	}
	return b.group("end to end, cold: files on disk only", min(2, b.o.reps), list)
}

// dd copies the first file to nowhere, as people do to see the rate of a disk or a cache.
func (b *bench) dd() error {
	return exec.CommandContext(b.ctx, "dd", "if="+b.d.index.Files[0].Path, "of=/dev/null", "bs=1M", "status=none").Run()
}

// numpyQuantile compares the quantiles of the first block.
func (b *bench) numpyQuantile() error {
	var seconds []float64
	for range min(3, b.o.reps) {
		s, err := b.numpy("quantile", b.d.lanes[0].Extents[:50])
		if err != nil {
			return err
		}
		seconds = append(seconds, s)
	}
	ours, _ := b.r.number("3 quantiles of 50 frames")
	b.r.value("numpy.quantile of 50 frames", 1e3*median(seconds), "ms", "")
	b.r.value("quantiles / numpy", 1e3*median(seconds)/ours, "times", "")
	return nil
}

func sizeOf(lanes []sweep.Lane) (n int64) {
	for _, l := range lanes {
		n += int64(len(l.Extents)) * 2 * int64(l.Panel.Pixels())
	}
	return n
}

// head returns the first frames of lanes.
func head(lanes []sweep.Lane, n int) []sweep.Lane {
	out := append([]sweep.Lane(nil), lanes...)
	for i := range out {
		out[i].Extents = out[i].Extents[:min(n, len(out[i].Extents))]
	}
	return out
}

// profile opens the files and takes all frames of lanes through what a profile needs.
func (b *bench) profile(lanes []sweep.Lane, way, profile string) error {
	src, err := sweep.Open(b.d.index.Files, way, b.d.options())
	if err != nil {
		return err
	}
	defer src.Close()
	if profile == "light" {
		return lightOf(b.ctx, src, lanes)
	}
	return takeAll(b.ctx, src, lanes, profile)
}

// takeAll counts all frames of lanes in one of the profiles data, dark, max; read only reads.
func takeAll(ctx context.Context, src *sweep.Source, lanes []sweep.Lane, profile string) error {
	accs := make([]counter, len(lanes))
	for i, l := range lanes {
		n := l.Panel.Pixels()
		switch profile {
		case "data":
			accs[i] = accum.NewGated(n, accParams, nil, nil)
		case "max":
			accs[i] = accum.NewMax(n, accParams.DataBits)
		case "dark", darkAndGain:
			lo, hi := make([]uint16, n), make([]uint16, n)
			if err := firstBlock(ctx, src, l, lo, hi); err != nil {
				return err
			}
			sums := accum.NewGated(n, accParams, lo, hi)
			accs[i] = sums
			if profile == darkAndGain {
				accs[i] = watching{sums, accum.NewGain(n, 0xc000, 0, 0x8000)}
			}
		}
	}
	return src.Sweep(ctx, sweep.Sweep{Lanes: lanes, Do: func(b sweep.Batch) error {
		if accs[b.Lane] == nil {
			return readFrames(b.Frames)
		}
		accs[b.Lane].Add(b.Lo, b.Frames)
		return nil
	}})
}

// darkAndGain does the work of the dark profile for detectors with gain bits in each word.
const darkAndGain = "dark and gain bits"

// readMapped maps the first file and has some readers load all of it: the limit that memory sets.
func (d *data) readMapped(readers int) error {
	f, err := os.Open(d.index.Files[0].Path)
	if err != nil {
		return err
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, int(d.index.Files[0].Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	all := unsafe.Slice((*uint16)(unsafe.Pointer(&mem[0])), len(mem)/2)
	var g fault.Group
	for i := range readers {
		g.Go(func() error {
			readAll(all[i*len(all)/readers : (i+1)*len(all)/readers])
			return nil
		})
	}
	return errors.Join(g.Wait(), unix.Munmap(mem))
}

// firstBlock finds the gates of a panel from its first 50 frames.
func firstBlock(ctx context.Context, src *sweep.Source, l sweep.Lane, lo, hi []uint16) error {
	exts := l.Extents[:min(50, len(l.Extents))]
	lane := sweep.Lane{Panel: l.Panel, Extents: exts}
	return src.Sweep(ctx, sweep.Sweep{Lanes: []sweep.Lane{lane}, Lead: len(exts), Do: func(b sweep.Batch) error {
		n := b.Lo + len(b.Frames[0])
		quantile.Gates(b.Frames, gateParams, lo[b.Lo:n], hi[b.Lo:n])
		return nil
	}})
}
