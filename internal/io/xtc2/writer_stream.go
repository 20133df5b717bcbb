package xtc2

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rawstatus/internal/fault"
)

const (
	inProgress   = ".inprogress"
	writeBuffer  = 1 << 20
	smalldataDir = "smalldata"
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
	opt      StreamOptions
	chunk    int
	next     int // chunk that follows the datagram that announced it
	big      *outFile
	smd      *outFile
	done     []*outFile // chunks that are complete but not renamed
	finished bool
	small    Draft
	info     *Names
}

// outFile is a file under construction.
type outFile struct {
	path string // final
	f    *os.File
	w    *bufio.Writer
	pos  int64
}

// CreateStream opens the files of a stream. A run that exists is not overwritten.
func CreateStream(opt StreamOptions) (*StreamWriter, error) {
	s := &StreamWriter{opt: opt, info: ChunkInfoNames(opt.Stream)}
	var err error
	if s.big, err = createFile(filepath.Join(opt.Dir, s.chunkName(0))); err != nil {
		return nil, err
	}
	if opt.NoSmalldata {
		return s, nil
	}
	name := Name{Experiment: opt.Experiment, Run: opt.Run, Stream: opt.Stream, Smalldata: true}.String()
	if s.smd, err = createFile(filepath.Join(opt.Dir, smalldataDir, name)); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

func (s *StreamWriter) chunkName(chunk int) string {
	return Name{Experiment: s.opt.Experiment, Run: s.opt.Run, Stream: s.opt.Stream, Chunk: chunk}.String()
}

func createFile(path string) (*outFile, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fault.New(fault.Usage, "xtc2: %q exists", path).WithHint("choose another folder or run number, or remove the run")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, cannotCreate(err)
	}
	f, err := os.Create(path + inProgress)
	if err != nil {
		return nil, cannotCreate(err)
	}
	return &outFile{path: path, f: f, w: bufio.NewWriterSize(f, writeBuffer)}, nil
}

// cannotCreate is the error for a place that takes no files: the user's to change unless it passes.
func cannotCreate(err error) error {
	if fault.CodeOf(err) == fault.Temporary {
		return fmt.Errorf("xtc2: could not create a raw file: %w", err)
	}
	return fault.New(fault.Usage, "xtc2: could not create a raw file: %w", err).WithHint("choose a folder in which you may write")
}

func (o *outFile) write(b []byte) error {
	n, err := o.w.Write(b)
	o.pos += int64(n)
	if err != nil {
		return fmt.Errorf("xtc2: could not write %q: %w", o.path, err)
	}
	return nil
}

func (o *outFile) finish() error {
	err := errors.Join(o.w.Flush(), o.f.Close())
	if err != nil {
		return fmt.Errorf("xtc2: could not write %q: %w", o.path, err)
	}
	return nil
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
	at := s.big.pos
	if err := s.big.write(b); err != nil {
		return err
	}
	if s.smd != nil {
		if err := s.smd.write(s.shadow(d, at)); err != nil {
			return err
		}
	}
	if s.next == s.chunk {
		return nil
	}
	if err := s.big.finish(); err != nil {
		return err
	}
	s.done = append(s.done, s.big)
	s.chunk = s.next
	var err error
	s.big, err = createFile(filepath.Join(s.opt.Dir, s.chunkName(s.chunk)))
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
func (s *StreamWriter) Finish() error {
	if s.finished {
		return nil
	}
	s.finished = true
	files := s.files()
	for _, o := range files[len(s.done):] {
		if err := o.finish(); err != nil {
			s.remove(files)
			return err
		}
	}
	return nil
}

// Close completes the files and gives them their names: smalldata last, because it promises the others.
func (s *StreamWriter) Close() error {
	if err := s.Finish(); err != nil {
		return err
	}
	for _, o := range s.files() {
		if err := os.Rename(o.path+inProgress, o.path); err != nil {
			return fmt.Errorf("xtc2: could not complete a raw file: %w", err)
		}
	}
	return nil
}

// files lists complete chunks, the present chunk, and smalldata.
func (s *StreamWriter) files() []*outFile {
	files := append([]*outFile(nil), s.done...)
	if s.big != nil {
		files = append(files, s.big)
	}
	if s.smd != nil {
		files = append(files, s.smd)
	}
	return files
}

// Abort removes what has been written, before Close.
func (s *StreamWriter) Abort() { s.remove(s.files()) }

func (s *StreamWriter) remove(files []*outFile) {
	for _, o := range files {
		o.f.Close() // complete chunks are closed already
		os.Remove(o.path + inProgress)
	}
}

// Offset is the size of the present chunk file so far.
func (s *StreamWriter) Offset() int64 { return s.big.pos }

// Paths lists the stream's raw files in order of chunks; smalldata is not among them.
func (s *StreamWriter) Paths() []string {
	paths := make([]string, 0, s.chunk+1)
	for i := range s.chunk + 1 {
		paths = append(paths, filepath.Join(s.opt.Dir, s.chunkName(i)))
	}
	return paths
}
