package sweep

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/memory"
)

// Ways of reading, as flags name them.
const (
	Cached = "cached" // through the page cache of the system
	Direct = "direct" // past it, in aligned blocks
)

// Ways are the ways of reading by name; the first is the default.
var Ways = []string{Cached, Direct}

// Source is the open files of an index, with the memory for frames of them.
type Source struct {
	files  []frame.File
	fds    []Reader
	opt    Options
	direct bool
	slots  chan struct{} // one element per read in flight
	pool   memory.Pool
	// cached reports whether workers shall read strips themselves; a test may know better.
	cached func(r *run) bool
}

// Open opens the files of an index in one of the Ways. Files whose size or modification time differ from the
// index are refused. Where a file system refuses direct reads, files are read through the page cache.
func Open(files []frame.File, way string, opt Options) (*Source, error) {
	if way != "" && !slices.Contains(Ways, way) {
		return nil, fault.New(fault.Usage, "no way of reading is called %q, only %s", way, strings.Join(Ways, ", "))
	}
	opt = opt.withDefaults()
	s := &Source{files: files, opt: opt, direct: way == Direct && opt.Open == nil, slots: make(chan struct{}, opt.Depth)}
	s.cached = s.inPageCache
	if s.direct {
		if path, err := refused(files); err != nil {
			opt.Note(fmt.Sprintf("files are read through the page cache: the file system of %q refuses direct reads: %v", path, err))
			s.direct = false
		}
	}
	open := opt.Open
	if open == nil {
		open = func(path string) (Reader, error) { return openFile(path, s.direct) }
	}
	for _, want := range files {
		f, err := open(want.Path)
		if err != nil {
			return nil, errors.Join(fault.New(fault.Input, "frame: could not open a file of the index: %w", err).
				WithHint("is %q still there and readable? After moving raw data make a new plan", want.Path), s.closeFiles())
		}
		s.fds = append(s.fds, f)
		if err := sameFile(f, want); err != nil {
			return nil, errors.Join(err, s.closeFiles())
		}
	}
	return s, nil
}

// openFile opens a file of the system.
func openFile(path string, direct bool) (Reader, error) {
	flags := os.O_RDONLY
	if direct {
		flags |= unix.O_DIRECT
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, err // a nil *os.File would not be a nil Reader
	}
	return f, nil
}

// refused returns the first file that cannot be read directly, and why. A file that cannot be opened at all is not
// among them.
func refused(files []frame.File) (path string, err error) {
	for _, f := range files {
		fd, err := unix.Open(f.Path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Pread(fd, alignedPage(), 0)
			err = cmp.Or(err, unix.Close(fd))
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return f.Path, err
		}
	}
	return "", nil
}

// Name returns how files are read, for logs.
func (s *Source) Name() string {
	if s.direct {
		return Direct
	}
	return Cached
}

// Close frees files and buffers; no Sweep may be under way.
func (s *Source) Close() error { return errors.Join(s.pool.Free(), s.closeFiles()) }

func (s *Source) closeFiles() (err error) {
	for _, f := range s.fds {
		err = cmp.Or(err, f.Close())
	}
	return err
}

// afterwards looks at the files once more after a Sweep. A file that changed is the reason for a heading that
// is not there, too.
func (s *Source) afterwards(err error) error {
	if err != nil && !errors.Is(err, frame.ErrHeading) {
		return err
	}
	for i, f := range s.fds {
		// A file that was replaced or written to while it was read has pixels of no certain time.
		if changed := sameFile(f, s.files[i]); changed != nil {
			return changed
		}
	}
	return err
}

// sameFile compares an open file with what the index says of it.
func sameFile(f Reader, want frame.File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("frame: could not stat %q: %w", want.Path, err)
	}
	if st.Size() != want.Size || !st.ModTime().Equal(want.ModTime) {
		return fault.New(fault.Input, "frame: %q changed since it was indexed: %d bytes of %s, indexed as %d bytes of %s",
			want.Path, st.Size(), st.ModTime().UTC().Format(timeForm), want.Size, want.ModTime.UTC().Format(timeForm)).
			WithHint("make a new plan from the file as it is now")
	}
	return nil
}

const timeForm = "2006-01-02T15:04:05.999999999Z"
