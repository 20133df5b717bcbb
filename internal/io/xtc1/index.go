package xtc1

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// Request says what to index.
type Request struct {
	// Files are the data files of one run; File.Stream and File.Chunk tell their order. Those without
	// numbers in their names are streams of their own.
	Files []*File
	// Experiment and Run are those of the file names; the run number in the data goes before Run.
	Experiment string
	Run        int
	// Missing lists what the search for files missed.
	Missing []string
}

// Options are how to index; zero values mean the defaults.
type Options struct {
	Reads       int  // reads in flight, default 64
	NoSmalldata bool // read all datagram headers even where there is a smalldata file
	// Growing is asked when a stream of the run has no EndRun: it waits as long as it takes to tell and
	// lists the files that still change. Nil: files are taken to be complete.
	Growing func(ctx context.Context) ([]string, error)
}

// BuildIndex indexes one run: every frame of every panel, without reading pixels.
func BuildIndex(ctx context.Context, req Request, opt Options) (*frame.Index, error) {
	if opt.Reads <= 0 {
		opt.Reads = 64
	}
	ctx, cancel := context.WithCancel(ctx)
	b := &builder{req: req, opt: opt, reads: newReads(opt.Reads)}
	defer b.reads.ahead.Wait() // the caller closes the files
	defer cancel()
	if err := b.scanFiles(ctx); err != nil {
		return nil, err
	}
	if err := b.findDetectors(ctx); err != nil {
		return nil, err
	}
	b.numberSteps()
	b.mergeEvents()
	x := b.assemble()
	if err := b.fill(ctx, x); err != nil {
		return nil, err
	}
	if err := b.judge(ctx, x); err != nil {
		return nil, err
	}
	return x, nil
}

// builder indexes one run.
type builder struct {
	req     Request
	opt     Options
	reads   *reads
	scans   []*fileScan // ascending by (stream, chunk)
	streams []*stream
	dets    []*detector // ascending by name
	bySrc   map[source]*detector
	events  []merged
	begins  []cycle // of the steps
	counts  counts
}

// stream is the files of one recorder.
type stream struct {
	number int
	scans  []*fileScan
	cycles []cycle
	steps  []int32 // number of the step by cycle
}

func (s *stream) last() *fileScan { return s.scans[len(s.scans)-1] }

// control tells the streams of slow recorders, whose events only add to those of the DAQ.
func (s *stream) control() bool { return s.number >= controlStream }

// scanFiles reads all files, each in its own goroutine.
func (b *builder) scanFiles(ctx context.Context) error {
	files := slices.Clone(b.req.Files)
	slices.SortStableFunc(files, func(f, g *File) int { return cmp.Or(cmp.Compare(f.Stream, g.Stream), cmp.Compare(f.Chunk, g.Chunk)) })
	for i, f := range files {
		if i > 0 && files[i-1].Stream == f.Stream && files[i-1].Chunk == f.Chunk {
			return fault.New(fault.Usage, "xtc1: %q and %q are both chunk %d of stream %d", files[i-1].Path, f.Path, f.Chunk, f.Stream).
				WithHint("give the files of one run, each once")
		}
		b.scans = append(b.scans, &fileScan{f: f, n: int32(i), opt: b.opt, counts: &counts{}})
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range b.scans {
		group.Go(func() error { return s.scan(inner, b.reads) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, s := range b.scans {
		if n := len(b.streams); n == 0 || b.streams[n-1].number != s.f.Stream {
			b.streams = append(b.streams, &stream{number: s.f.Stream})
		}
		st := b.streams[len(b.streams)-1]
		st.join(s)
	}
	return b.checkScans()
}

// join appends the next chunk to a stream: cycles count from its beginning.
func (st *stream) join(s *fileScan) {
	base := int32(len(st.cycles))
	want := 0
	if len(st.scans) > 0 {
		want = st.last().f.Chunk + 1
	}
	lost := s.f.Chunk != want
	for i := range s.events {
		if e := &s.events[i]; e.cycle < 0 && lost {
			e.cycle = cycleLost
		} else {
			e.cycle += base
		}
	}
	for i := range s.configs {
		s.configs[i].cycle += base
	}
	st.cycles = append(st.cycles, s.cycles...)
	st.scans = append(st.scans, s)
}

// checkScans refuses files of which nothing can be read, and files of different runs.
func (b *builder) checkScans() error {
	grams, run := 0, 0
	var problem error
	for _, s := range b.scans {
		grams += s.grams
		if problem == nil {
			problem = s.problem
		}
		if s.run != 0 && run != 0 && s.run != run {
			return fault.New(fault.Input, "xtc1: %q is of run %d, the files before are of run %d", s.f.Path, s.run, run).
				WithHint("give the files of one run")
		}
		if s.run != 0 {
			run = s.run
		}
	}
	if grams > 0 {
		return nil
	}
	if problem == nil {
		problem = b.empty()
	}
	return fault.New(fault.Input, "could not index the run: %w", problem).WithHint("the file is empty, cut in its first datagram, or no XTC file")
}

func (b *builder) empty() error {
	if len(b.scans) == 0 {
		return errors.New("xtc1: no files")
	}
	return b.scans[0].f.fail(0, "first datagram", fmt.Sprintf("%d bytes", headSize), "an empty file", nil)
}

// judge completes the index with what is missing and what was noticed.
func (b *builder) judge(ctx context.Context, x *frame.Index) error {
	x.Missing = append(x.Missing, b.req.Missing...)
	anyEnd := slices.ContainsFunc(b.streams, func(st *stream) bool { return st.last().hasEnd })
	open := false
	for _, st := range b.streams {
		b.judgeStream(x, st, anyEnd)
		open = open || !st.last().hasEnd
	}
	if open && b.opt.Growing != nil {
		growing, err := b.opt.Growing(ctx)
		if err != nil {
			return err
		}
		for _, f := range growing {
			x.Missing = append(x.Missing, fmt.Sprintf("%q is still growing", f))
		}
	}
	for _, s := range b.scans {
		if s.smallBad != nil {
			x.Notes = append(x.Notes, fmt.Sprintf("%q: smalldata not used: %v", s.f.Path, s.smallBad))
		}
		for _, text := range s.counts.order {
			for range s.counts.n[text] {
				b.counts.add("%s", text)
			}
		}
	}
	for _, text := range b.counts.order {
		if n := b.counts.n[text]; n > 1 {
			text = fmt.Sprintf("%s (%d times)", text, n)
		}
		x.Notes = append(x.Notes, text)
	}
	if len(x.Panels) == 0 {
		return b.nothing(x)
	}
	b.nameDetectors(x)
	return nil
}

// nameDetectors sets the aliases. A name that two detectors have is of neither.
func (b *builder) nameDetectors(x *frame.Index) {
	twice := map[string]bool{}
	for _, s := range b.scans {
		for src, alias := range s.aliases {
			if d := b.bySrc[src]; d == nil || d.layout == nil {
				continue
			}
			if x.Aliases == nil {
				x.Aliases = map[string]string{}
			}
			if old, ok := x.Aliases[alias]; ok && old != src.String() {
				twice[alias] = true
			}
			x.Aliases[alias] = src.String()
		}
	}
	for alias := range twice {
		delete(x.Aliases, alias)
	}
}

// judgeStream looks for chunks that are not there and for ends that are too early.
func (b *builder) judgeStream(x *frame.Index, st *stream, anyEnd bool) {
	want := 0
	for _, s := range st.scans {
		for ; want < s.f.Chunk; want++ {
			x.Missing = append(x.Missing, fmt.Sprintf("stream %d: chunk %d not found", st.number, want))
		}
		want = s.f.Chunk + 1
		if strings.HasSuffix(s.f.Path, inProgress) {
			x.Missing = append(x.Missing, fmt.Sprintf("%q is still being written", s.f.Path))
		}
		switch {
		case s.problem != nil && s.hasEnd:
			x.Notes = append(x.Notes, "after the end of the run: "+s.problem.Error())
		case s.problem != nil:
			x.Missing = append(x.Missing, s.problem.Error())
		case s.grams == 0:
			x.Missing = append(x.Missing, fmt.Sprintf("%q is empty", s.f.Path))
		}
	}
	if n := len(b.begins); len(st.cycles) < n && !st.control() {
		x.Missing = append(x.Missing, fmt.Sprintf("stream %d has %d of %d calib cycles", st.number, len(st.cycles), n))
	}
	if s := st.last(); !s.hasEnd && s.problem == nil {
		if anyEnd && !st.control() {
			x.Missing = append(x.Missing, fmt.Sprintf("stream %d: %q ends without EndRun, which other streams have", st.number, s.f.Path))
		} else {
			x.Notes = append(x.Notes, fmt.Sprintf("stream %d: no EndRun", st.number))
		}
	}
}

// nothing is the error for a run without a detector that can be read.
func (b *builder) nothing(x *frame.Index) error {
	why := append(slices.Clone(x.Missing), x.Notes...)
	if len(x.Missing) > 0 {
		return fault.New(fault.Input, "xtc1: %q: no area detector that can be read in what is there:\n  %s", b.scans[0].f.Path, strings.Join(why, "\n  ")).
			WithHint("the data are cut or damaged there; if they are still being written or copied give the command again when they are whole")
	}
	if why == nil {
		why = []string{"it has none"}
	}
	return fault.New(fault.Input, "xtc1: %q: no area detector that can be read: %s", b.scans[0].f.Path, strings.Join(why, "; ")).
		WithHint("`rawstatus inspect` lists what the run has; frames of a detector that cannot be read can be written to a .npy file with psana and given with --file")
}

// runOf identifies the run.
func (b *builder) runOf() frame.Run {
	run := frame.Run{Experiment: b.req.Experiment, Number: b.req.Run}
	name, ok := ParseName(filepath.Base(b.scans[0].f.Path))
	if ok && run.Experiment == "" && !name.IsNumbered() {
		run.Experiment = name.Experiment
	}
	if ok && run.Number == 0 {
		run.Number = name.Run
	}
	begin := uint64(0)
	for _, s := range b.scans {
		if s.run != 0 {
			if run.Number != 0 && run.Number != s.run {
				b.counts.add("the data is of run %d, the files were asked for as run %d", s.run, run.Number)
			}
			run.Number = s.run
			break
		}
	}
	for _, s := range b.scans {
		if begin == 0 {
			begin = s.begin
		}
	}
	if begin == 0 {
		begin = b.scans[0].first
		b.counts.add("no Configure: the run is taken to begin with its first datagram")
	}
	run.Begin = Time(begin)
	return run
}

// Time gives the time of a time-stamp: seconds since 1970 above nanoseconds.
func Time(ts uint64) time.Time { return time.Unix(int64(ts>>32), int64(ts&0xffffffff)).UTC() }

// TimeStamp is the inverse of Time.
func TimeStamp(t time.Time) uint64 { return uint64(t.Unix())<<32 | uint64(t.Nanosecond()) }
