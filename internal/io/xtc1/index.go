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

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// BuildIndex indexes one run: every frame of every panel, without reading pixels.
func BuildIndex(ctx context.Context, req rawrun.Request, opt rawrun.Options) (*frame.Index, error) {
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
	if err := b.pickRun(ctx); err != nil {
		return nil, err
	}
	if err := b.findDetectors(ctx); err != nil {
		return nil, err
	}
	b.numberSteps()
	b.mergeEvents()
	x, err := b.assemble()
	if err != nil {
		return nil, err
	}
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
	req     rawrun.Request
	opt     rawrun.Options
	reads   *reads
	scans   []*fileScan // ascending by (stream, chunk)
	streams []*stream
	dets    []*detector // ascending by name
	bySrc   map[source]*detector
	events  []merged
	begins  []cycle // of the steps
	run     int     // number of the run in the data, 0 where they do not tell
	counts  rawrun.Counts
}

// stream is the files of one recorder.
type stream struct {
	number int
	scans  []*fileScan
	cycles []cycle
}

func (s *stream) last() *fileScan { return s.scans[len(s.scans)-1] }

// control is true for the streams of slow recorders, whose events only add to those of the DAQ.
func (s *stream) control() bool { return s.number >= controlStream }

// scanFiles reads all files, each in its own goroutine.
func (b *builder) scanFiles(ctx context.Context) error {
	streams, err := rawrun.Streams(b.req.Files)
	if err != nil {
		return err
	}
	group, inner := fault.WithContext(ctx)
	for _, files := range streams {
		st := &stream{number: files.Number}
		for _, f := range files.Files {
			s := &fileScan{f: f, opt: b.opt, n: -1}
			if f.IsThere() {
				s.n = int32(len(b.scans))
				b.scans = append(b.scans, s)
			}
			st.scans = append(st.scans, s)
			group.Go(func() error { return s.scan(inner, b.reads) })
		}
		b.streams = append(b.streams, st)
	}
	return group.Wait()
}

// pickRun leaves only what belongs to the run that was asked for, each event once.
func (b *builder) pickRun(ctx context.Context) error {
	if !slices.ContainsFunc(b.scans, func(s *fileScan) bool { return s.grams > 0 }) {
		return b.empty()
	}
	var have []rawrun.Run
	for _, s := range b.scans {
		for i, r := range s.runs {
			n := len(s.events)
			if i+1 < len(s.runs) {
				n = s.runs[i+1].events
			}
			at := slices.IndexFunc(have, func(h rawrun.Run) bool { return h.Number == r.number })
			if at < 0 {
				at = len(have)
				have = append(have, rawrun.Run{Number: r.number})
			}
			have[at].Events += n - r.events
		}
	}
	if known := slices.DeleteFunc(slices.Clone(have), func(r rawrun.Run) bool { return r.Number == 0 }); len(known) > 0 {
		i, err := b.req.Pick(known)
		if err != nil {
			return err
		}
		b.run = known[i].Number
		for _, s := range b.scans {
			s.keepRun(b.run)
		}
	} else if b.req.RunInFile != 0 {
		b.run = b.req.RunInFile
	}
	if err := b.dropTwice(ctx); err != nil {
		return err
	}
	for _, st := range b.streams {
		scans := st.scans
		st.scans = nil
		for _, s := range scans {
			st.join(s)
		}
	}
	return nil
}

// keepRun drops what belongs to other runs of the file.
func (s *fileScan) keepRun(number int) {
	for i := len(s.runs) - 1; i >= 0; i-- {
		if r := s.runs[i]; r.number != number && r.number != 0 {
			events, cycles := len(s.events), len(s.cycles)
			if i+1 < len(s.runs) {
				events, cycles = s.runs[i+1].events, s.runs[i+1].cycles
			}
			s.drop(r.events, events, r.cycles, cycles)
		}
	}
}

// drop leaves out some events and cycles.
func (s *fileScan) drop(event, toEvent, cycle, toCycle int) {
	for i := toEvent; i < len(s.events); i++ {
		s.events[i].cycle -= int32(toCycle - cycle)
	}
	for i := range s.configs {
		switch c := &s.configs[i]; {
		case int(c.cycle) >= toCycle:
			c.cycle -= int32(toCycle - cycle)
		case int(c.cycle) >= cycle:
			c.cycle = int32(cycle) - 1
		}
	}
	s.events = slices.Delete(s.events, event, toEvent)
	s.cycles = slices.Delete(s.cycles, cycle, toCycle)
}

// dropTwice leaves out events that come again, in the same or in another stream.
func (b *builder) dropTwice(ctx context.Context) error {
	type place struct{ scan, event int }
	var events []rawrun.Event
	var at []place
	for n, s := range b.scans {
		for i, e := range s.events {
			events = append(events, rawrun.Event{TS: e.ts, Shot: e.fiducial, File: s.f, Off: e.off, Size: e.size})
			at = append(at, place{n, i})
		}
	}
	again, err := rawrun.Twice(ctx, events)
	if err != nil {
		return err
	}
	slices.Reverse(again)
	for _, n := range again {
		s := b.scans[at[n].scan]
		s.events = slices.Delete(s.events, at[n].event, at[n].event+1)
		b.counts.Add("stream %d: an event comes twice; it counts once", s.f.Stream)
	}
	return nil
}

// join appends the next chunk to a stream: cycles count from its beginning. What lies behind the EndRun of
// an earlier chunk belongs to no run.
func (st *stream) join(s *fileScan) {
	base := int32(len(st.cycles))
	lost := slices.ContainsFunc(st.scans, func(before *fileScan) bool { return !before.f.IsThere() })
	if n := len(st.scans); n > 0 && st.scans[n-1].closed && len(s.runs) == 0 {
		s.outside += len(s.events)
		s.events, s.closed, s.hasEnd = nil, true, true
	}
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

// empty returns the error for files of which nothing can be read.
func (b *builder) empty() error {
	var missing []string
	for _, f := range b.files() {
		missing = append(missing, rawrun.Stream{Number: f.Stream, Files: []*File{f}}.NotFound()...)
	}
	problem := errors.New("xtc1: no files")
	for _, s := range b.scans {
		problem = cmp.Or(s.problem, fmt.Errorf("xtc1: %q is empty", s.f.Path))
	}
	return rawrun.NoConfigure(missing, problem)
}

// judgeStreams adds what the rules of all formats say.
func (b *builder) judgeStreams(ctx context.Context, x *frame.Index) error {
	var list []rawrun.Reading
	outside := 0
	for _, st := range b.streams {
		r := rawrun.Reading{Stream: rawrun.Stream{Number: st.number}, Beside: st.control(), Steps: len(st.cycles)}
		for _, s := range st.scans {
			r.Files, r.Known = append(r.Files, s.f), append(r.Known, s.known)
			for _, e := range s.events {
				r.Times = append(r.Times, e.ts)
			}
			outside += s.outside
			switch {
			case s.problem != nil && s.hasEnd:
				x.Notes = append(x.Notes, "after the end of the run: "+s.problem.Error())
			case s.problem != nil && s.known == 0:
				r.Problems = append(r.Problems, s.problem.Error())
			}
		}
		if last := st.last(); last.f.IsThere() {
			r.Ended = last.hasEnd
		}
		list = append(list, r)
	}
	missing, notes, err := rawrun.Judge(ctx, list, b.opt)
	if outside > 0 {
		missing = append(missing, fmt.Sprintf("%d events lie behind the EndRun of run %d and belong to no run", outside, b.run))
	}
	x.Missing, x.Notes = missing, append(x.Notes, notes...)
	return err
}

// judge completes the index with what is missing and what was noticed.
func (b *builder) judge(ctx context.Context, x *frame.Index) error {
	if err := b.judgeStreams(ctx, x); err != nil {
		return err
	}
	for _, s := range b.scans {
		if s.smallBad != nil {
			x.Notes = append(x.Notes, fmt.Sprintf("%q: smalldata not used: %v", s.f.Path, s.smallBad))
		}
		b.counts.Join(&s.counts)
	}
	x.Notes = append(x.Notes, b.counts.List()...)
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

// files lists all files of the run, also those that are not there.
func (b *builder) files() (files []*File) {
	for _, st := range b.streams {
		for _, s := range st.scans {
			files = append(files, s.f)
		}
	}
	return files
}

// nothing returns the error for a run without a detector that can be read.
func (b *builder) nothing(x *frame.Index) error {
	why := append(slices.Clone(x.Missing), x.Notes...)
	if len(x.Missing) > 0 {
		code := fault.Input
		if len(b.scans) < len(b.files()) || slices.ContainsFunc(b.scans, func(s *fileScan) bool { return s.known > 0 }) {
			code = fault.Incomplete // a file is not there, or events that smalldata knows
		}
		return fault.New(code, "xtc1: %q: no area detector that can be read in what is there:\n  %s", b.scans[0].f.Path, strings.Join(why, "\n  ")).
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
	name, ok := FileNames.Parse(filepath.Base(b.scans[0].f.Path))
	if ok && run.Experiment == "" && !name.IsNumbered() {
		run.Experiment = name.Experiment
	}
	if ok && run.Number == 0 {
		run.Number = name.Run
	}
	run.Number = cmp.Or(b.run, run.Number)
	begin := uint64(0)
	for _, s := range b.scans {
		if begin == 0 {
			begin = s.begin
		}
	}
	if begin == 0 {
		begin = b.scans[0].first
		b.counts.Add("no Configure: the run is taken to begin with its first datagram")
	}
	run.Begin = Time(begin)
	return run
}

// Time returns the time of a time-stamp: seconds since 1970 above nanoseconds.
func Time(ts uint64) time.Time { return time.Unix(int64(ts>>32), int64(ts&0xffffffff)).UTC() }

// TimeStamp is the inverse of Time.
func TimeStamp(t time.Time) uint64 { return uint64(t.Unix())<<32 | uint64(t.Nanosecond()) }
