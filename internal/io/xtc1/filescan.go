package xtc1

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"rawstatus/internal/io/cursor"
	"rawstatus/internal/io/rawrun"
)

// record is the part of a leaf with a frame that the index keeps.
type record struct {
	src    source
	word   uint32
	damage uint32 // of the leaf
	around uint32 // of the containers that hold it
	at, n  int64  // payload in the data file
	peek   [peekSize]byte
	have   uint8 // valid bytes of peek
}

// event is an L1Accept of one file.
type event struct {
	ts       uint64
	fiducial uint32
	cycle    int32 // BeginCalibCycles before it in its stream, less one; cycleLost if unknown
	first, n int32 // records
	damage   uint32
	skipped  uint32 // damage of containers that are not looked into
	off      int64  // of the datagram
	size     int64
	groups   uint16 // readout groups that took part
	cut      bool   // the file ends inside
	broken   bool   // some of it cannot be read
}

const cycleLost = math.MinInt32

// cycle is a BeginCalibCycle.
type cycle struct {
	ts  uint64
	doc string
}

// runMark is a run that begins in a file.
type runMark struct {
	number         int // as BeginRun says; 0 if it does not
	events, cycles int // of the file before it
}

// configured is a configuration object and since when it is in force.
type configured struct {
	src    source
	cycle  int32
	within bool // a Configure told it: in a cycle, it holds from the next one on
	setup  *setup
	why    error // why there is no setup
}

// fileScan is the contribution of one file to the index.
type fileScan struct {
	f        *File
	n        int32 // index into frame.Index.Files
	opt      rawrun.Options
	counts   rawrun.Counts
	events   []event
	records  []record
	cycles   []cycle
	configs  []configured
	aliases  map[source]string
	first    uint64 // time of the first datagram, of any kind
	begin    uint64 // time of Configure, 0 if there is none
	runs     []runMark
	grams    int
	hasEnd   bool  // EndRun was last, but for what belongs to no run
	closed   bool  // EndRun was, and no BeginRun since
	outside  int   // events behind an EndRun
	known    int   // events that smalldata has behind the end of the file
	problem  error // where the file could not be read further
	smallBad error // why the smalldata file was not used
}

// scan reads the file, by smalldata where there is some that can be believed.
func (s *fileScan) scan(ctx context.Context, rd *reads) error {
	if !s.f.IsThere() {
		return nil
	}
	if s.f.Small != nil && !s.opt.NoSmalldata {
		sml := &small{s: s, r: newReader(ctx, s.f.Small, rd), big: newReader(ctx, s.f, rd)}
		sml.r.w = newBuffer(ctx, s.f.Small.Path, s.f.Small.R, s.f.Small.Size, denseBlock, rd)
		sml.r.hold = 0
		err := sml.follow(ctx)
		if !errors.Is(err, rawrun.ErrDisagrees) {
			return err
		}
		*s = fileScan{f: s.f, n: s.n, opt: s.opt, smallBad: err}
	}
	_, err := s.read(ctx, newReader(ctx, s.f, rd), 0, s.f.Size)
	return err
}

// read takes the datagrams from one place to another, as far as they can be read, and returns where the
// last one ends.
func (s *fileScan) read(ctx context.Context, r *reader, from, until int64) (off int64, err error) {
	for off = from; off < until; {
		if err := ctx.Err(); err != nil {
			return off, err
		}
		d, err := r.next(off)
		if err != nil && isProblem(err) {
			s.problem = cmp.Or(s.problem, err)
			return off, nil
		}
		if err == nil {
			err = s.take(d)
		}
		if err != nil {
			return off, err
		}
		off += d.size()
		if d.cut {
			s.problem = cmp.Or(s.problem, cutAt(s.f, d))
			return off, nil
		}
	}
	return off, nil
}

// take keeps what the index needs of a datagram.
func (s *fileScan) take(d *datagram) error {
	s.grams++
	if s.first == 0 {
		s.first = d.ts()
	}
	service := d.service()
	if d.problem != nil {
		s.counts.Add("%v; the rest of its container is not read", d.problem)
	}
	switch service {
	case trL1Accept:
		s.event(d)
		return nil
	case trConfigure:
		if s.begin == 0 {
			s.begin = d.ts()
		}
	case trBeginRun:
		s.beginRun(int(d.env & math.MaxInt32))
	case trBeginCalibCycle:
		s.cycles = append(s.cycles, cycle{ts: d.ts()})
	}
	if d.cut {
		service = -1 // whatever begins there has not come
	}
	s.closed = s.closed && service != trBeginRun || service == trEndRun
	s.hasEnd = s.closed
	if service := d.service(); service != trConfigure && service != trBeginCalibCycle {
		return nil
	}
	for i := range d.leaves {
		if err := s.configure(d, &d.leaves[i]); err != nil {
			return err
		}
	}
	return nil
}

// beginRun takes a BeginRun; one that repeats the present run's changes nothing.
func (s *fileScan) beginRun(number int) {
	if n := len(s.runs); n > 0 && (number == 0 || s.runs[n-1].number == number) {
		s.counts.Add("BeginRun is repeated")
		return
	}
	s.runs = append(s.runs, runMark{number, len(s.events), len(s.cycles)})
}

// event keeps an L1Accept and its frames.
func (s *fileScan) event(d *datagram) {
	switch {
	case s.closed:
		s.outside++
		return
	case d.env&envTrimmed != 0:
		s.counts.Add("events without content: removed by the level-3 trigger")
		return
	case d.fiducial >= fiducialWrap:
		s.counts.Add("events without a valid fiducial left out")
		return
	}
	s.hasEnd = false
	e := event{off: d.off, size: d.size(), groups: uint16(d.env & groupMask), ts: d.ts(), fiducial: d.fiducial, cycle: int32(len(s.cycles)) - 1, first: int32(len(s.records)),
		damage: d.root.damage, skipped: d.skipped, cut: d.cut, broken: d.problem != nil}
	for i := range d.leaves {
		l := &d.leaves[i]
		if l.level() != levelSource || l.damage == 0 && (l.extent == xtcSize || !isData(l.id())) {
			continue
		}
		r := record{src: l.source(), word: l.word, damage: l.damage, around: l.around, at: l.at + xtcSize, n: l.payload()}
		r.have = uint8(copy(r.peek[:], l.peek))
		s.records = append(s.records, r)
		e.n++
	}
	s.events = append(s.events, e)
}

// configure reads one leaf of a transition.
func (s *fileScan) configure(d *datagram, l *leaf) error {
	id, from := l.id(), configured{src: l.source(), cycle: int32(len(s.cycles)) - 1, within: d.service() == trConfigure}
	shape := isConfig(id) && l.level() == levelSource
	if !shape && id != idAliasConfig && id != idRunControlConfig || l.payload() == 0 {
		return nil
	}
	if l.damage != 0 || d.cut || l.payload() > maxConfig || l.isCompact() {
		if shape {
			from.why = fmt.Errorf("its %s (%d bytes, damage %#x) cannot be used", typeName(id), l.payload(), l.damage)
			s.configs = append(s.configs, from)
		}
		return nil
	}
	b, err := l.body()
	if err != nil {
		return err
	}
	switch {
	case id == idAliasConfig:
		s.alias(b)
	case id == idRunControlConfig:
		if n := len(s.cycles); n > 0 && d.service() == trBeginCalibCycle {
			s.cycles[n-1].doc = controls(l.version(), b)
		}
	default:
		from.setup, from.why = parseConfig(id, l.version(), b)
		s.configs = append(s.configs, from)
	}
	return nil
}

// alias reads names that the operators of the DAQ gave to sources.
func (s *fileScan) alias(b []byte) {
	c := cursor.New("xtc1", s.f.Path, 0, b)
	n := c.U32()
	if !c.Fit(uint64(n), aliasSize, "aliases") {
		return
	}
	if s.aliases == nil {
		s.aliases = map[source]string{}
	}
	for range n {
		log, phy, name := c.U32(), c.U32(), c.Str(32)
		if log>>24 == levelSource && name != "" {
			s.aliases[source(phy)] = name
		}
	}
}

// controls describes the settings of a calibration cycle, e.g. "gain=2, label=dark".
func controls(version uint16, b []byte) string {
	head, nameSize, valueSize := 28, 32, 64
	switch version {
	case 1:
		head = 24
	case 2, 3:
	case 4:
		nameSize, valueSize = 128, 256
	default:
		return ""
	}
	if len(b) < head {
		return ""
	}
	c := cursor.New("xtc1", "", 0, b)
	c.Skip(16)
	set, watched, labels := c.U32(), c.U32(), uint32(0)
	if version > 1 {
		labels = c.U32()
	}
	var parts []string
	for range set {
		name, index, value := c.Str(nameSize), c.U32(), math.Float64frombits(c.U64())
		if c.Err() != nil {
			return ""
		}
		if index != math.MaxUint32 {
			name = fmt.Sprintf("%s[%d]", name, index)
		}
		parts = append(parts, fmt.Sprintf("%s=%g", name, value))
	}
	if !c.Fit(uint64(watched), nameSize+20, "monitored values") {
		return strings.Join(parts, ", ")
	}
	c.Skip(int(watched) * (nameSize + 20))
	for range labels {
		name, value := c.Str(nameSize), c.Str(valueSize)
		if c.Err() != nil {
			break
		}
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, ", ")
}
