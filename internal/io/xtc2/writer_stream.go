package xtc2

import (
	"path/filepath"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/rawrun"
)

// StreamOptions say where a stream is written.
type StreamOptions struct {
	Dir         string // of the run's files; smalldata goes into a folder in it
	Experiment  string
	Run, Stream int
	NoSmalldata bool
}

// StreamWriter writes one stream of a run: its chunk files and the smalldata file. While it writes, the
// files have names that end in ".inprogress"; Close gives them their own.
type StreamWriter struct {
	opt   StreamOptions
	chunk int
	next  int // chunk that follows the datagram that announced it
	files rawrun.Set
	big   *rawrun.Output
	smd   *rawrun.Output
	small Draft
	info  *Names
}

// CreateStream opens the files of a stream. A run that exists is not overwritten.
func CreateStream(opt StreamOptions) (*StreamWriter, error) {
	s := &StreamWriter{opt: opt, info: ChunkInfoNames(opt.Stream)}
	var err error
	if s.big, err = s.files.Create(filepath.Join(opt.Dir, s.chunkName(0))); err != nil {
		return nil, err
	}
	if opt.NoSmalldata {
		return s, nil
	}
	if s.smd, err = s.files.CreateLast(FileNames.SmallPath(filepath.Join(opt.Dir, s.chunkName(0)))); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

func (s *StreamWriter) chunkName(chunk int) string {
	return FileNames.Format(rawrun.Name{Experiment: s.opt.Experiment, Run: s.opt.Run, Stream: s.opt.Stream, Chunk: chunk})
}

// SwitchChunk makes an Enable the last datagram of the present chunk: it adds the name and number of
// the next chunk. The stream's Configure must have described ChunkInfoNames.
func (s *StreamWriter) SwitchChunk(enable *Draft) {
	s.next = s.chunk + 1
	enable.Values(s.info, 0, s.chunkName(s.next), uint32(s.next))
}

// Write appends a datagram to the present chunk, and its shadow to the smalldata file.
func (s *StreamWriter) Write(d *Draft) error {
	b := d.Bytes()
	if len(b)-prefixSize > maxExtent {
		return fault.New(fault.Usage, "xtc2: a datagram of %d bytes does not fit the format, at most %d", len(b), prefixSize+maxExtent).
			WithHint("spread the panels over more streams")
	}
	at := s.big.Size()
	if _, err := s.big.Write(b); err != nil {
		return err
	}
	if s.smd != nil {
		if _, err := s.smd.Write(s.shadow(d, at)); err != nil {
			return err
		}
	}
	if s.next == s.chunk {
		return nil
	}
	if err := s.big.Finish(); err != nil {
		return err
	}
	s.chunk = s.next
	var err error
	s.big, err = s.files.Create(filepath.Join(s.opt.Dir, s.chunkName(s.chunk)))
	return err
}

// shadow is what stands for a datagram in the smalldata file: place and size of an event, the header
// of an EndRun, everything else unchanged; Configure describes places as well.
func (s *StreamWriter) shadow(d *Draft, at int64) []byte {
	b := d.Bytes()
	service, ts := d.Service(), d.TimeStamp()
	switch {
	case service.IsEvent():
		s.small.Begin(service, ts, 0, 0)
		copy(s.small.b[8:prefixSize], b[8:prefixSize]) // env
		s.small.Values(smdInfo, 0, uint64(at), uint64(len(b)))
	case service == EndRun:
		s.small.b = append(s.small.b[:0], b[:headerSize]...)
	case service == Configure:
		s.small.b = append(s.small.b[:0], b...)
		s.small.Names(smdInfo)
	default:
		return b
	}
	return s.small.Bytes()
}

// Finish completes the files. They keep their names of files in progress until Close, so that a caller
// with several streams lets them appear only when all are complete.
func (s *StreamWriter) Finish() error { return s.files.Finish() }

// Close completes the files and gives them their names: smalldata last, because it promises the others.
func (s *StreamWriter) Close() error { return s.files.Publish() }

// Abort removes what has been written, before Close.
func (s *StreamWriter) Abort() { s.files.Abort() }

// Offset is the size of the present chunk file so far.
func (s *StreamWriter) Offset() int64 { return s.big.Size() }

// Paths lists the stream's raw files in order of chunks; smalldata is not among them.
func (s *StreamWriter) Paths() []string {
	paths := make([]string, 0, s.chunk+1)
	for i := range s.chunk + 1 {
		paths = append(paths, filepath.Join(s.opt.Dir, s.chunkName(i)))
	}
	return paths
}
