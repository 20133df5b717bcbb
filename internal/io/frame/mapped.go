package frame

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
)

// mapped is the Source that computes on mapped files in place: the fastest way where the page cache
// holds the file or a local disk fills it. Windows are mapped for one superblock at a time. Single
// blocks, coded frames and frames at odd offsets go through its pread.
//
// A file that is cut while it is mapped, or a disk that fails, shows as a fault on access; Sweep turns
// that into an error.
type mapped struct {
	*pread
	mu      sync.Mutex
	windows []window
}

// window is a mapped part of a file.
type window struct {
	file int32
	off  int64 // of mem in the file
	mem  []byte
}

// OpenMapped opens the files of an index for mapping. Files whose size or modification time differ
// from the index are refused. Options.Open is not used.
func OpenMapped(files []File, opt Options) (Source, error) {
	opt.Open = openOS
	p, err := openPread(files, opt)
	if err != nil {
		return nil, err
	}
	return &mapped{pread: p}, nil
}

// Name implements Source.
func (s *mapped) Name() string { return "mapped" }

// Footprint implements Source.
func (s *mapped) Footprint(lanes []Lane) (arena, window int64) {
	c := s.cut(lanes)
	frames := 0
	for _, l := range lanes {
		frames = max(frames, len(l.Extents))
	}
	for _, group := range c.groups {
		var a int64
		for _, i := range group {
			if l := lanes[i]; !direct(l.Panel, l.Extents) {
				a += s.buffers(l, c.held*c.frames)
			}
		}
		arena = max(arena, a)
		for first, n := 0, 0; first < frames; first += n {
			var bytes int64
			n, bytes = s.hold(lanes, group, first, c.frames, s.opt.Window/int64(c.held))
			window = max(window, int64(c.held)*bytes)
		}
	}
	return arena, window
}

// cut cuts by the size of windows, or of the buffers if some lanes need them.
func (s *mapped) cut(lanes []Lane) cutting {
	if slices.ContainsFunc(lanes, func(l Lane) bool { return !direct(l.Panel, l.Extents) }) {
		return s.pread.cut(lanes)
	}
	return cut(lanes, s.opt.Window, 2)
}

// Sweep implements Source.
func (s *mapped) Sweep(ctx context.Context, sw Sweep) error {
	if err := checkLanes(s.files, s.opt.Headings, sw); err != nil {
		return err
	}
	// The last page of a file that was cut reads as zeros behind its end, without a fault: afterwards looks.
	return s.afterwards(runSweep(ctx, sw, s.cut(sw.Lanes), s))
}

// fit implements loader: a superblock has the frames of c unless their pages are more than the window.
func (s *mapped) fit(lanes []Lane, c cutting, first int) int {
	n := c.frames
	for _, group := range c.groups {
		n, _ = s.hold(lanes, group, first, n, s.opt.Window/int64(c.held))
	}
	return n
}

// hold counts frames of a group of lanes, from first on and at most n, whose pages take no more than so many
// bytes, at least one, and what they take. Whoever touches a page gets the huge page around it, if the page
// cache has one, and what lies there between the frames.
func (s *mapped) hold(lanes []Lane, group []int, first, n int, most int64) (frames int, bytes int64) {
	held := make([]int64, len(s.files)) // where the last huge page ends
	for frames < n {
		more := int64(0)
		for _, i := range group {
			if exts := lanes[i].Extents; lanes[i].Panel.Codec == Identity && first+frames < len(exts) {
				e := exts[first+frames]
				from := s.from(e) / hugeSize * hugeSize
				end := (e.Offset + int64(e.Length) + hugeSize - 1) / hugeSize * hugeSize
				if last := held[e.File]; from == last-hugeSize || from == last {
					from = last // else it may have been counted before; it is again
				}
				more += max(0, min(end, s.files[e.File].Size)-from)
				held[e.File] = end
			}
		}
		if frames > 0 && bytes+more > most {
			break
		}
		frames, bytes = frames+1, bytes+more
	}
	return frames, bytes
}

// from gives where a frame begins with what must lie before it.
func (s *mapped) from(e Extent) int64 {
	if e.Heading != 0 {
		return e.Offset - int64(s.opt.Headings[e.Heading-1].Before)
	}
	return e.Offset
}

// near implements loader: who computes on mapped pages fetches nothing.
func (s *mapped) near(Sweep, int, int) bool { return false }

// direct tells whether frames can be used where they lie.
func direct(panel Panel, exts []Extent) bool {
	return panel.Codec == Identity && !slices.ContainsFunc(exts, func(e Extent) bool { return e.Offset%2 != 0 })
}

// load implements loader.
func (s *mapped) load(ctx context.Context, shares []*share) (wait func() error, release func(), err error) {
	var staged, inPlace []*share
	var spans []span
	for _, st := range shares {
		if direct(st.panel, st.exts) {
			inPlace = append(inPlace, st)
			spans = s.extend(spans, st.exts)
		} else {
			staged = append(staged, st)
		}
	}
	wait, putBack, err := s.pread.load(ctx, staged)
	if err != nil {
		return nil, nil, err
	}
	var held []window
	release = func() {
		for _, w := range held {
			s.unmap(w)
		}
		putBack()
	}
	for _, sp := range spans {
		w, err := s.mapSpan(sp)
		if err != nil {
			_ = wait()
			release()
			return nil, nil, err
		}
		held = append(held, w)
	}
	for _, st := range inPlace {
		st.px = make([][]uint16, len(st.exts))
		for j, e := range st.exts {
			b := bytesIn(held, e.File, e.Offset, int(e.Length))
			st.px[j] = unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/2)
		}
		if slices.ContainsFunc(st.exts, func(e Extent) bool { return e.Heading != 0 }) {
			st.check = func(lo, hi int) error { return s.checkHeadings(held, st.panel, st.exts[lo:hi]) }
		}
	}
	return wait, release, nil
}

// checkHeadings compares what lies before frames in windows.
func (s *mapped) checkHeadings(held []window, panel Panel, exts []Extent) error {
	for _, e := range exts {
		if e.Heading == 0 {
			continue
		}
		h := &s.opt.Headings[e.Heading-1] // checkExtent has looked
		if err := h.check(bytesIn(held, e.File, e.Offset-int64(h.Before), len(h.Bytes)), s.files[e.File].Path, e, panel); err != nil {
			return err
		}
	}
	return nil
}

// span is the part of a file that a superblock needs, and within it the frames that it really needs.
type span struct {
	file     int32
	from, to int64
	wanted   []Extent
}

// extend adds extents to the spans of their files, with their headings.
func (s *mapped) extend(spans []span, exts []Extent) []span {
	for _, e := range exts {
		i := slices.IndexFunc(spans, func(s span) bool { return s.file == e.File })
		if i < 0 {
			i = len(spans)
			spans = append(spans, span{file: e.File, from: e.Offset})
		}
		sp := &spans[i]
		sp.from, sp.to = min(sp.from, s.from(e)), max(sp.to, e.Offset+int64(e.Length))
		sp.wanted = append(sp.wanted, e)
	}
	return spans
}

// mapSpan maps a span.
func (s *mapped) mapSpan(sp span) (window, error) {
	page := int64(os.Getpagesize())
	from := sp.from / page * page
	f := s.fds[sp.file].(osReader)
	mem, err := unix.Mmap(int(f.Fd()), from, int(sp.to-from), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return window{}, fmt.Errorf("frame: could not map %d bytes of %q at byte %#x: %w", sp.to-from, s.files[sp.file].Path, from, err)
	}
	w := window{file: sp.file, off: from, mem: mem}
	s.advise(int(f.Fd()), sp)
	s.mu.Lock()
	s.windows = append(s.windows, w)
	s.mu.Unlock()
	return w, nil
}

// advise tells the system to bring in what is not in memory yet, unless a sample of frames is: asking
// about each costs as much as reading it from the cache, advice that is not needed more.
func (s *mapped) advise(fd int, sp span) {
	page := int64(os.Getpagesize())
	pages := func(e Extent) (at, n int64) {
		at = e.Offset / page * page
		return at, e.Offset + int64(e.Length) - at
	}
	sample, missing := min(16, len(sp.wanted)), false
	for i := range sample {
		at, n := pages(sp.wanted[i*len(sp.wanted)/sample])
		missing = missing || !cached(fd, at, n)
	}
	if !missing {
		return
	}
	for _, e := range sp.wanted {
		if at, n := pages(e); !cached(fd, at, n) {
			// Advice may be refused; then pages come when they are touched.
			_ = unix.Fadvise(fd, at, n, unix.FADV_WILLNEED)
		}
	}
}

// unmap gives a window back.
func (s *mapped) unmap(w window) {
	s.mu.Lock()
	s.windows = slices.DeleteFunc(s.windows, func(x window) bool { return &x.mem[0] == &w.mem[0] })
	s.mu.Unlock()
	_ = unix.Munmap(w.mem)
	if s.opt.DropBehind {
		s.fds[w.file].(osReader).forget(w.off, int64(len(w.mem)))
	}
}

// bytesIn gives bytes of a file in the window of that file.
func bytesIn(windows []window, file int32, off int64, n int) []byte {
	for _, w := range windows {
		if w.file == file && n > 0 {
			return w.mem[off-w.off:][:n:n]
		}
	}
	return nil
}

// cached tells whether nearly all pages of a part of a file are in memory, as far as the system can
// say (Linux 6.5 or later).
func cached(fd int, off, n int64) bool {
	span := [2]uint64{uint64(off), uint64(n)}
	var stat struct{ Cache, Dirty, Writeback, Evicted, RecentlyEvicted uint64 }
	_, _, errno := unix.Syscall6(unix.SYS_CACHESTAT, uintptr(fd), uintptr(unsafe.Pointer(&span)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	return errno == 0 && stat.Cache >= uint64(n)/uint64(os.Getpagesize())*63/64
}

// guard implements loader: a fault on mapped memory becomes an error.
func (s *mapped) guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if f, ok := r.(interface {
			runtime.Error
			Addr() uintptr
		}); ok {
			if err = s.faultAt(f.Addr()); err != nil {
				return
			}
		}
		panic(r)
	}()
	return do()
}

// faultAt explains a fault in one of the windows; nil if the address is elsewhere.
func (s *mapped) faultAt(addr uintptr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.windows {
		start := uintptr(unsafe.Pointer(&w.mem[0]))
		if addr < start || addr-start >= uintptr(len(w.mem)) {
			continue
		}
		path, off := s.files[w.file].Path, w.off+int64(addr-start)
		if st, err := s.fds[w.file].Stat(); err == nil && st.Size() <= off {
			return fault.New(fault.Input, "frame: %q byte %#x: truncated: the file was cut to %d bytes while it was read", path, off, st.Size()).
				WithHint("the file was cut after it was indexed; make a new plan")
		}
		return fmt.Errorf("frame: could not read mapped %q at byte %#x: %w", path, off, syscall.EIO)
	}
	return nil
}
