package rawrun

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
)

const bufferSize = 1 << 20

// Output is a file under construction. Its name ends in ".inprogress" until all files of its stream are
// complete, as a data acquisition does it.
type Output struct {
	path   string // final
	f      *os.File
	w      *bufio.Writer
	size   int64
	closed bool
	last   bool
}

// Write implements io.Writer.
func (f *Output) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	f.size += int64(n)
	if err != nil {
		err = fmt.Errorf("rawrun: could not write %q: %w", f.path, err)
	}
	return n, err
}

// Size is the number of bytes written so far.
func (f *Output) Size() int64 { return f.size }

// Path is the name that the file will have.
func (f *Output) Path() string { return f.path }

// Finish closes the file when it has all its content.
func (f *Output) Finish() error {
	if f.closed {
		return nil
	}
	f.closed = true
	if err := errors.Join(f.w.Flush(), f.f.Close()); err != nil {
		return fmt.Errorf("rawrun: could not write %q: %w", f.path, err)
	}
	return nil
}

// Set is the files of one stream. The zero value is an empty set.
type Set struct {
	files []*Output
}

// Create starts a file. One that exists, complete, is not overwritten.
func (s *Set) Create(path string) (*Output, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fault.New(fault.Usage, "rawrun: %q exists", path).WithHint("choose another folder or run number, or remove the run")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, cannotCreate(err)
	}
	f, err := os.Create(path + inProgress)
	if err != nil {
		return nil, cannotCreate(err)
	}
	file := &Output{path: path, f: f, w: bufio.NewWriterSize(f, bufferSize)}
	s.files = append(s.files, file)
	return file, nil
}

// CreateLast is Create for a file that gets its name after the others because it promises them.
func (s *Set) CreateLast(path string) (*Output, error) {
	f, err := s.Create(path)
	if err == nil {
		f.last = true
	}
	return f, err
}

// cannotCreate is the error for a place that takes no files: the user's to change unless it passes.
func cannotCreate(err error) error {
	if fault.CodeOf(err) == fault.Temporary {
		return fmt.Errorf("rawrun: could not create a raw file: %w", err)
	}
	return fault.New(fault.Usage, "rawrun: could not create a raw file: %w", err).WithHint("choose a folder in which you may write")
}

// Finish closes all files; if one cannot be completed none is left. The files keep their names of files
// in progress until Publish, so that a caller with several sets lets them appear together.
func (s *Set) Finish() error {
	for _, f := range s.files {
		if err := f.Finish(); err != nil {
			s.Abort()
			return err
		}
	}
	return nil
}

// Publish completes the files and gives them their names.
func (s *Set) Publish() error {
	if err := s.Finish(); err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, f := range s.files {
			if f.last != last {
				continue
			}
			if err := os.Rename(f.path+inProgress, f.path); err != nil {
				return fmt.Errorf("rawrun: could not complete a raw file: %w", err)
			}
		}
	}
	return nil
}

// Abort removes what has been written, before Publish.
func (s *Set) Abort() {
	for _, f := range s.files {
		if !f.closed {
			f.closed = true
			f.f.Close() // it is removed
		}
		os.Remove(f.path + inProgress)
	}
}
