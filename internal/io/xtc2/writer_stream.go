package xtc2

import (
	"rawstatus/internal/fault"
	"rawstatus/internal/io/rawrun"
)

// StreamWriter writes one stream of a run: its chunk files and the smalldata file.
type StreamWriter struct {
	rawrun.StreamFiles
	next  int // chunk that follows the datagram that announced it
	smd   *rawrun.Output
	small Draft
	info  *Names
}

// CreateStream opens the files of a stream. A run that exists is not overwritten.
func CreateStream(opt rawrun.StreamOptions) (*StreamWriter, error) {
	s := &StreamWriter{StreamFiles: FileNames.NewStream(opt), info: ChunkInfoNames(opt.Stream)}
	err := s.NextChunk()
	if err == nil {
		s.smd, err = s.CreateSmall()
	}
	if err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

// SwitchChunk makes an Enable the last datagram of the present chunk: it adds the name and number of
// the next chunk. The stream's Configure must have described ChunkInfoNames.
func (s *StreamWriter) SwitchChunk(enable *Draft) {
	s.next = s.Chunk() + 1
	enable.Values(s.info, 0, s.Name(s.next), uint32(s.next))
}

// Write appends a datagram to the present chunk, and its shadow to the smalldata file.
func (s *StreamWriter) Write(d *Draft) error {
	b := d.Bytes()
	if len(b)-prefixSize > maxExtent {
		return fault.New(fault.Usage, "xtc2: a datagram of %d bytes does not fit the format, at most %d", len(b), prefixSize+maxExtent).
			WithHint("spread the panels over more streams")
	}
	at := s.Offset()
	if _, err := s.Data().Write(b); err != nil {
		return err
	}
	if s.smd != nil {
		if _, err := s.smd.Write(s.shadow(d, at)); err != nil {
			return err
		}
	}
	if s.next == s.Chunk() {
		return nil
	}
	return s.NextChunk()
}

// shadow returns the record of a datagram in the smalldata file: place and size of an event, the header
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
