package simulate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/xtc2"
)

// readoutGroups is the mask of readout groups in all datagrams.
const readoutGroups = 1

// Write writes a run and its truth file into cfg.Dir, streams in parallel. The files appear when all of
// them are complete; when one cannot be completed none is left.
func Write(ctx context.Context, cfg Config) (*Truth, error) {
	g, err := NewGenerator(cfg)
	if err != nil {
		return nil, err
	}
	c := g.cfg
	if c.Dir == "" {
		return nil, fault.New(fault.Usage, "simulate: no folder for the run").WithHint("give --out")
	}
	truth := g.Truth()
	if _, err := os.Lstat(truth.Path()); err == nil {
		return nil, fault.New(fault.Usage, "simulate: %q exists", truth.Path()).WithHint("choose another folder or run number, or remove the run")
	}
	plan := c.schedule()
	lost := c.losses()
	streams := make([]*stream, 0, c.Streams)
	abort := func() {
		for _, s := range streams {
			s.Abort()
		}
	}
	create := newXtc2Stream
	if c.lcls1() {
		create = newXtc1Stream
	}
	for i := range c.Streams {
		out, err := create(g, i, lost)
		if err != nil {
			abort()
			return nil, err
		}
		streams = append(streams, &stream{output: out})
	}
	group, ctx := fault.WithContext(ctx)
	for _, s := range streams {
		group.Go(func() error { return s.write(ctx, plan, c.Truncate > 0) })
	}
	if err := group.Wait(); err != nil {
		abort()
		return nil, err
	}
	for _, s := range streams {
		if err := s.Finish(); err != nil {
			abort()
			return nil, err
		}
	}
	if err := publish(streams, c.Truncate, truth); err != nil {
		return nil, err
	}
	g.addLosses(truth, plan, lost, streams[c.Streams-1].cut)
	return truth, truth.write()
}

// publish renames the files of all streams to their final names and cuts the last one.
func publish(streams []*stream, cut int64, truth *Truth) error {
	for _, s := range streams {
		if err := s.Close(); err != nil {
			return err
		}
		for _, path := range s.Paths() {
			truth.Files = append(truth.Files, filepath.Base(path))
		}
	}
	if cut == 0 {
		return nil
	}
	truth.Incomplete = true
	last := streams[len(streams)-1]
	paths := last.Paths()
	path := paths[len(paths)-1]
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	size := max(0, st.Size()-cut)
	if err := os.Truncate(path, size); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	for _, e := range last.ends {
		if e.offset > size {
			last.cut = append(last.cut, e.event)
		}
	}
	return nil
}

// addLosses lists lost, cut and damaged frames in the order of events.
func (g *Generator) addLosses(t *Truth, plan []action, lost losses, cut []int) {
	c := g.cfg
	ofStream := func(stream int) (segments []int) {
		if c.lcls1() {
			return c.allSegments()
		}
		for _, p := range c.sentSegments() {
			if c.streamOf(p) == stream {
				segments = append(segments, p)
			}
		}
		return segments
	}
	for _, a := range plan {
		if a.service != xtc2.L1Accept {
			continue
		}
		loss := Loss{Event: a.event, TS: a.ts, Step: a.step}
		if stream, ok := lost.stream[a.event]; ok {
			loss.Segments, loss.Why = ofStream(stream), "lost"
			t.Lost = append(t.Lost, loss)
		}
		if segment, ok := lost.panel[a.event]; ok {
			loss.Segments, loss.Why = []int{segment}, "damaged"
			if c.lcls1() {
				loss.Segments = c.allSegments()
			}
			t.Damaged = append(t.Damaged, loss)
		}
		if slices.Contains(cut, a.event) && len(ofStream(c.Streams-1)) > 0 {
			loss.Segments, loss.Why = ofStream(c.Streams-1), "truncated"
			t.Lost = append(t.Lost, loss)
		}
	}
}

// output is a stream of a format.
type output interface {
	// put writes the stream's datagram for an action, if it has one.
	put(a action) (written bool, err error)
	Offset() int64
	Finish() error
	Close() error
	Abort()
	Paths() []string
}

// stream is one stream being written.
type stream struct {
	output
	// ends has the events of the present chunk and where they end in it, for Truncate.
	ends []end
	cut  []int // events that Truncate takes
}

func (s *stream) write(ctx context.Context, plan []action, keepEnds bool) error {
	for _, a := range plan {
		if err := ctx.Err(); err != nil {
			return err
		}
		written, err := s.put(a)
		if err != nil {
			return err
		}
		if a.chunk {
			s.ends = s.ends[:0]
		}
		if written && keepEnds && a.service == xtc2.L1Accept {
			s.ends = append(s.ends, end{a.event, s.Offset()})
		}
	}
	return nil
}

type end struct {
	event  int
	offset int64
}

// xtc2Stream writes a stream of LCLS-II.
type xtc2Stream struct {
	*xtc2.StreamWriter
	g      *Generator
	number int
	lost   losses
	d      xtc2.Draft
	parts  []segment
}

// segment is one contribution to the events of a stream.
type segment struct {
	number int
	blocks
}

func newXtc2Stream(g *Generator, number int, lost losses) (output, error) {
	c := g.cfg
	s := &xtc2Stream{g: g, number: number, lost: lost}
	var segments []int
	for p := range c.Panels {
		if c.streamOf(p) == number {
			segments = append(segments, p)
		}
	}
	for i, p := range segments {
		s.parts = append(s.parts, segment{p, c.blocksOf(p, number, i, len(segments))})
	}
	var err error
	s.StreamWriter, err = xtc2.CreateStream(rawrun.StreamOptions{Dir: c.Dir, Experiment: c.Experiment, Run: c.Run, Stream: number, NoSmalldata: c.NoSmalldata})
	return s, err
}

// put implements output.
func (s *xtc2Stream) put(a action) (bool, error) {
	if stream, ok := s.lost.stream[a.event]; ok && stream == s.number && a.service == xtc2.L1Accept && s.g.cfg.Streams > 1 {
		return false, nil
	}
	s.d.Begin(a.service, a.ts, s.number, readoutGroups)
	s.fill(a)
	return true, s.Write(&s.d)
}

// fill writes the content of a datagram.
func (s *xtc2Stream) fill(a action) {
	c := s.g.cfg
	switch a.service {
	case xtc2.Configure:
		s.configure()
	case xtc2.BeginRun:
		s.d.Values(xtc2.RunInfoNames(s.number), 0, c.Experiment, uint32(c.Run))
	case xtc2.BeginStep:
		if s.number == 0 {
			s.d.Values(xtc2.ScanNames(s.number), 0, float64(a.step), c.stepDoc(a.step))
		}
		for _, p := range s.parts {
			if p.update != nil {
				s.d.Values(p.update, 0, c.configValues(a.step, false)...)
			}
		}
	case xtc2.Enable:
		if a.chunk {
			s.SwitchChunk(&s.d)
		}
	case xtc2.L1Accept:
		s.event(a.event)
	}
}

func (s *xtc2Stream) configure() {
	c := s.g.cfg
	for _, p := range s.parts {
		s.d.Names(p.data)
		if p.config != nil {
			s.d.Names(p.config)
			s.d.Values(p.config, 0, c.configValues(0, true)...)
			s.d.Names(p.update)
		}
	}
	if s.number == 0 {
		s.d.Names(xtc2.ScanNames(s.number))
	}
	s.d.Names(xtc2.RunInfoNames(s.number))
	s.d.Names(xtc2.ChunkInfoNames(s.number))
}

// event writes the frames of the stream's panels into an L1Accept. A lost event of the only stream comes
// without any; what a damaged frame holds must not be used and shows if it is: all bits are set.
func (s *xtc2Stream) event(event int) {
	c := s.g.cfg
	if stream, ok := s.lost.stream[event]; ok && stream == s.number {
		s.d.Damage(xtc2.DamageMissingData)
		return
	}
	for _, p := range s.parts {
		if slices.Contains(c.MissingPanels, p.number) {
			continue
		}
		if segment, ok := s.lost.panel[event]; ok && segment == p.number {
			s.d.Damage(xtc2.DamageMissingData)
			s.d.Values(p.data, xtc2.DamageMissingData, c.dataValues(event, func(dst []byte) {
				for i := range dst {
					dst[i] = 0xff
				}
			})...)
			continue
		}
		s.d.Values(p.data, 0, c.dataValues(event, func(dst []byte) {
			subs := c.subs()
			for sub, n := 0, len(dst)/subs; sub < subs; sub++ {
				s.g.Frame(dst[sub*n:(sub+1)*n], event, p.number*subs+sub)
			}
		})...)
	}
}
