package xtc2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"rawstatus/internal/fault"
	"rawstatus/internal/io/frame"
	"rawstatus/internal/io/rawrun"
)

// slot is the part of a datagram that belongs to one segment.
type slot struct {
	off    int64  // of the array in the file
	layout uint32 // of the array, 0: there is none
	damage uint16 // of root, ShapesData and Data
	state  frame.State
}

// entry is one datagram of a stream.
type entry struct {
	ts      uint64
	off     int64
	size    int64
	slots   []slot    // of an event that was read in full, parallel to the segments of its config
	by      *template // of an event that is like its template
	info    *info     // of a transition that says something about the run
	file    int32     // index into the scan's files
	config  int32     // index into the scan's configs, -1 before the first
	damage  uint16    // of the root
	groups  uint16    // readout groups that took part
	service Service
	known   bool // from smalldata: its headers are still to be read
}

// panels returns how many slots an event has.
func (e *entry) panels() int {
	if e.by != nil {
		return len(e.by.slots)
	}
	return len(e.slots)
}

// slot returns what the event holds of a segment, and the heading that must lie there.
func (e *entry) slot(i int) (slot, uint16) {
	if e.by == nil {
		return e.slots[i], 0
	}
	o := e.by.slots[i]
	if o.layout != 0 {
		o.off += e.off
	}
	return o, e.by.headings[i]
}

// info holds what a transition says about the run.
type info struct {
	hasRun     bool
	experiment string
	run        int
	doc        string                       // step_docstring
	gains      map[segment]frame.GainConfig // of the panels' configurations
	pulsed     map[segment]pulsed           // pixels connected to the pulser, by the same
}

// scan is the reading of one stream.
type scan struct {
	b      *builder
	stream rawrun.Stream // as it was found

	files   []*File // those of the stream, and those that it announces
	configs []*config
	entries []entry
	missing []string
	notes   []string
	counts  rawrun.Counts
	problem error // first place where a file could not be read further
	endRun  bool  // the last run of the stream has its EndRun
	next    chunk // what the last Enable announced
	models  models

	events fault.Group // reads of events under way
	mu     sync.Mutex
	absent map[absence]*template
	known  []int // by file: events that are known of one that is not there, or behind its end
	stale  worst // events that are not what the smalldata file says
	broken worst // events that could not be read to their end
}

// absence is a kind of event of which nothing is there.
type absence struct {
	config int32
	state  frame.State
}

// chunk is the file that follows.
type chunk struct {
	name string
	id   int
}

// worst counts errors and keeps the first of them by its place, whatever the order they come in.
type worst struct {
	n   int
	at  int64
	err error
}

func (w *worst) add(at int64, err error) {
	if w.n++; w.err == nil || at < w.at {
		w.at, w.err = at, err
	}
}

// chunkBase returns the base name of an announced chunk: it lies beside the present one, whatever folder
// its writer had.
func chunkBase(name string) string { return path.Base(filepath.ToSlash(name)) }

// run reads the stream: by its smalldata file if that can be believed, else header by header.
func (s *scan) run(ctx context.Context) error {
	s.files = slices.Clone(s.stream.Files)
	var err error
	if s.stream.Small() != nil && !(s.b.opt.NoSmalldata && s.stream.HasData()) {
		if err = s.read(ctx, s.fromSmalldata); errors.Is(err, rawrun.ErrDisagrees) {
			*s = scan{b: s.b, stream: s.stream, files: slices.Clone(s.stream.Files),
				notes: []string{fmt.Sprintf("stream %d: smalldata not used: %v", s.stream.Number, err)}}
			err = s.read(ctx, s.fromData)
		}
	} else {
		err = s.read(ctx, s.fromData)
	}
	if err != nil {
		return err
	}
	return s.dropTwice(ctx)
}

// read reads the stream in one of the two ways and waits for all reads of events.
func (s *scan) read(ctx context.Context, from func(context.Context) error) error {
	err := from(ctx)
	return cmp.Or(err, s.events.Wait())
}

// eventsByFile lists the events that lie in each file.
func (s *scan) eventsByFile() [][]rawrun.Event {
	files := make([][]rawrun.Event, len(s.files))
	for i := range s.entries {
		if e := &s.entries[i]; e.service.IsEvent() {
			files[e.file] = append(files[e.file], rawrun.Event{TS: e.ts, File: s.files[e.file], Off: e.off, Size: e.size})
		}
	}
	return files
}

// undescribed counts the events before the first Configure.
func (s *scan) undescribed() (n int) {
	for i := range s.entries {
		if e := &s.entries[i]; e.service.IsEvent() && e.config < 0 {
			n++
		}
	}
	return n
}

// dropTwice leaves out events that come again.
func (s *scan) dropTwice(ctx context.Context) error {
	var events []rawrun.Event
	var at []int
	for i := range s.entries {
		if e := &s.entries[i]; e.service.IsEvent() {
			events = append(events, rawrun.Event{TS: e.ts, File: s.files[e.file], Off: e.off, Size: e.size})
			at = append(at, i)
		}
	}
	again, err := rawrun.Twice(ctx, events)
	if err != nil || len(again) == 0 {
		return err
	}
	drop := map[int]bool{}
	for _, n := range again {
		drop[at[n]] = true
	}
	kept := s.entries[:0]
	for i, e := range s.entries {
		if !drop[i] {
			kept = append(kept, e)
		}
	}
	s.entries = kept
	s.counts.AddN(len(again), "stream %d: an event comes twice; it counts once", s.stream.Number)
	return nil
}

// config returns the configuration in force, -1 before the first.
func (s *scan) config() int32 { return int32(len(s.configs)) - 1 }

func (s *scan) table() *Table {
	if len(s.configs) == 0 {
		return newTable(nil)
	}
	return s.configs[len(s.configs)-1].Table
}

// newSlots makes the slots of one event. It refuses more of them than the files can have frames.
func (s *scan) newSlots(e *entry) error {
	if e.config < 0 {
		return nil
	}
	n := len(s.configs[e.config].segments)
	if err := s.b.req.CheckSize(1, int(s.b.slotsMade.Add(int64(n)))); err != nil {
		return err
	}
	e.slots = make([]slot, n)
	return nil
}

// hasContent reports whether the content of a transition matters.
func hasContent(s Service) bool {
	return s == Configure || s == BeginRun || s == BeginStep || s == Enable
}

// transition adds a datagram that is no event.
func (s *scan) transition(w *buffer, h Header, file int32) error {
	e := entry{ts: h.TS, service: h.Service(), file: file, config: s.config(), damage: h.Damage(), groups: uint16(h.Env)}
	switch h.Service() {
	case EndRun:
		s.endRun = true
	case BeginRun:
		s.endRun = false
	}
	if hasContent(h.Service()) {
		d, table, err := w.datagram(h, s.table())
		if err != nil {
			return err
		}
		if h.Service() == Configure {
			s.configs = append(s.configs, newConfig(table))
			e.config = s.config()
			if h.Damage()&DamageCorrupted != 0 {
				s.missing = append(s.missing, fail(w.f, h.Offset, "Configure", "no damage", fmt.Sprintf("%#x: what it describes is not read", h.Damage()), nil).Error())
			}
			s.checkSegments(w.f, h)
			for _, id := range table.Doubles {
				s.counts.Add("NamesId %#x is described twice in a Configure; the last description counts", id)
			}
		}
		if d.Problem != nil {
			s.missing = append(s.missing, d.Problem.Error())
		}
		if name, id, ok := d.chunkInfo(); ok && h.Service() == Enable {
			s.next = chunk{chunkBase(name), id}
		}
		e.info = d.info()
	}
	s.entries = append(s.entries, e)
	return nil
}

// maxSegment bounds the numbers of panels: a deployed array has a place for each up to the highest.
const maxSegment = 511

// checkSegments objects to numbers of panels that cannot be.
func (s *scan) checkSegments(f *File, h Header) {
	for _, g := range s.configs[s.config()].segments {
		if g.number > maxSegment {
			s.missing = append(s.missing, fail(f, h.Offset, "Configure", fmt.Sprintf("segments of %s up to %d", g.detector, maxSegment), fmt.Sprint(g.number), nil).Error())
			return
		}
	}
}

// fromData reads all datagram headers of the stream's files.
func (s *scan) fromData(ctx context.Context) error {
	for n := 0; n < len(s.files); n++ {
		clean := true
		if f := s.files[n]; f.IsThere() {
			problem := s.problem
			if _, err := s.walkFile(ctx, int32(n), 0, f.Size); err != nil {
				return err
			}
			clean = s.problem == problem
		}
		if err := s.findNext(n, clean); err != nil {
			return err
		}
	}
	return nil
}

// note keeps a problem that ends the reading of a file.
func (s *scan) note(err error) {
	s.missing = append(s.missing, err.Error())
	if s.problem == nil {
		s.problem = err
	}
}

// maxSkip bounds how many chunks an announcement may leave out.
const maxSkip = 1000

// findNext looks for the chunk behind file n, unless it is there already: the one announced, else, where
// the run has not ended, the one that has the next number in its name.
func (s *scan) findNext(n int, clean bool) error {
	next, announced := s.next, s.next.name != "" && s.next.id > n && s.next.id-n <= maxSkip
	s.next = chunk{}
	if !announced {
		name, ok := FileNames.Parse(filepath.Base(s.files[n].Path))
		if !ok || s.endRun && clean || n+1 < len(s.files) || !s.files[n].IsThere() {
			return nil
		}
		name.Chunk, name.InProgress = name.Chunk+1, false
		next = chunk{FileNames.Format(name), n + 1}
	}
	g, err := s.open(s.files[n], next.name)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil && !announced:
		return nil
	case err != nil:
		g = &File{File: frame.File{Path: next.name}}
	}
	g.Stream, g.Chunk = s.stream.Number, next.id
	for len(s.files) <= next.id {
		s.files = append(s.files, &File{File: frame.File{Stream: s.stream.Number, Chunk: len(s.files)}})
	}
	if old := s.files[next.id]; g.IsThere() || !old.IsThere() && old.Path == "" {
		g.Small, s.files[next.id] = old.Small, g
	}
	return nil
}

// open opens a file that another one of the stream announces.
func (s *scan) open(beside *File, name string) (*File, error) {
	if s.b.req.Open == nil {
		return nil, fs.ErrNotExist
	}
	if beside.Path == "" || !beside.IsThere() {
		beside = s.stream.Small()
		if beside == nil {
			return nil, fs.ErrNotExist
		}
		beside = &File{File: frame.File{Path: FileNames.DataPath(beside.Path)}}
	}
	return s.b.req.Open(beside, name)
}

// walkFile reads a file header by header, from one place to another, and starts the reading of its
// events. It returns where the last datagram ends.
func (s *scan) walkFile(ctx context.Context, n int32, from, until int64) (int64, error) {
	chain := newChain(s.files[n], max(1, s.b.opt.Reads/s.b.streams), from, until)
	for chain.off < until {
		h, err := chain.next(ctx)
		if err == nil {
			err = s.take(ctx, chain, h, n)
		}
		if isProblem(err) {
			s.note(err)
			return chain.off, nil
		}
		if err != nil {
			return chain.off, err
		}
	}
	return chain.off, nil
}

// take takes in the datagram that the chain has come to.
func (s *scan) take(ctx context.Context, chain *chain, h Header, file int32) error {
	if !h.Service().IsEvent() {
		return s.transition(chain.w, h, file)
	}
	e := entry{ts: h.TS, service: h.Service(), off: h.Offset, size: h.Size(), file: file, config: s.config(), damage: h.Damage(), groups: uint16(h.Env)}
	if e.config >= 0 {
		if err := s.walkEvent(ctx, chain, h, &e); err != nil {
			return err
		}
	}
	s.entries = append(s.entries, e)
	return nil
}

// walkEvent takes in the event that the chain has come to: at once where that needs no more than what
// the chain has read, or where a template may come of it; else it starts the reading.
func (s *scan) walkEvent(ctx context.Context, chain *chain, h Header, e *entry) error {
	var k *model
	if !s.b.opt.AllHeaders {
		k = s.models.add(e)
	}
	if k != nil && k.template != nil && (!k.template.reads || h.Size() <= small) {
		if known, err := k.template.match(chain.w, h, e); known || err != nil {
			return err
		}
	}
	if err := s.newSlots(e); err != nil {
		return err
	}
	c, slots := s.configs[e.config], e.slots
	if k != nil && k.open() {
		rec, err := s.readCandidate(chain.w, h, c, slots)
		if err == nil {
			s.learn(k, rec, c, slots)
		}
		return err
	}
	if h.Size() <= small {
		return s.readEvent(chain.w, h, c, slots)
	}
	w := chain.takeBuffer()
	return s.start(ctx, func() error { return s.readEvent(w, h, c, slots) })
}

// readCandidate is readEvent for an event that may become a template.
func (s *scan) readCandidate(w *buffer, h Header, c *config, slots []slot) (*record, error) {
	rec := &record{header: h, data: make([]int64, len(slots))}
	w.rec = rec
	err := s.readEvent(w, h, c, slots)
	w.rec = nil
	return rec, err
}

// start runs the reading of one event beside others, at most Options.Reads at a time.
func (s *scan) start(ctx context.Context, read func() error) error {
	if !s.b.enter(ctx) {
		return ctx.Err()
	}
	s.events.Go(func() error {
		defer func() { <-s.b.slots }()
		return read()
	})
	return nil
}

// readEvent reads all headers of one event to find its panels. It fails only when a read fails.
func (s *scan) readEvent(w *buffer, h Header, c *config, slots []slot) error {
	for i := range slots {
		slots[i] = slot{damage: h.Damage(), state: frame.Missing}
	}
	panelDamage := false
	err := w.walk(h.root, 0, func(x xtc) error {
		if x.typ() != typeShapesData {
			return nil
		}
		b, err := w.block(x)
		panelDamage = panelDamage || (b.damage|b.dataDamage)&damagePanel != 0
		i, isPanel := c.slot[b.namesID]
		if !isPanel {
			if err == nil && c.byID[b.namesID] == nil {
				s.remark(w, "stream %d: ShapesData with unknown NamesId %#x", s.stream.Number, b.namesID)
			}
			return err
		}
		if slots[i].state != frame.Missing {
			s.remark(w, "%s segment %d is twice in one event; the first counts", c.segments[i].detector, c.segments[i].number)
			return err
		}
		slots[i].damage |= b.damage | b.dataDamage
		slots[i].state = frame.Bad
		if err != nil {
			return err
		}
		if w.rec != nil {
			w.rec.data[i] = b.data.off
		}
		return s.placePanel(w, b, c, &slots[i])
	})
	if err != nil && !isProblem(err) {
		return err
	}
	if err != nil {
		w.rec.reject()
		s.mu.Lock()
		s.broken.add(h.Offset, err)
		s.mu.Unlock()
	}
	for i := range slots {
		switch {
		case slots[i].state == frame.Missing && err != nil:
			slots[i].state = frame.Bad
		case h.Damage()&DamageCorrupted != 0, slots[i].layout != 0 && h.Damage()&damageRoot != 0 && !panelDamage:
			slots[i].state = frame.Damaged
		}
	}
	return nil
}

// remark counts an observation about the event that is read.
func (s *scan) remark(w *buffer, format string, args ...any) {
	w.rec.reject()
	s.counts.Add(format, args...)
}

// placePanel finds the array of a panel and its layout.
func (s *scan) placePanel(w *buffer, b block, c *config, to *slot) error {
	names, field := c.byID[b.namesID], c.field[b.namesID]
	shapes, err := w.at(b.shapes.off, min(b.shapes.n, shapeSize*len(names.Fields)), "Shapes")
	if err != nil {
		return err
	}
	p, ok := names.place(field, shapes, b.data.n)
	if !ok {
		return fail(w.f, b.data.off, fmt.Sprintf("Data of %s segment %d", names.DetName, names.Segment), "all fields up to "+names.Fields[field].Name,
			fmt.Sprintf("%d bytes", b.data.n), nil)
	}
	f := names.Fields[field]
	l := layout{typ: f.Type, rank: f.Rank}
	copy(l.dims[:], p.dims[:f.Rank])
	to.off, to.layout = b.data.off+int64(p.off), s.b.layouts.id(l)
	to.state = frame.Present
	if (b.damage|b.dataDamage)&damagePanel != 0 {
		to.state = frame.Damaged
	}
	return nil
}
