package xtc2

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
)

// Stream is one stream of a run: its data files and, where there is one, its smalldata file.
type Stream struct {
	Number int
	First  *File // chunk 0; nil if only the smalldata file is there
	Smd    *File // nil if there is none
	// Open opens another data file of the stream by its base name. The error wraps fs.ErrNotExist if
	// there is no such file.
	Open func(name string) (*File, error)
}

// Request says what to index.
type Request struct {
	Streams []Stream
	// Experiment and Run are those of the file names; runinfo in the data goes before them.
	Experiment string
	Run        int
	// RunInFile picks a run by its number when the files hold several, 0: there must be one.
	RunInFile int
}

// Options are how to index; zero values mean the defaults.
type Options struct {
	Reads       int  // reads in flight, default 128: they are small, and wait more than they work
	NoSmalldata bool // read all datagram headers even where there is a smalldata file
	// AllHeaders reads the headers of all frames. Else those of later panels of an event are predicted, and
	// what has to be compared when pixels are read is in the index (frame.Index.Headings).
	AllHeaders bool
	// Growing is asked when a stream of the run has no EndRun: it waits as long as it takes to tell and
	// lists the files that still change. Nil: files are taken to be complete.
	Growing func(ctx context.Context) ([]string, error)
}

// BuildIndex indexes one run: every frame of every panel, without reading pixels.
func BuildIndex(ctx context.Context, req Request, opt Options) (*frame.Index, error) {
	if opt.Reads <= 0 {
		opt.Reads = 128
	}
	defer frame.Blocking(2 * opt.Reads)() // of small reads more come back at the same time than of pixels
	b := &builder{req: req, opt: opt, slots: make(chan struct{}, opt.Reads), layouts: layouts{ids: map[layout]uint32{}}}
	scans := make([]*scan, len(req.Streams))
	group, ctx2 := errgroup.WithContext(ctx)
	for i, s := range req.Streams {
		scans[i] = &scan{b: b, stream: s}
		group.Go(func() error { return scans[i].run(ctx2) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(scans, func(s *scan) bool { return len(s.configs) > 0 }) {
		return nil, noConfigure(scans)
	}
	b.scans = scans
	run, err := b.pickRun(merge(scans))
	if err != nil {
		return nil, err
	}
	x := b.assemble(run)
	return x, b.finish(ctx, x, run)
}

// noConfigure is the error for files of which nothing can be read.
func noConfigure(scans []*scan) error {
	for _, s := range scans {
		if s.problem != nil {
			return fault.New(fault.Input, "could not index the run: %w", s.problem).
				WithHint("the file is cut in or before its Configure, or it is no XTC2 file")
		}
	}
	path := ""
	for _, s := range scans {
		for _, f := range s.files {
			switch {
			case f == nil:
			case f.Size == 0:
				return fault.New(fault.Input, "could not index the run: xtc2: %q is empty", f.Path).
					WithHint("is the file still being written or copied? Give the command again when it is whole")
			case path == "":
				path = f.Path
			}
		}
	}
	return fault.New(fault.Input, "could not index the run: xtc2: %q has no Configure", path).
		WithHint("give the first chunk (-c000) of each stream: later chunks cannot be read alone")
}

// builder indexes one run.
type builder struct {
	req     Request
	opt     Options
	slots   chan struct{} // one element per datagram being read
	layouts layouts
	scans   []*scan

	counts counts
}

// counts are observations that repeat, by their text.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[text]++
}

// list gives the texts, ascending, with their numbers.
func (c *counts) list() []string {
	var out []string
	for text, n := range c.n {
		if n > 1 {
			text = fmt.Sprintf("%s (%d times)", text, n)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// pickRun gives the groups of the run that was asked for.
func (b *builder) pickRun(runs []*runGroups) (*runGroups, error) {
	for _, r := range runs {
		if !r.hasInfo {
			r.experiment, r.number = b.req.Experiment, b.req.Run
		}
		if r.experiment == "" {
			r.experiment = b.req.Experiment
		}
	}
	if len(runs) == 1 && (b.req.RunInFile == 0 || b.req.RunInFile == runs[0].number) {
		return runs[0], nil
	}
	var have []string
	var found []*runGroups
	for _, r := range runs {
		have = append(have, fmt.Sprintf("%d (%d events)", r.number, r.events))
		if r.number == b.req.RunInFile {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fault.New(fault.Input, "the files hold run %d %d times, with different beginnings", b.req.RunInFile, len(found))
	case b.req.RunInFile == 0:
		return nil, fault.New(fault.Usage, "the files hold %d runs: %v", len(runs), have).WithHint("pick one with --run-in-file N")
	}
	return nil, fault.New(fault.Input, "the files hold no run %d, only %v", b.req.RunInFile, have).WithHint("pick one with --run-in-file N")
}

// finish adds what makes the run incomplete, and the notes.
func (b *builder) finish(ctx context.Context, x *frame.Index, run *runGroups) error {
	var open []int
	for i, s := range b.scans {
		x.Missing = append(x.Missing, s.missing...)
		x.Notes = append(append(x.Notes, s.notes...), s.counts.list()...)
		if s.broken.n > 0 {
			x.Notes = append(x.Notes, fmt.Sprintf("stream %d: %d events could not be read to their end, the first: %v", s.stream.Number, s.broken.n, s.broken.err))
		}
		if len(s.entries) > 0 && !run.ended[i] && run.last {
			open = append(open, s.stream.Number)
		}
	}
	if !run.begun {
		x.Notes = append(x.Notes, "no BeginRun: run number and time are those of the file name and the first Configure")
	}
	if len(open) > 0 {
		x.Notes = append(x.Notes, fmt.Sprintf("no EndRun in stream %v", open))
		if b.opt.Growing != nil {
			files, err := b.opt.Growing(ctx)
			if err != nil {
				return err
			}
			for _, f := range files {
				x.Missing = append(x.Missing, fmt.Sprintf("%q is still in progress: it changes", f))
			}
		}
	}
	x.Notes = append(x.Notes, run.notes...)
	x.Notes = append(x.Notes, b.counts.list()...)
	return nil
}
