package xtc1

import (
	"path/filepath"

	"rawstatus/internal/io/rawrun"
)

// StreamOptions say where a stream is written.
type StreamOptions struct {
	Dir         string // of the run's files; smalldata goes into a folder in it
	Experiment  string
	Run, Stream int
	NoSmalldata bool
}

// StreamWriter writes one stream of a run: its chunk files, each with a smalldata file. While it
// writes, the files have names that end in ".inprogress"; Close gives them their own.
type StreamWriter struct {
	opt   StreamOptions
	files rawrun.Set
	big   []*rawrun.Output // by chunk
	w     *Writer
}

// CreateStream opens the files of a stream. A run that exists is not overwritten.
func CreateStream(opt StreamOptions) (*StreamWriter, error) {
	s := &StreamWriter{opt: opt}
	if err := s.NextChunk(); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

// NextChunk completes the present chunk and starts the next.
func (s *StreamWriter) NextChunk() error {
	if err := s.files.Finish(); err != nil {
		return err
	}
	name := rawrun.Name{Experiment: s.opt.Experiment, Run: s.opt.Run, Stream: s.opt.Stream, Chunk: len(s.big)}
	path := filepath.Join(s.opt.Dir, FileNames.Format(name))
	big, err := s.files.Create(path)
	if err != nil {
		return err
	}
	s.big = append(s.big, big)
	s.w = NewWriter(big, nil)
	if s.opt.NoSmalldata {
		return nil
	}
	small, err := s.files.CreateLast(FileNames.SmallPath(path))
	if err != nil {
		return err
	}
	s.w.small = small
	return nil
}

// Write appends a datagram to the present chunk.
func (s *StreamWriter) Write(d *Draft) error { return s.w.Write(d.Bytes()) }

// Offset is the size of the present chunk file so far.
func (s *StreamWriter) Offset() int64 { return s.w.Offset() }

// Finish completes the files. They keep their names of files in progress until Close, so that a caller
// with several streams lets them appear only when all are complete.
func (s *StreamWriter) Finish() error { return s.files.Finish() }

// Close completes the files and gives them their names: smalldata last, because it promises the others.
func (s *StreamWriter) Close() error { return s.files.Publish() }

// Abort removes what has been written, before Close.
func (s *StreamWriter) Abort() { s.files.Abort() }

// Paths lists the stream's data files in order of chunks.
func (s *StreamWriter) Paths() []string {
	var paths []string
	for _, f := range s.big {
		paths = append(paths, f.Path())
	}
	return paths
}
