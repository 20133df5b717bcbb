package xtc2

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
	"rawstatus/internal/io/sweep"
)

// BuildIndex indexes one run: every frame of every panel, without reading pixels.
func BuildIndex(ctx context.Context, req rawrun.Request, opt rawrun.Options) (*frame.Index, error) {
	if opt.Reads <= 0 {
		opt.Reads = 128
	}
	defer sweep.Blocking(2 * opt.Reads)() // of small reads more come back at the same time than of pixels
	b := &builder{req: req, opt: opt, slots: make(chan struct{}, opt.Reads), layouts: layouts{ids: map[layout]uint32{}}}
	if err := b.scanStreams(ctx); err != nil {
		return nil, err
	}
	run, err := b.pickRun(merge(b.scans))
	if err != nil {
		return nil, err
	}
	x, err := b.assemble(run)
	if err != nil {
		return nil, err
	}
	return x, b.finish(ctx, x, run)
}

// scanStreams reads all streams at the same time.
func (b *builder) scanStreams(ctx context.Context) error {
	streams, err := rawrun.Streams(b.req.Files)
	if err != nil {
		return err
	}
	b.streams = len(streams)
	group, inner := fault.WithContext(ctx)
	for _, stream := range streams {
		s := &scan{b: b, stream: stream}
		b.scans = append(b.scans, s)
		group.Go(func() error { return s.run(inner) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var events [][]rawrun.Event
	for _, s := range b.scans {
		events = append(events, s.eventsByFile()...)
	}
	if err := rawrun.Copies(events); err != nil {
		return err
	}
	if slices.ContainsFunc(b.scans, func(s *scan) bool { return len(s.configs) > 0 }) {
		return nil
	}
	return b.noConfigure()
}

// noConfigure returns the error for files of which nothing can be read.
func (b *builder) noConfigure() error {
	var missing []string
	var problem error
	for _, s := range b.scans {
		missing = append(missing, rawrun.Stream{Number: s.stream.Number, Files: s.files}.NotFound()...)
		problem = cmp.Or(problem, s.problem)
	}
	if f := b.scans[0].files[0]; problem == nil && f.Size == 0 {
		problem = fmt.Errorf("xtc2: %q is empty", f.Path)
	} else if problem == nil {
		problem = fail(f, 0, "first datagram", "a Configure", fmt.Sprintf("none in %d bytes", f.Size), nil)
	}
	return rawrun.NoConfigure(missing, problem)
}

// builder indexes one run.
type builder struct {
	req     rawrun.Request
	opt     rawrun.Options
	streams int
	// slotsMade counts the slots of all events, as a bound of the memory that files can ask for.
	slotsMade atomic.Int64
	slots     chan struct{} // one element per datagram being read
	layouts   layouts
	scans     []*scan

	counts rawrun.Counts
}

// pickRun returns the groups of the run that was asked for.
func (b *builder) pickRun(runs []*runGroups) (*runGroups, error) {
	var have []rawrun.Run
	for _, r := range runs {
		if !r.hasInfo {
			r.experiment, r.number = b.req.Experiment, b.req.Run
		}
		if r.experiment == "" {
			r.experiment = b.req.Experiment
		}
		have = append(have, rawrun.Run{Number: r.number, Events: r.events})
	}
	i, err := b.req.Pick(have)
	if err != nil {
		return nil, err
	}
	return runs[i], nil
}

// finish adds what makes the run incomplete, and the notes.
func (b *builder) finish(ctx context.Context, x *frame.Index, run *runGroups) error {
	list := make([]rawrun.Reading, len(b.scans))
	for i, s := range b.scans {
		list[i] = rawrun.Reading{Stream: rawrun.Stream{Number: s.stream.Number, Files: s.files}, Ended: run.ended[i] || !run.last, Known: s.known, Problems: s.missing}
		if n := s.undescribed(); n > 0 && len(list[i].NotFound()) == 0 {
			list[i].Problems = append(slices.Clip(s.missing), fmt.Sprintf("stream %d: %s before any Configure, which says what is in them", s.stream.Number, fault.Count(n, "event")))
		}
		x.Notes = append(append(x.Notes, s.notes...), s.counts.List()...)
		if s.broken.n > 0 {
			x.Notes = append(x.Notes, fmt.Sprintf("stream %d: %d events could not be read to their end, the first: %v", s.stream.Number, s.broken.n, s.broken.err))
		}
	}
	for _, g := range run.groups {
		for _, m := range g.members {
			switch {
			case g.service.IsEvent():
				list[m.scan].Times = append(list[m.scan].Times, g.ts)
			case g.service == BeginStep:
				list[m.scan].Steps++
			}
		}
	}
	if !run.begun {
		x.Notes = append(x.Notes, "no BeginRun: run number and time are those of the file name and the first Configure")
	}
	missing, notes, err := rawrun.Judge(ctx, list, b.opt)
	x.Missing = append(missing, run.missing...)
	x.Notes = append(append(append(x.Notes, notes...), run.notes...), b.counts.List()...)
	return err
}
