package xtc1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"rawstatus/internal/io/cursor"
)

// record is what the index keeps of a leaf with a frame.
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
	cut      bool   // the file ends inside
	broken   bool   // some of it cannot be read
}

const cycleLost = math.MinInt32

// cycle is a BeginCalibCycle.
type cycle struct {
	ts  uint64
	doc string
}

// configured is a configuration object and since when it is in force.
type configured struct {
	src   source
	cycle int32
	setup *setup
	why   error // why there is no setup
}

// fileScan is what one file has for the index.
type fileScan struct {
	f        *File
	n        int32 // index into frame.Index.Files
	opt      Options
	counts   *counts
	events   []event
	records  []record
	cycles   []cycle
	configs  []configured
	aliases  map[source]string
	first    uint64 // time of the first datagram, of any kind
	begin    uint64 // time of Configure, 0 if there is none
	run      int    // of BeginRun, 0 if it does not tell
	grams    int
	hasEnd   bool  // EndRun or Unconfigure was last
	problem  error // where the file could not be read on
	smallBad error // why the smalldata file was not used
}

// counts are observations that repeat, by their text.
type counts struct {
	mu    sync.Mutex
	n     map[string]int
	order []string
}

func (c *counts) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	if c.n[text]++; c.n[text] == 1 {
		c.order = append(c.order, text)
	}
}

// scan reads the file, by smalldata where there is some that can be believed.
func (s *fileScan) scan(ctx context.Context, rd *reads) error {
	big := newReader(ctx, s.f, rd)
	if s.f.Small != nil && !s.opt.NoSmalldata {
		sml := &small{r: newReader(ctx, s.f.Small, rd), big: big}
		sml.r.w = newWindow(ctx, s.f.Small.Path, s.f.Small.R, s.f.Small.Size, denseBlock, rd)
		err := s.each(ctx, func(int64) (*datagram, error) { return sml.next() })
		if err == nil {
			err = sml.verify()
		}
		if !errors.Is(err, errDisagrees) {
			return err
		}
		*s = fileScan{f: s.f, n: s.n, opt: s.opt, counts: &counts{}, smallBad: err}
		big = newReader(ctx, s.f, rd)
	}
	return s.each(ctx, big.next)
}

// each takes datagrams until the file ends or cannot be read on.
func (s *fileScan) each(ctx context.Context, next func(off int64) (*datagram, error)) error {
	for off := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := next(off)
		if err == io.EOF {
			return nil
		}
		if err != nil && isProblem(err) {
			s.problem = err
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.take(d); err != nil {
			return err
		}
		off = d.off + d.size()
		if d.cut {
			s.problem = s.f.cutAt(d)
			return nil
		}
	}
}

// take keeps what the index needs of a datagram.
func (s *fileScan) take(d *datagram) error {
	s.grams++
	if s.first == 0 {
		s.first = d.ts()
	}
	service := d.service()
	if d.problem != nil {
		s.counts.add("%v; the rest of its container is not read", d.problem)
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
		if s.run == 0 && d.env <= math.MaxInt32 {
			s.run = int(d.env)
		}
	case trBeginCalibCycle:
		s.cycles = append(s.cycles, cycle{ts: d.ts()})
	}
	s.hasEnd = service == trEndRun || service == trUnconfigure
	if service != trConfigure && service != trBeginCalibCycle {
		return nil
	}
	for i := range d.leaves {
		if err := s.configure(d, &d.leaves[i]); err != nil {
			return err
		}
	}
	return nil
}

// event keeps an L1Accept and its frames.
func (s *fileScan) event(d *datagram) {
	s.hasEnd = false
	switch {
	case d.env&envTrimmed != 0:
		s.counts.add("events without content: removed by the level-3 trigger")
		return
	case d.fiducial >= fiducialWrap:
		s.counts.add("events without a valid fiducial left out")
		return
	}
	e := event{ts: d.ts(), fiducial: d.fiducial, cycle: int32(len(s.cycles)) - 1, first: int32(len(s.records)),
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
	id := l.id()
	shape := isConfig(id) && l.level() == levelSource
	if !shape && id != idAliasConfig && id != idRunControlConfig || l.payload() == 0 {
		return nil
	}
	if l.damage != 0 || d.cut || l.payload() > maxConfig || l.isCompact() {
		if shape {
			s.configs = append(s.configs, configured{src: l.source(), cycle: int32(len(s.cycles)) - 1,
				why: fmt.Errorf("its %s (%d bytes, damage %#x) cannot be used", typeName(id), l.payload(), l.damage)})
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
		set, why := parseConfig(id, l.version(), b)
		s.configs = append(s.configs, configured{l.source(), int32(len(s.cycles)) - 1, set, why})
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

// controls tells what was set for a calibration cycle, e.g. "gain=2, label=dark".
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
