package xtc1

import "rawstatus/internal/io/rawrun"

// StreamWriter writes one stream of a run: its chunk files, each with a smalldata file.
type StreamWriter struct {
	rawrun.StreamFiles
	w *Writer
}

// CreateStream opens the files of a stream. A run that exists is not overwritten.
func CreateStream(opt rawrun.StreamOptions) (*StreamWriter, error) {
	s := &StreamWriter{StreamFiles: FileNames.NewStream(opt)}
	if err := s.NextChunk(); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

// NextChunk completes the present chunk and starts the next.
func (s *StreamWriter) NextChunk() error {
	if err := s.StreamFiles.NextChunk(); err != nil {
		return err
	}
	s.w = NewWriter(s.Data(), nil)
	small, err := s.CreateSmall()
	if small != nil {
		s.w.small = small
	}
	return err
}

// Write appends a datagram to the present chunk.
func (s *StreamWriter) Write(d *Draft) error { return s.w.Write(d.Bytes()) }
