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

// Size returns the number of bytes written so far.
func (f *Output) Size() int64 { return f.size }

// Path returns the name that the file will have.
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

// cannotCreate returns the error for a place that takes no files: the user's to change unless it passes.
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

// Publish completes the files and renames them to their final names.
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

// StreamOptions say where a stream is written.
type StreamOptions struct {
	Dir         string // of the run's files; smalldata goes into a folder in it
	Experiment  string
	Run, Stream int
	NoSmalldata bool
}

// StreamFiles are the files of a stream under construction. While they are written their names end in
// ".inprogress"; Close removes that.
type StreamFiles struct {
	Set
	Options StreamOptions
	names   Scheme
	chunks  []*Output
}

// NewStream makes the files of a stream. None is there before the first NextChunk.
func (s Scheme) NewStream(opt StreamOptions) StreamFiles { return StreamFiles{Options: opt, names: s} }

// Name returns the base name of a chunk.
func (f *StreamFiles) Name(chunk int) string {
	return f.names.Format(Name{Experiment: f.Options.Experiment, Run: f.Options.Run, Stream: f.Options.Stream, Chunk: chunk})
}

// NextChunk completes the present chunk and starts the next. A run that exists is not overwritten.
func (f *StreamFiles) NextChunk() error {
	if n := len(f.chunks); n > 0 {
		if err := f.chunks[n-1].Finish(); err != nil {
			return err
		}
	}
	big, err := f.Create(filepath.Join(f.Options.Dir, f.Name(len(f.chunks))))
	if err == nil {
		f.chunks = append(f.chunks, big)
	}
	return err
}

// Data returns the present chunk.
func (f *StreamFiles) Data() *Output { return f.chunks[len(f.chunks)-1] }

// Chunk is its number.
func (f *StreamFiles) Chunk() int { return len(f.chunks) - 1 }

// CreateSmall starts the smalldata file of the present chunk, nil if none is wanted. It gets its name after
// the data, because it promises them.
func (f *StreamFiles) CreateSmall() (*Output, error) {
	if f.Options.NoSmalldata {
		return nil, nil
	}
	return f.CreateLast(f.names.SmallPath(f.Data().Path()))
}

// Close completes the files and renames them to their final names.
func (f *StreamFiles) Close() error { return f.Publish() }

// Offset returns the size of the present chunk so far.
func (f *StreamFiles) Offset() int64 { return f.Data().Size() }

// Paths lists the data files in order of chunks.
func (f *StreamFiles) Paths() []string {
	var paths []string
	for _, c := range f.chunks {
		paths = append(paths, c.Path())
	}
	return paths
}
