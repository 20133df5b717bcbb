package disk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/access"
	"rawstatus/internal/io/atomicfile"
	"rawstatus/internal/io/filelock"
)

// Disk is a file system. Methods may be called from many goroutines. Paths are cleaned by the caller; an
// error for a name that does not exist is fs.ErrNotExist. A symbolic link in place of a file that is
// written is replaced or refused, never followed.
type Disk interface {
	// List returns the entries of a directory in the order of their names.
	List(dir string) ([]Entry, error)
	// Kind returns the type bits of what a path names, without following a link.
	Kind(path string) (fs.FileMode, error)
	// Open opens a file for reading; a link or anything else in its place is an error.
	Open(path string) (File, error)
	// Follow opens what a name leads to, also through links, as other programs would read it.
	Follow(path string) (File, error)
	// Replace writes a file under another name, lets check read it back, and then makes it visible at
	// once. With keep it takes mode and group of the file that it replaces, but never lets everybody write.
	Replace(path string, keep bool, write func(io.Writer) error, check func(File) error) error
	// Extend cuts a file to its first size bytes and appends text; a negative size only appends, also
	// where others do so at the same time. A missing file is made.
	Extend(path string, size int64, text []byte) error
	// Sync makes durable what is there under a name, a file or the names in a directory: an earlier call
	// may have failed or been stopped after it had become visible.
	Sync(path string) error
	// Remove removes a file, or a directory with all that it holds.
	Remove(path string) error
	// Make makes a directory with its parents.
	Make(dir string) error
	// Lock locks a directory for one holder among all processes and machines.
	Lock(ctx context.Context, dir string, wait time.Duration) (release func(), err error)
	// Sweep removes the temporaries that interrupted calls of Replace have left in a directory. Nobody
	// may be writing there.
	Sweep(dir string) (removed int, err error)
}

// Entry is a name in a directory.
type Entry struct {
	Name string
	Kind fs.FileMode // type bits
}

// File is a file open for reading.
type File interface {
	io.ReadSeekCloser
	Size() int64
}

// ReadFile returns the content of a file.
func ReadFile(d Disk, path string) ([]byte, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Files are the real files, with the modes and the group of a policy.
type Files struct{ Policy *access.Policy }

var _ Disk = Files{}

// List implements Disk.
func (d Files) List(dir string) ([]Entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(found))
	for i, e := range found {
		entries[i] = Entry{e.Name(), e.Type()}
	}
	return entries, nil
}

// Kind implements Disk.
func (d Files) Kind(path string) (fs.FileMode, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return st.Mode().Type(), nil
}

type openFile struct {
	*os.File
	size int64
}

// Size implements File.
func (f openFile) Size() int64 { return f.size }

// Open implements Disk.
func (Files) Open(path string) (File, error) { return openFlag(path, syscall.O_NOFOLLOW) }

// Follow implements Disk.
func (Files) Follow(path string) (File, error) { return openFlag(path, 0) }

// openFlag opens a regular file. It does not wait for the other end of a pipe.
func openFlag(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flag, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, notAFile(path, fs.ModeSymlink)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = notAFile(path, st.Mode().Type())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return openFile{f, st.Size()}, nil
}

func notAFile(path string, kind fs.FileMode) error {
	return fault.New(fault.Input, "%q is not a file (%v): nothing is read through it", path, kind).
		WithHint("look who has put it there, and remove it")
}

// Replace implements Disk.
func (d Files) Replace(path string, keep bool, write func(io.Writer) error, check func(File) error) error {
	opt := d.Policy.File()
	opt.Keep = keep
	opt.Verify = func(tmp string) error {
		f, err := d.Open(tmp)
		if err != nil {
			return err
		}
		defer f.Close()
		if check != nil {
			if err := check(f); err != nil {
				return err
			}
		}
		if !keep {
			return nil
		}
		st, err := f.(openFile).Stat()
		if err != nil || st.Mode()&0o002 == 0 {
			return err
		}
		return os.Chmod(tmp, st.Mode().Perm()&^0o002)
	}
	return atomicfile.Write(path, opt, write)
}

// Extend implements Disk.
func (d Files) Extend(path string, size int64, text []byte) error {
	flag := os.O_RDWR
	if size < 0 {
		flag |= os.O_APPEND
	}
	f, err := d.Policy.Open(path, flag)
	if err != nil {
		return err
	}
	defer f.Close()
	if size >= 0 {
		if err = f.Truncate(size); err == nil {
			_, err = f.WriteAt(text, size)
		}
	} else {
		_, err = f.Write(text)
	}
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// It may be new, or made by a process that was stopped before its name was durable.
	if err := d.Sync(filepath.Dir(path)); err != nil {
		return err
	}
	return f.Close()
}

// Remove implements Disk.
func (d Files) Remove(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return d.Sync(filepath.Dir(path))
}

// Sync implements Disk. Not every file system can sync a directory.
func (d Files) Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// Make implements Disk.
func (d Files) Make(dir string) error { return d.Policy.MkdirAll(dir) }

// Lock implements Disk.
func (d Files) Lock(ctx context.Context, dir string, wait time.Duration) (func(), error) {
	l, err := filelock.Acquire(ctx, dir, wait, d.Policy)
	if err != nil {
		return nil, err
	}
	return l.Release, nil
}

// Sweep implements Disk.
func (d Files) Sweep(dir string) (int, error) {
	n, err := atomicfile.RemoveStale(dir, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return n, err
}
